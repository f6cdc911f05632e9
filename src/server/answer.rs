//! From what is asked to what is answered: the same for a request and for a published file. Pure but for `upstream`, which asks other servers.

use crate::offers::reply::Offered;
use crate::rules::maintenance::schedule;
use crate::rules::moment::Moment;
use crate::server::channels::{Answer, Upstream};
use crate::server::configuration::Configuration;
use crate::server::route::{Question, Refusal, Route};

/// How many windows agents export (reference, section 1).
pub const WINDOWS: usize = 3;

/// What another server said: which version, and whether it is critical.
pub type Said = (Offered, bool);

/// A complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status of HTTP.
    pub status: Status,
    /// The body, in plain text.
    pub body: String,
}

/// The statuses that are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Everything is well.
    Ok,
    /// The same, at this very moment only.
    Alive,
    /// What the client has is still so.
    NotModified,
    /// The request makes no sense.
    BadRequest,
    /// Nothing is there.
    NotFound,
    /// Only GET and HEAD.
    MethodNotAllowed,
    /// The request took too long to come.
    RequestTimeout,
    /// Its head is larger than any of a client of ours.
    TooLarge,
    /// The server that is asked does not answer, and never did lately.
    BadGateway,
    /// More connections than are served.
    Busy,
}

impl Status {
    /// Code and reason.
    #[must_use]
    pub const fn line(self) -> &'static str {
        match self {
            Self::Ok | Self::Alive => "200 OK",
            Self::NotModified => "304 Not Modified",
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::RequestTimeout => "408 Request Timeout",
            Self::TooLarge => "431 Request Header Fields Too Large",
            Self::BadGateway => "502 Bad Gateway",
            Self::Busy => "503 Service Unavailable",
        }
    }
}

impl Reply {
    /// This status and these words.
    #[must_use]
    pub fn new(status: Status, body: impl Into<String>) -> Self {
        Self { status, body: body.into() }
    }
}

/// Answers what is asked at this moment.
pub fn reply(
    route: &Result<Route, Refusal>,
    configuration: &Configuration,
    now: Moment,
    upstream: impl Fn(&Upstream) -> Result<Said, String>,
) -> Reply {
    let (name, question) = match route {
        Ok(Route::Health) => return Reply::new(Status::Alive, "ok\n"),
        Ok(Route::Channel(name, question)) => (name, *question),
        Err(Refusal::NotFound) => return Reply::new(Status::NotFound, "not found\n"),
        Err(Refusal::MethodNotAllowed) => return Reply::new(Status::MethodNotAllowed, "only GET and HEAD\n"),
        Err(Refusal::BadRequest) => {
            return Reply::new(Status::BadRequest, "a channel is asked for NAME/version, NAME/critical or NAME/schedule\n");
        }
    };
    if question == Question::Schedule {
        return match &configuration.maintenance {
            Some(maintenance) => Reply::new(Status::Ok, schedule(&maintenance.windows(now, WINDOWS))),
            None => Reply::new(Status::NotFound, "no cluster_maintenance_config is configured\n"),
        };
    }
    let said = match configuration.channels.answer(name) {
        Answer::Known(offered, critical) => Ok((offered, critical)),
        Answer::Asked(other) => {
            upstream(other).map(|(offered, critical)| (configuration.channels.within_the_cluster(offered), critical))
        }
    };
    match (said, question) {
        (Ok((Offered::Release(release), _)), Question::Version) => Reply::new(Status::Ok, format!("v{release}")),
        (Ok((Offered::NoTarget, _)), Question::Version) => Reply::new(Status::Ok, "none"),
        (Ok((_, true)), _) => Reply::new(Status::Ok, "yes"),
        (Ok((_, false)), _) => Reply::new(Status::Ok, "no"),
        (Err(_), _) => Reply::new(Status::BadGateway, "the server that this channel is forwarded to gives no answer\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::configuration::parse;
    use crate::server::route::route;

    const CONFIGURATION: &str = "cluster_version: 16.4.0
automatic_upgrades_channels:
  default: { static_version: v16.2.0 }
  urgent: { static_version: 16.2.1, critical: true }
  stopped: { static_version: 16.2.1, critical: true, halt: true }
  other: { forward_url: https://updates.example.test/v1/x }
  beyond: { static_version: 17.0.0 }
  nothing: { static_version: none }
---
kind: cluster_maintenance_config
spec: { agent_upgrades: { utc_start_hour: 10, weekdays: [Thu] } }
";

    fn said(target: &str, upstream: Result<Said, String>) -> (Status, String) {
        let route = route("GET", &format!("/webapi/automaticupgrades/channel/{target}"));
        let reply = reply(&route, &parse(CONFIGURATION).unwrap(), Moment::from_unix(1_795_685_400), |_| upstream.clone());
        (reply.status, reply.body)
    }
    fn known(target: &str) -> String {
        said(target, Err(String::new())).1
    }

    #[test]
    fn answers_are_byte_for_byte_those_of_a_proxy() {
        assert_eq!((known("default/version"), known("default/critical")), ("v16.2.0".into(), "no".into()));
        assert_eq!((known("urgent/version"), known("urgent/critical")), ("v16.2.1".into(), "yes".into()));
        assert_eq!((known("stopped/version"), known("stopped/critical")), ("none".into(), "no".into()));
        assert_eq!((known("nothing/version"), known("nothing/critical")), ("none".into(), "no".into()));
        assert_eq!(known("nobody/knows/version"), "v16.2.0");
        assert_eq!(known("beyond/version"), "v16.4.0");
        assert_eq!(
            known("default/schedule"),
            "# generated by teleport-version-server\n1795687200 1795690800\n1796292000 1796295600\n1796896800 1796900400\n"
        );
    }

    #[test]
    fn what_another_server_says_is_passed_on_within_the_clusters_major_version() {
        let release = |version: &str| Offered::Release(version.parse().unwrap());
        assert_eq!(said("other/version", Ok((release("16.9.9"), true))).1, "v16.9.9");
        assert_eq!(said("other/critical", Ok((release("16.9.9"), true))).1, "yes");
        assert_eq!(said("other/version", Ok((release("18.0.0"), false))).1, "v16.4.0");
        assert_eq!(said("other/version", Ok((Offered::NoTarget, false))).1, "none");
        assert_eq!(said("other/version", Err("no answer".into())).0, Status::BadGateway);
    }
}
