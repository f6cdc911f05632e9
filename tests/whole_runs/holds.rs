//! Holds and pins: ours, the administrator's, and the one that the stock updater left.

use crate::support::host::{HOUR, Host, NOON};

const BLOCKED: &str = "[!] teleport-ent is held, and not by this program: the administrator's hold wins.\n    next: release it (`apt-mark unhold teleport-ent`), or upgrade once with `teleport-upgrade force`, which keeps the hold\n";

fn marker(host: &Host) -> Option<String> {
    std::fs::read_to_string(host.root("var/lib/teleport-upgrade/hold")).ok()
}

/// A host that this program has run on before, and where somebody set a hold since.
fn held_by_the_administrator() -> Host {
    let host = Host::new();
    host.offers("16.1.7");
    host.run();
    host.state("installed", "hold ok installed 16.1.7\n");
    host.offers("16.2.0");
    host
}

#[test]
fn h08_our_own_hold_is_set_again_after_an_upgrade_and_marked_as_ours() {
    let host = Host::new();
    host.run();
    assert_eq!(marker(&host).as_deref(), Some("teleport-ent\n"));
    host.offers("16.2.1");
    assert_eq!(host.run().exit, 0);
    assert_eq!(host.known("installed"), "hold ok installed 16.2.1\n");
    assert_eq!(marker(&host).as_deref(), Some("teleport-ent\n"));
}

#[test]
fn h08_a_hold_that_is_there_at_the_very_first_run_is_adopted_and_said() {
    let host = Host::new();
    host.state("installed", "hold ok installed 16.1.7\n");
    host.window(NOON + HOUR, NOON + 2 * HOUR);
    let ran = host.run();
    assert_eq!(ran.own_words()[0], "[i] teleport-ent is held already: taking the hold over as this program's own.");
    assert_eq!(marker(&host).as_deref(), Some("teleport-ent\n"));
    host.at(NOON + HOUR);
    let ran = host.run();
    assert_eq!((ran.exit, host.known("installed").as_str()), (0, "hold ok installed 16.2.0\n"));
}

#[test]
fn h08_an_administrators_hold_wins_and_is_named_for_critical_versions_too() {
    let host = held_by_the_administrator();
    let ran = host.run();
    assert!(ran.said.ends_with(BLOCKED), "{}", ran.said);
    assert_eq!(ran.did(), (0, Vec::new()));
    assert_eq!(host.verdicts(), ["up-to-date 0 x1", "blocked 0 x1"]);
    host.at(NOON + HOUR);
    host.critical("yes");
    let ran = host.run();
    assert!(ran.said.ends_with(BLOCKED), "{}", ran.said);
    assert_eq!(ran.changed, [""; 0]);
    assert_eq!(host.known("installed"), "hold ok installed 16.1.7\n");
}

