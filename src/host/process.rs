//! Processes as /proc shows them, above all the agent's, without asking systemd: what a check may look at (V28), and all there is where
//! systemd is not.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::host::machine::Machine;

/// Where the agent's newer units, and the documentation, put its PID file.
pub(super) const PID_FILE: &str = "/run/teleport.pid";
/// The agent's control group on the unified hierarchy, on the hybrid one and on the legacy one (systemd's default slice).
const GROUPS: [&str; 3] = [
    "/sys/fs/cgroup/system.slice/teleport.service/cgroup.procs",
    "/sys/fs/cgroup/unified/system.slice/teleport.service/cgroup.procs",
    "/sys/fs/cgroup/systemd/system.slice/teleport.service/cgroup.procs",
];

/// One process, told from a later one with the same id by its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub started: u64,
    /// Device and inode of the file that it executes.
    pub(super) executes: Option<(u64, u64)>,
}

impl Process {
    /// The process with that id, if there is one.
    #[must_use]
    pub fn with_id(machine: &Machine, pid: u32) -> Option<Self> {
        let started = start_time(machine, pid)?;
        let executes = fs::metadata(machine.path(format!("/proc/{pid}/exe"))).ok().map(|m| (m.dev(), m.ino()));
        Some(Self { pid, started, executes })
    }

    /// The path that it was started from, whatever lies there now.
    #[must_use]
    pub fn program(&self, machine: &Machine) -> Option<PathBuf> {
        let link = fs::read_link(machine.path(format!("/proc/{}/exe", self.pid))).ok()?;
        let path = link.to_string_lossy();
        Some(PathBuf::from(path.strip_suffix(" (deleted)").unwrap_or(&path)))
    }

    /// By its program's name, and only if root wrote that program: whoever has a session in the agent's control group can start others there.
    fn is_agent(&self, machine: &Machine) -> bool {
        let owner = fs::metadata(machine.path(format!("/proc/{}/exe", self.pid))).map(|m| m.uid());
        let named = self.program(machine).is_some_and(|path| path.file_name().is_some_and(|name| name == "teleport"));
        named && owner.map_or(true, |owner| owner == machine.superuser)
    }
}

/// When the process started, in clock ticks since boot; `None` if there is no such process.
#[must_use]
pub fn start_time(machine: &Machine, pid: u32) -> Option<u64> {
    started(&fs::read(machine.path(format!("/proc/{pid}/stat"))).ok()?)
}

