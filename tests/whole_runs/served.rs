//! Windows that the version server names (`schedule-source`): for agents that export none.

use crate::support::host::{HOUR, Host, NOON};

/// A host whose agent exports nothing.
fn host() -> Host {
    let host = Host::new();
    host.no_window();
    host.configure("schedule-source", "server");
    host
}

#[test]
fn h24_an_agent_that_exports_nothing_is_upgraded_in_the_window_that_the_version_server_names() {
    let host = host();
    host.serves_window(NOON + HOUR, NOON + 2 * HOUR);
    let ran = host.run();
    assert_eq!(ran.did(), (0, Vec::new()));
    assert!(
        ran.said.contains("[i] upgrade is non-critical and we are outside of maintenance window, not attempting."),
        "{}",
        ran.said
    );
    assert!(!ran.said.contains("schedule"), "{}", ran.said);
    host.at(NOON + HOUR + 60);
    assert_eq!(host.run().changed, super::UPGRADE);
    assert_eq!(host.verdicts(), ["outside-window 0 x1", "upgraded 0 x1"]);
}

#[test]
fn h24_the_windows_that_were_named_last_are_kept_while_none_are_named() {
    let host = host();
    host.serves_window(NOON + HOUR, NOON + 2 * HOUR);
    host.run();
    for answer in [None, Some(""), Some("none"), Some("<html>login</html>"), Some("2 1\n")] {
        host.serves(answer);
        let ran = host.run();
        assert_eq!(ran.did(), (0, Vec::new()), "{answer:?}");
        assert!(
            ran.said.contains("/v1/schedule answered ") && ran.said.contains("the next window is "),
            "{answer:?}: {}",
            ran.said
        );
    }
    host.at(NOON + HOUR + 60);
    assert_eq!(host.run().changed, super::UPGRADE);
}

#[test]
fn h24_without_any_window_only_what_is_critical_or_forced_comes_and_the_agent_is_not_ill() {
    let host = host();
    for hours in 0..3 {
        host.at(NOON + hours * HOUR);
        let ran = host.run();
        assert_eq!(ran.did(), (0, Vec::new()));
        assert!(
            ran.said.contains(
                "[!] the version server has named no windows yet.\n    next: give the version server a cluster_maintenance_config"
            ),
            "{}",
            ran.said
        );
    }
    assert_eq!(host.verdicts(), ["no-window 0 x3"]);
    host.serves_window(NOON, NOON + 60);
    let ran = host.run();
    assert!(ran.said.contains("[!] the windows that the version server named 0 s ago are over."), "{}", ran.said);
    host.critical("yes");
    assert_eq!(host.run().changed, super::UPGRADE);
}

#[test]
fn the_agents_own_schedule_does_not_count_where_the_server_names_the_windows() {
    let host = Host::new();
    host.configure("schedule-source", "server");
    host.serves_window(NOON + HOUR, NOON + 2 * HOUR);
    host.window(NOON - HOUR, NOON + HOUR);
    assert_eq!(host.run().changed, [""; 0]);
    host.unconfigure("schedule-source");
    assert_eq!(host.run().changed, super::UPGRADE);
}
