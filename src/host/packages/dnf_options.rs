//! Options that dnf 4 and dnf5 are called with: which repository, whose keys, and past which holds.

use crate::host::packages::Reach;
use crate::host::packages::dnf::{Dnf, Generation, KEYS};
use crate::host::packages::rpm::Source;
use crate::rules::policy::Package;

impl Dnf<'_> {
    /// Nobody's lock is waited for here (V15).
    pub(super) fn locks(&self) -> Vec<String> {
        if self.generation == Generation::Four { vec!["--setopt=exit_on_lock=1".into()] } else { Vec::new() }
    }

    /// Options for every call: which repository, and how its metadata is trusted.
    pub(super) fn scope(&self, reach: Reach) -> Vec<String> {
        let mut options = self.locks();
        // `-y` says yes to any key that `gpgkey=` leads to (V18): here it leads to those that rpm trusts already.
        let keys = format!("gpgkey=file://{}", self.machine.path(KEYS).display());
        let Source::Repository { id, .. } = &self.source else {
            options.push(format!("--setopt=*.{keys}"));
            return options;
        };
        match (reach, self.generation) {
            (Reach::Own, Generation::Four) => options.extend(["--disablerepo=*".into(), format!("--enablerepo={id}")]),
            (Reach::Own, Generation::Five) => options.push(format!("--repo={id}")),
            (Reach::Every, Generation::Four) => options.push(format!("--enablerepo={id}")),
            (Reach::Every, Generation::Five) => options.push(format!("--enable-repo={id}")),
        }
        match reach {
            Reach::Own => options.push(format!("--setopt={id}.{keys}")),
            Reach::Every => options.push(format!("--setopt=*.{keys}")),
        }
        // Whatever an administrator allows for others, a refresh of this one that fails has failed.
        options.push(format!("--setopt={id}.skip_if_unavailable=0"));
        options
    }

    /// Options that lead past our own hold, and past an administrator's where that one was decided to be passed.
    pub(super) fn past_holds(&self, package: &Package) -> Vec<String> {
        let restraints = self.restraints();
        let (locked, everywhere) = (restraints.version_lock(package).is_some(), restraints.main_exclude(package).is_some());
        let mut options = Vec::new();
        match (self.generation, &self.source) {
            (Generation::Four, _) if everywhere => options.push("--disableexcludes=all".into()),
            (Generation::Four, Source::Repository { id, .. }) => options.push(format!("--disableexcludes={id}")),
            // Its version locks are excludes, too (dnf5-filtering(7)).
            (Generation::Five, _) if everywhere || locked => options.push("--setopt=disable_excludes=*".into()),
            (Generation::Five, Source::Repository { id, .. }) => options.push(format!("--setopt=disable_excludes={id}")),
            (_, Source::Every) => {}
        }
        if locked && self.generation == Generation::Four {
            options.push("--disableplugin=versionlock".into());
        }
        options
    }

    /// Options that lead past whatever keeps the package where it is: what is put back was there before.
    pub(super) fn past_every_hold(&self) -> Vec<String> {
        let options: &[&str] = match self.generation {
            Generation::Four => &["--disableexcludes=all", "--disableplugin=versionlock"],
            Generation::Five => &["--setopt=disable_excludes=*"],
        };
        options.iter().map(|option| (*option).to_owned()).collect()
    }

    /// Others may have what the agent depends on, but not the agent.
    pub(super) fn not_from_others(&self, reach: Reach, package: &Package) -> Vec<String> {
        match (reach, self.generation, self.id()) {
            (Reach::Every, Generation::Four, Some(_)) => vec![format!("--setopt=*.excludepkgs={package}")],
            (Reach::Every, Generation::Five, Some(id)) => vec![format!("--from-repo={id}")],
            _ => Vec::new(),
        }
    }
}
