//! How a host stands, and what a person has to know of it: made of what was found, purely.

use std::time::Duration;

use crate::error::Error;
use crate::host::pending::Step;
use crate::host::record::{Record, Verdict as Ended};
use crate::rules::account::{Attempt, Change, Holder, Inputs};
use crate::rules::decide::Decision;
use crate::rules::facts::{Enrolment, NOT_ENROLLED};
use crate::rules::health::{Complaint, Executes};
use crate::rules::moment::{Moment, span};
use crate::rules::policy::Package;
use crate::rules::reason::{Condition, Reason};
use crate::rules::release::Release;
use crate::rules::timer::{Started, Timer};
use crate::upgrade::server::clock_apart;

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
    /// What the package manager says of the agent.
    pub installed: Installed,
    /// What the decision is made on.
    pub inputs: Inputs,
    /// How the agent is.
    pub health: Health,
    /// What the version server answered.
    pub answer: Answer,
    /// What the next run will come to.
    pub verdict: Verdict,
    /// How the timer stands.
    pub timer: Timer,
    /// What is known of runs.
    pub runs: Runs,
    /// Why the pause cannot be read.
    pub pause_unread: Option<Error>,
    /// Unknown files in the configuration directory.
    pub unknown: Vec<String>,
    /// What this user may not see, in words.
    pub unseen: Vec<String>,
    /// What earlier runs left.
    pub record: Record,
}

/// What the package manager says of the agent.
#[derive(Debug)]
pub enum Installed {
    /// It was not asked, or knows nothing.
    Unknown,
    /// `installer` says `nop`.
    ByOthers,
    /// This package.
    Package {
        /// Its name.
        package: Package,
        /// Its version in the package database.
        release: Option<Release>,
        /// How far an installation got that was cut off.
        stopped_at: Option<String>,
    },
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

/// What the version server answered.
#[derive(Debug)]
pub enum Answer {
    /// The version, just now; or a version is pinned.
    Now,
    /// It was not asked.
    NotAsked,
    /// Nothing that could be understood.
    None(Error),
}

/// What the next run will come to.
#[derive(Debug)]
pub enum Verdict {
    /// This.
    Decided {
        /// What.
        decision: Decision,
        /// What changes it.
        change: Change,
    },
    /// It would be stopped.
    Stopped(Error),
}

/// What is known of runs.
#[derive(Debug)]
pub struct Runs {
    /// What the timer starts.
    pub started: Started,
    /// Whether one is at work now, whoever started it.
    pub at_work: bool,
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
    /// The last lines that a tool wrote about it.
    pub said: Vec<String>,
    /// What to do.
    pub next: String,
}

impl Notice {
    fn new(condition: Condition, what: String, next: &str) -> Self {
        Self { condition, what, said: Vec::new(), next: next.into() }
    }
}

impl Report {
    /// Why the agent is on the version that it is on, as one stable word.
    #[must_use]
    pub fn reason(&self) -> Reason {
        let decision = match &self.verdict {
            Verdict::Stopped(error) => return error.class.into(),
            Verdict::Decided { decision, .. } => decision,
        };
        match (decision, &self.inputs.hold, &self.installed) {
            (Decision::Stay(_), ..) if self.left_half_done() => Reason::Broken,
            (Decision::Stay(_), ..) => decision.into(),
            (_, Holder::Administrator(_), _) => Reason::Blocked,
            (Decision::Upgrade { .. }, _, Installed::ByOthers) => Reason::LeftToOthers,
            (Decision::Upgrade { .. }, ..) => self.stopped_last().unwrap_or(Reason::Due),
            _ => decision.into(),
        }
    }

    /// Whether an upgrade was begun that nobody is at, and that is more than to be watched.
    fn left_half_done(&self) -> bool {
        self.record.pending.as_ref().is_some_and(|pending| pending.step != Step::Prove) && !self.runs.at_work
    }

    /// What stopped the last run, if it got as far as the version that is due now: it stops the next one, too, as far as anybody knows.
    fn stopped_last(&self) -> Option<Reason> {
        let last = &self.record.last;
        let reason = Reason::of_code(&last.code).filter(|reason| !reason.is_converged() && !reason.is_wait())?;
        // A hold that stood in the way is looked for now.
        let was_held = matches!(last.inputs.hold, Holder::Administrator(_)) && reason == Reason::Blocked;
        (last.inputs.wanted == self.inputs.wanted && !was_held).then_some(reason)
    }

