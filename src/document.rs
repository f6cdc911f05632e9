//! YAML as it is written, each value with its line; and the mistakes that are found in it, all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use saphyr::{MarkedYaml, ScalarStyle, ScanError, YamlData, YamlLoader};
use saphyr_parser::{Event, Parser, SpannedEventReceiver};

use crate::error::quoted;

/// Where something is wrong in a file, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    line: usize,
    /// The keys that lead there, joined by dots.
    key: String,
    what: String,
}

impl Mistake {
    /// Something is wrong with the file as a whole, and seen in this line.
    pub fn in_line(line: usize, what: String) -> Self {
        Self { line, key: String::new(), what }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, key, what } = self;
        write!(f, "line {line}: {key}{}{what}", if key.is_empty() { "" } else { " " })
    }
}

/// A value, and the keys that lead to it.
#[derive(Clone)]
pub struct Node<'y> {
    yaml: &'y MarkedYaml<'y>,
    key: String,
    /// Where the key stands, or the value where there is none.
    line: usize,
}

/// No configuration is nested deeper.
const DEEPEST: usize = 64;
/// Or has more in it, in bytes of text and so many for each value; what an anchor keeps and an alias repeats is counted each time.
const MOST: usize = 2 * 1024 * 1024;
const EACH: usize = 8;
/// No name that is known is longer; a mistake shows the beginning of one that is.
const LONGEST_NAME: usize = 200;

/// How much is in a document, and how much of it behind each anchor.
#[derive(Default)]
struct Weight {
    total: usize,
    /// What is open: its anchor, and the total where it began.
    open: Vec<(usize, usize)>,
    anchors: BTreeMap<usize, usize>,
}

impl Weight {
    /// The reader copies what has an anchor, and copies it again for each alias.
    fn count(&mut self, event: &Event<'_>) {
        let began = match event {
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                self.open.push((*anchor, self.total));
                self.total = self.total.saturating_add(EACH);
                return;
            }
            Event::SequenceEnd | Event::MappingEnd => self.open.pop(),
            Event::Scalar(text, _, anchor, _) => {
                let began = (*anchor, self.total);
                self.total = self.total.saturating_add(EACH + text.len());
                Some(began)
            }
            Event::Alias(anchor) => {
                self.total = self.total.saturating_add(self.anchors.get(anchor).copied().unwrap_or(EACH));
                None
            }
            _ => None,
        };
        if let Some((anchor, began)) = began.filter(|(anchor, _)| *anchor > 0) {
            let weight = self.total.saturating_sub(began);
            self.anchors.insert(anchor, weight);
            self.total = self.total.saturating_add(weight);
        }
    }
}

/// The documents of a file, in their order. Scalars are left as they are written.
///
/// # Errors
/// Where it stops being YAML: a repeated key counts, and what would fill memory or stack.
pub fn documents(text: &str) -> Result<Vec<MarkedYaml<'_>>, Mistake> {
    let mistake = |error: &ScanError| {
        let at = error.marker();
        let rest = text.lines().nth(at.line().saturating_sub(1)).unwrap_or_default().chars().skip(at.col());
        let what = match error.info() {
            // It stands there.
            "duplicated key in mapping" => {
                format!("{} is given twice", shown(&rest.take_while(|c| *c != ':').collect::<String>()))
            }
            other => format!("is no YAML: {other}"),
        };
        Mistake::in_line(at.line(), what)
    };
    let mut loader = YamlLoader::<MarkedYaml>::default();
    loader.early_parse(false);
    let mut weight = Weight::default();
    // One event after the other: `Parser::load` would call itself for each level.
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| mistake(&error))?;
        weight.count(&event);
        if weight.open.len() > DEEPEST {
            return Err(Mistake::in_line(span.start.line(), format!("is nested more than {DEEPEST} levels deep")));
        }
        if weight.total > MOST {
            let what = "is more than is read: anchors and aliases repeat too much, or there are too many values";
            return Err(Mistake::in_line(span.start.line(), what.to_owned()));
        }
        loader.on_event(event, span);
    }
    match loader.error() {
        Some(error) => Err(mistake(error)),
        None => Ok(loader.into_documents()),
    }
}

