//! The account of the last run as metrics, in the text format of Prometheus (exposition format 0.0.4): gauges and one counter, without
//! timestamps, which the textfile collector refuses.

use std::fmt::{Display, Write};

use crate::rules::account::Account;
use crate::rules::moment::Moment;
use crate::rules::reason::Reason;
use crate::rules::release::Release;
use crate::rules::window::Window;

/// What is counted and measured.
#[derive(Debug)]
pub struct Figures<'a> {
    /// The last run.
    pub last: &'a Account,
    /// The version of this program.
    pub updater: &'a str,
    /// The agent's version now.
    pub installed: Option<&'a Release>,
    /// The version that is wanted, as far as it was ever heard.
    pub target: Option<&'a Release>,
    /// When a run last ended well.
    pub succeeded: Option<Moment>,
    /// When a run last saw the agent on the wanted version.
    pub converged: Option<Moment>,
    /// Changes of the version by what they came to.
    pub changes: [(&'static str, u64); 4],
    /// For how many milliseconds the agent was down while the last upgrade was made.
    pub agent_down: u64,
}

/// The text.
#[must_use]
pub fn text(figures: &Figures) -> String {
    let Figures { last, updater, installed, target, succeeded, converged, changes, agent_down } = figures;
    let mut page = Page(String::new());
    let reason = Reason::of_code(&last.code).unwrap_or(Reason::Internal);
    let is_converged = reason.is_converged() && *converged == Some(last.at);
    page.head("info", "gauge", "Versions on this host, as labels.");
    let version = |release: &Option<&Release>| release.map(ToString::to_string).unwrap_or_default();
    page.sample("info", &[("updater", updater), ("installed", &version(installed)), ("target", &version(target))], 1);
    page.gauge("converged", "Whether the agent was on the wanted version at the last check.", u8::from(is_converged));
    let moments = [
        ("last_check", "When the last run ended, however it ended.", Some(last.at)),
        ("last_success", "When a run last ended well.", *succeeded),
        ("last_convergence", "When a run last saw the agent on the wanted version.", *converged),
        ("next_window_start", "When the open or next maintenance window begins.", window(last).map(Window::start)),
        ("next_window_end", "When the open or next maintenance window ends.", window(last).map(Window::stop)),
    ];
    for (name, help, moment) in moments {
        if let Some(moment) = moment {
            page.gauge(&format!("{name}_timestamp_seconds"), help, moment.unix());
        }
    }
    page.head("changes_total", "counter", "Changes of the agent's version by what they came to.");
    for (result, count) in changes {
        page.sample("changes_total", &[("result", result)], count);
    }
    page.gauge("last_run_duration_seconds", "How long the last run took.", seconds(last.took));
    page.gauge("last_run_exit_code", "How the last run ended: see teleport-upgrade(8).", last.exit);
    page.gauge("agent_down_seconds", "How long the agent was down while its version was last changed.", seconds(*agent_down));
    if !is_converged {
        page.head("blocked", "gauge", "Why the agent is not on the wanted version: a reason code of teleport-upgrade(8).");
        page.sample("blocked", &[("reason", reason.code())], 1);
    }
    page.0
}

/// The open window or the next one.
fn window(last: &Account) -> Option<Window> {
    last.inputs.schedule.ahead.iter().copied().find(|window| last.at < window.stop())
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)
}

struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP teleport_upgrade_{name} {help}\n# TYPE teleport_upgrade_{name} {kind}");
    }

    /// Label values are versions and words of ours: nothing in them needs to be escaped.
    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "teleport_upgrade_{name}{labels} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, "gauge", help);
        self.sample(name, &[], value);
    }
}
