# shellcheck shell=bash disable=SC2154,SC2034 # host.sh sets code, said, out
# install.sh where the package manager is called yum. Each function is a case.
# shellcheck source=tests/distro/bare-host.sh
source "${BASH_SOURCE[0]%/*}/bare-host.sh"

a_host_that_has_no_dnf_but_a_yum_is_served_by_it() {
    bare
    # The same program under its other name.
    rm /usr/bin/yum
    mv /usr/bin/dnf /usr/bin/yum
    script 16.2.0 cloud
    expect_exit 0
    expect_installed teleport-ent 16.2.0
    expect_said '+ yum -q -y'
    script 16.2.0 cloud
    expect_said 'Everything is there already; nothing is changed.'
    script --uninstall
    expect_exit 0
    script 16.9.9 cloud
    expect_stop 69 'has no teleport-ent 16.9.9'
}

# What Amazon Linux 2 and CentOS 7 have; only its name and its version are this one's.
yum_3_installs_the_agent_but_the_updater_that_cannot_drive_it_is_refused_beforehand() {
    local before
    bare
    rm /usr/bin/yum
    mv /usr/bin/dnf /usr/bin/dnf-as-yum
    # shellcheck disable=SC2016
    printf '#!/bin/sh\n[ "$1" != --version ] || { echo 3.4.3; exit 0; }\nexec /usr/bin/dnf-as-yum "$@"\n' >/usr/bin/yum
    chmod 755 /usr/bin/yum
    rm /etc/os-release
    printf 'ID="amzn"\nID_LIKE="centos rhel fedora"\nVERSION_ID="2"\n' >/etc/os-release
    mkdir -p /srv/lab/rpm/amzn/2/Teleport
    ln -s /srv/lab/rpm/good "/srv/lab/rpm/amzn/2/Teleport/$(uname -m)"
    before=$(host_state)
    script 16.2.0 cloud
    expect_stop 69 'yum 3 is older than what the updater can drive'
    expect_as_before "$before"
    script --no-updater 16.2.0 cloud
    expect_exit 0
    [[ $(installed teleport-ent) == 16.2.0 ]] || failed 'the agent was not installed'
}
