//! The API server: one object, its pods and its secret; nothing that the Role does not allow. Every request has a time limit, and nothing is
//! read without end.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use ureq::http::{Method, Request, Response};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use crate::error::{Class, Error, quoted};
use crate::kube::outside::{Deadline, USER_AGENT, read};
use crate::kube::pods::{Pod, pods};
use crate::kube::query::escaped;
use crate::kube::workload::{Kind, Workload};
use crate::offers::client::Limits;
use crate::offers::failure::{Asked, Failure};

/// No object is larger: etcd takes 1.5 MiB.
const LARGEST: u64 = 16 * 1024 * 1024;
/// Thousands of pods.
const MOST_PODS: u64 = 256 * 1024 * 1024;
/// For a single question.
const PATIENCE: Duration = Duration::from_secs(30);
/// A watch on which nothing came for so long is dead: the server sends a bookmark each minute.
const SILENCE: Duration = Duration::from_secs(5 * 60);
/// So much later than it was to end a watch is ended from here.
const GRACE: Duration = Duration::from_secs(5);

/// How to reach it, and as whom.
pub struct Cluster {
    /// `https://host:port`.
    pub server: String,
    /// Who may sign its certificate.
    pub authorities: Vec<Certificate<'static>>,
    /// Who asks.
    pub identity: Identity,
}

/// As whom is asked.
pub enum Identity {
    /// What this file contains, which is replaced from time to time.
    TokenFile(PathBuf),
    /// This token.
    Token(String),
    /// Who has this certificate, and the key of it.
    Certificate(Vec<Certificate<'static>>, PrivateKey<'static>),
}

/// The API server, for one namespace.
pub struct Api {
    agent: Agent,
    server: String,
    token: Token,
    namespace: String,
}

/// What is shown with each request.
enum Token {
    File(PathBuf),
    Known(String),
    /// The connection says who it is.
    None,
}

/// Why a request came to nothing.
#[derive(Debug)]
pub enum Trouble {
    /// There is no such thing.
    Missing,
    /// Somebody else was faster: look again.
    Conflict,
    /// What was known is too old to go on from: look again.
    Expired,
    /// This.
    Failed(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What a server says instead of an answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    message: String,
}

impl Api {
    /// The API server of a cluster, for one namespace. Nothing is asked yet.
    #[must_use]
    pub fn new(cluster: Cluster, namespace: &str) -> Self {
        let Cluster { server, authorities, identity } = cluster;
        let (client, token) = match identity {
            Identity::Certificate(chain, key) => (Some(ClientCert::new_with_certs(&chain, key)), Token::None),
            Identity::TokenFile(file) => (None, Token::File(file)),
            Identity::Token(token) => (None, Token::Known(token)),
        };
        let agent = Agent::config_builder()
            .https_only(true)
            .tls_config(TlsConfig::builder().root_certs(RootCerts::new_with_certs(&authorities)).client_cert(client).build())
            // Straight there: it is in this very cluster.
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(USER_AGENT)
            .accept("application/json")
            .accept_encoding("identity")
            .timeout_resolve(Some(PATIENCE))
            .timeout_connect(Some(PATIENCE))
            .timeout_per_read(Some(SILENCE))
            .timeout_per_write(Some(PATIENCE))
            // A connection that is kept may be dead when it is wanted again.
            .max_idle_connections(0)
            .build()
            .new_agent();
        Self { agent, server, token, namespace: namespace.to_owned() }
    }

    /// The workload of that name, if there is one, and the version of everything that this is as of.
    ///
    /// # Errors
    /// There was no answer that counts.
    pub fn workload(&self, kind: Kind, name: &str, deadline: Deadline) -> Result<(Option<Workload>, String), Trouble> {
        // A list of one: an object that has not changed for a week has a version that no watch can begin with.
        let mut list = self.ask(Method::GET, &self.workloads(kind, name), None, deadline)?;
        let version = list.pointer("/metadata/resourceVersion").and_then(Value::as_str).unwrap_or_default().to_owned();
        // Taken out, not copied: it may be as large as the store takes.
        let object = list.get_mut("items").and_then(Value::as_array_mut).and_then(Vec::pop);
        Ok((object.map(|object| Workload::new(kind, object)), version))
    }

    /// What happens to the workload from that version on, for so long.
    ///
    /// # Errors
    /// As above; [`Trouble::Expired`] also in the course of it.
    pub fn watch(&self, kind: Kind, name: &str, version: &str, time: Duration) -> Result<Watch, Trouble> {
        let path = self.workloads(kind, name);
        // Rounded up: what is due then must not be looked for before.
        let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0 || time.is_zero());
        let path = format!("{path}&watch=true&allowWatchBookmarks=true&resourceVersion={version}&timeoutSeconds={seconds}");
        let response = self.send(Method::GET, &path, None, None)?;
        match response.status().as_u16() {
            200 => Ok(Watch {
                kind,
                ends: Deadline::within(time + GRACE),
                reader: BufReader::with_capacity(16 * 1024, Box::new(response.into_body().into_reader())),
            }),
            status => Err(self.trouble(&path, status, response)),
        }
    }

