#!/usr/bin/env bash
# Runs once inside the rpm-dnf layer, without network: a host like Rocky's, with agent 16.1.7 from the signed
# repository, its key known to rpm, and no package manager but dnf.
set -euo pipefail
umask 022

here=$(dirname "${BASH_SOURCE[0]}")
echo dnf >/srv/lab/manager
# shellcheck source=tests/distro/host.sh
source "$here/host.sh"

ln -s dnf /usr/bin/yum
printf '%s\n' '[main]' gpgcheck=1 installonly_limit=3 clean_requirements_on_remove=True best=True skip_if_unavailable=False >/etc/dnf/dnf.conf
become rocky 9.4 'rhel centos fedora'
serve
repository stable/cloud
install_here teleport-ent 16.1.7
dnf -q clean all
refresh
move_away apt apt-cache apt-get apt-mark dpkg dpkg-query zypper
