# shellcheck shell=bash disable=SC2154 # host.sh sets code
# Sourced by the cases of the way back: what is expected of a host that took it.

recorded() { grep -qF -- "$1" "$STATE/record.json" || failed "expected the record to say $1, it says $(cat "$STATE/record.json")"; }
# The agent is on the version before, well and held, and that is what was recorded.
expect_back() {
    expect_exit 10
    expect_said '[!] 16.2.0 failed on this host: back on 16.1.7.'
    expect_version 16.1.7
    expect_held teleport-ent
    expect_agent_in_charge
    (($(starts_of 16.1.7) > 1)) || failed 'the journal does not show that the agent was started again'
    recorded '"pending":null'
    recorded '"code":"went-back"'
}
expect_blamed() { recorded '"failed":{"release":"16.2.0","attempts":1,'; }
expect_not_blamed() { recorded '"failed":null'; }
