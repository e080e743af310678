#!/usr/bin/env bash
# conformance.sh PROGRAM [SCENARIO REVISION]
#
# Runs the protocol's conformance suite against PROGRAM, the example `conformance`: everything that the suite knows for the
# revisions 2026-07-28, 2025-11-25 and 2025-06-18, scored or not, the extension for tasks, and session lifecycle at
# 2025-03-26. Every check must pass: no failure, no warning, nothing expected to fail, no scenario without a passed check.
# With SCENARIO and REVISION only that one is run, and everything about its checks is shown.

set -euo pipefail

case ${1:---help} in -h | --help) sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit ;; esac
fail() { echo "conformance.sh: $*" >&2; exit 1; }

program=$1
external=${TMPDIR:-/tmp}/bureau-external/node/node_modules
suite=("$external/node/bin/node" "$external/@modelcontextprotocol/conformance/dist/index.js" server)

dir=$(mktemp -d)
"$program" >"$dir/url" 2>"$dir/log" &
server=$!
trap '{ kill -KILL $server && wait $server; } 2>/dev/null || true; rm -rf "$dir"' EXIT
for ((tries = 0; tries < 300; tries++)); do
    [[ ! -s $dir/url ]] || break
    kill -0 $server 2>/dev/null || { cat "$dir/log" >&2; fail 'the server ended before it was ready'; }
    sleep 0.1
done
url=$(head -n 1 "$dir/url")
[[ $url ]] || fail 'the server printed no address within 30 seconds'

if (($# == 3)); then
    "${suite[@]}" --url "$url" --scenario "$2" --spec-version "$3" --verbose
    exit
fi

bad=()
# run REVISION COUNT OPTION…: runs what the options name at a revision, COUNT scenarios, and judges every check.
run() {
    local revision=$1 count=$2 out=$dir/$1 status
    shift 2
    # The suite's own exit status does not know of unscored scenarios; the checks decide.
    timeout 600 "${suite[@]}" --url "$url" "$@" -o "$out" >"$dir/suite" 2>&1 && status=0 || status=$?
    ((status < 2)) || { tail -n 50 "$dir/suite" >&2; fail "the suite ended with status $status"; }
    echo "== $revision"
    local file scenario passed own refused refusals=0 scenarios=0 checks=0
    for file in "$out"/*/checks.json; do
        scenario=$(basename "$(dirname "$file")" | sed -E 's/^server-//; s/-[0-9]{4}-[0-9]{2}-[0-9]{2}T.*$//')
        passed=$(jq '[.[] | select(.status == "SUCCESS")] | length' "$file")
        # That every message fits the protocol's schema is checked of a server that cannot do the thing, too.
        own=$(jq '[.[] | select(.status == "SUCCESS" and .id != "wire-schema-valid")] | length' "$file")
        refused=$(jq '[.[] | select(.status != "SUCCESS" and .status != "INFO")] | length' "$file")
        scenarios=$((scenarios + 1))
        checks=$((checks + passed))
        # The suite has no check yet for the notifications of tasks and skips their scenario; it may skip no other.
        if [[ $scenario == tasks-status-notifications ]] && ((passed == 0 && refused == 1)); then
            echo "   $scenario: not tested by the suite yet"
        elif ((own > 0 && refused == 0)); then
            echo "ok $scenario: $passed"
        else
            refusals=$((refusals + 1))
            echo "NO $scenario: $passed passed, $refused not"
            jq --raw-output '.[] | select(.status != "SUCCESS" and .status != "INFO")
                | "   \(.status) \(.id): \(.errorMessage // .description)"' "$file"
        fi
    done
    echo "$revision: $scenarios of $count scenarios run, $refusals not passed; $checks checks passed"
    ((scenarios == count && refusals == 0)) || bad+=("$revision")
}

run 2026-07-28 50 --requirements 2026-07-28
run 2025-11-25 33 --requirements 2025-11-25
run 2025-06-18 27 --suite all --spec-version 2025-06-18
run 2025-03-26 1 --suite all --spec-version 2025-03-26

kill -INT $server
wait $server || fail "the server ended with status $? after SIGINT"
((${#bad[@]} == 0)) || fail "not every check passed at ${bad[*]}"
