# shellcheck shell=bash disable=SC2119,SC2154 # host.sh sets code, said and out
# The updater of agents in Kubernetes, before a real API server, its real controllers and a real registry. Each function is a case.
# shellcheck source=tests/distro/kube-host.sh
source "${BASH_SOURCE[0]%/*}/kube-host.sh"

an_agent_is_updated_to_a_signed_image_in_its_window_as_the_chart_starts_the_updater() {
    local digest before
    cluster StatefulSet 2
    publish 16.1.7 >/dev/null
    digest=$(publish 16.2.0)
    sign "$digest" ours
    start_updater --verification-key=$K/ours.pub
    wait_until_said 'StatefulSet is already up-to-date, not updating.'
    [[ $(curl -sf http://127.0.0.1:8081/healthz) == ok ]] || failed 'the kubelet would restart it'

    wanted 'static_version: v16.2.0'
    look
    wait_until_said 'No maintenance triggered, not updating.'
    [[ $(image) == "$IMAGES/teleport:16.1.7" ]] || failed "it is on $(image)"
    before=$(requests)
    sleep 3
    [[ $(requests) == "$before" ]] || failed 'it asks although nothing happens'

    note 'a window that opens in a few seconds is not waited half an hour for'
    windows soon
    before=$(k get statefulset agent -o json | jq -S 'del(.metadata.managedFields, .metadata.resourceVersion, .metadata.generation, .status, .metadata.annotations)')
    look
    wait_until_said 'No maintenance triggered, not updating.' 2
    wait_for_image "$IMAGES/teleport:16.2.0@$digest"
    wait_until_said 'Updating podSpec with image'
    (($(times_said 'No maintenance triggered, not updating.') == 2)) || failed 'it has looked before the window was open'
    [[ $(k get statefulset agent -o json | jq -S 'del(.metadata.managedFields, .metadata.resourceVersion, .metadata.generation, .status, .metadata.annotations)' |
        sed "s,$IMAGES/teleport:16.2.0@$digest,$IMAGES/teleport:16.1.7,") == "$before" ]] || failed 'it has changed more than the image'
    # The controller replaces one pod after the other, as each becomes ready.
    for _ in {1..60}; do
        all_well 2>/dev/null || true
        ! pods_are 2 "$IMAGES/teleport:16.2.0@$digest" || break
        sleep 0.5
    done
    wait_for_pods 2 "$IMAGES/teleport:16.2.0@$digest"
    [[ $(events) == *'UpdateWaits: 16.2.0 waits for the window from '* && $(events) == *'Updated: from 16.1.7 to 16.2.0: within the window from '* ]] ||
        failed "the events are $(events)"
    curl -sf http://127.0.0.1:8080/metrics | grep -qF 'teleport_kube_agent_updater_agent_version{current="16.2.0",wanted="16.2.0"} 1' || failed 'the metrics are of other versions'
    expect_never_said 'error'
    stop_updater
}

a_deployment_is_updated_at_once_when_that_is_critical_or_it_is_ill_or_has_no_windows_and_never_to_a_lower_major() {
    cluster Deployment
    start_updater --insecure-no-resolve-image
    wait_until_said 'Deployment is already up-to-date, not updating.'
    wait_until_said 'Images will be NEITHER resolved NOR verified'

    note 'critical'
    wanted 'static_version: v16.2.0, critical: true'
    look deployment
    wait_for_image "$IMAGES/teleport:16.2.0" deployment
    wait_until_said 'The image is NEITHER resolved NOR verified'

    note 'no window ahead'
    all_well
    windows past
    wanted 'static_version: v16.3.0'
    look deployment
    wait_for_image "$IMAGES/teleport:16.3.0" deployment

    note 'suspended, then ill, to a lower version of the same major'
    windows closed
    wait_for_pods 1 "$IMAGES/teleport:16.3.0"
    all_well
    k annotate deployment agent teleport.dev/skipreconcile=true >/dev/null
    wait_until_said 'Reconciliation disabled by resource annotations. Skipping.'
    wanted 'static_version: v16.2.1'
    pod_is "$(pods | tail -n 1)" False '6 minutes ago'
    sleep 2
    [[ $(image deployment) == "$IMAGES/teleport:16.3.0" ]] || failed 'it was not suspended'
    k annotate deployment agent teleport.dev/skipreconcile- >/dev/null
    wait_for_image "$IMAGES/teleport:16.2.1" deployment
    [[ $(events) == *'Updated: from 16.3.0 to 16.2.1: pod agent-'*' has not been ready since '* ]] || failed "the events are $(events)"

    note 'a lower major, nothing at all, and a higher major'
    wanted 'static_version: v15.4.0, critical: true'
    look deployment
    wait_until_said 'A lower major version is wanted, not updating.'
    wanted 'static_version: none'
    look deployment
    wait_until_said 'No version is wanted now, not updating.'
    [[ $(image deployment) == "$IMAGES/teleport:16.2.1" ]] || failed "it is on $(image deployment)"
    wanted 'static_version: v17.0.0, critical: true'
    look deployment
    wait_for_image "$IMAGES/teleport:17.0.0" deployment
    stop_updater
}

a_roll_out_that_waits_for_a_pod_that_never_gets_ready_is_let_go_on() {
    policy=OrderedReady
    cluster StatefulSet
    pod_is agent-0 False '10 minutes ago'
    wanted 'static_version: v16.2.0'
    start_updater --insecure-no-resolve-image
    wait_for_image "$IMAGES/teleport:16.2.0"
    wait_until_said 'Deleting a pod that keeps the roll-out from going on'
    wait_for_pods 1 "$IMAGES/teleport:16.2.0"
    [[ $(events) == *'RolloutUnblocked: pod agent-0 was ill and of an older revision'* ]] || failed "the events are $(events)"
    # The new one has never been ready, and is left alone.
    pod_is agent-0 True
    look
    wait_until_said 'StatefulSet is already up-to-date, not updating.' 2
    (($(times_said 'Deleting a pod') == 1)) || failed 'it has deleted more than that pod'

    note 'what a partition keeps on the old revision is left alone, however ill it is'
    k patch statefulset agent --type merge -p '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":1}}}}' >/dev/null
    pod_is agent-0 False '10 minutes ago'
    wanted 'static_version: v16.3.0'
    look
    wait_for_image "$IMAGES/teleport:16.3.0"
    sleep 3
    look
    wait_until_said 'StatefulSet is already up-to-date, not updating.' 4
    sleep 2
    (($(times_said 'Deleting a pod') == 1)) || failed 'it has deleted a pod that was to stay'
    stop_updater
}

only_images_that_the_trusted_key_has_signed_are_taken() {
    local digest
    cluster StatefulSet
    signing_key rsa rsa
    signing_key strange p256
    windows open
    # Whoever wants a token shows a name and password: Docker's config.json.
    mkdir /run/lab/docker
    printf 'puller:%s\n' "$(openssl passwd -apr1 secret)" >/run/lab/passwords
    serve_with "$(in_front nginx.conf proxy.example.test | sed 's,location / {,location /token { root /srv/lab/answers; auth_basic tokens; auth_basic_user_file /run/lab/passwords; }\n&,')"
    printf '{"auths":{"%s":{"auth":"%s"}}}' $IMAGES "$(printf puller:wrong | base64)" >/run/lab/docker/config.json
    updater_environment=(DOCKER_CONFIG=/run/lab/docker)
    publish 16.1.7 >/dev/null
    digest=$(publish 16.2.0)
    start_updater --verification-key=$K/ours.pub --pull-credentials=docker
    refuses() { # refuses WHY
        look
        wait_until_said "$1"
        [[ $(image) == "$IMAGES/teleport:16.1.7" ]] || failed "it took what was $1"
    }
    wanted 'static_version: v16.2.0'
    refuses 'https://proxy.example.test/token?scope=repository%3Ateleport%3Apull&service=lab was answered with the HTTP status 401'
    stop_updater
    printf '{"auths":{"%s":{"auth":"%s"}}}' $IMAGES "$(printf puller:secret | base64)" >/run/lab/docker/config.json
    start_updater --verification-key=$K/ours.pub --pull-credentials=docker
    refuses "there is no sha256-${digest#sha256:}.sig beside it"
    sign "$digest" strange
    refuses 'another key has made it'
    sign "$digest" ours "sha256:$(printf 0 | sha256sum | cut -d' ' -f1)"
    refuses 'it is for another image'
    wanted 'static_version: v16.9.9'
    refuses 'there is no image releases.example.com:5000/teleport:16.9.9'
    (($(times_said 'Image verification failed, not updating.') >= 3)) || failed 'it does not say that the verification failed'
    [[ $(events) == *'ImageRefused: '*' is not signed as it has to be: another key has made it'* ]] || failed "the events are $(events)"

    note 'one good signature among others is enough'
    wanted 'static_version: v16.2.0'
    sign "$digest" strange "$digest" ours "$digest"
    look
    wait_for_image "$IMAGES/teleport:16.2.0@$digest"
    stop_updater

    note 'RSA, and Teleport own key, which has signed none of these'
    digest=$(publish 16.3.0)
    sign "$digest" rsa
    wanted 'static_version: v16.3.0, critical: true'
    start_updater --pull-credentials=docker || true
    wait_until_said "@$digest is not signed as it has to be: another key has made it"
    [[ $(image) == "$IMAGES/teleport:16.2.0@"* ]] || failed 'Teleport has signed it?'
    stop_updater
    start_updater --verification-key=$K/rsa.pub --pull-credentials=docker
    wait_for_image "$IMAGES/teleport:16.3.0@$digest"
    stop_updater

    note 'a registry that wants name and password with each request'
    digest=$(publish 16.3.0)
    sign "$digest" ours
    # shellcheck disable=SC2016
    serve_with "$(in_front nginx.conf proxy.example.test)" \
        'server { listen 5002 ssl; location / { proxy_pass http://127.0.0.1:5001; proxy_set_header Host $http_host; auth_basic images; auth_basic_user_file /run/lab/passwords; } }'
    printf '{"auths":{"releases.example.com:5002":{"username":"puller","password":"secret"}}}' >/run/lab/docker/config.json
    start_updater --base-image=releases.example.com:5002/teleport --verification-key=$K/ours.pub --pull-credentials=docker
    # Its version is the same, its registry is not looked at.
    wanted 'static_version: v16.2.0, critical: true'
    look
    wait_for_image "releases.example.com:5002/teleport:16.2.0@$(skopeo inspect --tls-verify=false --raw docker://127.0.0.1:5001/teleport:16.2.0 | sha256sum | sed 's/ .*//; s/^/sha256:/')"
    stop_updater
    printf '{"auths":{"%s":{"auth":"%s"}}}' $IMAGES "$(printf puller:secret | base64)" >/run/lab/docker/config.json
    serve_with "$(in_front nginx.conf proxy.example.test | sed 's,location / {,location /token { root /srv/lab/answers; auth_basic tokens; auth_basic_user_file /run/lab/passwords; }\n&,')"

    note 'nobody has to have signed it'
    digest=$(publish 16.3.1)
    wanted 'static_version: v16.3.1, critical: true'
    start_updater --insecure-no-verify-image --pull-credentials=docker --log-level=error
    wait_for_image "$IMAGES/teleport:16.3.1@$digest"
    wait_until_said 'The image is NOT verified: --insecure-no-verify-image is set.'
    stop_updater
}

it_survives_a_restart_of_the_api_server_a_new_token_conflicts_and_another_updater() {
    local before writer first more=20
    # Hundreds of containers, an object as large as they get, cost this API server seconds for each change.
    [[ ! -e /run/lab/full ]] || more=200
    cluster StatefulSet
    k get statefulset agent -o json | jq --argjson more $more 'del(.metadata.annotations) | .spec.template.spec.containers += [range($more) | {name: "more-\(.)", image: "example.test/more:1", env: [{name: "NAME", value: ("x" * 200)}]}]' |
        k replace -f - >/dev/null
    wait_for_pods 1
    all_well
    start_updater --insecure-no-resolve-image
    wait_until_said 'StatefulSet is already up-to-date, not updating.'
    first=$updater

    note 'the API server dies and comes back'
    kill -9 "$apiserver"
    wait_until_said 'It is tried again'
    start_apiserver
    # The controllers would take up to a minute to notice, and it is not about them.
    kill -9 "$controllers"
    start_controllers
    wanted 'static_version: v16.2.0, critical: true'
    look
    wait_for_image "$IMAGES/teleport:16.2.0"

    note 'another token, and the one before is worth nothing'
    k delete secret "$(k get serviceaccount agent-updater -o jsonpath='{.secrets[0].name}')" >/dev/null
    wait_for 'another token' bash -c "kubectl --kubeconfig $K/kubeconfig -n $NS get secret -o name | grep -q agent-updater-token"
    # The API server remembers for ten seconds whom it has let in.
    sleep 11
    look
    wait_until_said 'HTTP status 401'
    k get secret "$(k get secret -o name | grep agent-updater-token | cut -d/ -f2)" -o jsonpath='{.data.token}' | base64 -d >$ACCOUNT/token.new
    mv $ACCOUNT/token.new $ACCOUNT/token
    wanted 'static_version: v16.2.1, critical: true'
    look
    wait_for_image "$IMAGES/teleport:16.2.1"

    note 'two updaters, and somebody who writes all the time'
    LOG=/run/lab/second.log health=8083 start_updater --insecure-no-resolve-image --healthz-addr=127.0.0.1:8083 --metrics-addr=0
    before=$(k get statefulset agent -o jsonpath='{.metadata.generation}')
    (for n in {1..12}; do k label --overwrite statefulset agent "n=$n"; done >/dev/null) &
    writer=$!
    wanted 'static_version: v16.3.0, critical: true'
    wait_for_image "$IMAGES/teleport:16.3.0"
    wait "$writer"
    sleep 2
    [[ $(image) == "$IMAGES/teleport:16.3.0" && $(k get statefulset agent -o jsonpath='{.metadata.labels.n}') == 12 ]] || failed 'somebody has lost a write'
    [[ $(k get statefulset agent -o jsonpath='{.metadata.generation}') == $((before + 1)) ]] || failed 'both of them have changed it'
    [[ $(k get statefulset agent -o json | jq '.spec.template.spec.containers | length') == $((more + 2)) ]] || failed 'containers were lost'
    stop_updater
    updater=$first
    stop_updater
}

a_proxy_with_managed_updates_is_asked_first_also_with_a_private_authority() {
    cluster StatefulSet
    private_ca teleport.example.com
    mkdir -p /srv/lab/find/webapi
    says() { printf '{"server_version":"17.0.0","auto_update":{"agent_version":"%s","agent_auto_update":%s}}' "$1" "$2" >/srv/lab/find/webapi/find; }
    says 16.2.0 false
    serve_with "$(in_front nginx.conf proxy.example.test)" \
        "server { listen 443 ssl; server_name teleport.example.com; root /srv/lab/find; ssl_certificate $K/private-server.pem; ssl_certificate_key $K/private-server.key; }"
    windows open
    wanted 'static_version: v16.3.0, critical: true'
    # What the chart sets for a private authority; the version server has the system's.
    updater_environment=("SSL_CERT_FILE=$K/private.pem")
    start_updater --insecure-no-resolve-image --proxy-address=teleport.example.com:443 --update-group=stable/cloud
    wait_until_said 'No maintenance triggered, not updating.'
    expect_asked 'teleport.example.com/webapi/find?group=stable%2Fcloud 200'
    [[ $(events) == *'UpdateWaits: 16.2.0 waits for the proxy to say that this group is to be updated'* ]] || failed "the events are $(events)"
    says 16.2.0 true
    look
    wait_for_image "$IMAGES/teleport:16.2.0"
    note 'a proxy that answers is believed, and one that does not know what is asked is not asked for more'
    printf '<html>' >/srv/lab/find/webapi/find
    look
    wait_until_said 'which is no answer of a proxy'
    [[ $(events) == *'VersionUnknown: https://teleport.example.com:443/webapi/find?group=stable%2Fcloud answered "<html>", which is no answer of a proxy'* ]] || failed "the events are $(events)"
    [[ $(image) == "$IMAGES/teleport:16.2.0" ]] || failed "it is on $(image)"
    rm /srv/lab/find/webapi/find
    look
    wait_until_said 'answered with the HTTP status 404'
    [[ $(image) == "$IMAGES/teleport:16.2.0" ]] || failed "it is on $(image)"
    printf '{"server_version":"16.0.0"}' >/srv/lab/find/webapi/find
    look
    wait_for_image "$IMAGES/teleport:16.3.0"
    stop_updater
}

it_reaches_a_cluster_as_kubectl_does() {
    local authority=$K/certs/apiserver.crt
    cluster Deployment
    # A certificate of the authority that the API server takes for its clients': the name is the user, the organisation a group of users.
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=system:serviceaccount:$NS:agent-updater" -keyout $K/client.key -out $K/client.csr 2>/dev/null
    openssl x509 -req -in $K/client.csr -CA $K/clients.pem -CAkey $K/clients.key -CAcreateserial -days 9 -out $K/client.pem \
        -extfile <(echo extendedKeyUsage=clientAuth) 2>/dev/null
    rm -r $ACCOUNT
    kubeconfig() { # kubeconfig USER AUTHORITY
        printf 'clusters: [{name: c, cluster: {server: "https://127.0.0.1:6443", %s}}]\nusers: [{name: u, user: {%s}}]\ncontexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n' \
            "$2" "$1" >$K/outside
    }
    reaches() {
        : >$LOG
        start_updater --insecure-no-resolve-image --kubeconfig=$K/outside
        wait_until_said 'Deployment is already up-to-date, not updating.'
        stop_updater
    }
    note 'a certificate and its key, in files beside it'
    kubeconfig 'client-certificate: client.pem, client-key: client.key' "certificate-authority: $authority"
    reaches
    note 'everything as data'
    kubeconfig "client-certificate-data: $(base64 -w0 $K/client.pem), client-key-data: $(base64 -w0 $K/client.key)" "certificate-authority-data: $(base64 -w0 $authority)"
    reaches
    note 'a token'
    kubeconfig 'token: admin' "certificate-authority: $authority"
    reaches
    note 'a kernel that has no IPv6: the addresses of the probes are those of both'
    : >$LOG
    mapfile -t flags < <(chart_flags)
    # Its first and its third socket are those of the probes, which are taken for both kinds of addresses.
    env -i strace -f -qq -o /dev/null -e trace=socket -e inject=socket:error=EAFNOSUPPORT:when=1..3+2 \
        $UPDATER "${flags[@]}" --insecure-no-resolve-image --kubeconfig=$K/outside >>$LOG 2>&1 &
    updater=$!
    wait_until_said 'Deployment is already up-to-date, not updating.'
    curl -4 -sf -o /dev/null http://127.0.0.1:8081/readyz || failed 'there are no probes'
    curl -4 -sf http://127.0.0.1:8080/metrics | grep -q '^teleport_kube' || failed 'there are no metrics'
    pkill -x teleport-kube-a
    wait "$updater" || failed "it ended with $?"
    note 'a certificate of nobody'
    kubeconfig "client-certificate: private-server.pem, client-key: private-server.key" "certificate-authority: $authority"
    private_ca teleport.example.com
    : >$LOG
    mapfile -t flags < <(chart_flags)
    env -i $UPDATER "${flags[@]}" --kubeconfig=$K/outside >>$LOG 2>&1 &
    updater=$!
    wait_until_said 'HTTP status 401'
    stop_updater
    note 'a key of another one'
    kubeconfig 'client-certificate: client.pem, client-key: private.key' "certificate-authority: $authority"
    env -i $UPDATER "${flags[@]}" --kubeconfig=$K/outside >$LOG 2>&1 && failed 'it runs with them'
    wait_until_said 'are no certificate and key that go together'
    note 'a pod without a service account, and no pod at all'
    env -i KUBERNETES_SERVICE_HOST=127.0.0.1 KUBERNETES_SERVICE_PORT=6443 $UPDATER "${flags[@]}" >$LOG 2>&1 && failed 'it runs without a service account'
    wait_until_said "$ACCOUNT/ca.crt cannot be read"
    env -i $UPDATER "${flags[@]}" >$LOG 2>&1 && failed 'it runs outside of a cluster'
    wait_until_said 'KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set'
}

the_image_is_small_the_same_each_time_and_taken_by_a_registry() {
    local layer
    local -a programs=(--amd64 "$UPDATER" --arm64 "$UPDATER")
    mkdir -p $K
    # As its person has it: it asks cargo whose licences these are.
    in_this_tree() { env PATH="$(cat /run/lab/home)/.cargo/bin:$PATH" CARGO_HOME="$(cat /run/lab/home)/.cargo" RUSTUP_HOME="$(cat /run/lab/home)/.rustup" CARGO_NET_OFFLINE=true "/run/lab/tree/$1" "${@:2}"; }
    if in_this_tree kubernetes/image /tmp/none --amd64 /nonexistent --arm64 "$UPDATER"; then failed 'an image without its program was made'; fi
    in_this_tree kubernetes/image /tmp/one --tag 16.4.0 --tag 16.5.0 "${programs[@]}"
    (umask 077 && TZ=Asia/Seoul in_this_tree kubernetes/image /tmp/two --tag 16.4.0 --tag 16.5.0 "${programs[@]}")
    diff -r /tmp/one /tmp/two || failed 'the images differ'
    [[ $(skopeo inspect --raw oci:/tmp/one:16.5.0 | jq -r '[.manifests[].platform.architecture] | join(" ")') == 'amd64 arm64' ]] || failed 'it is not for both'
    [[ $(skopeo inspect --override-arch arm64 oci:/tmp/one:16.4.0 | jq -r '.Os + " " + .Architecture') == 'linux arm64' ]] || failed 'skopeo takes it for another one'
    registry
    skopeo copy --quiet --all --dest-tls-verify=false oci:/tmp/one:16.4.0 docker://127.0.0.1:5001/updater:16.4.0
    [[ $(curl -sS -H 'Accept: application/vnd.oci.image.index.v1+json' http://127.0.0.1:5001/v2/updater/manifests/16.4.0 | sha256sum | cut -d' ' -f1) == \
        "$(jq -r '.manifests[0].digest' /tmp/one/index.json | cut -d: -f2)" ]] || failed 'the registry has another one'
    layer=$(jq -r '.layers[0].digest' "/tmp/one/blobs/sha256/$(jq -r '.manifests[0].digest' "/tmp/one/blobs/sha256/$(jq -r '.manifests[0].digest' /tmp/one/index.json | cut -d: -f2)" | cut -d: -f2)")
    mkdir /tmp/root
    tar -xzf "/tmp/one/blobs/sha256/${layer#sha256:}" -C /tmp/root
    [[ $(cd /tmp/root && find . -type f | sort | paste -sd' ') == \
        './etc/ssl/certs/ca-certificates.crt ./teleport-kube-agent-updater ./usr/share/licenses/LICENSE ./usr/share/licenses/third-party-licences' ]] || failed 'it contains something else'
    grep -q '^==== spki v' /tmp/root/usr/share/licenses/third-party-licences || failed 'licences are missing'
    [[ $(chroot --userspec=65532:65532 /tmp/root /teleport-kube-agent-updater --version) == v* ]] || failed 'its program does not run in it'
    (($(find /tmp/root -type f -printf '%s\n' | awk '{ n += $1 } END { print n }') <= 4000000)) || failed 'it is larger than 4 MB'
    echo "figure: image $(stat -c %s "/tmp/one/blobs/sha256/${layer#sha256:}") bytes compressed, of at most 4000000 unpacked"
}
