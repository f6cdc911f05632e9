//! What a run does first when the one before it died in the middle: look at what is really there, and finish it, go back, or find it
//! unharmed.

use crate::error::{Class, Error};
use crate::host::hold::{self, FirstHold};
use crate::host::lock::Lock;
use crate::host::machine::Machine;
use crate::host::packages::{self, Completeness, Packages, State};
use crate::host::pending::{Back, Fault, Pending, Step};
use crate::host::record::Ledger;
use crate::host::service;
use crate::host::transcript::Transcript;
use crate::rules::facts::Mandate;
use crate::rules::memory::back_off;
use crate::rules::moment::span;
use crate::rules::plan::{Held, HoldAfter, Plan, Restraint};
use crate::rules::policy::{Policy, Verify};
use crate::upgrade::Outcome;
use crate::upgrade::change::{Change, Failed, LeftAs, Source};

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
) -> Result<Settled, Error> {
    let Some(pending) = ledger.record.pending.clone() else { return Ok(Settled::Nothing) };
    let chosen = packages::choose(machine, policy.and_then(|p| p.installer), policy.and_then(|p| p.repo.as_ref()));
    let packages = match chosen {
        Ok(Some(packages)) => packages,
        Ok(None) => return Ok(Settled::Nothing),
        Err(error) => return Ok(Settled::Left(error)),
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
        hold: hold_after(machine, &*packages, &pending),
        service: service::look(machine)?,
        verify: policy.map_or_else(Verify::default, |policy| policy.verify),
    };
    let change = Change::new(machine, &*packages, &transcript, &plan, pending.agent).begun(pending.since);
    let ended = Left { change, pending: &pending }.settle(mandate, ledger);
    if ledger.record.pending.is_none() {
        // What the dead run had fetched or read has done its service.
        packages.forget(&pending.package, None);
    }
    Ok(match ended {
        Ok(None) => Settled::Nothing,
        Ok(Some(outcome @ Outcome::WentBack { .. })) => Settled::WentBack(outcome),
        Ok(Some(outcome @ Outcome::RolledBack { .. })) => Settled::RolledBack(outcome),
        Ok(Some(_)) => Settled::Nothing,
        Err(error) => Settled::Left(error),
    })
}

/// A hold that somebody else has set meanwhile is not made ours.
fn hold_after(machine: &Machine, packages: &dyn Packages, pending: &Pending) -> HoldAfter {
    let state = packages::state(packages, &pending.package);
    let held = state.map(|state| hold::holder(machine, packages, &pending.package, &state, FirstHold::Settled));
    match (held, pending.hold) {
        (Ok(Held::ByAdministrator(_)), HoldAfter::Ours) => HoldAfter::Administrators,
        (_, planned) => planned,
    }
}

/// What settling came to.
pub(super) enum Settled {
    /// There was nothing, or it is done.
    Nothing,
    /// It could not be settled now.
    Left(Error),
    /// The agent is back on the version before: that is how this run ends.
    WentBack(Outcome),
    /// What a person began is done.
    RolledBack(Outcome),
}

fn begun(machine: &Machine, pending: &Pending) -> String {
    let ago = span(machine.now().since(pending.since));
    let what = match pending.step {
        Step::Install => "did not end as it should",
        Step::BringUp => "put the package in place, but did not see the agent run it",
        Step::Prove => "brought the agent onto it, but did not see it through",
        Step::GoBack => "failed, and going back did not end as it should",
        Step::BringBack => "failed, and went back, but did not see the agent through",
    };
    format!("the upgrade to {} {} that began {ago} ago {what}: looking at what is there.", pending.package, pending.to)
}

/// What an earlier run left, and what it takes to settle it.
struct Left<'a> {
    change: Change<'a>,
    pending: &'a Pending,
}

