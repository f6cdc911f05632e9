//! What several tests share.

pub(crate) mod host;
pub(crate) mod server;
