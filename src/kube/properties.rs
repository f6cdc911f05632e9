//! What must hold of what is read here, from registries, proxies, the API server and files: see [`crate::properties::Target`].

use serde_json::Value;

use crate::kube::flags;
use crate::kube::image::challenge::{Challenge, challenge};
use crate::kube::image::credentials::Credentials;
use crate::kube::image::key::Key;
use crate::kube::image::reference::{Digest, Repository, tag};
use crate::kube::image::signature::signatures;
use crate::kube::kubeconfig::context;
use crate::kube::pods::{complaint, pods, stuck};
use crate::kube::settings::settings;
use crate::kube::wanted::found;
use crate::kube::windows::{Standing, standing};
use crate::kube::workload::{Kind, Workload};
use crate::properties::{Target, is_word};
use crate::rules::moment::Moment;

/// Every parser of this room.
pub const TARGETS: [Target; 2] = [Target { name: "registry", holds: registry }, Target { name: "cluster", holds: cluster }];

/// What a registry says leads nowhere but where it says, and a name that is taken is one word of an address.
fn registry(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Some(Challenge::Bearer { realm, service }) = challenge(&text) {
        assert!(realm.len() + service.map_or(0, |service| service.len()) <= text.len());
    }
    if let Ok(repository) = text.parse::<Repository>() {
        assert!(is_word(repository.host()) && is_word(&repository.path) && !repository.path.contains([':', '@', '?', '#', '%']));
        assert!(!repository.host().contains('/') && !repository.path.split('/').any(|part| part.is_empty() || part == ".."));
        assert_eq!(repository.to_string(), text);
        let _ = Credentials::parse(br#"{"auths":{"a.test/b":{"auth":"YTpi"}}}"#).map(|known| known.basic(&repository).is_some());
    }
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!((digest.hex().len(), digest.as_str()), (64, text.as_ref()));
    }
    let _ = (tag(&text), Credentials::parse(input), Key::from_pem(input));
    if let Ok(signatures) = signatures(input) {
        let key = Key::teleports();
        for signature in signatures.iter().take(2) {
            // Nobody has signed what is made up.
            assert!(key.as_ref().is_ok_and(|key| signature.vouches(input, &signature.payload, key).is_err()));
        }
    }
}

/// Whatever an object looks like, one image is changed in it; whatever is said, it is said for a person.
fn cluster(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Err(wrong) = context(&text, None) {
        assert!(!wrong.is_empty() && wrong.iter().all(|why| !why.contains(char::is_control)), "{wrong:?}");
    }
    let words = text.lines().map(str::to_owned);
    if let Ok(given) = flags::parse(words)
        && let Ok(settings) = settings(&given)
    {
        assert!(is_word(&settings.name) && is_word(&settings.namespace) && !settings.name.contains(['/', '?', '%']));
        assert!(settings.source.proxy.is_none_or(|(proxy, group)| is_word(&proxy) && !group.contains(['&', '#', ' '])));
    }
    let _ = found(input);
    let Ok(object) = serde_json::from_slice::<Value>(input) else { return };
    let now = Moment::from_unix(1_795_685_400);
    match standing(Some(&object), now) {
        Standing::Open(window) => assert!(window.start() <= now && now < window.stop()),
        Standing::Ahead(window) => assert!(now < window.start()),
        Standing::NoneAhead(why) => assert!(!why.is_empty()),
    }
    if let Ok(pods) = pods(input) {
        assert!(complaint(&pods, now).is_some() || stuck(&pods, "x", 0, now).count() == 0);
    }
    let workload = Workload::new(Kind::StatefulSet, object.clone());
    if let Ok(selector) = workload.selector() {
        assert!(!selector.contains(['&', '#', '?']) && !selector.contains(char::is_control), "{selector:?}");
    }
    let _ = (workload.is_skipped(), workload.update_revision(), workload.current("teleport"));
    match workload.image("teleport") {
        None => {}
        Some(before) => {
            let after = Workload::new(Kind::StatefulSet, workload.with_image("teleport", "r.test/x:1.2.3"));
            assert_eq!(after.image("teleport"), Some("r.test/x:1.2.3"));
            // And back: nothing else was touched, where there is one such container.
            let back = after.with_image("teleport", before);
            let named = |value: &Value| value.to_string().matches("\"teleport\"").count();
            assert!(named(&object) > 1 || back == object);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kubernetes_updater_holds_for_the_corpus() {
        crate::properties::replay(&super::TARGETS);
    }
}
