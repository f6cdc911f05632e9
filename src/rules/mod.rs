//! What to do, never doing it: pure functions of facts and a given `now`.

pub mod decide;
pub mod facts;
pub mod health;
pub mod memory;
pub mod moment;
pub mod plan;
pub mod policy;
pub mod release;
pub mod room;
pub mod trigger;
pub mod window;
pub mod wording;

#[cfg(test)]
mod decide_table;
#[cfg(test)]
mod story;
