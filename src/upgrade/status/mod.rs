//! `status`: how this host stands, for a person (`screen`) and for machines (`document`). Looks at everything that a run would look at, and
//! at the timer; changes nothing, and works as any user. What it makes of what it finds is in `report`.

pub mod document;
pub mod report;
pub mod screen;

use std::path::Path;

use crate::config;
use crate::error::{Class, Error};
use crate::host::machine::{Attendance, Machine};
use crate::host::packages::{self, Completeness, find_package};
use crate::host::record::{self, Record};
use crate::host::{agent, pause, process, service, timer};
use crate::rules::account::{Account, Inputs};
use crate::rules::decide::Decision;
use crate::rules::facts::{Enrolment, Mandate};
use crate::rules::health::Executes;
use crate::rules::plan::Service;
use crate::rules::policy::Policy;
pub use crate::upgrade::consider::Ask;
use crate::upgrade::consider::{Question, consider};
use crate::upgrade::status::report::{Answer, Health, Installed, Report, Running, Runs, Verdict};
use crate::upgrade::{holder, prove};

/// How the answer is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One screen for a person.
    Screen,
    /// JSON, as in `status.schema.json`.
    Json,
}

/// Finds out how this host stands. Never fails: what could not be found out is part of the answer.
#[must_use]
pub fn status(machine: &Machine, directory: &Path, ask: Ask) -> Report {
    // What a run would log is on the page.
    machine.log.hush();
    let (mut record, unread) = match record::read(machine) {
        Ok(record) => (record, None),
        Err(why) => (Record::default(), Some(why)),
    };
    let mut unseen = Vec::new();
    let (mut inputs, answer, verdict, installed, unknown) = match config::load(directory, machine.superuser) {
        Err(error) => {
            let installed = agent::ask(machine, record.agent.as_ref()).version().cloned();
            let inputs = Inputs { installed, ..Inputs::default() };
            (inputs, Answer::NotAsked, Verdict::Stopped(error), Installed::Unknown, Vec::new())
        }
        Ok(loaded) => {
            unseen = loaded.unread;
            let (mut inputs, answer, verdict) = decide(machine, directory, &loaded.policy, ask, &record);
            let (installed, verdict) = look_at_the_package(machine, &loaded.policy, &mut record, verdict);
            inputs.hold.clone_from(&record.holder.by);
            (inputs, answer, verdict, installed, loaded.unknown)
        }
    };
    if !machine.is_superuser() {
        unseen.push(as_the_last_run_saw_it(&record, &mut inputs));
    }
    let (timer, started) = timer::look(machine);
    let at_work = started.at_work || record.pending.as_ref().is_some_and(|pending| pending.is_at_work(machine));
    Report {
        now: machine.now(),
        host: machine.name(),
        health: health(machine),
        runs: Runs { started, at_work, up: (machine.uptime)(), unread },
        pause_unread: pause::read(machine).err(),
        inputs,
        answer,
        verdict,
        installed,
        timer,
        unknown,
        unseen,
        record,
    }
}

/// Decides as the next run by the timer will; by what the last one heard where the server cannot be asked.
fn decide(machine: &Machine, directory: &Path, policy: &Policy, ask: Ask, record: &Record) -> (Inputs, Answer, Verdict) {
    let decided = |ask| {
        let mut account = Account::default();
        let question = Question { mandate: Mandate::Policy, attendance: Attendance::Timer, ask };
        let considered = consider(machine, directory, policy, &mut record.clone(), &mut account, question);
        let change = account.change;
        (account.inputs, considered.map(|considered| Verdict::Decided { decision: considered.decision, change }))
    };
    let (inputs, verdict) = decided(ask);
    match (ask, verdict) {
        (Ask::Nobody, verdict) => (inputs, Answer::NotAsked, verdict.unwrap_or_else(Verdict::Stopped)),
        (Ask::Server, Ok(verdict)) => (inputs, Answer::Now, verdict),
        (Ask::Server, Err(error)) if matches!(error.class, Class::Network | Class::Server) => match decided(Ask::Nobody) {
            (inputs, Ok(remembered)) => (inputs, Answer::None(error), remembered),
            (_, Err(_)) => (inputs, Answer::None(error.clone()), Verdict::Stopped(error)),
        },
        (Ask::Server, Err(error)) => (inputs, Answer::NotAsked, Verdict::Stopped(error)),
    }
}

/// Which package it is, and who holds it; as the last run saw it where the package manager does not answer this user. What would stop an
/// upgrade there changes the verdict.
fn look_at_the_package(machine: &Machine, policy: &Policy, record: &mut Record, verdict: Verdict) -> (Installed, Verdict) {
    let looked = look(machine, policy, record);
    let is_idle = matches!(verdict, Verdict::Stopped(_) | Verdict::Decided { decision: Decision::Stay(_), .. });
    match looked {
        Ok(installed) => (installed, verdict),
        Err(_) if is_idle => (Installed::Unknown, verdict),
        Err(error) => (Installed::Unknown, Verdict::Stopped(error)),
    }
}

fn look(machine: &Machine, policy: &Policy, record: &mut Record) -> Result<Installed, Error> {
    let Some(packages) = packages::choose(machine, policy.installer, policy.repo.as_ref())? else {
        return Ok(Installed::ByOthers);
    };
    let (package, state) = find_package(&*packages, policy.package.as_ref())?;
    holder::saw(machine, &*packages, &package, &state, record);
    let release = state.version.as_deref().and_then(|version| packages.release_of(version));
    let stopped_at = match state.completeness {
        Completeness::Complete => None,
        Completeness::Stopped(at) => Some(at),
    };
    Ok(Installed::Package { package, release, stopped_at })
}

fn health(machine: &Machine) -> Health {
    match service::look(machine) {
        Err(error) => Health::Unknown(error.what),
        Ok(Service::NoUnit) => Health::Stopped("there is no teleport.service".into()),
        Ok(Service::NoSystemd) => Health::Stopped("no process of it is there, and no systemd to start it".into()),
        Ok(Service::Stopped(word)) => Health::Stopped(format!("systemd says: {word}")),
        Ok(Service::Running(_)) => match prove::illness(machine) {
            Some(complaint) => Health::Ill(complaint),
            None => Health::Well(in_charge(machine)),
        },
    }
}

fn in_charge(machine: &Machine) -> Option<Running> {
    let process = service::look_closely(machine, agent::installed_file(machine)).ok()?.in_charge?;
    let age = process::age(machine, process.started).and_then(|age| i64::try_from(age).ok());
    // Only root may see which file a process of root's executes.
    let executes = if machine.is_superuser() { process.executes } else { Executes::Installed };
    Some(Running { pid: process.pid, age, executes })
}

/// What only root can see is taken from the account of the last run, and said to be so.
fn as_the_last_run_saw_it(record: &Record, inputs: &mut Inputs) -> String {
    if inputs.enrolment == Enrolment::Unknown {
        inputs.enrolment = record.last.inputs.enrolment;
    }
    inputs.agent.clone_from(&record.last.inputs.agent);
    let when = if record.last.code.is_empty() { " (there was none)".to_owned() } else { format!(", {}", record.last.at) };
    format!("what only root may see is as of the last run{when}")
}
