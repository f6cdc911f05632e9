# shellcheck shell=bash disable=SC2154,SC2034 # host.sh sets code, said, out
# What README and the pages below docs/ promise: each command for a host is given as it stands there, and each message that is quoted is
# printed so. Each function is a case.
# shellcheck source=tests/distro/bare-host.sh
source "${BASH_SOURCE[0]%/*}/bare-host.sh"

PAGE=/run/lab/tree/docs/enrol.md
# Everything that was printed.
HEARD=/run/lab/heard
CHANNEL=/srv/lab/answers/v1/webapi/automaticupgrades/channel/default

the_commands_of_the_page_for_administrators_enrol_a_host_that_has_an_agent() {
    strip_host
    publish_release_of_the_pages
    useradd --system teleport
    raw_script --no-updater 16.2.0 cloud
    start_agent
    while IFS= read -r line; do
        note "$line"
        bash -c "$line" </dev/null >>$HEARD 2>&1 || failed "$line ended with $?: $(tail -n 5 $HEARD)"
        case $line in
            curl*) expect_installed teleport-ent 16.2.0; expect_timer enabled active ;;
            *schedule) [[ $(stat -c '%U %a' "$CONFIG/schedule") == 'teleport 644' ]] || failed 'the schedule is not that user'"'"'s' ;;
            *'systemctl restart'*) expect_enrolled; wait_for 'the agent to export its windows' test -s "$CONFIG/schedule" ;;
            *dry-run) grep -q 'opens in' $HEARD || failed 'no window is named' ;;
            *' pause '*) expect_file "$STATE/pause.json" ;;
            *' resume') [[ ! -e $STATE/pause.json ]] || failed 'it is paused still' ;;
        esac
    done < <(commands_of "$PAGE")
    [[ $(commands_of "$PAGE" | wc -l) == 9 ]] || failed 'the page has other commands than were looked at'
}

every_message_that_the_page_quotes_is_printed_so() {
    local line
    strip_host
    publish_release_of_the_pages
    printf none >$CHANNEL/version
    bash -c "$(commands_of "$PAGE" | head -n 1)" >>$HEARD 2>&1 || true
    printf 16.1.7 >$CHANNEL/version
    raw_script --no-updater 16.2.0 oss
    bash -c "$(commands_of "$PAGE" | head -n 1)" >>$HEARD 2>&1 || true
    raw_script --uninstall
    raw_script --no-updater 16.1.7 cloud
    start_agent
    bash -c "$(commands_of "$PAGE" | head -n 1)" >>$HEARD 2>&1 || failed "$(cat $HEARD)"
    printf 16.2.0 >$CHANNEL/version
    configure verify-seconds 1
    hear upgrade run
    sed -i -E "s/\"unhealthy_since\":[0-9]+/\"unhealthy_since\":$(($(date +%s) - 601))/" "$STATE/record.json"
    hear upgrade dry-run
    window closed
    hear upgrade run
    printf yes >$CHANNEL/critical
    hear upgrade dry-run
    printf no >$CHANNEL/critical
    window open
    apt-mark hold teleport-ent >/dev/null
    hear upgrade run
    apt-mark unhold teleport-ent >/dev/null
    hear upgrade run
    hear upgrade run
    stop_serving
    hear upgrade run
    serve
    cd /root || failed 'no /root'
    in_a_session bash -c "$(commands_of "$PAGE" | head -n 1 | sed 's/bash -s --/& --repo-channel stable\/v16/')"
    wait_for 'the script to end' grep -q '^install.sh' /run/lab/session
    sed 's/ --repo-channel stable\/v16//' /run/lab/session >>$HEARD
    while IFS= read -r line; do
        line=${line#| \`}
        line=${line%%\` |*}
        grep -qF -- "$line" $HEARD || failed "nothing says: $line"$'\n'"$(cat $HEARD)"
    done < <(grep '^| `' "$PAGE")
}

the_first_line_of_readme_after_the_demo_brings_an_agent_to_a_bare_host() {
    local line
    sed -n '/^tests\/demo/,$p' /run/lab/tree/README.md >/tmp/after-the-demo
    line=$(commands_of /tmp/after-the-demo | head -n 1)
    [[ $line == 'curl -fsSL https://'*' | bash -s '* ]] || failed "README begins with: $line"
    strip_host
    publish_release_of_the_pages
    bash -c "$line" || failed "it ended with $?"
    expect_installed teleport-ent 16.2.0
    expect_timer enabled active
}
