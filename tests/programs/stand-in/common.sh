# shellcheck shell=sh
# Read by every stand-in first: which scratch host it belongs to, its line in the transcript, and the trouble that a test has laid out
# for it. `on-apt-get-install` in the state directory is a few lines of sh that run in place of the program's work; they may `exit`.
host=${0%/programs/*}
state=$host/state
# shellcheck disable=SC2034 # for the programs
root=$host/root
printf '%s\n' "${0##*/} $*" >>"$host/transcript"

# What the package database says: want, flag, status, version.
# shellcheck disable=SC2034 # for the programs
package() { read -r want flag status version <"$state/installed"; }
# As dpkg does, which readers never find half-written.
package_is() { echo "$*" >"$state/installed.$$" && mv "$state/installed.$$" "$state/installed"; }

trouble() {
    # shellcheck source=/dev/null
    [ ! -e "$state/on-$1" ] || . "$state/on-$1"
}
