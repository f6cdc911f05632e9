//! How to reach a cluster, as kubectl keeps it. Pure: what it points to is read by whoever asks. For tests and debugging; in a pod the
//! service account says it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::document::{Mistake, Node, documents};

/// A context of such a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// `https://host:port`.
    pub server: String,
    /// Who may sign its certificate, in PEM.
    pub authority: Contents,
    /// As whom to ask.
    pub user: User,
}

/// As whom to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum User {
    /// This token.
    Token(String),
    /// What this file contains.
    TokenFile(String),
    /// Who has this certificate and key, in PEM.
    Certificate(Contents, Contents),
}

/// A file, or what it would contain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    /// In this file, seen from where the kubeconfig is.
    File(String),
    /// This.
    Data(Vec<u8>),
}

/// The context of that name, or the current one.
///
/// # Errors
/// Everything that is wrong with it.
pub fn context(text: &str, named: Option<&str>) -> Result<Context, Vec<String>> {
    let told = |mistakes: Vec<Mistake>| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>();
    let documents = documents(text).map_err(|mistake| told(vec![mistake]))?;
    let mut mistakes = Vec::new();
    let entries = documents.first().map(|yaml| Node::top(yaml).entries(&mut mistakes)).unwrap_or_default();
    let list = |key: &str| entries.iter().find(|(name, _)| *name == key).map(|(_, node)| node.clone());
    let current = list("current-context").and_then(|node| node.text(&mut mistakes));
    let found = (|| {
        let name = named.or(current).ok_or("has no current-context, and --context names none")?;
        let context = member(list("contexts"), name, "context", &mut mistakes).ok_or(format!("has no context called {name}"))?;
        let text = |key: &str, mistakes: &mut Vec<Mistake>| value(&context, key, mistakes);
        let cluster = text("cluster", &mut mistakes).ok_or(format!("has a context {name} without a cluster"))?;
        let user = text("user", &mut mistakes).ok_or(format!("has a context {name} without a user"))?;
        let cluster =
            member(list("clusters"), &cluster, "cluster", &mut mistakes).ok_or(format!("has no cluster called {cluster}"))?;
        let user = member(list("users"), &user, "user", &mut mistakes).ok_or(format!("has no user called {user}"))?;
        read(&cluster, &user, &mut mistakes)
    })();
    match found {
        Ok(context) if mistakes.is_empty() => Ok(context),
        Ok(_) => Err(told(mistakes)),
        Err(why) => Err(told(mistakes).into_iter().chain([why]).collect()),
    }
}

type Entries<'y> = Vec<(&'y str, Node<'y>)>;

/// What stands below `inner` in the member of a list that has this name.
fn member<'y>(list: Option<Node<'y>>, name: &str, inner: &str, mistakes: &mut Vec<Mistake>) -> Option<Entries<'y>> {
    for item in list?.items(mistakes) {
        let entries = item.entries(mistakes);
        if value(&entries, "name", mistakes).as_deref() == Some(name) {
            return entries.into_iter().find(|(key, _)| *key == inner).map(|(_, node)| node.entries(mistakes));
        }
    }
    None
}

fn value(entries: &Entries<'_>, key: &str, mistakes: &mut Vec<Mistake>) -> Option<String> {
    let node = entries.iter().find(|(name, _)| *name == key).map(|(_, node)| node)?;
    node.text(mistakes).map(str::to_owned)
}

