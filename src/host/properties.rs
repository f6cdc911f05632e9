//! What must hold of what this machine shows, and of how things are said: see [`crate::properties::Target`].

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use crate::error::quoted;
use crate::host::command::Argv;
use crate::host::record::{Record, Upgrade};
use crate::host::{pause, process, readiness, service, timer};
use crate::log::{Log, Priorities, Volume};
use crate::properties::{Target, assert_bounded, is_printable};
use crate::rules::health::Readiness;
use crate::rules::moment::Moment;
use crate::rules::reason::Reason;
use crate::rules::timer::Timer;

/// Every parser of this room; those of package managers are in `packages`.
pub const TARGETS: [Target; 5] = [
    Target { name: "processes", holds: processes },
    Target { name: "units", holds: units },
    Target { name: "readiness", holds: readiness },
    Target { name: "record", holds: record },
    Target { name: "words", holds: words },
];

fn text(input: &[u8]) -> String {
    String::from_utf8_lossy(input).into_owned()
}

/// Files in /proc, PID files and passwd(5).
fn processes(input: &[u8]) {
    let text = text(input);
    let _ = (process::started(input), process::started_by(input));
    assert!(process::number(&text).is_none_or(|pid| pid > 1 && text.contains(&pid.to_string())));
    // A process may call itself anything, also what looks like the fields that follow.
    let stat = [b"4711 (", input, b") S 42 4711 4711 0 -1 4194560 9 0 0 0 1 2 0 0 20 0 9 0 123456 1 2 3\n"].concat();
    assert_eq!((process::started(&stat), process::started_by(&stat)), (Some(123_456), Some(42)));

    let group = "/system.slice/teleport.service";
    assert!(!process::in_group(&text, group) || process::is_of_the_agent(&text) && text.contains(group));
    assert!(!process::in_group(&text, ""));
    if let Some(name) = pause::name_of(0, &text) {
        assert!(!name.is_empty() && name.len() <= 64 && !name.contains(|c: char| c.is_control() || c == ':'), "{name:?}");
    }
}

/// What `systemctl show` writes.
fn units(input: &[u8]) {
    let text = text(input);
    let unit = service::properties(&text);
    let (since, now) = (Duration::from_secs(100), Duration::from_secs(160));
    let _ = (unit.down(since, now), unit.activity(), unit.means());
    assert_bounded(input, [&format!("{unit:?}")]);
    for up in [0, i64::MAX] {
        if let Timer::Dead { active, file } = timer::standing(&text, Moment::from_unix(0), up) {
            assert_bounded(input, [&active, &file]);
        }
    }
    assert_bounded(input, &timer::started(&text).replaced_by);
}

fn readiness(input: &[u8]) {
    match readiness::read(input) {
        Readiness::NotReady(says) => {
            assert!(is_printable(&says) && says.len() < 300 && (says.starts_with("400") || says.starts_with("503")), "{says}");
            // Quotes that were sent are escaped, and none of ours is left over.
            assert!(!says.replace("\\\\", "").replace("\\\"", "").contains('"'), "{says}");
        }
        Readiness::Ready => assert!(input.starts_with(b"HTTP/1.")),
        Readiness::Silent => {}
    }
}

/// What is read is written as it was read; what is added stays within its limits.
fn record(input: &[u8]) {
    let Ok(read) = serde_json::from_slice::<Record>(input) else { return };
    let json = serde_json::to_vec(&read).unwrap_or_default();
    assert_eq!(serde_json::from_slice::<Record>(&json).ok().as_ref(), Some(&read));
    let now = Moment::from_unix(1_800_000_000);
    let mut record = read.clone();
    let account = record.last.clone();
    record.conclude(Reason::NoTarget, account);
    if let Some(last) = record.upgrades.last().cloned() {
        record.add_upgrade(Upgrade { at: now, ..last.clone() });
        record.memory.saw_target(&last.to);
        record.memory.target_failed(last.to.clone(), now);
        record.memory.went_back(last.from, now);
        let _ = record.memory.backing_off(&last.to, now);
    }
    assert!(record.verdicts.len() <= 50 && (record.upgrades.len() <= 50 || record.upgrades == read.upgrades));
    assert_eq!(serde_json::from_slice::<Record>(&serde_json::to_vec(&record).unwrap_or_default()).ok(), Some(record));
}

/// How what comes from elsewhere is said: quoted, as lines of a log, and as the words of a command that a person can type.
fn words(input: &[u8]) {
    let said = quoted(input);
    assert!(is_printable(&said) && said.len() <= 60 * 4 + 5, "{said}");
    assert_eq!(said.ends_with("\"..."), input.len() > 60);

    let text = text(input);
    let page = Rc::new(RefCell::new(Vec::new()));
    let log = Log::new(Box::new(Page(Rc::clone(&page))), Volume::Debug, Priorities::Journal);
    log.warning(&text);
    let logged = String::from_utf8_lossy(&page.borrow()).into_owned();
    assert!(logged.lines().all(|line| line.starts_with("<4>")), "{logged:?}");
    assert!(!logged.contains(|c: char| c.is_control() && c != '\n' && c != '\t'), "{logged:?}");
    assert_bounded(input, [&logged]);

    let typed: Vec<&str> = text.split('\0').collect();
    assert_eq!(shell(&Argv::new("tool", typed.iter().copied()).to_string()), [&["tool"], typed.as_slice()].concat(), "{text:?}");
}

/// The words that a shell makes of a line which has nothing but plain words, single quotes and escaped single quotes in it.
fn shell(line: &str) -> Vec<String> {
    let (mut words, mut inside, mut escaped) = (vec![String::new()], false, false);
    for c in line.chars() {
        let Some(word) = words.last_mut() else { break };
        match c {
            _ if escaped => (word.push(c), escaped = false).1,
            '\'' => inside = !inside,
            '\\' if !inside => escaped = true,
            ' ' if !inside => words.push(String::new()),
            _ => {
                assert!(inside || !c.is_whitespace() && !"$`\"&|;<>()*?[]#!{}".contains(c), "{line:?}");
                word.push(c);
            }
        }
    }
    words
}

struct Page(Rc<RefCell<Vec<u8>>>);

impl std::io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_machine_holds_for_the_corpus() {
        crate::properties::replay(&super::TARGETS);
    }
}
