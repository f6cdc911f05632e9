# shellcheck shell=bash disable=SC2034,SC2119,SC2120 # shared with the cases
# Sourced by the cases of the Kubernetes updater: a real control plane (etcd, kube-apiserver with RBAC, the real controllers; no kubelet, so
# the case says how pods are), a real registry with signed images, and the updater as the chart starts it.

# shellcheck source=tests/distro/front-host.sh
source "${BASH_SOURCE[0]%/*}/front-host.sh"

K=/run/lab/control
NS=teleport
UPDATER=/run/lab/bin/teleport-kube-agent-updater
ACCOUNT=/var/run/secrets/kubernetes.io/serviceaccount
IMAGES=releases.example.com:5000
LOG=/run/lab/updater.log
export updater='' apiserver=''

k() { kubectl --kubeconfig $K/kubeconfig -n $NS "$@"; }

# --- the control plane --------------------------------------------------------------------------------

start_apiserver() {
    /srv/lab/kube/kube-apiserver --etcd-servers http://127.0.0.1:2379 --cert-dir $K/certs --secure-port 6443 --bind-address 127.0.0.1 --advertise-address 10.99.0.1 \
        --token-auth-file $K/tokens --client-ca-file $K/clients.pem --authorization-mode RBAC --service-account-key-file $K/account.pub \
        --service-account-signing-key-file $K/account.key --service-account-issuer https://kubernetes.default.svc \
        --service-cluster-ip-range 10.0.0.0/24 --disable-admission-plugins ServiceAccount --v 3 \
        >>$K/apiserver.log 2>&1 &
    apiserver=$!
    wait_for 'the API server' bash -c "[[ \$(curl -sk -H 'Authorization: Bearer admin' https://127.0.0.1:6443/readyz) == ok ]]"
}
control_plane() {
    mkdir -p $K/certs
    openssl genrsa -out $K/account.key 2048 2>/dev/null
    openssl rsa -in $K/account.key -pubout -out $K/account.pub 2>/dev/null
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj '/CN=Clients' -addext basicConstraints=critical,CA:TRUE \
        -keyout $K/clients.key -out $K/clients.pem 2>/dev/null
    echo 'admin,admin,admin,"system:masters"' >$K/tokens
    etcd --data-dir $K/etcd --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
        --listen-peer-urls http://127.0.0.1:2380 --unsafe-no-fsync >$K/etcd.log 2>&1 &
    start_apiserver
    cat >$K/kubeconfig <<CONF
apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "https://127.0.0.1:6443", certificate-authority: $K/certs/apiserver.crt}}]
users: [{name: admin, user: {token: admin}}]
contexts: [{name: test, context: {cluster: test, user: admin}}]
current-context: test
CONF
    start_controllers
    kubectl --kubeconfig $K/kubeconfig create namespace $NS >/dev/null
}
start_controllers() {
    /srv/lab/kube/kube-controller-manager --kubeconfig $K/kubeconfig --service-account-private-key-file $K/account.key \
        --root-ca-file $K/certs/apiserver.crt --leader-elect=false --use-service-account-credentials --cert-dir $K/controllers --port 0 \
        >>$K/controllers.log 2>&1 &
    controllers=$!
}
# requests [WORDS]: how many the updater has made, of all or of those with these words; a watch counts when it is over.
requests() { grep 'userAgent="teleport-kube-agent-updater' $K/apiserver.log | grep -cF -- "${1:-}" || true; }

# --- the agent ----------------------------------------------------------------------------------------

