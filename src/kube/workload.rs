//! The StatefulSet or Deployment of the agents, as the API server has it. Pure. An object is changed as a whole, in one place, so that no
//! field is lost that is not known here.

use serde_json::Value;

use crate::error::quoted;
use crate::kube::flags::truth;
use crate::kube::image::reference::tag;
use crate::rules::release::Release;

/// Suspends everything: `teleport.dev/skipreconcile: "true"`.
const SKIP: &str = "/metadata/annotations/teleport.dev~1skipreconcile";

/// What keeps the pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What the chart makes today.
    StatefulSet,
    /// What it made before version 11, without storage.
    Deployment,
}

impl Kind {
    /// Both, in the order in which they are looked for.
    pub const ALL: [Self; 2] = [Self::StatefulSet, Self::Deployment];

    /// As it is written in `kind:`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::StatefulSet => "StatefulSet",
            Self::Deployment => "Deployment",
        }
    }

    /// As it is written in an address.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::StatefulSet => "statefulsets",
            Self::Deployment => "deployments",
        }
    }
}

/// One of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// What it is.
    pub kind: Kind,
    object: Value,
}

impl Workload {
    /// An object of that kind.
    #[must_use]
    pub fn new(kind: Kind, object: Value) -> Self {
        Self { kind, object }
    }

    /// The object.
    #[must_use]
    pub fn object(&self) -> &Value {
        &self.object
    }

    fn text(&self, pointer: &str) -> Option<&str> {
        self.object.pointer(pointer)?.as_str()
    }

    /// The version of this object, from which a watch can go on.
    #[must_use]
    pub fn version(&self) -> &str {
        self.text("/metadata/resourceVersion").unwrap_or_default()
    }

