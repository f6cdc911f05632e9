#!/usr/bin/env bash
# Runs once inside the base layer, with the network: what the lab needs beyond the host's own packages.
# Services are never started, and an agent that the host really runs is taken out of the copy.
set -euo pipefail

packages=(apt-utils busybox-static ca-certificates curl dbus faketime gnupg gzip iproute2 nginx-light openssl opendoas procps
    strace sudo systemd systemd-container util-linux wget)

# shellcheck source=tests/distro/install.sh
source "${BASH_SOURCE[0]%/*}/install.sh"
install_packages "${packages[@]}"

mapfile -t agents < <(dpkg-query -W -f '${Package}\n' 'teleport*' 2>/dev/null || true)
if ((${#agents[@]})); then
    apt-mark unhold "${agents[@]}" >/dev/null || true
    dpkg --purge --force-all "${agents[@]}"
fi
rm -rf /etc/teleport* /var/lib/teleport* /opt/teleport /etc/apt/keyrings/teleport* /usr/share/keyrings/teleport* \
    /etc/apt/sources.list.d/teleport* /usr/local/bin/{teleport,tctl,tsh,tbot} /usr/sbin/teleport-upgrade

# V33: settings that container images bring along make prefetch, durability and timing unreal. One case
# puts them back from here.
mkdir -p /srv/lab/container-settings/{apt,dpkg}
find /etc/apt/apt.conf.d -name 'docker*' -exec mv -t /srv/lab/container-settings/apt {} +
find /etc/dpkg/dpkg.cfg.d -name 'docker*' -exec mv -t /srv/lab/container-settings/dpkg {} +
cat >/etc/apt/apt.conf.d/zz-lab <<'CONF'
Acquire::Check-Valid-Until "true";
Acquire::Check-Date "true";
Acquire::http::Proxy "DIRECT";
Acquire::https::Proxy "DIRECT";
CONF

# A booted sandbox starts what its case starts, and nothing that this host happens to run.
find /etc/systemd/system -mindepth 1 -maxdepth 1 \( -name '*.wants' -o -name '*.requires' \) -exec rm -rf {} +
rm -f /etc/systemd/system/default.target
: >/etc/fstab
# Without a machine id it would be a first boot, which enables every unit.
[[ -s /etc/machine-id ]] || systemd-machine-id-setup >/dev/null 2>&1
for unit in systemd-udevd.service systemd-udevd-kernel.socket systemd-udevd-control.socket \
    systemd-udev-trigger.service systemd-networkd.service systemd-resolved.service systemd-timesyncd.service \
    systemd-logind.service systemd-binfmt.service systemd-random-seed.service systemd-update-utmp.service \
    systemd-hwdb-update.service systemd-journal-flush.service systemd-journal-catalog-update.service \
    systemd-update-done.service systemd-firstboot.service systemd-sysusers.service systemd-machine-id-commit.service \
    ldconfig.service getty.target console-getty.service systemd-pcrphase.service systemd-pcrphase-sysinit.service; do
    ln -sf /dev/null "/etc/systemd/system/$unit"
done
cat >/etc/systemd/system/lab.target <<'UNIT'
[Unit]
Description=A host of the test lab
Requires=basic.target dbus.socket
After=basic.target dbus.socket
AllowIsolate=yes
UNIT
