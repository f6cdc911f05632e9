# shellcheck shell=bash disable=SC2154,SC2034 # host.sh sets code, said, out
# What install.sh makes of its arguments and of a host, whatever the package manager, and what it does where there is none of
# those it knows. Each function is a case.
# shellcheck source=tests/distro/bare-host.sh
source "${BASH_SOURCE[0]%/*}/bare-host.sh"

# --- arguments ----------------------------------------------------------------------------------------

arguments_that_make_no_sense_are_named_and_change_nothing() {
    local before words
    bare
    before=$(host_state)
    while IFS='|' read -r arguments words; do
        # shellcheck disable=SC2086
        script $arguments
        expect_stop 64 "$words"
    done <<'WORDS'
|which version?
16.2|'16.2' is no version
latest|'latest' is no version
v16.2.0;reboot|is no version
../../16.2.0|is no version
16.2.0 gold|the edition 'gold' is none of oss, enterprise, cloud
16.2.0 oss cloud|two editions were given
16.2.0 --proxy example.test|exclude each other
--proxy|--proxy needs a value
--proxy=|--proxy needs a value
--proxy https://example.test/web|is no HOST[:PORT]
--proxy example.test --channel ../x|is no name of a channel
16.2.0 --channel stable/cloud|--channel is a channel of the version server
16.2.0 --fips|there is no FIPS build of the edition oss
16.2.0 --colour|there is no option '--colour'
16.2.0 --repo-url ftp://example.test|is no address of a repository
16.2.0 --key-fingerprint 12|is no fingerprint
16.2.0 --updater-package http://example.test/x.deb|is neither a file nor an https address
16.2.0 --updater-package https://example.test/x.deb|is trusted only with --updater-sha256
--uninstall 16.2.0|--uninstall takes neither a version nor a proxy
WORDS
    script $'16.2.0\nrm' cloud
    expect_exit 64
    expect_as_before "$before"
}

help_fits_a_screen_and_names_every_option() {
    local option
    bare
    script --help
    expect_exit 0
    (($(wc -l <<<"$out") <= 32 && $(awk '{ if (length > m) m = length } END { print m }' <<<"$out") <= 80)) || failed 'it does not fit a screen'
    while read -r option; do
        [[ $out == *"$option"* ]] || failed "$option is not in --help"
    done < <(grep -oE '^ +--[a-z0-9|-]+\)' $RELEASE/install.sh | grep -oE '\-\-[a-z0-9-]+' | sort -u)
}

h36_a_download_that_was_cut_off_runs_nothing() {
    local lines size line before
    bare
    before=$(host_state)
    lines=$(wc -l <$RELEASE/install.sh) size=$(wc -c <$RELEASE/install.sh)
    for line in $(seq 1 7 $((lines - 1))) $((lines - 1)); do
        head -n "$line" $RELEASE/install.sh | dash -s 16.2.0 cloud >/run/lab/out 2>/run/lab/said || true
        [[ ! -s /run/lab/out ]] || failed "cut off after line $line it says $(cat /run/lab/out)"
    done
    # The last line is the call: whole or not at all, and without its arguments it is a question.
    for line in $(seq 1 27); do
        head -c $((size - line)) $RELEASE/install.sh | timeout 20 dash -s --dry-run --help >/run/lab/out 2>/run/lab/said || true
        ((line <= 1)) || [[ ! -s /run/lab/out ]] || failed "without its last $line bytes it says $(head -n 3 /run/lab/out)"
    done
    expect_as_before "$before"
    # And the whole of it, through a pipe.
    code=0
    dash -s -- --key-fingerprint "$FINGERPRINT" --no-updater 16.2.0 cloud <$RELEASE/install.sh >/run/lab/out 2>/run/lab/said || code=$?
    expect_exit 0
    [[ $(installed teleport-ent) == 16.2.0 ]] || failed 'the whole of it installed nothing'
}

# --- hosts --------------------------------------------------------------------------------------------

# Each block of the file os-releases is one distribution.
every_known_distribution_is_led_to_its_own_repository() {
    local name text='' line count=0
    bare
    rm /etc/os-release
    while IFS= read -r line; do
        case $line in
            '#'*|'') ;;
            '['*) name=$line text='' ;;
            [=!]' '*)
                printf '%s' "$text" >/etc/os-release
                distribution_is "$name" "$line"
                count=$((count + 1))
                ;;
            *) text+=$line$'\n' ;;
        esac
    done </run/lab/tests/distro/os-releases
    ((count >= 40)) || failed "only $count distributions"
    [[ ! -e /tmp/owned ]] || failed 'the file was run'
}

