//! The directory as a thing of root: what is read here decides what root installs, so nobody else may be able to write it.

use std::fmt::Display;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Class, Error, quoted};

/// No value is longer than this; the rest would be somebody's mistake.
const LONGEST_FILE: u64 = 64 * 1024;

/// How files that may be anything are opened: not through links, not waiting for a pipe's other end.
pub(super) const CAREFULLY: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC).union(OFlags::NOCTTY);

/// A value and where it stands.
#[derive(Debug)]
pub(super) struct Written<T> {
    pub(super) value: T,
    /// `FILE line N`, for messages.
    pub(super) place: String,
}

/// The opened directory; absent ones answer every question with "nothing".
pub(super) struct Directory {
    path: PathBuf,
    opened: Option<OwnedFd>,
    root: u32,
    known: Vec<&'static str>,
    pub(super) unread: Vec<String>,
}

impl Directory {
    /// Opens and checks it.
    pub(super) fn open(path: &Path, root: u32) -> Result<Self, Error> {
        let opened = match rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT) => {
                return Ok(Self { path: path.to_owned(), opened: None, root, known: Vec::new(), unread: Vec::new() });
            }
            Err(errno) => return Err(unusable(path, &errno)),
        };
        let metadata = opened.metadata().map_err(|error| unusable(path, &error))?;
        trusted(path, &metadata, root, "0755")?;
        Ok(Self { path: path.to_owned(), opened: Some(opened.into()), root, known: Vec::new(), unread: Vec::new() })
    }

    /// The one value in the file, read by `read`; nothing if there is no file or no value in it.
    pub(super) fn value<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<Written<T>>, Error> {
        self.known.push(name);
        let path = self.path.join(name);
        let Some(bytes) = self.bytes(name, &path)? else { return Ok(None) };
        let Some((line, text)) = only_value(&bytes, &path)? else { return Ok(None) };
        let place = format!("{} line {line}", path.display());
        match read(text) {
            Ok(value) => Ok(Some(Written { value, place })),
            Err(wrong) => Err(Error::new(
                Class::Config,
                format!("{place}: {} {wrong}", quoted(text.as_bytes())),
                format!("correct the value or remove {}", path.display()),
            )),
        }
    }

    /// The value of a type that reads itself.
    pub(super) fn parsed<T: FromStr>(&mut self, name: &'static str, accepted: &str) -> Result<Option<T>, Error>
    where
        T::Err: Display,
    {
        let written =
            self.value(name, |text| text.parse().map_err(|wrong| format!("does not fit: {wrong}; accepted: {accepted}")))?;
        Ok(written.map(|written| written.value))
    }

    /// The value out of a few words, or `default`.
    pub(super) fn choice<T: Copy>(&mut self, name: &'static str, default: T, words: &[(&str, T)]) -> Result<T, Error> {
        let written = self.value(name, |text| {
            words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning).ok_or_else(|| {
                let accepted: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                format!("is not one of the accepted values: {}", accepted.join(", "))
            })
        })?;
        Ok(written.map_or(default, |written| written.value))
    }

    /// Names in the directory that nobody has asked for and that are not in `others`, quoted.
    pub(super) fn names_other_than(&self, others: &[&str]) -> Result<Vec<String>, Error> {
        let Some(opened) = &self.opened else { return Ok(Vec::new()) };
        let entries = rustix::fs::Dir::read_from(opened).map_err(|errno| unusable(&self.path, &errno))?;
        let mut names: Vec<String> = entries
            .filter_map(Result::ok)
            .map(|entry| entry.file_name().to_bytes().to_vec())
            .filter(|name| name != b"." && name != b"..")
            .filter(|name| !self.known.iter().chain(others).any(|known| name == known.as_bytes()))
            .map(|name| quoted(&name))
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    fn bytes(&mut self, name: &str, path: &Path) -> Result<Option<Vec<u8>>, Error> {
        let Some(directory) = &self.opened else { return Ok(None) };
        let file = match rustix::fs::openat(directory.as_fd(), name, CAREFULLY, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::ACCESS) => {
                self.unread.push(path.display().to_string());
                return Ok(None);
            }
            Err(Errno::LOOP) => {
                let next = format!("replace {} by the file that it points to", path.display());
                return Err(Error::new(Class::Config, format!("{} is a symbolic link", path.display()), next));
            }
            Err(errno) => return Err(unusable(path, &errno)),
        };
        let metadata = file.metadata().map_err(|error| unusable(path, &error))?;
        if !metadata.is_file() {
            let next = format!("remove {}", path.display());
            return Err(Error::new(Class::Config, format!("{} is not a regular file", path.display()), next));
        }
        trusted(path, &metadata, self.root, "0644")?;
        let mut bytes = Vec::new();
        file.take(LONGEST_FILE + 1).read_to_end(&mut bytes).map_err(|error| unusable(path, &error))?;
        if bytes.len() as u64 > LONGEST_FILE {
            let next = format!("write one value into {}", path.display());
            return Err(Error::new(Class::Config, format!("{} is larger than 64 KiB", path.display()), next));
        }
        Ok(Some(bytes))
    }
}

/// The value and its line; an error if there are two, or if it is not text.
pub(super) fn only_value<'a>(bytes: &'a [u8], path: &Path) -> Result<Option<(usize, &'a str)>, Error> {
    let mut found: Option<(usize, &str)> = None;
    for (index, line) in bytes.split(|&b| b == b'\n').enumerate() {
        let line_number = index + 1;
        let wrong = |what: String| {
            Error::new(Class::Config, format!("{} line {line_number}: {what}", path.display()), "write exactly one value a file")
        };
        let text = std::str::from_utf8(line).map_err(|_| wrong(format!("{} is not text", quoted(line))))?.trim();
        let value = text.split_once(" #").map_or(text, |(value, _)| value.trim_end());
        if value.is_empty() || value.starts_with('#') {
            continue;
        }
        if let Some((first, _)) = found {
            return Err(wrong(format!("{} is a second value after line {first}", quoted(value.as_bytes()))));
        }
        found = Some((line_number, value));
    }
    Ok(found)
}

/// Refuses what somebody else than root may write.
fn trusted(path: &Path, metadata: &std::fs::Metadata, root: u32, mode: &str) -> Result<(), Error> {
    let owner = metadata.uid();
    let written_by_others = metadata.mode() & 0o022 != 0;
    if owner == root && !written_by_others {
        return Ok(());
    }
    let what = if owner == root {
        format!("{} can be written by others than root (mode {:04o})", path.display(), metadata.mode() & 0o7777)
    } else {
        format!("{} belongs to user {owner}, not to root", path.display())
    };
    let path = path.display();
    Err(Error::new(
        Class::Config,
        format!("{what}, and what it says decides what root installs"),
        format!("look at what it says, then: chown root:root {path} && chmod {mode} {path}"),
    ))
}

fn unusable(path: &Path, why: &dyn Display) -> Error {
    Error::new(Class::Config, format!("{} cannot be read: {why}", path.display()), format!("ls -ld {}", path.display()))
}
