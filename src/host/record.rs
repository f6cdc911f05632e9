//! What one run leaves for the next ones: one small JSON file that is old or new, never half. Written to a file beside it, synced,
//! renamed, and the directory synced; readable for everyone, written by root alone.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::error::{Class, Error};
use crate::host::agent::Known;
use crate::host::durable;
use crate::host::hold::FirstHold;
use crate::host::kept::Kept;
use crate::host::lock::{Lock, STATE};
use crate::host::machine::Machine;
use crate::host::pending::{Pending, Worker};
use crate::rules::account::{Account, Attempt, Heard, Holder};
use crate::rules::memory::Memory;
use crate::rules::moment::Moment;
use crate::rules::plan::HoldAfter;
use crate::rules::reason::Reason;
use crate::rules::release::Release;
use crate::rules::window::Window;

/// The format of the file. A reader that knows less than this leaves the file alone.
const SCHEMA: u32 = 1;
const LONGEST: u64 = 1024 * 1024;
/// How many verdicts and how many upgrades are kept (V31).
const KEPT: usize = 50;

/// Everything that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    schema: u32,
    /// The upgrade that is being made, while it is being made.
    #[serde(default)]
    pub pending: Option<Pending>,
    /// What decisions need to know of earlier runs.
    #[serde(default)]
    pub memory: Memory,
    /// The agent's version as its binary last said it.
    #[serde(default)]
    pub agent: Option<Known>,
    /// How runs ended, oldest first; equal ones in a row are one entry.
    #[serde(default)]
    pub verdicts: Vec<Verdict>,
    /// Upgrades that were made or failed, oldest first.
    #[serde(default)]
    pub upgrades: Vec<Upgrade>,
    /// Whose hold it was that the first run found.
    #[serde(default)]
    pub first_hold: FirstHold,
    /// How the last change was to leave the hold, if it could not: the next run does.
    #[serde(default)]
    pub hold_owed: Option<HoldAfter>,
    /// The packages that are kept for the way back.
    #[serde(default)]
    pub kept: Vec<Kept>,
    /// The package database when it was last seen whole: see [`crate::host::packages::database`].
    #[serde(default)]
    pub database: String,
    /// Unknown configuration files that were warned about.
    #[serde(default)]
    pub warned: Vec<String>,
    /// What the last run knew and came to.
    #[serde(default)]
    pub last: Account,
    /// When a run last ended well.
    #[serde(default)]
    pub succeeded: Option<Moment>,
    /// When a run last saw the agent on the version that is wanted.
    #[serde(default)]
    pub converged: Option<Moment>,
    /// How many upgrades came to what, since this record began.
    #[serde(default)]
    pub totals: Totals,
    /// For how many milliseconds the agent was down while the last upgrade was made.
    #[serde(default)]
    pub agent_down: u64,
    /// Who holds the package, as it was last seen.
    #[serde(default)]
    pub holder: HolderSeen,
    /// What was last heard from whoever is asked which version is wanted.
    #[serde(default)]
    pub heard: Option<Heard>,
    /// The windows that the version server named last.
    #[serde(default)]
    pub served: Option<Served>,
    /// The last attempt at the wanted version, if it came to nothing.
    #[serde(default)]
    pub attempt: Option<Attempt>,
    /// Where the metrics of the last run were written.
    #[serde(default)]
    pub metrics: Option<PathBuf>,
}

/// How many upgrades came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Totals {
    /// Made.
    pub upgraded: u64,
    /// Failed, with the version before in place, or with a person needed.
    pub failed: u64,
    /// Gone back from.
    pub went_back: u64,
    /// Gone back from at a person's request.
    pub rolled_back: u64,
}

/// Windows that the version server named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// Which.
    pub windows: Vec<Window>,
    /// When.
    pub at: Moment,
}

