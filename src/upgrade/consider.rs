//! Gathering the facts and deciding. Only files and /proc are read before the decision, and the version server is asked (V28): a
//! check that finds nothing to do starts no process while the agent's binary is unchanged.

use std::path::Path;

use crate::config;
use crate::error::{Class, Error};
use crate::host::agent::{self, Agent, Known};
use crate::host::enrolment;
use crate::host::machine::{Attendance, BUILT, Machine};
use crate::host::record::{Record, Served};
use crate::host::{pause, pulse};
use crate::rules::account::{Account, Asked, FileState, Heard, Inputs, Windows};
use crate::rules::decide::{Decision, decide};
use crate::rules::facts::{Critical, Enrolment, Facts, Mandate, Target};
use crate::rules::foresight;
use crate::rules::moment::Moment;
use crate::rules::pause::Pause;
use crate::rules::policy::{Detail, Policy, WindowSource};
use crate::rules::turn::Place;
use crate::rules::window::{Schedule, Standing};
use crate::rules::wording;
use crate::upgrade::server::Server;

/// The facts of one run, and what was decided on them.
#[derive(Debug)]
pub(super) struct Considered {
    pub(super) facts: Facts,
    pub(super) decision: Decision,
    pub(super) now: Moment,
    /// The agent's version and the binary that said so, for the record.
    pub(super) agent: Option<Known>,
}

impl Considered {
    /// Puts into the account what was decided, on what, and what will change it.
    pub(super) fn account_for(&self, policy: &Policy, account: &mut Account) {
        let Self { facts, decision, now, .. } = self;
        account.inputs.installed.clone_from(&facts.installed);
        account.inputs.wanted = facts.target.release().cloned();
        account.inputs.critical = facts.critical;
        account.change = foresight::change(policy, facts, decision, *now);
    }

    /// Logs the decision and how it came about.
    pub(super) fn say(&self, machine: &Machine, policy: &Policy) {
        for (level, text) in wording::of(policy, &self.facts, &self.decision, self.now) {
            machine.log.say(level, &text);
        }
    }
}

/// Who is asked what is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// The version server, unless a version is pinned.
    Server,
    /// Nobody: what the run before heard counts.
    Nobody,
}

/// What is to be decided, and on whose behalf.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    pub(super) mandate: Mandate,
    /// Who types `run` waits for nobody (V31).
    pub(super) attendance: Attendance,
    pub(super) ask: Ask,
}

/// Finds out what there is to know and decides; what is known goes into `account` as it comes.
pub(super) fn consider(
    machine: &Machine,
    directory: &Path,
    policy: &Policy,
    record: &mut Record,
    account: &mut Account,
    question: Question,
) -> Result<Considered, Error> {
    let Question { mandate, attendance, ask } = question;
    if policy.detail == Detail::Debug {
        machine.log.say_everything();
    }
    let (agent, mut schedule) = look_around(machine, directory, policy, record, account);
    let now = machine.now();
    let mut server = None;
    let (target, heard) = match (&policy.pin, ask) {
        (Some(pinned), _) => (Target::Pinned(pinned.clone()), Critical::NotAsked),
        (None, Ask::Nobody) => remembered(record).ok_or_else(nothing_heard)?,
        (None, Ask::Server) => {
            let said = server.insert(Server::of(machine, policy)?).target(machine)?;
            account.inputs.clock_apart = said.clock_apart;
            (said.target, Critical::NotAsked)
        }
    };
    if policy.windows == WindowSource::Server && ask == Ask::Server {
        let server = match &mut server {
            Some(server) => server,
            none => none.insert(Server::of(machine, policy)?),
        };
        schedule = ask_for_windows(machine, server, record);
        account.inputs.schedule = Windows::of(&schedule, now);
    }
    let place = match (&target, attendance) {
        (Target::Offered(to) | Target::Pinned(to), Attendance::Timer) => Place::of(&machine.identity(), to),
        (_, Attendance::Person) | (Target::NoneNow, _) => Place::FIRST,
    };
    let mut facts = Facts {
        installed: agent.version().cloned(),
        target,
        critical: heard,
        schedule,
        enrolment: account.inputs.enrolment,
        pause: account.inputs.pause.clone(),
        place,
        memory: record.memory.clone(),
        mandate,
        built: BUILT,
    };
    let mut decision = decide(policy, &facts, now);
    if let Some(server) = server.as_mut().filter(|_| decision.yields_to_critical(&facts)) {
        facts.critical = server.critical(machine);
        decision = decide(policy, &facts, now);
    }
    if ask == Ask::Server && policy.pin.is_none() {
        record.heard = Some(Heard { wanted: facts.target.release().cloned(), critical: facts.critical, at: now });
    }
    let agent = match agent {
        Agent::Says(known) => Some(known),
        Agent::Silent(_) => None,
    };
    let considered = Considered { facts, decision, now, agent };
    considered.account_for(policy, account);
    Ok(considered)
}

