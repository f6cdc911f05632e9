//! From the first line of a request to what is asked. Pure; the paths are those of a proxy (docs/facts.md, T2).

const CHANNEL: &str = "/webapi/automaticupgrades/channel";

/// What is asked of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Which version agents should run.
    Version,
    /// Whether it is so urgent that no window is waited for.
    Critical,
    /// When upgrades are welcome.
    Schedule,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Something of a channel, by its name.
    Channel(String, Question),
    /// Whether this server lives.
    Health,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 400: what is asked of a channel is incomplete or unknown.
    BadRequest,
    /// 404: nothing is there.
    NotFound,
    /// 405: only GET and HEAD.
    MethodNotAllowed,
}

impl Question {
    /// All of them, by the last part of their path.
    pub const ALL: [(&'static str, Self); 3] =
        [("version", Self::Version), ("critical", Self::Critical), ("schedule", Self::Schedule)];
}

/// What a request asks: its method, and its target as it is sent.
///
/// # Errors
/// Why it cannot be answered.
pub fn route(method: &str, target: &str) -> Result<Route, Refusal> {
    let path = path(target)?;
    let below = path.strip_prefix("/v1").unwrap_or(&path);
    let route = match below.strip_prefix(CHANNEL) {
        _ if path == "/healthz" => Ok(Route::Health),
        Some(rest) if rest.is_empty() || rest.starts_with('/') => channel(rest),
        _ => Err(Refusal::NotFound),
    };
    if route != Err(Refusal::NotFound) && !matches!(method, "GET" | "HEAD") {
        return Err(Refusal::MethodNotAllowed);
    }
    route
}

fn channel(rest: &str) -> Result<Route, Refusal> {
    let (name, last) = rest.trim_matches('/').rsplit_once('/').ok_or(Refusal::BadRequest)?;
    let (_, question) = Question::ALL.into_iter().find(|(word, _)| *word == last).ok_or(Refusal::BadRequest)?;
    Ok(Route::Channel(name.to_owned(), question))
}

/// The path of a target in the form `/PATH` or `http://HOST/PATH`, decoded; without a query. Several slashes are one, as for nginx.
fn path(target: &str) -> Result<String, Refusal> {
    let target = match target.strip_prefix("http://").or_else(|| target.strip_prefix("https://")) {
        Some(rest) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"),
        None => target,
    };
    let encoded = target.split(['?', '#']).next().filter(|path| path.starts_with('/')).ok_or(Refusal::BadRequest)?;
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.bytes();
    while let Some(byte) = bytes.next() {
        let byte = if byte == b'%' { escaped(&mut bytes).ok_or(Refusal::BadRequest)? } else { byte };
        if byte != b'/' || decoded.last() != Some(&b'/') {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).map_err(|_| Refusal::BadRequest)
}

fn escaped(bytes: &mut std::str::Bytes<'_>) -> Option<u8> {
    let mut digit = || char::from(bytes.next()?).to_digit(16);
    let (high, low) = (digit()?, digit()?);
    u8::try_from(high * 16 + low).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(target: &str) -> String {
        match route("GET", target) {
            Ok(Route::Health) => "health".into(),
            Ok(Route::Channel(name, question)) => format!("{question:?} of {name}"),
            Err(refusal) => format!("{refusal:?}"),
        }
    }

    #[test]
    fn a_path_is_read_as_a_proxy_reads_it() {
        let at = |rest: &str| asked(&format!("/webapi/automaticupgrades/channel{rest}"));
        assert_eq!(at("/default/version"), "Version of default");
        assert_eq!(at("/stable/cloud/critical"), "Critical of stable/cloud");
        assert_eq!(at("/a/b/c/d/version"), "Version of a/b/c/d");
        assert_eq!(at("/default/schedule"), "Schedule of default");
        assert_eq!(at("//default/version//"), "Version of default");
        assert_eq!(at("/a//b///version/"), "Version of a/b");
        assert_eq!(at("/a%2F/%2fb/version"), "Version of a/b");
        assert_eq!(asked("//v1//webapi/automaticupgrades//channel//canary//version"), "Version of canary");
        assert_eq!(at("/default/version?x=1"), "Version of default");
        assert_eq!(at("/stable%2Fcloud/version"), "Version of stable/cloud");
        assert_eq!(at("/version/version"), "Version of version");
        for incomplete in [
            "",
            "/",
            "/default",
            "/version",
            "//version",
            "/default/versions",
            "/default/version/x",
            "/%zz/version",
            "/%ff/version",
            "/%2",
        ] {
            assert_eq!(at(incomplete), "BadRequest", "{incomplete}");
        }
        assert_eq!(at("s/default/version"), "NotFound");
    }

    #[test]
    fn the_first_version_of_the_interface_and_a_forwarded_address_are_the_same() {
        assert_eq!(asked("/v1/webapi/automaticupgrades/channel/default/version"), "Version of default");
        assert_eq!(asked("http://proxy.test/webapi/automaticupgrades/channel/default/version"), "Version of default");
        assert_eq!(asked("/healthz"), "health");
        for nothing in [
            "/",
            "/v1",
            "/v1/healthz",
            "/v2/webapi/automaticupgrades/channel/default/version",
            "/webapi/find",
            "http://proxy.test",
        ] {
            assert_eq!(asked(nothing), "NotFound", "{nothing}");
        }
        for nonsense in ["", "*", "proxy.test:443", "webapi/automaticupgrades/channel/default/version"] {
            assert_eq!(asked(nonsense), "BadRequest", "{nonsense}");
        }
    }

    #[test]
    fn only_get_and_head_are_answered_and_what_is_not_there_is_not_there_for_others_either() {
        let target = "/webapi/automaticupgrades/channel/default/version";
        assert!(route("HEAD", target).is_ok());
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "get", "PATCH"] {
            assert_eq!(route(method, target), Err(Refusal::MethodNotAllowed));
            assert_eq!(route(method, "/"), Err(Refusal::NotFound));
        }
    }
}
