//! rpm itself, below dnf and zypper alike: what is installed, whose a file is, what is damaged, and what a transaction that died leaves.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Class, Error};
use crate::host::command::{Answer, Argv, ask, exists, query};
use crate::host::machine::Machine;
use crate::host::packages::patience::{Patience, Tried, described, holder};
use crate::host::packages::rpm_reply::{self, ENTRY_FORMAT};
use crate::host::packages::trouble::{Trouble, explained};
use crate::host::packages::{Later, exclude};
use crate::host::process::{command_line, pid_in};
use crate::host::transcript::{Ended, Transcript, change};
use crate::rules::moment::Moment;
use crate::rules::policy::{Package, Repo};

/// A question to the package database takes well under a second; a cold disk, or a program of 200 MB, some more.
pub(super) const QUESTION: Duration = Duration::from_secs(120);
/// rpm's lock while it changes something, in the old place of its database and in the new one.
const LOCKS: [&str; 2] = ["/var/lib/rpm/.rpm.lock", "/usr/lib/sysimage/rpm/.rpm.lock"];
/// Files of repositories are small.
const LONGEST: u64 = 1024 * 1024;
/// The repository's id, as the vendor's instructions have it.
const DEFAULT: &str = "teleport";

/// Where the agent's packages come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// One repository: its id, and the file that says so.
    Repository { id: String, file: PathBuf },
    /// Wherever the host is configured to: no repository bears the expected id.
    Every,
}

impl Source {
    /// The repository that `repo` names, or `teleport` if there is one, or every one; looked for in these directories.
    pub(super) fn find(machine: &Machine, directories: &[&str], repo: Option<&Repo>) -> Result<Self, Error> {
        let id = repo.map_or(DEFAULT, Repo::as_str);
        let files = files(machine, directories, "repo");
        let named = files.iter().find_map(|file| Some((file, text(file)?)).filter(|(_, text)| exclude::has_section(text, id)));
        match (named, repo) {
            (Some((file, text)), _) if !exclude::is_disabled(&text, id) => {
                return Ok(Self::Repository { id: id.to_owned(), file: file.clone() });
            }
            // Whoever switched it off gets the agent from elsewhere.
            (_, None) => return Ok(Self::Every),
            (Some((file, _)), Some(_)) => {
                return Err(Error::new(
                    Class::Config,
                    format!("`repo` says {id}, and that repository is disabled in {}", file.display()),
                    "enable it there, or name another one in the file `repo`",
                ));
            }
            (None, Some(_)) => {}
        }
        let present: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        let present = if present.is_empty() { "none".to_owned() } else { present.join(", ") };
        Err(Error::new(
            Class::Config,
            format!("`repo` says {id}, but no repository file below {} has a section [{id}]", directories.join(" or ")),
            format!("name the section of one of these files ({present}) or remove the file `repo`"),
        ))
    }
}

/// The files with that ending in these directories, in order.
pub(super) fn files(machine: &Machine, directories: &[&str], ending: &str) -> Vec<PathBuf> {
    let entries = directories.iter().filter_map(|directory| std::fs::read_dir(machine.path(directory)).ok()).flatten().flatten();
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == ending)).collect();
    files.sort_unstable();
    files
}

/// A configuration file of the package manager, if it can be read.
pub(super) fn text(file: &Path) -> Option<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(file).ok()?.take(LONGEST).read_to_string(&mut text).ok()?;
    Some(text)
}

/// What the database has of these packages; see [`rpm_reply::state`].
pub(super) fn installed(machine: &Machine, packages: &[Package]) -> Result<String, Error> {
    let names = packages.iter().map(Package::as_str);
    let argv = Argv::new("rpm", ["-q", "--qf", ENTRY_FORMAT].into_iter().chain(names));
    let answer = query(machine, &argv, QUESTION)?;
    // The exit code is the number of those that are not there.
    let failed = answer.stderr.lines().find(|line| line.contains("error:"));
    match failed {
        Some(_) if !answer.success => Err(explained(
            "rpm cannot read the package database",
            rpm_reply::trouble(&answer.stderr),
            &answer.ending,
            answer.last_lines(),
        )),
        _ => Ok(answer.stdout),
    }
}

