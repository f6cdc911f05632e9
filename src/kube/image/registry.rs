//! A registry of images (OCI distribution specification 1.1): manifests by tag, blobs by digest. Asks over TLS only, believes no digest
//! but those it computes, and reads no more than anything of it may have.

use std::collections::BTreeMap;

use serde::Deserialize;
use ureq::http::{Uri, header};

use crate::error::{Class, Error, quoted};
use crate::kube::image::Refusal;
use crate::kube::image::challenge::{Challenge, challenge};
use crate::kube::image::credentials::Credentials;
use crate::kube::image::manifest::is_manifest;
use crate::kube::image::reference::{Digest, Repository};
use crate::kube::outside::{Deadline, Outside};
use crate::kube::query::escaped;
use crate::offers::web::{self, Answer};

/// Indexes and manifests, of Docker's and of OCI's kind.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";
/// What a registry says that the digest of its answer is.
const DIGEST: &str = "docker-content-digest";
/// What a registry must take; no more is read.
const LARGEST_MANIFEST: u64 = 4 * 1024 * 1024;
/// A token is a few KiB.
const LARGEST_TOKEN: u64 = 64 * 1024;
/// To where the blobs are kept.
const REDIRECTS: usize = 3;

/// The registries that images come from, and what they have been told.
pub struct Registries<'a> {
    outside: &'a Outside,
    credentials: &'a Credentials,
    /// `Authorization` by repository.
    tokens: BTreeMap<String, String>,
}

/// A GET that a registry may answer.
struct Question<'q> {
    repository: &'q Repository,
    url: String,
    accept: &'static str,
    most: u64,
    deadline: Deadline,
}

impl<'a> Registries<'a> {
    /// With these credentials; nothing is asked yet.
    #[must_use]
    pub fn new(outside: &'a Outside, credentials: &'a Credentials) -> Self {
        Self { outside, credentials, tokens: BTreeMap::new() }
    }

    /// The manifest that a tag leads to, as it is; nothing where there is none.
    ///
    /// # Errors
    /// The registry cannot be asked, or answers something else.
    pub fn manifest(&mut self, repository: &Repository, tag: &str, deadline: Deadline) -> Result<Option<Vec<u8>>, Refusal> {
        let url = format!("https://{}/v2/{}/manifests/{tag}", repository.host(), repository.path);
        let question = Question { repository, url, accept: MANIFESTS, most: LARGEST_MANIFEST, deadline };
        let answer = self.ask(&question)?;
        match answer.status {
            200 => {}
            404 => return Ok(None),
            _ => return Err(answered(&question.url, &answer).into()),
        }
        if !is_manifest(&answer.body) {
            return Err(Refusal::OfImage(refused(&question.url, "no manifest of an image")));
        }
        let said = answer.headers.get(DIGEST).map(|said| said.as_bytes().trim_ascii());
        if said.is_some_and(|said| said != Digest::of(&answer.body).as_str().as_bytes()) {
            return Err(Refusal::OfImage(refused(&question.url, "other bytes than those of the digest that it names")));
        }
        Ok(Some(answer.body))
    }

    /// A blob, whose bytes are those of the digest.
    ///
    /// # Errors
    /// As [`Self::manifest`]; or there is none, it is larger than `most` bytes, or another one.
    pub fn blob(&mut self, repository: &Repository, digest: &Digest, most: u64, deadline: Deadline) -> Result<Vec<u8>, Error> {
        let url = format!("https://{}/v2/{}/blobs/{digest}", repository.host(), repository.path);
        let question = Question { repository, url, accept: "application/octet-stream", most, deadline };
        let answer = self.ask(&question)?;
        if answer.status != 200 {
            return Err(answered(&question.url, &answer));
        }
        if Digest::of(&answer.body) != *digest {
            return Err(refused(&question.url, "other bytes than those of its digest"));
        }
        Ok(answer.body)
    }

