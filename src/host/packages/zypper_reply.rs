//! What `zypper --xmlout` writes, read: pure, bounded, and tested on recorded output in `tests/captured/`. Only attributes of a few tags
//! matter, so this is no XML reader: it looks for those tags and takes their attributes.

use crate::host::packages::rpm_reply::newest_first;
use crate::host::packages::{Candidate, Moved, is_version, label};
use crate::rules::room::Needs;

/// Reads `zypper search -s`: the versions of the package that are releases of the agent, newest first.
pub(super) fn candidates(text: &str, package: &str) -> Vec<Candidate> {
    let ours = solvables(text).filter(|tag| attribute(tag, "name") == Some(package) && attribute(tag, "kind") == Some("package"));
    // What is only installed comes from no repository.
    let offered =
        ours.filter(|tag| attribute(tag, "repository").is_some_and(|repository| !repository.contains("System Packages")));
    newest_first(offered.filter_map(|tag| attribute(tag, "edition")))
}

/// Reads the summary of `zypper install --dry-run`: `<to-upgrade>` and its like, with solvables in them.
pub(super) fn plan(text: &str, package: &str) -> (Option<String>, Moved) {
    let mut moved = Moved { ours: 0, along: Vec::new(), foreign: Vec::new() };
    let mut version = None;
    let summary = text.split_once("<install-summary").map_or("", |(_, rest)| rest);
    let summary = summary.split_once("</install-summary>").map_or("", |(summary, _)| summary);
    for section in summary.split("<to-").skip(1) {
        let (change, rest) = section.split_once('>').unwrap_or((section, ""));
        let rest = rest.split_once("</to-").map_or(rest, |(inside, _)| inside);
        for tag in solvables(rest) {
            let (name, edition) = (attribute(tag, "name").unwrap_or_default(), attribute(tag, "edition").unwrap_or_default());
            match change {
                _ if name == package && change != "remove" => {
                    moved.ours += 1;
                    version = Some(edition.to_owned()).filter(|version| is_version(version));
                }
                "install" | "upgrade" => moved.along.push(format!("{name} {edition}")),
                _ => moved.foreign.push(format!("{}: {name} {edition}", label(change))),
            }
        }
    }
    (version, moved)
}

/// Reads the numbers of the summary, in bytes, for a package whose installed version takes `installed`.
pub(super) fn needs(text: &str, installed: u64) -> Needs {
    let tag = text.split_once("<install-summary ").and_then(|(_, rest)| rest.split('>').next()).unwrap_or_default();
    let number = |name| attribute(tag, name).and_then(|value| value.parse::<i64>().ok()).unwrap_or_default();
    Needs {
        download: u64::try_from(number("download-size")).unwrap_or_default(),
        unpacked: installed.saturating_add_signed(number("space-usage-diff")),
    }
}

/// What zypper says is the problem, and its errors, as lines of plain text.
pub(super) fn complaints(text: &str) -> Vec<String> {
    let between = |from: &'static str, to: &'static str| {
        text.split(from).skip(1).filter_map(move |rest| Some(rest.split_once(to)?.0)).flat_map(str::lines)
    };
    let errors = between("<message type=\"error\">", "</message>");
    let problems = between("<description>Problem: ", "</description>").filter(|line| !line.trim_start().starts_with("Solution"));
    errors.chain(problems).map(plain).filter(|line| !line.is_empty()).take(10).collect()
}

fn plain(line: &str) -> String {
    let entities = [("&apos;", "'"), ("&quot;", "\""), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];
    entities.iter().fold(line.trim().chars().take(300).collect(), |line: String, (entity, c)| line.replace(entity, c))
}

fn solvables(text: &str) -> impl Iterator<Item = &str> {
    text.split("<solvable ").skip(1).filter_map(|rest| rest.split('>').next())
}

