//! What this program touches besides the API server: files, the clock, the environment, other servers.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{Class, Error};
use crate::kube::image::credentials::Credentials;
use crate::kube::settings::Pull;
use crate::offers::authorities::Authorities;
use crate::offers::client::Limits;
use crate::offers::proxy::Proxies;
use crate::offers::web::{Answer, Question, Web};
use crate::rules::endpoint::BUNDLES;
use crate::rules::moment::Moment;

/// How this program calls itself.
pub const USER_AGENT: &str = concat!("teleport-kube-agent-updater/", env!("CARGO_PKG_VERSION"));
/// More than any file that is read here, in bytes.
const LARGEST: usize = 4 * 1024 * 1024;
/// What Docker calls the file with its credentials.
const DOCKERS: &str = "config.json";
/// And a mounted secret of the type `kubernetes.io/dockerconfigjson`: its key.
const SECRETS: &str = ".dockerconfigjson";
/// For one answer of another server.
pub const LIMITS: Limits =
    Limits { connect: Duration::from_secs(10), read: Duration::from_secs(10), overall: Duration::from_secs(30) };

/// When everything that belongs together has to be done.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// So much time from now on.
    #[must_use]
    pub fn within(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// How much of it is left.
    #[must_use]
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// Other servers.
pub struct Outside {
    web: Web,
}

impl Outside {
    /// With the authorities and proxies of this process.
    ///
    /// # Errors
    /// [`Class::Config`]: SSL_CERT_FILE names a file without a certificate.
    pub fn real() -> Result<Self, Error> {
        Ok(Self::over(Web { authorities: authorities()?, proxies: proxies(), user_agent: USER_AGENT, limits: LIMITS }))
    }

    /// Over these ways.
    #[must_use]
    pub fn over(web: Web) -> Self {
        Self { web }
    }

    /// Asks once, over TLS.
    ///
    /// # Errors
    /// There was no answer.
    pub fn get(&self, question: &Question<'_>, deadline: Deadline) -> Result<Answer, Error> {
        self.web.get(question, deadline.left())
    }

    /// Who may sign a server's certificate.
    #[must_use]
    pub fn authorities(&self) -> Authorities {
        self.web.authorities.clone()
    }
}

/// The directory in which credentials of registries are mounted, if there is one. They change there, every twelve hours for some registries.
#[derive(Debug, Clone)]
pub struct Mounted(Option<PathBuf>);

impl Mounted {
    /// In this directory.
    #[must_use]
    pub fn at(directory: PathBuf) -> Self {
        Self(Some(directory))
    }

    /// Where Docker keeps them, if those are asked for.
    #[must_use]
    pub fn of(pull: Pull) -> Self {
        let home = || variable("HOME").map(|home| format!("{home}/.docker"));
        let directory = || variable("DOCKER_CONFIG").or_else(home).unwrap_or_else(|| "/root/.docker".into());
        Self((pull == Pull::WithDockers).then(|| directory().into()))
    }

    /// What is there now.
    ///
    /// # Errors
    /// [`Class::Config`]: there is nothing that can be read, or it makes no sense.
    pub fn credentials(&self) -> Result<Credentials, Error> {
        let Some(directory) = &self.0 else { return Ok(Credentials::default()) };
        let wrong = |what: String| {
            let next = "mount a secret of the type kubernetes.io/dockerconfigjson there, readable for this user; see --help";
            Error::new(Class::Config, what, next)
        };
        // What cannot be looked for is there: reading it says why.
        let files = [DOCKERS, SECRETS].map(|name| directory.join(name));
        let file = files.into_iter().find(|file| file.try_exists().unwrap_or(true));
        let none = || wrong(format!("there is neither {DOCKERS} nor {SECRETS} in {}", directory.display()));
        let file = file.ok_or_else(none)?;
        Credentials::parse(&read(&file)?).map_err(|why| wrong(format!("{} {why}", file.display())))
    }
}

/// The system's bundle, and what SSL_CERT_FILE has besides: the chart names the cluster's own authority there, and registries need the others.
fn authorities() -> Result<Authorities, Error> {
    let system = BUNDLES.iter().find_map(|path| Some((read(Path::new(path)).ok()?, (*path).to_owned())));
    let named = variable("SSL_CERT_FILE").map(|path| read(Path::new(&path)).map(|pem| (pem, path))).transpose()?;
    match (system, named) {
        (None, None) => Ok(Authorities::built_in()),
        (Some((pem, path)), None) | (None, Some((pem, path))) => Authorities::from_pem(pem, &path),
        (Some((mut all, system)), Some((pem, path))) => {
            // One that is broken would not be missed among the others.
            Authorities::from_pem(pem.clone(), &path)?;
            all.push(b'\n');
            all.extend(pem);
            Authorities::from_pem(all, &format!("{system} and {path}"))
        }
    }
}

/// The proxy variables.
#[must_use]
pub fn proxies() -> Proxies {
    let either = |name: &str| variable(name).or_else(|| variable(&name.to_ascii_lowercase()));
    Proxies { https: either("HTTPS_PROXY"), all: either("ALL_PROXY"), none: either("NO_PROXY") }
}

/// A file, whole.
///
/// # Errors
/// [`Class::Config`]: it cannot be read, or is larger than anything that is read here.
pub fn read(path: &Path) -> Result<Vec<u8>, Error> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let most = u64::try_from(LARGEST).unwrap_or(u64::MAX) + 1;
    let why = match std::fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes)) {
        Ok(length) if length > LARGEST => format!("it is larger than {LARGEST} bytes"),
        Ok(_) => return Ok(bytes),
        Err(error) => error.to_string(),
    };
    Err(Error::new(
        Class::Config,
        format!("{} cannot be read: {why}", path.display()),
        "is it mounted, and readable for this user?",
    ))
}

/// A variable of the environment, unless it is empty.
#[expect(clippy::disallowed_methods, reason = "this is the door to the environment")]
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Now.
#[expect(clippy::disallowed_methods, reason = "this is the door to the clock")]
#[must_use]
pub fn now() -> Moment {
    Moment::from_unix(time::OffsetDateTime::now_utc().unix_timestamp())
}

/// Waits.
#[expect(clippy::disallowed_methods, reason = "this is the door to pauses")]
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}
