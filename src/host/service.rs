//! The agent as a service: is it running, who of its processes is in charge, and how it gets to run the new binary.
//!
//! With `PIDFile=` systemd keeps the old, draining process as main process for up to 30 hours after a reload, while the PID file
//! names its successor; without `PIDFile=` a reload ends with the successor killed when the old process ends (V1, V2). So the agent
//! in charge is the process that the PID file names, and reload is only for units that have one.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};

use crate::error::{Class, Error};
use crate::host::command::{Argv, query, start_time};
use crate::host::machine::Machine;
use crate::rules::plan::{Means, Service};

/// The agent's unit.
const UNIT: &str = "teleport.service";
/// What is asked of systemd; [`properties`] reads the answer.
const PROPERTIES: &str = "LoadState,ActiveState,UnitFileState,MainPID,PIDFile,CanReload,ControlGroup,Result";
const QUESTION: Duration = Duration::from_secs(30);
/// systemctl waits for the job; a unit may take its whole stop time-out (90 s) and start time-out (90 s).
const JOB: Duration = Duration::from_secs(300);
/// How often, and how many times, it is looked whether a process on the new binary is in charge: a minute, whatever the clock does.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
const LOOKS: u32 = 600;

/// What systemd says about the agent's unit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Unit {
    load: String,
    active: String,
    file: String,
    main_pid: Option<u32>,
    pid_file: Option<PathBuf>,
    can_reload: bool,
    group: String,
    result: String,
}

/// One process, told from a later one with the same id by its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub started: u64,
    /// Device and inode of the file that it executes.
    executes: Option<(u64, u64)>,
}

/// The command that brings a running agent onto its new binary.
#[must_use]
pub fn argv(means: Means) -> Argv {
    let verb = match means {
        Means::Reload => "reload",
        Means::Restart => "restart",
    };
    Argv::new("systemctl", [verb, UNIT])
}

/// Looks at the agent's service.
///
/// # Errors
/// When systemd does not answer.
pub fn look(machine: &Machine) -> Result<Service, Error> {
    if !machine.path("/run/systemd/system").is_dir() {
        return Ok(Service::NoSystemd);
    }
    let unit = ask(machine)?;
    Ok(match (unit.load.as_str(), unit.active.as_str()) {
        ("loaded" | "masked", "active" | "reloading" | "activating" | "deactivating") => Service::Running(unit.means()),
        ("masked", _) => Service::Stopped("masked".into()),
        // A crash loop ended by the start limit is an illness, not somebody's wish: the new version may be its cure.
        ("loaded", "failed") if unit.file == "enabled" => Service::Running(Means::Restart),
        ("loaded", active) => Service::Stopped(format!("{active}, {}", unit.file)),
        _ => Service::NoUnit,
    })
}

/// The process that serves: the one that the PID file names, else systemd's main process, if it belongs to the unit.
///
/// # Errors
/// When systemd does not answer.
pub fn in_charge(machine: &Machine) -> Result<Option<Process>, Error> {
    Ok(ask(machine)?.in_charge(machine))
}