    /// The pods that a workload selects.
    ///
    /// # Errors
    /// As [`Self::workload`].
    pub fn pods(&self, selector: &str, deadline: Deadline) -> Result<Vec<Pod>, Trouble> {
        let path = format!("/api/v1/namespaces/{}/pods?labelSelector={}", self.namespace, escaped(selector));
        let response = self.send(Method::GET, &path, None, Some(deadline.left().min(PATIENCE)))?;
        match response.status().as_u16() {
            // Read as it comes: as a whole, hundreds of pods are many megabytes.
            200 => pods(BufReader::new(response.into_body().into_reader().take(MOST_PODS)))
                .map_err(|error| self.failed(&path, &format!("it answered no list of pods: {error}")).into()),
            status => Err(self.trouble(&path, status, response)),
        }
    }

    /// A secret, if it is there.
    ///
    /// # Errors
    /// As [`Self::workload`].
    pub fn secret(&self, name: &str, deadline: Deadline) -> Result<Option<Value>, Trouble> {
        match self.ask(Method::GET, &format!("/api/v1/namespaces/{}/secrets/{name}", self.namespace), None, deadline) {
            Ok(secret) => Ok(Some(secret)),
            Err(Trouble::Missing) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// Puts the whole object in the place of the one that it was made from.
    ///
    /// # Errors
    /// As [`Self::workload`]; [`Trouble::Conflict`] when somebody has changed that meanwhile.
    pub fn replace(&self, kind: Kind, name: &str, object: &Value, deadline: Deadline) -> Result<(), Trouble> {
        let path = format!("/apis/apps/v1/namespaces/{}/{}/{name}", self.namespace, kind.plural());
        self.ask(Method::PUT, &path, Some(object), deadline).map(drop)
    }

    /// Deletes this very pod, and none that has taken its place.
    ///
    /// # Errors
    /// As [`Self::workload`]; a pod that is gone is no error.
    pub fn delete_pod(&self, name: &str, uid: &str, deadline: Deadline) -> Result<(), Trouble> {
        let path = format!("/api/v1/namespaces/{}/pods/{name}", self.namespace);
        let only = json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": uid}});
        match self.ask(Method::DELETE, &path, Some(&only), deadline) {
            Ok(_) | Err(Trouble::Missing | Trouble::Conflict) => Ok(()),
            Err(trouble) => Err(trouble),
        }
    }

    /// Writes an event.
    ///
    /// # Errors
    /// As [`Self::workload`].
    pub fn tell(&self, event: &Value, deadline: Deadline) -> Result<(), Trouble> {
        self.ask(Method::POST, &format!("/api/v1/namespaces/{}/events", self.namespace), Some(event), deadline).map(drop)
    }

    fn workloads(&self, kind: Kind, name: &str) -> String {
        let selector = escaped(&format!("metadata.name={name}"));
        format!("/apis/apps/v1/namespaces/{}/{}?fieldSelector={selector}", self.namespace, kind.plural())
    }

    fn ask(&self, method: Method, path: &str, body: Option<&Value>, deadline: Deadline) -> Result<Value, Trouble> {
        let response = self.send(method, path, body, Some(deadline.left().min(PATIENCE)))?;
        match response.status().as_u16() {
            200..=202 => {
                let bytes = whole(response, LARGEST).map_err(|why| self.failed(path, &why))?;
                serde_json::from_slice(&bytes).map_err(|_| self.failed(path, &format!("it answered {}", quoted(&bytes))).into())
            }
            status => Err(self.trouble(path, status, response)),
        }
    }

    fn send(&self, method: Method, path: &str, body: Option<&Value>, limit: Option<Duration>) -> Result<Response<Body>, Error> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.server));
        let token = match &self.token {
            // Each time anew: the kubelet replaces it.
            Token::File(file) => Some(String::from_utf8_lossy(&read(file)?).trim().to_owned()),
            Token::Known(token) => Some(token.clone()),
            Token::None => None,
        };
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let text = body.map(Value::to_string);
        if text.is_some() {
            request = request.header("content-type", "application/json");
        }
        let nonsense = |error: ureq::http::Error| self.failed(path, &error.to_string());
        let answer = match text {
            Some(text) => self.run(request.body(text).map_err(nonsense)?, limit),
            None => self.run(request.body(()).map_err(nonsense)?, limit),
        };
        answer.map_err(|error| self.unanswered(path, &error))
    }

    fn run(&self, request: Request<impl ureq::AsSendBody>, limit: Option<Duration>) -> Result<Response<Body>, ureq::Error> {
        let request = self.agent.configure_request(request).timeout_global(limit).allow_non_standard_methods(true).build();
        self.agent.run(request)
    }

    fn failed(&self, path: &str, why: &str) -> Error {
        Error::new(Class::Network, format!("{}{path}: {why}", self.server), "it is tried again; is the API server well?")
    }

    /// Why there was no answer, in the words that are used of other servers, too.
    fn unanswered(&self, path: &str, error: &ureq::Error) -> Error {
        let limits = Limits { connect: PATIENCE, read: SILENCE, overall: PATIENCE };
        let url = format!("{}{path}", self.server);
        let asked = Asked { url: &url, via: None, authorities: "the bundle of the cluster", limits: &limits };
        let (Failure::Passing(error) | Failure::Lasting(error)) = asked.explain(error);
        let next =
            "it is tried again; is the API server well, and are its address and its authority still those that are configured?";
        Error { next: next.into(), ..error }
    }

    /// What a status that is no success means, with the server's own words.
    fn trouble(&self, path: &str, code: u16, response: Response<Body>) -> Trouble {
        let body = whole(response, 64 * 1024).unwrap_or_default();
        let other = |_| Status { message: if body.is_empty() { String::new() } else { quoted(&body) } };
        let status: Status = serde_json::from_slice(&body).unwrap_or_else(other);
        match code {
            404 => return Trouble::Missing,
            409 => return Trouble::Conflict,
            410 => return Trouble::Expired,
            _ => {}
        }
        let next = match code {
            401 => "is the token of the service account mounted, and does the API server know it?",
            403 if status.message.contains("is forbidden: User") => {
                "give the service account the Role of kubernetes/role.yaml (the chart does)"
            }
            403 => "who denies it? The message says; it is tried again",
            _ => "it is tried again; is the API server well?",
        };
        let said: String = status.message.chars().filter(|c| !c.is_control()).take(300).collect();
        Trouble::Failed(Error::new(Class::Server, format!("{}{path}: HTTP status {code}: {said}", self.server), next))
    }
}

