//! What a host remembers from run to run, and how it changes: pure transitions, kept by `host::record`.
//!
//! A moment that lies in the future was remembered under a clock that has since been set back; it is treated as not remembered, so
//! that one bad clock cannot block a host for years.

use serde::{Deserialize, Serialize};

use crate::rules::moment::Moment;
use crate::rules::release::Release;

/// How long an agent must look unhealthy before a run acts on it, in seconds.
pub const UNHEALTHY_FOR: i64 = 600;
/// For how long a version that was left is met with suspicion when it is offered again, in seconds.
pub const RETURN_SUSPECT_FOR: i64 = 86_400;
/// How far apart two runs must see a returning version before it is followed, in seconds.
pub const RETURN_SEEN_FOR: i64 = 600;

const FIRST_BACK_OFF: i64 = 3600;
const LONGEST_BACK_OFF: i64 = 86_400;

/// What earlier runs left behind for later ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Since when no window ends in the future although an upgrade waits.
    pub unhealthy_since: Option<Moment>,
    /// The target that failed on this host; another target clears it.
    pub failed: Option<Failed>,
    /// The target that this host could not be brought onto, through no fault of the version's; another target clears it.
    pub hindered: Option<Failed>,
    /// The version that the last upgrade left.
    pub left: Option<Left>,
    /// A version that was left and is offered again.
    pub returning: Option<Returning>,
    /// The target that the last run saw.
    pub target: Option<Release>,
    /// The target that a person went back from; another target clears it.
    pub held_back: Option<Release>,
}

/// A version that did not come into place here, with the old one healthy again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// The version.
    pub release: Release,
    /// How often in a row.
    pub attempts: u32,
    /// When it failed last.
    pub last: Moment,
}

/// A version that an upgrade moved away from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The version.
    pub release: Release,
    /// When.
    pub at: Moment,
}

/// A version that was left and is offered again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returning {
    /// The version.
    pub release: Release,
    /// When a run first saw it offered again.
    pub since: Moment,
}

/// How long to wait after that many failures in a row, in seconds.
#[must_use]
pub fn back_off(attempts: u32) -> i64 {
    let doublings = attempts.saturating_sub(1).min(5);
    (FIRST_BACK_OFF << doublings).min(LONGEST_BACK_OFF)
}

impl Failed {
    /// When it may be tried again: 1 hour after the first failure, doubling up to 24 hours.
    #[must_use]
    pub fn until(&self) -> Moment {
        self.last.plus(back_off(self.attempts))
    }
}

fn once_more(before: Option<Failed>, release: Release, now: Moment) -> Failed {
    let attempts = before.filter(|f| f.release == release).map_or(0, |f| f.attempts);
    Failed { release, attempts: attempts.saturating_add(1), last: now }
}

impl Memory {
    /// The failure of `target` whose back-off has not passed.
    #[must_use]
    pub fn backing_off(&self, target: &Release, now: Moment) -> Option<&Failed> {
        self.failed.as_ref().filter(|f| f.release == *target && f.last <= now && now < f.until())
    }

    /// The same for what was no fault of the version's.
    #[must_use]
    pub fn hindered_until(&self, target: &Release, now: Moment) -> Option<Moment> {
        let hindered = self.hindered.as_ref().filter(|f| f.release == *target && f.last <= now);
        hindered.map(Failed::until).filter(|until| now < *until)
    }

    /// Since when the agent has looked unhealthy, if that is remembered.
    #[must_use]
    pub fn unhealthy_since(&self, now: Moment) -> Option<Moment> {
        self.unhealthy_since.filter(|&since| since <= now)
    }

    /// Whether `target` was left so lately that it may only be one proxy's word against another's.
    #[must_use]
    pub fn left_lately(&self, target: &Release, now: Moment) -> bool {
        self.left.as_ref().is_some_and(|left| left.release == *target && (0..RETURN_SUSPECT_FOR).contains(&now.since(left.at)))
    }

    /// Since when `target` has been seen again after it was left.
    #[must_use]
    pub fn returning_since(&self, target: &Release, now: Moment) -> Option<Moment> {
        self.returning.as_ref().filter(|r| r.release == *target && r.since <= now).map(|r| r.since)
    }

