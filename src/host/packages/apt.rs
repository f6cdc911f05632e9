//! Debian, Ubuntu and their derivatives, through apt-get, apt-cache and dpkg: the tools with a stable command line.
//!
//! What each option is for stands beside it; what the tools were seen to do is V5 to V17 in docs/facts.md.

use std::cell::Cell;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use crate::error::{Class, Error};
use crate::host::command::{Answer, Argv, ask, query};
use crate::host::machine::Machine;
use crate::host::packages::apt_reply;
use crate::host::packages::apt_source::{self, Source};
use crate::host::packages::files;
use crate::host::packages::patience::{Patience, Tried, described, holder};
use crate::host::packages::trouble::{Trouble, explained};
use crate::host::packages::{Act, Available, Later, Lists, Packages, Reach, State, Transaction};
use crate::host::transcript::{Ended, Transcript, change};
use crate::rules::moment::Moment;
use crate::rules::plan::Restraint;
use crate::rules::policy::{Package, Repo};
use crate::rules::release::Release;

/// A question to the package database or the cache takes well under a second; a cold disk some more.
pub(super) const QUESTION: Duration = Duration::from_secs(120);

/// Locks that apt and dpkg take, most telling first.
const LOCKS: [&str; 4] =
    ["/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock", "/var/cache/apt/archives/lock"];

/// Where apt keeps what it has read of package database and lists, for the calls of one run.
pub(super) const CACHE: &str = "/var/lib/teleport-upgrade/private/pkgcache.bin";

/// For every call that changes something.
const CHANGING: [&str; 12] = [
    "-q",
    // Its output goes to a file of ours: no terminal in between.
    "-o",
    "Dpkg::Use-Pty=0",
    // Waiting for locks is ours, so that the holder is named (V15).
    "-o",
    "DPkg::Lock::Timeout=0",
    // Short breaks of the network are not worth a failed run.
    "-o",
    "Acquire::Retries=2",
    "-o",
    "Acquire::http::Timeout=30",
    "-o",
    "Acquire::https::Timeout=30",
    "-y",
];

/// For simulating, downloading and installing one version of one package.
pub(super) const INSTALLING: [&str; 13] = [
    // A damaged package is put in place again although its version is right (H02); for others this means nothing.
    "--reinstall",
    // The wanted version may be lower, and for apt `16.2.0-rc.1` is higher than `16.2.0`.
    "--allow-downgrades",
    // Our own hold; it is set again after (V14).
    "--allow-change-held-packages",
    "--no-install-recommends",
    "--no-remove",
    // Whatever the administrator's defaults are: signatures are checked.
    "-o",
    "APT::Get::AllowUnauthenticated=false",
    "-o",
    "APT::Get::AutomaticRemove=false",
    // Nobody answers questions here; changed configuration files stay, new ones come as .dpkg-dist (H19).
    "-o",
    "Dpkg::Options::=--force-confdef",
    "-o",
    "Dpkg::Options::=--force-confold",
];

/// apt on one machine, restricted to one repository where there is one.
pub(super) struct Apt<'m> {
    pub(super) machine: &'m Machine,
    source: Source,
    patience: Patience,
    /// Whether [`CACHE`] is there to be used: never in a dry run, which leaves nothing behind.
    cached: Cell<bool>,
}

impl<'m> Apt<'m> {
    pub(super) fn new(machine: &'m Machine, repo: Option<&Repo>) -> Result<Self, Error> {
        let source = apt_source::find(machine, repo)?;
        Ok(Self { machine, source, patience: Patience::default(), cached: Cell::new(false) })
    }

    /// Options that restrict apt to the agent's source file.
    fn restriction(&self, reach: Reach) -> Vec<String> {
        match (&self.source, reach) {
            (Source::File(file), Reach::Own) => vec![
                "-o".into(),
                format!("Dir::Etc::sourcelist={}", file.display()),
                "-o".into(),
                "Dir::Etc::sourceparts=/dev/null".into(),
                // The lists of other repositories are not stale only because we do not look at them.
                "-o".into(),
                "APT::Get::List-Cleanup=0".into(),
            ],
            _ => Vec::new(),
        }
    }

    /// A question, or a call that needs nothing of what the other calls have read.
    pub(super) fn asking(&self, program: &str, reach: Reach, words: &[&[&str]]) -> Argv {
        let cache = if self.cached.get() { self.machine.path(CACHE).display().to_string() } else { String::new() };
        self.argv(program, &cache, reach, words)
    }

