//! Registries that lie, leave somebody waiting, or lead elsewhere.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::json;
use teleport_upgrade::kube::image::credentials::Credentials;
use teleport_upgrade::kube::image::key::Key;
use teleport_upgrade::kube::image::reference::{Digest, Repository};
use teleport_upgrade::kube::image::registry::Registries;
use teleport_upgrade::kube::image::{Refusal, Trust, Verified, image};
use teleport_upgrade::kube::outside::{Deadline, Outside};

use super::{answer, outside, outside_through, soon};
use crate::support::server::Server;
use crate::support::server::certificates::lab;

/// What a registry answers to the first line of a request, and to what was shown with it.
type Answers = dyn Fn(&str, &str) -> Vec<u8> + Send + Sync;

fn registry(answers: Arc<Answers>) -> Server {
    Server::tls(&lab().good, move |mut peer| {
        while let Some(head) = peer.request() {
            let shown = head.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization:")).unwrap_or_default();
            peer.send(answers(head.lines().next().unwrap(), shown));
        }
    })
}

fn repository(server: &Server) -> Repository {
    format!("localhost:{}/team/teleport", server.port).parse().unwrap()
}

fn what(refusal: Refusal) -> String {
    let (Refusal::OfImage(error) | Refusal::Failed(error)) = refusal;
    error.what
}

fn resolved(server: &Server, credentials: &Credentials, trust: &Trust) -> Result<String, String> {
    let outside = outside();
    let mut registries = Registries::new(&outside, credentials);
    let release = "16.2.0".parse().unwrap();
    let image = image(&mut registries, &repository(server), &release, trust, &mut Verified::default(), soon());
    image.map(|image| image.to_string()).map_err(what)
}

pub(super) const MANIFEST: &[u8] = br#"{"schemaVersion":2,"config":{},"layers":[]}"#;
const NOBODY: fn() -> Credentials = Credentials::default;

#[test]
fn a_digest_is_computed_and_a_registry_that_names_another_one_is_refused() {
    let naming = |named: Digest| {
        let named = format!("Docker-Content-Digest: {named}\r\n");
        registry(Arc::new(move |_, _| answer("200 OK", &named, MANIFEST)))
    };
    let server = naming(Digest::of(MANIFEST));
    let expected = format!("localhost:{}/team/teleport:16.2.0@{}", server.port, Digest::of(MANIFEST));
    assert_eq!(resolved(&server, &NOBODY(), &Trust::Registry), Ok(expected));
    assert_eq!(server.asked(), ["GET /v2/team/teleport/manifests/16.2.0 HTTP/1.1"]);
    let error = resolved(&naming(Digest::of(b"another")), &NOBODY(), &Trust::Registry).unwrap_err();
    assert!(error.ends_with("was answered with other bytes than those of the digest that it names"), "{error}");
}

#[test]
fn a_page_that_is_no_manifest_is_not_pinned() {
    let server = registry(Arc::new(|_, _| answer("200 OK", "", b"<html>Log in</html>")));
    let error = resolved(&server, &NOBODY(), &Trust::Registry).unwrap_err();
    assert!(error.ends_with("/v2/team/teleport/manifests/16.2.0 was answered with no manifest of an image"), "{error}");
}

#[test]
fn without_resolving_no_registry_is_asked() {
    let server = registry(Arc::new(|_, _| answer("200 OK", "", MANIFEST)));
    assert_eq!(resolved(&server, &NOBODY(), &Trust::Nobody), Ok(format!("localhost:{}/team/teleport:16.2.0", server.port)));
    assert_eq!(server.accepted(), 0);
}

/// Storage to which blobs are redirected is not the registry: it gets no token, and what it gives is known by its digest.
#[test]
fn a_blob_is_fetched_from_elsewhere_without_credentials_and_known_by_its_digest() {
    let shown = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&shown);
    let storage = registry(Arc::new(move |_, authorization| {
        seen.lock().unwrap().push(authorization.to_owned());
        answer("200 OK", "", b"payload")
    }));
    let to = format!("Location: https://localhost:{}/storage?signed=1\r\n", storage.port);
    let server = registry(Arc::new(move |line, authorization| match (line.contains("/blobs/"), authorization.is_empty()) {
        (_, true) => answer("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", b""),
        (true, false) => answer("307 Temporary Redirect", &to, b""),
        (false, false) => answer("404 Not Found", "", b"{}"),
    }));
    let credentials = format!(r#"{{"auths":{{"localhost:{}":{{"auth":"YTpi"}}}}}}"#, server.port);
    let credentials = Credentials::parse(credentials.as_bytes()).unwrap();
    let outside = outside();
    let mut registries = Registries::new(&outside, &credentials);
    let repository = repository(&server);
    assert_eq!(registries.blob(&repository, &Digest::of(b"payload"), 100, soon()).unwrap(), b"payload");
    assert_eq!(*shown.lock().unwrap(), [""]);
    let other = registries.blob(&repository, &Digest::of(b"other"), 100, soon()).unwrap_err();
    assert!(other.what.ends_with("was answered with other bytes than those of its digest"), "{}", other.what);
    let large = registries.blob(&repository, &Digest::of(b"payload"), 6, soon()).unwrap_err();
    assert!(large.what.ends_with(" answered with more than 6 bytes"), "{}", large.what);
    assert!(registries.manifest(&repository, "1.2.3", soon()).unwrap().is_none());
}

