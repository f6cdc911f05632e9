#!/usr/bin/env bash
# Runs once inside the repository layer, without network: makes the certificates, the stand-in packages, the
# signed apt repositories in Teleport's own layout and the web server that has them, then installs agent
# 16.1.7 from there. What it leaves below /srv/lab:
#   apt/debian          good: channel stable/cloud with six versions, and one channel lab/<flavour> for each
#                       way in which 16.2.0 (or the unit) can be different
#   apt/<trouble>       the same channels signed by a stranger, by an expired key, not at all, or out of date
#   answers, nginx.conf the version server's answers; one nginx for them and for the repositories
set -euo pipefail
umask 022

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=tests/distro/publish.sh
source "$here/publish.sh"
# shellcheck source=tests/distro/host.sh
source "$here/host.sh"
# shellcheck source=tests/distro/vendor.sh
source "$here/vendor.sh"
KEY_KIND=ed25519
mkdir -p /srv/lab/{gnupg,apt/debian} /etc/apt/keyrings
cd /srv/lab
make_web /srv/lab/apt apt.releases.teleport.dev

# --- packages -----------------------------------------------------------------------------------------

# package NAME VERSION FLAVOUR: one .deb in the channel of that flavour; the flavour `stable` is plain.
package() {
    local name=$1 version=$2 flavour=$3 tree=/tmp/package channel=lab/$3 conflicts
    case $name in
        teleport) conflicts='teleport-ent, teleport-ent-fips' ;;
        teleport-ent) conflicts='teleport, teleport-ent-fips' ;;
        teleport-ent-fips) conflicts='teleport, teleport-ent' ;;
    esac
    [[ $flavour != stable ]] || channel=stable/cloud
    rm -rf "$tree"
    mkdir -p "$tree/DEBIAN" "$tree/usr/local/bin" "$tree/lib/systemd/system" "$tree/etc" "apt/debian/pool/$channel"
    install -m 755 "$(program "$version" "$flavour")" "$tree/usr/local/bin/teleport"
    [[ $flavour == no_unit && $version != 16.1.7 ]] || unit "$flavour" >"$tree/lib/systemd/system/teleport.service"
    printf '# settings of the stand-in, as shipped with %s\n' "$version" >"$tree/etc/teleport-standin.conf"
    echo /etc/teleport-standin.conf >"$tree/DEBIAN/conffiles"
    printf '#!/bin/sh\n[ ! -d /run/systemd/system ] || systemctl daemon-reload\n' >"$tree/DEBIAN/postinst"
    printf 'Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: Test lab <lab@example.test>\nDescription: stand-in agent\n' \
        "$name" "$version" "$arch" >"$tree/DEBIAN/control"
    # shellcheck disable=SC2016 # for the package script
    if [[ $version != 16.1.7 ]]; then
        case $flavour in
            preinst_fails) printf '#!/bin/sh\necho "preinst: no, thank you" >&2\nexit 3\n' >"$tree/DEBIAN/preinst" ;;
            postinst_fails) printf '#!/bin/sh\necho "postinst: no, thank you" >&2\nexit 3\n' >"$tree/DEBIAN/postinst" ;;
            fills_disk) printf '#!/bin/sh\ncat /dev/zero >/usr/local/bin/full 2>/dev/null\nexit 0\n' >"$tree/DEBIAN/preinst" ;;
            stops_agent) printf '#!/bin/sh\nsystemctl stop teleport\nexit 3\n' >"$tree/DEBIAN/preinst" ;;
            removes_another) conflicts+=', lab-neighbour' ;;
            unmet_dependency) echo 'Depends: lab-nowhere (>= 2)' >>"$tree/DEBIAN/control" ;;
            new_dependency) echo 'Depends: lab-library' >>"$tree/DEBIAN/control" ;;
            truncated) truncate -s 100000 "$tree/usr/local/bin/teleport" ;;
            slow) printf ': >/run/lab/at-work\nfor n in $(seq "$(cat /run/lab/slow)"); do sleep 0.1; done\n' >>"$tree/DEBIAN/postinst" ;;
            restarts_itself) printf '[ ! -d /run/systemd/system ] || systemctl try-restart teleport\n' >>"$tree/DEBIAN/postinst" ;;
        esac
    fi
    printf 'Conflicts: %s\n' "$conflicts" >>"$tree/DEBIAN/control"
    chmod 755 "$tree"/DEBIAN/p*inst
    dpkg-deb --root-owner-group -Zgzip -z1 --build "$tree" "apt/debian/pool/$channel/${name}_${version}_$arch.deb" >/dev/null
}

# bystander NAME FLAVOUR: an empty package of somebody else.
bystander() {
    rm -rf /tmp/package && mkdir -p /tmp/package/DEBIAN
    printf 'Package: %s\nVersion: 1.0\nArchitecture: all\nMaintainer: Test lab <lab@example.test>\nDescription: bystander\n' \
        "$1" >/tmp/package/DEBIAN/control
    dpkg-deb --root-owner-group -Zgzip --build /tmp/package "apt/debian/pool/lab/$2/$1_1.0_all.deb" >/dev/null
}

for version in 16.1.7 16.2.0 16.2.1 16.3.0-rc.1 16.3.0 17.0.0; do package teleport-ent "$version" stable; done
for version in 16.1.7 16.2.0; do
    package teleport "$version" stable
    package teleport-ent-fips "$version" stable
    for flavour in no-reload no-pidfile preinst_fails postinst_fails removes_another unmet_dependency new_dependency \
        truncated slow restarts_itself crash crash_later hang ignore_hup no_unit fills_disk stops_agent; do
        package teleport-ent "$version" "$flavour"
    done
done
bystander lab-neighbour removes_another
bystander lab-library new_dependency

# --- repositories -------------------------------------------------------------------------------------

chmod 700 gnupg
signer teleport never
signer stranger never
signer expired --faked-system-time 20240101T000000! 30d
gpg --armor --export teleport@example.test >"$KEYRING"
gpg --armor --export expired@example.test >expired.asc

channels() { (cd "$POOL" && printf '%s\n' */*); }
# Channels of one major version, as editions that are not the cloud's have them.
mkdir -p "$POOL/stable/v16"
cp "$POOL"/stable/cloud/*_16.*.deb "$POOL/stable/v16/"
cp "$KEYRING" apt/gpg
for channel in $(channels); do index "$channel"; done
release debian
for trouble in stranger expired-key unsigned expired-metadata; do
    mkdir "apt/$trouble"
    cp -r apt/debian/dists "apt/$trouble/"
    ln -s ../debian/pool "apt/$trouble/pool"
done
sign debian teleport
sign stranger stranger
sign expired-key expired --faked-system-time 20240115T000000!
faketime '2024-01-01 00:00:00' bash -c "source $here/publish.sh; release expired-metadata -o APT::FTPArchive::Release::ValidTime=86400"
sign expired-metadata teleport

# --- a host that has the agent ------------------------------------------------------------------------

serve
repository debian stable/cloud
refresh
apt_here install teleport-ent=16.1.7
rm -rf /tmp/package
