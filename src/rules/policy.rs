//! What the operator allows. Every type here holds only what makes sense: a `Policy` that exists is one that can be obeyed.

use std::fmt;
use std::str::FromStr;

use crate::error::quoted;
use crate::rules::endpoint::Endpoint;
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
    /// Over how much of a window a fleet is spread.
    pub spread: Spread,
    /// Who names the windows.
    pub windows: WindowSource,
    /// Where metrics are written, if they are.
    pub metrics: Option<Textfiles>,
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

/// Who names the windows (`schedule-source`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowSource {
    /// The agent, in the file `schedule`.
    Agent,
    /// The version server, beside the version: for agents that export none.
    Server,
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

/// Over how much of a window a fleet is spread, in percent (`spread`); 0: every host goes when it opens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spread(u8);

impl Spread {
    /// From 0 to 100.
    #[must_use]
    pub const fn percent(self) -> u8 {
        self.0
    }
}

impl FromStr for Spread {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let percent = text.parse().ok().filter(|&percent| percent <= 100 && text.bytes().all(|b| b.is_ascii_digit()));
        percent.map(Self).ok_or_else(|| format!("{} is no number from 0 to 100", quoted(text.as_bytes())))
    }
}

/// The directory of node_exporter's textfile collector (`metrics`): an absolute path without `..`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Textfiles(String);

impl FromStr for Textfiles {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sound = text.starts_with('/') && text.len() < 4096 && !text.chars().any(char::is_control);
        let sound = sound && text.split('/').all(|part| part != ".." && part != ".");
        if sound { Ok(Self(text.to_owned())) } else { Err(format!("{} is no absolute path", quoted(text.as_bytes()))) }
    }
}

impl From<Textfiles> for std::path::PathBuf {
    fn from(directory: Textfiles) -> Self {
        directory.0.into()
    }
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

/// The name of a Debian or RPM package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Package(String);

/// The name of an apt source file (without ending) or the id of an rpm repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repo(String);

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
    fn names_that_tools_would_take_for_options_or_orders_are_refused() {
        for text in ["", "a", "-y", "teleport-", "teleport+", "teleport ent", "teleport=1", "../x", "teleport\n", "téléport"] {
            assert!(text.parse::<Package>().is_err(), "{text:?} was taken for a package");
        }
        for text in ["", "-x", ".hidden", "a/b", "..", "a b", "a\0"] {
            assert!(text.parse::<Repo>().is_err(), "{text:?} was taken for a repository");
        }
    }
}
