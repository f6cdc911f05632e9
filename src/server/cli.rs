//! The command line of `teleport-version-server`: words to an action, and the action to an exit code.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use lexopt::prelude::{Long, Short, Value, ValueExt};

use crate::error::{Error, Exit};
use crate::rules::maintenance::schedule;
use crate::rules::moment::Moment;
use crate::rules::pause::moment;
use crate::server::answer::WINDOWS;
use crate::server::publish::{self, Published};
use crate::server::serve::{Files, Serve, serve};
use crate::server::surroundings::{self, Voice};

const HELP: &str = "teleport-version-server: says which version Teleport agents should run, and when

  teleport-version-server serve --config FILE [--maintenance FILE] [--listen 127.0.0.1:3080] [--connections 512]
      answer over HTTP until told to end; HUP reads the files again
  teleport-version-server publish DIR --config FILE [--maintenance FILE]
      write the same answers as files below DIR, for any web server
  teleport-version-server check-config FILE [--maintenance FILE]
      say everything that is wrong with a configuration
  teleport-version-server schedule FILE [--windows 3] [--from TIME]
      print the windows of a cluster_maintenance_config, as agents export them
  teleport-version-server version [--raw]
  teleport-version-server help

FILE is a teleport.yaml, of which only proxy_service.automatic_upgrades_channels is read, or a file of its own:

  cluster_version: 16.4.0
  automatic_upgrades_channels:
    default: { static_version: v16.2.0, critical: false, halt: false }
    other: { forward_url: https://updates.releases.teleport.dev/v1/stable/cloud }

TIME is a time in UTC such as 2026-11-26T09:30. TLS is for a reverse proxy in front.
Exit codes: 0 done, 64 wrong command line, 70 internal, 78 configuration (also a port or a number of connections that
this process may not have), 75 try again: the address cannot be listened on, another server gives no answer, another
publish is at work, the disk is full.
";

/// What a command line asks for.
enum Action {
    Help,
    Version(&'static str),
    Serve(Serve),
    Publish(PathBuf, Files),
    Check(Files),
    Schedule(PathBuf, usize, Option<Moment>),
}

/// Runs the program with the process's own arguments.
#[must_use]
pub fn main() -> u8 {
    let voice = Voice::real();
    let done = match parse(lexopt::Parser::from_env()) {
        Ok(action) => act(action, voice),
        Err(usage) => {
            let _ = std::io::stderr().write_all(format!("teleport-version-server: {usage}\n\n{HELP}").as_bytes());
            return Exit::Usage as u8;
        }
    };
    match done {
        Ok(()) => Exit::Done as u8,
        Err(error) => {
            voice.warning(&error.to_string());
            error.class.exit() as u8
        }
    }
}

fn act(action: Action, voice: Voice) -> Result<(), Error> {
    match action {
        Action::Help => print(HELP),
        Action::Version(spelled) => print(spelled),
        Action::Serve(what) => return serve(&what, voice),
        Action::Publish(directory, files) => {
            let published = publish::publish(&directory, &files)?;
            let Published { written, same, removed, .. } = published;
            print(&format!("published below {}: {written} new, {same} as before, {removed} removed\n", directory.display()));
            return published.trouble().map_or(Ok(()), Err);
        }
        Action::Check(files) => {
            surroundings::read(&files)?;
            voice.info(&format!("{} is sound", files.configuration.display()));
        }
        Action::Schedule(file, windows, from) => {
            let maintenance = surroundings::maintenance(&file)?;
            print(&schedule(&maintenance.windows(from.unwrap_or_else(surroundings::now), windows)));
        }
    }
    Ok(())
}

/// A reader that has gone away is no reason to fail.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Every option that there is, as it was given.
#[derive(Default)]
struct Given {
    words: Vec<String>,
    configuration: Option<PathBuf>,
    maintenance: Option<PathBuf>,
    listen: Option<SocketAddr>,
    connections: Option<usize>,
    windows: Option<usize>,
    from: Option<Moment>,
    raw: Option<()>,
}

fn parse(mut parser: lexopt::Parser) -> Result<Action, String> {
    let mut given = Given::default();
    let said = |error: lexopt::Error| error.to_string();
    while let Some(argument) = parser.next().map_err(said)? {
        match argument {
            Short('h') | Long("help") => return Ok(Action::Help),
            Short('V') | Long("version") => return Ok(Action::Version(concat!("v", env!("CARGO_PKG_VERSION"), "\n"))),
            Long("config") => given.configuration = Some(parser.value().map_err(said)?.into()),
            Long("maintenance") => given.maintenance = Some(parser.value().map_err(said)?.into()),
            Long("listen") => {
                given.listen = Some(parsed(&mut parser, "--listen", "an address such as 127.0.0.1:3080 or [::]:3080")?)
            }
            Long("connections") => {
                let most: usize = parsed(&mut parser, "--connections", "a number from 1 to 65536")?;
                given.connections = Some(most).filter(|most| (1..=65_536).contains(most));
                if given.connections.is_none() {
                    return Err("--connections wants a number from 1 to 65536".into());
                }
            }
            Long("windows") => {
                let windows: usize = parsed(&mut parser, "--windows", "a number from 1 to 1000")?;
                given.windows = Some(windows).filter(|windows| (1..=1000).contains(windows));
                if given.windows.is_none() {
                    return Err("--windows wants a number from 1 to 1000".into());
                }
            }
            Long("from") => {
                let text = parser.value().and_then(|value| value.string()).map_err(said)?;
                // A schedule is in UTC, and so is this.
                let utc = |_| Some(time::UtcOffset::UTC);
                given.from = Some(moment(&text, &utc).map_err(|why| format!("--from: {why}"))?);
            }
            Long("raw") => given.raw = Some(()),
            Value(word) => given.words.push(word.string().map_err(said)?),
            other => return Err(other.unexpected().to_string()),
        }
    }
    given.action()
}

fn parsed<T: std::str::FromStr>(parser: &mut lexopt::Parser, option: &str, what: &str) -> Result<T, String> {
    let text = parser.value().and_then(|value| value.string()).map_err(|error| error.to_string())?;
    text.parse().map_err(|_| format!("{option} wants {what}, not {text:?}"))
}

impl Given {
    fn action(self) -> Result<Action, String> {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        self.fits(words.first().copied().unwrap_or_default())?;
        let configuration = |given: Option<PathBuf>| given.ok_or("--config FILE is missing");
        match words.as_slice() {
            ["help", ..] => Ok(Action::Help),
            ["version"] if self.raw.is_some() => Ok(Action::Version(concat!(env!("CARGO_PKG_VERSION"), "\n"))),
            ["version"] => Ok(Action::Version(concat!("v", env!("CARGO_PKG_VERSION"), "\n"))),
            ["serve"] => Ok(Action::Serve(Serve {
                files: Files { configuration: configuration(self.configuration)?, maintenance: self.maintenance },
                listen: self.listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 3080))),
                connections: self.connections.unwrap_or(512),
            })),
            ["publish", directory] => {
                let files = Files { configuration: configuration(self.configuration)?, maintenance: self.maintenance };
                Ok(Action::Publish(directory.into(), files))
            }
            ["check-config", file] => Ok(Action::Check(Files { configuration: file.into(), maintenance: self.maintenance })),
            ["schedule", file] => Ok(Action::Schedule(file.into(), self.windows.unwrap_or(WINDOWS), self.from)),
            ["publish"] => Err("publish wants a directory".into()),
            ["check-config" | "schedule"] => Err(format!("{} wants a file", words.join(" "))),
            [] => Err("no command".into()),
            ["version" | "serve" | "publish" | "check-config" | "schedule", .., last] => {
                Err(format!("{last:?} is one word too many"))
            }
            [other, ..] => Err(format!("there is no command {other:?}")),
        }
    }

    /// Whether every option goes with the command: one that is ignored would mislead.
    fn fits(&self, command: &str) -> Result<(), String> {
        let options = [
            ("--config", self.configuration.is_some(), ["serve", "publish", ""]),
            ("--maintenance", self.maintenance.is_some(), ["serve", "publish", "check-config"]),
            ("--listen", self.listen.is_some(), ["serve", "", ""]),
            ("--connections", self.connections.is_some(), ["serve", "", ""]),
            ("--windows", self.windows.is_some(), ["schedule", "", ""]),
            ("--from", self.from.is_some(), ["schedule", "", ""]),
            ("--raw", self.raw.is_some(), ["version", "", ""]),
        ];
        let stray = options.iter().find(|(_, is_given, commands)| *is_given && !commands.contains(&command));
        stray.map_or(Ok(()), |(option, ..)| Err(format!("{option} does not go with {command:?}")))
    }
}
