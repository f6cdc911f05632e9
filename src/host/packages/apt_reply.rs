//! What apt and dpkg write, read: pure, bounded, and tested on recorded output of real tools in `tests/captured/`.

use crate::host::packages::trouble::Trouble;
use crate::host::packages::{Candidate, Completeness, Holds, State, is_version};
use crate::rules::release::Release;
use crate::rules::room::Needs;

/// What `dpkg-query -W -f` is asked for; [`state`] reads the answer. See dpkg-query(1), "Package fields".
pub(super) const STATE_FORMAT: &str = "${Package} ${db:Status-Want} ${db:Status-Eflag} ${db:Status-Status} ${Version}\\n";

/// Reads what dpkg-query says about one package. Several lines mean several architectures; the first installed one counts.
pub(super) fn state(text: &str, package: &str) -> State {
    let installed = text.lines().find_map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let &[name, want, flag, status, version] = words.as_slice() else { return None };
        let there = name == package && is_version(version) && !matches!(status, "not-installed" | "config-files");
        let whole = flag == "ok" && matches!(status, "installed" | "triggers-pending" | "triggers-awaited");
        there.then(|| State {
            version: Some(version.to_owned()),
            completeness: if whole { Completeness::Complete } else { Completeness::Stopped(status.to_owned()) },
            holds: Holds { plain: want == "hold", other: None },
        })
    });
    installed.unwrap_or(State::absent())
}

/// Reads a package's `md5sums` (deb-md5sums(5): sum, two spaces, path without the leading slash): its programs and their sums.
pub(super) fn program_sums(text: &str) -> Vec<(String, String)> {
    let sum = |word: &str| word.len() == 32 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let lines = text.lines().filter_map(|line| line.split_once("  ")).map(|(sum, path)| (sum.to_owned(), format!("/{path}")));
    lines.filter(|(word, path)| sum(word) && is_program(path)).collect()
}

/// Whether a packaged file counts: an administrator may have changed the unit, and minimal images exclude documentation.
fn is_program(path: &str) -> bool {
    path.starts_with('/') && ["/bin/", "/sbin/"].iter().any(|directory| path.contains(directory))
}

/// Reads `dpkg -V`: programs that are missing or changed. Its exit code does not say so (V10). Format: nine flags, an optional attribute
/// letter (`c` for configuration), the path.
pub(super) fn damage(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| {
            let (flags, rest) = line.split_once(' ')?;
            let rest = rest.trim_start();
            let (attribute, path) = if rest.starts_with('/') { ("", rest) } else { rest.split_once(' ')? };
            let path = path.trim_start();
            let counts =
                attribute != "c" && is_program(path) && (flags == "missing" || flags.contains(['5', 'S', 'M', 'L', 'D']));
            counts.then(|| if flags == "missing" { format!("{path} is missing") } else { format!("{path} is not as installed") })
        })
        .collect()
}

/// Reads the version table of `apt-cache policy PACKAGE`: what repositories have, newest first, not what is only installed.
pub(super) fn candidates(text: &str) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut current: Option<Candidate> = None;
    let mut offered = false;
    let table = text.lines().skip_while(|line| line.trim() != "Version table:").skip(1);
    for line in table {
        let version_line = (line.starts_with("     ") || line.starts_with(" *** ")) && !line.starts_with("      ");
        let mut words = line.trim_start_matches([' ', '*']).split_ascii_whitespace();
        if version_line {
            candidates.extend(current.take().filter(|_| offered));
            offered = false;
            let priority = words.clone().nth(1).and_then(|word| word.parse::<i64>().ok());
            current = words
                .next()
                .filter(|version| is_version(version))
                .map(|version| Candidate { version: version.to_owned(), forbidden: priority.filter(|priority| *priority < 0) });
        } else if let (Some(_), Some(place)) = (words.next(), words.next()) {
            offered |= place != "/var/lib/dpkg/status";
        }
    }
    candidates.extend(current.filter(|_| offered));
    candidates
}

/// Reads `apt-cache show`: `Size` in bytes, `Installed-Size` in KiB (deb-control(5)); 0 where it does not say.
pub(super) fn needs(text: &str) -> Needs {
    let value = |field| text.lines().find_map(|line| line.strip_prefix(field)?.trim().parse::<u64>().ok()).unwrap_or_default();
    Needs { download: value("Size:"), unpacked: value("Installed-Size:").saturating_mul(1024) }
}

