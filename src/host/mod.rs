//! This machine: every effect and every fact that is not the version server's. One room per thing that an operator can point at.

pub mod agent;
pub mod authorities;
pub mod command;
mod durable;
pub mod endpoint;
pub mod enrolment;
pub mod hold;
mod inherited;
pub mod kept;
pub mod lock;
pub mod machine;
pub mod metrics;
pub mod ownership;
pub mod packages;
pub mod pause;
pub mod pending;
pub mod process;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod pulse;
pub mod readiness;
pub mod record;
pub mod room;
pub mod service;
pub mod signals;
pub mod timer;
pub mod transcript;
pub mod transient;
pub mod world;
