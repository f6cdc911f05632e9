//! One look at the workload, and what follows from it: facts, decision, image, one write, what was said. The order of it, and no rules.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::error::{Class, Error};
use crate::kube::api::{Api, Trouble};
use crate::kube::figures::Figures;
use crate::kube::image::registry::Registries;
use crate::kube::image::{Refusal, Trust, Verified, image};
use crate::kube::next::{Decision, Facts, Wanted, When, Why, decide, differs};
use crate::kube::outside::{Deadline, Mounted, Outside, now};
use crate::kube::pods::{Pod, RESPITE, complaint, next_illness, stuck};
use crate::kube::settings::Settings;
use crate::kube::voice::Voice;
use crate::kube::windows::{Standing, standing};
use crate::kube::workload::{Kind, Workload};
use crate::offers::reply::Offered;
use crate::rules::moment::Moment;
use crate::rules::release::Release;

/// Everything that a look needs, and what earlier ones have left.
pub struct Updater {
    /// What is asked for.
    pub settings: Settings,
    /// The API server.
    pub api: Api,
    /// Other servers.
    pub outside: Outside,
    /// Credentials of registries.
    pub mounted: Mounted,
    /// Whose word on an image is taken.
    pub trust: Trust,
    /// What is said.
    pub voice: Voice,
    /// What is counted.
    pub figures: Figures,
    /// What was found to be signed.
    pub verified: Verified,
    /// The event that was written last, and when.
    pub told: Option<(String, String, Moment)>,
    /// Pods that were deleted lately, by name.
    pub ended: BTreeMap<String, Moment>,
    /// How long to wait after something has failed.
    pub wait: Duration,
    /// Whether the last look came to an end.
    pub is_well: bool,
}

/// For so many seconds an event that was written needs no other one of the same words.
const REMINDER: i64 = 45 * 60;

/// What a look came to.
pub struct Looked {
    /// When another one may come to something else, although nothing happens.
    pub again: Option<Moment>,
}

impl Updater {
    /// Looks at the workload, and does what follows.
    ///
    /// # Errors
    /// [`Trouble::Conflict`]: it has changed meanwhile; look again at once. Everything else: later.
    pub fn reconcile(&mut self, workload: &Workload, deadline: Deadline) -> Result<Looked, Trouble> {
        if workload.is_skipped() {
            self.voice.info("Reconciliation disabled by resource annotations. Skipping.", &[]);
            self.figures.count("skipped");
            return Ok(Looked { again: None });
        }
        let selector = workload.selector().map_err(|why| self.unfit(workload, &why))?;
        let pods = self.api.pods(&selector, deadline)?;
        let decided = self.act(workload, &pods, deadline);
        // A roll-out that is under way is let go on, whatever became of the next version.
        let unblocked = match decided {
            Ok(Decision::Update { .. }) | Err(Trouble::Conflict) => Ok(()),
            _ => self.unblock(workload, &pods, deadline),
        };
        let decision = decided?;
        unblocked?;
        let again = [decision.look_again(), next_illness(&pods, now())];
        Ok(Looked { again: again.into_iter().flatten().min() })
    }

    /// Decides, and does or says what follows.
    fn act(&mut self, workload: &Workload, pods: &[Pod], deadline: Deadline) -> Result<Decision, Trouble> {
        let current = workload.current(&self.settings.container).map_err(|why| self.unfit(workload, &why))?;
        let wanted = self.settings.source.ask(&self.outside, deadline, |offered| differs(current.as_ref(), offered));
        if let Err(error) = &wanted {
            self.tell(workload, "Warning", "VersionUnknown", &error.what, deadline);
        }
        let wanted = wanted?;
        let name = |release: Option<&Release>| release.map(ToString::to_string).unwrap_or_default();
        self.figures.versions(name(current.as_ref()), name(release(&wanted.offered)));
        let facts = self.facts(pods, current, wanted, deadline)?;
        let decision = decide(&facts);
        match &decision {
            Decision::Update { to, why } => self.update(workload, &facts, to, why, deadline)?,
            other => self.explain(workload, &facts, other, deadline),
        }
        Ok(decision)
    }

