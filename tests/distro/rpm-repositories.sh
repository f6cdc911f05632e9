# shellcheck shell=bash disable=SC2154,SC2119 # host.sh sets code, said, out and holder
# Real dnf and zypper against rpm repositories and packages that are not as they should be. Each function is a case
# with a host of its own, prepared as in rpm.sh.

# --- H09 to H11: repositories -------------------------------------------------------------------------

h09_a_version_that_the_repository_lacks_is_named_with_those_it_has() {
    offer 16.2.9
    window open
    upgrade run
    expect_exit 69
    expect_said 16.2.9
    expect_said 16.2.1
    expect_said teleport
    expect_version 16.1.7
}

h09_a_stale_index_is_refreshed_before_the_verdict() {
    channel lab/new_dependency # whose index this host has never fetched
    offer 16.2.0
    window open
    upgrade run
    expect_exit 0
    expect_version 16.2.0
}

h09_a_repository_out_of_reach_is_not_the_versions_fault() {
    offer 16.2.0
    window open
    out_of_reach
    upgrade run
    expect_exit 75
    expect_said releases.teleport.dev
    expect_version 16.1.7
}

h10_a_foreign_repository_out_of_reach_does_not_matter() {
    printf '[foreign]\nname=Foreign\nbaseurl=http://192.0.2.1/foreign\nenabled=1\ngpgcheck=0\n' >"${SOURCE%/*}/foreign.repo"
    offer 16.2.0
    window open
    upgrade run
    expect_exit 0
    expect_version 16.2.0
}

h10_a_malformed_foreign_repository_does_not_matter_or_is_named() {
    echo 'this is not a repository' >"${SOURCE%/*}/foreign.repo"
    offer 16.2.0
    window open
    upgrade run
    if [[ $code != 0 ]]; then expect_said foreign.repo; else expect_version 16.2.0; fi
}

# The host's index is from before and good: whoever overlooks the failed refresh installs from it.
h11_a_repository_signed_by_a_stranger_is_refused() {
    repository_becomes stranger
    offer 16.2.0
    window open
    upgrade run
    expect_exit 69
    expect_said 'repository key'
    expect_version 16.1.7
}

# Whoever accepts `gpgkey=` as the vendor's word installs, for that is the key which now lies there.
h11_a_key_that_only_the_repository_vouches_for_is_not_imported() {
    cp /srv/lab/stranger.asc /srv/lab/rpm/gpg
    repository_becomes stranger
    offer 16.2.0
    window open
    upgrade run
    expect_exit 69
    expect_said 'repository key'
    expect_version 16.1.7
    [[ $(rpm -qa 'gpg-pubkey*' | wc -l) == 1 ]] || failed "a key was imported: $(rpm -qa 'gpg-pubkey*')"
}

h11_an_expired_repository_key_is_recognised() {
    trusted_key expired
    repository_becomes expired-key
    offer 16.2.0
    window open
    upgrade run
    expect_exit 69
    expect_said 'repository key'
    expect_version 16.1.7
}

h11_an_unsigned_repository_is_refused() {
    repository_becomes unsigned
    offer 16.2.0
    window open
    upgrade run
    expect_exit 69
    expect_said 'signed'
    expect_version 16.1.7
}

