//! The same answers as files, for a web server or an object store that a million hosts ask: each is replaced in one step, and only when it
//! changes, so that whoever copies the directory on copies what is new.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::{self, ScopedJoinHandle};

use crate::error::{Class, Error};
use crate::http::reply::Status;
use crate::offers::reply::Offered;
use crate::server::answer::{Said, reply};
use crate::server::channels::{Answer, Upstream};
use crate::server::configuration::Configuration;
use crate::server::route::{Question, Route};
use crate::server::serve::Files;
use crate::server::surroundings;
use crate::server::tree::{Tree, Written, in_order};

/// What publishing did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Published {
    /// Files that have new contents.
    pub written: usize,
    /// Files that were as they are now.
    pub same: usize,
    /// Files of channels that there are no more.
    pub removed: usize,
    /// Channels that nothing new is known of, and why: a line for each.
    pub silent: Vec<String>,
    /// What could not be written: a line for each channel.
    pub unwritten: Vec<String>,
}

/// What other servers said: each is asked once a run, so that no version is published with the urgency of another one.
type Heard = BTreeMap<String, Result<Said, String>>;

impl Published {
    /// Why not everything is published that is configured.
    #[must_use]
    pub fn trouble(&self) -> Option<Error> {
        let of = |what: &str, lines: &[String]| {
            if lines.is_empty() { Vec::new() } else { vec![format!("{what}:\n    {}", lines.join("\n    "))] }
        };
        let what = [
            of("not everything can be written", &self.unwritten),
            of("not every server that is forwarded to gives an answer", &self.silent),
        ]
        .concat();
        let class = if self.unwritten.is_empty() { Class::Network } else { Class::Disk };
        let next =
            if self.written + self.same > 0 { "all other channels are published; try again for these" } else { "try again" };
        (!what.is_empty()).then(|| Error::new(class, what.join("\n    "), next))
    }

    fn write(&mut self, tree: &Tree, channel: &str, answers: Vec<(&'static str, String)>, current: &mut BTreeSet<PathBuf>) {
        for (word, body) in in_order(answers) {
            let path = tree.place(channel, word);
            match tree.write(&path, &body) {
                Ok(Written::Anew) => self.written += 1,
                Ok(Written::AsBefore) => self.same += 1,
                Err(error) => {
                    self.unwritten.push(error.to_string());
                    // What the channel had stays, as a whole.
                    current.extend(Question::ALL.map(|(word, _)| tree.place(channel, word)));
                    return;
                }
            }
            current.insert(path);
        }
    }
}

/// Writes the answers below the directory, and removes those that nobody gives any more. Channels that name no version come first, then
/// what needs no other server: a halt waits for nobody, and not for room on a disk. A channel that cannot be written keeps the others from
/// nothing. A channel whose server is silent keeps its files. The configuration is read when all other runs have ended, so that
/// none of them writes what was configured before over what is now.
///
/// # Errors
/// [`Class::Config`], [`Class::Busy`], or [`Class::Disk`] for the directory itself; answers that were published stay what they were.
pub fn publish(directory: &Path, files: &Files) -> Result<Published, Error> {
    let tree = Tree::open(directory)?;
    let configuration = &surroundings::read(files)?;
    let mut published = Published::default();
    let mut current = BTreeSet::new();
    let (known, forwarded): (Vec<&str>, Vec<&str>) =
        configuration.channels.names().partition(|name| matches!(configuration.channels.answer(name), Answer::Known(..)));
    let (halted, known): (Vec<&str>, Vec<&str>) =
        known.into_iter().partition(|name| matches!(configuration.channels.answer(name), Answer::Known(Offered::NoTarget, _)));
    for name in halted.into_iter().chain(known) {
        published.write(&tree, name, answers(name, configuration, &Heard::new()), &mut current);
    }
    let heard = ask_all(configuration, &forwarded);
    for name in forwarded {
        published.write(&tree, name, answers(name, configuration, &heard), &mut current);
        if let Answer::Asked(upstream) = configuration.channels.answer(name)
            && let Some(Err(why)) = heard.get(&upstream.to_string())
        {
            let kept = ["version", "critical"].map(|word| tree.place(name, word));
            let stands =
                if kept.iter().all(|path| path.exists()) { "its earlier answers stand" } else { "it has no earlier answers" };
            published.silent.push(format!(
                "{name}, from {upstream}: {stands}: {}",
                why.lines().map(str::trim).collect::<Vec<_>>().join("; ")
            ));
            current.extend(kept);
        }
    }
    match tree.remove_others(&current) {
        Ok(removed) => published.removed = removed,
        Err(error) => published.unwritten.push(error.to_string()),
    }
    Ok(published)
}

/// Asks every server that one of these channels is forwarded to, all at once: a silent one holds up none of the others.
fn ask_all(configuration: &Configuration, names: &[&str]) -> Heard {
    let upstreams: BTreeMap<String, &Upstream> = names
        .iter()
        .filter_map(|name| match configuration.channels.answer(name) {
            Answer::Asked(upstream) => Some((upstream.to_string(), upstream)),
            Answer::Known(..) => None,
        })
        .collect();
    thread::scope(|scope| {
        let ask = |upstream| thread::Builder::new().spawn_scoped(scope, move || surroundings::ask(upstream));
        let asking: Vec<_> = upstreams.into_iter().map(|(name, upstream)| (name, ask(upstream))).collect();
        let said = |asking: io::Result<ScopedJoinHandle<'_, Result<Said, String>>>| {
            let asking = asking.map_err(|error| format!("there is no thread to ask it from: {error}"))?;
            asking.join().unwrap_or_else(|_| Err("asking it failed".into()))
        };
        asking.into_iter().map(|(name, asking)| (name, said(asking))).collect()
    })
}

/// The answers of a channel, by their questions; no version and no urgency where its server is silent.
fn answers(name: &str, configuration: &Configuration, heard: &Heard) -> Vec<(&'static str, String)> {
    let silent = || Err("it was not asked".into());
    let answer = |question| {
        let route = Ok(Route::Channel(name.to_owned(), question));
        reply(&route, configuration, surroundings::now(), |upstream| {
            heard.get(&upstream.to_string()).cloned().unwrap_or_else(silent)
        })
    };
    let answers = Question::ALL.map(|(word, question)| (word, answer(question)));
    answers.into_iter().filter(|(_, reply)| reply.status == Status::Ok).map(|(word, reply)| (word, reply.body)).collect()
}
