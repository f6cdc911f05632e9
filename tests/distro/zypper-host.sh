# shellcheck shell=bash disable=SC2034 # rpm-host.sh uses SOURCE, VENDOR and INSTALL
# Sourced by host.sh on a zypper host: its repository, its agent's package and its package manager's locks.

SOURCE=/etc/zypp/repos.d/teleport.repo
VENDOR=https://zypper.releases.teleport.dev/opensuse-leap/15.5/Teleport/x86_64
# shellcheck source=tests/distro/rpm-host.sh
source "${BASH_SOURCE[0]%/*}/rpm-host.sh"

INSTALL=(zypper -n install)

refresh() { zypper -n -q refresh --repo teleport; }
install_here() { zypper -n -q install --repo teleport --oldpackage --force-resolution "$1=$2"; }
# What the first look of the day caches: zypper's view of a database that a sandbox has just put before it.
settle() { zypper -n -q --no-refresh search teleport-ent >/dev/null; }
upgrade_everything() { zypper -n -q update; }
# reinstall VERSION: the agent, from the repository as it is now.
reinstall() { zypper -n -q install --repo teleport --oldpackage --force "teleport-ent=$1"; }

# --- holds --------------------------------------------------------------------------------------------

locks() { zypper -n -q locks | awk -F'|' '$1 ~ /^[0-9 ]+$/ { gsub(/ /, "", $2); print $2 }'; }
expect_held() { locks | grep -qx "${1:-teleport-ent}" || failed "expected ${1:-teleport-ent} to be locked, the locks are: $(locks)"; }
expect_not_held() { ! locks | grep -qx "${1:-teleport-ent}" || failed "expected ${1:-teleport-ent} not to be locked"; }
# What the stock updater leaves behind, and what an administrator might do instead.
stock_hold() { zypper -n -q addlock teleport-ent; }
administrators_hold() { zypper -n -q addlock 'teleport*'; }
expect_administrators_hold() { locks | grep -qx 'teleport\*' || failed "the administrator's lock is gone"; }

# --- others at work -----------------------------------------------------------------------------------

# Somebody's zypper, as $holder, in the middle of a transaction until release_transaction.
hold_manager() { hold_with zypper -n -q --no-refresh install "$POOL"/lab/slow/lab-slow-1.0-*.rpm; }
# Somebody's zypper, as $holder, that waits for a server that never answers.
hold_metadata() {
    serve_silence
    mkdir -p /tmp/silent.d
    printf '[silent]\nname=Silent\nbaseurl=http://127.0.0.1:9999/\nenabled=1\ntype=rpm-md\n' >/tmp/silent.d/silent.repo
    zypper --reposd-dir /tmp/silent.d -n -q refresh >/run/lab/holder.out 2>&1 &
    holder=$!
    wait_for 'zypper to be locked' grep -qx "$holder" /run/zypp.pid
}
