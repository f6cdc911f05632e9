//! What cosign leaves beside an image: a manifest whose layers are small payloads, each with a signature over it. Pure. The transparency log
//! is not consulted, and the name in a payload is not compared: mirrors are legitimate (cosign's SIGNATURE_SPEC.md, "simple signing").

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::kube::image::key::Key;
use crate::kube::image::reference::Digest;

/// The annotation of a layer that has the signature over it, in Base64.
const ANNOTATION: &str = "dev.cosignproject.cosign/signature";
/// What a payload says that it is.
const TYPE: &str = "cosign container image signature";
/// More signatures than anybody looks at: one a layer.
const MOST: usize = 64;
/// No payload is larger, in bytes.
pub(in crate::kube) const LARGEST: u64 = 64 * 1024;

/// One signature, and the payload that it is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kube) struct Signature {
    /// Where the payload is.
    pub(in crate::kube) payload: Digest,
    bytes: Vec<u8>,
}

/// The tag that signatures of this image are found at, in the same repository.
pub(in crate::kube) fn tag(image: &Digest) -> String {
    format!("sha256-{}.sig", image.hex())
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
struct Layer {
    digest: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

/// The signatures that a manifest lists; layers that are none are passed over.
///
/// # Errors
/// It is no manifest.
pub(in crate::kube) fn signatures(manifest: &[u8]) -> Result<Vec<Signature>, String> {
    let manifest: Manifest = serde_json::from_slice(manifest).map_err(|error| format!("is no manifest: {error}"))?;
    let read = |layer: &Layer| {
        let payload = layer.digest.parse().ok().filter(|_| layer.size <= LARGEST)?;
        Some(Signature { payload, bytes: STANDARD.decode(layer.annotations.get(ANNOTATION)?).ok()? })
    };
    Ok(manifest.layers.iter().filter_map(read).take(MOST).collect())
}

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}
#[derive(Deserialize)]
struct Critical {
    image: Image,
    r#type: String,
}
#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

impl Signature {
    /// Whether this signature says with that key that the image is good.
    ///
    /// # Errors
    /// Why it does not, as the end of a sentence.
    pub(in crate::kube) fn vouches(&self, payload: &[u8], image: &Digest, key: &Key) -> Result<(), String> {
        if Digest::of(payload) != self.payload {
            return Err("its payload is another one than it is for".into());
        }
        if !key.has_signed(payload, &self.bytes) {
            return Err("another key has made it".into());
        }
        let payload: Payload = serde_json::from_slice(payload).map_err(|error| format!("its payload makes no sense: {error}"))?;
        if payload.critical.r#type != TYPE {
            return Err("its payload is not about an image".into());
        }
        if payload.critical.image.digest != image.as_str() {
            return Err("it is for another image".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = include_str!("../../../tests/kube/keys/p256.pub");
    // Made with openssl from the private key that KEY belongs to, which is not kept: see tests/kube/keys/README.
    const PAYLOAD: &str = include_str!("../../../tests/kube/keys/payload.json");
    const SIGNED: &str = include_str!("../../../tests/kube/keys/payload.json.sig");
    const OTHERS: &str = include_str!("../../../tests/kube/keys/p256.hello.sig");

    fn image() -> Digest {
        format!("sha256:{}", "ab".repeat(32)).parse().unwrap()
    }
    fn key() -> Key {
        Key::from_pem(KEY.as_bytes()).unwrap()
    }
    fn manifest(payload: &str, signature: &str) -> String {
        let digest = Digest::of(payload.as_bytes());
        format!(
            r#"{{"schemaVersion":2,"layers":[{{"digest":"{digest}","size":{},"annotations":{{"{ANNOTATION}":"{}"}}}},
               {{"digest":"{digest}","size":2}},{{"digest":"sha256:00","size":2,"annotations":{{"{ANNOTATION}":"AA=="}}}},
               {{"digest":"{digest}","size":70000,"annotations":{{"{ANNOTATION}":"AA=="}}}}]}}"#,
            payload.len(),
            signature.trim()
        )
    }
    fn said(payload: &str, signature: &str, image: &Digest) -> Result<(), String> {
        let found = signatures(manifest(payload, signature).as_bytes()).unwrap();
        assert_eq!(found.len(), 1);
        found[0].vouches(payload.as_bytes(), image, &key())
    }

    #[test]
    fn a_signature_vouches_for_the_image_that_its_payload_names_and_for_no_other() {
        assert_eq!(said(PAYLOAD, SIGNED, &image()), Ok(()));
        assert_eq!(said(PAYLOAD, SIGNED, &Digest::of(b"x")), Err("it is for another image".into()));
        assert_eq!(said(PAYLOAD, OTHERS, &image()), Err("another key has made it".into()));
        assert_eq!(said("hello", OTHERS, &image()).unwrap_err().split(':').next().unwrap(), "its payload makes no sense");
        let found = signatures(manifest(PAYLOAD, SIGNED).as_bytes()).unwrap();
        assert_eq!(found[0].vouches(b"{}", &image(), &key()), Err("its payload is another one than it is for".into()));
    }

    #[test]
    fn a_manifest_without_signatures_has_none_and_something_else_is_no_manifest() {
        assert_eq!(signatures(b"{}"), Ok(Vec::new()));
        for nonsense in ["", "1", "{\"layers\":1}", "{\"layers\":[1]}", "<html>"] {
            assert!(signatures(nonsense.as_bytes()).unwrap_err().starts_with("is no manifest: "), "{nonsense}");
        }
    }

    #[test]
    fn signatures_lie_beside_the_image() {
        assert_eq!(tag(&image()), format!("sha256-{}.sig", "ab".repeat(32)));
    }
}
