# shellcheck shell=bash disable=SC2154,SC2034 # host.sh sets code, said, out
# install.sh on hosts that have a package manager. Each function is a case, run on apt, dnf and zypper.
# shellcheck source=tests/distro/bare-host.sh
source "${BASH_SOURCE[0]%/*}/bare-host.sh"

# --- from nothing to an agent that is kept up to date -------------------------------------------------

each_edition_is_installed_at_its_version_and_a_second_run_changes_nothing() {
    local edition package channel before
    release_directory
    while read -r edition package channel; do
        # On dnf and zypper all of them with FULL=1.
        [[ $edition == cloud || $MANAGER == apt || -e /run/lab/full ]] || continue
        strip_host
        script 16.2.0 "$edition"
        expect_exit 0
        expect_installed "$package" 16.2.0
        [[ $(repository_file) == *"$channel"* ]] || failed "expected the channel $channel: $(repository_file)"
        expect_said "$package 16.2.0 is installed."
        expect_said 'no upgrades available (16.2.0 == 16.2.0)'
        before=$(host_state)
        script "v16.2.0" "$edition"
        expect_exit 0
        expect_said 'Everything is there already; nothing is changed.'
        expect_as_before "$before"
        script --uninstall
        expect_exit 0
        [[ $(installed "$package") == none && $(updater_version) != *"$OUR_VERSION"* && -z $(repository_file) ]] || failed 'not all of it was removed'
        [[ ! -e $KEY ]] || failed 'the key was left behind'
        script --uninstall
        expect_exit 0
        expect_said 'There was nothing to remove.'
    done <<'EDITIONS'
oss teleport stable/v16
enterprise teleport-ent stable/v16
cloud teleport-ent stable/cloud
EDITIONS
}

the_updater_is_ours_although_the_vendors_repository_offers_99_0_0() {
    bare
    offer_package "$(stock 99.0.0)"
    script 16.2.0 cloud
    expect_exit 0
    expect_installed teleport-ent 16.2.0
}

a_cluster_is_asked_which_version_and_followed_from_then_on() {
    bare
    offer_cluster v16.1.7
    script --proxy proxy.example.test cloud
    expect_exit 0
    expect_installed teleport-ent 16.1.7
    [[ $(cat "$CONFIG/endpoint") == proxy.example.test:443/v1/webapi/automaticupgrades/channel/default ]] || failed "the endpoint is $(cat "$CONFIG/endpoint")"
    [[ $(stat -c '%U %a' "$CONFIG" "$CONFIG/endpoint") == $'root 755\nroot 644' ]] || failed 'others may write the endpoint'
    expect_said 'no upgrades available (16.1.7 == 16.1.7)'
    # The same words as those of the program itself.
    script --proxy proxy.example.test cloud
    expect_said 'Everything is there already; nothing is changed.'
    upgrade install --proxy proxy.example.test
    expect_unsaid 'says proxy.example.test:443'
    # Another channel is another endpoint; the agent is the updater's to move.
    offer_cluster 16.2.0 slow/lane
    script --proxy proxy.example.test:443 --channel slow/lane cloud
    expect_exit 0
    expect_said "$CONFIG/endpoint said before: proxy.example.test:443/v1/webapi/automaticupgrades/channel/default"
    expect_said 'teleport-ent 16.1.7 is installed, and is left alone: teleport-upgrade moves it.'
    expect_version 16.1.7
    upgrade force
    expect_version 16.2.0
}

the_agent_alone_and_the_fips_build_can_be_had() {
    bare
    script --fips --no-updater 16.2.0 enterprise
    expect_exit 0
    expect_said 'Nothing upgrades it: run this script again with the next version.'
    [[ $(installed teleport-ent-fips) == 16.2.0 && ! -e $UPGRADE ]] || failed 'not the FIPS build alone'
    script --fips 16.2.0 enterprise
    expect_exit 0
    expect_installed teleport-ent-fips 16.2.0
    # Another edition takes nobody's place.
    script 16.2.0 oss
    expect_stop 69 'teleport-ent-fips 16.2.0 is installed, which is another edition than teleport'
}

an_older_agent_that_nobody_keeps_is_brought_along_and_a_newer_one_is_left() {
    bare
    script --no-updater 16.1.7 cloud
    script 16.2.0 cloud
    expect_exit 0
    expect_installed teleport-ent 16.2.0
    script --uninstall
    script --no-updater 16.2.1 cloud
    script 16.2.0 cloud
    expect_exit 0
    expect_said 'teleport-ent 16.2.1 is installed, and is left alone: it is newer than 16.2.0.'
    expect_installed teleport-ent 16.2.1
}

# --- repositories -------------------------------------------------------------------------------------

