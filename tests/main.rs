//! The one integration binary.

mod house;
mod offers;
mod support;
mod whole_runs;
