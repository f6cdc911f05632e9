# shellcheck shell=bash
# Sourced inside a sandbox: what a case does to its host, and what it expects to find afterwards. A case starts
# on a host with agent 16.1.7 installed from the signed repository (see repository.sh) and our program in place.
# Every expectation that fails ends the case, saying what was expected and what is there.

STATE=/var/lib/teleport-upgrade
CONFIG=/etc/teleport-upgrade.d
SOURCE=/etc/apt/sources.list.d/teleport.list
UPGRADE=/usr/sbin/teleport-upgrade
KEYRING=/etc/apt/keyrings/teleport-archive-keyring.asc
export DEBIAN_FRONTEND=noninteractive
# What the last run did, and the process that the last helper has started.
export code='' said='' out='' old='' holder=''

note() { printf -- '-- %s\n' "$*"; }
failed() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

# --- the world around ---------------------------------------------------------------------------------

# One nginx: the apt repositories and the version server, over TLS.
serve() { nginx -c /srv/lab/nginx.conf; }
stop_serving() { kill "$(cat /run/lab/nginx.pid)"; while [[ -e /run/lab/nginx.pid ]]; do sleep 0.02; done; }

# offer VERSION [yes|no]: what the version server says, and whether it calls it critical.
offer() {
    local channel=/srv/lab/answers/v1/stable/cloud
    mkdir -p "$channel"
    printf '%s\n' "$1" >"$channel/version"
    printf '%s\n' "${2:-no}" >"$channel/critical"
}

# repository NAME CHANNEL [list|sources]: where the host gets its agent from.
repository() {
    local url=https://apt.releases.teleport.dev/$1 codename
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
    rm -f "${SOURCE%.list}".{list,sources}
    if [[ ${3:-list} == list ]]; then
        printf 'deb [signed-by=%s] %s %s %s\n' "$KEYRING" "$url" "$codename" "$2" >"$SOURCE"
    else
        printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: %s\nSigned-By: %s\n' "$url" "$codename" "$2" "$KEYRING" \
            >"${SOURCE%.list}.sources"
    fi
}

# apt as a person would use it, for this one repository.
apt_here() {
    local file
    for file in "${SOURCE%.list}".{list,sources}; do [[ ! -e $file ]] || break; done
    apt-get -q -y --allow-downgrades --allow-change-held-packages -o Dir::Etc::sourcelist="$file" -o Dir::Etc::sourceparts=- \
        -o APT::Get::List-Cleanup=0 "$@"
}
refresh() { apt_here -o APT::Update::Error-Mode=any update; }

# repository_becomes NAME: from now on the good repository's indexes are those of apt/NAME.
repository_becomes() {
    rm -r /srv/lab/apt/debian/dists
    cp -r "/srv/lab/apt/$1/dists" /srv/lab/apt/debian/dists
}

# --- others at work -----------------------------------------------------------------------------------

# Somebody's dpkg, as $holder, with its locks held by a package script until release_dpkg_lock.
hold_dpkg_lock() {
    local tree=/tmp/lab-slow
    mkdir -p "$tree/DEBIAN"
    printf 'Package: lab-slow\nVersion: 1.0\nArchitecture: all\nMaintainer: Test lab <lab@example.test>\nDescription: takes its time\n' \
        >"$tree/DEBIAN/control"
    printf '#!/bin/sh\n: >/run/lab/slow\nwhile [ -e /run/lab/slow ]; do sleep 0.1; done\n' >"$tree/DEBIAN/postinst"
    chmod 755 "$tree/DEBIAN/postinst"
    dpkg-deb --root-owner-group --build "$tree" /tmp/lab-slow.deb >/dev/null
    dpkg -i /tmp/lab-slow.deb >/dev/null 2>&1 &
    holder=$!
    wait_for 'the slow package script' test -e /run/lab/slow
}
release_dpkg_lock() { rm /run/lab/slow; }

# Somebody's `apt-get update`, as $holder, that has the lists' lock and waits for a server that never answers.
hold_lists_lock() {
    perl -MIO::Socket::INET -e 'my $silent = IO::Socket::INET->new(LocalPort => 9999, Listen => 5) or die; sleep 300' &
    echo 'deb [trusted=yes] http://127.0.0.1:9999/ nowhere main' >/tmp/silent.list
    wait_for 'the silent server' bash -c ': 2>/dev/null </dev/tcp/127.0.0.1/9999'
    apt-get -q update -o Dir::Etc::sourcelist=/tmp/silent.list -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0 >/dev/null 2>&1 &
    holder=$!
    wait_for 'the lists to be locked' bash -c "ls -l /proc/$holder/fd | grep -q lists/lock"
}

wait_for() { # wait_for WHAT COMMAND...
    local what=$1
    shift
    for _ in {1..200}; do if "$@"; then return; fi; sleep 0.05; done
    failed "waited ten seconds for $what"
}

# --- the host -----------------------------------------------------------------------------------------

# A configured host, in front of a server that offers nothing yet; called before every case.
prepare_host() {
    umask 022
    install -m 755 /run/lab/bin/teleport-upgrade "$UPGRADE"
    mkdir -p "$CONFIG" "$STATE"
    configure endpoint updates.example.test/v1/stable/cloud
    serve
}

configure() { printf '%s\n' "$2" >"$CONFIG/$1"; chmod 644 "$CONFIG/$1"; }

