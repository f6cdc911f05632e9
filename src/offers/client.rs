//! Asks one version server. Both questions go over one connection, and everything together ends within one limit, retries included.

use std::io::Read;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use ureq::http::{HeaderMap, Response, Uri, Version, header};
use ureq::tls::TlsConfig;
use ureq::{Agent, Body};

use crate::error::{Class, Error, quoted};
use crate::offers::authorities::Authorities;
use crate::offers::failure::{Asked, Failure};
use crate::offers::proxy::{Chosen, Proxies};
use crate::offers::redirect;
use crate::offers::reply::{self, Offered};
use crate::rules::endpoint::Endpoint;
use crate::rules::moment::Moment;
use crate::rules::policy::Transport;
use crate::rules::window::{Schedule, Window};

/// Pauses before the second and the third attempt: a network that comes up at boot is there within seconds, or not in this run.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];
/// Redirects within the server that are followed for one question.
const REDIRECTS: usize = 3;
/// More than the headers of any version server; a content security policy may take 4 KB of it.
const MOST_HEADERS: usize = 16 * 1024;
/// Larger than the headers may be, so that too many of them are told apart from a broken connection.
const BUFFER: usize = MOST_HEADERS + 1024;

/// How long an exchange may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Finding the address; and again for connecting, with a proxy's tunnel and TLS.
    pub connect: Duration,
    /// Waiting for the next bytes.
    pub read: Duration,
    /// Everything, from the first question to the last byte, with retries and pauses.
    pub overall: Duration,
}

/// What the host lends to a check: read at the edge, handed over as values.
pub struct Surroundings<'a> {
    /// Who may sign the server's certificate.
    pub authorities: Authorities,
    /// The proxy variables.
    pub proxies: Proxies,
    /// The `User-Agent`, such as `teleport-upgrade/0.1.0`: visible ASCII.
    pub user_agent: &'static str,
    /// How long everything may take.
    pub limits: Limits,
    /// Waits between attempts.
    pub pause: &'a dyn Fn(Duration),
}

/// What the server says about the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The target.
    pub offered: Offered,
    /// The server's clock, if it told: one second or a cache's age behind at best.
    pub server_time: Option<Moment>,
}

/// One version server, asked for one check. The clock of the check starts with the first question.
pub struct VersionServer<'a> {
    agent: Agent,
    base: String,
    via: Option<Chosen>,
    authorities: String,
    limits: Limits,
    pause: &'a dyn Fn(Duration),
    deadline: Option<Instant>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), read: Duration::from_secs(10), overall: Duration::from_secs(30) }
    }
}

/// What asks one server, with limits on everything that it may say; no redirect is followed, and no status is an error.
#[must_use]
pub fn agent(authorities: &Authorities, via: Option<&Chosen>, user_agent: &str, limits: &Limits, transport: Transport) -> Agent {
    Agent::config_builder()
        .https_only(transport == Transport::Tls)
        .tls_config(TlsConfig::builder().root_certs(authorities.roots.clone()).build())
        // Also when it is none: ureq would look into the environment by itself.
        .proxy(via.map(|chosen| chosen.proxy.clone()))
        .http_status_as_error(false)
        .max_redirects(0)
        .user_agent(user_agent)
        .accept("text/plain, */*;q=0.1")
        .accept_encoding("identity")
        .timeout_resolve(Some(limits.connect))
        .timeout_connect(Some(limits.connect))
        .timeout_per_read(Some(limits.read))
        .timeout_per_write(Some(limits.read))
        .max_response_header_size(MOST_HEADERS)
        .input_buffer_size(BUFFER)
        .output_buffer_size(4 * 1024)
        .max_idle_connections(1)
        .build()
        .new_agent()
}