#[test]
fn a_redirect_that_gives_up_tls_is_not_followed() {
    let server = registry(Arc::new(|_, _| answer("307 Temporary Redirect", "Location: http://localhost/x\r\n", b"")));
    let outside = outside();
    let credentials = NOBODY();
    let mut registries = Registries::new(&outside, &credentials);
    let error = registries.blob(&repository(&server), &Digest::of(b""), 100, soon()).unwrap_err();
    assert!(error.what.contains("a redirect to \"http://localhost/x\""), "{}", error.what);
}

#[test]
fn what_is_said_about_storage_has_no_signature_of_its_address() {
    let said = |location: String| {
        let location = format!("Location: {location}?X-Amz-Signature=secret\r\n");
        let server = registry(Arc::new(move |_, _| answer("307 Temporary Redirect", &location, b"")));
        let (outside, credentials) = (outside(), NOBODY());
        let mut registries = Registries::new(&outside, &credentials);
        let error = registries.blob(&repository(&server), &Digest::of(b""), 100, soon()).unwrap_err();
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        error.to_string()
    };
    let closed = "https://localhost:1/storage";
    let error = said(closed.to_owned());
    assert!(error.starts_with(&format!("cannot fetch {closed}: ")) && error.ends_with(&format!("curl -v {closed}")), "{error}");
    let nonsense = registry(Arc::new(|_, _| b"nonsense\r\n\r\n".to_vec()));
    let error = said(format!("https://localhost:{}/storage", nonsense.port));
    assert!(error.contains("/storage answered in no sound HTTP"), "{error}");
    assert!(said("http://localhost/storage".to_owned()).contains("a redirect to \"http://localhost/storage\""));
}

/// Some keep their manifests elsewhere, too.
#[test]
fn a_manifest_is_fetched_from_elsewhere_without_credentials_as_well() {
    const MANIFEST: &[u8] = br#"{"schemaVersion":2,"manifests":[]}"#;
    let shown = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&shown);
    let elsewhere = registry(Arc::new(move |line, authorization| {
        seen.lock().unwrap().push(authorization.to_owned());
        // And further, from there.
        if line.contains("/first") { answer("302 Found", "Location: /second\r\n", b"") } else { answer("200 OK", "", MANIFEST) }
    }));
    let to = format!("Location: https://localhost:{}/first\r\n", elsewhere.port);
    let both = "WWW-Authenticate: Basic realm=\"x\"\r\nWWW-Authenticate: Basic realm=\"y\"\r\n";
    let server = registry(Arc::new(move |_, authorization| {
        if authorization.is_empty() { answer("401 Unauthorized", both, b"") } else { answer("307 Temporary Redirect", &to, b"") }
    }));
    let credentials = format!(r#"{{"auths":{{"localhost:{}":{{"auth":"YTpi"}}}}}}"#, server.port);
    let credentials = Credentials::parse(credentials.as_bytes()).unwrap();
    let expected = format!("localhost:{}/team/teleport:16.2.0@{}", server.port, Digest::of(MANIFEST));
    assert_eq!(resolved(&server, &credentials, &Trust::Registry), Ok(expected));
    assert_eq!(*shown.lock().unwrap(), ["", ""]);
}

