# shellcheck shell=bash disable=SC2154,SC2034,SC2119 # host.sh sets code, said, out, old; updater-host.sh session
# What only dpkg does with our package on a booted host. Each function is a case.
# shellcheck source=tests/distro/updater-host.sh
source "${BASH_SOURCE[0]%/*}/updater-host.sh"

h32_removing_the_package_stops_the_timer_and_ends_the_hold_but_keeps_what_is_configured() {
    agent_before_us
    window open
    systemctl start teleport-upgrade.service
    expect_held teleport-ent
    old=$(in_charge)
    find "$STATE" -name '*.deb' | grep -q . || failed 'nothing was kept for the way back'
    apt remove teleport-ent-updater
    expect_exit 0
    [[ -z $(find "$STATE" -name '*.deb') ]] || failed 'packages are kept that nobody goes back to'
    wait_for 'the hold to end' bash -c '! apt-mark showhold | grep -qx teleport-ent'
    [[ $(systemctl is-active $TIMER) == inactive ]] || failed 'the timer still runs'
    [[ ! -e $UPGRADE && ! -e $DROP_IN ]] || failed 'files were left behind'
    expect_file "$CONFIG/endpoint"
    expect_agent_in_charge
    [[ $(in_charge) == "$old" ]] || failed 'the agent was touched'
    apt install "$PACKAGE"
    expect_exit 0
    expect_timer enabled active
    offer 16.2.1
    window open
    systemctl start teleport-upgrade.service
    expect_version 16.2.1
    expect_held teleport-ent
}

h32_purging_the_package_leaves_nothing_but_the_agent() {
    agent_before_us
    window open
    systemctl start teleport-upgrade.service
    apt purge teleport-ent-updater
    expect_exit 0
    wait_for 'the hold to end' bash -c '! apt-mark showhold | grep -qx teleport-ent'
    [[ -z $(find /etc /lib/systemd /usr/sbin /usr/share /var/lib -name '*teleport-upgrade*' -o -name '*teleport-ent-updater*') ]] ||
        failed "left behind: $(find /etc /lib/systemd /usr/sbin /usr/share /var/lib -name '*teleport-upgrade*' -o -name '*teleport-ent-updater*')"
    expect_agent_in_charge
    install_updater
    expect_timer enabled active
}

h32_the_vendors_package_can_be_installed_after_ours_was_removed_and_ours_after_that() {
    agent_before_us
    apt remove teleport-ent-updater
    install_updater "$(stock 16.1.7)" 16.1.7
    expect_timer enabled active
    apt remove teleport-ent-updater
    install_updater
    expect_timer enabled active
    expect_untouched_agent
}

h32_removing_the_package_ends_a_run_that_waits_for_dpkg() {
    agent_before_us
    window open
    hold_dpkg_lock
    systemctl start --no-block teleport-upgrade.service
    wait_for 'the run to wait for dpkg' bash -c "journalctl -q -o cat -u teleport-upgrade | grep -q 'holds a package manager lock'"
    # As dpkg calls it, with its lock held by the one who removes.
    timeout 30 /var/lib/dpkg/info/teleport-ent-updater.prerm remove || failed "the removal waited for the run: $?"
    expect_journal teleport-upgrade 'was told to end while'
    release_dpkg_lock
    sleep 1
    expect_version 16.1.7
}

h32_a_timer_that_was_disabled_stays_so_when_the_package_is_removed_and_installed_again() {
    agent_before_us
    systemctl disable -q --now $TIMER
    remove_updater
    install_updater
    expect_timer disabled inactive
    expect_untouched_agent
}
