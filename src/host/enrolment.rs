//! Whether the running agent exports its maintenance windows: it does so only with `TELEPORT_EXT_UPGRADER=unit` in its own environment,
//! which a drop-in changes for the next start, and never for a successor that a reload begets (V29; reference: RFD 109).

use std::fs::File;
use std::io::Read;

use crate::host::machine::Machine;
use crate::host::process;
use crate::rules::facts::Enrolment;

const VARIABLE: &[u8] = b"TELEPORT_EXT_UPGRADER=unit";
/// What gives a restarted agent that variable.
const DROP_IN: &str = "teleport.service.d/teleport-upgrade.conf";
const UNIT_DIRECTORIES: [&str; 4] =
    ["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
/// The kernel limits arguments and environment together to far less in practice.
const LONGEST: u64 = 4 * 1024 * 1024;

/// Looks at the agent's environment in /proc; no process is started for it.
#[must_use]
pub fn look(machine: &Machine) -> Enrolment {
    let Some(agent) = process::agent(machine) else { return Enrolment::Unknown };
    let mut environment = Vec::new();
    let opened = File::open(machine.path(format!("/proc/{}/environ", agent.pid)));
    match opened.and_then(|file| file.take(LONGEST).read_to_end(&mut environment)) {
        Err(_) => Enrolment::Unknown,
        Ok(_) if environment.split(|byte| *byte == 0).any(|variable| variable == VARIABLE) => Enrolment::Enrolled,
        Ok(_) if is_arranged(machine) => Enrolment::AfterRestart,
        Ok(_) => Enrolment::NotArranged,
    }
}

/// The first directory that has the name decides: an administrator masks it with a link to /dev/null (systemd.unit(5)).
fn is_arranged(machine: &Machine) -> bool {
    let mut places = UNIT_DIRECTORIES.iter().map(|directory| machine.path(directory).join(DROP_IN));
    places.find(|place| place.symlink_metadata().is_ok()).is_some_and(|place| place.is_file())
}
