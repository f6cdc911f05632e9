//! Keeps a Teleport agent on the version that its cluster wants.
//!
//! Imports go one way: `error`, `log` <- `rules`, `document` <- `config`, `offers`, `host`, `http` <- `upgrade`, `server` <- `bin`.
//! Rooms of one tier do not import each other. `rules` and every parser touch no file, clock, process or socket. A test holds this.

pub mod config;
#[cfg(feature = "server")]
pub mod document;
pub mod error;
pub mod host;
#[cfg(feature = "server")]
pub mod http;
pub mod log;
pub mod offers;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod rules;
#[cfg(feature = "server")]
pub mod server;
pub mod upgrade;
