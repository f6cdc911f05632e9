//! Everything a decision may know. Filled at the edge; nothing here reads anything.

use serde::{Deserialize, Serialize};

use crate::rules::memory::Memory;
use crate::rules::moment::Moment;
use crate::rules::pause::Pause;
use crate::rules::release::Release;
use crate::rules::turn::Place;
use crate::rules::window::Schedule;

/// What one run found out before deciding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The version that the agent's binary reports; `None` when it could not be found out.
    pub installed: Option<Release>,
    /// What the version server or the `pin` file wants.
    pub target: Target,
    /// Whether the server calls this target critical.
    pub critical: Critical,
    /// The maintenance windows that the agent exported.
    pub schedule: Schedule,
    /// Whether the running agent exports any.
    pub enrolment: Enrolment,
    /// What earlier runs left behind.
    pub memory: Memory,
    /// A person wants no upgrades now.
    pub pause: Option<Pause>,
    /// When in a window it is this host's turn.
    pub place: Place,
    /// On whose behalf this run acts.
    pub mandate: Mandate,
    /// No sound clock shows an earlier moment: when this program was built.
    pub built: Moment,
}

/// The version to be on, and whose word that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The server wants no version now.
    NoneNow,
    /// The server wants this one.
    Offered(Release),
    /// The operator pinned this one.
    Pinned(Release),
}

impl Target {
    /// The version, if one is wanted.
    #[must_use]
    pub const fn release(&self) -> Option<&Release> {
        match self {
            Self::NoneNow => None,
            Self::Offered(release) | Self::Pinned(release) => Some(release),
        }
    }
}

/// The server's answer to `/critical`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Critical {
    /// Not asked (yet): it could not change the decision, or nobody could be asked.
    #[default]
    NotAsked,
    /// Act outside of windows, too.
    Yes,
    /// Nothing special.
    No,
}

/// Whether the running agent exports its maintenance windows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Enrolment {
    /// Its environment says so.
    Enrolled,
    /// Its environment was made before the drop-in was there, and lasts until it is restarted.
    AfterRestart,
    /// Its environment does not say so, and nothing here would change that.
    NotArranged,
    /// The version server names the windows: the agent need not.
    NotNeeded,
    /// No agent runs, or this user may not look.
    #[default]
    Unknown,
}

/// On whose behalf a run acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mandate {
    /// The policy alone: `run`.
    Policy,
    /// A person said now: `force`.
    Force,
}

/// What an operator has to know of an agent that runs with the environment of another time.
pub const NOT_ENROLLED: &str = "agent is not enrolled until it is restarted: systemctl restart teleport (ends open sessions)";
