//! Out of the patient's body (H03): a run that was started in a session that the agent itself serves would die with the agent's restart.
//! It goes on in a unit of its own, which outlives the session; what it says goes to the session while that lives, and to the journal.

use crate::error::{Class, Error};
use crate::host::command::{self, Argv, relay, start};
use crate::host::machine::Machine;
use crate::host::process;

/// Told to the run in the unit of its own: it has to keep what it says in the journal itself, because its stderr is the session's.
pub const MARK: &str = "TELEPORT_UPGRADE_MOVED";
/// As in `teleport-upgrade.service` (V7): nothing ends a package manager in the middle.
const PROPERTIES: [&str; 4] = ["KillMode=process", "OOMPolicy=continue", "TimeoutStopSec=15min", "SuccessExitStatus=75"];

/// Whether this process must not do anything itself that ends with the agent's restart.
#[must_use]
pub fn is_needed(machine: &Machine) -> bool {
    machine.variable(MARK).is_none() && machine.is_run_by_systemd() && process::are_inside_the_agent(machine)
}

/// Lets this very program run with `words` in a unit of its own, and waits for its end; its exit code.
///
/// # Errors
/// [`Class::Internal`] when there can be no such unit; then nothing was begun.
pub fn go_on(machine: &Machine, purpose: &str, words: &[String]) -> Result<u8, Error> {
    let unit = unit_name(machine, purpose);
    machine.log.info(format!(
        "this session is served by the agent that is to be upgraded: going on in the unit {unit}, which outlives it; its log is in: journalctl -u {unit}"
    ));
    let mut options: Vec<String> = ["--quiet", "--pipe", "--wait", "--collect"].map(str::to_owned).to_vec();
    options.push(format!("--unit={unit}"));
    options.extend(PROPERTIES.iter().map(|property| format!("--property={property}")));
    options.push(format!("--setenv={MARK}=1"));
    for (name, value) in machine.environment.iter().filter(|(name, _)| name != "JOURNAL_STREAM") {
        if value.contains('@') {
            // A unit's environment can be read by every user of the host.
            machine.log.warning(format!(
                "{name} holds credentials and is not handed on; put it into the unit teleport-upgrade.service."
            ));
        } else {
            options.push(format!("--setenv={name}={value}"));
        }
    }
    options.push(machine.myself.display().to_string());
    let argv = Argv::new("systemd-run", options.into_iter().chain(words.iter().cloned()));
    match relay(machine, &argv)? {
        // 1 is none of our exit codes: it is the tool's own.
        1 => Err(Error::new(
            Class::Internal,
            "systemd would not start a unit of its own for this run, and in this session it would die with the agent's restart",
            "systemctl start teleport-upgrade.service; or open a session that the agent does not serve",
        )),
        code => Ok(code),
    }
}

/// Lets this very program go on with `words` when this process is gone and even its file is; does not wait for its end.
///
/// # Errors
/// [`Class::Internal`] when it cannot be started.
pub fn leave(machine: &Machine, purpose: &str, words: &[&str]) -> Result<(), Error> {
    let myself = machine.myself.display().to_string();
    if !machine.is_run_by_systemd() {
        // Through setsid(1) it would only be forked when this returns, and its file may be gone a moment later.
        return command::leave(machine, &Argv::new(&myself, words.iter().copied())).map(drop);
    }
    let unit = format!("--unit={}", unit_name(machine, purpose));
    // `exec`: it has been started, not only forked, when this returns.
    let argv = Argv::new("systemd-run", ["--quiet", "--collect", &unit, "--property=Type=exec", "--property=KillMode=process"])
        .and(&[&myself])
        .and(words);
    if start(machine, &argv)? {
        return Ok(());
    }
    Err(Error::new(
        Class::Internal,
        format!("`{argv}` failed"),
        format!("once the package manager is done: {myself} {}", words.join(" ")),
    ))
}

/// Names must be unique (V12).
fn unit_name(machine: &Machine, purpose: &str) -> String {
    format!("teleport-upgrade-{purpose}-{}-{}", std::process::id(), machine.now().unix())
}
