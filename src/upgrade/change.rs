//! One change of the agent's version: the package manager works, then not its exit code but the host itself says what came of it (V9);
//! then the agent runs it, and proves itself. What becomes of a change that fails is in `go_back`.

use std::time::Duration;

use crate::error::{Class, Error};
use crate::host::hold;
use crate::host::kept::Kept;
use crate::host::machine::Machine;
use crate::host::packages::{Later, Packages, Transaction};
use crate::host::pending::{Fault, Purpose, Step};
use crate::host::record::{Ledger, Upgrade};
use crate::host::transcript::Transcript;
use crate::host::{room, service};
use crate::rules::moment::Moment;
use crate::rules::plan::{AgentBefore, Plan};
use crate::rules::reason::Reason;
use crate::rules::room::Needs;
use crate::upgrade::bring_up::{Onto, Up, bring_up};
use crate::upgrade::outcome::Outcome;
use crate::upgrade::prove::{self, Proof};

/// What a change works with.
#[derive(Clone, Copy)]
pub(super) struct Change<'a> {
    pub(super) machine: &'a Machine,
    pub(super) packages: &'a dyn Packages,
    pub(super) transcript: &'a Transcript,
    pub(super) plan: &'a Plan,
    /// Whether the agent ran before it.
    pub(super) before: AgentBefore,
    /// How long this machine had been up when it began.
    began: Duration,
    /// Since when files may have been changed by it.
    pub(super) since: Moment,
}

/// Where the new version comes from.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// The repository, as simulated.
    Repository(&'a Transaction),
    /// A file that was kept.
    Kept(&'a Kept),
}

/// A change that did not work out.
pub(super) struct Failed {
    pub(super) error: Error,
    pub(super) left: LeftAs,
    /// Whose fault it is.
    pub(super) fault: Fault,
}

/// How a change that failed left the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LeftAs {
    /// Package and program are what they were.
    Before,
    /// The package is on neither version whole.
    Between,
    /// The package is on the new version, and the agent is ill on it.
    Ill,
}

impl<'a> Change<'a> {
    /// A change that begins now.
    pub(super) fn new(
        machine: &'a Machine,
        packages: &'a dyn Packages,
        transcript: &'a Transcript,
        plan: &'a Plan,
        before: AgentBefore,
    ) -> Self {
        Self { machine, packages, transcript, plan, before, began: (machine.uptime)(), since: machine.now() }
    }

    /// One that another run began then.
    pub(super) fn begun(self, since: Moment) -> Self {
        Self { since, ..self }
    }

    /// Makes the change, or goes back.
    pub(super) fn make(&self, source: Source, ledger: &mut Ledger) -> Result<Outcome, Error> {
        let made = self.put_in_place(source, ledger).and_then(|held| self.complete(held, ledger));
        self.ended(made, ledger)
    }

    /// What a change that was completed, or failed, comes to.
    pub(super) fn ended(&self, made: Result<Purpose, Failed>, ledger: &mut Ledger) -> Result<Outcome, Error> {
        let (from, to) = (self.plan.from.clone(), self.plan.to.clone());
        match made {
            Ok(Purpose::Upgrade) => Ok(Outcome::Upgraded { from, to }),
            Ok(Purpose::Rollback) => Ok(Outcome::RolledBack { from, to }),
            Err(failed) => self.undo(failed, ledger).inspect_err(|error| self.note(ledger, Reason::from(error.class).code())),
        }
    }

