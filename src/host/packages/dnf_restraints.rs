//! What an administrator may have written to keep a package at its version against dnf: excludes, includes and version locks. Reads only.

use std::path::PathBuf;

use crate::host::machine::Machine;
use crate::host::packages::rpm::{self, Source, text};
use crate::host::packages::{exclude, glob};
use crate::rules::plan::Restraint;
use crate::rules::policy::Package;

/// Where excludes for every repository are.
const MAIN: [&str; 3] = ["/etc/dnf/dnf.conf", "/etc/yum.conf", "/etc/yum/yum.conf"];
/// What dnf5 lays over that and over repositories, in parts.
const MAIN_PARTS: [&str; 2] = ["/etc/dnf/libdnf5.conf.d", "/usr/share/dnf5/libdnf.conf.d"];
const OVERRIDES: [&str; 2] = ["/etc/dnf/repos.override.d", "/usr/share/dnf5/repos.override.d"];
/// The versionlock plugin of dnf 4: its settings, and its list unless they name another one; and what dnf5 keeps itself.
const VERSION_LOCK_SETTINGS: [&str; 2] = ["/etc/dnf/plugins/versionlock.conf", "/etc/yum/pluginconf.d/versionlock.conf"];
const VERSION_LOCK_LIST: &str = "/etc/dnf/plugins/versionlock.list";
const VERSION_LOCK_TOML: &str = "/etc/dnf/versionlock.toml";

/// The files of one host, for the agent's repository.
pub(super) struct Restraints<'a> {
    pub(super) machine: &'a Machine,
    pub(super) source: &'a Source,
}

impl Restraints<'_> {
    /// What of an administrator's keeps the package at its version, besides a plain word.
    pub(super) fn any(&self, manager: &str, package: &Package) -> Option<Restraint> {
        let excluded = self.section_exclude(package).or_else(|| self.main_exclude(package)).map(|(word, file)| Restraint {
            is: format!("excluded (`{word}` in {})", file.display()),
            release: "change that line there".into(),
        });
        excluded.or_else(|| {
            self.version_lock(package).map(|file| Restraint {
                is: format!("locked in {}", file.display()),
                release: format!("release it (`{manager} versionlock delete {package}`)"),
            })
        })
    }

    /// In the repository's own section, or in what dnf5 lays over it.
    fn section_exclude(&self, package: &Package) -> Option<(String, PathBuf)> {
        let Source::Repository { id, file } = self.source else { return None };
        let own = text(file).and_then(|text| restraining(&text, id, package, Plain::IsOurs)).map(|word| (word, file.clone()));
        own.or_else(|| {
            rpm::files(self.machine, &OVERRIDES, "repo").into_iter().find_map(|file| {
                let word = restraining(&text(&file)?, id, package, Plain::Counts)?;
                Some((word, file))
            })
        })
    }

    /// In what counts for every repository.
    pub(super) fn main_exclude(&self, package: &Package) -> Option<(String, PathBuf)> {
        let main = MAIN.iter().map(|file| self.machine.path(file));
        main.chain(rpm::files(self.machine, &MAIN_PARTS, "conf")).find_map(|file| {
            let word = restraining(&text(&file)?, "main", package, Plain::Counts)?;
            Some((word, file))
        })
    }

    /// The versionlock plugin of dnf 4, where it is at work, or what dnf5 has for it.
    pub(super) fn version_lock(&self, package: &Package) -> Option<PathBuf> {
        let of_plugin = VERSION_LOCK_SETTINGS.iter().find_map(|settings| {
            let settings = text(&self.machine.path(settings)).filter(|text| !exclude::is_disabled(text, "main"))?;
            let list = exclude::words_of(&settings, "main", &["locklist"]).pop().unwrap_or(VERSION_LOCK_LIST);
            let list = self.machine.path(list);
            let locks =
                |line: &str| !line.starts_with('#') && glob::concerns(line.trim().trim_start_matches('!'), package.as_str());
            text(&list).is_some_and(|text| text.lines().any(locks)).then_some(list)
        });
        of_plugin.or_else(|| {
            let named = |line: &str| {
                line.split_once('=').is_some_and(|(key, value)| {
                    key.trim() == "name" && glob::matches(value.trim().trim_matches(['"', '\'']), package.as_str())
                })
            };
            let file = self.machine.path(VERSION_LOCK_TOML);
            text(&file).is_some_and(|text| text.lines().any(named)).then_some(file)
        })
    }
}

/// Whether the package's very name among the excludes is our own hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plain {
    IsOurs,
    Counts,
}

/// The first word of the section's excludes that concerns the package; or its `includepkgs`, if that leaves the package out.
fn restraining(text: &str, section: &str, package: &Package, plain: Plain) -> Option<String> {
    let ours = |word: &str| plain == Plain::IsOurs && word == package.as_str();
    let mut excludes = exclude::words(text, section).into_iter();
    if let Some(word) = excludes.find(|word| !ours(word) && glob::concerns(word, package.as_str())) {
        return Some(word.to_owned());
    }
    let included = exclude::words_of(text, section, &["includepkgs"]);
    let in_every_version = included.iter().any(|word| glob::matches(word, package.as_str()));
    (!included.is_empty() && !in_every_version).then(|| format!("includepkgs={}", included.join(" ")))
}