/// The version of the package in the database, if it is there.
pub(super) fn version(machine: &Machine, package: &Package) -> Result<Option<String>, Error> {
    Ok(rpm_reply::entries(&installed(machine, std::slice::from_ref(package))?, package.as_str()).pop())
}

/// How much room the installed version takes, in bytes: the next one takes about as much.
pub(super) fn size(machine: &Machine, package: &Package) -> Result<u64, Error> {
    let answer = query(machine, &Argv::new("rpm", ["-q", "--qf", "%{SIZE}\\n", package.as_str()]), QUESTION)?;
    Ok(answer.stdout.lines().filter_map(|line| line.parse().ok()).max().unwrap_or_default())
}

/// Puts a kept file in place: one entry in the database first, then as everything else is installed, by `manager`; where that will not,
/// rpm itself has to.
pub(super) fn put(
    machine: &Machine,
    patience: &Patience,
    package: &Package,
    wanted: &str,
    file: &Path,
    transcript: &Transcript,
    manager: impl Fn() -> Result<(), Error>,
) -> Result<(), Error> {
    finish(machine, patience, package, transcript)?;
    let tried = manager();
    if version(machine, package)?.as_deref() == Some(wanted) && damage(machine, package.as_str())?()?.is_empty() {
        return tried;
    }
    if let Err(error) = tried {
        if rpm_reply::trouble(&error.tool_said.join("\n")) == Some(Trouble::Key) {
            // rpm alone would not ask for a signature.
            return Err(error);
        }
        machine.log.warning(format!("{error}\n    trying it with rpm alone."));
    }
    let argv = Argv::new("rpm", ["-U", "--oldpackage", "--replacepkgs", &file.display().to_string()]);
    let ended = patience.wait(machine, || {
        let ended = change(machine, transcript, &argv)?;
        Ok(locked(machine, ended.success, &ended.output, || at_work(machine)).map_or(Tried::Ran(ended), Tried::Locked))
    })?;
    self::ended(machine, &format!("`{argv}` failed"), &ended)
}

/// The command for a person who has to put a file in place.
pub(super) fn file_by_hand(file: &Path) -> String {
    format!("rpm -U --oldpackage --replacepkgs {}", file.display())
}

/// Whether a file is signed by a key that this host trusts: rpm's own word, since not every dnf looks before it only downloads.
pub(super) fn is_signed(machine: &Machine, file: &Path) -> bool {
    let answer = query(machine, &Argv::new("rpm", ["-K", &file.display().to_string()]), QUESTION);
    answer.is_ok_and(|answer| answer.success && (answer.stdout.contains("signatures OK") || answer.stdout.contains(" pgp ")))
}

/// Asks a program that may find somebody's lock; `at_work` names whom it does not name itself.
pub(super) fn tried(machine: &Machine, argv: &Argv, at_work: impl Fn() -> Option<String>) -> Result<Tried<Answer>, Error> {
    let answer = query(machine, argv, QUESTION)?;
    let said = format!("{}\n{}", answer.stdout, answer.stderr);
    Ok(locked(machine, answer.success, &said, at_work).map_or(Tried::Ran(answer), Tried::Locked))
}

/// Whether that is what is written when somebody has a lock; then who, if that can be told.
pub(super) fn locked(
    machine: &Machine,
    success: bool,
    output: &str,
    at_work: impl Fn() -> Option<String>,
) -> Option<Option<String>> {
    (!success && rpm_reply::trouble(output) == Some(Trouble::Locked))
        .then(|| rpm_reply::holder(output).map(|pid| described(machine, pid)).or_else(at_work))
}

/// What came of an installation, by the words of those who made it.
pub(super) fn ended(machine: &Machine, what: &str, ended: &Ended) -> Result<(), Error> {
    for file in rpm_reply::kept_conffiles(&ended.output) {
        machine
            .log
            .warning(format!("{file} was changed on this host and in the package: it is kept, the package's is {file}.rpmnew."));
    }
    let trouble = rpm_reply::trouble(&ended.output);
    // Neither calls a failed %post a failure (V9).
    if ended.success && trouble != Some(Trouble::Script) {
        return Ok(());
    }
    Err(explained(what, trouble, &ended.ending, ended.last_lines()))
}

