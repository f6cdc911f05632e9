# shellcheck shell=bash disable=SC2154,SC2034 # host.sh sets code, said, out, old; updater-host.sh session
# install.sh on booted hosts: what it exists for, and what it does where an agent is at work. Each function is a case.
# shellcheck source=tests/distro/bare-host.sh
source "${BASH_SOURCE[0]%/*}/bare-host.sh"

# The line of README's first page, from a server with a release, to an agent that exports its windows and is kept up to date.
one_line_brings_a_bare_host_to_an_enrolled_agent() {
    strip_host
    publish_release
    curl -fsSL https://updates.example.test/install.sh | bash -s -- --key-fingerprint "$FINGERPRINT" 16.2.0 cloud >/run/lab/out 2>&1 || failed "$(cat /run/lab/out)"
    out=$(cat /run/lab/out)
    cat /run/lab/out
    expect_installed teleport-ent 16.2.0
    expect_timer enabled active
    expect_said 'no upgrades available (16.2.0 == 16.2.0)'
    expect_said 'Next: write /etc/teleport.yaml (teleport configure --help), then: systemctl enable --now teleport'
    # What is left to a person is done.
    start_agent
    expect_enrolled
    wait_for 'the agent to export its windows' test -s "$CONFIG/schedule"
    upgrade dry-run
    expect_exit 0
    expect_said ', opens in '
    offer 16.2.1 yes
    configure verify-seconds 1
    systemctl start teleport-upgrade.service
    expect_version 16.2.1
    expect_agent_in_charge
    SCRIPT=/srv/lab/answers/install.sh script --uninstall
    expect_exit 0
    [[ $(systemctl is-active teleport) != active && $(systemctl is-active $TIMER) != active && $(installed teleport-ent) == none ]] || failed 'it is still there'
}

the_vendors_updater_is_replaced_and_the_timer_that_runs_is_ours() {
    bare
    script --no-updater 16.2.0 cloud
    install_updater "$(stock 99.0.0)" 99.0.0
    script 16.2.0 cloud
    expect_exit 0
    expect_installed teleport-ent 16.2.0
    expect_timer enabled active
    [[ ! -e /usr/share/teleport-upgrade/notes ]] || failed 'the stock updater was not replaced'
}

h08_the_vendors_hold_on_an_older_agent_is_taken_over_and_ours_moves_it() {
    running_agent
    bare_host
    release_directory
    stock_hold
    install_updater "$(stock 16.1.7)" 16.1.7
    script 16.2.0 cloud
    expect_exit 0
    expect_said 'teleport-ent 16.1.7 is installed, and is left alone: teleport-upgrade moves it.'
    expect_installed teleport-ent 16.1.7
    expect_untouched_agent
    window open
    configure verify-seconds 1
    systemctl start teleport-upgrade.service
    expect_version 16.2.0
    expect_held teleport-ent
}

an_agent_that_runs_already_is_not_restarted_and_what_to_do_is_said() {
    start_agent
    old=$(in_charge)
    bare_host
    release_directory
    offer 16.1.7
    script 16.1.7 cloud
    expect_exit 0
    expect_said 'systemctl restart teleport (ends open sessions)'
    expect_untouched_agent
    expect_timer enabled active
    systemctl restart teleport
    expect_enrolled
    script 16.1.7 cloud
    expect_exit 0
    expect_unsaid 'ends open sessions'
}

h03_in_the_agents_own_session_it_goes_on_in_a_unit_of_its_own() {
    running_agent
    bare_host
    release_directory
    # The package restarts the agent while it is installed, which ends the session.
    in_a_session dash "$RELEASE/install.sh" --key-fingerprint "$FINGERPRINT" --repo-channel lab/restarts_itself 16.2.0 cloud
    wait_for 'the script to end' grep -q '^Next: ' /run/lab/session
    cat /run/lab/session
    grep -q 'going on in a unit of its own' /run/lab/session || failed 'it did not leave the session'
    expect_installed teleport-ent 16.2.0
    expect_active active
    expect_timer enabled active
}

h03_where_it_cannot_leave_the_session_it_stops_with_the_command_that_can() {
    local before
    running_agent
    bare_host
    release_directory
    before=$(host_state)
    # shellcheck disable=SC2016
    in_a_session bash -c 'cat "$0" | bash -s -- --key-fingerprint "$1" 16.2.0 cloud; echo "exit $?"' "$RELEASE/install.sh" "$FINGERPRINT"
    wait_for 'the script to end' grep -q '^exit' /run/lab/session
    cat /run/lab/session
    grep -q 'next: save this script as install.sh, then: systemd-run --pipe --wait --collect sh /install.sh --key-fingerprint' /run/lab/session || failed 'it names no command'
    grep -qx 'exit 75' /run/lab/session || failed 'it did not say try again'
    expect_as_before "$before"
    expect_untouched_agent
}

# The shell's own name may be anybody's file in the directory that one happens to be in.
h35_in_a_session_nobodys_file_called_bash_is_run() {
    running_agent
    bare_host
    release_directory
    mkdir /tmp/shared
    chmod 1777 /tmp/shared
    printf '#!/bin/sh\n: >/tmp/owned\n' >/tmp/shared/bash
    cd /tmp/shared || failed 'no directory'
    # shellcheck disable=SC2016
    in_a_session bash -c 'cat "$0" | bash -s -- --key-fingerprint "$1" 16.2.0 cloud; echo "exit $?"' "$RELEASE/install.sh" "$FINGERPRINT"
    wait_for 'the script to end' grep -q '^exit' /run/lab/session
    grep -qx 'exit 75' /run/lab/session || failed "it said $(cat /run/lab/session)"
    [[ ! -e /tmp/owned ]] || failed 'it was run'
}

an_agent_that_could_not_be_uninstalled_runs_again() {
    running_agent
    bare_host
    release_directory
    offer 16.1.7
    script 16.1.7 cloud
    if [[ $MANAGER == apt ]]; then apt-mark hold teleport-ent >/dev/null; elif [[ $MANAGER == dnf ]]; then mkdir -p /etc/dnf/protected.d; echo teleport-ent >/etc/dnf/protected.d/teleport.conf; else zypper -n -q addlock teleport-ent; fi
    # Ended by our own `release` otherwise.
    rm -f "$STATE/hold"
    script --uninstall
    [[ $code == 70 && $(installed teleport-ent) == 16.1.7 ]] || failed "it ended with $code"
    expect_active active
    [[ $(systemctl is-enabled teleport) == enabled ]] || failed 'it does not come back at the next boot'
}
