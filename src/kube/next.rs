//! From what is observed to what is wanted: one function, pure.

use std::fmt;

use crate::kube::windows::Standing;
use crate::offers::reply::Offered;
use crate::rules::moment::Moment;
use crate::rules::release::Release;
use crate::rules::window::Window;

/// What is wanted, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The version.
    pub offered: Offered,
    /// When it may come.
    pub when: When,
}

/// When a version may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// In the windows that the agent exports.
    Windows,
    /// At once: the version server calls it critical.
    Critical,
    /// The proxy says that this group is to be updated now.
    ProxySaysNow,
    /// The proxy says that it is not.
    ProxySaysLater,
}

/// Which lower versions are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Downgrades {
    /// Those of the same major version.
    WithinMajor,
    /// Any.
    Any,
}

/// What is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The version of the image; nothing where it says none.
    pub current: Option<Release>,
    /// What is wanted.
    pub wanted: Wanted,
    /// Why the workload is ill, if it is.
    pub complaint: Option<String>,
    /// How the windows lie.
    pub windows: Standing,
    /// Which lower versions are followed.
    pub downgrades: Downgrades,
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nobody names a version.
    NoTarget,
    /// It is on that version.
    UpToDate,
    /// A lower major version is not followed.
    Refuse(Release),
    /// Not now.
    Wait {
        /// The version that it waits for.
        to: Release,
        /// And for what.
        until: Until,
    },
    /// Now.
    Update {
        /// The version.
        to: Release,
        /// Why.
        why: Why,
    },
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// This window.
    Window(Window),
    /// The proxy.
    ProxySaysSo,
}

/// Why it is updated now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The version server calls the version critical.
    Critical,
    /// The proxy says so.
    ProxySaysSo,
    /// This window is open.
    Window(Window),
    /// The workload is ill: so.
    Ill(String),
    /// No window lies ahead, because of this.
    NoWindow(String),
}

/// Whether there is anything to decide: then it has to be known whether it may be now.
#[must_use]
pub fn differs(current: Option<&Release>, offered: &Offered) -> bool {
    matches!(offered, Offered::Release(to) if current != Some(to))
}

/// What is to be done now.
#[must_use]
pub fn decide(facts: &Facts) -> Decision {
    let Offered::Release(to) = &facts.wanted.offered else { return Decision::NoTarget };
    let to = to.clone();
    match &facts.current {
        Some(current) if *current == to => return Decision::UpToDate,
        Some(current) if to.major() < current.major() && facts.downgrades == Downgrades::WithinMajor => {
            return Decision::Refuse(to);
        }
        _ => {}
    }
    let why = match (facts.wanted.when, &facts.complaint, &facts.windows) {
        (When::Critical, ..) => Why::Critical,
        (When::ProxySaysNow, ..) => Why::ProxySaysSo,
        (_, Some(complaint), _) => Why::Ill(complaint.clone()),
        (When::ProxySaysLater, None, _) => return Decision::Wait { to, until: Until::ProxySaysSo },
        (When::Windows, None, Standing::Open(window)) => Why::Window(*window),
        (When::Windows, None, Standing::Ahead(window)) => return Decision::Wait { to, until: Until::Window(*window) },
        (When::Windows, None, Standing::NoneAhead(why)) => Why::NoWindow(why.clone()),
    };
    Decision::Update { to, why }
}