    /// Its unique id.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.text("/metadata/uid").unwrap_or_default()
    }

    /// Whether a person wants it to be left alone.
    #[must_use]
    pub fn is_skipped(&self) -> bool {
        self.text(SKIP).and_then(truth) == Some(true)
    }

    /// The image of a container.
    #[must_use]
    pub fn image(&self, container: &str) -> Option<&str> {
        let containers = self.object.pointer("/spec/template/spec/containers")?.as_array()?;
        containers.iter().find(|found| found.get("name").and_then(Value::as_str) == Some(container))?.get("image")?.as_str()
    }

    /// The version that the container's image is of; nothing where its tag is no version.
    ///
    /// # Errors
    /// There is no such container, fit to follow what the workload is called.
    pub fn current(&self, container: &str) -> Result<Option<Release>, String> {
        let image = self.image(container).ok_or_else(|| {
            let containers = self.object.pointer("/spec/template/spec/containers").and_then(Value::as_array);
            let names = containers.into_iter().flatten().filter_map(|container| container.get("name")?.as_str()).take(10);
            format!(
                "has no container called {container}, but {}",
                names.map(|name| quoted(name.as_bytes())).collect::<Vec<_>>().join(", ")
            )
        })?;
        Ok(tag(image).and_then(|tag| tag.replace('_', "+").parse().ok()))
    }

    /// The same object with another image for that container, and nothing else changed.
    #[must_use]
    pub fn with_image(&self, container: &str, image: &str) -> Value {
        let mut object = self.object.clone();
        let containers = object.pointer_mut("/spec/template/spec/containers").and_then(Value::as_array_mut);
        for found in containers.into_iter().flatten() {
            if found.get("name").and_then(Value::as_str) == Some(container)
                && let Some(slot) = found.get_mut("image")
            {
                *slot = Value::from(image);
            }
        }
        object
    }

    /// What selects its pods, as a query has it.
    ///
    /// # Errors
    /// It selects everything or in a way that is not known.
    pub fn selector(&self) -> Result<String, String> {
        let sound = |text: &str| {
            !text.is_empty() && text.len() <= 320 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._/".contains(&b))
        };
        let mut terms = Vec::new();
        for (key, value) in self.object.pointer("/spec/selector/matchLabels").and_then(Value::as_object).into_iter().flatten() {
            let value = value.as_str().filter(|value| value.is_empty() || sound(value)).filter(|_| sound(key));
            terms.push(format!("{key}={}", value.ok_or("has a selector with a label that is none")?));
        }
        let expressions = self.object.pointer("/spec/selector/matchExpressions").and_then(Value::as_array);
        for expression in expressions.into_iter().flatten() {
            let text = |name: &str| expression.get(name).and_then(Value::as_str);
            let key = text("key").filter(|key| sound(key)).ok_or("has a selector with a label that is none")?;
            let values = expression.get("values").and_then(Value::as_array).into_iter().flatten();
            let values: Vec<&str> = values.filter_map(Value::as_str).filter(|value| sound(value)).collect();
            terms.push(match text("operator") {
                Some("In") => format!("{key} in ({})", values.join(",")),
                Some("NotIn") => format!("{key} notin ({})", values.join(",")),
                Some("Exists") => key.to_owned(),
                Some("DoesNotExist") => format!("!{key}"),
                _ => return Err("has a selector of a kind that is not known".into()),
            });
        }
        if terms.is_empty() { Err("selects every pod of the namespace".into()) } else { Ok(terms.join(",")) }
    }

    /// The number of the first pod that a roll-out reaches.
    #[must_use]
    pub fn rolled_out_from(&self) -> u64 {
        let number = |pointer| self.object.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
        number("/spec/ordinals/start").saturating_add(number("/spec/updateStrategy/rollingUpdate/partition"))
    }

    /// The revision that its pods are to be of, once its controller has seen the newest one.
    #[must_use]
    pub fn update_revision(&self) -> Option<&str> {
        let number = |pointer| self.object.pointer(pointer).and_then(Value::as_i64);
        let is_seen = number("/status/observedGeneration") >= number("/metadata/generation");
        self.text("/status/updateRevision").filter(|_| is_seen && self.kind == Kind::StatefulSet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn workload(object: Value) -> Workload {
        Workload::new(Kind::StatefulSet, object)
    }
    fn with_images(images: &[(&str, &str)]) -> Workload {
        let containers: Vec<_> =
            images.iter().map(|(name, image)| json!({"name": name, "image": image, "x": [1, {"y": null}]})).collect();
        workload(
            json!({"metadata": {"uid": "u"}, "spec": {"template": {"spec": {"containers": containers}}, "z": 1.5}, "w": i64::MAX}),
        )
    }

    #[test]
    fn the_version_is_the_tag_of_the_agents_container() {
        let current = |image: &str| with_images(&[("sidecar", "x:1.2.3"), ("teleport", image)]).current("teleport").unwrap();
        assert_eq!(current("r/teleport:16.2.0@sha256:00").unwrap().to_string(), "16.2.0");
        assert_eq!(current("r/teleport:16.2.0_build.1").unwrap().to_string(), "16.2.0+build.1");
        for none in ["r/teleport", "r/teleport:latest", "r:5000/teleport@sha256:00"] {
            assert_eq!(current(none), None, "{none}");
        }
        assert_eq!(
            with_images(&[("sidecar", "x:1.2.3")]).current("teleport"),
            Err("has no container called teleport, but \"sidecar\"".into())
        );
    }

    #[test]
    fn only_the_image_of_that_container_changes() {
        let before = with_images(&[("sidecar", "x:1.2.3"), ("teleport", "r/teleport:16.1.7")]);
        let after = before.with_image("teleport", "r/teleport:16.2.0");
        let expected = with_images(&[("sidecar", "x:1.2.3"), ("teleport", "r/teleport:16.2.0")]);
        assert_eq!(after, expected.object);
        assert_eq!(after.to_string(), before.object.to_string().replace("16.1.7", "16.2.0"));
    }

    #[test]
    fn a_person_suspends_it_with_what_go_takes_for_true() {
        let skipped =
            |value: Value| workload(json!({"metadata": {"annotations": {"teleport.dev/skipreconcile": value}}})).is_skipped();
        for yes in ["true", "1", "T", "True"] {
            assert!(skipped(yes.into()), "{yes}");
        }
        for no in [json!("false"), json!("yes"), json!(""), json!(true), json!(null)] {
            assert!(!skipped(no.clone()), "{no}");
        }
        assert!(!workload(json!({})).is_skipped());
    }

    #[test]
    fn its_pods_are_selected_as_it_says() {
        let selector = |selector: Value| workload(json!({"spec": {"selector": selector}})).selector();
        assert_eq!(
            selector(json!({"matchLabels": {"app": "agent", "k8s.io/x": ""}, "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["a", "b"]}, {"key": "x", "operator": "NotIn", "values": ["c"]},
                {"key": "y", "operator": "Exists"}, {"key": "z", "operator": "DoesNotExist"}]})),
            Ok("app=agent,k8s.io/x=,tier in (a,b),x notin (c),y,!z".into())
        );
        assert_eq!(selector(json!({})), Err("selects every pod of the namespace".into()));
        for nonsense in [
            json!({"matchLabels": {"a": "b&c"}}),
            json!({"matchLabels": {"a,b": "c"}}),
            json!({"matchLabels": {"a": 1}}),
            json!({"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]}),
            json!({"matchExpressions": [{"operator": "Exists"}]}),
        ] {
            assert!(selector(nonsense.clone()).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn a_roll_out_begins_at_its_partition() {
        let from = |spec: Value| workload(json!({ "spec": spec })).rolled_out_from();
        assert_eq!(from(json!({})), 0);
        assert_eq!(from(json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}})), 2);
        assert_eq!(from(json!({"ordinals": {"start": 5}, "updateStrategy": {"rollingUpdate": {"partition": 2}}})), 7);
    }

    #[test]
    fn the_revision_counts_once_the_controller_has_seen_the_newest_object() {
        let status = json!({"observedGeneration": 2, "updateRevision": "agent-7d"});
        let seen = workload(json!({"metadata": {"generation": 2}, "status": status}));
        assert_eq!(seen.update_revision(), Some("agent-7d"));
        let unseen = workload(json!({"metadata": {"generation": 3}, "status": seen.object["status"]}));
        assert_eq!(unseen.update_revision(), None);
        assert_eq!(Workload::new(Kind::Deployment, seen.object.clone()).update_revision(), None);
    }
}
