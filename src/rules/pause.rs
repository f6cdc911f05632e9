//! A pause: a person wants no upgrades for a while. What it lets through, when it ends, and how its end is written on the command line.

use serde::{Deserialize, Serialize};
use time::{Date, Month, PrimitiveDateTime, Time, UtcOffset};

use crate::error::quoted;
use crate::rules::moment::Moment;

/// A pause as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Who paused, as far as the system knows.
    pub by: String,
    /// When.
    pub since: Moment,
    /// When it ends; `None` when somebody has to end it.
    pub until: Option<Moment>,
    /// Why, in that person's words.
    pub reason: Option<String>,
    /// What comes all the same.
    pub lets_through: LetsThrough,
}

/// What a pause lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LetsThrough {
    /// What the server calls critical.
    Critical,
    /// Nothing but `force`.
    Nothing,
}

impl Pause {
    /// What is assumed of a pause that cannot be read: somebody wants none, and nobody knows more.
    #[must_use]
    pub fn unreadable(now: Moment) -> Self {
        let by = "somebody (what was written down cannot be read)".into();
        Self { by, since: now, until: None, reason: None, lets_through: LetsThrough::Critical }
    }

    /// Whether what is said in it fits a line on a terminal.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        !self.by.chars().any(char::is_control) && self.reason.as_deref().is_none_or(|text| reason(text).is_ok())
    }

    /// Whether it has ended by itself.
    #[must_use]
    pub fn is_over(&self, now: Moment) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// A reason longer than this is a mistake; in bytes.
const LONGEST_REASON: usize = 500;

/// A person's reason, fit for a line on a terminal.
///
/// # Errors
/// What is wrong with it, in words.
pub fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    let sound = !text.is_empty() && text.len() <= LONGEST_REASON && !text.chars().any(char::is_control);
    if sound { Ok(text.to_owned()) } else { Err(format!("a reason is one line of up to {LONGEST_REASON} bytes")) }
}

/// The seconds that `14d`, `2w`, `12h` or `90m` stand for.
///
/// # Errors
/// What is wrong with it, in words.
pub fn length(text: &str) -> Result<i64, String> {
    const LONGEST: i64 = 10 * 366 * 86_400;
    let wrong = || format!("{} is no length of time such as 90m, 12h, 14d or 2w", quoted(text.as_bytes()));
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text.get(digits.len()..).unwrap_or_default() {
        "m" | "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return Err(wrong()),
    };
    let count: i64 = digits.parse().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit())).ok_or_else(wrong)?;
    count.checked_mul(unit).filter(|seconds| (1..=LONGEST).contains(seconds)).ok_or_else(wrong)
}

/// The moment that `2026-12-24`, `2026-12-24 18:00` or the same with `UTC`, `Z` or `+09:00` behind stands for; without such a zone it is
/// on this host's own clock, as in systemd.time(7). `local` says how far that is from UTC at a moment.
///
/// # Errors
/// What is wrong with it, in words.
pub fn moment(text: &str, local: &dyn Fn(Moment) -> Option<UtcOffset>) -> Result<Moment, String> {
    let wrong =
        || format!("{} is no time such as 2026-12-24, \"2026-12-24 18:00\" or 2026-12-24T18:00Z", quoted(text.as_bytes()));
    let (date, rest) = text.split_once([' ', 'T']).unwrap_or((text, ""));
    let date = numbers(date, '-', 3).and_then(|numbers| date_of(&numbers)).ok_or_else(wrong)?;
    let (clock, zone) = zone(rest).ok_or_else(wrong)?;
    let time = if clock.is_empty() { Some(Time::MIDNIGHT) } else { numbers(clock, ':', 2).and_then(|numbers| time_of(&numbers)) };
    let there = PrimitiveDateTime::new(date, time.ok_or_else(wrong)?);
    let at = |offset: UtcOffset| Moment::from_unix(there.assume_offset(offset).unix_timestamp());
    if let Some(offset) = zone {
        return Ok(at(offset));
    }
    let unknown = || "this host's time zone cannot be told: write UTC behind the time".to_owned();
    // The offset of the day: that of the moment itself is not known before it is.
    let near = local(at(UtcOffset::UTC)).ok_or_else(unknown)?;
    Ok(at(local(at(near)).unwrap_or(near)))
}

