//! A change of the version that has begun and is not settled: what the next run must know if this one dies. Part of the record, which is on
//! disk before the package manager is called.

use serde::{Deserialize, Serialize};

use crate::host::machine::Machine;
use crate::host::process;
use crate::rules::health::Complaint;
use crate::rules::moment::Moment;
use crate::rules::plan::{AgentBefore, HoldAfter};
use crate::rules::policy::Package;
use crate::rules::release::Release;

/// An upgrade that has begun: what the next run must know if this one dies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The package.
    pub package: Package,
    /// The version in use before, if it was known.
    pub from: Option<Release>,
    /// The version that is being installed.
    pub to: Release,
    /// How far it got.
    pub step: Step,
    /// Whether the package is to be held after.
    pub hold: HoldAfter,
    /// What the package database said before.
    #[serde(default)]
    pub database: Option<String>,
    /// Whether the agent was running before.
    #[serde(default)]
    pub agent: AgentBefore,
    /// What spoke against the agent before.
    #[serde(default)]
    pub ill_before: Option<Complaint>,
    /// Who wants it.
    #[serde(default)]
    pub purpose: Purpose,
    /// Why it is gone back from, once it is.
    #[serde(default)]
    pub back: Option<Back>,
    /// How often it was tried to finish it.
    #[serde(default)]
    pub tries: u32,
    /// When it was last tried.
    #[serde(default = "long_ago")]
    pub tried: Moment,
    /// The process that is at it.
    #[serde(default)]
    pub by: Option<Worker>,
    /// When it began.
    pub since: Moment,
    /// In which boot.
    pub boot: String,
}

/// A process of ours, told from a later one with the same id by its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    pid: u32,
    started: u64,
}

impl Worker {
    /// This process.
    pub(super) fn myself(machine: &Machine) -> Option<Self> {
        let pid = std::process::id();
        Some(Self { pid, started: process::start_time(machine, pid)? })
    }
}

impl Pending {
    /// Whether the process that is at it lives; any user can tell.
    #[must_use]
    pub fn is_at_work(&self, machine: &Machine) -> bool {
        let lives = |worker: Worker| process::start_time(machine, worker.pid) == Some(worker.started);
        self.boot == machine.boot() && self.by.is_some_and(lives)
    }
}

const fn long_ago() -> Moment {
    Moment::from_unix(0)
}

/// Who wants a change of the version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// The cluster, or the operator's `pin`.
    #[default]
    Upgrade,
    /// A person who goes back.
    Rollback,
}

/// Why a version is gone back from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Back {
    /// In words.
    pub why: String,
    /// Whose fault it is.
    pub fault: Fault,
}

/// Whose fault it is that a version could not be installed, or does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The version's own, as far as this host can tell.
    Version,
    /// The disk's, the network's, a lock's, the repository's: it says nothing of the version.
    Host,
}

/// The step that was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The package manager is at work.
    Install,
    /// The package is in place; the restart is left.
    BringUp,
    /// The agent runs it; whether it is well has not been seen to the end.
    Prove,
    /// It failed; the package manager puts the version before in place again.
    GoBack,
    /// The version before is in place again; the agent has not proven itself on it.
    BringBack,
}
