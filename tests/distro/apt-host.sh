# shellcheck shell=bash disable=SC2034 # the cases use POOL
# Sourced by host.sh on an apt host: its repository, its agent's package and its package manager's locks.

SOURCE=/etc/apt/sources.list.d/teleport.list
POOL=/srv/lab/apt/debian/pool
KEYRING=/etc/apt/keyrings/teleport-archive-keyring.asc
export DEBIAN_FRONTEND=noninteractive

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

install_here() { apt_here install "$1=$2"; }
# spelled VERSION: how messages and command lines name the agent's package of that version.
spelled() { echo "teleport-ent=$1"; }

# channel CHANNEL: the good repository's. reinstall VERSION: the agent, from there.
channel() { repository debian "$1"; }
reinstall() { apt_here install --reinstall "teleport-ent=$1"; }

erase_agent() { dpkg --purge teleport-ent >/dev/null; }

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

# The version of a package, or none; settings that a removed package left are not a version.
installed() {
    # shellcheck disable=SC2016
    dpkg-query -W -f '${db:Status-Status} ${Version}\n' "$1" 2>/dev/null |
        awk '$1 != "not-installed" && $1 != "config-files" { version = $2 } END { print version ? version : "none" }' || true
}

# What the stock updater leaves behind.
stock_hold() { apt-mark hold teleport-ent >/dev/null; }
expect_held() { apt-mark showhold | grep -qx "${1:-teleport-ent}" || failed "expected ${1:-teleport-ent} to be held"; }
expect_not_held() { ! apt-mark showhold | grep -qx "${1:-teleport-ent}" || failed "expected ${1:-teleport-ent} not to be held"; }

# drop_from_repository CHANNEL VERSION: the good repository no longer has that one.
drop_from_repository() {
    rm "$POOL/$1/teleport-ent_$2"_*.deb
    # shellcheck disable=SC2016 # for the shell that it is told to
    bash -euc 'source "$1"; index "$2"; release debian; sign debian teleport' - "${BASH_SOURCE[0]%/*}/publish.sh" "$1"
}

# Somebody's upgrade to 16.2.0 dies with all its processes while the package's script runs; what is installed is left half-configured.
leave_half_installed() {
    channel lab/slow
    refresh
    echo 100 >/run/lab/slow
    apt_here install teleport-ent=16.2.0 >/run/lab/holder.out 2>&1 </dev/null &
    wait_for 'the package script to be at work' test -e /run/lab/at-work
    pkill -9 -x 'dpkg|apt-get'
    pkill -9 -f 'teleport-ent.postinst'
    echo 0 >/run/lab/slow
    wait
}
