# shellcheck shell=bash disable=SC2034 # shared with the cases
# Sourced by the cases of the version server and by tests/demo: what it is configured to say, and how it is served over TLS.

SERVER=teleport-version-server
CHANNELS=/etc/$SERVER.yaml
EXAMPLES=/run/lab/tree/package/version-server
BELOW=webapi/automaticupgrades/channel

# channels TEXT: the configuration has these channels, and whatever else.
channels() { printf 'automatic_upgrades_channels:\n%s\n' "$1" >$CHANNELS; }
# in_front FILE NAME: the shipped configuration for nginx, under that name and with the lab's certificate.
in_front() {
    sed -e "s/versions\.example\.com/$2/" -e 's,ssl_certificate .*,ssl_certificate /srv/lab/tls/server.pem;,' \
        -e 's,ssl_certificate_key .*,ssl_certificate_key /srv/lab/tls/server.key;,' "$EXAMPLES/$1"
}
# serve_with TEXT...: the lab's nginx, with these servers besides its own.
serve_with() {
    stop_serving
    { sed '$d' /srv/lab/nginx.conf; printf '%s\n' "$@" '}'; } >/run/lab/nginx.conf
    nginx -q -c /run/lab/nginx.conf
}