    /// What the decision is made on. Windows are looked up only where they can matter.
    fn facts(&self, pods: &[Pod], current: Option<Release>, wanted: Wanted, deadline: Deadline) -> Result<Facts, Trouble> {
        let windows = if wanted.when == When::Windows && differs(current.as_ref(), &wanted.offered) {
            let secret = self.api.secret(&format!("{}-shared-state", self.settings.name), deadline)?;
            standing(secret.as_ref(), now())
        } else {
            Standing::NoneAhead(String::new())
        };
        Ok(Facts { current, wanted, complaint: complaint(pods, now()), windows, downgrades: self.settings.downgrades })
    }

    fn update(&mut self, workload: &Workload, facts: &Facts, to: &Release, why: &Why, deadline: Deadline) -> Result<(), Trouble> {
        let unproven = match &self.trust {
            Trust::SignedBy(_) => "",
            Trust::Registry => {
                self.voice.insecure("The image is NOT verified: --insecure-no-verify-image is set.");
                "; its image is NOT verified"
            }
            Trust::Nobody => {
                self.voice.insecure("The image is NEITHER resolved NOR verified: --insecure-no-resolve-image is set.");
                "; its image is neither resolved nor verified"
            }
        };
        let image = match self.image(to, deadline) {
            Ok(image) => image,
            Err(refusal) => return Err(self.refused(workload, refusal, deadline).into()),
        };
        self.voice.info("Updating podSpec with image", &[("image", image.clone()), ("why", why.to_string())]);
        let object = workload.with_image(&self.settings.container, &image);
        match self.api.replace(workload.kind, &self.settings.name, &object, deadline) {
            Err(Trouble::Failed(error)) => return Err(self.refused(workload, error.into(), deadline).into()),
            replaced => replaced?,
        }
        let from = facts.current.as_ref().map_or_else(|| "an unknown version".to_owned(), ToString::to_string);
        self.tell(workload, "Normal", "Updated", &format!("from {from} to {to}: {why}{unproven}"), deadline);
        self.figures.count("updated");
        Ok(())
    }

    /// The image of a version that may be run, as it is written into the workload.
    fn image(&mut self, to: &Release, deadline: Deadline) -> Result<String, Refusal> {
        let credentials = self.mounted.credentials()?;
        let mut registries = Registries::new(&self.outside, &credentials);
        let image = image(&mut registries, &self.settings.repository, to, &self.trust, &mut self.verified, deadline)?;
        Ok(image.to_string())
    }

    /// Says why there is no update although there should be one.
    fn refused(&mut self, workload: &Workload, refusal: Refusal, deadline: Deadline) -> Error {
        let (reason, error) = match refusal {
            Refusal::OfImage(error) => {
                self.voice.error("Image verification failed, not updating.", &error);
                ("ImageRefused", error)
            }
            Refusal::Failed(error) => ("UpdateFailed", error),
        };
        self.tell(workload, "Warning", reason, &error.what, deadline);
        error
    }

    /// Says why nothing is updated, in the sentences that people know.
    fn explain(&mut self, workload: &Workload, facts: &Facts, decision: &Decision, deadline: Deadline) {
        let current = facts.current.as_ref().map_or_else(String::new, |release| format!("v{release}"));
        match decision {
            Decision::UpToDate => {
                let sentence = format!("{} is already up-to-date, not updating.", workload.kind.name());
                let same = format!("no new version (current: \"{current}\", next: \"{current}\")");
                self.voice.info(&sentence, &[("err", same)]);
                self.figures.count("up-to-date");
            }
            Decision::NoTarget => {
                self.voice.info("No version is wanted now, not updating.", &[("current", current)]);
                self.figures.count("no-target");
            }
            Decision::Wait { to, until } => {
                let more = [("current", current), ("next", format!("v{to}")), ("until", until.to_string())];
                self.voice.info("No maintenance triggered, not updating.", &more);
                self.figures.count("waiting");
                self.tell(workload, "Normal", "UpdateWaits", &format!("{to} waits for {until}"), deadline);
            }
            Decision::Refuse(to) => {
                let why = format!("{to} is of a lower major version than {current}: --allow-major-downgrade would follow it");
                self.voice.warning("A lower major version is wanted, not updating.", &[("err", why.clone())]);
                self.figures.count("refused");
                self.tell(workload, "Warning", "DowngradeRefused", &why, deadline);
            }
            // `update` says that.
            Decision::Update { .. } => {}
        }
    }

