//! Who says which version is wanted: the proxy of a cluster with managed updates, or a version server.

use serde::Deserialize;

use crate::error::{Class, Error, quoted};
use crate::kube::next::{Wanted, When};
use crate::kube::outside::{Deadline, LIMITS, Outside, USER_AGENT, pause, proxies};
use crate::kube::query::escaped;
use crate::offers::client::{Limits, Surroundings, VersionServer};
use crate::offers::reply::{self, Offered};
use crate::offers::web::Question;
use crate::rules::endpoint::Endpoint;
use crate::rules::policy::Transport;

/// The answer of `/webapi/find` has a few KiB.
const LARGEST: u64 = 256 * 1024;

/// Who is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The proxy, `HOST[:PORT]`, and a group of agents.
    pub proxy: Option<(String, String)>,
    /// The version server, with the channel, and how; none where a proxy is asked and nobody has named another server.
    pub server: Option<(Endpoint, Transport)>,
}

/// What a proxy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Says(Wanted),
    /// It is older than managed updates, or does not use them.
    NotImplemented,
}

impl Source {
    /// Asks the proxy, and the version server where the proxy says that it has nothing to say about versions: a load balancer before it that
    /// finds none (404, 503) says nothing; whether its version is critical only when
    /// `matters` says that it makes a difference.
    ///
    /// # Errors
    /// No answer that counts.
    pub fn ask(&self, outside: &Outside, deadline: Deadline, matters: impl Fn(&Offered) -> bool) -> Result<Wanted, Error> {
        if let Some((proxy, group)) = &self.proxy
            && let Found::Says(wanted) = find(outside, proxy, group, deadline)?
        {
            return Ok(wanted);
        }
        let surroundings = Surroundings {
            authorities: outside.authorities(),
            proxies: proxies(),
            user_agent: USER_AGENT,
            limits: Limits { overall: LIMITS.overall.min(deadline.left()), ..LIMITS },
            pause: &pause,
        };
        let Some((endpoint, transport)) = &self.server else {
            return Err(Error::new(
                Class::Server,
                "the proxy names no version of agents",
                "does the cluster have managed updates? Else name a version server with --version-server",
            ));
        };
        let mut server = VersionServer::new(endpoint, *transport, surroundings)?;
        let offered = server.version()?.offered;
        // Whether it is critical may be unknown: then it is not, and windows count.
        let critical = matters(&offered) && server.critical().unwrap_or(false);
        Ok(Wanted { offered, when: if critical { When::Critical } else { When::Windows } })
    }
}

fn find(outside: &Outside, proxy: &str, group: &str, deadline: Deadline) -> Result<Found, Error> {
    let url = format!("https://{proxy}/webapi/find?group={}", escaped(group));
    let question = Question { url: &url, called: &url, headers: &[("accept", "application/json")], most: LARGEST };
    let answer = outside.get(&question, deadline)?;
    let nonsense =
        |what: &str| Error::new(Class::Server, format!("{url} answered {what}"), "is --proxy-address the cluster's proxy?");
    match answer.status {
        200 => found(&answer.body).map_err(|what| nonsense(&what)),
        status => Err(nonsense(&format!("with the HTTP status {status}"))),
    }
}

#[derive(Deserialize)]
struct Find {
    auto_update: Option<AutoUpdate>,
}
#[derive(Deserialize)]
struct AutoUpdate {
    #[serde(default)]
    agent_version: String,
    #[serde(default)]
    agent_auto_update: bool,
}

/// Reads the answer of `/webapi/find` (docs/facts.md, T4).
pub(super) fn found(body: &[u8]) -> Result<Found, String> {
    let find: Find = serde_json::from_slice(body).map_err(|_| format!("{}, which is no answer of a proxy", quoted(body)))?;
    match find.auto_update {
        None => Ok(Found::NotImplemented),
        Some(AutoUpdate { agent_version, .. }) if agent_version.is_empty() => Ok(Found::NotImplemented),
        Some(AutoUpdate { agent_version, agent_auto_update }) => {
            let offered = reply::version(agent_version.as_bytes())?;
            let when = if agent_auto_update { When::ProxySaysNow } else { When::ProxySaysLater };
            Ok(Found::Says(Wanted { offered, when }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_with_managed_updates_names_version_and_moment_and_another_one_does_not() {
        let says = |version: &str, when| Ok(Found::Says(Wanted { offered: Offered::Release(version.parse().unwrap()), when }));
        let answer = |update: &str| {
            found(format!(r#"{{"auth":{{"type":"local"}},"server_version":"17.1.0","auto_update":{update}}}"#).as_bytes())
        };
        assert_eq!(
            answer(
                r#"{"tools_version":"17.1.0","agent_version":"17.1.0","agent_auto_update":true,"agent_update_jitter_seconds":60}"#
            ),
            says("17.1.0", When::ProxySaysNow)
        );
        assert_eq!(answer(r#"{"agent_version":"v17.1.0","agent_auto_update":false}"#), says("17.1.0", When::ProxySaysLater));
        assert_eq!(answer(r#"{"agent_version":"17.1.0"}"#), says("17.1.0", When::ProxySaysLater));
        assert_eq!(found(b"{\"server_version\":\"14.0.0\"}"), Ok(Found::NotImplemented));
        assert_eq!(answer(r#"{"tools_auto_update":true}"#), Ok(Found::NotImplemented));
        assert_eq!(answer("null"), Ok(Found::NotImplemented));
        for nonsense in [r#"{"agent_version":"17"}"#, r#"{"agent_version":"17.1.0","agent_auto_update":"yes"}"#, "[1]"] {
            assert!(answer(nonsense).is_err(), "{nonsense}");
        }
        assert!(found(b"<html>").unwrap_err().ends_with("which is no answer of a proxy"));
    }
}
