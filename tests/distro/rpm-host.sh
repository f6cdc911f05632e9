# shellcheck shell=bash disable=SC2034 # host.sh shares holder
# Sourced by dnf-host.sh and zypper-host.sh: what the two kinds of rpm host share. SOURCE is the file of the
# repository `teleport`, VENDOR the address below which its channels lie.

POOL=/srv/lab/rpm/good

# spelled VERSION: how messages and command lines name the agent's package of that version.
spelled() { echo "teleport-ent-$1"; }

# repository NAME CHANNEL [LINE...]: where the host gets its agent from; NAME is one of those below /srv/lab/rpm.
repository() {
    {
        printf '[teleport]\nname=Teleport\nbaseurl=%s/%s\nenabled=1\ngpgcheck=1\nrepo_gpgcheck=1\ngpgkey=%s\n' \
            "$VENDOR" "$1" "${VENDOR%/*/*/Teleport/*}/gpg"
        (($# < 2)) || printf '%s\n' "${@:2}"
    } >"$SOURCE"
}
# channel CHANNEL: from now on that one of the same repository; what else its file says is left alone.
channel() { sed -i "s,^baseurl=.*,baseurl=$VENDOR/$1," "$SOURCE"; }

erase_agent() { rpm -e teleport-ent; }

# repository_becomes NAME: from now on the good repository's indexes are those of rpm/NAME.
repository_becomes() {
    local channel
    for channel in $(cd "/srv/lab/rpm/$1" && find . -name repodata -printf '%h\n'); do
        rm -r "${POOL:?}/$channel/repodata"
        cp -r "/srv/lab/rpm/$1/$channel/repodata" "$POOL/$channel/"
    done
}

# Nobody answers for the vendor's addresses any more.
out_of_reach() {
    sed -i 's/\(yum\|zypper\)\.releases\.teleport\.dev//g; $ a 192.0.2.1 yum.releases.teleport.dev zypper.releases.teleport.dev' /etc/hosts
}

# trusted_key NAME: the only key in the rpm database from now on.
trusted_key() {
    rpm -e --allmatches gpg-pubkey
    rpmkeys --import "/srv/lab/$1.asc"
}

# The version of a package as the agent itself spells it, or none; all of them if there are several.
installed() {
    local versions
    versions=$(rpm -q --qf '%{VERSION} ' "$1") || versions=none
    sed 's/[~_]rc/-rc/g; s/ $//' <<<"$versions"
}

# --- others at work -----------------------------------------------------------------------------------

# Somebody's rpm, as $holder, in a transaction that a package script keeps open until release_transaction.
hold_transaction() { hold_with rpm -i "$POOL"/lab/slow/lab-slow-1.0-*.rpm; }
hold_with() {
    "$@" >/run/lab/holder.out 2>&1 </dev/null &
    holder=$!
    wait_for 'the slow package script' test -e /run/lab/slow
}
release_transaction() { rm /run/lab/slow; }

# Somebody's upgrade to 16.2.0 dies with all its processes while the package script of 16.2.0 runs.
kill_an_upgrade_in_its_script() {
    channel lab/slow_post
    refresh
    setsid "${INSTALL[@]}" teleport-ent-16.2.0 >/run/lab/holder.out 2>&1 </dev/null &
    holder=$!
    wait_for 'the slow package script' test -e /run/lab/slow
    kill -9 -- "-$holder"
    rm /run/lab/slow
    channel stable/cloud
    refresh
}

# The same, as everyday.sh calls it on every kind of host.
leave_half_installed() { kill_an_upgrade_in_its_script; }

# zypper does not end on a mere request while it waits for a server.
release_metadata() { kill -9 "$holder"; }

# A server that takes a connection and never answers, on port 9999.
serve_silence() {
    perl -MIO::Socket::INET -e 'my $silent = IO::Socket::INET->new(LocalPort => 9999, Listen => 5) or die; sleep 300' &
    wait_for 'the silent server' bash -c ': 2>/dev/null </dev/tcp/127.0.0.1/9999'
}

# --- how the layers of the two kinds of host are made -------------------------------------------------

# become ID VERSION LIKE: this Debian passes for that distribution, and its rpm knows the vendor's key.
become() {
    rm -f /etc/os-release
    printf 'NAME="%s"\nID="%s"\nID_LIKE="%s"\nVERSION_ID="%s"\nPRETTY_NAME="%s %s (test lab)"\n' "$1" "$1" "$3" "$2" "$1" "$2" >/etc/os-release
    rpmkeys --import /srv/lab/teleport.asc
    rpm -i "$POOL"/lab/base/lab-base-1.0-*.rpm
}
# move_away PROGRAM...: as if this host had never had them.
move_away() {
    local program
    mkdir -p /srv/lab/away
    for program in "$@"; do
        [[ ! -e /usr/bin/$program ]] || mv "/usr/bin/$program" /srv/lab/away/
    done
}

# drop_from_repository CHANNEL VERSION: the good repository no longer has that one.
drop_from_repository() {
    rm -r "$POOL/$1/teleport-ent-$2"-*.rpm "${POOL:?}/$1/repodata"
    # shellcheck disable=SC2016 # for the shell that it is told to
    bash -euc 'source "$1"; index "$2"; sign good teleport' - "${BASH_SOURCE[0]%/*}/rpm-publish.sh" "$1"
}

# The record of a run that died after it had called the package manager, so many seconds ago.
died_in_the_middle() { # died_in_the_middle SECONDS
    window closed
    upgrade run
    perl -MJSON::PP -0777 -e 'my ($file, $ago, $before) = @ARGV;
        open my $f, "<", $file or die; my $record = decode_json(<$f>);
        $record->{pending} = { package => "teleport-ent", from => "16.1.7", to => "16.2.0", step => "install", hold => "ours", agent => "stopped",
            database => $before, since => time - $ago, boot => "another" };
        open $f, ">", $file or die; print $f encode_json($record)' "$STATE/record.json" "$1" "$(rpm -q --qf '%{VERSION}-%{RELEASE}' teleport-ent)"
}
