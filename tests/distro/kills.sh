# shellcheck shell=bash disable=SC2154 # kill-host.sh sets points
# Booted hosts on which an upgrade or a rollback dies of kill -9, at every call of our own that changes something with FULL=1, else at a few.
# Each function is a case; every other point takes all processes along.

# shellcheck source=tests/distro/kill-host.sh
source "${BASH_SOURCE[0]%/*}/kill-host.sh"

h04_an_upgrade_that_is_killed_at_any_call_of_ours_is_finished_by_the_next_runs() {
    look_at upgrade ours
    sweep 'our calls' upgrade ours "${points[@]}"
}

h04_a_rollback_that_is_killed_at_any_call_of_ours_is_finished_by_the_next_runs() {
    look_at rollback ours
    sweep 'our calls' rollback ours "${points[@]}"
}
