//! What dnf writes, read: pure, bounded, and tested on recorded output in `tests/captured/`.

use crate::host::packages::rpm_reply::newest_first;
use crate::host::packages::{Candidate, Moved, is_version, label};

/// What `repoquery --qf` is asked for; [`candidates`] reads the answer. dnf5 ends no line by itself, dnf 4 ends one too many.
pub(super) const CANDIDATE_FORMAT: &str = "available %{name} %{epoch}:%{version}-%{release}\\n";

/// Reads `dnf repoquery`: the versions of the package that are releases of the agent, newest first.
pub(super) fn candidates(text: &str, package: &str) -> Vec<Candidate> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("available ")?.split_once(' '));
    let versions = lines.filter(|(name, _)| *name == package).filter_map(|(_, rest)| rest.split(' ').next());
    newest_first(versions.map(|version| version.strip_prefix("0:").unwrap_or(version)))
}

/// Reads the table of `dnf --assumeno`: sections that end with a colon, below them rows of name, architecture, version, repository and
/// size. A long name stands on a line of its own. Our package has to come from its own repository, where there is one.
pub(super) fn plan(text: &str, package: &str, repository: Option<&str>) -> (Option<String>, Moved) {
    let mut moved = Moved { ours: 0, along: Vec::new(), foreign: Vec::new() };
    let mut version = None;
    let mut section = "";
    let mut row: Vec<&str> = Vec::new();
    let table = text.lines().skip_while(|line| !line.starts_with("=====") && !line.starts_with("Package "));
    for line in table.take_while(|line| !line.starts_with("Transaction Summary")) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        if line.ends_with(':') && !line.starts_with(' ') {
            (section, row) = (line, Vec::new());
            continue;
        }
        if let ["replacing", replaced, version, ..] = words.as_slice() {
            // dnf5 says of every upgrade that it replaces the version before.
            if !replaced.starts_with(&format!("{package}.")) && *replaced != package {
                moved.foreign.push(format!("removed: {replaced} {version}"));
            }
            continue;
        }
        if section.is_empty() || line.starts_with('=') || words.is_empty() {
            continue;
        }
        row.extend(words);
        let [name, _, spelled, from, ..] = row.as_slice() else { continue };
        if *name == package && !section.starts_with("Removing") {
            if repository.is_some_and(|ours| from.trim_start_matches('@') != ours) {
                moved.foreign.push(format!("{name} {spelled} from the repository {from}"));
            }
            moved.ours += 1;
            version = Some((*spelled).to_owned()).filter(|version| is_version(version));
        } else if section.starts_with("Installing") || section.starts_with("Upgrading") {
            moved.along.push(format!("{name} {spelled}"));
        } else {
            moved.foreign.push(format!("{}: {name} {spelled}", label(section.trim_end_matches(':')).to_lowercase()));
        }
        row.clear();
    }
    (version, moved)
}

