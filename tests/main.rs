//! The one integration binary.

mod house;
mod offers;
mod package;
mod pages;
mod simulator;
mod support;
mod whole_runs;
