//! Which package manager moves the agent on this host: the one that the operator named, or else what is installed here and knows the agent's
//! package. What a distribution calls itself only decides between two that share one database.

use crate::error::{Class, Error};
use crate::host::command::exists;
use crate::host::machine::Machine;
use crate::host::packages::{Packages, apt, dnf, rpm, rpm_reply, zypper};
use crate::rules::policy::{Installer, Package, Repo};

/// The manager that the operator named, or the one that this host has; `None` when the operator wants nothing moved (`nop`).
///
/// # Errors
/// [`Class::Config`] when there is none, or when it cannot be told which: never silently `nop`.
pub fn choose<'m>(
    machine: &'m Machine,
    installer: Option<Installer>,
    repo: Option<&Repo>,
) -> Result<Option<Box<dyn Packages + 'm>>, Error> {
    let chosen = match installer {
        Some(named) => named,
        None => found(machine)?,
    };
    Ok(match chosen {
        Installer::Nop => None,
        Installer::Apt => Some(Box::new(apt::Apt::new(machine, repo)?)),
        Installer::Dnf => Some(Box::new(dnf::Dnf::new(machine, "dnf", repo)?)),
        Installer::Yum => Some(Box::new(dnf::Dnf::new(machine, "yum", repo)?)),
        Installer::Zypper => Some(Box::new(zypper::Zypper::new(machine, repo)?)),
    })
}

fn found(machine: &Machine) -> Result<Installer, Error> {
    let debian = exists(machine, "apt-get") && exists(machine, "dpkg-query");
    let of_rpm = if rpm::is_here(machine) { rpm_manager(machine) } else { Ok(None) };
    match (debian, of_rpm) {
        (true, Ok(None)) => Ok(Installer::Apt),
        (false, Ok(Some(manager))) => Ok(manager),
        (false, Ok(None)) => Err(Error::new(
            Class::Config,
            "this host has no package manager that this program can drive (looked for apt-get with dpkg-query, and for dnf, yum or zypper with rpm)",
            "write `nop` into the file `installer` if something else installs the agent here",
        )),
        (false, Err(error)) => Err(error),
        // Tools of the other family are often there, to build packages or to look into them: the agent's own package tells.
        (true, of_rpm) => match (dpkg_has_the_agent(machine), rpm_has_the_agent(machine)) {
            (_, false) => Ok(Installer::Apt),
            (false, true) => of_rpm.map(|manager| manager.unwrap_or(Installer::Apt)),
            (true, true) => Err(ambiguous("the agent's package is in the databases of dpkg and of rpm")),
        },
    }
}

/// dnf and zypper share one database, so only the distribution tells them apart where both are there.
fn rpm_manager(machine: &Machine) -> Result<Option<Installer>, Error> {
    let dnf = ["dnf", "yum"].into_iter().find(|program| exists(machine, program));
    let dnf = dnf.map(|program| if program == "dnf" { Installer::Dnf } else { Installer::Yum });
    match (dnf, exists(machine, "zypper")) {
        (None, false) => Ok(None),
        (Some(dnf), false) => Ok(Some(dnf)),
        (None, true) => Ok(Some(Installer::Zypper)),
        (Some(dnf), true) => match family(&std::fs::read_to_string(machine.path("/etc/os-release")).unwrap_or_default()) {
            Some(Family::Suse) => Ok(Some(Installer::Zypper)),
            Some(Family::RedHat) => Ok(Some(dnf)),
            None => Err(ambiguous("this host has dnf and zypper")),
        },
    }
}

fn ambiguous(what: &str) -> Error {
    Error::new(
        Class::Config,
        format!("{what}: it cannot be told which package manager moves the agent"),
        "write `apt`, `dnf`, `yum` or `zypper` into the file `installer`",
    )
}

fn known() -> Vec<Package> {
    Package::KNOWN.iter().filter_map(|name| name.parse().ok()).collect()
}

fn dpkg_has_the_agent(machine: &Machine) -> bool {
    let states = apt::Apt::new(machine, None).and_then(|apt| apt.states(&known()));
    states.is_ok_and(|states| states.iter().any(|state| state.version.is_some()))
}

fn rpm_has_the_agent(machine: &Machine) -> bool {
    let known = known();
    let has = |text: String| known.iter().any(|package| !rpm_reply::entries(&text, package.as_str()).is_empty());
    rpm::installed(machine, &known).is_ok_and(has)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Suse,
    RedHat,
}

/// Reads os-release(5): `ID` and `ID_LIKE`.
pub(super) fn family(text: &str) -> Option<Family> {
    let values = text.lines().filter_map(|line| line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE=")));
    let words: Vec<&str> = values.flat_map(|value| value.trim_matches(['"', '\'']).split(' ')).collect();
    if words.iter().any(|word| word.contains("suse") || *word == "sles") {
        return Some(Family::Suse);
    }
    let red_hat = ["rhel", "fedora", "centos", "amzn", "ol", "rocky", "almalinux"];
    words.iter().any(|word| red_hat.contains(word)).then_some(Family::RedHat)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_is_known_by_its_own_name_or_by_what_it_is_like() {
        let stories = [
            ("NAME=x\nID=opensuse-leap\nID_LIKE=\"suse opensuse\"\n", Some(Family::Suse)),
            ("ID=\"sles\"\n", Some(Family::Suse)),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", Some(Family::RedHat)),
            ("ID=fedora\n", Some(Family::RedHat)),
            ("ID=\"amzn\"\nID_LIKE=\"fedora\"\n", Some(Family::RedHat)),
            ("ID=debian\n", None),
            ("", None),
        ];
        for (text, expected) in stories {
            assert_eq!(family(text), expected, "{text}");
        }
    }
}