/// Brings the running agent onto the installed binary, unless it runs it already: a package script may have restarted it (H21).
///
/// # Errors
/// [`Class::Broken`] if no process on that binary takes charge.
pub fn bring_up(machine: &Machine, means: Means, installed: (u64, u64)) -> Result<Brought, Error> {
    if let Some(process) = in_charge(machine)?.filter(|process| process.executes == Some(installed)) {
        return Ok(Brought::WasThere(process));
    }
    let mut said = Vec::new();
    if means == Means::Reload {
        said = job(machine, means)?;
        if let Some(process) = taken_over(machine, installed)? {
            return Ok(Brought::By(Means::Reload, process));
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
        format!("the new version is installed, but no process of {UNIT} runs it"),
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
}

fn job(machine: &Machine, means: Means) -> Result<Vec<String>, Error> {
    let answer = query(machine, &argv(means), JOB)?;
    if !answer.success {
        machine.log.warning(format!("`{}` ended with {}: {}", argv(means), answer.ending, answer.stderr.trim()));
    }
    Ok(answer.last_lines())
}

fn taken_over(machine: &Machine, installed: (u64, u64)) -> Result<Option<Process>, Error> {
    for _ in 0..LOOKS {
        let unit = ask(machine)?;
        if let Some(process) = unit.in_charge(machine).filter(|process| process.executes == Some(installed)) {
            return Ok(Some(process));
        }
        if matches!(unit.active.as_str(), "failed" | "inactive") {
            return Ok(None);
        }
        (machine.pause)(LOOK_AGAIN);
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
fn properties(text: &str) -> Unit {
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
            "Result" => unit.result = value.into(),
            _ => {}
        }
    }
    unit
}

impl Unit {
    const fn means(&self) -> Means {
        if self.can_reload && self.pid_file.is_some() { Means::Reload } else { Means::Restart }
    }

    fn in_charge(&self, machine: &Machine) -> Option<Process> {
        let named = self.pid_file.as_ref().and_then(|path| pid_in(&machine.path(path)));
        [named, self.main_pid].into_iter().flatten().find_map(|pid| {
            let groups = fs::read_to_string(machine.path(format!("/proc/{pid}/cgroup"))).ok()?;
            let started = start_time(machine, pid)?;
            let executes = fs::metadata(machine.path(format!("/proc/{pid}/exe"))).ok().map(|m| (m.dev(), m.ino()));
            in_group(&groups, &self.group).then_some(Process { pid, started, executes })
        })
    }
}

/// The number in a PID file. Its directory may be the agent's user's: a link, a pipe or an endless file must not stop or fill us.
fn pid_in(path: &Path) -> Option<u32> {
    let careful = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = fs::File::from(rustix::fs::open(path, careful, Mode::empty()).ok()?);
    let mut text = String::new();
    file.metadata().ok().filter(fs::Metadata::is_file)?;
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Whether /proc/PID/cgroup (cgroups(7): `0::/path` or `1:name=systemd:/path`) names the unit's group or one below it.
fn in_group(groups: &str, group: &str) -> bool {
    let below = |path: &str| path.strip_prefix(group).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    !group.is_empty()
        && groups.lines().any(|line| {
            let mut parts = line.splitn(3, ':');
            let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else { return false };
            (controllers.is_empty() || controllers == "name=systemd") && below(path)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_process_belongs_to_the_unit_by_its_control_group_on_both_hierarchies() {
        let group = "/system.slice/teleport.service";
        assert!(in_group("0::/system.slice/teleport.service\n", group));
        assert!(in_group("0::/system.slice/teleport.service/session\n", group));
        assert!(in_group("4:memory:/x\n1:name=systemd:/system.slice/teleport.service\n", group));
        assert!(!in_group("0::/system.slice/teleport.service-other\n", group));
        assert!(!in_group("4:memory:/system.slice/teleport.service\n", group));
        assert!(!in_group("0::/\n", ""));
        assert!(!in_group("garbage", group));
    }

    #[test]
    fn h35_a_pid_file_that_is_a_trap_is_not_followed_waited_for_or_read_to_its_end() {
        let directory = std::env::temp_dir().join(format!("teleport-upgrade-pid-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir(&directory).unwrap();
        let at = |name: &str| directory.join(name);
        fs::write(at("good"), "4711\n").unwrap();
        fs::write(at("long"), "1".repeat(100)).unwrap();
        std::os::unix::fs::symlink(at("good"), at("link")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, 0o644.into(), 0).unwrap();
        let read: Vec<Option<u32>> = ["good", "long", "link", "pipe", "none"].iter().map(|name| pid_in(&at(name))).collect();
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(read, [Some(4711), None, None, None, None]);
        assert_eq!(pid_in(Path::new("/dev/zero")), None);
    }
}
