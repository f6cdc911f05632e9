//! How a host stands, and what a person has to know of it: made of what was found, purely.

use std::time::Duration;

use crate::error::Error;
use crate::host::record::{Record, Verdict as Ended};
use crate::rules::account::{Change, Holder, Inputs};
use crate::rules::decide::{Decision, Stay};
use crate::rules::facts::{Enrolment, NOT_ENROLLED};
use crate::rules::health::{Complaint, Executes};
use crate::rules::moment::{Moment, span};
use crate::rules::policy::Package;
use crate::rules::reason::{Condition, Reason};
use crate::rules::timer::{Started, Timer};
use crate::upgrade::consider::clock_apart;

/// So many outcomes are shown.
pub const SHOWN: usize = 10;
/// A run is overdue when none has ended for so many seconds: two of the timer's longest intervals, and some patience (H27).
const OVERDUE: i64 = 75 * 60;
/// For so many seconds a server that cannot be asked is no reason for a person to look.
const SILENCE: i64 = 86_400;

/// How a host stands.
#[derive(Debug)]
pub struct Report {
    /// When it was looked.
    pub now: Moment,
    /// The host's name.
    pub host: String,
    /// The agent's package, if it was found.
    pub package: Option<Package>,
    /// What the decision is made on.
    pub inputs: Inputs,
    /// How the agent is.
    pub health: Health,
    /// When the version server was heard.
    pub heard: Heard,
    /// What the next run will come to.
    pub verdict: Verdict,
    /// How the timer stands.
    pub timer: Timer,
    /// What is known of runs.
    pub runs: Runs,
    /// Unknown files in the configuration directory.
    pub unknown: Vec<String>,
    /// What this user may not see, in words.
    pub unseen: Vec<String>,
    /// What earlier runs left.
    pub record: Record,
}

/// How the agent is.
#[derive(Debug)]
pub enum Health {
    /// It runs, and nothing speaks against it.
    Well(Option<Running>),
    /// It is meant to run, and something speaks against it.
    Ill(Complaint),
    /// Nobody means it to run; how that is known.
    Stopped(String),
    /// It could not be found out; why.
    Unknown(String),
}

/// The process in charge.
#[derive(Debug)]
pub struct Running {
    /// Its id.
    pub pid: u32,
    /// For how many seconds it has run.
    pub age: Option<i64>,
    /// Whether it executes what is installed.
    pub executes: Executes,
}

/// When the version server was heard.
#[derive(Debug)]
pub enum Heard {
    /// Just now.
    Now,
    /// It was not to be asked; what the last run heard counts, which ended then.
    Before(Option<Moment>),
    /// It could not be asked just now; the same.
    Failed(Error, Option<Moment>),
}

/// What the next run will come to.
#[derive(Debug)]
pub enum Verdict {
    /// Nothing was decided.
    Open,
    /// This.
    Decided {
        /// What.
        decision: Decision,
        /// What changes it.
        change: Change,
    },
    /// It would be stopped before it decides.
    Stopped(Error),
}

/// What is known of runs.
#[derive(Debug)]
pub struct Runs {
    /// What the timer starts.
    pub started: Started,
    /// How long the host has been up.
    pub up: Duration,
    /// Why the record cannot be read.
    pub unread: Option<String>,
}

/// Something that a person has to know, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// How much it matters.
    pub condition: Condition,
    /// What.
    pub what: String,
    /// What to do.
    pub next: String,
}

