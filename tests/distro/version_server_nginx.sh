# shellcheck shell=bash disable=SC2154 # host.sh sets code, said and out
# What nginx answers from a published tree, and in front of the service, against what the service answers. Each function is a case.
# shellcheck source=tests/distro/server-host.sh
source "${BASH_SOURCE[0]%/*}/server-host.sh"

everything_that_is_published_is_answered_by_nginx_as_by_the_service_and_so_is_what_nginx_passes_on() {
    with_server install
    channels '  default: { static_version: v16.2.0 }
  canary: { static_version: v16.3.0, critical: true }
  west/blue: { static_version: v16.1.7 }
  halted: { static_version: v16.3.0, critical: true, halt: true }
  nothing: { static_version: none }'
    systemctl start $SERVER
    $SERVER publish /srv/teleport-versions --config $CHANNELS
    serve_with "$(in_front nginx.conf proxy.example.test)" "$(in_front nginx-published.conf teleport.example.com)"
    # Without windows, and with them.
    expect_equal proxy.example.test
    expect_equal teleport.example.com
    expect_known_by_tag proxy.example.test
    expect_sent_whole teleport.example.com
    printf -- '---\nkind: cluster_maintenance_config\nspec: { agent_upgrades: { utc_start_hour: 10, weekdays: [Mon] } }\n' >>$CHANNELS
    reload_server
    $SERVER publish /srv/teleport-versions --config $CHANNELS
    wait_for 'nginx to see the new files' bash -c "curl -sSf https://teleport.example.com/$BELOW/default/schedule"
    expect_equal proxy.example.test schedule
    expect_equal teleport.example.com schedule
    # A version that is not there is not found; only windows can be unconfigured.
    rm -r /srv/teleport-versions/v1
    wait_for 'nginx to see that they are gone' bash -c "[[ \$(curl -sS https://teleport.example.com/$BELOW/x/version) == 'not found' ]]"
    [[ $(curl -sS "https://teleport.example.com/$BELOW/x/critical") == 'not found' ]] || failed 'it is something else'
    wait_for 'nginx to see that the windows are gone' bash -c "[[ \$(curl -sS https://teleport.example.com/$BELOW/x/schedule) == no\ cluster* ]]"
}

# Every command below that heading, as it stands there; but the lab's nginx is no service, and has the lab's certificate.
the_commands_of_the_page_for_administrators_serve_a_host_its_version_and_its_windows() {
    local line ran=0
    running_agent
    mkdir -p /srv/lab/answers /etc/nginx/conf.d
    cp /run/lab/$SERVER.deb "/srv/lab/answers/${SERVER}_${OUR_VERSION}_amd64.deb"
    window none
    cd /tmp || failed 'no /tmp'
    while IFS= read -r line; do
        note "$line"
        case $line in
            'nginx -t'*) serve_with "$(in_front nginx.conf teleport.example.com)"; continue ;;
        esac
        line=${line//versions.example.com/teleport.example.com}
        bash -c "$line" </dev/null >/run/lab/out 2>/run/lab/said || failed "$line ended with $?: $(tail -n 5 /run/lab/out /run/lab/said)"
        ran=$((ran + 1))
        case $line in
            curl*default/version) [[ $(cat /run/lab/out) == v16.2.0 ]] || failed "the version is $(cat /run/lab/out)" ;;
            *dry-run) grep -qE 'window: .* (opens in|open, closes in)' /run/lab/said || failed "$(cat /run/lab/said)" ;;
        esac
    done < <(sed -n '/^### A version server of your own/,/^## 3/s/^# //p' /run/lab/tree/docs/enrol.md)
    ((ran == 11)) || failed "the page has $ran commands"
    upgrade force
    expect_version 16.2.0
}

# The line of the examples, as cron runs it.
what_is_published_again_is_touched_only_where_it_changed_and_said_only_to_whom_asks() {
    local line before
    with_server install
    cp $EXAMPLES/$SERVER.yaml $CHANNELS
    sed -i '/forward_url/d' $CHANNELS
    line=$(sed -n 's/^# *\(\*\/5 .* root \)//p' $EXAMPLES/nginx-published.conf)
    [[ $line == /usr/sbin/$SERVER* ]] || failed "the line for cron is $line"
    [[ $(bash -c "$line" 2>&1) == '' ]] || failed 'cron would mail something'
    before=$(find /srv/teleport-versions -type f -printf '%p %i %T@\n' | sort)
    [[ $before == *canary/version* ]] || failed 'nothing was published'
    bash -c "$line"
    [[ $(find /srv/teleport-versions -type f -printf '%p %i %T@\n' | sort) == "$before" ]] || failed 'what had not changed was touched'
    sed -i 's/v16.3.0/v16.3.1/' $CHANNELS
    bash -c "$line"
    [[ $(diff <(echo "$before") <(find /srv/teleport-versions -type f -printf '%p %i %T@\n' | sort) | grep -c '^>') == 1 ]] || failed 'more than one file was touched'
    echo 'nonsense: yes' >$CHANNELS
    [[ $(bash -c "$line" 2>&1) == *'nonsense is no key'* ]] || failed 'cron would not mail that nothing is published'
}

# One free inode: what is halted takes it for the moment of its replacement, what is new would take it for ever.
a_halt_is_published_on_a_disk_that_has_no_room_for_the_channels_before_it() {
    local tree=/srv/full n=0
    with_server install
    mkdir $tree
    mount -t tmpfs -o size=1m,nr_inodes=200 full $tree
    channels '  default: { static_version: v16.2.0 }
  zz: { static_version: v16.3.0 }'
    $SERVER publish $tree --config $CHANNELS
    [[ $(cat $tree/v1/$BELOW/zz/version) == v16.3.0 ]] || failed 'it was not published'
    while (($(df --output=iavail $tree | tail -n 1) > 1)); do n=$((n + 1)); echo >"$tree/$n"; done
    channels '  aa: { static_version: v16.4.0 }
  default: { static_version: v16.2.0 }
  zz: { static_version: v16.3.0, halt: true }'
    said=$($SERVER publish $tree --config $CHANNELS 2>&1) && failed 'it was taken for published'
    [[ $said == *aa* && $said == *'No space left on device'* ]] || failed "it said: $said"
    [[ $(cat $tree/v1/$BELOW/zz/version) == none ]] || failed 'the halt was not published'
    [[ $(cat $tree/v1/$BELOW/default/version) == v16.2.0 ]] || failed 'another channel has lost its answer'
}
