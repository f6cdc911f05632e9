# shellcheck shell=bash
# Sourced inside a sandbox that becomes a layer, with the network.

# install_packages NAME...: from this host's own repositories, as this host gets at them; no service is started.
install_packages() {
    local lab=/etc/apt/apt.conf.d/zz-lab ours=/etc/apt/sources.list.d/teleport.list file
    for file in "$lab" "$ours"; do [[ ! -e $file ]] || mv "$file" "$file.aside"; done
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q update
    apt-get -q -y --no-install-recommends install "$@"
    apt-get clean
    rm -f /var/cache/apt/*.bin /usr/sbin/policy-rc.d
    for file in "$lab" "$ours"; do [[ ! -e $file.aside ]] || mv "$file.aside" "$file"; done
}
