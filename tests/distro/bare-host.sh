# shellcheck shell=bash disable=SC2034,SC2154 # shared with the cases; host.sh sets code, said, out
# Sourced by the cases of install.sh: a host that has no agent, no repository and no updater, in front of the vendor's addresses (the lab's
# nginx has them all) and of a cluster, proxy.example.test.

# shellcheck source=tests/distro/updater-host.sh
source "${BASH_SOURCE[0]%/*}/updater-host.sh"

# The lab's repositories are signed by a key of the lab, whose fingerprint gpg tells.
FINGERPRINT=$(gpg --batch --quiet --show-keys --with-colons "$([[ $MANAGER == apt ]] && echo /srv/lab/apt || echo /srv/lab/rpm)/gpg" 2>/dev/null | awk -F: '$1 == "fpr" { print $10; exit }')
RELEASE=/tmp/release
# Debian's busybox prefers its own small programs even to a package manager.
# shellcheck disable=SC2016
busybox_ash() {
    busybox ash -c 'alias dpkg-deb=/usr/bin/dpkg-deb; dpkg() { /usr/bin/dpkg "$@"; }; rpm() { /usr/bin/rpm "$@"; }
        wget() { /usr/bin/wget "$@"; }; env() { /usr/bin/env "$@"; }; . "$0"' "$@"
}
KEY=$([[ $MANAGER == apt ]] && echo "$KEYRING" || echo /etc/pki/rpm-gpg/RPM-GPG-KEY-teleport)
export SCRIPT_SHELL=dash SCRIPT=$RELEASE/install.sh

# As if nobody had ever brought an agent here.
strip_host() {
    bare_host
    case $MANAGER in
        apt) dpkg --purge teleport-ent >/dev/null 2>&1; rm -f "$KEYRING" /var/lib/apt/lists/apt.releases* ;;
        *) rpm -e teleport-ent gpg-pubkey >/dev/null 2>&1 || rpm -e gpg-pubkey >/dev/null 2>&1 || true ;;
    esac
    rm -f "$SOURCE"
    [[ $MANAGER != dnf ]] || rm -rf /var/cache/dnf/teleport-*
    [[ $MANAGER != zypper ]] || rm -rf /var/cache/zypp/*/teleport
    offer 16.2.0
    offer_cluster 16.2.0
}
# A release directory, as tests/make-release makes it, but for this host's package alone.
release_directory() {
    mkdir -p $RELEASE
    cp /run/lab/tree/install.sh $RELEASE/
    case $MANAGER in
        apt) cp "$PACKAGE" "$RELEASE/teleport-ent-updater_${OUR_VERSION}_$(dpkg --print-architecture).deb" ;;
        *) build rpm --binary /run/lab/bin/teleport-upgrade --out $RELEASE >/dev/null ;;
    esac
    sed -i "s/^    SUMS=''\$/    SUMS='$(cd $RELEASE && sha256sum -- *updater*)'/" $RELEASE/install.sh
}
bare() { strip_host; release_directory; }

# What the cluster's version server says.
offer_cluster() {
    local channel=/srv/lab/answers/v1/webapi/automaticupgrades/channel/${2:-default}
    mkdir -p "$channel"
    printf '%s' "$1" >"$channel/version"
    printf 'no' >"$channel/critical"
}

# script ARGUMENT...: install.sh of the release directory, with the lab's key trusted; its words are in $out and $said, its exit code in $code.
script() { raw_script --key-fingerprint "$FINGERPRINT" "$@"; }
raw_script() {
    note "install.sh $*"
    code=0
    $SCRIPT_SHELL "$SCRIPT" "$@" >/run/lab/out 2>/run/lab/said </dev/null || code=$?
    said=$(cat /run/lab/said) out=$(cat /run/lab/out)
    cat /run/lab/out /run/lab/said
    note "exit $code"
}
# A failure is one line, of which one part is the given words, and leaves the host as it was.
expect_stop() { # expect_stop CODE WORDS
    expect_exit "$1"
    [[ $(wc -l </run/lab/said) == 1 && $said == 'install.sh: '*'; next: '* ]] || failed "expected one line that names the next step: $said"
    expect_said "$2"
}
# What of a host an installer may change: settings, programs, packages, keys. This machine's own large programs go by size and time.
host_state() {
    find /etc /usr/local /usr/sbin /usr/share/keyrings /var/lib/teleport-upgrade -xdev -type f ! -name 'rpmdb*' ! -name ld.so.cache ! -path '/var/lib/teleport-upgrade/private/*' \
        \( -size +3M -printf '%s %T@ %p\n' -o -exec sha256sum {} + \) 2>/dev/null | LC_ALL=C sort -k2 || true
    find /etc /usr/local -xdev -type d -printf '%p %m\n' | sort
    case $MANAGER in apt) dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev}\n' ;; *) rpm -qa --qf '%{NAME} %{VERSION} %{RELEASE}\n' ;; esac | sort
    find /tmp -maxdepth 1 -name 'tmp.*'
}
expect_as_before() { # expect_as_before STATE
    local difference
    difference=$(diff <(printf '%s\n' "$1") <(host_state)) || failed "expected the host to be as it was, but:"$'\n'"$difference"
}
# Agent, updater and repository are there, and nothing of the script is left.
expect_installed() { # expect_installed PACKAGE VERSION
    [[ $(installed "$1") == "$2" ]] || failed "expected $1 $2, the database has $(installed "$1")"
    [[ $(/usr/local/bin/teleport version --raw) == "$2" ]] || failed "expected the program to be $2"
    expect_updater "$OURS"
    [[ $($UPGRADE version) == "v$OUR_VERSION" ]] || failed "expected our program, it is $($UPGRADE version)"
    [[ -z $(find /tmp -maxdepth 1 -name 'tmp.*') && -z $(find /etc -name '*~') ]] || failed 'the script left files behind'
}
repository_file() { cat /etc/apt/sources.list.d/teleport.{list,sources} /etc/yum.repos.d/teleport.repo /etc/zypp/repos.d/teleport.repo 2>/dev/null || true; }

# --- cutting off --------------------------------------------------------------------------------------

# The commands of the last run; how a package's release is spelled is known only to a run.
commands() { grep '^+ ' /run/lab/out | sed "s/-16.2.0-1\$/-16.2.0/; s/=16.2.0-1\$/=16.2.0/; s/:.*the key from.*//; s/:\$//; s,/tmp/tmp[.][^/]*,TEMPORARY,"; }

