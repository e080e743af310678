#!/usr/bin/env bash
# inspector.sh
#
# The official inspector's command line as a client of bureau, over stdio and HTTP, in both eras of the protocol. With
# --strict it rejects a tool whose schemas some client would not accept.
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

for era in legacy modern; do
    for transport in stdio http all; do
        declare -n target=$transport
        case $transport in
            all) wanted='length > 40 and all(.outputSchema.type == "object")' ;;
            *) wanted='length <= 40 and all(has("outputSchema") | not)' ;;
        esac
        tools=$(inspect $era --method tools/list --strict "${target[@]}")
        jq -e ".result.tools | $wanted and any(.name == \"tool_search\")" <<<"$tools" >/dev/null ||
            { echo "FAILED: unexpected list of tools: $tools" >&2; exit 1; }
        me=$(inspect $era --method tools/call --tool-name me --tool-args-json '{}' "${target[@]}")
        jq -e '.result | (.structuredContent.status == "ok") and (.content[0].text | fromjson) == .structuredContent' \
            <<<"$me" >/dev/null || { echo "FAILED: unexpected answer of the tool me: $me" >&2; exit 1; }
        echo "ok: inspector $version, $transport, $era: $(jq '.result.tools | length' <<<"$tools") tools, strict"
    done
done
