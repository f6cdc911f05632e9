//! SLES and openSUSE, through zypper 1.14. What each option is for stands beside it; what the tool was seen to do is V9, V15, V19 and V20 in
//! docs/facts.md.
//!
//! A lock stops zypper even from what is asked for by name, so its changes here are made under a lock file of their own, which lacks the
//! locks of the agent's package: the real ones stay in place all the time, also when a run is killed.

use std::path::{Path, PathBuf};

use crate::error::{Class, Error};
use crate::host::command::{Answer, Argv};
use crate::host::durable;
use crate::host::machine::Machine;
use crate::host::packages::patience::{Patience, Tried};
use crate::host::packages::rpm::{self, Source, text};
use crate::host::packages::trouble::{Trouble, explained};
use crate::host::packages::{Act, Available, Later, Lists, Packages, Reach, State, Transaction};
use crate::host::packages::{Holds, rpm_reply, zypper_locks, zypper_reply};
use crate::host::transcript::{Ended, Transcript, change};
use crate::rules::moment::Moment;
use crate::rules::plan::Restraint;
use crate::rules::policy::{Package, Repo};
use crate::rules::release::Release;

const REPOSITORIES: [&str; 1] = ["/etc/zypp/repos.d"];
const LOCKS: &str = "/etc/zypp/locks";
/// The host's settings, today's place last.
const SETTINGS: [&str; 2] = ["/etc/zypp/zypp.conf", "/usr/etc/zypp/zypp.conf"];
/// The settings that changes are made under, and the locks that these name.
pub(super) const OUR_SETTINGS: &str = "/var/lib/teleport-upgrade/private/zypp.conf";
const OUR_LOCKS: &str = "/var/lib/teleport-upgrade/private/zypp-locks";
/// Whose process id libzypp keeps while it works, beside rpm's own lock.
const PID_FILES: [&str; 2] = ["/run/zypp.pid", "/var/run/zypp.pid"];

/// zypper on one machine, restricted to one repository where there is one.
pub(super) struct Zypper<'m> {
    pub(super) machine: &'m Machine,
    pub(super) source: Source,
    pub(super) patience: Patience,
}

impl<'m> Zypper<'m> {
    pub(super) fn new(machine: &'m Machine, repo: Option<&Repo>) -> Result<Self, Error> {
        let source = Source::find(machine, &REPOSITORIES, repo)?;
        Ok(Self { machine, source, patience: Patience::default() })
    }

    /// `--repo` restricts everything to the repository, `--from` only the package itself.
    pub(super) fn scope(&self, reach: Reach) -> Vec<String> {
        match (&self.source, reach) {
            (Source::Every, _) => Vec::new(),
            (Source::Repository { id, .. }, Reach::Own) => vec!["--repo".into(), id.clone()],
            (Source::Repository { id, .. }, Reach::Every) => vec!["--from".into(), id.clone()],
        }
    }

    fn refreshing(&self) -> Argv {
        Argv::new("zypper", ["-n", "refresh"]).and_all(self.scope(Reach::Own))
    }

    fn looking(&self, package: &Package) -> Argv {
        Argv::new("zypper", ["-n", "--no-refresh", "--xmlout", "search", "-s", "--match-exact", "--type", "package"])
            .and_all(self.scope(Reach::Own))
            .and(&[package.as_str()])
    }

    /// One call downloads everything, and only then installs.
    fn installing(&self, how: &[&str], reach: Reach, package: &Package, version: &str, installed: Option<&str>) -> Argv {
        // The same version is put in place again only by force (H02).
        let force: &[&str] = if rpm_reply::is_installed(version, installed) { &["--force"] } else { &[] };
        Argv::new("zypper", ["-n", "--no-refresh"])
            .with_variable("ZYPP_CONF", self.machine.path(OUR_SETTINGS).display().to_string())
            .and_all(self.cache().into())
            .and(how)
            .and(&["install"])
            .and_all(self.scope(reach))
            // Without it zypper exits with 0 and does nothing when the version is lower (V9).
            .and(&["--oldpackage", "--no-recommends", "--download-in-advance"])
            .and(if how.contains(&"--xmlout") { &["--dry-run"] } else { &[] })
            .and(force)
            .and(&[&format!("{package}={version}")])
    }

    /// As rpm spells it; a pre-release has two ways, and only the repository knows which.
    fn spelled(&self, package: &Package, release: &Release) -> Result<String, Error> {
        if !release.is_pre_release() {
            return Ok(self.spelling(release));
        }
        let candidates = zypper_reply::candidates(&self.patient_query(&self.looking(package))?.stdout, package.as_str());
        let found = candidates.into_iter().find(|candidate| rpm_reply::release_of(&candidate.version).as_ref() == Some(release));
        Ok(found.map_or_else(|| self.spelling(release), |candidate| candidate.version))
    }

