#!/usr/bin/env bash
# with_server.sh COMMAND [ARGUMENT…]
#
# Starts `bureau serve --demo` on a free port of 127.0.0.1 with a new SQLite database, runs COMMAND, and ends the server
# with SIGTERM, which must take at most ten seconds and give exit status 0. COMMAND finds in its environment
#   BUREAU_URL       http://127.0.0.1:PORT
#   BUREAU_TOKEN     the owner's token, as the server printed it
#   BUREAU_DATABASE  the database, for `bureau stdio --database` beside the running server
#   BUREAU_BIN       the program; target/debug/bureau unless it was set before

set -euo pipefail

case ${1:---help} in -h | --help) sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit ;; esac
fail() { echo "with_server.sh: $*" >&2; tail -n 100 "$dir/log" >&2; exit 1; }

dir=$(mktemp -d)
export BUREAU_BIN=${BUREAU_BIN:-$(cd "$(dirname "$0")/../.." && pwd)/target/debug/bureau}
export BUREAU_DATABASE=sqlite:$dir/bureau.db
unset BUREAU_TOKEN
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export BUREAU_URL=http://127.0.0.1:$port

"$BUREAU_BIN" serve --listen "127.0.0.1:$port" --database "$BUREAU_DATABASE" --demo >"$dir/log" 2>&1 &
server=$!
trap '{ kill -KILL $server && wait $server; } 2>/dev/null || true; rm -rf "$dir"' EXIT

# within SECONDS CONDITION: waits until CONDITION holds.
within() {
    local tries
    for ((tries = 0; tries < $1 * 10; tries++)); do
        "$2" && return
        sleep 0.1
    done
    fail "waited $1 seconds in vain: $2"
}
server_is_ready() {
    kill -0 $server 2>/dev/null || fail 'the server ended before it was ready'
    curl --silent --fail --output /dev/null "$BUREAU_URL/readyz"
}
server_has_ended() { ! kill -0 $server 2>/dev/null; }

within 30 server_is_ready
BUREAU_TOKEN=$(grep -oE -m 1 'bu[sk]_[0-9A-Za-z]{30,}' "$dir/log") || fail 'the server printed no token'
export BUREAU_TOKEN

"$@" || fail "failed with status $?: $*"

kill -TERM $server
within 10 server_has_ended
wait $server || fail "the server ended with status $? after SIGTERM"
