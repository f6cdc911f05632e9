//! The command line of `teleport-upgrade`: words to an action, and the action to an exit code. Parsing does nothing.

use std::io::Write;
use std::path::{Path, PathBuf};

use lexopt::Arg;

use crate::config::DEFAULT_DIRECTORY;
use crate::error::{Class, Error, Exit};
use crate::host::machine::Machine;
use crate::host::transient;
use crate::log::Volume;
use crate::rules::facts::Mandate;
use crate::rules::policy::Package;
use crate::upgrade::install::{Channel, Wanted, install};
use crate::upgrade::{Outcome, dry_run, rollback, run, setup};

/// One screen; the man page says more.
const HELP: &str = "\
Keeps the Teleport agent of this host on the version that its cluster wants.

Usage: teleport-upgrade [options] COMMAND

Commands:
  run        check, and upgrade if it is due and a window is open
  dry-run    say what `run` would do now and why; change nothing
  force      upgrade now if a version is due: no window, no wait
  rollback   go back to the version before, until another one is wanted
  install    bring the agent to a host that has none: at what a cluster offers
             (--proxy HOST[:PORT] [--channel NAME]) or at one --version X
  version    print the version of this program (--raw: without the v)
  help       print this
  setup, release   for package scripts: see teleport-upgrade(8)

Options:
  --config DIR   configuration directory
                 (default: /etc/teleport-upgrade.d, or $TELEPORT_UPGRADE_CONFIG)
  --quiet        say nothing unless something is wrong or is changed
  --verbose      say what is read and run, too

Exit codes:
   0 done, nothing to do, or not now     70 internal error
  10 failed; the version before is back  75 try again later (lock, network)
  11 a person is needed                  77 needs root
  64 wrong command line                  78 configuration must be changed
  69 server or repository cannot serve

Configuration, one value a file: endpoint, package, installer, repo, pin,
allow-downgrade, lock, verify-seconds, prefetch, insecure, debug.
The agent writes `schedule`.
";

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Request {
    action: Action,
    directory: Option<PathBuf>,
    volume: Volume,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Action {
    Upgrade(Mandate),
    Install(Wanted),
    Rollback,
    DryRun,
    Setup,
    /// The package, once it is known that its hold was ours.
    Release(Option<Package>),
    Version(Spelling),
    Help,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    WithV,
    Raw,
}

/// Runs the program on the real machine with the process's own arguments.
#[must_use]
pub fn main() -> u8 {
    let exit = match parse(lexopt::Parser::from_env()) {
        Err(usage) => {
            complain(&usage);
            Exit::Usage
        }
        Ok(Request { action: Action::Help, .. }) => print(HELP),
        Ok(Request { action: Action::Version(Spelling::WithV), .. }) => print(concat!("v", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Request { action: Action::Version(Spelling::Raw), .. }) => print(concat!(env!("CARGO_PKG_VERSION"), "\n")),
        Ok(request) => {
            let machine = Machine::real(request.volume);
            return act(&machine, request).unwrap_or_else(|error| {
                machine.log.warning(error.to_string());
                error.class.exit() as u8
            });
        }
    };
    exit as u8
}

fn act(machine: &Machine, request: Request) -> Result<u8, Error> {
    let configured = request.directory.clone().or_else(|| machine.variable("TELEPORT_UPGRADE_CONFIG").map(PathBuf::from));
    if let Some(named) = configured.as_ref().filter(|named| !named.is_dir()) {
        // The default one may be absent; a mistyped one must not be taken for an empty one.
        let what = format!("the configuration directory {} does not exist", named.display());
        return Err(Error::new(Class::Config, what, "name an existing one with --config or TELEPORT_UPGRADE_CONFIG, or none"));
    }
    let directory = configured.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_DIRECTORY));
    let done = Exit::Done as u8;
    match request.action {
        Action::Upgrade(mandate) if moves(machine) => {
            go_on(machine, vec![command(mandate).to_owned()], configured.as_deref(), request.volume)
        }
        Action::Rollback if moves(machine) => go_on(machine, vec!["rollback".to_owned()], configured.as_deref(), request.volume),
        Action::Install(wanted) if moves(machine) => go_on(machine, wanted.words(), configured.as_deref(), request.volume),
        Action::Install(wanted) => install(machine, &directory, &wanted).map(|outcome| outcome.exit() as u8),
        Action::Upgrade(mandate) => run(machine, &directory, mandate).map(|outcome: Outcome| outcome.exit() as u8),
        Action::Rollback => rollback(machine, &directory).map(|outcome| outcome.exit() as u8),
        Action::Setup => setup::setup(machine, &directory).map(|()| done),
        Action::Release(package) => setup::release(machine, &directory, package).map(|()| done),
        _ => dry_run(machine, &directory).map(|()| done),
    }
}

