//! The one integration binary.

mod house;
#[cfg(feature = "kube")]
mod kube;
mod offers;
mod package;
mod pages;
#[cfg(feature = "server")]
mod server;
mod simulator;
mod support;
mod whole_runs;
