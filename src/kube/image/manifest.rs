//! What a tag leads to: an image, or an index of images (OCI image specification 1.1; Docker's manifests of version 2). Pure.

use serde::Deserialize;
use serde::de::IgnoredAny;

#[derive(Deserialize)]
struct Manifest {
    #[serde(rename = "schemaVersion")]
    version: u64,
    manifests: Option<Vec<IgnoredAny>>,
    config: Option<IgnoredAny>,
    layers: Option<Vec<IgnoredAny>>,
}

/// Whether a kubelet could make anything of it: a login page has a digest, too.
pub(in crate::kube) fn is_manifest(bytes: &[u8]) -> bool {
    serde_json::from_slice(bytes).is_ok_and(|manifest: Manifest| {
        let is_image = manifest.config.is_some() && manifest.layers.is_some();
        manifest.version == 2 && (manifest.manifests.is_some() || is_image)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_and_an_index_are_manifests_and_nothing_else_is() {
        let index = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"size":2}]}"#;
        let image = r#"{"schemaVersion":2,"config":{"digest":"sha256:00"},"layers":[]}"#;
        assert!(is_manifest(index.as_bytes()) && is_manifest(image.as_bytes()));
        for other in [
            "",
            "<html>",
            "{}",
            "[2]",
            r#"{"schemaVersion":2}"#,
            r#"{"schemaVersion":1,"manifests":[]}"#,
            r#"{"schemaVersion":"2","manifests":[]}"#,
            r#"{"schemaVersion":2,"manifests":{}}"#,
            r#"{"schemaVersion":2,"layers":[]}"#,
            r#"{"schemaVersion":2,"config":{}}"#,
            r#"{"schemaVersion":2,"config":null,"layers":[]}"#,
        ] {
            assert!(!is_manifest(other.as_bytes()), "{other}");
        }
    }
}
