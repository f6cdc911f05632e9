//! `install`: brings the agent to a host that has this program and a repository, but no agent yet, as images have them. Says where versions
//! are asked for from now on, installs what is offered there (or what was asked for), and holds it. An agent that is there is `force`'s.

use std::path::Path;

use crate::config;
use crate::error::{Class, Error, quoted};
use crate::host::lock::Lock;
use crate::host::machine::Machine;
use crate::host::packages::{self, Completeness, Packages};
use crate::host::record::Ledger;
use crate::host::transcript::Transcript;
use crate::host::{endpoint, service};
use crate::rules::endpoint::{Endpoint, ForgivenEndpoint};
use crate::rules::facts::{Mandate, Target};
use crate::rules::plan::{HoldAfter, Plan};
use crate::rules::policy::{Hold, Package, Policy};
use crate::rules::release::Release;
use crate::upgrade::server::Server;
use crate::upgrade::{Outcome, apply, consider, outcome, root_only, run};

/// Which version an agent is installed at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// What this cluster offers, now and from now on.
    Offered(Channel),
    /// This one.
    Exactly(Release),
}

/// A channel of a cluster's version server (reference: RFD 109).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    proxy: String,
    name: String,
    endpoint: Endpoint,
}

impl Channel {
    /// The channel of that name behind `HOST[:PORT]`.
    ///
    /// # Errors
    /// What is wrong with either, in words.
    pub fn new(proxy: &str, name: &str) -> Result<Self, String> {
        let bare = proxy.strip_prefix("https://").unwrap_or(proxy).trim_end_matches('/');
        if bare.is_empty() || bare.contains('/') {
            return Err(format!("{} is no HOST[:PORT]", quoted(proxy.as_bytes())));
        }
        let port =
            if bare.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())) { "" } else { ":443" };
        let text = format!("{bare}{port}/v1/webapi/automaticupgrades/channel/{name}");
        let endpoint = text.parse::<ForgivenEndpoint>()?.endpoint;
        Ok(Self { proxy: proxy.to_owned(), name: name.to_owned(), endpoint })
    }
}

impl Wanted {
    /// The words that ask for it on the command line.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        match self {
            Self::Exactly(release) => vec!["install".into(), "--version".into(), release.to_string()],
            Self::Offered(Channel { proxy, name, .. }) => {
                vec!["install".into(), "--proxy".into(), proxy.clone(), "--channel".into(), name.clone()]
            }
        }
    }
}

/// Installs the agent, or moves one that is there to what is offered.
///
/// # Errors
/// What stopped it, with the next step; its class is the exit code.
pub fn install(machine: &Machine, directory: &Path, wanted: &Wanted) -> Result<Outcome, Error> {
    root_only(machine, "install")?;
    let began = (machine.uptime)();
    let lock = Lock::take(machine)?;
    // First what is there is looked at: it decides what root installs.
    config::load(directory, machine.superuser)?;
    if let Wanted::Offered(channel) = wanted {
        endpoint::write(machine, directory, &channel.endpoint)?;
    }
    let policy = config::load(directory, machine.superuser)?.policy;
    let packages = packages::choose(machine, policy.installer, policy.repo.as_ref())?.ok_or_else(|| {
        Error::new(Class::Config, "the file `installer` says `nop`: nothing is installed here", "remove the file `installer`")
    })?;
    let mut ledger = Ledger::open(machine, &lock)?;
    let Some((package, version, completeness)) = present(&*packages, &policy)? else {
        let _ = consider::look_around(machine, directory, &policy, &mut ledger.record, &mut ledger.account);
        let ended = bring(machine, &*packages, &policy, wanted, &lock, &mut ledger);
        let saved = outcome::conclude(machine, directory, &mut ledger, &ended, began);
        return ended.and_then(|outcome| saved.map(|()| outcome));
    };
    match wanted {
        Wanted::Offered(_) => {
            drop(lock);
            run(machine, directory, Mandate::Force)
        }
        Wanted::Exactly(_) if ledger.record.pending.is_some() || completeness != Completeness::Complete => Err(Error::new(
            Class::Package,
            format!("the installation of {package} {version} was cut off"),
            "finish it: teleport-upgrade run",
        )),
        Wanted::Exactly(release) if packages.release_of(&version).as_ref() == Some(release) => {
            machine.log.info(format!("{package} {version} is installed already; nothing was changed."));
            Ok(Outcome::AlreadyThere(release.clone()))
        }
        Wanted::Exactly(release) => Err(Error::new(
            Class::Config,
            format!("{package} {version} is installed already, and `install` moves no agent"),
            format!("write {release} into the file `pin`, then: teleport-upgrade force"),
        )),
    }
}

