# shellcheck shell=bash disable=SC2034,SC2154 # hostile-host.sh sets what a case may change
# A whole life of a host with each package manager, under the watcher of hostile.sh. Each function is a case.
# shellcheck source=tests/distro/hostile-host.sh
source "${BASH_SOURCE[0]%/*}/hostile-host.sh"

h35_a_whole_life_stays_in_its_own_paths_and_starts_the_hosts_own_programs_alone() {
    local before
    mkdir -p /srv/metrics
    configure metrics /srv/metrics
    MAY_CHANGE="/srv/metrics/teleport_upgrade\.prom(\.new)?|$ABROAD"
    offer 16.2.0
    window open
    before=$(in_etc)
    watched dry-run
    expect_exit 0
    watched run
    expect_exit 0
    expect_version 16.2.0
    expect_held
    expect_started "$WORKER"
    # The first one after an upgrade looks at the package database once more.
    watched run
    watched run
    expect_said '[i] no upgrades available (16.2.0 == 16.2.0)'
    ! grep -q '^start' $SEEN || failed 'a run with nothing to do starts something'
    watched status
    watched status --json
    watched pause --for 1h
    watched resume
    watched rollback
    expect_version 16.1.7
    expect_sound_record
    expect_etc_is "$before"
}
