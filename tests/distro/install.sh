# shellcheck shell=bash
# Sourced inside a sandbox that becomes a layer, with the network.

# install_packages NAME...: from this host's own repositories; no service is started.
install_packages() { as_this_host install_them "$@"; }
# take_file PACKAGE FILE: that file alone, of a package that is larger and not wanted otherwise.
take_file() { as_this_host take_it "$@"; }

# as_this_host COMMAND...: with this host's own repositories, as it gets at them.
as_this_host() {
    local lab=/etc/apt/apt.conf.d/zz-lab ours=/etc/apt/sources.list.d/teleport.list file
    for file in "$lab" "$ours"; do [[ ! -e $file ]] || mv "$file" "$file.aside"; done
    "$@"
    rm -f /var/cache/apt/*.bin
    for file in "$lab" "$ours"; do [[ ! -e $file.aside ]] || mv "$file.aside" "$file"; done
}
install_them() {
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q update
    apt-get -q -y --no-install-recommends install "$@"
    apt-get clean
    rm -f /usr/sbin/policy-rc.d
}
take_it() {
    local directory
    directory=$(mktemp -d)
    (cd "$directory" && apt-get -q download "$1")
    dpkg-deb --fsys-tarfile "$directory"/*.deb | tar -C / -xp ".$2"
    rm -r "$directory"
}
