//! The rules of the house: which room may import which, and how many packages the host binary is made of.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods, reason = "a test that cannot go on panics")]

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms in their order: each may import itself and the tiers before its own, never a neighbour or what comes after.
const TIERS: [&[&str]; 5] = [
    &["error", "log", "properties"],
    &["rules", "document"],
    &["config", "offers", "host", "http"],
    &["upgrade", "server", "kube"],
    &["bin"],
];

fn tier(room: &str) -> Option<usize> {
    TIERS.iter().position(|rooms| rooms.contains(&room))
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// Rooms named by `crate::ROOM` or `teleport_upgrade::ROOM` anywhere in the text, `{a, b}` lists included.
fn rooms_named(text: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for root in ["crate::", "teleport_upgrade::"] {
        for (at, _) in text.match_indices(root) {
            let rest = &text[at + root.len()..];
            let list =
                rest.strip_prefix('{').map_or(rest.split([':', ';', ',', ' ', '}', ')']).next(), |rest| rest.split('}').next());
            rooms.extend(list.unwrap_or_default().split(',').map(|part| part.trim().split(':').next().unwrap().to_owned()));
        }
    }
    rooms
}

/// What is wrong with the imports of one file, in words.
fn upward_imports(room: &str, text: &str) -> Vec<String> {
    let Some(own) = tier(room) else { return vec![format!("{room} is in no tier")] };
    rooms_named(text)
        .into_iter()
        .filter(|named| named != room)
        .filter(|named| tier(named).is_none_or(|theirs| theirs >= own))
        .map(|named| format!("{room} imports {named}"))
        .collect()
}

#[test]
fn imports_go_one_way() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&top, &mut files);
    let mut wrong = Vec::new();
    for file in files.iter().filter(|file| !file.ends_with("lib.rs")) {
        let below = file.strip_prefix(&top).unwrap();
        let room = below.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        wrong.extend(
            upward_imports(room, &fs::read_to_string(file).unwrap())
                .into_iter()
                .map(|what| format!("{}: {what}", below.display())),
        );
    }
    assert!(files.len() > 20, "the sources were not found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_import_rule_notices_what_it_forbids() {
    for (room, text) in [
        ("rules", "use crate::host::machine::Machine;"),
        ("offers", "use crate::host::machine::Machine;"),
        ("host", "let x = crate::upgrade::run;"),
        ("error", "use crate::{log, rules};"),
        ("log", "use crate::error::Error;"),
        ("cellar", ""),
    ] {
        assert!(!upward_imports(room, text).is_empty(), "{room}: {text}");
    }
    assert!(upward_imports("host", "use crate::rules::plan::Plan; use crate::{error, log}; use crate::host::lock;").is_empty());
}

/// `V12`, `T2` and `H07` in this text.
fn cited(text: &str) -> Vec<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let is_number = |word: &&str| {
        let digits = word.strip_prefix(['V', 'T', 'H']);
        digits.is_some_and(|digits| (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()))
    };
    words.filter(is_number).collect()
}

/// Whoever meets a number in a comment can look it up.
#[test]
fn every_fact_and_hazard_that_is_cited_stands_on_its_page() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = |name: &str| fs::read_to_string(top.join("docs").join(name)).unwrap();
    let pages = page("facts.md") + &page("hazards.md");
    let mut files = vec![top.join("ARCHITECTURE.md")];
    sources(&top.join("src"), &mut files);
    let mut count = 0;
    for file in files {
        for number in cited(&fs::read_to_string(&file).unwrap()) {
            count += 1;
            assert!(pages.contains(&format!("\n| {number} | ")), "{}: {number} is on neither page", file.display());
        }
    }
    assert!(count > 100, "{count}");
}

