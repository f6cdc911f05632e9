//! Looking at the host once an upgrade is decided on, before anything is changed: package, database, hold, service. Changes nothing.

use std::path::Path;

use crate::error::{Class, Error};
use crate::host::hold::FirstHold;
use crate::host::machine::Machine;
use crate::host::packages::{self, Completeness, Packages, find_package};
use crate::host::{agent, hold, process, service};
use crate::rules::decide::{Decision, Stay, decide};
use crate::rules::facts::{Enrolment, Facts};
use crate::rules::plan::Site;
use crate::rules::policy::{Package, Policy};
use crate::rules::release::Release;
use crate::upgrade::consider::Considered;

/// A binary that cannot say its version is no reason to pass the guards against other majors: when an upgrade is due for such an agent,
/// the package database says what is installed, and it is decided again. Only a damaged package is then installed again at its version.
pub(super) fn ask_database(machine: &Machine, policy: &Policy, considered: &mut Considered) -> Result<(), Error> {
    if considered.facts.installed.is_some() || !matches!(considered.decision, Decision::Upgrade { .. }) {
        return Ok(());
    }
    let Some(packages) = packages::choose(machine, policy.installer, policy.repo.as_ref())? else { return Ok(()) };
    let (package, state) = find_package(&*packages, policy.package.as_ref())?;
    let Some(release) = state.version.as_deref().and_then(|version| packages.release_of(version)) else { return Ok(()) };
    let facts = Facts { installed: Some(release.clone()), ..considered.facts.clone() };
    let decision = decide(policy, &facts, considered.now);
    let up_to_date = matches!(decision, Decision::Stay(Stay::UpToDate(_)));
    let whole = state.completeness == Completeness::Complete && packages.damage(&package)?()?.is_empty();
    if up_to_date && !whole {
        machine.log.warning(format!("{package} {release} is damaged: it is installed again."));
        return Ok(());
    }
    machine.log.info(format!("the package database says {package} {release}."));
    (considered.facts, considered.decision) = (facts, decision);
    Ok(())
}

/// The host as this upgrade finds it.
pub(super) fn survey(
    machine: &Machine,
    packages: &dyn Packages,
    policy: &Policy,
    facts: &Facts,
    first_hold: FirstHold,
) -> Result<Site, Error> {
    let site = site(machine, packages, policy, facts.installed.clone(), first_hold)?;
    Ok(Site { enrolment: facts.enrolment, ..site })
}

/// The same by what is on the host alone: nobody was asked what is wanted. `installed` is what the binary says.
pub(super) fn site(
    machine: &Machine,
    packages: &dyn Packages,
    policy: &Policy,
    installed: Option<Release>,
    first_hold: FirstHold,
) -> Result<Site, Error> {
    if service::host_is_going_down(machine) {
        return Err(Error::new(Class::Busy, "this host is shutting down: nothing is begun now", "the next run tries again"));
    }
    let (package, state) = find_package(packages, policy.package.as_ref())?;
    foreign_binary(machine, packages, &package)?;
    if let (Some(says), Some(database)) = (&installed, &state.version)
        && packages.release_of(database).as_ref() != Some(says)
    {
        machine.log.warning(format!("the agent's binary says {says}, the package database says {package} {database}."));
    }
    let stopped_at = match &state.completeness {
        Completeness::Complete => None,
        Completeness::Stopped(at) => Some(at.clone()),
    };
    Ok(Site {
        held: hold::holder(machine, packages, &package, &state, first_hold),
        database: state.version,
        service: service::look(machine)?,
        from: installed,
        enrolment: Enrolment::Unknown,
        stopped_at,
        package,
    })
}

/// A binary that did not come with the package, installed or running, means that something else installs the agent here: two updaters
/// would fight (V4).
fn foreign_binary(machine: &Machine, packages: &dyn Packages, package: &Package) -> Result<(), Error> {
    let installed = agent::binary(machine);
    // Links of today lead from where it was started to where it is by now; a path that is gone says nothing.
    let started = process::agent(machine).and_then(|agent| agent.program(machine));
    let running = started.and_then(|path| machine.path(path).canonicalize().ok()).filter(|path| installed.as_ref() != Some(path));
    for (whose, binary) in [("the agent's binary", installed), ("the running agent's binary", running)] {
        let Some(binary) = binary else { continue };
        if !packages.owns(package, &binary)? {
            return Err(belongs_to_none(whose, &binary));
        }
    }
    Ok(())
}

fn belongs_to_none(whose: &str, binary: &Path) -> Error {
    Error::new(
        Class::Config,
        format!("{whose} {} belongs to no package: this host is managed by teleport-update or by hand", binary.display()),
        "let one updater do it: either `teleport-update disable` and install the package, or remove this one",
    )
}
