# shellcheck shell=bash disable=SC2154,SC2119 # host.sh sets code, out, old and holder
# Booted hosts on which a new version is bad, or which die in the middle: the way back, with real package managers and a real systemd.
# Each function is a case; `after_CASE` is what comes of it once the host is booted again.

# shellcheck source=tests/distro/going-back-host.sh
source "${BASH_SOURCE[0]%/*}/going-back-host.sh"

h15_a_version_that_crashes_at_once_is_gone_back_from_and_not_tried_again_for_an_hour() {
    running_agent lab/crash
    upgrade run
    expect_back
    expect_blamed
    upgrade run
    expect_exit 0
    expect_said '16.2.0 failed on this host before, not attempting again until'
    # A new target ends that.
    channel stable/cloud
    offer 16.2.1
    upgrade run
    expect_exit 0
    expect_version 16.2.1
    expect_agent_in_charge
}

h15_a_version_that_dies_while_it_is_watched_is_gone_back_from() {
    running_agent lab/crash_later
    configure verify-seconds 12
    upgrade run
    expect_said '16.2.0 is installed, but the agent ended by itself'
    expect_back
    expect_blamed
}

# A unit without a PID file is restarted, so that the new agent is its main process.
h15_a_version_that_systemd_restarts_again_and_again_is_gone_back_from() {
    running_agent lab/crash_later
    configure verify-seconds 12
    mkdir -p /etc/systemd/system/teleport.service.d
    printf '[Service]\nPIDFile=\n' >/etc/systemd/system/teleport.service.d/no-pid-file.conf
    systemctl daemon-reload
    upgrade run
    expect_exit 10
    expect_said '16.2.0 is installed, but the agent ended by itself and was restarted by systemd once'
    expect_version 16.1.7
    expect_active active
}

h15_a_version_that_never_gets_ready_is_gone_back_from() {
    running_agent
    ready_socket 200 OK
    (while sleep 0.2; do
        if [[ $(/usr/local/bin/teleport version --raw) == 16.2.0 ]]; then says_ready 503 Service Unavailable; else says_ready 200 OK; fi
    done) 2>/dev/null &
    configure verify-seconds 5
    upgrade run
    expect_said '16.2.0 is installed, but the agent says that it is not ready (503 Service Unavailable)'
    expect_back
    expect_blamed
}

h16_an_agent_that_was_not_ready_before_keeps_the_new_version_if_it_is_no_worse() {
    running_agent
    ready_socket 503 Service Unavailable
    upgrade run
    expect_exit 0
    expect_said 'but before the upgrade it was no better: the agent says that it is not ready (503 Service Unavailable). Keeping the version.'
    expect_version 16.2.0
    expect_not_blamed
}

h16_an_agent_that_was_not_ready_before_is_taken_from_a_version_on_which_it_does_not_run() {
    running_agent lab/crash
    ready_socket 503 Service Unavailable
    upgrade run
    expect_exit 10
    expect_version 16.1.7
    expect_agent_in_charge
}

h15_a_version_without_its_unit_is_gone_back_from_before_the_agent_is_touched() {
    running_agent lab/no_unit
    upgrade run
    expect_said 'teleport.service is gone'
    expect_back
    expect_blamed
}

h02_a_version_whose_program_is_cut_short_is_gone_back_from() {
    running_agent lab/truncated
    upgrade run
    expect_said 'teleport-ent is neither on 16.2.0 nor on the version before'
    expect_back
    expect_blamed
}

h15_a_version_whose_script_fails_leaves_no_agent_half_installed() {
    running_agent "lab/$(if [[ $MANAGER == apt ]]; then echo postinst_fails; else echo post_fails; fi)"
    upgrade run
    if [[ $MANAGER == apt ]]; then
        expect_back
        expect_blamed
    else
        # rpm calls it installed, and it runs (V9).
        expect_exit 0
        expect_version 16.2.0
        expect_agent_in_charge
    fi
}

