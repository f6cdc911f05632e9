//! When the timer fires on this host. Each host has an offset of its own, the same every time, so that a fleet does not knock at once.
//! systemd does that from version 247 on (`FixedRandomDelay=`); for an older one a drop-in says it (V22).

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Class, Error};
use crate::host::command::{Argv, exists, query};
use crate::host::durable;
use crate::host::machine::Machine;

const DROP_INS: &str = "/etc/systemd/system/teleport-upgrade.timer.d";
/// The first systemd with `FixedRandomDelay=`.
const KNOWS_FIXED_DELAY: u32 = 247;
/// As in `teleport-upgrade.timer`: after activation, after the last run, and the spread; all in seconds.
const FIRST: u64 = 9 * 60;
const AGAIN: u64 = 28 * 60;
const SPREAD: u64 = 4 * 60;

/// Writes the drop-in where it is needed, and takes it away where it is not.
///
/// # Errors
/// [`Class::Disk`] when it cannot be written.
pub fn settle_offset(machine: &Machine) -> Result<(), Error> {
    let directory = machine.path(DROP_INS);
    let path = directory.join("offset.conf");
    if version(machine).is_none_or(|version| version >= KNOWS_FIXED_DELAY) {
        let _ = std::fs::remove_file(&path).and_then(|()| std::fs::remove_dir(&directory));
        return Ok(());
    }
    let id = std::fs::read_to_string(machine.path("/etc/machine-id")).unwrap_or_default();
    let written = std::fs::create_dir_all(&directory).and_then(|()| durable::write(&path, drop_in(offset(id.trim())).as_bytes()));
    written.map_err(|error| unwritten(path, &error))
}

fn version(machine: &Machine) -> Option<u32> {
    if !exists(machine, "systemctl") {
        return None;
    }
    let answer = query(machine, &Argv::new("systemctl", ["--version"]), Duration::from_secs(30)).ok()?;
    // `systemd 245 (245.4-4ubuntu3)`
    answer.stdout.strip_prefix("systemd ")?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn drop_in(offset: u64) -> String {
    format!(
        "# Written by `teleport-upgrade setup`: this systemd has no FixedRandomDelay=. The empty line forgets the timer's own times.\n[Timer]\nOnActiveSec=\nOnActiveSec={}s\nOnUnitInactiveSec={}s\nRandomizedDelaySec=0\n",
        FIRST + offset,
        AGAIN + offset
    )
}

/// Seconds from 0 to the spread, by FNV-1a of the machine's id.
fn offset(id: &str) -> u64 {
    id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)) % SPREAD
}

fn unwritten(path: PathBuf, error: &std::io::Error) -> Error {
    Error::new(Class::Disk, format!("{} cannot be written: {error}", path.display()), "df -h /etc")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_offsets_of_their_own_within_the_spread() {
        // FNV-1a (64 bit) of the empty text is its offset basis, of "a" af63dc4c8601ec8c: the published test vectors.
        assert_eq!(offset(""), 0xcbf2_9ce4_8422_2325 % 240);
        assert_eq!(offset("a"), 0xaf63_dc4c_8601_ec8c % 240);
        let offsets: Vec<u64> = (0..1000).map(|n| offset(&format!("{n:032x}"))).collect();
        assert!(offsets.iter().all(|offset| *offset < 240));
        let quarters: Vec<usize> =
            (0..4).map(|quarter| offsets.iter().filter(|offset| **offset / 60 == quarter).count()).collect();
        assert!(quarters.iter().all(|hosts| (200..300).contains(hosts)), "{quarters:?}");
    }

    #[test]
    fn the_drop_in_replaces_the_timers_own_times() {
        assert!(
            drop_in(17).ends_with("[Timer]\nOnActiveSec=\nOnActiveSec=557s\nOnUnitInactiveSec=1697s\nRandomizedDelaySec=0\n")
        );
    }
}
