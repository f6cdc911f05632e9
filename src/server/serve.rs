//! Listening: a thread a connection, up to a number; reloading, and ending without cutting anybody off.

use std::cell::Cell;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::error::{Class, Error};
use crate::http::reply::{Reply, Status};
use crate::http::wire::{After, Connection, Head, Next};
use crate::rules::moment::span;
use crate::server::answer::{Said, reply};
use crate::server::channels::Upstream;
use crate::server::configuration::Configuration;
use crate::server::forward::{Outcome, Upstreams};
use crate::server::route::route;
use crate::server::surroundings::{self, Voice};

/// Requests that are complete get an answer within this time after an order to end.
const DRAIN: Duration = Duration::from_secs(10);
/// And so long those that have begun may take to become complete.
const COMPLETION: Duration = Duration::from_secs(2);
/// So long those that are connected have for the first byte of a request, which may be on its way or wait to be read.
const FIRST_BYTE: Duration = Duration::from_millis(100);
/// So long whoever waits to be accepted is accepted still. There is always somebody, under load.
const QUEUE: Duration = Duration::from_secs(1);
/// So many answers a connection gets: proxies begin a new one then, and one that nobody ends would be held for ever.
const MOST_ANSWERS: usize = 1000;
/// What the kernel keeps of answers that a client does not read, in bytes: a hundred of them.
const UNREAD: usize = 32 * 1024;
/// Descriptors for everything but connections.
const SPARE: usize = 16;
/// Enough for a question to another server over TLS.
const STACK: usize = 256 * 1024;

/// What is served, and from where.
pub struct Serve {
    /// The files that it is read from: once now, and with each HUP.
    pub files: Files,
    /// Where to listen.
    pub listen: SocketAddr,
    /// How many connections at a time.
    pub connections: usize,
}

/// The files of a configuration.
pub struct Files {
    /// The channels.
    pub configuration: PathBuf,
    /// A maintenance configuration of its own, if there is one.
    pub maintenance: Option<PathBuf>,
}

/// What all connections share.
struct Shared {
    configuration: RwLock<Arc<Configuration>>,
    upstreams: Upstreams,
    voice: Voice,
    /// How many connections at a time.
    most: usize,
    open: AtomicUsize,
    /// Connections with a request that has begun and is not answered.
    begun: AtomicUsize,
    /// Those of them whose request is complete.
    busy: AtomicUsize,
    ending: AtomicBool,
}

/// Serves until it is told to end.
///
/// # Errors
/// A configuration that makes no sense, more connections than descriptors, or an address that cannot be listened on; then nothing listens.
pub fn serve(what: &Serve, voice: Voice) -> Result<(), Error> {
    let configuration = surroundings::read(&what.files)?;
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(|error| {
        Error::new(Class::Internal, format!("signals cannot be waited for: {error}"), "look at the limits of this host")
    })?;
    room(what.connections, descriptors())?;
    let listener = TcpListener::bind(what.listen).map(Arc::new).map_err(|error| deaf(what.listen, &error))?;
    // Connections inherit it. Without it, one alone can have megabytes of the kernel's memory.
    let _ = rustix::net::sockopt::set_socket_send_buffer_size(&*listener, UNREAD);
    let address = listener.local_addr().unwrap_or(what.listen);
    let shared = Arc::new(Shared {
        configuration: RwLock::new(Arc::new(configuration)),
        // The others are for channels that need no other server.
        upstreams: Upstreams::new((what.connections / 4).max(1)),
        voice,
        most: what.connections,
        open: AtomicUsize::new(0),
        begun: AtomicUsize::new(0),
        busy: AtomicUsize::new(0),
        ending: AtomicBool::new(false),
    });
    let (accepting, listening) = (Arc::clone(&shared), Arc::clone(&listener));
    let accepts = move || accept(&listening, &accepting);
    let accepting = thread::Builder::new().name("accept".into()).spawn(accepts).map_err(|error| {
        Error::new(Class::Internal, format!("no thread can be started: {error}"), "look at the limits of this host")
    })?;
    shared.voice.info(&format!("serving {} on http://{address}", what.files.configuration.display()));
    surroundings::notify("READY=1");
    for signal in signals.forever() {
        if signal != SIGHUP {
            break;
        }
        shared.reload(&what.files);
    }
    surroundings::notify("STOPPING=1");
    shared.ending.store(true, Ordering::SeqCst);
    accept_the_rest(&listener, &shared);
    // From now on the kernel refuses connections, and whoever waits for one is woken; what it has got by then is counted when it ends.
    let _ = rustix::net::shutdown(&*listener, rustix::net::Shutdown::Both);
    let _ = accepting.join();
    shared.drain();
    Ok(())
}