    pub(super) fn changing(&self, reach: Reach, words: &[&[&str]]) -> Argv {
        self.argv("apt-get", &self.machine.path(CACHE).display().to_string(), reach, &[&[CHANGING.as_slice()], words].concat())
    }

    /// Every call leaves the host's own binary cache alone: one that is restricted to one source file would replace it by a small one,
    /// and even questions write it (V16).
    fn argv(&self, program: &str, cache: &str, reach: Reach, words: &[&[&str]]) -> Argv {
        let caches = ["-o".into(), format!("Dir::Cache::pkgcache={cache}"), "-o".into(), "Dir::Cache::srcpkgcache=".into()];
        let words = words.iter().flat_map(|part| part.iter().map(|word| (*word).to_owned()));
        Argv::new(program, caches.into_iter().chain(self.restriction(reach)).chain(words))
    }

    fn updating(&self) -> Argv {
        // Without `any` a repository that cannot be reached counts as refreshed (V13). With every source in reach, one that is broken
        // must not stop us (H10): whether the agent's version is there is looked at anyway.
        let strict: &[&str] = match self.source {
            Source::File(_) => &["-o", "APT::Update::Error-Mode=any", "-o", "Acquire::AllowInsecureRepositories=false"],
            Source::Every => &[],
        };
        self.changing(Reach::Own, &[strict, &["update"]])
    }

    /// One call downloads and installs: apt fetches and verifies everything before it starts dpkg, and a call of its own for the
    /// download would only make it compute every checksum twice.
    fn installing(&self, reach: Reach, package: &Package, version: &str) -> Argv {
        let word = format!("{package}={version}");
        self.changing(reach, &[&INSTALLING]).and_all(self.archives().into()).and(&["install", &word])
    }

    fn marking(&self, mark: &str, package: &Package) -> Argv {
        self.asking("apt-mark", Reach::Own, &[&[mark, package.as_str()]])
    }

    /// Lets apt work, waiting for its locks up to the ceiling; whether it succeeded is the caller's to judge.
    pub(super) fn work(&self, argv: &Argv, transcript: &Transcript) -> Result<Ended, Error> {
        self.patience.wait(self.machine, || {
            let ended = change(self.machine, transcript, argv)?;
            Ok(self.locked(ended.success, &ended.output).map_or(Tried::Ran(ended), Tried::Locked))
        })
    }

    /// Whether that is what apt or dpkg writes when somebody has a lock; then who, if that can be told.
    fn locked(&self, success: bool, output: &str) -> Option<Option<String>> {
        (!success && apt_reply::trouble(output) == Some(Trouble::Locked))
            .then(|| apt_reply::holder(output).map(|pid| described(self.machine, pid)).or_else(|| self.at_work()))
    }

    pub(super) fn succeeded(&self, what: &str, ended: Ended) -> Result<(), Error> {
        if ended.success {
            Ok(())
        } else {
            Err(explained(what, apt_reply::trouble(&ended.output), &ended.ending, ended.last_lines()))
        }
    }
}

