//! Package managers behind one trait. A new one is a file beside `apt.rs`, a variant of `Installer`, and two lines in `choice`.
//!
//! Exit codes of package managers are not verdicts (V9). Every method that changes something only says whether the manager could
//! be made to try; what came of it is asked of [`Packages::state`], [`Packages::damage`] and the agent's binary.

mod apt;
mod apt_files;
mod apt_reply;
mod apt_simulation;
mod apt_source;
mod choice;
mod dnf;
mod dnf_files;
mod dnf_options;
mod dnf_reply;
mod dnf_restraints;
mod exclude;
mod files;
mod glob;
mod patience;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod rpm;
mod rpm_reply;
mod trouble;
mod zypper;
mod zypper_files;
mod zypper_locks;
mod zypper_reply;

use std::path::{Path, PathBuf};

use crate::error::{Class, Error};
use crate::host::machine::Machine;
pub use crate::host::packages::choice::choose;
use crate::host::transcript::Transcript;
use crate::rules::moment::Moment;
use crate::rules::plan::Restraint;
use crate::rules::policy::Package;
use crate::rules::release::Release;
use crate::rules::room::Needs;

/// What the package database says about a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The version, spelled as the database spells it; `None` when the package is not there.
    pub version: Option<String>,
    /// Whether every step of its installation is done; else the database's word for where it stopped.
    pub completeness: Completeness,
    /// What keeps it at its version.
    pub holds: Holds,
}

impl State {
    /// Of a package that is not there.
    #[must_use]
    pub fn absent() -> Self {
        Self { version: None, completeness: Completeness::Complete, holds: Holds::default() }
    }
}

/// What keeps a package at its version against the package manager.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holds {
    /// A hold as this program sets it: on this very package, and on nothing else. Whose it is cannot be seen in it.
    pub plain: bool,
    /// Another one, which only an administrator can have set.
    pub other: Option<Restraint>,
}

/// How far a package's installation got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completeness {
    /// All of it.
    Complete,
    /// It stopped there, in the database's word: `half-configured`, `unpacked`, ...
    Stopped(String),
}

/// What the repository has of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Available {
    /// Its versions as the repository spells them, newest first, and whether the administrator's pins forbid them.
    pub versions: Vec<Candidate>,
    /// Where they come from, in words.
    pub origin: String,
}

/// One version in the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// As the repository spells it.
    pub version: String,
    /// The administrator's priority, when it forbids this version (a negative one does).
    pub forbidden: Option<i64>,
}

/// Whether it can be a version, however it is spelled. Nothing else that a tool or a repository says is one gets onto a command line.
fn is_version(text: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '~' | ':' | '-' | '_' | '^');
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(part)
}

/// A change of one package that the manager has simulated and that moves nothing else but what it depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// The package.
    pub package: Package,
    /// The version, as the manager spells it.
    pub version: String,
    /// What the manager may draw on.
    pub reach: Reach,
    /// Dependencies that come along, in words; usually none.
    pub along: Vec<String>,
    /// How much room it takes.
    pub needs: Needs,
}

/// Which repositories a change draws on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The agent's alone: a foreign repository that is broken does not matter (H10).
    Own,
    /// Every one that the host has configured: the agent's package depends on something that is not installed.
    Every,
}

/// What a change was simulated to move, in words but for our own package.
pub(super) struct Moved {
    pub(super) ours: usize,
    /// What our package depends on.
    pub(super) along: Vec<String>,
    pub(super) foreign: Vec<String>,
}

/// What a manager calls a kind of change, which is said again with each package; the longest known one is "Installing weak dependencies".
fn label(text: &str) -> &str {
    const LONGEST: usize = 60;
    text.char_indices().nth(LONGEST).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

impl Moved {
    /// Refuses what moves anything but the package and, where they must come along, what it depends on (H20); `by_hand` is for a person who
    /// wants to look at it.
    pub(super) fn checked(self, transaction: Transaction, word: &str, by_hand: &str) -> Result<Transaction, Error> {
        let refused = |what: String| Err(Error::new(Class::Repository, what, format!("look at it and decide: {by_hand}")));
        if !self.foreign.is_empty() {
            return refused(format!(
                "installing {word} would also change packages that are not ours to change: {}",
                self.foreign.join("; ")
            ));
        }
        if self.ours == 0 {
            return refused(format!("nothing would be done to install {word}"));
        }
        Ok(Transaction { along: self.along, ..transaction })
    }
}

/// What can be said of the repository without asking it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lists {
    /// What this host knew when it last asked, if that can be told when.
    Refreshed(Option<Moment>),
    /// Nothing: the manager would write caches and logs even to answer a question.
    LeaveTraces,
}

/// One thing that a manager does, for saying beforehand what would be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Ask the repository what it has now.
    Refresh,
    /// Download the package, then install it.
    Install,
    /// Hold the package at its version.
    Hold,
}

/// An answer that is being worked out.
pub type Later<'a, T> = Box<dyn FnOnce() -> Result<T, Error> + 'a>;

