#!/usr/bin/env bash
# Runs once inside the rpm-repository layer, without network: the signed rpm repositories and the web server that
# has them under the vendor's names. What it leaves below /srv/lab:
#   rpm/good          channel stable/cloud with six versions, and one channel lab/<flavour> for each way in which
#                     16.2.0 (or the unit) can be different; rpm/good is what the vendor's addresses lead to
#   rpm/<trouble>     the same indexes signed by a stranger, by an expired key or not at all
#   answers, nginx.conf, *.asc  the version server's answers; the web server; public keys
set -euo pipefail
umask 022

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=tests/distro/vendor.sh
source "$here/vendor.sh"
# shellcheck source=tests/distro/rpm-publish.sh
source "$here/rpm-publish.sh"
KEY_KIND=rsa2048 # which every rpm knows
mkdir -p /srv/lab/gnupg
chmod 700 /srv/lab/gnupg
cd /srv/lab
make_web /srv/lab/rpm yum.releases.teleport.dev zypper.releases.teleport.dev

# The vendor's addresses: https://yum.releases.teleport.dev/rhel/9/Teleport/x86_64/stable/cloud/
mkdir -p rpm/good rpm/rhel/9/Teleport rpm/opensuse-leap/15.5/Teleport
ln -s ../../../good "rpm/rhel/9/Teleport/$ARCH"
ln -s ../../../good "rpm/opensuse-leap/15.5/Teleport/$ARCH"
mkdir -p rpm/sles/15/Teleport
ln -s ../../../good "rpm/sles/15/Teleport/$ARCH"

# --- packages -----------------------------------------------------------------------------------------

# package NAME VERSION FLAVOUR: one rpm in the channel of that flavour; the flavour `stable` is plain. A version
# is spelled as rpm likes it now, with a tilde before `rc`, but in the channel lab/underscore as it once was.
package() {
    local name=$1 version=$2 flavour=$3 tree=/tmp/package spec=/tmp/package.spec channel=lab/$3 post='' pre='' relations='' other file
    [[ $flavour != stable ]] || channel=stable/cloud
    for other in teleport teleport-ent teleport-ent-fips; do
        [[ $other == "$name" ]] || relations+="Conflicts: $other"$'\n'
    done
    rm -rf "$tree"
    mkdir -p "$tree/usr/local/bin" "$tree/usr/lib/systemd/system" "$tree/etc"
    install -m 755 "$(program "$version" "$flavour")" "$tree/usr/local/bin/teleport"
    unit "$flavour" >"$tree/usr/lib/systemd/system/teleport.service"
    file=/usr/lib/systemd/system/teleport.service
    [[ $flavour != no_unit || $version == 16.1.7 ]] || rm "$tree$file"
    [[ -e $tree$file ]] || file=
    printf '# settings of the stand-in, as shipped with %s\n' "$version" >"$tree/etc/teleport-standin.conf"
    post='[ ! -d /run/systemd/system ] || systemctl daemon-reload'
    if [[ $version != 16.1.7 ]]; then
        # shellcheck disable=SC2016 # for the package script
        case $flavour in
            fills_disk) pre='cat /dev/zero >/usr/local/bin/full 2>/dev/null; exit 0' ;;
            stops_agent) pre='systemctl stop teleport; exit 3' ;;
            pre_fails) pre='echo "pre: no, thank you" >&2; exit 3' ;;
            post_fails) post='echo "post: no, thank you" >&2; exit 3' ;;
            slow) post=': >/run/lab/at-work; for n in $(seq "$(cat /run/lab/slow)"); do sleep 0.1; done' ;;
            slow_post) post=': >/run/lab/slow; while [ -e /run/lab/slow ]; do sleep 0.1; done' ;;
            removes_another) relations+=$'Obsoletes: lab-neighbour\n' ;;
            conflicts_another) relations+=$'Conflicts: lab-neighbour\n' ;;
            unmet_dependency) relations+=$'Requires: lab-nowhere >= 2\n' ;;
            new_dependency) relations+=$'Requires: lab-library\n' ;;
            foreign_dependency) relations+=$'Requires: lab-elsewhere\n' ;;
            truncated) truncate -s 100000 "$tree/usr/local/bin/teleport" ;;
            restarts_itself) post+='; [ ! -d /run/systemd/system ] || systemctl try-restart teleport' ;;
        esac
    fi
    version=${version/-rc/$([[ $flavour == underscore ]] && echo _ || echo '~')rc}
    {
        printf 'Name: %s\nVersion: %s\nRelease: 1\nSummary: stand-in agent\nLicense: none\nAutoReqProv: no\n%s\n' "$name" "$version" "$relations"
        printf '%%description\nA stand-in agent.\n%%install\nmkdir -p %%{buildroot}\ncp -a %s/. %%{buildroot}/\n' "$tree"
        printf '%%files\n/usr/local/bin/teleport\n%s\n%%config(noreplace) /etc/teleport-standin.conf\n' "$file"
        [[ -z $pre ]] || printf '%%pre\n%s\n' "$pre"
        printf '%%post\n%s\n' "$post"
    } >"$spec"
    build "$spec" "$channel"
}

