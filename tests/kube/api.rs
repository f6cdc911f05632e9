//! Watches that end in every way, and answers that are none.

use std::time::{Duration, Instant};

use serde_json::json;
use teleport_upgrade::kube::api::{Api, Cluster, Happened, Identity, Trouble};
use teleport_upgrade::kube::outside::Deadline;
use teleport_upgrade::kube::workload::Kind;
use ureq::tls::Certificate;

use super::{answer, soon};
use crate::support::server::Server;
use crate::support::server::certificates::lab;

const SET: Kind = Kind::StatefulSet;

fn api(server: &Server, identity: Identity) -> Api {
    let authorities = vec![Certificate::from_pem(&lab().authority).unwrap()];
    Api::new(Cluster { server: format!("https://localhost:{}", server.port), authorities, identity }, "teleport")
}

/// An API server that gives this answer to everything.
fn saying(bytes: Vec<u8>) -> (Server, Api) {
    let server = Server::tls(&lab().good, move |mut peer| {
        peer.request();
        peer.send(&bytes);
    });
    let api = api(&server, Identity::Token("t".into()));
    (server, api)
}

fn event(kind: &str, version: u32) -> String {
    json!({"type": kind, "object": {"kind": "StatefulSet", "metadata": {"resourceVersion": version.to_string()}}}).to_string()
}

/// What a watch over these lines tells, one after the other, until it ends.
fn watched(lines: &str) -> Vec<String> {
    let body = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{lines}\r\n0\r\n\r\n", lines.len());
    let (_server, api) = saying(body.into_bytes());
    let mut watch = api.watch(SET, "agent", "1", Duration::from_secs(60)).unwrap();
    let mut told = Vec::new();
    loop {
        told.push(match watch.wait() {
            Ok(Happened::Changed(workload)) => format!("changed {}", workload.version()),
            Ok(Happened::Deleted) => "deleted".into(),
            Ok(Happened::Over) => "over".into(),
            Err(Trouble::Expired) => "expired".into(),
            Err(trouble) => format!("{trouble:?}").chars().take(300).collect(),
        });
        if !told.last().unwrap().starts_with("changed") {
            return told;
        }
    }
}

#[test]
fn of_changes_that_come_together_the_last_one_counts_and_a_bookmark_is_none() {
    let lines = |events: &[String]| events.join("\n") + "\n";
    assert_eq!(watched(&lines(&[event("ADDED", 2), event("MODIFIED", 3), event("MODIFIED", 4)])), ["changed 4", "over"]);
    assert_eq!(watched(&lines(&[event("ADDED", 2)])), ["changed 2", "over"]);
    assert_eq!(watched(&lines(&[event("BOOKMARK", 2)])), ["over"]);
    assert_eq!(watched(&lines(&[event("MODIFIED", 2), event("BOOKMARK", 9)])), ["changed 2", "over"]);
    assert_eq!(watched(&lines(&[event("MODIFIED", 2), event("DELETED", 3)])), ["deleted"]);
}