impl<'a> VersionServer<'a> {
    /// Prepares to ask; nothing is sent yet.
    ///
    /// # Errors
    /// Plain HTTP to another host, or proxy variables that make no sense.
    pub fn new(endpoint: &Endpoint, transport: Transport, surroundings: Surroundings<'a>) -> Result<Self, Error> {
        let scheme = match transport {
            Transport::Tls => "https",
            Transport::PlainLocal if endpoint.is_local() => "http",
            Transport::PlainLocal => {
                return Err(Error::new(
                    Class::Config,
                    format!("refusing to run in insecure mode for non-local endpoint {endpoint}."),
                    "set insecure to no, or endpoint to a server on this very host",
                ));
            }
        };
        let Surroundings { authorities, proxies, user_agent, limits, pause } = surroundings;
        let base = format!("{scheme}://{endpoint}");
        let port = base.parse::<Uri>().ok().and_then(|uri| uri.port_u16()).unwrap_or(443);
        let via = proxies.towards(endpoint.host(), port)?;
        let agent = agent(&authorities, via.as_ref(), user_agent, &limits, transport);
        Ok(Self { agent, base, via, authorities: authorities.called, limits, pause, deadline: None })
    }

    /// Asks which version agents should run.
    ///
    /// # Errors
    /// The network, or a server that answers nonsense; after up to three attempts.
    pub fn version(&mut self) -> Result<Answer, Error> {
        let Reply { url, body, server_time } = self.fetch("version")?;
        match reply::version(&body) {
            Ok(offered) => Ok(Answer { offered, server_time }),
            Err(instead) => {
                let mut error = self.asked(&url).answered(Class::Server, &instead);
                if body.trim_ascii_start().starts_with(b"<") {
                    error.next = format!(
                        "a web page answers: check the path of its address, and that no login page of the network is in between; {}",
                        error.next
                    );
                }
                Err(error)
            }
        }
    }

    /// Asks whether the target is so urgent that no window is waited for. To the caller any failure means no.
    ///
    /// # Errors
    /// As for [`Self::version`].
    pub fn critical(&mut self) -> Result<bool, Error> {
        self.fetch("critical").map(|reply| reply::critical(&reply.body))
    }

    /// Asks when upgrades are welcome (`teleport-version-server` alone answers that).
    ///
    /// # Errors
    /// As for [`Self::version`]; or no window is named.
    pub fn schedule(&mut self, now: Moment) -> Result<Vec<Window>, Error> {
        let Reply { url, body, .. } = self.fetch("schedule")?;
        match Schedule::parse(&body, now) {
            Schedule::Read { windows, .. } if body.len() <= reply::LONGEST && !windows.is_empty() => Ok(windows),
            _ => Err(self.asked(&url).answered(Class::Server, &format!("{}, which names no window", quoted(&body)))),
        }
    }

    /// Asks until there is an answer, asking again is pointless, or time is up.
    fn fetch(&mut self, question: &str) -> Result<Reply, Error> {
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + self.limits.overall);
        let mut pauses = PAUSES.into_iter();
        loop {
            let error = match self.attempt(question, deadline) {
                Ok(reply) => return Ok(reply),
                Err(Failure::Lasting(error)) => return Err(error),
                Err(Failure::Passing(error)) => error,
            };
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(pause) = pauses.next().filter(|pause| *pause < left) else { return Err(error) };
            (self.pause)(pause);
        }
    }

    /// Asks once, and follows the server's own redirects.
    fn attempt(&self, question: &str, deadline: Instant) -> Result<Reply, Failure> {
        let mut url = format!("{}/{question}", self.base);
        for _ in 0..=REDIRECTS {
            let asked = self.asked(&url);
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failure::Lasting(asked.too_late()));
            }
            let exchange = || {
                a_thread_to_spare(&asked)?;
                self.exchange(&asked, left)
            };
            let to = match guarded(&self.agent, self.via.as_ref(), left, exchange)? {
                Exchanged::Body(body, server_time) => return Ok(Reply { url, body, server_time }),
                Exchanged::Redirect(to) => to,
            };
            url = to;
        }
        Err(Failure::Lasting(self.asked(&url).answered(Class::Server, &format!("with more than {REDIRECTS} redirects in a row"))))
    }

    /// One request and one answer.
    fn exchange(&self, asked: &Asked<'_>, left: Duration) -> Result<Exchanged, Failure> {
        let answer = self.agent.get(asked.url).config().timeout_global(Some(left)).build().call();
        let response = answer.map_err(|error| asked.explain(&error))?;
        match response.status().as_u16() {
            200 => {
                let date = response.headers().get(header::DATE).and_then(|value| value.to_str().ok());
                let server_time = date.and_then(reply::date);
                read(asked, response).map(|body| Exchanged::Body(body, server_time))
            }
            301 | 302 | 303 | 307 | 308 => {
                let location = last_location(response.headers());
                let refuse = |why: String| Failure::Lasting(asked.answered(Class::Server, &format!("with a redirect {why}")));
                redirect::within_the_server(asked.url, location).map(Exchanged::Redirect).map_err(refuse)
            }
            status @ (429 | 500..=599) => {
                Err(Failure::Passing(asked.answered(Class::Network, &format!("with the HTTP status {status}"))))
            }
            status => {
                Err(Failure::Lasting(asked.answered(Class::Server, &format!("with the HTTP status {status} instead of 200"))))
            }
        }
    }

    fn asked<'b>(&'b self, url: &'b str) -> Asked<'b> {
        let via = self.via.as_ref().map(|chosen| chosen.called.as_str());
        Asked { url, via, authorities: &self.authorities, limits: &self.limits }
    }
}

