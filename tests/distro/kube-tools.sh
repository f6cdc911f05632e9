#!/usr/bin/env bash
# Runs once inside the layer of hosts that have a Kubernetes control plane and a registry, with the network. The API server and the controller
# manager come from the directory that lab.sh has found.
set -euo pipefail
# shellcheck source=tests/distro/install.sh
source "${BASH_SOURCE[0]%/*}/install.sh"
install_packages docker-registry etcd-server jq skopeo zstd
# Another one that this host has may come from another package, which does not go with Debian's.
command -v kubectl >/dev/null || install_packages kubernetes-client
mkdir -p /srv/lab/kube
for name in kube-apiserver kube-controller-manager; do
    if [[ -e /run/lab/kube/$name ]]; then
        install -m 755 "/run/lab/kube/$name" "/srv/lab/kube/$name"
    else
        zstd -qdf "/run/lab/kube/$name.zst" -o "/srv/lab/kube/$name"
        chmod 755 "/srv/lab/kube/$name"
    fi
done
