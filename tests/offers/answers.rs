//! What is taken for an answer, and what is refused: framing, length, grammar, status, redirects.

use super::*;

#[test]
fn every_framing_of_a_sound_answer_is_read() {
    assert_eq!(version_of(ok("v16.2.0")), "16.2.0");
    assert_eq!(version_of(ok("none\n")), "no target");
    assert_eq!(version_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n16.\r\n3\r\n2.0\r\n0\r\n\r\n"), "16.2.0");
    assert_eq!(version_of("HTTP/1.0 200 OK\r\n\r\n16.2.0\n"), "16.2.0");
    assert_eq!(version_of("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n16.2.0"), "16.2.0");
    assert_eq!(
        version_of("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n16.2.0"),
        "16.2.0"
    );
}

#[test]
fn h36_an_answer_that_may_have_been_cut_short_is_never_a_version() {
    let cut = "network: http://127.0.0.1:PORT/v1/version answered without a length and without a line end, so that it may be incomplete";
    assert_eq!(version_of("HTTP/1.1 200 OK\r\n\r\n16.2.1"), cut);
    assert_eq!(version_of("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n16.2.1"), cut);
    let reset = Server::plain(|peer| peer.reset_after(b"HTTP/1.1 200 OK\r\n\r\n16.2.1"));
    assert_eq!(version_from(&reset, QUICK).0, cut);
    let incomplete = unreachable("the connection was closed before the answer was complete");
    for bytes in [
        "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n16.2.1",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n16.2.1\r\n",
    ] {
        let server = Server::plain(move |mut peer| {
            peer.request();
            peer.send(bytes);
        });
        assert_eq!(version_from(&server, QUICK), (incomplete.clone(), vec![1, 3]), "{bytes}");
    }
}

#[test]
fn h36_hostile_bodies_are_refused_and_quoted_safely() {
    let not_a_version = |quoted: &str| answered(&format!("{quoted}, which is not a version such as 16.2.0"));
    assert_eq!(version_of(ok("16.2.0 -o X=y")), not_a_version(r#""16.2.0 -o X=y""#));
    assert_eq!(version_of(ok("../16.2.0")), not_a_version(r#""../16.2.0""#));
    assert_eq!(version_of(ok("16.2.0\0")), not_a_version(r#""16.2.0\x00""#));
    assert_eq!(version_of(ok("\u{661}6.2.0")), not_a_version(r#""\xd9\xa16.2.0""#));
    assert_eq!(version_of(ok("")), answered("with nothing where a version should be"));
    assert_eq!(version_of(ok(&"x".repeat(256))), not_a_version(&format!("\"{}\"...", "x".repeat(60))));
    let too_long = answered(&format!("more than 256 bytes, beginning with \"{}\"...", "x".repeat(60)));
    assert_eq!(version_of(ok(&"x".repeat(257))), too_long);
    assert_eq!(version_of(format!("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n{}", "x".repeat(4096))), too_long);
    let gzip = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\u{1f}x\n";
    assert_eq!(version_of(gzip), not_a_version(r#""\x1fx\n""#));
}

#[test]
fn h36_a_wrong_length_gives_no_other_version_and_no_answer_to_the_next_question() {
    assert_eq!(
        version_of("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n16.2.0"),
        answered(r#""16.2", which is not a version such as 16.2.0"#)
    );
    let conflicting = answered(r#"in no sound HTTP ("conflicting content-length headers")"#);
    assert_eq!(version_of("HTTP/1.1 200 OK\r\nContent-Length: 6\r\nContent-Length: 4\r\n\r\n16.2.0"), conflicting);
    // A second answer behind the first must not be taken for the one to `critical`.
    let server = Server::plain(|mut peer| {
        while let Some(request) = peer.request() {
            let smuggled = [ok("16.2.0"), ok("yes")].concat();
            peer.send(if request.contains("/critical ") { ok("no") } else { smuggled });
        }
    });
    let mut asked =
        VersionServer::new(&endpoint(&format!("127.0.0.1:{}", server.port)), Transport::PlainLocal, surroundings(QUICK, &|_| ()))
            .unwrap();
    assert_eq!(in_words(asked.version(), server.port, target), "16.2.0");
    assert_eq!(asked.critical(), Ok(false));
    assert_eq!(server.accepted(), 2);
}

#[test]
fn h13_a_portal_page_is_never_a_version_and_the_error_says_what_it_may_be() {
    let server = Server::sending(ok("<html><body>Welcome to our hotel! 16.2.0</body></html>"));
    let mut asked = VersionServer::new(
        &endpoint(&format!("127.0.0.1:{}/v1", server.port)),
        Transport::PlainLocal,
        surroundings(QUICK, &|_| ()),
    )
    .unwrap();
    let error = asked.version().unwrap_err();
    assert_eq!(
        error.next.replace(&server.port.to_string(), "PORT"),
        "a web page answers: check the path of its address, and that no login page of the network is in between; \
         look at the answer: curl -v http://127.0.0.1:PORT/v1/version"
    );
    assert_eq!(asked.critical(), Ok(false));
}

#[test]
fn only_status_200_counts_and_only_what_may_pass_is_asked_again() {
    for (line, class) in [
        ("204 No Content", "server"),
        ("206 Partial Content", "server"),
        ("404 Not Found", "server"),
        ("403 x", "server"),
        ("304 x", "server"),
    ] {
        let number = line.get(..3).unwrap();
        let sent = status(line);
        let said = format!("{class}: http://127.0.0.1:PORT/v1/version answered with the HTTP status {number} instead of 200");
        assert_eq!(version_from(&Server::sending(sent), QUICK), (said, vec![]), "{line}");
    }
    for line in ["429 Too Many Requests", "500 x", "503 x"] {
        let number = line.get(..3).unwrap();
        let server = Server::sending(format!("HTTP/1.1 {line}\r\nRetry-After: 86400\r\nContent-Length: 6\r\n\r\n16.2.0"));
        let said = format!("network: http://127.0.0.1:PORT/v1/version answered with the HTTP status {number}");
        assert_eq!(version_from(&server, QUICK), (said, vec![1, 3]), "{line}");
        assert_eq!(server.asked().len(), 3);
    }
    let sent = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-5/9\r\nContent-Length: 6\r\n\r\n16.2.0";
    assert_eq!(version_of(sent), answered("with the HTTP status 206 instead of 200"));
    assert_eq!(version_of("HTTP/1.1 101 Switching Protocols\r\n\r\n"), answered("with the HTTP status 101 instead of 200"));
}

#[test]
fn h36_what_is_not_http_is_refused_without_a_second_attempt() {
    let garbage = Server::sending("v16.2.0\r\n\r\n");
    assert_eq!(
        version_from(&garbage, QUICK),
        (answered(r#"in no sound HTTP ("http parse fail: invalid HTTP version")"#), vec![])
    );
}

/// What it is told to try by hand is pasted by root.
#[test]
fn h36_no_address_that_a_server_has_sent_us_to_does_anything_in_a_shell() {
    let server = Server::plain(|mut peer| {
        while let Some(request) = peer.request() {
            let moved = "HTTP/1.1 302 Found\r\nLocation: /$(id);id|id\r\nContent-Length: 0\r\n\r\n";
            let none = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
            peer.send(if request.starts_with("GET /v1/version ") { moved } else { none });
        }
    });
    let endpoint = endpoint(&format!("127.0.0.1:{}/v1", server.port));
    let mut asked = VersionServer::new(&endpoint, Transport::PlainLocal, surroundings(QUICK, &|_| {})).unwrap();
    let next = asked.version().unwrap_err().next;
    assert_eq!(next, format!("look at the answer: curl -v 'http://127.0.0.1:{}/$(id);id|id'", server.port));
}

#[test]
fn h36_redirects_stay_within_the_server_and_come_to_an_end() {
    let to = |location: &str| format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
    let looping = Server::sending(to("/v1/version"));
    assert_eq!(version_from(&looping, QUICK), (answered("with more than 3 redirects in a row"), vec![]));
    assert_eq!((looping.asked().len(), looping.accepted()), (4, 1));

    let moved = Server::plain(move |mut peer| {
        while let Some(request) = peer.request() {
            peer.send(if request.starts_with("GET /v1/version ") { to("../v2/version").into_bytes() } else { ok("16.2.0") });
        }
    });
    assert_eq!(version_from(&moved, QUICK).0, "16.2.0");

    let elsewhere = Server::sending(ok("16.2.0"));
    for location in
        [format!("http://localhost:{}/version", elsewhere.port), "https://127.0.0.1/version".into(), "//portal.test/login".into()]
    {
        let server = Server::sending(format!("HTTP/1.1 307 x\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"));
        let refused = answered(&format!("with a redirect to another server, {location:?}"));
        assert_eq!(version_from(&server, QUICK), (refused, vec![]));
    }
    assert_eq!(elsewhere.accepted(), 0);
    assert_eq!(
        version_of("HTTP/1.1 302 x\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"),
        answered(r#"with a redirect to "file:///etc/passwd", which is no address"#)
    );
    assert_eq!(
        version_of("HTTP/1.1 302 x\r\nContent-Length: 0\r\n\r\n"),
        answered(r#"with a redirect to "", which is no address"#)
    );
}