    /// Whether a person went back from `target`.
    #[must_use]
    pub fn is_held_back(&self, target: &Release) -> bool {
        self.held_back.as_ref() == Some(target)
    }

    /// After a run that saw `target`: what is remembered of another version is forgotten.
    pub fn saw_target(&mut self, target: &Release) {
        self.target = Some(target.clone());
        self.held_back.take_if(|held| held != target);
        self.failed.take_if(|f| f.release != *target);
        self.hindered.take_if(|f| f.release != *target);
        self.returning.take_if(|r| r.release != *target);
    }

    /// After an upgrade from one version to another that was confirmed.
    pub fn upgraded(&mut self, from: Option<Release>, now: Moment) {
        *self = Self { left: from.map(|release| Left { release, at: now }), target: self.target.take(), ..Self::default() };
    }

    /// After a person went back from `from`: what is wanted now is not followed until something else is wanted.
    pub fn went_back(&mut self, from: Option<Release>, now: Moment) {
        let target = self.target.clone().or_else(|| from.clone());
        self.upgraded(from, now);
        self.held_back = target;
    }

    /// After `target` failed while the version before it is in place and well.
    pub fn target_failed(&mut self, target: Release, now: Moment) {
        self.failed = Some(once_more(self.failed.take(), target, now));
    }

    /// After the agent had to be taken back from `target`, through no fault of that version's.
    pub fn target_hindered(&mut self, target: Release, now: Moment) {
        self.hindered = Some(once_more(self.hindered.take(), target, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Moment = Moment::from_unix(1_800_000_000);

    fn release(text: &str) -> Release {
        text.parse().unwrap()
    }

    #[test]
    fn back_off_starts_at_one_hour_and_doubles_up_to_a_day() {
        let mut memory = Memory::default();
        let waits: Vec<i64> = (0..7)
            .map(|_| {
                memory.target_failed(release("16.2.0"), NOON);
                memory.failed.as_ref().unwrap().until().since(NOON)
            })
            .collect();
        assert_eq!(waits, [3600, 7200, 14_400, 28_800, 57_600, 86_400, 86_400]);
    }

    #[test]
    fn another_target_clears_a_failure_and_the_same_target_does_not() {
        let mut memory = Memory::default();
        memory.target_failed(release("16.2.0"), NOON);
        memory.saw_target(&release("16.2.0"));
        assert!(memory.backing_off(&release("16.2.0"), NOON.plus(3599)).is_some());
        assert!(memory.backing_off(&release("16.2.0"), NOON.plus(3600)).is_none());
        memory.saw_target(&release("16.2.1"));
        assert_eq!(memory, Memory { target: Some(release("16.2.1")), ..Memory::default() });
    }

    #[test]
    fn going_back_holds_what_was_wanted_last_until_something_else_is_wanted() {
        let mut memory = Memory::default();
        memory.went_back(Some(release("16.2.0")), NOON);
        assert!(memory.is_held_back(&release("16.2.0")), "without another word it is the version that was left");
        let mut memory = Memory { target: Some(release("16.2.1")), ..Memory::default() };
        memory.went_back(Some(release("16.2.0")), NOON);
        assert!(memory.is_held_back(&release("16.2.1")) && !memory.is_held_back(&release("16.2.0")));
        memory.saw_target(&release("16.2.1"));
        assert!(memory.is_held_back(&release("16.2.1")));
        memory.saw_target(&release("16.2.2"));
        memory.saw_target(&release("16.2.1"));
        assert!(!memory.is_held_back(&release("16.2.1")));
    }

    #[test]
    fn what_was_remembered_under_a_clock_that_ran_ahead_does_not_count() {
        let mut memory = Memory { unhealthy_since: Some(NOON), ..Memory::default() };
        memory.target_failed(release("16.2.0"), NOON);
        memory.left = Some(Left { release: release("16.1.0"), at: NOON });
        let before = NOON.plus(-1);
        assert!(memory.backing_off(&release("16.2.0"), before).is_none());
        assert!(memory.unhealthy_since(before).is_none());
        assert!(!memory.left_lately(&release("16.1.0"), before));
    }

    #[test]
    fn a_record_without_a_field_is_read_as_having_nothing_to_remember_there() {
        assert_eq!(serde_json::from_str::<Memory>("{}").unwrap(), Memory::default());
    }
}