/// Whether the file came with the package.
pub(super) fn owns(machine: &Machine, package: &Package, file: &Path) -> Result<bool, Error> {
    let file = file.strip_prefix(&machine.root).map_or_else(|_| file.to_owned(), |below| Path::new("/").join(below));
    let answer = query(machine, &Argv::new("rpm", ["-qf", "--qf", "%{NAME}\\n", &file.display().to_string()]), QUESTION)?;
    Ok(answer.success && answer.stdout.lines().any(|name| name == package.as_str()))
}

/// Begins to verify the programs of a package, or of one `NAME-VERSION-RELEASE` of it.
pub(super) fn damage<'m>(machine: &'m Machine, entry: &str) -> Result<Later<'m, Vec<String>>, Error> {
    let asked = ask(machine, Argv::new("rpm", ["-V", "--noconfig", "--nodeps", entry]))?;
    Ok(Box::new(move || Ok(rpm_reply::damage(&asked.answer(machine, QUESTION)?.stdout))))
}

/// Files of the package, of whatever kind, whose contents are not as installed and were changed on disk since then. rpm replaces one file
/// after the other, and until the last one its database says nothing of it.
pub(super) fn touched(machine: &Machine, package: &Package, since: Moment) -> Result<Vec<String>, Error> {
    use std::os::unix::fs::MetadataExt;
    let answer = ask(machine, Argv::new("rpm", ["-V", "--nodeps", package.as_str()]))?.answer(machine, QUESTION)?;
    let was_changed = |path: &&str| machine.path(path).symlink_metadata().is_ok_and(|is| is.ctime() >= since.unix());
    Ok(rpm_reply::changed(&answer.stdout).into_iter().filter(was_changed).map(str::to_owned).collect())
}

/// A transaction that died leaves two versions in the database, and both managers find nothing to do (V10): the one whose programs are
/// in place stays, or the newest; the other is forgotten.
pub(super) fn finish(machine: &Machine, patience: &Patience, package: &Package, transcript: &Transcript) -> Result<(), Error> {
    let entries = rpm_reply::entries(&installed(machine, std::slice::from_ref(package))?, package.as_str());
    let named = |entry: &String| format!("{package}-{}", entry.rsplit_once(':').map_or(entry.as_str(), |(_, version)| version));
    let whole =
        entries.iter().rev().find(|entry| damage(machine, &named(entry)).and_then(|answer| answer()).is_ok_and(|d| d.is_empty()));
    let Some(kept) = whole.or(entries.last()) else { return Ok(()) };
    for other in entries.iter().filter(|entry| *entry != kept) {
        let argv = Argv::new("rpm", ["-e", "--justdb", "--noscripts", &named(other)]);
        let ended = patience.wait(machine, || {
            let ended = change(machine, transcript, &argv)?;
            Ok(locked(machine, ended.success, &ended.output, || at_work(machine)).map_or(Tried::Ran(ended), Tried::Locked))
        })?;
        if !ended.success {
            let what = format!("`{argv}` failed");
            return Err(explained(&what, rpm_reply::trouble(&ended.output), &ended.ending, ended.last_lines()));
        }
    }
    Ok(())
}

/// Who has rpm's lock, in words.
pub(super) fn at_work(machine: &Machine) -> Option<String> {
    holder(machine, &LOCKS)
}

/// The process that one of these files names, if it is one of those programs still: the files outlive a program that was killed, and even a
/// restart of the host.
pub(super) fn noted(machine: &Machine, files: &[&str], programs: &[&str]) -> Option<String> {
    let pids = files.iter().filter_map(|file| pid_in(&machine.path(file)));
    pids.map(|pid| (pid, command_line(machine, pid).to_lowercase()))
        .find(|(_, command)| programs.iter().any(|program| command.contains(program)))
        .map(|(pid, _)| described(machine, pid))
}

/// Whether this host has rpm at all.
pub(super) fn is_here(machine: &Machine) -> bool {
    exists(machine, "rpm")
}
