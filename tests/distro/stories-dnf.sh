# shellcheck shell=bash disable=SC2034,SC2154 # host.sh sets holder, and capture reads TOOLS
# Sourced by tests/capture on a dnf host: what is recorded of dnf and of rpm itself.

TOOLS="Debian $(cat /etc/debian_version) as Rocky, dnf $(dnf --version | head -n 1), $(rpm --version)"
scoped=(--disablerepo='*' --enablerepo=teleport --disableexcludes=teleport --setopt=teleport.gpgkey= --setopt=teleport.skip_if_unavailable=0
    --setopt=exit_on_lock=1)
makecache=(dnf -y "${scoped[@]}" --refresh makecache)
simulate=(dnf -C --assumeno "${scoped[@]}")
install=(dnf -y "${scoped[@]}" install)
from_file=(dnf -y --disablerepo='*' --setopt=localpkg_gpgcheck=1 --setopt=exit_on_lock=1)
repoquery=(dnf -q -C "${scoped[@]}" repoquery --available --qf 'available %{name} %{epoch}:%{version}-%{release} %{downloadsize} %{installsize}')
query=(rpm -q --qf '%{NAME} %{EPOCHNUM}:%{VERSION}-%{RELEASE}\n' teleport-ent-fips teleport-ent teleport)

# from CHANNEL: its index is at hand.
from() { channel "$1"; refresh >/dev/null; }

# --- what is installed --------------------------------------------------------------------------------

record rpm-q-installed "${query[@]}"
record rpm-q-absent rpm -q teleport
record rpm-qf rpm -qf --qf '%{NAME}\n' /usr/local/bin/teleport
record rpm-qf-nobodys rpm -qf --qf '%{NAME}\n' /bin/ls
record rpm-qf-no-file rpm -qf --qf '%{NAME}\n' /nonexistent
record rpm-v-whole rpm -V --noconfig --nodeps teleport-ent
cp -a /usr/local/bin/teleport /tmp/
truncate -s 1000 /usr/local/bin/teleport
echo changed >>/etc/teleport-standin.conf
rm /usr/lib/systemd/system/teleport.service
record rpm-v-damaged rpm -V teleport-ent
record rpm-v-damaged-noconfig rpm -V --noconfig --nodeps teleport-ent
rm /usr/local/bin/teleport
record rpm-v-missing rpm -V --noconfig --nodeps teleport-ent
reinstall 16.1.7

# --- what there is, and what would be done ------------------------------------------------------------

record dnf-makecache "${makecache[@]}"
record dnf-repoquery "${repoquery[@]}" teleport-ent
record dnf-repoquery-none "${repoquery[@]}" teleport-nowhere
stock_hold
record dnf-repoquery-held "${repoquery[@]}" teleport-ent
record dnf-install-held dnf -C --assumeno install teleport-ent-16.2.0
sed -i '/^exclude/d' "$SOURCE"
administrators_hold
record dnf-repoquery-excluded "${repoquery[@]}" teleport-ent
record dnf-repoquery-excluded-passed "${repoquery[@]}" --disableexcludes=all teleport-ent
record dnf-assumeno-excluded "${simulate[@]}" install teleport-ent-16.2.0
sed -i '/^excludepkgs/d' /etc/dnf/dnf.conf
record dnf-assumeno-upgrade "${simulate[@]}" install teleport-ent-16.2.0
record dnf-assumeno-same "${simulate[@]}" install teleport-ent-16.1.7
record dnf-assumeno-reinstall "${simulate[@]}" reinstall teleport-ent-16.1.7
record dnf-assumeno-no-such-version "${simulate[@]}" install teleport-ent-16.9.9
install_here teleport-ent 16.3.0
record dnf-assumeno-downgrade "${simulate[@]}" install teleport-ent-16.2.0
install_here teleport-ent 16.1.7
for flavour in removes_another conflicts_another; do
    from "lab/$flavour"
    install_here lab-neighbour 1.0
    record "dnf-assumeno-$flavour" "${simulate[@]}" install teleport-ent-16.2.0
    rpm -e lab-neighbour
