//! What will change a decision, and not before when: the same decision is made again at the moments that it waits for.

use crate::rules::account::Change;
use crate::rules::decide::{Decision, Refusal, Stay, Wait, decide, remember};
use crate::rules::facts::Facts;
use crate::rules::moment::Moment;
use crate::rules::policy::Policy;
use crate::rules::trigger::NotNow;

/// Waits in a row that are looked through; there are fewer kinds of them.
const WAITS: usize = 8;

/// What will change `decision`.
#[must_use]
pub fn change(policy: &Policy, facts: &Facts, decision: &Decision, now: Moment) -> Change {
    let at = next_chance(policy, facts, now);
    let what = match decision {
        Decision::Stay(Stay::UpToDate(_)) => "another version is wanted",
        Decision::Stay(Stay::NoTarget) => "the version server names a version",
        Decision::Upgrade { .. } => "the next run makes the upgrade",
        Decision::Wait(wait) => match wait {
            Wait::FailedBefore { .. } | Wait::Hindered { .. } => "it is tried again (at once: `teleport-upgrade force`)",
            Wait::HeldBack { .. } => "another version is wanted, or `teleport-upgrade force`",
            Wait::Paused { pause, .. } if pause.until.is_none() => "somebody resumes: teleport-upgrade resume",
            Wait::Paused { .. } => "the pause ends, or `teleport-upgrade resume`",
            Wait::Returning { .. } => "a later run sees the same version offered",
            Wait::Trigger { not_now: NotNow::OutsideWindow(_), .. } => "the window opens",
            Wait::Trigger { not_now: NotNow::BeforeTurn { .. }, .. } => "this host's turn in the window comes",
            Wait::Trigger { not_now: NotNow::NoWindow(_), .. } => {
                "the version server names windows, or `agent` in the file schedule-source"
            }
            Wait::Trigger { not_now: NotNow::MaybeUnhealthy { .. }, .. } => {
                "the agent exports its windows, or a second look takes it for ill and upgrades it"
            }
        },
        Decision::Refuse(refusal) => match refusal {
            Refusal::LowerMajor(_) => "`any` in the file allow-downgrade, or another version is wanted",
            Refusal::Lower(_) => "`same-major` or `any` in the file allow-downgrade, or another version is wanted",
            Refusal::OtherMajor(_) => {
                "the cluster's address in the file endpoint: PROXY:443/v1/webapi/automaticupgrades/channel/default"
            }
            Refusal::Clock => "the clock is set: timedatectl set-ntp true",
        },
    };
    Change { what: what.into(), at }
}

/// The first moment at which a run would upgrade, if nothing else changes; where windows are known no further, the moment from which on it
/// would in the next one. `None` when time alone does not help.
fn next_chance(policy: &Policy, facts: &Facts, now: Moment) -> Option<Moment> {
    let mut facts = facts.clone();
    let mut at = now;
    for _ in 0..WAITS {
        let decision = decide(policy, &facts, at);
        let until = match &decision {
            Decision::Upgrade { .. } => return Some(at),
            Decision::Stay(_) | Decision::Refuse(_) => return None,
            // Later than now that an agent exports no windows is no illness: it will have exported others by then.
            Decision::Wait(Wait::Trigger { not_now: NotNow::MaybeUnhealthy { .. }, .. }) if at > now => return Some(at),
            Decision::Wait(wait) => wait.until()?,
        };
        facts.memory = remember(&facts, &decision, at);
        at = until.max(at.plus(1));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::pause::LetsThrough;
    use crate::rules::story::{Story, at};

    #[test]
    fn the_next_chance_is_that_of_the_decision_itself_made_later() {
        let stories: Vec<(&str, Story, &str)> = vec![
            ("the window", at("16.1.7"), "02:00"),
            ("now", at("16.1.7").now("2:30"), "02:30"),
            ("nothing is wanted", at("16.2.0"), "-"),
            ("the back-off ends before the window", at("16.1.7").failed("16.2.0", 1, "0:10").now("0:30"), "02:00"),
            ("the back-off ends in the window", at("16.1.7").failed("16.2.0", 1, "1:10").now("1:20"), "02:10"),
            (
                "the back-off ends after the last window that is known",
                at("16.1.7").failed("16.2.0", 3, "1:10").now("1:20"),
                "05:10",
            ),
            ("the pause ends in the window", at("16.1.7").paused("2:20", LetsThrough::Critical).now("1:00"), "02:20"),
            ("a fleet is spread over the window", at("16.1.7").spread("0123456789abcdef0123456789abcdef").now("1:00"), "02:13"),
            ("a person went back", at("16.1.7").held_back("16.2.0"), "-"),
            ("lower major", at("16.1.7").offered("15.5.0"), "-"),
            ("no schedule", at("16.1.7").missing_schedule().now("1:00"), "01:10"),
            ("no schedule, seen before", at("16.1.7").missing_schedule().unhealthy_since("0:55").now("1:00"), "01:05"),
            ("a second look, and then the window", at("16.1.7").left("16.2.0", "-1:00").now("1:00"), "02:00"),
        ];
        for (name, story, chance) in stories {
            let said = next_chance(&story.policy, &story.facts, story.now);
            let said = said.map_or_else(|| "-".to_owned(), |moment| moment.to_string().split(' ').nth(2).unwrap().to_owned());
            assert_eq!(said, chance, "{name}");
        }
    }
}
