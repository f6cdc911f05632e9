//! What the kubelet and Prometheus may ask: `/healthz`, `/readyz`, `/metrics`.

use std::collections::VecDeque;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::error::{Class, Error};
use crate::http::reply::{Reply, Status};
use crate::http::wire::{After, Connection, Next};
use crate::kube::figures::Figures;
use crate::kube::outside::{now, pause};

/// More at a time than a kubelet and two Prometheus servers open.
const MOST: usize = 8;
/// Enough for reading one head and writing a page.
const STACK: usize = 64 * 1024;

/// What is answered at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// The kubelet's questions.
    Health,
    /// Prometheus'.
    Metrics,
}

/// Answers at that address from now on.
///
/// # Errors
/// It cannot be listened on.
pub fn answer(address: SocketAddr, page: Page, figures: &Figures) -> Result<(), Error> {
    let failed = |error: std::io::Error| {
        let flag = if page == Page::Health { "--healthz-addr" } else { "--metrics-addr" };
        Error::new(Class::Config, format!("{address} cannot be listened on: {error}"), format!("choose another one with {flag}"))
    };
    let listener = TcpListener::bind(address)
        // A kernel without IPv6 has only the other half of every address.
        .or_else(|error| if address.ip().is_unspecified() { TcpListener::bind(("0.0.0.0", address.port())) } else { Err(error) })
        .map_err(failed)?;
    let figures = figures.clone();
    let accepts = move || accept(&listener, page, &figures);
    thread::Builder::new().stack_size(STACK).spawn(accepts).map(drop).map_err(failed)
}

fn accept(listener: &TcpListener, page: Page, figures: &Figures) {
    let mut open = VecDeque::new();
    for stream in listener.incoming() {
        let Ok(stream) = stream else {
            pause(Duration::from_millis(100));
            continue;
        };
        // One more than are served at a time ends the oldest one, which has had its time: nobody keeps the kubelet out by saying nothing.
        open.extend(stream.try_clone());
        if open.len() > MOST
            && let Some(oldest) = open.pop_front()
        {
            let _ = TcpStream::shutdown(&oldest, Shutdown::Both);
        }
        let figures = figures.clone();
        if thread::Builder::new().stack_size(STACK).spawn(move || converse(stream, page, &figures)).is_err() {
            // There is none to spare: it is closed.
            open.pop_back();
        }
    }
}

fn converse(stream: TcpStream, page: Page, figures: &Figures) {
    let Ok(mut connection) = Connection::new(stream) else { return };
    match connection.next(|| {}) {
        Next::Gone => return,
        Next::Refused(reply) => connection.answer(&reply, None, After::Close, now()),
        Next::Request(head) => {
            connection.answer(&reply(&head.method, &head.target, page, figures), Some(&head), After::Close, now())
        }
    };
    connection.part();
}

fn reply(method: &str, target: &str, page: Page, figures: &Figures) -> Reply {
    let path = target.split('?').next().unwrap_or_default();
    if !matches!(method, "GET" | "HEAD") {
        return Reply::new(Status::MethodNotAllowed, "only GET and HEAD\n");
    }
    match (page, path) {
        (Page::Health, "/healthz") if figures.is_alive(now()) => Reply::new(Status::Alive, "ok"),
        (Page::Health, "/healthz") => Reply::new(Status::Busy, "the loop gives no sign of life\n"),
        (Page::Health, "/readyz") if figures.is_ready() => Reply::new(Status::Alive, "ok"),
        (Page::Health, "/readyz") => Reply::new(Status::Busy, "the workload was not found yet\n"),
        (Page::Metrics, "/metrics") => Reply::new(Status::Alive, figures.text()),
        _ => Reply::new(Status::NotFound, "not found\n"),
    }
}
