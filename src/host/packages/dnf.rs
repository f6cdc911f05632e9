//! RHEL, Rocky, Alma, Oracle, Amazon Linux and Fedora, through dnf 4 or 5; `yum` is another name of it there (V22). What each option is for
//! stands beside it; what the tools were seen to do is V9, V10, V15 and V18 to V22 in docs/facts.md.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Class, Error};
use crate::host::command::{Answer, Argv, query};
use crate::host::durable;
use crate::host::machine::Machine;
use crate::host::packages::dnf_restraints::Restraints;
use crate::host::packages::patience::{Patience, Tried};
use crate::host::packages::rpm::{self, QUESTION, Source, text};
use crate::host::packages::trouble::{Trouble, explained};
use crate::host::packages::{Act, Available, Later, Lists, Packages, Reach, State, Transaction};
use crate::host::packages::{Holds, dnf_reply, exclude, rpm_reply};
use crate::host::transcript::{Ended, Transcript, change};
use crate::rules::moment::Moment;
use crate::rules::plan::Restraint;
use crate::rules::policy::{Package, Repo};
use crate::rules::release::Release;
use crate::rules::room::Needs;

/// Where repositories are configured (dnf.conf(5), `reposdir`).
const REPOSITORIES: [&str; 3] = ["/etc/yum.repos.d", "/etc/yum/repos.d", "/etc/distro.repos.d"];
/// Whose process id dnf 4 keeps while it works, beside rpm's own lock.
const PID_FILES: [&str; 3] =
    ["/var/cache/dnf/metadata_lock.pid", "/var/cache/dnf/download_lock.pid", "/var/lib/dnf/rpmdb_lock.pid"];
/// The keys that rpm trusts, for repository metadata: dnf keeps a key ring of its own for that, and fills it from `gpgkey=` without a question.
pub(super) const KEYS: &str = "/var/lib/teleport-upgrade/private/keys.asc";

/// A dozen repositories that have not been asked for a while.
const EVERY_REPOSITORY: Duration = Duration::from_secs(600);

/// The command lines of 4 and 5 differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Generation {
    Four,
    Five,
}

/// dnf on one machine, restricted to one repository where there is one.
pub(super) struct Dnf<'m> {
    pub(super) machine: &'m Machine,
    /// `dnf` or `yum`, as the operator calls it.
    pub(super) name: &'static str,
    pub(super) program: &'static str,
    pub(super) generation: Generation,
    pub(super) source: Source,
    pub(super) patience: Patience,
}

impl<'m> Dnf<'m> {
    pub(super) fn new(machine: &'m Machine, name: &'static str, repo: Option<&Repo>) -> Result<Self, Error> {
        let program = [name, "dnf", "yum"].into_iter().find(|program| machine.program(program).is_some()).unwrap_or("dnf");
        let generation = generation(machine, program)?;
        let source = Source::find(machine, &REPOSITORIES, repo)?;
        Ok(Self { machine, name, program, generation, source, patience: Patience::default() })
    }

