# shellcheck shell=bash disable=SC2154 # host.sh sets code, out, old
# What `status` says of a host in each state that an operator meets, on real hosts: the screens are tests/screens/NAME, with times, process
# ids and this host's name left out. Each function is a case; each screen stands alone: it tells which state it is, and what to do.
# The log of a case whose screen is another one has the whole of it, to be read before it is committed.
# shellcheck source=tests/distro/screens-host.sh
source "${BASH_SOURCE[0]%/*}/screens-host.sh"

screen_of_a_host_that_is_up_to_date() {
    watched_host
    window open
    a_run
    expect_version 16.2.0
    window closed
    a_run
    expect_screen up-to-date 0
}

screen_of_a_host_that_waits_for_its_window() {
    watched_host
    a_run
    expect_screen waiting 0
}

screen_of_a_host_whose_agent_is_not_enrolled() {
    ln -sf /usr/share/zoneinfo/Asia/Seoul /etc/localtime
    agent_before_us
    window none
    a_run
    expect_screen not-enrolled 1
}

screen_of_a_host_that_is_paused() {
    watched_host
    upgrade pause --for 14d --reason 'change freeze, ticket 4711'
    expect_exit 0
    window open
    a_run
    expect_version 16.1.7
    expect_screen paused 0
    upgrade resume
    a_run
    expect_version 16.2.0
}

screen_of_a_host_whose_agent_an_administrator_holds() {
    watched_host
    a_run
    apt-mark hold teleport-ent >/dev/null
    expect_screen held 1
    window open
    a_run
    expect_version 16.1.7
    expect_screen held-in-the-window 1
}

screen_of_a_host_whose_repository_lacks_the_version() {
    watched_host
    offer 16.9.0
    window open
    a_run
    expect_screen repository-lacks-it 1
}

screen_of_a_host_whose_version_server_is_unreachable() {
    watched_host
    a_run
    stop_serving
    a_run
    expect_screen server-unreachable 2
}

screen_of_a_host_that_went_back() {
    watched_host lab/crash
    window open
    a_run
    expect_version 16.1.7
    expect_screen went-back 1
}

screen_of_a_host_whose_agent_is_ill() {
    watched_host
    a_run
    mkdir -p /etc/systemd/system/teleport.service.d
    printf '[Service]\nExecStart=\nExecStart=/bin/false\nRestart=no\n' >/etc/systemd/system/teleport.service.d/ill.conf
    systemctl daemon-reload
    systemctl restart teleport || true
    wait_for 'the agent to be down' bash -c 'systemctl is-failed -q teleport'
    systemctl enable -q teleport
    expect_screen ill 1
}

screen_of_a_host_whose_timer_is_dead() {
    watched_host
    a_run
    systemctl disable -q --now $TIMER
    expect_screen timer-dead 1
}

screen_of_a_host_whose_clock_is_off() {
    watched_host
    stop_serving
    # Its Date: is three hours behind this host.
    DONT_FAKE_MONOTONIC=1 faketime -f -3h nginx -c /srv/lab/nginx.conf </dev/null >/dev/null 2>&1 &
    wait_for 'the server' curl -fs -o /dev/null https://updates.example.test/v1/stable/cloud/version
    a_run
    expect_screen clock-off 1
}

# --- beyond the eleven --------------------------------------------------------------------------------

screen_of_a_host_whose_updater_is_replaced_by_a_drop_in() {
    watched_host
    a_run
    mkdir -p /etc/systemd/system/teleport-upgrade.service.d
    printf '[Service]\nExecStart=\nExecStart=/bin/echo disabled\n' >/etc/systemd/system/teleport-upgrade.service.d/teleport-update.conf
    systemctl daemon-reload
    expect_screen replaced 1
}

screen_of_a_host_whose_configuration_makes_no_sense() {
    watched_host
    configure pin 16.2
    a_run
    expect_screen misconfigured 1
}

any_user_sees_how_the_host_stands_and_what_only_root_could_see() {
    watched_host
    a_run
    chmod 600 "$CONFIG/schedule"
    setpriv --reuid nobody --regid nogroup --clear-groups "$UPGRADE" status </dev/null >/tmp/page 2>&1 || failed "it ended with $?: $(cat /tmp/page)"
    grep -q 'waits for the window' /tmp/page || failed 'the windows are not known'
    grep -q ', enrolled$' /tmp/page || failed 'enrolment is not known'
    grep -q 'what only root may see is as of the last run, ' /tmp/page || failed 'nothing is said of what cannot be seen'
    setpriv --reuid nobody --regid nogroup --clear-groups "$UPGRADE" status --json --offline >/tmp/document
    expect_json "$(cat /tmp/document)" 0
    # Colours are for terminals.
    script -qec "$UPGRADE status" /dev/null </dev/null >/tmp/terminal
    grep -q $'\e\\[' /tmp/terminal || failed 'a terminal has no colours'
    NO_COLOR=1 script -qec "$UPGRADE status" /dev/null </dev/null >/tmp/terminal
    ! grep -q $'\e\\[' /tmp/terminal || failed 'NO_COLOR is not respected'
}

how_long_the_agent_was_down_is_what_systemd_saw() {
    watched_host
    window open
    a_run
    expect_version 16.2.0
    grep -q '"agent_down":0,' "$STATE/record.json" || failed 'a reload is not down time'
    # Another agent, which cannot be reloaded.
    channel lab/no-reload && refresh && reinstall 16.1.7
    systemctl daemon-reload
    systemctl restart teleport
    wait_for 'the agent to write its PID file' test -s /run/teleport.pid
    offer 16.2.0 yes
    a_run
    expect_version 16.2.0
    grep -oE '"agent_down":[0-9]+' "$STATE/record.json"
    grep -qE '"agent_down":[1-9][0-9]{0,3},' "$STATE/record.json" || failed 'a restart takes some milliseconds, and less than ten seconds'
}