    /// Settings and locks of our own, from the host's as they are now.
    pub(super) fn lay_out(&self, package: &Package) -> Result<(), Error> {
        let locks = self.machine.path(OUR_LOCKS);
        let settings = format!("{}\nlocksfile.path = {}\n", self.settings().trim_end(), locks.display());
        let written: [(PathBuf, String); 2] =
            [(locks, zypper_locks::without(&self.locks(), package.as_str())), (self.machine.path(OUR_SETTINGS), settings)];
        written.iter().try_for_each(|(path, text)| {
            durable::write(path, text.as_bytes()).map_err(|error| {
                Error::new(Class::Disk, format!("{} cannot be written: {error}", path.display()), "df -h /var; df -i /var")
            })
        })
    }

    fn settings(&self) -> String {
        SETTINGS.iter().find_map(|file| text(&self.machine.path(file))).unwrap_or_else(|| "[main]\n".into())
    }

    fn locks(&self) -> String {
        let settings = self.settings();
        text(&self.machine.path(zypper_locks::file(&settings).unwrap_or(LOCKS))).unwrap_or_default()
    }

    /// Lets zypper work, waiting for its locks up to the ceiling; whether it succeeded is the caller's to judge.
    pub(super) fn work(&self, argv: &Argv, transcript: &Transcript) -> Result<Ended, Error> {
        self.patience.wait(self.machine, || {
            let ended = change(self.machine, transcript, argv)?;
            let locked = rpm::locked(self.machine, ended.success, &ended.output, || self.at_work());
            Ok(locked.map_or(Tried::Ran(ended), Tried::Locked))
        })
    }

    /// Asks zypper; even a question of root's needs its lock.
    fn patient_query(&self, argv: &Argv) -> Result<Answer, Error> {
        self.patience.wait(self.machine, || self.tried(argv))
    }

    fn tried(&self, argv: &Argv) -> Result<Tried<Answer>, Error> {
        rpm::tried(self.machine, argv, || self.at_work())
    }
}

