# shellcheck shell=bash disable=SC2034,SC2154 # host.sh and hostile-host.sh set code, out, said and what a case may change
# A hostile local user, and surroundings that nobody would choose, under a watcher that sees each file that we open to write and each
# program that we start. Each function is a case with a host of its own, prepared as in apt.sh.
# shellcheck source=tests/distro/hostile-host.sh
source "${BASH_SOURCE[0]%/*}/hostile-host.sh"

# --- what we touch and start --------------------------------------------------------------------------

h35_the_watcher_sees_what_is_not_ours() {
    local good='</dev/null >/dev/null 2>&1' word trespass
    UPGRADE=/tmp/trespasser
    cp /bin/bash $UPGRADE
    # bash looks whether it has a terminal.
    MAY_CHANGE=/dev/tty MAY_START='true|zgrep'
    EVIL=no watched -c "(exec -c /bin/true $good)"
    while read -r word trespass; do
        if (EVIL=no watched -c "$trespass") >/run/lab/judgement 2>&1; then failed "it saw nothing in: $trespass"; fi
        grep -q "^not ours to do: $word" /run/lab/judgement || failed "it does not say what it saw in: $trespass: $(cat /run/lab/judgement)"
        rm -f /tmp/evil/ran
    done <<TRESPASSES
write : >/etc/motd.new
failed : >/nowhere/motd.new
read : </etc/shadow
say exec >$STATE/said; echo something
start (exec -c /tmp/evil/dpkg $good)
start cd /bin; ./true $good
start (exec -c /bin/sh -c : $good)
started (exec -c /bin/zgrep : /dev/null $good)
variable export LD_PRELOAD=; (exec /bin/true $good)
descriptor (exec -c /bin/true $good </etc/hosts)
descriptor (exec -c /bin/true $good 7</etc/hosts)
descriptor (exec -c /bin/true $good >/etc/motd.new)
umask (umask 0; exec -c /bin/true $good)
ignores trap "" PIPE; (exec -c /bin/true $good)
signal kill -9 \$\$
TRESPASSES
}

h35_an_agent_is_installed_under_any_umask_and_nothing_is_left_open_to_everybody() {
    local before
    erase_agent
    rm -rf "$STATE" "$CONFIG"
    offer 16.2.0
    mkdir -p /srv/lab/answers/v1/webapi/automaticupgrades/channel
    ln -s /srv/lab/answers/v1/stable/cloud /srv/lab/answers/v1/webapi/automaticupgrades/channel/default
    before=$(writable_by_everybody)
    MAY_CHANGE="$CONFIG(/endpoint(\.new)?)?" SURROUNDINGS='umask 0' watched install --proxy updates.example.test
    expect_exit 0
    expect_version 16.2.0
    expect_modes 755 "$CONFIG" "$STATE"
    expect_modes 644 "$CONFIG/endpoint"
    [[ $(writable_by_everybody) == "$before" ]] || failed "everybody may write what came: $(writable_by_everybody)"
}

h35_setup_in_a_directory_of_somebody_else_mends_it_and_touches_nothing_that_its_traps_lead_to() {
    local before
    lay_secret
    rm -rf "$STATE"
    chown 65534 "$CONFIG"
    ln -s /root/secret "$CONFIG/pin"
    ln /root/secret "$CONFIG/package"
    mkfifo "$CONFIG/repo"
    mkdir "$CONFIG/installer"
    ln -s /etc/nowhere "$CONFIG/metrics"
    before=$(stat -c '%U %a %s %Y' /root/secret)
    MAY_CHANGE="$CONFIG(/.*)?|/etc/systemd/system/teleport-upgrade\.timer\.d(/offset\.conf)?" watched setup
    expect_exit 78
    expect_said 'this name was removed.'
    [[ $(stat -c '%U %a %s %Y' /root/secret) == "$before" ]] || failed 'what a trap led to was changed'
    [[ ! -e /etc/nowhere ]] || failed 'a link was written through'
    expect_no_secret "$CONFIG"
    watched run
    expect_exit 78
    MAY_CHANGE="$STATE/.*" watched release
    expect_no_secret "$CONFIG"
}

h35_links_to_and_from_our_files_are_not_written_through() {
    local before
    offer 16.2.0
    window closed
    watched run
    ln "$STATE/record.json" /var/kept-by-somebody
    ln -s /var/victim "$STATE/record.json.new"
    ln -s /var/victim "$STATE/hold.new"
    mkdir /srv/metrics
    ln -s /var/victim /srv/metrics/teleport_upgrade.prom
    ln -s /var/victim /srv/metrics/teleport_upgrade.prom.new
    configure metrics /srv/metrics
    before=$(sha256sum </var/kept-by-somebody)
    window open
    MAY_CHANGE='/srv/metrics/teleport_upgrade\.prom(\.new)?' watched run
    expect_exit 0
    expect_version 16.2.0
    [[ $(sha256sum </var/kept-by-somebody) == "$before" ]] || failed 'a second name of the record was written through'
    [[ ! -e /var/victim ]] || failed 'a link was written through'
    [[ -f /srv/metrics/teleport_upgrade.prom && ! -L /srv/metrics/teleport_upgrade.prom ]] || failed 'the metrics are no file of their own'
    expect_sound_record
    ln -sfn /srv/metrics /srv/elsewhere
    configure metrics /srv/elsewhere
    MAY_CHANGE=/srv/metrics/teleport_upgrade.prom watched run
    expect_said 'is no directory, or a link'
}

