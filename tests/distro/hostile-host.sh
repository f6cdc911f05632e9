# shellcheck shell=bash disable=SC2034,SC2154 # shared with the cases
# Sourced by the cases of hostile.sh and whole_life.sh: our program under tests/programs/watcher.c, in an environment that is full of traps, and the judgement
# of what it did.

WATCHER=/run/lab/bin/watcher
SEEN=/run/lab/seen
SECRET=zz-nobody-may-read-this
# What a case sets: the words in front of the shell that starts our program, the commands of that shell, and what our program may change
# besides what is its own. DYING=fine where the limits leave it no other way.
THROUGH=()
export SURROUNDINGS='' MAY_CHANGE='' DYING=''
# What it may start besides the agent, by name: what these cases have need of, since whatever is started is watched no further. No shell, nor
# is one behind such a name; INTERPRETER is what is. WORKER makes the changes. ABROAD is what our program itself has to do outside of its
# state: dnf's hold lies in the repository's file, and what dnf downloads in its cache, from where it is moved. Then what the package manager
# writes in /etc.
case $MANAGER in
    apt) MAY_START='apt-cache|apt-get|apt-mark|dpkg-query|md5sum|systemctl' INTERPRETER=NONE WORKER=apt-get ABROAD=NOWHERE THEIRS_IN_ETC=NOTHING ;;
    dnf) MAY_START='dnf|rpm|systemctl' INTERPRETER='python3[.0-9]*' WORKER=dnf THEIRS_IN_ETC=NOTHING
        ABROAD='/etc/yum\.repos\.d/teleport\.repo(\.new)?|/var/cache/dnf/teleport-[0-9a-f]+/packages/teleport-ent-[0-9.]+-1\.[a-z0-9_]+\.rpm' ;;
    zypper) MAY_START='zypper|rpm|systemctl' INTERPRETER=NONE WORKER=zypper ABROAD=NOWHERE THEIRS_IN_ETC=/etc/zypp/locks ;;
esac
export MAY_START INTERPRETER
# Every variable that makes some program run or read something of somebody else's. EVIL=no goes without, where the surroundings start others.
export EVIL=yes

# Root whom nobody lets raise limits, as in a container; and nobody.
WEAK=(setpriv --bounding-set=-sys_resource --inh-caps=-sys_resource)
NOBODY=(setpriv --reuid=65534 --regid=65534 --clear-groups)

# watched COMMAND...: as `upgrade`; ends the case if anything was done that is not ours to do.
watched() {
    note "teleport-upgrade $* (watched${THROUGH:+, ${THROUGH[*]}}${SURROUNDINGS:+, $SURROUNDINGS})"
    [[ -e /tmp/evil ]] || lay_traps
    rm -f $SEEN
    code=0
    # What our own caller has left open is none of our program's.
    # shellcheck disable=SC2016
    timeout --kill-after=5 "${UPGRADE_LIMIT:-120}" $WATCHER $SEEN "$UPGRADE" "${THROUGH[@]}" bash -c '
        for n in /proc/self/fd/*; do n=${n##*/}; ((n < 3)) || eval "exec $n>&-"; done
        [[ $EVIL == no ]] || source /run/lab/evil
        '"$SURROUNDINGS"'
        exec "$@"' - "$UPGRADE" "$@" </dev/null >/run/lab/out 2>/run/lab/said || code=$?
    said=$(cat /run/lab/said)
    out=$(cat /run/lab/out)
    cat /run/lab/out /run/lab/said
    note "exit $code"
    judge
}

