//! Lines of JSON on stderr, as the stock updater writes them: level, time, sentence, and what it is about.

use std::io::Write;

use serde_json::{Map, Value};

use crate::error::Error;
use crate::kube::outside::now;

/// The least that is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Volume {
    /// Everything.
    Debug,
    /// What happens and why.
    Info,
    /// What somebody should look at.
    Warning,
    /// What keeps it from working.
    Error,
}

/// Who speaks, and how much. From any thread.
#[derive(Debug, Clone)]
pub struct Voice {
    volume: Volume,
    about: Map<String, Value>,
}

impl Voice {
    /// A voice that says so much, about this workload.
    #[must_use]
    pub fn new(volume: Volume, namespace: &str, name: &str) -> Self {
        let about = [("namespace", namespace), ("name", name)].map(|(key, value)| (key.to_owned(), Value::from(value)));
        Self { volume, about: about.into_iter().collect() }
    }

    /// What only helps to understand.
    pub fn debug(&self, sentence: &str, more: &[(&str, String)]) {
        self.say(Volume::Debug, "debug", sentence, more);
    }

    /// What happens and why.
    pub fn info(&self, sentence: &str, more: &[(&str, String)]) {
        self.say(Volume::Info, "info", sentence, more);
    }

    /// What somebody should look at.
    pub fn warning(&self, sentence: &str, more: &[(&str, String)]) {
        self.say(Volume::Warning, "warn", sentence, more);
    }

    /// What is given up in safety: said however little is to be said.
    pub fn insecure(&self, sentence: &str) {
        self.say(Volume::Error, "warn", sentence, &[]);
    }

    /// What keeps it from working, and what to do about it.
    pub fn error(&self, sentence: &str, error: &Error) {
        self.say(Volume::Error, "error", sentence, &[("err", error.what.clone()), ("next", error.next.clone())]);
    }

    fn say(&self, level: Volume, called: &str, sentence: &str, more: &[(&str, String)]) {
        if level < self.volume {
            return;
        }
        let mut line = line(called, &now().rfc3339(), sentence, &self.about, more);
        line.push('\n');
        // A log that cannot be written keeps nobody from working.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

fn line(level: &str, at: &str, sentence: &str, about: &Map<String, Value>, more: &[(&str, String)]) -> String {
    // In the order in which a person reads.
    let first = [("level", level), ("ts", at), ("msg", sentence)].map(|(key, value)| (key, Value::from(value)));
    let about = about.iter().map(|(key, value)| (key.as_str(), value.clone()));
    let more = more.iter().map(|(key, value)| (*key, Value::from(value.as_str())));
    let members: Vec<String> =
        first.into_iter().chain(about).chain(more).map(|(key, value)| format!("{}:{value}", Value::from(key))).collect();
    format!("{{{}}}", members.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_json_and_begins_with_what_matters() {
        let voice = Voice::new(Volume::Info, "teleport", "agent");
        let said = line("info", "2026-11-26T12:00:00Z", "a \"b\"", &voice.about, &[("err", "c\nd".into())]);
        assert_eq!(
            said,
            r#"{"level":"info","ts":"2026-11-26T12:00:00Z","msg":"a \"b\"","name":"agent","namespace":"teleport","err":"c\nd"}"#
        );
        assert!(serde_json::from_str::<Value>(&said).is_ok());
    }
}
