#!/bin/sh
# Brings a Teleport agent, and teleport-upgrade which keeps it on its cluster's version, to a Linux host; see --help.
# POSIX sh with curl or GNU wget, as root or with sudo or doas. All of it is one function that the last line calls, so
# that a download which was cut off runs nothing. It looks first, at the host and at the repository; then it changes
# something, in the order key, repository, agent, updater. What fails before the agent is there is taken back.
# shellcheck disable=SC2317 # functions in a function, which shellcheck takes for unreachable
install_teleport() {
    set -eu
    umask 022
    exec </dev/null # of the script itself, when it is piped
    trap '' PIPE

    # Written by tests/make-release: this release, and where its packages lie with which SHA-256.
    RELEASE=0.2.0
    RELEASE_URL=''
    SHA256_amd64_deb='' SHA256_arm64_deb='' SHA256_x86_64_rpm='' SHA256_aarch64_rpm=''
    # With what the vendor signs its repositories (goteleport.com/security).
    VENDOR_KEY=0C5E8BA5658E320D1B031179C87ED53A6282C411

    UPDATER=teleport-ent-updater
    PROGRAM=/usr/sbin/teleport-upgrade
    CONFIG=/etc/teleport-upgrade.d
    AGENT=/usr/local/bin/teleport
    MARK='# Written by the install.sh of teleport-upgrade.'

    usage() {
        cat <<'HELP'
install.sh <version> [oss|enterprise|cloud]     e.g. install.sh 16.2.0 cloud
install.sh --proxy HOST[:PORT] [oss|enterprise|cloud]
install.sh --uninstall

Installs the Teleport agent at exactly that version, then teleport-upgrade,
which keeps it on the version that its cluster wants. A second run completes
what the first could not, and changes nothing that is done.

  --proxy HOST[:PORT]       ask this cluster which version, and follow it
  --channel NAME            its channel (default: default)
  --fips                    the FIPS build (enterprise, cloud)
  --no-updater              the agent alone
  --updater-package WHERE   a file, or https://... with --updater-sha256 SUM
  --repo-url URL            a mirror, as it stands in the repository file
                            (also TELEPORT_REPO_URL)
  --repo-channel NAME       stable/v16, stable/cloud, stable/rolling ...
  --key-url URL             its key, with --key-fingerprint HEX
  --dry-run                 print every command, change nothing
  --uninstall               remove agent, updater, repository; keep the data
  --help

Exit codes: 0 done, 64 usage, 69 not to be had, 75 try again, 77 needs root,
78 this host, 70 anything else.
HELP
    }

    # --- words -------------------------------------------------------------------------------------------------------

    say() { printf '%s\n' "$*" 2>/dev/null || :; }
    # stop CODE WHAT NEXT: the one line that a failure ends in.
    stop() {
        printf 'install.sh: %s; next: %s\n' "$2" "$3" >&2 || :
        exit "$1"
    }
    # matches TEXT PATTERN: all of it, and it is one line.
    matches() {
        case $1 in *'
'*) return 1 ;; esac
        printf '%s\n' "$1" | LC_ALL=C grep -Eqx -e "$2"
    }
    # What a tool has said last in $work/said, in one line: its own word for an error if it has one.
    came_back() {
        {
            grep -E '^(curl:|E:|[Ee]rror[: ]|ERROR|RPM: error)|locked by' "$work/said" || grep -v '^[[:space:]]*$' "$work/said" | tail -n 1
        } 2>/dev/null | LC_ALL=C tr -d '\000-\010\013-\037' | awk 'NR == 1 { print substr($0, 1, 240); found = 1 } END { if (!found) print "no word of why" }'
    }
    has() { command -v "$1" >/dev/null 2>&1; }

    # --- what was asked for -------------------------------------------------------------------------------------------

    options() {
        mode=install version='' edition='' proxy='' channel='' fips=no updater=yes updater_from='' updater_sum=''
        repo_url=${TELEPORT_REPO_URL:-} repo_channel='' key_url='' fingerprint='' own_key=no see='install.sh --help'
        while [ $# -gt 0 ]; do
            case $1 in
                --help|-h) usage; exit 0 ;;
                --dry-run) mode=dry-run ;;
                --uninstall) removing=yes ;;
                --fips) fips=yes ;;
                --no-updater) updater=no ;;
                --?*=*)
                    value=${1#*=} option=${1%%=*}
                    shift
                    set -- "$option" "$value" "$@"
                    continue
                    ;;
                --proxy|--channel|--updater-package|--updater-sha256|--repo-url|--repo-channel|--key-url|--key-fingerprint)
                    [ -n "${2:-}" ] || stop 64 "$1 needs a value" "$see"
                    case $1 in
                        --proxy) proxy=$2 ;;
                        --channel) channel=$2 ;;
                        --updater-package) updater_from=$2 ;;
                        --updater-sha256) updater_sum=$2 ;;
                        --repo-url) repo_url=$2 ;;
                        --repo-channel) repo_channel=$2 ;;
                        --key-url) key_url=$2 ;;
                        --key-fingerprint) fingerprint=$2 own_key=yes ;;
                    esac
                    shift
                    ;;
                -*) stop 64 "there is no option '$1'" "$see" ;;
                oss|enterprise|cloud) [ -z "$edition" ] || stop 64 "two editions were given: '$edition' and '$1'" "$see"; edition=$1 ;;
                *) [ -z "$version$edition" ] || stop 64 "the edition '$1' is none of oss, enterprise, cloud" "$see"; version=$1 ;;
            esac
            shift
        done
        fingerprint=$(printf %s "${fingerprint:-$VENDOR_KEY}" | tr -d ' :' | tr a-f A-F)
        matches "$fingerprint" '[0-9A-F]{40}' || stop 64 "'$fingerprint' is no fingerprint" 'write its 40 hexadecimal digits'
        if [ "$removing" = yes ]; then
            [ -z "$version$edition$proxy" ] || stop 64 '--uninstall takes neither a version nor a proxy' "$see"
            return 0
        fi
        [ -n "$version$proxy" ] || stop 64 'which version? Neither one nor --proxy was given' "$see"
        [ -z "$version" ] || [ -z "$proxy" ] || stop 64 "a version ('$version') and --proxy exclude each other" "leave out one of them"
        [ -z "$channel" ] || [ -n "$proxy" ] || stop 64 '--channel is a channel of the version server that --proxy names' "add --proxy HOST, or say --repo-channel"
        [ -n "$proxy" ] || well_formed "$version" || stop 64 "'$version' is no version" 'write it like 16.2.0'
        version=${version#v} edition=${edition:-oss} channel=${channel:-default}
        case $fips,$edition in yes,oss) stop 64 'there is no FIPS build of the edition oss' 'add enterprise or cloud' ;; esac
        proxy=${proxy#https://} proxy=${proxy%/}
        [ -z "$proxy" ] || matches "$proxy" '([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?' || stop 64 "'$proxy' is no HOST[:PORT]" "$see"
        matches "$channel" '[A-Za-z0-9][A-Za-z0-9._/-]*' || stop 64 "'$channel' is no name of a channel" "$see"
        [ -z "$repo_channel" ] || matches "$repo_channel" '[A-Za-z0-9][A-Za-z0-9._/-]*' || stop 64 "'$repo_channel' is no name of a channel" "$see"
        repo_url=${repo_url%/}
        [ -z "$repo_url" ] || matches "$repo_url" '(https?://[A-Za-z0-9.:-]+|file://)(/[A-Za-z0-9._~%+,:=@/-]*)?' || stop 64 "'$repo_url' is no address of a repository" 'write https://HOST/PATH'
        [ -z "$key_url" ] || [ "$own_key" = yes ] || stop 64 "a key from $key_url is trusted only with --key-fingerprint" "add the fingerprint that the key's owner publishes"
        [ -z "$key_url" ] || matches "$key_url" '(https?|file)://[A-Za-z0-9._~%+,:=@/-]+' || stop 64 "'$key_url' is no address of a key" 'write https://HOST/PATH'
        updater_sum=$(printf %s "$updater_sum" | tr A-F a-f)
        [ -z "$updater_sum" ] || matches "$updater_sum" '[0-9a-f]{64}' || stop 64 "'$updater_sum' is no SHA-256" 'write its 64 hexadecimal digits'
        case $updater_from in
            https://*) [ -n "$updater_sum" ] || stop 64 "a package from $updater_from is trusted only with --updater-sha256" 'add the sum of SHA256SUMS' ;;
            *://*) stop 64 "$updater_from is neither a file nor an https address" "$see" ;;
        esac
        package=teleport
        [ "$edition" = oss ] || package=teleport-ent
        [ "$fips" = no ] || package=teleport-ent-fips
    }
    well_formed() { matches "$1" 'v?(0|[1-9][0-9]{0,5})(\.(0|[1-9][0-9]{0,5})){2}(-[0-9A-Za-z.-]{1,32})?'; }

    # --- the host -----------------------------------------------------------------------------------------------------

    # os_value KEY: of /etc/os-release, which is read and never run.
    os_value() { sed -n "s/^$1=//p" "$os_release" 2>/dev/null | head -n 1 | sed "s/^[\"']//; s/[\"']\$//"; }

    look_at_host() {
        [ "$(uname -s)" = Linux ] || stop 69 "$(uname -s) is not Linux" 'run this on the Linux host that the agent is for'
        os_release=/etc/os-release
        [ -e "$os_release" ] || os_release=/usr/lib/os-release
        os_id=$(os_value ID) os_like=$(os_value ID_LIKE) os_version=$(os_value VERSION_ID)
        matches "$os_id" '[a-z0-9._-]+' || stop 78 "which distribution this is cannot be told from /etc/os-release" 'restore it from the package base-files, *-release or filesystem'
        matches "$os_version" '[A-Za-z0-9._-]*' || stop 78 "/etc/os-release has a strange VERSION_ID: '$os_version'" 'restore the file'
        machine=$(uname -m)
        case $machine in
            x86_64|amd64) deb_arch=amd64 rpm_arch=x86_64 tar_arch=amd64 ;;
            aarch64|arm64) deb_arch=arm64 rpm_arch=aarch64 tar_arch=arm64 ;;
            armv7*|armv8l) deb_arch=armhf rpm_arch=arm tar_arch=arm ;;
            i?86) deb_arch=i386 rpm_arch=i386 tar_arch=386 ;;
            *) stop 69 "there is no agent for the architecture $machine" 'use a host with amd64, arm64, armhf or i386' ;;
        esac
        name_repository
        become=''
        if [ "$(id -u)" != 0 ] && [ "$mode" != dry-run ]; then
            if has sudo; then become=sudo; elif has doas; then become=doas
            else stop 77 'only root may install packages, and there is neither sudo nor doas' 'run this as root'; fi
        fi
        if has curl; then fetcher=curl
        elif wget --version 2>/dev/null | grep -q '^GNU Wget'; then fetcher=wget
        else stop 69 'there is neither curl nor GNU wget' 'install curl'; fi
    }

    # Which package manager, and what the vendor calls a host like this: family, and base, which is all of the repository's
    # address but its channel.
    name_repository() {
        os_major=${os_version%%.*} family=tarball
        case $os_id in
            debian|raspbian|devuan|kali) based_on=debian ;;
            ubuntu|rhel|amzn) based_on=$os_id ;;
            centos) based_on=centos ;;
            rocky|almalinux|ol) based_on=rhel ;;
            fedora) based_on=fedora ;;
            sles|sled|sles_sap|opensuse*) based_on=sles ;;
            *)
                case " $os_like " in
                    *' ubuntu '*) based_on=ubuntu ;;
                    *' debian '*) based_on=debian ;;
                    *' rhel '*|*' centos '*) based_on=rhel ;;
                    *' fedora '*) based_on=fedora ;;
                    *' suse '*|*' opensuse '*|*' sles '*) based_on=sles ;;
                    *) based_on=none ;;
                esac
                ;;
        esac
        if [ -e /run/ostree-booted ] || has transactional-update; then
            stop 69 "$os_id is upgraded as a whole, and its packages are not installed like this" 'put the agent into the image'
        fi
        case $based_on in
            debian|ubuntu)
                family=apt
                name_codename
                ! has dpkg || deb_arch=$(dpkg --print-architecture)
                case $deb_arch in amd64|arm64|armhf|i386) ;; *) stop 69 "there is no agent for the architecture $deb_arch" 'use a host with amd64, arm64, armhf or i386' ;; esac
                base=https://apt.releases.teleport.dev/$based_on
                ;;
            amzn)
                family=dnf
                case $os_major in 2|2023) ;; *) stop 69 "there is no repository for Amazon Linux $os_version" 'use Amazon Linux 2 or 2023' ;; esac
                base=https://yum.releases.teleport.dev/amzn/$os_major/Teleport/$rpm_arch
                ;;
            rhel|centos|fedora)
                family=dnf
                matches "$os_major" '[0-9]+' || stop 78 "/etc/os-release names no version of $os_id" 'restore the file'
                # The vendor's newest is 9 (teleport#63031), whose packages are good for what came later, Fedora included.
                if [ "$based_on" = fedora ] || [ "$os_major" -gt 9 ]; then based_on=rhel os_major=9; fi
                [ "$os_major" -ge 7 ] || stop 69 "there is no repository for $os_id $os_version" 'use release 7 or later'
                base=https://yum.releases.teleport.dev/$based_on/$os_major/Teleport/$rpm_arch
                ;;
            sles)
                family=zypper
                # openSUSE is served by SLES's repositories, Tumbleweed and what came after 15 by those of 15.
                case $os_major in 12) ;; *) os_major=15 ;; esac
                base=https://zypper.releases.teleport.dev/sles/$os_major/Teleport/$rpm_arch
                ;;
            none) base=https://cdn.teleport.dev ;;
        esac
        manager=$family
        if [ "$family" = dnf ] && ! has dnf && { has yum || [ "$os_id$os_major" = amzn2 ] || [ "$os_major" = 7 ]; }; then manager=yum; fi
        case $family in
            apt) key_file=/etc/apt/keyrings/teleport-archive-keyring.asc source_directory=/etc/apt/sources.list.d ;;
            dnf) source_directory=/etc/yum.repos.d ;;
            zypper) source_directory=/etc/zypp/repos.d ;;
        esac
        case $family in dnf|zypper) key_file=/etc/pki/rpm-gpg/RPM-GPG-KEY-teleport ;; esac
        case $manager in apt) tool=apt-get ;; *) tool=$manager ;; esac
        [ "$mode" = dry-run ] || [ "$family" = tarball ] || has $tool || stop 69 "$os_id is installed from with $tool, and there is none" "install $tool, or use a host that has it"
    }

    # The release of Debian or Ubuntu, which derivatives name in their own ways, and some not at all.
    name_codename() {
        codename=$(os_value VERSION_CODENAME)
        case $based_on,$os_id,$codename in
            ubuntu,*) codename=$(os_value UBUNTU_CODENAME) && codename=${codename:-$(os_value VERSION_CODENAME)} ;;
            debian,debian,*|debian,raspbian,*) ;;
            debian,devuan,beowulf) codename=buster ;;
            debian,devuan,chimaera) codename=bullseye ;;
            debian,devuan,daedalus) codename=bookworm ;;
            debian,devuan,excalibur) codename=trixie ;;
            debian,kali,*) codename=bookworm ;;
            *)
                parent=$(os_value DEBIAN_CODENAME)
                codename=${parent:-$codename}
                case $codename in buster|bullseye|bookworm|trixie|forky) ;; *) codename='' ;; esac
                ;;
        esac
        matches "$codename" '[a-z]+' || stop 69 "on which release of $based_on $os_id $os_version is based cannot be told from /etc/os-release" \
            "add a line like $(printf %s "$based_on" | tr '[:lower:]' '[:upper:]')_CODENAME=bookworm to it"
    }

    # --- doing ---------------------------------------------------------------------------------------------------------

    # as_root COMMAND...: with the caller's proxies, and with nobody there to answer a question.
    as_root() {
        $become env LC_ALL=C DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 ZYPP_LOGFILE="$work/zypper.log" \
            ${http_proxy:+"http_proxy=$http_proxy"} ${https_proxy:+"https_proxy=$https_proxy"} ${no_proxy:+"no_proxy=$no_proxy"} "$@"
    }
    # question COMMAND...: changes nothing but files below $work.
    question() {
        if [ "$mode" = dry-run ]; then say "? $*"; else as_root "$@" >"$work/said" 2>&1; fi
    }
    # change COMMAND...: is shown, and done unless this is a dry run.
    change() {
        say "+ $*"
        [ "$mode" = dry-run ] || as_root "$@" >"$work/said" 2>&1
    }
    # manage COMMAND...: a change by the package manager, which does not die with the terminal, and may have to wait for another one: two
    # minutes.
    manage() {
        say "+ $*"
        [ "$mode" != dry-run ] || return 0
        apart=''
        ! has setsid || apart='setsid -w'
        tries=0
        # shellcheck disable=SC2086
        until as_root $apart "$@" >"$work/said" 2>&1; do
            grep -qiE 'could not get lock|already locked by|transaction lock|is locked by|existing lock' "$work/said" || return 1
            [ $tries -gt 0 ] || say "  another package manager is at work: $(came_back); waiting for it"
            tries=$((tries + 1))
            [ $tries -le 24 ] || failed 75 "$1 waited two minutes for another package manager" 'let that one end, then run this again'
            sleep 5
        done
    }
    # failed CODE TRIED NEXT: with what came back.
    failed() { stop "$1" "$2: $(came_back)" "$3"; }

    # fetch URL FILE: a download over what the address says, never over less.
    fetch() {
        if [ "$mode" = dry-run ]; then say "? $fetcher $1"; return 0; fi
        case $1,$fetcher in
            file://*) cp "${1#file://}" "$2" 2>"$work/said" ;;
            https://*,curl) curl -fsSL --proto =https --connect-timeout 15 --max-time 900 --retry 2 -o "$2" "$1" 2>"$work/said" ;;
            *,curl) curl -fsSL --connect-timeout 15 --max-time 900 --retry 2 -o "$2" "$1" 2>"$work/said" ;;
            *,wget) wget -nv --max-redirect=3 -T 15 -t 2 -O "$2" "$1" 2>"$work/said" ;;
        esac
    }
    # write FILE: the new text of a file is $work/new; its old one comes back if this goes wrong.
    write() {
        if [ "$mode" = dry-run ]; then
            say "+ write $1:"
            printf '%s\n' "$2" | sed 's/^/    /'
            return 0
        fi
        written=$((written + 1))
        printf '%s\n' "$1" >"$work/undo.$written.path"
        [ ! -e "$1" ] || cp "$1" "$work/undo.$written.text"
        directory=${1%/*}
        while [ ! -d "$directory" ]; do
            printf '%s\n' "$directory" >>"$work/undo.$written.directories"
            directory=${directory%/*}
        done
        printf '%s\n' "$2" >"$work/new"
        say "+ write $1"
        { as_root mkdir -p "${1%/*}" && as_root install -m 644 "$work/new" "$1~" && as_root mv -f "$1~" "$1"; } 2>"$work/said" ||
            failed 78 "cannot write $1" "see whether ${1%/*} can be written to: ls -ld ${1%/*}; mount"
    }
    # Takes back what was written, newest first, and the key that rpm was told.
    take_back() {
        while [ "$written" -gt 0 ]; do
            file=$(cat "$work/undo.$written.path")
            if [ -e "$work/undo.$written.text" ]; then as_root install -m 644 "$work/undo.$written.text" "$file"; else as_root rm -f "$file" "$file~"; fi || :
            [ ! -e "$work/undo.$written.directories" ] || while read -r directory; do as_root rmdir "$directory" || :; done <"$work/undo.$written.directories"
            written=$((written - 1))
        done
        [ "$imported" = no ] || as_root rpm -e --allmatches "$(rpm_key)" || :
    }
    # At the end, however it comes.
    tidy() {
        status=$?
        trap '' HUP INT TERM
        [ "$status" = 0 ] || take_back >/dev/null 2>&1
        [ -z "$work" ] || as_root rm -rf "$work"
        exit "$status"
    }

    # --- what is there already -----------------------------------------------------------------------------------------

    # installed PACKAGE: its version as the database has it, or nothing.
    installed() {
        # shellcheck disable=SC2016
        case $family in
            apt) dpkg-query -W -f '${db:Status-Status} ${Version}\n' "$1" 2>/dev/null | sed -n 's/^installed //p' || : ;;
            dnf|zypper) rpm -q --qf '%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}\n' "$1" 2>/dev/null | grep -v ' is not installed$' | tail -n 1 || : ;;
        esac
    }
    # spelled VERSION: as a version server spells it; rpm has no hyphens, and a release.
    spelled() { printf '%s\n' "${1%-[0-9]}" | sed 's/[~_]\(alpha\|beta\|dev\|rc\)/-\1/'; }
    # older A B: whether A comes before B. A pre-release comes before its release, and after nothing but lower numbers.
    older() {
        [ "$1" != "$2" ] && printf '%s\n%s\n' "$1" "$2" | awk -F- '
            { split($1, n, "."); key[NR] = sprintf("%06d%06d%06d%d%s", n[1], n[2], n[3], $2 == "", $2) }
            END { exit !(key[1] < key[2]) }'
    }

    look_at_agent() {
        agent='' here=''
        for name in teleport teleport-ent teleport-ent-fips; do
            here=$(installed $name)
            [ -n "$here" ] || continue
            [ "$name" = "$package" ] || stop 69 "$name $(spelled "$here") is installed, which is another edition than $package" "ask for that edition, or remove $name first"
            agent=$(spelled "$here")
        done
        if [ -z "$agent" ] && [ -L $AGENT ] && [ "$family" != tarball ]; then
            stop 69 "$AGENT is a link: this agent is managed by teleport-update" 'leave it to that one: teleport-update status'
        fi
        if [ "$family" = tarball ] && [ -x $AGENT ]; then agent=$($AGENT version 2>/dev/null | sed -n 's/^Teleport [^v]*v\([0-9][^ ]*\).*/\1/p'); fi
        updater_here=$(installed $UPDATER)
    }

    # The repository file of this host that counts, and whether it is as it ought to be.
    look_at_repository() {
        # Of what the agent is on, if that is newer: an old command line repeated leads no host back.
        newest=$version
        [ -z "$agent" ] || older "$agent" "$version" || newest=$agent
        case $repo_channel,$edition in ,cloud) repo_channel=stable/cloud ;; ,*) repo_channel=stable/v${newest%%.*} ;; esac
        source_file=''
        case $family in
            apt)
                url=${repo_url:-$base}
                for file in "$source_directory"/teleport.sources "$source_directory"/teleport.list "$source_directory"/*.list "$source_directory"/*.sources; do
                    if [ -n "$source_file" ] || [ ! -e "$file" ]; then continue; fi
                    case $file in */teleport.*) source_file=$file ;; *) ! grep -qF "$url" "$file" || source_file=$file ;; esac
                done
                # Releases of apt that know deb822 well are those that came with it.
                if [ -z "$source_file" ]; then
                    source_file=$source_directory/teleport.list
                    ! dpkg --compare-versions "$(installed apt)" ge 2.4 2>/dev/null || source_file=$source_directory/teleport.sources
                fi
                wanted_source=$(apt_source)
                ;;
            dnf|zypper)
                url=${repo_url:-$base/$repo_channel}
                for file in "$source_directory"/teleport.repo "$source_directory"/*.repo; do
                    if [ -z "$source_file" ] && [ -e "$file" ] && grep -qx '\[teleport\]' "$file"; then source_file=$file; fi
                done
                source_file=${source_file:-$source_directory/teleport.repo}
                wanted_source=$(rpm_source "$key_file")
                ;;
        esac
        repository=wanting
        if [ ! -e "$source_file" ]; then repository=missing; elif repository_is_right; then repository=right; fi
    }
    apt_source() {
        case $source_file in
            *.sources) printf '%s\n' "$MARK" 'Types: deb' "URIs: $url" "Suites: $codename" "Components: $repo_channel" "Signed-By: ${1:-$key_file}" ;;
            *) printf '%s\n' "$MARK" "deb [signed-by=${1:-$key_file}] $url $codename $repo_channel" ;;
        esac
    }
    # rpm_source KEY-FILE: a file that is there keeps all but its address.
    rpm_source() {
        if [ -e "$source_file" ]; then
            awk -v url="$url" '
                /^\[/ { ours = $0 == "[teleport]" }
                ours && /^(baseurl|mirrorlist|metalink)[ \t]*=/ { if (!done) print "baseurl=" url; done = 1; next }
                { print }' "$source_file"
        else
            rpm_section "$1"
        fi
    }
    rpm_section() {
        printf '%s\n' "$MARK" '[teleport]' name=Teleport "baseurl=$url" enabled=1 gpgcheck=1 repo_gpgcheck=1 "gpgkey=file://$1"
        [ "$family" != zypper ] || printf '%s\n' autorefresh=1 type=rpm-md
    }
    repository_is_right() {
        case $source_file in
            *.list) sed -nE 's/^deb[[:space:]]+(\[[^]]*\][[:space:]]+)?//p' "$source_file" ;;
            *.sources) awk '
                function told() { if (on) print uri, suite, parts; on = 1; uri = "-" }
                BEGIN { on = 1; uri = "-" }
                { field = tolower($1); value = $0; sub(/^[^:]*:[ \t]*/, "", value) }
                field == "uris:" { uri = value } field == "suites:" { suite = value } field == "components:" { parts = value }
                field == "enabled:" && tolower(value) == "no" { on = 0 }
                /^[ \t]*$/ { told() } END { told() }' "$source_file" ;;
            *) awk -F' *= *' '/^\[/ { ours = $0 == "[teleport]" } ours && $1 == "baseurl" { print $2 }' "$source_file" ;;
        esac | awk -v url="$url" -v suite="${codename:-}" -v channel="$repo_channel" '
            { sub("/$", "", $1) }
            $1 == url && suite == "" { found = 1 }
            $1 == url && suite != "" && $2 == suite { for (n = 3; n <= NF; n++) if ($n == channel) found = 1 }
            END { exit !found }'
    }
    rpm_key() { rpm -qa gpg-pubkey --qf '%{NAME}-%{VERSION}-%{RELEASE}\n' | grep -iE "^gpg-pubkey-[0-9a-f]*$(printf %s "$fingerprint" | tail -c 8)-" | head -n 1; }

    # --- the repository, before anything is changed --------------------------------------------------------------------

    # Prints where the public key in an armoured file begins and how long it is, if there is one key in it and nothing strange
    # (RFC 9580: packets of the types 2, 6, 13, 14, 17). Every other key in the file would be trusted, too.
    key_place() {
        od -An -v -tu1 "$1" | awk '
            { for (n = 1; n <= NF; n++) byte[size++] = $n }
            END {
                for (at = 0; at < size; at = body + long) {
                    tag = byte[at]
                    if (tag < 128) exit 1
                    if (tag >= 192) {
                        type = tag - 192; first = byte[at + 1]
                        if (first < 192) { long = first; body = at + 2 }
                        else if (first < 224) { long = (first - 192) * 256 + byte[at + 2] + 192; body = at + 3 }
                        else if (first == 255) { long = ((byte[at + 2] * 256 + byte[at + 3]) * 256 + byte[at + 4]) * 256 + byte[at + 5]; body = at + 6 }
                        else exit 1
                    } else {
                        type = int((tag - 128) / 4); width = tag % 4
                        if (width == 0) { long = byte[at + 1]; body = at + 2 }
                        else if (width == 1) { long = byte[at + 1] * 256 + byte[at + 2]; body = at + 3 }
                        else if (width == 2) { long = ((byte[at + 1] * 256 + byte[at + 2]) * 256 + byte[at + 3]) * 256 + byte[at + 4]; body = at + 5 }
                        else exit 1
                    }
                    if (body + long > size) exit 1
                    if (type == 6) { if (keys++ || at || byte[body] != 4 || long > 65535) exit 1; place = body " " long }
                    else if (type != 2 && type != 13 && type != 14 && type != 17) exit 1
                }
                if (keys != 1) exit 1
                print place
            }'
    }
    # check_key FILE: it is the one key with the fingerprint that was asked for.
    check_key() {
        wrong="the key at $key_url is not the one that was asked for"
        {
            [ "$(wc -c <"$1")" -lt 200000 ] && [ "$(grep -c '^-----' "$1")" = 2 ] && grep -qx -e '-----BEGIN PGP PUBLIC KEY BLOCK-----' "$1" &&
                sed -e '1,/^$/d; /^=/,$d; /^-----/d' "$1" | base64 -d >"$work/key" 2>/dev/null && place=$(key_place "$work/key")
        } || stop 69 "$key_url is not one armoured OpenPGP key" 'look at what is there; is a proxy in between?'
        long=${place#* }
        # A version 4 fingerprint: SHA-1 over 0x99, the length in two bytes, the key.
        is=$({
            printf '\231'
            # shellcheck disable=SC2059
            printf "\\$(printf %03o $((long / 256)))\\$(printf %03o $((long % 256)))"
            tail -c "+$((${place% *} + 1))" "$work/key" | head -c "$long"
        } | sha1sum | cut -c1-40 | tr a-f A-F)
        [ "$is" = "$fingerprint" ] || stop 69 "$wrong: its fingerprint is $is, not $fingerprint" "compare both with what the repository's owner publishes, then say --key-fingerprint"
    }

    # Everything that the repository has to have is looked at from a root directory of our own. Sets full: the version as the package
    # manager spells it.
    check_repository() {
        key_url=${key_url:-${base%%.dev/*}.dev/gpg}
        fetch "$key_url" "$work/key.asc" || failed 69 "cannot fetch the repository's key from $key_url" 'check the network and its proxy, or name a mirror: --repo-url, --key-url'
        [ "$mode" = dry-run ] || check_key "$work/key.asc"
        trouble="cannot read the repository $url" advice='check the network, version and edition; a mirror is named with --repo-url'
        case $family in
            apt)
                [ "$mode" = dry-run ] || { mkdir -p "$work/lists/partial" "$work/cache" && apt_source "$work/key.asc" >"$work/check.${source_file##*.}"; }
                set -- -o "Dir::Etc::sourcelist=$work/check.${source_file##*.}" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" \
                    -o APT::Update::Error-Mode=any -o APT::Sandbox::User=root
                question apt-get -q "$@" update || failed 69 "$trouble" "$advice"
                question apt-cache "$@" madison "$package" || failed 69 "$trouble" "$advice"
                [ "$mode" = dry-run ] || awk -F' *\\| *' '{ print $2 }' "$work/said" >"$work/versions"
                ;;
            dnf)
                [ "$mode" = dry-run ] || { mkdir -p "$work/repos" && rpm_section "$work/key.asc" >"$work/repos/teleport.repo"; }
                set -- -q -y "--installroot=$work/root" "--setopt=reposdir=$work/repos" "--setopt=cachedir=$work/cache" "--releasever=$os_major" '--disablerepo=*' --enablerepo=teleport
                if [ "$manager" = yum ]; then
                    question yum "$@" list available --showduplicates "$package" || failed 69 "$trouble" "$advice"
                    [ "$mode" = dry-run ] || awk '$3 ~ /teleport/ { sub(/^[0-9]+:/, "", $2); print $2 }' "$work/said" >"$work/versions"
                else
                    question dnf "$@" repoquery --showduplicates --qf '%{version}-%{release}\n' "$package" || failed 69 "$trouble" "$advice"
                    [ "$mode" = dry-run ] || grep -E '^[0-9]+\.' "$work/said" >"$work/versions" || :
                fi
                ;;
            zypper)
                [ "$mode" = dry-run ] || { mkdir -p "$work/repos" && rpm_section "$work/key.asc" >"$work/repos/teleport.repo"; }
                set -- -n --gpg-auto-import-keys --root "$work/root" --reposd-dir "$work/repos" --cache-dir "$work/cache"
                question zypper "$@" refresh teleport || failed 69 "$trouble" "$advice"
                question zypper "$@" --no-refresh search -s --match-exact -t package "$package" || : # 104: there is none
                [ "$mode" = dry-run ] || awk -F' *\\| *' '$3 == "package" { print $4 }' "$work/said" >"$work/versions"
                ;;
        esac
        full=$version
        [ "$mode" != dry-run ] || return 0
        full='' others=''
        while read -r candidate; do
            if [ "$(spelled "$candidate")" = "$version" ]; then full=$candidate; else others="${others:+$others, }$candidate"; fi
        done <"$work/versions"
        [ -n "$full" ] || stop 69 "the repository $url has no $package $version in ${codename:-}${codename:+ }$repo_channel (it has: ${others:-none at all})" \
            'ask for one of these, or check edition and --repo-channel'
    }

    # --- the updater -----------------------------------------------------------------------------------------------------

    # Finds the updater's package, fetches it if need be, and looks whether it is this release's. Sets updater_file.
    check_updater() {
        case $family,$deb_arch in
            apt,amd64|apt,arm64) name=${UPDATER}_${RELEASE}_$deb_arch.deb ;;
            *,amd64|*,arm64) name=$UPDATER-$RELEASE-1.$rpm_arch.rpm ;;
            *) stop 69 "there is no updater for the architecture $deb_arch" 'install the agent alone: --no-updater' ;;
        esac
        case $name in
            *_amd64.deb) sum=$SHA256_amd64_deb ;;
            *_arm64.deb) sum=$SHA256_arm64_deb ;;
            *.x86_64.rpm) sum=$SHA256_x86_64_rpm ;;
            *.aarch64.rpm) sum=$SHA256_aarch64_rpm ;;
        esac
        if [ "$manager" = yum ] && [ "$mode" != dry-run ] && yum --version 2>/dev/null | grep -q '^3\.'; then
            stop 69 'yum 3 is older than what the updater can drive (dnf 4.7)' 'install the agent alone: --no-updater'
        fi
        from=$updater_from
        [ -z "$updater_from" ] || sum=$updater_sum
        case $0 in */install.sh|install.sh) beside=$(dirname "$0")/$name ;; *) beside='' ;; esac
        # Only with its sum: anybody may have put something beside a script that lies in /tmp.
        if [ -z "$from" ] && [ -n "$sum" ] && [ -n "$beside" ] && [ -f "$beside" ]; then from=$beside; fi
        if [ -z "$from" ]; then
            [ -n "${RELEASE_URL:+$sum}" ] || stop 69 'this install.sh is from a source tree and knows no place of the updater' 'say --updater-package FILE, or --no-updater'
            from=$RELEASE_URL/$name
        fi
        # What is looked at is a copy that nobody can exchange.
        updater_file=$work/$name
        case $from in
            https://*) fetch "$from" "$updater_file" || failed 69 "cannot fetch the updater from $from" 'check the network and its proxy, or say --updater-package FILE' ;;
            *) [ "$mode" = dry-run ] || cp "$from" "$updater_file" 2>"$work/said" || failed 69 "cannot read $from" 'say --updater-package with the file that this release has for this host' ;;
        esac
        [ "$mode" != dry-run ] || return 0
        if [ -n "$sum" ]; then
            is=$(sha256sum "$updater_file" | cut -c1-64)
            [ "$is" = "$sum" ] || stop 69 "$from has the SHA-256 $is, not $sum" 'fetch it again from where you trust it'
        fi
        # shellcheck disable=SC2016
        case $family in
            apt) is=$(dpkg-deb -W --showformat '${Package} ${Version} ${Architecture}' "$updater_file" 2>/dev/null) || is=unreadable; as="$UPDATER 1:$RELEASE $deb_arch" ;;
            *) is=$(rpm -qp --nosignature --qf '%{NAME} %{EPOCH}:%{VERSION} %{ARCH}' "$updater_file" 2>/dev/null) || is=unreadable; as="$UPDATER 1:$RELEASE $rpm_arch" ;;
        esac
        [ "$is" = "$as" ] || stop 69 "$from is not the updater of this release: it is '$is', not '$as'" 'take package and install.sh from the same release'
    }

    # --- changing the host -----------------------------------------------------------------------------------------------

    # The agent restarts when it is upgraded, and takes its sessions along, this one too.
    leave_session() {
        grep -qE '/teleport\.service(/|$)' /proc/self/cgroup 2>/dev/null || return 0
        again="systemd-run --pipe --wait --collect sh install.sh $given"
        { [ -f "$0" ] && has systemd-run; } || stop 75 'this is a session of the agent that is to be changed' "save this script as install.sh, then: $again"
        case $0 in /*) self=$0 ;; *) self=$PWD/$0 ;; esac
        say 'this is a session of the agent that is to be changed: going on in a unit of its own, with its words here'
        as_root rm -rf "$work"
        # shellcheck disable=SC2086
        exec $become systemd-run --quiet --pipe --wait --collect ${https_proxy:+-E "https_proxy=$https_proxy"} ${http_proxy:+-E "http_proxy=$http_proxy"} \
            ${no_proxy:+-E "no_proxy=$no_proxy"} -E "PATH=$PATH" "--working-directory=$PWD" sh "$self" "$@"
    }

    place_repository() {
        if [ "$repository" != right ] || grep -qF "$key_file" "$source_file"; then
            if [ "$mode" = dry-run ]; then say "+ write $key_file: the key from $key_url"
            elif ! cmp -s "$work/key.asc" "$key_file"; then write "$key_file" "$(cat "$work/key.asc")"; fi
        fi
        case $family in
            dnf|zypper)
                if [ "$mode" = dry-run ] || [ -z "$(rpm_key)" ]; then
                    manage rpm --import "$key_file" || failed 70 "rpm does not take the key $key_file" 'see whether the rpm database can be written to'
                    imported=yes
                fi
                ;;
        esac
        if [ "$repository" = wanting ]; then
            kept=$source_file.bak more=1
            while [ -e "$kept" ]; do more=$((more + 1)) kept=$source_file.$more.bak; done
            say "$source_file leads elsewhere; what it said is kept in $kept"
            write "$kept" "$(cat "$source_file")"
        fi
        [ "$repository" = right ] || write "$source_file" "$wanted_source"
    }

    install_agent() {
        trouble="$manager did not install $package $version" advice='read what it says, then run this again'
        case $family in
            apt)
                # What a first run left that was cut off.
                ! ls /var/lib/dpkg/updates/[0-9]* >/dev/null 2>&1 || change dpkg --force-confold --configure "$package" || :
                manage apt-get -q -o "Dir::Etc::sourcelist=$source_file" -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0 -o APT::Update::Error-Mode=any update || failed 69 "cannot read the repository $url" "$advice"
                manage apt-get -q -y --no-remove -o Dpkg::Options::=--force-confold install "$package=$full" || failed 70 "$trouble" "$advice"
                ;;
            dnf)
                manage "$manager" -q -y '--disablerepo=*' --enablerepo=teleport --setopt=exit_on_lock=1 clean metadata || failed 70 "$trouble" "$advice"
                manage "$manager" -q -y '--disablerepo=*' --enablerepo=teleport --setopt=exit_on_lock=1 install "$package-$full" || failed 70 "$trouble" "$advice"
                ;;
            zypper)
                manage zypper -n refresh --repo teleport || failed 69 "cannot read the repository $url" "$advice"
                manage zypper -n --no-refresh install --repo teleport "$package=$full" || failed 70 "$trouble" "$advice"
                ;;
        esac
        [ "$mode" = dry-run ] || [ "$(spelled "$(installed "$package")")" = "$version" ] || failed 70 "$trouble" "$advice"
    }

    # For distributions without a repository: the vendor's archive, checked, and each program put in its place in one step.
    install_tarball() {
        [ "$edition" != cloud ] || stop 69 "the edition cloud comes from a repository alone, and there is none for $os_id (apt, dnf, yum and zypper: Debian, Ubuntu, RHEL, Rocky, Alma, Oracle, CentOS, Amazon Linux, Fedora, SLES, openSUSE)" 'use one of these, or the edition enterprise'
        variant=''
        [ "$edition" = oss ] || variant=-ent
        [ "$fips" = no ] || tar_arch=$tar_arch-fips
        archive=teleport$variant-v$version-linux-$tar_arch-bin.tar.gz
        url=${repo_url:-$base}
        case $url in http:*) stop 64 "an archive from $url cannot be trusted: its checksum comes from there, too" 'give an https address' ;; esac
        fetch "$url/$archive.sha256" "$work/sum" || failed 69 "cannot fetch $url/$archive.sha256" 'check the network, version and edition'
        fetch "$url/$archive" "$work/archive" || failed 69 "cannot fetch $url/$archive" 'check the network, version and edition'
        if [ "$mode" != dry-run ]; then
            is=$(sha256sum "$work/archive" | cut -c1-64) as=$(head -c 64 "$work/sum")
            [ "$is" = "$as" ] || stop 69 "$url/$archive has the SHA-256 $is, not $as" 'try again; if that stays so, tell whoever runs the server'
            { mkdir "$work/unpacked" && tar -xzf "$work/archive" -C "$work/unpacked"; } 2>"$work/said" || failed 70 "cannot unpack $archive" 'see whether there is room: df -h /tmp'
        fi
        for name in tctl tsh tbot fdpass-teleport teleport; do
            from=$work/unpacked/teleport$variant/$name
            [ "$mode" = dry-run ] || [ -f "$from" ] || { [ $name != teleport ] || stop 70 "$archive has no teleport" 'ask for another version'; continue; }
            change install -D -m 755 "$from" "${AGENT%/*}/$name~" || failed 78 "cannot write to ${AGENT%/*}" "see whether it can be written to: ls -ld ${AGENT%/*}; mount"
            # What does not run here, such as a program for another C library, replaces nothing.
            if [ $name = teleport ]; then change "$AGENT~" version || { as_root rm -f "${AGENT%/*}"/*~; failed 69 "this agent does not run on $os_id" 'use a distribution with glibc, or a container'; }; fi
        done
        for name in tctl tsh tbot fdpass-teleport teleport; do
            [ "$mode" != dry-run ] && [ ! -e "${AGENT%/*}/$name~" ] || change mv -f "${AGENT%/*}/$name~" "${AGENT%/*}/$name" || failed 78 "cannot write to ${AGENT%/*}" "ls -ld ${AGENT%/*}"
        done
    }

    install_updater() {
        case $family in
            apt) manage apt-get -q -y --no-remove install "$updater_file" ;;
            dnf) manage "$manager" -q -y '--disablerepo=*' --setopt=exit_on_lock=1 install "$updater_file" ;;
            zypper) manage zypper -n --no-refresh install --allow-unsigned-rpm "$updater_file" ;;
        esac || failed 70 "$manager did not install the updater $from" "read what it says, then run this again: $package $version is installed"
    }

    # The end that counts: what runs, not what was ordered.
    prove() {
        [ "$mode" != dry-run ] || { say 'dry run: nothing was changed.'; return 0; }
        $AGENT version 2>"$work/said" | grep -qE "v$(printf %s "$version" | sed 's/[.]/\\./g')( |\$)" || stop 70 "$AGENT version does not say $version" "look at what it says: $AGENT version"
        say "$package $version is installed."
        if [ "$updater" = no ] || [ "$family" = tarball ]; then
            say 'Nothing upgrades it: run this script again with the next version.'
        else
            is=$($PROGRAM version 2>/dev/null) || is=nothing
            [ "$is" = "v$RELEASE" ] || stop 70 "$PROGRAM version says $is, not v$RELEASE" "look at who owns it: ls -l $PROGRAM"
            say "teleport-upgrade $RELEASE keeps it on the version that its cluster wants:"
            as_root $PROGRAM dry-run 2>&1 | sed 's/^/    /' || :
            if [ -d /run/systemd/system ]; then
                systemctl --quiet is-active teleport-upgrade.timer || say 'Its timer is stopped: systemctl enable --now teleport-upgrade.timer'
            else
                say 'There is no systemd here: let cron run it, see teleport-upgrade(8).'
            fi
        fi
        running=$(systemctl show -p MainPID teleport.service 2>/dev/null | sed -n 's/^MainPID=\([1-9][0-9]*\)$/\1/p') || running=''
        if [ -z "$running" ]; then
            say 'Next: write /etc/teleport.yaml (teleport configure --help), then: systemctl enable --now teleport'
        elif ! as_root cat "/proc/$running/environ" 2>/dev/null | tr '\000' '\n' | grep -qx TELEPORT_EXT_UPGRADER=unit; then
            say 'Next: the agent has run since before this; it exports its windows from its next start on: systemctl restart teleport (ends open sessions)'
        fi
    }

    uninstall() {
        leave_session "$@"
        here=''
        for name in teleport teleport-ent teleport-ent-fips $UPDATER; do [ -z "$(installed "$name")" ] || here="$here $name"; done
        [ ! -d /run/systemd/system ] || [ -z "$here" ] || change systemctl disable --now teleport.service || :
        case $(installed $UPDATER) in 1:*) change $PROGRAM release || : ;; esac
        # shellcheck disable=SC2086
        case $family,$here in
            *,) ;;
            apt,*) manage apt-get -q -y remove $here ;;
            dnf,*) manage "$manager" -q -y '--disablerepo=*' --setopt=exit_on_lock=1 remove $here ;;
            zypper,*) manage zypper -n --no-refresh remove $here ;;
        esac || failed 70 "$manager did not remove$here" 'read what it says; a hold of the administrator has to be lifted first'
        for file in "${source_directory:-/nowhere}"/*; do
            if [ -f "$file" ] && grep -qxF "$MARK" "$file"; then
                here="$here $file"
                change rm -f "$file" "$key_file"
                [ "$family" = apt ] || [ -z "$(rpm_key)" ] || change rpm -e --allmatches "$(rpm_key)"
            fi
        done
        if [ "$family" = tarball ]; then
            for name in teleport tctl tsh tbot fdpass-teleport; do
                file=${AGENT%/*}/$name
                if [ -f "$file" ]; then here="$here $file" && change rm -f "$file"; fi
            done
        fi
        if [ -z "$here" ]; then say 'There was nothing to remove.'; elif [ "$mode" != dry-run ]; then say "Removed:$here."; fi
        say 'Kept: /etc/teleport.yaml, /var/lib/teleport, /etc/teleport-upgrade.d.'
    }

    # Which version this cluster wants now; a portal's page is none.
    ask_version() {
        case $proxy in *:[0-9]*) address=$proxy ;; *) address=$proxy:443 ;; esac
        endpoint=$address/v1/webapi/automaticupgrades/channel/$channel
        if [ "$fetcher" = curl ]; then curl -fsS --proto =https --connect-timeout 15 --max-time 30 --max-filesize 256 -o "$work/version" "https://$endpoint/version" 2>"$work/said"
        else wget -nv --max-redirect=0 -T 15 -t 2 -O "$work/version" "https://$endpoint/version" 2>"$work/said"; fi ||
            failed 69 "cannot ask https://$endpoint/version" 'check host, port and channel, and that the cluster offers versions'
        version=$(head -c 64 "$work/version" | tr -d '\000' | head -n 1)
        [ "$version" != none ] || stop 69 "https://$endpoint wants no version now" "ask again later, or give the cluster's own version instead of --proxy"
        well_formed "$version" || stop 69 "https://$endpoint/version answers with something that is no version" 'check host, port and channel'
        version=${version#v}
    }
    write_endpoint() {
        before=$(cat $CONFIG/endpoint 2>/dev/null) || before=''
        [ "$before" != "$endpoint" ] || return 0
        [ -z "$before" ] || say "$CONFIG/endpoint said before: $before"
        write $CONFIG/endpoint "$endpoint"
    }

    # --- the whole of it ---------------------------------------------------------------------------------------------------

    removing=no written=0 imported=no work='' given=$*
    PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    options "$@"
    look_at_host
    work=$(mktemp -d "${TMPDIR:-/tmp}/teleport-install.XXXXXXXXXX") || stop 78 "cannot make a directory in ${TMPDIR:-/tmp}" 'see whether it can be written to: df -h /tmp'
    trap tidy EXIT
    trap 'exit 130' HUP INT TERM
    if [ $removing = yes ]; then uninstall "$@"; return; fi
    [ -z "$proxy" ] || ask_version

    look_at_agent
    [ "$family" = tarball ] || look_at_repository
    # An agent that is there is for the updater to move; without one it is brought along, and never led back.
    kept=no to_do=''
    case $updater_here,$family in *,tarball) ;; 1:*) kept=yes ;; esac
    if [ -z "$agent" ]; then
        to_do=agent
    elif [ "$agent" = "$version" ]; then
        :
    elif [ $kept = yes ]; then
        say "$package $agent is installed, and is left alone: teleport-upgrade moves it."
        version=$agent
    elif older "$agent" "$version"; then
        to_do=agent
    else
        say "$package $agent is installed, and is left alone: it is newer than $version."
        version=$agent
    fi
    if [ $updater = yes ] && [ "$family" != tarball ]; then
        case $updater_here in
            1:*) if older "${updater_here#1:}" $RELEASE; then to_do="$to_do updater"; else RELEASE=${updater_here#1:}; fi ;;
            *) to_do="$to_do updater" ;;
        esac
    fi
    [ "$family" = tarball ] || [ "$repository" = right ] || to_do="$to_do repository"
    [ -n "$to_do" ] || say 'Everything is there already; nothing is changed.'

    [ -z "$to_do" ] || leave_session "$@"
    case $to_do,$family in *agent*,tarball) ;; *agent*|*repository*) check_repository ;; esac
    case $to_do in *updater*) check_updater ;; esac
    case $to_do,$family in *,tarball) ;; *agent*|*repository*) place_repository ;; esac
    case $to_do,$family in *agent*,tarball) install_tarball ;; *agent*) install_agent ;; esac
    written=0 imported=no # from here on there is an agent, and what it came from stays
    [ -z "$proxy" ] || write_endpoint
    case $to_do in *updater*) install_updater ;; esac
    prove
}
install_teleport "$@"