lay_traps() {
    local name
    mkdir -m 755 /tmp/evil
    printf '#!/bin/sh\n: >/tmp/evil/ran\nexit 0\n' >/tmp/evil/evil
    printf ': >/tmp/evil/ran\n' >/tmp/evil/evil.sh
    # shellcheck disable=SC2016 # it is perl
    printf 'open my $f, ">", "/tmp/evil/ran"; 1;\n' >/tmp/evil/evil.pm
    printf 'open("/tmp/evil/ran", "w")\n' >/tmp/evil/sitecustomize.py
    printf 'DPkg::Pre-Invoke { "touch /tmp/evil/ran"; };\n' >/tmp/evil/apt.conf
    chmod 755 /tmp/evil/evil
    for name in apt-cache apt-get apt-mark dnf dpkg dpkg-deb dpkg-query gpgv md5sum python3 rpm sh systemctl systemd-run teleport zypper; do ln -s evil "/tmp/evil/$name"; done
    mkfifo /tmp/evil/pipe
    cat >/run/lab/evil <<'SHELL'
export PATH=/tmp/evil HOME=/tmp/evil TMPDIR=/tmp/evil TMP=/tmp/evil TEMP=/tmp/evil SHELL=/tmp/evil/evil PWD=/tmp/evil USER=nobody
export LD_PRELOAD=/tmp/evil/evil.so LD_AUDIT=/tmp/evil/evil.so LD_LIBRARY_PATH=/tmp/evil GCONV_PATH=/tmp/evil LOCPATH=/tmp/evil
export BASH_ENV=/tmp/evil/evil.sh ENV=/tmp/evil/evil.sh PS4='$(: >/tmp/evil/ran)' CDPATH=/tmp/evil IFS=/
export PERL5LIB=/tmp/evil PERL5OPT=-Mevil PYTHONPATH=/tmp/evil PYTHONHOME=/tmp/evil PYTHONSTARTUP=/tmp/evil/evil.sh
export APT_CONFIG=/tmp/evil/apt.conf DPKG_ROOT=/tmp/evil DPKG_ADMINDIR=/tmp/evil DPKG_FORCE=all DPKG_MAINTSCRIPT_DEBUG=1 DEBCONF_DB_OVERRIDE=/tmp/evil
export PAGER=/tmp/evil/evil EDITOR=/tmp/evil/evil SYSTEMD_PAGER=/tmp/evil/evil SYSTEMD_UNIT_PATH=/tmp/evil DBUS_SYSTEM_BUS_ADDRESS=unix:path=/tmp/evil/bus
export LC_ALL=../../tmp/evil LANGUAGE=../../tmp/evil TERM=../../tmp/evil TERMINFO=/tmp/evil TZ=/tmp/evil/pipe JOURNAL_STREAM=1:2
export RUST_BACKTRACE=full SSLKEYLOGFILE=/tmp/evil/ran NO_PROXY=localhost
SHELL
}

