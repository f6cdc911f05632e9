# shellcheck shell=bash disable=SC2034,SC2154 # host.sh sets holder, and capture reads TOOLS
# Sourced by tests/capture on an apt host: what is recorded of apt and dpkg.

TOOLS="$(. /etc/os-release && echo "$PRETTY_NAME"), apt $(dpkg-query -W -f '${Version}' apt), dpkg $(dpkg-query -W -f '${Version}' dpkg)"
scoped=(-o "Dir::Etc::sourcelist=$SOURCE" -o Dir::Etc::sourceparts=/dev/null -o APT::Get::List-Cleanup=0)
install=(apt-get "${scoped[@]}" -q -y --reinstall --allow-downgrades --allow-change-held-packages --no-install-recommends)
# shellcheck disable=SC2016
fields='${Package} ${db:Status-Want} ${db:Status-Eflag} ${db:Status-Status} ${Version}\n'
query=(dpkg-query -W -f "$fields" teleport-ent-fips teleport-ent teleport)
update=(apt-get "${scoped[@]}" -q -o APT::Update::Error-Mode=any update)

record dpkg-query-installed "${query[@]}"
apt-mark hold teleport-ent
record dpkg-query-held "${query[@]}"
apt-mark unhold teleport-ent
record apt-cache-policy apt-cache "${scoped[@]}" policy teleport-ent
printf 'Package: teleport-ent\nPin: version 16.2.1\nPin-Priority: -1\n' >/etc/apt/preferences.d/teleport
record apt-cache-policy-pinned-version apt-cache "${scoped[@]}" policy teleport-ent
printf 'Package: teleport-ent\nPin: origin apt.releases.teleport.dev\nPin-Priority: -10\n' >/etc/apt/preferences.d/teleport
record apt-cache-policy-pinned-origin apt-cache "${scoped[@]}" policy teleport-ent
rm /etc/apt/preferences.d/teleport
record apt-get-s-upgrade "${install[@]}" -s install teleport-ent=16.2.0
record apt-get-s-reinstall "${install[@]}" -s install teleport-ent=16.1.7
record apt-get-s-no-such-version "${install[@]}" -s install teleport-ent=16.9.9
record dpkg-v-whole dpkg -V teleport-ent
echo changed >>/etc/teleport-standin.conf
echo changed >>/usr/local/bin/teleport
rm /usr/local/bin/tctl /lib/systemd/system/teleport.service || true
record dpkg-v-damaged dpkg -V teleport-ent
record apt-get-kept-conffile "${install[@]}" -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold install teleport-ent=16.2.0
hold_dpkg_lock
record apt-get-dpkg-locked "${install[@]}" install teleport-ent=16.2.1
release_dpkg_lock
hold_lists_lock
record apt-get-lists-locked "${update[@]}"
kill "$holder" || true
repository debian lab/removes_another
refresh
apt_here install lab-neighbour
for flavour in removes_another unmet_dependency new_dependency; do
    repository debian "lab/$flavour"
    refresh
    record "apt-get-s-$flavour" "${install[@]}" -s install teleport-ent=16.2.0
done
record apt-cache-depends apt-cache "${scoped[@]}" depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
    --no-replaces --no-enhances teleport-ent=16.2.0
repository debian lab/postinst_fails
refresh
record apt-get-postinst-fails "${install[@]}" install teleport-ent=16.2.0
record dpkg-query-half-configured "${query[@]}"
repository debian stable/cloud
cp /srv/lab/expired.asc "$KEYRING"
record apt-get-update-wrong-key "${update[@]}"
stop_serving
record apt-get-update-unreachable "${update[@]}"
