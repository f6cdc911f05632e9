//! The one integration binary.

mod house;
mod offers;
mod package;
mod support;
mod whole_runs;