h15_an_agent_that_a_failing_script_stopped_runs_again() {
    running_agent lab/stops_agent
    upgrade run
    expect_exit 69
    expect_version 16.1.7
    expect_agent_in_charge
    expect_blamed
    recorded '"pending":null'
}

h22_a_stopped_agent_is_proven_by_its_program_and_not_started_on_the_way_back_either() {
    channel lab/truncated
    refresh
    offer 16.2.0
    window open
    upgrade run
    expect_exit 10
    expect_version 16.1.7
    expect_active inactive
}

h19_a_changed_configuration_file_survives_the_way_there_and_back() {
    running_agent lab/truncated
    echo 'changed by the administrator' >>/etc/teleport-standin.conf
    upgrade run
    expect_back
    grep -qx 'changed by the administrator' /etc/teleport-standin.conf || failed 'the configuration file was replaced'
}

# --- the way back itself ------------------------------------------------------------------------------

h17_a_version_that_the_repository_has_dropped_is_gone_back_to_from_what_was_kept() {
    running_agent lab/truncated
    configure prefetch yes
    window closed
    upgrade run
    expect_exit 0
    expect_said 'teleport-ent 16.2.0 is fetched for its window.'
    expect_version 16.1.7
    expect_kept 1
    drop_from_repository lab/truncated 16.1.7
    window open
    upgrade run
    expect_back
}

h17_without_a_way_back_the_upgrade_is_made_all_the_same_and_a_bad_one_is_a_persons() {
    running_agent lab/crash_later
    drop_from_repository lab/crash_later 16.1.7
    configure verify-seconds 8
    upgrade run
    expect_exit 11
    expect_said '[!] no way back to 16.1.7, going on without: '
    expect_said 'to go back: '
    recorded '"step":"prove"'
    expect_not_blamed
}

v20_two_packages_are_kept_at_most_and_a_person_goes_back_without_network() {
    running_agent
    upgrade run
    expect_exit 0
    expect_kept 2
    offer 16.2.1
    upgrade run
    expect_exit 0
    expect_kept 2
    [[ $(stat -c '%U %a' "$STATE/private/packages") == 'root 700' ]] || failed 'others may enter where packages are kept'
    stop_serving
    upgrade rollback
    expect_exit 0
    expect_said '[i] went back to 16.2.0; it stays so until another version is wanted'
    expect_version 16.2.0
    expect_held teleport-ent
    expect_agent_in_charge
    serve
    upgrade run
    expect_exit 0
    # shellcheck disable=SC2016 # as it is said
    expect_said 'a person went back with `teleport-upgrade rollback`: 16.2.1 is not attempted'
    upgrade force
    expect_exit 0
    expect_version 16.2.1
}
h05_two_who_go_back_at_once_go_back_one_step_and_lose_nothing_that_was_kept() {
    local first
    running_agent
    configure verify-seconds 5
    upgrade run
    expect_exit 0
    "$UPGRADE" rollback >/run/lab/first 2>&1 &
    first=$!
    wait_for 'the first to begin' step_is install
    upgrade rollback
    expect_exit 75
    expect_said 'another run of this program is at work'
    wait "$first" || failed "the first ended with exit $?: $(cat /run/lab/first)"
    expect_version 16.1.7
    expect_agent_in_charge
    expect_kept 2
    upgrade rollback
    expect_exit 0
    expect_said 'the agent is back on 16.1.7 already; nothing was changed.'
}

h14_a_server_that_is_gone_after_the_upgrade_changes_nothing_of_it() {
    running_agent
    configure verify-seconds 5
    (until step_is prove; do sleep 0.05; done; stop_serving) &
    upgrade run
    expect_exit 0
    expect_said '[i] upgraded from 16.1.7 to 16.2.0.'
    upgrade run
    expect_exit 75
    expect_version 16.2.0
    expect_agent_in_charge
    recorded '"pending":null'
    recorded '"code":"upgraded"'
    expect_not_blamed
}

