//! The Kubernetes updater before an API server and registries that do what real ones do only seldom. What they do every day is tested before
//! real ones: tests/distro/kube.sh.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods, reason = "a test that cannot go on panics")]

mod api;
mod images;
mod pace;
mod probes;
mod updates;

use std::time::Duration;

use teleport_upgrade::kube::outside::{Deadline, LIMITS, Outside, USER_AGENT};
use teleport_upgrade::offers::authorities::Authorities;
use teleport_upgrade::offers::proxy::Proxies;
use teleport_upgrade::offers::web::Web;

use crate::support::server::certificates::lab;

fn soon() -> Deadline {
    Deadline::within(Duration::from_secs(10))
}

/// Other servers, of whom the lab's authority vouches.
fn outside() -> Outside {
    outside_through(None)
}

/// The same, through this proxy.
fn outside_through(proxy: Option<String>) -> Outside {
    let authorities = Authorities::from_pem(lab().authority.clone(), "authority.pem").unwrap();
    let proxies = Proxies { https: proxy, ..Proxies::default() };
    Outside::over(Web { authorities, proxies, user_agent: USER_AGENT, limits: LIMITS })
}

/// An answer with this status, these further headers and this body.
fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n", body.len()).as_bytes(), body].concat()
}
