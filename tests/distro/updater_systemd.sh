# shellcheck shell=bash disable=SC2154,SC2034,SC2119 # host.sh sets code, said, out, old; updater-host.sh session
# Our package on a booted host, mostly one whose agent has run since before it came; the same for every package manager. Each function is a
# case.
# shellcheck source=tests/distro/updater-host.sh
source "${BASH_SOURCE[0]%/*}/updater-host.sh"

# --- from installing it to a host that is kept up to date ---------------------------------------------

v29_installing_restarts_nothing_and_the_timer_upgrades_an_agent_once_it_is_enrolled() {
    agent_before_us
    expect_said "$NOT_ENROLLED"
    expect_untouched_agent
    expect_not_enrolled
    expect_timer enabled active
    # A person, when sessions may end.
    echo -600 >/etc/teleport-standin.window
    from_now_on
    systemctl restart teleport
    wait_for 'the agent to export its schedule' test -s "$CONFIG/schedule"
    expect_journal teleport "stand-in agent 16.1.7: updater v${OURS#*:}"
    expect_enrolled
    hurry_timer
    wait_for_version 16.2.0
    wait_for_the_run
    expect_events 'Stopping Stopped Started Reloading Reloaded'
    expect_journal teleport-upgrade '[i] within maintenance window, upgrade will be attempted.'
    expect_journal teleport-upgrade '[i] upgraded from 16.1.7 to 16.2.0.'
    expect_agent_in_charge
    expect_enrolled
    expect_held teleport-ent
    # The timer goes on, also after a run that failed.
    stop_serving
    wait_for 'a run that finds no server' bash -c "journalctl -q -o cat -u teleport-upgrade | grep -q 'failed to get target version'"
    serve
    wait_for 'the next run' bash -c "journalctl -q -o cat -u teleport-upgrade | grep -q 'no upgrades available (16.2.0 == 16.2.0)'"
}

v29_an_upgrade_in_an_open_window_enrols_and_the_next_one_is_a_reload_that_ends_no_session() {
    agent_before_us
    window open
    from_now_on
    systemctl start teleport-upgrade.service
    expect_version 16.2.0
    expect_events 'Stopping Stopped Started'
    expect_journal teleport-upgrade "[i] $NOT_ENROLLED"
    expect_enrolled
    expect_journal teleport 'exports its schedule'
    old=$(in_charge)
    from_now_on
    offer 16.2.1
    window open
    systemctl start teleport-upgrade.service
    expect_version 16.2.1
    expect_events 'Reloading Reloaded'
    expect_agent_in_charge
    expect_enrolled
    [[ $(in_charge) != "$old" ]] || failed 'the old process is still in charge'
    kill -0 "$old" || failed 'the process of the open sessions is gone'
}

v29_without_a_pid_file_the_agent_is_found_and_restarted() {
    agent_before_us lab/no-pidfile
    expect_said "$NOT_ENROLLED"
    expect_untouched_agent
    window open
    from_now_on
    systemctl start teleport-upgrade.service
    expect_version 16.2.0
    expect_events 'Stopping Stopped Started'
    expect_enrolled
    from_now_on
    offer 16.1.7 yes # it was left a moment ago
    window open
    systemctl start teleport-upgrade.service
    expect_version 16.1.7
    expect_events 'Stopping Stopped Started'
}

v29_the_missing_schedule_of_an_agent_that_is_not_enrolled_is_explained_and_costs_no_session() {
    agent_before_us
    window none
    upgrade run
    expect_said "[!] $NOT_ENROLLED"
    expect_version 16.1.7
    upgrade dry-run
    expect_said "[!] $NOT_ENROLLED"
    # Ten minutes later the agent counts as unhealthy: by reload.
    sed -i -E "s/\"unhealthy_since\":[0-9]+/\"unhealthy_since\":$(($(date +%s) - 601))/" "$STATE/record.json"
    from_now_on
    systemctl start teleport-upgrade.service
    expect_version 16.2.0
    expect_events 'Reloading Reloaded'
    kill -0 "$old" || failed 'the process of the open sessions is gone'
}

