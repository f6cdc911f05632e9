//! A host and its version server as a story tells them, for the table in `decide_table.rs`.

use crate::rules::decide::{Decision, Refusal, Stay, Wait, decide};
use crate::rules::endpoint::Endpoint;
use crate::rules::facts::{Critical, Enrolment, Facts, Mandate, Target};
use crate::rules::memory::{Failed, Left, Memory, Returning};
use crate::rules::moment::Moment;
use crate::rules::pause::{LetsThrough, Pause};
use crate::rules::policy::{Detail, Downgrade, EndpointSource, Hold, Policy, Prefetch, Spread, Transport, Verify, WindowSource};
use crate::rules::release::Release;
use crate::rules::trigger::{NotNow, Trigger};
use crate::rules::turn::Place;
use crate::rules::window::Schedule;

/// Wed 2026-11-25 00:00 UTC; stories say times as hours and minutes of that day.
const MIDNIGHT: i64 = 1_795_564_800;
const BUILT: i64 = 1_795_392_000;

pub(super) fn clock(text: &str) -> Moment {
    let (hours, minutes) = text.split_once(':').unwrap();
    Moment::from_unix(MIDNIGHT + hours.parse::<i64>().unwrap() * 3600 + minutes.parse::<i64>().unwrap() * 60)
}

pub(super) fn release(text: &str) -> Release {
    text.parse().unwrap()
}

/// A host and its version server. By default: 16.1.7 installed, 16.2.0 offered by a configured endpoint, a window 02:00-03:00, now 11:00
/// of the day before (so that the window is ahead).
pub(super) struct Story {
    pub(super) policy: Policy,
    pub(super) facts: Facts,
    pub(super) now: Moment,
}

/// What an operator allows who has configured nothing but the endpoint.
pub(super) fn policy() -> Policy {
    Policy {
        endpoint: Endpoint::built_in(),
        endpoint_source: EndpointSource::Configured,
        transport: Transport::Tls,
        package: None,
        installer: None,
        repo: None,
        pin: None,
        downgrade: Downgrade::SameMajor,
        hold: Hold::Between,
        verify: Verify::default(),
        prefetch: Prefetch::No,
        spread: Spread::default(),
        windows: WindowSource::Agent,
        metrics: None,
        detail: Detail::Normal,
    }
}

pub(super) fn at(installed: &str) -> Story {
    let story = Story {
        policy: policy(),
        facts: Facts {
            enrolment: Enrolment::Enrolled,
            installed: Some(release(installed)),
            target: Target::Offered(release("16.2.0")),
            critical: Critical::No,
            schedule: Schedule::Missing,
            memory: Memory::default(),
            pause: None,
            place: Place::FIRST,
            mandate: Mandate::Policy,
            built: Moment::from_unix(BUILT),
        },
        now: clock("-13:00"),
    };
    story.window("2:00", "3:00")
}

impl Story {
    pub(super) fn offered(mut self, version: &str) -> Self {
        self.facts.target = Target::Offered(release(version));
        self
    }
    pub(super) fn no_target(mut self) -> Self {
        self.facts.target = Target::NoneNow;
        self
    }
    pub(super) fn pinned(mut self, version: &str) -> Self {
        self.facts.target = Target::Pinned(release(version));
        self
    }
    pub(super) fn undetected(mut self) -> Self {
        self.facts.installed = None;
        self
    }
    pub(super) fn critical(mut self) -> Self {
        self.facts.critical = Critical::Yes;
        self
    }
    pub(super) fn not_asked(mut self) -> Self {
        self.facts.critical = Critical::NotAsked;
        self
    }
    pub(super) fn forced(mut self) -> Self {
        self.facts.mandate = Mandate::Force;
        self
    }
    pub(super) fn now(mut self, text: &str) -> Self {
        self.now = clock(text);
        self
    }
    pub(super) fn schedule(mut self, text: &str) -> Self {
        self.facts.schedule = Schedule::parse(text.as_bytes(), clock("-14:00"));
        self
    }
    pub(super) fn window(self, start: &str, stop: &str) -> Self {
        let text = format!("{} {}", clock(start).unix(), clock(stop).unix());
        self.schedule(&text)
    }
    pub(super) fn no_served_window(mut self) -> Self {
        self.facts.schedule = Schedule::Unserved("none is served".into());
        self
    }

