# shellcheck shell=bash disable=SC2034,SC2120,SC2154 # shared with the cases
# Sourced by updater-host.sh on an apt host: our package, and the vendor's of the same name, as a person installs them.

PACKAGE=/run/lab/teleport-ent-updater.deb
DROP_IN=/lib/systemd/system/teleport.service.d/teleport-upgrade.conf

# apt ARGUMENT...: apt-get as a person uses it, for packages that are here; its words are in $said, its exit code in $code.
apt() {
    note "apt-get $*"
    code=0
    apt-get -q -y "$@" </dev/null >/run/lab/said 2>&1 || code=$?
    said=$(cat /run/lab/said) out=''
    cat /run/lab/said
}
install_updater() { # install_updater [FILE]
    apt install --allow-downgrades "${1:-$PACKAGE}"
    expect_exit 0
    expect_updater "${2:-$OURS}"
}
remove_updater() {
    apt remove teleport-ent-updater
    expect_exit 0
}
remove_agent() {
    systemctl stop teleport
    apt purge teleport-ent
    systemctl daemon-reload
}
updater_version() { installed teleport-ent-updater; }
# What a package manager leaves that was cut off.
expect_nothing_half_done() { [[ -z $(dpkg --audit) ]] || failed "dpkg was cut off: $(dpkg --audit)"; }
lint() {
    case $1 in
        *.deb) lintian --allow-root --fail-on error,warning "$1" ;;
        *.rpm) rpmlint --strict --config /run/lab/tree/rpm/rpmlint.toml "$1" ;;
    esac || failed "lint is found in $1"
}
# Somebody upgrades everything that the agent's repository has.
upgrade_all_of_it() {
    refresh
    apt -o Dir::Etc::sourcelist="$SOURCE" -o Dir::Etc::sourceparts=- full-upgrade
    expect_exit 0
    [[ $(apt-cache policy teleport-ent-updater) == *99.0.0* ]] || failed 'the vendor offers nothing'
}

# rebuilt VERSION: our package under that version, as a file.
rebuilt() {
    local tree=/tmp/rebuilt
    rm -rf $tree
    dpkg-deb -R "$PACKAGE" $tree
    sed -i "s/^Version: .*/Version: $1/" $tree/DEBIAN/control
    dpkg-deb --root-owner-group -Zgzip -z1 --build $tree "/tmp/updater-${1#*:}.deb" >/dev/null
    echo "/tmp/updater-${1#*:}.deb"
}

# stock VERSION: the vendor's package of the same name, as far as ours meets it, as a file: a script, units, a timer wanted by the agent.
stock() {
    local tree=/tmp/stock units=lib/systemd/system
    rm -rf $tree
    mkdir -p $tree/{DEBIAN,usr/sbin,usr/share/teleport-upgrade,etc/teleport-upgrade.d,$units/teleport.service.d}
    printf '#!/bin/bash\necho "v%s"\n' "$1" >$tree/usr/sbin/teleport-upgrade
    chmod 755 $tree/usr/sbin/teleport-upgrade
    echo 'of the stock updater' >$tree/usr/share/teleport-upgrade/notes
    printf '[Unit]\nDescription=stock\n[Service]\nType=oneshot\nExecStart=/usr/sbin/teleport-upgrade run\n' >$tree/$units/teleport-upgrade.service
    printf '[Timer]\nOnActiveSec=9m\nOnUnitActiveSec=28m\n[Install]\nWantedBy=teleport.service\n' >$tree/$units/"$TIMER"
    printf '[Service]\nEnvironment=TELEPORT_EXT_UPGRADER=unit\n' >$tree/$units/teleport.service.d/stock-updater.conf
    # shellcheck disable=SC2016
    printf '#!/bin/sh\nset -e\n[ "$1" != configure ] || [ ! -d /run/systemd/system ] || { systemctl daemon-reload; systemctl -q enable --now %s; }\n' "$TIMER" >$tree/DEBIAN/postinst
    printf '#!/bin/sh\nset -e\n[ ! -d /run/systemd/system ] || systemctl -q disable --now %s\n' "$TIMER" >$tree/DEBIAN/prerm
    chmod 755 $tree/DEBIAN/{postinst,prerm}
    printf 'Package: teleport-ent-updater\nVersion: %s\nArchitecture: all\nMaintainer: Test lab <lab@example.test>\nDescription: stock updater\n' \
        "$1" >$tree/DEBIAN/control
    dpkg-deb --root-owner-group -Zgzip -z1 --build $tree "/tmp/stock-$1.deb" >/dev/null
    echo "/tmp/stock-$1.deb"
}

# offer_package FILE: the agent's repository has that package, too.
offer_package() {
    # shellcheck source=tests/distro/publish.sh
    source "${BASH_SOURCE[0]%/*}/publish.sh"
    cp "$1" "$POOL/stable/cloud/"
    index stable/cloud
    release debian
    sign debian teleport
}
