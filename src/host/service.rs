//! The agent as a service: is it running, who of its processes is in charge, and how it gets to run the new binary.
//!
//! With `PIDFile=` systemd keeps the old, draining process as main process for up to 30 hours after a reload, while the PID file
//! names its successor; without `PIDFile=` a reload ends with the successor killed when the old process ends (V1, V2). So the agent
//! in charge is the process that the PID file names, and reload is only for units that have one.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Class, Error};
use crate::host::command::{Argv, query};
use crate::host::machine::Machine;
use crate::host::process::{PID_FILE, Process, agent, is_executed, is_in_group, pid_in};
use crate::host::readiness;
use crate::rules::health::{self, Executes, InCharge, Look, PidFile};
use crate::rules::plan::{Means, Service};

/// The agent's unit.
const UNIT: &str = "teleport.service";
/// What is asked of systemd; [`properties`] reads the answer.
const PROPERTIES: &str = "LoadState,ActiveState,UnitFileState,MainPID,PIDFile,CanReload,ControlGroup,FragmentPath,Result,NRestarts,ActiveExitTimestampMonotonic,ActiveEnterTimestampMonotonic";
const QUESTION: Duration = Duration::from_secs(30);
/// systemctl waits for the job; a unit may take its whole stop time-out (90 s) and start time-out (90 s).
const JOB: Duration = Duration::from_secs(300);
/// How often, and how many times, it is looked whether a process on the new binary is in charge: a minute, whatever the clock does.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
const LOOKS: u32 = 600;
/// For how many of them no process at all executes the new binary before nothing more is waited for: longer than systemd takes between two
/// of its own attempts (`RestartSec=5` in the agent's unit).
const NOBODY: u32 = 100;
/// How long it has to be there.
const SETTLED: Duration = Duration::from_millis(500);

/// What systemd says about the agent's unit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Unit {
    load: String,
    active: String,
    file: String,
    main_pid: Option<u32>,
    pid_file: Option<PathBuf>,
    can_reload: bool,
    group: String,
    fragment: Option<PathBuf>,
    result: String,
    restarts: u32,
    /// When it last ceased to be active, and last became so, since boot.
    left_active: Duration,
    became_active: Duration,
}

/// The command that brings a running agent onto its new binary.
#[must_use]
pub fn argv(means: Means) -> Argv {
    match means {
        Means::Reload | Means::ReloadAlone => Argv::new("systemctl", ["reload", UNIT]),
        Means::Restart => Argv::new("systemctl", ["restart", UNIT]),
        Means::HangUp(pid) => Argv::new("kill", ["-HUP".to_owned(), pid.to_string()]),
    }
}

/// Looks at the agent's service.
///
/// # Errors
/// When systemd does not answer.
pub fn look(machine: &Machine) -> Result<Service, Error> {
    if !machine.is_run_by_systemd() {
        return Ok(agent(machine).map_or(Service::NoSystemd, |process| Service::Running(Means::HangUp(process.pid))));
    }
    let unit = ask(machine)?;
    // systemd remembers a unit whose file is gone until it is told to read them again, or until the host is booted.
    if unit.fragment.as_ref().is_some_and(|path| machine.path(path).symlink_metadata().is_err()) {
        return Ok(Service::NoUnit);
    }
    Ok(match (unit.load.as_str(), unit.active.as_str()) {
        ("loaded" | "masked", "active" | "reloading" | "activating" | "deactivating") => {
            Service::Running(unit.means_now(machine))
        }
        ("masked", _) => Service::Stopped("masked".into()),
        // A crash loop ended by the start limit is an illness, not somebody's wish: the new version may be its cure.
        ("loaded", "failed") if unit.file == "enabled" => Service::Running(Means::Restart),
        ("loaded", active) => Service::Stopped(format!("{active}, {}", unit.file)),
        _ => Service::NoUnit,
    })
}

/// Looks closely at the agent that runs, for `rules::health`: `installed` is the file that it should execute.
///
/// # Errors
/// When systemd does not answer.
pub fn look_closely(machine: &Machine, installed: Option<(u64, u64)>) -> Result<Look, Error> {
    let (unit, process, pid_file, restarts) = if machine.is_run_by_systemd() {
        let unit = ask(machine)?;
        let pid_file = match (&unit.pid_file, unit.named(machine)) {
            (None, _) => PidFile::NotKept,
            (Some(_), Some(_)) => PidFile::Written,
            (Some(_), None) => PidFile::Missing,
        };
        (unit.activity(), unit.in_charge(machine), pid_file, unit.restarts)
    } else {
        let process = agent(machine);
        (if process.is_some() { health::Unit::Active } else { health::Unit::Starting }, process, PidFile::NotKept, 0)
    };
    let executes = |process: &Process| match process.executes {
        file @ Some(_) if file == installed => Executes::Installed,
        _ => Executes::Other,
    };
    let in_charge = process.map(|process| InCharge { pid: process.pid, started: process.started, executes: executes(&process) });
    Ok(Look { unit, in_charge, pid_file, restarts, readiness: readiness::ask(machine) })
}

