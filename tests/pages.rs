//! What the pages below docs/ say, as far as it can be known without a host: both languages show the same commands and quote the same
//! messages. That the commands work and the messages are printed so is tested in a sandbox (tests/distro/bare_systemd.sh).

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods, reason = "a test that cannot go on panics")]

use std::fs;
use std::path::Path;

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)).unwrap()
}

/// Everything between fences, with the kind of each block.
fn blocks(page: &str) -> Vec<String> {
    page.split("\n```").skip(1).step_by(2).map(str::to_owned).collect()
}

/// The first cell of each row that quotes a message.
fn messages(page: &str) -> Vec<String> {
    let quoted =
        |line: &str| line.strip_prefix("| `").and_then(|rest| rest.split_once("` |")).map(|(message, _)| message.to_owned());
    page.lines().filter_map(quoted).collect()
}

#[test]
fn the_korean_page_shows_the_commands_and_messages_of_the_english_one() {
    let (english, korean) = (page("enrol.md"), page("enrol.ko.md"));
    assert_eq!(blocks(&english), blocks(&korean));
    assert_eq!(messages(&english), messages(&korean));
    assert!(blocks(&english).len() >= 10 && messages(&english).len() >= 12);
}

#[test]
fn every_message_of_the_korean_page_has_its_meaning_in_korean_beside_it() {
    let korean = page("enrol.ko.md");
    for line in korean.lines().filter(|line| line.starts_with("| `")) {
        let meaning = line.split_once("` |").unwrap().1;
        assert!(meaning.chars().filter(|c| ('가'..='힣').contains(c)).count() >= 10, "{line}");
    }
}

#[test]
fn files_that_the_pages_lead_to_are_there() {
    for name in ["enrol.md", "enrol.ko.md"] {
        let text = page(name);
        let led_to = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
        for target in led_to.filter(|target| !target.contains("://")) {
            assert!(!page(target).is_empty(), "{name} leads to {target}");
        }
    }
}

#[test]
fn readme_shows_nginx_as_it_is_shipped() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let shown = readme.split("```nginx\n").nth(1).unwrap().split("```").next().unwrap();
    let shipped = fs::read_to_string(root.join("package/version-server/nginx.conf")).unwrap();
    assert!(shipped.ends_with(shown) && shown.contains("ssl_certificate"), "{shown}");
}

#[test]
fn the_packages_that_the_pages_name_are_of_this_release() {
    for name in ["enrol.md", "enrol.ko.md"] {
        let text = page(name);
        let versions: Vec<&str> = text
            .split("teleport-version-server_")
            .chain(text.split("teleport-version-server-"))
            .skip(1)
            .filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            .map(|rest| rest.split(['_', '-']).next().unwrap())
            .collect();
        assert!(versions.len() >= 3, "{name} names {versions:?}");
        assert!(versions.iter().all(|version| *version == env!("CARGO_PKG_VERSION")), "{name} names {versions:?}");
    }
}

#[test]
fn the_installer_is_of_this_release() {
    let script = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("install.sh")).unwrap();
    assert!(script.contains(&format!("\n    RELEASE={}\n", env!("CARGO_PKG_VERSION"))));
}
