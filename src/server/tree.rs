//! The published tree on disk: one run at a time, each file replaced in one step, readable for every web server whatever the umask of the
//! caller. It follows no link below its top, and refuses to write where something stands that is no answer.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{Class, Error};
use crate::server::route::Question;
use crate::server::surroundings;

/// Where a proxy has its channels (docs/facts.md, T2); a web server leads the path without `v1` to the same.
pub const CHANNELS: &str = "v1/webapi/automaticupgrades/channel";
/// A run asks other servers for ten seconds at most; so long another one waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The tree, locked until it is dropped.
pub struct Tree {
    top: PathBuf,
    _lock: File,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It has new contents, or a new mode.
    Anew,
    /// It was as it is to be.
    AsBefore,
}

impl Tree {
    /// Makes the directory where it is missing, and waits for another run that is at work in it.
    ///
    /// # Errors
    /// [`Class::Busy`] when the other one does not end, [`Class::Disk`].
    pub fn open(directory: &Path) -> Result<Self, Error> {
        surroundings::make_public();
        DirBuilder::new().recursive(true).mode(0o755).create(directory).map_err(|error| failed(directory, &error))?;
        let lock = File::open(directory).map_err(|error| failed(directory, &error))?;
        let began = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Self { top: directory.join(CHANNELS), _lock: lock }),
                Err(TryLockError::WouldBlock) if began.elapsed() < PATIENCE => surroundings::pause(Duration::from_millis(50)),
                Err(TryLockError::WouldBlock) => {
                    let what = format!("another publish is at work in {}", directory.display());
                    return Err(Error::new(Class::Busy, what, "wait for it to end, or look at it with ps; try again"));
                }
                Err(TryLockError::Error(error)) => return Err(failed(directory, &error)),
            }
        }
    }

    /// Where the answer to a question of this channel is.
    #[must_use]
    pub fn place(&self, channel: &str, question: &str) -> PathBuf {
        self.top.join(channel).join(question)
    }

    /// Gives a file these contents, which all may read. A file that is so already is not touched.
    ///
    /// # Errors
    /// [`Class::Disk`]; then the file is as it was.
    pub fn write(&self, path: &Path, body: &str) -> Result<Written, Error> {
        let found = path.symlink_metadata().ok();
        if found.as_ref().is_some_and(fs::Metadata::is_dir) {
            return Err(in_the_way(path));
        }
        let is_public = found.is_some_and(|found| found.is_file() && found.permissions().mode() & 0o7777 == 0o644);
        if is_public && fs::read(path).is_ok_and(|before| before == body.as_bytes()) {
            return Ok(Written::AsBefore);
        }
        self.make_directories(path)?;
        replace(path, body).map_err(|error| failed(path, &error))?;
        Ok(Written::Anew)
    }

    /// Every directory that leads from the top to this file: a link would lead out of the tree, or to another channel.
    fn make_directories(&self, path: &Path) -> Result<(), Error> {
        let mut directories: Vec<&Path> = path.ancestors().skip(1).take_while(|above| above.starts_with(&self.top)).collect();
        DirBuilder::new().recursive(true).mode(0o755).create(&self.top).map_err(|error| failed(&self.top, &error))?;
        directories.reverse();
        for directory in directories {
            match DirBuilder::new().mode(0o755).create(directory) {
                Ok(()) => {}
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(directory, &error)),
                Err(_) if directory == self.top || directory.symlink_metadata().is_ok_and(|found| found.is_dir()) => {}
                Err(_) => return Err(in_the_way(directory)),
            }
        }
        Ok(())
    }

    /// Removes the answers that are not among these, what runs that died have left, and directories that are empty then; how many answers.
    ///
    /// # Errors
    /// [`Class::Disk`].
    pub fn remove_others(&self, current: &BTreeSet<PathBuf>) -> Result<usize, Error> {
        remove_others(&self.top, current)
    }
}

/// Which of a channel's files is written first: a run that dies between the two must not make a version critical that is not.
#[must_use]
pub fn in_order(mut answers: Vec<(&'static str, String)>) -> Vec<(&'static str, String)> {
    let is_critical = answers.iter().any(|(word, body)| *word == "critical" && body == "yes");
    answers.sort_by_key(|(word, _)| if is_critical { Reverse(*word == "version") } else { Reverse(*word == "critical") });
    answers
}

/// Written beside its name, and renamed: nobody is served a half. No channel has a name that begins with a dot.
fn replace(path: &Path, body: &str) -> std::io::Result<()> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return Err(ErrorKind::InvalidInput.into()) };
    let beside = directory.join(format!(".{}.new", name.display()));
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(std::io::Error::new(error.kind(), format!("{}: {error}", beside.display())));
        }
        _ => {}
    }
    let written = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&beside).and_then(|mut file| {
        file.write_all(body.as_bytes())?;
        // Also where the directory has a default ACL.
        file.set_permissions(Permissions::from_mode(0o644))?;
        file.sync_all()
    });
    let replaced = written.and_then(|()| fs::rename(&beside, path));
    if replaced.is_err() {
        let _ = fs::remove_file(&beside);
    }
    replaced.and_then(|()| File::open(directory)?.sync_all())
}

fn remove_others(directory: &Path, current: &BTreeSet<PathBuf>) -> Result<usize, Error> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(failed(directory, &error)),
    };
    let (mut removed, mut answers) = (0, Vec::new());
    for entry in entries {
        let entry = entry.map_err(|error| failed(directory, &error))?;
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            removed += remove_others(&path, current)?;
            let _ = fs::remove_dir(&path);
        } else if is_leftover(&path) {
            fs::remove_file(&path).map_err(|error| failed(&path, &error))?;
        } else if is_answer(&path) && !current.contains(&path) {
            answers.push(path);
        }
    }
    // As when they are written: what is left alone for a moment is completed by the default channel's.
    let is_critical = fs::read(directory.join("critical")).is_ok_and(|body| body == b"yes");
    answers.sort_by_key(|path| Reverse(path.ends_with(if is_critical { "critical" } else { "version" })));
    for path in &answers {
        fs::remove_file(path).map_err(|error| failed(path, &error))?;
    }
    Ok(removed + answers.len())
}

fn named(path: &Path, name: impl Fn(&str) -> String) -> bool {
    let found = path.file_name().and_then(|name| name.to_str());
    found.is_some_and(|found| Question::ALL.iter().any(|(word, _)| found == name(word)))
}

fn is_answer(path: &Path) -> bool {
    named(path, str::to_owned)
}

fn is_leftover(path: &Path) -> bool {
    named(path, |word| format!(".{word}.new"))
}

fn in_the_way(path: &Path) -> Error {
    Error::new(
        Class::Disk,
        format!("{} is in the way of an answer", path.display()),
        format!("look at it with ls -ld {}, move it away, and publish again", path.display()),
    )
}

fn failed(path: &Path, error: &std::io::Error) -> Error {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Error::new(
        Class::Disk,
        format!("{} cannot be written: {error}", path.display()),
        format!("df -h {0}; df -i {0}; ls -ld {0}", directory.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn critical_is_written_last_where_it_is_yes_and_first_where_it_is_no() {
        let order = |critical: &str| {
            let answers = vec![("version", "v16.2.0".into()), ("critical", critical.into()), ("schedule", "1 2".into())];
            in_order(answers).into_iter().map(|(word, _)| word).filter(|word| *word != "schedule").collect::<Vec<_>>()
        };
        assert_eq!(order("yes"), ["version", "critical"]);
        assert_eq!(order("no"), ["critical", "version"]);
    }
}