/// Pure rooms name no door to the world: no file, clock, process, socket or environment.
#[test]
fn rules_and_parsers_touch_no_file_clock_process_or_socket() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![top.join("offers/reply.rs")];
    let parsers = ["apt_reply", "dnf_reply", "rpm_reply", "zypper_reply", "zypper_locks", "exclude", "glob", "trouble"];
    files.extend(parsers.map(|parser| top.join(format!("host/packages/{parser}.rs"))));
    files.extend(["answer", "channels", "configuration", "route"].map(|pure| top.join(format!("server/{pure}.rs"))));
    files.extend(["document.rs", "http/reply.rs"].map(|pure| top.join(pure)));
    let kube = ["figures", "flags", "kubeconfig", "next", "query", "times", "windows", "workload"];
    files.extend(kube.map(|pure| top.join(format!("kube/{pure}.rs"))));
    let image = ["challenge", "credentials", "key", "manifest", "reference", "signature"];
    files.extend(image.map(|pure| top.join(format!("kube/image/{pure}.rs"))));
    sources(&top.join("rules"), &mut files);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for door in [
            "std::fs",
            "std::io",
            "std::net::Tcp",
            "std::process",
            "std::env::",
            "std::time",
            "std::thread",
            "rustix::",
            "now_utc",
            "ureq::",
        ] {
            assert!(!text.contains(door), "{} names {door}", file.display());
        }
    }
}

/// What `cargo tree -e normal` counts for the host binary: a new package is a decision, not an accident. Its reason is in the commit.
#[test]
fn the_host_binary_is_made_of_no_more_packages_than_agreed() {
    const AGREED: usize = 47;
    let tree = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none", "--target", "x86_64-unknown-linux-musl"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let text = String::from_utf8(tree.stdout).unwrap();
    let packages: std::collections::BTreeSet<&str> =
        text.lines().map(|line| line.split(" (").next().unwrap()).filter(|line| !line.is_empty()).collect();
    assert!(packages.len() <= AGREED, "{} packages:\n{}", packages.len(), packages.into_iter().collect::<Vec<_>>().join("\n"));
}

/// What `cargo` says of everything that is built here, tests included.
fn packages() -> Vec<serde_json::Value> {
    let metadata = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--format-version", "1", "--all-features"])
        .args(["--filter-platform", "x86_64-unknown-linux-musl"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    metadata["packages"].as_array().unwrap().iter().filter(|package| !package["source"].is_null()).cloned().collect()
}

/// Of a choice one is enough; of what is joined by AND each counts.
fn is_allowed(licence: &str, allowed: &[&str]) -> bool {
    let parts = licence.replace('/', " OR ").replace(['(', ')'], " ");
    parts.split(" AND ").all(|part| part.split(" OR ").any(|one| allowed.contains(&one.trim())))
}

/// `deny.toml` has the list; this reads it, so that no tool has to be built for it.
#[test]
fn every_dependency_comes_from_one_registry_under_a_licence_that_is_allowed() {
    let rules = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deny.toml")).unwrap();
    let listed = rules.split("allow = [").nth(1).unwrap().split(']').next().unwrap();
    let allowed: Vec<&str> = listed.split('"').skip(1).step_by(2).collect();
    assert!(allowed.contains(&"MIT") && !is_allowed("GPL-3.0", &allowed));
    assert!(is_allowed("GPL-3.0 OR (MIT AND ISC)", &["MIT", "ISC"]) && !is_allowed("(MIT OR Zlib) AND GPL-3.0", &["MIT"]));
    let packages = packages();
    assert!(packages.len() > 40, "{} packages", packages.len());
    for package in &packages {
        let licence = package["license"].as_str().unwrap_or("none");
        assert!(is_allowed(licence, &allowed), "{} has the licence {licence}", package["name"]);
        let source = package["source"].as_str().unwrap();
        assert!(source.starts_with("registry+") && source == packages[0]["source"], "{} comes from {source}", package["name"]);
    }
}

#[test]
fn no_dependency_is_built_in_two_versions() {
    let mut names: Vec<String> = packages().iter().map(|package| package["name"].to_string()).collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all, "cargo tree --all-features --duplicates says which");
}