/// Reads /proc/PID/stat: starttime is number 22 of proc(5).
pub(super) fn started(stat: &[u8]) -> Option<u64> {
    let mut fields = behind_the_name(stat)?.split_ascii_whitespace();
    if matches!(fields.next(), Some("Z" | "X")) {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// For how many seconds a process has run that started at this moment, in clock ticks since boot (100 a second, whatever the kernel's own
/// are: sysconf(3), `_SC_CLK_TCK`).
#[must_use]
pub fn age(machine: &Machine, started: u64) -> Option<u64> {
    let text = fs::read_to_string(machine.path("/proc/uptime")).ok()?;
    let up: u64 = text.split(['.', ' ']).next()?.parse().ok()?;
    up.checked_sub(started / 100)
}

/// What the process was told to do, as far as this user may know.
#[must_use]
pub fn command_line(machine: &Machine, pid: u32) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = fs::File::open(machine.path(format!("/proc/{pid}/cmdline"))) {
        let _ = file.take(200).read_to_end(&mut bytes);
    }
    let words: Vec<String> = bytes.split(|&b| b == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    words.join(" ").trim().chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// The agent: the process that the PID file names; else the first of its unit's control group that nobody of the group started.
#[must_use]
pub fn agent(machine: &Machine) -> Option<Process> {
    let named = pid_in(&machine.path(PID_FILE)).and_then(|pid| Process::with_id(machine, pid));
    named.filter(|process| process.is_agent(machine)).or_else(|| {
        let members = GROUPS.iter().find_map(|group| fs::read_to_string(machine.path(group)).ok())?;
        let pids: Vec<u32> = members.lines().filter_map(|line| line.parse().ok()).collect();
        let agents = pids.iter().filter(|pid| parent(machine, **pid).is_some_and(|parent| !pids.contains(&parent)));
        let agents = agents.filter_map(|pid| Process::with_id(machine, *pid)).filter(|process| process.is_agent(machine));
        agents.min_by_key(|process| process.started)
    })
}

/// Whether any process at all executes this file, given as device and inode.
pub(super) fn is_executed(machine: &Machine, file: (u64, u64)) -> bool {
    let processes = fs::read_dir(machine.path("/proc")).into_iter().flatten().flatten();
    processes.filter_map(|entry| entry.path().join("exe").metadata().ok()).any(|exe| (exe.dev(), exe.ino()) == file)
}

/// The processes whose standard output is this file, whatever it is called by now, and what each was told to do.
pub(super) fn writers(machine: &Machine, file: &Path) -> Vec<(u32, String)> {
    let Ok(file) = fs::metadata(file) else { return Vec::new() };
    let processes = fs::read_dir(machine.path("/proc")).into_iter().flatten().flatten();
    let writes = |pid: &u32| {
        let output = fs::metadata(machine.path(format!("/proc/{pid}/fd/1")));
        output.is_ok_and(|output| (output.dev(), output.ino()) == (file.dev(), file.ino()))
    };
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(writes);
    pids.map(|pid| (pid, command_line(machine, pid))).collect()
}

/// The number in a PID file, never that of init: who ends that ends everything. Its directory may be the agent's user's: a link, a pipe or an endless file must not stop or fill us.
pub(super) fn pid_in(path: &Path) -> Option<u32> {
    let careful = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = fs::File::from(rustix::fs::open(path, careful, Mode::empty()).ok()?);
    let mut text = String::new();
    file.metadata().ok().filter(fs::Metadata::is_file)?;
    file.take(32).read_to_string(&mut text).ok()?;
    number(&text)
}

pub(super) fn number(text: &str) -> Option<u32> {
    text.trim().parse().ok().filter(|pid| *pid > 1)
}

/// Whether the process (an id, or `self`) belongs to the control group or to one below it.
pub(super) fn is_in_group(machine: &Machine, pid: &str, group: &str) -> bool {
    fs::read_to_string(machine.path(format!("/proc/{pid}/cgroup"))).is_ok_and(|groups| in_group(&groups, group))
}

/// Whether this very process runs inside the agent's unit: in a session that the agent serves (H03).
#[must_use]
pub fn are_inside_the_agent(machine: &Machine) -> bool {
    is_of_the_agent(&fs::read_to_string(machine.path("/proc/self/cgroup")).unwrap_or_default())
}

pub(super) fn is_of_the_agent(groups: &str) -> bool {
    paths(groups).any(|path| path.split('/').any(|name| name == "teleport.service"))
}

/// The systemd paths of /proc/PID/cgroup (cgroups(7): `0::/path` or `1:name=systemd:/path`).
fn paths(groups: &str) -> impl Iterator<Item = &str> {
    groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        (controllers.is_empty() || controllers == "name=systemd").then_some(path)
    })
}

pub(super) fn in_group(groups: &str, group: &str) -> bool {
    let below = |path: &str| path.strip_prefix(group).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    !group.is_empty() && paths(groups).any(below)
}

fn parent(machine: &Machine, pid: u32) -> Option<u32> {
    started_by(&fs::read(machine.path(format!("/proc/{pid}/stat"))).ok()?)
}

/// Reads /proc/PID/stat: after the name in parentheses the state, then the parent (proc(5)).
pub(super) fn started_by(stat: &[u8]) -> Option<u32> {
    behind_the_name(stat)?.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The name in parentheses may contain anything, also what is no text: fields are counted from its end.
fn behind_the_name(stat: &[u8]) -> Option<&str> {
    let end = stat.iter().rposition(|&b| b == b')')?;
    std::str::from_utf8(stat.get(end + 1..)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_process_has_a_start_and_a_parent_whatever_it_calls_itself() {
        for name in [b"teleport".as_slice(), b") Z 1 (", b"\xff\xfe", b"", b"a\nb"] {
            let stat = [b"7 (", name, b") S 42 7 7 0 -1 4194560 9 0 0 0 1 2 0 0 20 0 9 0 123456 1 2\n"].concat();
            assert_eq!((started(&stat), started_by(&stat)), (Some(123_456), Some(42)), "{name:?}");
        }
        assert_eq!(started(b"7 (a) Z 42 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 123456\n"), None, "it has ended");
        assert_eq!((started(b"1 2 3"), started_by(b"")), (None, None));
    }

    #[test]
    fn h35_a_pid_file_that_is_a_trap_is_not_followed_waited_for_or_read_to_its_end() {
        let directory = std::env::temp_dir().join(format!("teleport-upgrade-pid-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir(&directory).unwrap();
        let at = |name: &str| directory.join(name);
        fs::write(at("good"), "4711\n").unwrap();
        fs::write(at("long"), "1".repeat(100)).unwrap();
        fs::write(at("init"), "1\n").unwrap();
        std::os::unix::fs::symlink(at("good"), at("link")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, 0o644.into(), 0).unwrap();
        let read: Vec<Option<u32>> =
            ["good", "long", "init", "link", "pipe", "none"].iter().map(|name| pid_in(&at(name))).collect();
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(read, [Some(4711), None, None, None, None, None]);
        assert_eq!(pid_in(Path::new("/dev/zero")), None);
    }
}
