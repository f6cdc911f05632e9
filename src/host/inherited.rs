//! What a process gets from whoever starts it, hands on to all that it starts, and would be hurt by: the umask, ignored signals, limits.

use std::sync::Arc;

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};
use signal_hook::consts::{SIGCHLD, SIGXFSZ};

/// What a package manager may need, or everything. A limit that it meets half-way leaves the agent half-installed. More descriptors than
/// these do harm: some tools close each one that they could have.
const ENOUGH: [(Resource, Option<u64>); 7] = [
    (Resource::Fsize, None),
    (Resource::Cpu, None),
    (Resource::As, None),
    (Resource::Data, None),
    (Resource::Nproc, None),
    (Resource::Nofile, Some(1024)),
    (Resource::Stack, Some(8 * 1024 * 1024)),
];

/// Puts it right, as far as this user may.
pub(super) fn mend() {
    // What package scripts make without saying how must neither be open to everybody nor closed to the agent (H31).
    umask(Mode::from_raw_mode(0o022));
    hear(&std::fs::read_to_string("/proc/self/status").unwrap_or_default());
    if rustix::process::geteuid().is_root() {
        ENOUGH.into_iter().for_each(|(resource, enough)| raise(resource, enough));
    }
}

/// Handlers that do nothing, in whose place a program that is started gets the default again.
fn hear(status: &str) {
    let listen = |signal| {
        let _ = signal_hook::flag::register(signal, Arc::default());
    };
    // Whoever ignores it never learns how a program ended: each would count as failed.
    if ignores(status, SIGCHLD) {
        listen(SIGCHLD);
    }
    // A file that may not grow any more is an error to be told, no reason to die.
    listen(SIGXFSZ);
}

/// Whether /proc/self/status says that this signal is ignored.
fn ignores(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 << (signal - 1) != 0)
}

fn raise(resource: Resource, enough: Option<u64>) {
    let now = getrlimit(resource);
    let wanted = wanted(now, enough);
    if wanted != now && setrlimit(resource, wanted).is_err() {
        // A container may forbid more than was allowed before.
        let _ = setrlimit(resource, within(wanted, now));
    }
}

/// `None` is no limit. What is enough already stays.
fn wanted(now: Rlimit, enough: Option<u64>) -> Rlimit {
    let short = |limit: Option<u64>| limit.is_some_and(|limit| enough.is_none_or(|enough| limit < enough));
    let at_least = |limit| if short(limit) { enough } else { limit };
    Rlimit { current: at_least(now.current), maximum: at_least(now.maximum) }
}

/// As much of it as the hard limit that is there allows.
fn within(wanted: Rlimit, now: Rlimit) -> Rlimit {
    let current = match (wanted.current, now.maximum) {
        (Some(wanted), Some(most)) => Some(wanted.min(most)),
        (wanted, most) => wanted.or(most),
    };
    Rlimit { current, maximum: now.maximum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_become_enough_and_never_less() {
        let limit = |current, maximum| Rlimit { current, maximum };
        assert_eq!(wanted(limit(Some(0), Some(10)), None), limit(None, None));
        assert_eq!(wanted(limit(Some(4), Some(8)), Some(1024)), limit(Some(1024), Some(1024)));
        assert_eq!(wanted(limit(Some(4), Some(4096)), Some(1024)), limit(Some(1024), Some(4096)));
        assert_eq!(wanted(limit(Some(2048), None), Some(1024)), limit(Some(2048), None));
        assert_eq!(wanted(limit(None, None), Some(1024)), limit(None, None));
        assert_eq!(within(limit(None, None), limit(Some(4), Some(8))), limit(Some(8), Some(8)));
        assert_eq!(within(limit(Some(1024), Some(1024)), limit(Some(4), Some(8))), limit(Some(8), Some(8)));
    }

    #[test]
    fn an_ignored_signal_is_known_by_its_bit() {
        assert!(ignores("SigBlk:\t0000000000000000\nSigIgn:\t0000000000011000\n", SIGCHLD));
        assert!(!ignores("SigIgn:\t0000000000001000\n", SIGCHLD));
        assert!(!ignores("", SIGCHLD));
    }
}