# What is ours: the state and what the case allows; nothing else is written, and only the host's own programs are started, with an
# environment of ours, /dev/null on stdin and nothing in their hands.
judge() {
    # shellcheck disable=SC2016
    perl -we '
        my ($state, $may) = @ARGV;
        my (@wrong, $ended);
        my %value = (PATH => "/usr/sbin:/usr/bin:/sbin:/bin", HOME => "/root", LC_ALL => "C.UTF-8", DEBIAN_FRONTEND => "noninteractive",
            APT_LISTCHANGES_FRONTEND => "none", NEEDRESTART_SUSPEND => "1", NO_PROXY => "localhost", ZYPP_CONF => "$state/private/zypp.conf");
        open my $seen, "<", "/run/lab/seen" or die "nothing was seen\n";
        while (my $line = <$seen>) {
            chomp $line;
            my ($what, @parts) = split /\t/, $line;
            my $place = $parts[-1] // "";
            my $ours = $place =~ m{^(?:\Q$state\E(?:/.*)?|/dev/null)$} || length $may && $place =~ m{^(?:$may)$};
            my $fine =
                $what eq "read" ? $place !~ m{^/(?:etc/g?shadow|root/|tmp/evil/(?!pipe$))} :
                $what eq "write" || $what eq "change" ? $ours :
                $what eq "failed" ? $parts[0] eq "read" || $ours :
                $what eq "say" ? $place =~ m{^/(?:run/lab/(?:out|said)|dev/(?:null|full))$} :
                $what eq "start" ? $place =~ m{^(?:/usr/sbin|/usr/bin|/sbin|/bin)/(?:$ENV{MAY_START})$|^/usr/local/bin/teleport$} :
                $what eq "started" ? $place =~ m{^(?:/usr)?/s?bin/(?:$ENV{MAY_START}|$ENV{INTERPRETER})$|^/usr/local/bin/teleport$} :
                $what eq "variable" ? $place =~ m{^([^=]+)=(.*)$} && ($value{$1} // "no\n") eq $2 :
                $what eq "descriptor" ? ($parts[0] == 0 ? $place eq "/dev/null" :
                    $parts[0] < 3 && $place =~ m{^(?:pipe:.*|/dev/null|\Q$state\E/private/packages\.log)$}) :
                $what eq "umask" ? $place eq "0022" :
                # PIPE, CHLD and XFSZ; the others are up to whoever asked.
                $what eq "ignores" ? !(hex($place) & (1 << 12 | 1 << 16 | 1 << 24)) :
                $what eq "signal" ? $ENV{DYING} : 1;
            push @wrong, $line unless $fine;
            $ended = 1 if $what =~ /^(?:exit|signal)$/;
        }
        push @wrong, "it was not seen to end" unless $ended || $ENV{DYING};
        print STDERR "not ours to do: $_\n" for @wrong;
        exit !!@wrong' "$STATE" "$MAY_CHANGE" || failed "what our program did is not all its own to do; all of it: $(head -c 20000 $SEEN)"
    [[ ! -e /tmp/evil/ran ]] || failed 'something of somebody else was run'
}

# Names, kinds, modes, owners and contents.
in_etc() {
    find /etc -printf '%p %y %m %U:%G %l\n' | sort
    find /etc -type f -exec sha256sum {} + | sort -k2
}
# expect_etc_is BEFORE: but for what stands in the settings that came with the package and in what a hold is written to.
expect_etc_is() {
    local difference may="/etc/teleport-standin\.conf|$ABROAD|$THEIRS_IN_ETC"
    difference=$(diff <(printf '%s\n' "$1") <(in_etc) | grep '^[<>]' | grep -vE "^[<>] [0-9a-f]{64}  ($may)\$|^> $THEIRS_IN_ETC f 644 0:0 \$" || true)
    [[ -z $difference ]] || failed "expected nothing else to change in /etc, but:"$'\n'"$difference"
}
expect_started() { grep -qE "^start"$'\t'".*/$1$" $SEEN || failed "expected it to start $1"; }
# Of this run's record: whole, and of this version.
expect_sound_record() { perl -MJSON::PP -0777 -e 'decode_json(<STDIN>)' <"$STATE/record.json" || failed 'the record is no JSON'; }
expect_modes() { # expect_modes MODE FILE...
    local file
    for file in "${@:2}"; do [[ $(stat -c %a "$file") == "$1" ]] || failed "expected mode $1 of $file, it is $(stat -c %a "$file")"; done
}
# What this case has made or changed and everybody may write; links and devices apart.
writable_by_everybody() { find /run/lab/upper -perm -0002 ! -type l ! -type s ! -type c ! -perm -1000 | sort; }

# A secret that only root may read, at a path that others may link to; what it says would open a window if it were a schedule.
lay_secret() {
    local now
    now=$(date +%s)
    printf '%s %s\n%s:x:\n' "$((now - 600))" "$((now + 3000))" $SECRET >/root/secret
    printf '%s:x:19000:0:99999:7:::\n' $SECRET >>/etc/shadow
    # A second name can be gone again between opening the file and looking at it: what it says must not open a window.
    printf '%s\n' $SECRET >/root/closed
    chmod 600 /root/secret /root/closed
}
expect_no_secret() { ! grep -rqF $SECRET /run/lab/out /run/lab/said "$STATE" "$@" || failed 'a secret was repeated'; }

# swap_the_schedule: for as long as /run/lab/swapping is there, `schedule` is a file, a link, a pipe, a directory and a hard link in turn.
swap_the_schedule() {
    # shellcheck disable=SC2016
    perl -e '
        use Fcntl; use POSIX ();
        my ($schedule, $closed) = @ARGV;
        my @kinds = (
            sub { open my $f, ">", $_[0] or die; print $f $closed; close $f },
            sub { symlink "/etc/shadow", $_[0] },
            sub { symlink "/root/secret", $_[0] },
            sub { POSIX::mkfifo($_[0], 0644) },
            sub { mkdir $_[0] },
            sub { link "/root/closed", $_[0] },
            sub { symlink "/dev/zero", $_[0] },
        );
        for (my $n = 0; -e "/run/lab/swapping"; $n++) {
            my $new = "/etc/schedule.new";
            unlink $new or rmdir $new;
            $kinds[$n % @kinds]->($new);
            select undef, undef, undef, 0.001;
            rename $new, $schedule or do { unlink $schedule or rmdir $schedule; rename $new, $schedule };
        }' "$CONFIG/schedule" "$(($(date +%s) + 7200)) $(($(date +%s) + 10800))"$'\n'
}
