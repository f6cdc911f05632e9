//! What is shipped beside the program says the same as the program: help, man page and completions know the same words.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails by panicking; the program is run")]

use std::collections::BTreeSet;
use std::process::Command;

const MAN: &str = include_str!("../package/teleport-upgrade.8");
const BASH: &str = include_str!("../package/completions/teleport-upgrade.bash");
const ZSH: &str = include_str!("../package/completions/_teleport-upgrade");
const FISH: &str = include_str!("../package/completions/teleport-upgrade.fish");

const REASONS: &str = include_str!("../src/rules/reason.rs");
const SCHEMA: &str = include_str!("../package/status.schema.json");

fn said(words: &[&str]) -> String {
    let answer = Command::new(env!("CARGO_BIN_EXE_teleport-upgrade")).args(words).output().unwrap();
    assert!(answer.status.success(), "{words:?}");
    String::from_utf8(answer.stdout).unwrap()
}

fn help() -> String {
    said(&["help"])
}

fn words<'t>(text: impl Iterator<Item = &'t str>) -> BTreeSet<&'t str> {
    text.filter(|word| !word.is_empty()).collect()
}

/// The commands at the beginning of the lines below "Commands".
fn commands(help: &str) -> BTreeSet<&str> {
    let below = help.lines().skip_while(|line| !line.starts_with("Commands ")).skip(1).take_while(|line| !line.is_empty());
    words(below.map(|line| line.trim().split(' ').next().unwrap()))
}

/// What begins with two dashes and is followed by a letter, up to what is no letter.
fn options(text: &str) -> BTreeSet<&str> {
    let named = text.split("--").skip(1).map(|rest| rest.split(|c: char| !c.is_ascii_lowercase() && c != '-').next().unwrap());
    words(named.filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase())))
}

/// The options of one command, as its help explains them.
fn options_of(help: &str) -> BTreeSet<&str> {
    let (_, below) = help.split_once("\nOptions:\n").unwrap();
    let lines = below.lines().take_while(|line| !line.is_empty());
    // An explanation may name another option; what is explained stands first.
    words(lines.filter_map(|line| line.trim_start().trim_start_matches(|c| c != '-').strip_prefix("-")).map(|rest| {
        let rest = rest.split_once("--").map_or_else(|| rest.strip_prefix('-').unwrap_or(""), |(_, rest)| rest);
        rest.split([' ', '\n']).next().unwrap()
    }))
}

#[test]
fn the_man_page_and_every_completion_know_the_commands_of_the_help_and_no_others() {
    let help = help();
    let commands = commands(&help);
    assert!(commands.contains("dry-run") && commands.contains("release") && commands.len() == 12, "{commands:?}");
    let man = words(MAN.lines().filter_map(|line| line.strip_prefix(".It Cm ")?.split(' ').next()));
    let man: BTreeSet<&str> = man.intersection(&commands).copied().collect();
    assert_eq!(man, commands, "the man page");
    let bash = BASH.split("commands='").nth(1).unwrap().split('\'').next().unwrap();
    assert_eq!(words(bash.split(' ')), commands, "bash");
    let zsh = ZSH.split("commands=(").nth(1).unwrap().split("\n)").next().unwrap();
    let zsh = zsh.lines().filter_map(|line| line.trim().strip_prefix('\'')?.split_once(':'));
    assert_eq!(words(zsh.map(|(name, _)| name)), commands, "zsh");
    let fish = FISH.lines().filter(|line| line.contains("__fish_use_subcommand"));
    assert_eq!(words(fish.filter_map(|line| line.split_once(" -a ")?.1.split(' ').next())), commands, "fish");
}

