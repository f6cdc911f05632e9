# shellcheck shell=bash disable=SC2154,SC2034 # host.sh sets code, said, out
# install.sh on hosts that have a package manager. Each function is a case, run on apt, dnf and zypper.
# shellcheck source=tests/distro/bare-host.sh
source "${BASH_SOURCE[0]%/*}/bare-host.sh"

# --- from nothing to an agent that is kept up to date -------------------------------------------------

each_edition_is_installed_at_its_version_and_a_second_run_changes_nothing() {
    local edition package channel before
    release_directory
    while read -r edition package channel; do
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

a_cluster_that_names_no_version_leaves_the_host_as_it_was() {
    local before
    bare
    before=$(host_state)
    offer_cluster none
    script --proxy proxy.example.test cloud
    expect_stop 69 'wants no version now'
    offer_cluster '<html>log in to the guest network</html>'
    script --proxy proxy.example.test cloud
    expect_stop 69 'answers with something that is no version'
    offer_cluster "16.2.0$(printf 'x%.0s' {1..500})"
    script --proxy proxy.example.test cloud
    expect_stop 69 'proxy.example.test:443/v1/webapi/automaticupgrades/channel/default'
    script --proxy proxy.example.test:444 cloud
    expect_stop 69 'cannot ask https://proxy.example.test:444/'
    script --proxy nowhere.example.test cloud
    expect_stop 69 'cannot ask https://nowhere.example.test:443/'
    expect_as_before "$before"
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

a_repository_file_on_another_channel_is_kept_beside_the_new_one() {
    local file backup before old_text
    bare
    script --no-updater 16.2.0 enterprise
    file=$(echo "${SOURCE%.*}".*)
    echo '# of an administrator' >>"$file"
    old_text=$(cat "$file")
    script 16.2.0 cloud
    expect_exit 0
    backup=$file.bak
    expect_said "$file leads elsewhere; what it said is kept in $backup"
    [[ $(cat "$backup") == "$old_text" ]] || failed 'the backup says something else'
    grep -q stable/cloud "$file" || failed 'the channel was not changed'
    [[ $MANAGER == apt ]] || grep -q '# of an administrator' "$file" || failed 'what an administrator wrote is lost'
    before=$(host_state)
    script 16.2.0 cloud
    expect_as_before "$before"
    # A second change keeps both.
    script 16.2.0 enterprise
    [[ $(cat "$backup") == "$old_text" ]] || failed 'the first backup was replaced'
    grep -q stable/cloud "$file.2.bak" || failed 'the second state was not kept'
}

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

h31_a_strict_and_a_careless_umask_make_the_same_host() {
    local mask state modes
    release_directory
    for mask in 0000 0077; do
        strip_host
        rm -rf /etc/apt/keyrings /etc/pki/rpm-gpg
        (umask $mask && script 16.2.0 cloud)
        [[ $(installed teleport-ent) == 16.2.0 ]] || failed 'it was not installed'
        modes=$(stat -c '%n %U:%G %a' "$KEY" "${KEY%/*}" "${SOURCE%.*}".* "$CONFIG")
        [[ ${state:=$modes} == "$modes" ]] || failed "$state"$'\n'"$modes"
        script --uninstall
    done
    [[ $state != *[2367] ]] || failed "others may write: $state"
}

a_package_of_the_updater_is_taken_only_as_the_release_made_it() {
    local before file sum
    bare
    before=$(host_state)
    file=$(echo $RELEASE/teleport-ent-updater*)
    sum=$(sha256sum "$file" | cut -c1-64)
    # Beside a script that knows no sums, anybody may have put anything.
    cp /run/lab/tree/install.sh $RELEASE/install.sh
    script 16.2.0 cloud
    expect_stop 69 'this install.sh is from a source tree and knows no place of the updater'
    release_directory
    echo 'one byte more' >>"$file"
    script 16.2.0 cloud
    expect_stop 69 'has the SHA-256'
    release_directory
    mv "$file" /srv/lab/answers/
    script --updater-package "https://updates.example.test/${file##*/}" 16.2.0 cloud
    expect_stop 64 'is trusted only with --updater-sha256'
    script --updater-package "https://updates.example.test/${file##*/}" --updater-sha256 "${sum/[0-9]/a}" 16.2.0 cloud
    expect_stop 69 "has the SHA-256 $sum, not"
    script --updater-package "$(stock 16.1.7)" 16.2.0 cloud
    expect_stop 69 'is not the updater of this release'
    script --updater-package /nowhere 16.2.0 cloud
    expect_stop 69 'cannot read /nowhere'
    rm -f /tmp/packages/*
    expect_as_before "$before"
    script --updater-package "https://updates.example.test/${file##*/}" --updater-sha256 "$sum" 16.2.0 cloud
    expect_exit 0
    expect_installed teleport-ent 16.2.0
}

# --- what a stranger's review found -------------------------------------------------------------------

h11_a_foreign_key_behind_the_right_one_in_any_disguise_is_not_trusted() {
    local before key=/srv/lab/answers/key right strange
    bare
    before=$(host_state)
    right=$(GNUPGHOME=/srv/lab/gnupg gpg --batch --armor --export teleport@example.test 2>/dev/null)
    strange=$(GNUPGHOME=/srv/lab/gnupg gpg --batch --armor --export stranger@example.test 2>/dev/null)
    # The right one without its armour, for whoever begins to read after the first empty line; the strange one for gpg, apt and rpm.
    { printf 'Comment: x\n\n'; sed '1,/^$/d; /^-----/d' <<<"$right"; echo "$strange"; } >$key
    script --key-url https://updates.example.test/key 16.2.0 cloud
    expect_stop 69 'is not one armoured OpenPGP key'
    { echo "$right"; sed '1,/^$/d; /^-----/d' <<<"$strange"; } >$key
    script --key-url https://updates.example.test/key 16.2.0 cloud
    expect_stop 69 'is not one armoured OpenPGP key'
    { sed '/^=/,$d' <<<"$right"; sed '1,/^$/d' <<<"$strange"; } >$key
    script --key-url https://updates.example.test/key 16.2.0 cloud
    expect_stop 69 'is not one armoured OpenPGP key'
    script --key-url http://updates.example.test:8000/key 16.2.0 cloud
    expect_stop 64 'is no address of a key'
    expect_as_before "$before"
}

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

a_mirror_that_was_named_once_is_kept() {
    local url before
    bare
    case $MANAGER in
        apt) ln -s /srv/lab/apt /srv/lab/answers/mirror; url=https://updates.example.test/mirror/debian ;;
        *) ln -s /srv/lab/rpm /srv/lab/answers/mirror; url=https://updates.example.test/mirror/good/stable/cloud ;;
    esac
    script --repo-url "$url" 16.2.0 cloud
    before=$(host_state)
    script 16.2.0 cloud
    expect_exit 0
    expect_said 'Everything is there already; nothing is changed.'
    expect_as_before "$before"
}

