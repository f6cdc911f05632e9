//! A point in time as every fact here holds it: whole seconds since 1970, UTC. And how it is said to a person.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, UtcOffset};

/// Unix seconds, UTC. Always within the years -9999 to 9999, so that saying it cannot fail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "i64", into = "i64")]
pub struct Moment(i64);

impl Moment {
    const EARLIEST: i64 = -377_705_116_800;
    const LATEST: i64 = 253_402_300_799;

    /// The moment that many seconds after 1970-01-01 00:00 UTC; what lies beyond the calendar is moved to its edge.
    #[must_use]
    pub const fn from_unix(seconds: i64) -> Self {
        if seconds < Self::EARLIEST {
            Self(Self::EARLIEST)
        } else if seconds > Self::LATEST {
            Self(Self::LATEST)
        } else {
            Self(seconds)
        }
    }

    /// Seconds since 1970-01-01 00:00 UTC.
    #[must_use]
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// This moment and `seconds` more.
    #[must_use]
    pub const fn plus(self, seconds: i64) -> Self {
        Self::from_unix(self.0.saturating_add(seconds))
    }

    /// Seconds from `earlier` to this moment; negative when it is the other way round.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// `2026-11-25T02:00:00Z`, for machines (RFC 3339).
    #[must_use]
    pub fn rfc3339(self) -> String {
        let Ok(utc) = OffsetDateTime::from_unix_timestamp(self.0) else { return self.0.to_string() };
        let (hour, minute, second) = utc.to_hms();
        format!("{:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", utc.year(), u8::from(utc.month()), utc.day())
    }

    /// `Wed 2026-11-25 02:00` on the clock of a place that is `offset` from UTC.
    #[must_use]
    pub fn on_clock(self, offset: UtcOffset) -> String {
        let Ok(utc) = OffsetDateTime::from_unix_timestamp(self.0) else { return self.0.to_string() };
        let there = utc.checked_to_offset(offset).unwrap_or(utc);
        let weekday = there.weekday().to_string();
        format!(
            "{} {:04}-{:02}-{:02} {:02}:{:02}",
            weekday.get(..3).unwrap_or(&weekday),
            there.year(),
            u8::from(there.month()),
            there.day(),
            there.hour(),
            there.minute()
        )
    }
}

impl From<i64> for Moment {
    fn from(seconds: i64) -> Self {
        Self::from_unix(seconds)
    }
}

impl From<Moment> for i64 {
    fn from(moment: Moment) -> Self {
        moment.0
    }
}

impl fmt::Display for Moment {
    /// `Wed 2026-11-25 02:00 UTC`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} UTC", self.on_clock(UtcOffset::UTC))
    }
}

/// A length of time as people say it, in its two largest units: `2 d 3 h`, `1 h 5 min`, `40 s`. Negative lengths are said as 0.
#[must_use]
pub fn span(seconds: i64) -> String {
    let s = seconds.max(0);
    let (days, hours, minutes) = (s / 86_400, s % 86_400 / 3600, s % 3600 / 60);
    let units = [(days, "d"), (hours, "h"), (minutes, "min")];
    let mut said: Vec<String> = Vec::new();
    for (count, unit) in units {
        if count > 0 {
            said.push(format!("{count} {unit}"));
        } else if !said.is_empty() {
            break;
        }
    }
    if said.is_empty() { format!("{s} s") } else { said.into_iter().take(2).collect::<Vec<_>>().join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_said_in_utc_and_on_a_local_clock() {
        let moment = Moment::from_unix(1_709_539_200);
        assert_eq!(moment.to_string(), "Mon 2024-03-04 08:00 UTC");
        assert_eq!(moment.on_clock(UtcOffset::from_hms(9, 0, 0).unwrap()), "Mon 2024-03-04 17:00");
    }

    #[test]
    fn moments_beyond_the_calendar_are_moved_to_its_edge_and_can_be_said() {
        assert_eq!(Moment::from_unix(i64::MAX).to_string(), "Fri 9999-12-31 23:59 UTC");
        assert_eq!(Moment::from_unix(i64::MIN).unix(), -377_705_116_800);
        assert_eq!(Moment::from_unix(i64::MAX).plus(i64::MAX).unix(), 253_402_300_799);
        let east = UtcOffset::from_hms(14, 0, 0).unwrap();
        assert_eq!(Moment::from_unix(i64::MAX).on_clock(east), "Fri 9999-12-31 23:59");
    }

    #[test]
    fn a_span_is_said_in_its_two_largest_units() {
        let stories = [
            (-5, "0 s"),
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3600, "1 h"),
            (3900, "1 h 5 min"),
            (3_601, "1 h"),
            (90_000, "1 d 1 h"),
            (86_400 + 300, "1 d"),
            (1_000_000, "11 d 13 h"),
        ];
        for (seconds, said) in stories {
            assert_eq!(span(seconds), said, "{seconds}");
        }
    }
}