/// Reads what will be downloaded, in bytes: `Total download size: 42 M`, or dnf5's `Need to download 42 MiB.`; 0 where it does not say. A
/// rounded number is good enough: rpm itself asks for the exact room before it begins.
pub(super) fn download(text: &str) -> u64 {
    let said = ["Total download size: ", "Need to download "].iter().find_map(|words| text.split_once(words));
    let mut words = said.map_or("", |(_, rest)| rest).split_ascii_whitespace();
    let number: f64 =
        words.next().and_then(|word| word.parse().ok()).filter(|n: &f64| n.is_finite() && *n > 0.0).unwrap_or_default();
    let unit = match words.next().and_then(|word| word.chars().next()) {
        Some('k' | 'K') => 1024.0,
        Some('M') => 1_048_576.0,
        Some('G') => 1_073_741_824.0,
        _ => 1.0,
    };
    // A float becomes the nearest whole number that there is.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and saturating is meant")]
    let bytes = (number * unit) as u64;
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! captured {
        ($name:literal) => {
            include_str!(concat!("../../../tests/captured/", $name))
        };
    }

    fn versions(text: &str) -> Vec<String> {
        candidates(text, "teleport-ent").into_iter().map(|candidate| candidate.version).collect()
    }

    #[test]
    fn candidates_are_the_repositorys_versions_newest_first() {
        assert_eq!(
            versions(captured!("dnf-repoquery")),
            ["17.0.0-1", "16.3.0-1", "16.3.0~rc.1-1", "16.2.1-1", "16.2.0-1", "16.1.7-1"]
        );
        assert!(versions(captured!("dnf-repoquery-none")).is_empty());
        assert_eq!(versions("available teleport-ent 0:16.2.0-1\n\navailable teleport 0:16.3.0-1\n"), ["16.2.0-1"]);
    }

    #[test]
    fn what_is_to_be_downloaded_is_read_in_bytes() {
        assert_eq!(download(captured!("dnf-assumeno-upgrade")), 420 * 1024);
        assert_eq!(download("Total download size: 1.5 M\n"), 1_572_864);
        assert_eq!(download("Total size of inbound packages is 2 GiB. Need to download 2 GiB.\n"), 2_147_483_648);
        for nonsense in
            ["", "Total download size: -4 M", "Total download size: NaN M", "Total download size: inf k", "Total download size:"]
        {
            assert_eq!(download(nonsense), 0, "{nonsense}");
        }
    }

    fn planned(text: &str) -> (Option<String>, usize, Vec<String>, Vec<String>) {
        let (version, moved) = plan(text, "teleport-ent", Some("teleport"));
        (version, moved.ours, moved.along, moved.foreign)
    }

    #[test]
    fn a_plan_says_what_comes_goes_and_moves() {
        let only = |version: &str| (Some(version.to_owned()), 1, Vec::new(), Vec::new());
        assert_eq!(planned(captured!("dnf-assumeno-upgrade")), only("16.2.0-1"));
        assert_eq!(planned(captured!("dnf-assumeno-downgrade")), only("16.2.0-1"));
        assert_eq!(planned(captured!("dnf-assumeno-reinstall")), only("16.1.7-1"));
        assert_eq!(
            planned(captured!("dnf-assumeno-new_dependency")),
            (Some("16.2.0-1".into()), 1, vec!["lab-library 1.0-1".into()], Vec::new())
        );
        assert_eq!(
            planned(captured!("dnf-assumeno-removes_another")),
            (Some("16.2.0-1".into()), 1, Vec::new(), vec!["removed: lab-neighbour.x86_64 1.0-1".into()])
        );
        for nothing in [captured!("dnf-assumeno-same"), captured!("dnf-assumeno-conflicts_another"), ""] {
            assert_eq!(planned(nothing), (None, 0, Vec::new(), Vec::new()), "{nothing}");
        }
    }

    #[test]
    fn the_agent_from_another_repository_is_foreign() {
        let text = "=====\nUpgrading:\n teleport-ent x86_64 16.2.0-1 other 413 k\n\nTransaction Summary\n";
        assert_eq!(planned(text).3, ["teleport-ent 16.2.0-1 from the repository other"]);
        assert!(plan(text, "teleport-ent", None).1.foreign.is_empty());
    }

    #[test]
    fn a_name_that_does_not_fit_its_column_is_read_from_two_lines() {
        let text = "=====\nUpgrading:\n teleport-ent   x86_64 16.2.0-1 teleport 413 k\nInstalling dependencies:\n a-very-long-name-of-a-library-that-has-a-line-of-its-own\n                x86_64 1.0-1 teleport 5.4 k\nRemoving dependent packages:\n lab-neighbour x86_64 1.0-1 @teleport 1 k\n\nTransaction Summary\n";
        assert_eq!(
            planned(text),
            (
                Some("16.2.0-1".into()),
                1,
                vec!["a-very-long-name-of-a-library-that-has-a-line-of-its-own 1.0-1".into()],
                vec!["removing dependent packages: lab-neighbour 1.0-1".into()]
            )
        );
    }

    #[test]
    fn a_section_with_an_endless_name_is_not_said_with_every_row() {
        let text = format!("=====\n{}:\n{}", "x".repeat(10_000), " a b c d\n".repeat(100));
        let said = planned(&text).3;
        assert_eq!((said.len(), said.iter().map(String::len).max()), (100, Some(65)));
    }

    /// From dnf5's documentation and Fedora's examples; not recorded here.
    #[test]
    fn the_table_of_dnf5_is_read_too() {
        let text = "Package            Arch   Version  Repository Size\nUpgrading:\n teleport-ent      x86_64 16.2.0-1 teleport   1.2 MiB\n   replacing teleport-ent x86_64 16.1.7-1 teleport 1.2 MiB\nInstalling dependencies:\n lab-library x86_64 1.0-1 teleport 5.4 KiB\n\nTransaction Summary:\n";
        assert_eq!(planned(text), (Some("16.2.0-1".into()), 1, vec!["lab-library 1.0-1".into()], Vec::new()));
    }
}
