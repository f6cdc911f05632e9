//! The configuration file: a teleport.yaml, of which only the channels are read, or a small file of its own; and a maintenance
//! configuration, in the same file or as `tctl` takes it. Whatever is wrong is said at once, and nothing is guessed.

use std::collections::BTreeMap;

use saphyr::MarkedYaml;

use crate::document::{Mistake, Node, documents, is_near, shown};
use crate::offers::reply::Offered;
use crate::rules::endpoint::{Endpoint, ForgivenEndpoint};
use crate::rules::maintenance::{Maintenance, weekday};
use crate::rules::policy::Transport;
use crate::rules::release::Release;
use crate::server::channels::{Channel, Channels, Source, Upstream};

const CHANNELS: &str = "automatic_upgrades_channels";
const CLUSTER: &str = "cluster_version";
const STALE: &str = "serve_stale_hours";
const KIND: &str = "cluster_maintenance_config";
/// The keys of a file of our own.
const OWN: [&str; 4] = ["proxy_service", CHANNELS, CLUSTER, STALE];
/// What tells a teleport.yaml, whose other keys are none of our business.
const TELEPORTS: [&str; 5] = ["teleport", "auth_service", "ssh_service", "version", "proxy_service"];
/// For how many hours an answer is good that cannot be had anew.
const STALE_HOURS: u16 = 24;
/// A key that stands for others, elsewhere in the file: there might be channels among them.
const MERGE: &str = "<<";
const MERGED: &str = "is a merge key, which is not followed here: write out what it stands for";
/// The names of what lies below a channel: no part of a channel's name.
const QUESTIONS: [&str; 3] = ["version", "critical", "schedule"];

/// All that is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// Which versions.
    pub channels: Channels,
    /// When.
    pub maintenance: Option<Maintenance>,
    /// For how many seconds the last good answer of another server is served while it fails.
    pub stale: u64,
}

/// Reads a configuration file.
///
/// # Errors
/// Every mistake in it.
pub fn parse(text: &str) -> Result<Configuration, Vec<Mistake>> {
    let documents = documents(text).map_err(|mistake| vec![mistake])?;
    let mut mistakes = Vec::new();
    let (mut main, mut maintenance) = (None, None);
    for yaml in &documents {
        let node = Node::top(yaml);
        if is_maintenance(yaml) {
            if let Some((_, value)) = node.entries(&mut Vec::new()).into_iter().find(|(key, _)| OWN.contains(key)) {
                let what = format!("stands in one document with a {KIND}: put a line `---` between them");
                return Err(vec![value.mistake(what)]);
            }
            if maintenance.is_some() {
                mistakes.push(node.mistake(format!("a second {KIND}: there can be one")));
            }
            maintenance = maintenance.or(Some(read_maintenance(&node, &mut mistakes)));
        } else if main.is_some() {
            mistakes.push(node.mistake(format!("a second document that is no {KIND}: there can be one")));
        } else if !node.is_nothing() {
            main = Some(read_main(&node, &mut mistakes));
        }
    }
    let Some((channels, stale)) = main else {
        let top = documents.first().map(Node::top);
        let what = format!("there is no `{CHANNELS}` and no `{CLUSTER}`: nothing could be answered");
        mistakes.push(top.map_or_else(|| Mistake::in_line(1, what.clone()), |node| node.mistake(what.clone())));
        return Err(mistakes);
    };
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    Ok(Configuration { channels, maintenance: maintenance.flatten(), stale })
}

/// Reads a file with a maintenance configuration and nothing else.
///
/// # Errors
/// Every mistake in it.
pub fn parse_maintenance(text: &str) -> Result<Maintenance, Vec<Mistake>> {
    let documents = documents(text).map_err(|mistake| vec![mistake])?;
    let mut mistakes = Vec::new();
    let yaml = match documents.as_slice() {
        [yaml] => yaml,
        // Behind channels, as it is served.
        several => match several.iter().filter(|yaml| is_maintenance(yaml)).collect::<Vec<_>>().as_slice() {
            [yaml] => yaml,
            _ => return Err(vec![Mistake::in_line(1, format!("there must be one {KIND}"))]),
        },
    };
    let maintenance = read_maintenance(&Node::top(yaml), &mut mistakes);
    maintenance.filter(|_| mistakes.is_empty()).ok_or(mistakes)
}

/// Every resource of a cluster has a kind; nothing else here has.
fn is_maintenance(yaml: &MarkedYaml<'_>) -> bool {
    let mut ignored = Vec::new();
    Node::top(yaml).entries(&mut ignored).iter().any(|(key, _)| matches!(*key, "kind" | "spec"))
}

