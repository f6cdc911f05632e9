//! From a decision to what will be done: everything that could still be a choice is settled here, so that applying has none.

use serde::{Deserialize, Serialize};

use crate::rules::facts::{Enrolment, NOT_ENROLLED};
use crate::rules::policy::{Hold, Package, Policy, Verify};
use crate::rules::release::Release;
use crate::rules::trigger::Trigger;

/// The host as an upgrade finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The agent's package.
    pub package: Package,
    /// The version in use, if it is known.
    pub from: Option<Release>,
    /// The version in the package database, as it is spelled there.
    pub database: Option<String>,
    /// Who holds the package at its version.
    pub held: Held,
    /// An installation of this very package that stopped half-way, in the package database's word.
    pub stopped_at: Option<String>,
    /// How the agent runs.
    pub service: Service,
    /// Whether it exports its windows.
    pub enrolment: Enrolment,
}

/// Who holds the package at its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// Nobody.
    No,
    /// This program, between its runs.
    ByUs,
    /// Somebody who must be obeyed.
    ByAdministrator(Restraint),
}

/// What keeps a package at its version, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restraint {
    /// Completes "the package is ...".
    pub is: String,
    /// What ends it, as something to do.
    pub release: String,
}

/// How the agent runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Service {
    /// Not by systemd: this host was not booted with it.
    NoSystemd,
    /// systemd knows no such unit.
    NoUnit,
    /// It is stopped, and stays so (H22); systemd's words for its state.
    Stopped(String),
    /// It is running, or would be if it could.
    Running(Means),
}

/// Whether the agent was running before an upgrade: a package script that dies may leave it stopped, and that is nobody's wish.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentBefore {
    /// It was running, or is not known to have been stopped.
    #[default]
    Running,
    /// It was stopped, or nothing that we could have seen ran it.
    Stopped,
}

impl Service {
    /// As it is remembered over an upgrade.
    #[must_use]
    pub const fn before(&self) -> AgentBefore {
        match self {
            Self::Running(_) => AgentBefore::Running,
            Self::NoSystemd | Self::NoUnit | Self::Stopped(_) => AgentBefore::Stopped,
        }
    }

    /// What happens to the agent after an upgrade, when it is now as `self` says: one that ran before and is stopped now is started.
    #[must_use]
    pub fn after(self, before: AgentBefore) -> Self {
        match (self, before) {
            (Self::Stopped(_), AgentBefore::Running) => Self::Running(Means::Restart),
            (now, _) => now,
        }
    }

    /// A restart that was planned is not made a reload because a reload would do; nor does one that must be a reload become more.
    #[must_use]
    pub fn as_planned(self, planned: &Self) -> Self {
        match (self, planned) {
            (Self::Running(Means::Reload), Self::Running(planned @ (Means::Restart | Means::ReloadAlone))) => {
                Self::Running(*planned)
            }
            (now, _) => now,
        }
    }
}

/// How a running agent gets to run the new binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// `systemctl reload`: open sessions live on in the old process.
    Reload,
    /// The same, and never a restart: the sessions must live on, whatever becomes of the reload.
    ReloadAlone,
    /// `systemctl restart`: the unit cannot be reloaded safely, or only a restart enrols the agent.
    Restart,
    /// Without systemd: HUP to this process, which starts its successor itself.
    HangUp(u32),
}

/// Whether the package is held once it is in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HoldAfter {
    /// By us.
    Ours,
    /// As the administrator held it before; it stays the administrator's.
    Administrators,
    /// Not at all.
    Free,
}

/// One upgrade, up or down, ready to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The package.
    pub package: Package,
    /// The version in use, if it is known.
    pub from: Option<Release>,
    /// The version to be on.
    pub to: Release,
    /// The version in the package database before, as it is spelled there.
    pub database: Option<String>,
    /// Whether an installation that stopped half-way is finished first.
    pub finish_first: Option<String>,
    /// Whether the package is held after.
    pub hold: HoldAfter,
    /// What happens to the agent after.
    pub service: Service,
    /// How long it has to prove itself then.
    pub verify: Verify,
}

/// An upgrade that the administrator's own settings, or open sessions, forbid; in words that name them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked(pub String);