/// The clock, and the zone behind it if there is one.
fn zone(text: &str) -> Option<(&str, Option<UtcOffset>)> {
    if let Some(clock) = text.strip_suffix("UTC").or_else(|| text.strip_suffix('Z')) {
        return Some((clock.trim_end(), Some(UtcOffset::UTC)));
    }
    let Some(sign) = text.find(['+', '-']) else { return Some((text.trim_end(), None)) };
    let (clock, offset) = text.split_at_checked(sign)?;
    let numbers = numbers(offset.get(1..)?, ':', 2)?;
    let [hours, minutes] = numbers.as_slice() else { return None };
    let (hours, minutes) = (i8::try_from(*hours).ok()?, i8::try_from(*minutes).ok()?);
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    Some((clock.trim_end(), Some(UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok()?)))
}

fn numbers(text: &str, between: char, count: usize) -> Option<Vec<u16>> {
    let part =
        |part: &str| part.parse().ok().filter(|_| (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()));
    let numbers: Vec<u16> = text.split(between).map(part).collect::<Option<_>>()?;
    (numbers.len() == count).then_some(numbers)
}

fn date_of(numbers: &[u16]) -> Option<Date> {
    let [year, month, day] = numbers else { return None };
    let month = Month::try_from(u8::try_from(*month).ok()?).ok()?;
    Date::from_calendar_date(i32::from(*year), month, u8::try_from(*day).ok()?).ok()
}

fn time_of(numbers: &[u16]) -> Option<Time> {
    let [hour, minute] = numbers else { return None };
    Time::from_hms(u8::try_from(*hour).ok()?, u8::try_from(*minute).ok()?, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Berlin, roughly: one hour ahead of UTC, two from 2026-03-29 01:00 UTC to 2026-10-25 01:00 UTC.
    fn berlin(moment: Moment) -> Option<UtcOffset> {
        let summer = (1_774_746_000..1_792_890_000).contains(&moment.unix());
        UtcOffset::from_hms(if summer { 2 } else { 1 }, 0, 0).ok()
    }

    #[test]
    fn an_end_is_read_as_people_write_it() {
        let stories = [
            ("2026-12-24", "Wed 2026-12-23 23:00 UTC"),
            ("2026-12-24 18:00", "Thu 2026-12-24 17:00 UTC"),
            ("2026-07-01 18:00", "Wed 2026-07-01 16:00 UTC"),
            ("2026-03-29 03:00", "Sun 2026-03-29 01:00 UTC"),
            ("2026-12-24T18:00Z", "Thu 2026-12-24 18:00 UTC"),
            ("2026-12-24 18:00 UTC", "Thu 2026-12-24 18:00 UTC"),
            ("2026-12-24T18:00+09:00", "Thu 2026-12-24 09:00 UTC"),
            ("2026-12-24 18:00 -03:30", "Thu 2026-12-24 21:30 UTC"),
            ("2026-12-24 UTC", "Thu 2026-12-24 00:00 UTC"),
        ];
        for (text, meant) in stories {
            assert_eq!(moment(text, &berlin).map(|moment| moment.to_string()).as_deref(), Ok(meant), "{text}");
        }
        let strange = [
            "",
            "tomorrow",
            "24.12.2026",
            "2026-13-01",
            "2026-02-30",
            "2026-12-24 25:00",
            "2026-12-24 18",
            "2026-12-24 18:00 CET",
        ];
        for text in
            strange.into_iter().chain(["2026-12-24 18:00+9", "2026-12-24 18:00+99:00", "+026-12-24", "2026-12-24 \u{661}8:00"])
        {
            assert!(moment(text, &berlin).is_err(), "{text:?} was taken for a time");
        }
        assert!(moment("2026-12-24", &|_| None).unwrap_err().contains("write UTC"));
    }

    #[test]
    fn a_length_is_a_number_and_a_unit() {
        for (text, seconds) in [("90m", 5400), ("90min", 5400), ("12h", 43_200), ("14d", 1_209_600), ("2w", 1_209_600)] {
            assert_eq!(length(text), Ok(seconds), "{text}");
        }
        for text in
            ["", "d", "14", "0d", "-1d", "1.5h", "14 d", "1d12h", "99999999999999999999d", "9223372036854775807w", "\u{661}d"]
        {
            assert!(length(text).is_err(), "{text:?} was taken for a length of time");
        }
    }

    #[test]
    fn a_reason_is_one_line_without_control_characters() {
        assert_eq!(reason(" change freeze, ticket 4711 ").as_deref(), Ok("change freeze, ticket 4711"));
        for text in ["", "  ", "two\nlines", "\x1b[2J", &"x".repeat(501)] {
            assert!(reason(text).is_err(), "{text:?} was taken for a reason");
        }
    }
}
