//! The only place that starts a process. No shell, absolute paths, a cleared environment, nothing on stdin.
//!
//! [`query`] asks: short, bounded, killed when it takes too long. [`change`] lets a package manager work: never killed, never given
//! a pipe of ours (V5: a reader that dies would take it along), in a process group of its own, its output in a file that we follow.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use crate::error::{Class, Error};
use crate::host::machine::Machine;

/// Answers are not longer than this; what a tool writes beyond it is dropped.
const LONGEST_ANSWER: u64 = 4 * 1024 * 1024;
/// How long a program's output is waited for once the program itself has ended.
const STREAMS_AFTER_END: Duration = Duration::from_millis(500);
/// How many of a tool's last lines are quoted in an error.
const QUOTED_LINES: usize = 10;
/// A package script that has not ended by then is reported, and again after as long as [`STUCK_REMINDER`] (V11).
const STUCK_AFTER: Duration = Duration::from_secs(30 * 60);
const STUCK_REMINDER: Duration = Duration::from_secs(10 * 60);

/// A program and its words. Every word is validated where it enters; none is split or expanded here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argv {
    /// The program's name, looked up in the machine's program directories; or an absolute path.
    pub program: String,
    /// Its words.
    pub words: Vec<String>,
}

impl Argv {
    /// A program and its words.
    pub fn new<S: Into<String>>(program: &str, words: impl IntoIterator<Item = S>) -> Self {
        Self { program: program.to_owned(), words: words.into_iter().map(Into::into).collect() }
    }
}

impl std::fmt::Display for Argv {
    /// As a person would type it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.program)?;
        for word in &self.words {
            let plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_=+.,:/@%".contains(c));
            if plain { write!(f, " {word}")? } else { write!(f, " '{}'", word.replace('\'', "'\\''"))? }
        }
        Ok(())
    }
}

/// What a query answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whether it exited with 0.
    pub success: bool,
    /// How it ended, in words.
    pub ending: String,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Answer {
    /// The last lines of both streams, for an error.
    #[must_use]
    pub fn last_lines(&self) -> Vec<String> {
        last_lines(&format!("{}\n{}", self.stdout, self.stderr))
    }
}

/// Whether a program of that name can be started on this machine.
#[must_use]
pub fn exists(machine: &Machine, program: &str) -> bool {
    machine.program(program).is_some()
}

/// A question that is being answered, while its asker does something else.
pub struct Asked {
    argv: Argv,
    child: Child,
    stdout: Receiver<Vec<u8>>,
    stderr: Receiver<Vec<u8>>,
    begun: Instant,
}

/// Starts to ask a program.
///
/// # Errors
/// [`Class::Internal`] if it cannot be started.
pub fn ask(machine: &Machine, argv: Argv) -> Result<Asked, Error> {
    machine.log.debug(format!("running {argv}"));
    let mut command = prepare(machine, &argv)?;
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(|error| not_started(&argv, &error))?;
    let stdout = read_aside(child.stdout.take());
    let stderr = read_aside(child.stderr.take());
    Ok(Asked { argv, child, stdout, stderr, begun: Instant::now() })
}

impl Asked {
    /// Waits for the answer, until `limit` after the question.
    ///
    /// # Errors
    /// [`Class::Internal`] if it does not end in time. An exit code that is not 0 is an answer.
    pub fn answer(mut self, machine: &Machine, limit: Duration) -> Result<Answer, Error> {
        let Some(status) = self.wait(machine, limit) else {
            kill_group(&self.child);
            let _ = self.child.wait();
            return Err(Error::new(
                Class::Internal,
                format!("`{}` did not end within {} s", self.argv, limit.as_secs()),
                "run it by hand to see what it waits for",
            ));
        };
        // A child that it left behind may keep its streams open for ever.
        let text = |stream: &Receiver<Vec<u8>>| {
            let bytes = stream.recv_timeout(STREAMS_AFTER_END).unwrap_or_else(|_| {
                kill_group(&self.child);
                stream.recv_timeout(STREAMS_AFTER_END).unwrap_or_default()
            });
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let (stdout, stderr) = (text(&self.stdout), text(&self.stderr));
        Ok(Answer { success: status.success(), ending: ending(status), stdout, stderr })
    }

    fn wait(&mut self, machine: &Machine, limit: Duration) -> Option<ExitStatus> {
        loop {
            let elapsed = self.begun.elapsed();
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if elapsed < limit => {}
                _ => return None,
            }
            (machine.pause)((elapsed / 16).clamp(Duration::from_micros(300), Duration::from_millis(5)));
        }
    }
}

/// Asks a program, for at most `limit`.
///
/// # Errors
/// [`Class::Internal`] if it cannot be started or does not end in time. An exit code that is not 0 is an answer.
pub fn query(machine: &Machine, argv: &Argv, limit: Duration) -> Result<Answer, Error> {
    ask(machine, argv.clone())?.answer(machine, limit)
}

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

/// The file that programs which change something write into, and what tells a later run that one of them may still be at work.
pub struct Transcript {
    log: PathBuf,
    running: PathBuf,
}

