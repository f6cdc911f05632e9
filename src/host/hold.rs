//! Whose hold it is. A hold in a package database has no owner, so ours is marked by a file that lies apart from the record: losing
//! one does not turn our own hold into an administrator's (V14).

use std::fs;
use std::path::PathBuf;

use crate::error::{Class, Error};
use crate::host::durable;
use crate::host::lock::STATE;
use crate::host::machine::Machine;
use crate::host::packages::{self, Later, Packages, State};
use crate::host::transcript::Transcript;
use crate::rules::plan::{Held, HoldAfter};
use crate::rules::policy::{Installer, Package, Repo};

fn marker(machine: &Machine) -> PathBuf {
    machine.path(STATE).join("hold")
}

/// Whether it has been settled whose hold it was that the very first run found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FirstHold {
    /// Not yet: a hold without an owner was left by the stock updater, and is ours to take over.
    #[default]
    Open,
    /// Yes: a hold without an owner is the administrator's.
    Settled,
}

/// Who holds the package.
#[must_use]
pub fn holder(machine: &Machine, packages: &dyn Packages, package: &Package, state: &State, first: FirstHold) -> Held {
    if let Some(other) = &state.holds.other {
        return Held::ByAdministrator(other.clone());
    }
    let marked = claimed(machine).as_ref() == Some(package);
    match (state.holds.plain, marked, first) {
        (false, ..) => Held::No,
        (true, true, _) | (true, false, FirstHold::Open) => Held::ByUs,
        (true, false, FirstHold::Settled) => Held::ByAdministrator(packages.restraint(package)),
    }
}

/// At the very first run on a host: a hold that is there was left by the stock updater's lock, and is taken over as ours. A hold that
/// comes later is the administrator's. Stays open while there is no package to look at.
pub fn settle(machine: &Machine, installer: Option<Installer>, repo: Option<&Repo>, package: Option<&Package>) -> FirstHold {
    let Ok(Some(packages)) = packages::choose(machine, installer, repo) else { return FirstHold::Open };
    let Ok((package, state)) = packages::find_package(&*packages, package) else { return FirstHold::Open };
    if state.holds.plain && claimed(machine).as_ref() != Some(&package) {
        if let Err(error) = claim(machine, &package, &packages.place()) {
            machine.log.warning(error.to_string());
            return FirstHold::Open;
        }
        machine.log.info(format!("{package} is held already: taking the hold over as this program's own."));
    }
    FirstHold::Settled
}

/// Begins to leave the hold as a change is to leave it: an installation may have cleared it, whoever's it was.
pub fn leave<'a>(
    machine: &'a Machine,
    packages: &'a dyn Packages,
    package: &'a Package,
    after: HoldAfter,
    transcript: &'a Transcript,
) -> Later<'a, ()> {
    let begun = match after {
        HoldAfter::Free => return Box::new(move || end(machine, packages, package)),
        HoldAfter::Administrators if packages.clears_holds() => packages.hold(package, transcript),
        HoldAfter::Administrators => return Box::new(|| Ok(())),
        HoldAfter::Ours => take(machine, packages, package, transcript),
    };
    Box::new(move || begun.and_then(|held| held()))
}

/// Begins to hold the package as ours. Claimed first, and not disclaimed when it fails: a claim without a hold does no harm, a hold of ours
/// without a claim would count as the administrator's for ever.
///
/// # Errors
/// When it cannot be claimed.
fn take<'a>(
    machine: &Machine,
    packages: &'a dyn Packages,
    package: &'a Package,
    transcript: &'a Transcript,
) -> Result<Later<'a, ()>, Error> {
    let (before, place) = (place(machine), packages.place());
    claim(machine, package, &place)?;
    if !before.is_empty() && before != place {
        // The operator has named another repository since.
        packages.release(package, &before)?;
    }
    packages.hold(package, transcript)
}

/// Ends our hold, if there is one.
///
/// # Errors
/// When it cannot be ended; then it stays ours.
fn end(machine: &Machine, packages: &dyn Packages, package: &Package) -> Result<(), Error> {
    if marker(machine).exists() { let_go(machine, packages, package) } else { Ok(()) }
}

/// Ends the hold on this package, which is known to be ours.
///
/// # Errors
/// When it cannot be ended; then it stays ours.
pub fn let_go(machine: &Machine, packages: &dyn Packages, package: &Package) -> Result<(), Error> {
    let place = place(machine);
    if !place.is_empty() || packages::state(packages, package)?.holds.plain {
        packages.release(package, &place)?;
        machine.log.info(format!("{package} is no longer held."));
    }
    disclaim(machine);
    Ok(())
}

/// The package whose hold is ours, if there is one.
#[must_use]
pub fn claimed(machine: &Machine) -> Option<Package> {
    fs::read_to_string(marker(machine)).ok()?.lines().next()?.trim().parse().ok()
}

/// Where it lies; see [`Packages::place`].
#[must_use]
pub fn place(machine: &Machine) -> String {
    fs::read_to_string(marker(machine)).ok().and_then(|text| Some(text.lines().nth(1)?.to_owned())).unwrap_or_default()
}

fn claim(machine: &Machine, package: &Package, place: &str) -> Result<(), Error> {
    let path = marker(machine);
    durable::write(&path, format!("{}\n", format!("{package}\n{place}").trim_end()).as_bytes())
        .map_err(|error| Error::new(Class::Disk, format!("{} cannot be written: {error}", path.display()), "df -h /var"))
}

/// From now on no hold is ours: somebody released the one that was.
pub fn disclaim(machine: &Machine) {
    let _ = fs::remove_file(marker(machine));
}
