//! How the timer that runs this program stands, as systemd tells it.

use crate::rules::moment::Moment;

/// How the timer stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Timer {
    /// This host has no systemd: cron has to run us.
    NoSystemd,
    /// systemd does not answer; why, in words.
    Unknown(String),
    /// There is no such unit.
    Missing,
    /// Nothing starts it; systemd's words for how it stands.
    Dead {
        /// `inactive`, `failed`.
        active: String,
        /// `disabled`, `masked`, `enabled`.
        file: String,
    },
    /// It runs us; when next, if that is settled: not while a run is at work.
    Alive {
        /// The next run.
        next: Option<Moment>,
        /// For how many seconds it has been there to run us.
        age: Option<i64>,
    },
}

/// What the timer starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Started {
    /// Whether it is at work now.
    pub at_work: bool,
    /// By what another program stands in for us, if one does: `teleport-update` lays out a drop-in for that, and so may a person; or the unit
    /// is masked, or somebody's own.
    pub replaced_by: Vec<String>,
}

impl Timer {
    /// The stable word.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoSystemd => "no-systemd",
            Self::Unknown(_) => "unknown",
            Self::Missing => "missing",
            Self::Dead { .. } => "dead",
            Self::Alive { .. } => "alive",
        }
    }
}

/// The seconds of a span as systemd writes it (systemd.time(7)): `1d 2h 3min 4.5s`. `None` for `infinity`, `0` (no such moment) and nonsense.
#[must_use]
pub fn seconds(span: &str) -> Option<i64> {
    let mut total: i64 = 0;
    for word in span.split_ascii_whitespace() {
        let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match word.get(digits.len()..)? {
            "y" => 31_557_600,
            "month" => 2_629_800,
            "w" => 604_800,
            "d" => 86_400,
            "h" => 3600,
            "min" => 60,
            "s" => 1,
            "ms" | "us" => 0,
            _ => return None,
        };
        let whole: i64 = digits.split('.').next()?.parse().ok().filter(|_| digits.starts_with(|c: char| c.is_ascii_digit()))?;
        total = total.checked_add(whole.checked_mul(unit)?)?;
    }
    (total > 0).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_systemd_writes_them() {
        for (text, meant) in [
            ("2h 3min 4.567s", Some(7384)),
            ("1w 2d 3h", Some(788_400)),
            ("1month 2d", Some(2_802_600)),
            ("500ms", None),
            ("infinity", None),
            ("0", None),
            ("", None),
            ("99999999999999999999s", None),
            ("9999999999999999999w", None),
            ("5 s", None),
        ] {
            assert_eq!(seconds(text), meant, "{text:?}");
        }
    }
}
