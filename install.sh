#!/bin/sh
# Brings a Teleport agent, and teleport-upgrade which keeps it on its cluster's version, to a Linux host; see --help.
# POSIX sh with curl or GNU wget, as root or with sudo or doas. All of it is one function that the last line calls, so
# that a download which was cut off runs nothing. It looks first, at the host and at the repository; then it changes
# something, in the order key, repository, agent, updater. What fails before the agent is there is taken back.
# shellcheck disable=SC2317 # functions in a function, which shellcheck takes for unreachable
install_teleport() {
    set -eu
    umask 022
    export LC_ALL=C # what tools say is read
    export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
    exec </dev/null # of the script itself, when it is piped
    trap '' PIPE

    # Written by tests/make-release: where the packages of this release lie, and their lines of SHA256SUMS.
    RELEASE=0.2.0
    RELEASE_URL=''
    SUMS=''
    # With what the vendor signs its repositories (goteleport.com/security).
    VENDOR_KEY=0C5E8BA5658E320D1B031179C87ED53A6282C411

    UPDATER=teleport-ent-updater
    PROGRAM=/usr/sbin/teleport-upgrade
    CONFIG=/etc/teleport-upgrade.d
    AGENT=/usr/local/bin/teleport
    MARK='# Written by the install.sh of teleport-upgrade.'
    PROGRAMS='tctl tsh tbot fdpass-teleport teleport' # of an archive; the agent last
    BY_HAND='give the last command above by hand to see all that it says, then run this again'

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
    # What a tool has said in $work/said, in one line: from its own word for an error on, if it has one.
    came_back() {
        {
            sed -nE '/^(curl:|E:|dpkg: error|[Ee]rror[: ]|ERROR|RPM: error|Problem:)|locked by/,$p' "$work/said" | grep . || grep -v '^[[:space:]]*$' "$work/said" | tail -n 1
        } 2>/dev/null | tr -s '\000-\037 ' ' ' | awk '{ sub(/ +$/, ""); print substr($0, 1, 240); found = 1 } END { if (!found) print "no word of why" }'
    }
    has() { command -v "$1" >/dev/null 2>&1; }

    # --- what was asked for -------------------------------------------------------------------------------------------

    options() {
        mode=install version='' edition='' proxy='' channel='' fips=no updater=yes updater_from='' updater_sum=''
        repo_url=${TELEPORT_REPO_URL:-} repo_channel='' key_url='' fingerprint='' own_key=no help_hint='install.sh --help'
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
                    [ -n "${2:-}" ] || stop 64 "$1 needs a value" "$help_hint"
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
                -*) stop 64 "there is no option '$1'" "$help_hint" ;;
                oss|enterprise|cloud) [ -z "$edition" ] || stop 64 "two editions were given: '$edition' and '$1'" "$help_hint"; edition=$1 ;;
                *) [ -z "$version$edition" ] || stop 64 "the edition '$1' is none of oss, enterprise, cloud" "$help_hint"; version=$1 ;;
            esac
            shift
        done
        fingerprint=$(printf %s "${fingerprint:-$VENDOR_KEY}" | tr -d ' :' | tr a-f A-F)
        matches "$fingerprint" '[0-9A-F]{40}' || stop 64 "'$fingerprint' is no fingerprint" 'write its 40 hexadecimal digits'
        if [ "$removing" = yes ]; then
            [ -z "$version$edition$proxy" ] || stop 64 '--uninstall takes neither a version nor a proxy' "$help_hint"
            return 0
        fi
        [ -n "$version$proxy" ] || stop 64 'which version? Neither one nor --proxy was given' "$help_hint"
        [ -z "$version" ] || [ -z "$proxy" ] || stop 64 "a version ('$version') and --proxy exclude each other" "leave out one of them"
        [ -z "$channel" ] || [ -n "$proxy" ] || stop 64 '--channel is a channel of the version server that --proxy names' "add --proxy HOST, or say --repo-channel"
        [ -n "$proxy" ] || well_formed "$version" || stop 64 "'$(printf %s "$version" | tr -d '\n')' is no version" 'write it like 16.2.0'
        version=${version#v} edition=${edition:-oss} channel=${channel:-default}
        case $fips,$edition in yes,oss) stop 64 'there is no FIPS build of the edition oss' 'add enterprise or cloud' ;; esac
        proxy=${proxy#https://} proxy=${proxy%/}
        [ -z "$proxy" ] || matches "$proxy" '([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?' || stop 64 "'$proxy' is no HOST[:PORT]" "$help_hint"
        matches "$channel" '[A-Za-z0-9][A-Za-z0-9._/-]*' || stop 64 "'$channel' is no name of a channel" "$help_hint"
        [ -z "$repo_channel" ] || matches "$repo_channel" '[A-Za-z0-9][A-Za-z0-9._/-]*' || stop 64 "'$repo_channel' is no name of a channel" "$help_hint"
        repo_url=${repo_url%/}
        [ -z "$repo_url" ] || matches "$repo_url" '(https?://[A-Za-z0-9.:-]+|file://)(/[A-Za-z0-9._~%+,:=@/-]*)?' || stop 64 "'$repo_url' is no address of a repository" 'write https://HOST/PATH'
        [ -z "$key_url" ] || [ "$own_key" = yes ] || stop 64 "a key from $key_url is trusted only with --key-fingerprint" "add the fingerprint that the key's owner publishes"
        [ -z "$key_url" ] || matches "$key_url" '(https|file)://[A-Za-z0-9._~%+,:=@/-]+' || stop 64 "'$key_url' is no address of a key" 'write https://HOST/PATH'
        updater_sum=$(printf %s "$updater_sum" | tr A-F a-f)
        [ -z "$updater_sum" ] || matches "$updater_sum" '[0-9a-f]{64}' || stop 64 "'$updater_sum' is no SHA-256" 'write its 64 hexadecimal digits'
        case $updater_from in
            https://*) [ -n "$updater_sum" ] || stop 64 "a package from $updater_from is trusted only with --updater-sha256" 'add the sum of SHA256SUMS' ;;
            *://*) stop 64 "$updater_from is neither a file nor an https address" "$help_hint" ;;
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
            $become true || stop 77 "only root may install packages, and $become refused" 'run this as root'
        fi
        if [ "$removing" = yes ]; then fetcher=none
        elif has curl; then fetcher=curl
        elif wget --version 2>/dev/null | grep -q '^GNU Wget'; then fetcher=wget
        else stop 69 'there is neither curl nor GNU wget' 'install curl'; fi
    }

    # Which package manager, and what the vendor calls a host like this: family, and base, which is all of the repository's
    # address but its channel.
    name_repository() {
        os_major=${os_version%%.*} family=tarball
        case $os_id in
            ubuntu|rhel|amzn|centos|fedora) based_on=$os_id ;;
            debian|raspbian|devuan|kali) based_on=debian ;;
            rocky|almalinux|ol) based_on=rhel ;;
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
                case $os_id,$os_major in
                    *,12) ;;
                    *tumbleweed*,*|*slowroll*,*|*,1[5-9]) os_major=15 ;;
                    *) stop 69 "there is no repository for $os_id $os_version" 'use release 12 or 15' ;;
                esac
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
        if [ -z "$become" ]; then "$@"; else
            $become env LC_ALL=C DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
                ${http_proxy:+"http_proxy=$http_proxy"} ${https_proxy:+"https_proxy=$https_proxy"} ${no_proxy:+"no_proxy=$no_proxy"} "$@"
        fi
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
        ! setsid -w true 2>/dev/null || apart='setsid -w'
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

    # fetch URL FILE: a download over what the address says, never over less: wget would follow https to http.
    fetch() {
        if [ "$mode" = dry-run ]; then say "? $fetcher $1"; return 0; fi
        case $1,$fetcher in
            file://*) cp "${1#file://}" "$2" 2>"$work/said" ;;
            https://*,curl) curl -fsSL --proto =https --connect-timeout 15 --max-time 900 --retry 2 -o "$2" "$1" 2>"$work/said" ;;
            *,curl) curl -fsSL --connect-timeout 15 --max-time 900 --retry 2 -o "$2" "$1" 2>"$work/said" ;;
            *,wget) wget -nv --max-redirect=0 -T 15 -t 2 -O "$2" "$1" 2>"$work/said" ;;
        esac
    }
    # put FILE SOURCE: a file gets the text of another, and keeps its own mode; its old text comes back if this goes wrong.
    put() {
        if [ "$mode" = dry-run ]; then
            say "+ write $1:"
            sed 's/^/    /' "$2"
            return 0
        fi
        say "+ write $1"
        written=$((written + 1))
        printf '%s\n' "$1" >"$work/undo.$written.path"
        [ ! -e "$1" ] || as_root cp -p "$1" "$work/undo.$written.text" || failed 78 "cannot read $1" "ls -l $1"
        directory=${1%/*}
        while [ ! -d "$directory" ]; do
            printf '%s\n' "$directory" >>"$work/undo.$written.directories"
            directory=${directory%/*}
        done
        {
            as_root mkdir -p "${1%/*}" && as_root install -m "$(stat -c %a "$1" 2>/dev/null || echo 644)" "$2" "$1.install~" && as_root mv -f "$1.install~" "$1"
        } 2>"$work/said" || failed 78 "cannot write $1" "see whether ${1%/*} can be written to: ls -ld ${1%/*}; mount"
    }
    # Takes back what was written, newest first, and the key that rpm was told; an agent that was to be removed and was not runs again. Once
    # another agent is installed, what it came from stays.
    take_back() {
        [ "$stopped" = no ] || as_root systemctl enable --now teleport.service || :
        [ -z "${package:-}" ] || [ "$family" = tarball ] || [ "$(spelled "$(installed "$package")")" = "${agent:-}" ] || return 0
        while [ "$written" -gt 0 ]; do
            file=$(cat "$work/undo.$written.path")
            if [ -e "$work/undo.$written.text" ]; then as_root cp -p "$work/undo.$written.text" "$file"; else as_root rm -f "$file"; fi || :
            as_root rm -f "$file.install~" || :
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
        # shellcheck disable=SC2086
        [ -z "$new" ] || [ "$mode" = dry-run ] || as_root rm -f $new || :
        [ -z "$work" ] || rm -rf "$work" 2>/dev/null || as_root rm -rf "$work" || :
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
    spelled() { printf '%s\n' "${1%-[0-9]*}" | sed 's/[~_]\(alpha\|beta\|dev\|rc\)/-\1/'; }
    # older A B: whether A comes before B. A pre-release comes before its release, and after nothing but lower numbers.
    older() {
        [ "$1" != "$2" ] && printf '%s\n%s\n' "$1" "$2" | awk -F- '
            { split($1, n, "."); split($2, pre, "."); key[NR] = sprintf("%06d%06d%06d%d%s%06d", n[1], n[2], n[3], $2 == "", pre[1], pre[2]) }
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
        if [ -L $AGENT ] && [ -z "$agent" ]; then
            stop 69 "$AGENT is a link: this agent is managed by teleport-update" 'leave it to that one: teleport-update status'
        fi
        # One that no package has brought.
        if [ -z "$agent" ] && [ -x $AGENT ]; then
            says=$($AGENT version 2>/dev/null) || says=''
            agent=$(printf '%s\n' "$says" | sed -n 's/^Teleport [^v]*v\([0-9][^ ]*\).*/\1/p')
            case $says,$edition in 'Teleport Enterprise'*,oss) other=enterprise ;; 'Teleport v'*,enterprise|'Teleport v'*,cloud) other=oss ;; *) other='' ;; esac
            [ -z "$other" ] || stop 69 "$AGENT is of the edition $other" "ask for that edition, or remove it first"
            if [ "$family" != tarball ]; then
                older "${agent:-0.0.0}" "$version" || [ "$agent" = "$version" ] || stop 69 "$AGENT $agent belongs to no package and is newer than $version" "ask for $agent, or remove it first"
                say "$AGENT ${agent:-of unknown version} belongs to no package: the package takes its place."
                agent=''
            fi
        fi
        updater_here=$(installed $UPDATER)
    }

    # The repository file of this host that counts, and whether it is as it ought to be. Another file than teleport.* is somebody else's: it
    # may be right, and is never changed.
    look_at_repository() {
        # Of what the agent is on, if that is newer: an old command line repeated leads no host back.
        newest=$version
        [ -z "$agent" ] || older "$agent" "$version" || newest=$agent
        case $repo_channel,$edition in ,cloud) repo_channel=stable/cloud ;; ,*) repo_channel=stable/v${newest%%.*} ;; esac
        case $family in apt) url=${repo_url:-$base} ;; *) url=${repo_url:-$base/$repo_channel} ;; esac
        repository=missing
        for source_file in "$source_directory"/teleport.sources "$source_directory"/teleport.list "$source_directory"/teleport.repo "$source_directory"/* /etc/apt/sources.list; do
            case $family,$source_file in
                apt,*.list|apt,*.sources) ;;
                apt,*) continue ;;
                *.repo) grep -q '^\[teleport\][[:space:]]*$' "$source_file" 2>/dev/null || continue ;;
                *) continue ;;
            esac
            [ -f "$source_file" ] || continue
            keep_mirror
            if repository_is_right; then repository=right; return 0; fi
        done
        # Releases of apt that know deb822 well are those that came with it.
        source_file=$source_directory/teleport.repo
        if [ "$family" = apt ]; then
            source_file=$source_directory/teleport.list
            if [ -e "$source_directory/teleport.sources" ] || { [ ! -e "$source_file" ] && dpkg --compare-versions "$(installed apt)" ge 2.4 2>/dev/null; }; then source_file=$source_directory/teleport.sources; fi
        else
            for file in "$source_directory"/*.repo; do
                if grep -q '^\[teleport\][[:space:]]*$' "$file" 2>/dev/null; then source_file=$file; fi
            done
            [ ! -e "$source_file" ] || grep -q '^\[teleport\][[:space:]]*$' "$source_file" || source_file=$source_directory/teleport-upgrade.repo
        fi
        [ ! -e "$source_file" ] || repository=wanting
    }
    # A mirror that was named once is kept until another is named.
    keep_mirror() {
        case $source_file in */teleport.*) ;; *) return 0 ;; esac
        [ -z "$repo_url" ] || return 0
        is=$(places | awk 'NR == 1 { sub("/$", "", $1); print $1 }')
        case $is in ''|"${base%%.dev/*}".dev/*) ;; *) url=$is ;; esac
    }
    apt_source() {
        case $source_file in
            *.sources) printf '%s\n' "$MARK" 'Types: deb' "URIs: $url" "Suites: $codename" "Components: $repo_channel" "Signed-By: $1" ;;
            *) printf '%s\n' "$MARK" "deb [signed-by=$1] $url $codename $repo_channel" ;;
        esac
    }
    # rpm_source KEY-FILE: a file that is there keeps all but its address, and is enabled.
    rpm_source() {
        if [ ! -e "$source_file" ]; then rpm_section "$1"; return; fi
        awk -v url="$url" '
            { sub(/\r$/, "") }
            /^\[/ { ours = /^\[teleport\][ \t]*$/; print; if (ours) print "baseurl=" url "\nenabled=1"; next }
            ours && /^(baseurl|mirrorlist|metalink|enabled)[ \t]*=/ { replaced = 1; next }
            ours && replaced && /^[ \t]+[^ \t]/ { next }
            { replaced = 0; print }' "$source_file"
    }
    rpm_section() {
        printf '%s\n' "$MARK" '[teleport]' name=Teleport "baseurl=$url" enabled=1 gpgcheck=1 repo_gpgcheck=1 "gpgkey=file://$1"
        [ "$family" != zypper ] || printf '%s\n' autorefresh=1 type=rpm-md
    }
    # places: what $source_file leads to, a line each: the address, and for apt the release and the channels.
    places() {
        case $source_file in
            *.list) sed -nE 's/^deb[[:space:]]+(\[[^]]*\][[:space:]]+)?//p' "$source_file" ;;
            *.sources) awk '
                function told() { if (on && uri != "") print uri, suite, parts; on = 1; uri = "" }
                BEGIN { on = 1 }
                { sub(/\r$/, ""); field = tolower($1); value = $0; sub(/^[^:]*:[ \t]*/, "", value) }
                field == "uris:" { uri = value } field == "suites:" { suite = value } field == "components:" { parts = value }
                field == "enabled:" && tolower(value) ~ /^(no|false|off|disable|without|0)$/ { on = 0 }
                /^[ \t]*$/ { told() } END { told() }' "$source_file" ;;
            *) awk '
                { sub(/\r$/, "") }
                /^\[/ { ours = /^\[teleport\][ \t]*$/ }
                ours && sub(/^baseurl[ \t]*=[ \t]*/, "") { uri = $0 }
                ours && /^enabled[ \t]*=[ \t]*(0|no|false|off)/ { off = 1 }
                END { if (!off) print uri }' "$source_file" ;;
        esac
    }
    repository_is_right() {
        places | awk -v url="$url" -v suite="$codename" -v channel="$repo_channel" '
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
    # fingerprint_of FILE: of the one public key in it, or nothing. What gpg, apt and rpm would read of the file is what is read here, to the
    # letter: one block from the first line to the last.
    fingerprint_of() {
        [ "$(wc -c <"$1")" -lt 200000 ] && awk '
            NR == 1 && $0 == "-----BEGIN PGP PUBLIC KEY BLOCK-----" { part = 1; next }
            part == 1 && /^[A-Z][a-z]+: / { next }
            part == 1 && $0 == "" { part = 2; next }
            part == 2 && /^[A-Za-z0-9+\/]+=?=?$/ { print; next }
            part == 2 && /^=[A-Za-z0-9+\/]+$/ { part = 3; next }
            part == 3 && $0 == "-----END PGP PUBLIC KEY BLOCK-----" { part = 4; next }
            { part = 0; exit }
            END { exit part != 4 }' "$1" >"$work/key.base64" && base64 -d <"$work/key.base64" >"$work/key" 2>/dev/null && place=$(key_place "$work/key") || return 0
        long=${place#* }
        # Version 4: SHA-1 over 0x99, the length in two bytes, the key.
        {
            printf '\231'
            # shellcheck disable=SC2059
            printf "\\$(printf %03o $((long / 256)))\\$(printf %03o $((long % 256)))"
            tail -c "+$((${place% *} + 1))" "$work/key" | head -c "$long"
        } | sha1sum | cut -c1-40 | tr a-f A-F
    }
    # check_key FILE: it is the one key with the fingerprint that was asked for.
    check_key() {
        is=$(fingerprint_of "$1")
        [ -n "$is" ] || stop 69 "$key_url is not one armoured OpenPGP key" 'look at what is there; is a proxy in between?'
        [ "$is" = "$fingerprint" ] || stop 69 "the key at $key_url is not the one that was asked for: its fingerprint is $is, not $fingerprint" \
            "compare both with what the repository's owner publishes, then say --key-fingerprint"
    }

    # Everything that the repository has to have is looked at with the package manager's own eyes, below a directory of our own. Sets full: the
    # version as the package manager spells it. A repository that apt knows already is looked at with the key that it has.
    # shellcheck disable=SC2016 # the patterns are awk's
    check_repository() {
        key_url=${key_url:-${base%%.dev/*}.dev/gpg}
        if [ "$family,$repository" != apt,right ]; then
            fetch "$key_url" "$work/key.asc" || failed 69 "cannot fetch the repository's key from $key_url" 'check the network and its proxy, or name a mirror: --repo-url, --key-url'
            [ "$mode" = dry-run ] || check_key "$work/key.asc"
        fi
        trouble="cannot read the repository $url" advice='check the network, version and edition; a mirror is named with --repo-url'
        case $family in
            apt)
                [ "$mode" = dry-run ] || make_apt_view
                set -- env "APT_CONFIG=$work/apt.conf"
                question "$@" apt-get -q update || failed 69 "$trouble" "$advice"
                question "$@" apt-cache madison "$package" || failed 69 "$trouble" "$advice"
                pattern='{ split($0, part, " *[|] *"); print part[2] }'
                ;;
            dnf)
                [ "$mode" = dry-run ] || { mkdir -p "$work/repos" && rpm_section "$work/key.asc" >"$work/repos/teleport.repo"; }
                set -- "$manager" -q -y "--installroot=$work/root" "--setopt=reposdir=$work/repos" "--setopt=cachedir=$work/cache" "--releasever=$os_major" '--disablerepo=*' --enablerepo=teleport
                if [ "$manager" = yum ]; then set -- "$@" list available; else set -- "$@" repoquery --qf '%{name} %{version}-%{release}\n'; fi
                question "$@" --showduplicates "$package" || failed 69 "$trouble" "$advice"
                pattern='$1 ~ /^teleport/ { sub(/^[0-9]+:/, "", $2); print $2 }'
                ;;
            zypper)
                [ "$mode" = dry-run ] || { mkdir -p "$work/repos" && rpm_section "$work/key.asc" >"$work/repos/teleport.repo"; }
                set -- env "ZYPP_LOGFILE=$work/zypper.log" zypper -n --gpg-auto-import-keys --root "$work/root" --reposd-dir "$work/repos" --cache-dir "$work/cache"
                question "$@" refresh teleport || failed 69 "$trouble" "$advice"
                question "$@" --no-refresh search -s --match-exact -t package "$package" || : # 104: there is none
                pattern='{ split($0, part, " *[|] *"); if (part[3] == "package") print part[4] }'
                ;;
        esac
        full=$version
        [ "$mode" != dry-run ] || return 0
        awk "$pattern" "$work/said" >"$work/versions"
        full='' others='' count=0
        while read -r candidate; do
            if [ "$(spelled "$candidate")" = "$newest" ]; then full=$candidate
            elif [ "$count" -lt 6 ]; then others="${others:+$others, }$candidate" count=$((count + 1)); fi
        done <"$work/versions"
        [ -n "$full" ] || stop 69 "the repository $url has no $package $newest in ${codename:+$codename }$repo_channel (it has: ${others:-none at all})" \
            'ask for one of these, or check edition and --repo-channel'
    }
    # apt's settings are the host's, but for its hooks and for where it writes.
    make_apt_view() {
        mkdir -p "$work/lists/partial" "$work/cache" "$work/apt.conf.d"
        view=$work/check.${source_file##*.}
        if [ "$repository" = right ]; then view=$source_file; else apt_source "$work/key.asc" >"$view"; fi
        for file in /etc/apt/apt.conf.d/*; do [ ! -f "$file" ] || as_root cat "$file" >"$work/apt.conf.d/${file##*/}"; done
        {
            printf '#clear APT::Update::%s;\n' Pre-Invoke Post-Invoke Post-Invoke-Success
            printf '%s "%s";\n' Dir::Etc::sourcelist "$view" Dir::Etc::sourceparts - Dir::State::lists "$work/lists" Dir::Cache "$work/cache" \
                APT::Update::Error-Mode any APT::Sandbox::User root
        } >"$work/apt.conf.d/zzz-last"
        printf 'Dir::Etc::parts "%s";\n' "$work/apt.conf.d" >"$work/apt.conf"
    }

    # --- the updater -----------------------------------------------------------------------------------------------------

    # Finds the updater's package, fetches it if need be, and looks whether it is this release's. Sets updater_file.
    check_updater() {
        case $family,$deb_arch in
            apt,amd64|apt,arm64) name=${UPDATER}_${RELEASE}_$deb_arch.deb ;;
            *,amd64|*,arm64) name=$UPDATER-$RELEASE-1.$rpm_arch.rpm ;;
            *) stop 69 "there is no updater for the architecture $deb_arch" 'install the agent alone: --no-updater' ;;
        esac
        sum=$(printf '%s\n' "$SUMS" | awk -v name="$name" '$2 == name { print $1 }')
        if [ "$manager" = yum ] && yum --version 2>/dev/null | grep -q '^3\.'; then
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
            *) [ "$mode" = dry-run ] || cp -- "$from" "$updater_file" 2>"$work/said" || failed 69 "cannot read $from" 'say --updater-package with the file that this release has for this host' ;;
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
        grep -qE '/teleport\.service(/|$)' /proc/self/cgroup 2>/dev/null && [ "$mode" != dry-run ] || return 0
        # Of a script that came through a pipe the shell's own name is left, which may be anybody's file here.
        case $0 in /*/install.sh) self=$0 ;; */install.sh|install.sh) self=$PWD/$0 ;; *) self='' ;; esac
        { [ -n "$self" ] && has systemd-run; } || stop 75 'this is a session of the agent that is to be changed' \
            "save this script as install.sh, then: systemd-run --pipe --wait --collect sh ${PWD%/}/install.sh $given"
        say 'this is a session of the agent that is to be changed: going on in a unit of its own, with its words here'
        rm -rf "$work"
        exec $become systemd-run --quiet --pipe --wait --collect ${https_proxy:+-E "https_proxy=$https_proxy"} ${http_proxy:+-E "http_proxy=$http_proxy"} \
            ${no_proxy:+-E "no_proxy=$no_proxy"} ${TELEPORT_REPO_URL:+-E "TELEPORT_REPO_URL=$TELEPORT_REPO_URL"} -E "PATH=$PATH" -p "WorkingDirectory=$PWD" \
            sh "$self" "$@"
    }

    place_repository() {
        if [ "$repository" != right ] || { [ "$family" != apt ] && grep -qF "$key_file" "$source_file"; }; then
            if [ "$mode" = dry-run ]; then say "+ write $key_file: the key from $key_url"
            elif ! cmp -s "$work/key.asc" "$key_file"; then put "$key_file" "$work/key.asc"; fi
        fi
        if [ "$family" != apt ] && [ -z "$(rpm_key)" ]; then
            # Where the repository file leads to another file, the key is not needed later.
            from=$key_file
            [ -e "$from" ] || [ "$mode" = dry-run ] || from=$work/key.asc
            manage rpm --import "$from" || failed 70 'rpm does not take the key' 'see whether the rpm database can be written to'
            [ "$mode" = dry-run ] || imported=yes
        fi
        [ "$repository" != right ] || return 0
        if [ "$repository" = wanting ]; then
            beside=$source_file.bak more=1
            while [ -e "$beside" ]; do more=$((more + 1)) beside=$source_file.$more.bak; done
            say "$source_file leads elsewhere; what it said is kept in $beside"
            put "$beside" "$source_file"
            [ "$mode" = dry-run ] || as_root chmod "$(stat -c %a "$source_file")" "$beside"
        fi
        case $family in apt) apt_source "$key_file" ;; *) rpm_source "$key_file" ;; esac >"$work/source"
        put "$source_file" "$work/source"
    }
    refresh_repository() {
        case $family in
            apt) manage apt-get -q -o "Dir::Etc::sourcelist=$source_file" -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0 -o APT::Update::Error-Mode=any update ;;
            dnf) manage "$manager" -q -y '--disablerepo=*' --enablerepo=teleport --setopt=exit_on_lock=1 clean metadata ;;
            zypper) manage zypper -n refresh --repo teleport ;;
        esac || failed 69 "cannot read the repository $url" "$BY_HAND"
    }

    install_agent() {
        # What a first run left that was cut off.
        ! ls /var/lib/dpkg/updates/[0-9]* >/dev/null 2>&1 || change dpkg --force-confold --configure "$package" || :
        case $family in
            apt) manage apt-get -q -y --no-remove -o Dpkg::Options::=--force-confold install "$package=$full" ;;
            dnf) manage "$manager" -q -y '--disablerepo=*' --enablerepo=teleport --setopt=exit_on_lock=1 install "$package-$full" ;;
            zypper) manage zypper -n --no-refresh install --repo teleport "$package=$full" ;;
        esac || failed 70 "$manager did not install $package $version" "$BY_HAND"
        [ "$mode" = dry-run ] || [ "$(spelled "$(installed "$package")")" = "$version" ] || failed 70 "$manager did not install $package $version" "$BY_HAND"
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
            is=$(sha256sum "$work/archive" | cut -c1-64) as=$(head -c 64 "$work/sum" | tr -cd 0-9a-f)
            [ "$is" = "$as" ] || stop 69 "$url/$archive has the SHA-256 $is, not $as" 'try again; if that stays so, tell whoever runs the server'
            { mkdir "$work/unpacked" && tar -xzf "$work/archive" -C "$work/unpacked"; } 2>"$work/said" || failed 70 "cannot unpack $archive" 'see whether there is room: df -h /tmp'
        fi
        for name in $PROGRAMS; do
            from=$work/unpacked/teleport$variant/$name
            [ "$mode" = dry-run ] || [ -f "$from" ] || { [ "$name" != teleport ] || stop 70 "$archive has no teleport" 'ask for another version'; continue; }
            new="$new ${AGENT%/*}/$name.install~"
            change install -D -m 755 "$from" "${AGENT%/*}/$name.install~" || failed 78 "cannot write to ${AGENT%/*}" "see whether it can be written to: ls -ld ${AGENT%/*}; mount"
        done
        # What does not run here, such as a program for another C library, replaces nothing.
        change "$AGENT.install~" version || failed 69 "this agent does not run on $os_id" 'use a distribution with glibc, or a container'
        for from in $new; do change mv -f "$from" "${from%.install~}" || failed 78 "cannot write to ${AGENT%/*}" "ls -ld ${AGENT%/*}"; done
    }

    install_updater() {
        case $family in
            apt) manage apt-get -q -y --no-remove install "$updater_file" ;;
            # Its sum has been looked at; signed by a repository's key it is not.
            dnf) manage "$manager" -q -y '--disablerepo=*' --setopt=exit_on_lock=1 --setopt=localpkg_gpgcheck=0 install "$updater_file" ;;
            zypper) manage zypper -n --no-refresh install --allow-unsigned-rpm "$updater_file" ;;
        esac || failed 70 "$manager did not install the updater $from" "$BY_HAND: $package $version is installed"
    }

    # The end that counts: what runs, not what was ordered.
    prove() {
        [ "$mode" != dry-run ] || { say 'dry run: nothing was changed.'; return 0; }
        $AGENT version 2>"$work/said" | grep -qE "v$(printf %s "$version" | sed 's/[.]/\\./g')( |\$)" || stop 70 "$AGENT version does not say $version" "look at what it says: $AGENT version"
        say "$package $version is installed."
        if [ "$updater" = no ] && [ -z "$updater_here" ] || [ "$family" = tarball ]; then
            say 'Nothing upgrades it: run this script again with the next version.'
            kept_by=nobody
        else
            kept_by=updater
            [ "$updater" = no ] || prove_updater
        fi
        running=$(systemctl show -p MainPID teleport.service 2>/dev/null | sed -n 's/^MainPID=\([1-9][0-9]*\)$/\1/p') || running=''
        if [ -z "$running" ]; then
            start='teleport start'
            if [ -d /run/systemd/system ] && [ "$family" != tarball ]; then start='systemctl enable --now teleport'; fi
            say "Next: write /etc/teleport.yaml (teleport configure --help), then: $start"
        elif [ $kept_by = updater ] && ! as_root cat "/proc/$running/environ" 2>/dev/null | tr '\000' '\n' | grep -qx TELEPORT_EXT_UPGRADER=unit; then
            say 'Next: the agent has run since before this; it exports its windows from its next start on: systemctl restart teleport (ends open sessions)'
        fi
    }
    prove_updater() {
        is=$($PROGRAM version 2>/dev/null) || is=nothing
        [ "$is" = "v$expected" ] || stop 70 "$PROGRAM version says $is, not v$expected" "look at who owns it: ls -l $PROGRAM"
        say "teleport-upgrade $expected keeps it on the version that its cluster wants:"
        as_root $PROGRAM dry-run 2>&1 | sed 's/^/    /' || :
        if [ ! -d /run/systemd/system ]; then
            say 'There is no systemd here: let cron run it, see teleport-upgrade(8).'
        elif ! systemctl --quiet is-active teleport-upgrade.timer; then
            say 'Its timer is stopped: systemctl enable --now teleport-upgrade.timer'
        fi
    }

    uninstall() {
        leave_session "$@"
        here=''
        for name in teleport teleport-ent teleport-ent-fips $UPDATER; do [ -z "$(installed "$name")" ] || here="$here $name"; done
        if [ "$family" = tarball ] && [ -x $AGENT ] && [ ! -L $AGENT ]; then here=$AGENT; fi
        # What depends on them is somebody else's, and would go along.
        # shellcheck disable=SC2086
        case $mode,$family,$here in
            dry-run,*|*,|*,tarball,*) ;;
            *,apt,*) as_root dpkg --no-act --remove $here >"$work/said" 2>&1 || failed 69 "other packages need what is to be removed" 'remove these first' ;;
            *) as_root rpm -e --test $here >"$work/said" 2>&1 || failed 69 "other packages need what is to be removed" 'remove these first' ;;
        esac
        if [ -n "$here" ] && [ -d /run/systemd/system ] && systemctl --quiet is-active teleport.service; then
            [ "$mode" = dry-run ] || stopped=yes
            change systemctl disable --now teleport.service || :
        fi
        case $(installed $UPDATER) in 1:*) change $PROGRAM release || : ;; esac
        # shellcheck disable=SC2086
        case $family,$here in
            *,) ;;
            tarball,*) for name in $PROGRAMS; do [ ! -f "${AGENT%/*}/$name" ] || change rm -f "${AGENT%/*}/$name"; done ;;
            apt,*) manage apt-get -q -y remove $here ;;
            dnf,*) manage "$manager" -q -y '--disablerepo=*' --setopt=exit_on_lock=1 remove $here ;;
            zypper,*) manage zypper -n --no-refresh remove $here ;;
        esac || failed 70 "$manager did not remove$here" "$BY_HAND; a hold of the administrator has to be lifted first"
        stopped=no
        for file in "${source_directory:-/nowhere}"/*; do
            if [ -f "$file" ] && grep -qxF "$MARK" "$file"; then
                here="$here $file"
                change rm -f "$file" || failed 78 "cannot remove $file" "ls -ld ${file%/*}; mount"
            fi
        done
        forget_key
        if [ -z "$here" ]; then say 'There was nothing to remove.'; elif [ "$mode" != dry-run ]; then say "Removed:$here."; fi
        say 'Kept: /etc/teleport.yaml, /var/lib/teleport, /etc/teleport-upgrade.d.'
    }
    # The key goes when no repository file names it any more.
    forget_key() {
        [ -e "${key_file:-/nowhere}" ] && ! grep -qsF "$key_file" "$source_directory"/* || return 0
        if [ "$family" != apt ]; then
            fingerprint=$(fingerprint_of "$key_file")
            [ -z "$fingerprint" ] || [ -z "$(rpm_key)" ] || change rpm -e --allmatches "$(rpm_key)" || :
        fi
        here="$here $key_file"
        change rm -f "$key_file" || failed 78 "cannot remove $key_file" "ls -ld ${key_file%/*}; mount"
    }

    # Which version this cluster wants now; a portal's page is none.
    ask_version() {
        case ${proxy##*]} in *:[0-9]*) address=$proxy ;; *) address=$proxy:443 ;; esac
        endpoint=$address/v1/webapi/automaticupgrades/channel/$channel
        if [ "$fetcher" = curl ]; then curl -fsS --proto =https --connect-timeout 15 --max-time 30 --max-filesize 256 -o "$work/version" "https://$endpoint/version" 2>"$work/said"
        else wget -nv --max-redirect=0 -T 15 -t 2 -O "$work/version" "https://$endpoint/version" 2>"$work/said"; fi ||
            failed 69 "cannot ask https://$endpoint/version" 'check host, port and channel, and that the cluster offers versions'
        version=$(head -c 64 "$work/version" | tr -d '\000' | head -n 1)
        [ "$version" != none ] || stop 69 "https://$endpoint wants no version now" "ask again later, or give the cluster's own version instead of --proxy"
        well_formed "$version" || stop 69 "https://$endpoint/version answers with something that is no version" 'check host, port and channel'
        version=${version#v}
    }
    # What is asked from now on, as far as somebody asks.
    look_at_endpoint() {
        before=$(grep -v '^[[:space:]]*\(#.*\)*$' $CONFIG/endpoint 2>/dev/null | head -n 1) || before=''
        [ -n "$proxy" ] && [ "$before" != "$endpoint" ] && { [ $updater = yes ] || [ -n "$updater_here" ]; }
    }
    write_endpoint() {
        [ -z "$before" ] || say "$CONFIG/endpoint said before: $before"
        printf '%s\n' "$endpoint" >"$work/endpoint"
        put $CONFIG/endpoint "$work/endpoint"
    }

    # --- the whole of it ---------------------------------------------------------------------------------------------------

    removing=no stopped=no written=0 imported=no work='' codename='' new='' expected=$RELEASE given=$*
    PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    options "$@"
    look_at_host
    work=$(mktemp -d 2>/dev/null) || stop 78 "cannot make a directory in ${TMPDIR:-/tmp}" 'see whether it can be written to: df -h /tmp'
    trap tidy EXIT
    trap "stop 75 'was told to end' 'run this again: it completes what is left'" HUP INT TERM
    if [ $removing = yes ]; then uninstall "$@"; return; fi
    [ -z "$proxy" ] || ask_version

    look_at_agent
    [ "$family" = tarball ] || look_at_repository
    # An agent that is there is for the updater to move, ours or the vendor's, whose hold ours takes over; without one it is brought along, and
    # never led back.
    to_do=''
    if [ -z "$agent" ]; then
        to_do=agent
    elif [ "$agent" = "$version" ]; then
        :
    elif [ -n "$updater_here" ]; then
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
            1:*) if older "${updater_here#1:}" $RELEASE; then to_do="$to_do updater"; else expected=${updater_here#1:}; fi ;;
            *) to_do="$to_do updater" ;;
        esac
    fi
    [ "$family" = tarball ] || [ "$repository" = right ] || to_do="$to_do repository"
    [ "$family" = tarball ] || ! look_at_endpoint || to_do="$to_do endpoint"
    [ -n "$to_do" ] || say 'Everything is there already; nothing is changed.'

    [ -z "$to_do" ] || leave_session "$@"
    case $to_do,$family in *,tarball) ;; *agent*|*repository*) check_repository ;; esac
    case $to_do in *updater*) check_updater ;; esac
    case $to_do,$family in *,tarball) ;; *agent*|*repository*) place_repository; refresh_repository ;; esac
    case $to_do,$family in *agent*,tarball) install_tarball ;; *agent*) install_agent ;; esac
    case $to_do in *endpoint*) write_endpoint ;; esac
    written=0 imported=no # from here on there is an agent, and what it needs stays
    case $to_do in *updater*) install_updater ;; esac
    prove
}
install_teleport "$@"
