//! Names of images: `registry/repository:tag@sha256:…`. Pure; what is read here becomes part of addresses, so it is read strictly.

use std::fmt;
use std::str::FromStr;

use crate::error::quoted;

/// A repository of a registry, without a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// The registry: `host` or `host:port`, as it is written in an image's name.
    pub registry: String,
    /// The path below it.
    pub path: String,
    /// The name as it was written, before any default.
    written: String,
}

/// A digest: `sha256:` and 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest(String);

impl Repository {
    /// The host that is asked: Docker's hub has another one than its name.
    #[must_use]
    pub fn host(&self) -> &str {
        if self.registry == "docker.io" { "registry-1.docker.io" } else { &self.registry }
    }
}

impl FromStr for Repository {
    type Err = String;

    /// Reads a name without a tag; the reason completes a sentence that begins with the name.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > 255 {
            return Err("is longer than 255 characters".into());
        }
        // Docker's rule: the first part is a registry if it looks like a host.
        let looks_like_a_host = |part: &str| part.contains(['.', ':']) || part == "localhost";
        let (registry, path) = match text.split_once('/') {
            Some((first, rest)) if looks_like_a_host(first) => (first, rest.to_owned()),
            Some(_) => ("docker.io", text.to_owned()),
            None => ("docker.io", format!("library/{text}")),
        };
        if !is_registry(registry) {
            return Err(format!("has the registry {}, which is no host", quoted(registry.as_bytes())));
        }
        let last = path.rsplit('/').next().unwrap_or_default();
        if last.contains([':', '@']) {
            return Err("has a tag: give it without".into());
        }
        if !path.split('/').all(is_component) {
            return Err(format!("has the path {}: words of small letters, digits, `.`, `_` and `-`", quoted(path.as_bytes())));
        }
        Ok(Self { registry: registry.to_owned(), path, written: text.to_owned() })
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) if address.parse::<std::net::Ipv6Addr>().is_ok() => ("address", rest.strip_prefix(':')),
        Some(_) => return false,
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let name = |part: &str| {
        !part.is_empty()
            && part.len() <= 63
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !part.starts_with('-')
    };
    let number = |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    host.split('.').all(name) && port.is_none_or(number)
}

fn is_component(part: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    let end = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = part.as_bytes();
    part.bytes().all(inner) && end(bytes.first()) && end(bytes.last()) && !part.contains("..")
}

impl Digest {
    /// Of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let sum = ring::digest::digest(&ring::digest::SHA256, bytes);
        let mut text = String::with_capacity(71);
        text.push_str("sha256:");
        for byte in sum.as_ref() {
            text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
            text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
        }
        Self(text)
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits alone.
    #[must_use]
    pub fn hex(&self) -> &str {
        self.0.trim_start_matches("sha256:")
    }
}

impl FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix("sha256:").unwrap_or_default();
        if digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("{} is no SHA-256 digest", quoted(text.as_bytes())))
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The tag of an image's name, which may have a digest behind it.
#[must_use]
pub fn tag(image: &str) -> Option<&str> {
    let without_digest = image.split('@').next().unwrap_or_default();
    let last = without_digest.rsplit('/').next().unwrap_or_default();
    last.split_once(':').map(|(_, tag)| tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_read_as_docker_reads_it() {
        let read = |text: &str| {
            let repository: Repository = text.parse().unwrap();
            assert_eq!(repository.to_string(), text);
            format!("{} {}", repository.host(), repository.path)
        };
        assert_eq!(read("public.ecr.aws/gravitational/teleport"), "public.ecr.aws gravitational/teleport");
        assert_eq!(read("registry.test:5000/teleport"), "registry.test:5000 teleport");
        assert_eq!(read("localhost/a/b/c"), "localhost a/b/c");
        assert_eq!(read("[::1]:5000/a"), "[::1]:5000 a");
        assert_eq!(read("teleport"), "registry-1.docker.io library/teleport");
        assert_eq!(read("gravitational/teleport-ent_x.y"), "registry-1.docker.io gravitational/teleport-ent_x.y");
    }

    #[test]
    fn what_is_no_repository_is_said_to_be_none() {
        let wrong = |text: &str| text.parse::<Repository>().unwrap_err();
        assert_eq!(wrong("a.test/teleport:16"), "has a tag: give it without");
        assert_eq!(wrong("a.test/teleport@sha256:00"), "has a tag: give it without");
        for text in
            ["", "/", "a.test/", "a.test/../b", "a.test/B", "a.test//b", "a.test/b c", "a.test/-b", "a.test/b?x", "a.test/b%2f"]
        {
            assert!(wrong(text).starts_with("has the path "), "{text}: {}", wrong(text));
        }
        for text in ["a..test/b", "u@a.test/b", "a.test:0/b", "a.test:x/b", "a.test:1:2/b", "[::1/b.c", "[x]:1/b", "-.test/b"] {
            assert!(wrong(text).starts_with("has the registry "), "{text}: {}", wrong(text));
        }
    }

    #[test]
    fn the_tag_of_an_image_is_found_beside_ports_and_digests() {
        assert_eq!(tag("public.ecr.aws/gravitational/teleport:16.2.0"), Some("16.2.0"));
        assert_eq!(tag("r.test:5000/teleport:16.2.0@sha256:abc"), Some("16.2.0"));
        for without in ["r.test:5000/teleport", "teleport", "r.test:5000/teleport@sha256:abc", ""] {
            assert_eq!(tag(without), None, "{without}");
        }
    }

    #[test]
    fn a_digest_is_that_of_the_bytes() {
        // sha256sum </dev/null
        let nothing = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").as_str(), nothing);
        assert_eq!(nothing.parse::<Digest>().unwrap().hex().len(), 64);
        for wrong in ["", "sha256:", "sha512:00", &nothing[1..], &nothing.to_uppercase(), &format!("{nothing}0")] {
            assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
        }
    }
}
