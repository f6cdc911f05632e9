# shellcheck shell=bash disable=SC2154 # host.sh sets code, said and out
# The package of the version server on a booted host. Each function is a case.
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
    # Or whose file it could not read.
    cp /tmp/sound.yaml $CHANNELS
    chmod 600 $CHANNELS
    with_server reinstall
    expect_said "the old $SERVER still serves: mend $CHANNELS"
    [[ $(main_pid) == "$pid" ]] || failed 'it was restarted without its file'
    chmod 644 $CHANNELS

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
