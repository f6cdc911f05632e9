# shellcheck shell=bash
# Watching a host: the alert rules that we ship, and our metrics in a real node_exporter. Each function is a case.
# shellcheck source=tests/distro/watch-host.sh
source "${BASH_SOURCE[0]%/*}/watch-host.sh"

the_alert_rules_are_sound_fire_when_they_must_and_not_before() {
    promtool check rules /run/lab/tree/package/teleport-upgrade.rules.yml || failed 'the rules are not sound'
    promtool test rules /run/lab/tree/tests/alerts/teleport-upgrade.yml || failed 'a rule fires when it must not, or does not when it must'
    dpkg-deb -x /run/lab/teleport-ent-updater.deb /tmp/package
    cmp /tmp/package/usr/share/doc/teleport-ent-updater/teleport-upgrade.rules.yml /run/lab/tree/package/teleport-upgrade.rules.yml ||
        failed 'the package brings other rules'
}

every_metric_of_a_run_is_shown_by_debians_own_node_exporter_and_no_fault_is_found_in_it() {
    systemctl start prometheus-node-exporter
    metrics_of_a_run
    wait_for 'node_exporter to answer' scrape
    grep -qx 'node_textfile_scrape_error 0' $SHOWN ||
        failed "node_exporter does not take the file: $(journalctl -q --no-pager -o cat -u prometheus-node-exporter | grep 'level=error collector=textfile')"
    cat >/tmp/expected <<'NAMES'
teleport_upgrade_agent_down_seconds{}
teleport_upgrade_blocked{reason}
teleport_upgrade_changes_total{result="failed"}
teleport_upgrade_changes_total{result="rolled-back"}
teleport_upgrade_changes_total{result="upgraded"}
teleport_upgrade_changes_total{result="went-back"}
teleport_upgrade_converged{}
teleport_upgrade_info{installed,target,updater}
teleport_upgrade_last_check_timestamp_seconds{}
teleport_upgrade_last_convergence_timestamp_seconds{}
teleport_upgrade_last_run_duration_seconds{}
teleport_upgrade_last_run_exit_code{}
teleport_upgrade_last_success_timestamp_seconds{}
teleport_upgrade_next_window_end_timestamp_seconds{}
teleport_upgrade_next_window_start_timestamp_seconds{}
NAMES
    diff /tmp/expected <(names $SHOWN) || failed 'other series are shown than are promised'
    diff <(series $TEXTFILES/teleport_upgrade.prom) <(series $SHOWN) || failed 'the values are others than those of the run'
    diff <(explanations $TEXTFILES/teleport_upgrade.prom) <(explanations $SHOWN) || failed 'they are explained in other words than those of the run'
    promtool check metrics <$TEXTFILES/teleport_upgrade.prom || failed 'there is a fault in the file'
}
