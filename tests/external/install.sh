#!/usr/bin/env bash
# install.sh
#
# Installs the foreign clients that the checks in this directory use, in the versions named here and nowhere else, under
# ${TMPDIR:-/tmp}/bureau-external: a Python environment in python/, npm packages in node/. What is already there stays.
# Where a program of the system is missing, root installs its Debian package.

set -euo pipefail

python_packages=(mcp==2.3.0)
# The inspector and the conformance suite need Node 22, and Debian's is older; the package `node` carries one.
node_packages=(
    node@22
    @modelcontextprotocol/conformance@0.2.0-alpha.12
    @modelcontextprotocol/client@2.4.0
    @modelcontextprotocol/sdk@1.32.2
    @modelcontextprotocol/inspector@2.12.0
    # Drives Debian's Chromium; it brings no browser of its own.
    playwright-core@1.65.1
)

case ${1:-} in -h | --help) sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit ;; esac
say() { echo "install.sh: $*"; }

missing=()
for program in chromium curl jq npm python3; do
    command -v $program >/dev/null || missing+=($program)
done
python3 -m ensurepip --version >/dev/null 2>&1 || missing+=(python3-venv)
if ((${#missing[@]})); then
    say "apt-get install ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}"
fi

cache=${TMPDIR:-/tmp}/bureau-external
mkdir -p "$cache"
cd "$cache"

# fresh DIR PACKAGE…: is DIR absent, or complete with other packages? Then it is emptied.
fresh() {
    local dir=$1
    shift
    [[ $(cat "$dir/installed" 2>/dev/null) != "$*" ]] || return 1
    rm -rf "$dir"
}

if fresh python "${python_packages[@]}"; then
    python3 -m venv python
    python/bin/pip install --quiet "${python_packages[@]}"
    echo "${python_packages[*]}" >python/installed
fi
if fresh node "${node_packages[@]}"; then
    mkdir node
    echo '{"private": true}' >node/package.json
    npm install --prefix node --no-audit --no-fund --loglevel=error "${node_packages[@]}"
    echo "${node_packages[*]}" >node/installed
fi
say "$cache has ${python_packages[*]} ${node_packages[*]}"
