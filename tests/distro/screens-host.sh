# shellcheck shell=bash disable=SC2154 # host.sh sets code, out
# Sourced by screens.sh: hosts that are looked at, and how a screen is compared.

# shellcheck source=tests/distro/updater-host.sh
source "${BASH_SOURCE[0]%/*}/updater-host.sh"

SCREENS=/run/lab/tree/tests/screens
SCHEMA=/usr/share/doc/teleport-ent-updater/status.schema.json

# An enrolled agent that is well, our package with its timer, and a window that is not open: in Seoul.
watched_host() {
    ln -sf /usr/share/zoneinfo/Asia/Seoul /etc/localtime
    agent_before_us "$@"
    systemctl restart teleport
    wait_for 'the agent to export its schedule' test -s "$CONFIG/schedule"
    window closed
}
# A run as the timer makes it; it may fail.
a_run() { systemctl start teleport-upgrade.service || true; }

# The journal goes on by itself, and systemd and the journal clear away after a run when they like.
without_the_journal() { snapshot | grep -vE '^/run/(log/journal/|systemd/(propagate|journal/streams))'; }

# frozen: without what differs from run to run, which is also whether a window ends on the day on which it begins.
frozen() {
    sed -E -e "1s/ on [^,]+,/ on HOST,/; 1s/upgrade [0-9.]+ /upgrade VERSION /" \
        -e 's/[A-Z][a-z]{2} 20[0-9]{2}-[0-9]{2}-[0-9]{2} /DATE /g; s/[0-9]{2}:[0-9]{2}/TIME/g' \
        -e 's/TIME-DATE TIME/TIME-TIME/g; s/DATE (TIME(-TIME)? KST)/\1/g' \
        -e 's/[0-9]+ (d|h|min|s)( [0-9]+ (h|min))?\b/SPAN/g; s/now(,| took)/SPAN ago\1/; s/pid [0-9]+/pid PID/g; s/took [0-9]+ ms/took SPAN/g'
}

# expect_screen NAME EXIT: root sees this screen, machines are told the same, somebody else's monitor hears the same, and nothing is changed
# by looking.
expect_screen() {
    local before
    before=$(without_the_journal)
    upgrade status
    expect_exit "$2"
    diff <(echo "$before") <(without_the_journal) || failed 'looking changed something'
    frozen <<<"$out" >/tmp/screen
    upgrade status --json
    expect_exit "$2"
    expect_json "$out" "$2"
    diff "$SCREENS/$1" /tmp/screen || { note "screen $1"; cat /tmp/screen; failed "the screen is another one than $1"; }
}
expect_json() {
    python3 - "$SCHEMA" "$2" 3<<<"$1" <<'PY' || failed 'the document is not as the schema says'
import json, jsonschema, os, sys
schema = json.load(open(sys.argv[1]))
document = json.load(os.fdopen(3))
jsonschema.Draft202012Validator.check_schema(schema)
jsonschema.Draft202012Validator(schema).validate(document)
assert document["exit"] == int(sys.argv[2]), document["exit"]
PY
}
