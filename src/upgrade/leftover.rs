//! What a run does first when the one before it died in the middle: look at what is really there, and finish it or find it unharmed.

use crate::error::{Class, Error};
use crate::host::hold::{self, FirstHold};
use crate::host::lock::Lock;
use crate::host::machine::Machine;
use crate::host::packages::{self, Completeness, Packages, State};
use crate::host::record::{Ledger, Pending, Step};
use crate::host::service;
use crate::host::transcript::Transcript;
use crate::rules::facts::Mandate;
use crate::rules::memory::back_off;
use crate::rules::moment::span;
use crate::rules::plan::{Held, HoldAfter, Plan, Restraint};
use crate::rules::policy::{Policy, Verify};
use crate::upgrade::apply;

/// How often, in seconds, it is looked whether another run's package manager is at work still.
const LOOKS: u32 = 600;
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_secs(1);

/// Settles an upgrade that an earlier run began. Without one it does nothing.
///
/// What cannot be settled now is handed back, and its note stays: the run goes on, because the version that is due by now may be the cure.
///
/// # Errors
/// [`Class::Busy`] while the package manager of that run is still at work: nothing may be done beside it.
pub(super) fn settle(
    machine: &Machine,
    policy: Option<&Policy>,
    mandate: Mandate,
    lock: &Lock,
    ledger: &mut Ledger,
) -> Result<Option<Error>, Error> {
    let Some(pending) = ledger.record.pending.clone() else { return Ok(None) };
    let chosen = packages::choose(machine, policy.and_then(|p| p.installer), policy.and_then(|p| p.repo.as_ref()));
    let packages = match chosen {
        Ok(Some(packages)) => packages,
        Ok(None) => return Ok(None),
        Err(error) => return Ok(Some(error)),
    };
    if service::host_is_going_down(machine) {
        return Err(Error::new(Class::Busy, "this host is shutting down: nothing is begun now", "the next run goes on"));
    }
    machine.log.speak_up();
    machine.log.warning(begun(machine, &pending));
    let transcript = Transcript::in_directory(lock.private());
    wait_for_the_orphan(machine, &*packages, &transcript)?;
    machine.orders.hold_back();
    let plan = Plan {
        package: pending.package.clone(),
        from: pending.from.clone(),
        to: pending.to.clone(),
        database: pending.database.clone(),
        finish_first: None,
        hold: pending.hold,
        service: service::look(machine)?,
        verify: policy.map_or_else(Verify::default, |policy| policy.verify),
    };
    let left = Left { machine, packages: &*packages, transcript: &transcript, pending: &pending, plan: &plan };
    Ok(left.settle(mandate, ledger).err())
}

fn begun(machine: &Machine, pending: &Pending) -> String {
    let ago = span(machine.now().since(pending.since));
    let what = match pending.step {
        Step::Install => "did not end as it should",
        Step::BringUp => "put the package in place, but did not see the agent run it",
        Step::Prove => "brought the agent onto it, but did not see it through",
    };
    format!("the upgrade to {} {} that began {ago} ago {what}: looking at what is there.", pending.package, pending.to)
}

/// What an earlier run left, and what it takes to settle it.
struct Left<'a> {
    machine: &'a Machine,
    packages: &'a dyn Packages,
    transcript: &'a Transcript,
    pending: &'a Pending,
    plan: &'a Plan,
}

