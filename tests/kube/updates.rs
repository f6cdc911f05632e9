//! Whole looks at a workload, before one server that is API server, version server and registry in one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use teleport_upgrade::kube::api::{Api, Cluster, Identity};
use teleport_upgrade::kube::figures::Figures;
use teleport_upgrade::kube::image::reference::Digest;
use teleport_upgrade::kube::image::{Trust, Verified};
use teleport_upgrade::kube::next::Downgrades;
use teleport_upgrade::kube::outside::{Mounted, Outside};
use teleport_upgrade::kube::reconcile::Updater;
use teleport_upgrade::kube::settings::{Pull, Settings, TrustIn};
use teleport_upgrade::kube::voice::{Voice, Volume};
use teleport_upgrade::kube::wanted::Source;
use teleport_upgrade::kube::workload::{Kind, Workload};
use teleport_upgrade::rules::endpoint::ForgivenEndpoint;
use teleport_upgrade::rules::policy::Transport;
use ureq::tls::Certificate;

use super::images::MANIFEST;
use super::{answer, outside, outside_through, soon};
use crate::support::server::Server;
use crate::support::server::certificates::lab;

/// What somebody has written: images as they are, events as `Reason: message`.
type Written = Arc<Mutex<Vec<String>>>;

/// A world in which an agent without pods is wanted on 16.2.0, and what a registry in it answers to the head of a request.
fn world(registry: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> (Server, Written) {
    world_with(r#"{"items":[]}"#, registry)
}

/// The same with these pods.
fn world_with(pods: &'static str, registry: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> (Server, Written) {
    let written = Written::default();
    let writes = Arc::clone(&written);
    let server = Server::tls(&lab().good, move |mut peer| {
        while let Some(head) = peer.request() {
            let body: Value = serde_json::from_str(&peer.body(&head)).unwrap_or_default();
            let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            let path = head.split(' ').nth(1).unwrap();
            peer.send(match (head.split(' ').next().unwrap(), path) {
                ("GET", "/v1/version") => answer("200 OK", "", b"v16.2.0\n"),
                ("GET", "/v1/critical") => answer("200 OK", "", b"no\n"),
                ("GET", path) if path.starts_with("/v2/") => registry(&head),
                ("GET", path) if path.contains("/pods?") => answer("200 OK", "", pods.as_bytes()),
                ("POST", _) => {
                    writes.lock().unwrap().push(format!("{}: {}", text("/reason"), text("/message")));
                    answer("201 Created", "", b"{}")
                }
                ("PUT", _) => {
                    writes.lock().unwrap().push(text("/spec/template/spec/containers/0/image"));
                    answer("200 OK", "", b"{}")
                }
                ("DELETE", path) => {
                    writes.lock().unwrap().push(format!("deleted: {}", path.rsplit('/').next().unwrap()));
                    answer("200 OK", "", b"{}")
                }
                _ => answer("404 Not Found", "", b"{}"),
            });
        }
    });
    (server, written)
}

fn updater(server: &Server, outside: Outside, mounted: Mounted, trust: Trust) -> Updater {
    let endpoint: ForgivenEndpoint = format!("localhost:{}/v1", server.port).parse().unwrap();
    let cluster = Cluster {
        server: format!("https://localhost:{}", server.port),
        authorities: vec![Certificate::from_pem(&lab().authority).unwrap()],
        identity: Identity::Token("t".into()),
    };
    let settings = Settings {
        name: "agent".into(),
        namespace: "teleport".into(),
        container: "teleport".into(),
        repository: repository(server).parse().unwrap(),
        source: Source { proxy: None, server: Some((endpoint.endpoint, Transport::Tls)) },
        pull: Pull::WithDockers,
        trust: TrustIn::Teleport,
        downgrades: Downgrades::WithinMajor,
        metrics: None,
        health: None,
        period: Duration::from_secs(60),
        volume: Volume::Error,
        kubeconfig: None,
    };
    Updater {
        api: Api::new(cluster, "teleport"),
        settings,
        outside,
        mounted,
        trust,
        voice: Voice::new(Volume::Error, "teleport", "agent"),
        figures: Figures::default(),
        verified: Verified::default(),
        told: None,
        ended: BTreeMap::new(),
        wait: Duration::from_secs(1),
        is_well: false,
    }
}

fn repository(server: &Server) -> String {
    format!("localhost:{}/teleport", server.port)
}

fn looked(updater: &mut Updater) -> Result<(), String> {
    looked_at(updater, json!({}))
}

fn looked_at(updater: &mut Updater, status: Value) -> Result<(), String> {
    let object = json!({
        "status": status,
        "metadata": {"name": "agent", "uid": "u", "resourceVersion": "1"},
        "spec": {"selector": {"matchLabels": {"app": "agent"}}, "template": {"spec": {"containers": [{"name": "teleport", "image": "x:16.1.7"}]}}},
    });
    updater.reconcile(&Workload::new(Kind::StatefulSet, object), soon()).map(drop).map_err(|trouble| format!("{trouble:?}"))
}

/// A directory of this process that does not last.
fn directory(name: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("teleport-kube-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

#[test]
fn credentials_are_read_anew_for_each_image_from_a_mounted_secret_too() {
    let shown = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&shown);
    let (server, written) = world(move |head| {
        let authorization = head.lines().find_map(|line| line.strip_prefix("authorization: "));
        let Some(authorization) = authorization else {
            return answer("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", b"");
        };
        seen.lock().unwrap().push(authorization.to_owned());
        answer("200 OK", "", MANIFEST)
    });
    let directory = directory("mounted");
    let mounted = Mounted::at(directory.clone());
    let mut updater = updater(&server, outside(), mounted.clone(), Trust::Registry);
    for (file, pair) in [(".dockerconfigjson", "YTpi"), (".dockerconfigjson", "YTpj"), ("config.json", "YTpk")] {
        let text = format!(r#"{{"auths":{{"localhost:{}":{{"auth":"{pair}"}}}}}}"#, server.port);
        std::fs::write(directory.join(file), text).unwrap();
        looked(&mut updater).unwrap();
    }
    assert_eq!(*shown.lock().unwrap(), ["Basic YTpi", "Basic YTpj", "Basic YTpk"]);
    let image = format!("{}:16.2.0@{}", repository(&server), Digest::of(MANIFEST));
    assert_eq!(written.lock().unwrap().iter().filter(|written| **written == image).count(), 3);

    std::fs::remove_dir_all(&directory).unwrap();
    let gone = mounted.credentials().unwrap_err();
    assert_eq!(gone.what, format!("there is neither config.json nor .dockerconfigjson in {}", directory.display()));
    assert_eq!(gone.class.exit() as u8, 78);
    let error = looked(&mut updater).unwrap_err();
    assert!(error.contains("there is neither config.json nor .dockerconfigjson in "), "{error}");
}

/// What is written when a registry answers so; with these proxy variables.
fn refused(proxy: Option<String>, registry: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> (String, Vec<String>) {
    let (server, written) = world(registry);
    let mut updater = updater(&server, outside_through(proxy.clone()), Mounted::of(Pull::Anonymously), Trust::Registry);
    if proxy.is_some() {
        // A proxy is never asked for localhost.
        updater.settings.repository = format!("version.test:{}/teleport", server.port).parse().unwrap();
    }
    let error = looked(&mut updater).unwrap_err();
    // Nothing new: nothing is told again.
    assert_eq!(looked(&mut updater).unwrap_err(), error);
    let told = written.lock().unwrap().iter().map(|event| event.replace(&server.port.to_string(), "PORT")).collect();
    (error, told)
}

#[test]
fn an_image_is_refused_in_an_event_only_for_what_it_is_itself_and_everything_else_has_failed() {
    let (_, told) = refused(None, |_| answer("404 Not Found", "", b"{}"));
    assert_eq!(told, ["ImageRefused: there is no image localhost:PORT/teleport:16.2.0"]);
    let (_, told) = refused(None, |_| answer("200 OK", "", b"<html>"));
    let manifest = "https://localhost:PORT/v2/teleport/manifests/16.2.0";
    assert_eq!(told, [format!("ImageRefused: {manifest} was answered with no manifest of an image")]);

    let (error, told) = refused(None, |_| answer("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", b""));
    let failed =
        |told: &[String], words: &str| matches!(told, [event] if event.starts_with("UpdateFailed: ") && event.contains(words));
    assert!(error.contains(" wants a name and password") && failed(&told, " wants a name and password"), "{error} {told:?}");
    let (error, told) = refused(None, |_| answer("503 Service Unavailable", "", b""));
    assert!(error.contains("HTTP status 503") && failed(&told, "HTTP status 503"), "{error} {told:?}");
    let (error, told) = refused(Some("ftp://proxy.test".into()), |_| answer("200 OK", "", MANIFEST));
    let words = "https_proxy does not hold the address of an HTTP proxy";
    assert!(error.contains(words) && failed(&told, words), "{error} {told:?}");
}

/// A load balancer that finds no proxy says nothing of versions.
#[test]
fn a_proxy_that_is_not_found_is_not_replaced_by_the_version_server() {
    let (server, written) = world(|_| answer("200 OK", "", MANIFEST));
    let mut updater = updater(&server, outside(), Mounted::of(Pull::Anonymously), Trust::Registry);
    updater.settings.source.proxy = Some((format!("localhost:{}", server.port), "stable/cloud".into()));
    let error = looked(&mut updater).unwrap_err();
    let address = format!("https://localhost:{}/webapi/find?group=stable%2Fcloud answered with the HTTP status 404", server.port);
    assert!(error.contains(&address), "{error}");
    assert_eq!(*written.lock().unwrap(), [format!("VersionUnknown: {address}")]);
}

/// Its next version is not in the mirror yet; what an administrator has changed comes all the same.
#[test]
fn a_roll_out_that_is_stuck_is_let_go_on_although_the_next_version_is_refused() {
    let pods = r#"{"items":[{"metadata":{"name":"agent-0","uid":"u","labels":{"controller-revision-hash":"old"}},
        "status":{"conditions":[{"type":"Ready","status":"False","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}]}"#;
    let (server, written) = world_with(pods, |_| answer("404 Not Found", "", b"{}"));
    let mut updater = updater(&server, outside(), Mounted::of(Pull::Anonymously), Trust::Registry);
    let error = looked_at(&mut updater, json!({"updateRevision": "new"})).unwrap_err();
    assert!(error.contains("there is no image"), "{error}");
    assert!(written.lock().unwrap().contains(&"deleted: agent-0".to_owned()), "{written:?}");
}

#[test]
fn an_update_to_an_image_that_nobody_has_signed_says_so_in_its_event() {
    for (trust, end) in
        [(Trust::Registry, "; its image is NOT verified"), (Trust::Nobody, "; its image is neither resolved nor verified")]
    {
        let (server, written) = world(|_| answer("200 OK", "", MANIFEST));
        looked(&mut updater(&server, outside(), Mounted::of(Pull::Anonymously), trust)).unwrap();
        let event = written.lock().unwrap().last().unwrap().clone();
        assert!(event.starts_with("Updated: from 16.1.7 to 16.2.0: ") && event.ends_with(end), "{event}");
    }
}
