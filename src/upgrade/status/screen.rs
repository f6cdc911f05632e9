//! The report as one screen for a person: what is, what will be, what to do.

use crate::host::machine::Colours;
use crate::rules::account::{Asked, FileState, Holder, Windows};
use crate::rules::decide::{Decision, Refusal, Stay, Wait};
use crate::rules::facts::{Critical, Enrolment};
use crate::rules::local::{Zones, both, both_of};
use crate::rules::moment::{Moment, span};
use crate::rules::reason::{Condition, Reason};
use crate::rules::timer::Timer;
use crate::rules::trigger::NotNow;
use crate::rules::window::Standing;
use crate::rules::wording::paused;
use crate::upgrade::status::report::{Answer, Health, Installed, Report, Running, Verdict, first_line};

/// Where what is said of a thing begins.
const COLUMN: usize = 11;
const BOLD: &str = "1";
const RED: &str = "31";
const YELLOW: &str = "33";
const GREEN: &str = "32";
const PLAIN: &str = "0";

/// The screen.
#[must_use]
pub fn of(report: &Report, zones: &Zones, colours: Colours) -> String {
    harmless(&Screen { report, zones, colours }.whole())
}

/// What is not ours on the page, or was damaged on disk, must not reach the terminal as an order: only our own colours do.
fn harmless(page: &str) -> String {
    let mut clean = String::with_capacity(page.len());
    let mut rest = page;
    while let Some(c) = rest.chars().next() {
        let order = [BOLD, RED, YELLOW, GREEN, PLAIN]
            .iter()
            .map(|colour| format!("\x1b[{colour}m"))
            .find(|order| rest.starts_with(order));
        let length = order.as_ref().map_or(c.len_utf8(), String::len);
        match order {
            Some(order) => clean.push_str(&order),
            None => clean.push(if c.is_control() && c != '\n' { '?' } else { c }),
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    clean
}

struct Screen<'r> {
    report: &'r Report,
    zones: &'r Zones,
    colours: Colours,
}

impl Screen<'_> {
    fn whole(&self) -> String {
        let Report { host, now, unseen, .. } = self.report;
        let mut page = format!("teleport-upgrade {} on {host}, {}\n\n", env!("CARGO_PKG_VERSION"), self.at(*now));
        let rows = [
            ("agent", self.agent()),
            ("wanted", self.wanted()),
            ("verdict", self.verdict()),
            ("next", self.next()),
            ("windows", self.windows()),
            ("hold", self.hold()),
            ("pause", self.pause()),
            ("timer", self.timer()),
            ("last run", self.last_run()),
        ];
        for (name, said) in rows.iter().filter(|(_, said)| !said.is_empty()) {
            page.push_str(&format!("{}{said}\n", self.painted(BOLD, &format!("{name:<COLUMN$}"))));
        }
        page.push_str(&self.notices());
        page.push_str(&self.history());
        for what in unseen.iter().chain(self.unknown().as_ref()) {
            page.push_str(&format!("\n({what})\n"));
        }
        page
    }

    fn painted(&self, colour: &str, text: &str) -> String {
        match self.colours {
            Colours::Shown => format!("\x1b[{colour}m{text}\x1b[{PLAIN}m"),
            Colours::None => text.to_owned(),
        }
    }

    fn at(&self, moment: Moment) -> String {
        both(moment, self.zones)
    }

    /// A moment and how far it is: `in 11 h`, `16 min ago`.
    fn far(&self, moment: Moment) -> String {
        let ahead = moment.since(self.report.now);
        let far = match ahead {
            ..=-1 => format!("{} ago", span(-ahead)),
            0 => "now".to_owned(),
            1.. => format!("in {}", span(ahead)),
        };
        format!("{}, {far}", self.at(moment))
    }

    fn agent(&self) -> String {
        let Report { installed, inputs, health, .. } = self.report;
        if self.report.is_without_agent() {
            return self.painted(RED, "there is none");
        }
        let package = if let Installed::Package { package, .. } = installed { package.as_str() } else { "teleport" };
        let version = inputs.installed.as_ref().map_or_else(|| "of an unknown version".to_owned(), ToString::to_string);
        let health = match health {
            Health::Well(Some(Running { pid, age: Some(age), .. })) => format!("well (pid {pid}, for {})", span(*age)),
            Health::Well(_) => "well".into(),
            Health::Ill(complaint) => self.painted(RED, &format!("ill: it {}", complaint.says)),
            Health::Stopped(_) => self.painted(RED, "not running"),
            Health::Unknown(_) => "its health cannot be told".into(),
        };
        let enrolment = match inputs.enrolment {
            Enrolment::Enrolled => ", enrolled",
            Enrolment::AfterRestart => ", enrolled after its next restart",
            Enrolment::NotArranged => ", not enrolled",
            Enrolment::NotNeeded | Enrolment::Unknown => "",
        };
        format!("{package} {version}, {health}{enrolment}")
    }

    fn wanted(&self) -> String {
        let inputs = &self.report.inputs;
        let version = inputs.wanted.as_ref().map_or_else(|| "no version".to_owned(), ToString::to_string);
        let version = match &self.report.verdict {
            Verdict::Decided { decision: Decision::Stay(Stay::NoTarget), .. } => "no version now".to_owned(),
            Verdict::Stopped(_) if inputs.wanted.is_none() => "not known".to_owned(),
            _ => version,
        };
        let critical = if inputs.critical == Critical::Yes { ", critical" } else { "" };
        let source = match &inputs.asked {
            Asked::Nobody => String::new(),
            Asked::Pin => ", pinned by the file `pin`".into(),
            Asked::Server(endpoint) => format!(", by {endpoint}"),
        };
        let when = match (&self.report.answer, &self.report.record.heard) {
            (Answer::NotAsked | Answer::None(_), Some(heard)) if inputs.wanted.is_some() && inputs.asked != Asked::Pin => {
                format!(", as of {}", self.far(heard.at))
            }
            _ => String::new(),
        };
        format!("{version}{critical}{source}{when}")
    }

    fn verdict(&self) -> String {
        let colour = match self.report.condition() {
            Condition::AsPlanned => GREEN,
            Condition::CannotTell => YELLOW,
            Condition::NeedsAttention => RED,
        };
        format!("{} ({})", self.painted(colour, &self.sentence()), self.report.reason().code())
    }

    /// What the next run will come to, as a sentence.
    fn sentence(&self) -> String {
        let report = self.report;
        match &report.verdict {
            Verdict::Stopped(error) => first_line(&error.what).to_owned(),
            Verdict::Decided { decision, .. } if report.reason() == Reason::from(decision) => self.decided(decision),
            Verdict::Decided { decision, .. } => match (report.reason(), &report.inputs.hold) {
                (Reason::Blocked, Holder::Administrator(how)) => {
                    format!("not upgraded: the package is {how}, and not by this program")
                }
                (Reason::Broken, _) if matches!(decision, Decision::Stay(_)) => "an upgrade was begun and is not finished".into(),
                (Reason::LeftToOthers, _) => "due, and left to others: the file `installer` says `nop`".into(),
                _ => first_line(&report.record.last.text).to_owned(),
            },
        }
    }

    fn decided(&self, decision: &Decision) -> String {
        match decision {
            Decision::Stay(Stay::UpToDate(release)) => format!("on {release}, as wanted"),
            Decision::Stay(Stay::NoTarget) => "nothing to do: no version is wanted now".into(),
            Decision::Upgrade { to, .. } => format!("{to} is due: the next run installs it"),
            Decision::Refuse(Refusal::Clock) => "this host's clock cannot be right: no window can be trusted".into(),
            Decision::Refuse(Refusal::LowerMajor(step)) => {
                format!("refused: {} -> {} goes down to another major version", step.from, step.to)
            }
            Decision::Refuse(Refusal::Lower(step)) => format!("refused: {} -> {} goes down", step.from, step.to),
            Decision::Refuse(Refusal::OtherMajor(step)) => {
                format!("refused: {} -> {} by a server that does not know this cluster", step.from, step.to)
            }
            Decision::Wait(wait) => match wait {
                Wait::FailedBefore { to, until } => {
                    format!("{to} failed on this host; it is not tried again before {}", self.far(*until))
                }
                Wait::Hindered { to, until } => {
                    format!("{to} could not be brought onto this host; it is not tried again before {}", self.far(*until))
                }
                Wait::HeldBack { to } => format!("stays: a person went back from {to}"),
                Wait::Paused { to, pause } => match pause.until {
                    Some(until) => format!("{to} waits for the end of the pause, {}", self.far(until)),
                    None => format!("{to} waits until somebody resumes"),
                },
                Wait::Returning { to, until } => format!("{to} was left lately; a look after {} decides", self.far(*until)),
                Wait::Trigger { to, not_now: NotNow::OutsideWindow(window) } => format!(
                    "{to} waits for the window {}, in {}",
                    both_of(*window, self.zones),
                    span(window.start().since(self.report.now))
                ),
                Wait::Trigger { to, not_now: NotNow::BeforeTurn { turn, .. } } => {
                    format!("{to} waits for this host's turn in the window, {}", self.far(*turn))
                }
                Wait::Trigger { to, not_now: NotNow::NoWindow(why) } => format!("{to} waits, and there is no window: {why}"),
                Wait::Trigger { to, not_now: NotNow::MaybeUnhealthy { schedule, .. } } => {
                    format!("{to} waits, and the agent exports no windows: {schedule}")
                }
            },
        }
    }

    fn next(&self) -> String {
        let change = self.report.change();
        // The verdict has said until when it waits.
        let said = match &self.report.verdict {
            Verdict::Decided { decision: Decision::Wait(wait), .. } => wait.until(),
            _ => None,
        };
        let at = change
            .at
            .filter(|at| *at > self.report.now && said != Some(*at))
            .map_or_else(String::new, |at| format!(", not before {}", self.far(at)));
        let mut lines = change.what.lines().map(str::trim);
        let first = lines.next().unwrap_or_default();
        let rest: String = lines.map(|line| format!("\n{:COLUMN$}{line}", "")).collect();
        format!("{first}{at}{rest}")
    }

    fn windows(&self) -> String {
        let windows: &Windows = &self.report.inputs.schedule;
        if windows.state == FileState::Unknown {
            return String::new();
        }
        let by_server = self.report.inputs.enrolment == Enrolment::NotNeeded;
        let how = if by_server { "named by the version server" } else { "schedule written" };
        let written = windows.written.map_or_else(String::new, |at| format!("; {how} {} ago", span(self.report.now.since(at))));
        match windows.schedule().standing(self.report.now) {
            Standing::Open(window) => {
                format!(
                    "open: {}, closes in {}{written}",
                    both_of(window, self.zones),
                    span(window.stop().since(self.report.now))
                )
            }
            Standing::Ahead(window) => {
                format!("next: {}, in {}{written}", both_of(window, self.zones), span(window.start().since(self.report.now)))
            }
            Standing::NoneAhead(why) | Standing::Unserved(why) => format!("none ahead: {why}"),
        }
    }

    fn hold(&self) -> String {
        match &self.report.inputs.hold {
            Holder::Unknown => String::new(),
            Holder::Nobody => "none".into(),
            Holder::Updater => "by this program, between its runs".into(),
            Holder::Administrator(how) => format!("by an administrator: the package is {how}"),
        }
    }

    fn pause(&self) -> String {
        let pause = self.report.inputs.pause.as_ref().filter(|pause| !pause.is_over(self.report.now));
        pause.map_or_else(String::new, |pause| paused(pause, &|moment| self.at(moment)))
    }

    fn timer(&self) -> String {
        match &self.report.timer {
            Timer::Alive { next: Some(next), .. } => format!("next run {}", self.far(*next)),
            Timer::Alive { next: None, .. } if self.report.runs.at_work => "a run is at work now".into(),
            Timer::Alive { next: None, .. } => "alive".into(),
            Timer::Dead { active, file } => self.painted(RED, &format!("{active}, {file}")),
            Timer::Missing => "there is none".into(),
            Timer::NoSystemd => "no systemd: cron runs this program, or nobody".into(),
            Timer::Unknown(why) => format!("cannot be told: {why}"),
        }
    }

    fn last_run(&self) -> String {
        let last = &self.report.record.last;
        if last.code.is_empty() {
            return "none yet".into();
        }
        let took = if last.took < 10_000 {
            format!("{} ms", last.took)
        } else {
            span(i64::try_from(last.took / 1000).unwrap_or_default())
        };
        format!("{}, took {took}: {} (exit {})", self.far(last.at), last.code, last.exit)
    }

    fn notices(&self) -> String {
        let notices = self.report.notices();
        if notices.is_empty() {
            return String::new();
        }
        let mut text = format!("\n{}\n", self.painted(BOLD, "To look at"));
        for notice in notices {
            let mark = match notice.condition {
                Condition::NeedsAttention => self.painted(RED, "!"),
                Condition::CannotTell => self.painted(YELLOW, "?"),
                Condition::AsPlanned => self.painted(GREEN, "-"),
            };
            text.push_str(&format!("  {mark} {}\n", first_line(&notice.what)));
            for line in &notice.said {
                text.push_str(&format!("    | {}\n", first_line(line)));
            }
            let next = notice.next.lines().map(str::trim).collect::<Vec<_>>().join("\n          ");
            text.push_str(&format!("    next: {next}\n"));
        }
        text
    }

    fn history(&self) -> String {
        let mut text = format!("\n{}\n", self.painted(BOLD, "Last outcomes"));
        let mut any = false;
        for ended in self.report.history() {
            any = true;
            let times = if ended.count > 1 { format!(" ({} times since {})", ended.count, ended.first) } else { String::new() };
            text.push_str(&format!("  {}  {:<15} {}{times}\n", ended.last, ended.code, first_line(&ended.text)));
        }
        if any { text } else { String::new() }
    }

    fn unknown(&self) -> Option<String> {
        let names = &self.report.unknown;
        (!names.is_empty())
            .then(|| format!("the configuration directory has files that mean nothing to this version: {}", names.join(", ")))
    }
}
