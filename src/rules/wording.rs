//! What is said of a decision. Operators have searched their logs for these sentences for years (reference: Teleport's first
//! updater), so the ones that exist there are kept to the letter and what we know beyond them follows in lines of its own.

use crate::log::Level;
use crate::rules::decide::{Decision, Refusal, Stay, Step, Wait};
use crate::rules::facts::{Enrolment, Facts, NOT_ENROLLED, Target};
use crate::rules::moment::{Moment, span};
use crate::rules::pause::{LetsThrough, Pause};
use crate::rules::policy::Policy;
use crate::rules::trigger::{NotNow, Trigger};
use crate::rules::window::{Schedule, Standing};

/// One line of the log.
pub type Line = (Level, String);

/// The decision and how it came about, in the order in which a person would ask.
#[must_use]
pub fn of(policy: &Policy, facts: &Facts, decision: &Decision, now: Moment) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Schedule::Read { oddities, .. } = &facts.schedule {
        lines.extend(oddities.iter().map(|odd| warn(format!("schedule: {odd}"))));
    }
    if !matches!(decision, Decision::Stay(_)) {
        lines.extend(availability(facts));
    }
    match decision {
        Decision::Stay(stay) => lines.push(info(stayed(stay))),
        Decision::Wait(wait) => lines.extend(waiting(wait, now)),
        Decision::Refuse(refusal) => lines.push(warn(refused(refusal, policy, facts, now))),
        Decision::Upgrade { why, .. } => lines.extend(going(why, facts, now)),
    }
    lines.extend(enrolment(facts, decision, now));
    lines
}

/// Why an agent that runs exports no windows.
fn enrolment(facts: &Facts, decision: &Decision, now: Moment) -> Vec<Line> {
    let none_ahead = matches!(facts.schedule.standing(now), Standing::NoneAhead(_));
    let say = if none_ahead && !matches!(decision, Decision::Stay(_)) { warn } else { info };
    let mut lines = Vec::new();
    match facts.enrolment {
        Enrolment::Enrolled | Enrolment::NotNeeded | Enrolment::Unknown => {}
        Enrolment::AfterRestart => {
            lines.push(say(NOT_ENROLLED.to_owned()));
            if matches!(decision, Decision::Upgrade { why, .. } if why.may_enrol()) {
                lines.push(say("this upgrade restarts it.".to_owned()));
            }
        }
        Enrolment::NotArranged if none_ahead => lines.push(say(
            "agent is not enrolled: nothing sets TELEPORT_EXT_UPGRADER=unit for it, so it exports no schedule; the package teleport-ent-updater does.".to_owned(),
        )),
        Enrolment::NotArranged => {}
    }
    lines
}

fn info(text: impl Into<String>) -> Line {
    (Level::Info, text.into())
}

fn warn(text: impl Into<String>) -> Line {
    (Level::Warning, text.into())
}

fn availability(facts: &Facts) -> Option<Line> {
    let (to, pinned) = match &facts.target {
        Target::NoneNow => return None,
        Target::Offered(to) => (to, ""),
        Target::Pinned(to) => (to, ", pinned"),
    };
    Some(match &facts.installed {
        Some(from) => info(format!("an upgrade is available ({from} -> {to}{pinned})")),
        None => info(format!("failed to detect current version, assuming {to} to be valid target.")),
    })
}

fn stayed(stay: &Stay) -> String {
    match stay {
        Stay::NoTarget => "no upgrades available (the version server wants no version now).".into(),
        Stay::UpToDate(release) => format!("no upgrades available ({release} == {release})"),
    }
}

