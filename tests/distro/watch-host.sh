# shellcheck shell=bash disable=SC2034,SC2154 # shared with the cases
# Sourced by the cases of hosts that are watched: a node_exporter as Debian ships it, and what it shows of us.

# Where Debian's node_exporter looks for text files; no setting of it is changed.
TEXTFILES=/var/lib/prometheus/node-exporter
SHOWN=/run/lab/shown

# metrics_of_a_run: a host that was upgraded, and whose last run waits for the next window, has left its metrics in $TEXTFILES.
metrics_of_a_run() {
    configure metrics $TEXTFILES
    offer 16.2.0
    window open
    upgrade run
    expect_version 16.2.0
    offer 16.2.1
    window closed
    upgrade run
    expect_exit 0
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