impl Left<'_> {
    /// Finishes it, or finds the host unharmed, or has the package manager finish or repeat it.
    fn settle(&self, mandate: Mandate, ledger: &mut Ledger) -> Result<(), Error> {
        let state = packages::state(self.packages, &self.plan.package)?;
        if state.version.is_none() {
            self.machine.log.warning(format!("{} was removed since: there is nothing to finish.", self.plan.package));
            ledger.record.pending = None;
            return Ok(());
        }
        if let Some(ended) = self.as_it_is(ledger) {
            return ended;
        }
        let release = state.version.as_deref().and_then(|version| self.packages.release_of(version));
        let known = release.as_ref() == Some(&self.plan.to) || state.version == self.plan.database;
        if state.completeness == Completeness::Complete && !known {
            self.machine.log.warning(format!(
                "{} is on {} by now: somebody else settled it.",
                self.plan.package,
                state.version.as_deref().unwrap_or("another version")
            ));
            ledger.record.pending = None;
            return Ok(());
        }
        self.nobody_forbids(&state, mandate)?;
        self.count_a_try(&state, mandate, ledger)?;
        if matches!(state.completeness, Completeness::Stopped(_)) {
            match self.packages.finish(&self.plan.package, self.transcript) {
                Err(error) => self.machine.log.warning(error.to_string()),
                Ok(()) => {
                    if let Some(ended) = self.as_it_is(ledger) {
                        return ended;
                    }
                }
            }
        }
        self.machine
            .log
            .warning(format!("{} is on neither version whole; installing {} again.", self.plan.package, self.plan.to));
        if let Err(error) = self.packages.refresh(self.transcript) {
            // What it takes may be on this host already.
            self.machine.log.warning(error.to_string());
        }
        let transaction = self.packages.simulate(&self.plan.package, &self.plan.to)?;
        let held = apply::install(self.machine, self.packages, self.plan, &transaction, self.transcript, ledger)?;
        apply::complete(self.machine, self.packages, self.plan, self.pending.agent, held, ledger)
    }

    /// Without changing the package: on the new version whole, or as before, or `None`.
    fn as_it_is(&self, ledger: &mut Ledger) -> Option<Result<(), Error>> {
        let Self { machine, packages, plan, transcript, pending } = *self;
        let held = || apply::hold_again(machine, packages, plan.hold, &plan.package, transcript);
        if let Ok(known) = apply::confirm(machine, packages, &plan.package, &plan.to) {
            ledger.record.agent = Some(known);
            machine.log.info(format!("{} {} is in place and complete; finishing what was left.", plan.package, plan.to));
            return Some(apply::complete(machine, packages, plan, pending.agent, held(), ledger));
        }
        apply::unharmed(machine, packages, &plan.package, plan.from.as_ref(), plan.database.as_deref()).then(|| {
            machine.log.info(format!("{} is as it was before; nothing was changed.", plan.package));
            apply::warn_of(machine, held()());
            ledger.record.pending = None;
            apply::note_upgrade(machine, ledger, plan, "interrupted");
            Ok(())
        })
    }

    /// Somebody who looks at the broken package may hold it meanwhile.
    fn nobody_forbids(&self, state: &State, mandate: Mandate) -> Result<(), Error> {
        let held = hold::holder(self.machine, self.packages, &self.plan.package, state, FirstHold::Settled);
        match held {
            Held::ByAdministrator(Restraint { is, release })
                if mandate == Mandate::Policy && self.plan.hold != HoldAfter::Administrators =>
            {
                Err(Error::new(
                    Class::Broken,
                    format!("{} is on neither version whole, and {is} by now: the administrator's hold wins", self.plan.package),
                    format!("{release}, or finish it with `teleport-upgrade force`"),
                ))
            }
            _ => Ok(()),
        }
    }

    /// At growing intervals: what failed a moment ago fails again, and each try burdens the host.
    fn count_a_try(&self, state: &State, mandate: Mandate, ledger: &mut Ledger) -> Result<(), Error> {
        let (now, tries, tried) = (self.machine.now(), self.pending.tries, self.pending.tried);
        let next = tried.plus(back_off(tries));
        let same_boot = self.pending.boot == self.machine.boot();
        if mandate == Mandate::Policy && same_boot && tries > 0 && tried <= now && now < next {
            let found = state.version.as_deref().unwrap_or("not installed");
            return Err(Error::new(
                Class::Broken,
                format!(
                    "{} is on neither version whole (the package database says {found}); tried {tries} times, next at {next}",
                    self.plan.package
                ),
                self.packages.by_hand(&self.plan.package, &self.plan.to),
            ));
        }
        if let Some(pending) = &mut ledger.record.pending {
            (pending.tries, pending.tried) = (tries.saturating_add(1), now);
        }
        ledger.save()
    }
}

/// The package manager that the dead run started may be at work still, while our lock is free (V8).
fn wait_for_the_orphan(machine: &Machine, packages: &dyn Packages, transcript: &Transcript) -> Result<(), Error> {
    let mut said = false;
    // Counted, because clocks jump.
    for _ in 0..LOOKS {
        let left = transcript.left_running(machine).map(|running| format!("pid {} ({})", running.pid, running.command));
        let Some(who) = left.or_else(|| packages.at_work()) else { return Ok(()) };
        if !said {
            machine.log.info(format!("waiting for {who}, which is still at work."));
            said = true;
        }
        (machine.pause)(LOOK_AGAIN);
    }
    Err(Error::new(
        Class::Busy,
        format!("the package manager of an earlier run is still at work after {}", span(LOOKS.into())),
        "the next run looks again; if it hangs, look at it with ps and pstree",
    ))
}
