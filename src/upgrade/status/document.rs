//! The report as JSON for machines: what `status.schema.json` says, in its version 1. Moments are RFC 3339 in UTC.

use serde_json::{Value, json};

use crate::host::record::Record;
use crate::rules::account::{Asked, Holder, Inputs, Windows};
use crate::rules::memory::Failed;
use crate::rules::moment::Moment;
use crate::rules::pause::Pause;
use crate::rules::timer::Timer;
use crate::upgrade::status::report::{Answer, Health, Installed, Report, SHOWN, Verdict};

/// The version of the document: a reader that knows it understands every later document of the same version.
const SCHEMA: u32 = 1;

/// The document, and a line break.
#[must_use]
pub fn of(report: &Report) -> String {
    let Report { inputs, record, .. } = report;
    let change = report.change();
    let document = json!({
        "schema": SCHEMA,
        "updater": env!("CARGO_PKG_VERSION"),
        "host": report.host,
        "at": report.now.rfc3339(),
        "condition": report.condition().code(),
        "exit": report.condition().exit(),
        "verdict": {
            "reason": report.reason().code(),
            "stopped": match &report.verdict { Verdict::Stopped(error) => Some(&error.what), _ => None },
            "change": { "what": change.what, "not_before": change.at.map(Moment::rfc3339) },
        },
        "agent": agent(report),
        "wanted": wanted(report),
        "windows": windows(&inputs.schedule),
        "hold": hold(&inputs.hold),
        "pause": inputs.pause.as_ref().map(pause),
        "failed": failed(inputs),
        "clock_ahead_seconds": inputs.clock_apart,
        "timer": timer(report),
        "last_run": last_run(report),
        "notices": report.notices().iter().map(|notice| json!({
            "condition": notice.condition.code(), "what": notice.what, "said": notice.said, "next": notice.next,
        })).collect::<Vec<_>>(),
        "history": history(report),
        "upgrades": upgrades(record),
        "unseen": report.unseen,
    });
    format!("{document:#}\n")
}

fn agent(report: &Report) -> Value {
    let (health, pid, complaint) = match &report.health {
        Health::Well(running) => ("well", running.as_ref().map(|running| running.pid), None),
        Health::Ill(complaint) => ("ill", None, Some(complaint.to_string())),
        Health::Stopped(how) => ("stopped", None, Some(how.clone())),
        Health::Unknown(why) => ("unknown", None, Some(why.clone())),
    };
    json!({
        "package": if let Installed::Package { package, .. } = &report.installed { Some(package.as_str()) } else { None },
        "version": report.inputs.installed,
        "health": health,
        "pid": pid,
        "complaint": complaint,
        "enrolment": report.inputs.enrolment,
    })
}

fn wanted(report: &Report) -> Value {
    let inputs = &report.inputs;
    let (by, endpoint) = match &inputs.asked {
        Asked::Nobody => ("nobody", None),
        Asked::Pin => ("pin", None),
        Asked::Server(endpoint) => ("server", Some(endpoint)),
    };
    let heard = match &report.answer {
        Answer::Now => Some(report.now),
        Answer::NotAsked | Answer::None(_) => report.record.heard.as_ref().map(|heard| heard.at),
    };
    json!({
        "version": inputs.wanted,
        "by": by,
        "endpoint": endpoint,
        "critical": inputs.critical,
        "as_of": heard.filter(|_| inputs.wanted.is_some()).map(Moment::rfc3339),
    })
}

fn windows(windows: &Windows) -> Value {
    let ahead = windows.ahead.iter().map(|window| json!({ "start": window.start().rfc3339(), "stop": window.stop().rfc3339() }));
    json!({
        "schedule": windows.state,
        "why": windows.why,
        "written": windows.written.map(Moment::rfc3339),
        "ahead": ahead.collect::<Vec<_>>(),
    })
}

fn hold(holder: &Holder) -> Value {
    let (by, how) = match holder {
        Holder::Unknown => ("unknown", None),
        Holder::Nobody => ("nobody", None),
        Holder::Updater => ("updater", None),
        Holder::Administrator(how) => ("administrator", Some(how)),
    };
    json!({ "by": by, "how": how })
}

fn pause(pause: &Pause) -> Value {
    json!({
        "by": pause.by,
        "since": pause.since.rfc3339(),
        "until": pause.until.map(Moment::rfc3339),
        "reason": pause.reason,
        "lets_through": pause.lets_through,
    })
}

fn failed(inputs: &Inputs) -> Value {
    let failure = |failed: &Option<Failed>| {
        failed.as_ref().map(|failed| {
            json!({
                "version": failed.release,
                "attempts": failed.attempts,
                "last": failed.last.rfc3339(),
                "not_before": failed.until().rfc3339(),
            })
        })
    };
    json!({ "version": failure(&inputs.failed), "host": failure(&inputs.hindered), "held_back": inputs.held_back })
}

fn timer(report: &Report) -> Value {
    let next = match &report.timer {
        Timer::Alive { next, .. } => next.map(Moment::rfc3339),
        _ => None,
    };
    json!({
        "state": report.timer.code(),
        "next": next,
        "at_work": report.runs.at_work,
        "replaced_by": report.runs.started.replaced_by,
        "overdue": report.overdue().is_some(),
    })
}

fn last_run(report: &Report) -> Option<Value> {
    let last = &report.record.last;
    (!last.code.is_empty()).then(
        || json!({ "at": last.at.rfc3339(), "took_ms": last.took, "reason": last.code, "text": last.text, "exit": last.exit }),
    )
}

fn history(report: &Report) -> Vec<Value> {
    let entry = |ended: &crate::host::record::Verdict| {
        json!({
            "reason": ended.code,
            "text": ended.text,
            "exit": ended.exit,
            "first": ended.first.rfc3339(),
            "last": ended.last.rfc3339(),
            "count": ended.count,
        })
    };
    report.history().map(entry).collect()
}

fn upgrades(record: &Record) -> Vec<Value> {
    let newest = record.upgrades.iter().rev().take(SHOWN);
    newest.map(|made| json!({ "from": made.from, "to": made.to, "at": made.at.rfc3339(), "result": made.code })).collect()
}
