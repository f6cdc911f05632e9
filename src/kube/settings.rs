//! From flags to what they mean, checked. Pure: files that are named are read later.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::kube::flags::Given;
use crate::kube::image::reference::Repository;
use crate::kube::next::Downgrades;
use crate::kube::voice::Volume;
use crate::kube::wanted::Source;
use crate::rules::endpoint::{Endpoint, ForgivenEndpoint};
use crate::rules::policy::Transport;

/// How often everything is looked at when nothing happens.
const PERIOD: Duration = Duration::from_secs(30 * 60);

/// Everything that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The workload.
    pub name: String,
    /// Where it is.
    pub namespace: String,
    /// Its container.
    pub container: String,
    /// The image without a tag.
    pub repository: Repository,
    /// Who says which version.
    pub source: Source,
    /// Where credentials of registries come from.
    pub pull: Pull,
    /// Whose word on an image is taken.
    pub trust: TrustIn,
    /// Which lower versions are followed.
    pub downgrades: Downgrades,
    /// Where Prometheus may ask.
    pub metrics: Option<SocketAddr>,
    /// Where the kubelet may ask.
    pub health: Option<SocketAddr>,
    /// How often to look.
    pub period: Duration,
    /// How much is said.
    pub volume: Volume,
    /// How to reach the cluster from outside.
    pub kubeconfig: Option<(PathBuf, Option<String>)>,
}

/// Where credentials of registries come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pull {
    /// Everybody may pull.
    Anonymously,
    /// Docker's `config.json`, or the secret's `.dockerconfigjson`.
    WithDockers,
}

/// Whose word on an image is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustIn {
    /// Teleport's key.
    Teleport,
    /// The key in this file.
    Key(PathBuf),
    /// The registry.
    Registry,
    /// Nobody.
    Nobody,
}

/// Reads what was given.
///
/// # Errors
/// Everything that makes no sense.
pub(super) fn settings(given: &Given) -> Result<Settings, Vec<String>> {
    let mut wrong = Vec::new();
    let name = label(given, "agent-name", None, &mut wrong);
    let namespace = label(given, "agent-namespace", None, &mut wrong);
    let container = label(given, "container-name", Some("teleport"), &mut wrong);
    let image = given.value("base-image").filter(|image| !image.is_empty()).unwrap_or("public.ecr.aws/gravitational/teleport");
    let repository = kept(image.parse().map_err(|why| format!("--base-image={image} {why}")), &mut wrong);
    let source = source(given, &mut wrong);
    let pull = kept(pull(given.value("pull-credentials").unwrap_or("none")), &mut wrong);
    let metrics = address(given, "metrics-addr", 8080, &mut wrong);
    let health = address(given, "healthz-addr", 8081, &mut wrong);
    let period = given.value("sync-period").map_or(Ok(PERIOD), |text| {
        duration(text)
            .filter(|time| !time.is_zero())
            .ok_or_else(|| format!("--sync-period={text} is no time such as 10m or 1h30m"))
    });
    let period = kept(period, &mut wrong);
    let volume = kept(volume(given.value("log-level").unwrap_or("info")), &mut wrong);
    let trust = match (
        given.is_on("insecure-no-resolve-image"),
        given.is_on("insecure-no-verify-image"),
        given.value("verification-key"),
    ) {
        (true, ..) => TrustIn::Nobody,
        (false, true, _) => TrustIn::Registry,
        (false, false, Some(file)) if !file.is_empty() => TrustIn::Key(file.into()),
        (false, false, _) => TrustIn::Teleport,
    };
    let settings = (|| {
        Some(Settings {
            name: name?,
            namespace: namespace?,
            container: container?,
            repository: repository?,
            source: source?,
            pull: pull?,
            trust,
            downgrades: if given.is_on("allow-major-downgrade") { Downgrades::Any } else { Downgrades::WithinMajor },
            metrics: metrics?,
            health: health?,
            // Seldom is not enough for windows of an hour; always would be no period.
            period: period?.clamp(Duration::from_secs(1), PERIOD),
            volume: volume?,
            kubeconfig: given
                .value("kubeconfig")
                .filter(|file| !file.is_empty())
                .map(|file| (file.into(), given.value("context").map(str::to_owned))),
        })
    })();
    settings.filter(|_| wrong.is_empty()).ok_or(wrong)
}

fn kept<T>(read: Result<T, String>, wrong: &mut Vec<String>) -> Option<T> {
    read.map_err(|why| wrong.push(why)).ok()
}

/// A name in Kubernetes becomes part of addresses.
fn label(given: &Given, flag: &str, default: Option<&str>, wrong: &mut Vec<String>) -> Option<String> {
    let Some(name) = given.value(flag).or(default).filter(|name| !name.is_empty()) else {
        wrong.push(format!("--{flag} is missing"));
        return None;
    };
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    let sound = name.len() <= 253 && name.bytes().all(inner) && !name.starts_with(['-', '.']) && !name.ends_with(['-', '.']);
    let why = || format!("--{flag}={name} is no name: small letters, digits, `-` and `.`");
    kept(sound.then(|| name.to_owned()).ok_or_else(why), wrong)
}

