//! Who holds the package, for the account of a run that changes nothing: asked only when something has changed that could say otherwise,
//! because a check starts no process (V28). An upgrade asks again itself. A hold that a change could not leave as it should is settled here.

use crate::host::hold::{self, FirstHold};
use crate::host::lock::Lock;
use crate::host::machine::Machine;
use crate::host::packages::{self, Packages, State, find_package};
use crate::host::record::{HolderSeen, Ledger, Record};
use crate::host::transcript::Transcript;
use crate::rules::account::Holder;
use crate::rules::plan::{Held, HoldAfter};
use crate::rules::policy::{Hold, Package, Policy};

/// Notes the holder in the account of this run. A hold of ours that somebody has released is nobody's from now on: the next one is somebody
/// else's.
pub(super) fn note(machine: &Machine, policy: &Policy, ledger: &mut Ledger) {
    let record = &mut ledger.record;
    let is_known = record.holder.by != Holder::Unknown && record.holder.evidence == packages::evidence_of_holds(machine);
    let is_claimed = record.holder.by == Holder::Nobody && hold::claimed(machine).is_some();
    if (!is_known || is_claimed)
        && let Ok(Some(packages)) = packages::choose(machine, policy.installer, policy.repo.as_ref())
        && let Ok((package, state)) = find_package(&*packages, policy.package.as_ref())
    {
        saw(machine, &*packages, &package, &state, record);
        if record.holder.by == Holder::Nobody && hold::place(machine) == packages.place() {
            hold::disclaim(machine);
        }
    }
    ledger.account.inputs.hold = record.holder.by.clone();
}

/// Leaves the hold as the last change was to leave it and could not, for want of room on disk or because of somebody's lock. What somebody else holds
/// by now stays.
pub(super) fn settle_owed(machine: &Machine, policy: &Policy, lock: &Lock, ledger: &mut Ledger) {
    let Some(owed) = ledger.record.hold_owed.filter(|_| ledger.record.pending.is_none()) else { return };
    let owed = if owed == HoldAfter::Ours && policy.hold == Hold::Never { HoldAfter::Free } else { owed };
    if let Ok(Some(packages)) = packages::choose(machine, policy.installer, policy.repo.as_ref())
        && let Ok((package, state)) = find_package(&*packages, policy.package.as_ref())
    {
        let held = hold::holder(machine, &*packages, &package, &state, FirstHold::Settled);
        if held == Held::No || owed == HoldAfter::Free {
            let transcript = Transcript::in_directory(lock.private());
            if let Err(error) = hold::leave(machine, &*packages, &package, owed, &transcript)() {
                return machine.log.warning(error.to_string());
            }
            machine.log.info(format!("the hold on {package} is as the last change was to leave it."));
        }
        ledger.record.hold_owed = None;
    }
}

/// Remembers what the package database said.
pub(super) fn saw(machine: &Machine, packages: &dyn Packages, package: &Package, state: &State, record: &mut Record) {
    let by = Holder::from(&hold::holder(machine, packages, package, state, record.first_hold));
    record.holder = HolderSeen { evidence: packages::evidence_of_holds(machine), by };
}