v19_a_kept_package_that_somebody_changed_is_not_installed() {
    running_agent lab/truncated
    configure prefetch yes
    window closed
    upgrade run
    expect_kept 1
    echo x >>"$(find "$STATE/private/packages" -type f)"
    window open
    upgrade run
    # It is seen before the upgrade, and the right one is fetched again.
    expect_said 'it is not the file that was kept (its SHA-256 differs)'
    expect_back
}

# --- the disk -----------------------------------------------------------------------------------------

h18_a_disk_without_room_is_named_before_anything_is_changed() {
    running_agent
    cp -a /usr/local/bin/teleport /run/
    mount -t tmpfs -o size=10m,mode=755 small /usr/local/bin
    cp -a /run/teleport /usr/local/bin/
    upgrade run
    expect_exit 75
    expect_said 'there is no room for '
    expect_said 'bin has 10 MiB free, and 1'
    expect_version 16.1.7
    [[ $(in_charge) == "$old" ]] || failed 'the agent was touched'
    expect_not_blamed
    umount /usr/local/bin
    upgrade run
    expect_exit 0
}

h18_a_state_directory_without_room_is_named_before_anything_is_changed() {
    running_agent
    mount -t tmpfs -o size=12m,mode=755 small "$STATE"
    upgrade run
    expect_exit 75
    expect_said 'are needed there'
    expect_version 16.1.7
    [[ $(in_charge) == "$old" ]] || failed 'the agent was touched'
}

h18_a_disk_that_gets_full_in_the_middle_blames_nobody_and_leaves_a_well_agent() {
    running_agent lab/fills_disk
    cp -a /usr/local/bin/teleport /run/
    mount -t tmpfs -o size=30m,mode=755 small /usr/local/bin
    cp -a /run/teleport /usr/local/bin/
    upgrade run
    [[ $code == 75 || $code == 10 ]] || failed "expected exit 75 or 10, got $code"
    expect_version 16.1.7
    expect_agent_in_charge
    expect_not_blamed
    recorded '"pending":null'
}

# --- a host that dies ---------------------------------------------------------------------------------

h26_a_host_that_dies_in_the_middle_of_the_installation_finishes_it_when_it_is_up_again() {
    running_agent lab/slow
    echo 100 >/run/lab/slow
    cut_off test -e /run/lab/at-work
}
after_h26_a_host_that_dies_in_the_middle_of_the_installation_finishes_it_when_it_is_up_again() {
    echo 0 >/run/lab/slow
    after_a_good_version
}

h26_a_host_that_dies_while_the_agent_is_brought_up_finishes_it_when_it_is_up_again() {
    running_agent
    cut_off step_is bring-up
}
after_h26_a_host_that_dies_while_the_agent_is_brought_up_finishes_it_when_it_is_up_again() { after_a_good_version; }

h26_a_host_that_dies_while_the_agent_proves_itself_watches_it_when_it_is_up_again() {
    running_agent
    configure verify-seconds 10
    cut_off step_is prove
}
after_h26_a_host_that_dies_while_the_agent_proves_itself_watches_it_when_it_is_up_again() {
    after_a_good_version
    expect_said 'watching the agent for 10 s.'
}

h26_a_host_that_dies_on_its_way_back_goes_on_back_when_it_is_up_again() {
    running_agent lab/truncated
    cut_off step_is go-back
}
after_h26_a_host_that_dies_on_its_way_back_goes_on_back_when_it_is_up_again() { after_a_bad_version; }

h26_a_host_that_dies_once_it_is_back_sees_the_agent_through_when_it_is_up_again() {
    running_agent lab/truncated
    configure verify-seconds 10
    cut_off step_is bring-back
}
after_h26_a_host_that_dies_once_it_is_back_sees_the_agent_through_when_it_is_up_again() { after_a_bad_version; }
