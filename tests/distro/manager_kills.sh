# shellcheck shell=bash disable=SC2154 # kill-host.sh sets points
# Booted hosts on which kill -9 strikes in the middle of an upgrade or a rollback, at a hundred calls of the package manager's: that program
# itself while we live, us while it lives, or both. With FULL=1; else at a few, and on apt alone. Each function is a case.

# shellcheck source=tests/distro/kill-host.sh
source "${BASH_SOURCE[0]%/*}/kill-host.sh"

h01_an_upgrade_whose_package_manager_is_killed_at_any_call_is_finished_by_the_next_runs() {
    look_at upgrade theirs
    sweep "the package manager's calls" upgrade theirs "${points[@]}"
}

h01_a_rollback_whose_package_manager_is_killed_at_any_call_is_finished_by_the_next_runs() {
    look_at rollback theirs
    sweep "the package manager's calls" rollback theirs "${points[@]}"
}