done
for flavour in unmet_dependency new_dependency; do
    from "lab/$flavour"
    record "dnf-assumeno-$flavour" "${simulate[@]}" install teleport-ent-16.2.0
done

# --- installing ---------------------------------------------------------------------------------------

from stable/cloud
record dnf-downloadonly dnf -y "${scoped[@]}" --downloadonly --downloaddir=/root/next install teleport-ent-16.2.0
record dnf-downloadonly-reinstall dnf -y "${scoped[@]}" --downloadonly --downloaddir=/root/now reinstall teleport-ent-16.1.7
# The next transaction that succeeds deletes what was downloaded, wherever to.
mkdir /root/kept
cp /root/now/*.rpm /root/next/*.rpm /root/kept/
echo changed >>/etc/teleport-standin.conf
record dnf-install-file-kept-config "${from_file[@]}" install /root/kept/teleport-ent-16.2.0-1.x86_64.rpm
record dnf-install-file-down "${from_file[@]}" install /root/kept/teleport-ent-16.1.7-1.x86_64.rpm
record dnf-reinstall-file "${from_file[@]}" reinstall /root/kept/teleport-ent-16.1.7-1.x86_64.rpm
record dnf-install-file-unsigned "${from_file[@]}" install "$POOL"/lab/unsigned_package/teleport-ent-16.2.0-1.x86_64.rpm
record dnf-install-file-strange "${from_file[@]}" install "$POOL"/lab/strange_package/teleport-ent-16.2.0-1.x86_64.rpm
for flavour in pre_fails post_fails; do
    from "lab/$flavour"
    install_here teleport-ent 16.1.7 || true
    record "dnf-install-$flavour" "${install[@]}" teleport-ent-16.2.0
done
install_here teleport-ent 16.1.7
cp -a /usr/local/bin/teleport /tmp/
mount -t tmpfs -o size=1000k,mode=755 small /usr/local/bin
cp -a /tmp/teleport /usr/local/bin/
record dnf-install-no-space "${install[@]}" teleport-ent-16.2.0
umount /usr/local/bin

# --- others at work -----------------------------------------------------------------------------------

hold_transaction
record dnf-rpm-locked "${install[@]}" teleport-ent-16.2.0
release_transaction
wait "$holder"
rpm -e lab-slow
hold_manager
record dnf-dnf-locked "${install[@]}" teleport-ent-16.2.0
release_transaction
wait "$holder"
hold_metadata
record dnf-metadata-locked "${makecache[@]}"
release_metadata
kill_an_upgrade_in_its_script
record rpm-q-duplicated "${query[@]}"
record rpm-qf-duplicated rpm -qf --qf '%{NAME}\n' /usr/local/bin/teleport
record rpm-v-duplicated-old rpm -V --noconfig --nodeps teleport-ent-16.1.7-1
record rpm-v-duplicated-new rpm -V --noconfig --nodeps teleport-ent-16.2.0-1
record dnf-install-duplicated "${install[@]}" teleport-ent-16.2.0
record rpm-e-justdb rpm -e --justdb --noscripts teleport-ent-16.1.7-1

# --- repositories that are not as they should be ------------------------------------------------------

record dnf-unknown-repo dnf -y "${scoped[@]}" --enablerepo=nowhere --refresh makecache
for trouble in stranger unsigned; do
    repository_becomes "$trouble"
    record "dnf-makecache-$trouble" "${makecache[@]}"
done
rm -rf /var/cache/dnf
record dnf-no-cache "${repoquery[@]}" teleport-ent
channel stable/nowhere
record dnf-makecache-404 "${makecache[@]}"
out_of_reach
record dnf-makecache-unreachable "${makecache[@]}"
