//! Maintenance windows as agents export them in Kubernetes: key `agent-maintenance-schedule` of the secret `NAME-shared-state`. Pure. The
//! agent may write what it likes: it decides when it is updated, not what to.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use crate::kube::times::moment;
use crate::rules::moment::Moment;
use crate::rules::window::Window;

/// Where the schedule is, in the secret.
const KEY: &str = "/data/agent-maintenance-schedule";
/// More than any agent exports.
const MOST: usize = 1000;

/// How the windows lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// In this one.
    Open(Window),
    /// Outside; this one is next.
    Ahead(Window),
    /// None is known that ends in the future, which an agent at work would not let happen; why, in words.
    NoneAhead(String),
}

#[derive(Deserialize)]
struct Schedule {
    windows: Vec<Bounds>,
}
#[derive(Deserialize)]
struct Bounds {
    start: String,
    stop: String,
}

/// How the windows of a secret lie around now; nothing where there is no secret.
#[must_use]
pub fn standing(secret: Option<&Value>, now: Moment) -> Standing {
    let windows = match windows(secret) {
        Ok(windows) => windows,
        Err(why) => return Standing::NoneAhead(why.into()),
    };
    if let Some(open) = windows.iter().find(|window| window.start() <= now && now < window.stop()) {
        return Standing::Open(*open);
    }
    let next = windows.iter().filter(|window| now < window.start()).min();
    next.map_or_else(
        || Standing::NoneAhead("every window that the agent has exported is over".into()),
        |next| Standing::Ahead(*next),
    )
}

fn windows(secret: Option<&Value>) -> Result<Vec<Window>, &'static str> {
    let secret = secret.ok_or("the agent has exported no windows: there is no secret of it")?;
    let text =
        secret.pointer(KEY).and_then(Value::as_str).ok_or("the agent has exported no windows: they are not in its secret")?;
    let nonsense = "what the agent has exported as its windows makes no sense";
    let schedule: Schedule = STANDARD.decode(text).ok().and_then(|json| serde_json::from_slice(&json).ok()).ok_or(nonsense)?;
    let read = |bounds: &Bounds| Window::new(moment(&bounds.start)?, moment(&bounds.stop)?);
    Ok(schedule.windows.iter().take(MOST).filter_map(read).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// 2026-11-26T12:00:00Z
    const NOON: i64 = 1_795_694_400;

    fn of(exported: &str) -> Standing {
        let secret = json!({"data": {"agent-maintenance-schedule": STANDARD.encode(exported)}});
        standing(Some(&secret), Moment::from_unix(NOON))
    }
    fn hours(from: &str, to: &str) -> String {
        format!(r#"{{"start":"2026-11-26T{from}:00Z","stop":"2026-11-26T{to}:00Z"}}"#)
    }
    fn window(start: i64, stop: i64) -> Window {
        Window::new(Moment::from_unix(NOON + start * 3600), Moment::from_unix(NOON + stop * 3600)).unwrap()
    }

    #[test]
    fn the_open_window_counts_and_else_the_next_one() {
        let three =
            format!(r#"{{"windows":[{},{},{}]}}"#, hours("20:00", "21:00"), hours("09:00", "10:00"), hours("15:00", "16:00"));
        assert_eq!(of(&three), Standing::Ahead(window(3, 4)));
        assert_eq!(of(&format!(r#"{{"windows":[{}]}}"#, hours("12:00", "13:00"))), Standing::Open(window(0, 1)));
        assert_eq!(
            of(&format!(r#"{{"windows":[{}]}}"#, hours("11:00", "12:00"))),
            Standing::NoneAhead("every window that the agent has exported is over".into())
        );
    }

    #[test]
    fn without_windows_the_agent_is_not_at_work() {
        let none = |secret: Option<Value>| match standing(secret.as_ref(), Moment::from_unix(NOON)) {
            Standing::NoneAhead(why) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(none(None), "the agent has exported no windows: there is no secret of it");
        assert_eq!(none(Some(json!({"data": {"other": "x"}}))), "the agent has exported no windows: they are not in its secret");
        for nonsense in ["!", &STANDARD.encode("{}"), &STANDARD.encode("{\"windows\":[1]}"), ""] {
            let secret = json!({"data": {"agent-maintenance-schedule": nonsense}});
            assert_eq!(none(Some(secret)), "what the agent has exported as its windows makes no sense", "{nonsense}");
        }
        assert!(matches!(of(r#"{"windows":[]}"#), Standing::NoneAhead(_)));
        assert!(matches!(of(&format!(r#"{{"windows":[{}]}}"#, hours("14:00", "13:00"))), Standing::NoneAhead(_)));
    }
}
