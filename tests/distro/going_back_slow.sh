# shellcheck shell=bash disable=SC2154,SC2119,SC2034 # host.sh sets code, out and old, and reads UPGRADE_LIMIT
# The way back from versions that take their time to fail: with apt in every run, with every package manager with FULL=1.
# shellcheck source=tests/distro/going-back-host.sh
source "${BASH_SOURCE[0]%/*}/going-back-host.sh"

h15_a_version_that_dies_after_forty_seconds_is_gone_back_from() {
    running_agent lab/crash_later
    echo 40 >/etc/teleport-standin.crash
    configure verify-seconds 50
    UPGRADE_LIMIT=240 upgrade run
    expect_said '16.2.0 is installed, but the agent ended by itself'
    expect_back
}

h15_a_version_that_hangs_when_it_starts_is_gone_back_from() {
    running_agent lab/hang
    UPGRADE_LIMIT=280 upgrade run
    expect_said '16.2.0 is installed, but the agent runs, but has not come to write its PID file'
    expect_back
    expect_blamed
}