// --- channels -----------------------------------------------------------------------------------------

fn read_main(node: &Node<'_>, mistakes: &mut Vec<Mistake>) -> (Channels, u64) {
    let entries = node.entries(mistakes);
    let is_teleports = entries.iter().any(|(key, _)| TELEPORTS.contains(key));
    let (mut table, mut cluster, mut hours) = (BTreeMap::new(), None, STALE_HOURS);
    let mut answers = false;
    for (key, value) in entries {
        match key {
            CHANNELS => read_table(&value, &mut table, mistakes),
            "proxy_service" => {
                for (key, channels) in value.entries(mistakes) {
                    if key == CHANNELS {
                        read_table(&channels, &mut table, mistakes);
                    } else if key == MERGE {
                        mistakes.push(channels.mistake(MERGED));
                    } else if is_near(key, CHANNELS) {
                        channels.unknown(key, &[CHANNELS], mistakes);
                    }
                }
            }
            CLUSTER => {
                answers = true;
                cluster = value.read(release, "write a version such as 16.2.0", mistakes);
            }
            STALE => {
                let sound = |text: &str| text.parse::<u16>().ok().filter(|hours| *hours <= 24 * 365);
                hours = value.read(sound, "write a number of hours, 0 to 8760", mistakes).unwrap_or(STALE_HOURS);
            }
            KIND => mistakes
                .push(value.mistake("is a document of its own: put a line `---` before it, and its kind and spec behind that")),
            MERGE => mistakes.push(value.mistake(MERGED)),
            // In a teleport.yaml other keys are none of our business, but for one that is meant for us.
            other if !is_teleports || OWN.iter().any(|own| is_near(other, own)) => value.unknown(other, &OWN, mistakes),
            _ => {}
        }
    }
    if table.is_empty() && !answers && mistakes.is_empty() {
        let place = if is_teleports { format!("`proxy_service.{CHANNELS}`") } else { format!("`{CHANNELS}`") };
        mistakes.push(node.mistake(format!("there is no {place} and no `{CLUSTER}`: nothing could be answered")));
    }
    (Channels::new(table, cluster), u64::from(hours) * 3600)
}

fn read_table(node: &Node<'_>, table: &mut BTreeMap<String, Channel>, mistakes: &mut Vec<Mistake>) {
    for (name, value) in node.entries(mistakes) {
        if let Err(why) = sound_name(name) {
            mistakes.push(value.mistake(why));
        } else if table.contains_key(name) {
            mistakes.push(value.mistake("is configured twice"));
        } else if let Some(channel) = read_channel(&value, mistakes) {
            table.insert(name.to_owned(), channel);
        }
    }
}

/// A name becomes a path, in an address and on disk.
fn sound_name(name: &str) -> Result<(), String> {
    let part = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-~+".contains(c)) && !part.starts_with('.')
    };
    if name.len() > 200 || !name.split('/').all(part) {
        return Err("is no name of a channel: write words of letters, digits, `-`, `_`, `.`, `~` and `+`, joined by `/`".into());
    }
    let taken = name.split('/').find(|part| QUESTIONS.contains(part));
    taken.map_or(Ok(()), |part| Err(format!("is no name of a channel: `{part}` is a question that channels are asked")))
}

fn read_channel(node: &Node<'_>, mistakes: &mut Vec<Mistake>) -> Option<Channel> {
    const KEYS: [&str; 4] = ["static_version", "forward_url", "critical", "halt"];
    let before = mistakes.len();
    let (mut target, mut upstream, mut critical, mut halt) = (None, None, None, false);
    for (key, value) in node.entries(mistakes) {
        match key {
            "static_version" => target = Some(value.read(offered, "write a version such as v16.2.0, or none", mistakes)),
            "forward_url" => upstream = Some(read_upstream(&value, mistakes)),
            "critical" => critical = Some((value.truth(mistakes), value)),
            "halt" => halt = value.truth(mistakes),
            other => value.unknown(other, &KEYS, mistakes),
        }
    }
    let source = match (target, upstream) {
        (Some(_), Some(_)) => {
            mistakes.push(node.mistake("has both `static_version` and `forward_url`: one of them"));
            None
        }
        (None, None) => {
            mistakes.push(node.mistake("has neither `static_version` nor `forward_url`: one of them"));
            None
        }
        (Some(target), None) => {
            target.map(|target| Source::Fixed { target, critical: critical.is_some_and(|(critical, _)| critical) })
        }
        (None, Some(upstream)) => {
            if let Some((true, value)) = critical {
                mistakes.push(value.mistake("goes with `static_version` only: the other server says whether its version is"));
            }
            upstream.map(Source::Forward)
        }
    };
    source.filter(|_| mistakes.len() == before).map(|source| Channel { source, halt })
}

