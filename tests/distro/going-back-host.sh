# shellcheck shell=bash disable=SC2154 # host.sh sets code
# Sourced by the cases of the way back: what is expected of a host that took it.

recorded() { grep -qF -- "$1" "$STATE/record.json" || failed "expected the record to say $1, it says $(cat "$STATE/record.json")"; }
# expect_back [STARTS]: the agent is on the version before, well and held, was started so often in this boot, and that was recorded.
expect_back() {
    expect_exit 10
    expect_said '[!] 16.2.0 failed on this host: back on 16.1.7.'
    expect_version 16.1.7
    expect_held teleport-ent
    expect_agent_in_charge
    (($(starts_of 16.1.7) >= ${1:-2})) || failed 'the journal does not show that the agent was started again'
    recorded '"pending":null'
    recorded '"code":"went-back"'
    [[ -z $(find "$STATE/fetched" -type f ! -name lock) ]] || failed "what was fetched is still there: $(ls "$STATE/fetched")"
}
expect_blamed() { recorded '"failed":{"release":"16.2.0","attempts":1,'; }
expect_not_blamed() { recorded '"failed":null'; }
expect_kept() {
    local kept
    kept=$(find "$STATE/private/packages" -type f | wc -l)
    [[ $kept == "$1" && $(grep -o '"sha256"' "$STATE/record.json" | wc -l) == "$1" ]] || failed "expected $1 kept packages, there are $kept"
}

# --- a host that dies ---------------------------------------------------------------------------------

# cut_off WHEN COMMAND...: runs `teleport-upgrade run`, and ends the whole host at once when the command succeeds.
cut_off() {
    # How often there was a boot id tells nothing in a container: its kernel goes on.
    : >/run/lab/boots-again
    "$UPGRADE" run </dev/null >/run/lab/cut-off 2>&1 &
    for _ in {1..4000}; do
        if "$@"; then
            cat /run/lab/cut-off
            systemctl poweroff --force --force
        fi
        sleep 0.02
    done
    failed "it did not come to that: $(cat /run/lab/cut-off)"
}
step_is() { grep -q "\"step\":\"$1\"" "$STATE/record.json" 2>/dev/null; }
# The host is up again: its agent starts, its server answers, and our next run begins.
up_again() {
    serve
    systemctl start teleport
    upgrade run
}
after_a_bad_version() {
    up_again
    expect_back 1
    expect_blamed
}
after_a_good_version() {
    up_again
    expect_exit 0
    expect_version 16.2.0
    expect_held teleport-ent
    expect_agent_in_charge
    recorded '"pending":null'
    recorded '"code":"upgraded"'
}
