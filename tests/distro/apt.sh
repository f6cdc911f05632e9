# shellcheck shell=bash disable=SC2034,SC2119,SC2154 # host.sh shares code, out, old and holder
# Real apt and dpkg against the signed repository, no systemd running: the ordinary life of a host, dry runs,
# locks and holds. Each function is a case with a host of its own: agent 16.1.7 installed, our program in place,
# the web server up, nothing offered yet.

# shellcheck source=tests/distro/holder-host.sh
source "${BASH_SOURCE[0]%/*}/holder-host.sh"

# --- the ordinary life of a host ----------------------------------------------------------------------

a_critical_version_does_not_wait_for_the_window() {
    offer 16.2.0 yes
    window closed
    upgrade run
    expect_exit 0
    expect_said '[i] upgrade is marked as critical, will be attempted without checking maintenance window.'
    expect_version 16.2.0
}

inside_the_window_nobody_is_asked_whether_it_is_critical() {
    offer 16.2.0
    window open
    upgrade run
    expect_asked '/version 200'
    expect_not_asked '/critical'
}

force_does_not_wait_for_the_window() {
    offer 16.2.0
    window closed
    upgrade force
    expect_exit 0
    expect_version 16.2.0
}

a_host_without_a_schedule_is_marked_and_left_alone_the_first_time() {
    offer 16.2.0
    window none
    upgrade run
    expect_exit 0
    expect_said '[!] agent is new, or newly unhealthy. marking for potential future upgrade.'
    expect_version 16.1.7
}

the_word_none_means_no_target_now() {
    offer none
    window open
    upgrade run
    expect_exit 0
    expect_version 16.1.7
}

a_pre_release_is_spelled_as_the_repository_spells_it() {
    offer 16.3.0-rc.1
    window open
    upgrade run
    expect_exit 0
    expect_version 16.3.0-rc.1
}

a_deb822_source_works_like_a_list() {
    repository debian stable/cloud sources
    offer 16.2.0
    window open
    upgrade run
    expect_exit 0
    expect_version 16.2.0
}

a_repository_file_of_another_name_is_found_by_repo() {
    mv "$SOURCE" /etc/apt/sources.list.d/mirror.list
    configure repo mirror
    offer 16.2.0
    window open
    upgrade run
    expect_exit 0
    expect_version 16.2.0
}

plain_http_to_localhost_works_when_asked_for_and_is_warned_about() {
    configure endpoint localhost:8000/v1/stable/cloud
    configure insecure yes
    offer 16.2.0
    window open
    upgrade run
    expect_exit 0
    expect_said '[!] fetching localhost:8000/v1/stable/cloud/version in insecure mode (not safe for production use).'
    expect_version 16.2.0
}

h34_without_systemd_a_person_is_told_to_restart_an_agent_that_does_not_obey() {
    repository debian lab/ignore_hup
    refresh
    apt_here install --reinstall teleport-ent=16.1.7
    teleport start --pid-file=/run/teleport.pid >/dev/null &
    wait_for 'the agent to write its PID file' test -s /run/teleport.pid
    offer 16.2.0
    window open
    upgrade run
    expect_exit 0
    expect_version 16.2.0
    expect_said "[!] the agent (pid $(in_charge)) was told to hang up and goes on with the old version"
    expect_said 'next: restart it the way it was started'
}

version_says_one_line_as_any_user() {
    setpriv --reuid=65534 --regid=65534 --clear-groups "$UPGRADE" version >/run/lab/out
    grep -qxE 'v[0-9]+\.[0-9]+\.[0-9]+([-+].*)?' /run/lab/out || failed "version printed: $(cat /run/lab/out)"
    [[ $(wc -l </run/lab/out) == 1 ]] || failed "version printed more than one line"
}

run_needs_root() {
    offer 16.2.0
    window open
    code=0
    setpriv --reuid=65534 --regid=65534 --clear-groups "$UPGRADE" run || code=$?
    expect_exit 77
}