strip_installed() {
    script --uninstall >/dev/null
    expect_exit 0
    rm -f "${SOURCE%.*}".*
}

# Every command of the script goes through a watcher that counts it, and that kills the script at the number in watched.trip.
watch_commands() {
    local name
    mkdir /tmp/watched
    cat >/tmp/watched/watcher <<'WATCHER'
#!/bin/bash
name=${0##*/} watched=$PATH PATH=${PATH#/tmp/watched:}
exec {lock}>>/tmp/watched.lock
flock "$lock" # the commands of a pipeline come together
echo "$name ${*//$'\n'/ }" >>/tmp/watched.log
count=$(wc -l </tmp/watched.log)
exec {lock}>&-
if [[ -e /tmp/watched.trip && $count == "$(cat /tmp/watched.trip)" ]]; then
    pkill -9 -f '^dash /tmp/release/install.sh'
    exit 137
fi
# What they start is started by the script.
case $name in env|setsid) program=$(type -P "$name") PATH=$watched ;; *) program=$(type -P "$name") ;; esac
exec "$program" "$@"
WATCHER
    chmod 755 /tmp/watched/watcher
    for name in apt-cache apt-get awk base64 cat cmp cp curl cut dirname dnf dpkg dpkg-deb dpkg-query env grep head id install ls mkdir mktemp mv od rm rpm \
        sed setsid sha1sum sha256sum sort systemctl tail tr uname wc zypper; do
        ! command -v $name >/dev/null || ln -s watcher /tmp/watched/$name
    done
}

SLOW=lab/slow
slow_agent() { echo 600 >/run/lab/slow; }
killall_of_it() {
    local name
    for name in dash apt-get dpkg dnf zypper rpm teleport-ent.postinst; do pkill -9 -x "$name" || true; done
    pkill -9 -f 'package script|seq|rpm-tmp|postinst' || true
    echo 0 >/run/lab/slow
}

# --- other hosts than this one ------------------------------------------------------------------------

