//! The pods of a workload: whether they are well, and which of them a roll-out will never replace by itself. Pure.

use std::io::Read;

use serde::Deserialize;

use crate::kube::times::moment;
use crate::rules::moment::Moment;

/// For so many seconds a pod may be not ready before it is called ill.
const PATIENCE: i64 = 5 * 60;

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

#[derive(Deserialize)]
struct List {
    items: Vec<Item>,
}
#[derive(Deserialize)]
struct Item {
    metadata: Metadata,
    status: Option<Status>,
}
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    uid: String,
    labels: Option<Labels>,
    creation_timestamp: Option<String>,
    deletion_timestamp: Option<String>,
}
#[derive(Deserialize)]
struct Labels {
    #[serde(rename = "controller-revision-hash")]
    revision: Option<String>,
}
#[derive(Deserialize)]
struct Status {
    phase: Option<String>,
    conditions: Option<Vec<Condition>>,
}
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    r#type: String,
    status: String,
    last_transition_time: Option<String>,
}

/// The pods of a list, of which only this little is kept.
///
/// # Errors
/// It is none, or breaks off.
pub fn pods(list: impl Read) -> Result<Vec<Pod>, serde_json::Error> {
    let list: List = serde_json::from_reader(list)?;
    Ok(list.items.into_iter().filter(|item| !is_over(item)).map(pod).collect())
}

/// One that was evicted, or has ended, is replaced by another one and may lie about for ever.
fn is_over(item: &Item) -> bool {
    item.status.as_ref().is_some_and(|status| matches!(status.phase.as_deref(), Some("Failed" | "Succeeded")))
}

fn pod(item: Item) -> Pod {
    let Item { metadata, status } = item;
    let standing = if metadata.deletion_timestamp.is_some() {
        Standing::Terminating
    } else {
        let conditions = status.and_then(|status| status.conditions).unwrap_or_default();
        ready(&conditions, metadata.creation_timestamp.as_deref().and_then(moment))
    };
    let revision = metadata.labels.and_then(|labels| labels.revision);
    Pod { name: metadata.name, uid: metadata.uid, revision, standing }
}

/// Where nothing is said of it yet, a pod has not been ready since it was made.
fn ready(conditions: &[Condition], made: Option<Moment>) -> Standing {
    match conditions.iter().find(|condition| condition.r#type == "Ready") {
        Some(ready) if ready.status == "True" => Standing::Ready,
        Some(ready) => ready.last_transition_time.as_deref().and_then(moment).map_or(Standing::Unknown, Standing::Since),
        None => made.map_or(Standing::Unknown, Standing::Since),
    }
}

impl Pod {
    /// Its number in its StatefulSet.
    fn ordinal(&self) -> Option<u64> {
        self.name.rsplit_once('-')?.1.parse().ok()
    }

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
/// (kubernetes issue 67250), so that nothing but their end lets it go on. Below `from` pods are to stay what they are.
pub fn stuck<'p>(pods: &'p [Pod], revision: &str, from: u64, now: Moment) -> impl Iterator<Item = &'p Pod> {
    let other = move |pod: &&Pod| pod.revision.as_deref().is_some_and(|of| of != revision);
    let is_rolled_out = move |pod: &&Pod| pod.ordinal().is_some_and(|ordinal| ordinal >= from);
    pods.iter().filter(other).filter(is_rolled_out).filter(move |pod| pod.complaint(now).is_some())
}

/// For how many seconds a pod is left alone that has taken the place of one that was deleted.
pub const RESPITE: i64 = PATIENCE;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

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
    fn read(list: &Value) -> Vec<Pod> {
        pods(list.to_string().as_bytes()).unwrap()
    }
    fn said(items: Vec<Value>) -> Option<String> {
        complaint(&read(&json!({ "items": items })), Moment::from_unix(NOON))
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
    fn a_pod_that_was_just_made_or_is_over_does_not_make_a_workload_ill() {
        let with = |mut pod: Value, made: &str, phase: &str| {
            pod["metadata"]["creationTimestamp"] = json!(made);
            pod["status"]["phase"] = json!(phase);
            pod
        };
        let well = || one("a", None, ready(), false);
        let made = |at: &str| said(vec![well(), with(one("b", None, json!([]), false), at, "Pending")]);
        assert_eq!(made("2026-11-26T11:59:59Z"), None);
        assert_eq!(made("2026-11-26T11:54:59Z").as_deref(), Some("pod b has not been ready since 2026-11-26T11:54:59Z"));
        for phase in ["Failed", "Succeeded"] {
            let over = || with(one("c", None, not_ready("2026-01-01T00:00:00Z"), false), "2026-01-01T00:00:00Z", phase);
            assert_eq!(said(vec![well(), over()]), None);
            assert_eq!(said(vec![over()]).as_deref(), Some("there are no pods"));
        }
    }

    #[test]
    fn a_list_that_breaks_off_or_is_none_is_no_list_of_pods() {
        for nonsense in ["", "{}", "[1]", "{\"items\":[{}]}", "{\"items\":["] {
            assert!(pods(nonsense.as_bytes()).is_err(), "{nonsense}");
        }
        assert_eq!(read(&json!({"items": []})), []);
    }

    #[test]
    fn pods_on_their_way_out_are_neither_ill_nor_missing() {
        assert_eq!(said(vec![one("a", None, not_ready("2026-01-01T00:00:00Z"), true)]), None);
    }

    #[test]
    fn only_pods_that_are_ill_and_of_another_revision_are_stuck() {
        let list = json!({"items": [
            one("agent-0", Some("old"), json!([]), false),
            one("agent-1", Some("old"), not_ready("2026-01-01T00:00:00Z"), false),
            one("agent-2", Some("old"), json!([]), false),
            one("agent-3", Some("old"), ready(), false),
            one("agent-4", Some("old"), not_ready("2026-11-26T11:58:00Z"), false),
            one("agent-5", Some("old"), json!([]), true),
            one("agent-6", Some("new"), json!([]), false),
            one("agent-7", None, json!([]), false),
            one("nobodys", Some("old"), json!([]), false),
        ]});
        let pods = read(&list);
        let now = Moment::from_unix(NOON);
        let names = |from| stuck(&pods, "new", from, now).map(|pod| pod.name.as_str()).collect::<Vec<_>>();
        assert_eq!(names(0), ["agent-0", "agent-1", "agent-2"]);
        // Below the partition of a roll-out they are to stay of the old one.
        assert_eq!(names(2), ["agent-2"]);
        assert_eq!(next_illness(&pods, now), Some(Moment::from_unix(NOON + 3 * 60 + 1)));
    }
}
