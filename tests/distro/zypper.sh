# shellcheck shell=bash disable=SC2154,SC2119 # host.sh sets code, said, out and holder
# What only zypper does. Each function is a case with a host of its own, prepared as in rpm.sh.

# zypper installs under an expired key, and says so only when it fetches the index.
h11_an_expired_key_is_named_as_expired() {
    trusted_key expired
    repository_becomes expired-key
    offer 16.2.0
    window open
    upgrade run
    expect_said expired
    expect_version 16.1.7
}

# V9: `zypper removelock` of our lock must not be tried on a glob of the administrator's, nor remove it.
h08_an_administrators_lock_beside_ours_is_left_alone() {
    zypper -n -q addlock 'lab-*' bash
    offer 16.2.0
    window open
    upgrade run
    expect_exit 0
    expect_held
    offer 16.2.1
    upgrade run
    expect_exit 0
    expect_version 16.2.1
    [[ $(locks | sort | tr '\n' ' ') == 'bash lab-* teleport-ent ' ]] || failed "the locks are: $(locks)"
}

h08_locks_in_a_file_of_the_administrators_choice_count() {
    printf '[main]\nlocksfile.path = /etc/zypp/our-locks\n' >/etc/zypp/zypp.conf
    administrators_hold
    expect_file /etc/zypp/our-locks
    offer 16.2.0
    window open
    upgrade run
    expect_said "the administrator's hold wins"
    expect_version 16.1.7
    zypper -n -q removelock 'teleport*'
    upgrade run
    expect_exit 0
    expect_version 16.2.0
    expect_held
    upgrade release
    expect_not_held
}
