# shellcheck shell=bash disable=SC2154,SC2034 # host.sh sets code, said, out and old
# Our package as a file, and on a host without systemd. Each function is a case.
# shellcheck source=tests/distro/updater-host.sh
source "${BASH_SOURCE[0]%/*}/updater-host.sh"
# shellcheck source=tests/distro/release-host.sh
source "${BASH_SOURCE[0]%/*}/release-host.sh"

# --- the file -----------------------------------------------------------------------------------------

# With FULL=1 the program is built again, too.
two_builds_give_the_same_bytes() {
    local again arch rpm program=/run/lab/bin/teleport-upgrade
    local -a given=(--binary "$program")
    [[ ! -e /run/lab/full ]] || given=()
    arch=$(dpkg --print-architecture)
    again=$(umask 077 && cd /tmp && TZ=Asia/Seoul build deb --arch "$arch" "${given[@]}" --out /tmp/again)
    cmp "$again" "$PACKAGE" || failed 'the packages for dpkg differ'
    again=$(umask 077 && cd /tmp && build deb teleport-version-server --arch "$arch" --binary /run/lab/bin/teleport-version-server --out /tmp/again)
    cmp "$again" /run/lab/teleport-version-server.deb || failed 'the packages of the version server differ'
    lint "$(build rpm teleport-version-server --arch "$arch" --binary /run/lab/bin/teleport-version-server --out /tmp/rpm)"
    rpm=$(build rpm --arch "$arch" --binary "$program" --out /tmp/rpm)
    again=$(umask 077 && cd /tmp && TZ=Asia/Seoul build rpm --arch "$arch" "${given[@]}" --out /tmp/again)
    cmp "$again" "$rpm" || failed 'the packages for rpm differ'
    lint "$rpm"
}

# Those for arm64 take minutes to build (see package_arm64.sh): the programs for this host take their places.
a_release_directory_is_whole() {
    release_is_whole --amd64 /run/lab/bin --arm64 /run/lab/bin
}

lintian_finds_no_fault() {
    local package
    for package in "$PACKAGE" /run/lab/teleport-version-server.deb; do
        lint "$package"
        [[ $(lintian --allow-root -I --tags mismatched-override,unused-override "$package") == '' ]] || failed 'an override overrides nothing'
    done
}