fn source(given: &Given, wrong: &mut Vec<String>) -> Option<Source> {
    let text = |flag: &str| given.value(flag).filter(|value| !value.is_empty());
    let url = text("version-server").unwrap_or("https://updates.releases.teleport.dev/v1/");
    let channel = text("version-channel").unwrap_or("stable/cloud");
    let server = kept(endpoint(url, channel), wrong);
    let proxy = text("proxy-address").map(|proxy| {
        let bare = proxy.strip_prefix("https://").unwrap_or(proxy).trim_end_matches('/');
        let is_host = !bare.contains('/') && bare.parse::<ForgivenEndpoint>().is_ok();
        kept(is_host.then(|| bare.to_owned()).ok_or_else(|| format!("--proxy-address={proxy} is not HOST[:PORT]")), wrong)
    });
    let group = given.value("update-group").unwrap_or_default();
    if group.len() > 200 || group.chars().any(char::is_control) {
        wrong.push(format!("--update-group={group:?} is no name of a group"));
    }
    // A proxy that is asked is not replaced by a server that nobody has named.
    let server = Some(server?).filter(|_| proxy.is_none() || text("version-server").is_some());
    let proxy = match proxy {
        Some(proxy) => Some((proxy?, group.to_owned())),
        None => None,
    };
    Some(Source { proxy, server })
}

fn endpoint(url: &str, channel: &str) -> Result<(Endpoint, Transport), String> {
    let wrong = |why: &str| format!("--version-server={url} --version-channel={channel}: {why}");
    let (transport, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (Transport::Tls, rest),
        (None, Some(rest)) => (Transport::PlainLocal, rest),
        (None, None) => return Err(wrong("an address begins with https://")),
    };
    let joined = format!("{}/{}", rest.trim_end_matches('/'), channel.trim_matches('/'));
    let endpoint = joined.parse::<ForgivenEndpoint>().map_err(|why| wrong(&why))?.endpoint;
    if transport == Transport::PlainLocal && !endpoint.is_local() {
        return Err(wrong("without TLS only a server in this very pod is asked"));
    }
    Ok((endpoint, transport))
}

fn pull(from: &str) -> Result<Pull, String> {
    match from {
        "none" | "" => Ok(Pull::Anonymously),
        "docker" => Ok(Pull::WithDockers),
        "google" | "aws" | "amazon" => Err(format!(
            "--pull-credentials={from} is not here: have the credentials written into a secret of the type kubernetes.io/dockerconfigjson (by the External Secrets Operator or a CronJob, for instance), mount it, name the directory in DOCKER_CONFIG, and say --pull-credentials=docker: its .dockerconfigjson is read anew for each image"
        )),
        other => Err(format!("--pull-credentials={other} is neither none nor docker")),
    }
}

fn volume(level: &str) -> Result<Volume, String> {
    match level.to_ascii_lowercase().as_str() {
        "debug" => Ok(Volume::Debug),
        "info" => Ok(Volume::Info),
        "warn" | "warning" => Ok(Volume::Warning),
        "error" => Ok(Volume::Error),
        _ => Err(format!("--log-level={level} is none of debug, info, warn and error")),
    }
}

/// As Go's `net.Listen` takes it: `:8080` is every address of the host. `0` is nowhere.
fn address(given: &Given, flag: &str, port: u16, wrong: &mut Vec<String>) -> Option<Option<SocketAddr>> {
    let text = match given.value(flag) {
        None => return Some(Some((Ipv6Addr::UNSPECIFIED, port).into())),
        Some("0" | "") => return Some(None),
        Some(text) => text,
    };
    let full = if text.starts_with(':') { format!("[::]{text}") } else { text.replace("localhost:", "127.0.0.1:") };
    kept(full.parse().map(Some).map_err(|_| format!("--{flag}={text} is no address such as :{port} or 127.0.0.1:{port}")), wrong)
}

