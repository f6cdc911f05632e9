//! Where versions are asked for. What is read here decides whom root believes: nothing in it may lead anywhere else than it seems to.

use std::fmt;
use std::str::FromStr;

use crate::error::quoted;

/// Where hosts keep the authorities whose word on an endpoint's certificate they take: Debian and SUSE, RHEL, older SUSE, Alpine.
pub const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/var/lib/ca-certificates/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Where versions are asked for: `host[:port]/path`, without scheme and without `/version`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: Option<u16>,
    path: String,
}

impl Endpoint {
    /// The public endpoint that the stock updater asks when nothing is configured.
    #[must_use]
    pub fn built_in() -> Self {
        Self { host: "updates.releases.teleport.dev".into(), port: None, path: "v1/stable/cloud".into() }
    }

    /// Host name or address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Whether the host is this very machine: the only place where plain HTTP cannot be tampered with on the way.
    #[must_use]
    pub fn is_local(&self) -> bool {
        matches!(self.host(), "localhost" | "127.0.0.1" | "::1")
    }

    /// Reads `host[:port]/path`.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the text, fit to follow "endpoint".
    fn parse(text: &str) -> Result<Self, String> {
        let (authority, path) = text.split_once('/').unwrap_or((text, ""));
        let path = path.trim_end_matches('/');
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let number = port.parse::<u16>().ok().filter(|&n| n > 0 && !port.starts_with('+'));
                (host, Some(number.ok_or_else(|| format!("has the port {}", quoted(port.as_bytes())))?))
            }
            _ => (authority, None),
        };
        let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let address = |inner: &str| inner.parse::<std::net::Ipv6Addr>().is_ok();
        let host_is_sound = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => address(inner),
            None => !host.is_empty() && host.len() <= 253 && host.chars().all(name) && !host.starts_with(['-', '.']),
        };
        if !host_is_sound {
            return Err(format!("has the host {}", quoted(host.as_bytes())));
        }
        let path_is_sound = path.len() <= 512
            && path.chars().all(|c| name(c) || matches!(c, '/' | '~' | '%' | '+'))
            && path.split('/').all(|part| part != "." && part != ".." && (!part.is_empty() || path.is_empty()));
        if !path_is_sound {
            return Err(format!("has the path {}", quoted(path.as_bytes())));
        }
        Ok(Self { host: host.to_owned(), port, path: path.to_owned() })
    }
}

/// An endpoint as it was read, and what had to be forgiven to read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForgivenEndpoint {
    /// The endpoint that was meant.
    pub endpoint: Endpoint,
    /// What was left out of what was written, in words; nothing when it was written as it should be.
    pub forgiven: Vec<&'static str>,
}

impl FromStr for ForgivenEndpoint {
    type Err = String;

    /// Reads an endpoint as people paste it: with a scheme in front or `/version` behind.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut forgiven = Vec::new();
        let mut rest = text;
        for (scheme, words) in [("https://", "\"https://\" in front"), ("http://", "\"http://\" in front")] {
            if let Some(bare) = rest.strip_prefix(scheme) {
                rest = bare;
                forgiven.push(words);
            }
        }
        // As often as it is there: what is written into the file is read again.
        let bare = |text: &str| text.trim_end_matches('/').strip_suffix("/version").map(str::len);
        if bare(rest).is_some() {
            forgiven.push("\"/version\" at the end");
        }
        while let Some(shorter) = bare(rest).and_then(|length| rest.get(..length)) {
            rest = shorter;
        }
        Ok(Self { endpoint: Endpoint::parse(rest)?, forgiven })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        if !self.path.is_empty() {
            write!(f, "/{}", self.path)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_read_as_people_write_and_paste_it() {
        let stories = [
            ("updates.example.com/v1/stable/cloud", "updates.example.com/v1/stable/cloud", 0),
            (
                "proxy.example.com:3080/v1/webapi/automaticupgrades/channel/default",
                "proxy.example.com:3080/v1/webapi/automaticupgrades/channel/default",
                0,
            ),
            ("localhost:8000", "localhost:8000", 0),
            ("[::1]:8000/x", "[::1]:8000/x", 0),
            ("example.com/v1/", "example.com/v1", 0),
            ("https://example.com/v1", "example.com/v1", 1),
            ("https://example.com/v1/version", "example.com/v1", 2),
            ("example.com/v1/version/", "example.com/v1", 1),
            ("example.com/version/version", "example.com", 1),
        ];
        for (written, meant, forgiven) in stories {
            let read: ForgivenEndpoint = written.parse().unwrap();
            assert_eq!((read.endpoint.to_string().as_str(), read.forgiven.len()), (meant, forgiven), "{written}");
        }
    }

    #[test]
    fn an_endpoint_that_could_reach_somewhere_else_is_refused() {
        let hostile = [
            "",
            "/v1",
            ":80",
            "example.com:0",
            "example.com:65536",
            "example.com:+80",
            "a b/v1",
            "user@example.com/v1",
            "example.com/../x",
            "example.com//x",
            "example.com/x?y",
            "example.com/x#y",
            "ftp://example.com/x",
            "[::1/x",
            "[zz]/x",
            "example.com:80:80/x",
            "-x.com/",
            "example.com/\u{e9}",
        ];
        for text in hostile {
            assert!(text.parse::<ForgivenEndpoint>().is_err(), "{text:?} was taken for an endpoint");
        }
    }

    #[test]
    fn only_this_very_machine_is_local() {
        for (text, local) in [
            ("localhost:1/x", true),
            ("127.0.0.1", true),
            ("[::1]:3080", true),
            ("localhost.example.com", false),
            ("127.0.0.2", false),
        ] {
            assert_eq!(text.parse::<ForgivenEndpoint>().unwrap().endpoint.is_local(), local, "{text}");
        }
    }
}
