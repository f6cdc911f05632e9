# shellcheck shell=bash
# The outside of the test lab, sourced by tests/run, tests/demo and tests/bench: where things are, whether
# a sandbox can work on this machine, and what is compiled beforehand. Builds are always made as the person
# who asked, with that person's cargo; only `lab_enter` asks for root. The host gets nothing but target/.
# LAB_BINARY=/path tests that teleport-upgrade instead of building one, LAB_SERVER=/path that version server; packages are always built.

LAB_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
LAB_DIR=$LAB_TOP/target/lab
# shellcheck disable=SC2016
LAB_WITHOUT='run `cargo test` instead: it needs neither root nor a sandbox'

lab_stop() { printf 'lab: %s\n' "$*" >&2; exit 69; }
section() { printf '\n== %s\n' "$*"; }

# The person who builds: whoever called sudo, else whoever runs this.
lab_owner() {
    if ((EUID == 0)) && [[ -n ${SUDO_USER:-} ]]; then printf '%s\n' "$SUDO_USER"; else id -un; fi
}

as_owner() {
    local owner home
    owner=$(lab_owner)
    home=$(getent passwd "$owner" | cut -d: -f6)
    if [[ $owner == "$(id -un)" ]]; then
        PATH=$home/.cargo/bin:$PATH "$@"
    else
        runuser -u "$owner" -- env HOME="$home" PATH="$home/.cargo/bin:$PATH" "$@"
    fi
}

as_root() {
    if ((EUID == 0)); then "$@"; else sudo -- "$@"; fi
}

# Says in one line why there can be no sandbox here, and what to run instead.
lab_can_work() {
    [[ $(uname -s) == Linux ]] || lab_stop "the sandbox needs Linux; $LAB_WITHOUT"
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        lab_stop "the sandbox needs apt (Debian or Ubuntu); $LAB_WITHOUT"
    fi
    if ((EUID != 0)) && ! command -v sudo >/dev/null; then
        lab_stop "the sandbox needs root, and there is no sudo; $LAB_WITHOUT"
    fi
    as_root true || lab_stop "the sandbox needs root, and sudo refused; $LAB_WITHOUT"
    # shellcheck disable=SC2016
    as_root unshare --mount --pid --net --fork sh -c \
        'd=$(mktemp -d) && mount -t tmpfs lab "$d" && mkdir "$d/u" "$d/w" "$d/m" &&
         mount -t overlay lab -o "lowerdir=/,upperdir=$d/u,workdir=$d/w" "$d/m"; s=$?
         umount -l "$d" 2>/dev/null; rmdir "$d"; exit $s' 2>/dev/null ||
        lab_stop "root may not mount here (a container without CAP_SYS_ADMIN?); $LAB_WITHOUT"
}

# The shipped programs: static, release. Prints nothing unless a build fails; sets LAB_BINARY and LAB_SERVER.
lab_build_binaries() {
    LAB_BINARY=$(lab_build teleport-upgrade "${LAB_BINARY:-}") || exit
    LAB_SERVER=$(lab_build teleport-version-server "${LAB_SERVER:-}") || exit
    LAB_KUBE_UPDATER=$(lab_build teleport-kube-agent-updater "${LAB_KUBE_UPDATER:-}") || exit
}
# lab_build NAME [PROGRAM]: prints the program, which is built if none is given.
lab_build() {
    if [[ -n ${2:-} ]]; then
        [[ -x $2 ]] || lab_stop "$2, given as $1, is not a program"
        printf '%s\n' "$2"
        return
    fi
    as_owner cargo --version >/dev/null 2>&1 ||
        lab_stop "no cargo for $(lab_owner): install Rust from https://rustup.rs, then run this again"
    as_owner "$LAB_TOP/package/binary" "$(uname -m)" "$1" || lab_stop "$1 could not be built"
}

# Our packages for this host's architecture, from those programs; sets LAB_PACKAGES.
lab_build_packages() {
    local build=("$LAB_TOP/deb/build" --arch "$(dpkg --print-architecture)" --out "$LAB_DIR/packages")
    LAB_PACKAGES=$(as_owner "${build[@]}" teleport-ent-updater --binary "$LAB_BINARY" &&
        as_owner "${build[@]}" teleport-version-server --binary "$LAB_SERVER") || lab_stop 'the packages could not be built'
}

# A real Kubernetes control plane: kube-apiserver and kube-controller-manager, as they are or as .zst; sets LAB_KUBE, or fails.
lab_find_kube() {
    local directory
    for directory in "${KUBEBUILDER_ASSETS:-}" "$LAB_TOP/../shared/envtest"; do
        if [[ -n $directory && $(find "$directory/" -maxdepth 1 -name 'kube-apiserver*' -o -maxdepth 1 -name 'kube-controller-manager*' 2>/dev/null | wc -l) -ge 2 ]]; then
            LAB_KUBE=$(cd "$directory" && pwd)
            return
        fi
    done
    LAB_KUBE=''
    return 1
}

# The stand-in agents, one static program per version and temper, the meter of tests/bench, the watcher of hostile-host.sh, and what kills
# at one exact call.
lab_build_programs() {
    local out=$LAB_DIR/programs source=$LAB_TOP/tests/programs version temper
    as_owner mkdir -p "$out"
    build() { # build NAME SOURCE FLAG...
        local program=$out/$1 from=$source/$2
        [[ $program -nt $from ]] || as_owner cc -static -O1 -Wall -o "$program" "${@:3}" "$from"
    }
    for version in 16.1.7 16.2.0 16.2.1 16.3.0-rc.1 16.3.0 17.0.0; do
        build "agent-$version" agent.c -DVERSION="\"$version\""
    done
    for temper in CRASH CRASH_LATER HANG; do
        build "agent-16.2.0-${temper,,}" agent.c -DVERSION='"16.2.0"' -DTEMPER="$temper"
    done
    # A deaf one is upgraded from: the new version would obey.
    build agent-16.1.7-ignore_hup agent.c -DVERSION='"16.1.7"' -DTEMPER=IGNORE_HUP
    build meter meter.c
    build watcher watcher.c
    build fate fate.c
}

# lab_enter COMMAND ARG...: COMMAND, a function or program that sandbox.sh knows, as root inside the lab.
lab_enter() {
    lab_find_kube || true
    local -a scope=()
    lab_can_work
    lab_build_programs
    # systemd wants to be told that the cgroups of the booted sandboxes are none of its business.
    if [[ -d /run/systemd/system ]]; then scope=(systemd-run --scope --quiet --collect -p Delegate=yes --); fi
    as_root "${scope[@]}" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
        TERM="${TERM:-dumb}" LC_ALL=C.UTF-8 LAB_BINARY="${LAB_BINARY:-}" LAB_SERVER="${LAB_SERVER:-}" LAB_KUBE_UPDATER="${LAB_KUBE_UPDATER:-}" LAB_KUBE="${LAB_KUBE:-}" \
        SKIP_KUBE="${SKIP_KUBE:-}" LAB_PACKAGES="${LAB_PACKAGES:-}" FULL="${FULL:-}" JOBS="${JOBS:-5}" LAB_OWNER="$(lab_owner)" \
        http_proxy="${http_proxy:-}" https_proxy="${https_proxy:-}" no_proxy="${no_proxy:-}" \
        unshare --mount --pid --fork --kill-child --mount-proc \
        bash "$LAB_TOP/tests/distro/sandbox.sh" open "$@"
}
