# shellcheck shell=bash disable=SC2034,SC2154 # host.sh sets holder, and capture reads TOOLS
# Sourced by tests/capture on a zypper host: what is recorded of zypper.

TOOLS="Debian $(cat /etc/debian_version) as openSUSE, $(zypper --version), $(rpm --version)"
refresh_here=(zypper -n refresh --repo teleport)
search=(zypper -n --no-refresh --xmlout search -s --match-exact --type package --repo teleport)
install=(zypper -n --no-refresh --xmlout install --repo teleport --oldpackage --no-recommends)
simulate=("${install[@]}" --dry-run)
mkdir /root/no-repositories /root/kept
from_file=(zypper --reposd-dir /root/no-repositories -n --no-refresh --xmlout install --oldpackage)

# from CHANNEL: its index is at hand.
from() { channel "$1"; refresh >/dev/null; }

# --- what there is, and what would be done ------------------------------------------------------------

record zypper-refresh "${refresh_here[@]}"
record zypper-search "${search[@]}" teleport-ent
record zypper-search-none "${search[@]}" teleport-nowhere
record zypper-locks-none zypper -n --xmlout locks
zypper -n -q addlock teleport-ent 'tele*' 'teleport-ent < 17'
zypper -n -q addlock --repo teleport teleport-ent
zypper -n -q addlock --type patch teleport-ent
record zypper-locks zypper -n --xmlout locks
record zypper-locks-file cat /etc/zypp/locks
rm /etc/zypp/locks
record zypper-addlock zypper -n addlock teleport-ent
record zypper-addlock-again zypper -n addlock teleport-ent
record zypper-search-held "${search[@]}" teleport-ent
record zypper-dry-run-held "${simulate[@]}" teleport-ent=16.2.0
record zypper-dry-run-held-force "${simulate[@]}" --force teleport-ent=16.2.0
record zypper-removelock zypper -n removelock teleport-ent
record zypper-removelock-none zypper -n removelock teleport-ent
record zypper-dry-run-upgrade "${simulate[@]}" teleport-ent=16.2.0
record zypper-dry-run-same "${simulate[@]}" teleport-ent=16.1.7
record zypper-dry-run-reinstall "${simulate[@]}" --force teleport-ent=16.1.7
record zypper-dry-run-no-such-version "${simulate[@]}" teleport-ent=16.9.9
install_here teleport-ent 16.3.0
record zypper-dry-run-downgrade "${simulate[@]}" teleport-ent=16.2.0
install_here teleport-ent 16.1.7
for flavour in removes_another conflicts_another; do
    from "lab/$flavour"
    install_here lab-neighbour 1.0
    record "zypper-dry-run-$flavour" "${simulate[@]}" teleport-ent=16.2.0
    rpm -e lab-neighbour
done
for flavour in unmet_dependency new_dependency; do
    from "lab/$flavour"
    record "zypper-dry-run-$flavour" "${simulate[@]}" teleport-ent=16.2.0
done

# --- installing ---------------------------------------------------------------------------------------

from stable/cloud
record zypper-download zypper -n --no-refresh --xmlout download --repo teleport teleport-ent=16.2.0
record zypper-download-same zypper -n --no-refresh --xmlout download --repo teleport teleport-ent=16.1.7
record zypper-download-none zypper -n --no-refresh --xmlout download --repo teleport teleport-ent=16.9.9
mv /var/cache/zypp/packages/teleport/*.rpm /root/kept/
echo changed >>/etc/teleport-standin.conf
record zypper-install-file-kept-config "${from_file[@]}" /root/kept/teleport-ent-16.2.0-1.x86_64.rpm
record zypper-install-file-down "${from_file[@]}" /root/kept/teleport-ent-16.1.7-1.x86_64.rpm
record zypper-reinstall-file "${from_file[@]}" --force /root/kept/teleport-ent-16.1.7-1.x86_64.rpm
record zypper-install-file-unsigned "${from_file[@]}" "$POOL"/lab/unsigned_package/teleport-ent-16.2.0-1.x86_64.rpm
record zypper-install-file-strange "${from_file[@]}" "$POOL"/lab/strange_package/teleport-ent-16.2.0-1.x86_64.rpm
for flavour in pre_fails post_fails; do
    from "lab/$flavour"
    record "zypper-install-$flavour" "${install[@]}" teleport-ent=16.2.0
done
from stable/cloud
install_here teleport-ent 16.1.7
cp -a /usr/local/bin/teleport /tmp/
mount -t tmpfs -o size=1000k,mode=755 small /usr/local/bin
cp -a /tmp/teleport /usr/local/bin/
record zypper-install-no-space "${install[@]}" teleport-ent=16.2.0
umount /usr/local/bin

# --- others at work -----------------------------------------------------------------------------------

hold_transaction
record zypper-rpm-locked "${install[@]}" teleport-ent=16.2.0
release_transaction
wait "$holder"
rpm -e lab-slow
hold_metadata
record zypper-locked "${refresh_here[@]}"
record zypper-locked-xml "${search[@]}" teleport-ent
release_metadata
kill_an_upgrade_in_its_script
record zypper-install-duplicated "${install[@]}" teleport-ent=16.2.0
record zypper-dry-run-duplicated-force "${simulate[@]}" --force teleport-ent=16.2.0
rpm -e --justdb --noscripts teleport-ent-16.2.0-1

# --- repositories that are not as they should be ------------------------------------------------------

record zypper-unknown-repo zypper -n refresh --repo nowhere
for trouble in stranger unsigned; do
    repository_becomes "$trouble"
    record "zypper-refresh-$trouble" "${refresh_here[@]}"
done
trusted_key expired
repository_becomes expired-key
record zypper-refresh-expired-key "${refresh_here[@]}"
channel stable/nowhere
record zypper-refresh-404 "${refresh_here[@]}"
out_of_reach
record zypper-refresh-unreachable "${refresh_here[@]}"
rm -rf /var/cache/zypp
record zypper-search-no-cache "${search[@]}" teleport-ent