/// Whether this process must not go on where it is: in a session that the agent serves (H03).
fn moves(machine: &Machine) -> bool {
    machine.is_superuser() && transient::is_needed(machine)
}

const fn command(mandate: Mandate) -> &'static str {
    match mandate {
        Mandate::Policy => "run",
        Mandate::Force => "force",
    }
}

/// Asks for the same again, from elsewhere.
fn go_on(machine: &Machine, mut words: Vec<String>, directory: Option<&Path>, volume: Volume) -> Result<u8, Error> {
    match volume {
        Volume::Quiet => words.push("--quiet".into()),
        Volume::Normal => {}
        Volume::Debug => words.push("--verbose".into()),
    }
    if let Some(directory) = directory.and_then(|named| std::path::absolute(named).ok()) {
        words.extend(["--config".into(), directory.display().to_string()]);
    }
    transient::go_on(machine, "run", &words)
}

fn parse(mut words: lexopt::Parser) -> Result<Request, Error> {
    let mut request = Request { action: Action::Help, directory: None, volume: Volume::Normal };
    let mut command: Option<String> = None;
    let mut package = None;
    let mut raw = false;
    let (mut proxy, mut channel, mut version) = (None, None, None);
    while let Some(word) = words.next().map_err(|error| usage(&error))? {
        match word {
            Arg::Long("config") => request.directory = Some(words.value().map_err(|error| usage(&error))?.into()),
            Arg::Long("quiet") | Arg::Short('q') => request.volume = Volume::Quiet,
            Arg::Long("verbose") | Arg::Short('v') => request.volume = Volume::Debug,
            Arg::Long("help") | Arg::Short('h') => return Ok(Request { action: Action::Help, ..request }),
            Arg::Long("raw") => raw = true,
            Arg::Long("proxy") => proxy = Some(text(&mut words)?),
            Arg::Long("channel") => channel = Some(text(&mut words)?),
            Arg::Long("version") => version = Some(text(&mut words)?),
            Arg::Value(value) if command.is_none() => command = Some(value.to_string_lossy().into_owned()),
            Arg::Value(value) if command.as_deref() == Some("release") && package.is_none() => {
                package = Some(value.to_string_lossy().parse::<Package>().map_err(|wrong| usage(&wrong))?);
            }
            other => return Err(usage(&other.unexpected())),
        }
    }
    request.action = match command.as_deref() {
        Some("run") => Action::Upgrade(Mandate::Policy),
        Some("force") => Action::Upgrade(Mandate::Force),
        Some("rollback") => Action::Rollback,
        Some("dry-run") => Action::DryRun,
        Some("setup") => Action::Setup,
        Some("release") => Action::Release(package),
        Some("install") => Action::Install(wanted(proxy.take(), channel.take(), version.take())?),
        Some("version") => Action::Version(if raw { Spelling::Raw } else { Spelling::WithV }),
        Some("help") => Action::Help,
        Some(other) => return Err(usage(&format!("unknown command {}", crate::error::quoted(other.as_bytes())))),
        None => return Err(usage(&"no command")),
    };
    if proxy.or(channel).or(version).is_some() {
        return Err(usage(&"--proxy, --channel and --version belong to `install`"));
    }
    if raw && !matches!(request.action, Action::Version(_)) {
        return Err(usage(&"--raw belongs to `version`"));
    }
    Ok(request)
}

/// The value of an option.
fn text(words: &mut lexopt::Parser) -> Result<String, Error> {
    Ok(words.value().map_err(|error| usage(&error))?.to_string_lossy().into_owned())
}

fn wanted(proxy: Option<String>, channel: Option<String>, version: Option<String>) -> Result<Wanted, Error> {
    match (proxy, version) {
        (Some(proxy), None) => {
            let channel = Channel::new(&proxy, channel.as_deref().unwrap_or("default"));
            channel.map(Wanted::Offered).map_err(|wrong| usage(&wrong))
        }
        (None, Some(version)) if channel.is_none() => version.parse().map(Wanted::Exactly).map_err(|wrong| usage(&wrong)),
        _ => Err(usage(&"install wants --proxy HOST[:PORT] [--channel NAME], or --version X")),
    }
}