an_agent_writes_its_endpoint_and_is_followed_to_it() {
    running_agent
    bare_host
    install_updater
    configure verify-seconds 1
    echo updates.example.test/v1/stable/cloud >/etc/teleport-standin.endpoint
    echo -600 >/etc/teleport-standin.window
    systemctl restart teleport
    wait_for 'the agent to write the endpoint' test -s "$CONFIG/endpoint"
    systemctl start teleport-upgrade.service
    expect_asked '/v1/stable/cloud/version 200'
    expect_version 16.2.0
}

h35_an_agent_that_is_not_root_owns_its_schedule_for_good() {
    useradd --system teleport-agent
    mkdir -p /etc/systemd/system/teleport.service.d
    cat >/etc/systemd/system/teleport.service.d/user.conf <<'UNIT'
[Service]
User=teleport-agent
RuntimeDirectory=agent
PIDFile=/run/agent/teleport.pid
ExecStart=
ExecStart=/usr/local/bin/teleport start --pid-file=/run/agent/teleport.pid
ExecReload=
ExecReload=/bin/sh -c 'kill -HUP $$(cat /run/agent/teleport.pid)'
UNIT
    ln -s agent/teleport.pid /run/teleport.pid # for the cases' own eyes
    echo 60 >/etc/teleport-standin.drain
    offer 16.2.0
    host_with_updater
    install -o teleport-agent -m 640 /dev/null "$CONFIG/schedule"
    echo -600 >/etc/teleport-standin.window
    start_agent
    wait_for 'the agent to export its schedule' test -s "$CONFIG/schedule"
    install_updater "$(rebuilt 1:9.0.0)" 1:9.0.0
    [[ $(stat -c '%U %a' "$CONFIG/schedule") == 'teleport-agent 640' ]] || failed "the schedule is $(stat -c '%U %a' "$CONFIG/schedule")"
    old=$(in_charge)
    from_now_on
    systemctl start teleport-upgrade.service
    expect_version 16.2.0
    expect_events 'Reloading Reloaded'
    kill -0 "$old" || failed 'the process of the open sessions is gone'
    expect_enrolled
}

v4_a_host_that_teleport_update_manages_is_left_alone() {
    local own=/opt/teleport/default/versions/16.1.7/bin/teleport
    install -D -m 755 /run/lab/bin/agent-16.1.7 $own
    ln -sf $own /usr/local/bin/teleport
    running_agent
    host_with_updater
    window open
    upgrade run
    expect_exit 78
    expect_said 'this host is managed by teleport-update or by hand'
    upgrade force
    expect_exit 78
    systemctl start teleport-upgrade.service && failed 'the unit succeeded'
    expect_journal teleport-upgrade 'this host is managed by teleport-update or by hand'
    [[ $($own version --raw) == 16.1.7 ]] || failed 'the binary was replaced'
    expect_untouched_agent
}

# --- H03: out of the patient's body -------------------------------------------------------------------

h03_an_upgrade_typed_in_the_agents_own_session_outlives_the_session() {
    agent_before_us lab/no-pidfile
    in_a_session "$UPGRADE" force
    wait_for_version 16.2.0
    wait_for 'the session to end' bash -c "! kill -0 $session 2>/dev/null"
    wait_for 'the upgrade to be recorded' grep -q '"code":"upgraded"' "$STATE/record.json"
    expect_journal 'teleport-upgrade*' '[i] upgraded from 16.1.7 to 16.2.0.'
    grep -q 'which outlives it' /run/lab/session || failed "the session was told: $(cat /run/lab/session)"
    expect_active active
    expect_one_start
    expect_held teleport-ent
}


h03_a_package_script_that_restarts_the_agent_meanwhile_kills_nothing_of_ours() {
    agent_before_us lab/restarts_itself
    in_a_session "$UPGRADE" force
    wait_for_version 16.2.0
    wait_for 'the session to end' bash -c "! kill -0 $session 2>/dev/null"
    wait_for 'the upgrade to be recorded' grep -q '"code":"upgraded"' "$STATE/record.json"
    expect_journal 'teleport-upgrade*' '[i] upgraded from 16.1.7 to 16.2.0.'
    expect_nothing_half_done
    expect_agent_in_charge
    expect_one_start
    expect_held teleport-ent
}

