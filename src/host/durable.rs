//! Small files that are old or new, never half, whatever happens: written beside their name, synced, renamed, and the directory synced.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

/// Replaces the file at `path`, in a directory of root's alone; readable for everyone.
///
/// # Errors
/// Of the file system; what was there before is still there.
pub(super) fn write(path: &Path, text: &[u8]) -> std::io::Result<()> {
    replace(path, text, |file| file.set_permissions(Permissions::from_mode(0o644)))
}

/// Reads the first `longest` bytes of the file at `path`. Links are followed; what is no file is not waited for.
///
/// # Errors
/// Of the file system; something else than a file is there.
pub(super) fn read(path: &Path, longest: u64) -> std::io::Result<Vec<u8>> {
    let at_once = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(at_once.bits().cast_signed()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(longest).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Replaces somebody else's file, which keeps its owner and mode: it may hold secrets.
///
/// # Errors
/// Of the file system; what was there before is still there.
pub(super) fn rewrite(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let before = path.metadata()?;
    replace(path, text, |file| {
        fchown(file, Some(before.uid()), Some(before.gid()))?;
        file.set_permissions(before.permissions())
    })
}

fn replace(path: &Path, text: &[u8], dress: impl Fn(&File) -> std::io::Result<()>) -> std::io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = write_new(beside.as_ref(), text, dress).and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        // A disk that is full has no room for halves.
        let _ = std::fs::remove_file(&beside);
    }
    written.and_then(|()| path.parent().map_or(Ok(()), sync_directory))
}

fn write_new(path: &Path, text: &[u8], dress: impl Fn(&File) -> std::io::Result<()>) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    // The mode that was asked for passes through the umask; this one does not.
    dress(&file)?;
    file.write_all(text)?;
    file.sync_all()
}

/// Puts on disk which names are in the directory.
///
/// # Errors
/// Of the file system.
pub(super) fn sync_directory(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h35_a_pipe_or_a_device_in_the_place_of_a_file_is_not_waited_for() {
        let pipe = std::env::temp_dir().join(format!("teleport-upgrade-read-{}", std::process::id()));
        let _ = std::fs::remove_file(&pipe);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o644.into(), 0).unwrap();
        let said = read(&pipe, 10).unwrap_err().to_string();
        std::fs::remove_file(&pipe).unwrap();
        assert_eq!(said, "it is no regular file");
        assert!(read(Path::new("/dev/zero"), 10).is_err());
        assert_eq!(read(Path::new("/proc/self/comm"), 3).unwrap().len(), 3);
    }
}
