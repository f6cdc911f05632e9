//! One run, top to bottom. Everything that can be decided is decided in `rules`; everything that touches the machine is in `host`;
//! here is only the order.

mod apply;
mod bring_up;
mod change;
pub mod cli;
mod confirm;
mod consider;
mod dry_run;
mod go_back;
mod half_installed;
mod holder;
pub mod install;
mod keep;
mod leftover;
mod outcome;
pub mod pause;
mod prefetch;
mod prove;
mod publish;
mod rollback;
mod server;
pub mod setup;
pub mod status;
mod survey;

use std::path::Path;

use crate::config::{self, Loaded};
use crate::error::{Class, Error};
use crate::host::hold::{self, FirstHold};
use crate::host::lock::Lock;
use crate::host::machine::Machine;
use crate::host::packages;
use crate::host::record::Ledger;
use crate::rules::decide::{Decision, remember};
use crate::rules::facts::Mandate;
use crate::rules::plan::{Held, plan};
use crate::upgrade::consider::{Ask, Question};
pub use crate::upgrade::dry_run::dry_run;
use crate::upgrade::leftover::Settled;
pub use crate::upgrade::outcome::Outcome;
pub use crate::upgrade::rollback::rollback;

/// One whole run: whatever happens in it is recorded before it is returned.
///
/// # Errors
/// What stopped the run, with the next step; its class is the exit code.
pub fn run(machine: &Machine, directory: &Path, mandate: Mandate) -> Result<Outcome, Error> {
    let command = match mandate {
        Mandate::Policy => "run",
        Mandate::Force => "force",
    };
    locked(machine, directory, command, |lock, ledger| under_lock(machine, directory, mandate, lock, ledger))
}

/// What a command does under the lock, recorded before it is returned.
fn locked(
    machine: &Machine,
    directory: &Path,
    command: &str,
    act: impl FnOnce(&Lock, &mut Ledger) -> Result<Outcome, Error>,
) -> Result<Outcome, Error> {
    root_only(machine, command)?;
    let lock = Lock::take(machine)?;
    let began = (machine.uptime)();
    let mut ledger = Ledger::open(machine, &lock)?;
    let ended = act(&lock, &mut ledger);
    let saved = outcome::conclude(machine, directory, &mut ledger, &ended, began);
    match (ended, saved) {
        (Ok(outcome), Err(unsaved)) if !outcome.is_upgrade() => Err(unsaved),
        (ended, Err(unsaved)) => {
            machine.log.warning(unsaved.to_string());
            ended
        }
        (ended, Ok(())) => ended,
    }
}

fn under_lock(machine: &Machine, directory: &Path, mandate: Mandate, lock: &Lock, ledger: &mut Ledger) -> Result<Outcome, Error> {
    let loaded = config::load(directory, machine.superuser);
    // Even with a configuration that makes no sense, what was begun is looked at first.
    let left = match leftover::settle(machine, loaded.as_ref().ok().map(|l| &l.policy), mandate, lock, ledger)? {
        Settled::Nothing | Settled::RolledBack(_) => None,
        Settled::Left(error) => Some(error),
        Settled::WentBack(outcome) => return Ok(outcome),
    };
    // What was begun and could not be finished is worse than whatever else goes wrong.
    let or_left = |error: Error| match left.clone() {
        None => error,
        Some(left) => {
            machine.log.warning(error.to_string());
            left
        }
    };
    let loaded = loaded.map_err(or_left)?;
    announce(machine, &loaded, ledger);
    let policy = &loaded.policy;
    if ledger.record.first_hold == FirstHold::Open {
        ledger.record.first_hold = hold::settle(machine, policy.installer, policy.repo.as_ref(), policy.package.as_ref());
    }
    holder::settle_owed(machine, policy, lock, ledger);

    let question = Question { mandate, attendance: machine.attendance, ask: Ask::Server };
    let considered = consider::consider(machine, directory, policy, &mut ledger.record, &mut ledger.account, question);
    let mut considered = considered.inspect_err(|_| holder::note(machine, policy, ledger)).map_err(or_left)?;
    survey::ask_database(machine, policy, &mut considered).map_err(or_left)?;
    half_installed::settle(machine, policy, &mut considered, lock, ledger).map_err(or_left)?;
    considered.account_for(policy, &mut ledger.account);
    if !matches!(considered.decision, Decision::Upgrade { .. }) {
        holder::note(machine, policy, ledger);
    }
    considered.say(machine, policy);
    ledger.record.agent.clone_from(&considered.agent);
    ledger.record.memory = remember(&considered.facts, &considered.decision, considered.now);
    if let Some(to) = prefetch::coming(policy, &considered.decision).filter(|_| left.is_none()) {
        prefetch::fetch(machine, policy, &considered.facts, to, lock, ledger)?;
    }
    let Decision::Upgrade { to, why } = considered.decision else {
        // And no less broken because nothing else is due.
        return left.map_or(Ok(Outcome::Decided(considered.decision)), Err);
    };

    let unsettled = ledger.record.pending.as_ref().is_some_and(|pending| pending.to == to);
    if let Some(left) = left.clone().filter(|_| unsettled && mandate == Mandate::Policy) {
        // Installing the same once more is what settling it does, at its own intervals; another version may be the cure.
        return Err(left);
    }
    let Some(packages) = packages::choose(machine, policy.installer, policy.repo.as_ref()).map_err(or_left)? else {
        return left.map_or(Ok(Outcome::LeftToOthers { to }), Err);
    };
    machine.log.speak_up();
    let site = survey::survey(machine, &*packages, policy, &considered.facts, ledger.record.first_hold).map_err(or_left)?;
    ledger.account.inputs.hold = (&site.held).into();
    if site.held == Held::No && hold::place(machine) == packages.place() {
        hold::disclaim(machine);
    }
    match plan(policy, site, to, &why) {
        Err(blocked) => left.map_or(Ok(Outcome::Blocked(blocked)), Err),
        Ok(plan) => apply::apply(machine, &*packages, &plan, mandate, lock, ledger),
    }
}

/// Says what is odd about the configuration: what was forgiven each time, what is unknown only once.
fn announce(machine: &Machine, loaded: &Loaded, ledger: &mut Ledger) {
    for warning in &loaded.warnings {
        machine.log.warning(warning);
    }
    for name in &loaded.unknown {
        if !ledger.record.warned.contains(name) {
            machine.log.warning(format!(
                "the configuration directory has a file {name} that this version does not know; it is ignored."
            ));
        }
    }
    ledger.record.warned.clone_from(&loaded.unknown);
}

fn root_only(machine: &Machine, command: &str) -> Result<(), Error> {
    if machine.is_superuser() {
        return Ok(());
    }
    Err(Error::new(
        Class::NotRoot,
        format!("`{command}` needs root"),
        "type it again with sudo in front; or, to look only: teleport-upgrade status",
    ))
}