/// What a way to move packages does with single files of the agent's package, for the way back and before a window opens.
pub trait Files {
    /// Downloads and verifies the package's file of that version, spelled as the manager spells it, whether that is installed now or not;
    /// installs nothing.
    ///
    /// # Errors
    /// What the repository or the network answered.
    fn fetch(&self, package: &Package, version: &str, transcript: &Transcript) -> Result<(), Error>;

    /// The package's file of that release, if it was fetched or installed from and still lies where the manager downloads to.
    fn fetched(&self, package: &Package, release: &Release) -> Option<PathBuf>;

    /// Removes what lies where the manager downloads to, but for one release of the package.
    fn forget(&self, package: &Package, but: Option<&Release>);

    /// Installs a file that was kept, up or down, over whatever is there, also without network; what came of it is to be looked at.
    ///
    /// # Errors
    /// When the manager says that it did not: an explanation, not a verdict.
    fn install_file(&self, package: &Package, version: &str, file: &Path, transcript: &Transcript) -> Result<(), Error>;
}

/// A way to move the agent's package.
pub trait Packages: Files {
    /// Its name, as in the file `installer`.
    fn name(&self) -> &'static str;

    /// `16.2.0` as this manager spells the version of a package.
    fn spelling(&self, release: &Release) -> String;

    /// The release that this spelling means, if it is one of the agent's.
    fn release_of(&self, spelled: &str) -> Option<Release>;

    /// `teleport-ent=16.2.0`: the words for one package at one version, as people give them to this manager.
    fn words(&self, package: &Package, release: &Release) -> String;

    /// The command for a person who has to do it by hand.
    fn by_hand(&self, package: &Package, release: &Release) -> String;

    /// The same for a file of the package, with nothing but what every host of its family has.
    fn file_by_hand(&self, file: &Path) -> String;

    /// Where packages come from, in words.
    fn repository(&self) -> String;

    /// What is known of the repository on this host.
    fn lists(&self) -> Lists;

    /// A plain hold on the package, in words.
    fn restraint(&self, package: &Package) -> Restraint;

    /// Whether installing a package ends its hold.
    fn clears_holds(&self) -> bool;

    /// The commands of one act, as a person would type them.
    fn would(&self, act: Act, package: &Package, release: &Release) -> Vec<String>;

    /// What the package database says about each of these, in their order.
    ///
    /// # Errors
    /// When the database cannot be asked.
    fn states(&self, packages: &[Package]) -> Result<Vec<State>, Error>;

    /// Whether this file, a path with all links resolved, came with the package.
    ///
    /// # Errors
    /// When the database cannot be asked.
    fn owns(&self, package: &Package, file: &Path) -> Result<bool, Error>;

    /// Begins to look for programs of the package that are missing or not as they were installed. Other files do not count: an
    /// administrator may have changed the unit, and minimal images exclude documentation. That takes as long as reading all of them: the
    /// answer comes when it is called for.
    ///
    /// # Errors
    /// When the files cannot be checked.
    fn damage<'a>(&'a self, package: &Package) -> Result<Later<'a, Vec<String>>, Error>;

    /// Files of the package, of whatever kind, that are not as they were installed and were changed on disk since then: what a change that
    /// died has replaced, where the database does not say so by itself ([`State::completeness`]).
    ///
    /// # Errors
    /// When the files cannot be checked.
    fn touched(&self, _package: &Package, _since: Moment) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }

    /// Asks the agent's repository, and no other, what it has now.
    ///
    /// # Errors
    /// What the repository or the network answered.
    fn refresh(&self, transcript: &Transcript) -> Result<(), Error>;

    /// Begins to ask what the repository has, as of the last refresh.
    ///
    /// # Errors
    /// When the manager cannot be asked.
    fn available<'a>(&'a self, package: &Package) -> Result<Later<'a, Available>, Error>;

    /// Simulates the change and refuses it if it would touch what is not ours to touch (H20). Changes nothing.
    ///
    /// # Errors
    /// [`Class::Repository`] with the list of what it would touch, or with the manager's own words.
    fn simulate(&self, package: &Package, release: &Release) -> Result<Transaction, Error>;

    /// Downloads and verifies everything that the transaction needs, and only then installs it, up or down.
    ///
    /// # Errors
    /// When the manager says that it did not: an explanation, not a verdict.
    fn install(&self, transaction: &Transaction, transcript: &Transcript) -> Result<(), Error>;

    /// Finishes an installation that stopped half-way, of this package only (H01).
    ///
    /// # Errors
    /// When the manager says that it could not: an explanation, not a verdict.
    fn finish(&self, package: &Package, transcript: &Transcript) -> Result<(), Error>;

    /// Begins to hold the package at its version; that somebody has the lock is found, and waited for, when it is called for.
    ///
    /// # Errors
    /// When the manager would not.
    fn hold<'a>(&'a self, package: &'a Package, transcript: &'a Transcript) -> Result<Later<'a, ()>, Error>;

    /// Where a hold lies, if that is a file which nobody locks and the operator's settings choose; else nothing.
    fn place(&self) -> String {
        String::new()
    }

    /// Ends the hold, which lies at that [`Packages::place`], waiting for a lock that somebody has. Writes nothing of ours: our own state
    /// may be gone by then.
    ///
    /// # Errors
    /// When the manager would not.
    fn release(&self, package: &Package, place: &str) -> Result<(), Error>;

    /// Who holds the manager's own locks now, in words.
    fn at_work(&self) -> Option<String>;
}

