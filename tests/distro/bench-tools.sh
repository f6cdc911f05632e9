#!/usr/bin/env bash
# Runs once inside the layer of hosts that load is put on, with the network.
set -euo pipefail
# shellcheck source=tests/distro/install.sh
source "${BASH_SOURCE[0]%/*}/install.sh"
install_packages wrk
