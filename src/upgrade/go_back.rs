//! The way back from a version that failed: the package that was kept is installed again, the agent runs it, and proves itself. Only then
//! is the version blamed (H15): what is the disk's fault, or the network's, is not held against it.

use crate::error::{Class, Error};
use crate::host::agent::Known;
use crate::host::kept::Kept;
use crate::host::pending::{Back, Fault, Step};
use crate::host::record::Ledger;
use crate::host::service;
use crate::rules::health::{Complaint, Illness};
use crate::rules::plan::AgentBefore;
use crate::rules::policy::Verify;
use crate::upgrade::bring_up::{Onto, bring_up};
use crate::upgrade::change::{Change, Failed, LeftAs};
use crate::upgrade::outcome::Outcome;
use crate::upgrade::prove::{self, Proof};

impl Change<'_> {
    /// What becomes of a change that failed.
    ///
    /// # Errors
    /// That failure, when nothing was changed by it; [`Class::Broken`], when there is no way back or it failed, too.
    pub(super) fn undo(&self, failed: Failed, ledger: &mut Ledger) -> Result<Outcome, Error> {
        let Failed { error, left, fault } = failed;
        if left == LeftAs::Before {
            return Err(self.nothing_came_of(error, fault, ledger));
        }
        let down_before = ledger.record.pending.as_ref().and_then(|pending| pending.ill_before.as_ref());
        if left == LeftAs::Ill && down_before.is_some_and(|before| before.illness == Illness::Down) {
            self.machine.log.warning("before the upgrade the agent was no better: not going back.");
            return Err(error);
        }
        // Nobody knows how the agent is; or nobody wants to.
        if error.class != Class::Broken || self.plan.verify == Verify(0) {
            return Err(error);
        }
        let Some(kept) = self.kept_before(ledger).cloned() else {
            self.machine.log.warning("no way back: the package of the version before was not kept.");
            return Err(error);
        };
        self.machine.log.warning(error.to_string());
        self.go_back(&kept, Back { why: error.what, fault }, ledger)
    }

    /// Package and program are as before; so has the agent to be.
    fn nothing_came_of(&self, error: Error, fault: Fault, ledger: &mut Ledger) -> Error {
        if let Err(down) = self.start_again(ledger) {
            // The note stays: the next run tries it again.
            return Error { what: format!("{}\n    {}", error.what, down.what), ..down };
        }
        ledger.record.pending = None;
        if fault == Fault::Version {
            ledger.record.memory.target_failed(self.plan.to.clone(), self.machine.now());
        }
        error
    }

    /// A script of a package that came to nothing may have stopped an agent that ran.
    pub(super) fn start_again(&self, ledger: &Ledger) -> Result<(), Error> {
        let is_down = |complaint: &Complaint| complaint.illness == Illness::Down;
        let down_before = ledger.record.pending.as_ref().and_then(|pending| pending.ill_before.as_ref()).is_some_and(is_down);
        let was_well = self.before == AgentBefore::Running && !down_before;
        if !was_well || !prove::illness(self.machine).as_ref().is_some_and(is_down) {
            return Ok(());
        }
        bring_up(self.machine, &service::look(self.machine)?.after(self.before), self.before, Onto::Before).map(drop)
    }

    /// Goes back to the kept version, from wherever an earlier attempt at it has got to.
    pub(super) fn go_back(&self, kept: &Kept, back: Back, ledger: &mut Ledger) -> Result<Outcome, Error> {
        let Self { machine, packages, plan, .. } = *self;
        machine.log.warning(format!("going back to {} {}.", plan.package, kept.release));
        machine.orders.hold_back();
        if let Some(pending) = &mut ledger.record.pending {
            pending.back = Some(back.clone());
        }
        self.note_step(ledger, Step::GoBack);
        let by_hand = self.by_hand(ledger);
        let lost = |what: String, said: Vec<String>| {
            let what = format!("{}\n    and going back to {} failed: {what}", back.why, kept.release);
            Err(Error::new(Class::Broken, what, by_hand.clone()).with_tool_lines(said))
        };
        let put_back = self.put_back(kept);
        let held = self.hold_again();
        match put_back {
            Ok(known) => ledger.record.agent = Some(known),
            Err((what, said)) => {
                self.held(held, ledger);
                return lost(what, said);
            }
        }
        self.note_step(ledger, Step::BringBack);
        match self.set_going(held, Step::BringBack, ledger) {
            Err(error) => return lost(error.what, error.tool_said),
            Ok(Proof::Failed(why)) => {
                // Ill on both: that speaks for something else than the version, also when the agent recovers later.
                if let Some(back) = ledger.record.pending.as_mut().and_then(|pending| pending.back.as_mut()) {
                    back.fault = Fault::Host;
                }
                return lost(why.to_string(), Vec::new());
            }
            Ok(Proof::Owing) => {
                let what = format!(
                    "this run was told to end before the agent has proven itself on {}, to which it went back",
                    kept.release
                );
                return Err(Error::new(Class::Busy, what, "the next run watches it"));
            }
            Ok(Proof::Given) => {}
        }
        ledger.record.pending = None;
        packages.forget(&plan.package, None);
        match back.fault {
            Fault::Version => ledger.record.memory.target_failed(plan.to.clone(), machine.now()),
            // Each attempt costs the agent a restart or two: not at every run.
            Fault::Host => ledger.record.memory.target_hindered(plan.to.clone(), machine.now()),
        }
        self.note(ledger, "went-back");
        Ok(Outcome::WentBack { from: plan.to.clone(), to: kept.release.clone(), back })
    }

    /// Makes package and program the kept version's, unless they are already.
    ///
    /// # Errors
    /// Why they are not, and what the package manager said about it.
    fn put_back(&self, kept: &Kept) -> Result<Known, (String, Vec<String>)> {
        let Self { machine, packages, transcript, plan, .. } = *self;
        if let Ok(known) = self.confirm(&kept.release) {
            return Ok(known);
        }
        let file = kept.checked(machine).map_err(|error| (error.what, Vec::new()))?;
        let tried = packages.install_file(&plan.package, &kept.version, &file, transcript);
        // What counts is what is there, whatever the package manager thinks of its own success.
        self.confirm(&kept.release).map_err(|doubts| {
            let doubts = doubts.join("; ");
            match tried {
                Ok(()) => (doubts, Vec::new()),
                Err(error) => (format!("{doubts}; {}", error.what), error.tool_said),
            }
        })
    }
}
