//! The certificate authorities that this host trusts: one bundle file, found and read here, understood by the client.

use std::path::PathBuf;

use crate::error::{Class, Error};
use crate::host::durable;
use crate::host::machine::Machine;
use crate::rules::endpoint::BUNDLES;

const LARGEST: u64 = 8 * 1024 * 1024;

/// The bundle that `SSL_CERT_FILE` names, or the system's, with its path; `None` when the system has none.
///
/// # Errors
/// [`Class::Config`] when the named bundle cannot be read: another one would not be what was asked for.
pub fn bundle(machine: &Machine) -> Result<Option<(PathBuf, Vec<u8>)>, Error> {
    if let Some(named) = machine.variable("SSL_CERT_FILE") {
        let path = machine.path(named);
        return match durable::read(&path, LARGEST) {
            Ok(pem) => Ok(Some((path, pem))),
            Err(error) => Err(Error::new(
                Class::Config,
                format!("SSL_CERT_FILE names {}, which cannot be read: {error}", path.display()),
                "name a bundle of certificates in PEM format, or unset SSL_CERT_FILE",
            )),
        };
    }
    Ok(BUNDLES.iter().find_map(|bundle| {
        let path = machine.path(bundle);
        durable::read(&path, LARGEST).ok().map(|pem| (path, pem))
    }))
}
