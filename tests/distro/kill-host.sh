# shellcheck shell=bash disable=SC2034,SC2154 # shared with the cases; host.sh sets code
# Sourced by kills.sh: booted hosts on which our program, or the package manager that it started, dies of kill -9 at one exact call
# (tests/programs/fate.c), and what is expected of them right after and three runs later.

FATE=/run/lab/bin/fate
POINTS=/run/lab/points     # every point of one whole operation
STRUCK=/run/lab/struck     # the point at which it died
STATE_AFTER=/run/lab/after # our state as an upgrade leaves it
USUAL=/run/lab/usual       # the files that the operation leaves on a host where nobody dies
METRICS=/srv/metrics
tried=0 survived=0 dead=nobody
points=()
export operation='' command=''

# A line for the summary of the whole run (cases.sh).
figure() { printf 'figure: %s\n' "$*"; }

# --- a host as it was before --------------------------------------------------------------------------

end_agent() {
    systemctl stop teleport
    systemctl reset-failed teleport 2>/dev/null || true
    rm -f /run/teleport.pid
}

# as_before upgrade|rollback: an agent that runs 16.1.7 and has never met us, or one that we have upgraded to 16.2.0; in an open window,
# with 16.2.0 on offer, and nothing known yet of the repository.
as_before() {
    operation=$1
    end_agent
    rm -rf "$STATE"
    if [[ $1 == upgrade ]]; then
        command=run
        put_in_place 16.1.7
        let_go
    else
        command=rollback
        put_in_place 16.2.0
        hold
        cp -a "$STATE_AFTER" "$STATE"
    fi
    forget_repository
    mkdir -p "$METRICS"
    rm -f "$METRICS"/*
    configure metrics "$METRICS"
    systemctl start teleport
    wait_for 'the agent to write its PID file' test -s /run/teleport.pid
    window open
    offer 16.2.0
}

# What is found nowhere but on a host that has been upgraded: done once, before the first rollback.
upgraded_once() {
    as_before upgrade
    upgrade run
    expect_exit 0
    rm -rf "$STATE_AFTER"
    cp -a "$STATE" "$STATE_AFTER"
}

# --- points -------------------------------------------------------------------------------------------

# look_at_points OPERATION ours|all: every point of one whole operation, and what it leaves on a host where nobody dies.
look_at_points() {
    as_before "$1"
    "$FATE" points "$POINTS" "$2" "$UPGRADE" "$command" </dev/null >/run/lab/out 2>&1 || { cat /run/lab/out; failed "nobody died, and yet $command ended with $?"; }
    code=0
    expect_converged
    files_outside >"$USUAL"
    note "$(wc -l <"$POINTS") points were seen"
}

# points_of ours [HOW-MANY]: their numbers; all of them, or so many, evenly spread.
points_of() {
    grep " $1 " "$POINTS" | cut -d' ' -f1 | spread "${2:-}"
}
# Each line, or so many of them, from the middle of as many equal parts.
spread() {
    local -a lines
    local n
    mapfile -t lines
    if [[ -z $1 ]] || ((${#lines[@]} <= $1)); then
        printf '%s\n' "${lines[@]}"
    else
        for ((n = 0; n < $1; n++)); do echo "${lines[(2 * n + 1) * ${#lines[@]} / (2 * $1)]}"; done
    fi
}

# phases: the points of the package manager's tree, with the phase that each is in (V34).
phases() {
    awk '$2 != "theirs" { next }
        $3 == "execve" && / (update|makecache|refresh)( |$)/ { phase = "update" }
        $3 == "execve" && / (install|download|reinstall)( |$)/ { phase = "download" }
        $3 != "execve" && /\/usr\/local\/bin\/teleport[.;]/ && phase == "download" { phase = "unpack" }
        $3 == "execve" && (/postinst configure/ || / --configure / || /\/bin\/sh .*rpm-tmp/) && phase == "unpack" { phase = "configure" }
        $3 == "execve" && /systemctl/ && phase == "configure" { phase = "after the script"; print $1, "configure"; next }
        phase { gsub(/ /, "-", phase); print $1, phase }' "$POINTS"
}
# points_by_phase HOW-MANY: so many points of the package manager's tree, as many of each phase as it has. What was kept needs no update.
points_by_phase() {
    local count phase share left=$1 phases
    phases >/run/lab/phases
    phases=$(cut -d' ' -f2 /run/lab/phases | sort -u | wc -l)
    # The smallest first: what it has too little of, the others make up for.
    while read -r count phase; do
        share=$(((left + phases - 1) / phases))
        ((share <= count)) || share=$count
        grep " $phase\$" /run/lab/phases | cut -d' ' -f1 | spread "$share"
        left=$((left - share)) phases=$((phases - 1))
    done < <(cut -d' ' -f2 /run/lab/phases | sort | uniq -c | sort -n)
}

# look_at OPERATION ours|theirs: which points to die at, in $points: all of ours, a hundred of the package manager's, or a few.
look_at() {
    local few=3
    [[ $1 == upgrade ]] || upgraded_once
    [[ ! -e /run/lab/full ]] || few=''
    if [[ $2 == ours ]]; then
        look_at_points "$1" ours
        mapfile -t points < <(points_of ours "$few")
    else
        look_at_points "$1" all
        mapfile -t points < <(points_by_phase 100 | spread "$few")
        [[ $(cut -d' ' -f2 /run/lab/phases) == *unpack*configure* ]] || failed 'the phases of the package manager were not recognised'
    fi
}

# --- dying --------------------------------------------------------------------------------------------

# sweep WHAT OPERATION ours|theirs POINT...: at each point by turns we die alone, or with all that was started; or, at one of theirs, whoever
# made that call dies, and we live.
sweep() {
    local what=$1 whose=$3 point dies=(alone all) child
    [[ $whose == ours ]] || dies=(it alone all)
    operation=$2
    shift 3
    for point in "$@"; do
        note "$operation, point $point of $whose, ${dies[tried % ${#dies[@]}]}"
        # In the background, so that errexit goes on to work in it.
        survives "$whose" "$point" "${dies[tried % ${#dies[@]}]}" >/run/lab/this 2>&1 &
        child=$!
        if wait "$child"; then
            survived=$((survived + 1))
        else
            cat /run/lab/this
            note "NOT survived: fate kill $STRUCK $whose $point ${dies[tried % ${#dies[@]}]} $UPGRADE $command: $(cat "$STRUCK")"
        fi
        tried=$((tried + 1))
    done
    figure "kill sweep, $MANAGER, $operation, $what: $survived of $tried points survived, in $SECONDS s"
    ((tried && survived == tried)) || failed "$((tried - survived)) points were not survived"
}

survives() { # survives ours|theirs POINT alone|all|it
    local status=0 point=$2 try
    dead=$3
    for try in 1 2 3 4 5; do
        as_before "$operation"
        status=0
        "$FATE" kill "$STRUCK" "$1" "$point" "$3" "$UPGRADE" "$command" </dev/null >/run/lab/out 2>&1 || status=$?
        cat /run/lab/out "$STRUCK"
        # A package manager does not make as many calls each time, and may be done before the last of them.
        [[ $1 == theirs && ! -s $STRUCK ]] || break
        point=$((point - point / 100))
        note "it was done before try $try; next at $point"
    done
    # Who lives says how it ended: all is well, gone back, a person's, the package's fault, or later.
    [[ $status == 137 || ($3 == it && -s $STRUCK && $status =~ ^(0|10|11|69|75)$) ]] || failed "it ended with $status"
    expect_record_whole
    expect_nothing_of_ours_outside
    recover
    # Whoever still works behind our back would be seen too late.
    wait_for 'every package manager to be done' nobody_at_work
    expect_converged
    expect_usual_files
}

nobody_at_work() {
    local name
    for name in apt-get dpkg dnf zypper Zypp-main rpm; do ! pgrep -x "$name" >/dev/null || return 1; done
}

# Three runs at most, as the timer makes them.
recover() {
    local run
    for run in 1 2 3; do
        UPGRADE_LIMIT=100 upgrade run
        [[ $code != 0 && $code != 10 ]] || [[ $(in_record pending) != null ]] || return 0
    done
    failed "three runs later it is still exit $code, pending $(in_record pending)"
}

# --- failing ------------------------------------------------------------------------------------------

# The calls of ours that each error can meet on a file. A full or read-only disk stays so: those with a + fail all later ones, too.
# shellcheck disable=SC2016 # for awk
meets() {
    case $1 in
        ENOSPC*) echo '$3 ~ /^(open|openat|creat|write|mkdir|mkdirat|rename|renameat|fsync|ftruncate)$/' ;;
        EIO) echo '$3 ~ /^(open|openat|creat|write|fsync|ftruncate|rename|renameat|unlink|unlinkat|flock|fchmod)$/' ;;
        EROFS*) echo '$3 ~ /^(open|openat|creat|mkdir|mkdirat|rename|renameat|unlink|unlinkat|chmod|fchmod)$/' ;;
        EINTR) echo '$3 ~ /^(open|openat|creat|write|fsync|ftruncate|flock)$/' ;;
        short) echo '$3 == "write"' ;;
    esac
}

# fault_sweep OPERATION: each error at each of our calls that it can meet, or at a few.
fault_sweep() {
    local error point few=1 child
    operation=$1
    [[ ! -e /run/lab/full ]] || few=''
    for error in ENOSPC ENOSPC+ EIO EROFS EROFS+ EINTR short; do
        # What is written to a pipe or to a terminal is no file of ours.
        while read -r point; do
            note "$operation, $error at point $point"
            bears "$point" "$error" >/run/lab/this 2>&1 &
            child=$!
            if wait "$child"; then
                survived=$((survived + 1))
            else
                cat /run/lab/this
                note "NOT survived: $error at point $point of $operation: $(cat "$STRUCK")"
            fi
            tried=$((tried + 1))
        done < <(awk '$2 == "ours" && $4 ~ "^/" && $4 !~ "^/(dev|run/lab)/" && '"$(meets "$error")"' { print $1 }' "$POINTS" | spread "$few")
    done
    figure "faults at our own writes, $MANAGER, $operation: $survived of $tried survived, in $SECONDS s"
    ((tried && survived == tried)) || failed "$((tried - survived)) faults were not survived"
}

bears() { # bears POINT ERROR[+]
    local name at=$1 error=${2%+}
    local -A number=([ENOSPC]=28 [EIO]=5 [EROFS]=30 [EINTR]=4)
    [[ $2 != *+ ]] || at+=+
    as_before "$operation"
    code=0
    "$FATE" fail "$STRUCK" "$at" "$error" "$UPGRADE" "$command" </dev/null >/run/lab/out 2>&1 || code=$?
    out=$(cat /run/lab/out)
    said=''
    cat /run/lab/out "$STRUCK"
    [[ -s $STRUCK ]] || failed 'it did not come to that point'
    expect_unsaid panicked
    [[ $code == 0 || $code == 10 || $code == 11 || $code == 70 || $code == 75 ]] || failed "expected exit 0, 10, 11, 70 or 75, got $code"
    expect_record_whole
    name=$(awk '{ print $NF }' "$STRUCK")
    name=${name%.new}
    [[ $2 != *+ ]] || name=$STATE
    # Some runs make a call more or less before it: then it is no file that was struck, and what can be said is what the call came to. A
    # short write there is gone on with. No kernel fails a wait like that, so what is said of one tells nothing.
    [[ $name == /* ]] || name="(os error ${number[$error]:-of none})"
    [[ $(awk '{ print $3 }' "$STRUCK") != wait* ]] || name=''
    # What nobody needs may fail in silence; but then everything else is well.
    if [[ $code == 0 ]]; then
        expect_version "$([[ $operation == upgrade ]] && echo 16.2.0 || echo 16.1.7)"
        expect_agent_in_charge
    else
        expect_said "$name"
    fi
    recover
    expect_converged
    expect_usual_files
}

# power_cut upgrade|rollback|pause: cut at every moment of it.
power_cut() {
    local moments before=/run/lab/nothing files=("$STATE"/{record.json,hold,pause.json} "$STATE"/private/{zypp.conf,zypp-locks})
    local -a words
    mkdir -p "$before"
    if [[ $1 == pause ]]; then
        words=(pause --for 2h --reason 'a storm')
    else
        as_before "$1"
        words=("$command")
        [[ $1 == upgrade ]] || before=$STATE_AFTER
    fi
    strace -qq -o /run/lab/trace -xx -s 9999999 \
        -e 'trace=?open,openat,?creat,close,write,fsync,fdatasync,?rename,?renameat,renameat2,?unlink,unlinkat' "$UPGRADE" "${words[@]}" </dev/null
    moments=$(perl "${BASH_SOURCE[0]%/*}/power-cut.pl" /run/lab/trace "$before" "${files[@]}")
    echo "$moments"
    figure "power cut, $MANAGER, $1: $(tail -n 1 <<<"$moments") moments left what we keep old or new"
    [[ $(tail -n 1 <<<"$moments") =~ ^([0-9]+)\ of\ ([0-9]+)$ && ${BASH_REMATCH[1]} == "${BASH_REMATCH[2]}" ]] || failed 'something would have been half'
}

# --- what is expected ---------------------------------------------------------------------------------

# in_record FIELD[.FIELD]: what the record says there, as JSON; `none` where there is no record.
in_record() {
    perl -MJSON::PP -0777 -e 'my ($file, $field) = @ARGV;
        open my $f, "<", $file or do { print "none"; exit };
        my $at = decode_json(<$f>);
        $at = $at->{$_} for split /\./, $field;
        print JSON::PP->new->canonical->allow_nonref->encode($at)' "$STATE/record.json" "$1"
}

# Never half: absent, or whole and about nothing else than this.
expect_record_whole() {
    local schema pending
    schema=$(in_record schema) || failed "the record is no JSON: $(cat "$STATE/record.json")"
    [[ $schema == 1 || $schema == none ]] || failed "the record is of the format $schema"
    pending=$(in_record pending)
    case $pending in
        none|null) ;;
        *'"package":"teleport-ent"'*"\"to\":\"$([[ $operation == upgrade ]] && echo 16.2.0 || echo 16.1.7)\""*) ;;
        *) failed "the record says of this $operation: $pending" ;;
    esac
}

# Our own files lie in our own directory, but for the metrics, and for the hold in dnf's repository file; both are written beside their
# name and renamed.
expect_nothing_of_ours_outside() {
    local found
    found=$(files_outside | grep -E 'teleport[-_]upgrade|\.new$|\.part$' | grep -vE '^/(usr/sbin/teleport-upgrade|etc/teleport-upgrade\.d.*)$' |
        grep -vFxe "$SOURCE.new" -e "$METRICS/teleport_upgrade.prom" -e "$METRICS/teleport_upgrade.prom.new" || true)
    [[ -z $found ]] || failed "expected nothing of ours outside of $STATE, there is: $found"
}

# What this host has that the ones it was made from have not, outside of our state.
files_outside() {
    local upper
    for upper in /run/lab/upper/*; do
        find "$upper" ! -type d -printf '%P\n' | sed "s,^,$(basename "$upper" | tr @ /)/,; s,^//*,/,"
    done | grep -vE "^$STATE/|^/var/log/" | sort
}

# The agent is well, on one of the two versions; package, program and record agree on which; nobody blames it for what was done to us.
expect_converged() {
    local version
    version=$(installed teleport-ent)
    [[ $version == 16.1.7 || $version == 16.2.0 ]] || failed "expected one of the two versions, the database has $version"
    expect_version "$version"
    expect_package_whole
    expect_agent_in_charge
    expect_held
    [[ $(head -n 1 "$STATE/hold") == teleport-ent ]] || failed 'the hold is not marked as ours'
    [[ $(in_record pending) == null ]] || failed "expected nothing to be pending: $(in_record pending)"
    # Whose script dies of the kernel cannot be told from one that fails.
    [[ $dead == it || $(in_record memory.failed) == null ]] || failed "a version is blamed for what was done to us: $(in_record memory.failed)"
    case "$operation $version $(in_record last.code) $code" in
        *' 16.2.0 "upgraded" 0'|*' 16.2.0 "up-to-date" 0') ;;
        'rollback 16.1.7 "rolled-back" 0'|'rollback 16.1.7 "held-back" 0') ;;
        *' 16.1.7 "failed-before" 0') [[ $dead == it ]] || failed 'the version is waited with, and nothing else was wrong' ;;
        *' 16.1.7 "went-back" 10'|*' 16.1.7 "hindered" 0') ;;
        *) failed "on $version the record says $(in_record last.code), exit $code" ;;
    esac
    expect_tidy_state
}

# Nothing but what a run leaves that nobody has killed. What is written anew for each change may lie half beside its name until the next one.
expect_tidy_state() {
    local found
    found=$(find "$STATE" -type f -printf '%P\n' | grep -vE '^(record\.json|hold(\.new)?|fetched/lock|private/(lock|packages\.log(\.1)?|(keys\.asc|zypp\.conf|zypp-locks)(\.new)?)|private/packages/[^/]+)$' || true)
    [[ -z $found ]] || failed "expected nothing to be left over in $STATE, there is: $found"
    found=$(find "$STATE/private/packages" -type f | wc -l)
    [[ $(in_record kept | grep -o '"sha256"' | wc -l) == "$found" ]] || failed "$found packages are kept, the record knows $(in_record kept)"
}

expect_usual_files() {
    local found
    found=$(comm -13 "$USUAL" <(files_outside) | grep -vE "$CACHES" || true)
    [[ -z $found ]] || failed "expected no file that an upgrade does not leave, there is: $found"
}

# --- what depends on the package manager --------------------------------------------------------------

if [[ $MANAGER == apt ]]; then
    # Whatever state the package is in; and with the settings that came with it, which a kill at the wrong moment makes look changed.
    put_in_place() {
        rm -f /etc/teleport-standin.conf*
        dpkg --force-all -i "$POOL/stable/cloud/teleport-ent_$1"_*.deb
    }
    hold() { apt-mark hold teleport-ent; }
    let_go() { apt-mark unhold teleport-ent; }
    forget_repository() { find /var/lib/apt/lists -name '*teleport*' -type f -delete; }
    expect_package_whole() {
        local doubts
        doubts=$(dpkg --audit; dpkg -V teleport-ent)
        [[ -z $doubts ]] || failed "the package is not whole: $doubts"
    }
    # dpkg that was killed leaves its own scratch directory, and removes it the next time.
    CACHES='^/var/(lib/apt|cache/apt|cache/debconf)/|^/var/lib/dpkg/([a-z]+-old$|tmp\.ci/)'
else
    put_in_place() {
        # What a killed rpm has left is in the way of the next one within the same second.
        find /usr/local/bin /usr/lib/systemd/system /etc -name '*;????????' -delete
        rm -f /etc/teleport-standin.conf*
        rpm -U --oldpackage --force "$POOL/stable/cloud/teleport-ent-$1"-*.rpm
    }
    expect_package_whole() {
        local doubts
        doubts=$(rpm -V teleport-ent || true)
        # To an rpm that comes after one that died, the new settings are the administrator's, and those are kept.
        [[ $dead != it ]] || doubts=$(sed '/^..5......  c /d' <<<"$doubts")
        [[ -z $doubts ]] || failed "the package is not whole: $doubts"
    }
    # rpm itself leaves what it had begun to unpack, and never removes it.
    CACHES='^/var/(cache|lib/rpm|lib/dnf|lib/zypp|tmp)/|^/root/\.|;[0-9a-f]{8}$'
    if [[ $MANAGER == dnf ]]; then
        hold() { let_go; stock_hold; }
        let_go() { sed -i '/^exclude/d' "$SOURCE"; }
        forget_repository() { rm -rf /var/cache/dnf/teleport*; }
    else
        hold() { stock_hold; }
        let_go() { rm -f /etc/zypp/locks; }
        forget_repository() { rm -rf /var/cache/zypp/{raw,solv,packages}/teleport; }
    fi
fi
