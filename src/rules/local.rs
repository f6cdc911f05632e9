//! A moment on two clocks, UTC's and the host's own, as a person compares them: `Wed 2026-11-25 02:00 UTC = 11:00 KST`.

use time::UtcOffset;

use crate::rules::moment::Moment;
use crate::rules::window::Window;

/// The host's clock at some moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// How far it is ahead of UTC.
    pub offset: UtcOffset,
    /// What people there call it: `KST`; or `UTC+9` where that is not known.
    pub name: String,
}

/// The host's clock at each moment, `None` where it cannot be told.
pub type Zones = dyn Fn(Moment) -> Option<Zone>;

impl Zone {
    /// The zone of that offset, under the name that the rule of the place has for it (POSIX `TZ`, as at the end of tzfile(5):
    /// `CET-1CEST,M3.5.0,M10.5.0/3`).
    #[must_use]
    pub fn new(offset: UtcOffset, rule: &str) -> Self {
        Self { offset, name: named(offset, rule).unwrap_or_else(|| by_number(offset)) }
    }
}

fn by_number(offset: UtcOffset) -> String {
    let (hours, minutes, _) = offset.as_hms();
    match (hours, minutes) {
        (0, 0) => "UTC".into(),
        (hours, 0) => format!("UTC{hours:+}"),
        (hours, minutes) => format!("UTC{}{}:{:02}", if offset.is_negative() { '-' } else { '+' }, hours.abs(), minutes.abs()),
    }
}

/// Standard time first; summer time is an hour ahead of it unless its own offset stands behind.
fn named(offset: UtcOffset, rule: &str) -> Option<String> {
    let (standard, rest) = name(rule)?;
    let (ahead, rest) = seconds(rest)?;
    if ahead == offset.whole_seconds() {
        return Some(standard);
    }
    let (summer, rest) = name(rest)?;
    let ahead = seconds(rest).map_or(ahead + 3600, |(ahead, _)| ahead);
    (ahead == offset.whole_seconds()).then_some(summer)
}

/// Three letters or more; names in angle brackets are numbers, which we say our own way.
fn name(rule: &str) -> Option<(String, &str)> {
    let rest = rule.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let name = rule.get(..rule.len() - rest.len())?;
    (3..=6).contains(&name.len()).then(|| (name.to_owned(), rest))
}

/// Seconds ahead of UTC; POSIX counts westward.
fn seconds(rule: &str) -> Option<(i32, &str)> {
    let rest = rule.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | ':'));
    let text = rule.get(..rule.len() - rest.len())?;
    let (sign, digits) = text.strip_prefix('-').map_or((-1, text.trim_start_matches('+')), |digits| (1, digits));
    let mut total = 0;
    for (part, unit) in digits.split(':').zip([3600, 60, 1]) {
        total += part.parse::<u16>().ok().filter(|part| *part < 168).map(i32::from)? * unit;
    }
    Some((sign * total, rest))
}

/// A moment on both clocks; the second has a date only where it is another one.
#[must_use]
pub fn both(moment: Moment, zones: &Zones) -> String {
    let Some(Zone { offset, name }) = zones(moment).filter(|zone| zone.name != "UTC") else { return moment.to_string() };
    format!("{moment} = {} {name}", without(&moment.on_clock(UtcOffset::UTC), &moment.on_clock(offset)))
}

/// A window on both clocks: `Wed 2026-11-25 02:00-03:00 UTC = 11:00-12:00 KST`.
#[must_use]
pub fn both_of(window: Window, zones: &Zones) -> String {
    let span = |start: String, stop: String| format!("{start}-{}", without(&start, &stop));
    let on = |offset| span(window.start().on_clock(offset), window.stop().on_clock(offset));
    let utc = on(UtcOffset::UTC);
    match zones(window.start()).filter(|zone| zone.name != "UTC") {
        Some(Zone { offset, name }) => format!("{utc} UTC = {} {name}", without(&utc, &on(offset))),
        None => format!("{utc} UTC"),
    }
}

/// `text` without its date if `known` begins with the same.
fn without<'t>(known: &str, text: &'t str) -> &'t str {
    const DATE: usize = "Wed 2026-11-25 ".len();
    match (known.get(..DATE), text.split_at_checked(DATE)) {
        (Some(date), Some((same, rest))) if date == same => rest,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wed 2026-11-25 02:00 UTC.
    const TWO: i64 = 1_795_572_000;

    fn offset(hours: i8, minutes: i8) -> UtcOffset {
        UtcOffset::from_hms(hours, minutes, 0).unwrap()
    }

    #[test]
    fn a_zone_has_the_name_that_the_rule_of_its_place_has_for_it() {
        let stories = [
            ("KST-9", offset(9, 0), "KST"),
            ("CET-1CEST,M3.5.0,M10.5.0/3", offset(1, 0), "CET"),
            ("CET-1CEST,M3.5.0,M10.5.0/3", offset(2, 0), "CEST"),
            ("NST3:30NDT,M3.2.0,M11.1.0", offset(-3, -30), "NST"),
            ("EST5EDT4,M3.2.0,M11.1.0", offset(-4, 0), "EDT"),
            ("<+0330>-3:30", offset(3, 30), "UTC+3:30"),
            ("CET-1", offset(5, 0), "UTC+5"),
            ("", offset(-3, -30), "UTC-3:30"),
            ("", offset(0, 0), "UTC"),
            ("UTC0", offset(0, 0), "UTC"),
            ("\u{1b}[2J", offset(-5, 0), "UTC-5"),
        ];
        for (rule, offset, name) in stories {
            assert_eq!(Zone::new(offset, rule).name, name, "{rule:?}");
        }
    }

    #[test]
    fn dates_are_said_once_where_both_clocks_have_the_same() {
        let seoul = |_| Some(Zone::new(offset(9, 0), "KST-9"));
        let new_york = |_| Some(Zone::new(offset(-5, 0), "EST5EDT"));
        let nowhere = |_| None;
        let two = Moment::from_unix(TWO);
        assert_eq!(both(two, &seoul), "Wed 2026-11-25 02:00 UTC = 11:00 KST");
        assert_eq!(both(two, &new_york), "Wed 2026-11-25 02:00 UTC = Tue 2026-11-24 21:00 EST");
        assert_eq!(both(two, &nowhere), "Wed 2026-11-25 02:00 UTC");
        let window = Window::new(two, two.plus(3600)).unwrap();
        assert_eq!(both_of(window, &seoul), "Wed 2026-11-25 02:00-03:00 UTC = 11:00-12:00 KST");
        assert_eq!(both_of(window, &new_york), "Wed 2026-11-25 02:00-03:00 UTC = Tue 2026-11-24 21:00-22:00 EST");
        assert_eq!(both_of(window, &nowhere), "Wed 2026-11-25 02:00-03:00 UTC");
        let night = Window::new(two.plus(13 * 3600), two.plus(14 * 3600)).unwrap();
        assert_eq!(both_of(night, &seoul), "Wed 2026-11-25 15:00-16:00 UTC = Thu 2026-11-26 00:00-01:00 KST");
    }
}