/// Who holds the package, and what that was known by: see [`crate::host::packages::evidence_of_holds`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HolderSeen {
    /// While this is the same, so is the holder.
    pub evidence: String,
    /// Who.
    pub by: Holder,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// A stable word: see [`crate::rules::reason`].
    pub code: String,
    /// In a sentence.
    pub text: String,
    /// The exit code.
    pub exit: u8,
    /// When a run first ended so.
    pub first: Moment,
    /// When a run last did.
    pub last: Moment,
    /// How many runs in a row did.
    pub count: u64,
}

/// One upgrade that was made, or failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgrade {
    /// From.
    pub from: Option<Release>,
    /// To.
    pub to: Release,
    /// When it ended.
    pub at: Moment,
    /// A stable word: `upgraded`, `went-back`, `rolled-back`, `interrupted` (it died before anything was changed), or the class of what
    /// went wrong.
    pub code: String,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            schema: SCHEMA,
            pending: None,
            memory: Memory::default(),
            agent: None,
            verdicts: Vec::new(),
            upgrades: Vec::new(),
            first_hold: FirstHold::Open,
            hold_owed: None,
            kept: Vec::new(),
            database: String::new(),
            warned: Vec::new(),
            last: Account::default(),
            succeeded: None,
            converged: None,
            totals: Totals::default(),
            agent_down: 0,
            holder: HolderSeen::default(),
            heard: None,
            served: None,
            attempt: None,
            metrics: None,
        }
    }
}

impl Record {
    /// Adds the end of a run; the same verdict as before is counted, not repeated.
    pub fn conclude(&mut self, reason: Reason, account: Account) {
        self.last = account;
        let Account { at, code, text, exit, .. } = &self.last;
        let (now, exit) = (*at, *exit);
        match self.verdicts.last_mut() {
            Some(last) if last.code == *code && last.text == *text => {
                last.last = now;
                last.count = last.count.saturating_add(1);
            }
            _ => self.verdicts.push(Verdict { code: code.clone(), text: text.clone(), exit, first: now, last: now, count: 1 }),
        }
        keep_newest(&mut self.verdicts);
        if exit == 0 {
            self.succeeded = Some(now);
        }
        // Whoever installs a version that nobody wants has not converged.
        if reason == Reason::NoTarget || (reason.is_converged() && self.last.inputs.wanted.is_some()) {
            self.converged = Some(now);
            self.attempt = None;
        }
    }

    /// Adds an upgrade; the same failure as before is one entry.
    pub fn add_upgrade(&mut self, upgrade: Upgrade) {
        let again = |last: &Upgrade| (&last.from, &last.to, &last.code) == (&upgrade.from, &upgrade.to, &upgrade.code);
        let total = match upgrade.code.as_str() {
            "upgraded" => &mut self.totals.upgraded,
            "went-back" => &mut self.totals.went_back,
            "rolled-back" => &mut self.totals.rolled_back,
            _ => &mut self.totals.failed,
        };
        *total = total.saturating_add(1);
        if upgrade.code != "upgraded" && self.upgrades.last().is_some_and(again) {
            self.upgrades.pop();
        }
        self.upgrades.push(upgrade);
        keep_newest(&mut self.upgrades);
    }
}

fn keep_newest<T>(entries: &mut Vec<T>) {
    entries.drain(..entries.len().saturating_sub(KEPT));
}

/// Reads the record, for those who only look. Nothing there is an empty record.
///
/// # Errors
/// Something is there that is no record of ours; why, in words.
pub fn read(machine: &Machine) -> Result<Record, String> {
    text(machine).map_err(|error| error.to_string()).and_then(|text| parse(text.as_deref()))
}