/// For how long the agent's unit has been down in the time from `since`, which is one of [`Machine::uptime`], until now: its last time off
/// duty. A reload is none. `None` where systemd cannot say.
#[must_use]
pub fn down_since(machine: &Machine, since: Duration) -> Option<Duration> {
    let unit = machine.is_run_by_systemd().then(|| ask(machine).ok()).flatten()?;
    Some(unit.down(since, (machine.uptime)()))
}

/// Whether this host is going down: then nothing is begun (H26).
#[must_use]
pub fn host_is_going_down(machine: &Machine) -> bool {
    let question = Argv::new("systemctl", ["is-system-running"]);
    machine.is_run_by_systemd() && query(machine, &question, QUESTION).is_ok_and(|answer| answer.stdout.trim() == "stopping")
}

/// Brings the running agent onto the installed binary, unless it runs it already: a package script may have restarted it (H21).
///
/// # Errors
/// [`Class::Broken`] if no process on that binary takes charge.
pub fn bring_up(machine: &Machine, means: Means, installed: (u64, u64)) -> Result<Brought, Error> {
    if let Means::HangUp(pid) = means {
        return hang_up(machine, pid, installed);
    }
    if let Some(process) = ask(machine)?.in_charge(machine).filter(|process| process.executes == Some(installed)) {
        return Ok(Brought::WasThere(process));
    }
    let mut said = Vec::new();
    if matches!(means, Means::Reload | Means::ReloadAlone) {
        said = job(machine, means)?;
        if let Some(process) = taken_over(machine, installed)? {
            return Ok(Brought::By(Means::Reload, process));
        }
        if let Some(process) = ask(machine)?.in_charge(machine).filter(|_| means == Means::ReloadAlone) {
            return Ok(Brought::NotBrought(process));
        }
        machine.log.warning("the reload brought no process on the new binary into charge: restarting the agent instead.");
    }
    for _ in 0..2 {
        said.extend(job(machine, Means::Restart)?);
        if let Some(process) = taken_over(machine, installed)? {
            return Ok(Brought::By(Means::Restart, process));
        }
        if ask(machine)?.result != "start-limit-hit" {
            break;
        }
        // Restarts of others used up the limit (H23); ours is the one that counts.
        query(machine, &Argv::new("systemctl", ["reset-failed", UNIT]), QUESTION)?;
    }
    Err(Error::new(
        Class::Broken,
        format!("no process of {UNIT} runs the version that is installed now"),
        format!("journalctl -u {UNIT} -n 50; systemctl restart {UNIT}"),
    )
    .with_tool_lines(said))
}

/// How the agent came to run the installed binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brought {
    /// Somebody else had restarted it.
    WasThere(Process),
    /// We did.
    By(Means, Process),
    /// It did not: it goes on as it is, and whoever started it has to restart it.
    NotBrought(Process),
}

/// Without systemd (H34): the agent starts its successor itself when it is told to hang up, and the PID file names who is in charge.
fn hang_up(machine: &Machine, pid: u32, installed: (u64, u64)) -> Result<Brought, Error> {
    let new = || agent(machine).filter(|process| process.executes == Some(installed));
    if let Some(process) = new() {
        return Ok(Brought::WasThere(process));
    }
    (machine.hang_up)(pid);
    for _ in 0..LOOKS {
        if let Some(process) = new() {
            return Ok(Brought::By(Means::HangUp(pid), process));
        }
        (machine.wait)(LOOK_AGAIN);
    }
    Process::with_id(machine, pid).map(Brought::NotBrought).ok_or_else(|| {
        Error::new(
            Class::Broken,
            format!("the agent (pid {pid}) ended when it was told to hang up, and {PID_FILE} names no successor"),
            "start the agent the way it was started; there is no systemd here to ask",
        )
    })
}

fn job(machine: &Machine, means: Means) -> Result<Vec<String>, Error> {
    let answer = query(machine, &argv(means), JOB)?;
    if !answer.success {
        machine.log.warning(format!("`{}` ended with {}: {}", argv(means), answer.ending, answer.stderr.trim()));
    }
    Ok(answer.last_lines())
}

fn taken_over(machine: &Machine, installed: (u64, u64)) -> Result<Option<Process>, Error> {
    let mut nobody = 0;
    for _ in 0..LOOKS {
        let unit = ask(machine)?;
        nobody = if is_executed(machine, installed) { 0 } else { nobody + 1 };
        if let Some(process) = unit.in_charge(machine).filter(|process| process.executes == Some(installed)) {
            // One that is gone a moment later has not taken charge.
            (machine.wait)(SETTLED);
            if Process::with_id(machine, process.pid) == Some(process) {
                return Ok(Some(process));
            }
            continue;
        }
        if matches!(unit.active.as_str(), "failed" | "inactive") || nobody >= NOBODY {
            return Ok(None);
        }
        (machine.wait)(LOOK_AGAIN);
    }
    Ok(None)
}