# A cache that was emptied holds no key of the repository any more; that of rpm is the administrator's word.
h11_an_emptied_cache_is_filled_again_under_the_key_that_rpm_knows() {
    rm -rf /var/cache/dnf/* /var/cache/zypp/*
    offer 16.2.0
    window open
    upgrade run
    expect_exit 0
    expect_version 16.2.0
}

# --- H19, H20 and package scripts ---------------------------------------------------------------------

h19_a_changed_configuration_file_is_kept_and_the_new_one_reported() {
    echo '# mine' >/etc/teleport-standin.conf
    offer 16.2.0
    window open
    upgrade run
    expect_exit 0
    expect_version 16.2.0
    [[ $(cat /etc/teleport-standin.conf) == '# mine' ]] || failed "the administrator's configuration file was replaced"
    expect_file /etc/teleport-standin.conf.rpmnew
    expect_said /etc/teleport-standin.conf.rpmnew
}

h20_a_plan_that_replaces_another_package_is_refused_with_its_name() {
    channel lab/removes_another
    refresh
    install_here lab-neighbour 1.0
    offer 16.2.0
    window open
    upgrade run
    expect_exit 69
    expect_said lab-neighbour
    expect_version 16.1.7
    expect_version lab-neighbour 1.0
}

h20_a_plan_that_conflicts_with_another_package_is_refused_with_its_name() {
    channel lab/conflicts_another
    refresh
    install_here lab-neighbour 1.0
    offer 16.2.0
    window open
    upgrade run
    expect_exit 69
    expect_said lab-neighbour
    expect_version 16.1.7
    expect_version lab-neighbour 1.0
}

h20_a_new_dependency_of_the_agent_comes_along() {
    channel lab/new_dependency
    offer 16.2.0
    window open
    upgrade run
    expect_exit 0
    expect_version 16.2.0
    expect_version lab-library 1.0
}

h20_a_dependency_that_nobody_has_is_named() {
    channel lab/unmet_dependency
    offer 16.2.0
    window open
    upgrade run
    expect_exit 69
    expect_said lab-nowhere
    expect_version 16.1.7
}

h10_a_dependency_from_another_repository_comes_along() {
    channel lab/foreign_dependency
    printf '[foreign]\nname=Foreign\nbaseurl=%s/lab/foreign\nenabled=1\ngpgcheck=1\nrepo_gpgcheck=1\ngpgkey=file:///srv/lab/teleport.asc\n' "$VENDOR" \
        >"${SOURCE%/*}/foreign.repo"
    offer 16.2.0
    window open
    upgrade run
    expect_exit 0
    expect_version 16.2.0
    expect_version lab-elsewhere 1.0
}

a_package_that_refuses_to_be_installed_leaves_the_old_one_in_place() {
    channel lab/pre_fails
    offer 16.2.0
    window open
    upgrade run
    expect_exit 69
    expect_said '[!] upgrade attempt failed for teleport-ent-16.2.0.'
    expect_said 'pre: no, thank you'
    expect_version 16.1.7
    expect_held
}

# Neither dnf nor rpm calls this a failure, and the package is complete.
a_package_whose_script_fails_afterwards_is_reported_with_its_words() {
    channel lab/post_fails
    offer 16.2.0
    window open
    upgrade run
    expect_said 'post: no, thank you'
    expect_version 16.2.0
}

h02_a_truncated_program_is_never_called_a_success() {
    channel lab/truncated
    offer 16.2.0
    window open
    upgrade run
    expect_said "attempting $MANAGER install teleport-ent-16.2.0"
    [[ $code != 0 ]] || failed "a program that cannot run was reported as done"
}

h02_a_damaged_program_of_the_offered_version_is_installed_again() {
    truncate -s 1000 /usr/local/bin/teleport
    offer 16.1.7
    window open
    upgrade run
    expect_exit 0
    expect_version 16.1.7
    rpm -V teleport-ent || failed "the package is not whole"
}

# --- H01, H04: half-done transactions -----------------------------------------------------------------

h01_a_transaction_that_was_killed_halfway_is_finished() {
    kill_an_upgrade_in_its_script
    [[ $(installed teleport-ent) == '16.1.7 16.2.0' ]] || failed "the lab failed to leave two versions behind: $(installed teleport-ent)"
    offer 16.2.1
    window open
    upgrade run
    expect_exit 0
    expect_said 'teleport-ent is recorded at 16.1.7-1 and 16.2.0-1 at once: finishing that first.'
    expect_version 16.2.1
    rpm -V --noconfig teleport-ent || failed "the package is not whole"
}

h18_a_full_disk_is_not_the_versions_fault() {
    cp -a /usr/local/bin/teleport /tmp/
    mount -t tmpfs -o size=1000k,mode=755 small /usr/local/bin
    cp -a /tmp/teleport /usr/local/bin/
    offer 16.2.0
    window open
    upgrade run
    [[ $code != 0 ]] || failed "an upgrade without space was reported as done"
    expect_said 'there is no room for '
    expect_version 16.1.7
}
