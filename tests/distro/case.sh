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
    prepare_host
    "$2"
fi
