//! The configuration directory: one value a file. `directory` opens and trusts, this room turns what is written into a [`Policy`],
//! `schedule` reads the one file that somebody else writes. It does not log and does not mend.

mod directory;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod schedule;

use std::path::Path;

pub use self::schedule::read as read_schedule;
use crate::config::directory::{Directory, Written};
use crate::error::{Class, Error};
use crate::rules::endpoint::{Endpoint, ForgivenEndpoint};
use crate::rules::policy::{Detail, Downgrade, EndpointSource, Hold, Installer, Policy, Prefetch, Transport, WindowSource};

/// Where the configuration lies unless `--config` or `TELEPORT_UPGRADE_CONFIG` say otherwise.
pub const DEFAULT_DIRECTORY: &str = "/etc/teleport-upgrade.d";

/// The policy and what is to be said about how it was written.
#[derive(Debug)]
pub struct Loaded {
    /// What the operator allows.
    pub policy: Policy,
    /// What was forgiven, in sentences; said at every run.
    pub warnings: Vec<String>,
    /// Names in the directory that mean nothing to this version; said once each.
    pub unknown: Vec<String>,
    /// Files that this user may not read; their defaults were taken. Always empty for root.
    pub unread: Vec<String>,
}

const INSTALLERS: [(&str, Option<Installer>); 5] = [
    ("apt", Some(Installer::Apt)),
    ("dnf", Some(Installer::Dnf)),
    ("yum", Some(Installer::Yum)),
    ("zypper", Some(Installer::Zypper)),
    ("nop", Some(Installer::Nop)),
];

/// Files that are there for others and not warned about: the agent's, and what the stock updater left.
const OTHERS: [&str; 2] = ["schedule", "mark-unhealthy"];

/// Reads the directory. A missing one is an empty one.
///
/// # Errors
/// [`Class::Config`], naming file, line, value and what is accepted; or the owner and mode that cannot be trusted, and the command
/// that mends them.
pub fn load(path: &Path, root: u32) -> Result<Loaded, Error> {
    let mut directory = Directory::open(path, root)?;
    let mut warnings = Vec::new();

    let endpoint = directory.value("endpoint", |text| {
        text.parse::<ForgivenEndpoint>().map_err(|wrong| format!("{wrong}; accepted: HOST[:PORT]/PATH without a scheme"))
    })?;
    let (endpoint, endpoint_source) = match endpoint {
        None => (Endpoint::built_in(), EndpointSource::BuiltIn),
        Some(Written { value, place, .. }) => {
            warnings.extend(value.forgiven.iter().map(|what| format!("{place}: ignoring {what}: write {}", value.endpoint)));
            (value.endpoint, EndpointSource::Configured)
        }
    };
    let policy = Policy {
        transport: directory.choice("insecure", Transport::Tls, &[("no", Transport::Tls), ("yes", Transport::PlainLocal)])?,
        package: directory.parsed("package", "the name of a package, such as teleport-ent")?,
        installer: directory.choice("installer", None, &INSTALLERS)?,
        repo: directory.parsed("repo", "the name of a repository, such as teleport")?,
        pin: directory.parsed("pin", "a version, such as 16.2.0")?,
        downgrade: directory.choice(
            "allow-downgrade",
            Downgrade::SameMajor,
            &[("no", Downgrade::No), ("same-major", Downgrade::SameMajor), ("any", Downgrade::Any)],
        )?,
        hold: directory.choice("lock", Hold::Between, &[("yes", Hold::Between), ("no", Hold::Never)])?,
        verify: directory
            .parsed("verify-seconds", "a number of seconds up to 3600, such as 60; 0 for no proof")?
            .unwrap_or_default(),
        prefetch: directory.choice("prefetch", Prefetch::No, &[("no", Prefetch::No), ("yes", Prefetch::Yes)])?,
        windows: directory.choice(
            "schedule-source",
            WindowSource::Agent,
            &[("agent", WindowSource::Agent), ("server", WindowSource::Server)],
        )?,
        metrics: directory.parsed(
            "metrics",
            "the directory of node_exporter's textfile collector, such as /var/lib/prometheus/node-exporter",
        )?,
        spread: directory.parsed("spread", "percent of a window, from 0 to 100; 0 for every host at once")?.unwrap_or_default(),
        detail: directory.choice("debug", Detail::Normal, &[("no", Detail::Normal), ("yes", Detail::Debug)])?,
        endpoint,
        endpoint_source,
    };
    if policy.transport == Transport::PlainLocal && !policy.endpoint.is_local() {
        return Err(Error::new(
            Class::Config,
            format!("refusing to run in insecure mode for non-local endpoint {}.", policy.endpoint),
            format!("remove {} or name localhost, 127.0.0.1 or [::1] in endpoint", path.join("insecure").display()),
        ));
    }
    let unknown = directory.names_other_than(&OTHERS)?;
    Ok(Loaded { policy, warnings, unknown, unread: directory.unread })
}

#[cfg(test)]
mod tests;