# machine_is MACHINE ARCHITECTURE: what uname and dpkg say of it to whoever has /tmp/path first in PATH.
machine_is() {
    mkdir -p /tmp/path
    # shellcheck disable=SC2016
    printf '#!/bin/sh\n[ "$1" = -m ] && echo %s || exec /usr/bin/uname "$@"\n' "$1" >/tmp/path/uname
    # shellcheck disable=SC2016
    printf '#!/bin/sh\ncase $1 in --print-architecture) echo %s ;; *) exec /usr/bin/dpkg "$@" ;; esac\n' "$2" >/tmp/path/dpkg
    chmod 755 /tmp/path/*
}

# distribution_is NAME EXPECTED: what a dry run makes of the /etc/os-release that is there now.
distribution_is() {
    local name=$1 expected=$2 kind rest
    script --dry-run --no-updater 16.2.0 enterprise
    read -r kind rest <<<"${expected#? }"
    case $expected in
        '! '*) expect_stop "$kind" "$rest"; return ;;
    esac
    expect_exit 0
    case $kind in
        apt)
            expect_said "apt-get -q -y --no-remove -o Dpkg::Options::=--force-confold install teleport-ent=16.2.0"
            [[ $(sed -n 's/^    \(URIs\|Suites\|Components\): //p' /run/lab/out | paste -sd' ') == "$rest" ]] || failed "$name: expected $rest: $out"
            ;;
        dnf|yum|zypper)
            grep -qx "    baseurl=$rest" /run/lab/out || failed "$name: expected $rest: $out"
            grep -qE "^\+ $kind .* install .*teleport-ent[-=]16.2.0$" /run/lab/out || failed "$name: expected $kind to install it: $out"
            ;;
        archive) expect_said "https://cdn.teleport.dev/$rest.sha256" ;;
    esac
}

# A host of no family that is known, with the vendor's archives at their address.
bare_of_everything() {
    local version
    strip_host
    release_directory
    rm /etc/os-release
    printf 'ID=arch\nBUILD_ID=rolling\n' >/etc/os-release
    for version in 16.1.7 16.2.0; do
        archive $version -ent "/run/lab/bin/agent-$version"
        # The stand-in is of the other editions.
        # shellcheck disable=SC2016
        printf '#!/bin/sh\n[ "$2" = --raw ] && echo %s || echo "Teleport v%s git: go1.22"\n' $version $version >/tmp/oss
        archive $version '' /tmp/oss
    done
}
# archive VERSION VARIANT PROGRAM: as the vendor packs it.
archive() {
    local tree=/tmp/archive name
    rm -rf $tree
    mkdir -p "$tree/teleport$2/examples"
    for name in teleport tctl tsh tbot; do install -m 755 "$3" "$tree/teleport$2/$name"; done
    echo "#!/bin/sh" >"$tree/teleport$2/install"
    tar -czf "/srv/lab/answers/teleport$2-v$1-linux-amd64-bin.tar.gz" -C $tree "teleport$2"
    sums
}
sums() { (cd /srv/lab/answers && for name in *.tar.gz; do sha256sum "$name" >"$name.sha256"; done); }

# A release at an address, as it is made; of the program for the other architecture only the name is right.
publish_release() {
    in_tree tests/make-release /srv/lab/answers --url https://updates.example.test --amd64 /run/lab/bin --arm64 /run/lab/bin
}

# A release at the address that README and the pages name, of a script that takes the lab's key for the vendor's.
publish_release_of_the_pages() {
    in_tree tests/make-release /srv/lab/answers --url https://releases.example.com --amd64 /run/lab/bin --arm64 /run/lab/bin
    sed -i "s/^    VENDOR_KEY=.*/    VENDOR_KEY=$FINGERPRINT/" /srv/lab/answers/install.sh
    SCRIPT=/srv/lab/answers/install.sh
}
# commands_of PAGE: the lines of its blocks for a host's shell.
# shellcheck disable=SC2016
commands_of() { sed -n '/^```sh$/,/^```$/{/^```/d; p}' "$1"; }
# hear COMMAND...: what it says is kept.
hear() {
    "$@"
    cat /run/lab/out /run/lab/said >>"$HEARD"
}

# --- what a case adds to the vendor's side or to the host ---------------------------------------------

# The vendor has a channel stable/v17 now.
next_major() {
    if [[ $MANAGER == apt ]]; then
        # shellcheck source=tests/distro/publish.sh
        source "${BASH_SOURCE[0]%/*}/publish.sh"
        mkdir -p "$POOL/stable/v17"
        cp "$POOL"/stable/cloud/*_17.0.0_*.deb "$POOL/stable/v17/"
        index stable/v17
        release debian
        sign debian teleport
    else
        # shellcheck source=tests/distro/rpm-publish.sh
        source "${BASH_SOURCE[0]%/*}/rpm-publish.sh"
        mkdir -p "$GOOD/stable/v17"
        cp "$GOOD"/stable/cloud/*-17.0.0-*.rpm "$GOOD/stable/v17/"
        index stable/v17
        sign good teleport
    fi
}
# A package of somebody's that needs the agent.
dependent_package() {
    if [[ $MANAGER == apt ]]; then
        mkdir -p /tmp/dependent/DEBIAN
        printf 'Package: company-base\nVersion: 1.0\nArchitecture: all\nDepends: teleport-ent\nMaintainer: Test lab <lab@example.test>\nDescription: needs it\n' >/tmp/dependent/DEBIAN/control
        dpkg-deb --root-owner-group --build /tmp/dependent /tmp/dependent.deb >/dev/null
        dpkg -i /tmp/dependent.deb >/dev/null
    else
        printf 'Name: company-base\nVersion: 1.0\nRelease: 1\nSummary: needs it\nLicense: none\nAutoReqProv: no\nRequires: teleport-ent\n%%description\nx\n%%files\n' >/tmp/dependent.spec
        rpmbuild --quiet -bb --define "_topdir /tmp/rpmbuild" --define '_rpmdir /tmp/dependent' /tmp/dependent.spec
        rpm -i /tmp/dependent/*/company-base*.rpm
    fi
}
