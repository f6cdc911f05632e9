# shellcheck shell=bash disable=SC2154,SC2034,SC2119 # host.sh sets code, said, out, old; updater-host.sh session
# What only rpm does with our package on a booted host. Each function is a case.
# shellcheck source=tests/distro/updater-host.sh
source "${BASH_SOURCE[0]%/*}/updater-host.sh"

h32_removing_the_package_stops_the_timer_ends_the_hold_and_forgets_but_keeps_what_is_configured() {
    agent_before_us
    window open
    systemctl start teleport-upgrade.service
    expect_held teleport-ent
    old=$(in_charge)
    remove_updater
    wait_for 'the hold to end' expect_no_hold
    [[ $(systemctl is-active $TIMER) == inactive ]] || failed 'the timer still runs'
    [[ ! -e $UPGRADE && ! -e $DROP_IN && ! -e $LINK && ! -e $STATE ]] || failed 'files were left behind'
    expect_file "$CONFIG/endpoint"
    expect_agent_in_charge
    [[ $(in_charge) == "$old" ]] || failed 'the agent was touched'
    install_updater
    expect_timer enabled active
    offer 16.2.1
    window open
    systemctl start teleport-upgrade.service
    expect_version 16.2.1
    expect_held teleport-ent
}

h32_the_vendors_package_can_be_installed_after_ours_was_removed_and_ours_after_that() {
    agent_before_us
    remove_updater
    install_updater "$(stock 16.1.7)" 16.1.7
    expect_timer enabled active
    remove_updater
    install_updater
    expect_timer enabled active
    expect_untouched_agent
}