/// What the file says, if there is one.
fn text(machine: &Machine) -> std::io::Result<Option<Vec<u8>>> {
    match File::open(machine.path(STATE).join("record.json")) {
        Ok(file) => {
            let mut bytes = Vec::new();
            file.take(LONGEST).read_to_end(&mut bytes).map(|_| Some(bytes))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn parse(text: Option<&[u8]>) -> Result<Record, String> {
    let Some(text) = text else { return Ok(Record::default()) };
    match serde_json::from_slice::<Record>(text) {
        Ok(record) if record.schema == SCHEMA => Ok(record),
        Ok(record) => Err(format!("its format is {}, this version knows {SCHEMA}", record.schema)),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether this is what a host says that has nothing to spare at this moment.
fn is_want(error: &std::io::Error) -> bool {
    let passing = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::AGAIN];
    Errno::from_io_error(error).is_some_and(|errno| passing.contains(&errno))
}

/// A name for a record that cannot be read, under which there is nothing yet.
fn free_name(directory: &Path, now: Moment) -> PathBuf {
    let name = |n: u32| directory.join(format!("record.json.unreadable-{}-{n}", now.unix()));
    (0..1000).map(name).find(|path| path.symlink_metadata().is_err()).unwrap_or_else(|| name(1000))
}

/// The record of the run that holds the lock: the only one who writes it.
pub struct Ledger {
    /// What is kept; on disk once [`Ledger::save`] has returned.
    pub record: Record,
    /// The account of this run, while it is being written.
    pub account: Account,
    /// How long the machine had been up when this run last began to bring the agent onto another version.
    pub brought_up: Option<Duration>,
    worker: Option<Worker>,
    directory: PathBuf,
}

impl Ledger {
    /// Reads the record. One that cannot be read is kept aside, never overwritten.
    ///
    /// # Errors
    /// [`Class::Internal`] when this host has no descriptor or memory to spare: the record has nothing wrong with it, and stays.
    pub fn open(machine: &Machine, _lock: &Lock) -> Result<Self, Error> {
        let directory = machine.path(STATE);
        let text = text(machine);
        if let Err(error) = &text
            && is_want(error)
        {
            return Err(Error::new(
                Class::Internal,
                format!("{} cannot be read now: {error}", directory.join("record.json").display()),
                "look at memory and process limits of this host",
            ));
        }
        let record = match text.map_err(|error| error.to_string()).and_then(|text| parse(text.as_deref())) {
            Ok(record) => record,
            Err(why) => {
                let aside = free_name(&directory, machine.now());
                let kept = match std::fs::rename(directory.join("record.json"), &aside) {
                    Ok(()) => format!("kept as {}", aside.display()),
                    Err(error) => format!("and could not be kept aside: {error}"),
                };
                machine.log.warning(format!("the record of earlier runs cannot be read ({why}); {kept}. Beginning a new one."));
                Record::default()
            }
        };
        Ok(Self { record, account: Account::default(), brought_up: None, worker: Worker::myself(machine), directory })
    }

    /// Puts the record on disk.
    ///
    /// # Errors
    /// [`Class::Disk`]; the record on disk is the one before.
    pub fn save(&mut self) -> Result<(), Error> {
        if let Some(pending) = &mut self.record.pending {
            pending.by = self.worker;
        }
        let path = self.directory.join("record.json");
        let text = serde_json::to_vec(&self.record).map_err(std::io::Error::from);
        text.and_then(|text| durable::write(&path, &text)).map_err(|error| {
            Error::new(
                Class::Disk,
                format!("{} cannot be written: {error}", path.display()),
                "df -h /var; df -i /var; the next run tries again",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_is_at_its_end_stops_there() {
        let verdict = Verdict {
            code: "no-target".into(),
            text: String::new(),
            exit: 0,
            first: Moment::from_unix(0),
            last: Moment::from_unix(0),
            count: u64::MAX,
        };
        let totals = Totals { upgraded: u64::MAX, ..Totals::default() };
        let mut record = Record { verdicts: vec![verdict], totals, ..Record::default() };
        record.conclude(Reason::NoTarget, Account { code: "no-target".into(), ..Account::default() });
        let to = "16.2.0".parse().unwrap();
        record.add_upgrade(Upgrade { from: None, to, at: Moment::from_unix(0), code: "upgraded".into() });
        assert_eq!((record.verdicts[0].count, record.totals.upgraded), (u64::MAX, u64::MAX));
    }
}
