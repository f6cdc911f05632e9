//! Waiting for the locks of package managers, the same for all of them (V15, H07): the holder is named once, a lock is never removed, and
//! after a ceiling the run ends and the next one tries again.

use std::cell::Cell;
use std::fs::File;
use std::time::Duration;

use rustix::process::{Flock, FlockType, fcntl_getlk};

use crate::error::{Class, Error};
use crate::host::machine::Machine;
use crate::host::process::command_line;
use crate::rules::moment::span;

/// How often a held lock is tried again, and for how long: counted, because clocks jump.
const RETRY: Duration = Duration::from_secs(5);
const TRIES: u32 = 121;
const CEILING: i64 = 600;

/// How one try went.
pub(super) enum Tried<T> {
    /// It ran, well or not.
    Ran(T),
    /// Somebody has the lock; who, if it is known.
    Locked(Option<String>),
}

/// The patience of one run.
#[derive(Default)]
pub(super) struct Patience {
    /// Whether the holder of a lock was named already.
    named: Cell<bool>,
}

impl Patience {
    /// Repeats `attempt` while somebody else has a lock, up to the ceiling.
    pub(super) fn wait<T>(&self, machine: &Machine, attempt: impl Fn() -> Result<Tried<T>, Error>) -> Result<T, Error> {
        let was_here = machine.myself.exists();
        let mut holder = None;
        for _ in 0..TRIES {
            match attempt()? {
                Tried::Ran(result) => return Ok(result),
                Tried::Locked(who) => holder = who,
            }
            // Whoever stops us, at a shutdown or to remove our package, may be the one who has the lock.
            let ended = if machine.orders.came() {
                "this run was told to end"
            } else if was_here && !machine.myself.exists() {
                "this program was removed"
            } else {
                self.pause(machine, holder.as_deref(), &format!("for up to {}", span(CEILING)));
                continue;
            };
            let what = format!("{ended} while {} holds a package manager lock", named(holder.as_deref()));
            return Err(Error::new(Class::Busy, what, "the next run tries again"));
        }
        Err(Error::new(
            Class::Busy,
            format!("waited {} for a package manager lock that {} holds", span(CEILING), named(holder.as_deref())),
            "the next run tries again; if nothing is at work there, look at that process",
        ))
    }

    /// Repeats `attempt` for as long as somebody else has a lock: for what nobody would try again.
    pub(super) fn outlast<T>(&self, machine: &Machine, attempt: impl Fn() -> Result<Tried<T>, Error>) -> Result<T, Error> {
        loop {
            match attempt()? {
                Tried::Ran(result) => return Ok(result),
                Tried::Locked(holder) => self.pause(machine, holder.as_deref(), "until it is done"),
            }
        }
    }

    fn pause(&self, machine: &Machine, holder: Option<&str>, how_long: &str) {
        if !self.named.replace(true) {
            machine.log.info(format!("{} holds a package manager lock; waiting {how_long}.", named(holder)));
        }
        (machine.wait)(RETRY);
    }
}

fn named(holder: Option<&str>) -> &str {
    holder.unwrap_or("another process")
}

/// Who holds one of these POSIX locks, in words. The kernel is asked about each file itself: the inode numbers in /proc/locks can be had
/// by anybody on another file system.
pub(super) fn holder(machine: &Machine, locks: &[&str]) -> Option<String> {
    locks.iter().find_map(|lock| {
        let file = File::open(machine.path(lock)).ok()?;
        let held = fcntl_getlk(&file, &Flock::from(FlockType::WriteLock)).ok()??;
        Some(match held.pid.and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok()) {
            Some(pid) => described(machine, pid),
            None => "a process outside of this container".into(),
        })
    })
}

/// `pid 1234 (apt-get upgrade)`.
pub(super) fn described(machine: &Machine, pid: u32) -> String {
    let command = command_line(machine, pid);
    if command.is_empty() { format!("pid {pid}") } else { format!("pid {pid} ({command})") }
}
