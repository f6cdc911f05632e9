//! What must hold of what is read here: see [`crate::properties::Target`].

#![allow(clippy::panic, reason = "a property that does not hold panics")]

use std::cmp::Ordering;

use time::UtcOffset;

use crate::properties::{Target, assert_bounded, is_printable, is_word};
use crate::rules::account::Windows;
use crate::rules::endpoint::{Endpoint, ForgivenEndpoint};
use crate::rules::local::{self, Zone};
use crate::rules::moment::{Moment, span};
use crate::rules::pause;
use crate::rules::policy::{Package, Repo, Spread, Textfiles, Verify};
use crate::rules::release::Release;
use crate::rules::timer;
use crate::rules::window::{Schedule, Standing, Window};

/// Every parser of this room.
pub const TARGETS: [Target; 6] = [
    Target { name: "schedule", holds: schedule },
    Target { name: "release", holds: release },
    Target { name: "endpoint", holds: endpoint },
    Target { name: "names", holds: names },
    Target { name: "pause", holds: pause },
    Target { name: "clock", holds: clock },
];

fn text(input: &[u8]) -> String {
    String::from_utf8_lossy(input).into_owned()
}

/// The oracle is the definition: a moment is in a window if it is in one of the lines.
fn schedule(input: &[u8]) {
    let written = Moment::from_unix(0);
    let parsed = Schedule::parse(input, written);
    let Schedule::Read { windows, oddities, .. } = &parsed else { panic!("{parsed:?}") };
    let strictly_ordered = windows.windows(2).all(|pair| matches!(pair, [a, b] if a.stop() < b.start()));
    assert!(strictly_ordered && windows.iter().all(|window| window.start() < window.stop()), "{windows:?}");

    assert!(oddities.len() <= Schedule::ODDITIES + 1);
    for oddity in oddities {
        // Numbers are those of lines: what is left is ours, word by word.
        let ours: String = oddity.chars().filter(|c| !c.is_ascii_digit()).collect();
        let known = [
            "line  is not text, ignored",
            "line  does not start with two numbers, ignored",
            "line  ends before it starts, ignored",
            "and  more lines like these",
        ];
        assert!(known.contains(&ours.as_str()), "{oddity}");
    }

    let lines: Vec<(Moment, Moment)> = input.split(|byte| *byte == b'\n').filter_map(bounds).collect();
    let edges = lines.iter().flat_map(|(start, stop)| [*start, *stop]).take(60);
    for now in edges.flat_map(|edge| [edge.plus(-1), edge, edge.plus(1)]) {
        let inside = lines.iter().any(|(start, stop)| *start <= now && now < *stop);
        let next = lines.iter().filter(|(start, stop)| now < *start && start < stop).map(|(start, _)| *start).min();
        match parsed.standing(now) {
            Standing::Open(window) => assert!(inside && window.start() <= now && now < window.stop(), "{now:?} {window:?}"),
            Standing::Ahead(window) => assert_eq!((inside, Some(window.start())), (false, next), "{now:?}"),
            Standing::NoneAhead(why) => assert!(!inside && next.is_none() && is_printable(&why), "{now:?} {why}"),
            Standing::Unserved(why) => panic!("a file is not served: {why}"),
        }
        let kept = Windows::of(&parsed, now);
        assert_eq!(ahead(&kept.schedule(), now), ahead(&parsed, now));
        let json = serde_json::to_string(&kept).unwrap_or_default();
        assert_eq!(serde_json::from_str::<Windows>(&json).ok(), Some(kept));
    }
}

fn ahead(schedule: &Schedule, now: Moment) -> Option<Window> {
    match schedule.standing(now) {
        Standing::Open(window) | Standing::Ahead(window) => Some(window),
        Standing::NoneAhead(_) | Standing::Unserved(_) => None,
    }
}

/// One line, read by hand.
fn bounds(line: &[u8]) -> Option<(Moment, Moment)> {
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let mut number = || -> Option<i64> {
        let word = words.next()?;
        let digits = word.strip_prefix(['+', '-']).filter(|digits| !digits.starts_with(['+', '-'])).unwrap_or(word);
        let value: i128 = digits.parse().ok().filter(|_| digits.starts_with(|c: char| c.is_ascii_digit()))?;
        i64::try_from(if word.starts_with('-') { -value } else { value }).ok()
    };
    Some((Moment::from_unix(number()?), Moment::from_unix(number()?)))
}

