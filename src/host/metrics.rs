//! The metrics file in the directory of node_exporter's textfile collector: in root's own directory, old or new, never half.
//!
//! On Debian the directory is root's, but the one that it lies in is the collector's user's, who can put something else in its place. So no
//! part of the path may be a link, what was opened last must be root's alone, and from there on nothing is looked up by path (V26).

use std::fs::{File, Permissions};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, renameat, unlinkat};
use rustix::io::Errno;

use crate::error::{Class, Error};
use crate::host::machine::Machine;

const NAME: &str = "teleport_upgrade.prom";
/// The collector reads every name that ends in `.prom`.
const BESIDE: &str = "teleport_upgrade.prom.new";

/// Replaces the file.
///
/// # Errors
/// [`Class::Config`] when the directory is not there or not root's alone, [`Class::Disk`] when it cannot be written.
pub fn write(machine: &Machine, directory: &Path, text: &str) -> Result<(), Error> {
    let opened = open(machine, directory)?;
    replace(&opened, text).map_err(|error| {
        let what = format!("the metrics in {} cannot be written: {error}", directory.display());
        Error::new(Class::Disk, what, format!("df -h {0}; ls -ld {0}", directory.display()))
    })
}

/// Takes the file away: a collector would show it for ever.
///
/// # Errors
/// As [`write`].
pub fn remove(machine: &Machine, directory: &Path) -> Result<(), Error> {
    let opened = open(machine, directory)?;
    match unlinkat(&opened, NAME, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => {
            let path = directory.join(NAME);
            Err(Error::new(
                Class::Disk,
                format!("{} cannot be removed: {error}", path.display()),
                format!("rm {}", path.display()),
            ))
        }
    }
}

fn replace(directory: &OwnedFd, text: &str) -> std::io::Result<()> {
    match unlinkat(directory, BESIDE, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(openat(directory, BESIDE, flags, Mode::from_raw_mode(0o600))?);
    file.write_all(text.as_bytes())?;
    file.set_permissions(Permissions::from_mode(0o644))?;
    // Not synced: after a power cut the next run writes it again.
    Ok(renameat(directory, BESIDE, directory, NAME)?)
}

fn open(machine: &Machine, directory: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let shown = directory.display();
    let unusable = |why: &str, next: String| Error::new(Class::Config, format!("the file `metrics` names {shown}: {why}"), next);
    let mut opened = rustix::fs::openat(CWD, &machine.root, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| unusable(&format!("/ cannot be opened: {error}"), "ls -ld /".into()))?;
    for part in directory.components() {
        let Component::Normal(part) = part else { continue };
        opened = openat(&opened, part, flags, Mode::empty()).map_err(|error| match error {
            Errno::NOENT => unusable(
                "there is no such directory",
                "name the directory of node_exporter's textfile collector, or remove the file `metrics`".into(),
            ),
            Errno::NOTDIR | Errno::LOOP => unusable(
                &format!("{} in it is no directory, or a link", part.to_string_lossy()),
                "name the directory that it leads to".into(),
            ),
            error => unusable(&error.to_string(), format!("ls -ld {shown}")),
        })?;
    }
    let opened = File::from(opened);
    let metadata = opened.metadata().map_err(|error| unusable(&error.to_string(), format!("ls -ld {shown}")))?;
    if metadata.uid() == machine.superuser && metadata.mode() & 0o022 == 0 {
        return Ok(opened.into());
    }
    Err(unusable("it is not root's alone, so root writes nothing there", format!("chown root:root {shown} && chmod 755 {shown}")))
}