#[test]
fn a_watch_that_is_too_old_is_begun_anew_whichever_way_it_is_said() {
    let gone = json!({"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}).to_string() + "\n";
    assert_eq!(watched(&gone), ["expired"]);
    let (_server, api) = saying(answer("410 Gone", "", br#"{"kind":"Status","code":410,"message":"too old resource version"}"#));
    assert!(matches!(api.watch(SET, "agent", "1", Duration::from_secs(60)), Err(Trouble::Expired)));
}

#[test]
fn a_watch_that_breaks_off_or_says_nonsense_is_an_error_and_no_change() {
    let half = event("MODIFIED", 2);
    for lines in [&half[..40], "<html>\n", "{}\n", "{\"type\":\"ERROR\",\"object\":{\"code\":500}}\n"] {
        let told = watched(lines);
        assert!(told.len() == 1 && told[0].contains("the watch of the API server came to an end"), "{lines}: {told:?}");
    }
}

#[test]
fn what_the_api_server_answers_instead_is_told_apart() {
    let asked = |status: &str, body: &str| {
        let (_server, api) = saying(answer(status, "", body.as_bytes()));
        match api.secret("agent-shared-state", soon()) {
            Ok(secret) => format!("{}", secret.is_some()),
            Err(trouble) => format!("{trouble:?}"),
        }
    };
    assert_eq!(asked("200 OK", "{}"), "true");
    assert_eq!(asked("404 Not Found", "{}"), "false");
    assert_eq!(asked("409 Conflict", "{}"), "Conflict");
    let forbidden = asked("403 Forbidden", r#"{"message":"secrets is forbidden: User \"x\" cannot\u001b[2J get"}"#);
    assert!(forbidden.contains("HTTP status 403: secrets is forbidden: User \\\"x\\\" cannot[2J get"), "{forbidden}");
    assert!(forbidden.contains("kubernetes/role.yaml"), "{forbidden}");
    assert!(asked("200 OK", "<html>").contains("it answered"), "{}", asked("200 OK", "<html>"));
    assert!(asked("302 Found", "").contains("HTTP status 302"));
}

#[test]
fn an_answer_that_never_ends_is_given_up_in_time() {
    let server = Server::tls(&lab().good, |mut peer| {
        peer.request();
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
        while peer.send(b" ") {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let api = api(&server, Identity::Token("t".into()));
    let began = Instant::now();
    assert!(api.pods("app=agent", Deadline::within(Duration::from_secs(1))).is_err());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn the_token_is_read_anew_for_each_request() {
    let file = std::env::temp_dir().join(format!("teleport-kube-token-{}", std::process::id()));
    let (shown, seen) = std::sync::mpsc::channel();
    let shown = std::sync::Mutex::new(shown);
    let server = Server::tls(&lab().good, move |mut peer| {
        let head = peer.request().unwrap();
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization:")).map(str::to_owned);
        shown.lock().unwrap().send(line.unwrap_or_default()).unwrap();
        peer.send(answer("200 OK", "", b"{}"));
    });
    let api = api(&server, Identity::TokenFile(file.clone()));
    for token in ["first", "second"] {
        std::fs::write(&file, format!("{token}\n")).unwrap();
        api.secret("agent-shared-state", soon()).unwrap();
        assert!(seen.recv().unwrap().ends_with(&format!(": Bearer {token}")));
    }
    std::fs::remove_file(&file).unwrap();
    assert!(api.secret("agent-shared-state", soon()).is_err());
}

#[test]
fn an_api_server_that_another_authority_vouches_for_is_told_nothing() {
    let server = Server::tls(&lab().good, |mut peer| {
        peer.request();
    });
    let authorities = vec![Certificate::from_pem(&lab().stranger).unwrap()];
    let server_name = format!("https://localhost:{}", server.port);
    let api = Api::new(Cluster { server: server_name, authorities, identity: Identity::Token("secret".into()) }, "teleport");
    assert!(api.secret("agent-shared-state", soon()).is_err());
    assert!(server.asked().is_empty());
}

#[test]
fn an_api_server_that_cannot_be_asked_is_spoken_of_as_any_other_server() {
    let told = |server: &Server| {
        let api = api(server, Identity::Token("t".into()));
        let Err(Trouble::Failed(error)) = api.workload(SET, "agent", soon()) else { panic!("it was answered") };
        assert!(error.next.starts_with("it is tried again; "), "{}", error.next);
        error.what
    };
    let stranger = Server::tls(&lab().of_an_authority, |mut peer| drop(peer.request()));
    let said = told(&stranger);
    assert!(said.ends_with(": its certificate is one of an authority, not of a server"), "{said}");
    let other = Server::tls(&lab().other_host, |mut peer| drop(peer.request()));
    assert!(told(&other).ends_with(": its certificate is for \"other.test\""), "{}", told(&other));
    let plain = Server::plain(|mut peer| {
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    assert!(told(&plain).ends_with(": what answers there does not speak TLS"), "{}", told(&plain));
    let (ill, _) = saying(answer("500 Internal Server Error", "", b"oops"));
    assert!(told(&ill).ends_with(": HTTP status 500: \"oops\""), "{}", told(&ill));
}
