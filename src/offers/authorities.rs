//! Who may sign the certificate of a version server: the host's own bundle of authorities, or the ones compiled in when it has none.

use std::sync::Arc;

use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

use crate::error::{Class, Error};

/// The certificate authorities that are trusted, and what to call them in a sentence.
#[derive(Clone)]
pub struct Authorities {
    pub(super) roots: RootCerts,
    pub(super) called: String,
}

impl Authorities {
    /// Mozilla's list as it was when this program was built: for hosts without a bundle of their own.
    #[must_use]
    pub fn built_in() -> Self {
        Self { roots: RootCerts::WebPki, called: "the built-in list".to_owned() }
    }

    /// The certificates of a PEM bundle; `path` only names it in sentences. Takes the text by value so that it is gone before the
    /// connection is made: a system bundle has 220 KB.
    ///
    /// Keys, revocation lists and comments are skipped, as is a certificate that cannot be decoded: one damaged entry among 140 must not
    /// take the host off its cluster.
    ///
    /// # Errors
    /// Nothing in it is a certificate.
    pub fn from_pem(pem: Vec<u8>, path: &str) -> Result<Self, Error> {
        let certificates: Vec<Certificate<'static>> = parse_pem(&pem)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) if fills_its_section(certificate.der()) => Some(certificate),
                _ => None,
            })
            .collect();
        drop(pem);
        if certificates.is_empty() {
            return Err(Error::new(
                Class::Config,
                format!("{path} holds no certificate"),
                format!(
                    "put the PEM certificates of the trusted authorities into {path}, or reinstall the package ca-certificates"
                ),
            ));
        }
        Ok(Self { roots: RootCerts::Specific(Arc::new(certificates)), called: path.to_owned() })
    }
}

impl std::fmt::Debug for Authorities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Authorities").field(&self.called).finish()
    }
}

/// Whether the bytes are one DER sequence, from the first byte to the last: what every certificate is, and chance is not. Whether it is
/// a sound certificate is for the TLS library to say; it ignores those that are not.
fn fills_its_section(der: &[u8]) -> bool {
    let (length, rest) = match der {
        [0x30, 0x82, high, low, rest @ ..] => (u16::from_be_bytes([*high, *low]), rest),
        [0x30, 0x81, length, rest @ ..] => (u16::from(*length), rest),
        _ => return false,
    };
    rest.len() == usize::from(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(label: &str, base64: &str) -> String {
        format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
    }

    fn count(pem: &str) -> Option<usize> {
        match Authorities::from_pem(pem.as_bytes().to_vec(), "/etc/ssl/bundle.pem").ok()?.roots {
            RootCerts::Specific(certificates) => Some(certificates.len()),
            _ => None,
        }
    }

    #[test]
    fn h30_everything_but_certificates_is_skipped_in_a_bundle() {
        let certificate = entry("CERTIFICATE", "MIECAQI=");
        let bundle = format!(
            "# Our CA\n{certificate}{}{}{}{}subject=x\n{certificate}",
            entry("PRIVATE KEY", "MIECAQI="),
            entry("X509 CRL", "MIECAQI="),
            entry("CERTIFICATE", "!!!!"),
            entry("CERTIFICATE", "AAAA"),
        );
        assert_eq!(count(&bundle), Some(2));
    }

    #[test]
    fn h30_a_bundle_without_a_certificate_is_an_error_that_names_it() {
        let hopeless = [
            String::new(),
            "\0\u{1}garbage".to_owned(),
            entry("PRIVATE KEY", "MIECAQI="),
            entry("CERTIFICATE", "!!!!"),
            "-----BEGIN CERTIFICATE-----\nMIECAQI=\n".to_owned(),
            "-----BEGIN CERTIFICATE---\n".to_owned(),
        ];
        for pem in hopeless {
            let error = Authorities::from_pem(pem.clone().into_bytes(), "/etc/ssl/bundle.pem").unwrap_err();
            assert_eq!(
                (error.class, error.what.as_str()),
                (Class::Config, "/etc/ssl/bundle.pem holds no certificate"),
                "{pem:?}"
            );
        }
    }
}
