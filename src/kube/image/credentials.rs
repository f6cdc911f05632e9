//! Names and passwords of registries, as Docker keeps them in `config.json` (and Kubernetes in a secret of the type
//! `kubernetes.io/dockerconfigjson`). Pure. Programs that would give them out (`credHelpers`, `credsStore`) are never run.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::kube::image::reference::Repository;

/// What Docker's hub is called in `config.json`.
const HUB: [&str; 3] = ["index.docker.io", "docker.io", "registry-1.docker.io"];

/// Those of every registry that is known.
#[derive(Default, PartialEq, Eq)]
pub struct Credentials(BTreeMap<String, String>);

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
}

impl Credentials {
    /// Reads a `config.json`.
    ///
    /// # Errors
    /// Why it cannot be used, fit to follow the file's name; nothing secret is repeated.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        // An error of serde_json names line and column, and may quote what it met.
        let config: Config = serde_json::from_slice(text)
            .map_err(|error| format!("is no config.json of Docker's (line {}, column {})", error.line(), error.column()))?;
        let mut known = BTreeMap::new();
        for (name, entry) in config.auths {
            let basic = match (entry.auth.trim(), entry.username.as_str()) {
                ("", "") => continue,
                ("", user) => STANDARD.encode(format!("{user}:{}", entry.password)),
                (auth, _) if STANDARD.decode(auth).is_ok_and(|pair| pair.contains(&b':')) => auth.to_owned(),
                _ => return Err(format!("has an `auth` for {name} that is no name and password in Base64")),
            };
            known.insert(bare(&name), basic);
        }
        Ok(Self(known))
    }

    /// Name and password for a repository, as `Authorization: Basic` wants them: those of the longest entry that leads to it.
    #[must_use]
    pub fn basic(&self, repository: &Repository) -> Option<&str> {
        let hub = HUB.contains(&repository.host());
        let registries = if hub { HUB.as_slice() } else { &[repository.registry.as_str()] };
        let leads_to = |entry: &str| {
            registries.iter().any(|registry| {
                let rest = entry.strip_prefix(registry);
                rest.is_some_and(|rest| match rest.strip_prefix('/') {
                    Some(path) => repository.path == path || repository.path.starts_with(&format!("{path}/")),
                    None => rest.is_empty(),
                })
            })
        };
        let found = self.0.iter().filter(|(entry, _)| leads_to(entry)).max_by_key(|(entry, _)| entry.len());
        found.map(|(_, basic)| basic.as_str())
    }
}

impl fmt::Debug for Credentials {
    /// For whom, not what.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

/// `https://index.docker.io/v1/` is `index.docker.io`.
fn bare(name: &str) -> String {
    let name = name.strip_prefix("https://").or_else(|| name.strip_prefix("http://")).unwrap_or(name).trim_end_matches('/');
    name.strip_suffix("/v1").or_else(|| name.strip_suffix("/v2")).unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(config: &str, image: &str) -> Option<String> {
        let credentials = Credentials::parse(config.as_bytes()).unwrap();
        let basic = credentials.basic(&image.parse().unwrap())?;
        Some(String::from_utf8(STANDARD.decode(basic).unwrap()).unwrap())
    }

    #[test]
    fn the_entry_that_leads_to_a_repository_is_found_in_each_spelling() {
        // printf a:b | base64
        let config = r#"{"auths":{
            "https://index.docker.io/v1/":{"auth":"YTpi"},
            "registry.test:5000":{"username":"whole","password":"r"},
            "registry.test:5000/team":{"username":"team","password":"t:1"},
            "empty.test":{}},
            "credsStore":"desktop"}"#;
        assert_eq!(found(config, "gravitational/teleport").as_deref(), Some("a:b"));
        assert_eq!(found(config, "registry.test:5000/teleport").as_deref(), Some("whole:r"));
        assert_eq!(found(config, "registry.test:5000/team/teleport").as_deref(), Some("team:t:1"));
        assert_eq!(found(config, "registry.test:5000/teams").as_deref(), Some("whole:r"));
        for unknown in
            ["registry.test/teleport", "registry.test:50001/teleport", "empty.test/x", "public.ecr.aws/gravitational/teleport"]
        {
            assert_eq!(found(config, unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_file_that_makes_no_sense_is_refused_without_repeating_it() {
        let wrong = |text: &str| Credentials::parse(text.as_bytes()).unwrap_err();
        assert_eq!(wrong("{\"auths\": \"hunter2\"}"), "is no config.json of Docker's (line 1, column 19)");
        assert_eq!(
            wrong("{\"auths\":{\"a\":{\"auth\":\"hunter2\"}}}"),
            "has an `auth` for a that is no name and password in Base64"
        );
        assert_eq!(format!("{:?}", Credentials::parse(b"{\"auths\":{\"a\":{\"auth\":\"YTpi\"}}}").unwrap()), "[\"a\"]");
    }
}
