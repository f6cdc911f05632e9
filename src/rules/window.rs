//! Maintenance windows and the schedule file that the agent writes. The file's owner may be hostile: what is read here can change
//! when an upgrade happens, never what is installed, and its contents are never repeated in a message.

use serde::{Deserialize, Serialize};

use crate::rules::moment::Moment;

/// A span of time in which upgrades are welcome: `start <= now < stop`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Bounds")]
pub struct Window {
    start: Moment,
    stop: Moment,
}

#[derive(Deserialize)]
struct Bounds {
    start: Moment,
    stop: Moment,
}

impl TryFrom<Bounds> for Window {
    type Error = &'static str;
    fn try_from(bounds: Bounds) -> Result<Self, Self::Error> {
        Self::new(bounds.start, bounds.stop).ok_or("the window ends before it starts")
    }
}

impl Window {
    /// A window, unless it would be empty or reversed.
    #[must_use]
    pub fn new(start: Moment, stop: Moment) -> Option<Self> {
        (start < stop).then_some(Self { start, stop })
    }

    /// The first second in it.
    #[must_use]
    pub const fn start(self) -> Moment {
        self.start
    }

    /// The first second after it.
    #[must_use]
    pub const fn stop(self) -> Moment {
        self.stop
    }

    fn contains(self, now: Moment) -> bool {
        self.start <= now && now < self.stop
    }
}

/// What is known of the windows. Only [`Schedule::Read`] comes from contents; the others are what the edge found instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// There is no schedule file.
    Missing,
    /// There is something, but it must not or cannot be read; why, in words.
    Unreadable(String),
    /// The version server is to name the windows, and none is known that ends in the future; why, in words.
    Unserved(String),
    /// The file was read.
    Read {
        /// Sorted, and joined where they touch or overlap.
        windows: Vec<Window>,
        /// When the file was last written.
        written: Moment,
        /// Lines that were passed over, in words; at most [`Schedule::ODDITIES`] of them.
        oddities: Vec<String>,
    },
}

/// How the windows lie around `now`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Inside this window.
    Open(Window),
    /// Outside; this one comes next.
    Ahead(Window),
    /// No window ends in the future; why, in words that name the state of the file and its age.
    NoneAhead(String),
    /// None is known, and the agent is not to blame; why, in words.
    Unserved(String),
}

impl Schedule {
    /// More lines than this are counted, not described.
    pub const ODDITIES: usize = 3;

    /// Reads the file's text: `start stop` in unix seconds a line, `#` comments and blank lines; what follows the second number is
    /// ignored (reference: Teleport's exporter writes nothing there today). Lines that make no sense are passed over and described.
    #[must_use]
    pub fn parse(text: &[u8], written: Moment) -> Self {
        let mut windows = Vec::new();
        let mut oddities = Vec::new();
        let mut odd = 0_usize;
        for (index, line) in text.split(|&b| b == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            match window_of(line) {
                Ok(window) => windows.push(window),
                Err(what) => {
                    odd += 1;
                    if oddities.len() < Self::ODDITIES {
                        oddities.push(format!("line {} {what}, ignored", index + 1));
                    }
                }
            }
        }
        if odd > oddities.len() {
            oddities.push(format!("and {} more lines like these", odd - oddities.len()));
        }
        Self::Read { windows: joined(windows), written, oddities }
    }

    /// The schedule that these windows make which the version server named then.
    #[must_use]
    pub fn served(windows: &[Window], at: Moment, now: Moment) -> Self {
        if windows.iter().any(|window| now < window.stop) {
            return Self::Read { windows: joined(windows.to_vec()), written: at, oddities: Vec::new() };
        }
        Self::Unserved(format!(
            "the windows that the version server named {} ago are over",
            crate::rules::moment::span(now.since(at))
        ))
    }

    /// How the windows lie around `now`.
    #[must_use]
    pub fn standing(&self, now: Moment) -> Standing {
        use crate::rules::moment::span;
        let (windows, written) = match self {
            Self::Missing => return Standing::NoneAhead("there is no schedule file".into()),
            Self::Unreadable(why) => return Standing::NoneAhead(format!("the schedule file {why}")),
            Self::Unserved(why) => return Standing::Unserved(why.clone()),
            Self::Read { windows, written, .. } => (windows, *written),
        };
        if let Some(&window) = windows.iter().find(|w| now < w.stop) {
            return if window.contains(now) { Standing::Open(window) } else { Standing::Ahead(window) };
        }
        let age = span(now.since(written));
        Standing::NoneAhead(match windows.last() {
            Some(last) => {
                format!("the last window in the schedule file ended {} ago, written {age} ago", span(now.since(last.stop)))
            }
            None => format!("the schedule file holds no window, written {age} ago"),
        })
    }
}

/// Reads one line; the error is the second half of a sentence and repeats nothing of the line.
fn window_of(line: &[u8]) -> Result<Window, &'static str> {
    let text = std::str::from_utf8(line).map_err(|_| "is not text")?;
    let mut words = text.split_ascii_whitespace().map(str::parse::<i64>);
    let (Some(Ok(start)), Some(Ok(stop))) = (words.next(), words.next()) else {
        return Err("does not start with two numbers");
    };
    Window::new(Moment::from_unix(start), Moment::from_unix(stop)).ok_or("ends before it starts")
}

