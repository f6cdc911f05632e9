//! What can be in the way of a package manager, whatever its words for it: which class of error that is, and what to do about it.

use crate::error::{Class, Error};

/// What kind of trouble a package manager wrote about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Another process holds a lock.
    Locked,
    /// An earlier dpkg run was cut off.
    Interrupted,
    /// No room, or no writing.
    Disk,
    /// The signing key is missing, wrong or expired, or nothing is signed.
    Key,
    /// The repository's metadata is older than it says it may be.
    ExpiredMetadata,
    /// The metadata is from the future: the clock is behind.
    Clock,
    /// No way to the repository.
    Network,
    /// The repository answered, but does not have what it says it has.
    Incomplete,
    /// The repository's certificate is not trusted.
    Certificate,
    /// The wanted version is not known.
    NoSuchVersion,
    /// A dependency cannot be met.
    Dependencies,
    /// A script of a package failed.
    Script,
    /// The package manager refused the package.
    Refused,
}

impl Trouble {
    /// The kind of error that it is.
    pub(super) const fn class(self) -> Class {
        match self {
            Self::Locked => Class::Busy,
            Self::Disk => Class::Disk,
            Self::Network => Class::Network,
            Self::Clock => Class::Clock,
            Self::Key
            | Self::ExpiredMetadata
            | Self::Incomplete
            | Self::Certificate
            | Self::NoSuchVersion
            | Self::Interrupted
            | Self::Dependencies => Class::Repository,
            Self::Script | Self::Refused => Class::Package,
        }
    }

    /// In words that follow "because".
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Locked => "another package manager holds the lock",
            Self::Interrupted => "an earlier dpkg run was cut off",
            Self::Disk => "the disk is full or read-only",
            Self::Key => "the repository key is missing, wrong or expired, or the repository is not signed",
            Self::ExpiredMetadata => "the repository's metadata has expired",
            Self::Clock => "the repository's metadata is from the future: this host's clock is behind",
            Self::Network => "the repository cannot be reached",
            Self::Incomplete => "the repository does not have what it says it has",
            Self::Certificate => "the repository's certificate is not trusted",
            Self::NoSuchVersion => "the repository does not have that version",
            Self::Dependencies => "something that the package depends on cannot be installed",
            Self::Script => "a script of the package failed",
            Self::Refused => "the package manager refused the package",
        }
    }

    /// What the operator does about it.
    pub(super) const fn next(self) -> &'static str {
        match self {
            Self::Locked => "wait for the other package manager to end",
            Self::Interrupted => "dpkg --configure -a",
            Self::Disk => "df -h / /var /usr; df -i / /var /usr",
            Self::Key => {
                "compare the key with the one that Teleport publishes and install it; this program never imports keys: https://goteleport.com/docs/installation/"
            }
            Self::ExpiredMetadata => "ask whoever runs the repository or mirror to refresh it; check the clock: date -u",
            Self::Clock => "set the clock: timedatectl set-ntp true",
            Self::Network => "check the way to the repository and its proxy; the next run tries again",
            Self::Incomplete => "the repository may be in the middle of a refresh: try again later, or ask whoever runs it",
            Self::Certificate => "install the repository's certificate authority on this host, or check for a proxy in between",
            Self::NoSuchVersion => "look at what the repository has, and which channel its file names",
            Self::Dependencies => "the lines above name what is missing",
            Self::Refused => "read the lines above: they name what is wrong with the package or in its way",
            Self::Script => "read the lines above; installing the package again repeats the script",
        }
    }
}

/// The error for a failed call: its own words, what they mean, and what to do.
pub(super) fn explained(what: &str, trouble: Option<Trouble>, ending: &str, lines: Vec<String>) -> Error {
    match trouble {
        Some(trouble) => Error::new(trouble.class(), format!("{what}: {}", trouble.words()), trouble.next()),
        None => {
            Error::new(Class::Repository, format!("{what} ({ending})"), "read the lines above and repeat the command by hand")
        }
    }
    .with_tool_lines(lines)
}
