//! Public keys that images are signed with: RSA of 2048 to 8192 bits, or ECDSA on P-256; as PEM (`-----BEGIN PUBLIC KEY-----`). Pure.

use ring::signature::{ECDSA_P256_SHA256_ASN1, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;
use spki::ObjectIdentifier;
use spki::SubjectPublicKeyInfoRef;

/// The key that Teleport's images are signed with (`teleport-prod-oci.pub`, RSA of 4096 bits).
const TELEPORT: &[u8] = include_bytes!("teleport-prod-oci.pub");

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ELLIPTIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");

/// A public key.
#[derive(Debug)]
pub struct Key(UnparsedPublicKey<Vec<u8>>);

impl Key {
    /// Teleport's own.
    ///
    /// # Errors
    /// This program was built with a file that is no key.
    pub fn teleports() -> Result<Self, String> {
        Self::from_pem(TELEPORT)
    }

    /// The first public key of a PEM file.
    ///
    /// # Errors
    /// Why it is none that can be used, fit to follow the file's name.
    pub fn from_pem(pem: &[u8]) -> Result<Self, String> {
        let none = "has no `-----BEGIN PUBLIC KEY-----` with a key behind it";
        let info = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| none)?;
        let info = SubjectPublicKeyInfoRef::try_from(info.as_ref()).map_err(|error| format!("{none}: {error}"))?;
        let algorithm: &'static dyn VerificationAlgorithm = match (info.algorithm.oid, info.algorithm.parameters_oid().ok()) {
            (RSA, _) => &RSA_PKCS1_2048_8192_SHA256,
            (ELLIPTIC, Some(P256)) => &ECDSA_P256_SHA256_ASN1,
            _ => return Err("has a key that is neither RSA nor ECDSA on P-256".into()),
        };
        let key = info.subject_public_key.as_bytes().ok_or(none)?;
        Ok(Self(UnparsedPublicKey::new(algorithm, key.to_vec())))
    }

    /// Whether the owner of the key has signed these bytes so.
    #[must_use]
    pub fn has_signed(&self, bytes: &[u8], signature: &[u8]) -> bool {
        self.0.verify(bytes, signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // openssl ecparam -name prime256v1 -genkey -noout -out k; openssl ec -in k -pubout; printf hello | openssl dgst -sha256 -sign k | base64 -w0
    const EC: &str = include_str!("../../../tests/kube/keys/p256.pub");
    const EC_SIGNED: &str = include_str!("../../../tests/kube/keys/p256.hello.sig");
    const RSA_SIGNED: &str = include_str!("../../../tests/kube/keys/rsa4096.hello.sig");
    const RSA_4096: &str = include_str!("../../../tests/kube/keys/rsa4096.pub");

    fn bytes(base64: &str) -> Vec<u8> {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.decode(base64.trim()).unwrap()
    }

    #[test]
    fn what_openssl_has_signed_is_known_by_either_kind_of_key_and_nothing_else_is() {
        let (elliptic, rsa) = (Key::from_pem(EC.as_bytes()).unwrap(), Key::from_pem(RSA_4096.as_bytes()).unwrap());
        let (by_elliptic, by_rsa) = (bytes(EC_SIGNED), bytes(RSA_SIGNED));
        assert!(elliptic.has_signed(b"hello", &by_elliptic) && rsa.has_signed(b"hello", &by_rsa));
        assert!(!elliptic.has_signed(b"hellO", &by_elliptic) && !rsa.has_signed(b"hellO", &by_rsa));
        assert!(!elliptic.has_signed(b"hello", &by_rsa) && !rsa.has_signed(b"hello", &by_elliptic));
        assert!(!elliptic.has_signed(b"hello", b"") && !Key::teleports().unwrap().has_signed(b"hello", &by_rsa));
    }

    #[test]
    fn a_file_without_a_key_is_said_to_have_none() {
        let wrong = |pem: &str| Key::from_pem(pem.as_bytes()).unwrap_err();
        assert!(wrong("").starts_with("has no `-----BEGIN PUBLIC KEY-----`"));
        assert!(wrong(&EC.replace("PUBLIC KEY", "CERTIFICATE")).starts_with("has no "));
        assert!(wrong("-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n").starts_with("has no "));
        // openssl genpkey -algorithm ed25519 | openssl pkey -pubout
        let edwards = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
        assert_eq!(wrong(edwards), "has a key that is neither RSA nor ECDSA on P-256");
    }
}
