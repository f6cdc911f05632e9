//! The proof that an upgrade was good: the agent is watched for as long as the operator wants. That it runs the new version is not enough.

use std::time::Duration;

use crate::error::Error;
use crate::host::agent;
use crate::host::machine::Machine;
use crate::host::{process, service};
use crate::rules::health::{Complaint, Finding, judge, times};
use crate::rules::policy::Verify;

/// What watching the agent came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Proof {
    /// The agent is well, or no more ill than it was before.
    Given,
    /// We were told to end: the next run watches.
    Owing,
    /// It is ill, and was not so ill before.
    Failed(Complaint),
}

/// An agent that systemd has restarted so few seconds ago is in a crash loop, as far as anybody can tell.
const LOOP: u64 = 60;

/// What speaks against the agent now, before anything is done to it; `None` also when that cannot be told.
pub(super) fn illness(machine: &Machine) -> Option<Complaint> {
    let look = service::look_closely(machine, agent::installed_file(machine)).ok()?;
    let young = look.in_charge.and_then(|process| process::age(machine, process.started)).filter(|age| *age < LOOP);
    match young.filter(|_| look.restarts > 0) {
        // One look may meet a crash loop at a good moment.
        Some(age) => Some(Complaint::down(format!("was restarted by systemd {}, last {age} s ago", times(look.restarts)))),
        None => look.complaint(),
    }
}

/// Watches the agent, which runs what is installed now, until it has proven itself. `ill_before` is what spoke against it before the
/// upgrade: a version on which it is no worse is not blamed for it (H16).
///
/// # Errors
/// When systemd does not answer: nothing is known of the agent then.
pub(super) fn prove(machine: &Machine, Verify(seconds): Verify, ill_before: Option<&Complaint>) -> Result<Proof, Error> {
    if seconds == 0 {
        return Ok(Proof::Given);
    }
    machine.log.info(format!("watching the agent for {seconds} s."));
    let mut looks = Vec::new();
    let why = loop {
        looks.push(service::look_closely(machine, agent::installed_file(machine))?);
        match judge(&looks, seconds) {
            Finding::Well => return Ok(Proof::Given),
            // What ends with the host is not ill.
            Finding::Ill(_) if service::host_is_going_down(machine) => return Ok(Proof::Owing),
            Finding::Ill(why) => break why,
            Finding::NotYet if machine.orders.came() => return Ok(Proof::Owing),
            Finding::NotYet => (machine.wait)(Duration::from_secs(1)),
        }
    };
    let Some(before) = ill_before.filter(|before| before.illness >= why.illness) else { return Ok(Proof::Failed(why)) };
    machine.log.warning(format!("{why}, but before the upgrade it was no better: {before}. Keeping the version."));
    Ok(Proof::Given)
}