/// The union of windows as the fewest windows, in order.
fn joined(mut windows: Vec<Window>) -> Vec<Window> {
    windows.sort_unstable();
    let mut union: Vec<Window> = Vec::with_capacity(windows.len());
    for window in windows {
        match union.last_mut() {
            Some(last) if window.start <= last.stop => last.stop = last.stop.max(window.stop),
            _ => union.push(window),
        }
    }
    union
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: Moment = Moment::from_unix(1_000_000);

    fn windows(text: &str) -> Vec<(i64, i64)> {
        match Schedule::parse(text.as_bytes(), WRITTEN) {
            Schedule::Read { windows, .. } => windows.iter().map(|w| (w.start.unix(), w.stop.unix())).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn oddities(text: &[u8]) -> Vec<String> {
        match Schedule::parse(text, WRITTEN) {
            Schedule::Read { oddities, .. } => oddities,
            other => panic!("{other:?}"),
        }
    }

    fn standing(text: &str, now: i64) -> String {
        match Schedule::parse(text.as_bytes(), WRITTEN).standing(Moment::from_unix(now)) {
            Standing::Open(w) => format!("open until {}", w.stop.unix()),
            Standing::Ahead(w) => format!("next {}", w.start.unix()),
            Standing::NoneAhead(why) | Standing::Unserved(why) => why,
        }
    }

    #[test]
    fn windows_that_are_served_count_until_the_last_of_them_is_over_and_then_nobody_is_ill() {
        let windows = [Window::new(Moment::from_unix(200), Moment::from_unix(300)).unwrap()];
        let standing =
            |now: i64| Schedule::served(&windows, Moment::from_unix(50), Moment::from_unix(now)).standing(Moment::from_unix(now));
        assert_eq!(standing(100), Standing::Ahead(windows[0]));
        assert_eq!(standing(299), Standing::Open(windows[0]));
        let over = "the windows that the version server named 4 min ago are over";
        assert_eq!(standing(300), Standing::Unserved(over.into()));
    }

    #[test]
    fn the_file_that_agents_write_is_read() {
        let text = "# generated by teleport\n1709539200 1709542800\n1709625600 1709629200\n";
        assert_eq!(windows(text), [(1_709_539_200, 1_709_542_800), (1_709_625_600, 1_709_629_200)]);
        assert!(oddities(text.as_bytes()).is_empty());
    }

    #[test]
    fn comments_tabs_carriage_returns_and_anything_after_the_second_number_are_ignored() {
        assert_eq!(windows("\r\n  # x\n\t100\t200 # daily\r\n300 400 500 junk"), [(100, 200), (300, 400)]);
    }

    #[test]
    fn h25_overlapping_and_touching_windows_are_one_and_negative_ones_are_windows() {
        assert_eq!(windows("50 80\n10 20\n20 30\n60 70\n-9 -4"), [(-9, -4), (10, 30), (50, 80)]);
    }

    #[test]
    fn h25_reversed_and_empty_windows_are_described_and_ignored() {
        assert_eq!(windows("200 100\n5 5\n1 2"), [(1, 2)]);
        assert_eq!(
            oddities(b"200 100\n5 5\n1 2"),
            ["line 1 ends before it starts, ignored", "line 2 ends before it starts, ignored"]
        );
    }

    #[test]
    fn h24_malformed_lines_are_described_without_their_contents_and_bounded() {
        let secret = b"root:x:0\nhunter2 hunter3\n\xff\xfe\n1\n1 x\n99999999999999999999 1";
        let said = oddities(secret);
        assert_eq!(
            said,
            [
                "line 1 does not start with two numbers, ignored",
                "line 2 does not start with two numbers, ignored",
                "line 3 is not text, ignored",
                "and 3 more lines like these"
            ]
        );
    }

    #[test]
    fn a_window_holds_its_first_second_and_not_its_last() {
        let stories = [(99, "next 100"), (100, "open until 200"), (199, "open until 200"), (200, "next 300")];
        for (now, said) in stories {
            assert_eq!(standing("100 200\n300 400", now), said, "{now}");
        }
    }

    #[test]
    fn h24_missing_blank_past_and_unreadable_schedules_have_sentences_of_their_own_with_the_age() {
        let now = Moment::from_unix(1_007_200);
        let said = |schedule: Schedule| match schedule.standing(now) {
            Standing::NoneAhead(why) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(said(Schedule::Missing), "there is no schedule file");
        assert_eq!(said(Schedule::Unreadable("is a symbolic link".into())), "the schedule file is a symbolic link");
        assert_eq!(said(Schedule::parse(b"", WRITTEN)), "the schedule file holds no window, written 2 h ago");
        assert_eq!(
            said(Schedule::parse(b"100 1003600", WRITTEN)),
            "the last window in the schedule file ended 1 h ago, written 2 h ago"
        );
    }

    /// The oracle is the definition, second by second.
    #[test]
    fn joining_windows_changes_no_moment() {
        let mut seed = 7_u64;
        for _ in 0..500 {
            let lines: Vec<(i64, i64)> = (0..6)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (i64::from((seed >> 33) as u8 % 40), i64::from((seed >> 45) as u8 % 40))
                })
                .collect();
            let text: String = lines.iter().map(|(a, b)| format!("{a} {b}\n")).collect();
            for now in -1..42 {
                let inside = lines.iter().any(|&(a, b)| a <= now && now < b);
                assert_eq!(standing(&text, now).starts_with("open"), inside, "{text} at {now}");
            }
        }
    }
}
