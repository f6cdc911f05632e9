//! Bringing the agent onto the version that is installed now, and saying how that went.

use crate::error::{Class, Error};
use crate::host::agent;
use crate::host::machine::Machine;
use crate::host::service::{self, Brought};
use crate::rules::plan::{AgentBefore, Means, Service};

/// Whether there is an agent to watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Up {
    /// It runs the new version.
    Now,
    /// It will when somebody starts it, or starts it again.
    Later,
}

/// The version that the agent is brought onto.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Onto {
    /// The one that the upgrade is about.
    New,
    /// The one that is gone back to, or was never left.
    Before,
}

impl std::fmt::Display for Onto {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::New => "the new version",
            Self::Before => "the version before",
        })
    }
}

/// Restarts the agent, which ran `before` or not, in the way that was planned, and looks whether it runs the installed file.
///
/// # Errors
/// [`Class::Broken`] when nothing does.
pub(super) fn bring_up(machine: &Machine, service: &Service, before: AgentBefore, onto: Onto) -> Result<Up, Error> {
    let means = match service {
        Service::Running(means) => *means,
        Service::Stopped(state) => {
            machine.log.info(format!("teleport.service is not running ({state}): it is left so."));
            return Ok(Up::Later);
        }
        Service::NoUnit if before == AgentBefore::Running => {
            return Err(Error::new(
                Class::Broken,
                "teleport.service is gone: the agent ran as that unit before, and would not come back after a reboot",
                "systemctl status teleport; install the agent's package again",
            ));
        }
        Service::NoUnit => {
            machine.log.warning("there is no teleport.service: an agent that runs some other way must be restarted by hand.");
            return Ok(Up::Later);
        }
        Service::NoSystemd if before == AgentBefore::Running => {
            return Err(Error::new(
                Class::Broken,
                "the agent ran before and does so no more; there is no systemd here to start it",
                "start it the way it was started",
            ));
        }
        Service::NoSystemd => {
            machine.log.warning("this host was not booted with systemd: a running agent goes on with the old version until it is restarted.\n    next: restart it the way it was started; or, to keep open sessions: kill -HUP $(cat /run/teleport.pid)");
            return Ok(Up::Later);
        }
    };
    let installed = agent::installed_file(machine).ok_or_else(|| {
        Error::new(Class::Broken, "the agent's binary is gone", "ls -l /usr/local/bin/teleport; reinstall the agent's package")
    })?;
    machine.log.info("gracefully restarting Teleport (if already running)");
    match service::bring_up(machine, means, installed)? {
        Brought::WasThere(process) => machine.log.info(format!("the agent runs {onto} already (pid {}).", process.pid)),
        Brought::By(Means::Reload | Means::ReloadAlone, process) => {
            machine.log.info(format!("the agent runs {onto} (pid {}); open sessions go on in the old process.", process.pid));
        }
        Brought::By(Means::HangUp(old), process) => machine
            .log
            .info(format!("the agent runs {onto} (pid {}); open sessions go on in the old process (pid {old}).", process.pid)),
        Brought::By(Means::Restart, process) => machine.log.info(format!("the agent runs {onto} (pid {}).", process.pid)),
        Brought::NotBrought(process) => {
            let next = match means {
                Means::HangUp(_) => "restart it the way it was started; that ends open sessions",
                _ => "systemctl restart teleport, which ends open sessions",
            };
            let what = format!("the agent (pid {}) was told to hang up and goes on with the", process.pid);
            if onto == Onto::Before {
                return Err(Error::new(Class::Broken, format!("{what} version that failed"), next));
            }
            machine.log.warning(format!("{what} old version.\n    next: {next}"));
            return Ok(Up::Later);
        }
    }
    Ok(Up::Now)
}
