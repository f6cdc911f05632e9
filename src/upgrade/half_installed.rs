//! An agent whose program is the wanted one may be half-installed all the same (H01): a package manager died, ours or somebody's. The
//! package database is asked, but only when it has changed since it was last seen whole: a check that finds nothing to do starts no process
//! (V28).

use crate::error::{Class, Error};
use crate::host::lock::Lock;
use crate::host::machine::Machine;
use crate::host::packages::{self, Completeness, Packages, State, find_package};
use crate::host::record::Ledger;
use crate::host::transcript::Transcript;
use crate::rules::decide::{Decision, Stay, decide};
use crate::rules::facts::Facts;
use crate::rules::policy::{Package, Policy};
use crate::rules::release::Release;
use crate::upgrade::consider::Considered;
use crate::upgrade::holder;

/// Finishes what is half-installed; where the database has another version than the program, that one counts, and it is decided again.
///
/// # Errors
/// [`Class::Broken`] when it cannot be finished.
pub(super) fn settle(
    machine: &Machine,
    policy: &Policy,
    considered: &mut Considered,
    lock: &Lock,
    ledger: &mut Ledger,
) -> Result<(), Error> {
    let Decision::Stay(Stay::UpToDate(release)) = considered.decision.clone() else { return Ok(()) };
    if packages::database(machine) == ledger.record.database {
        return Ok(());
    }
    let Ok(Some(packages)) = packages::choose(machine, policy.installer, policy.repo.as_ref()) else { return Ok(()) };
    let Ok((package, state)) = find_package(&*packages, policy.package.as_ref()) else { return Ok(()) };
    holder::saw(machine, &*packages, &package, &state, &mut ledger.record);
    let state = match &state.completeness {
        Completeness::Complete => state,
        Completeness::Stopped(at) => finished(machine, &*packages, &package, &release, at, lock)?,
    };
    let installed = state.version.as_deref().and_then(|version| packages.release_of(version));
    if let Some(other) = installed.filter(|other| *other != release) {
        machine.log.warning(format!("the agent's binary says {release}, the package database says {package} {other}."));
        considered.facts = Facts { installed: Some(other), ..considered.facts.clone() };
        considered.decision = decide(policy, &considered.facts, considered.now);
        return Ok(());
    }
    ledger.record.database = packages::database(machine);
    Ok(())
}

fn finished(
    machine: &Machine,
    packages: &dyn Packages,
    package: &Package,
    release: &Release,
    stopped_at: &str,
    lock: &Lock,
) -> Result<State, Error> {
    machine.log.speak_up();
    machine.log.warning(format!("{package} is {stopped_at}, though its program is the wanted one: finishing that."));
    machine.orders.hold_back();
    let tried = packages.finish(package, &Transcript::in_directory(lock.private()));
    let state = packages::state(packages, package)?;
    let Completeness::Stopped(still_at) = &state.completeness else {
        machine.log.info(format!("{package} is complete."));
        return Ok(state);
    };
    let (why, said) = tried.err().map_or_else(Default::default, |error| (format!(": {}", error.what), error.tool_said));
    let what = format!("{package} is {still_at}, and could not be finished{why}");
    Err(Error::new(Class::Broken, what, packages.by_hand(package, release)).with_tool_lines(said))
}