impl Packages for Apt<'_> {
    fn name(&self) -> &'static str {
        "apt"
    }

    /// Debian versions of the agent are its release, to the letter.
    fn spelling(&self, release: &Release) -> String {
        release.to_string()
    }

    fn release_of(&self, spelled: &str) -> Option<Release> {
        spelled.parse().ok()
    }

    fn words(&self, package: &Package, release: &Release) -> String {
        format!("{package}={release}")
    }

    fn by_hand(&self, package: &Package, release: &Release) -> String {
        format!("apt-get install --reinstall --allow-downgrades --allow-change-held-packages {package}={release}")
    }

    fn file_by_hand(&self, file: &Path) -> String {
        format!("dpkg --force-hold -i {}", file.display())
    }

    fn repository(&self) -> String {
        match &self.source {
            Source::File(file) => file.display().to_string(),
            Source::Every => "every repository that apt has".into(),
        }
    }

    fn lists(&self) -> Lists {
        let places = ["/var/lib/apt/lists", "/var/lib/apt/lists/partial"];
        let times = places.iter().filter_map(|place| Some(self.machine.path(place).metadata().ok()?.mtime()));
        Lists::Refreshed(times.max().map(Moment::from_unix))
    }

    fn restraint(&self, package: &Package) -> Restraint {
        Restraint { is: "held".into(), release: format!("release it (`apt-mark unhold {package}`)") }
    }

    /// dpkg forgets a hold when it installs.
    fn clears_holds(&self) -> bool {
        true
    }

    fn would(&self, act: Act, package: &Package, release: &Release) -> Vec<String> {
        let version = self.spelling(release);
        let argv = match act {
            Act::Refresh => self.updating(),
            Act::Install => self.installing(Reach::Own, package, &version),
            Act::Hold => self.marking("hold", package),
        };
        vec![argv.to_string()]
    }

    fn states(&self, packages: &[Package]) -> Result<Vec<State>, Error> {
        let names = packages.iter().map(Package::as_str);
        let argv = Argv::new("dpkg-query", ["-W", "-f", apt_reply::STATE_FORMAT].into_iter().chain(names));
        let answer = query(self.machine, &argv, QUESTION)?;
        // Exit code 1 only means that one of them is not there.
        if !answer.success && answer.stderr.lines().any(|line| !line.contains("no packages found matching")) {
            let trouble = apt_reply::trouble(&answer.stderr);
            return Err(explained("dpkg-query cannot read the package database", trouble, &answer.ending, answer.last_lines()));
        }
        Ok(packages.iter().map(|package| apt_reply::state(&answer.stdout, package.as_str())).collect())
    }

    fn owns(&self, package: &Package, file: &Path) -> Result<bool, Error> {
        let answer = query(self.machine, &Argv::new("dpkg-query", ["-L", package.as_str()]), QUESTION)?;
        // Directories on the way may be links here, so the same file may go by another name in the list; but where the file itself has
        // become a link, what it leads to is somebody else's.
        let same = |listed: &str| {
            let listed = self.machine.path(listed);
            let directory = listed.parent().and_then(|parent| parent.canonicalize().ok());
            directory.zip(listed.file_name()).is_some_and(|(directory, name)| directory.join(name) == file)
        };
        Ok(answer.stdout.lines().filter(|line| Path::new(line).file_name() == file.file_name()).any(same))
    }

    /// The quick way first, in two processes, since few machines have one core. Where that does not find every program as it was packed,
    /// dpkg has the last word: it knows about diversions.
    fn damage<'a>(&'a self, package: &Package) -> Result<Later<'a, Vec<String>>, Error> {
        let listed = query(self.machine, &Argv::new("dpkg-query", ["--control-show", package.as_str(), "md5sums"]), QUESTION)?;
        let programs = apt_reply::program_sums(&listed.stdout);
        let halves = programs.chunks(programs.len().div_ceil(2).max(1));
        let asked: Vec<_> = halves
            .map(|half| {
                let files = half.iter().map(|(_, path)| self.machine.path(path).display().to_string());
                ask(self.machine, Argv::new("md5sum", files)).ok()
            })
            .collect();
        let argv = Argv::new("dpkg", ["-V", package.as_str()]);
        Ok(Box::new(move || {
            let answers = asked.into_iter().flatten().filter_map(|asked| asked.answer(self.machine, QUESTION).ok());
            let sums: String = answers.map(|answer| answer.stdout).collect();
            let whole = !programs.is_empty()
                && programs.len() == sums.lines().count()
                && programs.iter().zip(sums.lines()).all(|((packed, _), line)| line.starts_with(packed.as_str()));
            if whole { Ok(Vec::new()) } else { Ok(apt_reply::damage(&query(self.machine, &argv, QUESTION)?.stdout)) }
        }))
    }

    fn refresh(&self, transcript: &Transcript) -> Result<(), Error> {
        let ended = self.work(&self.updating(), transcript)?;
        self.cached.set(true);
        let failed = !ended.success || ended.output.contains("Failed to fetch");
        if failed && self.source == Source::Every {
            self.machine.log.warning("apt-get update had trouble with some repository (see above); looking at what is known.");
            return Ok(());
        }
        if failed {
            let what = format!("apt-get update failed for {}", self.repository());
            return Err(explained(&what, apt_reply::trouble(&ended.output), &ended.ending, ended.last_lines()));
        }
        Ok(())
    }

    fn available<'a>(&'a self, package: &Package) -> Result<Later<'a, Available>, Error> {
        let asked = ask(self.machine, self.asking("apt-cache", Reach::Own, &[&["policy", package.as_str()]]))?;
        Ok(Box::new(move || {
            let answer = asked.answer(self.machine, QUESTION)?;
            if answer.success {
                return Ok(Available { versions: apt_reply::candidates(&answer.stdout), origin: self.repository() });
            }
            let trouble = apt_reply::trouble(&answer.stderr);
            Err(explained("apt-cache policy failed", trouble, &answer.ending, answer.last_lines()))
        }))
    }

    fn simulate(&self, package: &Package, release: &Release) -> Result<Transaction, Error> {
        let version = self.spelling(release);
        let word = self.words(package, release);
        let sizes = ask(self.machine, self.asking("apt-cache", Reach::Own, &[&["show", "--no-all-versions", &word]]))?;
        let trouble =
            |answer: &Answer| apt_reply::trouble(&format!("{}\n{}", answer.stdout, answer.stderr)).filter(|_| !answer.success);
        let mut reach = Reach::Own;
        let mut answer = self.simulation(reach, &word)?;
        if trouble(&answer) == Some(Trouble::Dependencies) && self.source != Source::Every {
            // A dependency that the agent's repository does not carry: the host's others may.
            reach = Reach::Every;
            answer = self.simulation(reach, &word)?;
        }
        if !answer.success {
            return Err(explained(
                &format!("apt cannot plan to install {word}"),
                trouble(&answer),
                &answer.ending,
                answer.last_lines(),
            ));
        }
        let transaction = self.checked(apt_reply::plan(&answer.stdout), reach, package, &version)?;
        Ok(Transaction { needs: apt_reply::needs(&sizes.answer(self.machine, QUESTION)?.stdout), ..transaction })
    }

    fn install(&self, transaction: &Transaction, transcript: &Transcript) -> Result<(), Error> {
        files::make_directory(self.machine);
        let argv = self.installing(transaction.reach, &transaction.package, &transaction.version);
        let what = format!("apt-get install {}={} failed", transaction.package, transaction.version);
        let ended = self.work(&argv, transcript)?;
        // From here on it is stale, and it is megabytes.
        self.cached.set(false);
        let _ = std::fs::remove_file(self.machine.path(CACHE));
        for file in apt_reply::kept_conffiles(&ended.output) {
            self.machine.log.warning(format!(
                "{file} was changed on this host and in the package: it is kept, the package's is {file}.dpkg-dist."
            ));
        }
        let strangers = apt_reply::is_strangers_trouble(&ended.output, transaction.package.as_str());
        self.succeeded(&what, ended).map_err(|error| {
            // apt finishes what others have left, in the same call: their scripts say nothing of our package.
            if strangers && error.class == Class::Package { Error { class: Class::Repository, ..error } } else { error }
        })
    }

    fn finish(&self, package: &Package, transcript: &Transcript) -> Result<(), Error> {
        let keep = ["--force-confdef", "--force-confold"];
        let argv = Argv::new("dpkg", keep.into_iter().chain(["--configure", package.as_str()]));
        self.succeeded(&format!("dpkg --configure {package} failed"), self.work(&argv, transcript)?)
    }

    fn hold<'a>(&'a self, package: &'a Package, transcript: &'a Transcript) -> Result<Later<'a, ()>, Error> {
        let begun = ask(self.machine, self.marking("hold", package))?;
        Ok(Box::new(move || {
            let answer = begun.answer(self.machine, QUESTION)?;
            if answer.success {
                self.machine.log.info(format!("apt-mark: {}", answer.stdout.trim_end()));
                return Ok(());
            }
            let (what, trouble) = (format!("apt-mark hold {package} failed"), apt_reply::trouble(&answer.stderr));
            if trouble == Some(Trouble::Locked) {
                // Another package manager was quicker: once more, with patience.
                return self.succeeded(&what, self.work(&self.marking("hold", package), transcript)?);
            }
            Err(explained(&what, trouble, &answer.ending, answer.last_lines()))
        }))
    }

    fn release(&self, package: &Package, _place: &str) -> Result<(), Error> {
        let argv = self.marking("unhold", package);
        let answer = self.patience.outlast(self.machine, || {
            let answer = query(self.machine, &argv, QUESTION)?;
            Ok(self.locked(answer.success, &answer.stderr).map_or(Tried::Ran(answer), Tried::Locked))
        })?;
        if answer.success {
            return Ok(());
        }
        let trouble = apt_reply::trouble(&answer.stderr);
        Err(explained(&format!("apt-mark unhold {package} failed"), trouble, &answer.ending, answer.last_lines()))
    }

    fn at_work(&self) -> Option<String> {
        holder(self.machine, &LOCKS)
    }
}
