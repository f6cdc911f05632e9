//! `rollback`: a person goes back to the version before the last upgrade. What is wanted now is not followed until something else is, or
//! until `force`. Needs no network where that version's package was kept.

use std::path::Path;

use crate::config;
use crate::error::{Class, Error};
use crate::host::agent;
use crate::host::hold::FirstHold;
use crate::host::lock::Lock;
use crate::host::machine::Machine;
use crate::host::packages;
use crate::host::record::{Ledger, Purpose, Record};
use crate::host::transcript::Transcript;
use crate::rules::facts::Mandate;
use crate::rules::plan::plan;
use crate::rules::policy::Policy;
use crate::rules::release::Release;
use crate::rules::room::Needs;
use crate::rules::trigger::Trigger;
use crate::upgrade::apply::Prepared;
use crate::upgrade::change::{Change, Source};
use crate::upgrade::leftover::Settled;
use crate::upgrade::{Outcome, leftover, locked, survey};

/// Goes back to the version before.
///
/// # Errors
/// What stopped it, with the next step; its class is the exit code.
pub fn rollback(machine: &Machine, directory: &Path) -> Result<Outcome, Error> {
    locked(machine, "rollback", |lock, ledger| {
        let policy = config::load(directory, machine.superuser)?.policy;
        match leftover::settle(machine, Some(&policy), Mandate::Force, lock, ledger)? {
            Settled::WentBack(outcome) => return Ok(outcome),
            // What is broken now is what is gone back from.
            Settled::Nothing | Settled::Left(_) => {}
        }
        under_lock(machine, &policy, lock, ledger)
    })
}

fn under_lock(machine: &Machine, policy: &Policy, lock: &Lock, ledger: &mut Ledger) -> Result<Outcome, Error> {
    let packages = packages::choose(machine, policy.installer, policy.repo.as_ref())?.ok_or_else(|| {
        Error::new(Class::Config, "the file `installer` says `nop`: nothing is installed here", "remove the file `installer`")
    })?;
    let installed = agent::ask(machine, None).version().cloned();
    let site = survey::site(machine, &*packages, policy, installed, FirstHold::Settled)?;
    let before = site.database.as_deref().and_then(|version| packages.release_of(version));
    let to = version_before(&ledger.record, before.as_ref()).ok_or_else(|| {
        Error::new(
            Class::Config,
            "no version before this one is known: this program has made no upgrade here that it could go back from",
            "write the version to be on into the file `pin`, then: teleport-upgrade force",
        )
    })?;
    let plan = match plan(policy, site, to, &Trigger::Forced) {
        Ok(plan) => plan,
        Err(blocked) => return Ok(Outcome::Blocked(blocked)),
    };
    let transcript = Transcript::in_directory(lock.private());
    transcript.rotate();
    let change = Change { machine, packages: &*packages, transcript: &transcript, plan: &plan, before: plan.service.before() };
    let kept = ledger.record.kept.iter().find(|kept| kept.package == plan.package && kept.release == plan.to).cloned();
    if let Some(kept) = kept.filter(|kept| kept.checked(machine).is_ok()) {
        change.keep_the_way_back(Needs { download: kept.bytes, unpacked: 0 }, ledger);
        change.begin(Purpose::Rollback, ledger)?;
        return change.make(Source::Kept(&kept), ledger);
    }
    let transaction = match change.prepare(Mandate::Force)? {
        Prepared::Ready(transaction) => transaction,
        Prepared::Forbidden(blocked) => return Ok(Outcome::Blocked(blocked)),
    };
    change.keep_the_way_back(transaction.needs, ledger);
    change.begin(Purpose::Rollback, ledger)?;
    change.make(Source::Repository(&transaction), ledger)
}

/// The one that is kept beside the version in use; or else the one that the last upgrade left.
fn version_before(record: &Record, now: Option<&Release>) -> Option<Release> {
    let last = record.upgrades.iter().rev().find(|upgrade| upgrade.code == "upgraded" && Some(&upgrade.to) == now);
    let left = last.and_then(|upgrade| upgrade.from.clone()).filter(|from| Some(from) != now);
    let interrupted = record.pending.as_ref().and_then(|pending| pending.from.clone()).filter(|from| Some(from) != now);
    interrupted.or(left).or_else(|| record.kept.iter().map(|kept| &kept.release).find(|release| Some(*release) != now).cloned())
}