# --- dry-run ------------------------------------------------------------------------------------------

a_dry_run_before_the_first_run_changes_nothing_at_all() {
    local before
    rm -rf "$STATE"
    offer 16.2.0
    window none
    before=$(snapshot)
    upgrade dry-run
    expect_exit 0
    expect_nothing_changed "$before"
}

a_dry_run_with_stale_lists_refreshes_nothing() {
    local before
    repository debian lab/new_dependency # whose index this host has never fetched
    offer 16.2.0
    window open
    before=$(snapshot)
    upgrade dry-run
    expect_nothing_changed "$before"
    expect_not_asked /debian/dists/
}

# --- H06, H07: others at work -------------------------------------------------------------------------

h07_a_held_dpkg_lock_is_waited_for_and_its_holder_named() {
    offer 16.2.0
    window open
    hold_dpkg_lock
    once_named release_dpkg_lock &
    upgrade run
    expect_exit 0
    expect_said "pid $holder "
    expect_said dpkg
    expect_version 16.2.0
}

h07_a_held_lists_lock_is_waited_for_and_its_holder_named() {
    offer 16.2.0
    window open
    hold_lists_lock
    once_named kill "$holder" &
    upgrade run
    expect_exit 0
    expect_said "pid $holder "
    expect_said apt-get
    expect_version 16.2.0
}

h06_a_second_run_at_once_names_the_first_and_leaves() {
    local first
    offer 16.2.0
    window open
    hold_dpkg_lock
    "$UPGRADE" run >/run/lab/first 2>&1 &
    first=$!
    wait_for 'the first run to wait for dpkg' grep -q "$holder" /run/lab/first
    upgrade run
    expect_exit 75
    expect_said "$first"
    release_dpkg_lock
    wait "$first" || failed "the first run ended with $?: $(cat /run/lab/first)"
    expect_version 16.2.0
}

# --- H08: holds ---------------------------------------------------------------------------------------

# With `lock` off no hold is ours, so this one is the administrator's.
h08_the_administrators_hold_wins_even_over_critical() {
    configure lock no
    offer 16.1.7
    window open
    upgrade run
    apt-mark hold teleport-ent
    offer 16.2.0 yes
    upgrade run
    expect_said hold
    expect_version 16.1.7
    expect_held
}

h08_force_passes_the_administrators_hold_and_keeps_it() {
    configure lock no
    offer 16.1.7
    window open
    upgrade run
    apt-mark hold teleport-ent
    offer 16.2.0
    upgrade force
    expect_exit 0
    expect_version 16.2.0
    expect_held
}

# --- orders to end ------------------------------------------------------------------------------------

h26_an_order_to_end_waits_for_the_end_of_the_upgrade() {
    local run signal
    # Nothing is fetched to be kept: that would wait for the lock, too, and it changes nothing that an order to end had to wait for.
    configure verify-seconds 0
    offer 16.2.0
    window open
    hold_dpkg_lock
    "$UPGRADE" run 2>/run/lab/said &
    run=$!
    wait_for 'the run to wait for the lock' grep -q 'holds a package manager lock' /run/lab/said
    for signal in HUP INT TERM; do kill "-$signal" "$run"; done
    sleep 0.5
    release_dpkg_lock
    wait "$run" || failed "the run ended with exit $?"
    said=$(cat /run/lab/said)
    expect_said 'was told to end in the middle of the upgrade: ended it first.'
    expect_version 16.2.0
    expect_held teleport-ent
}

h08_a_hold_of_the_stock_updater_is_taken_over_even_if_the_first_run_fails() {
    apt-mark hold teleport-ent >/dev/null
    configure lock nonsense
    upgrade run
    expect_exit 78
    rm "$CONFIG/lock"
    offer 16.2.0
    window open
    upgrade run
    expect_exit 0
    expect_said "taking the hold over as this program's own"
    expect_version 16.2.0
    expect_held teleport-ent
}
