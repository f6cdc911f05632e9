//! Owner and modes of the configuration directory. A run refuses what somebody else than root could have written; here, when the
//! package is installed, it is mended and said, because hosts of the stock updater come with anything (V24). `schedule` is not touched:
//! it is the agent's.

use std::fs::{DirBuilder, File, Metadata, Permissions};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::error::{Class, Error};
use crate::host::durable;
use crate::host::machine::Machine;

const LONGEST_FILE: u64 = 64 * 1024;
/// The agent's own file.
const SCHEDULE: &str = "schedule";

/// Makes the directory if it is missing, and makes it and its files root's alone; what was changed, in sentences.
///
/// # Errors
/// [`Class::Config`] when something there cannot be looked at or mended.
pub fn mend(machine: &Machine, directory: &Path) -> Result<Vec<String>, Error> {
    let mut said = Vec::new();
    match DirBuilder::new().mode(0o755).create(directory) {
        // The mode that was asked for passes through the umask; this one does not.
        Ok(()) => std::fs::set_permissions(directory, Permissions::from_mode(0o755)).map_err(|e| unmended(directory, &e))?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(unmended(directory, &error)),
    }
    let opened = open(directory, OFlags::DIRECTORY)?;
    // First the directory: from then on nobody else can exchange what lies in it.
    let metadata = opened.metadata().map_err(|error| unmended(directory, &error))?;
    if metadata.uid() != machine.superuser {
        fchown(&opened, Some(machine.superuser), None).map_err(|error| unmended(directory, &error))?;
        said.push(format!("{} belonged to user {}: it belongs to root now.", directory.display(), metadata.uid()));
        said.extend(lay_out_schedule(directory, metadata.uid())?);
    }
    said.extend(without_other_writers(directory, &opened, &metadata)?);
    let was_open = metadata.uid() != machine.superuser || metadata.mode() & 0o022 != 0;
    let mut entries: Vec<_> = std::fs::read_dir(directory).map_err(|e| unmended(directory, &e))?.filter_map(Result::ok).collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries.iter().filter(|entry| entry.file_name() != SCHEDULE) {
        said.extend(mend_file(machine, &entry.path(), was_open).unwrap_or_else(|error| Some(error.to_string())));
    }
    Ok(said)
}

fn mend_file(machine: &Machine, path: &Path, was_open: bool) -> Result<Option<String>, Error> {
    let Ok(link) = path.symlink_metadata() else { return Ok(None) };
    if !link.is_file() {
        return Ok(Some(format!("{} is not a regular file: left alone.", path.display())));
    }
    let file = open(path, OFlags::NONBLOCK)?;
    let metadata = file.metadata().map_err(|error| unmended(path, &error))?;
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    if was_open && metadata.nlink() != 1 && mode & 0o004 == 0 {
        // Somebody's secret by a second name: a copy would show it to everybody, and so would the complaint that it is no value.
        std::fs::remove_file(path).map_err(|error| unmended(path, &error))?;
        return Ok(Some(format!(
            "{} was a second name of a file of user {owner} that not everybody may read: this name was removed.",
            path.display()
        )));
    }
    if owner == machine.superuser && mode & 0o022 == 0 {
        return Ok(None);
    }
    // Somebody may have it open for writing: a copy takes its place.
    let mut content = Vec::new();
    file.take(LONGEST_FILE + 1).read_to_end(&mut content).map_err(|error| unmended(path, &error))?;
    if content.len() as u64 > LONGEST_FILE {
        return Ok(Some(format!("{} is larger than 64 KiB: left alone (user {owner}, mode {mode:04o}).", path.display())));
    }
    durable::write(path, &content).map_err(|error| unmended(path, &error))?;
    let was = if owner == machine.superuser {
        format!("could be written by others than root (mode {mode:04o}): it is 0644 now")
    } else {
        format!("belonged to user {owner}: it belongs to root now")
    };
    Ok(Some(format!("{} {was}; look at what it says.", path.display())))
}

/// An agent that is not root could make its schedule in a directory of its own: now it finds it there.
fn lay_out_schedule(directory: &Path, owner: u32) -> Result<Option<String>, Error> {
    let path = directory.join(SCHEDULE);
    if path.symlink_metadata().is_ok() {
        return Ok(None);
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = rustix::fs::open(&path, flags, Mode::from_raw_mode(0o644)).map_err(std::io::Error::from);
    made.and_then(|file| fchown(&file, Some(owner), None)).map_err(|error| unmended(&path, &error))?;
    Ok(Some(format!("{} was laid out for user {owner}, who could have made it before.", path.display())))
}

fn without_other_writers(path: &Path, opened: &File, metadata: &Metadata) -> Result<Option<String>, Error> {
    let mode = metadata.mode() & 0o7777;
    if mode & 0o022 == 0 {
        return Ok(None);
    }
    opened.set_permissions(Permissions::from_mode(mode & !0o022)).map_err(|error| unmended(path, &error))?;
    Ok(Some(format!(
        "{} could be written by others than root (mode {mode:04o}): it is {:04o} now.",
        path.display(),
        mode & !0o022
    )))
}

fn open(path: &Path, how: OFlags) -> Result<File, Error> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | how;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| unmended(path, &errno.into()))?))
}

fn unmended(path: &Path, error: &std::io::Error) -> Error {
    Error::new(
        Class::Config,
        format!("owner and mode of {} cannot be mended: {error}", path.display()),
        format!("look at what is there (ls -la {0}), then: chown root:root {0} && chmod go-w {0}", path.display()),
    )
}