impl Packages for Zypper<'_> {
    fn name(&self) -> &'static str {
        "zypper"
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
        format!("zypper removelock {package}; zypper install --oldpackage {package}={}", self.spelling(release))
    }

    fn file_by_hand(&self, file: &Path) -> String {
        rpm::file_by_hand(file)
    }

    fn repository(&self) -> String {
        match &self.source {
            Source::Repository { id, file } => format!("the repository {id} ({})", file.display()),
            Source::Every => "every repository that zypper has".into(),
        }
    }

    fn lists(&self) -> Lists {
        Lists::LeaveTraces
    }

    fn restraint(&self, package: &Package) -> Restraint {
        Restraint { is: "locked".into(), release: format!("release it (`zypper removelock {package}`)") }
    }

    fn clears_holds(&self) -> bool {
        false
    }

    fn would(&self, act: Act, package: &Package, release: &Release) -> Vec<String> {
        let argv = match act {
            Act::Refresh => self.refreshing(),
            Act::Install => {
                let installed = rpm::version(self.machine, package).ok().flatten();
                self.installing(&[], Reach::Own, package, &self.spelling(release), installed.as_deref())
            }
            Act::Hold => Argv::new("zypper", ["-n", "addlock", package.as_str()]),
        };
        vec![argv.to_string()]
    }

    fn states(&self, packages: &[Package]) -> Result<Vec<State>, Error> {
        let (installed, locks) = (rpm::installed(self.machine, packages)?, self.locks());
        let holds = |package: &Package| Holds {
            plain: zypper_locks::has_plain(&locks, package.as_str()),
            other: zypper_locks::other(&locks, package.as_str()).map(|lock| Restraint {
                is: format!("locked (`{lock}`)"),
                release: format!("release it (`zypper locks` has its number; `zypper removelock '{lock}'`)"),
            }),
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
        let ended = self.work(&self.refreshing(), transcript)?;
        let trouble = rpm_reply::trouble(&ended.output);
        // It says of a key that it has expired, and goes on under it.
        if ended.success && trouble != Some(Trouble::Key) {
            return Ok(());
        }
        if self.source == Source::Every {
            self.machine.log.warning("zypper refresh had trouble with some repository (see above); looking at what is known.");
            return Ok(());
        }
        Err(explained(&format!("zypper refresh failed for {}", self.repository()), trouble, &ended.ending, ended.last_lines()))
    }

    fn available<'a>(&'a self, package: &Package) -> Result<Later<'a, Available>, Error> {
        let (argv, package) = (self.looking(package), package.clone());
        Ok(Box::new(move || {
            let answer = self.patient_query(&argv)?;
            // 104: nothing is called so.
            if answer.success || answer.ending == "exit code 104" {
                let versions = zypper_reply::candidates(&answer.stdout, package.as_str());
                return Ok(Available { versions, origin: self.repository() });
            }
            let lines = zypper_reply::complaints(&answer.stdout);
            Err(explained("zypper search failed", rpm_reply::trouble(&answer.stdout), &answer.ending, lines))
        }))
    }

    fn simulate(&self, package: &Package, release: &Release) -> Result<Transaction, Error> {
        self.lay_out(package)?;
        let (version, installed) = (self.spelled(package, release)?, rpm::version(self.machine, package)?);
        let simulate =
            |reach| self.patient_query(&self.installing(&["--xmlout"], reach, package, &version, installed.as_deref()));
        let mut reach = Reach::Own;
        let mut answer = simulate(reach)?;
        if rpm_reply::trouble(&answer.stdout) == Some(Trouble::Dependencies) && self.source != Source::Every {
            // A dependency that the agent's repository does not carry: the host's others may.
            reach = Reach::Every;
            answer = simulate(reach)?;
        }
        let word = format!("{package}={version}");
        if !answer.success {
            let trouble = rpm_reply::trouble(&answer.stdout);
            let lines = zypper_reply::complaints(&answer.stdout);
            let what = match reach {
                Reach::Own => format!("zypper cannot plan to install {word}"),
                Reach::Every => format!("zypper cannot plan to install {word}, which needs this host's other repositories"),
            };
            return Err(explained(&what, trouble, &answer.ending, lines));
        }
        let (planned, moved) = zypper_reply::plan(&answer.stdout, package.as_str());
        moved.checked(
            Transaction {
                package: package.clone(),
                version: planned.filter(|planned| rpm_reply::release_of(planned).as_ref() == Some(release)).unwrap_or(version),
                reach,
                along: Vec::new(),
                needs: zypper_reply::needs(&answer.stdout, rpm::size(self.machine, package)?),
            },
            &word,
            &format!("zypper install --oldpackage {word}"),
        )
    }

    fn install(&self, transaction: &Transaction, transcript: &Transcript) -> Result<(), Error> {
        let Transaction { package, version, reach, .. } = transaction;
        self.secure(package, version, transcript);
        let installed = rpm::version(self.machine, package)?;
        let argv = self.installing(&[], *reach, package, version, installed.as_deref());
        let what = format!("zypper install {package}={version} failed");
        rpm::ended(self.machine, &what, &self.work(&argv, transcript)?)
    }

    fn finish(&self, package: &Package, transcript: &Transcript) -> Result<(), Error> {
        rpm::finish(self.machine, &self.patience, package, transcript)
    }

    fn hold<'a>(&'a self, package: &'a Package, transcript: &'a Transcript) -> Result<Later<'a, ()>, Error> {
        Ok(Box::new(move || {
            if zypper_locks::has_plain(&self.locks(), package.as_str()) {
                return Ok(());
            }
            let ended = self.work(&Argv::new("zypper", ["-n", "addlock", package.as_str()]), transcript)?;
            if zypper_locks::has_plain(&self.locks(), package.as_str()) {
                return Ok(());
            }
            let trouble = rpm_reply::trouble(&ended.output);
            Err(explained(&format!("zypper addlock {package} failed"), trouble, &ended.ending, ended.last_lines()))
        }))
    }

    /// zypper says that it succeeded when it did nothing (V9): the file says what came of it.
    fn release(&self, package: &Package, _place: &str) -> Result<(), Error> {
        let argv = Argv::new("zypper", ["-n", "removelock", package.as_str()]);
        let answer = self.patience.outlast(self.machine, || self.tried(&argv))?;
        if !zypper_locks::has_plain(&self.locks(), package.as_str()) {
            return Ok(());
        }
        let trouble = rpm_reply::trouble(&format!("{}\n{}", answer.stdout, answer.stderr));
        Err(explained(&format!("zypper removelock {package} failed"), trouble, &answer.ending, answer.last_lines()))
    }

    fn at_work(&self) -> Option<String> {
        rpm::at_work(self.machine).or_else(|| rpm::noted(self.machine, &PID_FILES, &["zypp", "packagekit", "yast", "y2base"]))
    }
}
