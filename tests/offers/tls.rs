//! Real TLS, with certificates made by openssl.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;
use crate::support::server::certificates::{Identity, lab};
use teleport_upgrade::error::Class;

pub(super) fn trusting(authority: &[u8], pause: &'static dyn Fn(Duration)) -> Surroundings<'static> {
    let authorities = Authorities::from_pem(authority.to_vec(), "/etc/ssl/lab.pem").unwrap();
    Surroundings { authorities, ..surroundings(QUICK, pause) }
}

fn answering(identity: &Identity) -> Server {
    Server::tls(identity, |mut peer| {
        while let Some(request) = peer.request() {
            peer.answer(if request.contains("/critical ") { "yes" } else { "v16.2.0" });
        }
    })
}

fn ask(port: u16, authority: &[u8]) -> Result<Answer, Error> {
    // Nothing about a certificate changes within seconds: no test here may see a second attempt.
    let pause: &'static dyn Fn(Duration) = &|_| panic!("asked again");
    VersionServer::new(&endpoint(&format!("localhost:{port}/v1")), Transport::Tls, trusting(authority, pause)).unwrap().version()
}

fn refused(port: u16, authority: &[u8]) -> (Class, String, String) {
    let error = ask(port, authority).unwrap_err();
    let said = |text: String| text.replace(&port.to_string(), "PORT");
    (error.class, said(error.what), said(error.next))
}

const CLOCK: &str = "check the clock of this host (date -u); if it is right, the certificate of the server must be renewed: curl -v https://localhost:PORT/v1/version";

#[test]
fn h30_a_server_of_a_private_authority_is_asked_both_questions_over_one_tls_connection() {
    let server = answering(&lab().good);
    let mut asked = VersionServer::new(
        &endpoint(&format!("localhost:{}/v1", server.port)),
        Transport::Tls,
        trusting(&lab().authority, &|_| ()),
    )
    .unwrap();
    assert_eq!(in_words(asked.version(), server.port, target), "16.2.0");
    assert_eq!(asked.critical(), Ok(true));
    assert_eq!((server.accepted(), server.asked().len()), (1, 2));
}

#[test]
fn h30_an_unknown_authority_is_refused_and_the_error_says_where_to_add_it() {
    let server = answering(&lab().good);
    let (class, what, next) = refused(server.port, &lab().stranger);
    assert_eq!(class, Class::Network);
    assert_eq!(
        what,
        "cannot fetch https://localhost:PORT/v1/version: no authority in /etc/ssl/lab.pem vouches for its certificate"
    );
    assert_eq!(
        next,
        "if the server has a private authority, add that to the host's bundle (update-ca-certificates, update-ca-trust) or name its file in \
         SSL_CERT_FILE; a login page of the network or an inspecting proxy looks the same: curl -v https://localhost:PORT/v1/version"
    );
    assert!(server.asked().is_empty(), "something was sent to a server that nobody vouches for");
    let pause: &'static dyn Fn(Duration) = &|_| panic!("asked again");
    let mut asked =
        VersionServer::new(&endpoint(&format!("localhost:{}", server.port)), Transport::Tls, surroundings(QUICK, pause)).unwrap();
    assert_eq!(
        in_words(asked.version(), server.port, target),
        "network: cannot fetch https://localhost:PORT/version: no authority in the built-in list vouches for its certificate"
    );
}

#[test]
fn h13_a_certificate_for_another_host_is_refused_and_names_it() {
    let server = answering(&lab().other_host);
    let (class, what, next) = refused(server.port, &lab().authority);
    assert_eq!(
        (class, what.as_str()),
        (Class::Network, r#"cannot fetch https://localhost:PORT/v1/version: its certificate is for "other.test""#)
    );
    assert_eq!(
        next,
        "check the host of its address; a login page of the network looks the same: curl -v https://localhost:PORT/v1/version"
    );
}

#[test]
fn a_certificate_that_openssl_makes_without_more_words_is_said_to_be_an_authoritys() {
    let server = answering(&lab().of_an_authority);
    let (class, what, next) = refused(server.port, &lab().of_an_authority.pem.0);
    assert_eq!(
        (class, what.as_str()),
        (
            Class::Network,
            "cannot fetch https://localhost:PORT/v1/version: its certificate is one of an authority, not of a server"
        )
    );
    assert_eq!(next, "let the server show one with basicConstraints=CA:FALSE: curl -v https://localhost:PORT/v1/version");
}

#[test]
fn h12_an_expired_certificate_points_to_the_clock_too() {
    let server = answering(&lab().expired);
    let (class, what, next) = refused(server.port, &lab().authority);
    let expected = "cannot fetch https://localhost:PORT/v1/version: its certificate expired at Fri 2021-01-01 00:00 UTC, and this host's clock says ";
    assert!(what.starts_with(expected), "{what}");
    assert_eq!((class, next.as_str()), (Class::Network, CLOCK));
}

#[test]
fn h12_a_certificate_from_the_future_is_a_wrong_clock() {
    let server = answering(&lab().not_yet_valid);
    let (class, what, next) = refused(server.port, &lab().authority);
    let expected = "cannot fetch https://localhost:PORT/v1/version: its certificate is valid from Sun 2090-01-01 00:00 UTC, and this host's clock says ";
    assert!(what.starts_with(expected), "{what}");
    assert_eq!((class, next.as_str()), (Class::Clock, CLOCK));
}

#[test]
fn a_server_that_speaks_no_tls_is_told_apart() {
    let server = Server::plain(|mut peer| {
        peer.send("HTTP/1.1 400 Bad Request\r\n\r\n");
        peer.wait_for_the_client();
    });
    let (class, what, _) = refused(server.port, &lab().authority);
    assert_eq!(
        (class, what.as_str()),
        (Class::Network, "cannot fetch https://localhost:PORT/v1/version: what answers there does not speak TLS")
    );
}

#[test]
fn h36_a_handshake_that_never_comes_ends_within_the_limit() {
    let server = Server::plain(|mut peer| peer.wait_for_the_client());
    let limits = Surroundings { limits: HURRIED, ..trusting(&lab().authority, &|_| ()) };
    let begun = Instant::now();
    let mut asked = VersionServer::new(&endpoint(&format!("localhost:{}", server.port)), Transport::Tls, limits).unwrap();
    let said = in_words(asked.version(), server.port, target);
    assert!(said.starts_with("network: cannot fetch https://localhost:PORT/version: no"), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[test]
#[allow(clippy::disallowed_methods, reason = "only openssl still has a server for TLS 1.1")]
fn a_server_that_is_stuck_at_tls_1_1_is_refused_with_that_sentence() {
    let (directory, good) = (std::env::temp_dir(), &lab().good);
    let file = |name: &str| directory.join(format!("teleport-upgrade-tls-{}.{name}", std::process::id()));
    std::fs::write(file("pem"), &good.pem.0).unwrap();
    std::fs::write(file("key"), &good.pem.1).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = Command::new("openssl");
    command.args(["s_server", "-quiet", "-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0", "-accept", &format!("127.0.0.1:{port}")]);
    command.args(["-cert".into(), file("pem"), "-key".into(), file("key")]);
    let mut server = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let listens = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    let up = (0..100).any(|_| {
        listens() || {
            std::thread::sleep(Duration::from_millis(20));
            false
        }
    });
    let said = ask(port, &lab().authority);
    let _ = server.kill();
    let _ = server.wait();
    let _ = (std::fs::remove_file(file("pem")), std::fs::remove_file(file("key")));
    assert!(up, "openssl s_server -tls1_1 did not start");
    let said = said.unwrap_err();
    assert_eq!(
        said.what.replace(&port.to_string(), "PORT"),
        "cannot fetch https://localhost:PORT/v1/version: no common TLS of version 1.2 or newer (received fatal alert: ProtocolVersion)"
    );
}
