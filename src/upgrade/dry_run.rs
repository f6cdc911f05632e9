//! What a run would do now, and what stands in its way: decision, window, steps. Changes nothing at all: no lock, no record, no
//! refreshed list, and works as any user, saying what that user may not see.

use std::path::Path;

use crate::config;
use crate::error::Error;
use crate::host::hold::FirstHold;
use crate::host::machine::Machine;
use crate::host::packages::{self, Lists, Packages};
use crate::host::record::{self, Record};
use crate::rules::account::Account;
use crate::rules::decide::{Decision, Wait};
use crate::rules::facts::{Facts, Mandate};
use crate::rules::local::both_of;
use crate::rules::moment::{Moment, span};
use crate::rules::plan::{Blocked, Plan, Service, plan};
use crate::rules::policy::Policy;
use crate::rules::release::Release;
use crate::rules::trigger::{self, Trigger};
use crate::rules::window::{Schedule, Standing, Window};
use crate::upgrade::consider::{Ask, Considered, Question, consider};
use crate::upgrade::{apply, survey};

/// Says what a run would do now.
///
/// # Errors
/// What would stop the run before it could decide.
pub fn dry_run(machine: &Machine, directory: &Path) -> Result<(), Error> {
    let loaded = config::load(directory, machine.superuser)?;
    for warning in &loaded.warnings {
        machine.log.warning(warning);
    }
    for name in &loaded.unknown {
        machine
            .log
            .warning(format!("the configuration directory has a file {name} that this version does not know; it is ignored."));
    }
    let mut record = what_is_remembered(machine);
    let question = Question { mandate: Mandate::Policy, attendance: machine.attendance, ask: Ask::Server };
    let mut considered = consider(machine, directory, &loaded.policy, &mut record, &mut Account::default(), question)?;
    survey::ask_database(machine, &loaded.policy, &mut considered)?;
    considered.say(machine, &loaded.policy);
    machine.log.info(window_line(machine, &considered.facts.schedule, considered.now));
    steps(machine, &loaded.policy, &considered, record.first_hold);
    if !machine.is_superuser() {
        unseen(machine, &considered.facts, loaded.unread);
    }
    machine.log.info("dry run: nothing was changed.");
    Ok(())
}

fn what_is_remembered(machine: &Machine) -> Record {
    let record = match record::read(machine) {
        Ok(record) => record,
        Err(why) => {
            machine.log.warning(format!(
                "the record of earlier runs cannot be read ({why}); a run would keep it aside and begin a new one."
            ));
            Record::default()
        }
    };
    if let Some(pending) = &record.pending {
        machine.log.warning(format!(
            "a run that began at {} was cut off while installing {} {}: a run would first look at what is there.",
            pending.since, pending.package, pending.to
        ));
    }
    record
}

/// The window that matters, in UTC and on this host's clock, and how long until it opens or closes.
fn window_line(machine: &Machine, schedule: &Schedule, now: Moment) -> String {
    let said = |window: Window, what: String| format!("window: {}, {what}.", both_of(window, &*machine.zone));
    match schedule.standing(now) {
        Standing::Open(window) => said(window, format!("open, closes in {}", span(window.stop().since(now)))),
        Standing::Ahead(window) => said(window, format!("opens in {}", span(window.start().since(now)))),
        Standing::NoneAhead(why) | Standing::Unserved(why) => format!("window: none ahead: {why}."),
    }
}

