# shellcheck shell=bash
# Sourced inside a sandbox: makes the packages, indexes and signatures of the rpm repositories below
# /srv/lab/rpm, where `good` is the good one and every directory below it with a `repodata` is a channel.

GOOD=/srv/lab/rpm/good
ARCH=$(uname -m)
export GNUPGHOME=/srv/lab/gnupg

# build SPEC CHANNEL: the package that the spec file describes, its files taken from /tmp/package.
build() {
    mkdir -p "$GOOD/$2"
    # The payload is hardly compressed and nothing is stripped: it is 100 packages for each host.
    rpmbuild --quiet -bb --target "$ARCH" --buildroot /tmp/package-root --define "_topdir /tmp/rpmbuild" --define "_rpmdir $GOOD/$2" \
        --define '_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm' --define '_binary_payload w1.gzdio' \
        --define '__os_install_post %{nil}' --define 'debug_package %{nil}' --define '_build_id_links none' "$1"
}
# sign_packages KEY RPM...
sign_packages() {
    rpmsign --define '__gpg /usr/bin/gpg' --define "_gpg_name $1@example.test" --addsign "${@:2}" >/dev/null
    gpgconf --kill all
}
# index CHANNEL: the lists of the packages that lie in the good repository.
index() { createrepo_c --quiet --compatibility --checksum sha256 "$GOOD/$1"; }
channels() { (cd "$GOOD" && find . -name repodata -printf '%P\n' | sed 's,/repodata$,,'); }
# sign REPOSITORY KEY OPTION...: the indexes of all its channels.
sign() {
    local channel
    for channel in $(channels); do
        gpg --batch --quiet --yes "${@:3}" --local-user "$2@example.test" --armor --detach-sign "/srv/lab/rpm/$1/$channel/repodata/repomd.xml"
    done
    gpgconf --kill all
}