    /// What will change that.
    #[must_use]
    pub fn change(&self) -> Change {
        match &self.verdict {
            Verdict::Stopped(error) => Change::when(error.next.as_str()),
            Verdict::Decided { decision, change } => match self.reason() {
                reason if reason == Reason::from(decision) => change.clone(),
                Reason::Blocked if matches!(self.inputs.hold, Holder::Administrator(_)) => {
                    Change::when("the hold ends, or `teleport-upgrade force`, which keeps it")
                }
                Reason::Broken => Change::when("the next run looks at what is there, and goes on"),
                Reason::LeftToOthers => Change::when("whoever installs here does, or the file `installer` no longer says `nop`"),
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
        notices.extend(self.of_the_package());
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

    /// How long ago a run last ended well.
    fn silence(&self) -> Option<i64> {
        self.record.succeeded.map(|at| self.now.since(at))
    }

    fn of_the_server(&self) -> Option<Notice> {
        let Answer::None(error) = &self.answer else { return None };
        // The verdict says so itself where nothing else is known.
        matches!(self.verdict, Verdict::Decided { .. }).then_some(())?;
        let heard = self.record.heard.as_ref().map(|heard| self.now.since(heard.at));
        let last_run_heard = self.record.last.inputs.wanted.is_some() && heard.is_some_and(|ago| ago < OVERDUE);
        let condition = match self.silence() {
            // Its proxy may be known to the service alone.
            _ if last_run_heard => Condition::AsPlanned,
            Some(silence) if silence < SILENCE => Condition::CannotTell,
            _ => Condition::NeedsAttention,
        };
        let since = match (last_run_heard, heard) {
            (true, Some(ago)) => format!("the last run could, {} ago", span(ago)),
            (_, Some(ago)) => format!("it was last heard {} ago", span(ago)),
            (_, None) => "it was never heard".to_owned(),
        };
        Some(Notice::new(condition, format!("the version server cannot be asked now: {}; {since}", error.what), &error.next))
    }

    fn of_the_agent(&self) -> Vec<Notice> {
        const LOOK: &str = "systemctl status teleport; journalctl -u teleport -n 50";
        let notice = |what: String, next: &str| Notice::new(Condition::NeedsAttention, what, next);
        let mut notices = Vec::new();
        match &self.health {
            Health::Well(Some(Running { pid, executes: Executes::Other, .. })) if !self.runs.at_work => notices.push(notice(
                format!("the agent (pid {pid}) runs another program than the one that is installed now"),
                "systemctl reload teleport; or restart it, which ends open sessions",
            )),
            Health::Well(_) => {}
            Health::Ill(complaint) => notices.push(notice(complaint.to_string(), LOOK)),
            // The verdict says that there is none.
            Health::Stopped(_) if self.is_without_agent() => {}
            Health::Stopped(how) => notices.push(notice(format!("the agent does not run: {how}"), self.start())),
            Health::Unknown(why) => {
                notices.push(Notice::new(Condition::CannotTell, format!("how the agent is cannot be told: {why}"), LOOK));
            }
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
            Enrolment::Enrolled | Enrolment::NotNeeded | Enrolment::Unknown => {}
        }
        notices
    }

    /// Whether there is no agent at all.
    #[must_use]
    pub fn is_without_agent(&self) -> bool {
        self.inputs.installed.is_none() && !matches!(self.installed, Installed::Package { .. })
    }

    const fn start(&self) -> &'static str {
        match self.timer {
            Timer::NoSystemd => "start it the way it is started here, if it is to run",
            _ => "systemctl enable --now teleport, if it is to run here",
        }
    }

    fn of_the_package(&self) -> Vec<Notice> {
        let notice =
            |what: String| Notice::new(Condition::NeedsAttention, what, "the next run settles it; at once: teleport-upgrade run");
        let Installed::Package { package, release, stopped_at } = &self.installed else { return Vec::new() };
        if self.runs.at_work {
            return Vec::new();
        }
        let mut notices = Vec::new();
        notices.extend(stopped_at.as_ref().map(|at| notice(format!("{package} is {at}"))));
        if let (Some(database), Some(binary)) = (release, &self.inputs.installed)
            && database != binary
        {
            notices.push(notice(format!("the agent's binary says {binary}, the package database says {package} {database}")));
        }
        notices
    }

    /// What went wrong and is not settled.
    fn of_failures(&self) -> Vec<Notice> {
        let notice = |what: String, next: &str| Notice::new(Condition::NeedsAttention, what, next);
        let mut notices = Vec::new();
        if let Some(pending) = self.record.pending.as_ref().filter(|_| !self.runs.at_work) {
            let what = format!("the change of {} to {}, begun at {}", pending.package, pending.to, pending.since);
            notices.push(match pending.step {
                Step::Prove => {
                    Notice::new(Condition::AsPlanned, format!("{what}, has not proven itself yet"), "the next run watches it")
                }
                _ => notice(format!("{what}, is not finished"), "teleport-upgrade run; it says what is left for you to do"),
            });
        }
        let is_up_to_date = matches!(self.verdict, Verdict::Decided { decision: Decision::Stay(_), .. });
        // Without a word from a tool the verdict says it all.
        let is_said = |attempt: &Attempt| attempt.said.is_empty() && self.reason().code() == attempt.code;
        let attempt = self.record.attempt.as_ref().filter(|attempt| !is_up_to_date && !is_said(attempt));
        if let Some(attempt) = attempt.filter(|attempt| Some(&attempt.to) == self.inputs.wanted.as_ref()) {
            let what =
                format!("the last attempt at {}, at {}, came to nothing: {}", attempt.to, attempt.at, first_line(&attempt.text));
            notices.push(Notice { said: attempt.said.clone(), ..notice(what, &attempt.next) });
        }
        let passing = matches!(self.reason(), Reason::Network | Reason::Busy);
        if let Some(silence) = self.silence().filter(|silence| passing && *silence >= SILENCE) {
            notices.push(notice(
                format!("no run has ended well for {}", span(silence)),
                "journalctl -u 'teleport-upgrade*' -p warning",
            ));
        }
        notices.extend(self.pause_unread.as_ref().map(|error| notice(error.what.clone(), &error.next)));
        notices
    }

    fn of_the_clock(&self) -> Option<Notice> {
        let what = format!("{}: windows open at the wrong time", clock_apart(self.inputs.clock_apart?)?);
        Some(Notice::new(Condition::NeedsAttention, what, "timedatectl; timedatectl set-ntp true"))
    }

    fn of_the_runs(&self) -> Vec<Notice> {
        const TIMER: &str = "teleport-upgrade.timer";
        let notice = |what: String, next: &str| Notice::new(Condition::NeedsAttention, what, next);
        let mut notices = Vec::new();
        if let Some(why) = &self.runs.unread {
            let what = format!("the record of earlier runs cannot be read ({why})");
            notices.push(notice(what, "teleport-upgrade run keeps it aside and begins a new one"));
        }
        let overdue = self.overdue();
        match &self.timer {
            Timer::Dead { active, file } => {
                let next = match (active.as_str(), file.as_str()) {
                    ("elapsed", _) => format!("systemctl restart {TIMER}"),
                    (_, "masked") => format!("systemctl unmask {TIMER} && systemctl enable --now {TIMER}"),
                    _ => format!("systemctl enable --now {TIMER}"),
                };
                notices.push(notice(format!("{TIMER} is {active} and {file}: nothing runs this program"), &next));
            }
            Timer::Missing if overdue.is_some() => notices.push(notice(
                format!("there is no {TIMER}"),
                "install the package teleport-ent-updater, or let cron run: teleport-upgrade run --quiet",
            )),
            Timer::Unknown(why) => {
                let what = format!("how the timer stands cannot be told: {why}");
                notices.push(Notice::new(Condition::CannotTell, what, &format!("systemctl status {TIMER}")));
            }
            Timer::Alive { .. } | Timer::Missing | Timer::NoSystemd => {}
        }
        if !self.runs.started.replaced_by.is_empty() {
            notices.push(notice(
                format!("teleport-upgrade.service starts something else, or nothing: look at {}", self.runs.started.replaced_by.join(", ")),
                "let one updater do it: `teleport-update disable`, or remove this package; otherwise: systemctl revert teleport-upgrade.service",
            ));
        }
        if let Some(overdue) = overdue {
            let next = match self.timer {
                Timer::NoSystemd | Timer::Missing => "look at cron; at once: teleport-upgrade run",
                _ => "systemctl restart teleport-upgrade.timer; journalctl -u 'teleport-upgrade*'",
            };
            notices.push(notice(overdue, next));
        }
        notices
    }

    /// That the last run is too long ago, if it is.
    #[must_use]
    pub fn overdue(&self) -> Option<String> {
        let up = i64::try_from(self.runs.up.as_secs()).unwrap_or(i64::MAX);
        // Nobody could run it before it was installed.
        let up = if let Timer::Alive { age: Some(age), .. } = self.timer { up.min(age) } else { up };
        let last = (!self.record.last.code.is_empty()).then_some(self.record.last.at);
        // One that lies ahead was made under a clock that was set back since.
        let since = last.map(|at| self.now.since(at)).filter(|since| *since >= 0).map_or(up, |since| since.min(up));
        if since < OVERDUE || self.runs.at_work {
            return None;
        }
        Some(match last {
            Some(at) => format!("no run has ended since {at}"),
            None => format!("no run has ended yet, for {}", span(up)),
        })
    }

    /// The newest outcomes first.
    pub fn history(&self) -> impl Iterator<Item = &Ended> {
        self.record.verdicts.iter().rev().take(SHOWN)
    }
}

/// Errors of many lines say the most in their first.
#[must_use]
pub fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
