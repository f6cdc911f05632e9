# shellcheck shell=bash disable=SC2154 # host.sh sets code, said and out
# Sourced by the cases of the version server: how its package gets onto a host, and what is asked of it.
# shellcheck source=tests/distro/updater-host.sh
source "${BASH_SOURCE[0]%/*}/updater-host.sh"
# shellcheck source=tests/distro/front-host.sh
source "${BASH_SOURCE[0]%/*}/front-host.sh"

server_package() {
    if [[ $MANAGER == apt ]]; then echo /run/lab/$SERVER.deb; else build rpm $SERVER --binary /run/lab/bin/$SERVER --out /tmp/packages; fi
}
# with_server install|reinstall|remove: as a person does it.
with_server() {
    local package=$SERVER
    [[ $1 == remove ]] || package=$(server_package)
    case $MANAGER,$1 in
        apt,reinstall) apt install --reinstall "$package" ;;
        apt,*) apt "$1" "$package" ;;
        dnf,*) manage "$1" "$package" ;;
        zypper,remove) manage remove "$package" ;;
        zypper,*) manage install --force --allow-unsigned-rpm "$package" ;;
    esac
    expect_exit 0
}

# The service serves what is configured now.
reload_server() { systemctl reload $SERVER || failed "it reloads nothing: $(journalctl -q --no-pager -n 20 -u $SERVER)"; }
# ask PATH: the answer of the service.
ask() { curl -sS --max-time 10 "http://127.0.0.1:3080/$1"; }
expect_answer() { # expect_answer PATH ANSWER
    local answer
    answer=$(ask "$1")
    [[ $answer == "$2" ]] || failed "expected $1 to be answered $2, it is answered $answer"
}

# maintenance HOURS_FROM_NOW: as `tctl create` takes it, behind the channels.
maintenance() {
    # A window must not begin or end while it is looked at.
    while (($(date +%s) % 3600 > 3540)); do sleep 1; done
    printf -- '---\nkind: cluster_maintenance_config\nspec: { agent_upgrades: { utc_start_hour: %d } }\n' "$((($(date -u +%-H) + $1) % 24))" >>$CHANNELS
}

# answer METHOD URL: status, body and the headers that say what it is good for.
answer() {
    local method=(-X "$1")
    [[ $1 != HEAD ]] || method=(--head)
    curl -sS --max-time 10 -D /tmp/head -o /tmp/body "${method[@]}" --path-as-is "$2" || failed "$1 $2 is not answered"
    [[ $1 != HEAD ]] || : >/tmp/body
    tr -d '\r' </tmp/head | sed -n -E '1s/^HTTP[^ ]* ([0-9]+).*/\1/p; /^(content-type|content-length|cache-control|allow|x-content-type-options):/Ip' |
        tr '[:upper:]' '[:lower:]' | sort
    cat /tmp/body
}
# Everything that can be asked: channels that are there and are not, in each spelling; nonsense; other methods.
questions() {
    local channel
    for channel in default canary stable/cloud west/blue halted nothing un/known west; do
        printf 'GET %s\n' v1/$BELOW/$channel/{version,critical,schedule}
    done
    printf 'GET %s\n' $BELOW/{canary,west}/{version,schedule} v1/$BELOW/{canary/version/,/canary/version,canary//version,canary///critical//,west%2F/blue/version,west%2Fblue/version,%64efault/version,default/version?x=1}
    printf 'GET %s\n' $BELOW{,/,/default,/version,/default/versions,/default/version/x,/default/} '' healthz v1/healthz v2/$BELOW/default/version ${BELOW}s/default/version
    printf '%s\n' "HEAD v1/$BELOW/canary/version" "HEAD $BELOW/unknown/schedule" "POST $BELOW/canary/version" "OPTIONS v1/$BELOW/west/schedule" \
        "DELETE $BELOW/default" 'DELETE ' 'POST healthz'
}
# expect_equal NAME [PATTERN]: every question, or those that match, is answered at https://NAME as by the service.
expect_equal() {
    local method path asked=0 ours theirs
    while read -r method path; do
        [[ $path =~ ${2:-} ]] || continue
        ours=$(answer "$method" "http://127.0.0.1:3080/$path")
        theirs=$(answer "$method" "https://$1/$path")
        [[ $ours == "$theirs" ]] || failed "$method /$path is answered in another way by nginx:"$'\n'"$(diff <(echo "$ours") <(echo "$theirs"))"
        asked=$((asked + 1))
    done < <(questions)
    ((asked > 9)) || failed "only $asked questions were asked"
    echo "figure: $asked answers of $1 are those of the service"
}
# expect_known_by_tag NAME: what a client has already is not sent again.
expect_known_by_tag() {
    local tag
    tag=$(curl -sS -D - -o /dev/null "https://$1/v1/$BELOW/default/version" | tr -d '\r' | sed -n 's/^etag: //Ip')
    [[ $(curl -sS -o /dev/null -w '%{http_code}' -H "If-None-Match: $tag" "https://$1/v1/$BELOW/default/version") == 304 ]] || failed "what is known by $tag is sent again"
}
# expect_sent_whole NAME: a file may be replaced by one of the same size within a second, so nothing is known by tag or date.
expect_sent_whole() {
    local url="https://$1/v1/$BELOW/default/version" since
    since=$(date -u -d tomorrow '+%a, %d %b %Y %H:%M:%S GMT')
    ! curl -sS -D - -o /dev/null "$url" | grep -iE '^(etag|last-modified):' || failed 'it has a tag or a date'
    [[ $(curl -sS -o /dev/null -w '%{http_code}' -H "If-Modified-Since: $since" -H 'If-None-Match: "x"' "$url") == 200 ]] || failed 'it is not sent whole'
    [[ $(curl -sS -o /dev/null -w '%{http_code}' -H "If-Modified-Since: $since" "$url") == 200 ]] || failed 'it is known by its date'
}
