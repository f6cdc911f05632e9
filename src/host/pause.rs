//! The pause on disk: a file of its own beside the record, so that losing the record resumes nothing, and a person who pauses need not wait
//! for a run that is at work.

use std::io::ErrorKind;
use std::path::PathBuf;

use crate::error::{Class, Error};
use crate::host::durable;
use crate::host::lock::STATE;
use crate::host::machine::Machine;
use crate::rules::pause::Pause;

const LONGEST: u64 = 16 * 1024;

fn file(machine: &Machine) -> PathBuf {
    machine.path(STATE).join("pause.json")
}

/// The pause, if there is one; it may be over.
///
/// # Errors
/// [`Class::Config`]: something is there that is no pause. Nobody knows then what a person wanted.
pub fn read(machine: &Machine) -> Result<Option<Pause>, Error> {
    let path = file(machine);
    let bytes = match durable::read(&path, LONGEST) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(&path, &error)),
    };
    let pause: Pause = serde_json::from_slice(&bytes).map_err(|error| unreadable(&path, &error))?;
    if pause.is_sound() { Ok(Some(pause)) } else { Err(unreadable(&path, &"it has control characters in it")) }
}

/// From now on this pause is the one.
///
/// # Errors
/// [`Class::Disk`]; what was there before still is.
pub fn write(machine: &Machine, pause: &Pause) -> Result<(), Error> {
    let path = file(machine);
    let text = serde_json::to_vec(pause).map_err(std::io::Error::from);
    text.and_then(|text| durable::write(&path, &text)).map_err(|error| {
        Error::new(Class::Disk, format!("{} cannot be written: {error}", path.display()), "df -h /var; df -i /var; pause again")
    })
}

/// From now on there is none.
///
/// # Errors
/// [`Class::Disk`].
pub fn remove(machine: &Machine) -> Result<(), Error> {
    let path = file(machine);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            let what = format!("{} cannot be removed: {error}", path.display());
            Err(Error::new(Class::Disk, what, format!("ls -ld {}; rm {}", path.display(), path.display())))
        }
        _ => Ok(()),
    }
}

fn unreadable(path: &std::path::Path, why: &dyn std::fmt::Display) -> Error {
    Error::new(
        Class::Config,
        format!("{} says that upgrades are paused, but cannot be read: {why}", path.display()),
        "pause again, or end the pause: teleport-upgrade resume",
    )
}

/// The person at the keyboard: whom the kernel saw logging in, whatever sudo or su made of it since (pam_loginuid(8)).
#[must_use]
pub fn person(machine: &Machine) -> String {
    let login = std::fs::read_to_string(machine.path("/proc/self/loginuid")).ok();
    // 4294967295: nobody logged in, a service started this.
    let uid = login.and_then(|text| text.trim().parse::<u32>().ok()).filter(|uid| *uid != u32::MAX).unwrap_or(machine.user);
    let users = std::fs::read_to_string(machine.path("/etc/passwd")).unwrap_or_default();
    name_of(uid, &users).unwrap_or_else(|| format!("user {uid}"))
}

/// A name from passwd(5).
pub(super) fn name_of(uid: u32, users: &str) -> Option<String> {
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, id) = (fields.next()?, fields.next()?, fields.next()?);
        (id.parse() == Ok(uid)).then_some(name)
    })?;
    (!name.is_empty() && name.len() <= 64 && !name.chars().any(char::is_control)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_called_by_the_name_that_the_host_knows() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nalice:x:1000:1000::/home/alice:/bin/sh\n\x1b[2J:x:1001:1::/:\n";
        assert_eq!(name_of(1000, users).as_deref(), Some("alice"));
        assert_eq!(name_of(0, users).as_deref(), Some("root"));
        assert_eq!(name_of(1001, users), None);
        assert_eq!(name_of(4711, users), None);
    }
}
