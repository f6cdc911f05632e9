#!/usr/bin/env bash
# The inside of the test lab. Started by lab_enter as root in mount and pid namespaces of its own, so all it
# mounts and starts goes away with it. Owns the layers (base: packages; repository: the signed apt repositories;
# and those of rpm hosts), kept as tar files in target/lab, and `sandbox`: a throwaway host, copy-on-write over
# this one. A host view is overlays of layer + layer + host for / and for each local mount below it.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
LAB_DIR=$(cd "$HERE/../.." && pwd)/target/lab
LAB_MOUNT=$LAB_DIR/mount
VIEW=$LAB_MOUNT/view

stop() { printf 'lab: %s\n' "$*" >&2; exit 69; }

# --- host views ---------------------------------------------------------------------------------------

# The mounts of this host that hold its files: / and whatever local file system is mounted below it.
local_mounts() {
    echo /
    findmnt -rn --real -o TARGET,FSTYPE | while read -r target type; do
        target=$(printf '%b' "$target")
        case $target in /|/proc*|/sys*|/dev|/dev/*|/run|/run/*|/tmp|/tmp/*|/snap/*|/boot/*|"$LAB_DIR"/*) continue ;; esac
        case $type in tmpfs|ramfs|squashfs|iso9660|overlay|fuse*|nfs*|cifs|9p|virtiofs|autofs) continue ;; esac
        [[ -d $target ]] && printf '%s\n' "$target"
    done | sort -u
}

# /var/log -> @var@log: how a mount is called inside a layer and an upper directory.
mount_name() { [[ $1 == / ]] && echo @ || echo "${1//\//@}"; }

# make_view ROOT UPPER LAYER...: the copy-on-write host at ROOT, its changes in UPPER, topmost layer first.
make_view() {
    local root=$1 upper=$2 mount name layer lower
    shift 2
    while read -r mount; do
        name=$(mount_name "$mount")
        lower=
        for layer in "$@"; do [[ -d $layer/$name ]] && lower+="$layer/$name:"; done
        mkdir -p "$upper/$name" "$upper.work/$name" "$root$mount"
        if ! mount -t overlay lab "$root$mount" -o "lowerdir=$lower$mount,upperdir=$upper/$name,workdir=$upper.work/$name,index=off,metacopy=off,redirect_dir=off" 2>/dev/null; then
            [[ $mount != / ]] || stop "cannot mount an overlay over /"
            mount --bind -o ro "$mount" "$root$mount" # a file system that overlayfs does not take, such as vfat
        fi
    done < <(local_mounts)
}

# The kernel's directories, fresh /run and /tmp, and the lab's own directory as /run/lab.
furnish_view() {
    local root=$1 node
    mount -t proc proc "$root/proc"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount -t tmpfs -o mode=755 dev "$root/dev"
    for node in null zero full random urandom tty; do
        : >"$root/dev/$node"
        mount --bind "/dev/$node" "$root/dev/$node"
    done
    mkdir "$root/dev/pts" "$root/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
    mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    mount -t tmpfs -o mode=755 run "$root/run"
    mount -t tmpfs -o mode=1777 tmp "$root/tmp"
    mkdir -p "$root/run/lock" "$root/run/lab"
    mount --rbind "$VIEW/lab" "$root/run/lab"
}

# /run/lab: what a script inside finds of the lab. `upper` is what it has changed on the host.
furnish_lab() {
    mkdir -p "$VIEW/lab/tests" "$VIEW/lab/upper" "$VIEW/lab/bin"
    mount --bind -o ro "$HERE/.." "$VIEW/lab/tests"
    mount --bind -o ro "$VIEW/upper" "$VIEW/lab/upper"
    mkdir "$VIEW/lab/tree"
    mount --bind -o ro "$HERE/../.." "$VIEW/lab/tree"
    getent passwd "$LAB_OWNER" | cut -d: -f6 >"$VIEW/lab/home"
    if [[ -n ${LAB_BINARY:-} ]]; then cp "$LAB_BINARY" "$VIEW/lab/bin/teleport-upgrade"; fi
    if [[ -n ${LAB_SERVER:-} ]]; then cp "$LAB_SERVER" "$VIEW/lab/bin/teleport-version-server"; fi
    local package name
    while read -r package; do
        name=${package##*/}
        [[ -z $package ]] || cp "$package" "$VIEW/lab/${name%%_*}.deb"
    done <<<"${LAB_PACKAGES:-}"
    if [[ -n ${LAB_KUBE_UPDATER:-} ]]; then cp "$LAB_KUBE_UPDATER" "$VIEW/lab/bin/teleport-kube-agent-updater"; fi
    if [[ -n ${LAB_KUBE:-} ]]; then
        mkdir "$VIEW/lab/kube"
        mount --bind -o ro "$LAB_KUBE" "$VIEW/lab/kube"
    fi
    [[ ${FULL:-} != 1 ]] || : >"$VIEW/lab/full"
    if [[ -d $LAB_DIR/programs ]]; then cp "$LAB_DIR"/programs/* "$VIEW/lab/bin/"; fi
}

# Environment of every script inside: nothing of the caller's but the terminal.
clean_env=(env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "TERM=${TERM:-dumb}")

# --- sandboxes ----------------------------------------------------------------------------------------

# sandbox [--boot] [--network] [--save FILE] [--on LAYER] SCRIPT ARG...
# Runs tests/SCRIPT in a host of its own and returns its exit status. --boot: systemd runs in it. --save:
# keeps the changes as a layer. --on: the topmost layer below it (`bare`: none), else an apt host.
sandbox() {
    local boot=no network=no save='' on=repository status=0 group
    while [[ $1 == --* ]]; do
        case $1 in
            --boot) boot=yes ;;
            --network) network=yes ;;
            --save) save=$2; shift ;;
            --on) on=$2; shift ;;
            *) stop "sandbox: unknown option $1" ;;
        esac
        shift
    done
    make_layers "$on"
    local -a apart=(unshare --mount --pid --uts --ipc --fork --kill-child --mount-proc)
    [[ $network == yes ]] || apart+=(--net)
    group=lab-$BASHPID
    [[ $boot == no ]] || make_cgroups "$group"
    (
        [[ $boot == no ]] || join_cgroups "$group"
        exec "${apart[@]}" bash "$HERE/sandbox.sh" within "$boot" "$network" "$on" "$save" "$@"
    ) || status=$?
    [[ $boot == no ]] || remove_cgroups "$group"
    return "$status"
}

# What `sandbox` does once it is alone in its namespaces.
within() {
    local boot=$1 network=$2 on=$3 save=$4 status=0
    shift 4
    local -a layers
    mapfile -t layers < <(layers_of "$on" | sed "s,^,$LAB_MOUNT/,")
    mkdir -p "$VIEW"
    mount -t tmpfs -o mode=755,size=80% view "$VIEW"
    make_view "$VIEW/root" "$VIEW/upper" "${layers[@]}"
    furnish_lab
    hostname lab
    [[ $network == yes ]] || ip link set lo up
    if [[ $boot == yes ]]; then
        boot "$@" || status=$?
    else
        furnish_view "$VIEW/root"
        [[ $network == no ]] || lend_resolver "$VIEW/root"
        "${clean_env[@]}" chroot "$VIEW/root" bash -c 'cd /; exec bash "$@"' - "/run/lab/tests/$1" "${@:2}" || status=$?
    fi
    if [[ -n $save ]] && ((status == 0)); then
        tar -C "$VIEW/upper" --xattrs --xattrs-include=trusted.overlay.opaque --xattrs-include='security.*' --sort=name -cf "$save.new" .
        mv "$save.new" "$save"
    fi
    return "$status"
}

# The host's resolver configuration often lives below /run, which is fresh in a view.
lend_resolver() {
    local file
    file=$(readlink -f /etc/resolv.conf) || return 0
    [[ $file != /run/* ]] || install -D -m 644 "$file" "$1$file"
}

# boot SCRIPT ARG...: starts systemd in the view and runs the script as a unit of it. systemd-nspawn comes
# from the base layer, through a second view whose /run holds the first.
boot() {
    local tools=$VIEW/tools
    mkdir -p "$tools"
    make_view "$tools" "$VIEW/tools-upper" "$LAB_MOUNT/base"
    mount --rbind /proc "$tools/proc"
    mount --rbind /sys "$tools/sys"
    mount --rbind /dev "$tools/dev"
    mount -t tmpfs -o mode=755 run "$tools/run"
    mkdir -p "$tools/run/root" "$tools/run/lab-share"
    mount --rbind "$VIEW/root" "$tools/run/root"
    mount --rbind "$VIEW/lab" "$tools/run/lab-share"
    boot_once "$@"
}
boot_once() {
    local tools=$VIEW/tools leader='' nspawn status=0
    "${clean_env[@]}" chroot "$tools" systemd-nspawn -q -D /run/root --boot --register=no --keep-unit \
        --private-network --hostname=lab --link-journal=no --resolv-conf=off --timezone=off --console=pipe \
        --bind=/run/lab-share:/run/lab systemd.unit=lab.target systemd.show_status=no \
        </dev/null >"$VIEW/lab/console" 2>&1 &
    nspawn=$!
    local -a inside
    for _ in {1..400}; do
        leader=$(cat "/proc/$nspawn/task/$nspawn/children" 2>/dev/null || true)
        leader=${leader%% *}
        inside=("${clean_env[@]}" nsenter -t "${leader:-0}" -m -u -i -n -p -C -r -w --)
        # Until systemd runs, the child is another part of nspawn, or gone in a moment.
        if [[ -n $leader && $(cat "/proc/$leader/comm" 2>/dev/null) == systemd ]] && "${inside[@]}" systemctl is-active --quiet lab.target 2>/dev/null; then
            "${inside[@]}" systemd-run --quiet --collect --pipe --wait --service-type=exec --unit=lab-case \
                --working-directory=/ -E HOME=/root -E LC_ALL=C.UTF-8 -E TERM="${TERM:-dumb}" \
                -E PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin bash "/run/lab/tests/$1" "${@:2}" || status=$?
            if [[ -e $VIEW/lab/goes-down ]]; then
                after_shutdown "$nspawn" "$@" && status=0 || status=$?
            elif [[ -e $VIEW/lab/boots-again ]]; then
                rm "$VIEW/lab/boots-again"
                timeout 60 tail --pid="$nspawn" -f /dev/null || { echo 'FAILED: the host did not go down at once' >&2; return 1; }
                boot_once "${@:1:3}" after_boot && status=0 || status=$?
            fi
            return "$status"
        fi
        kill -0 "$nspawn" 2>/dev/null || break
        sleep 0.05
    done
    echo "lab: systemd did not come up in the sandbox; its console said:" >&2
    tail -n 20 "$VIEW/lab/console" >&2
    return 69
}

# after_shutdown NSPAWN SCRIPT ARG...: waits for the end of a host that its case has told to go down; the script goes on with one more
# argument on what is left of it.
after_shutdown() {
    local nspawn=$1
    shift
    timeout 120 tail --pid="$nspawn" -f /dev/null || { echo 'FAILED: the host did not go down within two minutes' >&2; return 1; }
    furnish_view "$VIEW/root"
    "${clean_env[@]}" chroot "$VIEW/root" bash -c 'cd /; exec bash "$@"' - "/run/lab/tests/$1" "${@:2}" after_shutdown
}

# A control group of its own for each booted sandbox, on hosts with the unified hierarchy (cgroup v2) and on
# those with systemd's named one beside it. Only these have to be removed by hand afterwards.
cgroup_homes() {
    local line path
    while IFS= read -r line; do
        path=${line#*:*:}
        case $line in
            0::*) for root in /sys/fs/cgroup/unified /sys/fs/cgroup; do
                      [[ -e $root/cgroup.procs && -e $root/cgroup.controllers ]] && echo "$root${path%/}" && break
                  done ;;
            *:name=systemd:*) echo "/sys/fs/cgroup/systemd${path%/}" ;;
        esac
    done </proc/self/cgroup
}
make_cgroups() { while read -r home; do mkdir -p "$home/$1"; done < <(cgroup_homes); }
join_cgroups() { while read -r home; do echo "$BASHPID" >"$home/$1/cgroup.procs"; done < <(cgroup_homes); }
remove_cgroups() {
    while read -r home; do
        find "$home/$1" -depth -type d -exec rmdir {} + 2>/dev/null || true
    done < <(cgroup_homes)
}

# --- layers -------------------------------------------------------------------------------------------

# layers_of LAYER: that layer and all below it, topmost first. distro/LAYER.sh makes it.
layers_of() {
    case $1 in
        bare) return ;;
        base) echo base; return ;;
    esac
    echo "$1"
    case $1 in
        repository|rpm-tools) layers_of base ;;
        package-tools) layers_of repository ;;
        watch-tools) layers_of package-tools ;;
        bench-tools|kube-tools) layers_of repository ;;
        rpm-repository) layers_of rpm-tools ;;
        rpm-dnf|rpm-zypper) layers_of rpm-repository ;;
        *) stop "there is no layer called $1" ;;
    esac
}

# layer NAME BELOW: unpacks the layer; builds it first when what it is made of has changed.
layer() {
    local name=$1 below=$2 key file options=()
    case $name in base|*-tools) options=(--network) ;; esac
    key=$({ cat /etc/os-release; local_mounts; made_of "$name" "$below"; } | sha256sum | cut -c1-12)
    file=$LAB_DIR/$name-$key.tar
    if [[ ! -e $file ]]; then
        printf 'lab: preparing the %s layer (kept in target/lab for the next time)...\n' "$name" >&2
        sandbox "${options[@]}" --on "$below" --save "$file" "distro/$name.sh" >"$LAB_DIR/$name.log" 2>&1 </dev/null || {
            tail -n 20 "$LAB_DIR/$name.log" >&2
            stop "the $name layer could not be made; the whole story is in target/lab/$name.log"
        }
        find "$LAB_DIR" -maxdepth 1 -name "$name-*.tar" ! -path "$file" -delete
    fi
    mkdir "$LAB_MOUNT/$name.new"
    tar -C "$LAB_MOUNT/$name.new" --xattrs --xattrs-include='*' -xpf "$file"
    mv "$LAB_MOUNT/$name.new" "$LAB_MOUNT/$name"
}
# The files that decide how a layer turns out: its own script and what that sources, and the same of each layer below.
made_of() {
    local layer
    for layer in "$1" $(layers_of "$2"); do
        cat "$HERE/$layer.sh"
        case $layer in
            base|*-tools) cat "$HERE/install.sh" ;;
            repository) cat "$HERE"/{host,apt-host,vendor,publish}.sh "$HERE"/../programs/{agent,meter}.c ;;
            rpm-repository) cat "$HERE"/{vendor,rpm-publish}.sh "$HERE"/../programs/{agent,meter}.c ;;
            *) cat "$HERE"/{host,rpm-host,"${layer#rpm-}"-host}.sh ;;
        esac
    done
}

# make_layers LAYER: makes sure of that layer and of those below it, which is nothing to do but the first time.
make_layers() {
    [[ $1 != bare && ! -d $LAB_MOUNT/$1 ]] || return 0
    local -a wanted
    local i
    mapfile -t wanted < <(layers_of "$1")
    {
        flock 9
        for ((i = ${#wanted[@]} - 1; i >= 0; i--)); do
            [[ -d $LAB_MOUNT/${wanted[i]} ]] || layer "${wanted[i]}" "${wanted[i + 1]:-bare}"
        done
    } 9>"$LAB_DIR/lock"
}

# open COMMAND ARG...: mounts the lab, makes sure of the layers and runs COMMAND in it.
open() {
    local status=0
    mkdir -p "$LAB_MOUNT" "$LAB_DIR/logs"
    mount -t tmpfs -o mode=755,size=80% lab "$LAB_MOUNT"
    case $1 in
        sandbox) "$@" || status=$? ;;
        cases) bash "$HERE/cases.sh" "${@:2}" || status=$? ;;
        *) stop "the lab does not know the command $1" ;;
    esac
    chown -R --from=root "$LAB_OWNER:" "$LAB_DIR"/{logs,lock,results.*,*.tar,*.log} 2>/dev/null || true
    return "$status"
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    case ${1:-} in
        open|within) "$@" ;;
        *) stop "this is the inside of the lab: start tests/run, tests/demo or tests/bench instead" ;;
    esac
fi