impl Report {
    /// Why the agent is on the version that it is on, as one stable word.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match &self.verdict {
            Verdict::Open => Reason::Internal,
            Verdict::Stopped(error) => error.class.into(),
            Verdict::Decided { decision: Decision::Stay(_), .. }
                if self.record.pending.is_some() && !self.runs.started.at_work =>
            {
                Reason::Broken
            }
            Verdict::Decided { decision: decision @ Decision::Stay(_), .. } => decision.into(),
            Verdict::Decided { decision, .. } => match (&self.inputs.hold, self.failed_lately()) {
                (Holder::Administrator(_), _) => Reason::Blocked,
                (_, Some(failed)) if matches!(decision, Decision::Upgrade { .. }) => failed,
                _ => decision.into(),
            },
        }
    }

    /// What stopped the last run, where it stopped for something that stops the next one, too, as far as anybody knows.
    fn failed_lately(&self) -> Option<Reason> {
        let last = &self.record.last;
        let reason = Reason::of_code(&last.code)?;
        (last.exit != 0 && reason.condition() == Condition::NeedsAttention && !matches!(reason, Reason::Config | Reason::Server))
            .then_some(reason)
    }

    /// What will change that.
    #[must_use]
    pub fn change(&self) -> Change {
        match &self.verdict {
            Verdict::Open => Change::default(),
            Verdict::Stopped(error) => Change::when(error.next.as_str()),
            Verdict::Decided { decision, change } => match self.reason() {
                reason if reason == Reason::from(decision) => change.clone(),
                Reason::Blocked => Change::when("the hold ends, or `teleport-upgrade force`, which keeps it"),
                Reason::Broken => Change::when("the next run looks at what is there, and goes on"),
                _ => self.record.last.change.clone(),
            },
        }
    }

    /// Everything that a person has to know beyond the verdict.
    #[must_use]
    pub fn notices(&self) -> Vec<Notice> {
        let mut notices = Vec::new();
        notices.extend(self.of_the_server());
        notices.extend(self.of_the_agent());
        notices.extend(self.of_failures());
        notices.extend(self.of_the_clock());
        notices.extend(self.of_the_runs());
        notices
    }

    /// What a monitor makes of it.
    #[must_use]
    pub fn condition(&self) -> Condition {
        let notices = self.notices().into_iter().map(|notice| notice.condition);
        notices.chain([self.reason().condition()]).max().unwrap_or(Condition::CannotTell)
    }

    fn of_the_server(&self) -> Option<Notice> {
        let Heard::Failed(error, _) = &self.heard else { return None };
        // The verdict says so itself where nothing else is known.
        matches!(self.verdict, Verdict::Decided { .. }).then_some(())?;
        let silence = self.record.succeeded.map(|at| self.now.since(at));
        let condition = if silence.is_some_and(|for_seconds| for_seconds < SILENCE) {
            Condition::CannotTell
        } else {
            Condition::NeedsAttention
        };
        let since = silence.map_or_else(
            || "no run has ended well yet".to_owned(),
            |for_seconds| format!("a run last ended well {} ago", span(for_seconds)),
        );
        Some(Notice {
            condition,
            what: format!("the version server cannot be asked: {}; {since}", error.what),
            next: error.next.clone(),
        })
    }

    fn of_the_agent(&self) -> Vec<Notice> {
        let notice = |what: String, next: &str| Notice { condition: Condition::NeedsAttention, what, next: next.into() };
        const LOOK: &str = "systemctl status teleport; journalctl -u teleport -n 50";
        let mut notices = Vec::new();
        match &self.health {
            Health::Well(Some(Running { pid, executes: Executes::Other, .. })) => notices.push(notice(
                format!("the agent (pid {pid}) runs another program than the one that is installed now"),
                "systemctl reload teleport; or restart it, which ends open sessions",
            )),
            Health::Well(_) => {}
            Health::Ill(complaint) => notices.push(notice(complaint.to_string(), LOOK)),
            Health::Stopped(how) => notices.push(notice(format!("the agent does not run: {how}"), self.start())),
            Health::Unknown(why) => notices.push(Notice {
                condition: Condition::CannotTell,
                ..notice(format!("how the agent is cannot be told: {why}"), LOOK)
            }),
        }
        match self.inputs.enrolment {
            Enrolment::AfterRestart => {
                let (what, next) = NOT_ENROLLED.split_once(": ").unwrap_or((NOT_ENROLLED, ""));
                notices.push(notice(what.to_owned(), next));
            }
            Enrolment::NotArranged => notices.push(notice(
                "agent is not enrolled: nothing sets TELEPORT_EXT_UPGRADER=unit for it, so it exports no windows".into(),
                "install the package teleport-ent-updater, then: systemctl restart teleport (ends open sessions)",
            )),
            Enrolment::Enrolled | Enrolment::Unknown => {}
        }
        notices
    }

    const fn start(&self) -> &'static str {
        match self.timer {
            Timer::NoSystemd => "start it the way it is started here, if it is to run",
            _ => "systemctl enable --now teleport, if it is to run here",
        }
    }

    /// What went wrong and is not settled.
    fn of_failures(&self) -> Vec<Notice> {
        let notice = |what: String, next: &str| Notice { condition: Condition::NeedsAttention, what, next: next.into() };
        let mut notices = Vec::new();
        if let Some(pending) = self.record.pending.as_ref().filter(|_| !self.runs.started.at_work) {
            notices.push(notice(
                format!(
                    "installing {} {}, begun at {}, was cut off or could not be finished: {}",
                    pending.package, pending.to, pending.since, self.record.last.text
                ),
                "teleport-upgrade run; it says what is left for you to do",
            ));
        }
        if matches!(self.reason(), Reason::FailedBefore | Reason::Hindered | Reason::WentBack)
            && let Some(why) =
                self.record.verdicts.iter().rev().find(|ended| ended.exit == 10 || ended.exit == 11 || ended.exit == 69)
        {
            notices.push(notice(
                format!("{} ({})", first_line(&why.text), why.last),
                "look at why: journalctl -u teleport -n 100; journalctl -u 'teleport-upgrade*'",
            ));
        }
        notices
    }

    fn of_the_clock(&self) -> Option<Notice> {
        let what = clock_apart(self.inputs.clock_apart?)?;
        let next = "timedatectl; timedatectl set-ntp true".to_owned();
        Some(Notice { condition: Condition::NeedsAttention, what: format!("{what}: windows open at the wrong time"), next })
    }

    fn of_the_runs(&self) -> Vec<Notice> {
        let notice = |what: String, next: &str| Notice { condition: Condition::NeedsAttention, what, next: next.into() };
        let mut notices = Vec::new();
        if let Some(why) = &self.runs.unread {
            notices.push(notice(
                format!("the record of earlier runs cannot be read ({why})"),
                "teleport-upgrade run keeps it aside and begins a new one",
            ));
        }
        let overdue = self.overdue();
        match &self.timer {
            Timer::Dead { active, file } if file == "masked" => notices.push(notice(
                format!("teleport-upgrade.timer is masked ({active}): nothing runs this program"),
                "systemctl unmask teleport-upgrade.timer && systemctl enable --now teleport-upgrade.timer",
            )),
            Timer::Dead { active, file } => notices.push(notice(
                format!("teleport-upgrade.timer is {active} and {file}: nothing runs this program"),
                "systemctl enable --now teleport-upgrade.timer",
            )),
            Timer::Missing if overdue.is_some() => notices.push(notice(
                "there is no teleport-upgrade.timer".into(),
                "install the package teleport-ent-updater, or let cron run: teleport-upgrade run --quiet",
            )),
            Timer::Unknown(why) => notices.push(Notice {
                condition: Condition::CannotTell,
                ..notice(format!("how the timer stands cannot be told: {why}"), "systemctl status teleport-upgrade.timer")
            }),
            Timer::Alive { .. } | Timer::Missing | Timer::NoSystemd => {}
        }
        if !self.runs.started.replaced_by.is_empty() {
            notices.push(notice(
                format!("teleport-upgrade.service starts something else: {} replaces it", self.runs.started.replaced_by.join(", ")),
                "let one updater do it: `teleport-update disable`, or remove this package; otherwise: systemctl revert teleport-upgrade.service",
            ));
        }
        if let Some(overdue) = overdue {
            notices.push(notice(
                overdue,
                "systemctl list-timers teleport-upgrade; journalctl -u 'teleport-upgrade*'; without systemd look at cron",
            ));
        }
        notices
    }

    /// That the last run is too long ago, if it is.
    #[must_use]
    pub fn overdue(&self) -> Option<String> {
        let up = i64::try_from(self.runs.up.as_secs()).unwrap_or(i64::MAX);
        let last = (!self.record.last.code.is_empty()).then_some(self.record.last.at);
        let since = last.map_or(up, |at| self.now.since(at)).min(up);
        if since < OVERDUE || self.runs.started.at_work {
            return None;
        }
        Some(match last {
            Some(at) => format!("no run has ended since {at}, {} ago", span(self.now.since(at))),
            None => format!("no run has ended yet, though this host has been up for {}", span(up)),
        })
    }

    /// The newest outcomes first.
    pub fn history(&self) -> impl Iterator<Item = &Ended> {
        self.record.verdicts.iter().rev().take(SHOWN)
    }

    /// Whether the agent is on the version that is wanted.
    #[must_use]
    pub fn is_up_to_date(&self) -> bool {
        matches!(self.verdict, Verdict::Decided { decision: Decision::Stay(Stay::UpToDate(_)), .. })
    }
}

/// Errors of many lines say the most in their first.
#[must_use]
pub fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
