#!/usr/bin/env bash
# Runs once inside the layer of hosts that get our package, with the network: what looks at the package, builds it for
# another architecture and runs that, and a cron.
set -euo pipefail
# shellcheck source=tests/distro/install.sh
source "${BASH_SOURCE[0]%/*}/install.sh"
install_packages cpio cron fish gcc-aarch64-linux-gnu libc6-dev-arm64-cross lintian mandoc qemu-user-static \
    rpm rpmlint zsh
# Only what a case starts is started.
find /etc/systemd/system -mindepth 2 -name 'cron.service' -delete