/// Plans the upgrade that `decide` decided on.
///
/// # Errors
/// [`Blocked`] when the administrator holds the package and nobody forces the upgrade (H08), and when a missing schedule is no reason to
/// end sessions (V29).
pub fn plan(policy: &Policy, site: Site, to: Release, why: &Trigger) -> Result<Plan, Blocked> {
    let hold = match (site.held, policy.hold) {
        (Held::ByAdministrator(_), _) if *why == Trigger::Forced => HoldAfter::Administrators,
        (Held::ByAdministrator(Restraint { is, release }), _) => {
            return Err(Blocked(format!(
                "{} is {is}, and not by this program: the administrator's hold wins.\n    next: {release}, or upgrade once with `teleport-upgrade force`, which keeps the hold",
                site.package
            )));
        }
        (_, Hold::Between) => HoldAfter::Ours,
        (_, Hold::Never) => HoldAfter::Free,
    };
    let service = match (site.service, site.enrolment, why) {
        // Its successor would not be enrolled either.
        (Service::Running(Means::Reload), Enrolment::AfterRestart, why) if why.may_enrol() => Service::Running(Means::Restart),
        // It has no schedule only because our package came while it ran: that must not cost its sessions (V29).
        (Service::Running(Means::Reload), Enrolment::AfterRestart, Trigger::Unhealthy { .. }) => {
            Service::Running(Means::ReloadAlone)
        }
        (Service::Running(Means::Restart), Enrolment::AfterRestart, Trigger::Unhealthy { .. }) => {
            return Err(Blocked(format!(
                "{NOT_ENROLLED}; its unit cannot be reloaded, so an upgrade now would end them, too: not attempting.\n    next: restart it when sessions may end, and its windows count from then on; or `teleport-upgrade force`"
            )));
        }
        (service, ..) => service,
    };
    Ok(Plan {
        package: site.package,
        from: site.from,
        to,
        database: site.database,
        finish_first: site.stopped_at,
        hold,
        service,
        verify: policy.verify,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::moment::Moment;
    use crate::rules::story;
    use crate::rules::window::Window;

    fn planned(held: Held, hold: Hold, service: Service, enrolment: Enrolment, why: &Trigger) -> Option<Plan> {
        let policy = Policy { hold, ..story::policy() };
        let site = Site {
            package: "teleport-ent".parse().unwrap(),
            from: None,
            database: None,
            held,
            stopped_at: None,
            service,
            enrolment,
        };
        plan(&policy, site, "16.2.0".parse().unwrap(), why).ok()
    }

    fn hold_after(held: Held, hold: Hold, why: &Trigger) -> Option<HoldAfter> {
        planned(held, hold, Service::NoSystemd, Enrolment::Unknown, why).map(|plan| plan.hold)
    }

    #[test]
    fn v29_an_agent_that_is_not_enrolled_is_restarted_in_a_window_or_by_force_and_never_else() {
        let noon = Moment::from_unix(0);
        let window = || Trigger::Window(Window::new(noon, noon.plus(3600)).unwrap());
        let unhealthy = || Trigger::Unhealthy { since: noon };
        let running = Service::Running;
        let stopped = || Service::Stopped("inactive, enabled".into());
        let stories = [
            (running(Means::Reload), Enrolment::AfterRestart, window(), running(Means::Restart)),
            (running(Means::Reload), Enrolment::AfterRestart, Trigger::Forced, running(Means::Restart)),
            (running(Means::Reload), Enrolment::AfterRestart, Trigger::Critical, running(Means::Reload)),
            (running(Means::Reload), Enrolment::AfterRestart, unhealthy(), running(Means::ReloadAlone)),
            (running(Means::Restart), Enrolment::AfterRestart, Trigger::Critical, running(Means::Restart)),
            (running(Means::Restart), Enrolment::Enrolled, unhealthy(), running(Means::Restart)),
            (running(Means::Reload), Enrolment::Enrolled, window(), running(Means::Reload)),
            (running(Means::Reload), Enrolment::NotArranged, Trigger::Forced, running(Means::Reload)),
            (running(Means::Reload), Enrolment::Unknown, Trigger::Forced, running(Means::Reload)),
            (running(Means::HangUp(7)), Enrolment::AfterRestart, window(), running(Means::HangUp(7))),
            (stopped(), Enrolment::AfterRestart, window(), stopped()),
        ];
        for (before, enrolment, why, after) in stories {
            let plan = planned(Held::No, Hold::Between, before.clone(), enrolment, &why).unwrap();
            assert_eq!(plan.service, after, "{before:?} {enrolment:?} {why:?}");
        }
        let cannot_reload = planned(Held::No, Hold::Between, running(Means::Restart), Enrolment::AfterRestart, &unhealthy());
        assert_eq!(cannot_reload, None, "it would end sessions because our package was installed");
    }

    #[test]
    fn h08_an_administrators_hold_wins_unless_forced_and_is_kept_then() {
        let unhealthy = Trigger::Unhealthy { since: Moment::from_unix(0) };
        let administrators = || Held::ByAdministrator(Restraint { is: "held".into(), release: "release it".into() });
        let stories = [
            (Held::No, Hold::Between, Trigger::Critical, Some(HoldAfter::Ours)),
            (Held::No, Hold::Never, Trigger::Critical, Some(HoldAfter::Free)),
            (Held::ByUs, Hold::Between, Trigger::Critical, Some(HoldAfter::Ours)),
            (Held::ByUs, Hold::Never, Trigger::Critical, Some(HoldAfter::Free)),
            (administrators(), Hold::Between, Trigger::Critical, None),
            (administrators(), Hold::Never, unhealthy, None),
            (administrators(), Hold::Between, Trigger::Forced, Some(HoldAfter::Administrators)),
            (administrators(), Hold::Never, Trigger::Forced, Some(HoldAfter::Administrators)),
        ];
        for (held, hold, why, expected) in stories {
            assert_eq!(hold_after(held.clone(), hold, &why), expected, "{held:?} {hold:?} {why:?}");
        }
    }

    #[test]
    fn h22_an_agent_that_ran_before_is_started_and_one_that_did_not_is_left_so() {
        let stopped = || Service::Stopped("inactive, enabled".into());
        let running = Service::Running(Means::Reload);
        assert_eq!(stopped().after(AgentBefore::Running), Service::Running(Means::Restart), "a dying package script stopped it");
        assert_eq!(stopped().after(AgentBefore::Stopped), stopped(), "somebody stopped it");
        assert_eq!(running.clone().after(AgentBefore::Stopped), running, "somebody started it meanwhile");
        assert_eq!(running.clone().after(AgentBefore::Running), running);
        assert_eq!(Service::NoSystemd.after(AgentBefore::Running), Service::NoSystemd);
    }
}
