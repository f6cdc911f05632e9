//! The one integration binary.

mod house;
mod offers;
mod package;
mod pages;
#[cfg(feature = "server")]
mod server;
mod simulator;
mod support;
mod whole_runs;