fn read_upstream(node: &Node<'_>, mistakes: &mut Vec<Mistake>) -> Option<Upstream> {
    let text = node.text(mistakes)?;
    let (transport, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (Transport::Tls, rest),
        (None, Some(rest)) => (Transport::PlainLocal, rest),
        (None, None) => {
            mistakes.push(node.mistake(format!("is {}: write https://HOST[:PORT]/PATH", shown(text))));
            return None;
        }
    };
    let endpoint = match rest.parse::<ForgivenEndpoint>() {
        Ok(ForgivenEndpoint { endpoint, .. }) => endpoint,
        Err(why) => {
            mistakes.push(node.mistake(why));
            return None;
        }
    };
    if transport == Transport::PlainLocal && !Endpoint::is_local(&endpoint) {
        mistakes.push(node.mistake(format!("is {}: without TLS only a server on this very host is asked", shown(text))));
        return None;
    }
    Some(Upstream { endpoint, transport })
}

fn offered(text: &str) -> Option<Offered> {
    if text == "none" { Some(Offered::NoTarget) } else { release(text).map(Offered::Release) }
}

fn release(text: &str) -> Option<Release> {
    text.parse().ok()
}

// --- maintenance --------------------------------------------------------------------------------------

fn read_maintenance(node: &Node<'_>, mistakes: &mut Vec<Mistake>) -> Option<Maintenance> {
    const KEYS: [&str; 6] = ["kind", "version", "metadata", "spec", "nonce", "sub_kind"];
    let before = mistakes.len();
    let (mut kind, mut spec) = (false, None);
    for (key, value) in node.entries(mistakes) {
        match key {
            "kind" => {
                kind = true;
                let expected = format!("write {KIND}, in English");
                value.read(|text| matches!(text, KIND | "cluster-maintenance-config").then_some(()), &expected, mistakes);
            }
            "version" => {
                value.read(|text| (text == "v1").then_some(()), "write v1", mistakes);
            }
            "metadata" => {
                for (_, name) in value.entries(mistakes).into_iter().filter(|(key, _)| *key == "name") {
                    let expected = "write cluster-maintenance-config, the only one there is";
                    name.read(|text| (text == "cluster-maintenance-config").then_some(()), expected, mistakes);
                }
            }
            "spec" => spec = Some(value),
            "nonce" | "sub_kind" => {}
            other => value.unknown(other, &KEYS, mistakes),
        }
    }
    if !kind {
        mistakes.push(node.mistake(format!("there is no `kind`: write `kind: {KIND}`")));
    }
    let mut upgrades = None;
    for (key, value) in spec.iter().flat_map(|spec| spec.entries(mistakes)).collect::<Vec<_>>() {
        match key {
            "agent_upgrades" => upgrades = Some(value),
            other => value.unknown(other, &["agent_upgrades"], mistakes),
        }
    }
    let Some(upgrades) = upgrades else {
        mistakes.push(spec.as_ref().unwrap_or(node).mistake("has no `agent_upgrades`: it says when upgrades are welcome"));
        return None;
    };
    let maintenance = read_window(&upgrades, mistakes);
    maintenance.filter(|_| mistakes.len() == before)
}

fn read_window(node: &Node<'_>, mistakes: &mut Vec<Mistake>) -> Option<Maintenance> {
    // tctl takes a missing hour for midnight.
    let (mut hour, mut weekdays) = (Some(0), Vec::new());
    for (key, value) in node.entries(mistakes) {
        match key {
            "utc_start_hour" => {
                let sound = |text: &str| text.parse::<u8>().ok().filter(|hour| *hour <= 23);
                hour = value.read(sound, "write an hour of the day in UTC, 0 to 23", mistakes);
            }
            "weekdays" => {
                for day in value.items(mistakes) {
                    let expected =
                        "write Monday, Tuesday, Wednesday, Thursday, Friday, Saturday or Sunday, or Mon to Sun, in English";
                    weekdays.extend(day.read(weekday, expected, mistakes));
                }
            }
            other => value.unknown(other, &["utc_start_hour", "weekdays"], mistakes),
        }
    }
    Maintenance::new(hour?, weekdays)
}
