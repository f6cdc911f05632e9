# shellcheck shell=bash disable=SC2154 # kill-host.sh sets moments
# Booted hosts whose disk fails our own writes, at any call and with any error; or whose power is cut. All calls with FULL=1, else a few.
# Each function is a case.

# shellcheck source=tests/distro/kill-host.sh
source "${BASH_SOURCE[0]%/*}/kill-host.sh"

h18_an_upgrade_whose_own_writes_fail_says_so_and_is_finished_by_the_next_runs() {
    look_at upgrade ours
    fault_sweep upgrade
}

h18_a_rollback_whose_own_writes_fail_says_so_and_is_finished_by_the_next_runs() {
    look_at rollback ours
    fault_sweep rollback
}

h04_a_power_cut_leaves_what_we_keep_old_or_new_and_never_half() {
    upgraded_once
    power_cut upgrade
    power_cut rollback
    power_cut pause
}
