#!/usr/bin/env bash
# case.sh FILE CASE [after_shutdown|after_boot]: one case, inside its sandbox; or what it expects of a host that it has told to go down, or
# to be booted again.
set -eEuo pipefail
trap 'echo "FAILED: line $LINENO of ${BASH_SOURCE[0]##*/}: $BASH_COMMAND" >&2' ERR
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=tests/distro/host.sh
source "$here/host.sh"
# shellcheck source=/dev/null
source "$here/$1.sh"
if [[ -n ${3:-} ]]; then
    "after_$2"
else
    # What makes apt slow and is nothing of ours: reading the lists of a whole distribution after each change, and indexing all manuals.
    # FULL=1 keeps it.
    if [[ ! -e /run/lab/full ]]; then
        find /var/lib/apt/lists -maxdepth 1 -type f ! -name '*teleport*' ! -name lock -delete
        rm -f /var/lib/man-db/auto-update
    fi
    prepare_host
    "$2"
fi
