//! The pods of a workload: whether they are well, and which of them a roll-out will never replace by itself. Pure.

use serde_json::Value;

use crate::kube::times::moment;
use crate::rules::moment::Moment;

/// For so many seconds a pod may be not ready before it is called ill.
const PATIENCE: i64 = 5 * 60;
/// Which revision of its StatefulSet a pod is of.
const REVISION: &str = "/metadata/labels/controller-revision-hash";

/// One pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its unique id: another pod of the same name has another.
    pub uid: String,
    revision: Option<String>,
    standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Ready,
    /// It is on its way out, whatever else.
    Terminating,
    /// Not ready, since then.
    Since(Moment),
    /// Not ready, and nobody says since when.
    Unknown,
}

/// The pods of a list.
#[must_use]
pub fn pods(list: &Value) -> Vec<Pod> {
    let items = list.get("items").and_then(Value::as_array);
    items.into_iter().flatten().filter_map(pod).collect()
}

fn pod(object: &Value) -> Option<Pod> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    Some(Pod {
        name: text("/metadata/name")?,
        uid: text("/metadata/uid")?,
        revision: text(REVISION),
        standing: if object.pointer("/metadata/deletionTimestamp").is_some_and(|at| !at.is_null()) {
            Standing::Terminating
        } else {
            ready(object)
        },
    })
}

fn ready(object: &Value) -> Standing {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let text = |condition: &Value, key: &str| condition.get(key).and_then(Value::as_str).map(str::to_owned);
    match conditions.into_iter().flatten().find(|condition| text(condition, "type").as_deref() == Some("Ready")) {
        Some(ready) if text(ready, "status").as_deref() == Some("True") => Standing::Ready,
        Some(ready) => text(ready, "lastTransitionTime").and_then(|at| moment(&at)).map_or(Standing::Unknown, Standing::Since),
        None => Standing::Unknown,
    }
}

impl Pod {
    /// What is wrong with it, as the end of a sentence that begins with its name.
    fn complaint(&self, now: Moment) -> Option<String> {
        match self.standing {
            Standing::Ready | Standing::Terminating => None,
            Standing::Since(then) if now.since(then) <= PATIENCE => None,
            Standing::Since(then) => Some(format!("has not been ready since {}", then.rfc3339())),
            Standing::Unknown => Some("has never been ready".into()),
        }
    }
}

/// Why the workload is ill, if it is: it has no pod at all, or one that is ill.
#[must_use]
pub fn complaint(pods: &[Pod], now: Moment) -> Option<String> {
    if pods.is_empty() {
        return Some("there are no pods".into());
    }
    pods.iter().find_map(|pod| Some(format!("pod {} {}", pod.name, pod.complaint(now)?)))
}

/// When the first pod that is not ready yet will be called ill.
#[must_use]
pub fn next_illness(pods: &[Pod], now: Moment) -> Option<Moment> {
    let at = pods.iter().filter_map(|pod| match pod.standing {
        Standing::Since(then) => Some(then.plus(PATIENCE + 1)),
        _ => None,
    });
    at.filter(|at| *at > now).min()
}

/// Those that are ill and of another revision than the one that is to be: the controller waits for them to become ready, which they do not
/// (kubernetes issue 67250), so that nothing but their end lets it go on.
pub fn stuck<'p>(pods: &'p [Pod], revision: &str, now: Moment) -> impl Iterator<Item = &'p Pod> {
    let other = move |pod: &&Pod| pod.revision.as_deref().is_some_and(|of| of != revision);
    pods.iter().filter(other).filter(move |pod| pod.complaint(now).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// 2026-11-26T12:00:00Z
    const NOON: i64 = 1_795_694_400;

    fn one(name: &str, revision: Option<&str>, conditions: Value, leaves: bool) -> Value {
        let mut pod = json!({"metadata": {"name": name, "uid": name, "labels": {}}, "status": {"conditions": conditions}});
        if let Some(revision) = revision {
            pod["metadata"]["labels"]["controller-revision-hash"] = json!(revision);
        }
        if leaves {
            pod["metadata"]["deletionTimestamp"] = json!("2026-11-26T11:59:00Z");
        }
        pod
    }
    fn ready() -> Value {
        json!([{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}])
    }
    fn not_ready(since: &str) -> Value {
        json!([{"type": "Ready", "status": "False", "lastTransitionTime": since}])
    }
    fn said(items: Vec<Value>) -> Option<String> {
        complaint(&pods(&json!({ "items": items })), Moment::from_unix(NOON))
    }

    #[test]
    fn a_workload_is_ill_without_pods_or_with_one_that_is_not_ready_for_more_than_five_minutes() {
        assert_eq!(said(vec![]).as_deref(), Some("there are no pods"));
        assert_eq!(said(vec![one("a", None, ready(), false)]), None);
        let slow = |since| said(vec![one("a", None, ready(), false), one("b", None, not_ready(since), false)]);
        assert_eq!(slow("2026-11-26T11:55:00Z"), None);
        assert_eq!(slow("2026-11-26T11:54:59Z").as_deref(), Some("pod b has not been ready since 2026-11-26T11:54:59Z"));
        for never in [json!(null), json!([]), json!([{"type": "Initialized", "status": "True"}]), not_ready("soon")] {
            assert_eq!(said(vec![one("b", None, never, false)]).as_deref(), Some("pod b has never been ready"));
        }
    }

    #[test]
    fn pods_on_their_way_out_are_neither_ill_nor_missing() {
        assert_eq!(said(vec![one("a", None, not_ready("2026-01-01T00:00:00Z"), true)]), None);
    }

    #[test]
    fn only_pods_that_are_ill_and_of_another_revision_are_stuck() {
        let list = json!({"items": [
            one("old-ill", Some("old"), not_ready("2026-01-01T00:00:00Z"), false),
            one("old-never", Some("old"), json!([]), false),
            one("old-well", Some("old"), ready(), false),
            one("old-slow", Some("old"), not_ready("2026-11-26T11:58:00Z"), false),
            one("old-gone", Some("old"), json!([]), true),
            one("new-ill", Some("new"), json!([]), false),
            one("nobodys", None, json!([]), false),
        ]});
        let pods = pods(&list);
        let now = Moment::from_unix(NOON);
        let stuck: Vec<&str> = stuck(&pods, "new", now).map(|pod| pod.name.as_str()).collect();
        assert_eq!(stuck, ["old-ill", "old-never"]);
        assert_eq!(next_illness(&pods, now), Some(Moment::from_unix(NOON + 3 * 60 + 1)));
    }
}
