# shellcheck shell=bash disable=SC2034,SC2119,SC2120,SC2154 # shared with the cases
# Sourced by the cases of our own package: what a host is like that has it, whatever its package manager. updater-deb.sh and
# updater-rpm.sh say how it gets there: install_updater, remove_updater, updater_version, rebuilt, stock, offer_package.

TIMER=teleport-upgrade.timer
LINK=/etc/systemd/system/timers.target.wants/$TIMER
NOT_ENROLLED='agent is not enrolled until it is restarted: systemctl restart teleport (ends open sessions)'
OUR_VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' /run/lab/tree/Cargo.toml | head -n 1)
OURS=1:$OUR_VERSION
export session='' seen=0

# As if nobody had ever laid out our program, its configuration or its state.
bare_host() { rm -rf "$UPGRADE" "$CONFIG" "$STATE"; }

# A host with our package and a configured endpoint.
host_with_updater() {
    bare_host
    install_updater
    configure endpoint updates.example.test/v1/stable/cloud
    configure verify-seconds 1
}
# The agent runs, as $old, and has done so since before our package came; 16.2.0 is offered. agent_before_us [CHANNEL]
agent_before_us() {
    running_agent "$@"
    host_with_updater
}
expect_updater() { [[ $(updater_version) == "$1" ]] || failed "expected our package to be $1, it is $(updater_version)"; }

# build FORMAT ARGUMENT...: deb/build or rpm/build.
build() { in_tree "$1/build" "${@:2}"; }
# in_tree PROGRAM ARGUMENT...: one of this very tree, or of the copy $TREE, with its person's cargo, without network.
in_tree() {
    local home
    home=$(cat /run/lab/home)
    env PATH="$home/.cargo/bin:$PATH" CARGO_HOME="$home/.cargo" RUSTUP_HOME="$home/.rustup" CARGO_NET_OFFLINE=true \
        CARGO_TARGET_DIR=/tmp/target "${TREE:-/run/lab/tree}/$1" "${@:2}"
}

# --- time and sessions (booted sandboxes only) --------------------------------------------------------

# The timer fires at once, and again three seconds after each run.
hurry_timer() {
    mkdir -p "/etc/systemd/system/$TIMER.d"
    printf '[Timer]\nOnActiveSec=\nOnActiveSec=100ms\nOnUnitInactiveSec=3s\nAccuracySec=10ms\nRandomizedDelaySec=0\n' >"/etc/systemd/system/$TIMER.d/hurry.conf"
    systemctl daemon-reload
    systemctl restart "$TIMER"
}
wait_for_version() { wait_for "the agent to be on $1" bash -c "[[ \$(/usr/local/bin/teleport version --raw) == $1 ]]"; }
# shellcheck disable=SC2016
wait_for_the_run() { wait_for 'the run to end' bash -c '! systemctl is-active -q teleport-upgrade.service && [[ $(systemctl show -p ActiveState --value teleport-upgrade.service) != activating ]]'; }
# What systemd did with the agent since from_now_on, a word each, in order.
all_events() { journalctl --sync; journalctl -q --no-pager -o cat _PID=1 UNIT=teleport.service | grep -oE '^(Started|Stopping|Stopped|Reloading|Reloaded)'; }
from_now_on() { seen=$(all_events | wc -l); }
events() { all_events | tail -n "+$((seen + 1))" | paste -sd' '; }
expect_events() { [[ $(events) == "$1" ]] || failed "expected systemd to have done '$1' with the agent, it did '$(events)'"; }
expect_journal() { # expect_journal PATTERN WORDS: said by now, or within half a minute, since a run speaks after it has written.
    wait_for "the journal of $1 to say: $2" journal_says "$@"
}
journal_says() { journalctl --sync; journalctl -q --no-pager -o cat -u "$1" | grep -qF -- "$2"; }
expect_timer() { # expect_timer enabled|disabled active|inactive
    local is
    is="$(systemctl is-enabled $TIMER || true) $(systemctl is-active $TIMER || true)"
    [[ $is == "$1 $2" ]] || failed "expected the timer to be $1 and $2, it is $is"
}
expect_untouched_agent() { [[ $(in_charge) == "$old" && $(starts_of 16.1.7) == 1 ]] || failed 'the agent was touched'; }
# The process in charge has what makes it export its windows in its own environment.
expect_enrolled() { grep -qz '^TELEPORT_EXT_UPGRADER=unit$' "/proc/${1:-$(in_charge)}/environ" || failed 'expected the agent to be enrolled'; }
expect_not_enrolled() { ! grep -qz '^TELEPORT_EXT_UPGRADER=unit$' "/proc/$(in_charge)/environ" || failed 'expected the agent not to be enrolled'; }

expect_no_hold() { (expect_not_held teleport-ent) 2>/dev/null; }

# in_a_session COMMAND...: in a process of the agent's control group, as all of its sessions are; as $session, speaking to a pipe whose
# reader writes /run/lab/session.
in_a_session() {
    local group
    group=$(systemctl show -p ControlGroup --value teleport.service)
    mkfifo /run/lab/stream
    cat /run/lab/stream >/run/lab/session &
    # shellcheck disable=SC2016
    bash -c 'for home in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
                 [[ ! -e $home$0/cgroup.procs ]] || echo $$ >"$home$0/cgroup.procs"
             done
             exec "$@"' "$group" "$@" </dev/null >/run/lab/stream 2>&1 &
    session=$!
}

# shellcheck source=tests/distro/updater-deb.sh
source "${BASH_SOURCE[0]%/*}/updater-$([[ $MANAGER == apt ]] && echo deb || echo rpm).sh"
