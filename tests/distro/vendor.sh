# shellcheck shell=bash
# Sourced inside a sandbox that becomes a layer: what the vendor has for every kind of host. The certificates of
# the lab's servers, the one nginx that has the repositories and the version server's answers over TLS, signing
# keys, and the agent's program and unit.

# --- the web server -----------------------------------------------------------------------------------

# make_web DIRECTORY NAME...: the files below DIRECTORY under those host names, the answers under all others.
make_web() {
    local directory=$1 names
    shift
    names=("$@" cdn.teleport.dev proxy.example.test teleport.example.com releases.example.com updates.example.test updates.releases.teleport.dev)
    mkdir -p /srv/lab/{tls,answers}
    make_certificates
    printf '127.0.0.1 localhost lab %s\n' "${names[*]}" >/etc/hosts
    cat >/srv/lab/nginx.conf <<CONF
user root;
worker_processes 1;
pid /run/lab/nginx.pid;
error_log /run/lab/nginx-errors;
events { worker_connections 256; }
http {
    log_format asked '\$host\$request_uri \$status';
    access_log /run/lab/asked asked;
    client_body_temp_path /run/lab/nginx-body;
    proxy_temp_path /run/lab/nginx-proxy;
    fastcgi_temp_path /run/lab/nginx-fastcgi;
    uwsgi_temp_path /run/lab/nginx-uwsgi;
    scgi_temp_path /run/lab/nginx-scgi;
    default_type text/plain;
    ssl_certificate /srv/lab/tls/server.pem;
    ssl_certificate_key /srv/lab/tls/server.key;
    server { listen 443 ssl; server_name $*; root $directory; }
    server { listen 443 ssl default_server; listen 8000; root /srv/lab/answers; }
}
CONF
}

# From 2024 on, so that a sandbox with another clock can still use them.
certificate() { faketime '2024-01-01 00:00:00' openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9000 "$@" 2>/dev/null; }
make_certificates() {
    local tls=/srv/lab/tls
    certificate -keyout $tls/ca.key -out $tls/ca.pem -subj '/CN=Test lab' -addext basicConstraints=critical,CA:TRUE
    certificate -keyout $tls/server.key -out $tls/server.pem -subj '/CN=Test lab server' -CA $tls/ca.pem -CAkey $tls/ca.key \
        -addext "subjectAltName=$(printf 'DNS:%s,' "${names[@]}")DNS:localhost,IP:127.0.0.1" -addext basicConstraints=CA:FALSE
    cp $tls/ca.pem /usr/local/share/ca-certificates/test-lab.crt
    update-ca-certificates >/dev/null 2>&1
}

# --- keys ---------------------------------------------------------------------------------------------

# signer NAME OPTION... LIFETIME: a key called NAME@example.test, of the kind $KEY_KIND.
signer() {
    gpg --batch --quiet --passphrase '' "${@:2:$#-2}" --quick-gen-key "$1 <$1@example.test>" "$KEY_KIND" sign "${!#}"
}

# --- the agent ----------------------------------------------------------------------------------------

# program VERSION FLAVOUR: the stand-in that such a package contains.
program() {
    case $1,$2 in
        16.2.0,crash|16.2.0,crash_later|16.2.0,hang|16.1.7,ignore_hup) echo "/run/lab/bin/agent-$1-$2" ;;
        *) echo "/run/lab/bin/agent-$1" ;;
    esac
}

# shellcheck disable=SC2016 # $MAINPID is for systemd
unit() { # unit FLAVOUR: the agent's teleport.service
    local pid_file=--pid-file=/run/teleport.pid
    printf '[Unit]\nDescription=Teleport Service\nAfter=network.target\n\n[Service]\nType=simple\nRestart=on-failure\nRestartSec=1\n'
    printf 'EnvironmentFile=-/etc/default/teleport\n'
    printf 'ExecStart=/usr/local/bin/teleport start %s\n' "$pid_file"
    case $1 in
        no-reload) printf 'PIDFile=/run/teleport.pid\n' ;;
        no-pidfile) printf 'ExecReload=/bin/kill -HUP $MAINPID\n' ;;
        *) printf "ExecReload=/bin/sh -c 'kill -HUP \$\$(cat /run/teleport.pid)'\nPIDFile=/run/teleport.pid\n" ;;
    esac
    printf '\n[Install]\nWantedBy=multi-user.target\n'
}
