//! Making a planned upgrade. First everything that leaves the agent alone; then the record says what is about to happen; then the
//! package manager works; then not its exit code but the host itself says what came of it (V9).

use crate::error::{Class, Error};
use crate::host::agent::{self, Agent, Known};
use crate::host::hold;
use crate::host::lock::Lock;
use crate::host::machine::Machine;
use crate::host::packages::{self, Act, Available, Candidate, Completeness, Later, Packages, Transaction};
use crate::host::record::{Ledger, Pending, Step, Upgrade};
use crate::host::service;
use crate::host::transcript::Transcript;
use crate::rules::facts::Mandate;
use crate::rules::plan::{AgentBefore, Blocked, HoldAfter, Plan, Service};
use crate::rules::policy::{Package, Verify};
use crate::rules::release::Release;
use crate::upgrade::bring_up::{Up, bring_up};
use crate::upgrade::outcome::Outcome;
use crate::upgrade::prove::{self, Proof};

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
    if let Some(stopped_at) = &plan.finish_first {
        machine.log.warning(format!("{} is {stopped_at}: finishing that first.", plan.package));
        machine.orders.hold_back();
        if let Err(error) = packages.finish(&plan.package, &transcript) {
            machine.log.warning(error.to_string());
        }
    }
    let transaction = match prepare(machine, packages, plan, mandate, &transcript)? {
        Prepared::Ready(transaction) => transaction,
        Prepared::Forbidden(blocked) => return Ok(Outcome::Blocked(blocked)),
    };
    ledger.record.pending = Some(Pending {
        package: plan.package.clone(),
        from: plan.from.clone(),
        to: plan.to.clone(),
        step: Step::Install,
        hold: plan.hold,
        database: plan.database.clone(),
        agent: plan.service.before(),
        ill_before: ill_before(machine, plan),
        tries: 0,
        tried: machine.now(),
        since: machine.now(),
        boot: machine.boot(),
    });
    ledger.save()?;
    let made = install(machine, packages, plan, &transaction, &transcript, ledger)
        .and_then(|held| complete(machine, packages, plan, plan.service.before(), held, ledger));
    if machine.orders.came() && made.is_ok() {
        machine.log.warning("was told to end in the middle of the upgrade: ended it first.");
    }
    if let Err(error) = &made {
        note_upgrade(machine, ledger, plan, error.class.code());
    }
    made.map(|()| Outcome::Upgraded { from: plan.from.clone(), to: plan.to.clone() })
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

enum Prepared {
    Ready(Transaction),
    Forbidden(Blocked),
}

/// Refresh, look, simulate. The agent is not touched.
fn prepare(
    machine: &Machine,
    packages: &dyn Packages,
    plan: &Plan,
    mandate: Mandate,
    transcript: &Transcript,
) -> Result<Prepared, Error> {
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
    Ok(Prepared::Ready(transaction))
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

/// Lets the package manager work and looks at what came of it.
pub(super) fn install<'a>(
    machine: &'a Machine,
    packages: &'a dyn Packages,
    plan: &'a Plan,
    transaction: &Transaction,
    transcript: &'a Transcript,
    ledger: &mut Ledger,
) -> Result<Later<'a, ()>, Error> {
    machine.log.info(format!("attempting {} install {}...", packages.name(), packages.words(&plan.package, &plan.to)));
    machine.orders.hold_back();
    let tried = packages.install(transaction, transcript);
    let held = hold_again(machine, packages, plan.hold, &plan.package, transcript);
    let mut found = confirm(machine, packages, &plan.package, &plan.to);
    if found.is_err() && tried.is_ok() {
        // Another package manager may have come between, or a trigger is left: one attempt to finish our own package.
        let _ = packages.finish(&plan.package, transcript);
        found = confirm(machine, packages, &plan.package, &plan.to);
    }
    let doubts = match found {
        Ok(known) => {
            ledger.record.agent = Some(known);
            if let Err(error) = tried {
                machine
                    .log
                    .warning(format!("{}\n    but {} {} is in place and complete; going on.", error.what, plan.package, plan.to));
            }
            return Ok(held);
        }
        Err(doubts) => doubts,
    };
    warn_of(machine, held());
    machine.log.warning(format!("upgrade attempt failed for {}.", packages.words(&plan.package, &plan.to)));
    let error = tried.err().unwrap_or_else(|| {
        Error::new(
            Class::Package,
            format!("{} says that it installed {}, but {}", packages.name(), plan.to, doubts.join("; ")),
            next_by_hand(packages, plan),
        )
    });
    if unharmed(machine, packages, &plan.package, plan.from.as_ref(), plan.database.as_deref()) {
        ledger.record.pending = None;
        if error.class == Class::Package {
            ledger.record.memory.target_failed(plan.to.clone(), machine.now());
        }
        return Err(error);
    }
    // The pending note stays: the next run begins by looking at this again.
    Err(Error::new(
        Class::Broken,
        format!(
            "{} is neither on {} nor on the version before: {}\n    {}",
            plan.package,
            plan.to,
            doubts.join("; "),
            error.what
        ),
        next_by_hand(packages, plan),
    )
    .with_tool_lines(error.tool_said))
}

