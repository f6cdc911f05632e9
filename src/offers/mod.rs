//! What the version server offers: the grammar of its answers, and the client that fetches them.
//!
//! The server, the network and every proxy may be hostile or broken: time, memory and grammar are bounded here, and what comes out is
//! a [`crate::rules::release::Release`] or a sentence. Nothing here reads the environment, a file or the clock of the host, or logs.

pub mod authorities;
pub mod client;
pub(crate) mod failure;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod proxy;
mod redirect;
pub mod reply;
pub mod web;
