# shellcheck shell=bash disable=SC2119,SC2154 # host.sh sets code, said and out
# What takes long before a real API server: run with FULL=1. Each function is a case.
# shellcheck source=tests/distro/kube-host.sh
source "${BASH_SOURCE[0]%/*}/kube-host.sh"

a_watch_whose_connection_dies_without_a_word_is_given_up_after_five_minutes() {
    local began took
    cluster StatefulSet
    start_updater --insecure-no-resolve-image
    wait_until_said 'StatefulSet is already up-to-date, not updating.'
    note 'the API server is there, and silent'
    kill -STOP "$apiserver"
    began=$SECONDS
    until (($(times_said 'It is tried again') > 0)); do
        ((SECONDS - began < 400)) || failed "it has waited for $((SECONDS - began)) s"
        sleep 1
    done
    took=$((SECONDS - began))
    echo "figure: given up after $took s"
    ((took >= 240)) || failed "given up after $took s, which is less than the API server may be silent"
    curl -sf -o /dev/null "http://127.0.0.1:8081/healthz" || failed 'it is not alive'
    kill -CONT "$apiserver"
    wanted 'static_version: v16.2.0, critical: true'
    wait_for 'the API server to answer' look
    wait_for_image "$IMAGES/teleport:16.2.0"
    stop_updater
}
