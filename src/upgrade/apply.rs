//! Making a planned upgrade. First everything that leaves the agent alone: refresh, look, simulate, room, the way back. Then the record
//! says what is about to happen. Then the change is made, or gone back from.

use crate::error::{Class, Error};
use crate::host::lock::Lock;
use crate::host::machine::Machine;
use crate::host::packages::{Act, Available, Candidate, Packages, Transaction};
use crate::host::pending::{Pending, Purpose, Step};
use crate::host::record::Ledger;
use crate::host::room;
use crate::host::service;
use crate::host::transcript::Transcript;
use crate::rules::facts::Mandate;
use crate::rules::health::Complaint;
use crate::rules::plan::{Blocked, HoldAfter, Plan, Service};
use crate::rules::policy::Verify;
use crate::upgrade::change::{Change, Source};
use crate::upgrade::outcome::Outcome;
use crate::upgrade::prove;

/// Makes the upgrade.
pub(super) fn apply(
    machine: &Machine,
    packages: &dyn Packages,
    plan: &Plan,
    mandate: Mandate,
    lock: &Lock,
    ledger: &mut Ledger,
) -> Result<Outcome, Error> {
    let transcript = Transcript::in_directory(lock.private());
    transcript.rotate();
    let unsettled = ledger.record.pending.clone().filter(|pending| pending.package == plan.package);
    let plan = &as_before(plan, unsettled.as_ref());
    let before = unsettled.map_or_else(|| plan.service.before(), |pending| pending.agent);
    let change = Change::new(machine, packages, &transcript, plan, before);
    change.finish_first();
    let transaction = match change.prepare(mandate)? {
        Prepared::Ready(transaction) => transaction,
        Prepared::Forbidden(blocked) => return Ok(Outcome::Blocked(blocked)),
    };
    // An order to end is obeyed in good order: what is being fetched is waited for, and nothing is begun after it.
    machine.orders.hold_back();
    change.keep_the_way_back(transaction.needs, ledger);
    if machine.orders.came() {
        return Err(Error::new(Class::Busy, "this run was told to end before the upgrade was begun", "the next run tries again"));
    }
    change.begin(Purpose::Upgrade, ledger)?;
    let made = change.make(Source::Repository(&transaction), ledger);
    if machine.orders.came() && made.is_ok() {
        machine.log.warning("this run was told to end in the middle of the upgrade: ended it first.");
    }
    made
}

/// The version before is the last one that the agent was well on: not the one that an upgrade brought which is not settled yet.
fn as_before(plan: &Plan, unsettled: Option<&Pending>) -> Plan {
    let before = unsettled.map(|pending| (pending.from.clone(), pending.database.clone()));
    let (from, database) = before.unwrap_or_else(|| (plan.from.clone(), plan.database.clone()));
    Plan { from, database, ..plan.clone() }
}

/// The commands that [`apply`] will run, in its order.
pub(super) fn commands(packages: &dyn Packages, plan: &Plan) -> Vec<String> {
    let would = |act| packages.would(act, &plan.package, &plan.to);
    let mut commands = [would(Act::Refresh), would(Act::Install)].concat();
    if plan.hold != HoldAfter::Free {
        commands.extend(would(Act::Hold));
    }
    if let Service::Running(means) = plan.service {
        commands.push(service::argv(means).to_string());
    }
    commands
}

/// What preparing came to.
pub(super) enum Prepared {
    /// This can be installed, and there is room for it.
    Ready(Transaction),
    /// The administrator's settings forbid it.
    Forbidden(Blocked),
}

impl Change<'_> {
    fn finish_first(&self) {
        let Self { machine, packages, transcript, plan, .. } = *self;
        let Some(stopped_at) = &plan.finish_first else { return };
        machine.log.warning(format!("{} is {stopped_at}: finishing that first.", plan.package));
        machine.orders.hold_back();
        if let Err(error) = packages.finish(&plan.package, transcript) {
            machine.log.warning(error.to_string());
        }
    }

    /// Refresh, look, simulate, measure. The agent is not touched.
    pub(super) fn prepare(&self, mandate: Mandate) -> Result<Prepared, Error> {
        let Self { machine, packages, transcript, plan, .. } = *self;
        packages.refresh(transcript)?;
        // Both questions at once; that the version is not there is said first.
        let available = packages.available(&plan.package)?;
        let simulated = packages.simulate(&plan.package, &plan.to);
        if let Some(blocked) = look(packages, &available()?, plan, mandate)? {
            return Ok(Prepared::Forbidden(blocked));
        }
        let transaction = simulated?;
        if !transaction.along.is_empty() {
            machine.log.info(format!("dependencies come along: {}", transaction.along.join("; ")));
        }
        room::check(machine, &packages.words(&plan.package, &plan.to), transaction.needs)?;
        Ok(Prepared::Ready(transaction))
    }

    /// Puts on disk what is about to happen.
    pub(super) fn begin(&self, purpose: Purpose, ledger: &mut Ledger) -> Result<(), Error> {
        let Self { machine, plan, .. } = *self;
        // What an upgrade has done that is not settled yet is no excuse for the next.
        let unsettled = ledger.record.pending.take().filter(|pending| pending.package == plan.package);
        let ill_before = unsettled.map_or_else(|| self.ill_before(), |pending| pending.ill_before);
        ledger.record.agent_down = 0;
        ledger.record.pending = Some(Pending {
            package: plan.package.clone(),
            from: plan.from.clone(),
            to: plan.to.clone(),
            step: Step::Install,
            hold: plan.hold,
            database: plan.database.clone(),
            agent: self.before,
            ill_before,
            purpose,
            back: None,
            tries: 0,
            tried: machine.now(),
            by: None,
            since: machine.now(),
            boot: machine.boot(),
        });
        ledger.save()
    }

    /// What speaks against a running agent before it is upgraded, if somebody will ask.
    fn ill_before(&self) -> Option<Complaint> {
        let asked_for = self.plan.verify != Verify(0) && matches!(self.plan.service, Service::Running(_));
        asked_for.then(|| prove::illness(self.machine)).flatten()
    }
}

/// Whether the repository has the version (H09), and whether the administrator's pins forbid it (V14).
pub(super) fn look(
    packages: &dyn Packages,
    available: &Available,
    plan: &Plan,
    mandate: Mandate,
) -> Result<Option<Blocked>, Error> {
    const NAMED: usize = 8;
    let wanted = packages.spelling(&plan.to);
    let is_wanted = |candidate: &&Candidate| packages.release_of(&candidate.version).as_ref() == Some(&plan.to);
    let Some(candidate) = available.versions.iter().find(is_wanted) else {
        let mut has: Vec<&str> = available.versions.iter().take(NAMED).map(|c| c.version.as_str()).collect();
        if available.versions.len() > NAMED {
            has.push("...");
        }
        let has = if has.is_empty() { "no version of it".to_owned() } else { has.join(", ") };
        return Err(Error::new(
            Class::Repository,
            format!("{} {wanted} is not in the repository: {} has {has}", plan.package, available.origin),
            "if the version was released just now the next run will find it; else check which channel the repository file names",
        ));
    };
    Ok(candidate.forbidden.filter(|_| mandate == Mandate::Policy).map(|priority| {
        Blocked(format!(
            "{} {wanted} is pinned away with Pin-Priority {priority}: the administrator's pin wins.\n    next: change it in /etc/apt/preferences.d, or upgrade once with `teleport-upgrade force`",
            plan.package
        ))
    }))
}