/// A process that a run started and may have left behind: its id means something only together with its start time.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Running {
    /// Its process id, which is its group's too.
    pub pid: u32,
    /// When it started, in clock ticks since boot (proc(5), `starttime`).
    pub started: u64,
    /// What it was told to do, for messages.
    pub command: String,
}

impl Transcript {
    /// In a directory that only root may enter.
    #[must_use]
    pub fn in_directory(directory: &Path) -> Self {
        Self { log: directory.join("packages.log"), running: directory.join("running.json") }
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

    /// The program that an earlier run started, if it is still at work.
    #[must_use]
    pub fn left_running(&self, machine: &Machine) -> Option<Running> {
        let running: Running = serde_json::from_slice(&std::fs::read(&self.running).ok()?).ok()?;
        (start_time(machine, running.pid) == Some(running.started)).then_some(running)
    }

    fn note(&self, running: &Running) {
        if let Ok(text) = serde_json::to_vec(running) {
            let _ = std::fs::write(&self.running, text);
        }
    }

    fn forget(&self) {
        let _ = std::fs::remove_file(&self.running);
    }

    fn open(&self, argv: &Argv) -> Result<File, Error> {
        use std::io::Write;
        let opened = OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(&self.log);
        opened.and_then(|mut file| writeln!(file, "# {argv}").map(|()| file)).map_err(|error| {
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
    let streams = log.try_clone().and_then(|stdout| log.try_clone().map(|stderr| (stdout, stderr)));
    let (stdout, stderr) = streams.map_err(|error| not_started(argv, &error))?;
    let mut command = prepare(machine, argv)?;
    command.stdout(stdout).stderr(stderr).process_group(0);
    let mut child = command.spawn().map_err(|error| not_started(argv, &error))?;
    if let Some(started) = start_time(machine, child.id()) {
        transcript.note(&Running { pid: child.id(), started, command: argv.to_string() });
    }
    let mut follower = Follower { log: File::open(&transcript.log).ok(), at: begin, partial: Vec::new(), output: String::new() };
    let status = follow(machine, argv, &mut child, &mut follower);
    follower.catch_up(machine, &argv.program);
    follower.last_line(machine, &argv.program);
    transcript.forget();
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
        (machine.pause)((begun.elapsed() / 256).clamp(Duration::from_millis(1), Duration::from_millis(40)));
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

/// When the process started, in clock ticks since boot; `None` if there is no such process.
#[must_use]
pub fn start_time(machine: &Machine, pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(machine.path(format!("/proc/{pid}/stat"))).ok()?;
    // The name in parentheses may contain anything, so fields are counted from its end: starttime is number 22 of proc(5).
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    if matches!(fields.next(), Some("Z" | "X")) {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// What the process was told to do, as far as this user may know.
#[must_use]
pub fn command_line(machine: &Machine, pid: u32) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = File::open(machine.path(format!("/proc/{pid}/cmdline"))) {
        let _ = file.take(200).read_to_end(&mut bytes);
    }
    let words: Vec<String> = bytes.split(|&b| b == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    words.join(" ").trim().chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[expect(clippy::disallowed_methods, reason = "the one door to processes")]
fn prepare(machine: &Machine, argv: &Argv) -> Result<Command, Error> {
    let path = if argv.program.starts_with('/') { Some(PathBuf::from(&argv.program)) } else { machine.program(&argv.program) };
    let path = path.ok_or_else(|| {
        let places: Vec<String> = machine.programs.iter().map(|p| p.display().to_string()).collect();
        Error::new(
            Class::Config,
            format!("{} is not on this host (looked in {})", argv.program, places.join(", ")),
            format!("install {}, or name another way in the file `installer`", argv.program),
        )
    })?;
    let mut command = Command::new(path);
    command.args(&argv.words).stdin(Stdio::null()).current_dir("/").env_clear();
    for (name, value) in [
        ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        ("HOME", "/root"),
        ("LC_ALL", "C.UTF-8"),
        ("DEBIAN_FRONTEND", "noninteractive"),
        ("APT_LISTCHANGES_FRONTEND", "none"),
        ("NEEDRESTART_SUSPEND", "1"),
    ] {
        command.env(name, value);
    }
    for (name, value) in machine.environment.iter().filter(|(name, _)| name.to_ascii_lowercase().ends_with("_proxy")) {
        command.env(name, value);
    }
    Ok(command)
}

fn kill_group(child: &Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

/// Reads a stream to its end beside everything else; beyond the bound it is read and dropped, so that its writer can end.
fn read_aside(stream: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(stream) = stream {
            let mut bounded = stream.take(LONGEST_ANSWER);
            let _ = bounded.read_to_end(&mut bytes);
            let _ = std::io::copy(&mut bounded.into_inner(), &mut std::io::sink());
        }
        let _ = sender.send(bytes);
    });
    receiver
}

fn ending(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown end".into(),
    }
}

fn last_lines(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines.iter().skip(lines.len().saturating_sub(QUOTED_LINES)).map(|line| line.chars().take(300).collect()).collect()
}

fn not_started(argv: &Argv, error: &std::io::Error) -> Error {
    Error::new(
        Class::Internal,
        format!("`{argv}` could not be started: {error}"),
        "look at memory and process limits of this host",
    )
}
