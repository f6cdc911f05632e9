//! Channels that are forwarded: to servers that answer, change their mind, are slow, lie, send elsewhere, or are away.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::support::server::{Server, ok, status};

fn forwarding(name: &str, upstream: &Server, besides: &str) -> Running {
    let forward = format!("{besides}{}", channels(&format!("default: {{ forward_url: http://127.0.0.1:{}/up }}", upstream.port)));
    serving(name, &forward, &[])
}

#[test]
fn a_hundred_questions_at_once_are_one_for_the_other_server() {
    let upstream = Server::plain(|mut peer| {
        while let Some(request) = peer.request() {
            std::thread::sleep(Duration::from_millis(300));
            peer.answer(if request.contains("/critical") { "yes" } else { "v16.2.0\n" });
        }
    });
    let server = forwarding("flood", &upstream, "");
    std::thread::scope(|scope| {
        for n in 0..100 {
            let server = &server;
            scope.spawn(move || {
                let (question, answer) = if n % 2 == 0 { ("x/version", "v16.2.0") } else { ("default/critical", "yes") };
                assert_eq!(server.body(question), answer);
            });
        }
    });
    assert_eq!(upstream.asked(), ["GET /up/version HTTP/1.1", "GET /up/critical HTTP/1.1"]);
}

#[test]
fn what_the_other_server_says_is_read_strictly_and_never_sent_on_as_it_is() {
    let body = Arc::new(Mutex::new(Vec::new()));
    let said = Arc::clone(&body);
    let upstream = Server::plain(move |mut peer| {
        while let Some(request) = peer.request() {
            let answer = if request.contains("/critical") { ok("no") } else { said.lock().unwrap().clone() };
            peer.send(answer);
        }
    });
    for (n, (answer, expected)) in [
        (ok("16.2.0\n"), Some("v16.2.0")),
        (ok("none"), Some("none")),
        (ok("17.1.0"), Some("v16.9.0")),
        (ok("16.2"), None),
        (ok("<html>login</html>"), None),
        (ok("16.2.0 -o X=y"), None),
        (ok(&"9".repeat(5000)), None),
        (ok(""), None),
        (status("404 Not Found"), None),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/elsewhere\r\nContent-Length: 0\r\n\r\n".to_vec(), None),
    ]
    .into_iter()
    .enumerate()
    {
        *body.lock().unwrap() = answer;
        let server = forwarding(&format!("strict-{n}"), &upstream, "cluster_version: 16.9.0\n");
        match expected {
            Some(version) => assert_eq!(server.asked("default/version"), ("200 OK".into(), version.into())),
            None => {
                assert_eq!(server.asked("default/version").0, "502 Bad Gateway");
                assert!(server.line().contains("/up gives no answer, and there is none to serve instead: "));
                // The failure itself is not asked for again at once.
                let asked = upstream.asked().len();
                assert_eq!(server.asked("default/critical").0, "502 Bad Gateway");
                assert_eq!(upstream.asked().len(), asked);
            }
        }
    }
}

#[test]
fn a_slow_server_is_given_up_and_holds_up_nobody_who_asks_for_another_channel() {
    let upstream = Server::plain(|mut peer| {
        peer.request();
        peer.drip(
            b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n16.2.0".iter().copied().chain(std::iter::repeat(b'x')),
            Duration::from_secs(1),
        );
    });
    let slow = format!("slow: {{ forward_url: http://127.0.0.1:{}/up }}\ndefault: {{ static_version: 16.2.0 }}", upstream.port);
    let server = serving("slow", &channels(&slow), &[]);
    let began = std::time::Instant::now();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| server.asked("slow/version").0);
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(server.body("default/version"), "v16.2.0");
        assert!(began.elapsed() < Duration::from_secs(5));
        assert_eq!(waiting.join().unwrap(), "502 Bad Gateway");
    });
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

#[test]
fn a_reload_keeps_what_other_servers_have_said() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let upstream = Server::plain(move |mut peer| {
        while let Some(request) = peer.request() {
            counted.fetch_add(1, Ordering::SeqCst);
            peer.answer(if request.contains("/critical") { "no" } else { "16.2.0" });
        }
    });
    let server = forwarding("kept", &upstream, "");
    assert_eq!(server.body("default/version"), "v16.2.0");
    let forward = format!("forward_url: http://127.0.0.1:{}/up", upstream.port);
    server.reload(&channels(&format!("default: {{ {forward}, halt: true }}")));
    assert_eq!(server.body("default/version"), "none");
    server.reload(&channels(&format!("default: {{ {forward} }}")));
    assert_eq!(server.body("default/version"), "v16.2.0");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

/// A mirror has the file `version`, and nothing else.
#[test]
fn a_server_that_has_no_answer_on_urgency_has_nothing_urgent() {
    let upstream = Server::plain(|mut peer| {
        while let Some(request) = peer.request() {
            peer.send(if request.contains("/critical") { status("404 Not Found") } else { ok("16.2.0") });
        }
    });
    let server = forwarding("mirror", &upstream, "");
    assert_eq!((server.body("default/version"), server.body("default/critical")), ("v16.2.0".into(), "no".into()));
}

#[test]
fn how_long_an_old_answer_is_served_is_configured_and_said() {
    let upstream = Server::plain(|mut peer| drop(peer.request()));
    let server = forwarding("no-stale", &upstream, "serve_stale_hours: 0\n");
    assert_eq!(server.asked("default/version").0, "502 Bad Gateway");
    assert!(server.line().contains(" gives no answer, and there is none to serve instead: "));
}

#[test]
fn a_server_that_hangs_keeps_a_quarter_of_the_connections_and_everything_else_is_answered_at_once() {
    let upstream = Server::plain(|mut peer| {
        peer.request();
        std::thread::sleep(Duration::from_secs(30));
    });
    let up = format!("forward_url: http://127.0.0.1:{}/up", upstream.port);
    let lines = format!("default: {{ static_version: 16.2.0 }}\nup: {{ {up} }}\nstopped: {{ {up}, halt: true }}");
    let server = serving("hang", &channels(&lines), &["--connections", "8"]);
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..2).map(|_| scope.spawn(|| server.asked("up/version").0)).collect();
        std::thread::sleep(Duration::from_millis(500));
        let began = std::time::Instant::now();
        for _ in 0..20 {
            assert_eq!(server.asked("up/version").0, "502 Bad Gateway");
            assert_eq!(server.asked("default/version"), ("200 OK".into(), "v16.2.0".into()));
            assert_eq!(server.asked("stopped/version"), ("200 OK".into(), "none".into()));
            assert!(server.sent("GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").ends_with("\r\n\r\nok\n"));
        }
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
        assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
        assert_eq!(waiting.into_iter().map(|waiting| waiting.join().unwrap()).collect::<Vec<_>>(), ["502 Bad Gateway"; 2]);
    });
}