impl Left<'_> {
    /// Finishes it, goes back, or finds the host unharmed; or has the package manager finish or repeat it.
    fn settle(&self, mandate: Mandate, ledger: &mut Ledger) -> Result<Option<Outcome>, Error> {
        let Change { machine, packages, transcript, plan, .. } = self.change;
        let state = packages::state(packages, &plan.package)?;
        if state.version.is_none() {
            machine.log.warning(format!("{} was removed since: there is nothing to finish.", plan.package));
            ledger.record.pending = None;
            return Ok(None);
        }
        if let Some(back) = &self.pending.back {
            return self.go_on_back(back, &state, mandate, ledger);
        }
        if let Some(ended) = self.as_it_is(ledger) {
            return ended;
        }
        if self.is_settled_by_others(&state, ledger) {
            return Ok(None);
        }
        self.nobody_forbids(&state, mandate)?;
        self.count_a_try(&state, mandate, ledger)?;
        if matches!(state.completeness, Completeness::Stopped(_)) {
            match packages.finish(&plan.package, transcript) {
                Err(error) => machine.log.warning(error.to_string()),
                Ok(()) => {
                    if let Some(ended) = self.as_it_is(ledger) {
                        return ended;
                    }
                }
            }
        }
        self.again(ledger).map(Some)
    }

    /// Installs the version again: what was kept of it, or what the repository has.
    fn again(&self, ledger: &mut Ledger) -> Result<Outcome, Error> {
        let Change { machine, packages, transcript, plan, .. } = self.change;
        machine.log.warning(format!("{} is on neither version whole; installing {} again.", plan.package, plan.to));
        let kept = ledger.record.kept.iter().find(|kept| kept.package == plan.package && kept.release == plan.to).cloned();
        if let Some(kept) = kept.filter(|kept| kept.checked(machine).is_ok()) {
            return self.change.make(Source::Kept(&kept), ledger);
        }
        if let Err(error) = packages.refresh(transcript) {
            // What it takes may be on this host already.
            machine.log.warning(error.to_string());
        }
        match packages.simulate(&plan.package, &plan.to) {
            Ok(transaction) => self.change.make(Source::Repository(&transaction), ledger),
            // The version before needs no repository, where it was kept.
            Err(error) => {
                let left = if self.change.is_unharmed() { LeftAs::Before } else { LeftAs::Between };
                let error = Error { class: Class::Broken, ..error };
                self.change.undo(Failed { error, left, fault: Fault::Host }, ledger)
            }
        }
    }

    /// An earlier run was on its way back: so is this one.
    fn go_on_back(&self, back: &Back, state: &State, mandate: Mandate, ledger: &mut Ledger) -> Result<Option<Outcome>, Error> {
        let Some(kept) = self.change.kept_before(ledger).cloned() else {
            self.change.machine.log.warning(format!("{}; and the package of the version before is no longer kept.", back.why));
            if let Some(pending) = &mut ledger.record.pending {
                pending.back = None;
            }
            let broken = Error::new(Class::Broken, back.why.clone(), self.change.by_hand(ledger));
            return self.as_it_is(ledger).unwrap_or(Err(broken));
        };
        let is_back = state.version.as_deref() == Some(kept.version.as_str());
        if !is_back {
            if self.is_settled_by_others(state, ledger) {
                return Ok(None);
            }
            self.nobody_forbids(state, mandate)?;
            self.count_a_try(state, mandate, ledger)?;
        }
        self.change.go_back(&kept, back.clone(), ledger).map(Some)
    }

    /// Whether the package is whole on a third version.
    fn is_settled_by_others(&self, state: &State, ledger: &mut Ledger) -> bool {
        let Change { machine, packages, plan, .. } = self.change;
        let release = state.version.as_deref().and_then(|version| packages.release_of(version));
        let known = release.as_ref() == Some(&plan.to) || state.version == plan.database;
        if state.completeness != Completeness::Complete || known {
            return false;
        }
        machine.log.warning(format!(
            "{} is on {} by now: somebody else settled it.",
            plan.package,
            state.version.as_deref().unwrap_or("another version")
        ));
        ledger.record.pending = None;
        true
    }

    /// Without changing the package: on the new version whole, or as before, or `None`.
    fn as_it_is(&self, ledger: &mut Ledger) -> Option<Result<Option<Outcome>, Error>> {
        let Change { machine, plan, .. } = self.change;
        if let Ok(known) = self.change.confirm(&plan.to) {
            ledger.record.agent = Some(known);
            machine.log.info(format!("{} {} is in place and complete; finishing what was left.", plan.package, plan.to));
            let made = self.change.complete(self.change.hold_again(), ledger);
            return Some(self.change.ended(made, ledger).map(Some));
        }
        self.change.is_unharmed().then(|| {
            machine.log.info(format!("{} is as it was before; nothing was changed.", plan.package));
            self.change.held(self.change.hold_again(), ledger);
            self.change.start_again(ledger)?;
            ledger.record.pending = None;
            self.change.note(ledger, "interrupted");
            Ok(None)
        })
    }

    /// Somebody who looks at the broken package may hold it meanwhile.
    fn nobody_forbids(&self, state: &State, mandate: Mandate) -> Result<(), Error> {
        let Change { machine, packages, plan, .. } = self.change;
        match hold::holder(machine, packages, &plan.package, state, FirstHold::Settled) {
            Held::ByAdministrator(Restraint { is, release })
                if mandate == Mandate::Policy && self.pending.hold != HoldAfter::Administrators =>
            {
                Err(Error::new(
                    Class::Broken,
                    format!("{} is on neither version whole, and {is} by now: the administrator's hold wins", plan.package),
                    format!("{release}, or finish it with `teleport-upgrade force`"),
                ))
            }
            _ => Ok(()),
        }
    }

    /// At growing intervals: what failed a moment ago fails again, and each try burdens the host.
    fn count_a_try(&self, state: &State, mandate: Mandate, ledger: &mut Ledger) -> Result<(), Error> {
        let Change { machine, plan, .. } = self.change;
        let (now, tries, tried) = (machine.now(), self.pending.tries, self.pending.tried);
        let next = tried.plus(back_off(tries));
        let same_boot = self.pending.boot == machine.boot();
        if mandate == Mandate::Policy && same_boot && tries > 0 && tried <= now && now < next {
            let found = state.version.as_deref().unwrap_or("not installed");
            let what = match &self.pending.back {
                Some(back) => format!("going back from {} {} did not succeed ({})", plan.package, plan.to, back.why),
                None => format!("{} is on neither version whole (the package database says {found})", plan.package),
            };
            let what = format!("{what}; tries so far: {tries}, next at {next}");
            return Err(Error::new(Class::Broken, what, self.change.by_hand(ledger)));
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
        let Some(who) = transcript.left_running(machine).or_else(|| packages.at_work()) else { return Ok(()) };
        if !said {
            machine.log.info(format!("waiting for {who}, which is still at work."));
            said = true;
        }
        (machine.wait)(LOOK_AGAIN);
    }
    Err(Error::new(
        Class::Busy,
        format!("the package manager of an earlier run is still at work after {}", span(LOOKS.into())),
        "the next run looks again; if it hangs, look at it with ps and pstree",
    ))
}
