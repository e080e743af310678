#!/usr/bin/env bash
# curl_status.sh
#
# What the HTTP endpoints answer to requests that no client library would send: status, JSON-RPC code, headers, ids.
#
#     tests/external/with_server.sh tests/external/curl_status.sh

set -euo pipefail
(($# == 0)) || { sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit 2; }

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0

# send METHOD PATH BODY [HEADER…]: sends one request with the usual headers, of which HEADER replaces one or, without
# a value, removes it. Leaves the answer in $status, $body and $dir/headers. No BODY is sent when it is empty.
send() {
    local -A headers=([Authorization]=" Bearer $BUREAU_TOKEN" [Content-Type]=' application/json'
        [Accept]=' application/json, text/event-stream')
    local header arguments=()
    for header in "${@:4}"; do headers[${header%%:*}]=${header#*:}; done
    for header in "${!headers[@]}"; do arguments+=(--header "$header:${headers[$header]}"); done
    [[ -z $3 ]] || arguments+=(--data-binary @-)
    # A server may answer before it has read the whole body, and close: curl then fails, but has the answer.
    status=$(curl --silent --max-time 20 --request "$1" --output "$dir/body" --dump-header "$dir/headers" \
        --write-out '%{http_code}' "${arguments[@]}" "$BUREAU_URL$2" <<<"$3") || true
    body=$(<"$dir/body")
}

# expect STATUS WHAT [FILTER]: the last answer has this status, and the jq FILTER holds for its body.
expect() {
    if [[ $status == "$1" ]] && { [[ -z ${3:-} ]] || jq --exit-status "$3" <<<"$body" >/dev/null 2>&1; }; then
        passed=$((passed + 1))
        echo "ok      $1  $2"
    else
        failed=$((failed + 1))
        printf 'FAILED  %s\n  wanted  %s  %s\n  got     %s  %.600s\n' "$2" "$1" "${3:-}" "$status" "$body"
    fi
}

# expect_that WHAT EXPRESSION…: `test EXPRESSION…` is true.
expect_that() {
    if test "${@:2}"; then
        passed=$((passed + 1))
        echo "ok           $1"
    else
        failed=$((failed + 1))
        printf 'FAILED  %s\n  test %s\n' "$1" "${*:2}"
    fi
}

header() { sed -nE "s/^$1: (.*)\r$/\1/Ip" "$dir/headers"; }

# request ID METHOD [PARAMETERS]: the body of a request in the stateless era, whose every request tells its version.
request() {
    local meta='"_meta": {"io.modelcontextprotocol/protocolVersion": "'${version:-2026-07-28}'",
        "io.modelcontextprotocol/clientCapabilities": {}}'
    echo "{\"jsonrpc\": \"2.0\", \"id\": $1, \"method\": \"$2\", \"params\": {$meta ${3:+, $3}}}"
}
modern='MCP-Protocol-Version: 2026-07-28'
discover=$(request 1 server/discover)
# mcp BODY [HEADER…]: posts to /mcp with the headers that go with server/discover.
mcp() { send POST /mcp "$1" "$modern" 'Mcp-Method: server/discover' "${@:2}"; }

echo '--- an ordinary request, and what HTTP itself asks for'
mcp "$discover"
expect 200 'server/discover' '.id == 1 and .result.resultType == "complete" and
    (.result.supportedVersions | index("2026-07-28") != null)'
for method in GET DELETE; do
    send $method /mcp '' "$modern"
    expect 405 "$method /mcp"
    expect_that "$method /mcp: Allow names POST" "$(header allow)" = POST
done
mcp "$discover" 'Accept: text/plain'
expect 406 'Accept: text/plain'
mcp "$discover" 'Content-Type: text/plain'
expect 415 'Content-Type: text/plain'
mcp "$discover" 'Content-Type: application/json; charset=UTF-8; x=1'
expect 200 'Content-Type with parameters' '.id == 1 and .result != null'
send GET /nowhere ''
expect 404 'an unknown path'

echo '--- who may ask'
mcp "$discover" 'Authorization:'
expect 401 'no token'
expect_that 'no token: WWW-Authenticate names Bearer' "$(header www-authenticate | cut -c 1-6)" = Bearer
mcp "$discover" "Authorization: Bearer bus_$(printf '%040d' 0)"
expect 401 'a wrong token'
expect_that 'a wrong token: WWW-Authenticate names Bearer' "$(header www-authenticate | cut -c 1-6)" = Bearer
send POST /rpc '{"jsonrpc": "2.0", "id": 1, "method": "me"}' 'Authorization:'
expect 401 '/rpc without a token'
mcp "$discover" 'Origin: http://evil.example'
expect 403 'a foreign Origin'
mcp "$discover" "Origin: $BUREAU_URL"
expect 200 'its own Origin' '.result != null'
mcp "$discover" 'Host: evil.example'
expect 403 'a foreign Host'
mcp "$discover" "Host: localhost:${BUREAU_URL##*:}"
expect 200 'Host: localhost' '.result != null'

echo '--- bodies that are no request'
mcp '{"jsonrpc": "2.0", "id": 1,'
expect 400 'broken JSON' '.error.code == -32700 and .id == null'
mcp "$(request null server/discover)"
expect 400 'an id that is null' '.error.code == -32600 and .id == null'
mcp "$(request 1.5 server/discover)"
expect 400 'an id that is a fraction' '.error.code == -32600'
mcp '{"id": 1, "method": "server/discover"}'
expect 400 'no "jsonrpc"' '.error.code == -32600'
send POST /mcp '[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]' 'MCP-Protocol-Version: 2025-06-18'
expect 400 'a batch at /mcp' '.error.code == -32600'
deep=$(printf '%0100000d' 0 | tr 0 '[')$(printf '%0100000d' 0 | tr 0 ']')
mcp "$(request 1 server/discover "\"x\": $deep")"
expect 400 '100,000 nested arrays at /mcp' '.error.code == -32700 or .error.code == -32600'
send POST /rpc "{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"me\", \"params\": {\"x\": $deep}}"
expect 400 '100,000 nested arrays at /rpc' '.error.code == -32700 or .error.code == -32600'
# `send` adds a newline to the body.
mcp "$(printf '%*s' $((1048576 - ${#discover} - 1)) '')$discover"
expect 200 'a body of 1 MiB' '.result != null'
mcp "$(printf '%*s' $((1048576 - ${#discover})) '')$discover"
expect 413 'a body of 1 MiB and one byte'
mcp "$(printf '%*s' $((1048576 - ${#discover})) '')$discover" 'Transfer-Encoding: chunked'
expect 413 'the same without a Content-Length'

echo '--- the stateless era: headers and body must agree'
send POST /mcp "$discover" "$modern"
expect 400 'no Mcp-Method' '.error.code == -32020 and .id == 1'
mcp "$discover" 'Mcp-Method: tools/list'
expect 400 'another Mcp-Method' '.error.code == -32020 and .id == 1'
mcp "$discover" 'MCP-Protocol-Version: 2025-11-25'
expect 400 'another MCP-Protocol-Version' '.error.code == -32020 and .id == 1'
mcp "$(request 1 tools/call '"name": "me"')" 'Mcp-Method: tools/call'
expect 400 'no Mcp-Name' '.error.code == -32020 and .id == 1'
mcp "$(request 1 tools/call '"name": "me"')" 'Mcp-Method: tools/call' 'Mcp-Name: task_list'
expect 400 'another Mcp-Name' '.error.code == -32020 and .id == 1'
mcp "$(request 1 tools/call '"name": "me"')" 'Mcp-Method: tools/call' 'Mcp-Name: me'
expect 200 'the same Mcp-Name' '.result.structuredContent.status == "ok" and .result.isError != true'
mcp "$(request 1 tools/call '"name": "task_creat"')" 'Mcp-Method: tools/call' 'Mcp-Name: task_creat'
expect 400 'an unknown tool' '.error.code == -32602 and .id == 1'
mcp "$(request 1 tools/call '"name": "task_show", "arguments": {"id": 999999}')" 'Mcp-Method: tools/call' \
    'Mcp-Name: task_show'
expect 200 'an error of a tool, in both forms' '.result | .isError and .structuredContent.code == "not_found" and
    (.content[0].text | fromjson) == .structuredContent'
mcp "$(request 1 tools/list '"cursor": "x"')" 'Mcp-Method: tools/list'
expect 400 'an unknown cursor' '.error.code == -32602 and .id == 1'
mcp "$(version='2026-07-28", "io.modelcontextprotocol/logLevel": "loud' request 1 server/discover)"
expect 400 'an unknown log level' '.error.code == -32602 and .id == 1'
mcp "$(version=2099-01-01 request 1 server/discover)" 'MCP-Protocol-Version: 2099-01-01'
expect 400 'an unknown version' '.error.code == -32022 and .error.data.requested == "2099-01-01" and
    (.error.data.supported | index("2026-07-28") != null)'
mcp "$(request 1 no/such/method)" 'Mcp-Method: no/such/method'
expect 404 'an unknown method' '.error.code == -32601 and .id == 1'
mcp "$(request 1 ping)" 'Mcp-Method: ping'
expect 404 'a method that this era removed' '.error.code == -32601 and .id == 1'
mcp '{"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 99}}' \
    'Mcp-Method: notifications/cancelled'
expect 202 'a notification'
expect_that 'a notification: empty body' -z "$body"
mcp '{"jsonrpc": "2.0", "id": 99, "result": {}}'
expect 400 'an answer, which no request asked for'

echo '--- the handshake era'
initialize() {
    send POST /mcp '{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "'"$1"'",
        "capabilities": {}, "clientInfo": {"name": "curl", "version": "1"}}}'
}
initialize 2099-01-01
expect 200 'initialize with an unknown version' '.result.protocolVersion == "2025-11-25"'
initialize 2025-06-18
expect 200 'initialize' '.result.protocolVersion == "2025-06-18" and .result.serverInfo.name == "bureau"'
session="Mcp-Session-Id: $(header mcp-session-id)" # Without a value where the server keeps no sessions.
[[ $session != 'Mcp-Session-Id: ' ]] || session=Mcp-Session-Id:
legacy() { send POST /mcp "$1" 'MCP-Protocol-Version: 2025-06-18' "$session" "${@:2}"; }
legacy '{"jsonrpc": "2.0", "method": "notifications/initialized"}'
expect 202 'a notification'
expect_that 'a notification: empty body' -z "$body"
legacy '{"jsonrpc": "2.0", "id": 1, "method": "ping"}'
expect 200 'ping' '. == {"jsonrpc": "2.0", "id": 1, "result": {}}'
legacy '{"jsonrpc": "2.0", "id": 1, "method": "ping"}' 'MCP-Protocol-Version: 1999-01-01'
expect 400 'an unknown MCP-Protocol-Version'
legacy '{"jsonrpc": "2.0", "id": 1, "method": "no/such/method"}'
expect 200 'an unknown method' '.error.code == -32601 and .id == 1'
legacy '{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "task_creat"}}'
expect 200 'an unknown tool' '.error.code == -32602 and .id == 1'
legacy '{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "task_show", "arguments": {"id": 999999}}}'
expect 200 'an error of a tool, as text alone' '.result | .isError and (has("structuredContent") | not) and
    (.content[0].text | fromjson | .code) == "not_found"'

