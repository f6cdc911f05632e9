#!/usr/bin/env bash
# Runs once inside the rpm-tools layer, with the network: dnf, zypper and rpm with its build tools. Never dnf's
# plugins: they break zypper.
set -euo pipefail

packages=(createrepo-c dnf rpm zypper)

# Before the first rpm command: Debian's rpm and dnf would use a database in root's home, and zypper another.
mkdir -p /etc/rpm
echo '%_dbpath /var/lib/rpm' >/etc/rpm/macros
# Debian's rpm would rather not, and says so in every output.
printf 'rpm alias %s %s --force-debian\n' -i -i -U -U -e -e >/etc/popt
# shellcheck source=tests/distro/install.sh
source "${BASH_SOURCE[0]%/*}/install.sh"
install_packages "${packages[@]}"

mkdir -p /etc/dnf/vars /etc/yum.repos.d /etc/zypp/repos.d
echo 9 >/etc/dnf/vars/releasever
rm -f /etc/yum.repos.d/* /etc/zypp/repos.d/*
rpm --initdb