/// The agent's package, its version and how far its installation got, if there is one.
fn present(packages: &dyn Packages, policy: &Policy) -> Result<Option<(Package, String, Completeness)>, Error> {
    let known = candidates(policy, &Package::KNOWN);
    let states = packages.states(&known)?;
    Ok(known.into_iter().zip(states).find_map(|(package, state)| Some((package, state.version?, state.completeness))))
}

fn candidates(policy: &Policy, names: &[&str]) -> Vec<Package> {
    let named = policy.package.iter().cloned();
    let known = names.iter().filter_map(|name| name.parse().ok());
    if policy.package.is_some() { named.collect() } else { known.collect() }
}

fn bring(
    machine: &Machine,
    packages: &dyn Packages,
    policy: &Policy,
    wanted: &Wanted,
    lock: &Lock,
    ledger: &mut Ledger,
) -> Result<Outcome, Error> {
    let to = match (wanted, &policy.pin) {
        (Wanted::Exactly(release), Some(pin)) if release != pin => {
            return Err(Error::new(
                Class::Config,
                format!("{release} is to be installed, and the file `pin` says {pin}"),
                "write the version to be on into the file `pin`, or remove it",
            ));
        }
        (Wanted::Exactly(release), _) => release.clone(),
        (Wanted::Offered(_), Some(pin)) => pin.clone(),
        (Wanted::Offered(Channel { endpoint, .. }), None) => match Server::of(machine, policy)?.target(machine)?.target {
            Target::Offered(release) | Target::Pinned(release) => release,
            Target::NoneNow => {
                return Err(Error::new(
                    Class::Server,
                    format!("{endpoint} wants no version now"),
                    "ask again later, or install the cluster's own version: teleport-upgrade install --version X",
                ));
            }
        },
    };
    if matches!(wanted, Wanted::Offered(_)) {
        ledger.account.inputs.wanted = Some(to.clone());
    }
    packages.refresh(&Transcript::in_directory(lock.private()))?;
    let plan = Plan {
        package: offered_package(packages, policy, &to)?,
        from: None,
        to,
        database: None,
        finish_first: None,
        hold: if policy.hold == Hold::Between { HoldAfter::Ours } else { HoldAfter::Free },
        service: service::look(machine)?,
        verify: policy.verify,
    };
    apply::apply(machine, packages, &plan, Mandate::Force, lock, ledger)
}

/// The configured package, or the first of the plain ones that the repository has at that version: FIPS is nobody's by accident.
fn offered_package(packages: &dyn Packages, policy: &Policy, release: &Release) -> Result<Package, Error> {
    let wanted = candidates(policy, &["teleport-ent", "teleport"]);
    for package in &wanted {
        let available = packages.available(package)?()?;
        if available.versions.iter().any(|candidate| packages.release_of(&candidate.version).as_ref() == Some(release)) {
            return Ok(package.clone());
        }
    }
    let names: Vec<&str> = wanted.iter().map(Package::as_str).collect();
    Err(Error::new(
        Class::Repository,
        format!("there is no {} {release} in {}", names.join(" or "), packages.repository()),
        "check which channel the repository file names, or name the package in the file `package`",
    ))
}
