//! What the operator allows. Every type here holds only what makes sense: a `Policy` that exists is one that can be obeyed.

use std::fmt;
use std::str::FromStr;

use crate::error::quoted;
use crate::rules::release::Release;

/// Everything the configuration directory says, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Where the version is asked for.
    pub endpoint: Endpoint,
    /// Who chose the endpoint.
    pub endpoint_source: EndpointSource,
    /// How the endpoint is reached.
    pub transport: Transport,
    /// The package to move; `None` means the installed one of [`Package::KNOWN`].
    pub package: Option<Package>,
    /// How packages are moved; `None` means what the host has.
    pub installer: Option<Installer>,
    /// The repository to restrict to; `None` means `teleport` if there is one, else every enabled one.
    pub repo: Option<Repo>,
    /// Stay on exactly this version and do not ask the server.
    pub pin: Option<Release>,
    /// How far down a target may lie.
    pub downgrade: Downgrade,
    /// Whether the package is held between runs.
    pub hold: Hold,
    /// How long a new version has to prove itself.
    pub verify: Verify,
    /// Whether a version is fetched before its window opens.
    pub prefetch: Prefetch,
    /// How much is logged.
    pub detail: Detail,
}

/// Who chose the endpoint: only an operator's word may move an agent to another major version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointSource {
    /// The `endpoint` file.
    Configured,
    /// Nobody: the public default, which knows nothing about this cluster.
    BuiltIn,
}

/// How the version server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// HTTPS with the system's certificate authorities.
    Tls,
    /// Plain HTTP, for tests, to this very host only.
    PlainLocal,
}

/// How far down a target may lie (`allow-downgrade`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Downgrade {
    /// Never down.
    No,
    /// Down within one major version: that is how operators pull a bad release.
    SameMajor,
    /// Anywhere.
    Any,
}

/// Whether the agent's package is held against other upgrades between runs (`lock`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Held; only this program moves it.
    Between,
    /// Left free.
    Never,
}

/// How long, in seconds, a new version has to prove itself (`verify-seconds`). 0 asks for no proof, and nothing is gone back from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verify(pub u32);

impl Verify {
    /// The longest: an hour, since the run lasts as long.
    const LONGEST: u32 = 3600;
}

impl Default for Verify {
    fn default() -> Self {
        Self(60)
    }
}

impl FromStr for Verify {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let seconds = text.parse().ok().filter(|&seconds| seconds <= Self::LONGEST && text.bytes().all(|b| b.is_ascii_digit()));
        seconds.map(Self).ok_or_else(|| format!("{} is no number of seconds up to {}", quoted(text.as_bytes()), Self::LONGEST))
    }
}

/// Whether a version is downloaded, and its installation simulated, before its window opens (`prefetch`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefetch {
    /// Not before it is installed.
    No,
    /// As soon as it is known to be due.
    Yes,
}

/// How much is logged (`debug`, `--verbose`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Decisions and steps.
    Normal,
    /// What is read and run, too.
    Debug,
}

/// A way to move packages that can be named in `installer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Installer {
    /// Debian, Ubuntu and their derivatives.
    Apt,
    /// RHEL, Fedora and their derivatives.
    Dnf,
    /// The same by its older name.
    Yum,
    /// SLES and openSUSE.
    Zypper,
    /// Decide and say, but change nothing: images and hosts that something else updates.
    Nop,
}

/// Where versions are asked for: `host[:port]/path`, without scheme and without `/version`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: Option<u16>,
    path: String,
}

/// The name of a Debian or RPM package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Package(String);

/// The name of an apt source file (without ending) or the id of an rpm repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repo(String);

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
        if let Some(bare) = rest.trim_end_matches('/').strip_suffix("/version") {
            rest = bare;
            forgiven.push("\"/version\" at the end");
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

impl Package {
    /// The agent's packages, most specific first: on a FIPS host the plain ones must not be preferred.
    pub const KNOWN: [&'static str; 3] = ["teleport-ent-fips", "teleport-ent", "teleport"];

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Package {
    type Err = String;

    /// Debian policy 5.6.1 is the stricter of the two grammars: lower case, digits, `+`, `-`, `.`; an rpm may have capitals and `_`.
    /// A name that ends in `+` or `-` is refused: apt takes that for an order to install or remove.
    fn from_str(text: &str) -> Result<Self, String> {
        let sound = (2..=100).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.ends_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_'));
        if sound { Ok(Self(text.to_owned())) } else { Err(format!("{} is no package name", quoted(text.as_bytes()))) }
    }
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Package {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Package> for String {
    fn from(package: Package) -> Self {
        package.0
    }
}

impl Repo {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Repo {
    type Err = String;

    /// One path component that no tool can take for an option or another directory.
    fn from_str(text: &str) -> Result<Self, String> {
        let sound = (1..=100).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':'));
        if sound { Ok(Self(text.to_owned())) } else { Err(format!("{} is no repository name", quoted(text.as_bytes()))) }
    }
}

impl fmt::Display for Repo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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

    #[test]
    fn names_that_tools_would_take_for_options_or_orders_are_refused() {
        for text in ["", "a", "-y", "teleport-", "teleport+", "teleport ent", "teleport=1", "../x", "teleport\n", "téléport"] {
            assert!(text.parse::<Package>().is_err(), "{text:?} was taken for a package");
        }
        for text in ["", "-x", ".hidden", "a/b", "..", "a b", "a\0"] {
            assert!(text.parse::<Repo>().is_err(), "{text:?} was taken for a repository");
        }
    }
}