#[test]
fn h08_force_upgrades_under_an_administrators_hold_and_leaves_it_the_administrators() {
    let host = held_by_the_administrator();
    let ran = host.force();
    assert_eq!(ran.did(), (0, super::UPGRADE.to_vec()));
    assert_eq!(host.recorded_at_install("/pending/hold"), r#""administrators""#);
    assert_eq!((host.known("installed").as_str(), marker(&host)), ("hold ok installed 16.2.0\n", None));
    host.offers("16.2.1");
    let ran = host.run();
    assert!(ran.said.ends_with(BLOCKED), "{}", ran.said);
}

#[test]
fn h08_force_that_fails_leaves_an_administrators_hold_in_place_too() {
    let host = held_by_the_administrator();
    host.trouble("apt-get-install", "package_is install ok installed 16.1.7; echo 'script subprocess failed'; exit 100");
    assert_eq!(host.force().exit, 69);
    assert_eq!((host.known("installed").as_str(), marker(&host)), ("hold ok installed 16.1.7\n", None));
}

#[test]
fn with_lock_no_nothing_is_held_and_our_hold_is_let_go_with_the_next_upgrade() {
    let host = Host::new();
    host.run();
    host.configure("lock", "no");
    host.offers("16.2.1");
    let ran = host.run();
    assert_eq!(ran.changed, ["apt-get update", "apt-get install teleport-ent=16.2.1", "systemctl reload teleport.service"]);
    assert_eq!((host.known("installed").as_str(), marker(&host)), ("install ok installed 16.2.1\n", None));
}

#[test]
fn h08_a_lost_record_does_not_turn_our_hold_into_the_administrators() {
    let host = Host::new();
    host.run();
    host.write("var/lib/teleport-upgrade/record.json", "garbage");
    host.offers("16.2.1");
    assert_eq!(host.run().exit, 0);
    assert_eq!(host.known("installed"), "hold ok installed 16.2.1\n");
    std::fs::remove_file(host.root("var/lib/teleport-upgrade/record.json")).unwrap();
    std::fs::remove_file(host.root("var/lib/teleport-upgrade/hold")).unwrap();
    host.offers("16.2.0");
    assert_eq!(host.run().exit, 0, "marker and record are both gone");
    assert_eq!(host.known("installed"), "hold ok installed 16.2.0\n");
}

#[test]
fn h08_a_version_that_is_pinned_away_is_not_installed_unless_forced() {
    let host = Host::new();
    host.state("repository", "16.2.0 -1\n16.1.7 500\n");
    let ran = host.run();
    assert!(
        ran.said.ends_with("[!] teleport-ent 16.2.0 is pinned away with Pin-Priority -1: the administrator's pin wins.\n    next: change it in /etc/apt/preferences.d, or upgrade once with `teleport-upgrade force`\n"),
        "{}",
        ran.said
    );
    assert_eq!(ran.did(), (0, vec!["apt-get update"]));
    assert_eq!(host.verdicts(), ["blocked 0 x1"]);
    assert_eq!(host.force().changed, super::UPGRADE);
}

/// A claim without a hold does no harm; a hold of ours that nobody claims would stop every upgrade to come.
#[test]
fn h08_a_hold_that_could_not_be_set_stays_claimed_and_one_that_was_set_after_all_is_ours() {
    let host = Host::new();
    host.trouble("apt-mark-hold", "exit 100");
    assert_eq!(host.run().exit, 0);
    assert_eq!(host.known("installed"), "install ok installed 16.2.0\n");
    assert_eq!(marker(&host).as_deref(), Some("teleport-ent\n"));
    host.no_trouble("apt-mark-hold");
    host.state("installed", "hold ok installed 16.2.0\n");
    host.offers("16.2.1");
    assert_eq!(host.run().exit, 0);
    assert_eq!(host.known("installed"), "hold ok installed 16.2.1\n");
}

/// Found by the fault sweep: a full disk at the moment of the hold left a host without it until the next upgrade.
#[test]
fn h08_a_hold_that_could_not_be_set_is_set_by_the_next_run_that_can() {
    let host = Host::new();
    host.trouble("apt-mark-hold", "exit 100");
    host.run();
    let ran = host.run();
    assert!(ran.said.contains("[!] apt-mark hold teleport-ent failed (exit code 100)"), "{}", ran.said);
    assert_eq!(host.known("installed"), "install ok installed 16.2.0\n");
    host.no_trouble("apt-mark-hold");
    let ran = host.run();
    assert!(ran.said.contains("[i] the hold on teleport-ent is as the last change was to leave it.\n"), "{}", ran.said);
    assert_eq!(host.known("installed"), "hold ok installed 16.2.0\n");
    assert_eq!(marker(&host).as_deref(), Some("teleport-ent\n"));
    assert_eq!(host.run().changed, [""; 0]);
}

#[test]
fn h08_a_hold_of_the_administrators_that_could_not_be_set_again_is_still_the_administrators() {
    let host = held_by_the_administrator();
    host.trouble("apt-mark-hold", "exit 100");
    assert_eq!(host.force().exit, 0);
    assert_eq!(host.known("installed"), "install ok installed 16.2.0\n");
    host.no_trouble("apt-mark-hold");
    host.offers("16.2.1");
    let ran = host.run();
    assert!(ran.said.ends_with(BLOCKED), "{}", ran.said);
    assert_eq!(host.known("installed"), "hold ok installed 16.2.0\n");
    assert_eq!(marker(&host), None);
}

#[test]
fn h08_a_hold_that_somebody_no_longer_wants_is_not_set_when_it_is_owed() {
    let host = Host::new();
    host.trouble("apt-mark-hold", "exit 100");
    host.run();
    host.no_trouble("apt-mark-hold");
    host.configure("lock", "no");
    host.run();
    assert_eq!(host.known("installed"), "install ok installed 16.2.0\n");
    assert_eq!(marker(&host), None);
}

#[test]
fn h08_a_claim_on_a_package_that_is_not_held_ends_and_a_hold_set_later_is_the_administrators() {
    let host = Host::new();
    host.run();
    assert_eq!(marker(&host).as_deref(), Some("teleport-ent\n"));
    host.state("installed", "install ok installed 16.2.0\n");
    host.offers("16.2.1");
    host.trouble("apt-get-update", "exit 100");
    assert_ne!(host.run().exit, 0);
    assert_eq!(marker(&host), None);
    host.no_trouble("apt-get-update");
    host.state("installed", "hold ok installed 16.2.0\n");
    let ran = host.run();
    assert!(ran.said.ends_with(BLOCKED), "{}", ran.said);
    assert_eq!(host.known("installed"), "hold ok installed 16.2.0\n");
}

/// Found by the simulator (history 2378).
#[test]
fn h08_a_run_that_waits_notices_that_our_hold_was_released_and_the_next_hold_is_the_administrators() {
    let host = Host::new();
    host.run();
    host.state("installed", "install ok installed 16.2.0\n");
    host.write("var/lib/dpkg/status", "a hold was released");
    host.run();
    assert_eq!(marker(&host), None);
    host.state("installed", "hold ok installed 16.2.0\n");
    host.write("var/lib/dpkg/status", "and another one was set");
    host.offers("16.2.1");
    let ran = host.run();
    assert!(ran.said.contains(BLOCKED), "{}", ran.said);
    assert_eq!(host.known("installed"), "hold ok installed 16.2.0\n");
}
