//! What the world has seen of the runs, and what it makes of one: of its end, and of what may not be begun after it. Known from the host, not
//! from what the program remembers. Where a killed run may have changed what counts, nothing is claimed.

use teleport_upgrade::host::machine::BUILT;

use super::history::{Asked, Flaw};
use super::rules::{Rule, Wrong};
use super::world::{Phase, Simulated};

/// A version that was left or that failed, and when the run that did it began and ended.
#[derive(Debug)]
struct Past {
    version: String,
    began: i64,
    ended: i64,
}

impl Past {
    /// Whether it is certain that it is less than so many seconds ago for a run that decides within `later`.
    fn is_within(&self, seconds: i64, now: i64, later: i64) -> bool {
        self.ended <= now && now + later < self.began + seconds
    }
}

/// What earlier runs taught.
#[derive(Debug, Default)]
pub(super) struct Lessons {
    failed: Option<Past>,
    held_back: Option<String>,
    left: Option<Past>,
    /// Since when what was left is offered again.
    returning: Option<i64>,
    /// Whether a run was killed that had, or may have had, an agent in its hands that was well.
    owed: bool,
}

/// A run that begins, as the world sees it.
pub(super) struct Begun {
    asked: Asked,
    at: i64,
    offered: Option<String>,
    version: String,
    was_pending: bool,
    /// The agent ran, on a version that is good.
    was_well: bool,
    installs: usize,
}

/// How it ended.
pub(super) struct Ended<'r> {
    pub(super) killed: bool,
    /// What is on disk after it.
    pub(super) record: &'r serde_json::Value,
}

impl Lessons {
    /// Whether the timer may begin with what is offered, as far as it depends on what was before.
    pub(super) fn permit(&self, offered: &str, critical: bool, now: i64, later: i64) -> bool {
        let is = |past: &Option<Past>, seconds| {
            past.as_ref().is_some_and(|past| past.version == offered && past.is_within(seconds, now, later))
        };
        // Two looks, ten minutes apart.
        let seen_twice = self.returning.is_some_and(|since| now + later >= since + 600);
        let must_return = is(&self.left, 86_400) && !critical && !seen_twice;
        let is_held_back = self.held_back.as_deref() == Some(offered);
        now + later >= BUILT.unix() && !is(&self.failed, 3600) && !is_held_back && !must_return
    }

    /// A run begins. Another offer, or a person's word, ends what was held against a version.
    pub(super) fn begin(&mut self, world: &Simulated, asked: Asked, record: &serde_json::Value) -> Begun {
        let host = world.host.borrow();
        let at = world.now() / 1000;
        let offered = host.server.clone().filter(|offered| offered != "none");
        if asked == Asked::Force {
            (self.failed, self.held_back) = (None, None);
        }
        if let Some(offered) = &offered {
            self.failed.take_if(|failed| failed.version != *offered);
            self.held_back.take_if(|held| held != offered);
            let returns = self.left.as_ref().is_some_and(|left| left.version == *offered);
            // A run that is killed may not have written down that it saw another.
            if returns {
                self.returning = Some(self.returning.filter(|since| *since <= at).unwrap_or(at));
            }
        }
        Begun {
            asked,
            at,
            offered,
            version: host.version.clone(),
            was_pending: !record["pending"].is_null(),
            was_well: host.enabled && host.agent.as_ref().is_some_and(|agent| world.flaw(&agent.version) == Flaw::None),
            installs: host.installed.len(),
        }
    }

    /// A person stops the agent, or it is seen to run.
    pub(super) fn nothing_owed(&mut self) {
        self.owed = false;
    }