    /// Ends pods that keep a roll-out from going on.
    fn unblock(&mut self, workload: &Workload, pods: &[Pod], deadline: Deadline) -> Result<(), Trouble> {
        let Some(revision) = workload.update_revision() else { return Ok(()) };
        self.ended.retain(|_, at| now().since(*at) < RESPITE);
        for pod in stuck(pods, revision, workload.rolled_out_from(), now()) {
            if self.ended.contains_key(&pod.name) {
                continue;
            }
            self.voice.info("Deleting a pod that keeps the roll-out from going on", &[("pod", pod.name.clone())]);
            self.api.delete_pod(&pod.name, &pod.uid, deadline)?;
            self.ended.insert(pod.name.clone(), now());
            self.tell(
                workload,
                "Normal",
                "RolloutUnblocked",
                &format!("pod {} was ill and of an older revision", pod.name),
                deadline,
            );
        }
        Ok(())
    }

    /// What a person reads in `kubectl describe`. As long as it stays so, once in three quarters of an hour: the API server keeps an event for
    /// one.
    fn tell(&mut self, workload: &Workload, kind: &str, reason: &str, message: &str, deadline: Deadline) {
        let now = now();
        let known = self.told.as_ref().filter(|(_, _, at)| (0..REMINDER).contains(&now.since(*at)));
        if known.is_some_and(|(known, of, _)| known == reason && of == message) {
            return;
        }
        let (name, at) = (&self.settings.name, now.rfc3339());
        let event = json!({
            "apiVersion": "v1", "kind": "Event", "type": kind, "reason": reason, "count": 1,
            // What the API server takes.
            "message": message.chars().take(1000).collect::<String>(),
            "metadata": {"generateName": format!("{name}."), "namespace": self.settings.namespace},
            "involvedObject": {
                "apiVersion": "apps/v1", "kind": workload.kind.name(), "uid": workload.uid(),
                "name": name, "namespace": self.settings.namespace,
            },
            "source": {"component": "teleport-kube-agent-updater"},
            "firstTimestamp": at, "lastTimestamp": at,
        });
        match self.api.tell(&event, deadline) {
            Ok(()) => self.told = Some((reason.to_owned(), message.to_owned(), now)),
            Err(Trouble::Failed(error)) => {
                self.voice.warning("An event cannot be written", &[("err", error.what), ("next", error.next)])
            }
            // Its namespace is going away.
            Err(_) => {}
        }
    }

    fn unfit(&self, workload: &Workload, why: &str) -> Error {
        let what = format!("{} {}/{} {why}", workload.kind.name(), self.settings.namespace, self.settings.name);
        Error::new(Class::Config, what, "is it the agent's? Then name its container with --container-name")
    }
}

impl Updater {
    /// The workload, whichever kind it is of, and the version of everything that this is as of.
    ///
    /// # Errors
    /// The API server does not say.
    pub fn find(&self, deadline: Deadline) -> Result<Option<(Workload, String)>, Trouble> {
        for kind in Kind::ALL {
            if let (Some(workload), version) = self.api.workload(kind, &self.settings.name, deadline)? {
                return Ok(Some((workload, version)));
            }
        }
        Ok(None)
    }
}

fn release(offered: &Offered) -> Option<&Release> {
    match offered {
        Offered::Release(release) => Some(release),
        Offered::NoTarget => None,
    }
}
