//! How often the program asks when something is wrong: seldom, and less and less; and that it goes on. The program itself, before an API
//! server and a version server that count.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::answer;
use crate::support::server::certificates::lab;
use crate::support::server::{Peer, Server};

/// An agent on 16.1.7 with one pod that is well.
fn list() -> Vec<u8> {
    let agent = json!({"metadata": {"name": "agent", "uid": "u", "resourceVersion": "7"},
        "spec": {"selector": {"matchLabels": {"app": "agent"}}, "template": {"spec": {"containers": [{"name": "teleport", "image": "r.test/t:16.1.7"}]}}}});
    json!({"metadata": {"resourceVersion": "7"}, "items": [agent]}).to_string().into_bytes()
}

/// So many that are well, as large as pods are.
fn pods(count: usize) -> Vec<u8> {
    let ready = json!([{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
    let variables: Vec<_> = (0..100).map(|n| json!({"name": format!("VARIABLE_{n}"), "value": "x".repeat(50)})).collect();
    let pod = |n| json!({"metadata": {"name": format!("agent-{n}"), "uid": "p"}, "spec": {"env": variables}, "status": {"conditions": ready}});
    json!({"items": (0..count).map(pod).collect::<Vec<_>>()}).to_string().into_bytes()
}

/// An API server whose watches are this function's.
fn api(watch: impl Fn(&mut Peer) + Send + Sync + 'static) -> Server {
    api_with(pods(1), watch)
}

fn api_with(pods: Vec<u8>, watch: impl Fn(&mut Peer) + Send + Sync + 'static) -> Server {
    api_that_writes(pods, watch, || answer("404 Not Found", "", b"{}"))
}

fn api_that_writes(
    pods: Vec<u8>,
    watch: impl Fn(&mut Peer) + Send + Sync + 'static,
    put: impl Fn() -> Vec<u8> + Send + Sync + 'static,
) -> Server {
    Server::tls(&lab().good, move |mut peer| {
        let head = peer.request().unwrap_or_default();
        let line = head.lines().next().unwrap_or_default();
        match line {
            _ if line.contains("watch=true") => watch(&mut peer),
            _ if line.contains("/statefulsets?") => drop(peer.send(answer("200 OK", "", &list()))),
            _ if line.contains("/pods?") => drop(peer.send(answer("200 OK", "", &pods))),
            _ if line.starts_with("PUT ") => drop(peer.send(put())),
            _ if line.starts_with("POST ") => drop(peer.send(answer("201 Created", "", b"{}"))),
            _ => drop(peer.send(answer("404 Not Found", "", b"{}"))),
        }
    })
}

/// The program, until it is dropped.
struct Updater(Child);

impl Drop for Updater {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn updater(name: &str, api: &Server, versions: &Server, more: &[&str]) -> Updater {
    let directory = std::env::temp_dir().join(format!("teleport-kube-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("ca.pem"), &lab().authority).unwrap();
    let kubeconfig = format!(
        "clusters: [{{name: c, cluster: {{server: \"https://localhost:{}\", certificate-authority: ca.pem}}}}]\nusers: [{{name: u, user: {{token: t}}}}]\ncontexts: [{{name: x, context: {{cluster: c, user: u}}}}]\ncurrent-context: x\n",
        api.port
    );
    std::fs::write(directory.join("config"), kubeconfig).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_teleport-kube-agent-updater"));
    command.args(["--agent-name=agent", "--agent-namespace=teleport", "--metrics-addr=0", "--healthz-addr=0"]);
    command.arg(format!("--version-server=http://127.0.0.1:{}", versions.port)).arg("--version-channel=default");
    command.arg(format!("--kubeconfig={}", directory.join("config").display())).args(more);
    Updater(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

fn versions(answer: Vec<u8>) -> Server {
    Server::sending(answer)
}

fn asked(server: &Server, words: &str) -> usize {
    server.asked().iter().filter(|line| line.contains(words)).count()
}

/// A watch that tells nothing, for as long as its client stays.
fn silent(peer: &mut Peer) {
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    std::thread::sleep(Duration::from_secs(3600));
}

/// As a real API server ends it.
fn ends_when_asked(peer: &mut Peer) {
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    std::thread::sleep(Duration::from_secs(1));
    peer.send(b"0\r\n\r\n");
}

fn wait_until(what: &str, time: Duration, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < time, "waited {time:?} for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_version_server_that_knows_nothing_is_asked_less_and_less() {
    let (api, versions) = (api(ends_when_asked), versions(answer("404 Not Found", "", b"")));
    let _updater = updater("away", &api, &versions, &[]);
    std::thread::sleep(Duration::from_secs(8));
    // After up to 1, 2 and 4 seconds each, and at least half of that.
    let count = asked(&versions, "/version");
    assert!((3..=5).contains(&count), "{count} times in eight seconds");
}

#[test]
fn watches_that_end_at_once_are_begun_less_and_less() {
    type Watch = fn(&mut Peer);
    let over: Watch = |peer| {
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    };
    let gone: Watch = |peer| {
        peer.send(answer("410 Gone", "", b"{}"));
    };
    let cut: Watch = |peer| {
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    };
    let counts: Vec<usize> = std::thread::scope(|scope| {
        let tried = [("over", over), ("gone", gone), ("cut", cut)].map(|(name, watch)| {
            scope.spawn(move || {
                let (api, versions) = (api(watch), versions(answer("200 OK", "", b"v16.1.7")));
                let _updater = updater(name, &api, &versions, &[]);
                std::thread::sleep(Duration::from_secs(8));
                asked(&api, "watch=true")
            })
        });
        tried.map(|tried| tried.join().unwrap()).to_vec()
    });
    assert!(counts.iter().all(|count| (3..=5).contains(count)), "{counts:?} watches in eight seconds");
}

/// Anything else would wait for half a second at least, and then for a whole one.
#[test]
fn a_conflict_is_looked_at_again_at_once() {
    let writes = AtomicUsize::new(0);
    let api = api_that_writes(pods(1), silent, move || match writes.fetch_add(1, Ordering::SeqCst) {
        0 | 1 => answer("409 Conflict", "", b"{}"),
        _ => answer("200 OK", "", b"{}"),
    });
    let versions = versions(answer("200 OK", "", b"v16.2.0"));
    let _updater = updater("conflict", &api, &versions, &["--insecure-no-resolve-image"]);
    wait_until("its first write", Duration::from_secs(10), || asked(&api, "PUT ") > 0);
    wait_until("its third write", Duration::from_millis(1400), || asked(&api, "PUT ") == 3);
}

#[test]
fn while_nothing_happens_nothing_is_asked() {
    let (api, versions) = (api(silent), versions(answer("200 OK", "", b"v16.1.7")));
    let _updater = updater("idle", &api, &versions, &[]);
    wait_until("its watch", Duration::from_secs(10), || asked(&api, "watch=true") == 1);
    let before = (api.asked().len(), versions.asked().len());
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!((api.asked().len(), versions.asked().len()), before);
    assert!(asked(&api, "timeoutSeconds=1800") == 1, "{:?}", api.asked());
}

/// A server may forget how long a watch was to last; its bookmarks come all the same.
#[test]
fn a_watch_that_does_not_end_by_itself_is_ended() {
    let told = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&told);
    let bookmarks = move |peer: &mut Peer| {
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let line = "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"8\"}}}\n";
        while peer.send(format!("{:x}\r\n{line}\r\n", line.len())) {
            counted.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    let (api, versions) = (api(bookmarks), versions(answer("200 OK", "", b"v16.1.7")));
    let _updater = updater("forever", &api, &versions, &["--sync-period=1s"]);
    wait_until("another watch", Duration::from_secs(30), || asked(&api, "watch=true") == 2);
    assert!(told.load(Ordering::SeqCst) > 10);
}

/// The most that was resident, in KiB.
fn peak(updater: &Updater) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", updater.0.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn hundreds_of_pods_take_hardly_more_memory_than_one() {
    let peaks = [1, 400].map(|count| {
        let (api, versions) = (api_with(pods(count), silent), versions(answer("200 OK", "", b"v16.1.7")));
        let updater = updater(&format!("pods-{count}"), &api, &versions, &[]);
        wait_until("its watch", Duration::from_secs(30), || asked(&api, "watch=true") == 1);
        peak(&updater)
    });
    assert!(peaks[1] < peaks[0] + 1024, "{peaks:?} KiB, for {} KiB of pods", pods(400).len() / 1024);
}

#[test]
fn it_ends_at_once_when_it_is_told_to() {
    let (api, versions) = (api(silent), versions(answer("200 OK", "", b"v16.1.7")));
    let mut updater = updater("ends", &api, &versions, &[]);
    wait_until("its watch", Duration::from_secs(10), || asked(&api, "watch=true") == 1);
    let pid = rustix::process::Pid::from_child(&updater.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let began = Instant::now();
    assert_eq!(updater.0.wait().unwrap().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(1));
}
