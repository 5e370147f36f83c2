#!/usr/bin/env bash
# Runs a server for one test run:
#
#   guard.sh FOLDER PROGRAM [ARGUMENT ...]
#
# It ends with its standard input: then the server ends and FOLDER goes. A server
# whose script was killed is ended by the kernel (setpriv --pdeathsig).
set -euo pipefail

D=$1
shift
server=
finish() {
    trap '' TERM
    # Nothing of it must last; it may have ended by itself.
    [ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true
    wait
    rm -rf "$D"
}
trap 'exit 1' TERM
trap finish EXIT

umask 077
mkdir -p "$D"
setpriv --pdeathsig KILL "$@" </dev/null &
server=$!
# What the server prints ends with the server.
exec 1>&-
cat >/dev/null
