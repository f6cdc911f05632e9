# shellcheck shell=bash disable=SC2154,SC2034 # host.sh sets code, said, out, old
# What a person and a monitor learn of a booted host with our package, the same for every package manager; what status says in each state, word
# by word, is in screens.sh. Each function is a case.
# shellcheck source=tests/distro/updater-host.sh
source "${BASH_SOURCE[0]%/*}/updater-host.sh"

# An enrolled agent, and a run as the timer makes it, which may fail.
enrolled_host() {
    agent_before_us
    systemctl restart teleport
    wait_for 'the agent to export its schedule' test -s "$CONFIG/schedule"
    window closed
}
a_run() { systemctl start teleport-upgrade.service || true; }

h27_a_timer_that_died_silently_is_named_with_what_starts_it_again() {
    enrolled_host
    a_run
    upgrade status
    expect_exit 0
    expect_said 'timer      next run '
    systemctl stop $TIMER
    upgrade status
    expect_exit 1
    expect_said "$TIMER is inactive and enabled: nothing runs this program"
    expect_said "next: systemctl enable --now $TIMER"
    # It runs, and what it starts is somebody else's by now.
    systemctl start $TIMER
    mkdir -p /etc/systemd/system/teleport-upgrade.service.d
    printf '[Service]\nExecStart=\nExecStart=/bin/true\n' >/etc/systemd/system/teleport-upgrade.service.d/replaced.conf
    systemctl daemon-reload
    upgrade status
    expect_exit 1
    expect_said 'starts something else, or nothing: look at /etc/systemd/system/teleport-upgrade.service.d/replaced.conf'
}

h28_failing_for_weeks_is_seen_in_the_journal_the_exit_code_and_the_metrics() {
    local metrics=/srv/metrics since=1789000000
    enrolled_host
    mkdir -p $metrics
    configure metrics $metrics
    a_run
    grep -qE '^teleport_upgrade_last_success_timestamp_seconds [1-9]' $metrics/teleport_upgrade.prom || failed "no success: $(cat $metrics/teleport_upgrade.prom)"
    # Long ago.
    sed -i -E "s/\"(succeeded|converged)\":[0-9]+/\"\1\":$since/g" "$STATE/record.json"
    offer 16.9.0
    window open
    a_run
    journalctl --sync
    journalctl -q -o cat -u teleport-upgrade -p warning >/tmp/warnings
    grep -q '16.9.0 is not in the repository' /tmp/warnings || failed "the journal warns of: $(cat /tmp/warnings)"
    grep -qx 'teleport_upgrade_blocked{reason="repository"} 1' $metrics/teleport_upgrade.prom || failed "the metrics say: $(cat $metrics/teleport_upgrade.prom)"
    grep -qx "teleport_upgrade_last_success_timestamp_seconds $since" $metrics/teleport_upgrade.prom || failed "the metrics say: $(cat $metrics/teleport_upgrade.prom)"
    upgrade status
    expect_exit 1
    expect_said '16.9.0 is not in the repository'
}

h29_why_it_did_not_upgrade_is_said_alike_by_the_run_the_record_and_the_screen() {
    local reason
    enrolled_host
    while read -r reason words; do
        case $reason in
            outside-window) window closed ;;
            paused) upgrade pause --for 2h --reason 'ticket 4711' ;;
            blocked) upgrade resume; window open; stock_hold ;;
        esac
        a_run
        expect_version 16.1.7
        grep -q "\"code\":\"$reason\"" "$STATE/record.json" || failed "the record does not say $reason: $(cat "$STATE/record.json")"
        upgrade status
        expect_said "($reason)"
        expect_said "$words"
    done <<'REASONS'
outside-window the window opens
paused ticket 4711
blocked the hold ends
REASONS
}
