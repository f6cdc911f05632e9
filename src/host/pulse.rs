//! Whether the agent lives, by what can be seen without asking systemd: a check starts no process (V28).

use crate::host::machine::Machine;
use crate::host::{process, readiness};
use crate::rules::account::Pulse;
use crate::rules::health::{Complaint, Illness, Readiness};

/// Looks for the agent in /proc, and asks it on its debug socket.
#[must_use]
pub fn feel(machine: &Machine) -> Pulse {
    let Some(agent) = process::agent(machine) else {
        return Pulse { pid: None, complaint: Some(Complaint::down("does not run")) };
    };
    let complaint = match readiness::ask(machine) {
        Readiness::NotReady(says) => {
            Some(Complaint { illness: Illness::NotReady, says: format!("says that it is not ready ({says})") })
        }
        Readiness::Ready | Readiness::Silent => None,
    };
    Pulse { pid: Some(agent.pid), complaint }
}
