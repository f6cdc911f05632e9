//! Where the API server is, and as whom it is asked: from the service account of the pod, or from a kubeconfig.

use std::path::{Path, PathBuf};

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use ureq::tls::{Certificate, PemItem, PrivateKey, parse_pem};

use crate::error::{Class, Error};
use crate::kube::api::{Cluster, Identity};
use crate::kube::kubeconfig::{Contents, User, context};
use crate::kube::outside::{read, variable};

/// Where the kubelet mounts it.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The cluster that this pod is in.
///
/// # Errors
/// It is in none, or has no service account.
pub fn own() -> Result<Cluster, Error> {
    let (Some(host), Some(port)) = (variable("KUBERNETES_SERVICE_HOST"), variable("KUBERNETES_SERVICE_PORT")) else {
        let next = "run it in a pod, or name a file with --kubeconfig";
        return Err(Error::new(
            Class::Config,
            "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: this is no pod",
            next,
        ));
    };
    let account = Path::new(ACCOUNT);
    let authorities = certificates(&read(&account.join("ca.crt"))?, &account.join("ca.crt"))?;
    Ok(Cluster { server: server(&host, &port), authorities, identity: Identity::TokenFile(account.join("token")) })
}

/// The address that the kubelet gives in two variables.
fn server(host: &str, port: &str) -> String {
    if host.contains(':') { format!("https://[{host}]:{port}") } else { format!("https://{host}:{port}") }
}

/// The cluster of a kubeconfig.
///
/// # Errors
/// It cannot be read or used; what it leads to cannot, or runs a program.
pub fn of_file(file: &Path, named: Option<&str>) -> Result<Cluster, Error> {
    let text = read(file)?;
    let text = String::from_utf8_lossy(&text);
    let context = context(&text, named).map_err(|mistakes| {
        let what: Vec<String> = mistakes.iter().map(|mistake| format!("{}: {mistake}", file.display())).collect();
        Error::new(Class::Config, what.join("\n    "), "kubectl config view; mend it")
    })?;
    let at = |path: &str| -> PathBuf { file.parent().unwrap_or(Path::new(".")).join(path) };
    let pem = |contents: &Contents| match contents {
        Contents::Data(bytes) => Ok((bytes.clone(), file.to_owned())),
        Contents::File(path) => read(&at(path)).map(|bytes| (bytes, at(path))),
    };
    let (authority, named) = pem(&context.authority)?;
    let authorities = certificates(&authority, &named)?;
    let identity = match &context.user {
        User::Token(token) => Identity::Token(token.clone()),
        User::TokenFile(path) => Identity::TokenFile(at(path)),
        User::Certificate(chain, key) => {
            let ((chain, chain_from), (key, key_from)) = (pem(chain)?, pem(key)?);
            let key = PrivateKey::from_pem(&key).map_err(|_| unusable(&key_from, "private key"))?;
            let chain = certificates(&chain, &chain_from)?;
            if !go_together(&chain, &key) {
                let what =
                    format!("{} and {} are no certificate and key that go together", chain_from.display(), key_from.display());
                return Err(Error::new(
                    Class::Config,
                    what,
                    "openssl x509 -text shows the certificate: it is to be of version 3",
                ));
            }
            Identity::Certificate(chain, key)
        }
    };
    Ok(Cluster { server: context.server, authorities, identity })
}

/// ureq would end this process over a pair that does not.
fn go_together(chain: &[Certificate<'_>], key: &PrivateKey<'_>) -> bool {
    let chain = chain.iter().map(|certificate| CertificateDer::from(certificate.der().to_vec())).collect();
    let key = PrivateKeyDer::try_from(key.der().to_vec());
    key.is_ok_and(|key| CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider()).is_ok())
}

fn certificates(pem: &[u8], from: &Path) -> Result<Vec<Certificate<'static>>, Error> {
    let found: Vec<_> = parse_pem(pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if found.is_empty() { Err(unusable(from, "certificate")) } else { Ok(found) }
}

fn unusable(from: &Path, what: &str) -> Error {
    Error::new(
        Class::Config,
        format!("{} has no {what} in PEM", from.display()),
        "write it there in PEM format, or name another file",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_server_is_reached_at_an_address_of_either_kind() {
        assert_eq!(server("10.0.0.1", "443"), "https://10.0.0.1:443");
        assert_eq!(server("fd00::1", "6443"), "https://[fd00::1]:6443");
    }
}
