//! Packages that are kept for the way back: the file of the version in use, and of the one before or the one to come; never more than
//! two. They lie in a directory that root alone may enter, and each is what it was when the package manager had verified it (V19): its
//! SHA-256 is in the record, and is compared again before the file is used.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Class, Error};
use crate::host::machine::Machine;
use crate::rules::policy::Package;
use crate::rules::release::Release;

/// Below the directory that [`crate::host::lock::Lock::take`] has made, for root alone.
const DIRECTORY: &str = "/var/lib/teleport-upgrade/private/packages";

/// One kept file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The package.
    pub package: Package,
    /// Its version.
    pub release: Release,
    /// The same as the package manager spells it.
    pub version: String,
    file: String,
    sha256: String,
    /// How large it is, in bytes.
    pub bytes: u64,
    /// Inode, size and times: while these are the same nobody has touched it, and it need not be read to know that.
    #[serde(default)]
    identity: String,
}

/// Moves a file that the package manager has fetched and verified to where it is kept.
///
/// # Errors
/// [`Class::Disk`], when it cannot be moved or read; it is not kept then.
pub fn keep(machine: &Machine, package: &Package, release: &Release, version: &str, fetched: &Path) -> Result<Kept, Error> {
    let directory = machine.path(DIRECTORY);
    match DirBuilder::new().mode(0o700).create(&directory) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(unusable(&directory, &error)),
        _ => {}
    }
    let name = fetched.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let path = directory.join(&name);
    let taken = take(fetched, &path).and_then(|()| digest(&path));
    let (sha256, bytes) = taken.and_then(|known| File::open(&directory)?.sync_all().map(|()| known)).map_err(|error| {
        let _ = std::fs::remove_file(&path);
        unusable(&path, &error)
    })?;
    let identity = identity(&path);
    Ok(Kept {
        package: package.clone(),
        release: release.clone(),
        version: version.to_owned(),
        file: name,
        sha256,
        bytes,
        identity,
    })
}

/// By its name where it can; across file systems it is copied.
fn take(from: &Path, to: &Path) -> std::io::Result<()> {
    if std::fs::rename(from, to).is_err() {
        let beside = to.with_extension("part");
        std::fs::copy(from, &beside).and_then(|_| std::fs::rename(&beside, to)).inspect_err(|_| {
            let _ = std::fs::remove_file(&beside);
        })?;
        let _ = std::fs::remove_file(from);
    }
    let file = open(to)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.sync_all()
}

fn open(path: &Path) -> std::io::Result<File> {
    let careful = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(careful.bits().cast_signed()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(std::io::Error::other("is no regular file")) }
}

fn identity(path: &Path) -> String {
    let known = path.symlink_metadata().ok();
    known.map_or_else(String::new, |m| {
        format!("{} {} {}.{} {}.{}", m.ino(), m.size(), m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec())
    })
}

/// Its SHA-256, in hexadecimal, and its size.
fn digest(path: &Path) -> std::io::Result<(String, u64)> {
    let mut file = open(path)?;
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    let mut buffer = vec![0; 128 * 1024];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        context.update(buffer.get(..read).unwrap_or_default());
        bytes += read as u64;
    }
    let sum: String = context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((sum, bytes))
}

impl Kept {
    /// Whether it is still there, as far as that shows without reading it. Before it is used it is read: see [`Kept::checked`].
    ///
    /// # Errors
    /// As [`Kept::checked`].
    pub fn is_there(&self, machine: &Machine) -> Result<(), Error> {
        let untouched = !self.identity.is_empty() && identity(&self.path(machine)) == self.identity;
        if untouched { Ok(()) } else { self.checked(machine).map(drop) }
    }

    /// Where the file lies.
    #[must_use]
    pub fn path(&self, machine: &Machine) -> PathBuf {
        machine.path(DIRECTORY).join(&self.file)
    }

    /// Where the file lies, if it is still the one that was kept.
    ///
    /// # Errors
    /// [`Class::Disk`], when it is gone or another; it is not to be used then.
    pub fn checked(&self, machine: &Machine) -> Result<PathBuf, Error> {
        let path = self.path(machine);
        match digest(&path) {
            Ok((sum, _)) if sum == self.sha256 => Ok(path),
            Ok(_) => Err(unusable(&path, &"it is not the file that was kept (its SHA-256 differs)")),
            Err(error) => Err(unusable(&path, &error)),
        }
    }
}

/// Removes whatever lies there and is not one of these.
pub fn tidy(machine: &Machine, kept: &[Kept]) {
    let Ok(entries) = std::fs::read_dir(machine.path(DIRECTORY)) else { return };
    for entry in entries.flatten() {
        if !kept.iter().any(|kept| entry.file_name() == *kept.file) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn unusable(path: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::new(Class::Disk, format!("{} cannot be used: {why}", path.display()), "df -h /var; df -i /var")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_the_sha_256_that_everybody_else_computes() {
        let path = std::env::temp_dir().join(format!("teleport-upgrade-digest-{}", std::process::id()));
        std::fs::write(&path, "abc").unwrap();
        let (sum, bytes) = digest(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        // FIPS 180-4, "abc".
        assert_eq!(sum, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(bytes, 3);
    }
}