/// The release in the name of one of the package's files: `NAME_VERSION_ARCH.deb`, a colon in the version written as `%3a`.
pub(super) fn release_in(file: &str, package: &str) -> Option<Release> {
    let (version, _) = file.strip_suffix(".deb")?.strip_prefix(package)?.strip_prefix('_')?.split_once('_')?;
    version.parse().ok()
}

/// One line of a simulation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Planned {
    /// A package comes new, or moves from a version to another.
    Install {
        /// Its name.
        package: String,
        /// Its version now, if it is installed.
        from: Option<String>,
        /// Its version after.
        to: String,
    },
    /// A package goes.
    Remove {
        /// Its name.
        package: String,
    },
}

/// Reads `apt-get -s install`: lines `Inst NAME [OLD] (NEW ORIGIN [ARCH])` and `Remv NAME [OLD]`.
pub(super) fn plan(text: &str) -> Vec<Planned> {
    text.lines()
        .filter_map(|line| {
            let (verb, rest) = line.split_once(' ')?;
            let package = rest.split([' ', ':']).next()?.to_owned();
            match verb {
                "Inst" => {
                    let (before, after) = rest.split_once('(')?;
                    let from = before.split_once('[').and_then(|(_, v)| v.split_once(']')).map(|(v, _)| v.to_owned());
                    Some(Planned::Install { package, from, to: after.split([' ', ')']).next()?.to_owned() })
                }
                "Remv" | "Purg" => Some(Planned::Remove { package }),
                _ => None,
            }
        })
        .collect()
}

/// Reads `apt-cache depends --recurse`: the packages that are depended on, each on a line of its own without indentation.
pub(super) fn dependencies(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with([' ', '|', '<'])).filter_map(|line| line.split([':', ' ']).next()).collect()
}

/// Configuration files that were changed on both sides, as dpkg says while it configures: the old one is kept, the new one lies beside
/// it as `.dpkg-dist`.
pub(super) fn kept_conffiles(text: &str) -> Vec<&str> {
    let mut asked = None;
    let mut kept = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("Configuration file '") {
            asked = rest.split('\'').next();
        } else if line.contains("==> Keeping old config file") {
            kept.extend(asked.take());
        }
    }
    kept
}

/// Texts of apt 2.0 to 3.0 and dpkg 1.19 to 1.22 and what they mean, most telling first.
const TEXTS: [(&str, Trouble); 39] = [
    // What a script of a package wrote may contain any of the others' words, but not by accident those of a full disk.
    ("No space left on device", Trouble::Disk),
    ("You don't have enough free space", Trouble::Disk),
    ("Read-only file system", Trouble::Disk),
    ("script subprocess", Trouble::Script),
    ("Could not get lock ", Trouble::Locked),
    ("Unable to acquire the dpkg frontend lock", Trouble::Locked),
    ("Unable to lock directory", Trouble::Locked),
    ("Unable to lock the administration directory", Trouble::Locked),
    ("was locked by another process", Trouble::Locked),
    ("is locked by another process", Trouble::Locked),
    ("dpkg was interrupted, you must manually run", Trouble::Interrupted),
    ("NO_PUBKEY", Trouble::Key),
    ("EXPKEYSIG", Trouble::Key),
    ("KEYEXPIRED", Trouble::Key),
    ("REVKEYSIG", Trouble::Key),
    ("BADSIG", Trouble::Key),
    ("signatures were invalid", Trouble::Key),
    ("signatures couldn't be verified", Trouble::Key),
    ("is not signed", Trouble::Key),
    ("Missing key ", Trouble::Key),
    ("cannot be authenticated", Trouble::Key),
    ("not valid yet", Trouble::Clock),
    ("is expired (invalid since", Trouble::ExpiredMetadata),
    ("ertificate verification failed", Trouble::Certificate),
    ("certificate is NOT trusted", Trouble::Certificate),
    ("Could not resolve", Trouble::Network),
    ("Temporary failure resolving", Trouble::Network),
    ("Could not connect", Trouble::Network),
    ("Unable to connect", Trouble::Network),
    ("Connection timed out", Trouble::Network),
    ("onnection failed", Trouble::Network),
    ("Network is unreachable", Trouble::Network),
    ("does not have a Release file", Trouble::Incomplete),
    ("404  Not Found", Trouble::Incomplete),
    ("Hash Sum mismatch", Trouble::Incomplete),
    ("unmet dependencies", Trouble::Dependencies),
    ("was not found", Trouble::NoSuchVersion),
    ("Unable to locate package", Trouble::NoSuchVersion),
    ("Sub-process /usr/bin/dpkg returned an error code", Trouble::Refused),
];

