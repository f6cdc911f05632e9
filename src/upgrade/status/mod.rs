//! `status`: how this host stands, for a person (`screen`) and for machines (`document`). Looks at everything that a run would look at, and
//! at the timer; changes nothing, and works as any user. What it makes of what it finds is in `report`.

pub mod document;
pub mod report;
pub mod screen;

use std::path::Path;

use crate::config;
use crate::error::Class;
use crate::host::machine::{Attendance, Machine};
use crate::host::packages::{self, find_package};
use crate::host::record::{self, Record};
use crate::host::{agent, process, service, timer};
use crate::rules::account::Inputs;
use crate::rules::facts::{Enrolment, Mandate};
use crate::rules::health::Executes;
use crate::rules::moment::Moment;
use crate::rules::plan::Service;
use crate::rules::policy::Policy;
pub use crate::upgrade::consider::Ask;
use crate::upgrade::consider::{Question, consider};
use crate::upgrade::status::report::{Health, Heard, Report, Running, Runs, Verdict};
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
    let (record, unread) = match record::read(machine) {
        Ok(record) => (record, None),
        Err(why) => (Record::default(), Some(why)),
    };
    let (timer, started) = timer::look(machine);
    let mut report = Report {
        now: machine.now(),
        host: machine.name(),
        package: None,
        inputs: Inputs { installed: agent::ask(machine, record.agent.as_ref()).version().cloned(), ..record.last.inputs.clone() },
        health: health(machine),
        heard: Heard::Now,
        verdict: Verdict::Open,
        timer,
        runs: Runs { started, up: (machine.uptime)(), unread },
        unknown: Vec::new(),
        unseen: Vec::new(),
        record,
    };
    match config::load(directory, machine.superuser) {
        Err(error) => report.verdict = Verdict::Stopped(error),
        Ok(loaded) => {
            report.unknown = loaded.unknown;
            report.unseen = loaded.unread;
            decide(machine, directory, &loaded.policy, ask, &mut report);
            look_at_the_package(machine, &loaded.policy, &mut report);
        }
    }
    if !machine.is_superuser() {
        as_the_last_run_saw_it(&mut report);
    }
    report
}

/// Decides as the next run by the timer will; by what the last one heard where the server cannot be asked.
fn decide(machine: &Machine, directory: &Path, policy: &Policy, ask: Ask, report: &mut Report) {
    let before = (!report.record.last.code.is_empty()).then_some(report.record.last.at);
    let mut decided = |ask| {
        let mut seen = report.record.clone();
        let question = Question { mandate: Mandate::Policy, attendance: Attendance::Timer, ask };
        let considered = consider(machine, directory, policy, &mut seen, question);
        report.inputs = seen.last.inputs;
        match considered {
            Ok(considered) => Verdict::Decided { decision: considered.decision, change: seen.last.change },
            Err(error) => Verdict::Stopped(error),
        }
    };
    let verdict = decided(ask);
    (report.heard, report.verdict) = match (ask, verdict) {
        (Ask::Nobody, verdict) => (Heard::Before(before), verdict),
        (Ask::Server, Verdict::Stopped(error)) if matches!(error.class, Class::Network | Class::Server) => {
            let remembered = match decided(Ask::Nobody) {
                Verdict::Stopped(_) => Verdict::Stopped(error.clone()),
                verdict => verdict,
            };
            (Heard::Failed(error, before), remembered)
        }
        (Ask::Server, verdict) => (Heard::Now, verdict),
    };
}

/// Which package it is, and who holds it; as the last run saw it where the package manager does not answer this user.
fn look_at_the_package(machine: &Machine, policy: &Policy, report: &mut Report) {
    if let Ok(Some(packages)) = packages::choose(machine, policy.installer, policy.repo.as_ref())
        && let Ok((package, state)) = find_package(&*packages, policy.package.as_ref())
    {
        holder::saw(machine, &*packages, &package, &state, &mut report.record);
        report.package = Some(package);
    }
    report.inputs.hold = report.record.holder.by.clone();
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
fn as_the_last_run_saw_it(report: &mut Report) {
    let Inputs { enrolment, agent, .. } = &report.record.last.inputs;
    if report.inputs.enrolment == Enrolment::Unknown {
        report.inputs.enrolment = *enrolment;
    }
    report.inputs.agent.clone_from(agent);
    report.unseen.push(format!("what only root may see is as of the last run{}", as_of(&report.record)));
}

fn as_of(record: &Record) -> String {
    if record.last.code.is_empty() { " (there was none)".into() } else { format!(", {}", said(record.last.at)) }
}

fn said(moment: Moment) -> String {
    moment.to_string()
}
