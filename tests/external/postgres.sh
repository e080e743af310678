#!/usr/bin/env bash
# postgres.sh start       starts a private PostgreSQL server and prints its URL, and nothing else, on stdout
# postgres.sh stop URL    stops that server and deletes its files
#
# The server listens on a free port of 127.0.0.1, keeps its data in a new temporary directory and sorts text by language
# (ICU), as installations do. The URL is that of a role without superuser rights that owns its database. Where no server
# programs are found, root installs Debian's package `postgresql`.

set -euo pipefail

usage() { sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; }
say() { echo "postgres.sh: $*" >&2; }

# PostgreSQL refuses to run as root.
as_postgres() {
    if ((EUID == 0)); then runuser -u postgres -- "$@"; else "$@"; fi
}

# The directory of the newest server programs; Debian keeps them out of PATH.
programs() {
    local initdb
    initdb=$(printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -V | tail -n 1)
    [[ -x $initdb ]] || initdb=$(command -v initdb) || return 1
    dirname "$initdb"
}

start() {
    if ! programs >/dev/null; then
        say 'found no server programs, installing the package postgresql'
        apt-get update -qq >&2
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y postgresql >&2
    fi
    local bin port password
    bin=$(programs)
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')

    dir=$(as_postgres mktemp -d "${TMPDIR:-/tmp}/bureau-postgres.XXXXXX")
    trap 'remove "$dir"' EXIT # Until the server is ready to be handed over.
    cd "$dir"                 # A directory that the server's user may enter.
    as_postgres "$bin/initdb" --pgdata=data --username=postgres --auth-local=trust --auth-host=scram-sha-256 \
        --encoding=UTF8 --locale=C.UTF-8 --locale-provider=icu --icu-locale=en-US >initdb.log
    cat >>data/postgresql.conf <<CONF
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = '$dir'
max_connections = 400
# What is kept here is kept for minutes: only the processes are killed, never the machine.
synchronous_commit = off
full_page_writes = off
# Each test fills a schema of its own with a thousand tables and indexes: nobody is to tidy up behind them.
autovacuum = off
checkpoint_timeout = 1h
max_wal_size = 4GB
CONF
    as_postgres "$bin/pg_ctl" start --pgdata=data --log=server.log --wait --silent >&2 ||
        { cat server.log >&2; exit 1; }
    as_postgres "$bin/psql" --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --host="$dir" --port="$port" <<SQL
CREATE ROLE bureau LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD '$password';
CREATE DATABASE bureau OWNER bureau;
SQL
    trap - EXIT
    say "$("$bin/postgres" --version) runs in $dir on port $port"
    echo "postgres://bureau:$password@127.0.0.1:$port/bureau"
}

# remove DIR: stops the server that keeps its files there, if it runs, and deletes them.
remove() {
    cd /
    as_postgres "$(programs)/pg_ctl" stop --pgdata="$1/data" --mode=immediate --silent >&2 || true
    rm -rf "$1"
}

stop() {
    local port dir
    port=$(grep -oP '(?<=:)[0-9]+(?=/bureau$)' <<<"$1") || { usage >&2; exit 2; }
    for dir in "${TMPDIR:-/tmp}"/bureau-postgres.*; do
        # The fourth line of postmaster.pid is the port.
        if [[ $(sed -n 4p "$dir/data/postmaster.pid" 2>/dev/null) == "$port" ]]; then
            remove "$dir"
            say "stopped the server on port $port"
            return
        fi
    done
    say "no server of mine listens on port $port"
    return 1
}

case $#:${1:-} in
1:start) start ;;
2:stop) stop "$2" ;;
1:-h | 1:--help) usage ;;
*) usage >&2; exit 2 ;;
esac
