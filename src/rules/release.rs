//! A Teleport version: strict semantic versioning, and nothing that could be more than one word on a command line.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::quoted;

/// One released version of Teleport, as `16.2.0`. Order is that of semver.org.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Release(semver::Version);

/// What was offered as a version and is none; the text is safe to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotARelease(String);

impl Release {
    /// Longer than any real version, short enough to quote.
    const LONGEST: usize = 64;

    /// The first number: agents and clusters are compatible within one major version.
    #[must_use]
    pub const fn major(&self) -> u64 {
        self.0.major
    }

    /// Whether it comes before a release: `16.3.0-rc.1`.
    #[must_use]
    pub fn is_pre_release(&self) -> bool {
        !self.0.pre.is_empty()
    }
}

impl FromStr for Release {
    type Err = NotARelease;

    /// Reads `16.2.0` or `v16.2.0`. Everything else is an error, also what package managers would take for an operator: a version
    /// that ends in `-` or `+` means "remove" or "install" to apt.
    fn from_str(text: &str) -> Result<Self, NotARelease> {
        let refuse = || NotARelease(quoted(text.as_bytes()));
        let bare = text.strip_prefix('v').unwrap_or(text);
        if bare.len() > Self::LONGEST || !bare.ends_with(|c: char| c.is_ascii_alphanumeric()) {
            return Err(refuse());
        }
        semver::Version::parse(bare).map(Self).map_err(|_| refuse())
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for NotARelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not a version such as 16.2.0", self.0)
    }
}

impl TryFrom<String> for Release {
    type Error = NotARelease;
    fn try_from(text: String) -> Result<Self, NotARelease> {
        text.parse()
    }
}

impl From<Release> for String {
    fn from(release: Release) -> Self {
        release.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_with_or_without_its_v() {
        for text in ["16.2.0", "v16.2.0"] {
            assert_eq!(text.parse::<Release>().unwrap().to_string(), "16.2.0");
        }
        assert_eq!("16.2.0-rc.1".parse::<Release>().unwrap().to_string(), "16.2.0-rc.1");
        assert_eq!("18.0.0-dev+abc.1".parse::<Release>().unwrap().to_string(), "18.0.0-dev+abc.1");
    }

    #[test]
    fn what_is_not_exactly_one_version_is_refused() {
        let long = format!("16.2.0-{}", "a".repeat(80));
        let hostile = [
            "",
            "v",
            "vv16.2.0",
            "16.2",
            "16",
            "16.2.0.1",
            "016.2.0",
            "16.2.0 ",
            " 16.2.0",
            "16.2.0 -o X=y",
            "16.2.0\0",
            "16.2.0\n",
            "../16.2.0",
            "16.2.*",
            "\u{661}6.2.0",
            "16.2.0-",
            "16.2.0--",
            "16.2.0-rc-",
            "16.2.0-01",
            "-16.2.0",
            "16.2.0;id",
            "<html>",
            "99999999999999999999.0.0",
            &long,
        ];
        for text in hostile {
            assert!(text.parse::<Release>().is_err(), "{text:?} was taken for a version");
        }
    }

    #[test]
    fn a_pre_release_comes_before_its_release() {
        let mut order: Vec<Release> =
            ["16.2.0", "16.10.0", "16.2.0-rc.1", "16.2.0-alpha.2", "9.9.9"].iter().map(|t| t.parse().unwrap()).collect();
        order.sort();
        let shown: Vec<String> = order.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["9.9.9", "16.2.0-alpha.2", "16.2.0-rc.1", "16.2.0", "16.10.0"]);
    }
}