what_is_shipped_beside_the_program_can_be_read() {
    local tree=/tmp/tree
    dpkg-deb -x "$PACKAGE" $tree
    bash -n $tree/usr/share/bash-completion/completions/teleport-upgrade
    zsh -n $tree/usr/share/zsh/vendor-completions/_teleport-upgrade
    fish --no-execute $tree/usr/share/fish/vendor_completions.d/teleport-upgrade.fish
    zcat $tree/usr/share/man/man8/teleport-upgrade.8.gz >/tmp/teleport-upgrade.8
    mandoc -T lint -W warning /tmp/teleport-upgrade.8 || failed 'the man page is not sound'
    mandoc -T lint -W warning /run/lab/tree/package/teleport-version-server.8 || failed 'the man page of the version server is not sound'
    # What a person gets who types `teleport-upgrade r<TAB>`.
    # shellcheck disable=SC2016
    [[ $(bash -c 'source '$tree'/usr/share/bash-completion/completions/teleport-upgrade
        COMP_WORDS=(teleport-upgrade r) COMP_CWORD=1; _teleport_upgrade; echo "${COMPREPLY[*]}"') == 'run resume rollback release' ]] ||
        failed 'bash completes something else'
    [[ $(zcat $tree/usr/share/doc/teleport-ent-updater/third-party-licences.gz) == *$'\n==== ring v'* ]] || failed 'licences are missing'
    [[ $(zcat $tree/usr/share/doc/teleport-ent-updater/changelog.gz) == "teleport-ent-updater ($OURS) "* ]] || failed 'the changelog is of another version'
}

# --- hosts without systemd ----------------------------------------------------------------------------

h34_installing_succeeds_where_there_is_no_systemd_and_is_ready_for_when_there_is() {
    bare_host
    install_updater
    [[ -L $LINK ]] || failed 'the timer is not enabled for a host that is booted later'
    [[ $(stat -c '%U:%G %a' "$CONFIG") == 'root:root 755' ]] || failed "the configuration directory is $(stat -c '%U:%G %a' "$CONFIG")"
    configure endpoint updates.example.test/v1/stable/cloud
    offer 16.2.0
    window open
    upgrade run
    expect_exit 0
    expect_version 16.2.0
    expect_held teleport-ent
    apt purge teleport-ent-updater
    expect_exit 0
    wait_for 'the hold to end' bash -c '! apt-mark showhold | grep -qx teleport-ent'
    [[ ! -e $LINK && ! -e $STATE && ! -e $CONFIG ]] || failed 'something was left behind'
}

v24_a_hold_found_by_the_first_installation_is_ours_and_a_later_one_is_the_administrators() {
    bare_host
    apt-mark hold teleport-ent >/dev/null
    install_updater
    expect_said "teleport-ent is held already: taking the hold over as this program's own."
    configure endpoint updates.example.test/v1/stable/cloud
    offer 16.2.0
    window open
    upgrade run
    expect_version 16.2.0
    # An administrator lets it go, and holds it again with other intentions.
    apt-mark unhold teleport-ent >/dev/null
    offer 16.1.7
    upgrade force
    expect_version 16.1.7
    apt-mark unhold teleport-ent >/dev/null
    rm "$STATE/hold"
    apt-mark hold teleport-ent >/dev/null
    offer 16.2.1
    upgrade run
    expect_said "the administrator's hold wins"
    expect_version 16.1.7
    # Neither an upgrade of our package nor installing it again adopts that one.
    install_updater "$(rebuilt 1:9.0.0)" 1:9.0.0
    expect_unsaid 'taking the hold over'
    apt remove teleport-ent-updater
    install_updater "$(rebuilt 1:9.0.0)" 1:9.0.0
    expect_unsaid 'taking the hold over'
    expect_held teleport-ent
}

v24_owner_and_modes_of_a_stock_configuration_are_mended_and_said() {
    useradd --system teleport-agent
    configure installer apt
    configure package teleport-ent
    chown teleport-agent "$CONFIG" "$CONFIG/installer"
    chmod 666 "$CONFIG/package"
    rm -r "$UPGRADE" "$STATE"
    install_updater
    expect_said "$CONFIG belonged to user"
    expect_said "$CONFIG/schedule was laid out for user"
    expect_said "$CONFIG/installer belonged to user"
    expect_said "$CONFIG/package could be written by others than root"
    [[ $(stat -c %U "$CONFIG/schedule") == teleport-agent ]] || failed 'the schedule was taken from the agent'
    offer 16.1.7
    window closed
    upgrade run
    expect_exit 0
}

# --- cron ---------------------------------------------------------------------------------------------

# The line of the man page, as a real cron understands it, each minute instead of each half hour.
the_documented_crontab_line_runs_and_is_silent_while_there_is_nothing_to_say() {
    local line
    bare_host
    install_updater
    configure endpoint updates.example.test/v1/stable/cloud
    offer 16.1.7
    window closed
    # As in a container: no machine id. A name whose offset is short, so that the case is, too.
    rm -f /etc/machine-id
    for n in {1..2000}; do
        echo "host-$n" >/etc/hostname
        (($(cksum </etc/hostname | cut -d' ' -f1) % 240 > 2)) || break
    done
    line=$(man_line) || failed 'the man page has no line for cron'
    [[ $line == "$(readme_line)" ]] || failed 'README has another line'
    printf 'MAILTO=""\n%s >/run/lab/cron 2>&1\n' "${line/'*/30'/*}" >/etc/cron.d/teleport-upgrade
    cron
    for _ in {1..75}; do ! grep -q '"code":"up-to-date"' "$STATE/record.json" || break; sleep 1; done
    grep -q '"code":"up-to-date"' "$STATE/record.json" || failed 'cron checked nothing'
    [[ ! -s /run/lab/cron ]] || failed "it said: $(cat /run/lab/cron)"
    offer 16.2.0
    window open
    # What the run says comes last: the new program is in its place long before dpkg is done.
    for _ in {1..75}; do ! grep -qF '[i] upgraded from 16.1.7 to 16.2.0.' /run/lab/cron || break; sleep 1; done
    grep -qF '[i] upgraded from 16.1.7 to 16.2.0.' /run/lab/cron || failed "it said: $(cat /run/lab/cron)"
    expect_version 16.2.0
    wait_for 'the upgrade to be recorded' grep -q '"code":"upgraded"' "$STATE/record.json"
}
man_line() { mandoc -T ascii -O width=200 <(zcat /usr/share/man/man8/teleport-upgrade.8.gz) | col -bx | sed -n 's/^ *\(\*\/30 \* .*\)/\1/p' | grep .; }
readme_line() { sed -n '/^\*\/30 \* /p' /run/lab/tree/README.md; }
