//! The agent's binary: where it is, which version it says it is. Asking it starts a process, so the answer is kept under the
//! identity of the file (V28).

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::host::command::{Argv, query};
use crate::host::machine::Machine;
use crate::rules::release::Release;

/// Where the agent's packages put it, today's place first; v17 and later link there from `/usr/local/bin`.
const PLACES: [&str; 3] = ["/usr/local/bin/teleport", "/usr/bin/teleport", "/opt/teleport/system/bin/teleport"];
/// `teleport version` takes a fifth of a second; a cold disk some more.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// One state of one file. If any of these differs, it is another binary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    path: PathBuf,
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// A version, and the binary that said so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    identity: Identity,
    version: Release,
}

impl Known {
    /// The version.
    #[must_use]
    pub const fn version(&self) -> &Release {
        &self.version
    }
}

/// What was found out about the agent's binary.
#[derive(Debug)]
pub enum Agent {
    /// It says that it is this version.
    Says(Known),
    /// It cannot be asked; why, in words.
    Silent(String),
}

impl Agent {
    /// The version, if it said one.
    #[must_use]
    pub const fn version(&self) -> Option<&Release> {
        match self {
            Self::Says(known) => Some(&known.version),
            Self::Silent(_) => None,
        }
    }
}

/// Where the agent's binary is, with all links resolved.
#[must_use]
pub fn binary(machine: &Machine) -> Option<PathBuf> {
    PLACES.iter().find_map(|place| machine.path(place).canonicalize().ok().filter(|path| path.is_file()))
}

/// Device and inode of the agent's binary: a process that executes it has the same.
#[must_use]
pub fn installed_file(machine: &Machine) -> Option<(u64, u64)> {
    let metadata = binary(machine)?.metadata().ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// The installed version: from `known` if the binary has not changed since, else from the binary.
#[must_use]
pub fn ask(machine: &Machine, known: Option<&Known>) -> Agent {
    let Some(path) = binary(machine) else { return Agent::Silent(format!("there is no agent at {}", PLACES.join(", "))) };
    let Some(identity) = identity(&path) else { return Agent::Silent(format!("{} cannot be looked at", path.display())) };
    if let Some(known) = known.filter(|known| known.identity == identity) {
        return Agent::Says(known.clone());
    }
    if let Some(why) = not_to_be_run(machine, &path) {
        return Agent::Silent(why);
    }
    let argv = Argv::new(&path.display().to_string(), ["version", "--raw"]);
    match query(machine, &argv, ANSWER_LIMIT) {
        Err(error) => Agent::Silent(error.what),
        Ok(answer) if !answer.success => Agent::Silent(format!("`{argv}` ended with {}", answer.ending)),
        Ok(answer) => match answer.stdout.trim().parse() {
            Ok(version) => Agent::Says(Known { identity, version }),
            Err(wrong) => Agent::Silent(format!("`{argv}`: {wrong}")),
        },
    }
}

fn identity(path: &Path) -> Option<Identity> {
    let metadata = path.metadata().ok()?;
    Some(Identity {
        path: path.to_owned(),
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}

/// Root runs no program that somebody else could have written.
fn not_to_be_run(machine: &Machine, path: &Path) -> Option<String> {
    let metadata = path.metadata().ok()?;
    let foreign = metadata.uid() != machine.superuser || metadata.mode() & 0o022 != 0;
    (machine.is_superuser() && foreign).then(|| {
        format!(
            "{} may be written by others than root and is not run (owner {}, mode {:04o})",
            path.display(),
            metadata.uid(),
            metadata.mode() & 0o7777
        )
    })
}
