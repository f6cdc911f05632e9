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
fn the_installer_is_of_this_release() {
    let script = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("install.sh")).unwrap();
    assert!(script.contains(&format!("\n    RELEASE={}\n", env!("CARGO_PKG_VERSION"))));
}
