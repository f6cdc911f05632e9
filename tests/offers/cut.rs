//! The network is cut at each byte of the two answers: what has not come whole is no version and no critical flag.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::tls::trusting;
use super::*;
use crate::support::server::certificates::lab;

/// Cut off it is another sound version: 16.2.1.
const VERSION: &str = "16.2.10";

/// One body in each framing that has an end of its own.
fn framings(body: &str) -> [Vec<u8>; 4] {
    let (first, rest) = body.split_at(1);
    [
        ok(body),
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}\n", body.len() + 1).into_bytes(),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{first}\r\n{:x}\r\n{rest}\r\n0\r\n\r\n", rest.len())
            .into_bytes(),
        format!("HTTP/1.0 200 OK\r\n\r\n{body}\n").into_bytes(),
    ]
}

/// What comes of an answer that is cut, if that can be said: nothing follows the last chunk but an empty line, which nobody needs.
fn expected<T>(answer: &[u8], cut: usize, whole: T) -> Option<Option<T>> {
    match answer.len() - cut {
        0 => Some(Some(whole)),
        1..=2 if answer.ends_with(b"\r\n0\r\n\r\n") => None,
        _ => Some(None),
    }
}

fn ask_both(asked: &mut VersionServer) -> (Option<String>, Option<bool>) {
    let version = asked.version().ok().map(target);
    let critical = version.as_ref().and_then(|_| asked.critical().ok());
    (version, critical)
}

#[test]
fn h13_an_answer_that_is_cut_at_any_byte_is_none() {
    for (version, critical) in framings(VERSION).into_iter().zip(framings("yes")) {
        let whole = version.len() + critical.len();
        for cut in 0..=whole {
            let (version, critical) = (version.clone(), critical.clone());
            let (in_version, in_critical) = (cut.min(version.len()), cut.saturating_sub(version.len()));
            let expected = (expected(&version, in_version, VERSION.to_owned()), expected(&critical, in_critical, true));
            let server = Server::plain(move |mut peer| {
                while let Some(request) = peer.request() {
                    let (answer, sent) =
                        if request.contains("/critical ") { (&critical, in_critical) } else { (&version, in_version) };
                    if !peer.send(&answer[..sent]) || sent < answer.len() || answer.starts_with(b"HTTP/1.0") {
                        break;
                    }
                }
            });
            let endpoint = endpoint(&format!("127.0.0.1:{}/v1", server.port));
            let mut asked = VersionServer::new(&endpoint, Transport::PlainLocal, surroundings(QUICK, &|_| ())).unwrap();
            let said = ask_both(&mut asked);
            assert!(said.0.is_none() || said.0.as_deref() == Some(VERSION), "{said:?}");
            let is_as_expected =
                expected.0.is_none_or(|version| version == said.0) && expected.1.is_none_or(|critical| critical == said.1);
            assert!(is_as_expected, "cut after {cut} of {whole} bytes: {said:?}");
        }
    }
}

/// Passes at most so many bytes of what the server says, in each connection, and counts them.
fn cutting(mut peer_side: TcpStream, port: u16, most: usize, passed: &AtomicUsize) {
    let mut there = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (mut from, mut to) = (peer_side.try_clone().unwrap(), there.try_clone().unwrap());
    let upwards = std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    let (mut left, mut bytes) = (most, [0; 4096]);
    while left > 0 {
        let some = (&mut there).take(left.min(bytes.len()) as u64).read(&mut bytes);
        let Some(some) = some.ok().and_then(|count| bytes.get(..count)).filter(|some| !some.is_empty()) else { break };
        left -= some.len();
        // Counted first: the client goes on as soon as it has them.
        passed.store(most - left, Ordering::SeqCst);
        if peer_side.write_all(some).is_err() {
            break;
        }
    }
    let _ = peer_side.shutdown(Shutdown::Both);
    let _ = there.shutdown(Shutdown::Both);
    let _ = upwards.join();
}

#[test]
fn h13_a_tls_connection_that_is_cut_at_any_byte_of_the_answers_gives_no_part_of_one() {
    let answers: [Vec<u8>; 2] = [ok(VERSION), ok("yes")];
    let server = Server::tls(&lab().good, move |mut peer| {
        while let Some(request) = peer.request() {
            peer.send(&answers[usize::from(request.contains("/critical "))]);
        }
    });
    let passed = Arc::new(AtomicUsize::new(0));
    let asked_through = |most: usize| {
        let (port, counted, passed) = (server.port, Arc::clone(&passed), Arc::clone(&passed));
        let cutter = Server::plain(move |peer| {
            // Once cut, it stays so: a handshake that resumes the session is shorter.
            let most = if peer.number == 0 { most } else { 0 };
            cutting(peer.into_tcp(), port, most, &passed);
        });
        let endpoint = endpoint(&format!("localhost:{}/v1", cutter.port));
        let mut asked = VersionServer::new(&endpoint, Transport::Tls, trusting(&lab().authority, &|_| ())).unwrap();
        let said = ask_both(&mut asked);
        // Before the client closes, and the server says good-bye.
        (said, counted.load(Ordering::SeqCst))
    };
    let (said, length) = asked_through(usize::MAX);
    assert_eq!(said, (Some(VERSION.to_owned()), Some(true)));
    // Both answers lie in the last 200 bytes: 45 and 41 of them, each with what TLS adds. A signature may be a few bytes shorter each time,
    // and so may be what comes before the answers.
    let cuts = (0..length - 200).step_by(97).chain(length - 200..length - 6);
    let mut seen = [0; 2];
    for cut in cuts {
        let (said, _) = asked_through(cut);
        assert!(said.1.is_none() && said.0.as_ref().is_none_or(|version| version == VERSION), "cut after {cut}: {said:?}");
        seen[usize::from(said.0.is_some())] += 1;
    }
    assert!(seen.iter().all(|count| *count > 40), "{seen:?} of {length} bytes");
}
