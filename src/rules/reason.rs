//! Why a run ended as it did, as one stable word each: for the record, `status --json`, metrics and monitors. The man page says what each
//! means and what changes it; a test compares the two.

use crate::error::Class;
use crate::rules::decide::{Decision, Refusal, Stay, Wait};
use crate::rules::trigger::NotNow;

/// Why a run ended as it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The agent is on the version that is wanted.
    UpToDate,
    /// The server wants no version now.
    NoTarget,
    /// An upgrade was made.
    Upgraded,
    /// A person went back.
    RolledBack,
    /// The next run makes the upgrade.
    Due,
    /// The window has not opened.
    OutsideWindow,
    /// The window is open, and other hosts go first.
    BeforeTurn,
    /// A person paused.
    Paused,
    /// A person went back from this version.
    HeldBack,
    /// The version was left lately; a second look decides.
    Returning,
    /// `installer` says `nop`.
    LeftToOthers,
    /// The new version failed, and the one before is back.
    WentBack,
    /// The version failed here; its back-off has not passed.
    FailedBefore,
    /// The host was in the version's way; the back-off has not passed.
    Hindered,
    /// The agent exports no window that ends in the future.
    MaybeUnhealthy,
    /// The version server is to name the windows, and none is known.
    NoWindow,
    /// The administrator's hold or pin forbids it, or it would end sessions for no good reason.
    Blocked,
    /// A lower major version.
    LowerMajor,
    /// A lower version, and none is allowed.
    LowerVersion,
    /// Another major, by the word of a server that does not know the cluster.
    OtherMajor,
    /// The clock cannot be right.
    Clock,
    /// The configuration must be changed.
    Config,
    /// Somebody has a lock.
    Busy,
    /// No network.
    Network,
    /// The version server answers nonsense.
    Server,
    /// The repository cannot serve it.
    Repository,
    /// The package manager failed on it, and the version before is in place.
    Package,
    /// No room, or a read-only disk.
    Disk,
    /// A person is needed.
    Broken,
    /// A defect here, or a host that denies the basics.
    Internal,
    /// A wrong command line.
    Usage,
    /// Not started as root.
    NotRoot,
}

/// What a monitor makes of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// On the wanted version, or waiting as planned.
    AsPlanned,
    /// It cannot be told.
    CannotTell,
    /// Somebody has to do something.
    NeedsAttention,
}

impl Condition {
    /// The exit code of `status`.
    #[must_use]
    pub const fn exit(self) -> u8 {
        match self {
            Self::AsPlanned => 0,
            Self::NeedsAttention => 1,
            Self::CannotTell => 2,
        }
    }

    /// The stable word.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::AsPlanned => "as-planned",
            Self::NeedsAttention => "needs-attention",
            Self::CannotTell => "cannot-tell",
        }
    }
}

impl Reason {
    /// Each of them.
    pub const ALL: [Self; 32] = [
        Self::UpToDate,
        Self::NoTarget,
        Self::Upgraded,
        Self::RolledBack,
        Self::Due,
        Self::OutsideWindow,
        Self::BeforeTurn,
        Self::Paused,
        Self::HeldBack,
        Self::Returning,
        Self::LeftToOthers,
        Self::WentBack,
        Self::FailedBefore,
        Self::Hindered,
        Self::MaybeUnhealthy,
        Self::NoWindow,
        Self::Blocked,
        Self::LowerMajor,
        Self::LowerVersion,
        Self::OtherMajor,
        Self::Clock,
        Self::Config,
        Self::Busy,
        Self::Network,
        Self::Server,
        Self::Repository,
        Self::Package,
        Self::Disk,
        Self::Broken,
        Self::Internal,
        Self::Usage,
        Self::NotRoot,
    ];

