#!/usr/bin/env bash
# Plain JSON-RPC 2.0 with curl and jq: every tool is a method of its own name.
#
#     BUREAU_TOKEN=… examples/rpc.sh
#
# BUREAU_URL is the server; http://127.0.0.1:8650 unless it is set.

set -euo pipefail
: "${BUREAU_TOKEN:?set it to the token that bureau serve printed}"
url=${BUREAU_URL:-http://127.0.0.1:8650}/rpc

# rpc REQUEST FILTER: sends the request and prints what the jq FILTER makes of the answer.
rpc() {
    curl --silent --show-error --fail-with-body --header "Authorization: Bearer $BUREAU_TOKEN" --json "$1" "$url" |
        jq --raw-output "def result: .result // error(tojson); $2"
}

echo 'A tool as a method:'
rpc '{"jsonrpc": "2.0", "id": 1, "method": "task_list", "params": {"status": "open", "page_size": 3}}' \
    'result | "  \(.total) open tasks, of which \(.items | length) here:", "  - \(.items[].title)"'

echo 'The same as MCP does it:'
rpc '{"jsonrpc": "2.0", "id": 2, "method": "tools/call",
      "params": {"name": "task_list", "arguments": {"status": "open", "page_size": 3}}}' \
    'result | "  \(.structuredContent.total) open tasks"'

echo 'A batch of two calls and a notification, which gets no answer:'
rpc '[{"jsonrpc": "2.0", "id": "who", "method": "me"},
      {"jsonrpc": "2.0", "method": "me"},
      {"jsonrpc": "2.0", "id": "try", "method": "task_create",
       "params": {"title": "Order the worktop", "dry_run": true}}]' \
    '"  \(length) answers", (.[] | select(.id == "who") | result | "  I am \(.data[0].email)"),
     (.[] | select(.id == "try") | result | "  creating the task would change \(.changes | length) rows")'

echo 'What cannot be done is an error that says what to do:'
rpc '{"jsonrpc": "2.0", "id": 3, "method": "task_create", "params": {}}' '.error.message // error(tojson) | "  \(.)"'

echo 'Every method, described by OpenRPC:'
rpc '{"jsonrpc": "2.0", "id": 4, "method": "rpc.discover"}' \
    'result | "  OpenRPC \(.openrpc): \(.info.title) \(.info.version) has \(.methods | length) methods"'