/// What can be known of the host without asking anybody else.
pub(super) fn look_around(
    machine: &Machine,
    directory: &Path,
    policy: &Policy,
    record: &mut Record,
    account: &mut Account,
) -> (Agent, Schedule) {
    let now = machine.now();
    let agent = agent::ask(machine, record.agent.as_ref());
    if let Agent::Silent(why) = &agent {
        machine.log.warning(format!("{why}."));
    }
    let last = &record.last.inputs.schedule;
    let schedule = match config::read_schedule(directory) {
        _ if policy.windows == WindowSource::Server => served(record, now),
        // What only root may read was read by the last run.
        Schedule::Unreadable(_) if !machine.is_superuser() && last.state == FileState::Read => last.schedule(),
        schedule => schedule,
    };
    if !matches!(schedule.standing(now), Standing::NoneAhead(_)) {
        // Also when nobody can be asked, or is: an agent that exports its schedule is not ill.
        record.memory.unhealthy_since = None;
    }
    let pause = pause::read(machine).unwrap_or_else(|error| {
        machine.log.warning(error.to_string());
        Some(Pause::unreadable(now))
    });
    account.inputs = Inputs {
        installed: agent.version().cloned(),
        asked: policy.pin.as_ref().map_or_else(|| Asked::Server(policy.endpoint.to_string()), |_| Asked::Pin),
        schedule: Windows::of(&schedule, now),
        enrolment: match policy.windows {
            WindowSource::Agent => enrolment::look(machine),
            WindowSource::Server => Enrolment::NotNeeded,
        },
        pause,
        failed: record.memory.failed.clone(),
        hindered: record.memory.hindered.clone(),
        held_back: record.memory.held_back.clone(),
        agent: pulse::feel(machine),
        ..Inputs::default()
    };
    (agent, schedule)
}

/// The windows that the version server names, or what it named last.
fn ask_for_windows(machine: &Machine, server: &mut Server, record: &mut Record) -> Schedule {
    let now = machine.now();
    match server.windows(machine) {
        Ok(windows) => record.served = Some(Served { windows, at: now }),
        Err(error) => machine.log.warning(error.to_string()),
    }
    served(record, now)
}

fn served(record: &Record, now: Moment) -> Schedule {
    match &record.served {
        Some(Served { windows, at }) => Schedule::served(windows, *at, now),
        None => Schedule::Unserved("the version server has named no windows yet".into()),
    }
}

/// What a run heard last.
fn remembered(record: &Record) -> Option<(Target, Critical)> {
    match &record.heard {
        Some(Heard { wanted: None, .. }) => Some((Target::NoneNow, Critical::NotAsked)),
        Some(Heard { wanted: Some(wanted), critical, .. }) => Some((Target::Offered(wanted.clone()), *critical)),
        None => Some((Target::Offered(record.memory.target.clone()?), Critical::NotAsked)),
    }
}

fn nothing_heard() -> Error {
    Error::new(
        Class::Network,
        "no run has heard yet which version is wanted, and the version server is not to be asked",
        "ask it: teleport-upgrade status",
    )
}