fn deaf(address: SocketAddr, error: &std::io::Error) -> Error {
    let what = format!("{address} cannot be listened on: {error}");
    if error.kind() == std::io::ErrorKind::PermissionDenied {
        let next = "choose a port from 1024 on with --listen (the unit's LISTEN), such as 127.0.0.1:3080: those below are for the \
                    reverse proxy in front";
        return Error::new(Class::Config, what, next);
    }
    let next =
        "ip address and ss -ltnp show the addresses of this host and who listens; try again, or choose another with --listen";
    Error::new(Class::Network, what, next)
}

/// How many descriptors this process can have, after it has allowed itself all that it may; none where there is no limit.
fn descriptors() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    if raised.is_ok() { limit.maximum } else { limit.current }
}

/// Without a descriptor to spare nobody can be told that there are too many: they would hang.
fn room(connections: usize, limit: Option<u64>) -> Result<(), Error> {
    // A quarter of them may ask other servers, each over a connection of its own.
    let needs = connections + connections / 4 + SPARE;
    let Some(limit) = limit.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit < needs) else { return Ok(()) };
    let what = format!(
        "--connections {connections} needs {needs} open files, and the limit of this process is {limit} (RLIMIT_NOFILE, ulimit -Hn)"
    );
    let most = limit.saturating_sub(SPARE).saturating_mul(4) / 5;
    let fewer = if most > 0 { format!(", or serve at most {most}") } else { String::new() };
    Err(Error::new(Class::Config, what, format!("raise the limit (LimitNOFILE= in the unit){fewer}")))
}

impl Shared {
    /// A file that makes no sense is refused, and everything stays.
    fn reload(&self, files: &Files) {
        match surroundings::read(files) {
            Ok(configuration) => {
                *self.configuration.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(configuration);
                self.voice.info(&format!("serving {} as it is now", files.configuration.display()));
            }
            Err(error) => {
                let what = format!("{}\n    what was served before is still served", error.what);
                self.voice.warning(&Error { what, ..error }.to_string());
            }
        }
    }

    fn drain(&self) {
        let began = Instant::now();
        let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
        let is_within = |limit| began.elapsed() < limit;
        while (count(&self.open) > 0 && is_within(FIRST_BYTE))
            || (count(&self.begun) > 0 && (is_within(COMPLETION) || (count(&self.busy) > 0 && is_within(DRAIN))))
        {
            surroundings::pause(Duration::from_millis(5));
        }
        match (count(&self.begun), count(&self.busy)) {
            (0, _) => self.voice.info("told to end: every request that had begun is answered"),
            (begun, busy) => {
                let (late, slow, part) = (COMPLETION.as_secs(), DRAIN.as_secs(), begun.saturating_sub(busy));
                let what = format!("{part} requests were not complete after {late} s, and {busy} not answered after {slow} s");
                self.voice.warning(&format!("told to end: {what}"));
            }
        }
    }