    pub(super) fn restraints(&self) -> Restraints<'_> {
        Restraints { machine: self.machine, source: &self.source }
    }

    pub(super) fn id(&self) -> Option<&str> {
        match &self.source {
            Source::Repository { id, .. } => Some(id),
            Source::Every => None,
        }
    }

    fn refreshing(&self) -> Argv {
        Argv::new(self.program, ["-y"]).and_all(self.scope(Reach::Own)).and(&["--refresh", "makecache"])
    }

    fn looking(&self, package: &Package) -> Argv {
        Argv::new(self.program, ["-q", "-C"]).and_all(self.scope(Reach::Own)).and_all(self.past_holds(package)).and(&[
            "repoquery",
            "--available",
            "--qf",
            dnf_reply::CANDIDATE_FORMAT,
            package.as_str(),
        ])
    }

    /// One call downloads and installs: dnf fetches and verifies everything before rpm starts.
    pub(super) fn installing(
        &self,
        how: &[&str],
        reach: Reach,
        package: &Package,
        version: &str,
        installed: Option<&str>,
    ) -> Argv {
        // The same version is put in place again only when it is asked for by this name (H02).
        let verb = if rpm_reply::is_installed(version, installed) { "reinstall" } else { "install" };
        Argv::new(self.program, how.iter().copied())
            .and_all(self.scope(reach))
            .and_all(self.past_holds(package))
            .and_all(self.not_from_others(reach, package))
            // It deletes what it has installed from, unless it is told not to: that file is the way back some day.
            .and(&["--setopt=keepcache=1", "--setopt=install_weak_deps=0", verb, &format!("{package}-{version}")])
    }

    /// As rpm spells it; a pre-release has two ways, and only the repository knows which.
    fn spelled(&self, package: &Package, release: &Release) -> Result<String, Error> {
        if !release.is_pre_release() {
            return Ok(self.spelling(release));
        }
        let answer = self.patient_query(&self.looking(package))?;
        let candidates = dnf_reply::candidates(&answer.stdout, package.as_str());
        let found = candidates.into_iter().find(|candidate| rpm_reply::release_of(&candidate.version).as_ref() == Some(release));
        Ok(found.map_or_else(|| self.spelling(release), |candidate| candidate.version))
    }

    /// Lets dnf work, waiting for its locks up to the ceiling; whether it succeeded is the caller's to judge.
    pub(super) fn work(&self, argv: &Argv, transcript: &Transcript) -> Result<Ended, Error> {
        self.patience.wait(self.machine, || {
            let ended = change(self.machine, transcript, argv)?;
            let locked = rpm::locked(self.machine, ended.success, &ended.output, || self.at_work());
            Ok(locked.map_or(Tried::Ran(ended), Tried::Locked))
        })
    }

    /// Asks dnf; even a question needs its lock.
    fn patient_query(&self, argv: &Argv) -> Result<Answer, Error> {
        self.patience.wait(self.machine, || rpm::tried(self.machine, argv, || self.at_work()))
    }

    /// The keys that rpm trusts, in a file.
    fn lay_out_keys(&self) -> Result<(), Error> {
        let answer = query(self.machine, &Argv::new("rpm", ["-q", "gpg-pubkey", "--qf", "%{DESCRIPTION}\\n"]), QUESTION)?;
        let keys = if answer.success { answer.stdout } else { String::new() };
        let path = self.machine.path(KEYS);
        durable::write(&path, keys.as_bytes()).map_err(|error| {
            Error::new(Class::Disk, format!("{} cannot be written: {error}", path.display()), "df -h /var; df -i /var")
        })
    }

    /// The file of the repository, following links: it is replaced, not they.
    fn file(&self) -> Result<(&str, PathBuf), Error> {
        match &self.source {
            Source::Repository { id, file } => Ok((id, file.canonicalize().unwrap_or_else(|_| file.clone()))),
            Source::Every => Err(Error::new(
                Class::Config,
                "the agent's package cannot be held: no repository is known to be its own",
                "write the repository's id into the file `repo`, or `no` into the file `lock`",
            )),
        }
    }
}

/// Changes a repository's file, which keeps its owner and mode: it may hold a password.
fn edit(id: &str, file: &Path, change: impl Fn(&str) -> Option<String>) -> Result<(), Error> {
    let unwritten = |error: &dyn std::fmt::Display| {
        Error::new(Class::Disk, format!("{} cannot be changed: {error}", file.display()), format!("ls -l {}", file.display()))
    };
    let before = std::fs::read_to_string(file).map_err(|error| unwritten(&error))?;
    let after = change(&before).ok_or_else(|| unwritten(&format!("it has no section [{id}]")))?;
    if after == before { Ok(()) } else { durable::rewrite(file, after.as_bytes()).map_err(|error| unwritten(&error)) }
}

/// By the program that the name leads to, or else by what it says (V22).
fn generation(machine: &Machine, program: &str) -> Result<Generation, Error> {
    let path = machine.program(program).and_then(|path| path.canonicalize().ok());
    match path.as_deref().and_then(Path::file_name).and_then(|name| name.to_str()) {
        Some("dnf5") => return Ok(Generation::Five),
        Some("dnf-3" | "dnf-4") => return Ok(Generation::Four),
        _ => {}
    }
    let answer = query(machine, &Argv::new(program, ["--version"]), QUESTION)?;
    let first = answer.stdout.lines().next().unwrap_or_default();
    match first.split(|c: char| !c.is_ascii_digit()).find(|number| !number.is_empty()) {
        Some("5") => Ok(Generation::Five),
        Some("4") => Ok(Generation::Four),
        _ => Err(Error::new(
            Class::Config,
            format!("this program drives dnf 4 and 5; `{program} --version` says {}", crate::error::quoted(first.as_bytes())),
            "upgrade the agent by hand on this host, and write `nop` into the file `installer`",
        )),
    }
}

