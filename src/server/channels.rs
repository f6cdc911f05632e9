//! Channels: who is told which version.

use std::collections::BTreeMap;

use crate::offers::reply::Offered;
use crate::rules::endpoint::Endpoint;
use crate::rules::policy::Transport;
use crate::rules::release::Release;

/// The channel that answers where another one is not known.
pub const DEFAULT: &str = "default";
/// What agents of Teleport Cloud ask: it and the default stand in for each other.
const CLOUD: &str = "stable/cloud";

/// Where a channel's answers come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The configuration.
    Fixed {
        /// The version that agents should run, if any.
        target: Offered,
        /// Whether it is so urgent that no window is waited for.
        critical: bool,
    },
    /// Another version server.
    Forward(Upstream),
}

/// Another version server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Where it is asked.
    pub endpoint: Endpoint,
    /// And how.
    pub transport: Transport,
}

impl std::fmt::Display for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.transport == Transport::Tls { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.endpoint)
    }
}

/// One channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// Where its answers come from.
    pub source: Source,
    /// Whether its roll-out is stopped: then nobody is told a version.
    pub halt: bool,
}

/// All that are configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Channels {
    table: BTreeMap<String, Channel>,
    cluster: Option<Release>,
}

/// What a channel answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<'a> {
    /// This.
    Known(Offered, bool),
    /// What the other server says, but no version of a higher major than the cluster's.
    Asked(&'a Upstream),
}

impl Channels {
    /// These, and the version of the cluster: no agent is sent beyond its major version.
    #[must_use]
    pub fn new(mut table: BTreeMap<String, Channel>, cluster: Option<Release>) -> Self {
        for (one, other) in [(DEFAULT, CLOUD), (CLOUD, DEFAULT)] {
            if let Some(channel) = table.get(one).cloned() {
                table.entry(other.to_owned()).or_insert(channel);
            }
        }
        Self { table, cluster }
    }

    /// Their names, and that of the default one in any case.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let default = (!self.table.contains_key(DEFAULT)).then_some(DEFAULT);
        self.table.keys().map(String::as_str).chain(default)
    }

    /// What this channel answers, or the default one where nobody has configured it.
    #[must_use]
    pub fn answer(&self, name: &str) -> Answer<'_> {
        match self.table.get(name).or_else(|| self.table.get(DEFAULT)) {
            Some(Channel { halt: true, .. }) => Answer::Known(Offered::NoTarget, false),
            Some(Channel { source: Source::Forward(upstream), .. }) => Answer::Asked(upstream),
            Some(Channel { source: Source::Fixed { target, critical }, .. }) => {
                Answer::Known(self.within_the_cluster(target.clone()), *critical && *target != Offered::NoTarget)
            }
            None => Answer::Known(self.cluster.clone().map_or(Offered::NoTarget, Offered::Release), false),
        }
    }

    /// In place of a version of a higher major than the cluster's, that of the cluster: agents must not be newer.
    #[must_use]
    pub fn within_the_cluster(&self, offered: Offered) -> Offered {
        match (&self.cluster, offered) {
            (Some(cluster), Offered::Release(target)) if target.major() > cluster.major() => Offered::Release(cluster.clone()),
            (_, offered) => offered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(version: &str) -> Channel {
        Channel { source: Source::Fixed { target: Offered::Release(version.parse().unwrap()), critical: false }, halt: false }
    }

    fn said(cluster: Option<&str>, table: &[(&str, Channel)], asked: &str) -> String {
        let table = table.iter().map(|(name, channel)| ((*name).to_owned(), channel.clone())).collect();
        let channels = Channels::new(table, cluster.map(|version| version.parse().unwrap()));
        match channels.answer(asked) {
            Answer::Known(Offered::Release(release), critical) => format!("{release}{}", if critical { " critical" } else { "" }),
            Answer::Known(Offered::NoTarget, critical) => format!("none{}", if critical { " critical" } else { "" }),
            Answer::Asked(upstream) => upstream.endpoint.to_string(),
        }
    }

    #[test]
    fn an_unknown_channel_is_answered_by_the_default_one_and_without_it_by_the_cluster() {
        let table = [("default", fixed("16.2.0")), ("west/blue", fixed("16.1.7"))];
        assert_eq!(said(None, &table, "west/blue"), "16.1.7");
        assert_eq!(said(None, &table, "east"), "16.2.0");
        assert_eq!(said(Some("16.3.0"), &table[1..], "east"), "16.3.0");
        assert_eq!(said(None, &table[1..], "east"), "none");
    }

    #[test]
    fn the_default_and_the_cloud_channel_stand_in_for_each_other() {
        assert_eq!(said(None, &[("default", fixed("16.2.0"))], "stable/cloud"), "16.2.0");
        assert_eq!(said(None, &[("stable/cloud", fixed("16.2.0"))], "other"), "16.2.0");
        let both = [("default", fixed("16.2.0")), ("stable/cloud", fixed("16.1.7"))];
        assert_eq!((said(None, &both, "stable/cloud"), said(None, &both, "default")), ("16.1.7".into(), "16.2.0".into()));
    }

    #[test]
    fn no_agent_is_sent_beyond_the_clusters_major_version() {
        assert_eq!(said(Some("16.5.0"), &[("default", fixed("17.0.0"))], "default"), "16.5.0");
        assert_eq!(said(Some("16.5.0"), &[("default", fixed("16.9.0"))], "default"), "16.9.0");
        assert_eq!(said(Some("16.5.0"), &[("default", fixed("15.1.0"))], "default"), "15.1.0");
    }

    #[test]
    fn a_halted_channel_names_no_target_and_is_not_critical() {
        let target = Offered::Release("16.2.0".parse().unwrap());
        let critical = Source::Fixed { target, critical: true };
        assert_eq!(said(None, &[("default", Channel { source: critical.clone(), halt: false })], "x"), "16.2.0 critical");
        assert_eq!(said(Some("16.1.0"), &[("default", Channel { source: critical, halt: true })], "x"), "none");
        let none = Source::Fixed { target: Offered::NoTarget, critical: true };
        assert_eq!(said(Some("16.1.0"), &[("default", Channel { source: none, halt: false })], "x"), "none");
    }
}
