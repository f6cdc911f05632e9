//! Words to an action. Parsing does nothing; which words there are is in `commands`.

use std::path::PathBuf;

use lexopt::Arg;

use crate::error::{Class, Error, quoted};
use crate::log::Volume;
use crate::rules::facts::Mandate;
use crate::rules::pause::{self, LetsThrough};
use crate::rules::policy::Package;
use crate::upgrade::cli::commands::{COMMANDS, COMMON, Command, Opt, command};
use crate::upgrade::install::{Channel, Wanted};
use crate::upgrade::pause::{End, Wish};
use crate::upgrade::status::{Ask, Form};

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) action: Action,
    pub(super) directory: Option<PathBuf>,
    pub(super) volume: Volume,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Upgrade(Mandate),
    Install(Wanted),
    Rollback,
    DryRun,
    Status(Ask, Form),
    Pause(Wish),
    Resume,
    Setup,
    /// The package, once it is known that its hold was ours.
    Release(Option<Package>),
    Version(Spelling),
    /// On all, or on one.
    Help(Option<&'static Command>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    WithV,
    Raw,
}

/// Options as they were given, by their long names.
struct Given(Vec<(&'static str, String)>);

impl Given {
    fn value(&self, long: &str) -> Option<&str> {
        self.0.iter().rev().find(|(name, _)| *name == long).map(|(_, value)| value.as_str())
    }

    fn has(&self, long: &str) -> bool {
        self.value(long).is_some()
    }
}

pub(super) fn parse(mut words: lexopt::Parser) -> Result<Request, Error> {
    let mut given = Given(Vec::new());
    let mut directory = None;
    let mut named: Option<&'static Command> = None;
    let mut operand = None;
    while let Some(word) = words.next().map_err(|error| usage(&error))? {
        let option = match word {
            Arg::Long(long) => find(|option| option.long == long),
            Arg::Short(short) => find(|option| option.short == Some(short)),
            Arg::Value(ref value) => {
                let value = value.to_string_lossy().into_owned();
                match named {
                    None => {
                        let unknown = || usage(&format!("unknown command {}", quoted(value.as_bytes())));
                        named = Some(command(&value).ok_or_else(unknown)?);
                    }
                    Some(Command { name: "release" | "help", .. }) if operand.is_none() => operand = Some(value),
                    Some(_) => return Err(usage(&word.unexpected())),
                }
                continue;
            }
        };
        let Some(option) = option else { return Err(usage(&word.unexpected())) };
        match (option.long, option.value) {
            // What everybody types who wants to know the version; after `install` it is the one to install.
            ("version", _) if named.is_none() => match words.optional_value() {
                None => named = command("version"),
                Some(_) => return Err(usage(&"--version belongs to `install`")),
            },
            ("config", _) => directory = Some(PathBuf::from(words.value().map_err(|error| usage(&error))?)),
            (long, Some(_)) => given.0.push((long, words.value().map_err(|error| usage(&error))?.to_string_lossy().into_owned())),
            (long, None) => given.0.push((long, String::new())),
        }
    }
    let volume = match (given.has("quiet"), given.has("verbose")) {
        (true, _) => Volume::Quiet,
        (false, true) => Volume::Debug,
        (false, false) => Volume::Normal,
    };
    if given.has("help") {
        return Ok(Request { action: Action::Help(named), directory, volume });
    }
    let named = named.ok_or_else(|| usage(&"no command"))?;
    belong(named, &given)?;
    let action = action(named, &given, operand.as_deref()).map_err(|wrong| usage(&wrong))?;
    Ok(Request { action, directory, volume })
}

fn find(is: impl Fn(&&Opt) -> bool) -> Option<&'static Opt> {
    COMMON.iter().chain(COMMANDS.iter().flat_map(|command| command.options)).find(is)
}

fn belong(named: &Command, given: &Given) -> Result<(), Error> {
    let own = |long: &str| COMMON.iter().chain(named.options).any(|option| option.long == long);
    let Some((strange, _)) = given.0.iter().find(|(long, _)| !own(long)) else { return Ok(()) };
    let owner = COMMANDS.iter().find(|command| command.options.iter().any(|option| option.long == *strange));
    Err(usage(&format!("--{strange} belongs to `{}`", owner.map_or("another command", |owner| owner.name))))
}

fn action(named: &'static Command, given: &Given, operand: Option<&str>) -> Result<Action, String> {
    Ok(match named.name {
        "run" => Action::Upgrade(Mandate::Policy),
        "force" => Action::Upgrade(Mandate::Force),
        "rollback" => Action::Rollback,
        "dry-run" => Action::DryRun,
        "status" => Action::Status(
            if given.has("offline") { Ask::Nobody } else { Ask::Server },
            if given.has("json") { Form::Json } else { Form::Screen },
        ),
        "pause" => Action::Pause(wish(given)?),
        "resume" => Action::Resume,
        "setup" => Action::Setup,
        "release" => Action::Release(operand.map(str::parse).transpose()?),
        "install" => Action::Install(wanted(given)?),
        "version" => Action::Version(if given.has("raw") { Spelling::Raw } else { Spelling::WithV }),
        "help" => match operand {
            None => Action::Help(None),
            Some(name) => {
                Action::Help(Some(command(name).ok_or_else(|| format!("unknown command {}", quoted(name.as_bytes())))?))
            }
        },
        unknown => return Err(format!("unknown command {unknown}")),
    })
}

fn wish(given: &Given) -> Result<Wish, String> {
    let end = match (given.value("until"), given.value("for")) {
        (None, None) => End::Open,
        (Some(time), None) => End::Until(time.to_owned()),
        (None, Some(length)) => End::After(pause::length(length)?),
        (Some(_), Some(_)) => return Err("pause wants --until TIME or --for LENGTH, not both".into()),
    };
    let reason = given.value("reason").map(pause::reason).transpose()?;
    let lets_through = if given.has("even-critical") { LetsThrough::Nothing } else { LetsThrough::Critical };
    Ok(Wish { end, reason, lets_through })
}

fn wanted(given: &Given) -> Result<Wanted, String> {
    match (given.value("proxy"), given.value("channel"), given.value("version")) {
        (Some(proxy), channel, None) => Ok(Wanted::Offered(Channel::new(proxy, channel.unwrap_or("default"))?)),
        (None, None, Some(version)) => {
            version.parse().map(Wanted::Exactly).map_err(|wrong: crate::rules::release::NotARelease| wrong.to_string())
        }
        _ => Err("install wants --proxy HOST[:PORT] [--channel NAME], or --version X".into()),
    }
}

fn usage(what: &dyn std::fmt::Display) -> Error {
    Error::new(Class::Usage, what.to_string(), "teleport-upgrade help")
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
        assert_eq!(read(&["--version"]), Ok(request(Action::Version(Spelling::WithV))));
        assert_eq!(read(&["help"]), Ok(request(Action::Help(None))));
        assert_eq!(read(&["--help"]), Ok(request(Action::Help(None))));
        assert_eq!(read(&["run", "-h"]), Ok(request(Action::Help(command("run")))));
        assert_eq!(read(&["help", "pause"]), Ok(request(Action::Help(command("pause")))));
        assert_eq!(read(&["status"]), Ok(request(Action::Status(Ask::Server, Form::Screen))));
        assert_eq!(read(&["--json", "status", "--offline"]), Ok(request(Action::Status(Ask::Nobody, Form::Json))));
        assert_eq!(read(&["resume"]), Ok(request(Action::Resume)));
        assert_eq!(read(&["release", "teleport-ent"]), Ok(request(Action::Release("teleport-ent".parse().ok()))));
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
    fn a_pause_is_understood() {
        let wish = |words: &[&str]| match read(words) {
            Ok(Request { action: Action::Pause(wish), .. }) => wish,
            other => panic!("{other:?}"),
        };
        let plain = Wish { end: End::Open, reason: None, lets_through: LetsThrough::Critical };
        assert_eq!(wish(&["pause"]), plain);
        assert_eq!(wish(&["pause", "--for", "14d"]), Wish { end: End::After(1_209_600), ..plain.clone() });
        assert_eq!(wish(&["pause", "--until=2026-12-24 18:00"]), Wish { end: End::Until("2026-12-24 18:00".into()), ..plain });
        let full = Wish { end: End::After(3600), reason: Some("freeze".into()), lets_through: LetsThrough::Nothing };
        assert_eq!(wish(&["pause", "--even-critical", "--reason", "freeze", "--for", "1h"]), full);
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
        assert_eq!(wrong(&["run", "--proxy", "x"]), "--proxy belongs to `install`");
        assert_eq!(wrong(&["resume", "--for", "1h"]), "--for belongs to `pause`");
        assert_eq!(
            wrong(&["pause", "--for", "1h", "--until", "2026-12-24"]),
            "pause wants --until TIME or --for LENGTH, not both"
        );
        assert_eq!(wrong(&["pause", "--for", "soon"]), "\"soon\" is no length of time such as 90m, 12h, 14d or 2w");
        assert_eq!(wrong(&["help", "me"]), "unknown command \"me\"");
        assert_eq!(wrong(&["status", "now"]), "unexpected argument \"now\"");
        assert_eq!(wrong(&["run", "-x"]), "invalid option '-x'");
        let either = "install wants --proxy HOST[:PORT] [--channel NAME], or --version X";
        assert_eq!(wrong(&["install"]), either);
        assert_eq!(wrong(&["install", "--proxy", "x", "--version", "16.2.0"]), either);
        assert_eq!(wrong(&["install", "--channel", "x", "--version", "16.2.0"]), either);
        assert_eq!(wrong(&["install", "--version", "16.2"]), "\"16.2\" is not a version such as 16.2.0");
        assert_eq!(wrong(&["install", "--proxy", "x/y"]), "\"x/y\" is no HOST[:PORT]");
    }
}