fn ask(machine: &Machine) -> Result<Unit, Error> {
    let answer = query(machine, &Argv::new("systemctl", ["show", "--property", PROPERTIES, UNIT]), QUESTION)?;
    if answer.success {
        return Ok(properties(&answer.stdout));
    }
    Err(Error::new(Class::Internal, format!("systemd does not answer ({})", answer.ending), "systemctl status")
        .with_tool_lines(answer.last_lines()))
}

/// Reads `systemctl show`: one `NAME=VALUE` a line.
pub(super) fn properties(text: &str) -> Unit {
    let mut unit = Unit::default();
    for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
        match name {
            "LoadState" => unit.load = value.into(),
            "ActiveState" => unit.active = value.into(),
            "UnitFileState" => unit.file = value.into(),
            "MainPID" => unit.main_pid = value.parse().ok().filter(|pid| *pid > 0),
            "PIDFile" => unit.pid_file = Some(PathBuf::from(value)).filter(|path| path.is_absolute()),
            "CanReload" => unit.can_reload = value == "yes",
            "ControlGroup" => unit.group = value.into(),
            "FragmentPath" => unit.fragment = Some(PathBuf::from(value)).filter(|path| path.is_absolute()),
            "Result" => unit.result = value.into(),
            "ActiveExitTimestampMonotonic" => unit.left_active = microseconds(value),
            "ActiveEnterTimestampMonotonic" => unit.became_active = microseconds(value),
            "NRestarts" => unit.restarts = value.parse().unwrap_or_default(),
            _ => {}
        }
    }
    unit
}

fn microseconds(value: &str) -> Duration {
    Duration::from_micros(value.parse().unwrap_or_default())
}

impl Unit {
    pub(super) fn down(&self, since: Duration, now: Duration) -> Duration {
        if self.left_active < since {
            return Duration::ZERO;
        }
        let back = if self.became_active > self.left_active { self.became_active } else { now };
        back.saturating_sub(self.left_active)
    }

    pub(super) fn activity(&self) -> health::Unit {
        match self.active.as_str() {
            "active" | "reloading" => health::Unit::Active,
            // Whoever stops it may be restarting it.
            "activating" | "deactivating" => health::Unit::Starting,
            word => health::Unit::Down(word.to_owned()),
        }
    }

    pub(super) const fn means(&self) -> Means {
        if self.can_reload && self.pid_file.is_some() { Means::Reload } else { Means::Restart }
    }

    /// A reload is a signal to the process that the PID file names: without one there is nobody to hear it.
    fn means_now(&self, machine: &Machine) -> Means {
        match self.means() {
            Means::Reload if self.named(machine).is_none() => Means::Restart,
            means => means,
        }
    }

    fn named(&self, machine: &Machine) -> Option<Process> {
        let pid = pid_in(&machine.path(self.pid_file.as_ref()?))?;
        Process::with_id(machine, pid).filter(|_| is_in_group(machine, &pid.to_string(), &self.group))
    }

    fn in_charge(&self, machine: &Machine) -> Option<Process> {
        self.named(machine).or_else(|| {
            let pid = self.main_pid?;
            Process::with_id(machine, pid).filter(|_| is_in_group(machine, &pid.to_string(), &self.group))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_off_duty_is_what_systemd_saw_and_a_reload_is_none() {
        let unit =
            |left, back| properties(&format!("ActiveExitTimestampMonotonic={left}\nActiveEnterTimestampMonotonic={back}\n"));
        let (since, now) = (Duration::from_secs(100), Duration::from_secs(160));
        assert_eq!(unit(0, 40_000_000).down(since, now), Duration::ZERO, "never left, or a reload");
        assert_eq!(unit(90_000_000, 95_000_000).down(since, now), Duration::ZERO, "before");
        assert_eq!(unit(110_000_000, 112_500_000).down(since, now), Duration::from_millis(2500));
        assert_eq!(unit(110_000_000, 40_000_000).down(since, now), Duration::from_secs(50), "still down");
    }

    #[test]
    fn reload_is_only_for_units_that_can_and_have_a_pid_file() {
        let stories = [
            ("CanReload=yes\nPIDFile=/run/teleport.pid\n", Means::Reload),
            ("CanReload=yes\nPIDFile=\n", Means::Restart),
            ("CanReload=no\nPIDFile=/run/teleport.pid\n", Means::Restart),
            ("", Means::Restart),
        ];
        for (text, means) in stories {
            assert_eq!(properties(text).means(), means, "{text:?}");
        }
    }
}