fn attribute<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    tag.match_indices(name).find_map(|(at, _)| {
        let before = at == 0 || tag.get(..at).is_some_and(|before| before.ends_with(' '));
        let value = tag.get(at + name.len()..)?.strip_prefix("=\"")?;
        before.then(|| value.split('"').next()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! captured {
        ($name:literal) => {
            include_str!(concat!("../../../tests/captured/", $name))
        };
    }

    #[test]
    fn candidates_are_the_repositorys_versions_newest_first() {
        let versions =
            |text| -> Vec<String> { candidates(text, "teleport-ent").into_iter().map(|candidate| candidate.version).collect() };
        let all = ["17.0.0-1", "16.3.0-1", "16.3.0~rc.1-1", "16.2.1-1", "16.2.0-1", "16.1.7-1"];
        assert_eq!(versions(captured!("zypper-search")), all);
        assert_eq!(versions(captured!("zypper-search-held")), all, "a lock hides nothing");
        assert!(versions(captured!("zypper-search-none")).is_empty());
        assert!(candidates(captured!("zypper-search"), "teleport").is_empty());
    }

    fn planned(text: &str) -> (Option<String>, usize, Vec<String>, Vec<String>) {
        let (version, moved) = plan(text, "teleport-ent");
        (version, moved.ours, moved.along, moved.foreign)
    }

    #[test]
    fn a_plan_says_what_comes_goes_and_moves() {
        let only = |version: &str| (Some(version.to_owned()), 1, Vec::new(), Vec::new());
        assert_eq!(planned(captured!("zypper-dry-run-upgrade")), only("16.2.0-1"));
        assert_eq!(planned(captured!("zypper-dry-run-downgrade")), only("16.2.0-1"));
        assert_eq!(planned(captured!("zypper-dry-run-reinstall")), only("16.1.7-1"));
        assert_eq!(
            planned(captured!("zypper-dry-run-new_dependency")),
            (Some("16.2.0-1".into()), 1, vec!["lab-library 1.0-1".into()], Vec::new())
        );
        assert_eq!(
            planned(captured!("zypper-dry-run-removes_another")),
            (Some("16.2.0-1".into()), 1, Vec::new(), vec!["remove: lab-neighbour 1.0-1".into()])
        );
        for nothing in
            [captured!("zypper-dry-run-same"), captured!("zypper-dry-run-conflicts_another"), "", "<install-summary><to-"]
        {
            assert_eq!(planned(nothing), (None, 0, Vec::new(), Vec::new()), "{nothing}");
        }
    }

    #[test]
    fn a_strange_summary_becomes_neither_an_option_nor_endless() {
        let tag = |edition: &str| {
            format!("<install-summary><to-install><solvable name=\"p\" edition=\"{edition}\"/>\n</to-install></install-summary>")
        };
        assert_eq!(plan(&tag("--root /"), "p").0, None);
        assert_eq!(plan(&tag("16.2.0-1"), "p").0.as_deref(), Some("16.2.0-1"));
        let long = format!("<install-summary><to-{}>{}</install-summary>", "x".repeat(10_000), "<solvable >".repeat(100));
        assert_eq!(plan(&long, "p").1.foreign.iter().map(String::len).max(), Some(63));
    }

    #[test]
    fn what_is_in_the_way_is_told_in_plain_text() {
        assert_eq!(
            complaints(captured!("zypper-dry-run-conflicts_another")),
            ["teleport-ent-16.2.0-1.x86_64 conflicts with lab-neighbour provided by lab-neighbour-1.0-1.x86_64"]
        );
        assert_eq!(
            complaints(captured!("zypper-dry-run-unmet_dependency")),
            ["nothing provides lab-nowhere >= 2 needed by teleport-ent-16.2.0-1.x86_64"]
        );
        assert_eq!(complaints(captured!("zypper-dry-run-no-such-version")), ["No provider of 'teleport-ent=16.9.9' found."]);
        assert!(complaints(captured!("zypper-dry-run-upgrade")).is_empty());
    }
}