#[test]
fn who_has_no_name_takes_a_token_where_a_name_would_do_as_well() {
    const MANIFEST: &[u8] = br#"{"schemaVersion":2,"manifests":[]}"#;
    let giver = registry(Arc::new(|_, _| answer("200 OK", "", br#"{"token":"given"}"#)));
    let either = format!(
        "WWW-Authenticate: Basic realm=\"x\"\r\nWWW-Authenticate: Bearer realm=\"https://localhost:{}/\"\r\n",
        giver.port
    );
    let server = registry(Arc::new(move |_, authorization| {
        if authorization.ends_with(": Bearer given") {
            answer("200 OK", "", MANIFEST)
        } else {
            answer("401 Unauthorized", &either, b"")
        }
    }));
    assert!(resolved(&server, &NOBODY(), &Trust::Registry).is_ok());
}

#[test]
fn a_token_is_asked_for_once_and_name_and_password_go_only_where_the_registry_says() {
    let token = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&token);
    let giver = registry(Arc::new(move |line, authorization| {
        seen.lock().unwrap().push(format!("{line} {authorization}"));
        answer("200 OK", "", br#"{"access_token":"given","expires_in":60}"#)
    }));
    let wants = format!("WWW-Authenticate: Bearer realm=\"https://localhost:{}/token?a=b\",service=\"the lab\"\r\n", giver.port);
    let server = registry(Arc::new(move |_, authorization| {
        if authorization.ends_with(": Bearer given") {
            answer("200 OK", "", MANIFEST)
        } else {
            answer("401 Unauthorized", &wants, b"")
        }
    }));
    let credentials = format!(r#"{{"auths":{{"localhost:{}":{{"auth":"YTpi"}}}}}}"#, server.port);
    let credentials = Credentials::parse(credentials.as_bytes()).unwrap();
    let outside = outside();
    let mut registries = Registries::new(&outside, &credentials);
    for tag in ["1.2.3", "1.2.4"] {
        assert_eq!(registries.manifest(&repository(&server), tag, soon()).unwrap().unwrap(), MANIFEST);
    }
    let asked = token.lock().unwrap().clone();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let query = "GET /token?a=b&scope=repository%3Ateam%2Fteleport%3Apull&service=the%20lab HTTP/1.1 ";
    assert!(asked[0].starts_with(query) && asked[0].ends_with(": Basic YTpi"), "{asked:?}");
    assert_eq!(server.asked().len(), 3);
}

/// A key on P-256 that is made here, and who signs with it.
struct Signer(EcdsaKeyPair);

impl Signer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pair.as_ref(), &random).unwrap())
    }

    /// Whoever signs like this is trusted.
    fn trust(&self) -> Trust {
        // What stands before the point of any such key (RFC 5480).
        const BEFORE: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE";
        let point = STANDARD.encode(self.0.public_key().as_ref().strip_prefix(&[4]).unwrap());
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{BEFORE}{point}\n-----END PUBLIC KEY-----\n");
        Trust::SignedBy(Key::from_pem(pem.as_bytes()).unwrap())
    }

    /// What cosign leaves beside an image: so many layers for this payload, each with a signature over it.
    fn beside(&self, payload: &str, layers: usize) -> Vec<u8> {
        let signature = STANDARD.encode(self.0.sign(&SystemRandom::new(), payload.as_bytes()).unwrap());
        let digest = Digest::of(payload.as_bytes()).to_string();
        let layer =
            json!({"digest": digest, "size": payload.len(), "annotations": {"dev.cosignproject.cosign/signature": signature}});
        json!({"schemaVersion": 2, "config": {}, "layers": vec![layer; layers]}).to_string().into_bytes()
    }
}

/// What a signature is over.
fn payload(digest: &Digest) -> String {
    json!({"critical": {"image": {"docker-manifest-digest": digest.to_string()}, "type": "cosign container image signature"}})
        .to_string()
}

#[test]
fn what_was_verified_once_is_not_verified_again_but_resolved_again() {
    let signer = Signer::new();
    let payload = payload(&Digest::of(MANIFEST));
    let beside = signer.beside(&payload, 1);
    let server = registry(Arc::new(move |line, _| match line {
        _ if line.contains(".sig ") => answer("200 OK", "", &beside),
        _ if line.contains("/blobs/") => answer("200 OK", "", payload.as_bytes()),
        _ => answer("200 OK", "", MANIFEST),
    }));
    let (outside, credentials, mut verified) = (outside(), NOBODY(), Verified::default());
    let mut registries = Registries::new(&outside, &credentials);
    let release = "16.2.0".parse().unwrap();
    for asked in [3, 4] {
        let found = image(&mut registries, &repository(&server), &release, &signer.trust(), &mut verified, soon()).unwrap();
        assert!(found.to_string().ends_with(Digest::of(MANIFEST).as_str()));
        assert_eq!(server.asked().len(), asked, "{:?}", server.asked());
    }
    let error = resolved(&server, &NOBODY(), &Signer::new().trust()).unwrap_err();
    assert!(error.ends_with(" is not signed as it has to be: another key has made it"), "{error}");
}