/// Does `exchange` over `agent`, and ends it when the time is up even if it waits for a proxy: ureq measures each byte of a proxy's answer
/// anew, so that a dripping one could hold us for hours.
pub(super) fn guarded<T>(agent: &Agent, via: Option<&Chosen>, left: Duration, exchange: impl FnOnce() -> T) -> T {
    if via.is_none() {
        return exchange();
    }
    let (done, finished) = mpsc::channel::<()>();
    let agent = agent.clone();
    let guard = move || {
        if finished.recv_timeout(left) == Err(mpsc::RecvTimeoutError::Timeout) {
            agent.shutdown();
        }
    };
    // Without a thread to spare there is no guard, but the exchange still works.
    let _guard = std::thread::Builder::new().spawn(guard);
    let result = exchange();
    drop(done);
    result
}

/// ureq asks for names in a thread of its own, and ends this process where none can be had.
pub(super) fn a_thread_to_spare(asked: &Asked<'_>) -> Result<(), Failure> {
    let tried = std::thread::Builder::new().spawn(|| ()).map(|thread| thread.join().is_ok());
    tried.map(drop).map_err(|error| {
        Failure::Lasting(Error::new(
            Class::Internal,
            format!("{} cannot be asked: no thread can be started ({error})", asked.url),
            "look at memory and process limits of this host",
        ))
    })
}

/// A complete answer with status 200.
struct Reply {
    url: String,
    body: Vec<u8>,
    server_time: Option<Moment>,
}

enum Exchanged {
    Body(Vec<u8>, Option<Moment>),
    Redirect(String),
}

/// Reads the body to its end, or one byte beyond what any answer may have. Only a body that was read to its end leaves the connection
/// fit for the next question.
fn read(asked: &Asked<'_>, response: Response<Body>) -> Result<Vec<u8>, Failure> {
    let one_too_many = u64::try_from(reply::LONGEST).unwrap_or(0) + 1;
    let encoded = response.headers().get(header::TRANSFER_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let chunked = response.version() > Version::HTTP_10 && encoded.to_ascii_lowercase().contains("chunked");
    let end_is_marked = chunked || response.headers().contains_key(header::CONTENT_LENGTH);
    let mut body = Vec::with_capacity(reply::LONGEST + 1);
    let read = response.into_body().into_reader().take(one_too_many).read_to_end(&mut body);
    read.map_err(|error| asked.explain(&ureq::Error::from(error)))?;
    // 16.2.1 may be what a broken connection left of 16.2.10: then only a line end can tell.
    if !end_is_marked && body.len() <= reply::LONGEST && !body.ends_with(b"\n") {
        let cut = "without a length and without a line end, so that it may be incomplete";
        return Err(Failure::Passing(asked.answered(Class::Network, cut)));
    }
    Ok(body)
}

fn last_location(headers: &HeaderMap) -> &[u8] {
    headers.get_all(header::LOCATION).iter().next_back().map(|value| value.as_bytes()).unwrap_or_default()
}