h35_a_schedule_that_changes_its_kind_while_200_runs_read_it_neither_hangs_them_nor_leads_them_on() {
    local n began=$SECONDS
    lay_secret
    offer 16.2.0
    window closed
    configure pin 16.2.0
    : >/run/lab/swapping
    swap_the_schedule &
    for n in {1..180}; do
        timeout 5 "$UPGRADE" "$([[ $((n % 3)) == 0 ]] && echo dry-run || echo run)" </dev/null >>/run/lab/heard 2>&1 || failed "run $n ended with $?: $(tail -n 5 /run/lab/heard)"
    done
    for n in {1..20}; do EVIL=no watched run >>/run/lab/heard; done
    rm /run/lab/swapping
    wait
    note "200 runs took $((SECONDS - began)) s; what they said of the schedule:"
    grep -oE 'schedule.*' /run/lab/heard | sort | uniq -c
    expect_no_secret /run/lab/heard
    expect_version 16.1.7
    [[ $(grep -c 'symbolic link' /run/lab/heard) -gt 5 && $(grep -c 'not a regular file' /run/lab/heard) -gt 5 && $(grep -c 'hard links' /run/lab/heard) -gt 2 ]] ||
        failed 'the schedule was not swapped under the runs'
}

h35_what_the_agents_user_puts_in_the_place_of_its_socket_and_pid_file_neither_hangs_nor_leads_us_on() {
    local trap began=$SECONDS
    offer 16.2.0
    window closed
    mkdir -p /var/lib/teleport
    for trap in 'mkfifo' 'mkdir' 'ln -s /root/secret' 'ln -s /dev/zero'; do
        rm -rf /run/teleport.pid /var/lib/teleport/debug.sock
        $trap /run/teleport.pid
        $trap /var/lib/teleport/debug.sock
        watched run
        expect_exit 0
        watched status --offline
    done
    ((SECONDS - began < 20)) || failed 'it waited for somebody'
}

# --- what a process gets from whoever starts it -------------------------------------------------------

h35_closed_descriptors_never_become_a_file_of_ours() {
    local closed
    offer 16.2.0
    window open
    SURROUNDINGS='exec 0<&- 1>&- 2>&-' watched run
    expect_exit 0
    expect_version 16.2.0
    expect_sound_record
    expect_held
    for closed in '0<&-' '1>&-' '2>&-' '0<&- 2>&-' '1>&- 2>&-'; do
        SURROUNDINGS="exec $closed" watched run
        expect_exit 0
        expect_sound_record
        SURROUNDINGS="exec $closed" watched status --json
    done
    SURROUNDINGS='exec 0<&- 1>&- 2>&-' watched rollback
    expect_version 16.1.7
    expect_sound_record
    SURROUNDINGS='exec 1>/dev/full 2>/dev/full' watched run
}

h35_an_environment_of_nearly_two_megabytes_reaches_nobody() {
    offer 16.2.0
    window open
    # shellcheck disable=SC2016
    SURROUNDINGS='printf -v HUGE "%0120000d" 7; for n in {1..14}; do export "EVIL_$n=$HUGE"; done; unset HUGE' watched run
    expect_exit 0
    expect_version 16.2.0
}