fn release(input: &[u8]) {
    let text = text(input);
    let mut releases = text.lines().take(2).map(|line| {
        let parsed: Result<Release, _> = line.parse();
        match &parsed {
            Ok(release) => {
                let shown = release.to_string();
                assert!(is_word(&shown) && shown.len() <= 64 && shown.ends_with(|c: char| c.is_ascii_alphanumeric()), "{shown}");
                assert_eq!(line.strip_prefix('v').unwrap_or(line), shown);
                assert_eq!(shown.parse().as_ref(), Ok(release));
                let json = serde_json::to_string(release).unwrap_or_default();
                assert_eq!(serde_json::from_str::<Release>(&json).ok().as_ref(), Some(release));
                assert_eq!(release.is_pre_release(), shown.split('+').next().is_some_and(|version| version.contains('-')));
            }
            Err(wrong) => {
                let wrong = wrong.to_string();
                assert!(is_printable(&wrong) && wrong.len() < 400, "{wrong}");
            }
        }
        parsed.ok()
    });
    if let (Some(Some(one)), Some(Some(other))) = (releases.next(), releases.next()) {
        let expected = precedence(&one.to_string(), &other.to_string());
        assert!(expected == Ordering::Equal || one.cmp(&other) == expected, "{one} {other}");
        assert_eq!(one.cmp(&other), other.cmp(&one).reverse());
    }
}

/// Clause 11 of semver.org, to the letter.
fn precedence(one: &str, other: &str) -> Ordering {
    let parts = |version: &str| -> (Vec<u64>, Vec<String>) {
        let version = version.split('+').next().unwrap_or_default();
        let (numbers, pre) = version.split_once('-').unwrap_or((version, ""));
        let pre = pre.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        (numbers.split('.').filter_map(|number| number.parse().ok()).collect(), pre)
    };
    let ((numbers, pre), (other_numbers, other_pre)) = (parts(one), parts(other));
    let of_pre = || match (pre.is_empty(), other_pre.is_empty()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => {
            let pairs = pre.iter().zip(&other_pre).map(|(a, b)| {
                let number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
                match (number(a), number(b)) {
                    (true, true) => (a.len(), a).cmp(&(b.len(), b)),
                    (true, false) => Ordering::Less,
                    (false, true) => Ordering::Greater,
                    (false, false) => a.as_bytes().cmp(b.as_bytes()),
                }
            });
            pairs.fold(Ordering::Equal, Ordering::then).then(pre.len().cmp(&other_pre.len()))
        }
    };
    numbers.cmp(&other_numbers).then_with(of_pre)
}

fn endpoint(input: &[u8]) {
    match text(input).parse::<ForgivenEndpoint>() {
        Ok(ForgivenEndpoint { endpoint, forgiven }) => {
            let shown = endpoint.to_string();
            assert!(is_word(&shown) && !shown.contains(['@', '?', '#', '\\']) && forgiven.len() <= 3, "{shown}");
            assert!(!shown.contains("//") && !shown.split('/').any(|part| part == ".." || part == "."), "{shown}");
            // What is written into the file must mean the same when it is read.
            assert_eq!(shown.parse(), Ok(ForgivenEndpoint { endpoint: endpoint.clone(), forgiven: Vec::new() }), "{shown}");
            assert!(!endpoint.is_local() || endpoint.host().len() <= 9);
            assert_eq!(endpoint == Endpoint::built_in(), shown == Endpoint::built_in().to_string());
        }
        Err(wrong) => assert!(is_printable(&wrong) && wrong.len() < 400, "{wrong}"),
    }
}

/// The values of configuration files that become part of a command line or of a path.
fn names(input: &[u8]) {
    let text = text(input);
    let refused = |wrong: String| assert!(is_printable(&wrong) && wrong.len() < 400, "{wrong}");
    match text.parse::<Package>() {
        Ok(package) => {
            let name = package.as_str();
            assert!(is_word(name) && name.len() <= 100 && !name.ends_with(['+', '-']) && !name.contains(['/', '=', ':', '*']));
            let json = serde_json::to_string(&package).unwrap_or_default();
            assert_eq!(serde_json::from_str::<Package>(&json).ok(), Some(package));
        }
        Err(wrong) => refused(wrong),
    }
    match text.parse::<Repo>() {
        Ok(repo) => {
            let name = repo.as_str();
            assert!(is_word(name) && name.len() <= 100 && !name.starts_with('.') && !name.contains(['/', '*', '=', ',']));
        }
        Err(wrong) => refused(wrong),
    }
    match text.parse::<Verify>() {
        Ok(Verify(seconds)) => assert!(seconds <= 3600 && text.parse() == Ok(seconds)),
        Err(wrong) => refused(wrong),
    }
    match text.parse::<Spread>() {
        Ok(spread) => assert!(spread.percent() <= 100 && text.parse() == Ok(spread.percent())),
        Err(wrong) => refused(wrong),
    }
    match text.parse::<Textfiles>() {
        Ok(directory) => {
            let path = std::path::PathBuf::from(directory);
            assert!(path.is_absolute() && !path.components().any(|part| part == std::path::Component::ParentDir));
        }
        Err(wrong) => refused(wrong),
    }
}

