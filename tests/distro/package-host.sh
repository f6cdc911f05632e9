# shellcheck shell=bash disable=SC2034,SC2119,SC2120,SC2154 # shared with the cases
# Sourced by the cases of our own package: installing it as a person does, and what a host is like after it.

PACKAGE=/run/lab/teleport-ent-updater.deb
DROP_IN=/lib/systemd/system/teleport.service.d/teleport-upgrade.conf
TIMER=teleport-upgrade.timer
LINK=/etc/systemd/system/timers.target.wants/$TIMER
NOT_ENROLLED='agent is not enrolled until it is restarted: systemctl restart teleport (ends open sessions)'
OURS=$(dpkg-deb -f "$PACKAGE" Version)
export session='' seen=0

# As if nobody had ever laid out our program, its configuration or its state.
bare_host() { rm -rf "$UPGRADE" "$CONFIG" "$STATE"; }

# apt ARGUMENT...: apt-get as a person uses it, for packages that are here; its words are in $said, its exit code in $code.
apt() {
    note "apt-get $*"
    code=0
    apt-get -q -y "$@" </dev/null >/run/lab/said 2>&1 || code=$?
    said=$(cat /run/lab/said) out=''
    cat /run/lab/said
}
install_updater() { # install_updater [FILE]
    apt install --allow-downgrades "${1:-$PACKAGE}"
    expect_exit 0
    expect_version teleport-ent-updater "${2:-$OURS}"
}
# A host with our package and a configured endpoint.
host_with_updater() {
    bare_host
    install_updater
    configure endpoint updates.example.test/v1/stable/cloud
}
# The agent runs, as $old, and has done so since before our package came; 16.2.0 is offered. agent_before_us [CHANNEL]
agent_before_us() {
    running_agent "$@"
    host_with_updater
}
# build ARGUMENT...: deb/build of this very tree, with its person's cargo, without network.
build() {
    local home
    home=$(cat /run/lab/home)
    env PATH="$home/.cargo/bin:$PATH" CARGO_HOME="$home/.cargo" RUSTUP_HOME="$home/.rustup" CARGO_NET_OFFLINE=true \
        CARGO_TARGET_DIR=/tmp/target /run/lab/tree/deb/build "$@"
}
# rebuilt VERSION: our package under that version, as a file.
rebuilt() {
    local tree=/tmp/rebuilt
    rm -rf $tree
    dpkg-deb -R "$PACKAGE" $tree
    sed -i "s/^Version: .*/Version: $1/" $tree/DEBIAN/control
    dpkg-deb --root-owner-group -Zgzip -z1 --build $tree "/tmp/updater-${1#*:}.deb" >/dev/null
    echo "/tmp/updater-${1#*:}.deb"
}

# stock VERSION: the vendor's package of the same name, as far as ours meets it, as a file: a script, units, a timer wanted by the agent.
stock() {
    local tree=/tmp/stock units=lib/systemd/system
    rm -rf $tree
    mkdir -p $tree/{DEBIAN,usr/sbin,usr/share/teleport-upgrade,etc/teleport-upgrade.d,$units/teleport.service.d}
    printf '#!/bin/bash\necho "v%s"\n' "$1" >$tree/usr/sbin/teleport-upgrade
    chmod 755 $tree/usr/sbin/teleport-upgrade
    echo 'of the stock updater' >$tree/usr/share/teleport-upgrade/notes
    printf '[Unit]\nDescription=stock\n[Service]\nType=oneshot\nExecStart=/usr/sbin/teleport-upgrade run\n' >$tree/$units/teleport-upgrade.service
    printf '[Timer]\nOnActiveSec=9m\nOnUnitActiveSec=28m\n[Install]\nWantedBy=teleport.service\n' >$tree/$units/$TIMER
    printf '[Service]\nEnvironment=TELEPORT_EXT_UPGRADER=unit\n' >$tree/$units/teleport.service.d/stock-updater.conf
    # shellcheck disable=SC2016
    printf '#!/bin/sh\nset -e\n[ "$1" != configure ] || [ ! -d /run/systemd/system ] || { systemctl daemon-reload; systemctl -q enable --now %s; }\n' $TIMER >$tree/DEBIAN/postinst
    printf '#!/bin/sh\nset -e\n[ ! -d /run/systemd/system ] || systemctl -q disable --now %s\n' $TIMER >$tree/DEBIAN/prerm
    chmod 755 $tree/DEBIAN/{postinst,prerm}
    printf 'Package: teleport-ent-updater\nVersion: %s\nArchitecture: all\nMaintainer: Test lab <lab@example.test>\nDescription: stock updater\n' \
        "$1" >$tree/DEBIAN/control
    dpkg-deb --root-owner-group -Zgzip -z1 --build $tree "/tmp/stock-$1.deb" >/dev/null
    echo "/tmp/stock-$1.deb"
}

# offer_package FILE: the agent's repository has that package, too.
offer_package() {
    # shellcheck source=tests/distro/publish.sh
    source "${BASH_SOURCE[0]%/*}/publish.sh"
    cp "$1" "$POOL/stable/cloud/"
    index stable/cloud
    release debian
    sign debian teleport
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
all_events() { journalctl -q --no-pager -o cat _PID=1 UNIT=teleport.service | grep -oE '^(Started|Stopping|Stopped|Reloading|Reloaded)'; }
from_now_on() { seen=$(all_events | wc -l); }
events() { all_events | tail -n "+$((seen + 1))" | paste -sd' '; }
expect_events() { [[ $(events) == "$1" ]] || failed "expected systemd to have done '$1' with the agent, it did '$(events)'"; }
expect_journal() { # expect_journal PATTERN WORDS
    journalctl -q --no-pager -o cat -u "$1" | grep -qF -- "$2" || failed "expected the journal of $1 to say: $2"
}
expect_timer() { # expect_timer enabled|disabled active|inactive
    local is
    is="$(systemctl is-enabled $TIMER || true) $(systemctl is-active $TIMER || true)"
    [[ $is == "$1 $2" ]] || failed "expected the timer to be $1 and $2, it is $is"
}
expect_untouched_agent() { [[ $(in_charge) == "$old" && $(starts_of 16.1.7) == 1 ]] || failed 'the agent was touched'; }
# The process in charge has what makes it export its windows in its own environment.
expect_enrolled() { grep -qz '^TELEPORT_EXT_UPGRADER=unit$' "/proc/${1:-$(in_charge)}/environ" || failed 'expected the agent to be enrolled'; }
expect_not_enrolled() { ! grep -qz '^TELEPORT_EXT_UPGRADER=unit$' "/proc/$(in_charge)/environ" || failed 'expected the agent not to be enrolled'; }

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
