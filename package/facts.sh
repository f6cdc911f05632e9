# shellcheck shell=bash disable=SC2034
# Sourced by deb/build and rpm/build: what both formats say of this release, and what both lay out. A package is described here, and has
# its own files in deb/NAME and its own rpm/NAME.spec.

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' "$TOP/Cargo.toml" | head -n 1)
# Every file carries the release's date, so that two builds give the same bytes.
RELEASED=$(sed -n 's/^## .* - //p' "$TOP/CHANGELOG.md" | head -n 1)
export SOURCE_DATE_EPOCH LC_ALL=C.UTF-8 TZ=UTC
SOURCE_DATE_EPOCH=$(date -u -d "$RELEASED" +%s)
MAINTAINER='teleport-upgrade maintainers <maintainers@teleport-upgrade.invalid>'
umask 022

# describe NAME: what that package is and contains, or false.
describe() {
    NAME=$1
    case $NAME in
        teleport-ent-updater)
            # The vendor's repository has a package of this name at the agent's version, 16.x and more: without an epoch it would replace ours.
            EPOCH=1 PROGRAM=teleport-upgrade FEATURES=()
            SUMMARY='keeps a Teleport agent on the version that its cluster wants' ;;
        teleport-version-server)
            EPOCH='' PROGRAM=teleport-version-server FEATURES=(--features server)
            SUMMARY='says which version Teleport agents should run, and when' ;;
        *) return 1 ;;
    esac
    FULL_VERSION=${EPOCH:+$EPOCH:}$VERSION
}

# options PROGRAM ARGUMENT...: describes the package that the command line names, and sets arch, out and binary; the program is built unless
# --binary names one.
options() {
    local program=$1 usage="usage: $1 [teleport-ent-updater|teleport-version-server] [--arch amd64|arm64] [--out DIR] [--binary FILE]"
    shift
    arch=amd64 out=$TOP/target/packages binary=''
    describe teleport-ent-updater
    while (($#)); do
        case $1 in
            --arch=*|--out=*|--binary=*) set -- "${1%%=*}" "${1#*=}" "${@:2}"; continue ;;
            --arch) arch=${2:-} ;;
            --out) out=${2:-} ;;
            --binary) binary=${2:-} ;;
            -h|--help) echo "$usage"; exit 0 ;;
            *) describe "$1" || { echo "$program: unknown argument $1; $usage" >&2; exit 64; }
               shift; continue ;;
        esac
        if (($# < 2)); then echo "$program: $1 needs a value; $usage" >&2; exit 64; fi
        shift 2
    done
    case $arch in amd64|arm64) ;; *) echo "$program: no package for ${arch@Q}; $usage" >&2; exit 64 ;; esac
    [[ -n $out ]] || { echo "$program: --out needs a directory; $usage" >&2; exit 64; }
    mkdir -p "$out"
    out=$(cd "$out" && pwd)
    [[ -n $binary ]] || binary=$("$TOP/package/binary" "$arch" "$PROGRAM")
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
    "$TOP/package/licences" "$machine-unknown-linux-musl" "${FEATURES[@]}" | gzip -9n >"$1"
}

# lay_out ROOT UNITS ZSH: the files that both formats ship; UNITS and ZSH are the directories that differ.
lay_out() {
    local root=$1 units=$2 from=$TOP/package
    install -D -m 755 "$binary" "$root/usr/sbin/$PROGRAM"
    install -d -m 755 "$root/usr/share/man/man8"
    gzip -9nc "$from/$PROGRAM.8" >"$root/usr/share/man/man8/$PROGRAM.8.gz"
    install -D -m 644 -t "$root$units" "$from/$PROGRAM.service"
    "lay_out_${PROGRAM//-/_}" "$root" "$units" "$3" "$root/usr/share/doc/$NAME"
}
lay_out_teleport_upgrade() {
    local root=$1 units=$2 zsh=$3 documents=$4 from=$TOP/package
    install -D -m 644 -t "$root$units" "$from/teleport-upgrade.timer"
    install -d -m 755 "$root$units/teleport.service.d" "$root/etc/teleport-upgrade.d"
    sed "s/@VERSION@/$VERSION/" "$from/teleport.service.d/teleport-upgrade.conf" >"$root$units/teleport.service.d/teleport-upgrade.conf"
    install -D -m 644 "$from/completions/teleport-upgrade.bash" "$root/usr/share/bash-completion/completions/teleport-upgrade"
    install -D -m 644 "$from/completions/_teleport-upgrade" "$root$zsh/_teleport-upgrade"
    install -D -m 644 "$from/completions/teleport-upgrade.fish" "$root/usr/share/fish/vendor_completions.d/teleport-upgrade.fish"
    install -D -m 644 -t "$documents" "$from/teleport-upgrade.rules.yml" "$from/status.schema.json"
}
lay_out_teleport_version_server() {
    install -D -m 644 -t "$4/examples" "$TOP"/package/version-server/*
}

# dated ROOT: no file is younger than the release, or older.
dated() { find "$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +; }
