//! A package manager at work: never killed, never given a pipe of ours (V5: a reader that dies would take it along), in a process group
//! of its own, its output in a file that we follow; which is also what a later run knows it by, should this one die first (V8).

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use crate::error::{Class, Error};
use crate::host::command::{Argv, LONGEST_ANSWER, ending, last_lines, not_started, prepare};
use crate::host::machine::Machine;
use crate::host::process;

/// A package script that has not ended by then is reported, and again after as long as [`STUCK_REMINDER`] (V11).
const STUCK_AFTER: Duration = Duration::from_secs(30 * 60);
const STUCK_REMINDER: Duration = Duration::from_secs(10 * 60);

/// How a program that changed something ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Whether it exited with 0. Exit codes are not verdicts (V9): this only picks the words.
    pub success: bool,
    /// How it ended, in words.
    pub ending: String,
    /// Everything that it wrote.
    pub output: String,
}

impl Ended {
    /// The last lines that it wrote, for an error.
    #[must_use]
    pub fn last_lines(&self) -> Vec<String> {
        last_lines(&self.output)
    }
}

/// What changes packages, directly or for another of these.
const MANAGERS: [&str; 8] = ["apt-get", "apt-mark", "dpkg", "dnf", "dnf5", "yum", "zypper", "rpm"];

/// The file that programs which change something write into.
pub struct Transcript {
    log: PathBuf,
}

impl Transcript {
    /// In a directory that only root may enter.
    #[must_use]
    pub fn in_directory(directory: &Path) -> Self {
        Self { log: directory.join("packages.log") }
    }

    /// Begins a new log and keeps the one before as `packages.log.1`.
    pub fn rotate(&self) {
        let _ = std::fs::rename(&self.log, self.log.with_extension("log.1"));
    }

    /// Where the log lies.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The program that an earlier run started, if it is still at work: in words. It is known by the log that it writes into, because a note
    /// of its id could only be written once it runs, and who is killed in between leaves none. A daemon that a package script has started may
    /// hold the log open, too: it is nobody to wait for.
    #[must_use]
    pub fn left_running(&self, machine: &Machine) -> Option<String> {
        let (pid, command) = process::writers(machine, &self.log).into_iter().find(|(_, command)| {
            // An interpreter and its options come first.
            let mut words = command.split(' ').take(3).filter_map(|word| word.rsplit('/').next());
            words.any(|word| MANAGERS.contains(&word))
        })?;
        Some(format!("pid {pid} ({command})"))
    }

    fn open(&self, argv: &Argv) -> Result<File, Error> {
        use std::io::Write;
        let opened = OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(&self.log);
        // In one piece: the file itself writes each word as it comes.
        let line = format!("# {argv}\n");
        opened.and_then(|mut file| file.write_all(line.as_bytes()).map(|()| file)).map_err(|error| {
            Error::new(
                Class::Disk,
                format!("{} cannot be written: {error}", self.log.display()),
                format!("df -h {0}; df -i {0}", self.log.display()),
            )
        })
    }
}

/// Lets a program change the machine and waits for its end, however long that takes; each line that it writes is logged.
///
/// # Errors
/// Only when nothing was started. How it ended is an answer.
pub fn change(machine: &Machine, transcript: &Transcript, argv: &Argv) -> Result<Ended, Error> {
    machine.log.debug(format!("running {argv}"));
    let mut log = transcript.open(argv)?;
    let begin = log.seek(SeekFrom::End(0)).unwrap_or_default();
    if let Some(world) = &machine.world {
        let answer = world.change(argv, &mut log);
        let mut follower =
            Follower { log: File::open(&transcript.log).ok(), at: begin, partial: Vec::new(), output: String::new() };
        follower.catch_up(machine, &argv.program);
        return Ok(Ended { success: answer.success, ending: answer.ending, output: follower.output });
    }
    let streams = log.try_clone().and_then(|stdout| log.try_clone().map(|stderr| (stdout, stderr)));
    let (stdout, stderr) = streams.map_err(|error| not_started(argv, &error))?;
    let mut command = prepare(machine, argv)?;
    command.stdout(stdout).stderr(stderr).process_group(0);
    let mut child = command.spawn().map_err(|error| not_started(argv, &error))?;
    let mut follower = Follower { log: File::open(&transcript.log).ok(), at: begin, partial: Vec::new(), output: String::new() };
    let status = follow(machine, argv, &mut child, &mut follower);
    follower.catch_up(machine, &argv.program);
    follower.last_line(machine, &argv.program);
    Ok(Ended {
        success: status.is_some_and(|s| s.success()),
        ending: status.map_or_else(String::new, ending),
        output: follower.output,
    })
}

fn follow(machine: &Machine, argv: &Argv, child: &mut Child, follower: &mut Follower) -> Option<ExitStatus> {
    let begun = Instant::now();
    let mut warn_at = STUCK_AFTER;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) => {}
            Err(_) => return None,
        }
        follower.catch_up(machine, &argv.program);
        if begun.elapsed() >= warn_at {
            machine.log.warning(format!(
                "`{argv}` (pid {}) has not ended for {} min; still waiting, because killing it would leave the package half-installed.\n    next: look at what it waits for: pstree -alp {}",
                child.id(),
                begun.elapsed().as_secs() / 60,
                child.id()
            ));
            warn_at += STUCK_REMINDER;
        }
        // The end is noticed a few thousandths too late at most, and a long upgrade is not polled to death.
        (machine.wait)((begun.elapsed() / 256).clamp(Duration::from_millis(1), Duration::from_millis(40)));
    }
}

/// Reads what the log grows by, line by line.
struct Follower {
    log: Option<File>,
    at: u64,
    partial: Vec<u8>,
    output: String,
}

impl Follower {
    fn catch_up(&mut self, machine: &Machine, program: &str) {
        let Some(log) = &mut self.log else { return };
        let mut grown = Vec::new();
        if log.seek(SeekFrom::Start(self.at)).is_err() || log.take(LONGEST_ANSWER).read_to_end(&mut grown).is_err() {
            return;
        }
        self.at += grown.len() as u64;
        for byte in grown {
            match byte {
                b'\n' => self.last_line(machine, program),
                // Progress bars overwrite their line.
                b'\r' => self.partial.clear(),
                _ if self.partial.len() < 4096 => self.partial.push(byte),
                _ => {}
            }
        }
    }

    fn last_line(&mut self, machine: &Machine, program: &str) {
        let line = String::from_utf8_lossy(&self.partial).trim_end().to_owned();
        self.partial.clear();
        if line.is_empty() {
            return;
        }
        machine.log.info(format!("{program}: {line}"));
        if self.output.len() as u64 <= LONGEST_ANSWER {
            self.output.push_str(&line);
            self.output.push('\n');
        }
    }
}
