//! What package scripts call: `setup` after our package was installed or upgraded, `release` before it is removed. Neither touches the
//! agent.

use std::path::Path;

use crate::config;
use crate::error::{Class, Error};
use crate::host::hold::{self, FirstHold};
use crate::host::lock::Lock;
use crate::host::machine::Machine;
use crate::host::packages;
use crate::host::record::{self, Ledger};
use crate::host::{enrolment, ownership, timer, transient};
use crate::rules::facts::{Enrolment, NOT_ENROLLED};
use crate::rules::policy::{Installer, Package};
use crate::upgrade::{publish, root_only};

/// Makes this host ready for its first run: the timer has its offset; at the first installation the configuration directory is root's, and
/// a hold that the stock updater left is ours. Says when the agent that runs has to be restarted to export its windows. Twice is as good as
/// once.
///
/// # Errors
/// The first thing that could not be done; the others were done all the same.
pub fn setup(machine: &Machine, directory: &Path) -> Result<(), Error> {
    root_only(machine, "setup")?;
    let offset = timer::settle_offset(machine);
    let settled = settle(machine, directory);
    match enrolment::look(machine) {
        Enrolment::AfterRestart => machine.log.info(NOT_ENROLLED),
        Enrolment::Enrolled | Enrolment::NotArranged | Enrolment::NotNeeded | Enrolment::Unknown => {}
    }
    settled.and(offset)
}

/// What is done once on a host: what somebody writes into the configuration later, or holds later, is an administrator's or an intruder's,
/// and no upgrade of our package may bless it (V14, V24).
fn settle(machine: &Machine, directory: &Path) -> Result<(), Error> {
    let lock = match Lock::take(machine) {
        Ok(lock) => lock,
        // A run is at work, so this is no first installation.
        Err(error) if error.class == Class::Busy => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut ledger = Ledger::open(machine, &lock)?;
    if ledger.record.first_hold == FirstHold::Settled {
        return Ok(());
    }
    let mended = ownership::mend(machine, directory).map(|said| said.iter().for_each(|line| machine.log.warning(line)));
    // The stock updater's memory; ours is elsewhere.
    let _ = std::fs::remove_file(directory.join("mark-unhealthy"));
    let loaded = config::load(directory, machine.superuser);
    let policy = loaded.as_ref().ok().map(|loaded| &loaded.policy);
    let installer = policy.and_then(|policy| policy.installer).filter(|installer| *installer != Installer::Nop);
    let _ = hold::settle(
        machine,
        installer,
        policy.and_then(|policy| policy.repo.as_ref()),
        policy.and_then(|policy| policy.package.as_ref()),
    );
    // Also where there is no agent yet: its hold will be the administrator's.
    ledger.record.first_hold = FirstHold::Settled;
    mended.and(ledger.save()).and(loaded.map(drop))
}

/// Ends our hold, because nobody will move the package any more. While a package manager is at work, which may be the one that removes
/// us, that goes on in a unit of its own until its lock is free.
///
/// # Errors
/// When it cannot be ended.
pub fn release(machine: &Machine, directory: &Path, package: Option<Package>) -> Result<(), Error> {
    root_only(machine, "release")?;
    if let Ok(record) = record::read(machine) {
        publish::withdraw(machine, &record);
    }
    let policy = config::load(directory, machine.superuser).ok().map(|loaded| loaded.policy);
    let configured = policy.and_then(|policy| packages::choose(machine, policy.installer, policy.repo.as_ref()).ok().flatten());
    // What is configured may be gone by now, or say that others install: the hold is ours all the same.
    let Some(packages) = configured.map_or_else(|| packages::choose(machine, None, None), |packages| Ok(Some(packages)))? else {
        return Ok(());
    };
    if let Some(package) = package {
        return hold::let_go(machine, &*packages, &package);
    }
    let Some(package) = hold::claimed(machine) else { return Ok(()) };
    match packages.at_work() {
        Some(_) if hold::place(machine).is_empty() => transient::leave(machine, "release", &["release", package.as_str()]),
        _ => hold::let_go(machine, &*packages, &package),
    }
}
