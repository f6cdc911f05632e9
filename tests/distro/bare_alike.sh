# shellcheck shell=bash disable=SC2154,SC2034 # host.sh sets code, said, out
# What install.sh does alike on every host that has a package manager: on apt in every run, on dnf and zypper with FULL=1. Each function is a
# case.
# shellcheck source=tests/distro/bare-host.sh
source "${BASH_SOURCE[0]%/*}/bare-host.sh"

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
