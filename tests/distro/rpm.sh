# shellcheck shell=bash disable=SC2034,SC2154,SC2119 # host.sh sets code, said, out and holder
# Real dnf and zypper, whichever the host has, against the signed rpm repository: what both have to get right. Each
# function is a case with a host of its own: agent 16.1.7 installed, our program in place, the web server up,
# nothing offered yet. What only one of them does is in dnf.sh and zypper.sh.

# shellcheck source=tests/distro/holder-host.sh
source "${BASH_SOURCE[0]%/*}/holder-host.sh"

# --- the ordinary life of a host ----------------------------------------------------------------------

a_pre_release_spelled_with_a_tilde_is_found() {
    offer 16.3.0-rc.1
    window open
    upgrade run
    expect_exit 0
    expect_version 16.3.0-rc.1
}

a_pre_release_spelled_with_an_underscore_is_found() {
    channel lab/underscore
    offer 16.3.0-rc.1
    window open
    upgrade run
    expect_exit 0
    expect_version 16.3.0-rc.1
}

a_pre_release_is_left_for_its_release() {
    install_here teleport-ent 16.3.0~rc.1
    offer 16.3.0
    window open
    upgrade run
    expect_exit 0
    expect_version 16.3.0
}

the_community_package_stays_the_community_package() {
    install_here teleport 16.1.7
    offer 16.2.0
    window open
    upgrade run
    expect_exit 0
    expect_version teleport 16.2.0
    expect_version teleport-ent none
}

a_repository_of_another_id_is_found_by_repo() {
    sed -i 's/^\[teleport\]/[mirror]/' "$SOURCE"
    mv "$SOURCE" "${SOURCE%/*}/mirror.repo"
    configure repo mirror
    offer 16.2.0
    window open
    upgrade run
    expect_exit 0
    expect_version 16.2.0
}

h31_a_narrow_umask_leaves_nothing_unreadable_behind() {
    local unreadable
    rm -rf "$STATE"
    offer 16.2.0
    window open
    umask 0077
    upgrade run
    expect_exit 0
    expect_version 16.2.0
    unreadable=$(find /usr/local/bin/teleport "$STATE/record.json" "$SOURCE" /var/lib/rpm ! -perm -0004)
    [[ -z $unreadable ]] || failed "others can no longer read: $unreadable"
    [[ $(stat -c %a "$STATE/private") == 700 ]] || failed "the private directory is open to others"
}

# --- dry-run ------------------------------------------------------------------------------------------

a_dry_run_before_the_first_run_changes_nothing_at_all() {
    local before
    rm -rf "$STATE"
    offer 16.2.0
    window none
    settle
    before=$(snapshot)
    upgrade dry-run
    expect_exit 0
    expect_nothing_changed "$before"
}

a_dry_run_with_a_stale_index_refreshes_nothing() {
    local before
    settle
    channel lab/new_dependency # whose index this host has never fetched
    offer 16.2.0
    window open
    before=$(snapshot)
    upgrade dry-run
    expect_nothing_changed "$before"
    expect_not_asked /repodata/
}

# --- H06, H07: others at work -------------------------------------------------------------------------

h07_a_transaction_of_rpm_is_waited_for_and_its_holder_named() {
    offer 16.2.0
    window open
    hold_transaction
    once_named release_transaction &
    upgrade run
    expect_exit 0
    expect_said "pid $holder "
    expect_said rpm
    expect_version 16.2.0
}

h07_a_transaction_of_the_same_manager_is_waited_for_and_its_holder_named() {
    offer 16.2.0
    window open
    hold_manager
    once_named release_transaction &
    upgrade run
    expect_exit 0
    expect_said "pid $holder "
    expect_said "$MANAGER"
    expect_version 16.2.0
}

h07_somebodys_refresh_is_waited_for_and_its_holder_named() {
    offer 16.2.0
    window open
    hold_metadata
    once_named release_metadata &
    upgrade run
    expect_exit 0
    expect_said "pid $holder "
    expect_said "$MANAGER"
    expect_version 16.2.0
}

h06_a_second_run_at_once_names_the_first_and_leaves() {
    local first
    offer 16.2.0
    window open
    hold_transaction
    "$UPGRADE" run >/run/lab/first 2>&1 &
    first=$!
    wait_for 'the first run to wait for rpm' grep -q "$holder" /run/lab/first
    upgrade run
    expect_exit 75
    expect_said "$first"
    release_transaction
    wait "$first" || failed "the first run ended with $?: $(cat /run/lab/first)"
    expect_version 16.2.0
}

h26_an_order_to_end_waits_for_the_end_of_the_upgrade() {
    local run signal
    offer 16.2.0
    window open
    hold_transaction
    "$UPGRADE" run 2>/run/lab/said &
    run=$!
    wait_for 'the run to wait for the lock' grep -q 'holds a package manager lock' /run/lab/said
    for signal in HUP INT TERM; do kill "-$signal" "$run"; done
    sleep 0.5
    release_transaction
    wait "$run" || failed "the run ended with exit $?"
    said=$(cat /run/lab/said)
    expect_said 'was told to end in the middle of the upgrade: ended it first.'
    expect_version 16.2.0
    expect_held
}

# --- H08: holds ---------------------------------------------------------------------------------------

h08_our_own_hold_keeps_a_routine_system_upgrade_from_moving_the_agent() {
    offer 16.2.0
    window open
    upgrade run
    upgrade_everything
    expect_version 16.2.0
}

h08_the_administrators_hold_wins_even_over_critical() {
    administrators_hold
    offer 16.2.0 yes
    window open
    upgrade run
    expect_said hold
    expect_version 16.1.7
    expect_administrators_hold
}

h08_force_passes_the_administrators_hold_and_keeps_it() {
    administrators_hold
    offer 16.2.0
    window open
    upgrade force
    expect_exit 0
    expect_version 16.2.0
    expect_administrators_hold
}

h08_a_hold_of_the_stock_updater_is_taken_over() {
    stock_hold
    offer 16.2.0
    window open
    upgrade run
    expect_exit 0
    expect_said "taking the hold over as this program's own"
    expect_version 16.2.0
    expect_held
}

# --- what a dead rpm leaves ---------------------------------------------------------------------------

# Found by the kill sweep: rpm replaces one file after the other, and /etc and the unit come before the program.
h04_a_transaction_that_died_before_it_came_to_the_program_is_not_taken_for_none() {
    offer 16.2.0
    died_in_the_middle 60
    echo '# of another version' >>/etc/teleport-standin.conf
    upgrade run
    expect_exit 0
    expect_said 'is on neither version whole; installing 16.2.0 again'
    expect_version 16.2.0
    [[ $(rpm -q teleport-ent | wc -l) == 1 ]] || failed "$(rpm -q teleport-ent)"
}

h04_what_an_administrator_changed_before_is_no_trace_of_a_transaction_that_died() {
    offer 16.2.0
    echo '# of an administrator' >>/etc/teleport-standin.conf
    sleep 1.1
    died_in_the_middle 0
    upgrade run
    expect_exit 0
    expect_said 'teleport-ent is as it was before; nothing was changed.'
    expect_version 16.1.7
}
