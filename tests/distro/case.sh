#!/usr/bin/env bash
# case.sh FILE CASE: one case, inside its sandbox.
set -eEuo pipefail
trap 'echo "FAILED: line $LINENO of ${BASH_SOURCE[0]##*/}: $BASH_COMMAND" >&2' ERR
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=tests/distro/host.sh
source "$here/host.sh"
# shellcheck source=/dev/null
source "$here/$1.sh"
prepare_host
"$2"