told_to_end_at_the_end_it_leaves_what_is_done() {
    bare
    script --proxy proxy.example.test cloud
    expect_exit 0
    rm "$CONFIG/endpoint"
    # The updater's own dry run hangs, and the terminal goes away.
    # shellcheck disable=SC2016
    printf '#!/bin/sh\n[ "$1" != dry-run ] || exec sleep 60\nexec /usr/sbin/teleport-upgrade.real "$@"\n' >/tmp/slow-updater
    mv "$UPGRADE" "$UPGRADE.real"
    install -m 755 /tmp/slow-updater "$UPGRADE"
    dash $RELEASE/install.sh --key-fingerprint "$FINGERPRINT" --proxy proxy.example.test cloud >/run/lab/out 2>/run/lab/said &
    holder=$!
    wait_for 'the dry run' pgrep -f 'sleep 60'
    kill -TERM $holder
    pkill -f 'sleep 60'
    code=0
    wait $holder || code=$?
    said=$(cat /run/lab/said)
    expect_stop 75 'was told to end'
    [[ $(cat "$CONFIG/endpoint") == proxy.example.test:443/* ]] || failed 'the endpoint was taken back'
}

what_others_need_is_not_uninstalled() {
    bare
    script 16.2.0 cloud
    dependent_package
    script --uninstall
    expect_stop 69 'other packages need what is to be removed'
    expect_installed teleport-ent 16.2.0
}

an_agent_that_no_package_has_brought_is_replaced_only_upwards() {
    bare
    install -m 755 /run/lab/bin/agent-17.0.0 /usr/local/bin/teleport
    script 16.2.0 cloud
    expect_stop 69 'belongs to no package and is newer than 16.2.0'
    install -m 755 /run/lab/bin/agent-16.1.7 /usr/local/bin/teleport
    script 16.2.0 cloud
    expect_exit 0
    expect_said '/usr/local/bin/teleport 16.1.7 belongs to no package: the package takes its place.'
    expect_installed teleport-ent 16.2.0
    script --uninstall
    mkdir -p /opt/teleport
    install -m 755 /run/lab/bin/agent-16.1.7 /opt/teleport/teleport
    ln -s /opt/teleport/teleport /usr/local/bin/teleport
    script 16.2.0 cloud
    expect_stop 69 'this agent is managed by teleport-update'
}

# --- shells, tools, users -----------------------------------------------------------------------------

every_shell_and_either_fetcher_brings_the_same_host() {
    local shell fetcher other state
    release_directory
    while read -r fetcher shell; do
        strip_host
        note "$shell, $fetcher"
        other=/usr/bin/$([[ $fetcher == wget ]] && echo curl || echo wget)
        mv "$other" "$other.away"
        SCRIPT_SHELL=$shell script 16.2.0 cloud
        mv "$other.away" "$other"
        expect_exit 0
        expect_installed teleport-ent 16.2.0
        [[ ${state:=$(host_state)} == "$(host_state)" ]] || failed "$(diff <(echo "$state") <(host_state))"
        SCRIPT_SHELL=$shell script --uninstall
    done <<'WAYS'
curl dash
wget bash --posix
curl bash
wget busybox_ash
WAYS
}

a_user_with_sudo_or_doas_may_run_it_and_nobody_else() {
    local before
    bare
    useradd --create-home alice
    before=$(host_state)
    as_alice() { runuser -u alice -- dash $RELEASE/install.sh --key-fingerprint "$FINGERPRINT" "$@"; }
    mv /usr/bin/sudo /usr/bin/sudo.away; mv /usr/bin/doas /usr/bin/doas.away
    code=0
    as_alice 16.2.0 cloud >/run/lab/out 2>/run/lab/said || code=$?
    said=$(cat /run/lab/said) out=$(cat /run/lab/out)
    mv /usr/bin/sudo.away /usr/bin/sudo
    expect_stop 77 'only root may install packages'
    as_alice --dry-run 16.2.0 cloud >/run/lab/out || failed 'a dry run needs nobody'
    expect_as_before "$before"
    echo 'alice ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/alice
    as_alice 16.2.0 cloud
    expect_installed teleport-ent 16.2.0
    script --uninstall
    mv /usr/bin/sudo /usr/bin/sudo.away; mv /usr/bin/doas.away /usr/bin/doas
    echo 'permit nopass alice' >/etc/doas.conf
    as_alice 16.2.0 cloud
    expect_installed teleport-ent 16.2.0
}

# --- cut off ------------------------------------------------------------------------------------------

# Each external command of the script in turn is where everything of it is killed, before that command does anything; then it is run again.
# In CI these are those that change something, and FULL=1 takes all.
h04_cut_off_before_any_of_its_commands_it_is_completed_by_the_next_run() {
    local count trips trip tried=0
    bare
    watch_commands
    PATH=/tmp/watched:$PATH dash $RELEASE/install.sh --key-fingerprint "$FINGERPRINT" 16.2.0 cloud || failed "it ended with $?"
    cp /tmp/watched.log /tmp/commands
    count=$(wc -l </tmp/commands)
    ((count > 60)) || failed "only $count commands were seen"
    trips=$(grep -nE '^(mkdir -p /etc|install|mv|rpm --import|apt-get|dnf|yum|zypper) ' /tmp/commands | grep -vE "/tmp/tmp[.][^ ]*/(root|lists)" | cut -d: -f1)
    [[ ! -e /run/lab/full ]] || trips=$(seq "$count")
    for trip in $trips; do
        note "cut off before command $trip of $count: $(sed -n "${trip}p" /tmp/commands)"
        strip_installed
        rm -f /tmp/watched.log
        echo "$trip" >/tmp/watched.trip
        PATH=/tmp/watched:$PATH dash $RELEASE/install.sh --key-fingerprint "$FINGERPRINT" 16.2.0 cloud >/run/lab/out 2>&1 && failed 'it was not cut off'
        rm -f /tmp/watched.trip
        rm -rf /tmp/tmp.*
        script 16.2.0 cloud
        expect_exit 0
        expect_installed teleport-ent 16.2.0
        tried=$((tried + 1))
    done
    ((tried >= 7)) || failed "only $tried interruptions"
    note "cut off $tried times of $count, and completed each time"
}

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