h31_a_umask_that_takes_every_right_leaves_everything_readable() {
    local unreadable
    rm -rf "$STATE"
    offer 16.2.0
    window open
    SURROUNDINGS='umask 0777' watched run
    expect_exit 0
    expect_version 16.2.0
    expect_modes 644 "$STATE/record.json" "$STATE/hold"
    expect_modes 700 "$STATE/private"
    expect_modes 755 "$STATE" "$STATE/fetched"
    unreadable=$(find /usr/local/bin/teleport /lib/systemd/system/teleport.service /var/lib/apt/lists/*teleport* /var/lib/dpkg/status ! -perm -0004)
    [[ -z $unreadable ]] || failed "others can no longer read: $unreadable"
    watched rollback
    expect_version 16.1.7
}

h31_a_umask_that_takes_none_leaves_nothing_open_to_everybody() {
    local before
    rm -rf "$STATE"
    offer 16.2.0
    window open
    before=$(writable_by_everybody)
    SURROUNDINGS='umask 0000' watched run
    expect_exit 0
    expect_version 16.2.0
    [[ $(writable_by_everybody) == "$before" ]] || failed "everybody may write what came: $(writable_by_everybody)"
    expect_modes 700 "$STATE/private" "$STATE/private/packages"
    ! find "$STATE" -perm /0022 ! -type l | grep . || failed 'others may write into our state'
}

h31_tiny_limits_are_raised_before_anything_is_begun() {
    offer 16.2.0
    window open
    # What anybody may raise. The lab's root is not always allowed the others; that is the next case.
    SURROUNDINGS='ulimit -S -n 4 -u 1 -f 0 -c 0 -t 1 -s 256 -d 4096 -v 16384' watched run
    expect_exit 0
    expect_version 16.2.0
    expect_held
    expect_sound_record
}

h31_a_limit_that_cannot_be_raised_is_a_sentence_and_the_next_run_is_as_if_nothing_had_been() {
    local limit
    offer 16.2.0
    window closed
    watched run
    EVIL=no
    for limit in '-n 3' '-n 4' '-n 5' '-n 8' '-f 0' '-f 1' '-u 0' '-c 0' '-s 128'; do
        SURROUNDINGS="ulimit $limit"
        THROUGH=("${WEAK[@]}") && watched run
        THROUGH=("${NOBODY[@]}") && watched status
        expect_sound_record
    done
    # Nobody can say anything without memory.
    DYING=fine
    for limit in '-v 2100' '-v 3000' '-v 6000' '-d 300' '-d 1000'; do
        SURROUNDINGS="ulimit $limit"
        THROUGH=("${WEAK[@]}") && watched run
        THROUGH=("${NOBODY[@]}") && watched status
        expect_sound_record
    done
    ! compgen -G "$STATE/record.json.*" || failed 'a record that is sound was put aside'
    THROUGH=() SURROUNDINGS='' DYING='' EVIL=yes
    expect_version 16.1.7
    window open
    watched run
    expect_exit 0
    expect_version 16.2.0
}

h04_a_package_manager_that_a_limit_killed_is_survived() {
    offer 16.2.0
    window open
    THROUGH=("${WEAK[@]}")
    EVIL=no SURROUNDINGS='ulimit -f 300' watched run
    expect_sound_record
    THROUGH=()
    watched run
    expect_exit 0
    expect_version 16.2.0
    expect_held
}

h31_a_host_without_a_thread_to_spare_gets_a_sentence() {
    offer 16.2.0
    window open
    SURROUNDINGS='export RUST_MIN_STACK=99999999999999' watched run
    expect_exit 70
    expect_said 'look at memory and process limits of this host'
    expect_version 16.1.7
}

h35_a_caller_that_ignores_its_children_does_not_make_us_deaf_to_ours() {
    offer 16.2.0
    window open
    # shellcheck disable=SC2016
    EVIL=no SURROUNDINGS='set -- perl -e '\''$SIG{$_} = "IGNORE" for "CHLD", "PIPE", "XFSZ"; exec @ARGV'\'' "$@"' watched run
    expect_exit 0
    expect_version 16.2.0
    expect_held
}

h35_an_ordinary_user_changes_nothing_and_is_told_so() {
    local command
    offer 16.2.0
    window open
    watched status
    EVIL=no
    THROUGH=("${NOBODY[@]}")
    for command in run force rollback setup release resume 'pause --for 1h' 'install --version 16.2.0' dry-run status 'status --json'; do
        # shellcheck disable=SC2086
        watched $command
        [[ $command == dry-run || $command == status* ]] || expect_exit 77
        ! grep -E '^(write|change)'$'\t' $SEEN | grep -v '/dev/null$' || failed "$command changes something"
    done
    expect_version 16.1.7
}

h35_a_pipe_that_the_environment_names_is_not_waited_for() {
    offer 16.2.0
    window closed
    SURROUNDINGS='export SSL_CERT_FILE=/tmp/evil/pipe' UPGRADE_LIMIT=10 watched run
    expect_exit 78
    expect_said 'which cannot be read: it is no regular file'
    SURROUNDINGS='export TELEPORT_UPGRADE_CONFIG=/tmp/evil/pipe' UPGRADE_LIMIT=10 watched run
    expect_exit 78
}

# --- the host around ----------------------------------------------------------------------------------

h31_a_tmp_that_nothing_may_be_started_from_is_no_hindrance() {
    mount -o remount,noexec,nosuid,nodev /tmp
    offer 16.2.0
    window open
    watched run
    expect_exit 0
    expect_version 16.2.0
    watched rollback
    expect_version 16.1.7
}

h31_a_usr_that_cannot_be_written_is_said_and_harms_nothing() {
    offer 16.2.0
    window open
    mount --bind /usr /usr
    mount -o remount,bind,ro /usr
    watched run
    expect_exit 75
    expect_said 'read-only'
    expect_version 16.1.7
    expect_sound_record
    mount -o remount,bind,rw /usr
    watched run
    expect_exit 0
    expect_version 16.2.0
    expect_held
}
