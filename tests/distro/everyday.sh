# shellcheck shell=bash disable=SC2034,SC2119,SC2154 # host.sh sets code, said, out and old
# The ordinary life of a host, the same for every package manager. Each function is a case with a host of its own: agent 16.1.7 installed,
# our program in place, the web server up, nothing offered yet. What the managers differ in is in apt.sh, rpm.sh, dnf.sh and zypper.sh.

an_offered_version_is_installed_inside_the_window_and_held() {
    offer 16.2.0
    window open
    upgrade run
    expect_exit 0
    expect_said '[i] an upgrade is available (16.1.7 -> 16.2.0)'
    expect_said '[i] within maintenance window, upgrade will be attempted.'
    expect_said "[i] attempting $MANAGER install $(spelled 16.2.0)..."
    expect_version 16.2.0
    expect_held
}

a_second_run_finds_nothing_to_do() {
    offer 16.2.0
    window open
    upgrade run
    upgrade run
    expect_exit 0
    expect_said '[i] no upgrades available (16.2.0 == 16.2.0)'
    expect_unsaid "attempting $MANAGER install"
    expect_held
}

outside_the_window_nothing_is_installed() {
    offer 16.2.0
    window closed
    upgrade run
    expect_exit 0
    expect_said '[i] upgrade is non-critical and we are outside of maintenance window, not attempting.'
    expect_version 16.1.7
}

h33_a_lower_version_of_the_same_major_is_followed() {
    install_here teleport-ent 16.3.0
    offer 16.2.1
    window open
    upgrade run
    expect_exit 0
    expect_version 16.2.1
}

h33_a_lower_major_is_refused() {
    install_here teleport-ent 17.0.0
    offer 16.3.0
    window open
    upgrade run
    expect_said 'refusing to go down from 17.0.0 to 16.3.0'
    expect_version 17.0.0
}

a_higher_major_is_followed() {
    offer 17.0.0
    window open
    upgrade run
    expect_exit 0
    expect_version 17.0.0
}

the_fips_package_stays_the_fips_package() {
    install_here teleport-ent-fips 16.1.7
    offer 16.2.0
    window open
    upgrade run
    expect_exit 0
    expect_version teleport-ent-fips 16.2.0
    expect_version teleport-ent none
    expect_held teleport-ent-fips
}

an_image_that_has_no_agent_gets_it_by_install_and_follows_its_cluster() {
    local channels=/srv/lab/answers/v1/webapi/automaticupgrades/channel
    erase_agent
    rm -rf "$STATE" "$CONFIG"
    offer 16.2.0
    mkdir -p $channels
    ln -s /srv/lab/answers/v1/stable/cloud $channels/default
    upgrade install --proxy updates.example.test
    expect_exit 0
    expect_version 16.2.0
    expect_held
    [[ $(cat "$CONFIG/endpoint") == updates.example.test:443/v1/webapi/automaticupgrades/channel/default ]] ||
        failed "the endpoint is $(cat "$CONFIG/endpoint")"
    upgrade run
    expect_exit 0
    expect_said '[i] no upgrades available (16.2.0 == 16.2.0)'
    upgrade install --version 16.2.0
    expect_exit 0
    expect_said 'is installed already; nothing was changed.'
}

h34_without_systemd_the_running_agent_is_told_to_hang_up_and_its_successor_is_seen() {
    echo 60 >/etc/teleport-standin.drain
    teleport start --pid-file=/run/teleport.pid >/dev/null &
    old=$!
    wait_for 'the agent to write its PID file' test -s /run/teleport.pid
    offer 16.2.0
    window open
    upgrade run
    expect_exit 0
    expect_version 16.2.0
    expect_said "the agent runs the new version (pid $(in_charge)); open sessions go on in the old process (pid $old)."
    [[ $(readlink "/proc/$(in_charge)/exe") == /usr/local/bin/teleport ]] || failed "the agent in charge does not run the installed file"
    kill -0 "$old" || failed "the old process did not survive to drain its sessions"
}

a_dry_run_changes_nothing_at_all() {
    local before
    offer 16.2.0
    window open
    upgrade run
    offer 16.2.1
    before=$(snapshot)
    upgrade dry-run
    expect_exit 0
    expect_said '16.2.0 -> 16.2.1'
    expect_nothing_changed "$before"
    expect_version 16.2.0
}

h08_our_own_hold_does_not_stop_us_and_is_there_again_afterwards() {
    offer 16.2.0
    window open
    upgrade run
    expect_held
    offer 16.2.1
    upgrade run
    expect_exit 0
    expect_version 16.2.1
    expect_held
}

h08_our_own_hold_is_there_again_after_a_failed_upgrade() {
    offer 16.2.0
    window open
    upgrade run
    offer 16.2.9
    upgrade run
    expect_exit 69
    expect_held
}

h08_lock_no_leaves_no_hold_behind() {
    configure lock no
    offer 16.2.0
    window open
    upgrade run
    expect_version 16.2.0
    expect_not_held
}

h01_what_somebody_left_half_installed_is_finished_although_the_program_is_the_wanted_one() {
    offer 16.1.7
    window closed
    upgrade run
    leave_half_installed
    [[ $(/usr/local/bin/teleport version --raw) == 16.2.0 ]] || failed 'the program is not the new one'
    offer 16.2.0
    upgrade run
    expect_exit 0
    expect_said 'though its program is the wanted one: finishing that.'
    expect_said 'teleport-ent is complete.'
    expect_version 16.2.0
    upgrade --verbose run
    expect_exit 0
    expect_unsaid 'running'
}
