//! Keeping the way back: the package of the version in use before it is replaced, and the new one once it has proven itself. Where it
//! cannot be kept the upgrade is made all the same: an agent that may never move again is lost, too (H17).

use crate::error::Error;
use crate::host::kept::{self, Kept};
use crate::host::packages;
use crate::host::record::Ledger;
use crate::host::room;
use crate::rules::policy::Verify;
use crate::rules::release::Release;
use crate::rules::room::Needs;
use crate::upgrade::change::Change;

impl Change<'_> {
    /// The kept package of the version before.
    pub(super) fn kept_before<'l>(&self, ledger: &'l Ledger) -> Option<&'l Kept> {
        let before = self.release_before()?;
        ledger.record.kept.iter().find(|kept| kept.package == self.plan.package && kept.release == before)
    }

    /// As the database says: it names the package, the binary may be damaged.
    fn release_before(&self) -> Option<Release> {
        self.plan.database.as_deref().and_then(|version| self.packages.release_of(version))
    }

    /// Makes sure that there is a way back, or says that there is none. `coming` is what the new version takes.
    pub(super) fn keep_the_way_back(&self, coming: Needs, ledger: &mut Ledger) {
        let Self { machine, packages, plan, .. } = *self;
        packages.forget(&plan.package, Some(&plan.to));
        // Nobody watches the agent, so nobody goes back; and where there was none before, there is nothing to go back to.
        let (true, Some(version), Some(before)) = (plan.verify != Verify(0), &plan.database, self.release_before()) else {
            return;
        };
        // Never more than two: this one, and what comes.
        ledger.record.kept.retain(|kept| kept.package == plan.package && (kept.release == before || kept.release == plan.to));
        self.tidy(ledger);
        let whole = self.kept_before(ledger).map(|kept| kept.is_there(machine));
        if let Some(Ok(())) = whole {
            return;
        }
        if let Some(Err(error)) = whole {
            machine.log.warning(error.what);
            ledger.record.kept.retain(|kept| kept.release != before);
        }
        machine.log.info(format!("keeping {} {before} as the way back.", plan.package));
        match self.fetch(version, &before, coming) {
            Ok(kept) => ledger.record.kept.push(kept),
            Err(error) => machine.log.warning(format!("no way back to {before}, going on without: {error}")),
        }
    }

    fn fetch(&self, version: &str, release: &Release, coming: Needs) -> Result<Kept, Error> {
        let Self { machine, packages, transcript, plan, .. } = *self;
        if packages.fetched(&plan.package, release).is_none() {
            let both = Needs { download: coming.download.saturating_mul(2), ..coming };
            room::check(machine, "the way back", both)?;
            packages.fetch(&plan.package, version, transcript)?;
        }
        self.take(version, release)
    }

    fn take(&self, version: &str, release: &Release) -> Result<Kept, Error> {
        let Self { machine, packages, plan, .. } = *self;
        let file = packages.fetched(&plan.package, release).ok_or_else(|| {
            let what = format!("{} has downloaded no file of {} {version}", packages.name(), plan.package);
            Error::new(crate::error::Class::Repository, what, "the lines above say why")
        })?;
        kept::keep(machine, &plan.package, release, version, &file)
    }

    /// The file that the new version came from is the way back some day.
    pub(super) fn keep_what_came(&self, ledger: &mut Ledger) {
        let Self { machine, packages, plan, .. } = *self;
        let there = ledger.record.kept.iter().any(|kept| kept.release == plan.to && kept.package == plan.package);
        if plan.verify != Verify(0) && !there && packages.fetched(&plan.package, &plan.to).is_some() {
            let version = packages::state(packages, &plan.package).ok().and_then(|state| state.version);
            let kept = version.map(|version| self.take(&version, &plan.to));
            match kept {
                Some(Ok(kept)) => ledger.record.kept.push(kept),
                Some(Err(error)) => machine.log.debug(error.what),
                None => {}
            }
        }
        self.tidy(ledger);
        packages.forget(&plan.package, None);
    }

    /// Only what the record on disk does not know either is removed.
    fn tidy(&self, ledger: &mut Ledger) {
        match ledger.save() {
            Ok(()) => kept::tidy(self.machine, &ledger.record.kept),
            Err(error) => self.machine.log.warning(error.to_string()),
        }
    }
}