    /// The stable word.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::UpToDate => "up-to-date",
            Self::NoTarget => "no-target",
            Self::Upgraded => "upgraded",
            Self::RolledBack => "rolled-back",
            Self::Due => "due",
            Self::OutsideWindow => "outside-window",
            Self::BeforeTurn => "before-turn",
            Self::Paused => "paused",
            Self::HeldBack => "held-back",
            Self::Returning => "returning",
            Self::LeftToOthers => "left-to-others",
            Self::WentBack => "went-back",
            Self::FailedBefore => "failed-before",
            Self::Hindered => "hindered",
            Self::MaybeUnhealthy => "maybe-unhealthy",
            Self::NoWindow => "no-window",
            Self::Blocked => "blocked",
            Self::LowerMajor => "lower-major",
            Self::LowerVersion => "lower-version",
            Self::OtherMajor => "other-major",
            Self::Clock => "clock",
            Self::Config => "config",
            Self::Busy => "busy",
            Self::Network => "network",
            Self::Server => "server",
            Self::Repository => "repository",
            Self::Package => "package",
            Self::Disk => "disk",
            Self::Broken => "broken",
            Self::Internal => "internal",
            Self::Usage => "usage",
            Self::NotRoot => "not-root",
        }
    }

    /// The reason of that word.
    #[must_use]
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// What a monitor makes of it.
    #[must_use]
    pub const fn condition(self) -> Condition {
        match self {
            Self::UpToDate
            | Self::NoTarget
            | Self::Upgraded
            | Self::RolledBack
            | Self::Due
            | Self::OutsideWindow
            | Self::BeforeTurn
            | Self::Paused
            | Self::HeldBack
            | Self::Returning
            | Self::LeftToOthers => Condition::AsPlanned,
            Self::Busy | Self::Network | Self::NotRoot => Condition::CannotTell,
            Self::WentBack
            | Self::FailedBefore
            | Self::Hindered
            | Self::MaybeUnhealthy
            | Self::NoWindow
            | Self::Blocked
            | Self::LowerMajor
            | Self::LowerVersion
            | Self::OtherMajor
            | Self::Clock
            | Self::Config
            | Self::Server
            | Self::Repository
            | Self::Package
            | Self::Disk
            | Self::Broken
            | Self::Internal
            | Self::Usage => Condition::NeedsAttention,
        }
    }

    /// Whether a run that ended so was told to wait.
    #[must_use]
    pub const fn is_wait(self) -> bool {
        matches!(
            self,
            Self::RolledBack
                | Self::Due
                | Self::OutsideWindow
                | Self::BeforeTurn
                | Self::Paused
                | Self::HeldBack
                | Self::Returning
                | Self::FailedBefore
                | Self::Hindered
                | Self::MaybeUnhealthy
                | Self::NoWindow
        )
    }

    /// Whether the agent is where it is wanted.
    #[must_use]
    pub const fn is_converged(self) -> bool {
        matches!(self, Self::UpToDate | Self::NoTarget | Self::Upgraded)
    }
}

impl From<Class> for Reason {
    fn from(class: Class) -> Self {
        match class {
            Class::Usage => Self::Usage,
            Class::Config => Self::Config,
            Class::NotRoot => Self::NotRoot,
            Class::Busy => Self::Busy,
            Class::Network => Self::Network,
            Class::Clock => Self::Clock,
            Class::Disk => Self::Disk,
            Class::Server => Self::Server,
            Class::Repository => Self::Repository,
            Class::Package => Self::Package,
            Class::Broken => Self::Broken,
            Class::Internal => Self::Internal,
        }
    }
}

impl From<&Decision> for Reason {
    fn from(decision: &Decision) -> Self {
        match decision {
            Decision::Stay(Stay::NoTarget) => Self::NoTarget,
            Decision::Stay(Stay::UpToDate(_)) => Self::UpToDate,
            Decision::Wait(Wait::FailedBefore { .. }) => Self::FailedBefore,
            Decision::Wait(Wait::Hindered { .. }) => Self::Hindered,
            Decision::Wait(Wait::HeldBack { .. }) => Self::HeldBack,
            Decision::Wait(Wait::Paused { .. }) => Self::Paused,
            Decision::Wait(Wait::Returning { .. }) => Self::Returning,
            Decision::Wait(Wait::Trigger { not_now: NotNow::OutsideWindow(_), .. }) => Self::OutsideWindow,
            Decision::Wait(Wait::Trigger { not_now: NotNow::BeforeTurn { .. }, .. }) => Self::BeforeTurn,
            Decision::Wait(Wait::Trigger { not_now: NotNow::MaybeUnhealthy { .. }, .. }) => Self::MaybeUnhealthy,
            Decision::Wait(Wait::Trigger { not_now: NotNow::NoWindow(_), .. }) => Self::NoWindow,
            Decision::Refuse(Refusal::LowerMajor(_)) => Self::LowerMajor,
            Decision::Refuse(Refusal::Lower(_)) => Self::LowerVersion,
            Decision::Refuse(Refusal::OtherMajor(_)) => Self::OtherMajor,
            Decision::Refuse(Refusal::Clock) => Self::Clock,
            Decision::Upgrade { .. } => Self::Due,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_word_of_its_own_that_fits_a_label() {
        let mut words: Vec<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), 32);
        assert!(words.iter().all(|word| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')), "{words:?}");
    }

    #[test]
    fn monitors_hear_zero_for_waiting_as_planned_one_for_a_person_and_two_for_what_cannot_be_told() {
        for (word, exit) in
            [("up-to-date", 0), ("outside-window", 0), ("paused", 0), ("failed-before", 1), ("broken", 1), ("network", 2)]
        {
            assert_eq!(Reason::of_code(word).unwrap().condition().exit(), exit, "{word}");
        }
    }
}
