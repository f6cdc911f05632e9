//! After each run: the account of it as metrics, where somebody wants them. Nothing that goes wrong here fails a run.

use std::path::{Path, PathBuf};

use crate::config;
use crate::error::Error;
use crate::host::agent::Known;
use crate::host::machine::Machine;
use crate::host::metrics;
use crate::host::record::Record;
use crate::rules::account::Asked;
use crate::rules::metrics::{Figures, text};

/// Where metrics go: what the configuration says, or what it said when it could last be read; a broken one is what monitors must hear of.
pub(super) fn wanted(machine: &Machine, directory: &Path, record: &Record) -> Option<PathBuf> {
    config::load(directory, machine.superuser)
        .map_or_else(|_| record.metrics.clone(), |loaded| loaded.policy.metrics.map(PathBuf::from))
}

/// Writes the metrics, or takes those away that nobody wants any more.
pub(super) fn publish(machine: &Machine, record: &mut Record, wanted: Option<PathBuf>) {
    let before = std::mem::replace(&mut record.metrics, wanted);
    let gone = before.filter(|before| record.metrics.as_ref() != Some(before)).map(|before| metrics::remove(machine, &before));
    let written = record.metrics.as_ref().map(|directory| metrics::write(machine, directory, &text(&figures(record))));
    for done in [gone, written].into_iter().flatten() {
        say(machine, done);
    }
}

/// Before this program is removed: takes the metrics away.
pub(super) fn withdraw(machine: &Machine, record: &Record) {
    if let Some(directory) = &record.metrics {
        say(machine, metrics::remove(machine, directory));
    }
}

fn say(machine: &Machine, done: Result<(), Error>) {
    if let Err(error) = done {
        machine.log.warning(error.to_string());
    }
}

fn figures(record: &Record) -> Figures<'_> {
    let totals = record.totals;
    Figures {
        last: &record.last,
        updater: env!("CARGO_PKG_VERSION"),
        installed: record.agent.as_ref().map(Known::version),
        target: match &record.heard {
            Some(heard) if matches!(record.last.inputs.asked, Asked::Server(_)) => heard.wanted.as_ref(),
            _ => record.last.inputs.wanted.as_ref().or(record.memory.target.as_ref()),
        },
        succeeded: record.succeeded,
        converged: record.converged,
        changes: [
            ("upgraded", totals.upgraded),
            ("failed", totals.failed),
            ("went-back", totals.went_back),
            ("rolled-back", totals.rolled_back),
        ],
        agent_down: record.agent_down,
    }
}
