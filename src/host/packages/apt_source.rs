//! Which apt source file the agent's packages come from, so that apt can be restricted to it.

use std::path::PathBuf;

use crate::error::{Class, Error};
use crate::host::machine::Machine;
use crate::rules::policy::Repo;

/// The directory of source files (sources.list(5)).
const SOURCES: &str = "/etc/apt/sources.list.d";
/// The file's name without ending, as the vendor's instructions have it.
const DEFAULT: &str = "teleport";

/// Where apt looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// In one source file.
    File(PathBuf),
    /// Wherever it is configured to: no source file bears the expected name.
    Every,
}

/// The source file that `repo` names, or `teleport.sources` or `teleport.list` if there is one, or every one.
///
/// apt itself says nothing when it is restricted to a file that is not there (V13), so this looks.
pub(super) fn find(machine: &Machine, repo: Option<&Repo>) -> Result<Source, Error> {
    let name = repo.map_or(DEFAULT, Repo::as_str);
    let files = ["sources", "list"].map(|ending| PathBuf::from(format!("{SOURCES}/{name}.{ending}")));
    if let Some(file) = files.into_iter().find(|file| machine.path(file).is_file()) {
        return Ok(Source::File(file));
    }
    if repo.is_none() {
        return Ok(Source::Every);
    }
    let present = present(machine);
    let present = if present.is_empty() { "none".to_owned() } else { present.join(", ") };
    Err(Error::new(
        Class::Config,
        format!("`repo` says {name}, but there is neither {SOURCES}/{name}.sources nor {SOURCES}/{name}.list"),
        format!("name one of the source files there ({present}) or remove the file `repo`"),
    ))
}

fn present(machine: &Machine) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(machine.path(SOURCES)) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".list").or_else(|| name.strip_suffix(".sources")).map(str::to_owned))
        .collect();
    names.sort_unstable();
    names.truncate(20);
    names
}
