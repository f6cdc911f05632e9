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
use crate::host::pending::{Back, Fault, Purpose};
use crate::host::record::{Ledger, Record};
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
use crate::upgrade::{Outcome, consider, holder, leftover, locked, survey};

/// Goes back to the version before.
///
/// # Errors
/// What stopped it, with the next step; its class is the exit code.
pub fn rollback(machine: &Machine, directory: &Path) -> Result<Outcome, Error> {
    locked(machine, directory, "rollback", |lock, ledger| {
        let policy = config::load(directory, machine.superuser)?.policy;
        // Nobody is asked what is wanted.
        let _ = consider::look_around(machine, directory, &policy, &mut ledger.record, &mut ledger.account);
        holder::note(machine, &policy, ledger);
        if let Some(pending) = ledger.record.pending.as_mut().filter(|pending| pending.purpose == Purpose::Upgrade) {
            // What is not settled yet is what the person goes back from.
            pending.back.get_or_insert_with(|| Back { why: "a person goes back".into(), fault: Fault::Host });
        }
        let unsettled = ledger.record.pending.as_ref().and_then(|pending| pending.from.as_ref());
        let is_kept = unsettled.is_some_and(|from| ledger.record.kept.iter().any(|kept| kept.release == *from));
        match leftover::settle(machine, Some(&policy), Mandate::Force, lock, ledger)? {
            Settled::RolledBack(outcome) => Ok(outcome),
            Settled::WentBack(Outcome::WentBack { from, to, .. }) => {
                ledger.record.memory.went_back(Some(from.clone()), machine.now());
                Ok(Outcome::RolledBack { from: Some(from), to })
            }
            Settled::Left(error) if is_kept => Err(error),
            Settled::Left(error) => {
                machine.log.warning(error.to_string());
                under_lock(machine, &policy, lock, ledger)
            }
            Settled::Nothing | Settled::WentBack(_) => under_lock(machine, &policy, lock, ledger),
        }
    })
}

fn under_lock(machine: &Machine, policy: &Policy, lock: &Lock, ledger: &mut Ledger) -> Result<Outcome, Error> {
    let packages = packages::choose(machine, policy.installer, policy.repo.as_ref())?.ok_or_else(|| {
        Error::new(Class::Config, "the file `installer` says `nop`: nothing is installed here", "remove the file `installer`")
    })?;
    let installed = agent::ask(machine, None).version().cloned();
    let site = survey::site(machine, &*packages, policy, installed, FirstHold::Settled)?;
    let before = site.database.as_deref().and_then(|version| packages.release_of(version));
    if let Some(now) = already_back(&ledger.record, before.as_ref()) {
        let now = now.clone();
        machine.log.info(format!("the agent is back on {now} already; nothing was changed."));
        ledger.record.memory.held_back.clone_from(&ledger.record.memory.target);
        return Ok(Outcome::BackAlready(now));
    }
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
    let change = Change::new(machine, &*packages, &transcript, &plan, plan.service.before());
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

/// The version now, if the last change was a way back to it: asked for twice, it is one step.
fn already_back<'r>(record: &'r Record, now: Option<&'r Release>) -> Option<&'r Release> {
    let last = record.upgrades.last()?;
    let back = match last.code.as_str() {
        "rolled-back" => Some(&last.to),
        "went-back" => last.from.as_ref(),
        _ => None,
    };
    now.filter(|now| back == Some(now))
}

/// The version that the last upgrade to the one in use left.
fn version_before(record: &Record, now: Option<&Release>) -> Option<Release> {
    let last = record.upgrades.iter().rev().find(|upgrade| upgrade.code == "upgraded" && Some(&upgrade.to) == now);
    let interrupted = record.pending.as_ref().and_then(|pending| pending.from.as_ref());
    interrupted.or_else(|| last?.from.as_ref()).filter(|from| Some(*from) != now).cloned()
}
