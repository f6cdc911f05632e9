# shellcheck shell=bash
# Sourced inside a sandbox: what a case does to its host, and what it expects to find afterwards. A case starts
# on a host with agent 16.1.7 installed from the signed repository (see repository.sh, rpm-repository.sh) and our program in place.
# Every expectation that fails ends the case, saying what was expected and what is there.

STATE=/var/lib/teleport-upgrade
CONFIG=/etc/teleport-upgrade.d
UPGRADE=/usr/sbin/teleport-upgrade
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

wait_for() { # wait_for WHAT COMMAND...
    local what=$1
    shift
    for _ in {1..600}; do if "$@"; then return; fi; sleep 0.05; done
    failed "waited half a minute for $what"
}

# --- the host -----------------------------------------------------------------------------------------

# A configured host, in front of a server that offers nothing yet; called before every case.
prepare_host() {
    umask 022
    install -m 755 /run/lab/bin/teleport-upgrade "$UPGRADE"
    mkdir -p "$CONFIG" "$STATE"
    configure endpoint updates.example.test/v1/stable/cloud
    # A case that is about the proof of a new version gives it more time.
    configure verify-seconds 1
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

# Everything a run could have changed on this host: files with their times, down to the nanosecond. Whoever looks
# into rpm's database touches the files that sqlite keeps beside it; that is no change.
snapshot() {
    find /run/lab/upper /run /tmp \( -path /run/lab/upper -prune -o -path '/run/lab/*' -prune \) -o \
        -printf '%p %y %m %U:%G %n %s %T@ %C@ %l\n' | grep -v '^/run/lab ' | sort
    find /run/lab/upper ! -name 'rpmdb.sqlite-*' -printf '%p %y %m %U:%G %n %s %T@ %C@ %l\n' | sort
}

# --- expectations -------------------------------------------------------------------------------------

expect_exit() { [[ $code == "$1" ]] || failed "expected exit $1, got $code"; }
expect_said() { [[ $said$'\n'$out == *"$1"* ]] || failed "expected it to say: $1"; }
expect_unsaid() { [[ $said$'\n'$out != *"$1"* ]] || failed "expected it not to say: $1"; }
# Two arguments: the package and its version. One: the agent, and its program must agree with the database.
expect_version() {
    if (($# == 2)); then
        [[ $(installed "$1") == "$2" ]] || failed "expected $1 $2, the database has $(installed "$1")"
        return
    fi
    expect_version teleport-ent "$1"
    [[ $(/usr/local/bin/teleport version --raw) == "$1" ]] || failed "expected the program to be $1, it is $(teleport version --raw)"
}
expect_file() { [[ -e $1 ]] || failed "expected the file $1"; }
expect_asked() { grep -qF -- "$1" /run/lab/asked || failed "expected a request for $1"; }
expect_not_asked() { ! grep -qF -- "$1" /run/lab/asked || failed "expected no request for $1"; }
# expect_nothing_changed BEFORE: compared with an earlier snapshot.
expect_nothing_changed() {
    local difference
    difference=$(diff <(printf '%s\n' "$1") <(snapshot)) || failed "expected nothing to change, but:"$'\n'"$difference"
}

# --- running agents (booted sandboxes, but for in_charge) ---------------------------------------------

# One that was just started takes a moment to write it.
in_charge() {
    for _ in {1..50}; do [[ ! -s /run/teleport.pid ]] || break; sleep 0.1; done
    cat /run/teleport.pid
}
start_agent() {
    systemctl daemon-reload
    systemctl start teleport
    wait_for 'the agent to write its PID file' test -s /run/teleport.pid
}
# running_agent [CHANNEL]: agent 16.1.7 of that channel runs, as $old, in a window with 16.2.0 on offer.
running_agent() {
    if [[ -n ${1:-} ]]; then
        channel "$1"
        refresh
        reinstall 16.1.7
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
# ready_socket STATUS: whoever asks the agent's debug socket is told so, and later what says_ready says.
ready_socket() {
    mkdir -p /var/lib/teleport
    says_ready "$@"
    perl -MIO::Socket::UNIX -e 'my $s = IO::Socket::UNIX->new(Local => "/var/lib/teleport/debug.sock", Listen => 5) or die;
        while (my $c = $s->accept) { sysread $c, my $q, 200; open my $f, "<", "/run/lab/ready"; print $c "HTTP/1.1 ", <$f>, "\r\n\r\n"; close $c }' &
    wait_for 'the debug socket' test -S /var/lib/teleport/debug.sock
}
says_ready() { printf '%s' "$*" >/run/lab/ready.new && mv /run/lab/ready.new /run/lab/ready; }
expect_active() { [[ $(systemctl is-active teleport) == "$1" ]] || failed "expected teleport.service to be $1, it is $(systemctl is-active teleport)"; }
# How often an agent of that version was started in this sandbox.
starts_of() { journalctl --sync; journalctl -q --no-pager -o cat -u teleport | grep -c "stand-in agent $1: .* starts" || true; }
expect_one_start() { [[ $(starts_of 16.2.0) == 1 ]] || failed "expected one start of 16.2.0, the journal has $(starts_of 16.2.0)"; }

# --- what depends on the package manager --------------------------------------------------------------
# Each kind of host defines: channel, refresh, reinstall, repository_becomes; installed, expect_held,
# expect_not_held; and ways for others to hold its locks. The kinds of rpm host also define install_here,
# settle, stock_hold, administrators_hold and expect_administrators_hold.

MANAGER=$(cat /srv/lab/manager 2>/dev/null || echo apt)
# shellcheck source=tests/distro/apt-host.sh
source "${BASH_SOURCE[0]%/*}/$MANAGER-host.sh"
