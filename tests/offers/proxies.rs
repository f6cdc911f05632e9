//! Through a CONNECT proxy, past it, and what is said when the proxy is the trouble. `version.test` has no address here: only a proxy
//! can lead there.

use super::tls::trusting;
use super::*;
use crate::support::server::certificates::lab;

fn answering() -> Server {
    Server::tls(&lab().good, |mut peer| {
        while peer.request().is_some() {
            peer.answer("no");
        }
    })
}

fn through(https: String, none: &str) -> Surroundings<'static> {
    let proxies = Proxies { https: Some(https), all: None, none: Some(none.to_owned()) };
    Surroundings { proxies, ..trusting(&lab().authority, &|_| ()) }
}

fn ask(host: &str, surroundings: Surroundings<'_>) -> Result<Answer, Error> {
    VersionServer::new(&endpoint(host), Transport::Tls, surroundings).unwrap().version()
}

#[test]
fn h30_the_proxy_of_the_environment_opens_one_tunnel_for_both_questions() {
    let server = answering();
    let port = server.port;
    let proxy = Server::plain(move |mut peer| {
        let request = peer.request().unwrap();
        assert!(request.starts_with("CONNECT version.test:443 HTTP/1.1\r\n"), "{request}");
        // user:secret
        assert!(request.contains("\r\nProxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n"), "{request}");
        peer.send("HTTP/1.1 200 Connection established\r\n\r\n");
        peer.tunnel_to(port);
    });
    let surroundings = through(format!("http://user:secret@127.0.0.1:{}", proxy.port), "b.test");
    let mut asked = VersionServer::new(&endpoint("version.test"), Transport::Tls, surroundings).unwrap();
    assert_eq!(asked.critical(), Ok(false));
    assert_eq!(asked.critical(), Ok(false));
    assert_eq!((proxy.accepted(), server.accepted(), server.asked().len()), (1, 1, 2));
}

#[test]
fn h30_no_proxy_and_this_very_host_are_reached_directly() {
    let proxy = Server::sending(status("502 x"));
    let address = format!("http://127.0.0.1:{}", proxy.port);
    let server = Server::sending(ok("16.2.0"));
    let surroundings =
        Surroundings { proxies: Proxies { https: Some(address.clone()), ..Proxies::default() }, ..surroundings(QUICK, &|_| ()) };
    let mut asked =
        VersionServer::new(&endpoint(&format!("127.0.0.1:{}", server.port)), Transport::PlainLocal, surroundings).unwrap();
    assert_eq!(in_words(asked.version(), server.port, target), "16.2.0");
    // Directly, the name has no address.
    let error = ask("version.test", through(address, "b.test,.test")).unwrap_err();
    assert!(error.what.starts_with("cannot fetch https://version.test/version: "), "{error}");
    assert!(!error.to_string().contains("proxy"), "{error}");
    assert_eq!(proxy.accepted(), 0);
}

#[test]
fn h30_a_proxy_that_is_away_is_named_without_its_password() {
    let error = ask("version.test", through("http://user:secret@127.0.0.1:1".into(), "")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot fetch https://version.test/version (through the proxy http://127.0.0.1:1): Connection refused (os error 111)\n    \
         next: try it by hand: curl -v --proxy http://127.0.0.1:1 https://version.test/version"
    );
    assert_eq!(error.class.exit() as u8, 75);
}

#[test]
fn h30_a_proxy_that_opens_no_tunnel_is_named_with_its_answer() {
    let proxy = Server::sending(status("407 Proxy Authentication Required"));
    let error = ask("version.test", through(format!("http://user:secret@127.0.0.1:{}", proxy.port), "")).unwrap_err();
    let said = error.what.replace(&proxy.port.to_string(), "PORT");
    assert_eq!(
        said,
        "cannot fetch https://version.test/version (through the proxy http://127.0.0.1:PORT): \
         the proxy opened no tunnel (proxy server responded 407/407)"
    );
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[test]
fn h36_a_proxy_that_drips_cannot_hold_the_check_longer_than_its_limit() {
    let proxy = Server::plain(|mut peer| {
        peer.request();
        peer.drip("HTTP/1.1 200 OK\r\nX: ".bytes().chain(std::iter::repeat(b'x')), Duration::from_millis(20));
    });
    let begun = Instant::now();
    let surroundings = Surroundings { limits: HURRIED, ..through(format!("http://127.0.0.1:{}", proxy.port), "") };
    let error = ask("version.test", surroundings).unwrap_err();
    assert_eq!(error.class.exit() as u8, 75);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}: {error}", begun.elapsed());
}
