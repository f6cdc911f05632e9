//! Servers that really behave as a test says: good, hostile and broken ones, over plain TCP or TLS, on a free port of this host.
//!
//! A server is a closure that is given each accepted connection. It counts connections and keeps the first line of each request.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking; its servers wait, and start openssl"
)]

pub(crate) mod certificates;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use certificates::Identity;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A listening server; dropping it stops it from accepting.
pub(crate) struct Server {
    pub port: u16,
    accepted: Arc<AtomicUsize>,
    asked: Arc<Mutex<Vec<String>>>,
    stopped: Arc<AtomicBool>,
}

/// One accepted connection, as the server's closure sees it.
pub(crate) struct Peer {
    stream: Box<dyn ReadWrite>,
    tcp: TcpStream,
    asked: Arc<Mutex<Vec<String>>>,
    /// How many connections came before this one.
    pub number: usize,
}

trait ReadWrite: Read + Write + Send {}
impl<T: Read + Write + Send> ReadWrite for T {}

impl Server {
    /// A server without TLS.
    pub(crate) fn plain(behave: impl Fn(Peer) + Send + Sync + 'static) -> Self {
        Self::start(|tcp| Some(Box::new(tcp)), behave)
    }

    /// A server that shows `identity`; the handshake is done by the first read or write.
    pub(crate) fn tls(identity: &Identity, behave: impl Fn(Peer) + Send + Sync + 'static) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config =
            Arc::new(builder.with_no_client_auth().with_single_cert(identity.chain.clone(), identity.key.clone_key()).unwrap());
        let wrap = move |tcp| {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            Some(Box::new(StreamOwned::new(connection, tcp)) as Box<dyn ReadWrite>)
        };
        Self::start(wrap, behave)
    }

    /// A server without TLS that sends the same bytes to every request, and closes after the last one.
    pub(crate) fn sending(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::plain(
            move |mut peer| while peer.request().is_some() && peer.send(&bytes) && !bytes.is_empty() && !closes(&bytes) {},
        )
    }

    fn start(
        wrap: impl Fn(TcpStream) -> Option<Box<dyn ReadWrite>> + Send + 'static,
        behave: impl Fn(Peer) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            accepted: Arc::default(),
            asked: Arc::default(),
            stopped: Arc::default(),
        };
        let (accepted, asked, stopped) = (Arc::clone(&server.accepted), Arc::clone(&server.asked), Arc::clone(&server.stopped));
        let behave = Arc::new(behave);
        thread::spawn(move || {
            for tcp in listener.incoming().map_while(Result::ok) {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let number = accepted.fetch_add(1, Ordering::SeqCst);
                let Some(stream) = tcp.try_clone().ok().and_then(&wrap) else { return };
                let peer = Peer { stream, tcp, asked: Arc::clone(&asked), number };
                let behave = Arc::clone(&behave);
                thread::spawn(move || behave(peer));
            }
        });
        server
    }

    /// How many connections were accepted.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// The first line of each request, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Peer {
    /// Reads one request; `None` when the client has closed.
    pub(crate) fn request(&mut self) -> Option<String> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            self.stream.read_exact(&mut byte).ok()?;
            head.extend_from_slice(&byte);
        }
        let head = String::from_utf8(head).unwrap();
        self.asked.lock().unwrap().push(head.lines().next().unwrap_or_default().to_owned());
        Some(head)
    }

    /// Reads what a request has behind this head.
    #[cfg(feature = "kube")]
    pub(crate) fn body(&mut self, head: &str) -> String {
        let length = |line: &str| line.to_ascii_lowercase().strip_prefix("content-length:").map(|length| length.trim().parse());
        let mut body = vec![0; head.lines().find_map(length).map_or(0, Result::unwrap)];
        self.stream.read_exact(&mut body).unwrap();
        String::from_utf8(body).unwrap()
    }

    /// Sends bytes; false when the client is gone.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).and_then(|()| self.stream.flush()).is_ok()
    }

    /// Sends a sound answer with status 200.
    pub(crate) fn answer(&mut self, body: &str) -> bool {
        self.send(ok(body))
    }

    /// Sends one byte at a time, for as long as the client takes it.
    pub(crate) fn drip(&mut self, bytes: impl IntoIterator<Item = u8>, pause: Duration) {
        for byte in bytes {
            if !self.send([byte]) {
                return;
            }
            thread::sleep(pause);
        }
    }

    /// Lets the other side see that nothing more comes, and keeps the connection open.
    pub(crate) fn half_close(&mut self) {
        let _ = self.tcp.shutdown(Shutdown::Write);
        self.wait_for_the_client();
    }

    /// Waits until the client closes.
    pub(crate) fn wait_for_the_client(&mut self) {
        let mut rest = [0; 4096];
        while self.stream.read(&mut rest).is_ok_and(|count| count > 0) {}
    }

    /// Sends the bytes and resets the connection. Only a first byte of the request is read: closing over unread bytes is a reset.
    pub(crate) fn reset_after(mut self, bytes: &[u8]) {
        let _ = self.stream.read(&mut [0]);
        self.send(bytes);
        thread::sleep(Duration::from_millis(50));
    }

    /// The connection itself.
    pub(crate) fn into_tcp(self) -> TcpStream {
        self.tcp
    }

    /// Passes bytes both ways between the client and a port of this host, until both have closed.
    pub(crate) fn tunnel_to(self, port: u16) {
        let there = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (mut up, mut down) = ((self.tcp.try_clone().unwrap(), there.try_clone().unwrap()), (there, self.tcp));
        let upwards = thread::spawn(move || {
            let _ = std::io::copy(&mut up.0, &mut up.1);
            let _ = up.1.shutdown(Shutdown::Write);
        });
        let _ = std::io::copy(&mut down.0, &mut down.1);
        let _ = down.1.shutdown(Shutdown::Both);
        let _ = upwards.join();
    }
}

/// A sound answer with status 200.
pub(crate) fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// An answer with another status and no body.
pub(crate) fn status(line: &str) -> Vec<u8> {
    format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

/// Whether an answer ends with the connection, as one without a length does.
fn closes(bytes: &[u8]) -> bool {
    let head = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    !head.contains("content-length:") && (!head.contains("chunked") || head.starts_with("http/1.0"))
}
