#!/usr/bin/env bash
# cases.sh RESULTS [PATTERN]: runs the cases whose suite and name match PATTERN, JOBS (5) at a time since many only wait, each in a sandbox
# of its own.
# Leaves a log per case in target/lab/logs and one line per case in the file RESULTS: SUITE CASE held|FAILED.
set -euo pipefail
# shellcheck source=tests/distro/sandbox.sh
source "$(dirname "${BASH_SOURCE[0]}")/sandbox.sh"

suites=(apt kube repositories trust hostile dnf_hostile zypper_hostile systemd package package_systemd dnf zypper dnf_systemd zypper_systemd dnf_package_systemd zypper_package_systemd
    package_bare dnf_bare zypper_bare package_bare_systemd dnf_bare_systemd zypper_bare_systemd
    package_pages_systemd package_server_systemd dnf_server_systemd zypper_server_systemd watch_systemd)
results=$1
pattern=${2:-}

# host_of SUITE: the layer of the host that its cases start on.
host_of() {
    case $1 in
        dnf*) echo rpm-dnf ;;
        zypper*) echo rpm-zypper ;;
        package*) echo package-tools ;;
        watch*) echo watch-tools ;;
        kube) echo kube-tools ;;
        *) echo repository ;;
    esac
}

# files_of SUITE: where its cases stand. What rpm hosts have in common is run on each kind of them.
files_of() {
    case $1 in
        apt) echo everyday apt ;;
        dnf|zypper) echo "everyday rpm rpm-repositories $1" ;;
        systemd) echo systemd going_back going_back_slow kills manager_kills; [[ ${FULL:-} != 1 ]] || echo faults ;;
        dnf_systemd|zypper_systemd) echo systemd going_back; [[ ${FULL:-} != 1 ]] || echo going_back_slow kills manager_kills faults ;;
        dnf_package_systemd|zypper_package_systemd) echo updater_systemd accounts rpm_package_systemd ;;
        hostile) echo hostile whole_life ;;
        dnf_hostile|zypper_hostile) echo whole_life ;;
        kube) echo kube; [[ ${FULL:-} != 1 ]] || echo kube_slow ;;
        package) echo package; [[ ${FULL:-} != 1 ]] || echo package_arm64 ;;
        package_systemd) echo updater_systemd accounts package_systemd ;;
        package_bare) echo bare bare_alike bare_words ;;
        dnf_bare) echo bare bare_yum; [[ ${FULL:-} != 1 ]] || echo bare_alike ;;
        zypper_bare) echo bare; [[ ${FULL:-} != 1 ]] || echo bare_alike ;;
        *_bare_systemd) echo bare_systemd ;;
        package_pages_systemd) echo pages ;;
        package_server_systemd) echo version_server version_server_story version_server_nginx ;;
        *_server_systemd) echo version_server; [[ ${FULL:-} != 1 ]] || echo version_server_story ;;
        watch_systemd) echo watch_systemd screens ;;
        *) echo "$1" ;;
    esac
}

run_case() {
    local suite=$1 file=$2 name=$3 log=$LAB_DIR/logs/$1.$3.log verdict=held boot=() began
    began=$EPOCHREALTIME
    [[ $suite != *systemd ]] || boot=(--boot)
    # shellcheck disable=SC2016
    timeout --kill-after=5 "$([[ ${FULL:-} == 1 ]] && echo 14400 || echo 300)" bash -c 'source "$1/sandbox.sh"; sandbox "${@:2}"' - "$HERE" \
        "${boot[@]}" --on "$(host_of "$suite")" distro/case.sh "$file" "$name" </dev/null >"$log" 2>&1 || verdict=FAILED
    printf '%s %s %s\n' "$suite" "$name" "$verdict" >>"$results"
    { # in one piece, since several cases run at a time
        printf '%-6s %s: %s (%d ms)\n' "$verdict" "$suite" "${name//_/ }" $(((${EPOCHREALTIME/./} - ${began/./}) / 1000))
        sed -n 's/^figure: /       /p' "$log"
        [[ $verdict == held ]] || tail -n 25 "$log" | sed 's/^/       | /'
    } >"$log.summary"
    cat "$log.summary"
    rm "$log.summary"
}

# One line per case that is asked for: SUITE FILE CASE.
cases() {
    local suite file name
    for suite in "${suites[@]}"; do
        [[ $suite != kube || ${SKIP_KUBE:-} != 1 ]] || continue
        for file in $(files_of "$suite"); do
            while read -r name; do
                [[ ! "$suite $name" =~ $pattern ]] || echo "$suite $file $name"
            done < <(grep -oE '^[a-z0-9_]+\(\) \{$' "$HERE/$file.sh" | cut -d'(' -f1 | grep -v '^after_')
        done
    done
}
# Booted hosts mostly wait, the others mostly compute: evenly mixed, they leave neither the cores nor the jobs idle.
mixed() {
    awk '{ kind = $1 ~ /systemd$/; line[kind, ++count[kind]] = $0 }
        END { for (kind in count) for (i = 1; i <= count[kind]; i++) printf "%.6f %s\n", i / count[kind], line[kind, i] }' |
        sort -s -n -k1,1 | cut -d' ' -f2-
}

: >"$results"
mapfile -t all < <(cases | mixed)
jobs=0
for case in "${all[@]}"; do
    read -r suite file name <<<"$case"
    make_layers "$(host_of "$suite")"
    ((++jobs <= ${JOBS:-5})) || wait -n
    run_case "$suite" "$file" "$name" &
done
wait
[[ -s $results ]] || { echo "no case is called like '$pattern'" >&2; exit 64; }
! grep -q FAILED "$results"
