#!/usr/bin/env bash
# Runs once inside the rpm-zypper layer, without network: a host like openSUSE's, with agent 16.1.7 from the
# signed repository, its key known to rpm, and no package manager but zypper.
set -euo pipefail
umask 022

here=$(dirname "${BASH_SOURCE[0]}")
echo zypper >/srv/lab/manager
# shellcheck source=tests/distro/host.sh
source "$here/host.sh"

become opensuse-leap 15.5 'suse opensuse'
serve
repository stable/cloud
refresh
install_here teleport-ent 16.1.7
move_away apt apt-cache apt-get apt-mark dpkg dpkg-query dnf dnf-3
rm -rf /etc/yum.repos.d /etc/dnf
