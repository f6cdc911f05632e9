//! zypper's locks as text: which of them concern the agent's package, and the file without those. Format: paragraphs of `key: value`
//! (zypper(8), `addlock`; `/etc/zypp/locks`).

use crate::host::packages::glob;

/// One lock, as it stands in the file.
struct Lock<'t> {
    lines: Vec<&'t str>,
}

impl<'t> Lock<'t> {
    fn values(&self, key: &str) -> impl Iterator<Item = &'t str> {
        self.lines
            .iter()
            .filter_map(|line| line.split_once(':'))
            .filter(move |(name, _)| name.trim() == key)
            .map(|(_, v)| v.trim())
    }

    fn value(&self, key: &str) -> Option<&'t str> {
        self.values(key).next()
    }

    fn concerns(&self, package: &str) -> bool {
        let kind = self.value("type").is_none_or(|kind| kind == "package");
        let mut names = self.values("solvable_name").peekable();
        if names.peek().is_none() {
            // Another way to say what is locked.
            return kind && self.lines.iter().any(|line| line.contains(package));
        }
        let fold = self.value("case_sensitive") != Some("on");
        // What is written in another way than with shell patterns is nothing to guess at.
        let pattern = self.value("match_type").is_none_or(|how| matches!(how, "glob" | "exact"));
        let ours = |name: &str| {
            let name = &if fold { name.to_lowercase() } else { name.to_owned() };
            if pattern { glob::matches(name, package) } else { name.contains(package) || package.contains(name) }
        };
        kind && names.any(ours)
    }

    /// As `zypper addlock PACKAGE` writes it: by its very name, in every version, from every repository.
    fn is_plain(&self, package: &str) -> bool {
        let more = ["repo", "version", "complex", "solvable_arch"].iter().any(|key| self.value(key).is_some());
        let mut names = self.values("solvable_name");
        self.concerns(package) && names.next() == Some(package) && names.all(|name| name == package) && !more
    }
}

/// As libzypp reads them (`PoolQuery::recover`): whatever has no colon in it ends a lock, also a line of blanks; a comment does not.
fn locks(text: &str) -> impl Iterator<Item = Lock<'_>> {
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    std::iter::from_fn(move || {
        let is_value = |line: &&str| line.contains(':');
        let lines: Vec<&str> = lines.by_ref().skip_while(|line| !is_value(line)).take_while(is_value).collect();
        (!lines.is_empty()).then_some(Lock { lines })
    })
}

/// Where the locks are, if the settings (zypp.conf) say so.
pub(super) fn file(settings: &str) -> Option<&str> {
    let values = settings.lines().filter_map(|line| line.split_once('=')).filter(|(key, _)| key.trim() == "locksfile.path");
    values.map(|(_, value)| value.trim()).rfind(|value| value.starts_with('/'))
}

/// Whether the package is locked as this program does it.
pub(super) fn has_plain(text: &str, package: &str) -> bool {
    locks(text).any(|lock| lock.is_plain(package))
}

/// Another lock that concerns the package, in the words of zypper's command line.
pub(super) fn other(text: &str, package: &str) -> Option<String> {
    let lock = locks(text).find(|lock| lock.concerns(package) && !lock.is_plain(package))?;
    let name = lock.value("solvable_name").unwrap_or_default();
    let version = lock.value("version").map(|version| format!(" {version}")).unwrap_or_default();
    let repository = lock.value("repo").map(|repository| format!(" from {repository}")).unwrap_or_default();
    Some(format!("{name}{version}{repository}"))
}

/// The file without the locks that concern the package.
pub(super) fn without(text: &str, package: &str) -> String {
    locks(text).filter(|lock| !lock.concerns(package)).map(|lock| format!("\n{}\n\n", lock.lines.join("\n"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without its first line, which says where it is from.
    fn recorded() -> &'static str {
        include_str!("../../../tests/captured/zypper-locks-file").split_once('\n').unwrap().1
    }

    #[test]
    fn a_plain_lock_is_told_from_those_of_an_administrator() {
        assert!(has_plain(recorded(), "teleport-ent"));
        assert!(!has_plain(recorded(), "teleport"));
        assert_eq!(other(recorded(), "teleport-ent").as_deref(), Some("tele*"));
        let plain = "\ntype: package\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: teleport-ent\n\n";
        assert!(has_plain(plain, "teleport-ent"));
        assert_eq!(other(plain, "teleport-ent"), None);
        let stories = [
            ("type: package\nsolvable_name: teleport-ent\nversion: < 17", Some("teleport-ent < 17")),
            ("type: package\nsolvable_name: teleport-ent\nrepo: teleport", Some("teleport-ent from teleport")),
            ("type: package\nmatch_type: regex\nsolvable_name: ^teleport-ent", Some("^teleport-ent")),
            ("type: package\ncase_sensitive: off\nsolvable_name: Teleport*", Some("Teleport*")),
            ("type: package\ncase_sensitive: on\nsolvable_name: Teleport*", None),
            ("type: package\nquery_string: teleport-ent", Some("")),
            ("type: patch\nsolvable_name: teleport-ent", None),
            ("type: package\nsolvable_name: teleport-ent-fips", None),
            ("garbage", None),
            ("", None),
        ];
        for (text, expected) in stories {
            assert_eq!(other(text, "teleport-ent").as_deref(), expected, "{text}");
            assert!(!has_plain(text, "teleport-ent"), "{text}");
        }
    }

    #[test]
    fn locks_end_where_libzypp_ends_them() {
        for between in ["\n \n", "\r\n\r\n", "\nno colon\n", "\n# comment\n"] {
            let text = format!("solvable_name: lab-a{between}solvable_name: teleport-ent\n");
            assert!(has_plain(&text, "teleport-ent") || other(&text, "teleport-ent").is_some(), "{text:?} is overlooked");
        }
    }

    #[test]
    fn the_settings_say_where_the_locks_are() {
        assert_eq!(file("[main]\n# locksfile.path = /x\nlocksfile.path = /etc/zypp/our-locks\n"), Some("/etc/zypp/our-locks"));
        assert_eq!(file("[main]\nlocksfile.apply = yes\n"), None);
    }

    #[test]
    fn the_locks_of_other_packages_stay() {
        let left = without(&format!("{}\ntype: package\nsolvable_name: bash\n", recorded()), "teleport-ent");
        assert_eq!(
            left,
            "\ntype: patch\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: teleport-ent\n\n\ntype: package\nsolvable_name: bash\n\n"
        );
        assert_eq!(without("", "teleport-ent"), "");
    }
}
