//! `pause` and `resume`: a person wants no upgrades for a while, and says why. Neither waits for a run that is at work.

use crate::error::{Class, Error};
use crate::host::lock;
use crate::host::machine::Machine;
use crate::host::pause::{self, person};
use crate::rules::local::both;
use crate::rules::moment::{Moment, span};
use crate::rules::pause::{LetsThrough, Pause};
use crate::rules::wording;
use crate::upgrade::root_only;

/// What a person asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// When it is to end.
    pub end: End,
    /// Why.
    pub reason: Option<String>,
    /// What comes all the same.
    pub lets_through: LetsThrough,
}

/// When a pause is to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// When somebody resumes.
    Open,
    /// At this time, as it was written: see [`crate::rules::pause::moment`].
    Until(String),
    /// After so many seconds.
    After(i64),
}

/// Pauses.
///
/// # Errors
/// [`Class::Usage`] when its end makes no sense, [`Class::Disk`] when it cannot be kept.
pub fn pause(machine: &Machine, wish: &Wish) -> Result<(), Error> {
    root_only(machine, "pause")?;
    let now = machine.now();
    let until = end(machine, &wish.end, now)?;
    let pause = Pause { by: person(machine), since: now, until, reason: wish.reason.clone(), lets_through: wish.lets_through };
    let said = |pause| wording::paused(pause, &|moment| both(moment, &*machine.zone));
    lock::make_directories(machine)?;
    let before = pause::read(machine);
    pause::write(machine, &pause)?;
    machine.log.info(format!("{}.", said(&pause)));
    if let Ok(Some(before)) = before
        && !before.is_over(now)
    {
        machine.log.warning(format!("before, they were {}: that is over now.", said(&before)));
    }
    match (pause.until, pause.lets_through) {
        (Some(until), _) => {
            machine.log.info(format!("upgrades go on in {}, or with `teleport-upgrade resume`.", span(until.since(now))))
        }
        (None, _) => machine
            .log
            .warning("nothing but `teleport-upgrade resume` ends it: an agent that falls too far behind loses its cluster."),
    }
    machine.log.info(match pause.lets_through {
        LetsThrough::Critical => "a critical upgrade comes all the same; `--even-critical` would stop that, too.",
        LetsThrough::Nothing => "not even a critical upgrade comes; `teleport-upgrade force` does.",
    });
    Ok(())
}

fn end(machine: &Machine, end: &End, now: Moment) -> Result<Option<Moment>, Error> {
    let usage = |what: String| Error::new(Class::Usage, what, "teleport-upgrade pause --help");
    let until = match end {
        End::Open => return Ok(None),
        End::After(seconds) => now.plus(*seconds),
        End::Until(text) => {
            let offset = |moment| (machine.zone)(moment).map(|zone| zone.offset);
            crate::rules::pause::moment(text, &offset).map_err(usage)?
        }
    };
    if until <= now {
        return Err(usage(format!("--until {until} lies in the past")));
    }
    Ok(Some(until))
}

/// Resumes.
///
/// # Errors
/// [`Class::Disk`] when the pause cannot be removed.
pub fn resume(machine: &Machine) -> Result<(), Error> {
    root_only(machine, "resume")?;
    let was = pause::read(machine);
    pause::remove(machine)?;
    machine.log.info(match was {
        Ok(None) => "upgrades were not paused; nothing was changed.".to_owned(),
        Ok(Some(pause)) if pause.is_over(machine.now()) => "the pause was over already.".to_owned(),
        Ok(Some(pause)) => {
            format!("upgrades go on: they were {}.", wording::paused(&pause, &|moment| both(moment, &*machine.zone)))
        }
        Err(_) => "upgrades go on; what the pause said could not be read.".to_owned(),
    });
    Ok(())
}
