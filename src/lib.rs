//! Keeps a Teleport agent on the version that its cluster wants.
//!
//! Imports go one way: `error`, `log` <- `rules`, `document` <- `config`, `offers`, `host`, `http` <- `upgrade`, `server`, `kube` <- `bin`.
//! Rooms of one tier do not import each other. `rules` and every parser of answers touch no file, clock, process or socket. A test
//! (`tests/house.rs`) holds this.

pub mod config;
#[cfg(any(feature = "server", feature = "kube"))]
pub mod document;
pub mod error;
pub mod host;
#[cfg(any(feature = "server", feature = "kube"))]
pub mod http;
#[cfg(feature = "kube")]
pub mod kube;
pub mod log;
pub mod offers;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod rules;
#[cfg(feature = "server")]
pub mod server;
pub mod upgrade;
