//! The client against servers that really behave as the hazards say (H13, H30, H36). Expected sentences are literal; `PORT` stands for the
//! port that the server happened to get.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and waits for its servers"
)]

mod answers;
mod cut;
mod proxies;
mod tls;

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use teleport_upgrade::error::Error;
use teleport_upgrade::offers::authorities::Authorities;
use teleport_upgrade::offers::client::{Answer, Limits, Surroundings, VersionServer};
use teleport_upgrade::offers::proxy::Proxies;
use teleport_upgrade::offers::reply::Offered;
use teleport_upgrade::rules::endpoint::{Endpoint, ForgivenEndpoint};
use teleport_upgrade::rules::policy::Transport;
use teleport_upgrade::rules::reason::Reason;

use crate::support::server::{Server, ok, status};

/// Short enough for a test, long enough for a loaded machine.
const QUICK: Limits =
    Limits { connect: Duration::from_millis(1500), read: Duration::from_millis(500), overall: Duration::from_secs(20) };
/// For servers that never come to an end: no second attempt fits in.
const HURRIED: Limits =
    Limits { connect: Duration::from_millis(700), read: Duration::from_millis(700), overall: Duration::from_millis(900) };

fn endpoint(text: &str) -> Endpoint {
    text.parse::<ForgivenEndpoint>().unwrap().endpoint
}

fn surroundings(limits: Limits, pause: &dyn Fn(Duration)) -> Surroundings<'_> {
    Surroundings { authorities: Authorities::built_in(), proxies: Proxies::default(), user_agent: "test/1", limits, pause }
}

fn in_words<T>(result: Result<T, Error>, port: u16, said: impl FnOnce(T) -> String) -> String {
    match result {
        Ok(answer) => said(answer),
        Err(error) => format!("{}: {}", Reason::from(error.class).code(), error.what.replace(&port.to_string(), "PORT")),
    }
}

fn target(answer: Answer) -> String {
    match answer.offered {
        Offered::NoTarget => "no target".to_owned(),
        Offered::Release(release) => release.to_string(),
    }
}

/// Asks a plain server for the version: what was said, and the pauses that were asked for in seconds.
fn version_from(server: &Server, limits: Limits) -> (String, Vec<u64>) {
    let pauses = RefCell::new(Vec::new());
    let pause = |time: Duration| pauses.borrow_mut().push(time.as_secs());
    let mut asked = VersionServer::new(
        &endpoint(&format!("127.0.0.1:{}/v1", server.port)),
        Transport::PlainLocal,
        surroundings(limits, &pause),
    )
    .unwrap();
    let said = in_words(asked.version(), server.port, target);
    (said, pauses.into_inner())
}

fn version_of(bytes: impl Into<Vec<u8>>) -> String {
    version_from(&Server::sending(bytes), QUICK).0
}

fn answered(what: &str) -> String {
    format!("server: http://127.0.0.1:PORT/v1/version answered {what}")
}

fn unreachable(why: &str) -> String {
    format!("network: cannot fetch http://127.0.0.1:PORT/v1/version: {why}")
}

