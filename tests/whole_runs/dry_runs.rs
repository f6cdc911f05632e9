//! `dry-run`: says everything, changes nothing.

use crate::support::host::{HOUR, Host, NOON};

#[test]
fn a_dry_run_says_the_decision_the_window_on_both_clocks_and_the_steps() {
    let host = Host::new();
    host.window(NOON + 4 * HOUR, NOON + 5 * HOUR);
    let ran = host.dry_run();
    let own: Vec<String> = ran.own_words().iter().map(|line| without_options(line)).collect();
    assert_eq!(
        own,
        [
            "[i] an upgrade is available (16.1.7 -> 16.2.0)",
            "[i] upgrade is non-critical and we are outside of maintenance window, not attempting.",
            "[i] the next window is Wed 2026-11-25 16:00 UTC to Wed 2026-11-25 17:00 UTC, in 4 h.",
            "[i] window: Wed 2026-11-25 16:00-17:00 UTC = Thu 2026-11-26 01:00-02:00 KST, opens in 4 h.",
            "[i] steps that `run` would take once it does not have to wait:",
            "[i]   1. apt-get update",
            "[i]   2. apt-get install teleport-ent=16.2.0",
            "[i]   3. apt-mark hold teleport-ent",
            "[i]   4. systemctl reload teleport.service",
            "[i] teleport-ent=16.2.0 is in the package lists (last refreshed 2 h ago; `run` refreshes them first) and can be installed.",
            "[i] dry run: nothing was changed.",
        ]
    );
    assert_eq!(ran.exit, 0);
}

/// The numbered steps without apt's options.
fn without_options(line: &str) -> String {
    match line.split_once(" -o ") {
        Some((start, rest)) => {
            let verb = ["update", "install ", "hold "].iter().find_map(|verb| rest.rfind(&format!(" {verb}")));
            format!("{start}{}", &rest[verb.unwrap()..])
        }
        None => line.to_owned(),
    }
}

#[test]
fn the_steps_of_a_dry_run_are_those_that_a_run_takes_word_for_word() {
    let host = Host::new();
    let ran = host.dry_run();
    let steps: Vec<String> = (1..5)
        .map(|n| ran.said.lines().find_map(|line| line.strip_prefix(&format!("[i]   {n}. "))).unwrap().to_owned())
        .collect();
    assert!(ran.said.contains("\n[i] steps that `run` would take now:\n"), "{}", ran.said);
    assert!(
        ran.said.contains("\n[i] window: Wed 2026-11-25 12:00-13:00 UTC = 21:00-22:00 KST, open, closes in 1 h.\n"),
        "{}",
        ran.said
    );
    host.run();
    let transcript = host.transcript();
    let asks = ["apt-cache", "dpkg", "systemctl show", "systemctl is-", "teleport", "unpack"];
    let taken: Vec<&str> =
        transcript.lines().filter(|line| !asks.iter().any(|ask| line.starts_with(ask)) && !line.contains(" -s ")).collect();
    assert_eq!(taken, steps);
}

#[test]
fn a_dry_run_changes_nothing_on_a_host_that_was_never_run_on_nor_on_one_that_was() {
    let host = Host::new();
    host.configure("maintenence", "yes");
    let before = host.listing();
    let ran = host.dry_run();
    assert_eq!(host.listing(), before);
    assert_eq!(ran.changed, [""; 0]);
    assert_eq!((host.dry_run().said, host.listing()), (ran.said, before), "nothing is remembered");

    host.run();
    host.offers("16.2.1");
    host.no_window();
    let before = host.listing();
    let ran = host.dry_run();
    assert_eq!((ran.exit, host.listing()), (0, before));
    assert!(ran.said.contains("\n[i] window: none ahead: there is no schedule file.\n"), "{}", ran.said);
    host.at(NOON + HOUR);
    host.dry_run();
    assert_eq!(host.recorded("/memory/unhealthy_since"), "null", "the suspicion is a run's to keep");
}

#[test]
fn a_dry_run_with_nothing_to_do_says_so_with_the_window() {
    let host = Host::new();
    host.offers("16.1.7");
    assert_eq!(
        host.dry_run().own_words(),
        [
            "[i] no upgrades available (16.1.7 == 16.1.7)",
            "[i] window: Wed 2026-11-25 12:00-13:00 UTC = 21:00-22:00 KST, open, closes in 1 h.",
            "[i] dry run: nothing was changed.",
        ]
    );
}

#[test]
fn a_dry_run_names_what_stands_in_the_way() {
    let host = Host::new();
    host.state("repository", "16.1.7 500\n");
    let ran = host.dry_run();
    assert!(
        ran.said.contains("\n[!] as of the package lists (last refreshed 2 h ago; `run` refreshes them first): teleport-ent 16.2.0 is not in the repository: /etc/apt/sources.list.d/teleport.list has 16.1.7\n"),
        "{}",
        ran.said
    );
    host.run();
    host.state("installed", "hold ok installed 16.1.7\n");
    let ran = host.dry_run();
    assert!(
        ran.said.contains("\n[!] teleport-ent is held, and not by this program: the administrator's hold wins.\n"),
        "{}",
        ran.said
    );
    host.configure("installer", "nop");
    assert!(host.dry_run().said.contains("\n[i] the file `installer` says `nop`: `run` would change nothing.\n"));
}

#[test]
fn a_dry_run_tells_of_a_run_that_was_cut_off_and_of_a_damaged_record_and_mends_neither() {
    let host = Host::new();
    host.record(r#""pending":{"package":"teleport-ent","from":"16.1.7","to":"16.2.0","step":"install","hold":"ours","since":1795607700,"boot":"boot-1"}"#);
    let before = host.listing();
    assert_eq!(
        host.dry_run().own_words()[0],
        "[!] a run that began at Wed 2026-11-25 11:55 UTC was cut off while installing teleport-ent 16.2.0: a run would first look at what is there."
    );
    assert_eq!(host.listing(), before);
    host.write("var/lib/teleport-upgrade/record.json", "garbage");
    let before = host.listing();
    assert_eq!(
        host.dry_run().own_words()[0],
        "[!] the record of earlier runs cannot be read (expected value at line 1 column 1); a run would keep it aside and begin a new one."
    );
    assert_eq!(host.listing(), before);
}

#[test]
fn a_dry_run_without_root_says_what_it_could_not_see() {
    let mut host = Host::new();
    host.user += 1;
    let before = host.listing();
    let ran = host.dry_run();
    assert_eq!(
        ran.own_words().iter().rev().nth(1),
        Some(&"[!] not run as root; could not read: which process of the agent is in charge.")
    );
    assert_eq!((ran.exit, host.listing()), (0, before));
}