# window open|closed|past|empty|none: the schedule that the agent has exported.
window() {
    local now
    now=$(date +%s)
    case $1 in
        open) configure schedule "$((now - 600)) $((now + 3000))" ;;
        closed) configure schedule "$((now + 7200)) $((now + 10800))" ;;
        past) configure schedule "$((now - 90000)) $((now - 86400))" ;;
        empty) : >"$CONFIG/schedule" ;;
        none) rm -f "$CONFIG/schedule" ;;
        *) failed "window: no such window: $1" ;;
    esac
}

# upgrade COMMAND...: runs our program; its words are in $said, its exit code in $code.
upgrade() {
    note "teleport-upgrade $*"
    code=0
    timeout --kill-after=5 "${UPGRADE_LIMIT:-120}" "$UPGRADE" "$@" </dev/null >/run/lab/out 2>/run/lab/said || code=$?
    echo "$code" >/run/lab/code
    said=$(cat /run/lab/said)
    out=$(cat /run/lab/out)
    cat /run/lab/out /run/lab/said
    note "exit $code"
}

# The version of a package, or none; settings that a removed package left are not a version.
installed() {
    # shellcheck disable=SC2016
    dpkg-query -W -f '${db:Status-Status} ${Version}\n' "$1" 2>/dev/null |
        awk '$1 != "not-installed" && $1 != "config-files" { version = $2 } END { print version ? version : "none" }' || true
}

# Everything a run could have changed on this host: files with their times, down to the nanosecond.
snapshot() {
    find /run/lab/upper /run /tmp \( -path /run/lab/upper -prune -o -path '/run/lab/*' -prune \) -o \
        -printf '%p %y %m %U:%G %n %s %T@ %C@ %l\n' | grep -v '^/run/lab ' | sort
    find /run/lab/upper -printf '%p %y %m %U:%G %n %s %T@ %C@ %l\n' | sort
}

# --- expectations -------------------------------------------------------------------------------------

expect_exit() { [[ $code == "$1" ]] || failed "expected exit $1, got $code"; }
expect_said() { [[ $said$'\n'$out == *"$1"* ]] || failed "expected it to say: $1"; }
expect_unsaid() { [[ $said$'\n'$out != *"$1"* ]] || failed "expected it not to say: $1"; }
# Two arguments: the package and its version. One: the agent, and its program must agree with dpkg.
expect_version() {
    if (($# == 2)); then
        [[ $(installed "$1") == "$2" ]] || failed "expected $1 $2, dpkg has $(installed "$1")"
        return
    fi
    expect_version teleport-ent "$1"
    [[ $(/usr/local/bin/teleport version --raw) == "$1" ]] || failed "expected the program to be $1, it is $(teleport version --raw)"
}
expect_held() { apt-mark showhold | grep -qx "${1:-teleport-ent}" || failed "expected ${1:-teleport-ent} to be held"; }
expect_not_held() { ! apt-mark showhold | grep -qx "${1:-teleport-ent}" || failed "expected ${1:-teleport-ent} not to be held"; }
expect_file() { [[ -e $1 ]] || failed "expected the file $1"; }
expect_asked() { grep -qF -- "$1" /run/lab/asked || failed "expected a request for $1"; }
expect_not_asked() { ! grep -qF -- "$1" /run/lab/asked || failed "expected no request for $1"; }
# expect_nothing_changed BEFORE: compared with an earlier snapshot.
expect_nothing_changed() {
    local difference
    difference=$(diff <(printf '%s\n' "$1") <(snapshot)) || failed "expected nothing to change, but:"$'\n'"$difference"
}

# --- running agents (booted sandboxes, but for in_charge) ---------------------------------------------

in_charge() { cat /run/teleport.pid; }
start_agent() {
    systemctl daemon-reload
    systemctl start teleport
    wait_for 'the agent to write its PID file' test -s /run/teleport.pid
}
# running_agent [CHANNEL]: agent 16.1.7 of that channel runs, as $old, in a window with 16.2.0 on offer.
running_agent() {
    if [[ -n ${1:-} ]]; then
        repository debian "$1"
        refresh
        apt_here install --reinstall teleport-ent=16.1.7
    fi
    echo 60 >/etc/teleport-standin.drain
    start_agent
    old=$(in_charge)
    offer 16.2.0
    window open
}
# The process in charge runs the file that is installed now, inside the unit.
expect_agent_in_charge() {
    local pid
    pid=$(in_charge)
    [[ $(readlink "/proc/$pid/exe") == /usr/local/bin/teleport ]] || failed "expected $pid to run the installed agent, it runs $(readlink "/proc/$pid/exe")"
    grep -q 'teleport\.service' "/proc/$pid/cgroup" || failed "expected $pid to be in teleport.service"
    systemctl is-active --quiet teleport || failed "expected teleport.service to be active, it is $(systemctl is-active teleport)"
}
expect_active() { [[ $(systemctl is-active teleport) == "$1" ]] || failed "expected teleport.service to be $1, it is $(systemctl is-active teleport)"; }
# How often an agent of that version was started in this sandbox.
starts_of() { journalctl -q --no-pager -o cat -u teleport | grep -c "stand-in agent $1: .* starts" || true; }
expect_one_start() { [[ $(starts_of 16.2.0) == 1 ]] || failed "expected one start of 16.2.0, the journal has $(starts_of 16.2.0)"; }
