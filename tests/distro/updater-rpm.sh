# shellcheck shell=bash disable=SC2034,SC2120,SC2154 # shared with the cases
# Sourced by updater-host.sh on a dnf or zypper host: our package, and the vendor's of the same name, as a person installs them.

DROP_IN=/usr/lib/systemd/system/teleport.service.d/teleport-upgrade.conf

# manage WORD...: the host's package manager as a person uses it, for packages that are here; its words are in $said, its exit code in $code.
manage() {
    note "$MANAGER $*"
    code=0
    if [[ $MANAGER == dnf ]]; then
        dnf -y --disablerepo='*' "$@"
    else
        zypper -n --no-refresh "$@"
    fi </dev/null >/run/lab/said 2>&1 || code=$?
    said=$(cat /run/lab/said) out=''
    cat /run/lab/said
}
install_updater() { # install_updater [FILE]
    local options=()
    [[ $MANAGER == dnf ]] || options=(--allow-unsigned-rpm --oldpackage)
    manage install "${options[@]}" "${1:-$(build rpm --binary /run/lab/bin/teleport-upgrade --out /tmp/packages)}"
    expect_exit 0
    expect_updater "${2:-$OURS}"
}
remove_updater() {
    manage remove teleport-ent-updater
    expect_exit 0
}
remove_agent() {
    systemctl stop teleport
    rpm -e teleport-ent
    systemctl daemon-reload
}
updater_version() { rpm -q --qf '%{EPOCHNUM}:%{VERSION}\n' teleport-ent-updater | sed 's/^0://'; }
expect_nothing_half_done() {
    [[ $(rpm -q teleport-ent | wc -l) == 1 ]] || failed "rpm was cut off: $(rpm -q teleport-ent)"
    rpm -V --noconfig teleport-ent || failed 'the package is not whole'
}
upgrade_all_of_it() {
    refresh
    upgrade_everything
    if [[ $MANAGER == dnf ]]; then dnf -q list --showduplicates teleport-ent-updater; else zypper -n search -s teleport-ent-updater; fi |
        grep -q 99.0.0 || failed 'the vendor offers nothing'
}

# rebuilt VERSION: our package under that version, as a file.
rebuilt() {
    local TREE=/tmp/tree version=${1#*:}
    rm -rf $TREE
    mkdir $TREE
    ln -s /run/lab/tree/* $TREE/
    rm $TREE/{Cargo.toml,Cargo.lock,CHANGELOG.md}
    cp /run/lab/tree/{Cargo.toml,Cargo.lock,CHANGELOG.md} $TREE/
    sed -i "0,/^version = .*/s//version = \"$version\"/" $TREE/Cargo.toml
    sed -i "/^name = \"teleport-upgrade\"/{n;s/.*/version = \"$version\"/}" $TREE/Cargo.lock
    sed -i "0,/^## [^ ]*/s//## $version/" $TREE/CHANGELOG.md
    build rpm --binary /run/lab/bin/teleport-upgrade --out /tmp/packages
}

# stock VERSION: the vendor's package of the same name, as far as ours meets it, as a file: a script, units, a timer wanted by the agent,
# and scripts that know of no upgrade.
stock() {
    local tree=/tmp/stock units=usr/lib/systemd/system
    rm -rf $tree
    mkdir -p $tree/{usr/sbin,usr/share/teleport-upgrade,etc/teleport-upgrade.d,$units/teleport.service.d}
    printf '#!/bin/bash\necho "v%s"\n' "$1" >$tree/usr/sbin/teleport-upgrade
    chmod 755 $tree/usr/sbin/teleport-upgrade
    echo 'of the stock updater' >$tree/usr/share/teleport-upgrade/notes
    printf '[Unit]\nDescription=stock\n[Service]\nType=oneshot\nExecStart=/usr/sbin/teleport-upgrade run\n' >$tree/$units/teleport-upgrade.service
    printf '[Timer]\nOnActiveSec=9m\nOnUnitActiveSec=28m\n[Install]\nWantedBy=teleport.service\n' >$tree/$units/"$TIMER"
    printf '[Service]\nEnvironment=TELEPORT_EXT_UPGRADER=unit\n' >$tree/$units/teleport.service.d/stock-updater.conf
    {
        printf 'Name: teleport-ent-updater\nVersion: %s\nRelease: 1\nSummary: stock\nLicense: none\nAutoReqProv: no\n%%description\nStock.\n' "$1"
        printf '%%install\nmkdir -p %%{buildroot}\ncp -a %s/. %%{buildroot}/\n%%files\n/usr/sbin/teleport-upgrade\n/usr/share/teleport-upgrade\n' $tree
        printf '%%dir /etc/teleport-upgrade.d\n/%s\n' $units/teleport-upgrade.service $units/"$TIMER" $units/teleport.service.d/stock-updater.conf
        printf '%%post\nsystemctl daemon-reload\nsystemctl -q enable --now %s\n%%preun\nsystemctl -q disable --now %s\n' "$TIMER" "$TIMER"
    } >/tmp/stock.spec
    rpmbuild --quiet -bb --buildroot /tmp/stock-root --define "_topdir /tmp/rpmbuild" --define '_rpmdir /tmp' --define '_build_id_links none' \
        --define '_rpmfilename stock-%%{VERSION}.rpm' --define '__os_install_post %{nil}' --define 'debug_package %{nil}' /tmp/stock.spec >&2
    echo "/tmp/stock-$1.rpm"
}

# offer_package FILE: the agent's repository has that package, too.
offer_package() {
    local GOOD=/srv/lab/rpm/good
    export GNUPGHOME=/srv/lab/gnupg
    cp "$1" "$GOOD/stable/cloud/"
    rpmsign --define '__gpg /usr/bin/gpg' --define '_gpg_name teleport@example.test' --addsign "$GOOD/stable/cloud/${1##*/}" >/dev/null
    rm -r "$GOOD/stable/cloud/repodata" # of a layer below: it cannot be renamed
    createrepo_c --quiet --compatibility --checksum sha256 "$GOOD/stable/cloud"
    gpg --batch --quiet --yes --local-user teleport@example.test --armor --detach-sign "$GOOD/stable/cloud/repodata/repomd.xml"
    gpgconf --kill all
}