fn read(cluster: &Entries<'_>, user: &Entries<'_>, mistakes: &mut Vec<Mistake>) -> Result<Context, String> {
    let server = value(cluster, "server", mistakes)
        .filter(|server| server.starts_with("https://") && server.bytes().all(|byte| byte.is_ascii_graphic()));
    let server =
        server.ok_or("has a cluster without a `server` that is an address with https://")?.trim_end_matches('/').to_owned();
    for (unknown, why) in [("proxy-url", "a proxy"), ("tls-server-name", "another name in its certificate")] {
        if value(cluster, unknown, mistakes).is_some() {
            return Err(format!("has a cluster with `{unknown}`: {why} is not known here"));
        }
    }
    let authority = contents(cluster, "certificate-authority", mistakes)?;
    let authority = authority.ok_or("has a cluster without a `certificate-authority`, whose word on its certificate is taken")?;
    let pair = (contents(user, "client-certificate", mistakes)?, contents(user, "client-key", mistakes)?);
    let token = value(user, "token", mistakes).filter(|token| !token.is_empty());
    let user = match (token, value(user, "tokenFile", mistakes), pair) {
        (Some(token), ..) => User::Token(token),
        (None, Some(file), _) => User::TokenFile(file),
        (None, None, (Some(certificate), Some(key))) => User::Certificate(certificate, key),
        _ => {
            return Err(
                "has a user with neither `token` nor `client-certificate` and `client-key`: programs are not run to get them"
                    .into(),
            );
        }
    };
    Ok(Context { server, authority, user })
}

/// `key` names a file, and `key-data` is what it would contain, in Base64.
fn contents(entries: &Entries<'_>, key: &str, mistakes: &mut Vec<Mistake>) -> Result<Option<Contents>, String> {
    let data = format!("{key}-data");
    match (value(entries, &data, mistakes), value(entries, key, mistakes)) {
        (Some(text), _) => STANDARD
            .decode(text.trim())
            .map(|bytes| Some(Contents::Data(bytes)))
            .map_err(|_| format!("has a `{data}` that is no Base64")),
        (None, file) => Ok(file.map(Contents::File)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"apiVersion: v1
kind: Config
current-context: one
clusters:
- name: test
  cluster: { server: "https://127.0.0.1:6443/", certificate-authority: ca.crt }
- name: data
  cluster: { server: "https://[::1]:6443", certificate-authority-data: Q0E= }
users:
- name: token
  user: { token: secret }
- name: certificate
  user: { client-certificate-data: Q0U=, client-key: key.pem }
- name: program
  user: { exec: { command: aws } }
contexts:
- name: one
  context: { cluster: test, user: token, namespace: x }
- name: two
  context: { cluster: data, user: certificate }
- name: three
  context: { cluster: data, user: program }
- name: four
  context: { cluster: nowhere, user: token }
"#;

    #[test]
    fn a_context_leads_to_a_cluster_and_a_user() {
        let one = Context {
            server: "https://127.0.0.1:6443".into(),
            authority: Contents::File("ca.crt".into()),
            user: User::Token("secret".into()),
        };
        assert_eq!(context(FILE, None), Ok(one.clone()));
        assert_eq!(context(FILE, Some("one")), Ok(one));
        assert_eq!(
            context(FILE, Some("two")),
            Ok(Context {
                server: "https://[::1]:6443".into(),
                authority: Contents::Data(b"CA".to_vec()),
                user: User::Certificate(Contents::Data(b"CE".to_vec()), Contents::File("key.pem".into())),
            })
        );
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        let wrong = |text: &str, named| context(text, named).unwrap_err().join("; ");
        assert_eq!(wrong(FILE, Some("five")), "has no context called five");
        assert_eq!(wrong(FILE, Some("four")), "has no cluster called nowhere");
        assert!(wrong(FILE, Some("three")).starts_with("has a user with neither `token` nor "));
        assert_eq!(
            wrong(&FILE.replace("https://127", "http://127"), None),
            "has a cluster without a `server` that is an address with https://"
        );
        assert!(wrong(&FILE.replace("https://127", "https://1 27"), None).ends_with("that is an address with https://"));
        assert_eq!(wrong(&FILE.replace("Q0E=", "'?'"), Some("two")), "has a `certificate-authority-data` that is no Base64");
        let by_proxy = FILE.replace("certificate-authority: ca.crt", "certificate-authority: ca.crt, proxy-url: http://p");
        assert_eq!(wrong(&by_proxy, None), "has a cluster with `proxy-url`: a proxy is not known here");
        assert_eq!(wrong("", None), "has no current-context, and --context names none");
        assert!(wrong("a: [", None).contains("is no YAML"));
    }
}