/// The steps that would be taken now, or once what is waited for has come.
fn steps(machine: &Machine, policy: &Policy, considered: &Considered, first_hold: FirstHold) {
    let (to, when) = match &considered.decision {
        Decision::Stay(_) | Decision::Refuse(_) => return,
        Decision::Upgrade { to, .. } => (to, "steps that `run` would take now:"),
        Decision::Wait(
            Wait::Trigger { to, .. }
            | Wait::FailedBefore { to, .. }
            | Wait::Hindered { to, .. }
            | Wait::HeldBack { to }
            | Wait::Paused { to, .. }
            | Wait::Returning { to, .. },
        ) => (to, "steps that `run` would take once it does not have to wait:"),
    };
    let why = trigger::first(policy, &considered.facts, considered.now).unwrap_or_else(|not_now| not_now.comes_as());
    match planned(machine, policy, &considered.facts, first_hold, to, &why) {
        Ok(Planned::Ready { plan, packages }) => {
            machine.log.info(when);
            for (index, command) in apply::commands(&*packages, &plan).iter().enumerate() {
                machine.log.info(format!("  {}. {command}", index + 1));
            }
            after(machine, &plan);
            knowledge(machine, &*packages, &plan);
        }
        Ok(Planned::Blocked(Blocked(why))) => machine.log.warning(why),
        Ok(Planned::LeftToOthers) => machine.log.info("the file `installer` says `nop`: `run` would change nothing."),
        Err(error) => machine.log.warning(format!("`run` would stop here: {error}")),
    }
}

enum Planned<'m> {
    Ready { plan: Plan, packages: Box<dyn Packages + 'm> },
    Blocked(Blocked),
    LeftToOthers,
}

fn planned<'m>(
    machine: &'m Machine,
    policy: &Policy,
    facts: &Facts,
    first_hold: FirstHold,
    to: &Release,
    why: &Trigger,
) -> Result<Planned<'m>, Error> {
    let Some(packages) = packages::choose(machine, policy.installer, policy.repo.as_ref())? else {
        return Ok(Planned::LeftToOthers);
    };
    let site = survey::survey(machine, &*packages, policy, facts, first_hold)?;
    Ok(match plan(policy, site, to.clone(), why) {
        Ok(plan) => Planned::Ready { plan, packages },
        Err(blocked) => Planned::Blocked(blocked),
    })
}

/// What happens to the agent, where no command says it.
fn after(machine: &Machine, plan: &Plan) {
    match &plan.service {
        Service::Running(_) => {}
        Service::Stopped(state) => machine.log.info(format!("teleport.service is not running ({state}) and would be left so.")),
        Service::NoUnit => machine.log.info("there is no teleport.service: a running agent would have to be restarted by hand."),
        Service::NoSystemd => machine.log.info("no systemd: a running agent would have to be restarted by hand."),
    }
}

/// What the package manager knows without asking the repository again.
fn knowledge(machine: &Machine, packages: &dyn Packages, plan: &Plan) {
    let age = match packages.lists() {
        Lists::LeaveTraces => {
            machine.log.info(format!(
                "what the repository has is not looked at: even a question leaves traces of {}; `run` looks.",
                packages.name()
            ));
            return;
        }
        Lists::Refreshed(Some(at)) => format!("last refreshed {} ago", span(machine.now().since(at))),
        Lists::Refreshed(None) => "never refreshed".to_owned(),
    };
    let available = packages.available(&plan.package).and_then(|answer| answer());
    match available.and_then(|available| apply::look(packages, &available, plan, Mandate::Policy)) {
        Err(error) => machine.log.warning(format!("as of the package lists ({age}; `run` refreshes them first): {error}")),
        Ok(Some(Blocked(why))) => machine.log.warning(why),
        Ok(None) => match packages.simulate(&plan.package, &plan.to) {
            Ok(_) => machine.log.info(format!(
                "{} is in the package lists ({age}; `run` refreshes them first) and can be installed.",
                packages.words(&plan.package, &plan.to)
            )),
            Err(error) => machine.log.warning(error.to_string()),
        },
    }
}

/// What only root would have seen.
fn unseen(machine: &Machine, facts: &Facts, mut unseen: Vec<String>) {
    if let Schedule::Unreadable(why) = &facts.schedule {
        unseen.push(format!("the schedule (it {why})"));
    }
    unseen.push("which process of the agent is in charge".into());
    machine.log.warning(format!("not run as root; could not read: {}.", unseen.join("; ")));
}
