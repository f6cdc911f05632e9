//! The machine that a run works on: where its root is, which programs may run, what time it is. Tests build one from a scratch
//! directory; the binary has [`Machine::real`]. The only room of the host updater that reads the environment and the clock.

use std::io::{IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use time::{OffsetDateTime, UtcOffset};

use crate::host::signals::Orders;
use crate::host::transient::MARK;
use crate::host::world::World;
use crate::host::{durable, inherited};
use crate::log::{Log, Priorities, Volume};
use crate::rules::local::{Zone, Zones};
use crate::rules::moment::Moment;

/// Where programs are looked for, in this order, whatever `PATH` says.
const PROGRAM_DIRECTORIES: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Variables that mean something to us or to a package manager; nothing else of the environment is looked at, but for the
/// colours (`NO_COLOR`, `TERM`) and the zone (`TZ`) of what a person reads.
const VARIABLES: [&str; 12] = [
    "TELEPORT_UPGRADE_CONFIG",
    MARK,
    "JOURNAL_STREAM",
    "SSL_CERT_FILE",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// Zone files are far shorter; in bytes.
const LONGEST_ZONE: u64 = 64 * 1024;

/// When this release was made, in unix seconds: the date of the newest entry of CHANGELOG.md (V27); a test compares them.
pub const BUILT: Moment = Moment::from_unix(1_795_478_400);

/// Whether a person waits for what this process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attendance {
    /// Somebody typed it.
    Person,
    /// A timer started it, or cron.
    Timer,
}

/// Whether a page has colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// For the eyes.
    Shown,
    /// Text alone.
    None,
}

/// One machine.
pub struct Machine {
    /// What `/` means.
    pub root: PathBuf,
    /// Where programs are looked for.
    pub programs: Vec<PathBuf>,
    /// This very program, for going on in another place.
    pub myself: PathBuf,
    /// The user who is trusted: 0 on a real machine.
    pub superuser: u32,
    /// The effective user of this process.
    pub user: u32,
    /// The variables of the environment that count.
    pub environment: Vec<(String, String)>,
    /// What time it is.
    pub clock: Box<dyn Fn() -> Moment>,
    /// Waits.
    pub wait: Box<dyn Fn(Duration)>,
    /// Tells a process to hang up (SIGHUP).
    pub hang_up: Box<dyn Fn(u32)>,
    /// Orders to end that this process was given.
    pub orders: Orders,
    /// This machine's own clock at a moment; `None` when it cannot be told.
    pub zone: Box<Zones>,
    /// How long it has been up, time asleep left out (`CLOCK_MONOTONIC`): what no change of the clock touches.
    pub uptime: Box<dyn Fn() -> Duration>,
    /// Whether a person waits for what this process does.
    pub attendance: Attendance,
    /// Where lines go.
    pub log: Log,
    /// What is outside, if it is simulated.
    pub world: Option<Rc<dyn World>>,
}

