//! What apt would do, and whether that may be done: nothing moves but the agent's package and what it depends on (H20).

use crate::error::Error;
use crate::host::command::{Answer, query};
use crate::host::packages::apt::{Apt, INSTALLING, QUESTION};
use crate::host::packages::apt_reply::{self, Planned};
use crate::host::packages::{Moved, Reach, Transaction};
use crate::rules::policy::Package;
use crate::rules::room::Needs;

impl Apt<'_> {
    /// Names of the packages that `package` depends on, directly or not.
    fn dependencies(&self, reach: Reach, package: &Package, version: &str) -> Result<Vec<String>, Error> {
        let word = format!("{package}={version}");
        let only = ["--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances"];
        let argv = self.asking("apt-cache", reach, &[&["depends", "--recurse"], &only, &[&word]]);
        let answer = query(self.machine, &argv, QUESTION)?;
        Ok(apt_reply::dependencies(&answer.stdout).into_iter().map(str::to_owned).collect())
    }

    /// Refuses what moves anything but the package and, where they must come along, what it depends on.
    pub(super) fn checked(
        &self,
        planned: Vec<Planned>,
        reach: Reach,
        package: &Package,
        version: &str,
    ) -> Result<Transaction, Error> {
        let ours = |planned: &Planned| matches!(planned, Planned::Install { package: name, .. } if name == package.as_str());
        let others: Vec<&Planned> = planned.iter().filter(|p| !ours(p)).collect();
        let needed = if others.is_empty() { Vec::new() } else { self.dependencies(reach, package, version)? };
        let (along, foreign): (Vec<&Planned>, Vec<&Planned>) = others
            .into_iter()
            .partition(|planned| matches!(planned, Planned::Install { package, .. } if needed.contains(package)));
        let say = |planned: &[&Planned]| -> Vec<String> { planned.iter().map(|p| p.to_string()).collect() };
        let moved = Moved { ours: planned.iter().filter(|p| ours(p)).count(), along: say(&along), foreign: say(&foreign) };
        let word = format!("{package}={version}");
        moved.checked(
            Transaction {
                package: package.clone(),
                version: version.to_owned(),
                reach,
                along: Vec::new(),
                needs: Needs::default(),
            },
            &word,
            &format!("apt-get install --allow-downgrades {word}"),
        )
    }

    pub(super) fn simulation(&self, reach: Reach, word: &str) -> Result<Answer, Error> {
        // `--no-remove` would hide what would be removed, and a simulation removes nothing.
        let installing: Vec<&str> = INSTALLING.into_iter().filter(|option| *option != "--no-remove").collect();
        // Even a simulation would replace the administrator's log of the last plan.
        let quiet = ["-s", "-q", "-y", "-o", "Dir::Log::Planner=/dev/null"];
        let argv = self.asking("apt-get", reach, &[&quiet, &installing, &["install", word]]);
        query(self.machine, &argv, QUESTION)
    }
}

impl std::fmt::Display for Planned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Install { package, from: Some(from), to } => write!(f, "{package} {from} -> {to}"),
            Self::Install { package, from: None, to } => write!(f, "new: {package} {to}"),
            Self::Remove { package } => write!(f, "removed: {package}"),
        }
    }
}