impl<'y> Node<'y> {
    /// The whole of a document.
    #[must_use]
    pub fn top(yaml: &'y MarkedYaml<'y>) -> Self {
        Self { yaml, key: String::new(), line: yaml.span.start.line() }
    }

    /// Something is wrong with this value; `what` completes its key.
    pub fn mistake(&self, what: impl Into<String>) -> Mistake {
        Mistake { line: self.line, key: self.key.clone(), what: what.into() }
    }

    /// Whether there is nothing behind the key.
    pub fn is_nothing(&self) -> bool {
        matches!(&self.yaml.data, YamlData::Representation(text, ScalarStyle::Plain, _) if matches!(&**text, "" | "~" | "null"))
            || matches!(self.yaml.data, YamlData::BadValue)
    }

    /// The values by their keys, in the order of the file; none where nothing stands.
    pub fn entries(&self, mistakes: &mut Vec<Mistake>) -> Vec<(&'y str, Self)> {
        let YamlData::Mapping(entries) = &self.yaml.data else {
            if !self.is_nothing() {
                mistakes.push(self.mistake("must be keys with values"));
            }
            return Vec::new();
        };
        let (mut found, mut names) = (Vec::new(), BTreeSet::new());
        for (key, yaml) in entries {
            let line = key.span.start.line();
            let YamlData::Representation(name, ..) = &key.data else {
                mistakes.push(Self { yaml: key, key: self.key.clone(), line }.mistake("has a key that is no word"));
                continue;
            };
            let plain = name.len() <= LONGEST_NAME && name.chars().all(|c| c.is_alphanumeric() || "._-/".contains(c));
            let shown = if plain { name.to_string() } else { quoted(name.as_bytes()) };
            let key = if self.key.is_empty() { shown } else { format!("{}.{shown}", self.key) };
            let node = Self { yaml, key, line };
            // The reader takes a key with quotes for another one than the same without.
            if !names.insert(&**name) {
                mistakes.push(node.mistake("is given twice"));
            }
            found.push((&**name, node));
        }
        found
    }

    /// The items of a list; none where nothing stands.
    pub fn items(&self, mistakes: &mut Vec<Mistake>) -> Vec<Self> {
        match &self.yaml.data {
            YamlData::Sequence(items) => {
                items.iter().map(|yaml| Self { yaml, key: self.key.clone(), line: yaml.span.start.line() }).collect()
            }
            _ if self.is_nothing() => Vec::new(),
            _ => {
                mistakes.push(self.mistake("must be a list"));
                Vec::new()
            }
        }
    }

    /// A single value, as it is written.
    pub fn text(&self, mistakes: &mut Vec<Mistake>) -> Option<&'y str> {
        match &self.yaml.data {
            YamlData::Representation(text, ..) if !self.is_nothing() => Some(text),
            _ => {
                mistakes.push(self.mistake("must be a single value"));
                None
            }
        }
    }

    /// A single value that `read` makes sense of; `expected` completes the key where it does not.
    pub fn read<T>(&self, read: impl Fn(&str) -> Option<T>, expected: &str, mistakes: &mut Vec<Mistake>) -> Option<T> {
        let text = self.text(mistakes)?;
        let value = read(text);
        if value.is_none() {
            mistakes.push(self.mistake(format!("is {}: {expected}", shown(text))));
        }
        value
    }

    /// Yes or no, in each word that YAML has had for it.
    pub fn truth(&self, mistakes: &mut Vec<Mistake>) -> bool {
        let truth = |text: &str| match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" => Some(true),
            "false" | "no" | "off" | "n" => Some(false),
            _ => None,
        };
        self.read(truth, "write true or false", mistakes).unwrap_or_default()
    }

    /// Notes a key that nobody knows, and the one that may be meant.
    pub fn unknown(&self, name: &str, known: &[&str], mistakes: &mut Vec<Mistake>) {
        let meant = known.iter().find(|known| is_near(name, known));
        let known = meant.map_or_else(|| format!("there are {}", known.join(", ")), |meant| format!("is {meant} meant?"));
        mistakes.push(self.mistake(format!("is no key that is known here: {known}")));
    }
}

