//! Reading the one file in the configuration directory that belongs to somebody else: the agent's user writes it, and may be hostile.
//! Never followed, never waited for, never more than 64 KiB, never quoted.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::Mode;
use rustix::io::Errno;

use crate::config::directory::CAREFULLY;
use crate::rules::moment::Moment;
use crate::rules::window::Schedule;

const LONGEST: u64 = 64 * 1024;

/// Reads `schedule` in `directory`. What is wrong with it is part of the answer, not an error.
#[must_use]
pub fn read(directory: &Path) -> Schedule {
    let file = match rustix::fs::open(directory.join("schedule"), CAREFULLY, Mode::empty()) {
        Ok(fd) => File::from(fd),
        Err(Errno::NOENT) => return Schedule::Missing,
        Err(Errno::LOOP) => return unreadable("is a symbolic link"),
        Err(Errno::ACCESS) => return unreadable("may not be read by this user"),
        Err(errno) => return unreadable(format!("cannot be opened: {errno}")),
    };
    // Asked of the descriptor: the name may lead elsewhere by now.
    let metadata = match file.metadata() {
        Ok(metadata) if !metadata.is_file() => return unreadable("is not a regular file"),
        Ok(metadata) if metadata.nlink() != 1 => return unreadable("has more than one name (hard links)"),
        Ok(metadata) => metadata,
        Err(error) => return unreadable(format!("cannot be looked at: {error}")),
    };
    let mut text = Vec::new();
    if let Err(error) = file.take(LONGEST + 1).read_to_end(&mut text) {
        return unreadable(format!("cannot be read: {error}"));
    }
    if text.len() as u64 > LONGEST {
        return unreadable("is larger than 64 KiB");
    }
    Schedule::parse(&text, Moment::from_unix(metadata.mtime()))
}

fn unreadable(why: impl Into<String>) -> Schedule {
    Schedule::Unreadable(why.into())
}
