//! What is really there: package database, files and binary, all three; never an exit code (V8 to V11, H02). Changes nothing.

use crate::host::agent::{self, Agent, Known};
use crate::host::packages::{self, Completeness};
use crate::rules::release::Release;
use crate::upgrade::change::Change;

impl Change<'_> {
    /// Whether the package is whole at that release, or what speaks against it. Checking the files takes longest, so it goes on while the
    /// others are asked.
    pub(super) fn confirm(&self, release: &Release) -> Result<Known, Vec<String>> {
        let Self { machine, packages, plan, .. } = *self;
        let damage = packages.damage(&plan.package);
        let mut doubts = Vec::new();
        match packages::state(packages, &plan.package) {
            Err(error) => doubts.push(error.what),
            Ok(state) => {
                if state.version.as_deref().and_then(|version| packages.release_of(version)).as_ref() != Some(release) {
                    doubts.push(format!(
                        "the package database says {}",
                        state.version.as_deref().unwrap_or("that it is not installed")
                    ));
                }
                if let Completeness::Stopped(at) = state.completeness {
                    doubts.push(format!("the package database says {at}"));
                }
            }
        }
        let agent = agent::ask(machine, None);
        match damage.and_then(|answer| answer()) {
            Err(error) => doubts.push(error.what),
            Ok(damage) => doubts.extend(damage.into_iter().take(3)),
        }
        match agent {
            Agent::Says(known) if known.version() == release && doubts.is_empty() => return Ok(known),
            Agent::Says(known) if known.version() == release => {}
            Agent::Says(known) => doubts.push(format!("the agent's binary says {}", known.version())),
            Agent::Silent(why) => doubts.push(why),
        }
        Err(doubts)
    }

    /// Whether the host is as it was before: the package complete at the version that the database named, none of its files replaced
    /// meanwhile, and the binary of the version before, where it could say which one that was.
    pub(super) fn is_unharmed(&self) -> bool {
        let Self { machine, packages, plan, .. } = *self;
        let as_before = |version: &str| match &plan.database {
            Some(before) => version == before,
            None => plan.from.is_some() && packages.release_of(version) == plan.from,
        };
        let state = packages::state(packages, &plan.package);
        if plan.from.is_none() && plan.database.is_none() && state.as_ref().is_ok_and(|state| state.version.is_none()) {
            return true;
        }
        let complete = state
            .is_ok_and(|state| state.completeness == Completeness::Complete && state.version.as_deref().is_some_and(as_before));
        complete
            && packages.touched(&plan.package, self.since).is_ok_and(|touched| touched.is_empty())
            && match agent::ask(machine, None).version() {
                Some(says) => plan.from.as_ref().is_none_or(|from| says == from),
                // It may have been silent before, too; but a program that is damaged now is no agent as it was before.
                None => packages.damage(&plan.package).and_then(|answer| answer()).is_ok_and(|damage| damage.is_empty()),
            }
    }
}
