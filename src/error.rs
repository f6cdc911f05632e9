//! What went wrong, in the words an operator needs: what was tried, what came back, what to do next.
//!
//! One struct instead of an enum of causes: callers never branch on the cause, only on its class, and the sentence is written where
//! the facts are. The class settles the exit code, so that no exit code is chosen twice.

use std::borrow::Cow;
use std::fmt;

/// How the program ends, as a number that scripts and units rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or nothing to do, or not now.
    Done = 0,
    /// The upgrade failed; the version before is back, and the agent is well on it.
    WentBack = 10,
    /// The upgrade failed and the agent is not known to be healthy: a person is needed.
    PersonNeeded = 11,
    /// The command line makes no sense (`EX_USAGE` of sysexits.h).
    Usage = 64,
    /// The version server or the package repository cannot serve this (`EX_UNAVAILABLE`).
    Unavailable = 69,
    /// A defect in this program, or a host that denies the basics (`EX_SOFTWARE`).
    Internal = 70,
    /// Try again later: a lock is held, the network is away (`EX_TEMPFAIL`).
    TryLater = 75,
    /// Needs root (`EX_NOPERM`).
    NotRoot = 77,
    /// The configuration must be changed first (`EX_CONFIG`).
    Config = 78,
}

/// Which kind of trouble it is. Only [`Class::Package`] says anything about the version that was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A wrong command line.
    Usage,
    /// A wrong or untrustworthy configuration, or a host that is set up so that we must not act.
    Config,
    /// Not started as root.
    NotRoot,
    /// Somebody else holds a lock.
    Busy,
    /// No connection, no name, no time.
    Network,
    /// The host's clock cannot be right.
    Clock,
    /// The disk is full or read-only.
    Disk,
    /// The version server answered nonsense.
    Server,
    /// The repository does not have it, cannot be reached, or is not signed by a trusted key.
    Repository,
    /// The package manager refused or failed on this very package, and the old version is still in place.
    Package,
    /// The agent is left in a state that this program cannot mend.
    Broken,
    /// A defect here, or a host that denies the basics.
    Internal,
}

impl Class {
    /// The exit code that this kind of trouble ends in.
    #[must_use]
    pub const fn exit(self) -> Exit {
        match self {
            Self::Usage => Exit::Usage,
            Self::Config => Exit::Config,
            Self::NotRoot => Exit::NotRoot,
            Self::Busy | Self::Network | Self::Clock | Self::Disk => Exit::TryLater,
            Self::Server | Self::Repository | Self::Package => Exit::Unavailable,
            Self::Broken => Exit::PersonNeeded,
            Self::Internal => Exit::Internal,
        }
    }
}

/// One failure: the sentence, the last lines a tool wrote, and the next step.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Error {
    /// Decides the exit code and whether a version may be blamed.
    pub class: Class,
    /// What was tried and what came back, in one sentence without a full stop.
    pub what: String,
    /// The last lines that a tool wrote, oldest first; may be empty.
    pub tool_said: Vec<String>,
    /// What the operator does now.
    pub next: String,
}

impl Error {
    /// An error that no tool's output belongs to.
    pub fn new(class: Class, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { class, what: what.into(), tool_said: Vec::new(), next: next.into() }
    }

    /// The same error with the last lines that the tool wrote.
    pub fn with_tool_lines(mut self, lines: Vec<String>) -> Self {
        self.tool_said = lines;
        self
    }
}

impl fmt::Display for Error {
    /// One paragraph: the sentence, each line of the tool behind a bar, and the next step.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        for line in &self.tool_said {
            write!(f, "\n    | {line}")?;
        }
        write!(f, "\n    next: {}", self.next)
    }
}

impl std::error::Error for Error {}

/// Shows bytes of unknown origin safely on a terminal and in a journal: at most 60 bytes, everything but printable ASCII escaped.
#[must_use]
pub fn quoted(bytes: &[u8]) -> String {
    const SHOWN: usize = 60;
    let shown: String = bytes.iter().take(SHOWN).flat_map(|&b| std::ascii::escape_default(b)).map(char::from).collect();
    let more = if bytes.len() > SHOWN { "..." } else { "" };
    format!("\"{shown}\"{more}")
}

/// A word as a person would type it, or paste it, into a shell: quoted where it has to be.
#[must_use]
pub fn typed(word: &str) -> Cow<'_, str> {
    let plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_=+.,:/@%~".contains(c));
    if plain { word.into() } else { format!("'{}'", word.replace('\'', "'\\''")).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_bytes_are_quoted_without_control_characters_and_cut_at_sixty() {
        assert_eq!(quoted(b"<html>\x1b[2J\n\xff"), r#""<html>\x1b[2J\n\xff""#);
        assert_eq!(quoted(&[b'a'; 61]), format!("\"{}\"...", "a".repeat(60)));
    }

    #[test]
    fn an_error_shows_what_the_tool_said_and_ends_with_the_next_step() {
        let error = Error::new(Class::Repository, "apt-get update failed", "check the repository")
            .with_tool_lines(vec!["E: one".into(), "E: two".into()]);
        assert_eq!(error.to_string(), "apt-get update failed\n    | E: one\n    | E: two\n    next: check the repository");
    }
}
