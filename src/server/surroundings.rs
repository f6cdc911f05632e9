//! What this program touches besides its connections: files, the clock, the environment, other servers, systemd.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::string::FromUtf8Error;
use std::time::Duration;

use rustix::fs::OFlags;

use crate::document::Mistake;
use crate::error::{Class, Error};
use crate::log::{Log, Priorities, Volume};
use crate::offers::authorities::Authorities;
use crate::offers::client::{Limits, Surroundings, VersionServer};
use crate::offers::proxy::Proxies;
use crate::rules::endpoint::BUNDLES;
use crate::rules::maintenance::Maintenance;
use crate::rules::moment::Moment;
use crate::server::answer::Said;
use crate::server::channels::Upstream;
use crate::server::configuration::{Configuration, parse, parse_maintenance};
use crate::server::serve::Files;

/// More than any configuration, in bytes.
const LARGEST: u64 = 1024 * 1024;
/// More than any bundle of authorities, in bytes.
const LARGEST_BUNDLE: u64 = 8 * 1024 * 1024;
/// For an answer of another server (docs/facts.md, T2).
const LIMITS: Limits = Limits { connect: Duration::from_secs(5), read: Duration::from_secs(5), overall: Duration::from_secs(10) };

/// Lines on stderr, from any thread.
#[derive(Debug, Clone, Copy)]
pub struct Voice(Priorities);

impl Voice {
    /// With priorities where stderr is the journal.
    #[must_use]
    pub fn real() -> Self {
        Self(Priorities::of_stderr(variable("JOURNAL_STREAM").as_deref()))
    }

    fn log(self) -> Log {
        Log::new(Box::new(std::io::stderr()), Volume::Normal, self.0)
    }

    /// What happens as it should.
    pub fn info(self, text: &str) {
        self.log().info(text);
    }

    /// What somebody should look at.
    pub fn warning(self, text: &str) {
        self.log().warning(text);
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the door to the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Now.
#[expect(clippy::disallowed_methods, reason = "this is the door to the clock")]
pub(super) fn now() -> Moment {
    Moment::from_unix(time::OffsetDateTime::now_utc().unix_timestamp())
}

/// Waits.
#[expect(clippy::disallowed_methods, reason = "this is the door to pauses")]
pub(super) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Whoever calls, what this process makes from now on can be read by all.
pub(super) fn make_public() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
}

/// Tells systemd, if it wants to know (`sd_notify(3)`).
pub(super) fn notify(state: &str) {
    let Some(socket) = variable("NOTIFY_SOCKET") else { return };
    let Ok(ours) = UnixDatagram::unbound() else { return };
    let _ = match socket.strip_prefix('@') {
        Some(name) => {
            use std::os::linux::net::SocketAddrExt;
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name);
            address.and_then(|address| ours.send_to_addr(state.as_bytes(), &address))
        }
        None => ours.send_to(state.as_bytes(), socket),
    };
}

/// Reads a configuration.
///
/// # Errors
/// [`Class::Config`]: a file cannot be read, or everything that is wrong in it.
pub(super) fn read(files: &Files) -> Result<Configuration, Error> {
    let path = &files.configuration;
    let main = text(path).and_then(|text| parse(&text).map_err(|mistakes| refused(path, &mistakes)));
    let beside = files.maintenance.as_deref().map(|path| (path, maintenance(path)));
    let mut configuration = match (main, &beside) {
        (Err(one), Some((_, Err(other)))) => {
            return Err(Error { what: format!("{}\n    {}", one.what, other.what), ..one });
        }
        (main, _) => main?,
    };
    if let Some((path, maintenance)) = beside {
        if configuration.maintenance.is_some() {
            let what = format!("{} and {} both have a cluster_maintenance_config", files.configuration.display(), path.display());
            return Err(Error::new(Class::Config, what, "leave it in one of them"));
        }
        configuration.maintenance = Some(maintenance?);
    }
    Ok(configuration)
}

/// Reads a maintenance configuration.
///
/// # Errors
/// As [`read`].
pub(super) fn maintenance(path: &Path) -> Result<Maintenance, Error> {
    parse_maintenance(&text(path)?)
        .map_err(|mistakes| Error { next: format!("mend {}, and try again", path.display()), ..refused(path, &mistakes) })
}

fn text(path: &Path) -> Result<String, Error> {
    let not_utf8 = |error: FromUtf8Error| {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        io::Error::other(format!("line {line} is no text in UTF-8"))
    };
    let text = contents(path, LARGEST).and_then(|bytes| String::from_utf8(bytes).map_err(not_utf8));
    text.map_err(|why| {
        let next = if why.kind() == io::ErrorKind::PermissionDenied {
            "whoever runs this program, as the service does, must be able to read it: chmod 644"
        } else {
            "name the file of the configuration, which is text in UTF-8; what is there now: ls -ld"
        };
        let next = format!("{next} {}", path.display());
        Error::new(Class::Config, format!("{} cannot be read: {why}", path.display()), next)
    })
}

fn contents(path: &Path, largest: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // A pipe in its place must not keep us waiting.
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(nonblocking).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let length = file.take(largest + 1).read_to_end(&mut bytes)?;
    if u64::try_from(length).is_ok_and(|length| length > largest) {
        return Err(io::Error::other(format!("it is larger than {largest} bytes")));
    }
    Ok(bytes)
}

fn refused(path: &Path, mistakes: &[Mistake]) -> Error {
    let lines: Vec<String> = mistakes.iter().map(|mistake| format!("{}: {mistake}", path.display())).collect();
    Error::new(
        Class::Config,
        lines.join("\n    "),
        format!("mend it, then: teleport-version-server check-config {}", path.display()),
    )
}

/// Those that `SSL_CERT_FILE` names, and no others; else the system's.
fn authorities() -> Result<Authorities, String> {
    let bundle = match variable("SSL_CERT_FILE") {
        Some(path) => {
            let pem = contents(Path::new(&path), LARGEST_BUNDLE)
                .map_err(|why| format!("SSL_CERT_FILE names {path}, which cannot be read: {why}"))?;
            Some((pem, path))
        }
        None => BUNDLES.iter().find_map(|path| Some((contents(Path::new(path), LARGEST_BUNDLE).ok()?, (*path).to_owned()))),
    };
    bundle.map_or_else(
        || Ok(Authorities::built_in()),
        |(pem, path)| Authorities::from_pem(pem, &path).map_err(|error| error.to_string()),
    )
}

/// Asks another server what it offers, and whether that is critical.
pub(super) fn ask(upstream: &Upstream) -> Result<Said, String> {
    let either = |name: &str| variable(name).or_else(|| variable(&name.to_ascii_lowercase()));
    let surroundings = Surroundings {
        authorities: authorities()?,
        proxies: Proxies { https: either("HTTPS_PROXY"), all: either("ALL_PROXY"), none: either("NO_PROXY") },
        user_agent: concat!("teleport-version-server/", env!("CARGO_PKG_VERSION")),
        limits: LIMITS,
        pause: &pause,
    };
    let mut server =
        VersionServer::new(&upstream.endpoint, upstream.transport, surroundings).map_err(|error| error.to_string())?;
    let offered = server.version().map_err(|error| error.to_string())?.offered;
    // A target whose urgency cannot be told is none: agents that ask again would otherwise be told two things.
    // But one that gives no such answer has no urgent ones (T2).
    let critical = match server.critical() {
        Err(error) if error.class == Class::Server => false,
        said => said.map_err(|error| error.to_string())?,
    };
    Ok((offered, critical))
}
