//! Gathering the facts and deciding. Only files and /proc are read before the decision, and the version server is asked (V28): a
//! check that finds nothing to do starts no process while the agent's binary is unchanged.

use std::path::Path;

use crate::config;
use crate::error::Error;
use crate::host::agent::{self, Agent, Known};
use crate::host::authorities;
use crate::host::enrolment;
use crate::host::machine::{BUILT, Machine};
use crate::host::record::Record;
use crate::offers::authorities::Authorities;
use crate::offers::client::{Limits, Surroundings, VersionServer};
use crate::offers::proxy::Proxies;
use crate::offers::reply::Offered;
use crate::rules::decide::{Decision, decide};
use crate::rules::facts::{Critical, Facts, Mandate, Target};
use crate::rules::moment::{Moment, span};
use crate::rules::policy::{Detail, Policy, Transport};
use crate::rules::window::Standing;
use crate::rules::wording;

/// A clock that is further than this from the version server's is warned about, in seconds (H12).
const CLOCK_TOLERANCE: i64 = 300;

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
    /// Logs the decision and how it came about.
    pub(super) fn say(&self, machine: &Machine, policy: &Policy) {
        for (level, text) in wording::of(policy, &self.facts, &self.decision, self.now) {
            machine.log.say(level, &text);
        }
    }
}

/// Finds out what there is to know and decides.
pub(super) fn consider(
    machine: &Machine,
    directory: &Path,
    policy: &Policy,
    record: &mut Record,
    mandate: Mandate,
) -> Result<Considered, Error> {
    if policy.detail == Detail::Debug {
        machine.log.say_everything();
    }
    let now = machine.now();
    let agent = agent::ask(machine, record.agent.as_ref());
    if let Agent::Silent(why) = &agent {
        machine.log.warning(format!("{why}."));
    }
    let schedule = config::read_schedule(directory);
    if !matches!(schedule.standing(now), Standing::NoneAhead(_)) {
        // Also when nobody can be asked now: an agent that exports its schedule is not ill.
        record.memory.unhealthy_since = None;
    }
    let mut server = None;
    let target = match &policy.pin {
        Some(pinned) => Target::Pinned(pinned.clone()),
        None => offered(machine, server.insert(connect(machine, policy)?))?,
    };
    let mut facts = Facts {
        installed: agent.version().cloned(),
        target,
        critical: Critical::NotAsked,
        schedule,
        enrolment: enrolment::look(machine),
        memory: record.memory.clone(),
        mandate,
        built: BUILT,
    };
    let mut decision = decide(policy, &facts, now);
    if let Some(server) = server.as_mut().filter(|_| decision.yields_to_critical(&facts)) {
        facts.critical = critical(machine, server);
        decision = decide(policy, &facts, now);
    }
    let agent = match agent {
        Agent::Says(known) => Some(known),
        Agent::Silent(_) => None,
    };
    Ok(Considered { facts, decision, now, agent })
}

pub(super) fn connect<'m>(machine: &'m Machine, policy: &Policy) -> Result<VersionServer<'m>, Error> {
    if policy.transport == Transport::PlainLocal {
        machine.log.warning(format!("fetching {}/version in insecure mode (not safe for production use).", policy.endpoint));
    }
    let authorities = match authorities::bundle(machine)? {
        Some((path, pem)) => Authorities::from_pem(pem, &path.display().to_string())?,
        None => Authorities::built_in(),
    };
    let variable = |name| machine.variable(name).map(str::to_owned);
    let surroundings = Surroundings {
        authorities,
        proxies: Proxies { https: variable("HTTPS_PROXY"), all: variable("ALL_PROXY"), none: variable("NO_PROXY") },
        user_agent: concat!("teleport-upgrade/", env!("CARGO_PKG_VERSION")),
        limits: Limits::default(),
        pause: &machine.pause,
    };
    VersionServer::new(&policy.endpoint, policy.transport, surroundings)
}

pub(super) fn offered(machine: &Machine, server: &mut VersionServer) -> Result<Target, Error> {
    let answer = server.version().inspect_err(|_| {
        machine.log.warning("failed to get target version, cannot proceed with update check.");
    })?;
    if let Some(theirs) = answer.server_time {
        let apart = machine.now().since(theirs);
        if apart.abs() > CLOCK_TOLERANCE {
            let direction = if apart > 0 { "ahead of" } else { "behind" };
            machine.log.warning(format!("this host's clock is {} {direction} the version server's.", span(apart.abs())));
        }
    }
    Ok(match answer.offered {
        Offered::NoTarget => Target::NoneNow,
        Offered::Release(release) => Target::Offered(release),
    })
}

/// Any failure means not critical (reference: RFD 109).
fn critical(machine: &Machine, server: &mut VersionServer) -> Critical {
    match server.critical() {
        Ok(true) => Critical::Yes,
        Ok(false) => Critical::No,
        Err(error) => {
            machine.log.debug(format!("not critical, because the question failed: {error}"));
            Critical::No
        }
    }
}
