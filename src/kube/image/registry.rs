//! A registry of images (OCI distribution specification 1.1): manifests by tag, blobs by digest. Asks over TLS only, believes no digest
//! but those it computes, and reads no more than anything of it may have.

use std::collections::BTreeMap;
use std::io::Read;

use serde::Deserialize;
use ureq::Body;
use ureq::http::{Response, Uri, header};

use crate::error::{Class, Error, quoted};
use crate::kube::image::challenge::{Challenge, challenge};
use crate::kube::image::credentials::Credentials;
use crate::kube::image::manifest::is_manifest;
use crate::kube::image::reference::{Digest, Repository};
use crate::kube::outside::{Deadline, Outside};
use crate::kube::query::escaped;

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
    pub fn manifest(&mut self, repository: &Repository, tag: &str, deadline: Deadline) -> Result<Option<Vec<u8>>, Error> {
        let url = format!("https://{}/v2/{}/manifests/{tag}", repository.host(), repository.path);
        let question = Question { repository, url, accept: MANIFESTS, deadline };
        let response = self.ask(&question)?;
        match response.status().as_u16() {
            200 => {}
            404 => return Ok(None),
            status => return Err(answered(&question.url, status, response)),
        }
        let said = response.headers().get(DIGEST).cloned();
        let manifest = body(&question.url, response, LARGEST_MANIFEST)?;
        if !is_manifest(&manifest) {
            return Err(refused(&question.url, "no manifest of an image"));
        }
        if said.is_some_and(|said| said.as_bytes().trim_ascii() != Digest::of(&manifest).as_str().as_bytes()) {
            return Err(refused(&question.url, "other bytes than those of the digest that it names"));
        }
        Ok(Some(manifest))
    }

    /// A blob, whose bytes are those of the digest.
    ///
    /// # Errors
    /// As [`Self::manifest`]; or there is none, it is larger than `most` bytes, or another one.
    pub fn blob(&mut self, repository: &Repository, digest: &Digest, most: u64, deadline: Deadline) -> Result<Vec<u8>, Error> {
        let url = format!("https://{}/v2/{}/blobs/{digest}", repository.host(), repository.path);
        let question = Question { repository, url, accept: "application/octet-stream", deadline };
        let mut response = self.ask(&question)?;
        for _ in 0..REDIRECTS {
            if !response.status().is_redirection() {
                break;
            }
            // To storage that knows nothing of registries, and must not be told what they are.
            let to = location(&question.url, &response)?;
            response = self.outside.get(&to, &[], deadline)?;
        }
        let status = response.status().as_u16();
        if status != 200 {
            return Err(answered(&question.url, status, response));
        }
        let bytes = body(&question.url, response, most)?;
        if Digest::of(&bytes) != *digest {
            return Err(refused(&question.url, "other bytes than those of its digest"));
        }
        Ok(bytes)
    }

    /// Asks, and once more with what the registry wants to see.
    fn ask(&mut self, question: &Question<'_>) -> Result<Response<Body>, Error> {
        let name = format!("{}/{}", question.repository.registry, question.repository.path);
        let response = self.send(question, self.tokens.get(&name))?;
        if response.status().as_u16() != 401 {
            return Ok(response);
        }
        let authorization = self.authorization(question, &response)?;
        let response = self.send(question, Some(&authorization))?;
        if response.status().as_u16() == 401 {
            let next = "are the credentials in config.json still right, and do they allow to pull it?";
            return Err(Error::new(Class::Server, format!("{} wants to know another client than this one", question.url), next));
        }
        self.tokens.insert(name, authorization);
        Ok(response)
    }

    fn send(&self, question: &Question<'_>, authorization: Option<&String>) -> Result<Response<Body>, Error> {
        let mut headers = vec![("accept", question.accept)];
        headers.extend(authorization.map(|value| ("authorization", value.as_str())));
        self.outside.get(&question.url, &headers, question.deadline)
    }

    fn authorization(&self, question: &Question<'_>, response: &Response<Body>) -> Result<String, Error> {
        let headers = response.headers().get_all(header::WWW_AUTHENTICATE);
        let basic = self.credentials.basic(question.repository);
        match headers.iter().filter_map(|value| value.to_str().ok()).find_map(challenge) {
            Some(Challenge::Basic) => basic.map(|basic| format!("Basic {basic}")).ok_or_else(|| {
                let next =
                    "give it a name and password: mount Docker's config.json, set DOCKER_CONFIG, and --pull-credentials=docker";
                Error::new(Class::Config, format!("{} wants a name and password", question.url), next)
            }),
            Some(Challenge::Bearer { realm, service }) => self.token(question, &realm, service.as_deref(), basic),
            None => Err(refused(&question.url, "401 without a way to introduce oneself that is known here")),
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
        let response = self.outside.get(&url, &headers, question.deadline)?;
        if response.status().as_u16() != 200 {
            return Err(answered(&url, response.status().as_u16(), response));
        }
        let given: Option<Given> = serde_json::from_slice(&body(realm, response, LARGEST_TOKEN)?).ok();
        let token = given.and_then(|given| given.token.or(given.access_token));
        let sound = |token: &String| !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
        token.filter(sound).map(|token| format!("Bearer {token}")).ok_or_else(|| refused(realm, "no token"))
    }
}

/// Another status than any that is good, with what the registry says about it.
fn answered(url: &str, status: u16, response: Response<Body>) -> Error {
    #[derive(Deserialize)]
    struct Said {
        errors: Vec<Reason>,
    }
    #[derive(Deserialize)]
    struct Reason {
        code: String,
    }
    let said = body(url, response, LARGEST_TOKEN).ok().and_then(|bytes| serde_json::from_slice::<Said>(&bytes).ok());
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
fn location(from: &str, response: &Response<Body>) -> Result<String, Error> {
    let value = response.headers().get(header::LOCATION).map(|value| value.as_bytes()).unwrap_or_default();
    let to = std::str::from_utf8(value).ok().filter(|to| to.parse::<Uri>().is_ok());
    let to = to.map(|to| if to.starts_with('/') { format!("{}{to}", origin(from)) } else { to.to_owned() });
    to.filter(|to| to.starts_with("https://")).ok_or_else(|| refused(from, &format!("a redirect to {}", quoted(value))))
}

fn origin(url: &str) -> &str {
    let end = url.match_indices('/').nth(2).map_or(url.len(), |(at, _)| at);
    url.get(..end).unwrap_or(url)
}

fn body(url: &str, response: Response<Body>, most: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    response
        .into_body()
        .into_reader()
        .take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::new(Class::Network, format!("the answer of {url} broke off: {error}"), "it is tried again"))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > most) {
        return Err(refused(url, &format!("more than {most} bytes")));
    }
    Ok(bytes)
}
