# shellcheck shell=bash disable=SC2034 # rpm-host.sh uses SOURCE, VENDOR and INSTALL
# Sourced by host.sh on a dnf host: its repository, its agent's package and its package manager's locks.

SOURCE=/etc/yum.repos.d/teleport.repo
VENDOR=https://yum.releases.teleport.dev/rhel/9/Teleport/x86_64
# shellcheck source=tests/distro/rpm-host.sh
source "${BASH_SOURCE[0]%/*}/rpm-host.sh"

INSTALL=(dnf -y install)

# dnf as a person would use it, for this one repository.
dnf_here() { dnf -y -q --disablerepo='*' --enablerepo=teleport --disableexcludes=all --allowerasing "$@"; }
refresh() { dnf_here --setopt=teleport.skip_if_unavailable=0 --refresh makecache; }
install_here() { dnf_here install "$1-$2"; }
# What the first look of the day caches.
settle() { dnf_here -C repoquery teleport-ent >/dev/null; }
upgrade_everything() { dnf -y -q upgrade; }
# reinstall VERSION: the agent, from the repository as it is now.
reinstall() { dnf_here reinstall "$(spelled "$1")"; }

# --- holds --------------------------------------------------------------------------------------------

excluded() { sed -n '/^\[teleport\]/,/^\[/s/^exclude\(pkgs\)\? *= *//p' "$SOURCE" | tr -s '[:space:],' '\n'; }
expect_held() { excluded | grep -qx "${1:-teleport-ent}" || failed "expected ${1:-teleport-ent} to be excluded in $SOURCE"; }
expect_not_held() { ! excluded | grep -qx "${1:-teleport-ent}" || failed "expected ${1:-teleport-ent} not to be excluded in $SOURCE"; }
# What the stock updater leaves behind, and what an administrator might do instead.
stock_hold() { echo 'exclude=teleport-ent' >>"$SOURCE"; }
administrators_hold() { echo 'excludepkgs=teleport*' >>/etc/dnf/dnf.conf; }
expect_administrators_hold() { grep -qx 'excludepkgs=teleport\*' /etc/dnf/dnf.conf || failed "the administrator's hold is gone"; }

# --- others at work -----------------------------------------------------------------------------------

# Somebody's dnf, as $holder, in the middle of a transaction until release_transaction.
hold_manager() { hold_with dnf -y -q --disablerepo='*' install "$POOL"/lab/slow/lab-slow-1.0-*.rpm; }
# Somebody's dnf, as $holder, that waits for a server that never answers.
hold_metadata() {
    serve_silence
    dnf -q --disablerepo='*' --repofrompath=silent,http://127.0.0.1:9999/ makecache >/run/lab/holder.out 2>&1 &
    holder=$!
    wait_for 'the metadata to be locked' grep -qx "$holder" /var/cache/dnf/metadata_lock.pid
}
