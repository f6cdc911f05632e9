//! When the timer fires on this host. Each host has an offset of its own, the same every time, so that a fleet does not knock at once.
//! systemd does that from version 247 on (`FixedRandomDelay=`); for an older one a drop-in says it (V22).

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Class, Error};
use crate::host::command::{Argv, exists, query};
use crate::host::durable;
use crate::host::machine::Machine;
use crate::rules::moment::Moment;
use crate::rules::timer::{Started, Timer, seconds};

const DROP_INS: &str = "/etc/systemd/system/teleport-upgrade.timer.d";
/// The first systemd with `FixedRandomDelay=`.
const KNOWS_FIXED_DELAY: u32 = 247;
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
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

/// How the timer stands, and what it starts.
#[must_use]
pub fn look(machine: &Machine) -> (Timer, Started) {
    if !machine.is_run_by_systemd() {
        return (Timer::NoSystemd, Started::default());
    }
    let show = |unit, properties| query(machine, &Argv::new("systemctl", ["show", "--property", properties, unit]), ANSWER_LIMIT);
    let timer = show(
        "teleport-upgrade.timer",
        "LoadState,ActiveState,SubState,UnitFileState,NextElapseUSecMonotonic,ActiveEnterTimestampMonotonic",
    );
    let service = show("teleport-upgrade.service", "LoadState,ActiveState,ExecStart,FragmentPath,DropInPaths");
    match (timer, service) {
        (Ok(timer), Ok(service)) if timer.success && service.success => {
            let up = i64::try_from((machine.uptime)().as_secs()).unwrap_or(i64::MAX);
            (standing(&timer.stdout, machine.now(), up), started(&service.stdout))
        }
        (Err(error), _) | (_, Err(error)) => (Timer::Unknown(error.what), Started::default()),
        (Ok(timer), Ok(_)) => (Timer::Unknown(format!("`systemctl show` ended with {}", timer.ending)), Started::default()),
    }
}

/// Reads `systemctl show` of the timer, `up` seconds after boot.
pub(super) fn standing(text: &str, now: Moment, up: i64) -> Timer {
    let value =
        |name: &str| text.lines().find_map(|line| line.split_once('=').filter(|(key, _)| *key == name)).map_or("", |(_, v)| v);
    match (value("LoadState"), value("ActiveState")) {
        ("not-found", _) => Timer::Missing,
        // It has fired for the last time: nothing will make it fire again (H27).
        (_, "active") if value("SubState") == "elapsed" => {
            Timer::Dead { active: "elapsed".into(), file: value("UnitFileState").to_owned() }
        }
        (_, "active") => Timer::Alive {
            next: seconds(value("NextElapseUSecMonotonic")).map(|next| now.plus(next.saturating_sub(up))),
            age: value("ActiveEnterTimestampMonotonic").parse().ok().map(|entered: i64| up.saturating_sub(entered / 1_000_000)),
        },
        (_, active) => Timer::Dead { active: active.to_owned(), file: value("UnitFileState").to_owned() },
    }
}

/// Reads `systemctl show` of the service: `ExecStart={ path=/usr/sbin/teleport-upgrade ; argv[]=/usr/sbin/teleport-upgrade run ; ...`.
pub(super) fn started(text: &str) -> Started {
    let values = |name: &'static str| {
        text.lines().filter_map(move |line| line.split_once('=').filter(|(key, _)| *key == name)).map(|(_, value)| value)
    };
    let ours = values("ExecStart").any(|value| value.contains("argv[]=/usr/sbin/teleport-upgrade run "));
    let is_there = values("LoadState").all(|value| value != "not-found");
    let drop_ins: Vec<&str> = values("DropInPaths").flat_map(str::split_ascii_whitespace).collect();
    let unit: Vec<&str> = values("FragmentPath").filter(|path| !path.is_empty()).collect();
    let strange = if drop_ins.is_empty() { unit } else { drop_ins };
    Started {
        at_work: values("ActiveState").any(|value| value == "activating"),
        replaced_by: if ours || !is_there { Vec::new() } else { strange.into_iter().map(str::to_owned).collect() },
    }
}

fn version(machine: &Machine) -> Option<u32> {
    if !exists(machine, "systemctl") {
        return None;
    }
    let answer = query(machine, &Argv::new("systemctl", ["--version"]), ANSWER_LIMIT).ok()?;
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
    fn the_timer_and_what_it_starts_are_read_as_systemd_shows_them() {
        let at = Moment::from_unix(1_000_000);
        let timer = |text| standing(text, at, 3600);
        let alive = "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nNextElapseUSecMonotonic=1h 2min 3.004s\nActiveEnterTimestampMonotonic=3000000000\n";
        assert_eq!(timer(alive), Timer::Alive { next: Some(at.plus(123)), age: Some(600) });
        let waiting = "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nNextElapseUSecMonotonic=infinity\n";
        assert_eq!(timer(waiting), Timer::Alive { next: None, age: None });
        let dead = Timer::Dead { active: "inactive".into(), file: "disabled".into() };
        assert_eq!(timer("LoadState=loaded\nActiveState=inactive\nUnitFileState=disabled\n"), dead);
        assert_eq!(timer("LoadState=not-found\nActiveState=inactive\n"), Timer::Missing);
        let elapsed =
            "LoadState=loaded\nActiveState=active\nSubState=elapsed\nUnitFileState=enabled\nNextElapseUSecMonotonic=infinity\n";
        assert_eq!(timer(elapsed), Timer::Dead { active: "elapsed".into(), file: "enabled".into() });
        let ours = "ActiveState=activating\nExecStart={ path=/usr/sbin/teleport-upgrade ; argv[]=/usr/sbin/teleport-upgrade run ; ignore_errors=no ; start_time=[n/a] }\nDropInPaths=/etc/systemd/system/teleport-upgrade.service.d/proxy.conf\n";
        assert_eq!(started(ours), Started { at_work: true, replaced_by: Vec::new() });
        let replaced = "ActiveState=inactive\nExecStart={ path=/bin/echo ; argv[]=/bin/echo off ; ignore_errors=no }\nDropInPaths=/etc/a.conf /run/b.conf\n";
        assert_eq!(started(replaced), Started { at_work: false, replaced_by: vec!["/etc/a.conf".into(), "/run/b.conf".into()] });
        let masked = "LoadState=masked\nActiveState=inactive\nFragmentPath=/etc/systemd/system/teleport-upgrade.service\n";
        assert_eq!(started(masked).replaced_by, ["/etc/systemd/system/teleport-upgrade.service"]);
        assert_eq!(started("LoadState=not-found\nActiveState=inactive\n"), Started::default());
    }

    #[test]
    fn the_drop_in_replaces_the_timers_own_times() {
        assert!(
            drop_in(17).ends_with("[Timer]\nOnActiveSec=\nOnActiveSec=557s\nOnUnitInactiveSec=1697s\nRandomizedDelaySec=0\n")
        );
    }
}