/// Whether the host is as it was before: the package complete at the version that the database named, and the binary of the version
/// before, where it could say which one that was.
pub(super) fn unharmed(
    machine: &Machine,
    packages: &dyn Packages,
    package: &Package,
    from: Option<&Release>,
    database: Option<&str>,
) -> bool {
    let as_before = |version: &str| match database {
        Some(before) => version == before,
        None => from.is_some() && packages.release_of(version).as_ref() == from,
    };
    let state = packages::state(packages, package);
    if from.is_none() && database.is_none() && state.as_ref().is_ok_and(|state| state.version.is_none()) {
        return true;
    }
    let complete =
        state.is_ok_and(|state| state.completeness == Completeness::Complete && state.version.as_deref().is_some_and(as_before));
    complete
        && match agent::ask(machine, None).version() {
            Some(says) => from.is_none_or(|from| says == from),
            // It may have been silent before, too; but a program that is damaged now is no agent as it was before.
            None => packages.damage(package).and_then(|answer| answer()).is_ok_and(|damage| damage.is_empty()),
        }
}

/// What is left once the package is in place, in this run or in the one after: restart, hold, record. The agent comes first: the hold may
/// have to wait for somebody's lock.
pub(super) fn complete(
    machine: &Machine,
    packages: &dyn Packages,
    plan: &Plan,
    before: AgentBefore,
    held: Later<()>,
    ledger: &mut Ledger,
) -> Result<(), Error> {
    note_step(machine, ledger, Step::BringUp);
    let up = if machine.orders.came() && service::host_is_going_down(machine) {
        machine.log.info("this host is shutting down: the agent runs the new version when it is up again.");
        Ok(Up::Later)
    } else {
        // Looked at again: much may have happened to the agent while the package manager worked.
        service::look(machine).and_then(|now| bring_up(machine, &now.after(before).as_planned(&plan.service)))
    };
    warn_of(machine, held());
    if up.map_err(|error| with_the_way_back(error, packages, plan))? == Up::Now {
        let ill_before = ledger.record.pending.as_ref().and_then(|pending| pending.ill_before.clone());
        note_step(machine, ledger, Step::Prove);
        match prove::prove(machine, plan.verify, ill_before.as_deref())? {
            Proof::Given => {}
            Proof::Owing => {
                machine.log.warning("was told to end before the agent has proven itself: the next run watches it.");
                return Ok(());
            }
            Proof::Failed(why) => {
                let what = format!("{} {} is installed, but the agent {why}", plan.package, plan.to);
                return Err(Error::new(Class::Broken, what, next_by_hand(packages, plan)));
            }
        }
    }
    ledger.record.memory.upgraded(plan.from.clone(), machine.now());
    ledger.record.pending = None;
    note_upgrade(machine, ledger, plan, "upgraded");
    Ok(())
}