h03_what_the_upgrade_says_reaches_a_session_that_lives_on() {
    agent_before_us
    window open
    echo -600 >/etc/teleport-standin.window
    rm "$CONFIG/schedule"
    systemctl restart teleport # so that it is reloaded
    wait_for 'the agent to export its schedule' test -s "$CONFIG/schedule"
    in_a_session "$UPGRADE" run
    wait "$session" || failed "the session ended with $?: $(cat /run/lab/session)"
    expect_version 16.2.0
    wait_for 'the words to arrive' grep -q 'upgraded from 16.1.7 to 16.2.0' /run/lab/session
    expect_journal 'teleport-upgrade*' '[i] upgraded from 16.1.7 to 16.2.0.'
}

h03_a_reader_that_goes_away_changes_nothing() {
    agent_before_us
    "$UPGRADE" force 2>&1 | head -n 1 >/dev/null
    wait_for_version 16.2.0
    wait_for 'the upgrade to be recorded' grep -q '"code":"upgraded"' "$STATE/record.json"
    expect_agent_in_charge
    expect_held teleport-ent
}

# --- V7, H26: orders to end ---------------------------------------------------------------------------

v7_stopping_the_unit_waits_for_the_package_manager_and_for_what_follows_it() {
    agent_before_us lab/slow
    window open
    echo 20 >/run/lab/slow
    systemctl start --no-block teleport-upgrade.service
    wait_for 'the package script to be at work' test -e /run/lab/at-work
    systemctl stop teleport-upgrade.service
    expect_version 16.2.0
    expect_agent_in_charge
    expect_held teleport-ent
    expect_journal teleport-upgrade 'was told to end in the middle of the upgrade: ended it first.'
    expect_journal teleport-upgrade '[i] upgraded from 16.1.7 to 16.2.0.'
}

h26_a_shutdown_waits_for_the_package_manager() {
    agent_before_us lab/slow
    window open
    echo 30 >/run/lab/slow
    systemctl start --no-block teleport-upgrade.service
    wait_for 'the package script to be at work' test -e /run/lab/at-work
    : >/run/lab/goes-down
    systemctl poweroff
    sleep 60
}
after_h26_a_shutdown_waits_for_the_package_manager() {
    expect_version 16.2.0
    expect_nothing_half_done
    # Whether the agent is well on it shows when the host is up again.
    grep -q '"step":"bring-up"' "$STATE/record.json" || failed 'the next boot would not look after the agent'
    expect_held teleport-ent
}

h26_nothing_is_begun_while_the_host_goes_down() {
    running_agent
    host_with_updater
    configure pin 16.2.0
    # shellcheck disable=SC2016
    systemd-run -q -p DefaultDependencies=no --unit=late bash -c '
        until [[ $(systemctl is-system-running) == stopping ]]; do sleep 0.02; done
        /usr/sbin/teleport-upgrade force >/var/log/late 2>&1; echo "exit $?" >>/var/log/late'
    systemd-run -q -p Type=oneshot -p RemainAfterExit=yes -p ExecStop='sleep 3' --unit=keeps-it-up true
    : >/run/lab/goes-down
    systemctl poweroff
    sleep 60
}
after_h26_nothing_is_begun_while_the_host_goes_down() {
    grep -q 'this host is shutting down: nothing is begun now' /var/log/late || failed "it said: $(cat /var/log/late)"
    grep -qx 'exit 75' /var/log/late || failed "it ended with $(tail -n 1 /var/log/late)"
    expect_version 16.1.7
}

# --- H32: the life of the package ---------------------------------------------------------------------

h32_an_upgrade_of_the_package_never_touches_the_agent_and_restores_what_it_found() {
    agent_before_us
    install_updater "$(rebuilt 1:9.0.0)" 1:9.0.0
    expect_timer enabled active
    systemctl stop $TIMER
    install_updater "$(rebuilt 1:9.0.1)" 1:9.0.1
    expect_timer enabled inactive
    systemctl disable -q $TIMER
    install_updater "$(rebuilt 1:9.0.2)" 1:9.0.2
    expect_timer disabled inactive
    expect_untouched_agent
}

