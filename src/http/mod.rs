//! One connection of HTTP/1.1: requests from bytes, answers to bytes, and the limits that a public server needs. Who listens and what is
//! answered is the business of `server` and `kube`.

pub mod reply;
pub mod wire;