    pub(super) fn missing_schedule(mut self) -> Self {
        self.facts.schedule = Schedule::Missing;
        self
    }
    pub(super) fn unhealthy_since(mut self, text: &str) -> Self {
        self.facts.memory.unhealthy_since = Some(clock(text));
        self
    }
    pub(super) fn failed(mut self, version: &str, attempts: u32, last: &str) -> Self {
        self.facts.memory.failed = Some(Failed { release: release(version), attempts, last: clock(last) });
        self
    }
    pub(super) fn hindered(mut self, version: &str, attempts: u32, last: &str) -> Self {
        self.facts.memory.hindered = Some(Failed { release: release(version), attempts, last: clock(last) });
        self
    }
    pub(super) fn held_back(mut self, version: &str) -> Self {
        self.facts.memory.held_back = Some(release(version));
        self
    }
    pub(super) fn paused(mut self, until: &str, lets_through: LetsThrough) -> Self {
        let until = Some(clock(until));
        self.facts.pause = Some(Pause { by: "alice".into(), since: clock("-14:00"), until, reason: None, lets_through });
        self
    }
    /// A fleet is spread over the whole of a window, and this host is the one with that identity.
    pub(super) fn spread(mut self, host: &str) -> Self {
        self.policy.spread = "100".parse().unwrap();
        self.facts.place = Place::of(host, &release("16.2.0"));
        self
    }
    pub(super) fn left(mut self, version: &str, at: &str) -> Self {
        self.facts.memory.left = Some(Left { release: release(version), at: clock(at) });
        self
    }
    pub(super) fn returning(mut self, version: &str, since: &str) -> Self {
        self.facts.memory.returning = Some(Returning { release: release(version), since: clock(since) });
        self
    }
    pub(super) fn downgrade(mut self, allowed: Downgrade) -> Self {
        self.policy.downgrade = allowed;
        self
    }
    pub(super) fn built_in_endpoint(mut self) -> Self {
        self.policy.endpoint_source = EndpointSource::BuiltIn;
        self
    }
    pub(super) fn decision(&self) -> Decision {
        decide(&self.policy, &self.facts, self.now)
    }
}

/// One word a verdict, with the facts that a person would check.
pub(super) fn verdict(decision: &Decision) -> String {
    let hour = |moment: &Moment| moment.to_string().split(' ').nth(2).unwrap().to_owned();
    match decision {
        Decision::Stay(Stay::NoTarget) => "stay: no target".into(),
        Decision::Stay(Stay::UpToDate(release)) => format!("stay: on {release}"),
        Decision::Wait(Wait::FailedBefore { to, until }) => format!("wait until {}: {to} failed before", hour(until)),
        Decision::Wait(Wait::Hindered { to, until }) => format!("wait until {}: {to} was hindered", hour(until)),
        Decision::Wait(Wait::HeldBack { to }) => format!("wait: a person went back from {to}"),
        Decision::Wait(Wait::Returning { to, until }) => format!("wait until {}: {to} returns", hour(until)),
        Decision::Wait(Wait::Trigger { not_now: NotNow::OutsideWindow(window), .. }) => {
            format!("wait until {}: outside the window", hour(&window.start()))
        }
        Decision::Wait(Wait::Paused { to, pause }) => {
            format!("wait until {}: {to} is paused", pause.until.as_ref().map_or_else(|| "resume".into(), hour))
        }
        Decision::Wait(Wait::Trigger { not_now: NotNow::BeforeTurn { turn, .. }, .. }) => {
            format!("wait until {}: before its turn", hour(turn))
        }
        Decision::Wait(Wait::Trigger { not_now: NotNow::MaybeUnhealthy { since, .. }, .. }) => {
            format!("wait: maybe unhealthy since {}", hour(since))
        }
        Decision::Wait(Wait::Trigger { not_now: NotNow::NoWindow(why), .. }) => format!("wait: {why}"),
        Decision::Refuse(Refusal::LowerMajor(step)) => format!("refuse: {} -> {} is a lower major", step.from, step.to),
        Decision::Refuse(Refusal::Lower(step)) => format!("refuse: {} -> {} goes down", step.from, step.to),
        Decision::Refuse(Refusal::OtherMajor(step)) => format!("refuse: {} -> {} without endpoint", step.from, step.to),
        Decision::Refuse(Refusal::Clock) => "refuse: clock".into(),
        Decision::Upgrade { to, why } => match why {
            Trigger::Forced => format!("upgrade to {to}: forced"),
            Trigger::Critical => format!("upgrade to {to}: critical"),
            Trigger::Window(window) => format!("upgrade to {to}: window until {}", hour(&window.stop())),
            Trigger::Unhealthy { since } => format!("upgrade to {to}: unhealthy since {}", hour(since)),
        },
    }
}
