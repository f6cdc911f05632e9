# shellcheck shell=bash disable=SC2154,SC2119 # host.sh sets code, out, old and holder
# Real apt against repositories and packages that are not as they should be. Each function is a case with a host
# of its own, prepared as in apt.sh.

# --- H09 to H11: repositories -------------------------------------------------------------------------

h09_a_version_that_the_repository_lacks_is_named_with_those_it_has() {
    offer 16.2.9
    window open
    upgrade run
    expect_exit 69
    expect_said 16.2.9
    expect_said 16.2.1
    expect_said teleport.list
    expect_version 16.1.7
}

h09_a_stale_index_is_refreshed_before_the_verdict() {
    repository debian lab/new_dependency # whose index this host has never fetched
    offer 16.2.0
    window open
    upgrade run
    expect_exit 0
    expect_version 16.2.0
}

h09_a_repository_out_of_reach_is_not_the_versions_fault() {
    offer 16.2.0
    window open
    sed -i 's/apt\.releases\.teleport\.dev//; $ a 192.0.2.1 apt.releases.teleport.dev' /etc/hosts
    upgrade run
    expect_exit 75
    expect_said apt.releases.teleport.dev
    expect_version 16.1.7
}

h10_a_foreign_repository_out_of_reach_does_not_matter() {
    echo 'deb [trusted=yes] http://192.0.2.1/debian nowhere main' >/etc/apt/sources.list.d/foreign.list
    offer 16.2.0
    window open
    upgrade run
    expect_exit 0
    expect_version 16.2.0
}

h10_a_malformed_foreign_source_does_not_matter_or_is_named() {
    echo 'deb this is not a source' >/etc/apt/sources.list.d/foreign.list
    offer 16.2.0
    window open
    upgrade run
    if [[ $code != 0 ]]; then expect_said foreign.list; else expect_version 16.2.0; fi
}

# The host's lists are from before and good: whoever overlooks the failed refresh installs from them.
h11_a_repository_signed_by_a_stranger_is_refused() {
    repository_becomes stranger
    offer 16.2.0
    window open
    upgrade run
    expect_exit 69
    expect_said 'repository key'
    expect_version 16.1.7
}

h11_an_expired_repository_key_is_recognised() {
    cp /srv/lab/expired.asc "$KEYRING"
    repository_becomes expired-key
    offer 16.2.0
    window open
    upgrade run
    expect_exit 69
    expect_said 'repository key'
    expect_said expired
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

h11_out_of_date_metadata_is_recognised() {
    repository_becomes expired-metadata
    offer 16.2.0
    window open
    upgrade run
    expect_exit 69
    expect_said metadata
    expect_version 16.1.7
}

# --- H19, H20 and package scripts ---------------------------------------------------------------------

h19_a_changed_conffile_is_kept_and_the_new_one_reported() {
    echo '# mine' >/etc/teleport-standin.conf
    offer 16.2.0
    window open
    upgrade run
    expect_exit 0
    expect_version 16.2.0
    [[ $(cat /etc/teleport-standin.conf) == '# mine' ]] || failed "the administrator's conffile was replaced"
    expect_file /etc/teleport-standin.conf.dpkg-dist
    expect_said /etc/teleport-standin.conf.dpkg-dist
}

h20_a_plan_that_removes_another_package_is_refused_with_its_name() {
    repository debian lab/removes_another
    refresh
    apt_here install lab-neighbour
    offer 16.2.0
    window open
    upgrade run
    expect_exit 69
    expect_said lab-neighbour
    expect_version 16.1.7
    expect_version lab-neighbour 1.0
}

h20_a_new_dependency_of_the_agent_comes_along() {
    repository debian lab/new_dependency
    offer 16.2.0
    window open
    upgrade run
    expect_exit 0
    expect_version 16.2.0
    expect_version lab-library 1.0
}

h20_a_dependency_that_nobody_has_is_named() {
    repository debian lab/unmet_dependency
    offer 16.2.0
    window open
    upgrade run
    expect_exit 69
    expect_said lab-nowhere
    expect_version 16.1.7
}

a_package_that_refuses_to_be_installed_leaves_the_old_one_in_place() {
    repository debian lab/preinst_fails
    offer 16.2.0
    window open
    upgrade run
    expect_exit 69
    expect_said '[!] upgrade attempt failed for teleport-ent=16.2.0.'
    expect_said 'preinst: no, thank you'
    expect_version 16.1.7
    expect_held
}

a_package_whose_script_fails_afterwards_is_never_called_a_success() {
    repository debian lab/postinst_fails
    offer 16.2.0
    window open
    upgrade run
    [[ $code != 0 ]] || failed "a half-configured package was reported as done"
    expect_said 'postinst: no, thank you'
}

h02_a_truncated_program_is_never_called_a_success() {
    repository debian lab/truncated
    offer 16.2.0
    window open
    upgrade run
    expect_said 'attempting apt install teleport-ent=16.2.0'
    [[ $code != 0 ]] || failed "a program that cannot run was reported as done"
}