installing_succeeds_where_there_is_no_agent_and_where_its_unit_is_masked_or_cannot_reload() {
    systemctl mask -q teleport
    host_with_updater
    expect_timer enabled active
    remove_updater
    systemctl unmask -q teleport
    channel lab/no-reload && refresh && reinstall 16.1.7
    start_agent
    install_updater
    expect_timer enabled active
    remove_updater
    remove_agent
    [[ $(systemctl show -p LoadState --value teleport.service) != loaded ]] || failed 'the unit is still there'
    install_updater
    expect_timer enabled active
}

# --- the vendor's package of the same name ------------------------------------------------------------

the_vendors_package_is_replaced_and_its_configuration_is_kept() {
    running_agent
    bare_host
    install_updater "$(stock 16.1.7)" 16.1.7
    expect_file /etc/systemd/system/teleport.service.wants/$TIMER
    stock_hold
    configure endpoint updates.example.test/v1/stable/cloud
    configure installer "$MANAGER"
    configure package teleport-ent
    configure verify-seconds 1
    : >"$CONFIG/mark-unhealthy"
    chmod 666 "$CONFIG/installer"
    install_updater
    expect_said "teleport-ent is held already: taking the hold over as this program's own."
    expect_held teleport-ent
    expect_said "$CONFIG/installer could be written by others than root"
    [[ ! -e /usr/share/teleport-upgrade && ! -e $CONFIG/mark-unhealthy && ! -e ${DROP_IN%/*}/stock-updater.conf ]] || failed 'files of the vendor are left'
    [[ ! -e /etc/systemd/system/teleport.service.wants ]] || failed "the agent still wants the timer"
    [[ $("$UPGRADE" version) == "v${OURS#*:}" ]] || failed 'the program is not ours'
    expect_timer enabled active
    expect_untouched_agent
    window open
    systemctl start teleport-upgrade.service
    expect_version 16.2.0
    expect_held teleport-ent
    # A hold that comes later is the administrator's.
    rm "$STATE/hold"
    offer 16.2.1
    window open
    upgrade run
    expect_said "the administrator's hold wins"
    expect_version 16.2.0
}

ours_stays_ours_whatever_the_vendor_offers_and_no_upgrade_of_the_agent_takes_it_along() {
    agent_before_us
    offer_package "$(rebuilt 1:99.0.0)"
    window open
    systemctl start teleport-upgrade.service
    expect_version 16.2.0
    expect_updater "$OURS"
    rm "$POOL"/stable/cloud/*-99.0.0*
    offer_package "$(stock 99.0.0)"
    upgrade_all_of_it
    expect_updater "$OURS"
    expect_version 16.2.0
}

# --- units --------------------------------------------------------------------------------------------

the_units_are_sound_and_the_timer_is_as_it_is_meant_to_be() {
    host_with_updater
    systemd-analyze verify --man=no $TIMER teleport-upgrade.service teleport.service 2>&1 | tee /tmp/verify
    ! grep -q teleport-upgrade /tmp/verify || failed 'systemd finds fault with the units'
    [[ $(systemctl show -p FixedRandomDelay --value $TIMER) == yes ]] || failed 'hosts have no offset of their own'
    [[ $(systemctl show -p RandomizedDelayUSec --value $TIMER) == 4min ]] || failed 'the spread is not 4 min'
    [[ $(systemctl show -p TimersMonotonic --value $TIMER) == *OnUnitInactiveUSec=28min*OnActiveUSec=9min* ||
        $(systemctl show -p TimersMonotonic --value $TIMER) == *OnActiveUSec=9min*OnUnitInactiveUSec=28min* ]] ||
        failed "the cadence is $(systemctl show -p TimersMonotonic --value $TIMER)"
    [[ $(systemctl show -p KillMode,TimeoutStartUSec,OOMPolicy --value teleport-upgrade.service | sort | paste -sd' ') == 'continue infinity process' ]] ||
        failed 'something may end a package manager in the middle'
    ! systemctl cat teleport-upgrade.timer | grep -q 'WantedBy=teleport' || failed 'the agent wants the timer'
}
