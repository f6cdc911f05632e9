//! Reasons to go now. A new trigger is one variant of [`Trigger`], one line in [`first`], and rows in `decide_table.rs`.

use crate::rules::facts::{Critical, Facts, Mandate};
use crate::rules::memory::UNHEALTHY_FOR;
use crate::rules::moment::Moment;
use crate::rules::policy::Policy;
use crate::rules::window::{Standing, Window};

/// Why an upgrade happens now and not later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// A person said now.
    Forced,
    /// The server says that it cannot wait.
    Critical,
    /// A maintenance window is open.
    Window(Window),
    /// The agent has exported no window that ends in the future for a while: it may be ill, and the upgrade may be its cure.
    Unhealthy {
        /// Since when.
        since: Moment,
    },
}

impl Trigger {
    /// Whether an upgrade for this reason may end open sessions to enrol the agent (V29): a person asked for it, or it is the time for it.
    #[must_use]
    pub const fn may_enrol(&self) -> bool {
        matches!(self, Self::Forced | Self::Window(_))
    }
}

/// No reason to go now; the next one that is in sight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotNow {
    /// The next window has not opened.
    OutsideWindow(Window),
    /// It is open, but other hosts of the fleet go first.
    BeforeTurn {
        /// The window.
        window: Window,
        /// When it is this host's turn.
        turn: Moment,
    },
    /// No window ends in the future; first seen now or less than ten minutes ago.
    MaybeUnhealthy {
        /// Since when.
        since: Moment,
        /// The state of the schedule file, in words.
        schedule: String,
    },
    /// The version server is to name the windows, and none is known; why, in words.
    NoWindow(String),
}

impl NotNow {
    /// What will be the reason once it has come, as far as that can be told.
    #[must_use]
    pub const fn comes_as(&self) -> Trigger {
        match self {
            Self::OutsideWindow(window) | Self::BeforeTurn { window, .. } => Trigger::Window(*window),
            Self::MaybeUnhealthy { since, .. } => Trigger::Unhealthy { since: *since },
            Self::NoWindow(_) => Trigger::Critical,
        }
    }
}

/// The first trigger that applies, in the order in which they override each other.
///
/// # Errors
/// What is waited for, when none applies.
pub fn first(policy: &Policy, facts: &Facts, now: Moment) -> Result<Trigger, NotNow> {
    if facts.mandate == Mandate::Force {
        return Ok(Trigger::Forced);
    }
    if facts.critical == Critical::Yes {
        return Ok(Trigger::Critical);
    }
    match facts.schedule.standing(now) {
        Standing::Open(window) => {
            let turn = facts.place.turn(window, policy.spread);
            if now < turn { Err(NotNow::BeforeTurn { window, turn }) } else { Ok(Trigger::Window(window)) }
        }
        Standing::Ahead(window) => Err(NotNow::OutsideWindow(window)),
        Standing::Unserved(why) => Err(NotNow::NoWindow(why)),
        Standing::NoneAhead(schedule) => match facts.memory.unhealthy_since(now) {
            Some(since) if now.since(since) >= UNHEALTHY_FOR => Ok(Trigger::Unhealthy { since }),
            remembered => Err(NotNow::MaybeUnhealthy { since: remembered.unwrap_or(now), schedule }),
        },
    }
}