fn whole(response: Response<Body>, most: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = response.into_body().into_reader().take(most + 1).read_to_end(&mut bytes);
    match read {
        Ok(length) if u64::try_from(length).is_ok_and(|length| length > most) => {
            Err(format!("it answered more than {most} bytes"))
        }
        Ok(_) => Ok(bytes),
        Err(error) => Err(format!("the answer broke off: {error}")),
    }
}

/// What happens to a workload, as it happens.
pub struct Watch {
    kind: Kind,
    /// A server may forget how long it was to last.
    ends: Deadline,
    reader: BufReader<Box<dyn Read + Send>>,
}

/// What happened.
#[derive(Debug)]
pub enum Happened {
    /// It is like this now.
    Changed(Box<Workload>),
    /// It is gone.
    Deleted,
    /// The time is up.
    Over,
}

#[derive(Deserialize)]
struct Event {
    r#type: String,
    object: Value,
}

impl Watch {
    /// Waits for what happens next; of several changes that have come meanwhile only the last one counts.
    ///
    /// # Errors
    /// [`Trouble::Expired`], or the connection is no more.
    pub fn wait(&mut self) -> Result<Happened, Trouble> {
        let mut latest = None;
        loop {
            if latest.is_some() && !self.reader.buffer().contains(&b'\n') {
                break;
            }
            let Some(event) = self.event()? else { break };
            match event.r#type.as_str() {
                "ADDED" | "MODIFIED" => latest = Some(Box::new(Workload::new(self.kind, event.object))),
                "DELETED" => return Ok(Happened::Deleted),
                "ERROR" if event.object.get("code").and_then(Value::as_u64) == Some(410) => return Err(Trouble::Expired),
                "ERROR" => return Err(lost(&format!("it says {}", quoted(event.object.to_string().as_bytes()))).into()),
                // A bookmark: it lives, and not for ever.
                _ if latest.is_none() && self.ends.left().is_zero() => break,
                _ => {}
            }
        }
        Ok(latest.map_or(Happened::Over, Happened::Changed))
    }

    fn event(&mut self) -> Result<Option<Event>, Trouble> {
        let mut line = Vec::new();
        let read = (&mut self.reader).take(LARGEST).read_until(b'\n', &mut line);
        match read {
            Ok(0) => Ok(None),
            Ok(_) if line.last() != Some(&b'\n') => Err(lost("it broke off in the middle").into()),
            Ok(_) => match serde_json::from_slice(&line) {
                Ok(event) => Ok(Some(event)),
                Err(_) => Err(lost(&format!("it says {}", quoted(&line))).into()),
            },
            Err(error) => Err(lost(&error.to_string()).into()),
        }
    }
}

fn lost(why: &str) -> Error {
    Error::new(Class::Network, format!("the watch of the API server came to an end: {why}"), "it begins again")
}