impl Decision {
    /// When another look may come to something else, although nothing happens.
    #[must_use]
    pub fn look_again(&self) -> Option<Moment> {
        match self {
            Self::Wait { until: Until::Window(window), .. } => Some(window.start()),
            _ => None,
        }
    }
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Window(window) => write!(f, "the window from {} to {}", window.start().rfc3339(), window.stop().rfc3339()),
            Self::ProxySaysSo => f.write_str("the proxy to say that this group is to be updated"),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Critical => f.write_str("the version server calls it critical"),
            Self::ProxySaysSo => f.write_str("the proxy says that this group is to be updated now"),
            Self::Window(window) => {
                write!(f, "within the window from {} to {}", window.start().rfc3339(), window.stop().rfc3339())
            }
            Self::Ill(complaint) => f.write_str(complaint),
            Self::NoWindow(why) => f.write_str(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window() -> Window {
        Window::new(Moment::from_unix(1_795_694_400), Moment::from_unix(1_795_698_000)).unwrap()
    }

    /// A workload on 16.1.7 that is well, outside of its window, with 16.2.0 wanted.
    fn facts() -> Facts {
        Facts {
            current: Some("16.1.7".parse().unwrap()),
            wanted: Wanted { offered: Offered::Release("16.2.0".parse().unwrap()), when: When::Windows },
            complaint: None,
            windows: Standing::Ahead(window()),
            downgrades: Downgrades::WithinMajor,
        }
    }
    fn with(change: impl FnOnce(&mut Facts)) -> String {
        let mut facts = facts();
        change(&mut facts);
        match decide(&facts) {
            Decision::NoTarget => "no target".into(),
            Decision::UpToDate => "up to date".into(),
            Decision::Refuse(to) => format!("refuses {to}"),
            Decision::Wait { to, until } => format!("{to} waits for {until}"),
            Decision::Update { to, why } => format!("{to}, since {why}"),
        }
    }
    fn on(current: &str, wanted: &str) -> impl FnOnce(&mut Facts) {
        let (current, wanted) = (current.parse().ok(), Offered::Release(wanted.parse().unwrap()));
        move |facts| {
            facts.current = current;
            facts.wanted.offered = wanted;
            facts.windows = Standing::Open(window());
        }
    }

    #[test]
    fn it_is_told_in_stories_when_a_workload_is_updated() {
        let ahead = "the window from 2026-11-26T12:00:00Z to 2026-11-26T13:00:00Z";
        assert_eq!(with(|_| {}), format!("16.2.0 waits for {ahead}"));
        assert_eq!(with(|f| f.windows = Standing::Open(window())), format!("16.2.0, since within {ahead}"));
        assert_eq!(with(|f| f.windows = Standing::NoneAhead("there is none".into())), "16.2.0, since there is none");
        assert_eq!(with(|f| f.complaint = Some("pod a is ill".into())), "16.2.0, since pod a is ill");
        assert_eq!(with(|f| f.wanted.when = When::Critical), "16.2.0, since the version server calls it critical");
        assert_eq!(
            with(|f| f.wanted.when = When::ProxySaysNow),
            "16.2.0, since the proxy says that this group is to be updated now"
        );
        assert_eq!(
            with(|f| {
                f.wanted.when = When::ProxySaysLater;
                f.windows = Standing::Open(window());
            }),
            "16.2.0 waits for the proxy to say that this group is to be updated"
        );
        assert_eq!(
            with(|f| {
                f.wanted.when = When::ProxySaysLater;
                f.complaint = Some("pod a is ill".into());
            }),
            "16.2.0, since pod a is ill"
        );
        assert_eq!(with(|f| f.wanted.offered = Offered::NoTarget), "no target");
    }

    #[test]
    fn a_lower_version_is_followed_within_its_major_and_a_lower_major_only_when_that_is_allowed() {
        let since = "since within the window from 2026-11-26T12:00:00Z to 2026-11-26T13:00:00Z";
        assert_eq!(with(on("16.2.0", "16.2.0")), "up to date");
        assert_eq!(with(on("16.2.0", "16.1.7")), format!("16.1.7, {since}"));
        assert_eq!(with(on("16.2.0", "17.0.0")), format!("17.0.0, {since}"));
        assert_eq!(with(on("latest", "15.0.0")), format!("15.0.0, {since}"));
        assert_eq!(with(on("16.2.0", "15.4.0")), "refuses 15.4.0");
        let allowed = |facts: &mut Facts| {
            on("16.2.0", "15.4.0")(facts);
            facts.downgrades = Downgrades::Any;
        };
        assert_eq!(with(allowed), format!("15.4.0, {since}"));
        // Not even a critical one, and not for an agent that is ill.
        let urgent = |facts: &mut Facts| {
            on("16.2.0", "15.4.0")(facts);
            facts.wanted.when = When::Critical;
            facts.complaint = Some("x".into());
        };
        assert_eq!(with(urgent), "refuses 15.4.0");
    }
}
