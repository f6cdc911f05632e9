# shellcheck shell=bash disable=SC2034
# Sourced by deb/build and rpm/build: what both formats say of this release, and what both lay out.

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
NAME=teleport-ent-updater
# The vendor's repository has a package of this name at the agent's version, 16.x and more: without an epoch it would replace ours.
EPOCH=1
VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' "$TOP/Cargo.toml" | head -n 1)
# Every file carries the release's date, so that two builds give the same bytes.
RELEASED=$(sed -n 's/^## .* - //p' "$TOP/CHANGELOG.md" | head -n 1)
export SOURCE_DATE_EPOCH LC_ALL=C.UTF-8 TZ=UTC
SOURCE_DATE_EPOCH=$(date -u -d "$RELEASED" +%s)
MAINTAINER='teleport-upgrade maintainers <maintainers@teleport-upgrade.invalid>'
SUMMARY='keeps a Teleport agent on the version that its cluster wants'
umask 022

# options PROGRAM ARGUMENT...: sets arch, out and binary from the command line; the program is built unless --binary names one.
options() {
    local program=$1 usage="usage: $1 [--arch amd64|arm64] [--out DIR] [--binary FILE]"
    shift
    arch=amd64 out=$TOP/target/packages binary=''
    while (($#)); do
        case $1 in
            --arch=*|--out=*|--binary=*) set -- "${1%%=*}" "${1#*=}" "${@:2}"; continue ;;
            --arch) arch=${2:-} ;;
            --out) out=${2:-} ;;
            --binary) binary=${2:-} ;;
            -h|--help) echo "$usage"; exit 0 ;;
            *) echo "$program: unknown argument $1; $usage" >&2; exit 64 ;;
        esac
        if (($# < 2)); then echo "$program: $1 needs a value; $usage" >&2; exit 64; fi
        shift 2
    done
    case $arch in amd64|arm64) ;; *) echo "$program: no package for ${arch@Q}; $usage" >&2; exit 64 ;; esac
    [[ -n $out ]] || { echo "$program: --out needs a directory; $usage" >&2; exit 64; }
    mkdir -p "$out"
    out=$(cd "$out" && pwd)
    [[ -n $binary ]] || binary=$("$TOP/package/binary" "$arch")
}

# changes FORMAT-FUNCTION: calls it with version, date and text of each release in CHANGELOG.md, newest first.
changes() {
    local version date text line
    version='' text=''
    while IFS= read -r line || [[ -n $line ]]; do
        if [[ $line == '## '* ]]; then
            [[ -z $version ]] || "$1" "$version" "$date" "$text"
            version=${line#\#\# } date=${version#* - } version=${version%% - *} text=''
        elif [[ -n $version && -n $line ]]; then
            text+=$line$'\n'
        fi
    done <"$TOP/CHANGELOG.md"
    [[ -z $version ]] || "$1" "$version" "$date" "$text"
}

# licences FILE: of what is linked into the program, compressed.
licences() {
    local machine=x86_64
    [[ $arch == amd64 ]] || machine=aarch64
    "$TOP/package/licences" "$machine-unknown-linux-musl" | gzip -9n >"$1"
}

# lay_out ROOT UNITS ZSH: the files that both formats ship; UNITS and ZSH are the directories that differ.
lay_out() {
    local root=$1 units=$2 zsh=$3 from=$TOP/package
    install -D -m 755 "$binary" "$root/usr/sbin/teleport-upgrade"
    install -D -m 644 -t "$root$units" "$from"/teleport-upgrade.{service,timer}
    install -d -m 755 "$root$units/teleport.service.d" "$root/etc/teleport-upgrade.d" "$root/usr/share/man/man8"
    sed "s/@VERSION@/$VERSION/" "$from/teleport.service.d/teleport-upgrade.conf" >"$root$units/teleport.service.d/teleport-upgrade.conf"
    gzip -9nc "$from/teleport-upgrade.8" >"$root/usr/share/man/man8/teleport-upgrade.8.gz"
    install -D -m 644 "$from/completions/teleport-upgrade.bash" "$root/usr/share/bash-completion/completions/teleport-upgrade"
    install -D -m 644 "$from/completions/_teleport-upgrade" "$root$zsh/_teleport-upgrade"
    install -D -m 644 "$from/completions/teleport-upgrade.fish" "$root/usr/share/fish/vendor_completions.d/teleport-upgrade.fish"
    install -D -m 644 -t "$root/usr/share/doc/$NAME" "$from/teleport-upgrade.rules.yml" "$from/status.schema.json"
}

# dated ROOT: no file is younger than the release, or older.
dated() { find "$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +; }