/// `30m`, `1.5h`, `1h30m0s`, `500ms`, as Go reads a duration.
fn duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let text = text.strip_prefix('+').unwrap_or(text);
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, behind) = rest.split_at(digits);
        let unit_ends = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(unit_ends);
        let number: f64 = number.parse().ok()?;
        let seconds = number
            * match unit {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" | "μs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        total = total.checked_add(Duration::try_from_secs_f64(seconds).ok()?)?;
        rest = behind;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::flags::parse;

    fn read(flags: &[&str]) -> Result<Settings, Vec<String>> {
        settings(&parse(flags.iter().map(|flag| (*flag).to_owned())).unwrap())
    }
    const NEEDED: [&str; 2] = ["--agent-name=agent", "--agent-namespace=teleport"];
    fn with(more: &[&str]) -> Result<Settings, Vec<String>> {
        read(&[&NEEDED, more].concat())
    }

    #[test]
    fn what_is_not_given_is_as_the_stock_updater_has_it() {
        let settings = with(&[]).unwrap();
        assert_eq!(settings.repository.to_string(), "public.ecr.aws/gravitational/teleport");
        let (endpoint, transport) = settings.source.server.unwrap();
        assert_eq!((endpoint.to_string().as_str(), transport), ("updates.releases.teleport.dev/v1/stable/cloud", Transport::Tls));
        assert_eq!(settings.source.proxy, None);
        assert_eq!(
            (settings.container.as_str(), settings.pull, settings.trust),
            ("teleport", Pull::Anonymously, TrustIn::Teleport)
        );
        assert_eq!(settings.metrics.unwrap().to_string(), "[::]:8080");
        assert_eq!(settings.health.unwrap().to_string(), "[::]:8081");
        assert_eq!(
            (settings.period.as_secs(), settings.volume, settings.downgrades),
            (1800, Volume::Info, Downgrades::WithinMajor)
        );
    }

    #[test]
    fn what_the_chart_gives_is_understood() {
        let settings = with(&[
            "--base-image=registry.test:5000/mirror/teleport-distroless",
            "--version-server=https://proxy.example.com:443/v1/webapi/automaticupgrades/channel",
            "--version-channel=default",
            "--proxy-address=proxy.example.com:443",
            "--update-group=stable/cloud",
            "--kubeconfig=",
            "--pull-credentials=docker",
            "--healthz-addr=127.0.0.1:9000",
            "--metrics-addr=0",
            "--sync-period=1h0m0s",
            "--log-level=DEBUG",
        ])
        .unwrap();
        let (endpoint, _) = settings.source.server.unwrap();
        assert_eq!(endpoint.to_string(), "proxy.example.com:443/v1/webapi/automaticupgrades/channel/default");
        // The chart's default: its channel.
        assert_eq!(settings.source.proxy, Some(("proxy.example.com:443".into(), "stable/cloud".into())));
        assert_eq!(settings.kubeconfig, None);
        assert_eq!((settings.pull, settings.metrics, settings.volume), (Pull::WithDockers, None, Volume::Debug));
        assert_eq!(settings.health.unwrap().to_string(), "127.0.0.1:9000");
        assert_eq!(settings.period.as_secs(), 1800);
        assert_eq!(with(&["--sync-period=90s"]).unwrap().period.as_secs(), 90);
        for (text, millis) in [("1m30.5s", 90_500), ("0.25h", 900_000), ("+10m", 600_000), ("1500ms", 1500), ("500ms", 1000)] {
            assert_eq!(with(&[&format!("--sync-period={text}")]).unwrap().period.as_millis(), millis, "{text}");
        }
    }

    #[test]
    fn a_proxy_is_replaced_by_no_server_that_nobody_has_named() {
        let server = |more: &[&str]| with(&[&["--proxy-address=proxy.test"], more].concat()).unwrap().source.server;
        assert_eq!(server(&[]), None);
        assert_eq!(server(&["--version-server="]), None);
        assert!(server(&["--version-server=https://a.test/v1"]).is_some());
    }

    #[test]
    fn trust_is_given_up_only_by_the_flags_that_say_so() {
        let trust = |more: &[&str]| with(more).unwrap().trust;
        assert_eq!(trust(&["--verification-key=/k.pub"]), TrustIn::Key("/k.pub".into()));
        assert_eq!(trust(&["--verification-key="]), TrustIn::Teleport);
        assert_eq!(trust(&["--insecure-no-verify-image"]), TrustIn::Registry);
        assert_eq!(trust(&["--insecure-no-resolve-image"]), TrustIn::Nobody);
        assert_eq!(trust(&["--insecure-no-resolve-image=false", "--insecure-no-verify-image=0"]), TrustIn::Teleport);
    }

    #[test]
    fn everything_that_makes_no_sense_is_said_at_once() {
        let wrong = read(&[
            "--agent-name=A/b",
            "--base-image=r.test/teleport:16",
            "--version-server=http://versions.test",
            "--proxy-address=proxy.test/x",
            "--update-group=a\nb",
            "--pull-credentials=aws",
            "--metrics-addr=8080",
            "--sync-period=0s",
            "--log-level=loud",
        ])
        .unwrap_err();
        let expected = [
            "--agent-name=A/b is no name",
            "--agent-namespace is missing",
            "--base-image=r.test/teleport:16 has a tag",
            "--version-server=http://versions.test --version-channel=stable/cloud: without TLS",
            "--proxy-address=proxy.test/x is not HOST[:PORT]",
            "--update-group=\"a\\nb\" is no name of a group",
            "--pull-credentials=aws is not here: have the credentials written into a secret",
            "--metrics-addr=8080 is no address",
            "--sync-period=0s is no time",
            "--log-level=loud is none of",
        ];
        assert_eq!(wrong.len(), expected.len(), "{wrong:#?}");
        for (said, expected) in wrong.iter().zip(expected) {
            assert!(said.starts_with(expected), "{said}");
        }
    }
}