# bystander NAME CHANNEL [SCRIPT [LINE...]]: an empty package of somebody else.
bystander() {
    {
        printf 'Name: %s\nVersion: 1.0\nRelease: 1\nSummary: bystander\nLicense: none\nAutoReqProv: no\n' "$1"
        printf '%s\n' "${@:4}" '%description' 'A bystander.' "${3:-}" '%files'
    } >/tmp/package.spec
    build /tmp/package.spec "$2"
}

for version in 16.1.7 16.2.0 16.2.1 16.3.0-rc.1 16.3.0 17.0.0; do package teleport-ent "$version" stable; done
package teleport-ent 16.1.7 underscore
package teleport-ent 16.3.0-rc.1 underscore
for version in 16.1.7 16.2.0; do
    package teleport "$version" stable
    package teleport-ent-fips "$version" stable
    for flavour in no-reload no-pidfile pre_fails post_fails slow slow_post removes_another conflicts_another unmet_dependency \
        new_dependency foreign_dependency truncated restarts_itself crash crash_later hang ignore_hup no_unit fills_disk stops_agent \
        unsigned_package strange_package; do
        package teleport-ent "$version" "$flavour"
    done
done
bystander lab-neighbour lab/removes_another
bystander lab-neighbour lab/conflicts_another
bystander lab-library lab/new_dependency
bystander lab-elsewhere lab/foreign
# What a Debian under rpm lacks: somebody who provides a shell and says which release this is.
bystander lab-base lab/base '' 'Provides: /bin/sh' 'Provides: system-release = 9'
bystander lab-slow lab/slow $'%post\n: >/run/lab/slow\nwhile [ -e /run/lab/slow ]; do sleep 0.1; done'
rm -rf /tmp/package* /tmp/rpmbuild

# --- signatures and indexes ---------------------------------------------------------------------------

signer teleport never
signer stranger never
signer expired --faked-system-time 20240101T000000! 30d
for key in teleport stranger expired; do gpg --armor --export "$key@example.test" >$key.asc; done
cp teleport.asc rpm/gpg

mapfile -t packages < <(find rpm/good -name '*.rpm' ! -path '*/unsigned_package/*-16.2.0-*' ! -path '*/strange_package/*-16.2.0-*')
sign_packages teleport "${packages[@]}"
sign_packages stranger rpm/good/lab/strange_package/*-16.2.0-*.rpm
# A channel of one major version, as editions that are not the cloud's have it.
mkdir rpm/good/stable/v16
cp rpm/good/stable/cloud/*-16.*.rpm rpm/good/stable/v16/
for channel in stable/cloud stable/v16 $(cd rpm/good && echo lab/*); do index "$channel"; done
for trouble in stranger expired-key unsigned; do
    for channel in $(channels); do
        mkdir -p "rpm/$trouble/$channel"
        cp -r "rpm/good/$channel/repodata" "rpm/$trouble/$channel/"
        # zypper does not even look at a signature while the index itself is the one it knows.
        sed -i "s,<revision>.*<,<revision>$trouble<," "rpm/$trouble/$channel/repodata/repomd.xml"
    done
done
sign good teleport
sign stranger stranger
sign expired-key expired --faked-system-time 20240115T000000!
