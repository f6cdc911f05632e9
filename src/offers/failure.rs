//! Why an exchange failed, in the words an operator needs, and whether another try a moment later could end differently.
//!
//! A network that is not up yet, a portal and an inspecting proxy look like a broken server from here. What may be one of them is
//! [`Class::Network`]: try later, blame nobody. Only a server that was reached, and answered nonsense, is [`Class::Server`].

use rustls::CertificateError as Refused;
use rustls::pki_types::UnixTime;
use ureq::Timeout;

use crate::error::{Class, Error, quoted, typed};
use crate::offers::client::Limits;
use crate::rules::moment::Moment;

/// A failed exchange.
pub(crate) enum Failure {
    /// The network, or a server under load: may pass.
    Passing(Error),
    /// Asking again would bring the same answer.
    Lasting(Error),
}

/// What was asked, and how: everything a sentence about it needs.
pub(crate) struct Asked<'a> {
    pub(crate) url: &'a str,
    /// The proxy, without its password.
    pub(crate) via: Option<&'a str>,
    /// What the trusted authorities are called.
    pub(crate) authorities: &'a str,
    pub(crate) limits: &'a Limits,
}

impl Asked<'_> {
    /// The server was reached, and what it answered is of no use.
    pub(super) fn answered(&self, class: Class, what: &str) -> Error {
        Error::new(class, format!("{}{} answered {what}", self.url, self.through()), self.by_hand("look at the answer"))
    }

    /// No answer that counts was received.
    pub(super) fn unreachable(&self, class: Class, why: &str) -> Error {
        Error::new(class, format!("cannot fetch {}{}: {why}", self.url, self.through()), self.by_hand("try it by hand"))
    }

    /// The time for the whole check has passed.
    pub(super) fn too_late(&self) -> Error {
        self.unreachable(Class::Network, &format!("not done within {} in all", seconds(self.limits.overall)))
    }

    /// What an error of the HTTP client means.
    pub(crate) fn explain(&self, error: &ureq::Error) -> Failure {
        if let Some(cause) = tls_cause(error) {
            return Failure::Lasting(self.refused(cause));
        }
        let passing = |why: &str| Failure::Passing(self.unreachable(Class::Network, why));
        let broken = |what: &str| Failure::Lasting(self.answered(Class::Server, what));
        match error {
            ureq::Error::Timeout(Timeout::Global) => Failure::Passing(self.too_late()),
            ureq::Error::Timeout(Timeout::Resolve) => {
                passing(&format!("no address for its name within {}", seconds(self.limits.connect)))
            }
            ureq::Error::Timeout(Timeout::Connect) => passing(&format!("no connection within {}", seconds(self.limits.connect))),
            ureq::Error::Timeout(_) => passing(&format!("nothing received for {}", seconds(self.limits.read))),
            ureq::Error::HostNotFound => passing("its name has no address"),
            ureq::Error::Io(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                passing("the connection was closed before the answer was complete")
            }
            ureq::Error::Io(e) => passing(&e.to_string()),
            ureq::Error::ConnectionFailed => passing("no connection"),
            ureq::Error::ConnectProxyFailed(reason) => passing(&format!("the proxy opened no tunnel ({reason})")),
            ureq::Error::Protocol(e) => broken(&format!("in no sound HTTP ({})", quoted(e.to_string().as_bytes()))),
            ureq::Error::LargeResponseHeader(_, most) => broken(&format!("with more than {most} bytes of headers")),
            ureq::Error::BodyStalled => broken("with a body that is no sound HTTP"),
            other => Failure::Lasting(self.unreachable(Class::Network, &other.to_string())),
        }
    }

    /// Why no TLS connection came about. A portal and a wrong clock are as likely as a wrong server.
    fn refused(&self, cause: &rustls::Error) -> Error {
        let with = |class: Class, why: &str, first: &str| Error { next: self.by_hand(first), ..self.unreachable(class, why) };
        let clock = "check the clock of this host (date -u); if it is right, the certificate of the server must be renewed";
        let rustls::Error::InvalidCertificate(reason) = cause else {
            return match cause {
                rustls::Error::InvalidMessage(_) => {
                    with(Class::Network, "what answers there does not speak TLS", "check the port of its address")
                }
                rustls::Error::PeerIncompatible(_) | rustls::Error::AlertReceived(_) => {
                    let why = format!("no common TLS of version 1.2 or newer ({cause})");
                    with(Class::Network, &why, "let the server offer TLS 1.2 or 1.3")
                }
                _ => self.unreachable(Class::Network, &format!("TLS failed ({})", quoted(cause.to_string().as_bytes()))),
            };
        };
        match reason {
            Refused::UnknownIssuer => with(
                Class::Network,
                &format!("no authority in {} vouches for its certificate", self.authorities),
                "if the server has a private authority, add that to the host's bundle (update-ca-certificates, update-ca-trust) \
                 or name its file in SSL_CERT_FILE; a login page of the network or an inspecting proxy looks the same",
            ),
            Refused::NotValidForName | Refused::NotValidForNameContext { .. } => with(
                Class::Network,
                &format!("its certificate is for {}", names(reason)),
                "check the host of its address; a login page of the network looks the same",
            ),
            Refused::Expired => with(Class::Network, "its certificate has expired", clock),
            Refused::ExpiredContext { time, not_after } => {
                let why =
                    format!("its certificate expired at {}, and this host's clock says {}", moment(not_after), moment(time));
                with(Class::Network, &why, clock)
            }
            // Servers hardly ever show a certificate from the future: it is the clock.
            Refused::NotValidYet => with(Class::Clock, "its certificate is not valid yet", clock),
            Refused::NotValidYetContext { time, not_before } => {
                let why =
                    format!("its certificate is valid from {}, and this host's clock says {}", moment(not_before), moment(time));
                with(Class::Clock, &why, clock)
            }
            // What `openssl req -x509` makes unless it is told otherwise; rustls has no variant for it.
            other if other.to_string().contains("CaUsedAsEndEntity") => with(
                Class::Network,
                "its certificate is one of an authority, not of a server",
                "let the server show one with basicConstraints=CA:FALSE",
            ),
            other => {
                let why = format!("its certificate is not acceptable ({})", quoted(other.to_string().as_bytes()));
                self.unreachable(Class::Network, &why)
            }
        }
    }

    fn through(&self) -> String {
        self.via.map(|proxy| format!(" (through the proxy {proxy})")).unwrap_or_default()
    }

    fn by_hand(&self, first: &str) -> String {
        let proxy = self.via.map(|proxy| format!("--proxy {proxy} ")).unwrap_or_default();
        // It may be one that the server has sent us to.
        format!("{first}: curl -v {proxy}{}", typed(self.url))
    }
}

/// The TLS error behind an error of the HTTP client: while shaking hands it is wrapped as one of input and output.
fn tls_cause(error: &ureq::Error) -> Option<&rustls::Error> {
    match error {
        ureq::Error::Rustls(cause) => Some(cause),
        ureq::Error::Io(wrapped) => wrapped.get_ref()?.downcast_ref(),
        _ => None,
    }
}

/// Up to three names that a certificate is for. They come as `DnsName("a.test")`.
fn names(reason: &Refused) -> String {
    let Refused::NotValidForNameContext { presented, .. } = reason else { return "another name".to_owned() };
    let shown: Vec<String> =
        presented.iter().take(3).map(|name| quoted(name.split('"').nth(1).unwrap_or(name).as_bytes())).collect();
    if shown.is_empty() { "no name at all".to_owned() } else { shown.join(", ") }
}

fn moment(time: &UnixTime) -> Moment {
    Moment::from_unix(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}

fn seconds(limit: std::time::Duration) -> String {
    format!("{} s", limit.as_secs_f32())
}
