# shellcheck shell=bash
# Sourced by the cases of a release: how it is made, and what is expected of it.

RELEASE=/tmp/release
# release_is_whole OPTION...: made so, it has the packages of both programs for both families and architectures, and everything agrees.
release_is_whole() {
    local sum name
    in_tree tests/make-release $RELEASE --url https://example.test/r "$@"
    (cd $RELEASE && sha256sum --check --strict SHA256SUMS) || failed 'the sums are wrong'
    [[ $(find $RELEASE -type f | wc -l) == 10 && $(wc -l <$RELEASE/SHA256SUMS) == 9 ]] || failed "it has $(ls $RELEASE)"
    # The script differs from the one in the tree in nothing but what it knows of the release.
    [[ $(diff /run/lab/tree/install.sh $RELEASE/install.sh | grep -c '^<') == 2 ]] || failed 'the script is another one'
    while read -r sum name; do
        [[ $name != teleport-ent-updater* ]] || grep -qE "^$sum  $name'?\$" $RELEASE/install.sh || failed "install.sh does not know $name"
    done <$RELEASE/SHA256SUMS
    both_formats_agree teleport-ent-updater
    both_formats_agree teleport-version-server
}
# both_formats_agree NAME: unpacked below /tmp/deb and /tmp/rpm, its packages for arm64 contain the same.
both_formats_agree() {
    local deb rpm
    deb=$(echo "$RELEASE/$1"_*_arm64.deb) rpm=$(echo "$RELEASE/$1"-*.aarch64.rpm)
    [[ $(dpkg-deb -f "$deb" Architecture) == arm64 && $(rpm -qp --qf '%{ARCH}' "$rpm") == aarch64 ]] || failed 'a package is not for arm64'
    mkdir -p /tmp/{deb,rpm}
    dpkg-deb -x "$deb" /tmp/deb
    (cd /tmp/rpm && rpm2cpio "$rpm" | cpio -id --quiet)
    diff -r /tmp/{deb,rpm}/usr/sbin || failed "the packages of $1 contain different programs"
    diff -r /tmp/{deb,rpm}/usr/share/man || failed "the packages of $1 contain different pages"
    diff -r -x 'changelog.gz' -x 'CHANGELOG.md' -x copyright -x 'third-party-licences.gz' /tmp/{deb,rpm}/usr/share/doc ||
        failed "the packages of $1 contain different documents"
}
