# shellcheck shell=bash disable=SC2154,SC2119 # host.sh sets code, out, old and holder
# Hostile or odd surroundings: what the agent's user may write, who owns what, how the host is set up. Each
# function is a case with a host of its own, prepared as in apt.sh.

# --- H24, H35: the schedule belongs to the agent's user -----------------------------------------------

h24_a_fifo_for_a_schedule_neither_hangs_nor_opens_a_window() {
    offer 16.2.0
    mkfifo "$CONFIG/schedule"
    upgrade run
    expect_exit 0
    expect_version 16.1.7
}

h35_a_schedule_that_is_a_link_is_not_followed() {
    offer 16.2.0
    window open
    mv "$CONFIG/schedule" /root/open-window
    ln -s /root/open-window "$CONFIG/schedule"
    upgrade run
    expect_exit 0
    expect_version 16.1.7
}

h35_a_schedule_with_a_second_name_is_not_read() {
    offer 16.2.0
    window open
    ln "$CONFIG/schedule" "$CONFIG/../open-window"
    upgrade run
    expect_exit 0
    expect_version 16.1.7
}

h35_what_a_hostile_schedule_says_is_not_repeated() {
    offer 16.2.0
    printf '\033[2Jsecret of somebody else\n\0\377\n' >"$CONFIG/schedule"
    upgrade run
    expect_exit 0
    expect_unsaid 'secret of somebody else'
    expect_version 16.1.7
}

h24_a_huge_schedule_is_read_no_further_than_64_kib() {
    offer 16.2.0
    window open
    { head -c 10000000 /dev/zero | tr '\0' '#'; echo; cat "$CONFIG/schedule"; } >/tmp/huge
    mv /tmp/huge "$CONFIG/schedule"
    upgrade run
    expect_exit 0
    expect_version 16.1.7
}

the_schedule_may_belong_to_the_agents_user() {
    offer 16.2.0
    window open
    chown 65534:65534 "$CONFIG/schedule"
    upgrade run
    expect_exit 0
    expect_version 16.2.0
}

h35_a_configuration_file_of_another_user_is_refused_with_the_remedy() {
    offer 16.2.0
    window open
    chown 65534 "$CONFIG/endpoint"
    upgrade run
    expect_exit 78
    expect_said "chown root:root $CONFIG/endpoint"
    expect_version 16.1.7
}

h35_a_configuration_directory_of_another_user_is_refused_with_the_remedy() {
    offer 16.2.0
    window open
    chown 65534 "$CONFIG"
    upgrade run
    expect_exit 78
    expect_said "chown root:root $CONFIG"
    expect_version 16.1.7
}

# --- H31 and other surroundings -----------------------------------------------------------------------

h31_a_narrow_umask_leaves_nothing_unreadable_behind() {
    local unreadable
    rm -rf "$STATE"
    offer 16.2.0
    window open
    umask 0077
    upgrade run
    expect_exit 0
    expect_version 16.2.0
    unreadable=$(find /usr/local/bin/teleport "$STATE/record.json" /var/lib/apt/lists/*teleport* /var/lib/dpkg/status ! -perm -0004)
    [[ -z $unreadable ]] || failed "others can no longer read: $unreadable"
    [[ $(stat -c %a "$STATE/private") == 700 ]] || failed "the private directory is open to others"
}

the_apt_settings_of_container_images_do_no_harm() {
    cp /srv/lab/container-settings/apt/* /etc/apt/apt.conf.d/ 2>/dev/null || note 'this host has no such settings'
    cp /srv/lab/container-settings/dpkg/* /etc/dpkg/dpkg.cfg.d/ 2>/dev/null || true
    offer 16.2.0
    window open
    upgrade run
    expect_exit 0
    expect_version 16.2.0
    expect_held
}
