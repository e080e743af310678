#!/usr/bin/env bash
# inspector.sh
#
# The official inspector's command line as a client of bureau, over stdio and HTTP, in both eras of the protocol. With
# --strict it rejects a tool whose schemas some client would not accept. Each command connects anew and ends; it cannot ask
# for completion, answer a question, or wait for news.
#
#     tests/external/install.sh
#     tests/external/with_server.sh tests/external/inspector.sh

set -euo pipefail
(($# == 0)) || { sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit 2; }

external=${TMPDIR:-/tmp}/bureau-external/node/node_modules
export PATH=$external/node/bin:$PATH
# The inspector keeps files in its home directory.
HOME=$(mktemp -d)
export HOME
trap 'rm -rf "$HOME"' EXIT

version=$(jq -r .version "$external/@modelcontextprotocol/inspector/package.json")
stdio=(--transport stdio -- "$BUREAU_BIN" stdio --database "$BUREAU_DATABASE")
http=(--transport http --header "Authorization: Bearer $BUREAU_TOKEN" --server-url "$BUREAU_URL/mcp")

all=(--transport http --header "Authorization: Bearer $BUREAU_TOKEN"
    --server-url "$BUREAU_URL/mcp?toolsets=all&output_schemas=1")

# inspect ERA ARGUMENT…: prints the JSON result of one method. What the inspector warns of, by the thousand words, is
# that a field may be null where null clears it; an error it tells as well.
inspect() {
    "$external/.bin/mcp-inspector" --cli --format json --quiet --protocol-era "$@" 2>"$HOME/errors" ||
        { echo "FAILED: $*" >&2; cat "$HOME/errors" >&2; exit 1; }
}

checks=0
# check WHAT JSON FILTER [ARGUMENT…]: the jq FILTER must be true of the JSON.
check() {
    local what=$1 json=$2
    shift 2
    jq --exit-status "$@" <<<"$json" >/dev/null || { echo "FAILED: unexpected $what: $json" >&2; exit 1; }
    checks=$((checks + 1))
}
# answered WHAT JSON FILTER: the data of a tool's answer, the same in both its forms, of which the FILTER must be true.
answered() {
    check "$1" "$2" ".result | (.content[0].text | fromjson) == .structuredContent and (.structuredContent | $3)"
}
# refused ERA STATUS CODE ARGUMENT…: the inspector must fail with STATUS, and tell what the server said with CODE.
refused() {
    local era=$1 wanted=$2 code=$3 status=0
    shift 3
    "$external/.bin/mcp-inspector" --cli --format json --quiet --protocol-era "$era" "$@" >"$HOME/out" 2>&1 || status=$?
    [[ $status == "$wanted" ]] && grep -qF -- "$code" "$HOME/out" ||
        { echo "FAILED: status $status, not $wanted with $code: $*" >&2; cat "$HOME/out" >&2; exit 1; }
    checks=$((checks + 1))
}

for era in legacy modern; do
    for transport in stdio http all; do
        declare -n target=$transport
        checks=0
        case $transport in
            all) wanted='length > 40 and all(.outputSchema.type == "object")' ;;
            *) wanted='length <= 40 and all(has("outputSchema") | not)' ;;
        esac
        tools=$(inspect $era --method tools/list --strict "${target[@]}")
        check 'list of tools' "$tools" ".result.tools | $wanted and any(.name == \"tool_search\")"
        call=(--method tools/call --tool-args-json)
        me=$(inspect $era "${call[@]}" '{}' --tool-name me "${target[@]}")
        answered me "$me" '.status == "ok"'
        if [[ $transport != all ]]; then
            found=$(inspect $era "${call[@]}" '{"query": "settle a contract"}' --tool-name tool_search "${target[@]}")
            answered tool_search "$found" '.items[0].name == "contract_settle"'
            task='{"title": "Call the stone supplier"}'
            try=$(jq '.dry_run = true' <<<"$task")
            tried=$(inspect $era "${call[@]}" "$try" --tool-name task_create "${target[@]}")
            answered 'dry run' "$tried" '.dry_run and (.changes | length > 0)'
            made=$(inspect $era "${call[@]}" "$task" --tool-name task_create "${target[@]}")
            answered 'new task' "$made" '.title == "Call the stone supplier" and .version == 1'
            num=$(jq .result.structuredContent.num <<<"$made")
            read=$(inspect $era --method resources/read --uri "bureau://task/$num" "${target[@]}")
            check 'record as a resource' "$read" \
                ".result.contents | length == 1 and (.[0].text | fromjson | .num == $num)"
            undo=$(jq '{undo_token: .result.structuredContent.undo_token}' <<<"$made")
            undone=$(inspect $era "${call[@]}" "$undo" --tool-name action_undo "${target[@]}")
            answered undo "$undone" '.ok'
            refused $era 5 not_found "${call[@]}" "{\"id\": $num}" --tool-name task_show "${target[@]}"
            refused $era 1 'There is no such resource' --method resources/read --uri "bureau://task/$num" "${target[@]}"
            resources=$(inspect $era --method resources/list "${target[@]}")
            check resources "$resources" \
                '[.result.resources[].uri] == ["bureau://me", "bureau://permissions", "bureau://tools"]'
            templates=$(inspect $era --method resources/templates/list "${target[@]}")
            check templates "$templates" '.result.resourceTemplates | any(.uriTemplate == "bureau://task/{id}")'
            prompts=$(inspect $era --method prompts/list "${target[@]}")
            check prompts "$prompts" '[.result.prompts[].name] | length == 6 and index("plan_week") == 2'
            prompt=$(inspect $era --method prompts/get --prompt-name plan_week --prompt-args language=pl "${target[@]}")
            check prompt "$prompt" '.result.messages[0].content.text | startswith("Zaplanuj mój tydzień")'
            if [[ $era == legacy ]]; then
                level=$(inspect $era --method logging/setLevel --log-level warning "${target[@]}")
                check 'log level' "$level" .result
            fi
        fi
        count=$(jq '.result.tools | length' <<<"$tools")
        echo "ok: inspector $version, $transport, $era: $checks checks, $count tools, strict"
    done
done