a_mirror_is_used_with_the_key_that_was_named_and_the_vendor_is_not_asked() {
    local url
    bare
    case $MANAGER in
        apt) ln -s /srv/lab/apt /srv/lab/answers/mirror; url=https://updates.example.test/mirror/debian ;;
        *) ln -s /srv/lab/rpm /srv/lab/answers/mirror; url=https://updates.example.test/mirror/good/stable/cloud ;;
    esac
    sed -i 's/\(apt\|yum\|zypper\)\.releases\.teleport\.dev/gone.example.test/g' /etc/hosts
    : >/run/lab/asked
    script --repo-url "$url" 16.2.0 cloud
    expect_stop 69 "cannot fetch the repository's key"
    raw_script --repo-url "$url" --key-url https://updates.example.test/mirror/gpg 16.2.0 cloud
    expect_stop 64 'is trusted only with --key-fingerprint'
    TELEPORT_REPO_URL=$url script --key-url https://updates.example.test/mirror/gpg 16.2.0 cloud
    expect_exit 0
    expect_installed teleport-ent 16.2.0
    [[ $(repository_file) == *"$url"* ]] || failed "expected the mirror: $(repository_file)"
}

# --- what stops it, and what is left then -------------------------------------------------------------

a_dry_run_prints_every_command_that_a_run_gives_and_changes_nothing() {
    local before planned
    bare
    before=$(host_state)
    : >/run/lab/asked
    script --dry-run 16.2.0 cloud
    expect_exit 0
    expect_said 'dry run: nothing was changed.'
    expect_as_before "$before"
    [[ ! -s /run/lab/asked ]] || failed "it asked: $(cat /run/lab/asked)"
    planned=$(commands)
    [[ $(wc -l <<<"$planned") -ge 5 ]] || failed "these are all: $planned"
    script 16.2.0 cloud
    expect_exit 0
    diff <(echo "$planned") <(commands) || failed 'the run gave other commands'
}

h09_a_version_that_the_repository_lacks_is_named_with_those_it_has() {
    local before
    bare
    before=$(host_state)
    script 16.9.9 cloud
    expect_stop 69 'has no teleport-ent 16.9.9 in'
    expect_said '16.2.0'
    script 99.0.0 enterprise
    expect_stop 69 'stable/v99'
    expect_as_before "$before"
}

h11_a_repository_that_another_key_has_signed_or_none_is_not_added() {
    local before trouble
    bare
    before=$(host_state)
    raw_script 16.2.0 cloud
    expect_stop 69 "its fingerprint is $FINGERPRINT, not 0C5E8BA5658E320D1B031179C87ED53A6282C411"
    for trouble in stranger unsigned; do
        repository_becomes $trouble
        script 16.2.0 cloud
        expect_stop 69 'cannot read the repository'
    done
    expect_as_before "$before"
}

h11_a_file_with_more_than_the_one_key_is_not_trusted() {
    local before key=/srv/lab/answers/key
    bare
    before=$(host_state)
    GNUPGHOME=/srv/lab/gnupg gpg --batch --armor --export teleport@example.test stranger@example.test >$key 2>/dev/null
    script --key-url https://updates.example.test/key 16.2.0 cloud
    expect_stop 69 'is not one armoured OpenPGP key'
    # Two blocks, of which only the first is the right one.
    { GNUPGHOME=/srv/lab/gnupg gpg --batch --armor --export teleport@example.test; GNUPGHOME=/srv/lab/gnupg gpg --batch --armor --export stranger@example.test; } >$key 2>/dev/null
    script --key-url https://updates.example.test/key 16.2.0 cloud
    expect_stop 69 'is not one armoured OpenPGP key'
    GNUPGHOME=/srv/lab/gnupg gpg --batch --armor --export stranger@example.test >$key 2>/dev/null
    script --key-url https://updates.example.test/key 16.2.0 cloud
    expect_stop 69 'is not the one that was asked for'
    echo '<html>log in</html>' >$key
    script --key-url https://updates.example.test/key 16.2.0 cloud
    expect_stop 69 'is not one armoured OpenPGP key'
    expect_as_before "$before"
}

h13_an_unreachable_or_untrusted_vendor_leaves_the_host_as_it_was() {
    local before
    bare
    before=$(host_state)
    mv /srv/lab/answers /srv/lab/moved
    stop_serving
    script 16.2.0 cloud
    expect_stop 69 "cannot fetch the repository's key"
    mv /srv/lab/moved /srv/lab/answers
    serve
    rm /usr/local/share/ca-certificates/test-lab.crt
    update-ca-certificates >/dev/null 2>&1
    before=$(host_state)
    script 16.2.0 cloud
    expect_stop 69 'certificate'
    expect_as_before "$before"
}

