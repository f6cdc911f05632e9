//! `teleport-kube-agent-updater`: keeps the agents of one Helm release on the version that their cluster wants. Kubernetes does the work; this
//! watches one object and changes one field of it.
//!
//! The watch is the loop: whatever happens to the workload is looked at, and the end of the watch, after half an hour at most, is the look at
//! what has happened elsewhere. In between nothing is asked.

pub mod api;
pub mod cli;
pub mod cluster;
pub mod figures;
mod flags;
pub mod image;
pub mod kubeconfig;
pub mod next;
pub mod outside;
pub mod pods;
pub mod probes;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod query;
pub mod reconcile;
pub mod settings;
mod times;
pub mod voice;
pub mod wanted;
pub mod windows;
pub mod workload;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

use crate::error::{Class, Error};
use crate::kube::api::{Happened, Trouble};
use crate::kube::outside::{Deadline, now, pause};
use crate::kube::reconcile::{Looked, Updater};
use crate::kube::workload::Workload;

/// Everything that one look asks and does.
const LOOK: Duration = Duration::from_secs(2 * 60);
/// How often somebody else may be faster before it is left for later.
const TRIES: usize = 5;
/// Looks that are due so shortly after each other are one.
const MARGIN: Duration = Duration::from_secs(2);
/// The first pause after something failed; it doubles up to the longest.
pub(crate) const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(2 * 60);
/// A watch that lived for so long was one.
const HEALTHY: Duration = Duration::from_secs(30);
/// And one that ended sooner was none.
const BRIEF: Duration = Duration::from_secs(2);

/// How a watch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// When the next look was due.
    OnTime,
    /// Before, whoever ended it.
    Early,
}

impl Updater {
    /// Keeps the workload up to date, for as long as this process lives.
    pub fn run(&mut self) -> ! {
        loop {
            let began = Instant::now();
            let end = self.follow();
            let lived = began.elapsed();
            if self.is_well && (lived >= HEALTHY || matches!(end, Ok(End::OnTime))) {
                self.wait = SHORTEST;
            }
            match end {
                Ok(End::Early) if lived < BRIEF => self.pause(),
                Ok(_) => {}
                Err(error) => {
                    self.failed(&error);
                    self.pause();
                }
            }
        }
    }

    /// Looks at the workload, and at everything that happens to it until its watch ends.
    fn follow(&mut self) -> Result<End, Error> {
        let found = self.find(Deadline::within(LOOK)).map_err(unexpected)?;
        // What may keep it from this for ever, such as another authority of the cluster, ends with this process: the kubelet sees to that.
        self.figures.lives(now());
        let Some((workload, mut version)) = found else {
            let what = format!("there is no StatefulSet or Deployment {}/{}", self.settings.namespace, self.settings.name);
            return Err(Error::new(Class::Config, what, "is --agent-name the name of the Helm release of the agent?"));
        };
        self.figures.found();
        let kind = workload.kind;
        let mut due = self.look(workload);
        loop {
            let ends = due;
            let mut watch = match self.api.watch(kind, &self.settings.name, &version, ends.left()) {
                Err(Trouble::Expired) => return Ok(End::Early),
                watch => watch.map_err(unexpected)?,
            };
            // Until the next look is due before this watch is over.
            while due.left() + MARGIN >= ends.left() {
                match watch.wait() {
                    Ok(Happened::Changed(workload)) => {
                        workload.version().clone_into(&mut version);
                        due = self.look(*workload);
                    }
                    Ok(Happened::Over) if ends.left() <= MARGIN => return Ok(End::OnTime),
                    Ok(Happened::Deleted | Happened::Over) | Err(Trouble::Expired) => return Ok(End::Early),
                    Err(trouble) => return Err(unexpected(trouble)),
                }
            }
        }
    }

    /// One look. Returns when the next one is due, whatever happens meanwhile: sooner after one that failed.
    fn look(&mut self, workload: Workload) -> Deadline {
        match self.settle(workload) {
            Ok(looked) => {
                self.is_well = true;
                self.figures.looked(now());
                let again = looked.again.and_then(|at| u64::try_from(at.since(now())).ok()).map(Duration::from_secs);
                let time = again.unwrap_or(self.settings.period);
                Deadline::within(time.clamp(MARGIN.min(self.settings.period), self.settings.period))
            }
            Err(error) => {
                self.is_well = false;
                self.failed(&error);
                let due = Deadline::within(jittered(self.wait));
                self.wait = longer(self.wait);
                due
            }
        }
    }

    /// Longer each time, until it works again.
    fn pause(&mut self) {
        pause(jittered(self.wait));
        self.wait = longer(self.wait);
    }

    /// As many looks as it takes while somebody else changes it, too.
    fn settle(&mut self, workload: Workload) -> Result<Looked, Error> {
        let deadline = Deadline::within(LOOK);
        let mut workload = workload;
        for _ in 0..TRIES {
            match self.reconcile(&workload, deadline) {
                Err(Trouble::Conflict) => match self.find(deadline).map_err(unexpected)? {
                    Some((newer, _)) => workload = newer,
                    None => break,
                },
                looked => return looked.map_err(unexpected),
            }
        }
        Err(Error::new(
            Class::Network,
            "somebody else changes the workload all the time",
            "kubectl get it with -o yaml --show-managed-fields, which says who does",
        ))
    }

    fn failed(&self, error: &Error) {
        self.voice.error("It is tried again", error);
        self.figures.count("failed");
    }
}

/// What is no answer of its own.
fn unexpected(trouble: Trouble) -> Error {
    match trouble {
        Trouble::Failed(error) => error,
        Trouble::Missing => Error::new(Class::Server, "the API server does not know what it is asked for", "is apps/v1 served?"),
        Trouble::Conflict | Trouble::Expired => {
            Error::new(Class::Network, "the workload has changed meanwhile", "it is looked at again")
        }
    }
}

fn longer(wait: Duration) -> Duration {
    (wait * 2).min(LONGEST)
}

/// Between half of it and all of it: many updaters that lost the same API server do not come back at once.
fn jittered(wait: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish() % 512;
    wait / 2 + wait * u32::try_from(random).unwrap_or_default() / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_spread_over_the_upper_half_and_are_never_longer_than_they_may_be() {
        let wait = Duration::from_secs(8);
        let drawn: Vec<Duration> = (0..1000).map(|_| jittered(wait)).collect();
        assert!(drawn.iter().all(|pause| (wait / 2..=wait).contains(pause)), "{drawn:?}");
        let early = drawn.iter().filter(|pause| **pause < wait * 3 / 4).count();
        assert!((300..700).contains(&early), "{early} of 1000 in the first half of the time");
        let mut wait = SHORTEST;
        for _ in 0..100 {
            assert!(longer(wait) > wait || wait == LONGEST);
            wait = longer(wait);
        }
        assert_eq!(wait, LONGEST);
    }
}