#[test]
fn an_image_with_no_signature_beside_it_is_refused_with_the_tag_that_is_missing() {
    let server = registry(Arc::new(|line, _| {
        if line.contains(".sig ") { answer("404 Not Found", "", b"{}") } else { answer("200 OK", "", MANIFEST) }
    }));
    let error = resolved(&server, &NOBODY(), &Signer::new().trust()).unwrap_err();
    let digest = Digest::of(MANIFEST);
    let expected = format!("{digest} is not signed as it has to be: there is no sha256-{}.sig beside it", digest.hex());
    assert!(error.ends_with(&expected), "{error}");
}

/// Each answer in time, all of them together not.
#[test]
fn a_registry_that_takes_its_time_with_each_of_many_signatures_is_given_up_at_the_deadline_of_them_all() {
    let signer = Signer::new();
    let another = payload(&Digest::of(b"another"));
    let beside = signer.beside(&another, 60);
    let server = registry(Arc::new(move |line, _| match line {
        _ if line.contains(".sig ") => answer("200 OK", "", &beside),
        _ if line.contains("/blobs/") => {
            std::thread::sleep(Duration::from_millis(400));
            answer("200 OK", "", another.as_bytes())
        }
        _ => answer("200 OK", "", MANIFEST),
    }));
    let (outside, credentials, begun) = (outside(), NOBODY(), Instant::now());
    let mut registries = Registries::new(&outside, &credentials);
    let (release, deadline) = ("16.2.0".parse().unwrap(), Deadline::within(Duration::from_secs(3)));
    let refusal =
        image(&mut registries, &repository(&server), &release, &signer.trust(), &mut Verified::default(), deadline).unwrap_err();
    // Not the image's fault: it is tried again.
    assert!(matches!(refusal, Refusal::Failed(_)), "{refusal:?}");
    assert!(what(refusal).contains(" s in all"));
    assert!((2..6).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    assert!(server.asked().len() > 4, "{:?}", server.asked());
}

#[test]
fn of_a_manifest_or_a_token_that_never_ends_no_more_is_read_than_one_may_have() {
    let spaces = |most: usize| vec![b' '; most + 1];
    let server = registry(Arc::new(move |_, _| answer("200 OK", "", &spaces(4 * 1024 * 1024))));
    let error = resolved(&server, &NOBODY(), &Trust::Registry).unwrap_err();
    assert!(error.ends_with("/v2/team/teleport/manifests/16.2.0 answered with more than 4194304 bytes"), "{error}");
    let giver = registry(Arc::new(move |_, _| answer("200 OK", "", &spaces(64 * 1024))));
    let wants = format!("WWW-Authenticate: Bearer realm=\"https://localhost:{}/token\"\r\n", giver.port);
    let server = registry(Arc::new(move |_, _| answer("401 Unauthorized", &wants, b"")));
    let error = resolved(&server, &NOBODY(), &Trust::Registry).unwrap_err();
    assert!(error.ends_with(" answered with more than 65536 bytes"), "{error}");
}

/// What a registry that is asked for a manifest has to say within one second, and that not much more has passed.
fn too_slow(outside: &Outside, repository: &Repository) -> String {
    let (credentials, begun) = (NOBODY(), Instant::now());
    let mut registries = Registries::new(outside, &credentials);
    let error = what(registries.manifest(repository, "1.2.3", Deadline::within(Duration::from_secs(1))).unwrap_err());
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}: {error}", begun.elapsed());
    error
}

#[test]
fn a_proxy_or_a_body_that_drips_is_given_up_at_the_deadline() {
    const PAUSE: Duration = Duration::from_millis(20);
    let proxy = Server::plain(|mut peer| {
        peer.request();
        peer.drip("HTTP/1.1 200 OK\r\nX: ".bytes().chain(std::iter::repeat(b'x')), PAUSE);
    });
    let registry = Server::tls(&lab().good, |mut peer| {
        peer.request();
        peer.drip("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n".bytes().chain(std::iter::repeat(b' ')), PAUSE);
    });
    let port = registry.port;
    let tunnel = Server::plain(move |mut peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\n\r\n");
        peer.tunnel_to(port);
    });
    let through = |proxy: &Server| outside_through(Some(format!("http://127.0.0.1:{}", proxy.port)));
    let here = |host: &str| format!("{host}:{port}/team/teleport").parse().unwrap();
    // A proxy is never asked for localhost.
    for (what, outside, repository) in [
        ("a proxy", through(&proxy), here("version.test")),
        ("a body", outside(), here("localhost")),
        ("a body through a proxy", through(&tunnel), here("version.test")),
    ] {
        let said = too_slow(&outside, &repository);
        assert!(said.ends_with(": not done within 1 s in all"), "{what}: {said}");
        assert_eq!(said.contains("through the proxy"), what.contains("proxy"), "{said}");
    }
    assert_eq!((proxy.accepted(), registry.accepted(), tunnel.accepted()), (1, 2, 1));
}