# agent KIND IMAGE [REPLICAS]: the workload as the chart makes it, as far as it matters here. $policy is that of its pods.
policy=Parallel
agent() {
    k apply -f - >/dev/null <<YAML
apiVersion: apps/v1
kind: $1
metadata: { name: agent, labels: { app: agent } }
spec:
  replicas: ${3:-1}
  selector: { matchLabels: { app: agent } }
  template:
    metadata: { labels: { app: agent } }
    spec: { containers: [ { name: sidecar, image: "example.test/sidecar:1.2.3" }, { name: teleport, image: "$2", env: [ { name: A, value: b } ] } ] }
$(if [[ $1 == StatefulSet ]]; then echo '  serviceName: agent'; echo "  podManagementPolicy: $policy"; fi)
YAML
    wait_for_pods "${3:-1}"
}
pods() { k get pods -l app=agent --no-headers -o custom-columns=:metadata.name; }
# wait_for_pods NUMBER [IMAGE]: so many are there, of that image.
wait_for_pods() { wait_for "$1 pods of ${2:-any image}" pods_are "$@"; }
pods_are() {
    (($(k get pods -l app=agent -o json | jq "[.items[] | select(.metadata.deletionTimestamp == null) | select(.spec.containers[1].image | startswith(\"${2:-}\"))] | length") == $1))
}
# pod_is NAME True|False [AGO]: the kubelet's word on whether it is ready, and since when.
pod_is() {
    local at
    at=$(date -u -d "${3:-now}" +%Y-%m-%dT%H:%M:%SZ)
    # For curl this API server would print prettily, which ends it (its json-iterator is older than its Go).
    curl -A lab -sS --fail -o /dev/null -k -X PATCH -H 'Authorization: Bearer admin' -H 'Content-Type: application/merge-patch+json' \
        -d "{\"status\":{\"phase\":\"Running\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"$2\",\"lastTransitionTime\":\"$at\"}]}}" \
        "https://127.0.0.1:6443/api/v1/namespaces/$NS/pods/$1/status"
}
# Those that are there; one that is on its way out may be gone by then.
all_well() { for pod in $(pods); do pod_is "$pod" True 2>/dev/null || true; done; }
image() { k get "${1:-statefulset}" agent -o jsonpath='{.spec.template.spec.containers[1].image}'; }
wait_for_image() { wait_for "the image to be $1" bash -c "[[ \$(kubectl --kubeconfig $K/kubeconfig -n $NS get ${2:-statefulset} agent -o jsonpath='{.spec.template.spec.containers[1].image}') == $1 ]]"; }
# windows open|closed|past|none: as the agent exports them.
windows() {
    local from=0 to=0
    k delete secret agent-shared-state --ignore-not-found >/dev/null
    case $1 in
        open) from=-600 to=3000 ;;
        closed) from=7200 to=10800 ;;
        soon) from=8 to=3600 ;;
        past) from=-9000 to=-5400 ;;
        none) return ;;
    esac
    # `kubectl create` would write the name of a file.
    k create secret generic agent-shared-state --from-literal="agent-maintenance-schedule={\"windows\":[{\"start\":\"$(stamp $from)\",\"stop\":\"$(stamp $to)\"}]}" >/dev/null
}
stamp() { date -u -d "@$(($(date +%s) + $1))" +%Y-%m-%dT%H:%M:%SZ; }
# look: a person makes it look at once.
look() { k annotate --overwrite "${1:-statefulset}" agent "debug.teleport.dev/trigger-event=$RANDOM$RANDOM" >/dev/null; }

# --- the registry -------------------------------------------------------------------------------------

