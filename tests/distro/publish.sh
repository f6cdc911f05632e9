# shellcheck shell=bash
# Sourced inside a sandbox: makes the indexes and signatures of the repositories below /srv/lab/apt, where
# `debian` is the good one and every directory of its pool is a channel.

POOL=/srv/lab/apt/debian/pool
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
arch=$(dpkg --print-architecture)
export GNUPGHOME=/srv/lab/gnupg

# index CHANNEL: the list of the packages that lie in the pool.
index() {
    local indexes=/srv/lab/apt/debian/dists/$codename/$1/binary-$arch
    mkdir -p "$indexes"
    (cd /srv/lab/apt/debian && apt-ftparchive packages "pool/$1") >"$indexes/Packages"
}
# release REPOSITORY OPTION...: its Release file, not signed yet.
release() {
    local dists=/srv/lab/apt/$1/dists/$codename
    rm -f "$dists"/*Release
    apt-ftparchive -o APT::FTPArchive::Release::Origin=Teleport -o APT::FTPArchive::Release::Codename="$codename" \
        -o APT::FTPArchive::Release::Suite="$codename" -o APT::FTPArchive::Release::Architectures="$arch" \
        -o APT::FTPArchive::Release::Components="$(cd "$POOL" && echo */*)" "${@:2}" release "$dists" >/tmp/Release
    mv /tmp/Release "$dists/Release"
}
# sign REPOSITORY KEY OPTION...
sign() {
    local dists=/srv/lab/apt/$1/dists/$codename
    gpg --batch --quiet --yes "${@:3}" --local-user "$2@example.test" --clearsign --output "$dists/InRelease" "$dists/Release"
    gpgconf --kill all
}