    /// Asks, and goes where the registry keeps it: there nobody knows of registries, or is to be told who asks.
    fn ask(&mut self, question: &Question<'_>) -> Result<Answer, Error> {
        let mut answer = self.ask_the_registry(question)?;
        let mut url = question.url.clone();
        for _ in 0..REDIRECTS {
            if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
                break;
            }
            url = location(&url, &answer)?;
            let headers = [("accept", question.accept)];
            let next = web::Question { url: &url, called: without_query(&url), headers: &headers, most: question.most };
            answer = self.outside.get(&next, question.deadline)?;
        }
        Ok(answer)
    }

    /// Asks, and once more with what the registry wants to see.
    fn ask_the_registry(&mut self, question: &Question<'_>) -> Result<Answer, Error> {
        let name = format!("{}/{}", question.repository.registry, question.repository.path);
        let answer = self.send(question, self.tokens.get(&name))?;
        if answer.status != 401 {
            return Ok(answer);
        }
        let authorization = self.authorization(question, &answer)?;
        let answer = self.send(question, Some(&authorization))?;
        if answer.status == 401 {
            let next = "are the mounted credentials still right, and do they allow to pull it?";
            return Err(Error::new(Class::Server, format!("{} answers 401 also to what it asked for", question.url), next));
        }
        self.tokens.insert(name, authorization);
        Ok(answer)
    }

    fn send(&self, question: &Question<'_>, authorization: Option<&String>) -> Result<Answer, Error> {
        let mut headers = vec![("accept", question.accept)];
        headers.extend(authorization.map(|value| ("authorization", value.as_str())));
        let (url, most) = (question.url.as_str(), question.most);
        self.outside.get(&web::Question { url, called: url, headers: &headers, most }, question.deadline)
    }

    fn authorization(&self, question: &Question<'_>, answer: &Answer) -> Result<String, Error> {
        let headers = answer.headers.get_all(header::WWW_AUTHENTICATE);
        let basic = self.credentials.basic(question.repository);
        let mut known: Vec<_> = headers.iter().filter_map(|value| value.to_str().ok()).filter_map(challenge).collect();
        // A token is given to those without a name, too.
        known.sort_by_key(|challenge| *challenge == Challenge::Basic);
        match known.into_iter().next() {
            Some(Challenge::Basic) => basic.map(|basic| format!("Basic {basic}")).ok_or_else(|| {
                let next =
                    "give it a name and password: mount config.json or .dockerconfigjson, name the directory in DOCKER_CONFIG, and --pull-credentials=docker";
                Error::new(Class::Config, format!("{} wants a name and password", question.url), next)
            }),
            Some(Challenge::Bearer { realm, service }) => self.token(question, &realm, service.as_deref(), basic),
            None => Err(refused(&question.url, "401, and asks for neither Basic nor Bearer")),
        }
    }

    /// A token to pull from one repository, from where the registry says that it is given out.
    fn token(&self, question: &Question<'_>, realm: &str, service: Option<&str>, basic: Option<&str>) -> Result<String, Error> {
        #[derive(Deserialize)]
        struct Given {
            token: Option<String>,
            access_token: Option<String>,
        }
        let scope = escaped(&format!("repository:{}:pull", question.repository.path));
        let joint = if realm.contains('?') { '&' } else { '?' };
        let mut url = format!("{realm}{joint}scope={scope}");
        if let Some(service) = service {
            url.push_str(&format!("&service={}", escaped(service)));
        }
        let basic = basic.map(|basic| format!("Basic {basic}"));
        let headers: Vec<_> = basic.iter().map(|value| ("authorization", value.as_str())).collect();
        let asked = web::Question { url: &url, called: &url, headers: &headers, most: LARGEST_TOKEN };
        let answer = self.outside.get(&asked, question.deadline)?;
        if answer.status != 200 {
            return Err(answered(&url, &answer));
        }
        let given: Option<Given> = serde_json::from_slice(&answer.body).ok();
        let token = given.and_then(|given| given.token.or(given.access_token));
        let sound = |token: &String| !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
        token.filter(sound).map(|token| format!("Bearer {token}")).ok_or_else(|| refused(realm, "no token"))
    }
}

/// Another status than any that is good, with what the registry says about it.
fn answered(url: &str, answer: &Answer) -> Error {
    #[derive(Deserialize)]
    struct Said {
        errors: Vec<Reason>,
    }
    #[derive(Deserialize)]
    struct Reason {
        code: String,
    }
    let status = answer.status;
    let said = serde_json::from_slice::<Said>(&answer.body).ok();
    let code = said.and_then(|said| said.errors.into_iter().next()).map(|reason| format!(", {}", quoted(reason.code.as_bytes())));
    let class = if status == 429 || status >= 500 { Class::Network } else { Class::Server };
    Error::new(
        class,
        format!("{} was answered with the HTTP status {status}{}", url, code.unwrap_or_default()),
        "is the name of the image right, and may it be pulled with these credentials? It is tried again",
    )
}

fn refused(url: &str, what: &str) -> Error {
    Error::new(Class::Server, format!("{url} was answered with {what}"), "is a proxy or a mirror in between? It is tried again")
}

/// Where a redirect leads: over TLS, anywhere, since what comes is known by its digest.
fn location(from: &str, answer: &Answer) -> Result<String, Error> {
    let value = answer.headers.get(header::LOCATION).map(|value| value.as_bytes()).unwrap_or_default();
    let shown = value.split(|byte| *byte == b'?').next().unwrap_or_default();
    let to = std::str::from_utf8(value).ok().filter(|to| to.parse::<Uri>().is_ok());
    let to = to.map(|to| if to.starts_with('/') { format!("{}{to}", origin(from)) } else { to.to_owned() });
    to.filter(|to| to.starts_with("https://")).ok_or_else(|| refused(from, &format!("a redirect to {}", quoted(shown))))
}

/// Storage is often led to with a signature in the query: whoever reads it may fetch, and it is another one each time.
fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}

fn origin(url: &str) -> &str {
    let end = url.match_indices('/').nth(2).map_or(url.len(), |(at, _)| at);
    url.get(..end).unwrap_or(url)
}