# A registry with TLS that wants a token, which a real one of its kind is; and a way in behind it for what is pushed.
registry() {
    local storage
    mkdir -p /srv/lab/images
    storage=$'storage: { filesystem: { rootdirectory: /srv/lab/images } }\nversion: 0.1\nlog: { level: error, accesslog: { disabled: true } }'
    openssl req -x509 -newkey rsa:2048 -nodes -days 9 -subj '/CN=tokens' -keyout $K/tokens.key -out $K/tokens.pem 2>/dev/null
    printf '%s\nhttp: { addr: "127.0.0.1:5001" }\n' "$storage" >$K/registry-in.yml
    printf '%s\nhttp: { addr: "127.0.0.1:5000", tls: { certificate: /srv/lab/tls/server.pem, key: /srv/lab/tls/server.key } }\nauth: { token: { realm: "https://proxy.example.test/token", service: lab, issuer: lab, rootcertbundle: %s } }\n' \
        "$storage" $K/tokens.pem >$K/registry.yml
    docker-registry serve $K/registry-in.yml >$K/registry-in.log 2>&1 &
    docker-registry serve $K/registry.yml >$K/registry.log 2>&1 &
    wait_for 'the registry' curl -sf -o /dev/null http://127.0.0.1:5001/v2/
    token teleport
}
# token REPOSITORY: what is given out from now on lets its bearer pull from there.
token() {
    local head body now url="s/+/-/g; s,/,_,g; s/=*\$//"
    now=$(date +%s)
    head=$(printf '{"typ":"JWT","alg":"RS256","x5c":["%s"]}' "$(openssl x509 -in $K/tokens.pem -outform DER | base64 -w0)" | base64 -w0 | sed "$url")
    body=$(printf '{"iss":"lab","sub":"","aud":"lab","exp":%d,"nbf":%d,"iat":%d,"jti":"1","access":[{"type":"repository","name":"%s","actions":["pull"]}]}' \
        $((now + 36000)) $((now - 60)) $((now - 60)) "$1" | base64 -w0 | sed "$url")
    mkdir -p /srv/lab/answers
    printf '{"token":"%s.%s.%s"}' "$head" "$body" "$(printf '%s.%s' "$head" "$body" | openssl dgst -sha256 -sign $K/tokens.key | base64 -w0 | sed "$url")" >/srv/lab/answers/token
}
push_blob() { # push_blob REPOSITORY FILE: prints its digest
    local digest to
    digest=sha256:$(sha256sum "$2" | cut -d' ' -f1)
    to=$(curl -sS -D - -o /dev/null -X POST "http://127.0.0.1:5001/v2/$1/blobs/uploads/" | tr -d '\r' | sed -n 's/^Location: //Ip')
    curl -sS --fail -o /dev/null -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$2" "$to&digest=$digest"
    echo "$digest"
}
push_manifest() { # push_manifest REPOSITORY TAG FILE: prints its digest
    curl -sS --fail -o /dev/null -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary "@$3" "http://127.0.0.1:5001/v2/$1/manifests/$2"
    echo "sha256:$(sha256sum "$3" | cut -d' ' -f1)"
}
# publish VERSION: an image of that version, different from all others; prints its digest. skopeo pushes what kubernetes/image has built.
publish() {
    local layout=/tmp/layout-$1
    printf 'agent %s\n' "$1" >/tmp/program
    in_this_tree kubernetes/image "$layout" --tag "$1" --amd64 /tmp/program --arm64 /tmp/program --ca-bundle /srv/lab/tls/ca.pem --licences /dev/null >/dev/null
    skopeo copy --quiet --all --dest-tls-verify=false "oci:$layout:$1" "docker://127.0.0.1:5001/teleport:$1"
    jq -r '.manifests[0].digest' "$layout/index.json"
}
in_this_tree() { "/run/lab/tree/$1" "${@:2}"; }
# signing_key NAME rsa|p256: $K/NAME.key and $K/NAME.pub.
signing_key() {
    if [[ $2 == rsa ]]; then openssl genrsa -out "$K/$1.key" 4096; else openssl ecparam -name prime256v1 -genkey -noout -out "$K/$1.key"; fi 2>/dev/null
    openssl pkey -in "$K/$1.key" -pubout -out "$K/$1.pub"
}
# sign DIGEST KEY [PAYLOAD DIGEST]...: what cosign would leave beside that image: a signature for each pair.
sign() {
    local digest=$1 layers='' payload config manifest
    shift
    while (($#)); do
        printf '{"critical":{"identity":{"docker-reference":""},"image":{"docker-manifest-digest":"%s"},"type":"cosign container image signature"},"optional":null}' \
            "${2:-$digest}" >/tmp/payload
        payload=$(push_blob teleport /tmp/payload)
        layers+=${layers:+,}$(printf '{"mediaType":"application/vnd.dev.cosign.simplesigning.v1+json","digest":"%s","size":%d,"annotations":{"dev.cosignproject.cosign/signature":"%s"}}' \
            "$payload" "$(stat -c %s /tmp/payload)" "$(openssl dgst -sha256 -sign "$K/$1.key" /tmp/payload | base64 -w0)")
        shift $(($# > 1 ? 2 : 1))
    done
    printf '{}' >/tmp/config
    config=$(push_blob teleport /tmp/config)
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"%s","size":2},"layers":[%s]}' \
        "$config" "$layers" >/tmp/manifest
    push_manifest teleport "sha256-${digest#sha256:}.sig" /tmp/manifest >/dev/null
}

# --- the version server and the updater ---------------------------------------------------------------

# wanted TEXT: what the version server says from now on.
wanted() {
    channels "  default: { $1 }"
    if [[ -n ${versions:-} ]]; then
        kill -HUP "$versions"
        wait_for 'the version server to read that' bash -c "(( \$(grep -c 'as it is now' /run/lab/versions.log) > $reloads ))"
        reloads=$((reloads + 1))
    else
        reloads=0
        /run/lab/bin/$SERVER serve --config $CHANNELS 2>/run/lab/versions.log &
        versions=$!
        wait_for 'the version server' curl -sf -o /dev/null http://127.0.0.1:3080/healthz
    fi
}
# private_ca NAME: nginx shows a certificate for NAME that only $K/private.pem vouches for.
private_ca() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj '/CN=Private' -addext basicConstraints=critical,CA:TRUE \
        -keyout $K/private.key -out $K/private.pem 2>/dev/null
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj "/CN=$1" -addext "subjectAltName=DNS:$1" -addext basicConstraints=CA:FALSE \
        -CA $K/private.pem -CAkey $K/private.key -keyout $K/private-server.key -out $K/private-server.pem 2>/dev/null
}
# As the pod of the chart finds it: a service account with exactly the Role of kubernetes/, its token, the cluster's authority.
service_account() {
    kubectl --kubeconfig $K/kubeconfig apply -k /run/lab/tree/kubernetes >/dev/null || failed 'the manifests make no sense'
    wait_for 'a token' bash -c "kubectl --kubeconfig $K/kubeconfig -n $NS get serviceaccount agent-updater -o jsonpath='{.secrets[0].name}' | grep -q ."
    mkdir -p $ACCOUNT
    k get secret "$(k get serviceaccount agent-updater -o jsonpath='{.secrets[0].name}')" -o jsonpath='{.data.token}' | base64 -d >$ACCOUNT/token
    cp $K/certs/apiserver.crt $ACCOUNT/ca.crt
    echo $NS >$ACCOUNT/namespace
}
# The flags that the chart gives, with our addresses.
chart_flags() {
    printf '%s\n' --agent-name=agent --agent-namespace=$NS --base-image=$IMAGES/teleport \
        --version-server=https://proxy.example.test/v1/$BELOW --version-channel=default
}
# start_updater FLAG...: with the flags of the chart and these, in the environment that a pod has.
start_updater() {
    mapfile -t flags < <(chart_flags)
    env -i KUBERNETES_SERVICE_HOST=127.0.0.1 KUBERNETES_SERVICE_PORT=6443 HOME=/ "${updater_environment[@]}" \
        $UPDATER "${flags[@]}" "$@" >>$LOG 2>&1 &
    updater=$!
    for _ in {1..300}; do ! curl -sf -o /dev/null "http://127.0.0.1:${health:-8081}/readyz" || return 0; sleep 0.1; done
    tail -n 20 $LOG | cut -c1-500
    failed 'waited half a minute for its first look'
}
updater_environment=()
stop_updater() { kill "$updater"; wait "$updater" || failed "it ended with $?"; }
# wait_until_said SENTENCE [TIMES]
wait_until_said() {
    for _ in {1..300}; do (($(times_said "$1") < ${2:-1})) || return 0; sleep 0.1; done
    tail -n 20 $LOG | cut -c1-500
    failed "waited half a minute for it to say: $1"
}
times_said() { grep -cF -- "$1" $LOG || true; }
expect_never_said() { ! grep -qF -- "$1" $LOG || failed "expected it never to say: $1"; }
events() { k get events -o json | jq -r '.items[] | select(.source.component == "teleport-kube-agent-updater") | "\(.reason): \(.message)"'; }

# A cluster with an agent on 16.1.7, a registry with signed images, a version server behind nginx.
cluster() { # cluster KIND [REPLICAS]
    control_plane
    registry
    signing_key ours p256
    serve_with "$(in_front nginx.conf proxy.example.test | sed 's,location / {,location /token { root /srv/lab/answers; }\n&,')"
    service_account
    agent "$1" "$IMAGES/teleport:16.1.7" "${2:-1}"
    all_well
    windows closed
    wanted 'static_version: v16.1.7'
}