/// The most telling thing that apt or dpkg wrote; `None` when nothing of it is known here.
pub(super) fn trouble(text: &str) -> Option<Trouble> {
    TEXTS.iter().find(|(words, _)| text.contains(words)).map(|(_, trouble)| *trouble)
}

/// Whether every package that dpkg complains of (`error processing package NAME (--configure)`, `error processing archive FILE`) is somebody
/// else's.
pub(super) fn is_strangers_trouble(text: &str, package: &str) -> bool {
    let mut complaints = text.lines().filter_map(|line| line.split_once("error processing ")).peekable();
    let ours = |rest: &str| {
        rest.match_indices(package).any(|(at, _)| !rest.get(at + package.len()..).is_some_and(|after| after.starts_with('-')))
    };
    complaints.peek().is_some() && !complaints.any(|(_, rest)| ours(rest))
}

/// The pid in `It is held by process 1234 (apt-get)` or `... with pid 1234`.
pub(super) fn holder(text: &str) -> Option<u32> {
    ["held by process ", "with pid ", "another process with PID "].iter().find_map(|words| {
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

    #[test]
    fn the_state_of_a_package_is_read_by_its_name_out_of_several() {
        let held = state(captured!("dpkg-query-held"), "teleport-ent");
        assert_eq!(
            (held.version.as_deref(), held.holds.plain, held.completeness),
            (Some("16.1.7"), true, Completeness::Complete)
        );
        assert!(!state(captured!("dpkg-query-installed"), "teleport-ent").holds.plain);
        let stopped = state(captured!("dpkg-query-half-configured"), "teleport-ent");
        assert_eq!(stopped.version.as_deref(), Some("16.2.0"));
        assert_eq!(stopped.completeness, Completeness::Stopped("half-configured".into()));
        for absent in ["teleport", "teleport-ent-fips", "teleport-en", ""] {
            assert_eq!(state(captured!("dpkg-query-held"), absent).version, None, "{absent:?}");
        }
        assert_eq!(state("p deinstall ok config-files 1.0\n", "p").version, None, "removed, its configuration left");
        assert_eq!(
            state("p install reinstreq half-installed 1.0\n", "p").completeness,
            Completeness::Stopped("half-installed".into())
        );
    }

    #[test]
    fn what_cannot_be_a_version_is_none() {
        for strange in ["16.2.0\u{1b}[2J", "-o\tX=y", "16.2.0\u{a0}"] {
            assert_eq!(state(&format!("p install ok installed {strange}\n"), "p").version, None, "{strange:?}");
            assert!(candidates(&format!("Version table:\n     {strange} 500\n        500 https://x stable/main\n")).is_empty());
        }
    }

    #[test]
    fn damage_is_a_program_that_is_missing_or_changed() {
        assert_eq!(damage(captured!("dpkg-v-damaged")), ["/usr/local/bin/teleport is not as installed"]);
        assert_eq!(damage("missing     /opt/teleport/system/bin/tctl\n"), ["/opt/teleport/system/bin/tctl is missing"]);
        assert!(damage(captured!("dpkg-v-whole")).is_empty());
        assert!(damage("missing   c /etc/gone.conf\ngarbage\n").is_empty());
    }

    #[test]
    fn candidates_are_the_repositorys_versions_with_the_pins_that_forbid_them() {
        let shown = |text| -> Vec<String> {
            candidates(text)
                .into_iter()
                .map(|c| format!("{}{}", c.version, c.forbidden.map_or(String::new(), |p| format!(" {p}"))))
                .collect()
        };
        assert_eq!(shown(captured!("apt-cache-policy")), ["17.0.0", "16.3.0-rc.1", "16.3.0", "16.2.1", "16.2.0", "16.1.7"]);
        assert_eq!(
            shown(captured!("apt-cache-policy-pinned-version")),
            ["17.0.0", "16.3.0-rc.1", "16.3.0", "16.2.1 -1", "16.2.0", "16.1.7"]
        );
        assert_eq!(
            shown(captured!("apt-cache-policy-pinned-origin")),
            ["17.0.0 -10", "16.3.0-rc.1 -10", "16.3.0 -10", "16.2.1 -10", "16.2.0 -10", "16.1.7 -10"]
        );
        let only_installed = "p:\n  Version table:\n *** 1.0 100\n        100 /var/lib/dpkg/status\n";
        assert!(candidates(only_installed).is_empty(), "what is only installed is in no repository");
        assert!(candidates("").is_empty());
    }

    #[test]
    fn what_a_package_takes_is_read_in_bytes() {
        let text = "Package: teleport-ent\nInstalled-Size: 400\nSize: 424202\nSHA256: 00\n";
        assert_eq!(needs(text), Needs { download: 424_202, unpacked: 409_600 });
        assert_eq!(needs("Size: many\nInstalled-Size: 99999999999999999999\n"), Needs::default());
    }

    #[test]
    fn a_file_is_of_the_release_that_its_name_says_and_of_no_other_package() {
        let release = |file| release_in(file, "teleport-ent").map(|release| release.to_string());
        assert_eq!(release("teleport-ent_16.3.0-rc.1_amd64.deb").as_deref(), Some("16.3.0-rc.1"));
        for foreign in
            ["teleport-ent-updater_16.2.0_amd64.deb", "teleport_16.2.0_amd64.deb", "teleport-ent_16.2.0_amd64.rpm", "lock"]
        {
            assert_eq!(release(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn trouble_with_a_strangers_package_is_told_from_trouble_with_ours() {
        let strangers = |text| is_strangers_trouble(text, "teleport-ent");
        assert!(!strangers(captured!("apt-get-postinst-fails")));
        assert!(strangers(
            "dpkg: error processing package foo (--configure):\n installed foo package post-installation script subprocess returned error exit status 1\n"
        ));
        assert!(strangers("dpkg: error processing package teleport-ent-updater (--configure):\n"));
        assert!(!strangers(
            "dpkg: error processing package foo (--configure):\ndpkg: error processing archive /a/teleport-ent_16.2.0_amd64.deb (--unpack):\n"
        ));
        assert!(!strangers("E: something else\n"));
    }

    #[test]
    fn a_simulation_says_what_comes_goes_and_moves() {
        let moves =
            |from: &str, to: &str| Planned::Install { package: "teleport-ent".into(), from: Some(from.into()), to: to.into() };
        assert_eq!(plan(captured!("apt-get-s-upgrade")), [moves("16.1.7", "16.2.0")]);
        assert_eq!(plan(captured!("apt-get-s-reinstall")), [moves("16.1.7", "16.1.7")]);
        let neighbour = Planned::Remove { package: "lab-neighbour".into() };
        assert_eq!(plan(captured!("apt-get-s-removes_another")), [neighbour, moves("16.2.0", "16.2.0")]);
        let library = Planned::Install { package: "lab-library".into(), from: None, to: "1.0".into() };
        assert!(plan(captured!("apt-get-s-new_dependency")).contains(&library));
        assert_eq!(dependencies(captured!("apt-cache-depends")).last(), Some(&"lab-library"));
    }

    #[test]
    fn trouble_is_recognised_in_what_the_tools_really_write() {
        let stories = [
            (captured!("apt-get-dpkg-locked"), Some(Trouble::Locked)),
            (captured!("apt-get-lists-locked"), Some(Trouble::Locked)),
            (captured!("apt-get-update-wrong-key"), Some(Trouble::Key)),
            (captured!("apt-get-update-unreachable"), Some(Trouble::Network)),
            (captured!("apt-get-s-no-such-version"), Some(Trouble::NoSuchVersion)),
            (captured!("apt-get-s-unmet_dependency"), Some(Trouble::Dependencies)),
            (captured!("apt-get-postinst-fails"), Some(Trouble::Script)),
            (captured!("apt-get-s-upgrade"), None),
        ];
        for (text, expected) in stories {
            assert_eq!(trouble(text), expected, "{text}");
        }
    }

    #[test]
    fn the_holder_of_a_lock_is_named_by_its_number() {
        let number = |text: &str| text.split("by process ").nth(1).unwrap().split(' ').next().unwrap().parse().ok();
        assert_eq!(holder(captured!("apt-get-dpkg-locked")), number(captured!("apt-get-dpkg-locked")));
        assert_eq!(holder("dpkg frontend lock was locked by another process with pid 4711\n"), Some(4711));
        assert_eq!(holder("held by process x"), None);
        assert_eq!(holder("held by process 99999999999999"), None);
    }

    #[test]
    fn h19_configuration_files_that_were_kept_are_named() {
        assert_eq!(kept_conffiles(captured!("apt-get-kept-conffile")), ["/etc/teleport-standin.conf"]);
        assert!(kept_conffiles(captured!("apt-get-postinst-fails")).is_empty());
    }
}