h31_other_architectures_and_unreadable_hosts_are_said_in_one_line() {
    local machine architecture
    bare
    while read -r machine architecture; do
        machine_is "$machine" "$architecture"
        PATH=/tmp/path:$PATH script --dry-run --no-updater 16.2.0
        case $architecture in
            riscv64|armel) expect_stop 69 "there is no agent for the architecture" ;;
            *) expect_exit 0 ;;
        esac
        printf 'ID=rocky\nVERSION_ID=9.4\n' >/tmp/other
        mount --bind /tmp/other /etc/os-release
        PATH=/tmp/path:$PATH script --dry-run --no-updater 16.2.0
        umount /etc/os-release
        case $machine in
            x86_64) expect_said 'https://yum.releases.teleport.dev/rhel/9/Teleport/x86_64/stable/v16' ;;
            aarch64) expect_said 'https://yum.releases.teleport.dev/rhel/9/Teleport/aarch64/stable/v16' ;;
            i686) expect_said 'https://yum.releases.teleport.dev/rhel/9/Teleport/i386/stable/v16' ;;
            armv7l) expect_said 'https://yum.releases.teleport.dev/rhel/9/Teleport/arm/stable/v16' ;;
        esac
    done <<'MACHINES'
x86_64 amd64
aarch64 arm64
armv7l armhf
i686 i386
riscv64 riscv64
armv7l armel
MACHINES
    # Agents exist for more architectures than updaters.
    machine_is armv7l armhf
    PATH=/tmp/path:$PATH script --dry-run 16.2.0
    expect_stop 69 'there is no updater for the architecture armhf'
    rm -f /etc/os-release /usr/lib/os-release
    script 16.2.0
    expect_stop 78 'which distribution this is cannot be told from /etc/os-release'
    mkdir /etc/os-release
    script 16.2.0
    expect_stop 78 'which distribution this is cannot be told from /etc/os-release'
    : >/run/ostree-booted
    rmdir /etc/os-release
    printf 'ID=fedora\nVERSION_ID=40\nVARIANT_ID=coreos\n' >/etc/os-release
    script 16.2.0
    expect_stop 69 'is upgraded as a whole'
}

# --- without a package manager ------------------------------------------------------------------------

each_edition_is_installed_from_its_archive_and_a_second_run_changes_nothing() {
    local edition name before
    bare_of_everything
    while read -r edition name; do
        script 16.2.0 "$edition"
        expect_exit 0
        expect_said "$name 16.2.0 is installed."
        expect_said 'Nothing upgrades it: run this script again with the next version.'
        [[ $(/usr/local/bin/teleport version --raw) == 16.2.0 && $(stat -c %a /usr/local/bin/{teleport,tctl,tsh,tbot} | sort -u) == 755 ]] || failed 'the programs are not in place'
        before=$(host_state)
        script v16.2.0 "$edition"
        expect_exit 0
        expect_said 'Everything is there already; nothing is changed.'
        expect_as_before "$before"
        script --uninstall
        [[ ! -e /usr/local/bin/teleport && ! -e /usr/local/bin/tsh ]] || failed 'programs were left behind'
    done <<'EDITIONS'
oss teleport
enterprise teleport-ent
EDITIONS
    script 16.2.0 cloud
    expect_stop 69 'the edition cloud comes from a repository alone'
    # An upgrade goes by the same way, and a lower version goes nowhere.
    script 16.1.7 enterprise
    script 16.2.0 enterprise
    [[ $(/usr/local/bin/teleport version --raw) == 16.2.0 ]] || failed 'it was not upgraded'
    script 16.1.7 enterprise
    expect_said 'it is newer than 16.1.7'
    [[ $(/usr/local/bin/teleport version --raw) == 16.2.0 ]] || failed 'it was led back'
}

h02_a_damaged_archive_or_one_for_another_libc_replaces_nothing() {
    local before archive=/srv/lab/answers/teleport-v16.2.0-linux-amd64-bin.tar.gz
    bare_of_everything
    before=$(host_state)
    echo 'one byte more' >>$archive
    script 16.2.0
    expect_stop 69 'has the SHA-256'
    head -c 1000 $archive >$archive.short
    mv $archive.short $archive
    sums
    script 16.2.0
    expect_stop 70 'cannot unpack teleport-v16.2.0-linux-amd64-bin.tar.gz'
    rm $archive.sha256
    script 16.2.0
    expect_stop 69 '404'
    script 16.9.9
    expect_stop 69 'cannot fetch https://cdn.teleport.dev/teleport-v16.9.9-linux-amd64-bin.tar.gz.sha256'
    printf '#!/lib/ld-of-another-libc.so\n' >/tmp/foreign
    archive 16.2.0 '' /tmp/foreign
    script 16.2.0
    expect_stop 69 'this agent does not run on arch'
    script --repo-url http://updates.example.test:8000 16.2.0
    expect_stop 64 'cannot be trusted'
    expect_as_before "$before"
}
