//! What to do, never doing it: pure functions of facts and a given `now`.

pub mod account;
pub mod decide;
pub mod endpoint;
pub mod facts;
pub mod foresight;
pub mod health;
pub mod local;
pub mod maintenance;
pub mod memory;
pub mod metrics;
pub mod moment;
pub mod pause;
pub mod plan;
pub mod policy;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod reason;
pub mod release;
pub mod room;
pub mod timer;
pub mod trigger;
pub mod turn;
pub mod window;
pub mod wording;

#[cfg(test)]
mod decide_table;
#[cfg(test)]
mod story;
