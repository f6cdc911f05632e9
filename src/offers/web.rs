//! Questions to other servers than version servers: the same authorities, proxies, limits and words.

use std::io::Read;
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::http::{HeaderMap, Uri};

use crate::error::{Class, Error};
use crate::offers::authorities::Authorities;
use crate::offers::client::{Limits, a_thread_to_spare, agent, guarded};
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

/// One GET.
pub struct Question<'a> {
    /// The address, over TLS.
    pub url: &'a str,
    /// What sentences call it: where the address has a secret in it, the rest of it.
    pub called: &'a str,
    /// What is sent besides.
    pub headers: &'a [(&'a str, &'a str)],
    /// How many bytes the body may have.
    pub most: u64,
}

/// A complete answer; any status is one.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The whole body; of an answer that is no 200, its beginning.
    pub body: Vec<u8>,
}

impl Web {
    /// Asks once, over TLS, and follows nothing. Everything ends within the time that is left.
    ///
    /// # Errors
    /// [`Class::Config`] for what is no address; else there was no answer, or a larger one than it may be.
    pub fn get(&self, question: &Question<'_>, left: Duration) -> Result<Answer, Error> {
        let url = question.called;
        let uri: Option<Uri> = question.url.parse().ok().filter(|uri: &Uri| uri.scheme_str() == Some("https"));
        let Some((uri, host)) = uri.as_ref().and_then(|uri| Some((uri, uri.host()?))) else {
            return Err(Error::new(
                Class::Config,
                format!("{url} is no address that begins with https://"),
                "look where that address comes from: a flag, or the registry itself",
            ));
        };
        let via = self.proxies.towards(host.trim_matches(['[', ']']), uri.port_u16().unwrap_or(443))?;
        let agent = agent(&self.authorities, via.as_ref(), self.user_agent, &self.limits, Transport::Tls);
        let called = via.as_ref().map(|chosen| chosen.called.as_str());
        let left = left.min(self.limits.overall);
        // Whole seconds are for sentences, which are compared with earlier ones.
        let limits = Limits { overall: Duration::from_secs_f32(left.as_secs_f32().ceil()), ..self.limits.clone() };
        let asked = Asked { url, via: called, authorities: &self.authorities.called, limits: &limits };
        let begun = Instant::now();
        let exchanged = guarded(&agent, via.as_ref(), left, || {
            a_thread_to_spare(&asked)?;
            exchange(&agent, question, &asked, left)
        });
        exchanged.map_err(|failure| match failure {
            // Whatever it looked like when the guard ended it.
            Failure::Passing(_) if begun.elapsed() >= left => asked.too_late(),
            Failure::Passing(error) | Failure::Lasting(error) => error,
        })
    }
}

fn exchange(agent: &Agent, question: &Question<'_>, asked: &Asked<'_>, left: Duration) -> Result<Answer, Failure> {
    let mut request = agent.get(question.url).config().timeout_global(Some(left)).build();
    for (name, value) in question.headers {
        request = request.header(*name, *value);
    }
    let (head, body) = request.call().map_err(|error| asked.explain(&error))?.into_parts();
    let (status, most) = (head.status.as_u16(), question.most);
    let mut bytes = Vec::new();
    // One byte more tells that there is more.
    let read = body.into_reader().take(most.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| asked.explain(&ureq::Error::from(error)))?;
    if status == 200 && u64::try_from(bytes.len()).is_ok_and(|length| length > most) {
        return Err(Failure::Lasting(asked.answered(Class::Server, &format!("with more than {most} bytes"))));
    }
    Ok(Answer { status, headers: head.headers, body: bytes })
}
