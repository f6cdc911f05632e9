//! `teleport-version-server`: which version agents should run, and when, for any cluster; over HTTP or as files for any web server.

pub mod answer;
pub mod channels;
pub mod cli;
pub mod configuration;
pub mod forward;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod publish;
pub mod route;
pub mod serve;
mod surroundings;
pub mod tree;