#[test]
fn the_man_page_and_every_completion_know_the_options_of_every_command() {
    let general = help();
    let common = options_of(&general);
    assert_eq!(common, words(["config", "quiet", "verbose", "help"].into_iter()));
    let man = words(MAN.lines().filter_map(|line| line.strip_prefix(".It Fl -")?.split([' ', '\n']).next()));
    let mut all = common.clone();
    let helps: Vec<(&str, String)> =
        commands(&general).into_iter().map(|command| (command, said(&[command, "--help"]))).collect();
    for (command, help) in &helps {
        assert_eq!(said(&["help", command]), *help);
        let own: BTreeSet<&str> = options_of(help).difference(&common).copied().collect();
        assert!(options_of(help).is_superset(&common), "{help}");
        let bash = BASH.split(&format!("*' {command} '*)")).nth(1).map_or("", |rest| rest.split(";;").next().unwrap());
        assert_eq!(options(bash), own, "bash, {command}");
        let zsh = ZSH.split(&format!("\n    {command})")).nth(1).map_or("", |rest| rest.split(";;").next().unwrap());
        let zsh = zsh.lines().flat_map(|line| line.split("'").filter(|part| part.contains('['))).collect::<Vec<_>>();
        let zsh = words(zsh.iter().map(|part| part.split('[').next().unwrap().rsplit("--").next().unwrap()));
        assert_eq!(zsh, own, "zsh, {command}");
        let fish = FISH.lines().filter(|line| line.contains(&format!("from {command}'")));
        assert_eq!(words(fish.map(|line| line.split(" -l ").nth(1).unwrap().split(' ').next().unwrap())), own, "fish, {command}");
        all.extend(options_of(help));
    }
    assert!(all.contains("even-critical") && all.contains("raw"), "{all:?}");
    assert_eq!(man, all, "the man page");
    for option in common {
        assert!(BASH.contains(&format!("--{option}")) && ZSH.contains(&format!("--{option}")), "{option}");
        assert!(FISH.contains(&format!("-l {option} ")), "{option}");
    }
}

#[test]
fn every_reason_has_a_meaning_in_the_man_page_and_is_in_the_schema_and_no_others_are() {
    let listed = REASONS.split("pub const fn code(self)").nth(2).unwrap().split("\n    }\n").next().unwrap();
    let codes = words(listed.split('"').skip(1).step_by(2));
    assert!(codes.len() == 32 && codes.contains("outside-window"), "{codes:?}");
    let section = MAN.split(".Sh REASON CODES\n").nth(1).unwrap().split("\n.Sh ").next().unwrap();
    let man = words(section.lines().filter_map(|line| line.strip_prefix(".It Cm ")));
    assert_eq!(man, codes, "the man page");
    let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
    let known = schema.pointer("/$defs/reason/enum").unwrap().as_array().unwrap();
    assert_eq!(words(known.iter().map(|word| word.as_str().unwrap())), codes, "the schema");
}

#[test]
fn the_man_page_names_every_file_of_the_configuration_and_every_exit_code() {
    let help = help();
    let (_, files) = help.split_once("one value a file: ").unwrap();
    let names = files.split('.').next().unwrap().split([',', '\n']).map(str::trim).chain(["schedule"]);
    for name in words(names) {
        assert!(MAN.contains(&format!(".It Pa {name}\n")), "the man page does not explain {name}");
    }
    let codes = help.split_once("Exit codes (of `status`: see there):\n").unwrap().1.split("\n\n").next().unwrap();
    for code in words(codes.split_ascii_whitespace().filter(|word| word.parse::<u8>().is_ok())) {
        assert!(MAN.contains(&format!(".It {code}\n")), "the man page does not explain exit code {code}");
    }
}

#[cfg(feature = "server")]
#[test]
fn the_man_page_of_the_version_server_knows_its_commands_options_and_exit_codes_and_no_others() {
    let man = include_str!("../package/teleport-version-server.8");
    let answer = Command::new(env!("CARGO_BIN_EXE_teleport-version-server")).arg("help").output().unwrap();
    let help = String::from_utf8(answer.stdout).unwrap();
    let items = |start: &str| words(man.lines().filter_map(|line| line.strip_prefix(start)?.split(' ').next()));
    let commands = help.lines().filter_map(|line| line.strip_prefix("  teleport-version-server ")?.split(' ').next());
    let commands = words(commands);
    assert!(commands.contains("check-config") && commands.len() == 6, "{commands:?}");
    assert_eq!(items(".It Cm "), commands);
    let mut options = options(&help);
    options.insert("help");
    assert!(options.contains("connections"), "{options:?}");
    assert_eq!(items(".It Fl -"), options);
    let codes = help.split_once("Exit codes: ").unwrap().1.split([' ', ',', '.']);
    let codes = words(codes.filter(|word| word.trim_end().parse::<u8>().is_ok()));
    assert_eq!(items(".It ").into_iter().filter(|item| item.parse::<u8>().is_ok()).collect::<BTreeSet<_>>(), codes);
    assert!(man.starts_with(MAN.lines().next().unwrap()), "of another day");
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
