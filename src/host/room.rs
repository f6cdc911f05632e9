//! What is free where an upgrade writes: the state directory, which takes downloads, and where the agent's program lies. Decides nothing.

use std::path::Path;

use crate::error::{Class, Error};
use crate::host::agent;
use crate::host::lock::STATE;
use crate::host::machine::Machine;
use crate::rules::room::{Needs, Place, shortage};

/// Refuses to begin what there is no room for.
///
/// # Errors
/// [`Class::Disk`], naming the place, what is free there and what is needed.
pub fn check(machine: &Machine, what: &str, needs: Needs) -> Result<(), Error> {
    let program = agent::binary(machine).unwrap_or_else(|| machine.path("/usr/local/bin"));
    let wanted: Vec<(Place, u64)> = [(machine.path(STATE), needs.download), (program, needs.unpacked)]
        .into_iter()
        .filter_map(|(path, bytes)| Some((measure(&path)?, bytes)))
        .collect();
    shortage(&wanted).map_or(Ok(()), |short| {
        let next = "make room there (df -h; df -i); the next run tries again";
        Err(Error::new(Class::Disk, format!("there is no room for {what}: {short}"), next))
    })
}

/// The directory that the path names, or the nearest one above that is there.
fn measure(path: &Path) -> Option<Place> {
    use std::os::unix::fs::MetadataExt;
    let directory = path.ancestors().find(|path| path.is_dir())?;
    let volume = rustix::fs::statvfs(directory).ok()?;
    Some(Place {
        path: directory.display().to_string(),
        device: directory.metadata().ok()?.dev(),
        // Root may use what is reserved for it.
        free: volume.f_bfree.saturating_mul(volume.f_frsize),
        // Some file systems make room for files as they need it, and say 0 of 0.
        files: (volume.f_files > 0).then_some(volume.f_ffree),
        read_only: volume.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
    })
}