/// An agent that does not come up is a person's; the commands are for that person.
fn with_the_way_back(error: Error, packages: &dyn Packages, plan: &Plan) -> Error {
    let next = format!("{}\n    {}", error.next, next_by_hand(packages, plan));
    if error.class == Class::Broken { Error { next, ..error } } else { error }
}

/// What speaks against a running agent before it is upgraded, if somebody will ask.
fn ill_before(machine: &Machine, plan: &Plan) -> Option<String> {
    let asked_for = plan.verify != Verify(0) && matches!(plan.service, Service::Running(_));
    asked_for.then(|| prove::illness(machine)).flatten()
}

/// The note on disk says at least "install": the next run finds the package whole and does no harm. The agent must not wait for the disk.
fn note_step(machine: &Machine, ledger: &mut Ledger, step: Step) {
    if let Some(pending) = &mut ledger.record.pending {
        pending.step = step;
    }
    warn_of(machine, ledger.save());
}

/// Adds how an upgrade ended to the history.
pub(super) fn note_upgrade(machine: &Machine, ledger: &mut Ledger, plan: &Plan, code: &str) {
    ledger.record.add_upgrade(Upgrade { from: plan.from.clone(), to: plan.to.clone(), at: machine.now(), code: code.into() });
}

/// Package database, files and binary: all three, or what speaks against it. Checking the files takes longest, so it goes on while the
/// others are asked.
pub(super) fn confirm(
    machine: &Machine,
    packages: &dyn Packages,
    package: &Package,
    release: &Release,
) -> Result<Known, Vec<String>> {
    let damage = packages.damage(package);
    let mut doubts = Vec::new();
    match packages::state(packages, package) {
        Err(error) => doubts.push(error.what),
        Ok(state) => {
            if state.version.as_deref().and_then(|version| packages.release_of(version)).as_ref() != Some(release) {
                doubts.push(format!(
                    "the package database says {}",
                    state.version.as_deref().unwrap_or("that it is not installed")
                ));
            }
            if let Completeness::Stopped(at) = state.completeness {
                doubts.push(format!("the package database says {at}"));
            }
        }
    }
    let agent = agent::ask(machine, None);
    match damage.and_then(|answer| answer()) {
        Err(error) => doubts.push(error.what),
        Ok(damage) => doubts.extend(damage.into_iter().take(3)),
    }
    match agent {
        Agent::Says(known) if known.version() == release && doubts.is_empty() => return Ok(known),
        Agent::Says(known) if known.version() == release => {}
        Agent::Says(known) => doubts.push(format!("the agent's binary says {}", known.version())),
        Agent::Silent(why) => doubts.push(why),
    }
    Err(doubts)
}

/// An installation clears a hold: begins to set it again, whoever's it was and whatever came of the installation.
pub(super) fn hold_again<'a>(
    machine: &'a Machine,
    packages: &'a dyn Packages,
    hold: HoldAfter,
    package: &'a Package,
    transcript: &'a Transcript,
) -> Later<'a, ()> {
    let begun = match hold {
        HoldAfter::Free => return Box::new(move || hold::end(machine, packages, package)),
        HoldAfter::Administrators if packages.clears_holds() => packages.hold(package, transcript),
        HoldAfter::Administrators => return Box::new(|| Ok(())),
        HoldAfter::Ours => hold::take(machine, packages, package, transcript),
    };
    Box::new(move || begun.and_then(|held| held()))
}

/// An agent that is upgraded is worth more than its hold, or than what is on disk about it.
pub(super) fn warn_of(machine: &Machine, done: Result<(), Error>) {
    if let Err(error) = done {
        machine.log.warning(error.to_string());
    }
}

fn next_by_hand(packages: &dyn Packages, plan: &Plan) -> String {
    let again = packages.by_hand(&plan.package, &plan.to);
    match &plan.from {
        Some(from) => format!("to go back: {}\n    to try again: {again}", packages.by_hand(&plan.package, from)),
        None => again,
    }
}
