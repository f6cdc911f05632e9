//! How a run ended: its exit code, its stable word, and its line in the record.

use crate::error::{Error, Exit};
use crate::host::machine::Machine;
use crate::host::record::{Back, Fault, Ledger};
use crate::rules::decide::{Decision, Refusal, Stay, Wait};
use crate::rules::plan::Blocked;
use crate::rules::release::Release;
use crate::rules::trigger::NotNow;

/// How a run ended, when nothing went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// The decision was not to upgrade now.
    Decided(Decision),
    /// The upgrade is due, but `installer` says `nop`.
    LeftToOthers {
        /// The version that is due.
        to: Release,
    },
    /// The upgrade is due, but the administrator's own settings forbid it.
    Blocked(Blocked),
    /// What `install` was to bring is there.
    AlreadyThere(Release),
    /// The new version failed, and the agent is well on the one before.
    WentBack {
        /// The version that failed.
        from: Release,
        /// The version now.
        to: Release,
        /// Why, and whose fault it was.
        back: Back,
    },
    /// A person went back.
    RolledBack {
        /// The version before, if it was known.
        from: Option<Release>,
        /// The version now.
        to: Release,
    },
    /// The agent is on another version.
    Upgraded {
        /// The version before, if it was known.
        from: Option<Release>,
        /// The version now.
        to: Release,
    },
}

impl Outcome {
    /// Whether the host was changed.
    #[must_use]
    pub const fn is_upgrade(&self) -> bool {
        matches!(self, Self::Upgraded { .. } | Self::RolledBack { .. } | Self::WentBack { .. })
    }

    /// The exit code.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Decided(Decision::Refuse(Refusal::Clock)) => Exit::TryLater,
            Self::Decided(Decision::Refuse(_)) => Exit::Config,
            Self::WentBack { .. } => Exit::WentBack,
            _ => Exit::Done,
        }
    }

    /// A stable word for records and monitors.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Upgraded { .. } => "upgraded",
            Self::WentBack { .. } => "went-back",
            Self::RolledBack { .. } => "rolled-back",
            Self::LeftToOthers { .. } => "left-to-others",
            Self::AlreadyThere(_) => "up-to-date",
            Self::Blocked(_) => "blocked",
            Self::Decided(decision) => match decision {
                Decision::Stay(Stay::NoTarget) => "no-target",
                Decision::Stay(Stay::UpToDate(_)) => "up-to-date",
                Decision::Wait(Wait::FailedBefore { .. }) => "failed-before",
                Decision::Wait(Wait::Hindered { .. }) => "hindered",
                Decision::Wait(Wait::HeldBack { .. }) => "held-back",
                Decision::Wait(Wait::Returning { .. }) => "returning",
                Decision::Wait(Wait::Trigger { not_now: NotNow::OutsideWindow(_), .. }) => "outside-window",
                Decision::Wait(Wait::Trigger { not_now: NotNow::MaybeUnhealthy { .. }, .. }) => "maybe-unhealthy",
                Decision::Refuse(Refusal::LowerMajor(_)) => "lower-major",
                Decision::Refuse(Refusal::Lower(_)) => "lower-version",
                Decision::Refuse(Refusal::OtherMajor(_)) => "other-major",
                Decision::Refuse(Refusal::Clock) => "clock",
                Decision::Upgrade { .. } => "upgrade",
            },
        }
    }

    /// Says what the log does not say yet.
    pub(super) fn say(&self, machine: &Machine) {
        match self {
            Self::Decided(_) | Self::AlreadyThere(_) => {}
            Self::LeftToOthers { to } => {
                machine.log.info(format!("the file `installer` says `nop`: leaving the upgrade to {to} to others."))
            }
            Self::Blocked(Blocked(why)) => machine.log.warning(why),
            Self::WentBack { from, to, back: Back { fault: Fault::Version, .. } } => machine.log.warning(format!(
                "{from} failed on this host: back on {to}.\n    next: nothing has to be done now; look at why: journalctl -u teleport -n 100"
            )),
            Self::WentBack { from, to, back: Back { why, fault: Fault::Host } } => machine.log.warning(format!(
                "{from} could not be brought onto this host, which is not that version's fault: back on {to}.\n    next: look at what was in its way: {why}"
            )),
            Self::RolledBack { to, .. } => {
                machine.log.info(format!("went back to {to}; it stays so until another version is wanted, or `teleport-upgrade force`."));
            }
            Self::Upgraded { from: Some(from), to } => machine.log.info(format!("upgraded from {from} to {to}.")),
            Self::Upgraded { from: None, to } => machine.log.info(format!("upgraded to {to}.")),
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::WentBack { from, to, back } => {
                format!("{from} failed: back on {to} ({})", back.why.lines().next().unwrap_or_default())
            }
            Self::Upgraded { to, .. } | Self::RolledBack { to, .. } | Self::AlreadyThere(to) => format!("on {to}"),
            Self::LeftToOthers { to } => format!("{to} is due and left to others"),
            Self::Blocked(Blocked(why)) => why.lines().next().unwrap_or_default().to_owned(),
            Self::Decided(decision) => match decision {
                Decision::Stay(Stay::NoTarget) => "the server wants no version now".into(),
                Decision::Stay(Stay::UpToDate(release)) => format!("on {release}, as wanted"),
                Decision::Wait(Wait::FailedBefore { to, .. }) => format!("{to} failed here before"),
                Decision::Wait(Wait::Hindered { to, .. }) => format!("{to} could not be installed here"),
                Decision::Wait(Wait::HeldBack { to }) => format!("a person went back from {to}"),
                Decision::Wait(Wait::Returning { to, .. }) => format!("{to} was left lately and is offered again"),
                Decision::Wait(Wait::Trigger { to, .. }) => format!("{to} waits for its moment"),
                Decision::Refuse(Refusal::Clock) => "the clock cannot be right".into(),
                Decision::Refuse(Refusal::LowerMajor(step) | Refusal::Lower(step) | Refusal::OtherMajor(step)) => {
                    format!("{} -> {} is refused", step.from, step.to)
                }
                Decision::Upgrade { to, .. } => format!("{to} is due"),
            },
        }
    }
}

/// Writes the end of a run into the record, whatever it was.
pub(super) fn conclude(machine: &Machine, ledger: &mut Ledger, ended: &Result<Outcome, Error>) -> Result<(), Error> {
    let now = machine.now();
    match ended {
        Ok(outcome) => {
            outcome.say(machine);
            ledger.record.conclude(outcome.code(), &outcome.sentence(), outcome.exit() as u8, now);
        }
        Err(error) => ledger.record.conclude(error.class.code(), &error.what, error.class.exit() as u8, now),
    }
    ledger.save()
}
