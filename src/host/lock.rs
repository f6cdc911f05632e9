//! One lock for a whole run (H05, H06): held by an open descriptor that no child inherits (V25), in a directory that only root may
//! enter, so that no local user can hold it against us.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Class, Error};
use crate::host::durable;
use crate::host::machine::Machine;
use crate::host::process::command_line;
use crate::rules::moment::{Moment, span};

/// Where state lies: readable for everyone, so that `status` works as any user.
pub const STATE: &str = "/var/lib/teleport-upgrade";
/// Below it, for root alone: lock, logs, packages.
const PRIVATE: &str = "/var/lib/teleport-upgrade/private";

/// The lock, until it is dropped.
pub struct Lock {
    file: File,
    private: PathBuf,
}

impl Lock {
    /// Takes the lock, making the state directories if they are missing.
    ///
    /// # Errors
    /// [`Class::Busy`], saying who holds it and since when; [`Class::Config`] if the directory is not root's alone.
    pub fn take(machine: &Machine) -> Result<Self, Error> {
        let private = make_directories(machine)?;
        let path = private.join("lock");
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(&path);
        let mut file = opened.map_err(|error| unusable(&path, &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(machine, &mut file)),
            Err(TryLockError::Error(error)) => return Err(unusable(&path, &error)),
        }
        // For the loser's message only: the lock is the descriptor, not the text. In one piece, because somebody may be reading it.
        let text = format!("{} {}", std::process::id(), machine.now().unix());
        let _ = file.set_len(0).and_then(|()| file.write_all(text.as_bytes()));
        Ok(Self { file, private })
    }

    /// The directory that only root may enter.
    #[must_use]
    pub fn private(&self) -> &Path {
        &self.private
    }
}

/// Makes the state directories if they are missing; the private one.
///
/// # Errors
/// [`Class::Config`] if one is not root's alone, [`Class::Disk`].
pub fn make_directories(machine: &Machine) -> Result<PathBuf, Error> {
    own_directory(machine, &machine.path(STATE), 0o755)?;
    let private = machine.path(PRIVATE);
    own_directory(machine, &private, 0o700)?;
    Ok(private)
}

impl Drop for Lock {
    /// Said, not left to the closing of the descriptor: a process that is being started has a copy of it for a moment.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

fn held(machine: &Machine, file: &mut File) -> Error {
    let mut text = String::new();
    let _ = file.rewind().and_then(|()| file.take(64).read_to_string(&mut text));
    let mut words = text.split(' ');
    let pid = words.next().and_then(|word| word.parse::<u32>().ok());
    let since = words.next().and_then(|word| word.parse::<i64>().ok()).map(Moment::from_unix);
    let who = match (pid, since) {
        (Some(pid), Some(since)) => {
            format!("pid {pid} ({}), since {since}, {}", command_line(machine, pid), span(machine.now().since(since)))
        }
        _ => "another run that has just begun".into(),
    };
    Error::new(Class::Busy, format!("another run of this program is at work: {who}"), "wait for it to end, or look at it with ps")
}

/// Makes sure that the directory is there, is one, and can be written by root alone.
fn own_directory(machine: &Machine, path: &Path, mode: u32) -> Result<(), Error> {
    match DirBuilder::new().mode(mode).create(path) {
        // The mode that was asked for passes through the umask; this one does not.
        Ok(()) => {
            let permissions = std::fs::Permissions::from_mode(mode);
            let made = std::fs::set_permissions(path, permissions);
            // What is in it is no safer than its own name.
            let made = made.and_then(|()| path.parent().map_or(Ok(()), durable::sync_directory));
            made.map_err(|error| unusable(path, &error))?;
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(unusable(path, &error)),
    }
    let metadata = path.symlink_metadata().map_err(|error| unusable(path, &error))?;
    if metadata.is_dir() && metadata.uid() == machine.superuser && metadata.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(Error::new(
        Class::Config,
        format!("{} is not a directory of root's alone", path.display()),
        format!("look at what is there, then: chown root:root {0} && chmod {mode:o} {0}", path.display()),
    ))
}

fn unusable(path: &Path, error: &std::io::Error) -> Error {
    Error::new(
        Class::Disk,
        format!("{} cannot be used: {error}", path.display()),
        "df -h /var; mount | grep ' /var'; the next run tries again",
    )
}
