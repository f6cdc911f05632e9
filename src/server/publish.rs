//! The same answers as files, for a web server or an object store that a million hosts ask: each is replaced in one step, and only when it
//! changes, so that whoever copies the directory on copies what is new.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::{Class, Error};
use crate::http::reply::Status;
use crate::server::answer::reply;
use crate::server::configuration::Configuration;
use crate::server::route::{Question, Route};
use crate::server::surroundings;

/// Where a proxy has its channels (reference, section 2); a web server leads the path without `v1` to the same.
pub const CHANNELS: &str = "v1/webapi/automaticupgrades/channel";

/// What publishing did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Files that have new contents.
    pub written: usize,
    /// Files that were as they are now.
    pub same: usize,
    /// Files of channels that there are no more.
    pub removed: usize,
}

/// Writes the answers below the directory, and removes those that nobody gives any more.
///
/// # Errors
/// [`Class::Network`] when a server that is forwarded to gives no answer, [`Class::Disk`]; answers that were published stay what they were.
pub fn publish(directory: &Path, configuration: &Configuration) -> Result<Published, Error> {
    let top = directory.join(CHANNELS);
    let mut files = Vec::new();
    for name in configuration.channels.names() {
        for (word, question) in Question::ALL {
            let route = Ok(Route::Channel(name.to_owned(), question));
            let failed = std::cell::RefCell::new(None);
            let answer = reply(&route, configuration, surroundings::now(), |upstream| {
                surroundings::ask(upstream).inspect_err(|why| *failed.borrow_mut() = Some(format!("{upstream}: {why}")))
            });
            if let Some(why) = failed.into_inner() {
                let next = "nothing was published; the answers of before are still there. Try again";
                return Err(Error::new(
                    Class::Network,
                    format!("the channel {name} is forwarded to a server that gives no answer: {why}"),
                    next,
                ));
            }
            if answer.status == Status::Ok {
                files.push((top.join(name).join(word), answer.body));
            }
        }
    }
    let mut published = Published::default();
    for (path, body) in &files {
        if fs::read(path).is_ok_and(|before| before == body.as_bytes()) {
            published.same += 1;
        } else {
            replace(path, body).map_err(|error| failed(path, &error))?;
            published.written += 1;
        }
    }
    remove_others(&top, &files, &mut published)?;
    Ok(published)
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
fn remove_others(directory: &Path, files: &[(PathBuf, String)], published: &mut Published) -> Result<(), Error> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(directory, &error)),
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_others(&path, files, published)?;
            let _ = fs::remove_dir(&path);
        } else if is_answer(&path) && !files.iter().any(|(file, _)| *file == path) {
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