h07_another_package_manager_is_waited_for_and_then_nothing_is_left_behind() {
    local before
    bare
    # So that two minutes pass in a moment.
    mkdir /tmp/quick
    printf '#!/bin/sh\nexec /bin/sleep 0.01\n' >/tmp/quick/sleep
    chmod 755 /tmp/quick/sleep
    before=$(host_state)
    if [[ $MANAGER == apt ]]; then hold_lists_lock; else hold_metadata; fi
    PATH=/tmp/quick:$PATH script 16.2.0 cloud
    expect_exit 75
    expect_said 'another package manager is at work:'
    expect_said 'waited two minutes for another package manager'
    kill -9 "$holder"
    expect_as_before "$before"
    if [[ $MANAGER == apt ]]; then hold_dpkg_lock; else hold_transaction; fi
    : >/run/lab/out
    (until grep -q 'another package manager is at work' /run/lab/out; do sleep 0.2; done; rm -f /run/lab/slow) &
    script 16.2.0 cloud
    expect_exit 0
    expect_said 'another package manager is at work:'
    expect_installed teleport-ent 16.2.0
}

h31_a_read_only_etc_is_said_in_one_line() {
    bare
    mount --bind /etc /etc
    mount -o remount,ro,bind /etc
    script 16.2.0 cloud
    umount /etc
    expect_stop 78 'cannot write /etc/'
    [[ $(installed teleport-ent) == none && -z $(repository_file) ]] || failed 'something was installed'
}

# --- what a stranger's review found -------------------------------------------------------------------

other_repositories_and_the_modes_of_files_are_left_as_they_are() {
    local other=${SOURCE%/*}/company.${SOURCE##*.} before
    bare
    # Somebody's file with several repositories, one of them the vendor's on an older channel.
    script --no-updater 16.1.7 enterprise
    [[ ! -e ${SOURCE%.*}.sources ]] || other=${SOURCE%/*}/company.sources
    { grep -v '^# Written by' "${SOURCE%.*}".*; case $other in *.list) echo '# deb https://company.example.test x y' ;; *.sources) printf '\n# Types: deb\n' ;; *) printf '[company]\nname=Company\nbaseurl=https://company.example.test/\nenabled=0\n' ;; esac; } >"$other"
    rm "${SOURCE%.*}".*
    # A repository's id is there once on an rpm host.
    [[ $MANAGER == apt ]] || sed -i 's/^\[teleport\]/[agents]/' "$other"
    before=$(sha256sum "$other")
    script 16.2.0 cloud
    expect_exit 0
    expect_installed teleport-ent 16.2.0
    [[ $(sha256sum "$other") == "$before" ]] || failed 'somebody else'"'"'s file was changed'
    script --uninstall
    [[ $(sha256sum "$other") == "$before" ]] || failed 'somebody else'"'"'s file was removed'
    rm "$other"
    # A file with a password in it.
    script --no-updater 16.1.7 enterprise
    chmod 600 "${SOURCE%.*}".*
    script 16.2.0 cloud
    [[ $(stat -c %a "${SOURCE%.*}".* | sort -u) == 600 ]] || failed "the modes are $(stat -c '%n %a' "${SOURCE%.*}".*)"
}

the_next_major_versions_channel_is_changed_to_although_the_updater_moves_the_agent() {
    bare
    script 16.1.7 enterprise
    next_major
    script 17.0.0 enterprise
    expect_exit 0
    expect_said 'teleport-ent 16.1.7 is installed, and is left alone: teleport-upgrade moves it.'
    [[ $(repository_file) == *stable/v17* ]] || failed "the channel is $(repository_file)"
    configure endpoint proxy.example.test/v1/webapi/automaticupgrades/channel/default
    offer_cluster 17.0.0
    upgrade force
    expect_version 17.0.0
    # The old command line leads nothing back.
    script 16.1.7 enterprise
    expect_exit 0
    [[ $(repository_file) == *stable/v17* ]] || failed "the channel is $(repository_file)"
}

what_others_need_is_not_uninstalled() {
    bare
    script 16.2.0 cloud
    dependent_package
    script --uninstall
    expect_stop 69 'other packages need what is to be removed'
    expect_installed teleport-ent 16.2.0
}

# --- cut off ------------------------------------------------------------------------------------------

# The package manager itself dies with it, in a script of the agent's package.
h01_a_package_manager_that_was_killed_at_work_is_put_right_by_the_next_run() {
    bare
    slow_agent
    setsid dash $RELEASE/install.sh --key-fingerprint "$FINGERPRINT" --repo-channel "$SLOW" 16.2.0 cloud >/run/lab/out 2>&1 &
    holder=$!
    wait_for 'the slow package script' test -e /run/lab/at-work
    killall_of_it
    rm -rf /tmp/tmp.*
    script --repo-channel "$SLOW" 16.2.0 cloud
    expect_exit 0
    expect_installed teleport-ent 16.2.0
    expect_nothing_half_done
}