fn waiting(wait: &Wait, now: Moment) -> Vec<Line> {
    match wait {
        Wait::FailedBefore { to, until } => vec![warn(format!(
            "{to} failed on this host before, not attempting again until {until}, in {}; a new target or `teleport-upgrade force` ends the wait.",
            span(until.since(now))
        ))],
        Wait::Hindered { to, until } => vec![warn(format!(
            "{to} could not be installed on this host, not attempting again until {until}, in {}; a new target or `teleport-upgrade force` ends the wait.",
            span(until.since(now))
        ))],
        Wait::HeldBack { to } => vec![info(format!(
            "a person went back with `teleport-upgrade rollback`: {to} is not attempted; another target or `teleport-upgrade force` ends that."
        ))],
        Wait::Returning { to, until } => vec![info(format!(
            "{to} was left less than a day ago and is offered again: waiting for a second look after {until}, in case version servers disagree."
        ))],
        Wait::Trigger { not_now: NotNow::OutsideWindow(window), .. } => vec![
            info("upgrade is non-critical and we are outside of maintenance window, not attempting."),
            info(format!("the next window is {} to {}, in {}.", window.start(), window.stop(), span(window.start().since(now)))),
        ],
        Wait::Trigger { not_now: NotNow::BeforeTurn { window, turn }, .. } => vec![info(format!(
            "the window is open until {}, but `spread` lets other hosts go first: this one's turn is at {turn}, in {}.",
            window.stop(),
            span(turn.since(now))
        ))],
        Wait::Paused { to, pause } => vec![info(format!(
            "{}: {to} is not attempted; `teleport-upgrade resume` ends that{}.",
            paused(pause, &|moment| moment.to_string()),
            if pause.lets_through == LetsThrough::Critical { ", and a critical upgrade comes all the same" } else { "" }
        ))],
        Wait::Trigger { not_now: NotNow::NoWindow(why), .. } => vec![
            info("upgrade is non-critical and we are outside of maintenance window, not attempting."),
            warn(format!(
                "{why}.\n    next: give the version server a cluster_maintenance_config, or write `agent` into the file schedule-source"
            )),
        ],
        Wait::Trigger { not_now: NotNow::MaybeUnhealthy { since, schedule }, .. } => vec![
            warn("agent does not appear to have exported a valid upgrade schedule."),
            warn("agent is new, or newly unhealthy. marking for potential future upgrade."),
            warn(format!("{schedule}; a run at least 10 minutes after {since} will act if that is still so.")),
        ],
    }
}

/// Who paused, when, why and until when; moments as `said` says them.
#[must_use]
pub fn paused(pause: &Pause, said: &dyn Fn(Moment) -> String) -> String {
    let until = pause.until.map_or_else(|| "until somebody resumes".to_owned(), |until| format!("until {}", said(until)));
    let why = pause.reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
    format!("paused {until} by {} at {}{why}", pause.by, pause.since)
}

fn refused(refusal: &Refusal, policy: &Policy, facts: &Facts, now: Moment) -> String {
    match refusal {
        Refusal::LowerMajor(Step { from, to }) => format!(
            "refusing to go down from {from} to {to}: another major version.\n    next: if that is meant, write `any` into allow-downgrade in the configuration directory, and `same-major` back after"
        ),
        Refusal::Lower(Step { from, to }) => format!(
            "refusing to go down from {from} to {to}: allow-downgrade says `no`.\n    next: if that is meant, write `same-major` (or `any`) into allow-downgrade in the configuration directory"
        ),
        Refusal::OtherMajor(Step { from, to }) => format!(
            "refusing to move from {from} to {to} by the word of {}: it knows nothing about this cluster, and no endpoint is configured.\n    next: write your cluster's endpoint into the file `endpoint` in the configuration directory: PROXY:443/v1/webapi/automaticupgrades/channel/default",
            policy.endpoint
        ),
        Refusal::Clock => format!(
            "this host's clock says {now}, before this program was built ({}): no window and no schedule can be trusted.\n    next: set the clock (`timedatectl set-ntp true`), or run `teleport-upgrade force`",
            facts.built
        ),
    }
}

fn going(why: &Trigger, facts: &Facts, now: Moment) -> Vec<Line> {
    match why {
        Trigger::Forced => vec![info("forced: upgrade will be attempted without checking maintenance window.")],
        Trigger::Critical => vec![info("upgrade is marked as critical, will be attempted without checking maintenance window.")],
        Trigger::Window(window) => vec![
            info("within maintenance window, upgrade will be attempted."),
            info(format!("the window closes at {}, in {}.", window.stop(), span(window.stop().since(now)))),
        ],
        Trigger::Unhealthy { since } => {
            let mut lines = vec![
                warn("agent does not appear to have exported a valid upgrade schedule."),
                warn("agent was previously marked unhealthy and does not appear recovered, upgrade will be attempted."),
            ];
            if let Standing::NoneAhead(schedule) = facts.schedule.standing(now) {
                lines.push(warn(format!("{schedule}; first seen so at {since}, {} ago.", span(now.since(*since)))));
            }
            lines
        }
    }
}
