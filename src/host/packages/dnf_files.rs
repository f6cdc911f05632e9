//! dnf and single files: downloading a version's file without installing it, and installing a file that was kept (V19, V20).

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::host::command::Argv;
use crate::host::packages::dnf::{Dnf, Generation};
use crate::host::packages::rpm::{self, Source, text};
use crate::host::packages::trouble::{Trouble, explained};
use crate::host::packages::{Files, Reach, exclude, files, rpm_reply};
use crate::host::transcript::Transcript;
use crate::rules::policy::Package;
use crate::rules::release::Release;

impl Files for Dnf<'_> {
    /// Into dnf's own cache, where the installation finds it again: only there would it look.
    fn fetch(&self, package: &Package, version: &str, transcript: &Transcript) -> Result<(), Error> {
        let installed = rpm::version(self.machine, package)?;
        let argv = self.installing(&["-y", "--downloadonly"], Reach::Own, package, version, installed.as_deref());
        let ended = self.work(&argv, transcript)?;
        let what = format!("{} cannot download {package}-{version}", self.name);
        let mut result = rpm::ended(self.machine, &what, &ended);
        let file = rpm_reply::release_of(version).and_then(|release| self.fetched(package, &release));
        if result.is_ok() && self.checks_packages() && !file.is_some_and(|file| rpm::is_signed(self.machine, &file)) {
            result = Err(explained(&what, Some(Trouble::Key), &ended.ending, ended.last_lines()));
        }
        if result.is_err() {
            // What its signature does not fit lies there, too.
            self.forget(package, None);
        }
        result
    }

    fn fetched(&self, package: &Package, release: &Release) -> Option<PathBuf> {
        files::find(&self.caches(), release, |name| rpm_reply::release_in(name, package.as_str()))
    }

    /// dnf would delete the files of our package itself, were it not told to keep them.
    fn forget(&self, package: &Package, but: Option<&Release>) {
        files::clear(&self.caches(), |name| {
            rpm_reply::release_in(name, package.as_str()).is_some_and(|release| Some(&release) != but)
        });
    }

    /// Without any repository: what was installed before has all that it depends on.
    fn install_file(&self, package: &Package, version: &str, file: &Path, transcript: &Transcript) -> Result<(), Error> {
        let verb = if self.holds_exactly(package, version) { "reinstall" } else { "install" };
        let none = match self.generation {
            Generation::Four => "--disablerepo=*",
            Generation::Five => "--disable-repo=*",
        };
        let mut argv = Argv::new(self.program, ["-y", none]).and_all(self.locks()).and_all(self.past_every_hold());
        if self.checks_packages() {
            argv = argv.and(&["--setopt=localpkg_gpgcheck=1"]);
        }
        let argv = argv.and(&["--setopt=install_weak_deps=0", verb, &file.display().to_string()]);
        rpm::put(self.machine, &self.patience, package, version, file, transcript, || {
            let what = format!("{} {verb} {} failed", self.name, file.display());
            rpm::ended(self.machine, &what, &self.work(&argv, transcript)?)
        })
    }
}

impl Dnf<'_> {
    /// Where dnf keeps the packages that it has downloaded.
    fn caches(&self) -> Vec<PathBuf> {
        self.repository_caches().into_iter().map(|cache| cache.join("packages")).collect()
    }

    /// Where dnf keeps what it knows: a directory a repository, its id first in the name (dnf.conf(5), `cachedir`).
    fn repository_caches(&self) -> Vec<PathBuf> {
        let top = match self.generation {
            Generation::Four => "/var/cache/dnf",
            Generation::Five => "/var/cache/libdnf5",
        };
        let settings = text(&self.machine.path("/etc/dnf/dnf.conf")).unwrap_or_default();
        let elsewhere = exclude::words_of(&settings, "main", &["cachedir", "system_cachedir"]).pop();
        let entries = std::fs::read_dir(self.machine.path(elsewhere.unwrap_or(top))).into_iter().flatten().flatten();
        let ours = |name: &str| self.id().is_none_or(|id| name.strip_prefix(id).is_some_and(|rest| rest.starts_with('-')));
        entries.filter(|entry| ours(&entry.file_name().to_string_lossy())).map(|entry| entry.path()).collect()
    }

    /// Removes the ring of keys that dnf has copied for the metadata of the agent's repository; whether there was one. It is filled again
    /// with the keys that rpm trusts.
    pub(super) fn forget_key_ring(&self) -> bool {
        let forgotten = |cache: &PathBuf| std::fs::remove_dir_all(cache.join("pubring")).is_ok();
        self.id().is_some() && self.repository_caches().iter().filter(|cache| forgotten(cache)).count() > 0
    }

    fn holds_exactly(&self, package: &Package, version: &str) -> bool {
        rpm::version(self.machine, package).is_ok_and(|installed| rpm_reply::is_installed(version, installed.as_deref()))
    }

    /// Unless the administrator runs the repository without signatures.
    fn checks_packages(&self) -> bool {
        match &self.source {
            Source::Repository { id, file } => text(file).is_none_or(|text| !exclude::is_off(&text, id, "gpgcheck")),
            Source::Every => true,
        }
    }
}
