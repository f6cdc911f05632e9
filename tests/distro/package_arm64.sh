# shellcheck shell=bash
# What takes minutes to build: the programs for another architecture, run with qemu. With FULL=1 only. Each function is a case.
# shellcheck source=tests/distro/updater-host.sh
source "${BASH_SOURCE[0]%/*}/updater-host.sh"
# shellcheck source=tests/distro/release-host.sh
source "${BASH_SOURCE[0]%/*}/release-host.sh"

the_programs_for_arm64_of_a_release_run() {
    local package
    release_is_whole --amd64 /run/lab/bin
    [[ $(qemu-aarch64-static /tmp/deb/usr/sbin/teleport-upgrade version) == "v$OUR_VERSION" ]] || failed 'its program does not run'
    # A whole check, TLS included.
    offer 16.1.7
    window closed
    qemu-aarch64-static /tmp/deb/usr/sbin/teleport-upgrade run 2>/run/lab/said || failed "a check ended with $?: $(cat /run/lab/said)"
    grep -q 'no upgrades available (16.1.7 == 16.1.7)' /run/lab/said || failed "it said: $(cat /run/lab/said)"
    printf 'automatic_upgrades_channels: { default: { static_version: 16.2.0 } }\n' >/tmp/versions.yaml
    qemu-aarch64-static /tmp/deb/usr/sbin/teleport-version-server publish /tmp/published --config /tmp/versions.yaml
    [[ $(cat /tmp/published/v1/webapi/automaticupgrades/channel/default/version) == v16.2.0 ]] || failed 'the version server publishes nothing'
    for package in "$RELEASE"/*arm64.deb "$RELEASE"/*.aarch64.rpm; do lint "$package"; done
}