impl Packages for Dnf<'_> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn spelling(&self, release: &Release) -> String {
        rpm_reply::spelling(release)
    }

    fn release_of(&self, spelled: &str) -> Option<Release> {
        rpm_reply::release_of(spelled)
    }

    fn words(&self, package: &Package, release: &Release) -> String {
        format!("{package}-{release}")
    }

    fn by_hand(&self, package: &Package, release: &Release) -> String {
        let past = self.past_holds(package).join(" ");
        format!("{} install {past} {package}-{}", self.name, self.spelling(release))
    }

    fn file_by_hand(&self, file: &Path) -> String {
        rpm::file_by_hand(file)
    }

    fn repository(&self) -> String {
        match &self.source {
            Source::Repository { id, file } => format!("the repository {id} ({})", file.display()),
            Source::Every => format!("every repository that {} has", self.name),
        }
    }

    fn lists(&self) -> Lists {
        Lists::LeaveTraces
    }

    fn restraint(&self, package: &Package) -> Restraint {
        let file = self.file().map_or_else(|_| "its repository".to_owned(), |(_, file)| file.display().to_string());
        Restraint { is: format!("excluded in {file}"), release: format!("take the word {package} from the exclude line there") }
    }

    fn clears_holds(&self) -> bool {
        false
    }

    fn would(&self, act: Act, package: &Package, release: &Release) -> Vec<String> {
        match act {
            Act::Refresh => vec![self.refreshing().to_string()],
            Act::Install => {
                let installed = rpm::version(self.machine, package).ok().flatten();
                vec![self.installing(&["-y"], Reach::Own, package, &self.spelling(release), installed.as_deref()).to_string()]
            }
            Act::Hold => self.file().map_or_else(
                |error| vec![format!("no hold: {}", error.what)],
                |(id, file)| vec![format!("one word, {package}, in the exclude line of [{id}] in {}", file.display())],
            ),
        }
    }

    fn states(&self, packages: &[Package]) -> Result<Vec<State>, Error> {
        let installed = rpm::installed(self.machine, packages)?;
        let section = match &self.source {
            Source::Repository { id, file } => text(file).map(|text| (text, id)),
            Source::Every => None,
        };
        let holds = |package: &Package| Holds {
            plain: section.as_ref().is_some_and(|(text, id)| exclude::words(text, id).contains(&package.as_str())),
            other: self.restraints().any(self.name, package),
        };
        Ok(packages.iter().map(|package| rpm_reply::state(&installed, package.as_str(), holds(package))).collect())
    }

    fn owns(&self, package: &Package, file: &Path) -> Result<bool, Error> {
        rpm::owns(self.machine, package, file)
    }

    fn damage<'a>(&'a self, package: &Package) -> Result<Later<'a, Vec<String>>, Error> {
        rpm::damage(self.machine, package.as_str())
    }

    fn touched(&self, package: &Package, since: Moment) -> Result<Vec<String>, Error> {
        rpm::touched(self.machine, package, since)
    }

    fn refresh(&self, transcript: &Transcript) -> Result<(), Error> {
        self.lay_out_keys()?;
        let mut ended = self.work(&self.refreshing(), transcript)?;
        if !ended.success && rpm_reply::trouble(&ended.output) == Some(Trouble::Key) && self.forget_key_ring() {
            // A dnf that was killed while it filled its ring can no longer read it, and never removes it.
            ended = self.work(&self.refreshing(), transcript)?;
        }
        if ended.success {
            return Ok(());
        }
        if self.source == Source::Every {
            self.machine
                .log
                .warning(format!("{} had trouble with some repository (see above); looking at what is known.", self.name));
            return Ok(());
        }
        let what = format!("{} makecache failed for {}", self.name, self.repository());
        Err(explained(&what, rpm_reply::trouble(&ended.output), &ended.ending, ended.last_lines()))
    }

    fn available<'a>(&'a self, package: &Package) -> Result<Later<'a, Available>, Error> {
        let (argv, package) = (self.looking(package), package.clone());
        Ok(Box::new(move || {
            let answer = self.patient_query(&argv)?;
            if answer.success {
                let versions = dnf_reply::candidates(&answer.stdout, package.as_str());
                return Ok(Available { versions, origin: self.repository() });
            }
            let what = format!("{} repoquery failed", self.name);
            Err(explained(&what, rpm_reply::trouble(&answer.stderr), &answer.ending, answer.last_lines()))
        }))
    }

    fn simulate(&self, package: &Package, release: &Release) -> Result<Transaction, Error> {
        let version = self.spelled(package, release)?;
        let installed = rpm::version(self.machine, package)?;
        let simulate =
            |how: &[&str], reach| self.patient_query(&self.installing(how, reach, package, &version, installed.as_deref()));
        let said = |answer: &Answer| format!("{}\n{}", answer.stdout, answer.stderr);
        let mut reach = Reach::Own;
        let mut answer = simulate(&["-C", "--assumeno"], reach)?;
        if rpm_reply::trouble(&said(&answer)) == Some(Trouble::Dependencies) && self.source != Source::Every {
            // A dependency that the agent's repository does not carry: the host's others may.
            reach = Reach::Every;
            let learn = Argv::new(self.program, ["-q", "-y"]).and_all(self.scope(reach)).and(&["makecache"]);
            // Only what is known of them counts; a foreign one that is broken is not ours to judge (H10).
            let _ = query(self.machine, &learn, EVERY_REPOSITORY)?;
            answer = simulate(&["-C", "--assumeno"], reach)?;
        }
        let word = format!("{package}-{version}");
        let (planned, moved) = dnf_reply::plan(&answer.stdout, package.as_str(), self.id());
        let trouble = rpm_reply::trouble(&said(&answer));
        if planned.is_none() && !answer.stdout.contains("Nothing to do") {
            return Err(explained(
                &format!("{} cannot plan to install {word}", self.name),
                trouble,
                &answer.ending,
                answer.last_lines(),
            ));
        }
        // A narrow table may cut a version short.
        let version = planned.filter(|planned| rpm_reply::release_of(planned).as_ref() == Some(release)).unwrap_or(version);
        moved.checked(
            Transaction {
                package: package.clone(),
                version,
                reach,
                along: Vec::new(),
                needs: Needs { download: dnf_reply::download(&answer.stdout), unpacked: rpm::size(self.machine, package)? },
            },
            &word,
            &format!("{} install {word}", self.name),
        )
    }

    fn install(&self, transaction: &Transaction, transcript: &Transcript) -> Result<(), Error> {
        let Transaction { package, version, reach, .. } = transaction;
        let installed = rpm::version(self.machine, package)?;
        let argv = self.installing(&["-y"], *reach, package, version, installed.as_deref());
        let what = format!("{} install {package}-{version} failed", self.name);
        rpm::ended(self.machine, &what, &self.work(&argv, transcript)?)
    }

    fn finish(&self, package: &Package, transcript: &Transcript) -> Result<(), Error> {
        rpm::finish(self.machine, &self.patience, package, transcript)
    }

    fn hold<'a>(&'a self, package: &'a Package, _transcript: &'a Transcript) -> Result<Later<'a, ()>, Error> {
        let (id, file) = self.file()?;
        edit(id, &file, |text| exclude::with(text, id, package.as_str()))?;
        self.machine.log.info(format!("{package} is excluded from other upgrades: [{id}] in {}.", file.display()));
        Ok(Box::new(|| Ok(())))
    }

    fn place(&self) -> String {
        self.file().map(|(id, file)| format!("{id} {}", file.display())).unwrap_or_default()
    }

    fn release(&self, package: &Package, place: &str) -> Result<(), Error> {
        let (id, file) = match place.split_once(' ') {
            Some((id, file)) => (id, PathBuf::from(file)),
            None => self.file()?,
        };
        if !file.exists() {
            return Ok(());
        }
        edit(id, &file, |text| {
            exclude::has_section(text, id).then(|| exclude::without(text, id, package.as_str())).or(Some(text.to_owned()))
        })
    }

    fn at_work(&self) -> Option<String> {
        rpm::at_work(self.machine).or_else(|| rpm::noted(self.machine, &PID_FILES, &["dnf", "yum", "packagekit"]))
    }
}
