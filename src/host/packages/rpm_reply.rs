//! What rpm writes, read: pure, bounded, and tested on recorded output in `tests/captured/`. And what it, dnf and zypper say of trouble.

use crate::host::packages::trouble::Trouble;
use crate::host::packages::{Candidate, Completeness, Holds, State, is_version};
use crate::rules::release::Release;

/// What `rpm -q --qf` is asked for; [`entries`] reads the answer.
pub(super) const ENTRY_FORMAT: &str = "%{NAME} %{EPOCHNUM}:%{VERSION}-%{RELEASE}\\n";

/// Every version of the package that the database has, oldest entry first: more than one means that a transaction died (V10).
pub(super) fn entries(text: &str, package: &str) -> Vec<String> {
    let versions = text.lines().filter_map(|line| line.split_once(' ')).filter(|(name, _)| *name == package);
    versions
        .map(|(_, version)| version.strip_prefix("0:").unwrap_or(version).to_owned())
        .filter(|version| version.contains('-') && is_version(version))
        .collect()
}

/// What the database says about one package.
pub(super) fn state(text: &str, package: &str, holds: Holds) -> State {
    let entries = entries(text, package);
    let completeness = if entries.len() > 1 {
        Completeness::Stopped(format!("recorded at {} at once", entries.join(" and ")))
    } else {
        Completeness::Complete
    };
    State { version: entries.into_iter().next_back(), completeness, holds }
}

/// The release that `16.2.0-1` or `0:16.3.0~rc.1-1` or `16.3.0_rc.1-1` means: rpm's versions cannot contain a dash.
pub(super) fn release_of(spelled: &str) -> Option<Release> {
    let version = spelled.split_once(':').map_or(spelled, |(_, rest)| rest);
    let version = version.rsplit_once('-').map_or(version, |(version, _)| version);
    match version.split_once(['~', '_']) {
        Some((number, pre)) => format!("{number}-{pre}").parse().ok(),
        None => version.parse().ok(),
    }
}

/// The release in the name of one of the package's files: `NAME-VERSION-RELEASE.ARCH.rpm`.
pub(super) fn release_in(file: &str, package: &str) -> Option<Release> {
    let (version, _) = file.strip_suffix(".rpm")?.strip_prefix(package)?.strip_prefix('-')?.rsplit_once('.')?;
    release_of(version)
}

/// `16.3.0~rc.1`: rpm's versions cannot contain a dash, and a tilde comes before everything.
pub(super) fn spelling(release: &Release) -> String {
    release.to_string().replacen('-', "~", 1)
}

/// Of these spelled versions those that are releases of the agent, newest first.
pub(super) fn newest_first<'t>(versions: impl Iterator<Item = &'t str>) -> Vec<Candidate> {
    let mut known: Vec<_> =
        versions.filter(|version| is_version(version)).filter_map(|version| Some((release_of(version)?, version))).collect();
    known.sort();
    known.dedup();
    known.into_iter().rev().map(|(_, version)| Candidate { version: version.to_owned(), forbidden: None }).collect()
}

/// Whether the version, with or without rpm's own release behind it, is the installed one.
pub(super) fn is_installed(version: &str, installed: Option<&str>) -> bool {
    let bare = |spelled: &str| spelled.split_once(':').map_or(spelled, |(_, version)| version).to_owned();
    let installed = installed.map(bare);
    installed.is_some_and(|installed| installed == bare(version) || installed.rsplit_once('-').is_some_and(|(v, _)| v == version))
}

/// Reads `rpm -V`: programs that are missing or changed.
pub(super) fn damage(text: &str) -> Vec<String> {
    let is_program = |path: &str| ["/bin/", "/sbin/"].iter().any(|directory| path.contains(directory));
    let programs = verified(text).filter(|(_, path)| is_program(path));
    let counts = programs.filter(|(flags, _)| *flags == "missing" || flags.contains(['5', 'S', 'M', 'L', 'D']));
    counts
        .map(
            |(flags, path)| if flags == "missing" { format!("{path} is missing") } else { format!("{path} is not as installed") },
        )
        .collect()
}

/// Reads `rpm -V`: files of every kind whose contents are not as they were installed.
pub(super) fn changed(text: &str) -> Vec<&str> {
    verified(text).filter(|(flags, _)| *flags != "missing" && flags.contains(['5', 'S', 'L'])).map(|(_, path)| path).collect()
}

/// Format: nine flags or `missing`, an optional attribute letter, the path.
fn verified(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let (flags, rest) = line.split_once(' ')?;
        let path = rest.trim_start();
        let path = if path.starts_with('/') { path } else { path.split_once(' ')?.1.trim_start() };
        path.starts_with('/').then_some((flags, path))
    })
}

/// Configuration files that were changed on both sides: the old one is kept, the new one lies beside it.
pub(super) fn kept_conffiles(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.split_once("warning: ")?.1.split_once(" created as "))
        .filter(|(_, beside)| beside.trim_end().ends_with(".rpmnew"))
        .map(|(kept, _)| kept)
        .collect()
}

