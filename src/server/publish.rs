//! The same answers as files, for a web server or an object store that a million hosts ask: each is replaced in one step, and only when it
//! changes, so that whoever copies the directory on copies what is new.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::{Class, Error};
use crate::http::reply::Status;
use crate::server::answer::{Said, reply};
use crate::server::channels::{Answer, Upstream};
use crate::server::configuration::Configuration;
use crate::server::route::{Question, Route};
use crate::server::surroundings;

/// Where a proxy has its channels (reference, section 2); a web server leads the path without `v1` to the same.
pub const CHANNELS: &str = "v1/webapi/automaticupgrades/channel";

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
}

/// What other servers said: each is asked once a run, so that no version is published with the urgency of another one.
type Heard = BTreeMap<String, Result<Said, String>>;

/// Files by their place, and what is to be in them.
type Files = BTreeMap<PathBuf, String>;

impl Published {
    /// Why not everything is published that is configured.
    #[must_use]
    pub fn trouble(&self) -> Option<Error> {
        let what = format!("not every server that is forwarded to gives an answer:\n    {}", self.silent.join("\n    "));
        let next = "all other channels are published; try again for these";
        (!self.silent.is_empty()).then(|| Error::new(Class::Network, what, next))
    }
}

/// Writes the answers below the directory, and removes those that nobody gives any more. What needs no other server comes first: a halt
/// waits for nobody. A channel whose server is silent keeps its files.
///
/// # Errors
/// [`Class::Disk`]; answers that were published stay what they were.
pub fn publish(directory: &Path, configuration: &Configuration) -> Result<Published, Error> {
    let top = directory.join(CHANNELS);
    let mut published = Published::default();
    let mut current = BTreeSet::new();
    let (known, forwarded): (Vec<&str>, Vec<&str>) =
        configuration.channels.names().partition(|name| matches!(configuration.channels.answer(name), Answer::Known(..)));
    for name in known {
        write(files(&top, name, configuration, &Heard::new()), &mut current, &mut published)?;
    }
    let heard = ask_all(configuration, &forwarded);
    for name in forwarded {
        write(files(&top, name, configuration, &heard), &mut current, &mut published)?;
        if let Answer::Asked(upstream) = configuration.channels.answer(name)
            && let Some(Err(why)) = heard.get(&upstream.to_string())
        {
            let kept = [top.join(name).join("version"), top.join(name).join("critical")];
            let stands =
                if kept.iter().all(|path| path.exists()) { "its earlier answers stand" } else { "it has no earlier answers" };
            published.silent.push(format!("{name}, from {upstream}: {stands}: {}", why.replace('\n', "; ")));
            current.extend(kept);
        }
    }
    remove_others(&top, &current, &mut published)?;
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
    std::thread::scope(|scope| {
        let asking: Vec<_> =
            upstreams.into_iter().map(|(name, upstream)| (name, scope.spawn(|| surroundings::ask(upstream)))).collect();
        let said =
            asking.into_iter().map(|(name, asking)| (name, asking.join().unwrap_or_else(|_| Err("asking it failed".into()))));
        said.collect()
    })
}

/// The files of a channel; no version and no urgency where its server is silent.
fn files(top: &Path, name: &str, configuration: &Configuration, heard: &Heard) -> Files {
    let silent = || Err("it was not asked".into());
    let answer = |question| {
        let route = Ok(Route::Channel(name.to_owned(), question));
        reply(&route, configuration, surroundings::now(), |upstream| {
            heard.get(&upstream.to_string()).cloned().unwrap_or_else(silent)
        })
    };
    let answers = Question::ALL.map(|(word, question)| (top.join(name).join(word), answer(question)));
    answers.into_iter().filter(|(_, reply)| reply.status == Status::Ok).map(|(path, reply)| (path, reply.body)).collect()
}

fn write(files: Files, current: &mut BTreeSet<PathBuf>, published: &mut Published) -> Result<(), Error> {
    for (path, body) in files {
        if fs::read(&path).is_ok_and(|before| before == body.as_bytes()) {
            published.same += 1;
        } else {
            replace(&path, &body).map_err(|error| failed(&path, &error))?;
            published.written += 1;
        }
        current.insert(path);
    }
    Ok(())
}

/// Written beside its name, and renamed: nobody is served a half.
fn replace(path: &Path, body: &str) -> std::io::Result<()> {
    let Some(directory) = path.parent() else { return Err(ErrorKind::InvalidInput.into()) };
    fs::create_dir_all(directory)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&beside).and_then(|mut file| {
        file.write_all(body.as_bytes())?;
        file.sync_all()
    });
    let replaced = written.and_then(|()| fs::rename(&beside, path));
    if replaced.is_err() {
        let _ = fs::remove_file(&beside);
    }
    replaced.and_then(|()| File::open(directory)?.sync_all())
}

/// Nothing but answers is removed, and directories that are empty then.
fn remove_others(directory: &Path, current: &BTreeSet<PathBuf>, published: &mut Published) -> Result<(), Error> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(directory, &error)),
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_others(&path, current, published)?;
            let _ = fs::remove_dir(&path);
        } else if is_answer(&path) && !current.contains(&path) {
            fs::remove_file(&path).map_err(|error| failed(&path, &error))?;
            published.removed += 1;
        }
    }
    Ok(())
}

fn is_answer(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| Question::ALL.iter().any(|(word, _)| name == *word))
}

fn failed(path: &Path, error: &std::io::Error) -> Error {
    Error::new(Class::Disk, format!("{} cannot be written: {error}", path.display()), "df -h; ls -ld the directory; try again")
}
