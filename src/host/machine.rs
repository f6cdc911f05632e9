//! The machine that a run works on: where its root is, which programs may run, what time it is. Tests build one from a scratch
//! directory; the binary has [`Machine::real`]. The only room that reads the environment and the clock.

use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use time::{OffsetDateTime, UtcOffset};

use crate::host::signals::Orders;
use crate::host::transient::MARK;
use crate::log::{Log, Priorities, Volume};
use crate::rules::moment::Moment;

/// Where programs are looked for, in this order, whatever `PATH` says.
const PROGRAM_DIRECTORIES: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Variables that mean something to us or to a package manager; nothing else of the environment is ever looked at.
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

/// When this release was made, in unix seconds: the date of the newest entry of CHANGELOG.md (V27); a test compares them.
pub const BUILT: Moment = Moment::from_unix(1_795_478_400);

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
    pub pause: Box<dyn Fn(Duration)>,
    /// Tells a process to hang up (SIGHUP).
    pub hang_up: Box<dyn Fn(u32)>,
    /// Orders to end that this process was given.
    pub orders: Orders,
    /// How far this machine's local time is from UTC at a moment; `None` when it cannot be told.
    pub zone: Box<dyn Fn(Moment) -> Option<UtcOffset>>,
    /// Where lines go.
    pub log: Log,
}

impl Machine {
    /// The machine that this process runs on.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the door to the environment, the clock and pauses")]
    pub fn real(volume: Volume) -> Self {
        let environment: Vec<(String, String)> = VARIABLES
            .iter()
            .filter_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()).map(|v| ((*name).to_owned(), v)))
            .collect();
        let priorities =
            if stderr_is(value_of(&environment, "JOURNAL_STREAM")) { Priorities::Journal } else { Priorities::Plain };
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
            pause: Box::new(std::thread::sleep),
            hang_up: Box::new(|pid| {
                if let Some(process) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
                    let _ = rustix::process::kill_process(process, rustix::process::Signal::HUP);
                }
            }),
            orders: Orders::default(),
            zone: Box::new(|moment| {
                let utc = OffsetDateTime::from_unix_timestamp(moment.unix()).ok()?;
                UtcOffset::local_offset_at(utc).ok()
            }),
            log,
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

    /// The identity of this boot; a recorded process id means something only within it.
    #[must_use]
    pub fn boot(&self) -> String {
        let id = std::fs::read_to_string(self.path("/proc/sys/kernel/random/boot_id")).unwrap_or_default();
        id.trim().to_owned()
    }
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

/// Whether stderr is the stream that the journal reads (systemd.exec(5), `$JOURNAL_STREAM` is `DEVICE:INODE`).
fn stderr_is(journal_stream: Option<&str>) -> bool {
    let stderr = std::io::stderr();
    if stderr.is_terminal() {
        return false;
    }
    let Some((device, inode)) = journal_stream.and_then(|stream| stream.split_once(':')) else { return false };
    let Ok(stat) = rustix::fs::fstat(stderr.as_fd()) else { return false };
    device.parse() == Ok(stat.st_dev) && inode.parse() == Ok(stat.st_ino)
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
