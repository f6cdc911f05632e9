# shellcheck shell=bash disable=SC2154,SC2119 # host.sh sets code, out, old and holder
# Booted hosts: a real systemd runs the stand-in agent, real apt changes it. Each function is a case with a
# host of its own, prepared as in apt.sh. Agents drain for 60 s unless a case says otherwise.

a_running_agent_is_reloaded_and_its_sessions_live_on() {
    running_agent
    upgrade run
    expect_exit 0
    expect_said '[i] gracefully restarting Teleport (if already running)'
    expect_version 16.2.0
    expect_agent_in_charge
    [[ $(in_charge) != "$old" ]] || failed "the old process is still in charge"
    kill -0 "$old" || failed "the old process did not survive to drain its sessions"
    expect_one_start
}

the_unit_outlives_the_old_process() {
    running_agent
    echo 1 >/etc/teleport-standin.drain
    upgrade run
    expect_exit 0
    wait_for 'the old process to end' bash -c "! kill -0 $old 2>/dev/null"
    sleep 1
    expect_agent_in_charge
    expect_one_start
}

h23_an_agent_without_pid_file_is_restarted_not_reloaded() {
    running_agent lab/no-pidfile
    upgrade run
    expect_exit 0
    expect_version 16.2.0
    ! kill -0 "$old" 2>/dev/null || failed "the old process still runs: it was reloaded"
    expect_agent_in_charge
    expect_one_start
}

h23_an_agent_that_cannot_reload_is_restarted() {
    running_agent lab/no-reload
    upgrade run
    expect_exit 0
    expect_version 16.2.0
    expect_agent_in_charge
    expect_one_start
}

h23_a_reload_that_does_nothing_is_followed_by_a_restart() {
    running_agent lab/ignore_hup
    upgrade run
    expect_exit 0
    expect_version 16.2.0
    expect_agent_in_charge
    expect_one_start
}

h22_a_stopped_agent_is_upgraded_and_not_started() {
    systemctl daemon-reload
    offer 16.2.0
    window open
    upgrade run
    expect_exit 0
    expect_version 16.2.0
    expect_active inactive
}

h22_a_disabled_agent_stays_disabled() {
    systemctl disable -q teleport
    offer 16.2.0
    window open
    upgrade run
    expect_exit 0
    expect_version 16.2.0
    expect_active inactive
    [[ $(systemctl is-enabled teleport) == disabled ]] || failed "expected the unit to stay disabled"
}

h22_a_masked_agent_stays_masked() {
    systemctl mask -q teleport
    offer 16.2.0
    window open
    upgrade run
    expect_exit 0
    expect_version 16.2.0
    expect_active inactive
    [[ $(systemctl is-enabled teleport) == masked ]] || failed "expected the unit to stay masked"
}

h21_an_agent_that_its_package_has_restarted_is_not_restarted_again() {
    running_agent lab/restarts_itself
    upgrade run
    expect_exit 0
    expect_version 16.2.0
    expect_agent_in_charge
    expect_one_start
}

a_run_that_changes_nothing_does_not_touch_the_running_agent() {
    running_agent
    offer 16.1.7
    upgrade run
    expect_exit 0
    [[ $(in_charge) == "$old" ]] || failed "the agent was restarted for nothing"
}

the_agent_is_watched_for_as_long_as_the_operator_wants() {
    local began=$SECONDS
    running_agent
    configure verify-seconds 12
    upgrade run
    expect_exit 0
    ((SECONDS - began >= 12)) || failed "it was watched for less than $((SECONDS - began)) s"
    expect_agent_in_charge
}

two_upgrades_in_a_row_leave_one_agent_in_charge() {
    running_agent
    upgrade run
    expect_exit 0
    offer 16.2.1
    upgrade run
    expect_exit 0
    expect_version 16.2.1
    expect_agent_in_charge
    kill -0 "$old" || failed "the oldest process did not survive to drain its sessions"
}
