# shellcheck shell=bash disable=SC2154 # host.sh sets code, said and out
# A booted host that follows the version server, nothing mocked: on apt in every run, on dnf and zypper with FULL=1. Each function is a case.
# shellcheck source=tests/distro/server-host.sh
source "${BASH_SOURCE[0]%/*}/server-host.sh"

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