    /// Whether a place that nobody needs just now is better given to somebody else.
    fn is_nearly_full(&self) -> bool {
        self.open.load(Ordering::SeqCst) >= self.most - self.most / 8
    }

    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }

    fn answer(&self, head: &Head) -> Reply {
        let configuration = Arc::clone(&self.configuration.read().unwrap_or_else(PoisonError::into_inner));
        let ask = |upstream: &Upstream| self.forwarded(upstream, Duration::from_secs(configuration.stale));
        reply(&route(&head.method, &head.target), &configuration, surroundings::now(), ask)
    }

    fn forwarded(&self, upstream: &Upstream, stale: Duration) -> Result<Said, String> {
        let name = upstream.to_string();
        match self.upstreams.answer(&name, stale, || surroundings::ask(upstream)) {
            Outcome::Good(said) => Ok(said),
            Outcome::Stale(said, age, news) => {
                if let Some(why) = news {
                    let age = span(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
                    self.voice.warning(&format!("{name} gives no answer, its last one of {age} ago is served: {why}"));
                }
                Ok(said)
            }
            Outcome::Nothing(news) => {
                if let Some(why) = news {
                    self.voice.warning(&format!("{name} gives no answer, and there is none to serve instead: {why}"));
                }
                Err("no answer".into())
            }
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        match stream {
            Ok(stream) => receive(stream, shared),
            Err(_) if shared.is_ending() => return,
            Err(error) => {
                // No descriptor to spare, most likely: somebody else must close one first.
                shared.voice.warning(&format!("a connection cannot be taken: {error}"));
                surroundings::pause(Duration::from_millis(100));
            }
        }
    }
}

/// Whoever has been let in by the kernel may have sent a request: to shut the door on them would reset them.
fn accept_the_rest(listener: &TcpListener, shared: &Arc<Shared>) {
    let began = Instant::now();
    let mut is_open = listener.set_nonblocking(true).is_ok();
    while is_open && began.elapsed() < QUEUE {
        match listener.accept() {
            Ok((stream, _)) => receive(stream, shared),
            // This one has gone.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => {}
            Err(_) => is_open = false,
        }
    }
}

fn receive(stream: TcpStream, shared: &Arc<Shared>) {
    if shared.open.fetch_add(1, Ordering::SeqCst) >= shared.most {
        shared.open.fetch_sub(1, Ordering::SeqCst);
        return refuse(stream);
    }
    let serving = Arc::clone(shared);
    let serves = move || {
        let _open = Counted(&serving.open);
        if let Ok(connection) = Connection::new(stream) {
            converse(connection, &serving);
        }
    };
    if let Err(error) = thread::Builder::new().stack_size(STACK).spawn(serves) {
        shared.open.fetch_sub(1, Ordering::SeqCst);
        shared.voice.warning(&format!("no thread can be started for a connection: {error}"));
    }
}

/// One more than are served at a time. What its kernel takes at once it gets.
fn refuse(stream: TcpStream) {
    if stream.set_nonblocking(true).is_ok()
        && let Ok(mut connection) = Connection::new(stream)
    {
        connection.answer(&Reply::new(Status::Busy, "too many connections\n"), None, After::Close, surroundings::now());
        connection.part_at_once();
    }
}

fn converse(mut connection: Connection, shared: &Shared) {
    let begun = Cell::new(None);
    let mut busy = None;
    let mut answers = 0;
    loop {
        match connection.next(|| begun.set(Some(Counted::one(&shared.begun)))) {
            Next::Gone => return,
            Next::Refused(reply) => {
                connection.answer(&reply, None, After::Close, surroundings::now());
                drop((begun, busy));
                return connection.part();
            }
            Next::Request(head) => {
                // The count before ends when this one has begun: to whoever looks there is no gap between two that came at once.
                busy = Some(Counted::one(&shared.busy));
                let reply = shared.answer(&head);
                answers += 1;
                let is_last = answers >= MOST_ANSWERS || shared.is_nearly_full() || shared.is_ending();
                // What came with it is answered too: a client cannot tell what became of it.
                let has_more = is_last && connection.has_whole();
                let after = if is_last && !has_more { After::Close } else { head.after };
                let sent = connection.answer(&reply, Some(&head), after, surroundings::now());
                if !has_more {
                    busy = None;
                }
                if !connection.has_part() {
                    begun.set(None);
                }
                if !sent || after == After::Close {
                    drop((begun, busy));
                    return connection.part();
                }
            }
        }
    }
}

/// One of many, until it is dropped.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn one(counter: &'a AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::SeqCst);
        Self(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_only_root_may_have_is_a_matter_of_the_configuration_and_one_that_is_taken_is_not() {
        let said = |kind: std::io::ErrorKind| deaf(SocketAddr::from(([127, 0, 0, 1], 80)), &kind.into());
        let denied = said(std::io::ErrorKind::PermissionDenied);
        assert_eq!(denied.class, Class::Config);
        assert!(denied.what.starts_with("127.0.0.1:80 cannot be listened on: "), "{denied}");
        assert!(denied.next.contains("those below are for the reverse proxy"), "{denied}");
        assert_eq!(said(std::io::ErrorKind::AddrInUse).class, Class::Network);
        assert_eq!(said(std::io::ErrorKind::AddrNotAvailable).class, Class::Network);
    }

    #[test]
    fn connections_and_their_questions_need_descriptors_and_sixteen_more() {
        assert_eq!(room(512, Some(656)), Ok(()));
        assert_eq!(room(65_536, None), Ok(()));
        let error = room(512, Some(655)).unwrap_err();
        assert_eq!(
            (error.class, error.to_string().as_str()),
            (
                Class::Config,
                "--connections 512 needs 656 open files, and the limit of this process is 655 (RLIMIT_NOFILE, ulimit -Hn)\n    next: raise the limit (LimitNOFILE= in the unit), or serve at most 511"
            )
        );
        assert_eq!(room(1, Some(10)).unwrap_err().next, "raise the limit (LimitNOFILE= in the unit)");
    }
}
