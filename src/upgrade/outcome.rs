//! How a run ended: its exit code, its stable word, and its line in the record.

use std::path::Path;
use std::time::Duration;

use crate::error::{Class, Error, Exit};
use crate::host::machine::Machine;
use crate::host::pending::{Back, Fault};
use crate::host::record::{Ledger, Record};
use crate::rules::account::{Account, Attempt, Change, Holder};
use crate::rules::decide::{Decision, Refusal, Stay, Wait};
use crate::rules::memory::Failed;
use crate::rules::plan::Blocked;
use crate::rules::reason::Reason;
use crate::rules::release::Release;
use crate::upgrade::publish;

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
    /// The upgrade is due, but the administrator's own settings, or open sessions, forbid it.
    Blocked(Blocked),
    /// What `install` was to bring is there.
    AlreadyThere(Release),
    /// What `rollback` was to go back to is there.
    BackAlready(Release),
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

    /// Why, as a stable word.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Upgraded { .. } => Reason::Upgraded,
            Self::WentBack { .. } => Reason::WentBack,
            Self::RolledBack { .. } => Reason::RolledBack,
            Self::LeftToOthers { .. } => Reason::LeftToOthers,
            Self::AlreadyThere(_) => Reason::UpToDate,
            Self::BackAlready(_) => Reason::HeldBack,
            Self::Blocked(_) => Reason::Blocked,
            Self::Decided(decision) => decision.into(),
        }
    }

    /// Says what the log does not say yet.
    pub(super) fn say(&self, machine: &Machine) {
        match self {
            Self::Decided(_) | Self::AlreadyThere(_) | Self::BackAlready(_) => {}
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

    /// What will change it. What a decision waits for was found with the decision.
    fn change(&self, account: &Account, record: &Record) -> Change {
        match self {
            Self::Decided(_) => account.change.clone(),
            Self::Upgraded { .. } | Self::AlreadyThere(_) => Change::when("another version is wanted"),
            Self::RolledBack { .. } | Self::BackAlready(_) => {
                Change::when("another version is wanted, or `teleport-upgrade force`")
            }
            Self::LeftToOthers { to } => Change::when(format!("whoever installs here installs {to}")),
            Self::Blocked(Blocked(why)) => Change::when(why.split_once("next: ").map_or(why.as_str(), |(_, next)| next)),
            Self::WentBack { .. } => Change {
                what: "it is tried again (at once: `teleport-upgrade force`)".into(),
                at: record.memory.failed.as_ref().or(record.memory.hindered.as_ref()).map(Failed::until),
            },
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::WentBack { from, to, back } => {
                format!("{from} failed: back on {to} ({})", back.why.lines().next().unwrap_or_default())
            }
            Self::Upgraded { to, .. } | Self::RolledBack { to, .. } | Self::AlreadyThere(to) | Self::BackAlready(to) => {
                format!("on {to}")
            }
            Self::LeftToOthers { to } => format!("{to} is due and left to others"),
            Self::Blocked(Blocked(why)) => why.lines().next().unwrap_or_default().to_owned(),
            Self::Decided(decision) => match decision {
                Decision::Stay(Stay::NoTarget) => "the server wants no version now".into(),
                Decision::Stay(Stay::UpToDate(release)) => format!("on {release}, as wanted"),
                Decision::Wait(Wait::FailedBefore { to, .. }) => format!("{to} failed here before"),
                Decision::Wait(Wait::Hindered { to, .. }) => format!("{to} could not be installed here"),
                Decision::Wait(Wait::HeldBack { to }) => format!("a person went back from {to}"),
                Decision::Wait(Wait::Paused { to, .. }) => format!("{to} waits for the end of a pause"),
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

/// Writes the account of a run into the record, whatever it came to.
pub(super) fn conclude(
    machine: &Machine,
    directory: &Path,
    ledger: &mut Ledger,
    ended: &Result<Outcome, Error>,
    began: Duration,
) -> Result<(), Error> {
    if let Ok(outcome) = ended {
        outcome.say(machine);
    }
    let account = std::mem::take(&mut ledger.account);
    let record = &mut ledger.record;
    let (reason, text, exit, change) = match ended {
        Ok(outcome) => (outcome.reason(), outcome.sentence(), outcome.exit(), outcome.change(&account, record)),
        Err(error) => (error.class.into(), error.what.clone(), error.class.exit(), Change::when(error.next.as_str())),
    };
    let took = u64::try_from((machine.uptime)().saturating_sub(began).as_millis()).unwrap_or(u64::MAX);
    let account = Account { at: machine.now(), took, code: reason.code().into(), text, exit: exit as u8, change, ..account };
    record.attempt = attempt(record.attempt.take(), &account, ended);
    record.conclude(reason, account);
    let wanted = publish::wanted(machine, directory, record);
    publish::publish(machine, record, wanted);
    ledger.save()
}

/// The last attempt at the version that is wanted now, if it came to nothing: it is not forgotten while the next window is waited for.
fn attempt(before: Option<Attempt>, account: &Account, ended: &Result<Outcome, Error>) -> Option<Attempt> {
    const LINES: usize = 3;
    let Some(to) = account.inputs.wanted.clone() else { return before };
    let made = |said: &[String]| Attempt {
        to: to.clone(),
        at: account.at,
        code: account.code.clone(),
        text: account.text.clone(),
        said: said.iter().rev().take(LINES).rev().cloned().collect(),
        next: account.change.what.clone(),
    };
    match ended {
        // Whoever has a lock, or a disk or network for a moment, lets the next run try again.
        Err(error) if error.class != Class::Busy => Some(made(&error.tool_said)),
        Ok(Outcome::WentBack { back, .. }) => {
            let next = "look at why: journalctl -u teleport -n 100; journalctl -u 'teleport-upgrade*'".to_owned();
            Some(Attempt { text: back.why.clone(), next, ..made(&[]) })
        }
        // A hold can be looked at any time; a pin is seen only when it is met.
        Ok(Outcome::Blocked(_)) if !matches!(account.inputs.hold, Holder::Administrator(_)) => Some(made(&[])),
        _ => before.filter(|attempt| attempt.to == to),
    }
}