fn pause(input: &[u8]) {
    let text = text(input);
    if let Ok(seconds) = pause::length(&text) {
        let (digits, unit) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
        let unit = [("m", 60), ("min", 60), ("h", 3600), ("d", 86_400), ("w", 604_800)].iter().find(|(name, _)| *name == unit);
        let meant = digits.parse::<i128>().ok().zip(unit).map(|(count, (_, unit))| count * unit);
        assert_eq!(meant, Some(i128::from(seconds)));
        assert!((60..=10 * 366 * 86_400).contains(&seconds));
    }
    if let Ok(reason) = pause::reason(&text) {
        assert!(!reason.is_empty() && reason.len() <= 500 && !reason.chars().any(char::is_control));
        assert_eq!(pause::reason(&reason).as_ref(), Ok(&reason));
    }
    // A clock that is turned in the middle of 2026.
    let zone = |moment: Moment| UtcOffset::from_hms(if moment.unix() < 1_782_864_000 { -11 } else { 14 }, 0, 0).ok();
    match pause::moment(&text, &zone) {
        Ok(moment) => {
            let shown = moment.to_string();
            let shown = shown.split_once(' ').map_or("", |(_weekday, rest)| rest);
            // Only the zone can lead out of the years from 0 to 9999, which is as far as it goes.
            let years = -62_167_219_200..253_402_300_799;
            assert!(!years.contains(&moment.unix()) || pause::moment(shown, &zone) == Ok(moment), "{text:?} {shown}");
        }
        Err(wrong) => assert!(is_printable(&wrong) && wrong.len() < 400, "{wrong}"),
    }
    if let Ok(kept) = serde_json::from_slice::<pause::Pause>(input) {
        let json = serde_json::to_vec(&kept).unwrap_or_default();
        assert_eq!(serde_json::from_slice::<pause::Pause>(&json).ok().as_ref(), Some(&kept));
        assert!(!kept.is_sound() || !kept.by.contains('\n'));
    }
}

/// Spans as systemd writes them, names of time zones, and how moments are said.
fn clock(input: &[u8]) {
    let text = text(input);
    if let Some(seconds) = timer::seconds(&text) {
        assert!(seconds > 0);
    }
    let units = [("y", 31_557_600), ("month", 2_629_800), ("w", 604_800), ("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)];
    let counted: Vec<(u8, (&str, i64))> = input.iter().take(7).copied().zip(units).filter(|(count, _)| *count > 0).collect();
    let written: Vec<String> = counted.iter().map(|(count, (unit, _))| format!("{count}{unit}")).collect();
    let meant: i64 = counted.iter().map(|(count, (_, seconds))| i64::from(*count) * seconds).sum();
    assert_eq!(timer::seconds(&written.join(" ")), Some(meant).filter(|seconds| *seconds > 0), "{written:?}");
    // What is left out of what is said is less than one of the second unit.
    let said = span(meant);
    let words: Vec<&str> = said.split(' ').collect();
    let of = |unit: &str| units.iter().find(|(name, _)| *name == unit).map_or(0, |(_, seconds)| *seconds);
    let sum: i64 = words.chunks(2).filter_map(|pair| Some(pair.first()?.parse::<i64>().ok()? * of(pair.last()?))).sum();
    let precision = if words.get(1) == Some(&"d") { 3600 } else { 60 };
    assert!(words.len() <= 4 && (0..precision).contains(&(meant - sum)), "{meant} {said}");

    let (quarters, rule) = text.split_at_checked(1).unwrap_or(("A", ""));
    let quarters = i32::from(quarters.bytes().next().unwrap_or_default()) - 64;
    let Ok(offset) = UtcOffset::from_whole_seconds(quarters * 900) else { return };
    let zone = Zone::new(offset, rule);
    assert!(is_word(&zone.name) && zone.name.len() <= 9, "{zone:?}");
    assert!(zone.name.starts_with("UTC") || rule.contains(&zone.name), "{zone:?} {rule:?}");

    let moments = input.chunks(8).take(4).map(|bytes| bytes.iter().fold(0_i64, |all, byte| all << 8 | i64::from(*byte)));
    for moment in moments.map(Moment::from_unix) {
        let of_place = zone.clone();
        let there = move |_| Some(of_place.clone());
        let window = Window::new(moment, moment.plus(meant));
        let said = [
            moment.rfc3339(),
            local::both(moment, &there),
            window.map_or_else(String::new, |window| local::both_of(window, &there)),
        ];
        assert!(said.iter().all(|said| is_printable(said) && said.len() <= 120), "{said:?}");
        assert_bounded(input, &said);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_rules_hold_for_the_corpus() {
        crate::properties::replay(&super::TARGETS);
    }
}