impl Machine {
    /// The machine that this process runs on.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the door to the environment, the clock and pauses")]
    pub fn real(volume: Volume) -> Self {
        inherited::mend();
        let environment: Vec<(String, String)> = VARIABLES
            .iter()
            .filter_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()).map(|v| ((*name).to_owned(), v)))
            .collect();
        let priorities = Priorities::of_stderr(value_of(&environment, "JOURNAL_STREAM"));
        let log = Log::new(Box::new(std::io::stderr()), volume, priorities);
        if value_of(&environment, MARK).is_some()
            && let Some(journal) = journal()
        {
            log.keep_in(Box::new(journal));
        }
        Self {
            root: PathBuf::from("/"),
            myself: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/usr/sbin/teleport-upgrade")),
            programs: PROGRAM_DIRECTORIES.iter().map(PathBuf::from).collect(),
            superuser: 0,
            user: rustix::process::geteuid().as_raw(),
            clock: Box::new(|| Moment::from_unix(OffsetDateTime::now_utc().unix_timestamp())),
            wait: Box::new(std::thread::sleep),
            hang_up: Box::new(|pid| {
                if let Some(process) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
                    let _ = rustix::process::kill_process(process, rustix::process::Signal::HUP);
                }
            }),
            orders: Orders::default(),
            zone: {
                let rule = zone_rule();
                Box::new(move |moment| {
                    let utc = OffsetDateTime::from_unix_timestamp(moment.unix()).ok()?;
                    Some(Zone::new(UtcOffset::local_offset_at(utc).ok()?, &rule))
                })
            },
            uptime: Box::new(|| {
                let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
                Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(time.tv_nsec).unwrap_or_default())
            }),
            // A run that has moved out of a person's session is that person's still.
            attendance: if std::io::stdin().is_terminal() || value_of(&environment, MARK).is_some() {
                Attendance::Person
            } else {
                Attendance::Timer
            },
            log,
            world: None,
            environment,
        }
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Moment {
        (self.clock)()
    }

    /// Where the absolute path lies on this machine.
    #[must_use]
    pub fn path(&self, absolute: impl AsRef<Path>) -> PathBuf {
        let absolute = absolute.as_ref();
        self.root.join(absolute.strip_prefix("/").unwrap_or(absolute))
    }

    /// Whether a page on stdout may have colours: on a terminal, unless somebody sets `NO_COLOR` (no-color.org).
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the door to the environment")]
    pub fn colours() -> Colours {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|terminal| terminal == "dumb");
        if std::io::stdout().is_terminal() && !set("NO_COLOR") && !dumb { Colours::Shown } else { Colours::None }
    }

    /// The absolute path of a program, from the fixed list of directories.
    #[must_use]
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        self.programs.iter().map(|directory| directory.join(name)).find(|path| path.is_file())
    }

    /// Whether this process may change the machine.
    #[must_use]
    pub fn is_superuser(&self) -> bool {
        self.user == self.superuser
    }

    /// A variable of the environment that counts, in either spelling for those that have two.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        value_of(&self.environment, name).or_else(|| value_of(&self.environment, &name.to_ascii_lowercase()))
    }

    /// Whether this machine was booted with systemd (sd_booted(3)) and is no chroot of one that was.
    #[must_use]
    pub fn is_run_by_systemd(&self) -> bool {
        let identity = |path: &str| self.path(path).metadata().ok().map(|m| (m.dev(), m.ino()));
        self.path("/run/systemd/system").is_dir() && identity("/proc/1/root").is_none_or(|root| identity("/") == Some(root))
    }

    /// The identity of this machine (machine-id(5)), or its name where it has none; for nothing secret.
    #[must_use]
    pub fn identity(&self) -> String {
        let read = |path: &str| std::fs::read_to_string(self.path(path)).unwrap_or_default().trim().to_owned();
        let id = read("/etc/machine-id");
        if id.is_empty() { self.name() } else { id }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> String {
        let name = std::fs::read_to_string(self.path("/proc/sys/kernel/hostname")).unwrap_or_default();
        name.trim().chars().filter(|c| !c.is_control()).take(64).collect()
    }

    /// The identity of this boot; a recorded process id means something only within it.
    #[must_use]
    pub fn boot(&self) -> String {
        let id = std::fs::read_to_string(self.path("/proc/sys/kernel/random/boot_id")).unwrap_or_default();
        id.trim().to_owned()
    }
}

/// The rule at the end of the zone file that the C library takes, as tzset(3) and tzfile(5) say; empty where there is none.
#[expect(clippy::disallowed_methods, reason = "the C library reads the same variable")]
fn zone_rule() -> String {
    let variable = std::env::var("TZ").ok();
    let name = variable.as_deref().map(|text| text.trim_start_matches(':'));
    let file = match name {
        None => PathBuf::from("/etc/localtime"),
        Some(path) if path.starts_with('/') => PathBuf::from(path),
        Some(name) if name.contains("..") => return String::new(),
        Some(name) => Path::new("/usr/share/zoneinfo").join(name),
    };
    let bytes = durable::read(&file, LONGEST_ZONE).unwrap_or_default();
    if !bytes.starts_with(b"TZif") {
        return name.unwrap_or_default().to_owned();
    }
    let rule = bytes.trim_ascii_end().rsplit(|&b| b == b'\n').next().unwrap_or_default();
    String::from_utf8_lossy(rule).into_owned()
}

fn value_of<'e>(environment: &'e [(String, String)], name: &str) -> Option<&'e str> {
    environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// A stream to the journal, as systemd opens it for a unit (systemd-cat(1) does the same): identifier, unit, priority of lines without
/// one, whether lines carry priorities, and whether to forward to three other places.
fn journal() -> Option<UnixStream> {
    let mut stream = UnixStream::connect("/run/systemd/journal/stdout").ok()?;
    stream.write_all(b"teleport-upgrade\n\n6\n1\n0\n0\n0\n").ok()?;
    Some(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_date_is_the_date_of_the_newest_changelog_entry() {
        let changelog = include_str!("../../CHANGELOG.md");
        let heading = changelog.lines().find(|line| line.starts_with("## ")).unwrap();
        assert_eq!(heading, format!("## {} - 2026-11-24", env!("CARGO_PKG_VERSION")));
        assert_eq!(BUILT.to_string(), "Tue 2026-11-24 00:00 UTC");
    }
}