    /// Lets the package manager work and looks at what came of it.
    pub(super) fn put_in_place(&self, source: Source, ledger: &mut Ledger) -> Result<Later<'a, ()>, Failed> {
        let Self { machine, packages, transcript, plan, .. } = *self;
        machine.orders.hold_back();
        let tried = match source {
            Source::Repository(transaction) => {
                let words = packages.words(&plan.package, &plan.to);
                machine.log.info(format!("attempting {} install {words}...", packages.name()));
                packages.install(transaction, transcript)
            }
            Source::Kept(kept) => {
                machine.log.info(format!("attempting {} install of the kept {} {}...", packages.name(), plan.package, plan.to));
                let checked = kept.checked(machine);
                checked.and_then(|file| packages.install_file(&plan.package, &kept.version, &file, transcript))
            }
        };
        let held = self.hold_again();
        let mut found = self.confirm(&plan.to);
        if found.is_err() && tried.is_ok() {
            // Another package manager may have come between, or a trigger is left: one attempt to finish our own package.
            let _ = packages.finish(&plan.package, transcript);
            found = self.confirm(&plan.to);
        }
        let doubts = match found {
            Ok(known) => {
                ledger.record.agent = Some(known);
                if let Err(error) = tried {
                    let what = error.what;
                    machine
                        .log
                        .warning(format!("{what}\n    but {} {} is in place and complete; going on.", plan.package, plan.to));
                }
                return Ok(held);
            }
            Err(doubts) => doubts,
        };
        self.held(held, ledger);
        machine.log.warning(format!("upgrade attempt failed for {}.", packages.words(&plan.package, &plan.to)));
        Err(self.failed(ledger, tried.map_err(|error| self.for_want_of_room(error)), &doubts))
    }

    /// Not every package manager says why it could not write (tried: dnf says nothing of a full disk), and that is no fault of the version's.
    fn for_want_of_room(&self, error: Error) -> Error {
        match room::check(self.machine, "anything any more", Needs::default()) {
            Err(full) if error.class == Class::Package => {
                Error { what: format!("{}\n    {}", error.what, full.what), ..full }.with_tool_lines(error.tool_said)
            }
            _ => error,
        }
    }

    fn failed(&self, ledger: &Ledger, tried: Result<(), Error>, doubts: &[String]) -> Failed {
        let Self { packages, plan, .. } = *self;
        let doubts = doubts.join("; ");
        let error = tried.err().unwrap_or_else(|| {
            let what = format!("{} says that it installed {}, but {doubts}", packages.name(), plan.to);
            Error::new(Class::Package, what, self.by_hand(ledger))
        });
        let fault = if error.class == Class::Package { Fault::Version } else { Fault::Host };
        if self.is_unharmed() {
            return Failed { error, left: LeftAs::Before, fault };
        }
        let what = format!("{} is neither on {} nor on the version before: {doubts}\n    {}", plan.package, plan.to, error.what);
        let error = Error::new(Class::Broken, what, self.by_hand(ledger)).with_tool_lines(error.tool_said);
        Failed { error, left: LeftAs::Between, fault }
    }

    /// What is left once the package is in place, in this run or in the one after: restart, hold, proof, record.
    pub(super) fn complete(&self, held: Later<()>, ledger: &mut Ledger) -> Result<Purpose, Failed> {
        let Self { machine, plan, .. } = *self;
        self.note_step(ledger, Step::BringUp);
        let ill = |error| Failed { error, left: LeftAs::Ill, fault: Fault::Version };
        let purpose = ledger.record.pending.as_ref().map_or(Purpose::Upgrade, |pending| pending.purpose);
        let proof = self.set_going(held, Step::Prove, ledger);
        match proof.map_err(|error| ill(self.with_the_way_back(error, ledger)))? {
            Proof::Given => {}
            Proof::Owing => {
                machine.log.warning("this run was told to end before the agent has proven itself: the next run watches it.");
                return Ok(purpose);
            }
            Proof::Failed(why) => {
                let what = format!("{} {} is installed, but {why}", plan.package, plan.to);
                return Err(ill(Error::new(Class::Broken, what, self.by_hand(ledger))));
            }
        }
        match purpose {
            Purpose::Upgrade => ledger.record.memory.upgraded(plan.from.clone(), machine.now()),
            Purpose::Rollback => ledger.record.memory.went_back(plan.from.clone(), machine.now()),
        }
        ledger.record.pending = None;
        self.keep_what_came(ledger);
        self.note(ledger, if purpose == Purpose::Rollback { "rolled-back" } else { "upgraded" });
        Ok(purpose)
    }

    /// Brings the agent onto what is installed now, and watches it. The agent comes first: the hold may have to wait for somebody's lock.
    ///
    /// # Errors
    /// When no agent runs it, or systemd does not answer.
    pub(super) fn set_going(&self, held: Later<()>, proving: Step, ledger: &mut Ledger) -> Result<Proof, Error> {
        let Self { machine, plan, .. } = *self;
        let started = (machine.uptime)();
        let onto = if proving == Step::BringBack { Onto::Before } else { Onto::New };
        let up = if machine.orders.came() && service::host_is_going_down(machine) {
            machine.log.info("this host is shutting down: the agent runs what is installed now when it is up again.");
            self.held(held, ledger);
            return Ok(Proof::Owing);
        } else {
            // Looked at again: much may have happened to the agent while the package manager worked.
            service::look(machine).and_then(|now| {
                let now = now.after(self.before);
                // A version that failed may not hear a reload, and its sessions are not worth more than the agent.
                let now = if onto == Onto::New { now.as_planned(&plan.service) } else { now };
                bring_up(machine, &now, self.before, onto)
            })
        };
        let failed_since = ledger.brought_up.replace(started).filter(|_| onto == Onto::Before);
        let without = failed_since.map(|failed| (machine.uptime)().saturating_sub(failed));
        self.held(held, ledger);
        if up? == Up::Later {
            return Ok(Proof::Given);
        }
        let ill_before = ledger.record.pending.as_ref().and_then(|pending| pending.ill_before.clone());
        self.note_step(ledger, proving);
        let proof = prove::prove(machine, plan.verify, ill_before.as_ref());
        let without = without.or_else(|| service::down_since(machine, self.began)).unwrap_or_default();
        ledger.record.agent_down = u64::try_from(without.as_millis()).unwrap_or(u64::MAX);
        proof
    }

    /// An installation clears a hold: begins to set it again, whoever's it was and whatever came of the installation.
    pub(super) fn hold_again(&self) -> Later<'a, ()> {
        hold::leave(self.machine, self.packages, &self.plan.package, self.plan.hold, self.transcript)
    }

    /// Ends what [`Change::hold_again`] began. An agent that is upgraded is worth more than its hold: what cannot be done is owed.
    pub(super) fn held(&self, held: Later<()>, ledger: &mut Ledger) {
        let done = held();
        ledger.record.hold_owed = done.is_err().then_some(self.plan.hold);
        warn_of(self.machine, done);
    }

    /// The note on disk says at least "install": the next run finds the package whole and does no harm. The agent must not wait for the disk.
    pub(super) fn note_step(&self, ledger: &mut Ledger, step: Step) {
        if let Some(pending) = &mut ledger.record.pending {
            pending.step = step;
        }
        warn_of(self.machine, ledger.save());
    }

    /// Adds how the change ended to the history.
    pub(super) fn note(&self, ledger: &mut Ledger, code: &str) {
        let (from, to) = (self.plan.from.clone(), self.plan.to.clone());
        ledger.record.add_upgrade(Upgrade { from, to, at: self.machine.now(), code: code.into() });
    }

    /// An agent that does not come up is a person's; the commands are for that person.
    fn with_the_way_back(&self, error: Error, ledger: &Ledger) -> Error {
        let next = format!("{}\n    {}", error.next, self.by_hand(ledger));
        if error.class == Class::Broken { Error { next, ..error } } else { error }
    }

    /// What a person can do: what was kept needs no repository.
    pub(super) fn by_hand(&self, ledger: &Ledger) -> String {
        let Self { machine, packages, plan, .. } = *self;
        let again = packages.by_hand(&plan.package, &plan.to);
        let kept = self
            .kept_before(ledger)
            .filter(|kept| kept.is_there(machine).is_ok())
            .map(|kept| packages.file_by_hand(&kept.path(machine)));
        match kept.or_else(|| Some(packages.by_hand(&plan.package, plan.from.as_ref()?))) {
            Some(back) => format!("to go back: {back}\n    to try again: {again}"),
            None => again,
        }
    }
}

/// An agent that is upgraded is worth more than its hold, or than what is on disk about it.
fn warn_of(machine: &Machine, done: Result<(), Error>) {
    if let Err(error) = done {
        machine.log.warning(error.to_string());
    }
}