/// Texts of rpm 4.14 to 4.20, dnf 4.7 to 4.20, dnf5 and zypper 1.14, and what they mean, most telling first.
const TEXTS: [(&str, Trouble); 42] = [
    ("No space left on device", Trouble::Disk),
    ("more space on the", Trouble::Disk),
    ("more space needed on the", Trouble::Disk),
    ("Failed writing received data", Trouble::Disk),
    ("Can't hardlink/copy", Trouble::Disk),
    ("Read-only file system", Trouble::Disk),
    ("scriptlet failed", Trouble::Script),
    ("already locked by ", Trouble::Locked),
    ("can't create transaction lock on", Trouble::Locked),
    ("can&apos;t create transaction lock on", Trouble::Locked),
    ("System management is locked by the application", Trouble::Locked),
    ("Failed to obtain the transaction lock", Trouble::Locked),
    ("Failed to obtain rpm transaction lock", Trouble::Locked),
    ("Waiting for process with pid", Trouble::Locked),
    ("GPG signature is not available", Trouble::Key),
    ("GPG signature verification error", Trouble::Key),
    ("GPG check FAILED", Trouble::Key),
    ("is not signed", Trouble::Key),
    ("is unsigned", Trouble::Key),
    ("is signed with an unknown key", Trouble::Key),
    ("has expired.", Trouble::Key),
    ("Public key for", Trouble::Key),
    ("public key is not available", Trouble::Key),
    ("Signature verification failed", Trouble::Key),
    ("SSL certificate problem", Trouble::Certificate),
    ("SSL peer certificate", Trouble::Certificate),
    ("certificate verify failed", Trouble::Certificate),
    ("Status code: 404", Trouble::Incomplete),
    ("Repository type can't be determined", Trouble::Incomplete),
    ("Checksum doesn't match", Trouble::Incomplete),
    ("does not match the expected checksum", Trouble::Incomplete),
    ("Curl error (", Trouble::Network),
    ("Download (curl) error", Trouble::Network),
    ("Connection failed", Trouble::Network),
    ("Could not resolve host", Trouble::Network),
    ("Cannot download repomd.xml", Trouble::Network),
    ("nothing provides", Trouble::Dependencies),
    ("conflicts with", Trouble::Dependencies),
    ("Unable to find a match", Trouble::NoSuchVersion),
    ("No match for argument", Trouble::NoSuchVersion),
    ("No provider of ", Trouble::NoSuchVersion),
    ("Transaction failed", Trouble::Refused),
];

/// The most telling thing that was written; `None` when nothing of it is known here.
pub(super) fn trouble(text: &str) -> Option<Trouble> {
    TEXTS.iter().find(|(words, _)| text.contains(words)).map(|(_, trouble)| *trouble)
}

