# shellcheck shell=sh
# What the stand-in of the agent does; the binary itself only sets `version` and reads this.
host=${0%/root/usr/local/bin/teleport}
echo "teleport $*" >>"$host/transcript"
# shellcheck source=/dev/null
[ ! -e "$host/state/on-teleport" ] || . "$host/state/on-teleport"
# shellcheck disable=SC2154 # set by the binary
echo "$version"
