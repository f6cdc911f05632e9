//! The proof that an upgrade was good: the agent is watched for as long as the operator wants. That it runs the new version is not enough.

use std::time::Duration;

use crate::error::Error;
use crate::host::agent;
use crate::host::machine::Machine;
use crate::host::service;
use crate::rules::health::{Finding, judge};
use crate::rules::policy::Verify;

/// What watching the agent came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Proof {
    /// The agent is well, or no more ill than it was before.
    Given,
    /// We were told to end: the next run watches.
    Owing,
    /// It is ill, and was not so before; why, as the end of "the agent ...".
    Failed(String),
}

/// What speaks against the agent now, before anything is done to it; `None` also when that cannot be told.
pub(super) fn illness(machine: &Machine) -> Option<String> {
    service::look_closely(machine, agent::installed_file(machine)).ok()?.complaint()
}

/// Watches the agent, which runs the new version, until it has proven itself. `ill_before` is what spoke against it before the upgrade:
/// then the new version is not blamed for it (H16).
///
/// # Errors
/// When systemd does not answer: nothing is known of the agent then.
pub(super) fn prove(machine: &Machine, Verify(seconds): Verify, ill_before: Option<&str>) -> Result<Proof, Error> {
    if seconds == 0 {
        return Ok(Proof::Given);
    }
    machine.log.info(format!("watching the agent for {seconds} s."));
    let mut looks = Vec::new();
    let why = loop {
        looks.push(service::look_closely(machine, agent::installed_file(machine))?);
        match judge(&looks, seconds) {
            Finding::Well => return Ok(Proof::Given),
            Finding::Ill(why) => break why,
            Finding::NotYet if machine.orders.came() => return Ok(Proof::Owing),
            Finding::NotYet => (machine.pause)(Duration::from_secs(1)),
        }
    };
    let Some(before) = ill_before else { return Ok(Proof::Failed(why)) };
    machine.log.warning(format!(
        "the agent {why}, but before the upgrade it was no better: the agent {before}. Keeping the new version."
    ));
    Ok(Proof::Given)
}