/// A value in a message: letters of every language as they are, and nothing that moves a terminal.
pub fn shown(text: &str) -> String {
    const MOST: usize = 40;
    if text.chars().any(char::is_control) {
        return quoted(text.as_bytes());
    }
    let short: String = text.chars().take(MOST).collect();
    if short.len() < text.len() { format!("\"{short}\"...") } else { format!("\"{short}\"") }
}

/// Whether one is the other with a letter changed, added or left out, two exchanged, or the case or the joints of words changed.
pub fn is_near(name: &str, known: &str) -> bool {
    let plain = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect::<Vec<_>>();
    let (name, known) = (plain(name), plain(known));
    let same_start = name.iter().zip(&known).take_while(|(a, b)| a == b).count();
    let same_end = name.iter().rev().zip(known.iter().rev()).take_while(|(a, b)| a == b).count();
    // Two letters in the place of each other are two that differ.
    let differ = if name.len() == known.len() && name.len() > 4 { 2 } else { 1 };
    name.len().abs_diff(known.len()) <= 1 && same_start + same_end + differ >= name.len().max(known.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_yaml_is_said_with_its_line() {
        let said = |text: &str| documents(text).unwrap_err().to_string();
        assert_eq!(said("a: 1\nb: [1\n"), "line 3: is no YAML: while parsing a flow sequence, expected ',' or ']'");
        assert_eq!(said("a: 1\nb: 2\na: 3\n"), "line 3: \"a\" is given twice");
        assert_eq!(said(&"- ".repeat(20_000)), "line 1: is nested more than 64 levels deep");
        assert_eq!(said(&"[".repeat(20_000)), "line 1: is no YAML: recursion limit exceeded");
        let more = "is more than is read: anchors and aliases repeat too much, or there are too many values";
        let bomb: String = (1..30).map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(", "))).collect();
        assert_eq!(said(&format!("a0: &a0 [x]\n{bomb}")), format!("line 6: {more}"));
    }

    /// Two megabytes are read before any of these is refused; what they stand for is a hundred times as much and more.
    #[test]
    fn what_anchors_keep_and_aliases_repeat_is_counted_each_time() {
        let is_refused = |text: &str| documents(text).is_err_and(|mistake| mistake.to_string().contains("repeat too much"));
        let long = "x ".repeat(50_000);
        let repeated = |times: usize| format!("a: &a \"{long}\"\nb: [{}]\n", vec!["*a"; times].join(", "));
        assert!(!is_refused(&repeated(10)));
        assert!(is_refused(&repeated(1000)));
        let nested = |levels: usize| {
            let open: String = (0..levels).map(|n| format!("&a{n} [")).collect();
            format!("{open}\"{long}\"{}", "]".repeat(levels))
        };
        assert!(!is_refused(&nested(3)));
        assert!(is_refused(&nested(60)));
        assert!(!is_refused(&format!("[{}]", "a,".repeat(200_000))));
        assert!(is_refused(&format!("[{}]", "a,".repeat(300_000))));
        assert!(is_refused(&format!("a: &a [{}]\nb: *a\nc: *a\n", "a,".repeat(100_000))));
    }

    #[test]
    fn a_mistake_shows_no_more_than_the_beginning_of_a_long_key() {
        let text = format!("? {}\n: 1\n", "x".repeat(100_000));
        let documents = documents(&text).unwrap();
        let entries = Node::top(documents.first().unwrap()).entries(&mut Vec::new());
        assert!(entries.iter().all(|(_, node)| node.mistake("is wrong").to_string().len() < 200));
    }

    #[test]
    fn a_key_that_nobody_knows_is_compared_with_those_that_are_known() {
        assert!(is_near("static_versoin", "static_version") || is_near("static_verson", "static_version"));
        assert!(is_near("staticVersion", "static_version"));
        assert!(is_near("weekday", "weekdays"));
        assert!(!is_near("version", "static_version"));
    }
}
