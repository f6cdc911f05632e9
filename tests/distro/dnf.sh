# shellcheck shell=bash disable=SC2154,SC2119 # host.sh sets code, said, out and holder
# What only dnf does. Each function is a case with a host of its own, prepared as in rpm.sh.

the_installer_may_be_called_yum() {
    configure installer yum
    offer 16.2.0
    window open
    upgrade run
    expect_exit 0
    expect_said '[i] attempting yum install teleport-ent-16.2.0...'
    expect_version 16.2.0
}

# V21: a second `exclude` line would replace the administrator's.
h08_our_hold_is_one_more_word_in_the_administrators_exclude_line() {
    echo 'exclude=foo bar*' >>"$SOURCE"
    offer 16.2.0
    window open
    upgrade run
    expect_exit 0
    expect_held
    [[ $(excluded | tr '\n' ' ') == 'foo bar* teleport-ent ' ]] || failed "the exclude line says: $(excluded)"
    [[ $(grep -c '^exclude' "$SOURCE") == 1 ]] || failed "there are several exclude lines"
}

# What a failed refresh means must not depend on what the administrator lets other repositories do.
h09_a_repository_that_may_be_skipped_is_not_skipped() {
    sed -i 's/^skip_if_unavailable=.*/skip_if_unavailable=True/' /etc/dnf/dnf.conf
    out_of_reach
    offer 16.2.0
    window open
    upgrade run
    expect_exit 75
    expect_version 16.1.7
}

# The index is good, but the package itself is signed by nobody, or by somebody whom rpm does not know.
h11_an_unsigned_package_is_refused() {
    channel lab/unsigned_package
    offer 16.2.0
    window open
    upgrade run
    expect_exit 69
    expect_said signed
    expect_version 16.1.7
}

h11_a_package_signed_by_a_stranger_is_refused() {
    channel lab/strange_package
    offer 16.2.0
    window open
    upgrade run
    expect_exit 69
    expect_said 'repository key'
    expect_version 16.1.7
    [[ $(rpm -qa 'gpg-pubkey*' | wc -l) == 1 ]] || failed "a key was imported: $(rpm -qa 'gpg-pubkey*')"
}

# Found by the kill sweep: dnf died while it filled its ring, and each dnf after it, anybody's, took the repository for unsigned.
h04_a_ring_of_keys_that_dnf_has_left_half_written_is_filled_again() {
    offer 16.2.0
    window open
    dnf -q -y makecache --disablerepo='*' --enablerepo=teleport || failed 'dnf does not know the repository'
    ls -l /var/cache/dnf/teleport-*/pubring/
    truncate -s 40 /var/cache/dnf/teleport-*/pubring/trustdb.gpg
    ! dnf -q -y --refresh makecache --disablerepo='*' --enablerepo=teleport || failed 'dnf copes with it'
    upgrade run
    expect_exit 0
    expect_version 16.2.0
    dnf -q -y --refresh makecache --disablerepo='*' --enablerepo=teleport || failed 'dnf still does not'
}

# It may have the password of a mirror in it.
h31_the_repositorys_file_keeps_its_owner_and_mode() {
    chown nobody "$SOURCE"
    chmod 600 "$SOURCE"
    offer 16.2.0
    window open
    upgrade run
    expect_exit 0
    expect_held
    [[ $(stat -c '%U %a' "$SOURCE") == 'nobody 600' ]] || failed "the file is $(stat -c '%U %a' "$SOURCE") now"
    upgrade release
    expect_not_held
    [[ $(stat -c '%U %a' "$SOURCE") == 'nobody 600' ]] || failed "the file is $(stat -c '%U %a' "$SOURCE") now"
}

h08_our_hold_follows_the_agent_to_another_repository_and_is_left_in_none() {
    offer 16.2.0
    window open
    upgrade run
    expect_held
    sed 's/^\[teleport\]/[mirror]/; /^exclude/d' "$SOURCE" >"${SOURCE%/*}/mirror.repo"
    configure repo mirror
    offer 16.2.1
    upgrade run
    expect_exit 0
    expect_version 16.2.1
    expect_not_held
    grep -qx 'exclude=teleport-ent' "${SOURCE%/*}/mirror.repo" || failed 'the new repository does not hold it'
    rm "$CONFIG/repo"
    upgrade release
    ! grep -q '^exclude' "${SOURCE%/*}"/*.repo || failed 'a hold was left behind'
}

# dnf would take the agent from wherever it is cheapest.
h10_the_agent_itself_never_comes_from_another_repository() {
    channel lab/foreign_dependency
    printf '[foreign]\nname=Foreign\nbaseurl=%s/lab/foreign\nenabled=1\ngpgcheck=1\nrepo_gpgcheck=1\ngpgkey=file:///srv/lab/teleport.asc\n' "$VENDOR" \
        >"${SOURCE%/*}/foreign.repo"
    printf '[other]\nname=Other\nbaseurl=%s/stable/cloud\nenabled=1\npriority=50\ngpgcheck=1\nrepo_gpgcheck=1\ngpgkey=file:///srv/lab/teleport.asc\n' "$VENDOR" \
        >"${SOURCE%/*}/other.repo"
    offer 16.2.0
    window open
    upgrade run
    expect_exit 0
    expect_version 16.2.0
    expect_version lab-elsewhere 1.0
    [[ $(dnf -q -C repoquery --installed --qf '%{from_repo}' teleport-ent) == teleport ]] || failed 'the agent came from elsewhere'
}

our_package_is_installed_and_removed_by_yum_on_a_host_without_systemd() {
    # shellcheck source=tests/distro/updater-host.sh
    source "${BASH_SOURCE[0]%/*}/updater-host.sh"
    bare_host
    yum -y -q --disablerepo='*' install "$(build rpm --binary /run/lab/bin/teleport-upgrade --out /tmp/packages)"
    expect_updater "$OURS"
    [[ -L $LINK ]] || failed 'the timer is not enabled for a host that is booted later'
    configure endpoint updates.example.test/v1/stable/cloud
    offer 16.2.0
    window open
    upgrade run
    expect_version 16.2.0
    expect_held
    yum -y -q remove teleport-ent-updater
    wait_for 'the hold to end' expect_no_hold
    [[ ! -e $UPGRADE && ! -e $STATE && ! -e $LINK ]] || failed 'something was left behind'
    expect_version 16.2.0
}
