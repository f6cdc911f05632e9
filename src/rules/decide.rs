//! Whether to upgrade, to what, and why: one pure function of policy, facts and time. Its stories are in `decide_table.rs`.

use crate::rules::facts::{Critical, Enrolment, Facts, Mandate, Target};
use crate::rules::memory::{Memory, RETURN_SEEN_FOR, Returning, UNHEALTHY_FOR};
use crate::rules::moment::Moment;
use crate::rules::pause::{LetsThrough, Pause};
use crate::rules::policy::{Downgrade, EndpointSource, Policy};
use crate::rules::release::Release;
use crate::rules::trigger::{self, NotNow, Trigger};
use crate::rules::window::Standing;

/// What this run does about the agent's version.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// Nothing to do.
    Stay(Stay),
    /// Something to do, but not now.
    Wait(Wait),
    /// Something is wanted that the policy or the host rules out until a person changes something.
    Refuse(Refusal),
    /// Go now.
    Upgrade {
        /// The version to be on.
        to: Release,
        /// What makes it happen now.
        why: Trigger,
    },
}

/// Why there is nothing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stay {
    /// The server wants no version now.
    NoTarget,
    /// The agent is on the version that is wanted.
    UpToDate(Release),
}

/// What an upgrade waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// This version failed here; it is tried again then.
    FailedBefore {
        /// The version.
        to: Release,
        /// When.
        until: Moment,
    },
    /// This host could not be brought onto this version, through no fault of the version's; it is tried again then.
    Hindered {
        /// The version.
        to: Release,
        /// When.
        until: Moment,
    },
    /// A person went back from this version; another one ends that.
    HeldBack {
        /// The version.
        to: Release,
    },
    /// A person wants no upgrades for a while.
    Paused {
        /// The version.
        to: Release,
        /// What that person said.
        pause: Pause,
    },
    /// This version was left less than a day ago; a second look decides whether the server means it.
    Returning {
        /// The version.
        to: Release,
        /// When a second look counts.
        until: Moment,
    },
    /// No trigger applies yet.
    Trigger {
        /// The version.
        to: Release,
        /// What is in sight.
        not_now: NotNow,
    },
}

impl Wait {
    /// When it ends by itself, if it does; later than that something else may be in the way.
    #[must_use]
    pub fn until(&self) -> Option<Moment> {
        match self {
            Self::FailedBefore { until, .. } | Self::Hindered { until, .. } | Self::Returning { until, .. } => Some(*until),
            Self::HeldBack { .. } => None,
            Self::Paused { pause, .. } => pause.until,
            Self::Trigger { not_now, .. } => match not_now {
                NotNow::OutsideWindow(window) => Some(window.start()),
                NotNow::BeforeTurn { turn, .. } => Some(*turn),
                NotNow::MaybeUnhealthy { since, .. } => Some(since.plus(UNHEALTHY_FOR)),
                NotNow::NoWindow(_) => None,
            },
        }
    }
}

/// What rules a version out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// A lower version of another major; agents there may not understand what they find.
    LowerMajor(Step),
    /// A lower version, and the operator wants none.
    Lower(Step),
    /// Another major, by the word of a server that knows nothing about this cluster.
    OtherMajor(Step),
    /// The clock shows a moment before this program was built.
    Clock,
}

/// From one version to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The version in use.
    pub from: Release,
    /// The version that is wanted.
    pub to: Release,
}

/// Decides. The order is part of the product: README, "How it decides".
pub fn decide(policy: &Policy, facts: &Facts, now: Moment) -> Decision {
    let to = match &facts.target {
        Target::NoneNow => return Decision::Stay(Stay::NoTarget),
        Target::Offered(release) | Target::Pinned(release) => release.clone(),
    };
    if facts.installed.as_ref() == Some(&to) {
        return Decision::Stay(Stay::UpToDate(to));
    }
    let forced = facts.mandate == Mandate::Force;
    if let Some(failed) = facts.memory.backing_off(&to, now).filter(|_| !forced) {
        return Decision::Wait(Wait::FailedBefore { until: failed.until(), to });
    }
    if let Some(until) = facts.memory.hindered_until(&to, now).filter(|_| !forced) {
        return Decision::Wait(Wait::Hindered { to, until });
    }
    if facts.memory.is_held_back(&to) && !forced {
        return Decision::Wait(Wait::HeldBack { to });
    }
    if let Some(refusal) = out_of_bounds(policy, facts, &to) {
        return Decision::Refuse(refusal);
    }
    if now < facts.built && !forced {
        return Decision::Refuse(Refusal::Clock);
    }
    if let Some(pause) = paused(facts, now) {
        return Decision::Wait(Wait::Paused { to, pause: pause.clone() });
    }
    if let Some(until) = second_look(facts, &to, now).filter(|_| !forced && facts.critical != Critical::Yes) {
        return Decision::Wait(Wait::Returning { to, until });
    }
    match trigger::first(policy, facts, now) {
        Ok(why) => Decision::Upgrade { to, why },
        Err(not_now) => Decision::Wait(Wait::Trigger { to, not_now }),
    }
}

