# shellcheck shell=bash disable=SC2034,SC2154 # shared with the cases
# Sourced by the cases of hosts that are watched: a node_exporter as Debian ships it, and what it shows of us.

# Where Debian's node_exporter looks for text files; no setting of it is changed.
TEXTFILES=/var/lib/prometheus/node-exporter
SHOWN=/run/lab/shown

# metrics_of_a_run: a run has left its metrics in $TEXTFILES, all that there are.
metrics_of_a_run() { lay_out_metrics; }

# TO BE REPLACED once our program writes them: `configure metrics $TEXTFILES`, then `upgrade run` outside a window of a host that has
# been upgraded before. By hand until then.
lay_out_metrics() {
    cat >$TEXTFILES/teleport_upgrade.prom <<'METRICS'
# HELP teleport_upgrade_info Versions on this host, as labels.
# TYPE teleport_upgrade_info gauge
teleport_upgrade_info{updater="0.9.0",installed="16.1.7",target="16.2.0"} 1
# HELP teleport_upgrade_converged Whether the agent was on the wanted version at the last check.
# TYPE teleport_upgrade_converged gauge
teleport_upgrade_converged 0
# HELP teleport_upgrade_last_check_timestamp_seconds When the last run ended, however it ended.
# TYPE teleport_upgrade_last_check_timestamp_seconds gauge
teleport_upgrade_last_check_timestamp_seconds 1795608000
# HELP teleport_upgrade_last_success_timestamp_seconds When a run last ended well.
# TYPE teleport_upgrade_last_success_timestamp_seconds gauge
teleport_upgrade_last_success_timestamp_seconds 1795608000
# HELP teleport_upgrade_last_convergence_timestamp_seconds When a run last saw the agent on the wanted version.
# TYPE teleport_upgrade_last_convergence_timestamp_seconds gauge
teleport_upgrade_last_convergence_timestamp_seconds 1795521611
# HELP teleport_upgrade_next_window_start_timestamp_seconds When the open or next window begins.
# TYPE teleport_upgrade_next_window_start_timestamp_seconds gauge
teleport_upgrade_next_window_start_timestamp_seconds 1795615200
# HELP teleport_upgrade_next_window_end_timestamp_seconds When the open or next window ends.
# TYPE teleport_upgrade_next_window_end_timestamp_seconds gauge
teleport_upgrade_next_window_end_timestamp_seconds 1795618800
# HELP teleport_upgrade_changes_total Changes of the agent's version, by what came of them.
# TYPE teleport_upgrade_changes_total counter
teleport_upgrade_changes_total{result="upgraded"} 3
teleport_upgrade_changes_total{result="failed"} 0
teleport_upgrade_changes_total{result="went-back"} 1
teleport_upgrade_changes_total{result="rolled-back"} 0
# HELP teleport_upgrade_last_run_duration_seconds How long the last run took.
# TYPE teleport_upgrade_last_run_duration_seconds gauge
teleport_upgrade_last_run_duration_seconds 0.0042
# HELP teleport_upgrade_last_run_exit_code How the last run ended.
# TYPE teleport_upgrade_last_run_exit_code gauge
teleport_upgrade_last_run_exit_code 0
# HELP teleport_upgrade_agent_down_seconds How long the agent was down during the last upgrade.
# TYPE teleport_upgrade_agent_down_seconds gauge
teleport_upgrade_agent_down_seconds 0.9
# HELP teleport_upgrade_blocked Why the agent is not on the wanted version.
# TYPE teleport_upgrade_blocked gauge
teleport_upgrade_blocked{reason="outside-window"} 1
METRICS
}

# One scrape, in $SHOWN. What node_exporter shows is of this very moment.
scrape() { curl -fs --max-time 5 http://localhost:9100/metrics >$SHOWN; }

# series FILE: those of ours, one a line with its value, in an order and spelling of our own: node_exporter sorts labels and writes
# 1.795608e+09.
# shellcheck disable=SC2016
series() {
    perl -ne 'my ($name, $labels, $value) = /^(teleport_upgrade_\w+)(?:\{(.*)\})? (\S+)$/ or next;
        printf "%s{%s} %.6f\n", $name, join(",", sort(($labels // "") =~ /\w+="[^"]*"/g)), $value' "$1" | sort
}
# names FILE: those of ours without values, and without what differs from host to host.
names() { series "$1" | sed -E 's/\} .*/}/; s/(installed|target|updater|reason)="[^"]+"/\1/g'; }
explanations() { grep -E '^# (HELP|TYPE) teleport_upgrade_' "$1" | sort; }
