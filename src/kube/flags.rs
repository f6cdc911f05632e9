//! The command line as the Helm chart writes it, in the syntax of Go's flag package: `-flag`, `--flag`, `--flag=value`, `--flag value`;
//! a flag that is a yes or no takes a value only behind `=`. Pure.

use crate::document::is_near;

/// Flags that take a value, with the value's name and what they mean.
pub(super) const VALUES: [(&str, &str, &str); 16] = [
    ("agent-name", "NAME", "the StatefulSet or Deployment to keep up to date; required"),
    ("agent-namespace", "NAME", "the namespace that it is in; required"),
    ("base-image", "IMAGE", "the image without its tag (public.ecr.aws/gravitational/teleport)"),
    ("container-name", "NAME", "the container of the agent (teleport)"),
    ("version-server", "URL", "who is asked for the version (https://updates.releases.teleport.dev/v1/)"),
    ("version-channel", "NAME", "and for which channel (stable/cloud)"),
    (
        "proxy-address",
        "HOST[:PORT]",
        "the proxy of a cluster with managed updates, asked first; nobody else then, unless --version-server is given",
    ),
    ("update-group", "NAME", "the group of agents that the proxy is asked for"),
    ("pull-credentials", "none|docker", "where the registry's credentials come from (none); docker: see below"),
    ("verification-key", "FILE", "the public key that signed the images (Teleport's own)"),
    ("metrics-addr", "ADDRESS", "where Prometheus may ask (:8080); 0: nowhere"),
    ("healthz-addr", "ADDRESS", "where the kubelet may ask (:8081)"),
    ("sync-period", "TIME", "how often to look when nothing happens, such as 10m (30m, which is the most)"),
    ("log-level", "LEVEL", "debug, info, warn or error (info)"),
    ("kubeconfig", "FILE", "outside a cluster: how to reach it"),
    ("context", "NAME", "and which context of that file"),
];
/// Flags that are a yes or no.
pub(super) const SWITCHES: [(&str, &str); 7] = [
    ("allow-major-downgrade", "follow a version of a lower major, too"),
    ("insecure-no-verify-image", "take images that nobody has signed"),
    ("insecure-no-resolve-image", "take whatever the tag leads to; implies the one above"),
    ("disable-leader-election", "accepted: there is none, several replicas do not disturb each other"),
    ("version", "print the version of this program"),
    ("help", "print this"),
    ("h", "print this"),
];

/// What was given: the last value of each flag.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Given {
    values: Vec<(&'static str, String)>,
    switches: Vec<(&'static str, bool)>,
}

impl Given {
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.values.iter().rev().find(|(given, _)| *given == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn is_on(&self, name: &str) -> bool {
        self.switches.iter().rev().find(|(given, _)| *given == name).is_some_and(|(_, on)| *on)
    }
}

/// Reads the words.
///
/// # Errors
/// Everything that is wrong with them.
pub(super) fn parse(words: impl IntoIterator<Item = String>) -> Result<Given, Vec<String>> {
    let mut given = Given::default();
    let mut wrong = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        // The end of the flags; nothing may follow.
        if word == "--" {
            wrong.extend(words.map(|word| format!("{word:?} is no flag: nothing but flags is taken")));
            break;
        }
        let Some(flag) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')).filter(|flag| !flag.is_empty()) else {
            wrong.push(format!("{word:?} is no flag: nothing but flags is taken"));
            continue;
        };
        let (name, value) = flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value.to_owned())));
        if let Some((name, ..)) = VALUES.iter().find(|(known, ..)| *known == name) {
            match value.or_else(|| words.next()) {
                Some(value) => given.values.push((name, value)),
                None => wrong.push(format!("--{name} needs a value")),
            }
        } else if let Some((name, _)) = SWITCHES.iter().find(|(known, _)| *known == name) {
            match value.as_deref().map_or(Some(true), truth) {
                Some(on) => given.switches.push((name, on)),
                None => wrong.push(format!("--{name} is true or false, not {:?}", value.unwrap_or_default())),
            }
        } else {
            wrong.push(format!("there is no flag --{name}{}", suggestion(name)));
        }
    }
    if wrong.is_empty() { Ok(given) } else { Err(wrong) }
}

/// What Go's strconv.ParseBool takes.
pub(super) fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// What was probably meant.
fn suggestion(name: &str) -> String {
    let known = VALUES.iter().map(|(known, ..)| *known).chain(SWITCHES.iter().map(|(known, _)| *known));
    // One letter wrong, or a word of it.
    let near = |known: &&str| is_near(name, known) || name.len() > 3 && known.split('-').any(|part| part == name);
    known
        .into_iter()
        .filter(|known| known.len() > 1)
        .find(near)
        .map_or_else(String::new, |known| format!(": is --{known} meant?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Given, Vec<String>> {
        parse(words.iter().map(|word| (*word).to_owned()))
    }

    #[test]
    fn flags_are_read_in_each_form_that_go_reads() {
        for words in [
            &["-agent-name", "a", "-insecure-no-verify-image"][..],
            &["--agent-name=a", "--insecure-no-verify-image=true", "--"],
            &["-agent-name=b", "--agent-name", "a", "-insecure-no-verify-image=T"],
            &["--agent-name=a", "--insecure-no-verify-image=false", "--insecure-no-verify-image=1"],
        ] {
            let given = read(words).unwrap();
            assert_eq!((given.value("agent-name"), given.is_on("insecure-no-verify-image")), (Some("a"), true), "{words:?}");
        }
        let given = read(&["--update-group=", "--version-channel", "-x", "--disable-leader-election=false"]).unwrap();
        assert_eq!(
            (given.value("update-group"), given.value("version-channel"), given.value("base-image")),
            (Some(""), Some("-x"), None)
        );
        assert!(!given.is_on("disable-leader-election"));
    }

    #[test]
    fn a_switch_is_turned_by_what_go_takes_for_true_or_false() {
        assert!(["1", "t", "T", "TRUE", "true", "True"].iter().all(|yes| truth(yes) == Some(true)));
        assert!(["0", "f", "F", "FALSE", "false", "False"].iter().all(|no| truth(no) == Some(false)));
        assert!(["", "yes", "tRUE", "2", "on"].iter().all(|neither| truth(neither).is_none()));
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once_with_what_was_meant() {
        let wrong =
            read(&["--agent-nmae=a", "agent", "--insecure-no-verify-image=yes", "-channel", "x", "---", "--zzz", "--log-level"]);
        assert_eq!(
            wrong.unwrap_err(),
            [
                "there is no flag --agent-nmae: is --agent-name meant?",
                "\"agent\" is no flag: nothing but flags is taken",
                "--insecure-no-verify-image is true or false, not \"yes\"",
                "there is no flag --channel: is --version-channel meant?",
                "\"x\" is no flag: nothing but flags is taken",
                "there is no flag ---",
                "there is no flag --zzz",
                "--log-level needs a value"
            ]
        );
    }
}
