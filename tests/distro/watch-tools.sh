#!/usr/bin/env bash
# Runs once inside the layer of hosts that are watched, with the network: Debian's node_exporter, and what judges rules, metrics and JSON.
set -euo pipefail
# shellcheck source=tests/distro/install.sh
source "${BASH_SOURCE[0]%/*}/install.sh"
install_packages prometheus-node-exporter python3-jsonschema
# The package brings a server and its pages, too: twice the size, and eleven more packages.
take_file prometheus /usr/bin/promtool
# Only what a case starts is started.
find /etc/systemd/system -mindepth 2 -name 'prometheus-node-exporter.service' -delete
