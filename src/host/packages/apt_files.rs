//! apt and single files: downloading a version's file without installing it, and installing a file that was kept (V19, V20).

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::host::command::Argv;
use crate::host::packages::apt::{Apt, CACHE, INSTALLING};
use crate::host::packages::{Completeness, Files, Reach, apt_reply, files, state};
use crate::host::transcript::Transcript;
use crate::rules::policy::Package;
use crate::rules::release::Release;

impl Files for Apt<'_> {
    fn fetch(&self, package: &Package, version: &str, transcript: &Transcript) -> Result<(), Error> {
        files::make_directory(self.machine);
        let word = format!("{package}={version}");
        let argv = self.changing(Reach::Own, &[&INSTALLING, &["-d"]]).and_all(self.archives().into()).and(&["install", &word]);
        self.succeeded(&format!("apt-get cannot download {word}"), self.work(&argv, transcript)?)
    }

    fn fetched(&self, package: &Package, release: &Release) -> Option<PathBuf> {
        files::find(&[files::directory(self.machine)], release, |name| apt_reply::release_in(name, package.as_str()))
    }

    /// Everything there came through us: what is not this very file has done its service.
    fn forget(&self, package: &Package, but: Option<&Release>) {
        let keeps = |name: &str| but.is_some() && apt_reply::release_in(name, package.as_str()).as_ref() == but;
        files::clear(&[files::directory(self.machine)], |name| name.ends_with(".deb") && !keeps(name));
        if but.is_none() {
            // apt removes it at the end of an installation; one that died has left megabytes.
            let _ = std::fs::remove_file(self.machine.path(CACHE));
        }
    }

    /// First as everything else is installed; where apt will not, because of something that is not ours, dpkg has to.
    fn install_file(&self, package: &Package, version: &str, file: &Path, transcript: &Transcript) -> Result<(), Error> {
        let file = file.display().to_string();
        let argv = self.changing(Reach::Own, &[&INSTALLING, &["install", &file]]);
        let tried = self.succeeded(&format!("apt-get install {file} failed"), self.work(&argv, transcript)?);
        let there = state(self, package)
            .is_ok_and(|state| state.version.as_deref() == Some(version) && state.completeness == Completeness::Complete);
        if there && tried.is_ok() {
            return Ok(());
        }
        if let Err(error) = tried {
            self.machine.log.warning(format!("{error}\n    trying it with dpkg alone."));
        }
        let argv = Argv::new("dpkg", ["--force-confdef", "--force-confold", "--force-hold", "-i", &file]);
        self.succeeded(&format!("dpkg -i {file} failed"), self.work(&argv, transcript)?)
    }
}

impl Apt<'_> {
    /// Downloads go to a directory of ours, whatever cleans the host's own (V33), and stay there.
    pub(super) fn archives(&self) -> [String; 4] {
        let directory = files::directory(self.machine);
        let place = format!("Dir::Cache::archives={}/", directory.display());
        ["-o".into(), place, "-o".into(), "APT::Keep-Downloaded-Packages=true".into()]
    }
}
