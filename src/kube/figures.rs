//! What Prometheus may ask, and whether the loop lives: written by the loop, read by the probes.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use crate::rules::moment::Moment;

/// Without a sign of life for so many seconds the loop is stuck, or reaches the API server no more: half an hour is a watch, and two
/// minutes what follows it.
const LONGEST_SILENCE: i64 = 45 * 60;

/// The figures of a running updater.
#[derive(Debug, Clone, Default)]
pub struct Figures(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    outcomes: BTreeMap<&'static str, u64>,
    last: Option<Moment>,
    alive: Option<Moment>,
    found: bool,
    current: String,
    wanted: String,
}

impl Figures {
    /// The loop lives.
    pub fn lives(&self, now: Moment) {
        self.change(|known| known.alive = Some(now));
    }

    /// The workload is there, and may be looked at.
    pub fn found(&self) {
        self.change(|known| known.found = true);
    }

    /// A look came to this.
    pub fn count(&self, outcome: &'static str) {
        self.change(|known| {
            let counter = known.outcomes.entry(outcome).or_default();
            *counter = counter.saturating_add(1);
        });
    }

    /// The workload was looked at, whatever that came to.
    pub fn looked(&self, now: Moment) {
        self.change(|known| (known.last, known.alive) = (Some(now), Some(now)));
    }

    /// The version that there is, and the one that is wanted; empty where there is none.
    pub fn versions(&self, current: String, wanted: String) {
        self.change(|known| (known.current, known.wanted) = (current, wanted));
    }

    /// Whether the loop lives.
    #[must_use]
    pub fn is_alive(&self, now: Moment) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.alive.is_none_or(|at| now.since(at) <= LONGEST_SILENCE)
    }

    /// Whether the workload was found: what an image or another server is like does not matter to whoever waits for this pod.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).found
    }

    /// In Prometheus' text format.
    #[must_use]
    pub fn text(&self) -> String {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        let mut family = |name: &str, kind: &str, help: &str, samples: &[(String, String)]| {
            let name = format!("teleport_kube_agent_updater_{name}");
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in samples {
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        };
        let version = env!("CARGO_PKG_VERSION");
        family("info", "gauge", "The version of the updater.", &[(format!("{{version=\"{version}\"}}"), "1".into())]);
        let versions = format!("{{current=\"{}\",wanted=\"{}\"}}", known.current, known.wanted);
        family(
            "agent_version",
            "gauge",
            "The version of the agent's image, and the one that is wanted.",
            &[(versions, "1".into())],
        );
        let outcomes: Vec<_> =
            known.outcomes.iter().map(|(outcome, count)| (format!("{{outcome=\"{outcome}\"}}"), count.to_string())).collect();
        family("reconciles_total", "counter", "How often the workload was looked at, by what that came to.", &outcomes);
        let last: Vec<_> = known.last.iter().map(|at| (String::new(), at.unix().to_string())).collect();
        family("last_reconcile_timestamp_seconds", "gauge", "When it was looked at last.", &last);
        text
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_told_as_prometheus_reads_them() {
        let figures = Figures::default();
        figures.count("up-to-date");
        figures.count("up-to-date");
        figures.looked(Moment::from_unix(200));
        figures.count("failed");
        figures.versions("16.1.7".into(), "16.2.0".into());
        let text = figures.text();
        for line in [
            "# TYPE teleport_kube_agent_updater_reconciles_total counter",
            "teleport_kube_agent_updater_reconciles_total{outcome=\"up-to-date\"} 2",
            "teleport_kube_agent_updater_reconciles_total{outcome=\"failed\"} 1",
            "teleport_kube_agent_updater_last_reconcile_timestamp_seconds 200",
            "teleport_kube_agent_updater_agent_version{current=\"16.1.7\",wanted=\"16.2.0\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_loop_is_stuck_after_three_quarters_of_an_hour_without_a_sign_of_life() {
        let figures = Figures::default();
        let at = Moment::from_unix;
        assert!(figures.is_alive(at(1_000_000)) && !figures.is_ready());
        figures.lives(at(0));
        assert!(figures.is_alive(at(2700)) && !figures.is_alive(at(2701)) && !figures.is_ready());
        figures.count("failed");
        assert!(!figures.is_alive(at(2701)) && !figures.is_ready());
        figures.looked(at(2701));
        assert!(figures.is_alive(at(2701)) && !figures.is_ready());
        assert!(!figures.is_alive(at(2701 + 2701)));
        figures.found();
        assert!(figures.is_ready());
    }
}
