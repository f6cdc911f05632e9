//! The version server that a run asks: the real one, or that of a simulated world.

use crate::error::{Class, Error};
use crate::host::authorities;
use crate::host::machine::Machine;
use crate::host::world::World;
use crate::offers::authorities::Authorities;
use crate::offers::client::{Answer, Limits, Surroundings, VersionServer};
use crate::offers::proxy::Proxies;
use crate::offers::reply::{self, Offered};
use crate::rules::facts::{Critical, Target};
use crate::rules::moment::span;
use crate::rules::policy::{Policy, Transport};
use crate::rules::window::Window;

/// A clock that is further than this from the version server's is warned about, in seconds (H12).
const CLOCK_TOLERANCE: i64 = 300;

/// Whoever is asked which version is wanted.
pub(super) enum Server<'m> {
    Real(Box<VersionServer<'m>>),
    OfAWorld(&'m dyn World),
}

/// What it answers.
pub(super) struct Said {
    pub(super) target: Target,
    /// How many seconds this host's clock is ahead of its.
    pub(super) clock_apart: Option<i64>,
}

impl<'m> Server<'m> {
    /// Prepares to ask; nothing is sent yet.
    ///
    /// # Errors
    /// A configuration or surroundings in which nobody can be asked.
    pub(super) fn of(machine: &'m Machine, policy: &Policy) -> Result<Self, Error> {
        if let Some(world) = &machine.world {
            return Ok(Self::OfAWorld(&**world));
        }
        if policy.transport == Transport::PlainLocal {
            machine.log.warning(format!("fetching {}/version in insecure mode (not safe for production use).", policy.endpoint));
        }
        let authorities = match authorities::bundle(machine)? {
            Some((path, pem)) => Authorities::from_pem(pem, &path.display().to_string())?,
            None => Authorities::built_in(),
        };
        let variable = |name| machine.variable(name).map(str::to_owned);
        let surroundings = Surroundings {
            authorities,
            proxies: Proxies { https: variable("HTTPS_PROXY"), all: variable("ALL_PROXY"), none: variable("NO_PROXY") },
            user_agent: concat!("teleport-upgrade/", env!("CARGO_PKG_VERSION")),
            limits: Limits::default(),
            pause: &machine.wait,
        };
        Ok(Self::Real(Box::new(VersionServer::new(&policy.endpoint, policy.transport, surroundings)?)))
    }

    /// What it wants now.
    ///
    /// # Errors
    /// When it cannot be asked, or answers nonsense.
    pub(super) fn target(&mut self, machine: &Machine) -> Result<Said, Error> {
        let answer = match self {
            Self::Real(server) => server.version(),
            Self::OfAWorld(world) => of_a_world(*world),
        };
        let answer = answer.inspect_err(|_| {
            machine.log.warning("failed to get target version, cannot proceed with update check.");
        })?;
        let clock_apart = answer.server_time.map(|theirs| machine.now().since(theirs));
        if let Some(said) = clock_apart.and_then(self::clock_apart) {
            machine.log.warning(format!("{said}."));
        }
        let target = match answer.offered {
            Offered::NoTarget => Target::NoneNow,
            Offered::Release(release) => Target::Offered(release),
        };
        Ok(Said { target, clock_apart })
    }

    /// When upgrades are welcome.
    ///
    /// # Errors
    /// When it cannot be asked, or names no window.
    pub(super) fn windows(&mut self, machine: &Machine) -> Result<Vec<Window>, Error> {
        match self {
            Self::Real(server) => server.schedule(machine.now()),
            Self::OfAWorld(_) => Err(Error::new(Class::Server, "a simulated server names no windows", "ask the agent")),
        }
    }

    /// Whether that is critical. Any failure means that it is not (reference: RFD 109).
    pub(super) fn critical(&mut self, machine: &Machine) -> Critical {
        let answer = match self {
            Self::Real(server) => server.critical().map_err(|error| error.to_string()),
            Self::OfAWorld(world) => world.serve("critical").map(|body| reply::critical(&body)),
        };
        match answer {
            Ok(true) => Critical::Yes,
            Ok(false) => Critical::No,
            Err(error) => {
                machine.log.debug(format!("not critical, because the question failed: {error}"));
                Critical::No
            }
        }
    }
}

fn of_a_world(world: &dyn World) -> Result<Answer, Error> {
    let next = "the next run asks again";
    let body = world.serve("version").map_err(|why| Error::new(Class::Network, why, next))?;
    let offered = reply::version(&body).map_err(|instead| Error::new(Class::Server, instead, next))?;
    Ok(Answer { offered, server_time: None })
}

/// That this host's clock is so many seconds ahead of the version server's, if that is worth a word.
pub(super) fn clock_apart(seconds: i64) -> Option<String> {
    let direction = if seconds > 0 { "ahead of" } else { "behind" };
    (seconds.abs() > CLOCK_TOLERANCE)
        .then(|| format!("this host's clock is {} {direction} the version server's", span(seconds.abs())))
}
