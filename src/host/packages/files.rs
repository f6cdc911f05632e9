//! Files of packages that a package manager has downloaded and verified: where they lie until somebody takes them to be kept.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::host::machine::Machine;
use crate::rules::release::Release;

/// Where a manager downloads to that can be told so. Readable for everyone, as its own cache is: apt downloads as a user of its own.
const FETCHED: &str = "/var/lib/teleport-upgrade/fetched";
/// Caches have a directory a repository, and repositories some of their own.
const DEEP: u32 = 4;

/// The directory to download to.
pub(super) fn directory(machine: &Machine) -> PathBuf {
    machine.path(FETCHED)
}

/// Makes it, if it can be made; who downloads says if it cannot.
pub(super) fn make_directory(machine: &Machine) {
    let directory = directory(machine);
    if DirBuilder::new().mode(0o755).create(&directory).is_ok() {
        // The mode that was asked for passes through the umask; this one does not.
        let _ = std::fs::set_permissions(&directory, std::os::unix::fs::PermissionsExt::from_mode(0o755));
    }
}

/// The file of that release in or below these directories; `release_in` reads the names of our package's files.
pub(super) fn find(directories: &[PathBuf], release: &Release, release_in: impl Fn(&str) -> Option<Release>) -> Option<PathBuf> {
    files(directories).into_iter().find(|path| release_in(&name(path)).as_ref() == Some(release))
}

/// Removes files in or below these directories whose name makes them `useless`.
pub(super) fn clear(directories: &[PathBuf], useless: impl Fn(&str) -> bool) {
    for path in files(directories).into_iter().filter(|path| useless(&name(path))) {
        let _ = std::fs::remove_file(path);
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn files(directories: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut level = directories.to_vec();
    for _ in 0..=DEEP {
        let entries = level.iter().filter_map(|directory| std::fs::read_dir(directory).ok()).flatten().flatten();
        let (below, here): (Vec<_>, Vec<_>) =
            // What lies in `partial` is not there yet, whatever its name (apt).
            entries
                .filter(|entry| entry.file_name() != "partial")
                .filter_map(|entry| Some((entry.file_type().ok()?, entry.path())))
                .partition(|(kind, _)| kind.is_dir());
        found.extend(here.into_iter().filter(|(kind, _)| kind.is_file()).map(|(_, path)| path));
        level = below.into_iter().map(|(_, path)| path).collect();
    }
    found
}