/// The guard against versions that lie too far away. An unknown installed version cannot be guarded.
fn out_of_bounds(policy: &Policy, facts: &Facts, to: &Release) -> Option<Refusal> {
    let from = facts.installed.as_ref()?;
    let step = || Step { from: from.clone(), to: to.clone() };
    let word_of_a_stranger = policy.endpoint_source == EndpointSource::BuiltIn && matches!(facts.target, Target::Offered(_));
    if to.major() != from.major() && word_of_a_stranger {
        return Some(Refusal::OtherMajor(step()));
    }
    match policy.downgrade {
        Downgrade::Any => None,
        Downgrade::SameMajor => (to.major() < from.major()).then(|| Refusal::LowerMajor(step())),
        Downgrade::No => (to < from).then(|| Refusal::Lower(step())),
    }
}

/// The pause that stands in the way now.
fn paused(facts: &Facts, now: Moment) -> Option<&Pause> {
    let pause = facts.pause.as_ref().filter(|pause| !pause.is_over(now))?;
    let passes = match pause.lets_through {
        _ if facts.mandate == Mandate::Force => true,
        LetsThrough::Critical => facts.critical == Critical::Yes,
        LetsThrough::Nothing => false,
    };
    (!passes).then_some(pause)
}

/// When a version that was left lately may be followed again, if that moment has not come. Proxies that disagree make agents flicker.
fn second_look(facts: &Facts, to: &Release, now: Moment) -> Option<Moment> {
    if matches!(facts.target, Target::Pinned(_)) || !facts.memory.left_lately(to, now) {
        return None;
    }
    let until = facts.memory.returning_since(to, now).unwrap_or(now).plus(RETURN_SEEN_FOR);
    (now < until).then_some(until)
}

impl Decision {
    /// Whether the server's word that the target is critical would turn this decision into an upgrade, or into one that may do more.
    #[must_use]
    pub fn yields_to_critical(&self, facts: &Facts) -> bool {
        match self {
            Self::Wait(Wait::Trigger { .. } | Wait::Returning { .. }) => true,
            Self::Wait(Wait::Paused { pause, .. }) => pause.lets_through == LetsThrough::Critical,
            // It may not end open sessions for its missing schedule, but it may for the server's word (V29).
            Self::Upgrade { why: Trigger::Unhealthy { .. }, .. } => facts.enrolment == Enrolment::AfterRestart,
            _ => false,
        }
    }
}

/// What a run that came to `decision` leaves behind for the next one.
#[must_use]
pub fn remember(facts: &Facts, decision: &Decision, now: Moment) -> Memory {
    let mut memory = facts.memory.clone();
    if let Target::Offered(target) | Target::Pinned(target) = &facts.target {
        memory.saw_target(target);
    }
    if !matches!(facts.schedule.standing(now), Standing::NoneAhead(_)) {
        memory.unhealthy_since = None;
    }
    match decision {
        Decision::Wait(Wait::Trigger { not_now: NotNow::MaybeUnhealthy { since, .. }, .. }) => {
            memory.unhealthy_since = Some(*since)
        }
        Decision::Wait(Wait::Returning { to, .. }) if memory.returning_since(to, now).is_none() => {
            memory.returning = Some(Returning { release: to.clone(), since: now });
        }
        _ => {}
    }
    if facts.mandate == Mandate::Force {
        (memory.failed, memory.hindered, memory.held_back) = (None, None, None);
    }
    memory
}