echo '--- ids come back as they were sent; jq would round them'
for id in -7 9007199254740993 '"a"'; do
    mcp "$(request "$id" server/discover)"
    expect 200 "id $id at /mcp" '.result != null'
    expect_that "id $id at /mcp: echoed" "$(grep -oE '"id": *[^,}]+' <<<"$body" | head -n 1 | tr -d ' ')" = "\"id\":$id"
done
for id in -7 9007199254740993 1.5 '"a"'; do
    send POST /rpc "{\"jsonrpc\": \"2.0\", \"id\": $id, \"method\": \"no_such_method\"}"
    expect 200 "id $id at /rpc" '.error.code == -32601'
    expect_that "id $id at /rpc: echoed" "$(grep -oE '"id": *[^,}]+' <<<"$body" | head -n 1 | tr -d ' ')" = "\"id\":$id"
done

echo '--- batches at /rpc'
send POST /rpc '[{"jsonrpc": "2.0", "id": 1, "method": "me"}, {"jsonrpc": "2.0", "method": "me"},
    {"jsonrpc": "2.0", "id": 2, "method": "task_list", "params": {"page_size": 1}}]'
expect 200 'two calls and a notification get two answers' 'length == 2 and (map(.id) | sort) == [1, 2] and
    all(.result != null)'
send POST /rpc '[]'
expect 200 'an empty batch' '.error.code == -32600'

send GET /readyz '' 'Authorization:'
expect 200 'the server is still ready'

echo "curl_status: $passed passed, $failed failed"
((failed == 0))
