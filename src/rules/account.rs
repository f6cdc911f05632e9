//! The account of one run: what it knew, what it came to, and what will change that. Kept in the record, repeated by `status` and counted
//! by monitors: one account feeds them all.

use serde::{Deserialize, Serialize};

use crate::rules::facts::{Critical, Enrolment};
use crate::rules::health::Complaint;
use crate::rules::memory::Failed;
use crate::rules::moment::Moment;
use crate::rules::pause::Pause;
use crate::rules::plan::Held;
use crate::rules::release::Release;
use crate::rules::window::{Schedule, Window};

/// What one run knew and came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    /// When it ended.
    pub at: Moment,
    /// How long it took, in milliseconds.
    pub took: u64,
    /// What it knew.
    pub inputs: Inputs,
    /// A stable word: see [`crate::rules::reason`].
    pub code: String,
    /// The same as a sentence.
    pub text: String,
    /// The exit code.
    pub exit: u8,
    /// What will change that.
    pub change: Change,
}

/// What was last heard from whoever is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// The version that is wanted; none, if none is.
    pub wanted: Option<Release>,
    /// Whether it is critical.
    pub critical: Critical,
    /// When.
    pub at: Moment,
}

/// The last attempt at a version that came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The version.
    pub to: Release,
    /// When it ended.
    pub at: Moment,
    /// A stable word: see [`crate::rules::reason`].
    pub code: String,
    /// In a sentence.
    pub text: String,
    /// The last lines that a tool wrote.
    pub said: Vec<String>,
    /// What to do.
    pub next: String,
}

/// What ends a state of affairs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// In words.
    pub what: String,
    /// Not before this moment, if one is known.
    pub at: Option<Moment>,
}

impl Change {
    /// What has no moment of its own.
    #[must_use]
    pub fn when(what: impl Into<String>) -> Self {
        Self { what: what.into(), at: None }
    }
}

/// What a decision was made on. What a run could not find out is not there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Inputs {
    /// The version that the agent's binary reports.
    pub installed: Option<Release>,
    /// The version that is wanted.
    pub wanted: Option<Release>,
    /// Who wants it.
    pub asked: Asked,
    /// Whether the server calls it critical.
    pub critical: Critical,
    /// The maintenance windows.
    pub schedule: Windows,
    /// Whether the running agent exports them.
    pub enrolment: Enrolment,
    /// Who holds the package.
    pub hold: Holder,
    /// A person wants no upgrades now.
    pub pause: Option<Pause>,
    /// The version failed here.
    pub failed: Option<Failed>,
    /// The host was in the version's way.
    pub hindered: Option<Failed>,
    /// A person went back from this version.
    pub held_back: Option<Release>,
    /// The agent that runs.
    pub agent: Pulse,
    /// How many seconds this host's clock is ahead of the version server's.
    pub clock_apart: Option<i64>,
}

/// Who is asked which version is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asked {
    /// Nobody yet.
    #[default]
    Nobody,
    /// The version server behind this endpoint.
    Server(String),
    /// The file `pin`.
    Pin,
}

/// The maintenance windows as a run saw them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Windows {
    /// How the file was found.
    pub state: FileState,
    /// Why it cannot be read, if so.
    pub why: Option<String>,
    /// When it was last written.
    pub written: Option<Moment>,
    /// The open one and those ahead, soonest first; at most [`Windows::KEPT`].
    pub ahead: Vec<Window>,
}

/// How a file was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileState {
    /// Not looked at.
    #[default]
    Unknown,
    /// It is not there.
    Missing,
    /// It must not or cannot be read.
    Unreadable,
    /// It was read, or the version server named the windows.
    Read,
    /// The version server is to name the windows, and none is known.
    Unserved,
}

/// Who holds the package.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "by", content = "how")]
pub enum Holder {
    /// It was not looked at, or could not be.
    #[default]
    Unknown,
    /// Nobody.
    Nobody,
    /// This program, between its runs.
    Updater,
    /// Somebody else; how, as the end of "the package is ...".
    Administrator(String),
}

/// Whether the agent lives, by what can be seen without asking systemd.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pulse {
    /// The process in charge.
    pub pid: Option<u32>,
    /// What speaks against it.
    pub complaint: Option<Complaint>,
}

impl Windows {
    /// More windows than this say nothing that the first ones do not.
    pub const KEPT: usize = 8;

    /// What is to be remembered of a schedule.
    #[must_use]
    pub fn of(schedule: &Schedule, now: Moment) -> Self {
        match schedule {
            Schedule::Missing => Self { state: FileState::Missing, ..Self::default() },
            Schedule::Unreadable(why) => Self { state: FileState::Unreadable, why: Some(why.clone()), ..Self::default() },
            Schedule::Unserved(why) => Self { state: FileState::Unserved, why: Some(why.clone()), ..Self::default() },
            Schedule::Read { windows, written, .. } => Self {
                state: FileState::Read,
                why: None,
                written: Some(*written),
                ahead: windows.iter().filter(|window| now < window.stop()).take(Self::KEPT).copied().collect(),
            },
        }
    }

    /// The schedule as it is remembered.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        match self.state {
            FileState::Unknown => Schedule::Unreadable("has not been read yet".into()),
            FileState::Missing => Schedule::Missing,
            FileState::Unreadable => Schedule::Unreadable(self.why.clone().unwrap_or_default()),
            FileState::Unserved => Schedule::Unserved(self.why.clone().unwrap_or_default()),
            FileState::Read => {
                Schedule::Read { windows: self.ahead.clone(), written: self.written.unwrap_or_default(), oddities: Vec::new() }
            }
        }
    }
}

impl From<&Held> for Holder {
    fn from(held: &Held) -> Self {
        match held {
            Held::No => Self::Nobody,
            Held::ByUs => Self::Updater,
            Held::ByAdministrator(restraint) => Self::Administrator(restraint.is.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_remembered_by_its_windows_that_are_not_over() {
        let text = b"100 200\n300 400\n500 600\n";
        let schedule = Schedule::parse(text, Moment::from_unix(50));
        let kept = Windows::of(&schedule, Moment::from_unix(350));
        assert_eq!(kept.ahead.iter().map(|window| window.start().unix()).collect::<Vec<_>>(), [300, 500]);
        assert_eq!(kept.schedule().standing(Moment::from_unix(350)), schedule.standing(Moment::from_unix(350)));
        let json = serde_json::to_string(&kept).unwrap();
        assert_eq!(
            json,
            r#"{"state":"read","why":null,"written":50,"ahead":[{"start":300,"stop":400},{"start":500,"stop":600}]}"#
        );
        assert_eq!(serde_json::from_str::<Windows>(&json).unwrap(), kept);
        assert!(serde_json::from_str::<Windows>(r#"{"ahead":[{"start":5,"stop":5}]}"#).is_err(), "no window");
    }

    #[test]
    fn an_account_of_another_time_is_read_with_what_it_has() {
        assert_eq!(serde_json::from_str::<Account>("{}").unwrap(), Account::default());
    }
}
