//! `prefetch`: a version that waits for its window is downloaded and its installation simulated before, so that a repository that cannot
//! serve it is known while there is time. Installs nothing.

use crate::error::Error;
use crate::host::lock::Lock;
use crate::host::machine::Machine;
use crate::host::packages;
use crate::host::record::Ledger;
use crate::host::transcript::Transcript;
use crate::rules::decide::{Decision, Wait};
use crate::rules::facts::{Facts, Mandate};
use crate::rules::plan::plan;
use crate::rules::policy::{Policy, Prefetch};
use crate::rules::release::Release;
use crate::rules::trigger::{NotNow, Trigger};
use crate::upgrade::apply::Prepared;
use crate::upgrade::change::Change;
use crate::upgrade::survey;

/// The version that is to be fetched now, if any is.
pub(super) fn coming<'d>(policy: &Policy, decision: &'d Decision) -> Option<&'d Release> {
    match decision {
        Decision::Wait(Wait::Trigger { to, not_now: NotNow::OutsideWindow(_) | NotNow::BeforeTurn { .. } })
            if policy.prefetch == Prefetch::Yes =>
        {
            Some(to)
        }
        _ => None,
    }
}

/// Fetches it, unless it lies there already.
///
/// # Errors
/// What would stop the upgrade in its window.
pub(super) fn fetch(
    machine: &Machine,
    policy: &Policy,
    facts: &Facts,
    to: &Release,
    lock: &Lock,
    ledger: &mut Ledger,
) -> Result<(), Error> {
    let Some(packages) = packages::choose(machine, policy.installer, policy.repo.as_ref())? else { return Ok(()) };
    let site = survey::survey(machine, &*packages, policy, facts, ledger.record.first_hold)?;
    if packages.fetched(&site.package, to).is_some() {
        machine.log.debug(format!("{} {to} was fetched before.", site.package));
        return Ok(());
    }
    let plan = match plan(policy, site, to.clone(), &Trigger::Critical) {
        Ok(plan) => plan,
        Err(blocked) => {
            machine.log.warning(blocked.0);
            return Ok(());
        }
    };
    let transcript = Transcript::in_directory(lock.private());
    let change = Change::new(machine, &*packages, &transcript, &plan, plan.service.before());
    let transaction = match change.prepare(Mandate::Policy)? {
        Prepared::Ready(transaction) => transaction,
        Prepared::Forbidden(blocked) => {
            machine.log.warning(blocked.0);
            return Ok(());
        }
    };
    change.keep_the_way_back(transaction.needs, ledger);
    packages.fetch(&plan.package, &transaction.version, &transcript)?;
    machine.log.info(format!("{} {to} is fetched for its window.", plan.package));
    Ok(())
}
