//! zypper and single files: downloading a version's file without installing it, and installing a file that was kept (V19, V20).

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::host::command::Argv;
use crate::host::packages::rpm;
use crate::host::packages::trouble::{Trouble, explained};
use crate::host::packages::zypper::{OUR_SETTINGS, Zypper};
use crate::host::packages::{Files, Reach, files, rpm_reply};
use crate::host::transcript::Transcript;
use crate::rules::policy::Package;
use crate::rules::release::Release;

/// A directory without a repository in it.
const NO_REPOSITORIES: &str = "/var/lib/teleport-upgrade/private/no-repositories";

impl Files for Zypper<'_> {
    fn fetch(&self, package: &Package, version: &str, transcript: &Transcript) -> Result<(), Error> {
        files::make_directory(self.machine);
        let word = format!("{package}={version}");
        let argv = Argv::new("zypper", ["-n", "--no-refresh"])
            .and_all(self.cache().into())
            .and(&["download"])
            .and_all(self.scope(Reach::Own))
            .and(&[&word]);
        let ended = self.work(&argv, transcript)?;
        let trouble = rpm_reply::trouble(&ended.output);
        // It exits with 0 when a signature does not fit (V20), and when nothing is called so.
        let release = rpm_reply::release_of(version);
        if ended.success && trouble != Some(Trouble::Key) && release.is_some_and(|r| self.fetched(package, &r).is_some()) {
            return Ok(());
        }
        self.forget(package, None);
        Err(explained(&format!("zypper cannot download {word}"), trouble, &ended.ending, ended.last_lines()))
    }

    fn fetched(&self, package: &Package, release: &Release) -> Option<PathBuf> {
        files::find(&[files::directory(self.machine)], release, |name| rpm_reply::release_in(name, package.as_str()))
    }

    fn forget(&self, package: &Package, but: Option<&Release>) {
        let keeps = |name: &str| but.is_some() && rpm_reply::release_in(name, package.as_str()).as_ref() == but;
        files::clear(&[files::directory(self.machine)], |name| name.ends_with(".rpm") && !keeps(name));
    }

    /// Without any repository: what was installed before has all that it depends on.
    fn install_file(&self, package: &Package, version: &str, file: &Path, transcript: &Transcript) -> Result<(), Error> {
        self.lay_out(package)?;
        let none = self.machine.path(NO_REPOSITORIES);
        let _ = std::fs::create_dir(&none);
        let mut argv = Argv::new("zypper", ["--reposd-dir", &none.display().to_string(), "-n", "--no-refresh"])
            .with_variable("ZYPP_CONF", self.machine.path(OUR_SETTINGS).display().to_string())
            // Not every package is signed in a repository whose index is: zypper verified this one by that, and it is the same by its SHA-256.
            .and(&["install", "--oldpackage", "--no-recommends", "--allow-unsigned-rpm"]);
        if rpm::version(self.machine, package).is_ok_and(|installed| rpm_reply::is_installed(version, installed.as_deref())) {
            argv = argv.and(&["--force"]);
        }
        let argv = argv.and(&[&file.display().to_string()]);
        rpm::put(self.machine, &self.patience, package, version, file, transcript, || {
            rpm::ended(self.machine, &format!("zypper install {} failed", file.display()), &self.work(&argv, transcript)?)
        })
    }
}

impl Zypper<'_> {
    /// Where it downloads to: its own cache may lie anywhere. It deletes there what it has installed, by name.
    pub(super) fn cache(&self) -> [String; 2] {
        ["--pkg-cache-dir".into(), files::directory(self.machine).join("zypper").display().to_string()]
    }

    /// Installing deletes what it has installed from; in the directory above it stays.
    pub(super) fn secure(&self, package: &Package, version: &str, transcript: &Transcript) {
        let Some(release) = rpm_reply::release_of(version) else { return };
        if self.fetched(package, &release).is_none() && self.fetch(package, version, transcript).is_err() {
            return;
        }
        if let Some(file) = self.fetched(package, &release)
            && let Some(name) = file.file_name()
        {
            let _ = std::fs::hard_link(&file, files::directory(self.machine).join(name));
        }
    }
}