    /// It ended: what it did wrong, and what it taught.
    pub(super) fn end(&mut self, world: &Simulated, begun: &Begun, ended: &Ended) -> Option<Wrong> {
        let owed = (self.owed || begun.was_well) && world.host.borrow().enabled;
        self.owed = owed && (ended.killed || world.host.borrow().agent.is_none());
        if ended.record["pending"].is_null() {
            world.host.borrow_mut().begun = None;
        }
        if ended.killed {
            if begun.was_pending || world.host.borrow().installed.len() > begun.installs {
                (self.failed, self.held_back, self.left, self.returning) = (None, None, None, None);
            }
            return None;
        }
        self.learn(world, begun, ended.record);
        left_down(world, begun, owed, ended.record).or_else(|| untrue(world, begun, ended.record))
    }

    fn learn(&mut self, world: &Simulated, begun: &Begun, record: &serde_json::Value) {
        let host = world.host.borrow();
        let code = record["last"]["code"].as_str().unwrap_or_default();
        let past = |version: &str| Past { version: version.to_owned(), began: begun.at, ended: world.now() / 1000 };
        let is_settled = record["pending"].is_null() && host.phase == Phase::Whole;
        let offered = begun.offered.as_deref().filter(|_| is_settled && begun.asked != Asked::Rollback);
        let went_back = (code == "went-back").then(|| record["upgrades"].as_array()?.last()?["to"].as_str()).flatten();
        let tried = |version: &str| host.installed[begun.installs..].iter().any(|tried| tried == version);
        let came_to_nothing = |offered: &&str| *offered != host.version && (tried(offered) || went_back == Some(*offered));
        if let Some(failed) = offered.filter(came_to_nothing) {
            self.failed = Some(past(failed));
        }
        let is_change = matches!(code, "upgraded" | "rolled-back");
        if begun.version != host.version || is_change {
            let is_plain = is_settled && !begun.was_pending && is_change;
            self.left = is_plain.then(|| past(&begun.version));
            self.returning = None;
        }
        if begun.asked == Asked::Rollback && matches!(code, "rolled-back" | "held-back") {
            self.failed = None;
            let seen = record["memory"]["target"].as_str().unwrap_or(&begun.version);
            self.held_back = Some(seen.to_owned());
        }
    }
}

/// An agent that ran on a good version runs after a run that came to its end, or a person is called (11).
fn left_down(world: &Simulated, begun: &Begun, owed: bool, record: &serde_json::Value) -> Option<Wrong> {
    let host = world.host.borrow();
    let (exit, code) = (record["last"]["exit"].as_u64().unwrap_or_default(), record["last"]["code"].as_str().unwrap_or_default());
    let says_so = exit == 11 || !begun.was_well && code == "busy";
    let what = || format!("on {} ({:?}) the agent is down after a run that ended with {exit}, {code}", host.version, host.phase);
    (owed && host.agent.is_none() && !says_so).then(|| Wrong::new(Rule::NeverLeftDown, what()))
}

/// What a run that came to its end says of the host has to be so.
fn untrue(world: &Simulated, begun: &Begun, record: &serde_json::Value) -> Option<Wrong> {
    let host = world.host.borrow();
    let code = record["last"]["code"].as_str().unwrap_or_default();
    let change = record["upgrades"].as_array().and_then(|made| made.last());
    let is_on = |version: Option<&str>| host.phase == Phase::Whole && version == Some(host.version.as_str());
    let is_true = match code {
        "upgraded" | "up-to-date" => is_on(begun.offered.as_deref()) && world.binary() == begun.offered,
        "went-back" => is_on(change.and_then(|change| change["from"].as_str())),
        // What a killed upgrade had begun is gone back from.
        "rolled-back" if change.is_some_and(|change| change["code"] == "went-back") => {
            is_on(change.and_then(|c| c["from"].as_str()))
        }
        "rolled-back" => is_on(change.and_then(|change| change["to"].as_str())),
        _ => true,
    };
    let what = || format!("{code} is said; {:?} was offered, {} is installed ({:?})", begun.offered, host.version, host.phase);
    (!is_true).then(|| Wrong::new(Rule::WhatIsSaidIsSo, what()))
}
