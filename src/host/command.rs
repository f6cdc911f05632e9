//! The only place that starts a process. No shell, absolute paths, a cleared environment, nothing on stdin.
//!
//! [`query`] asks: short, bounded, killed when it takes too long. What changes something is in `transcript`.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use crate::error::{Class, Error, typed};
use crate::host::machine::Machine;

/// Answers are not longer than this; what a tool writes beyond it is dropped.
pub(super) const LONGEST_ANSWER: u64 = 4 * 1024 * 1024;
/// How long a program's output is waited for once the program itself has ended.
const STREAMS_AFTER_END: Duration = Duration::from_millis(500);
/// A reader needs little: the buffer of `std::io::copy` has 8 KiB.
const READERS_STACK: usize = 128 * 1024;
/// How many of a tool's last lines are quoted in an error.
const QUOTED_LINES: usize = 10;

/// A program and its words. Every word is validated where it enters; none is split or expanded here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argv {
    /// The program's name, looked up in the machine's program directories; or an absolute path.
    pub program: String,
    /// Its words.
    pub words: Vec<String>,
    /// What its environment has besides what every program's has.
    variables: Vec<(String, String)>,
}

impl Argv {
    /// A program and its words.
    pub fn new<S: Into<String>>(program: &str, words: impl IntoIterator<Item = S>) -> Self {
        Self { program: program.to_owned(), words: words.into_iter().map(Into::into).collect(), variables: Vec::new() }
    }

    /// With more words at its end.
    pub fn and(mut self, words: &[&str]) -> Self {
        self.words.extend(words.iter().map(|word| (*word).to_owned()));
        self
    }

    /// With these words at its end.
    pub fn and_all(mut self, words: Vec<String>) -> Self {
        self.words.extend(words);
        self
    }

    /// With a variable in its environment besides those that every program gets.
    pub fn with_variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }
}

impl std::fmt::Display for Argv {
    /// As a person would type it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, value) in &self.variables {
            write!(f, "{name}={} ", typed(value))?;
        }
        f.write_str(&self.program)?;
        self.words.iter().try_for_each(|word| write!(f, " {}", typed(word)))
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
pub struct Asked(Asking);

enum Asking {
    Process(Process),
    /// Of a simulated world.
    Answered(Answer),
}

struct Process {
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
    if let Some(world) = &machine.world {
        return Ok(Asked(Asking::Answered(world.ask(&argv))));
    }
    let mut command = prepare(machine, &argv)?;
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(|error| not_started(&argv, &error))?;
    let streams = read_aside(child.stdout.take()).and_then(|stdout| Ok((stdout, read_aside(child.stderr.take())?)));
    match streams {
        Ok((stdout, stderr)) => Ok(Asked(Asking::Process(Process { argv, child, stdout, stderr, begun: Instant::now() }))),
        Err(error) => {
            kill_group(&child);
            let _ = child.wait();
            Err(not_started(&argv, &error))
        }
    }
}

impl Asked {
    /// Waits for the answer, until `limit` after the question.
    ///
    /// # Errors
    /// [`Class::Internal`] if it does not end in time. An exit code that is not 0 is an answer.
    pub fn answer(self, machine: &Machine, limit: Duration) -> Result<Answer, Error> {
        match self.0 {
            Asking::Process(process) => process.answer(machine, limit),
            Asking::Answered(answer) => Ok(answer),
        }
    }
}

impl Process {
    fn answer(mut self, machine: &Machine, limit: Duration) -> Result<Answer, Error> {
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
            (machine.wait)((elapsed / 16).clamp(Duration::from_micros(300), Duration::from_millis(5)));
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

/// Lets a program speak to our own stdout and stderr, and waits for it; its exit code, 1 if a signal ended it.
///
/// # Errors
/// [`Class::Internal`] if it cannot be started.
pub fn relay(machine: &Machine, argv: &Argv) -> Result<u8, Error> {
    machine.log.debug(format!("running {argv}"));
    let status = prepare(machine, argv)?.status().map_err(|error| not_started(argv, &error))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// Lets a program start something that stays, and waits for the program; whether it succeeded. What stays holds no stream of ours, nor of
/// whoever called us.
///
/// # Errors
/// [`Class::Internal`] if it cannot be started.
pub fn start(machine: &Machine, argv: &Argv) -> Result<bool, Error> {
    Ok(leave(machine, argv)?.wait().is_ok_and(|status| status.success()))
}

/// Starts a program that may outlive us, in a process group of its own, which the end of a terminal does not reach. It has been started,
/// not only forked, when this returns: its file may be removed then. It holds no stream of ours, nor of whoever called us.
///
/// # Errors
/// [`Class::Internal`] if it cannot be started.
pub fn leave(machine: &Machine, argv: &Argv) -> Result<Child, Error> {
    machine.log.debug(format!("running {argv}"));
    let mut command = prepare(machine, argv)?;
    command.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    command.spawn().map_err(|error| not_started(argv, &error))
}

#[expect(clippy::disallowed_methods, reason = "the one door to processes")]
pub(super) fn prepare(machine: &Machine, argv: &Argv) -> Result<Command, Error> {
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
    command.envs(argv.variables.iter().map(|(name, value)| (name, value)));
    Ok(command)
}

fn kill_group(child: &Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

/// Reads a stream to its end beside everything else; beyond the bound it is read and dropped, so that its writer can end.
/// Where no thread can be had, that is an error: `thread::spawn` would end this process.
fn read_aside(stream: Option<impl Read + Send + 'static>) -> std::io::Result<Receiver<Vec<u8>>> {
    let (sender, receiver) = std::sync::mpsc::channel();
    let reader = move || {
        let mut bytes = Vec::new();
        if let Some(stream) = stream {
            let mut bounded = stream.take(LONGEST_ANSWER);
            let _ = bounded.read_to_end(&mut bytes);
            let _ = std::io::copy(&mut bounded.into_inner(), &mut std::io::sink());
        }
        let _ = sender.send(bytes);
    };
    std::thread::Builder::new().stack_size(READERS_STACK).spawn(reader).map(|_| receiver)
}

pub(super) fn ending(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown end".into(),
    }
}

pub(super) fn last_lines(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines.iter().skip(lines.len().saturating_sub(QUOTED_LINES)).map(|line| line.chars().take(300).collect()).collect()
}

pub(super) fn not_started(argv: &Argv, error: &std::io::Error) -> Error {
    Error::new(
        Class::Internal,
        format!("`{argv}` could not be started: {error}"),
        "look at memory and process limits of this host",
    )
}
