//! What may be installed in a run: the product's promise once more, in rules of their own that are slow and obvious. And what must be so in
//! the end.

use super::history::{Asked, VERSIONS};
use super::lessons::Lessons;
use super::world::{Phase, Simulated};

/// The sentence that a history breaks. One that is made shorter has to break the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    NeverTwoInstallsAtOnce,
    NeverOutsidePolicy,
    NeverLeftDown,
    EveryHistoryConverges,
    TheRecordIsRead,
    WhatIsSaidIsSo,
    APersonIsObeyed,
    NothingPanics,
}

/// That it was broken, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) rule: Rule,
    how: String,
}

impl Wrong {
    pub(super) fn new(rule: Rule, how: impl Into<String>) -> Self {
        Self { rule, how: how.into() }
    }
}

/// What the people around the host want.
#[derive(Debug, Default)]
pub(super) struct People {
    /// The windows in the schedule file, in seconds since 1970.
    pub(super) windows: Vec<(i64, i64)>,
    /// Until when upgrades are paused, and whether critical ones come all the same.
    pub(super) pause: Option<(i64, bool)>,
    pub(super) hold: bool,
    /// Versions that came while somebody had stopped the agent, or while it was down on such a one: nobody has seen whether it runs on them.
    pub(super) unproven: Vec<String>,
    /// Since when each run has seen no window that ends in the future.
    pub(super) blind_since: Option<i64>,
    /// What earlier runs taught.
    pub(super) lessons: Lessons,
}

impl People {
    /// Whether a window ends in the future.
    pub(super) fn see(&self, now: i64) -> bool {
        self.windows.iter().any(|(_, stop)| now < *stop)
    }

    /// A run begins.
    pub(super) fn look(&mut self, now: i64) {
        if !self.see(now) {
            self.blind_since = Some(self.blind_since.filter(|since| *since <= now).unwrap_or(now));
        }
    }

    /// Whether the run that begins now may install what is offered; it decides so many seconds later at most.
    fn allow(&self, asked: Asked, critical: bool, now: i64, later: i64) -> bool {
        let open = self.windows.iter().any(|(start, stop)| *start <= now + later && now < *stop);
        let ill = self.blind_since.is_some_and(|since| now - since >= 600);
        let pause = self.pause.filter(|(until, _)| now < *until);
        match (asked, pause) {
            (Asked::Force, _) => true,
            (Asked::Rollback, _) => false,
            (Asked::ByTimer, _) if self.hold => false,
            (Asked::ByTimer, Some((_, critical_comes))) => critical && critical_comes,
            (Asked::ByTimer, None) => critical || open || ill,
        }
    }
}

/// What may be installed in a run; what one has begun may be finished besides, as long as the package is not whole.
#[derive(Debug, Default)]
pub(super) struct Allowed {
    /// What may be begun.
    targets: Vec<String>,
    /// What may be put back.
    ways_back: Vec<String>,
}

impl Allowed {
    /// Whether installing that on a host which is on `now` breaks a rule; what may be begun is `begun` then.
    pub(super) fn judge(&mut self, version: &str, now: (&str, Phase), begun: &mut Option<String>) -> Option<Wrong> {
        if now.1 == Phase::Whole {
            // Whatever comes of it, and whatever this run has done before.
            self.ways_back.push(now.0.to_owned());
        }
        if self.targets.iter().any(|target| target == version) {
            *begun = Some(version.to_owned());
            return None;
        }
        let finishes = now.1 != Phase::Whole && begun.as_deref() == Some(version);
        let is_fine = finishes || self.ways_back.iter().any(|before| before == version);
        let what = || format!("{version} is installed, which nobody allows now ({self:?}; begun: {begun:?}, now {now:?})");
        (!is_fine).then(|| Wrong::new(Rule::NeverOutsidePolicy, what()))
    }
}

/// What may be installed in a run that begins now.
pub(super) fn allowed(world: &Simulated, record: &serde_json::Value, people: &People, asked: Asked) -> Allowed {
    let now = world.now() / 1000;
    let host = world.host.borrow();
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let mut ways_back = Vec::new();
    if host.begun.is_some() {
        ways_back.extend([&record["pending"]["from"], &record["pending"]["database"]].into_iter().filter_map(text));
    }
    let mut versions = Vec::new();
    if asked == Asked::Rollback {
        versions.extend(record["upgrades"].as_array().into_iter().flatten().filter_map(|made| text(&made["from"])));
    }
    // What an earlier run has left is settled first, and a window may open meanwhile.
    let later = if record["pending"].is_null() { 1 } else { 700 };
    let permits = |offered: &&String| {
        people.allow(asked, host.critical, now, later)
            && (asked == Asked::Force || people.lessons.permit(offered, host.critical, now, later))
    };
    versions.extend(host.server.as_ref().filter(permits).cloned());
    // A lower major version never, whoever asks.
    versions.retain(|version| version != VERSIONS[4]);
    Allowed { targets: versions, ways_back }
}

/// What is wrong with a host on which the world has calmed down and that has had all the time it needs; nothing, if all is well. `wanted` is
/// offered and in the repository.
pub(super) fn wrong_in_the_end(
    world: &Simulated,
    record: &serde_json::Value,
    people: &People,
    wanted: &str,
    wanted_is_good: bool,
) -> Option<Wrong> {
    let wrong = |rule, how| Some(Wrong::new(rule, how));
    let host = world.host.borrow();
    let agent = host.agent.as_ref().map(|agent| agent.version.as_str());
    let said = record["last"]["code"].as_str().unwrap_or_default();
    let runs = host.enabled && !people.unproven.contains(&host.version);
    if runs && agent.is_none() {
        return wrong(Rule::NeverLeftDown, format!("the agent is down on {}; the last run said {said}", host.version));
    }
    if host.phase != Phase::Whole {
        return wrong(
            Rule::EveryHistoryConverges,
            format!("the package is {:?} on {}; the last run said {said}", host.phase, host.version),
        );
    }
    // Nobody has seen the agent run on what is installed, and what is wanted is no good, either: that is a person's, and is tried again.
    let is_hopeless = !wanted_is_good && people.unproven.contains(&host.version);
    if !record["pending"].is_null() && !is_hopeless {
        return wrong(Rule::EveryHistoryConverges, format!("something is pending: {}", record["pending"]));
    }
    if !record["hold_owed"].is_null() {
        return wrong(Rule::EveryHistoryConverges, format!("the hold is still to be left {}", record["hold_owed"]));
    }
    if wanted_is_good && host.version != wanted {
        return wrong(
            Rule::EveryHistoryConverges,
            format!("{} is installed and {wanted} is wanted; the last run said {said}", host.version),
        );
    }
    if runs && agent != Some(host.version.as_str()) {
        return wrong(Rule::EveryHistoryConverges, format!("{} is installed, and the agent runs {agent:?}", host.version));
    }
    if wanted_is_good && said != "up-to-date" {
        return wrong(Rule::WhatIsSaidIsSo, format!("all is well, and the last run said {said}"));
    }
    let honest = ["failed-before", "hindered", "package", "went-back", "up-to-date", "upgraded"];
    let is_honest = honest.contains(&said) || is_hopeless && said == "broken";
    (!is_honest).then(|| Wrong::new(Rule::WhatIsSaidIsSo, format!("{wanted} is no good, and the last run said {said}")))
}