/// The pid in `locked by 105`, or in `locked by the application with pid 199 (zypper)`.
pub(super) fn holder(text: &str) -> Option<u32> {
    ["already locked by ", "by the application with pid "].iter().find_map(|words| {
        let (_, rest) = text.split_once(words)?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).take(10).collect();
        digits.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a real tool wrote; `tests/capture` records it.
    macro_rules! captured {
        ($name:literal) => {
            include_str!(concat!("../../../tests/captured/", $name))
        };
    }

    fn seen(text: &str, package: &str) -> (Option<String>, Completeness) {
        let state = state(text, package, Holds::default());
        (state.version, state.completeness)
    }

    #[test]
    fn the_state_of_a_package_is_read_by_its_name_out_of_several() {
        let text = captured!("rpm-q-installed");
        assert_eq!(seen(text, "teleport-ent"), (Some("16.1.7-1".into()), Completeness::Complete));
        for absent in ["teleport", "teleport-ent-fips", "package", ""] {
            assert_eq!(seen(text, absent).0, None, "{absent}");
        }
        assert_eq!(seen(captured!("rpm-q-absent"), "teleport").0, None);
    }

    #[test]
    fn v10_a_package_that_is_there_twice_is_not_complete() {
        let text = captured!("rpm-q-duplicated");
        assert_eq!(
            seen(text, "teleport-ent"),
            (Some("16.2.0-1".into()), Completeness::Stopped("recorded at 16.1.7-1 and 16.2.0-1 at once".into()))
        );
    }

    #[test]
    fn what_cannot_be_a_version_is_none() {
        for strange in ["16.2.0-\u{1b}[2J", "-x:16.2.0-1", "16.2.0-1\tx", "16.2.0-\u{e9}"] {
            assert!(entries(&format!("p 0:{strange}\n"), "p").is_empty(), "{strange:?}");
            assert!(newest_first(std::iter::once(strange)).is_empty(), "{strange:?}");
        }
    }

    #[test]
    fn both_spellings_of_a_pre_release_mean_it() {
        let stories = [
            ("16.2.0-1", Some("16.2.0")),
            ("16.3.0~rc.1-1", Some("16.3.0-rc.1")),
            ("16.3.0_rc.1-1", Some("16.3.0-rc.1")),
            ("0:16.2.0-3", Some("16.2.0")),
            ("16.2.0", Some("16.2.0")),
            ("16.2-1", None),
            ("-", None),
            ("", None),
        ];
        for (spelled, release) in stories {
            assert_eq!(release_of(spelled).map(|r| r.to_string()).as_deref(), release, "{spelled}");
        }
    }

    #[test]
    fn damage_is_a_program_that_is_missing_or_changed() {
        assert_eq!(damage(captured!("rpm-v-damaged")), ["/usr/local/bin/teleport is not as installed"]);
        assert_eq!(damage(captured!("rpm-v-missing")), ["/usr/local/bin/teleport is missing"]);
        assert_eq!(damage(captured!("rpm-v-duplicated-old")), ["/usr/local/bin/teleport is not as installed"]);
        assert!(damage(captured!("rpm-v-whole")).is_empty());
        assert_eq!(changed(captured!("rpm-v-damaged")), ["/etc/teleport-standin.conf", "/usr/local/bin/teleport"]);
        assert!(changed(captured!("rpm-v-whole")).is_empty() && changed(captured!("rpm-v-missing")).is_empty());
        assert!(damage(captured!("rpm-v-duplicated-new")).is_empty());
        assert!(damage(".......T.    /usr/local/bin/teleport\ngarbage\n").is_empty(), "a time is no damage");
    }

    #[test]
    fn h19_configuration_files_that_were_kept_are_named() {
        assert_eq!(kept_conffiles(captured!("dnf-install-file-kept-config")), ["/etc/teleport-standin.conf"]);
        assert_eq!(kept_conffiles(captured!("zypper-install-file-kept-config")), ["/etc/teleport-standin.conf"]);
        assert!(kept_conffiles(captured!("dnf-makecache")).is_empty());
    }

    #[test]
    fn trouble_is_recognised_in_what_the_tools_really_write() {
        let stories = [
            (captured!("dnf-makecache-stranger"), Some(Trouble::Key)),
            (captured!("dnf-makecache-unsigned"), Some(Trouble::Key)),
            (captured!("dnf-makecache-unreachable"), Some(Trouble::Network)),
            (captured!("dnf-makecache-404"), Some(Trouble::Incomplete)),
            (captured!("dnf-rpm-locked"), Some(Trouble::Locked)),
            (captured!("dnf-dnf-locked"), Some(Trouble::Locked)),
            (captured!("dnf-metadata-locked"), Some(Trouble::Locked)),
            (captured!("dnf-install-no-space"), Some(Trouble::Disk)),
            (captured!("dnf-install-pre_fails"), Some(Trouble::Script)),
            (captured!("dnf-install-post_fails"), Some(Trouble::Script)),
            (captured!("dnf-install-file-unsigned"), Some(Trouble::Key)),
            (captured!("dnf-install-file-strange"), Some(Trouble::Key)),
            (captured!("dnf-reinstall-file"), None),
            (captured!("dnf-assumeno-unmet_dependency"), Some(Trouble::Dependencies)),
            (captured!("dnf-assumeno-conflicts_another"), Some(Trouble::Dependencies)),
            (captured!("dnf-assumeno-no-such-version"), Some(Trouble::NoSuchVersion)),
            (captured!("dnf-makecache"), None),
            (captured!("dnf-assumeno-upgrade"), None),
            (captured!("zypper-refresh-stranger"), Some(Trouble::Key)),
            (captured!("zypper-refresh-unsigned"), Some(Trouble::Key)),
            (captured!("zypper-refresh-expired-key"), Some(Trouble::Key)),
            (captured!("zypper-refresh-unreachable"), Some(Trouble::Network)),
            (captured!("zypper-refresh-404"), Some(Trouble::Incomplete)),
            (captured!("zypper-locked"), Some(Trouble::Locked)),
            (captured!("zypper-rpm-locked"), Some(Trouble::Locked)),
            (captured!("zypper-install-pre_fails"), Some(Trouble::Script)),
            (captured!("zypper-install-no-space"), Some(Trouble::Disk)),
            (captured!("zypper-dry-run-unmet_dependency"), Some(Trouble::Dependencies)),
            (captured!("zypper-dry-run-no-such-version"), Some(Trouble::NoSuchVersion)),
            (captured!("zypper-refresh"), None),
        ];
        for (text, expected) in stories {
            assert_eq!(trouble(text), expected, "{text}");
        }
    }

    #[test]
    fn the_holder_of_a_lock_is_named_by_its_number() {
        let number = |text: &str, words: &str| -> Option<u32> {
            text.split(words).nth(1).unwrap().split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().ok()
        };
        for (text, words) in [
            (captured!("dnf-dnf-locked"), "already locked by "),
            (captured!("dnf-metadata-locked"), "already locked by "),
            (captured!("zypper-locked"), "with pid "),
        ] {
            assert!(holder(text).is_some_and(|pid| pid > 1));
            assert_eq!(holder(text), number(text, words), "{text}");
        }
        assert_eq!(holder(captured!("dnf-rpm-locked")), None, "rpm names nobody");
    }
}
