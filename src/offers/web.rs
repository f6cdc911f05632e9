//! Questions to other servers than version servers: the same authorities, proxies, limits and words.

use std::time::Duration;

use ureq::Body;
use ureq::http::{Response, Uri};

use crate::error::{Class, Error};
use crate::offers::authorities::Authorities;
use crate::offers::client::{Limits, agent};
use crate::offers::failure::{Asked, Failure};
use crate::offers::proxy::Proxies;
use crate::rules::policy::Transport;

/// The way to every server.
pub struct Web {
    /// Who may sign a server's certificate.
    pub authorities: Authorities,
    /// The proxy variables.
    pub proxies: Proxies,
    /// The `User-Agent`: visible ASCII.
    pub user_agent: &'static str,
    /// How long an exchange may take; of all limits the shortest counts.
    pub limits: Limits,
}

impl Web {
    /// Asks once, over TLS, and follows nothing. Any status is an answer.
    ///
    /// # Errors
    /// [`Class::Config`] for what is no address; else there was no answer.
    pub fn get(&self, url: &str, headers: &[(&str, &str)], left: Duration) -> Result<Response<Body>, Error> {
        let uri: Option<Uri> = url.parse().ok().filter(|uri: &Uri| uri.scheme_str() == Some("https"));
        let Some((uri, host)) = uri.as_ref().and_then(|uri| Some((uri, uri.host()?))) else {
            return Err(Error::new(Class::Config, format!("{url} is no address that begins with https://"), "mend it"));
        };
        let via = self.proxies.towards(host.trim_matches(['[', ']']), uri.port_u16().unwrap_or(443))?;
        let agent = agent(&self.authorities, via.as_ref(), self.user_agent, &self.limits, Transport::Tls);
        let mut request = agent.get(url).config().timeout_global(Some(left.min(self.limits.overall))).build();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.call().map_err(|error| {
            let via = via.as_ref().map(|chosen| chosen.called.as_str());
            let asked = Asked { url, via, authorities: &self.authorities.called, limits: &self.limits };
            match asked.explain(&error) {
                Failure::Passing(error) | Failure::Lasting(error) => error,
            }
        })
    }
}