fn usage(what: &dyn std::fmt::Display) -> Error {
    Error::new(Class::Usage, what.to_string(), "teleport-upgrade help")
}

/// Prints what was asked for. A reader that has gone away is no reason to fail.
fn print(text: &str) -> Exit {
    let _ = std::io::stdout().write_all(text.as_bytes());
    Exit::Done
}

/// A wrong command line is answered with what is wrong, and the whole help.
fn complain(usage: &Error) {
    let _ = std::io::stderr().write_all(format!("teleport-upgrade: {}\n\n{HELP}", usage.what).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Request, String> {
        let parser = lexopt::Parser::from_iter(std::iter::once(&"teleport-upgrade").chain(words));
        parse(parser).map_err(|error| error.what)
    }

    #[test]
    fn each_command_and_option_is_understood_in_any_order() {
        let request = |action| Request { action, directory: None, volume: Volume::Normal };
        assert_eq!(read(&["run"]), Ok(request(Action::Upgrade(Mandate::Policy))));
        assert_eq!(read(&["force"]), Ok(request(Action::Upgrade(Mandate::Force))));
        assert_eq!(read(&["rollback"]), Ok(request(Action::Rollback)));
        assert_eq!(read(&["dry-run"]), Ok(request(Action::DryRun)));
        assert_eq!(read(&["version"]), Ok(request(Action::Version(Spelling::WithV))));
        assert_eq!(read(&["version", "--raw"]), Ok(request(Action::Version(Spelling::Raw))));
        assert_eq!(read(&["help"]), Ok(request(Action::Help)));
        assert_eq!(read(&["run", "--help"]), Ok(request(Action::Help)));
        let full = Request { action: Action::DryRun, directory: Some("/x".into()), volume: Volume::Quiet };
        assert_eq!(read(&["--config", "/x", "dry-run", "--quiet"]), Ok(full.clone()));
        assert_eq!(read(&["-q", "--config=/x", "dry-run"]), Ok(full));
    }

    #[test]
    fn what_is_to_be_installed_is_understood_and_can_be_asked_for_again() {
        let wanted = |words: &[&str]| match read(words) {
            Ok(Request { action: Action::Install(wanted), .. }) => wanted,
            other => panic!("{other:?}"),
        };
        let exactly = wanted(&["install", "--version", "v16.2.0"]);
        assert_eq!(exactly, Wanted::Exactly("16.2.0".parse().unwrap()));
        assert_eq!(exactly.words(), ["install", "--version", "16.2.0"]);
        let offered = wanted(&["install", "--proxy", "example.test:3080", "--channel", "stable/cloud"]);
        assert_eq!(offered.words(), ["install", "--proxy", "example.test:3080", "--channel", "stable/cloud"]);
        assert_eq!(wanted(&["install", "--proxy=example.test"]).words()[2..], ["example.test", "--channel", "default"]);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let wrong = |words: &[&str]| read(words).unwrap_err();
        assert_eq!(wrong(&[]), "no command");
        assert_eq!(wrong(&["upgrade"]), "unknown command \"upgrade\"");
        assert_eq!(wrong(&["run", "now"]), "unexpected argument \"now\"");
        assert_eq!(wrong(&["run", "--now"]), "invalid option '--now'");
        assert_eq!(wrong(&["run", "--raw"]), "--raw belongs to `version`");
        assert_eq!(wrong(&["run", "--config"]), "missing argument for option '--config'");
        assert_eq!(wrong(&["run", "--proxy", "x"]), "--proxy, --channel and --version belong to `install`");
        let either = "install wants --proxy HOST[:PORT] [--channel NAME], or --version X";
        assert_eq!(wrong(&["install"]), either);
        assert_eq!(wrong(&["install", "--proxy", "x", "--version", "16.2.0"]), either);
        assert_eq!(wrong(&["install", "--channel", "x", "--version", "16.2.0"]), either);
        assert_eq!(wrong(&["install", "--version", "16.2"]), "\"16.2\" is not a version such as 16.2.0");
        assert_eq!(wrong(&["install", "--proxy", "x/y"]), "\"x/y\" is no HOST[:PORT]");
    }

    #[test]
    fn the_help_fits_a_screen_of_eighty_by_forty() {
        assert!(HELP.lines().count() <= 40 && HELP.lines().all(|line| line.len() <= 80), "{HELP}");
    }
}
