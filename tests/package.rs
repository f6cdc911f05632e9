//! What is shipped beside the program says the same as the program: help, man page and completions know the same words.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails by panicking; the program is run")]

use std::collections::BTreeSet;
use std::process::Command;

const MAN: &str = include_str!("../package/teleport-upgrade.8");
const BASH: &str = include_str!("../package/completions/teleport-upgrade.bash");
const ZSH: &str = include_str!("../package/completions/_teleport-upgrade");
const FISH: &str = include_str!("../package/completions/teleport-upgrade.fish");

fn help() -> String {
    let answer = Command::new(env!("CARGO_BIN_EXE_teleport-upgrade")).arg("help").output().unwrap();
    String::from_utf8(answer.stdout).unwrap()
}

fn words<'t>(text: impl Iterator<Item = &'t str>) -> BTreeSet<&'t str> {
    text.filter(|word| !word.is_empty()).collect()
}

/// The commands at the beginning of the lines below "Commands:".
fn commands(help: &str) -> BTreeSet<&str> {
    let below = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // Further lines of one command are indented more.
    let below = below.filter(|line| line.as_bytes().get(2).is_some_and(u8::is_ascii_lowercase));
    words(below.flat_map(|line| line.trim().split("   ").next().unwrap().split("  ").next().unwrap().split(", ")))
}

/// Whatever begins with two dashes.
fn options(text: &str) -> BTreeSet<&str> {
    words(text.split("--").skip(1).map(|rest| rest.split(|c: char| !c.is_ascii_lowercase()).next().unwrap()))
}

#[test]
fn the_man_page_and_every_completion_know_the_commands_of_the_help_and_no_others() {
    let help = help();
    let commands = commands(&help);
    assert!(commands.contains("dry-run") && commands.contains("release"), "{commands:?}");
    let man = words(MAN.lines().filter_map(|line| line.strip_prefix(".It Cm ")?.split(' ').next()));
    assert_eq!(man, commands, "the man page");
    let bash = BASH.split("-W '").find(|list| !list.starts_with("--") && list.contains("run")).unwrap();
    assert_eq!(words(bash.split('\'').next().unwrap().split(' ')), commands, "bash");
    let zsh = ZSH.lines().filter_map(|line| line.trim().strip_prefix('\'')?.split_once(':'));
    assert_eq!(words(zsh.map(|(name, _)| name).filter(|name| name.starts_with(char::is_alphabetic))), commands, "zsh");
    let fish = FISH.lines().filter_map(|line| line.split_once(" -a ")?.1.split(' ').next());
    assert_eq!(words(fish.filter(|word| !word.starts_with('\''))), commands, "fish");
}

#[test]
fn the_man_page_and_every_completion_know_the_options_of_the_help() {
    let help = help();
    // `--help` is what a person types who does not know that there is one.
    let options: BTreeSet<&str> = options(&help).into_iter().chain(["help"]).collect();
    assert!(options.contains("config") && options.contains("raw"), "{options:?}");
    let man = words(MAN.lines().filter_map(|line| line.strip_prefix(".It Fl -")?.split(' ').next()));
    assert_eq!(man, options, "the man page");
    assert_eq!(self::options(BASH.split("-W '").nth(1).unwrap()), options, "bash");
    let fish = words(FISH.split(" -l ").skip(1).map(|rest| rest.split(' ').next().unwrap()));
    assert_eq!(fish, options, "fish");
    for option in options {
        assert!(ZSH.contains(&format!("--{option}")), "zsh does not know --{option}");
    }
}

#[test]
fn the_man_page_names_every_file_of_the_configuration_and_every_exit_code() {
    let help = help();
    let (_, files) = help.split_once("one value a file: ").unwrap();
    let names = files.split('.').next().unwrap().split([',', '\n']).map(str::trim).chain(["schedule"]);
    for name in words(names) {
        assert!(MAN.contains(&format!(".It Pa {name}\n")), "the man page does not explain {name}");
    }
    let codes = help.split_once("Exit codes:\n").unwrap().1.split("\n\n").next().unwrap();
    for code in words(codes.split_ascii_whitespace().filter(|word| word.parse::<u8>().is_ok())) {
        assert!(MAN.contains(&format!(".It {code}\n")), "the man page does not explain exit code {code}");
    }
}

#[test]
fn the_man_page_is_of_the_day_of_the_newest_changelog_entry() {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let changelog = include_str!("../CHANGELOG.md");
    let date = changelog.lines().find_map(|line| line.strip_prefix("## ")?.split(" - ").nth(1)).unwrap();
    let mut parts = date.split('-').map(|part| part.parse::<usize>().unwrap());
    let (year, month, day) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    assert_eq!(MAN.lines().next().unwrap(), format!(".Dd {} {day}, {year}", MONTHS.get(month - 1).unwrap()));
}