/// Where package databases lie, and the journals of what is not written there yet: dpkg's, and sqlite's.
const DATABASES: [&str; 9] = [
    "/var/lib/dpkg/status",
    "/var/lib/dpkg/updates",
    "/var/lib/rpm/rpmdb.sqlite",
    "/var/lib/rpm/rpmdb.sqlite-wal",
    "/var/lib/rpm/Packages.db",
    "/var/lib/rpm/Packages",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite-wal",
    "/usr/lib/sysimage/rpm/Packages.db",
];

/// Sizes and times of the package databases of this host: while these are the same, nothing was installed, configured or removed.
#[must_use]
pub fn database(machine: &Machine) -> String {
    use std::os::unix::fs::MetadataExt;
    let known = DATABASES.iter().filter_map(|path| Some((path, machine.path(path).metadata().ok()?)));
    let lines = known.filter_map(|(path, m)| match path.ends_with("-wal") {
        // Whoever only reads makes it, and empties it again.
        true => (m.size() > 0).then(|| format!("{path} {}", m.size())),
        false => Some(format!("{path} {} {}.{}", m.size(), m.mtime(), m.mtime_nsec())),
    });
    lines.collect::<Vec<String>>().join("; ")
}

/// Where administrators hold packages besides the package databases: dnf's and zypper's settings.
const RESTRAINTS: [&str; 10] = [
    "/etc/dnf/dnf.conf",
    "/etc/yum.conf",
    "/etc/yum/yum.conf",
    "/etc/dnf/plugins/versionlock.conf",
    "/etc/yum/pluginconf.d/versionlock.conf",
    "/etc/dnf/plugins/versionlock.list",
    "/etc/dnf/versionlock.toml",
    "/etc/zypp/locks",
    "/etc/zypp/zypp.conf",
    "/usr/etc/zypp/zypp.conf",
];
/// The directories of such files: repositories, and what dnf5 lays over them and over its settings.
const RESTRAINT_PARTS: [&str; 7] = [
    "/etc/yum.repos.d",
    "/etc/yum/repos.d",
    "/etc/distro.repos.d",
    "/etc/dnf/libdnf5.conf.d",
    "/usr/share/dnf5/libdnf.conf.d",
    "/etc/dnf/repos.override.d",
    "/usr/share/dnf5/repos.override.d",
];

/// While this is the same nobody has begun or ended a hold: the package databases, and where else holds lie, unless a setting names
/// another file for them.
#[must_use]
pub fn evidence_of_holds(machine: &Machine) -> String {
    use std::os::unix::fs::MetadataExt;
    let parts = RESTRAINT_PARTS.iter().filter_map(|path| std::fs::read_dir(machine.path(path)).ok());
    let mut files: Vec<std::path::PathBuf> = parts.flatten().flatten().map(|entry| entry.path()).collect();
    files.extend(RESTRAINTS.iter().map(|path| machine.path(path)));
    files.sort_unstable();
    let files = files.iter().filter_map(|path| Some((path.display(), path.metadata().ok()?)));
    let lines = files.map(|(path, m)| format!("; {path} {} {}.{}", m.size(), m.mtime(), m.mtime_nsec()));
    database(machine) + &lines.collect::<String>()
}

/// What the package database says about one package.
///
/// # Errors
/// When the database cannot be asked.
pub fn state(packages: &dyn Packages, package: &Package) -> Result<State, Error> {
    Ok(packages.states(std::slice::from_ref(package))?.pop().unwrap_or_else(State::absent))
}

/// The agent's package: the configured one, or the installed one of the known ones.
///
/// # Errors
/// [`Class::Config`] when it is not installed: a run moves an agent, it never brings one back that somebody removed.
pub fn find_package(packages: &dyn Packages, configured: Option<&Package>) -> Result<(Package, State), Error> {
    let known: Vec<Package> = Package::KNOWN.iter().filter_map(|name| name.parse().ok()).collect();
    let wanted = configured.map_or(known.as_slice(), std::slice::from_ref);
    let states = packages.states(wanted)?;
    if let Some((package, state)) = wanted.iter().zip(states).find(|(_, state)| state.version.is_some()) {
        return Ok((package.clone(), state));
    }
    let names: Vec<&str> = wanted.iter().map(Package::as_str).collect();
    Err(Error::new(
        Class::Config,
        format!("no agent to upgrade: {} is not installed", names.join(" or ")),
        "install the agent's package, or name it in the file `package`",
    ))
}
