# shellcheck shell=bash disable=SC2154 # host.sh sets code, said and out
# The package of the version server on a booted host, and a host that follows it. Each function is a case.
# shellcheck source=tests/distro/server-host.sh
source "${BASH_SOURCE[0]%/*}/server-host.sh"

exposure() { systemd-analyze security --no-pager $SERVER | sed -n 's/.*exposure level for [^:]*: \([0-9.]*\) .*/\1/p'; }
main_pid() { systemctl show -p MainPID --value $SERVER; }

it_serves_as_soon_as_it_is_configured_and_a_file_that_makes_no_sense_changes_nothing() {
    local pid
    with_server install
    [[ $(systemctl is-enabled $SERVER) == enabled && $(systemctl is-active $SERVER) == inactive ]] || failed 'it is not waiting for its file'
    cp /usr/share/doc/$SERVER/examples/$SERVER.yaml $CHANNELS
    /usr/sbin/$SERVER check-config $CHANNELS
    systemctl start $SERVER
    expect_answer v1/$BELOW/canary/version v16.3.0
    expect_answer $BELOW/canary/critical yes
    pid=$(main_pid)
    [[ $(ps -o user= -p "$pid") != root && $(sed -n 's/^CapEff:\t//p' "/proc/$pid/status") == 0000000000000000 ]] || failed 'it may do more than serve'
    awk -v is="$(exposure)" 'BEGIN { exit !(is > 0 && is <= 2.0) }' || failed "its exposure is $(exposure)"
    echo "figure: exposure $(exposure), of at most 2.0"

    channels '  default: { static_version: 16.2 }'
    if systemctl reload $SERVER; then failed 'nonsense was taken'; fi
    expect_journal $SERVER "$CHANNELS: line 2: automatic_upgrades_channels.default.static_version is \"16.2\": write a version such as v16.2.0, or none"
    expect_answer v1/$BELOW/canary/version v16.3.0
    channels '  default: { static_version: 16.2.1 }'
    reload_server
    wait_for 'the new answer' bash -c "[[ \$(curl -s http://127.0.0.1:3080/$BELOW/canary/version) == v16.2.1 ]]"
    [[ $(main_pid) == "$pid" ]] || failed 'it was started anew'

    # An upgrade of the package leaves it as it was.
    with_server reinstall
    [[ $(main_pid) != "$pid" ]] || failed 'the old program runs on'
    expect_answer $BELOW/default/version v16.2.1
    systemctl stop $SERVER
    with_server reinstall
    [[ $(systemctl is-active $SERVER) == inactive ]] || failed 'it was started although somebody had stopped it'
    systemctl start $SERVER

    # Nor does it end one that the new program could not follow.
    pid=$(main_pid)
    cp $CHANNELS /tmp/sound.yaml
    channels '  default: { static_version: 16.2 }'
    with_server reinstall
    expect_said "the old $SERVER still serves: mend $CHANNELS"
    [[ $(main_pid) == "$pid" ]] || failed 'it was restarted into nonsense'
    expect_answer $BELOW/default/version v16.2.1
    cp /tmp/sound.yaml $CHANNELS

    # What was removed and comes back serves again.
    with_server remove
    [[ $(systemctl is-active $SERVER) == inactive ]] || failed 'it was not stopped'
    with_server install
    expect_answer $BELOW/default/version v16.2.1
    with_server remove
    [[ $(systemctl is-active $SERVER) == inactive && ! -e /usr/sbin/$SERVER && ! -e /etc/systemd/system/multi-user.target.wants/$SERVER.service ]] ||
        failed 'something was left behind'
    expect_file $CHANNELS
    ! curl -sS http://127.0.0.1:3080/healthz 2>/dev/null || failed 'somebody still answers'
}

# Two version servers, the packages' own nginx configurations, the agent's real package from its signed repository.
a_host_follows_a_channel_that_is_static_forwarded_critical_and_halted_and_takes_its_windows_from_the_server() {
    local other=https://teleport.example.com/v1/$BELOW/stable/cloud
    running_agent
    with_server install
    # The other server is a tree of files.
    printf 'automatic_upgrades_channels: { stable/cloud: { static_version: v16.2.1 } }\n' >/tmp/other.yaml
    $SERVER publish /srv/teleport-versions --config /tmp/other.yaml
    serve_with "$(in_front nginx.conf proxy.example.test)" "$(in_front nginx-published.conf teleport.example.com)"
    configure endpoint proxy.example.test/v1/$BELOW/default

    note 'static'
    channels '  default: { static_version: v16.2.0 }'
    systemctl start $SERVER
    window closed
    upgrade run
    expect_exit 0
    expect_said 'an upgrade is available (16.1.7 -> 16.2.0)'
    expect_said 'outside of maintenance window'
    window open
    upgrade run
    expect_version 16.2.0

    note 'forwarded'
    channels "  default: { forward_url: $other }"
    reload_server
    upgrade run
    expect_version 16.2.1

    note 'critical'
    window closed
    channels '  default: { static_version: v16.3.0, critical: true }'
    reload_server
    upgrade run
    expect_said 'upgrade is marked as critical'
    expect_version 16.3.0

    note 'halted'
    channels '  default: { static_version: v17.0.0, critical: true, halt: true }'
    reload_server
    window open
    upgrade run
    expect_exit 0
    expect_version 16.3.0

    note 'windows of the server, and an agent that exports none'
    window none
    configure schedule-source server
    channels '  default: { static_version: v17.0.0 }'
    maintenance 3
    reload_server
    upgrade run
    expect_exit 0
    expect_said 'outside of maintenance window'
    expect_unsaid 'unhealthy'
    expect_version 16.3.0
    channels '  default: { static_version: v17.0.0 }'
    maintenance 0
    reload_server
    upgrade run
    expect_exit 0
    expect_said 'within maintenance window, upgrade will be attempted.'
    expect_version 17.0.0
    expect_agent_in_charge
    upgrade status
    expect_said 'named by the version server'
    expect_unsaid 'enrolled'
}