#[test]
fn both_questions_go_over_one_connection_and_say_who_asks() {
    let server = Server::plain(|mut peer| {
        while let Some(request) = peer.request() {
            assert!(request.contains("\r\nuser-agent: test/1\r\n"), "{request}");
            let body = if request.contains("/critical ") { "yes\n" } else { "v16.2.0" };
            peer.send(format!(
                "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ));
        }
    });
    let pause = |_| panic!("there is nothing to wait for");
    let mut asked = VersionServer::new(
        &endpoint(&format!("localhost:{}/v1/x", server.port)),
        Transport::PlainLocal,
        surroundings(QUICK, &pause),
    )
    .unwrap();
    let answer = asked.version().unwrap();
    assert_eq!(answer.server_time.map(|moment| moment.unix()), Some(784_111_777));
    assert_eq!(target(answer), "16.2.0");
    assert!(asked.critical().unwrap());
    assert_eq!(server.asked(), ["GET /v1/x/version HTTP/1.1", "GET /v1/x/critical HTTP/1.1"]);
    assert_eq!(server.accepted(), 1);
}

#[test]
fn plain_http_is_refused_to_every_host_but_this_one() {
    for host in ["version.test", "127.0.0.2:80", "localhost.example.com"] {
        let refused =
            VersionServer::new(&endpoint(host), Transport::PlainLocal, surroundings(QUICK, &|_| ())).map(|_| ()).unwrap_err();
        assert_eq!(refused.what, format!("refusing to run in insecure mode for non-local endpoint {host}."));
        assert_eq!(Reason::from(refused.class).code(), "config");
    }
}

#[test]
fn h13_a_server_or_network_that_comes_back_within_seconds_is_enough() {
    let first = AtomicBool::new(true);
    let busy = Server::plain(move |mut peer| {
        while peer.request().is_some() {
            peer.send(if first.swap(false, Ordering::SeqCst) { status("503 x") } else { ok("16.2.0") });
        }
    });
    assert_eq!(version_from(&busy, QUICK), ("16.2.0".to_owned(), vec![1]));
    let broken = Server::plain(|mut peer| {
        if peer.number < 2 {
            return;
        }
        peer.request();
        peer.answer("16.2.0");
    });
    assert_eq!(version_from(&broken, QUICK), ("16.2.0".to_owned(), vec![1, 3]));
    assert_eq!(broken.accepted(), 3);
}

#[test]
fn h13_no_connection_ends_after_three_attempts_with_try_later_and_blames_nobody() {
    let pauses = RefCell::new(Vec::new());
    let pause = |time: Duration| pauses.borrow_mut().push(time.as_secs());
    // Port 1 of this host is never listened on.
    let mut asked = VersionServer::new(&endpoint("127.0.0.1:1/v1"), Transport::PlainLocal, surroundings(QUICK, &pause)).unwrap();
    let error = asked.version().unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot fetch http://127.0.0.1:1/v1/version: Connection refused (os error 111)\n    next: try it by hand: curl -v http://127.0.0.1:1/v1/version"
    );
    assert_eq!(error.class.exit() as u8, 75);
    assert_eq!(pauses.into_inner(), [1, 3]);

    let mut asked = VersionServer::new(&endpoint("no-such-host.invalid"), Transport::Tls, surroundings(QUICK, &|_| ())).unwrap();
    let error = asked.version().unwrap_err();
    assert!(error.what.starts_with("cannot fetch https://no-such-host.invalid/version: "), "{error}");
    assert_eq!(error.class.exit() as u8, 75);
}

#[test]
fn h13_connections_that_end_early_are_the_network_and_not_the_server() {
    let incomplete = unreachable("the connection was closed before the answer was complete");
    let closing = Server::plain(drop);
    let said = version_from(&closing, QUICK).0;
    // Which of them it is depends on how far the request got.
    let reset = ["Connection reset by peer (os error 104)", "Broken pipe (os error 32)"].map(unreachable);
    assert!(said == incomplete || reset.contains(&said), "{said}");
    let half_closing = Server::plain(|mut peer| {
        peer.request();
        peer.half_close();
    });
    assert_eq!(version_from(&half_closing, QUICK).0, incomplete);
    let resetting = Server::plain(|peer| peer.reset_after(b"HTTP/1.1 200 OK\r\nContent-Le"));
    assert_eq!(version_from(&resetting, QUICK).0, unreachable("Connection reset by peer (os error 104)"));
    let silent = Server::plain(|mut peer| peer.wait_for_the_client());
    assert_eq!(version_from(&silent, QUICK), (unreachable("nothing received for 0.5 s"), vec![1, 3]));
}

#[test]
fn a_connection_that_was_closed_between_the_questions_is_made_again_without_a_pause() {
    let server = Server::plain(|mut peer| {
        peer.request();
        peer.answer(if peer.number == 0 { "16.2.0" } else { "yes" });
    });
    let pause = |_| panic!("there is nothing to wait for");
    let mut asked =
        VersionServer::new(&endpoint(&format!("127.0.0.1:{}", server.port)), Transport::PlainLocal, surroundings(QUICK, &pause))
            .unwrap();
    assert_eq!(in_words(asked.version(), server.port, target), "16.2.0");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(asked.critical(), Ok(true));
    assert_eq!(server.accepted(), 2);
}

#[test]
fn h36_dripping_and_endless_answers_end_within_the_limit() {
    let pause = Duration::from_millis(20);
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n";
    let too_late = unreachable("not done within 0.9 s in all");
    let dripping: [(&str, Server); 4] = [
        (
            "header",
            Server::plain(move |mut peer| {
                peer.request();
                peer.drip("HTTP/1.1 200 OK\r\n".bytes().chain(std::iter::repeat(b'x')), pause);
            }),
        ),
        (
            "body",
            Server::plain(move |mut peer| {
                peer.request();
                peer.drip(head.bytes().chain(std::iter::repeat_n(b'x', 200)), pause);
            }),
        ),
        (
            "chunk size",
            Server::plain(move |mut peer| {
                peer.request();
                peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                peer.drip(std::iter::repeat(b'0'), pause);
            }),
        ),
        (
            "interim answers",
            Server::plain(move |mut peer| {
                peer.request();
                while peer.send("HTTP/1.1 100 Continue\r\n\r\n") {
                    std::thread::sleep(pause);
                }
            }),
        ),
    ];
    for (what, server) in dripping {
        let begun = Instant::now();
        assert_eq!(version_from(&server, HURRIED).0, too_late, "{what}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{what} took {:?}", begun.elapsed());
    }
}

#[test]
fn h36_floods_are_cut_off_before_they_take_time_or_memory() {
    let flood = |start: &'static str| {
        Server::plain(move |mut peer| {
            peer.request();
            peer.send(start);
            while peer.send([b'x'; 65536]) {}
        })
    };
    let too_long = answered(&format!("more than 256 bytes, beginning with \"{}\"...", "x".repeat(60)));
    let stories = [
        ("HTTP/1.1 200 OK\r\n\r\n", too_long.clone()),
        ("HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n", too_long.clone()),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4000000\r\n", too_long),
        ("HTTP/1.1 200 OK\r\nX: ", answered("with more than 16384 bytes of headers")),
        ("", answered(r#"in no sound HTTP ("http parse fail: invalid HTTP version")"#)),
    ];
    for (start, said) in stories {
        let begun = Instant::now();
        assert_eq!(version_from(&flood(start), HURRIED).0, said, "{start}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{start} took {:?}", begun.elapsed());
    }
    let many = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 6\r\n\r\n16.2.0", "A: b\r\n".repeat(200));
    assert_eq!(version_of(many), answered(r#"in no sound HTTP ("http parse resulted in too many headers")"#));
}

#[test]
fn the_whole_check_has_one_limit_for_both_questions_and_every_attempt() {
    let server = Server::plain(|mut peer| {
        peer.request();
        peer.answer("16.2.0");
        peer.request();
        peer.wait_for_the_client();
    });
    let limits = Limits { read: Duration::from_secs(9), ..HURRIED };
    let begun = Instant::now();
    let pause = |_| panic!("a pause of 1 s does not fit into what is left");
    let mut asked =
        VersionServer::new(&endpoint(&format!("127.0.0.1:{}", server.port)), Transport::PlainLocal, surroundings(limits, &pause))
            .unwrap();
    assert_eq!(in_words(asked.version(), server.port, target), "16.2.0");
    std::thread::sleep(Duration::from_millis(500));
    let critical = in_words(asked.critical(), server.port, |yes| yes.to_string());
    assert_eq!(critical, "network: cannot fetch http://127.0.0.1:PORT/critical: not done within 0.9 s in all");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[test]
fn the_limit_runs_from_the_first_question_and_not_anew_for_each() {
    let server = Server::sending(ok("16.2.0"));
    let pause = |_| panic!("there is no time to ask again");
    let mut asked = VersionServer::new(
        &endpoint(&format!("127.0.0.1:{}", server.port)),
        Transport::PlainLocal,
        surroundings(HURRIED, &pause),
    )
    .unwrap();
    assert_eq!(in_words(asked.version(), server.port, target), "16.2.0");
    std::thread::sleep(HURRIED.overall);
    let critical = in_words(asked.critical(), server.port, |yes| yes.to_string());
    assert_eq!(critical, "network: cannot fetch http://127.0.0.1:PORT/critical: not done within 0.9 s in all");
    assert_eq!(server.asked(), ["GET /version HTTP/1.1"]);
}
