//! The file `endpoint`, where `install` writes which version server this host asks.

use std::path::Path;

use crate::error::{Class, Error};
use crate::host::durable;
use crate::host::machine::Machine;
use crate::rules::endpoint::Endpoint;

/// Writes it, and says what was there before.
///
/// # Errors
/// [`Class::Disk`] when it cannot be written; then it is as it was.
pub fn write(machine: &Machine, directory: &Path, endpoint: &Endpoint) -> Result<(), Error> {
    let path = directory.join("endpoint");
    let text = format!("{endpoint}\n");
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    if before == text {
        return Ok(());
    }
    let written = std::fs::create_dir_all(directory).and_then(|()| durable::write(&path, text.as_bytes()));
    written.map_err(|error| {
        Error::new(
            Class::Disk,
            format!("{} cannot be written: {error}", path.display()),
            format!("ls -ld {}", directory.display()),
        )
    })?;
    let was = before.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let was = was.map_or_else(String::new, |was| format!("; it said {} before", crate::error::quoted(was.as_bytes())));
    machine.log.info(format!("{} says {endpoint} now{was}.", path.display()));
    Ok(())
}
