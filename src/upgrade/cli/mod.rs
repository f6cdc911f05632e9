//! The command line of `teleport-upgrade`: words to an action, and the action to an exit code. Parsing does nothing.

mod commands;
mod words;

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::config::DEFAULT_DIRECTORY;
use crate::error::{Class, Error, Exit};
use crate::host::machine::Machine;
use crate::host::transient;
use crate::log::Volume;
use crate::rules::facts::Mandate;
use crate::upgrade::cli::words::{Action, Request, Spelling, parse};
use crate::upgrade::install::install;
use crate::upgrade::status::{self, Form};
use crate::upgrade::{Outcome, dry_run, pause, rollback, run, setup};

/// Runs the program on the real machine with the process's own arguments.
#[must_use]
pub fn main() -> u8 {
    let exit = match parse(lexopt::Parser::from_env()) {
        Err(usage) => {
            complain(&usage);
            Exit::Usage
        }
        Ok(Request { action: Action::Help(None), .. }) => print(&commands::help()),
        Ok(Request { action: Action::Help(Some(command)), .. }) => print(&commands::help_on(command)),
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
        Action::Pause(wish) => pause::pause(machine, &wish).map(|()| done),
        Action::Resume => pause::resume(machine).map(|()| done),
        Action::Status(ask, form) => {
            let report = status::status(machine, &directory, ask);
            print(&match form {
                Form::Json => status::document::of(&report),
                Form::Screen => status::screen::of(&report, &*machine.zone, Machine::colours()),
            });
            Ok(report.condition().exit())
        }
        Action::DryRun => dry_run(machine, &directory).map(|()| done),
        // Answered before a machine was looked at.
        Action::Help(_) | Action::Version(_) => Ok(done),
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

/// Prints what was asked for. A reader that has gone away is no reason to fail.
fn print(text: &str) -> Exit {
    let _ = std::io::stdout().write_all(text.as_bytes());
    Exit::Done
}

/// A wrong command line is answered with what is wrong, and the whole help.
fn complain(usage: &Error) {
    let _ = std::io::stderr().write_all(format!("teleport-upgrade: {}\n\n{}", usage.what, commands::help()).as_bytes());
}
