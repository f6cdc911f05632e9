//! The agent's program is the wanted one, and its package is not as it should be.

use crate::support::host::{HOUR, Host, NOON};

/// A host on 16.2.0, the version that is wanted, seen whole; and then its package database changes.
fn host(installed: &str) -> Host {
    let host = Host::new();
    host.write("var/lib/dpkg/status", "before");
    host.unpack("16.2.0");
    assert_eq!(host.run().exit, 0);
    assert_eq!(host.run().started, Vec::<String>::new(), "while the database is the same it is not asked");
    host.write("var/lib/dpkg/status", "after, and longer");
    host.state("installed", installed);
    host
}

#[test]
fn h01_a_package_that_somebody_left_half_configured_is_finished_once() {
    let host = host("install ok half-configured 16.2.0\n");
    let ran = host.run();
    assert_eq!(ran.did(), (0, vec!["dpkg --force-confdef --force-confold --configure teleport-ent"]));
    assert_eq!(
        ran.own_words()[..2],
        [
            "[!] teleport-ent is half-configured, though its program is the wanted one: finishing that.",
            "[i] teleport-ent is complete.",
        ]
    );
    assert_eq!(host.run().started, Vec::<String>::new());
}

#[test]
fn h01_what_cannot_be_finished_is_a_persons_and_is_looked_at_again() {
    let host = host("install ok half-configured 16.2.0\n");
    host.trouble("dpkg-configure", "echo 'subprocess returned error exit status 3'; exit 1");
    let ran = host.run();
    assert_eq!(ran.exit, 11);
    assert!(
        ran.said.contains("[!] teleport-ent is half-configured, and could not be finished: dpkg --configure teleport-ent failed"),
        "{}",
        ran.said
    );
    assert_eq!(host.run().exit, 11);
}

#[test]
fn h02_where_the_database_has_another_version_that_one_counts_and_the_window_is_waited_for() {
    let host = host("install ok installed 16.1.7\n");
    host.window(NOON + HOUR, NOON + 2 * HOUR);
    let ran = host.run();
    assert_eq!(ran.did(), (0, Vec::new()));
    assert!(
        ran.said.contains("[!] the agent's binary says 16.2.0, the package database says teleport-ent 16.1.7.\n"),
        "{}",
        ran.said
    );
    host.at(NOON + HOUR);
    let ran = host.run();
    assert_eq!(ran.changed[..2], ["apt-get update", "apt-get install teleport-ent=16.2.0"]);
    assert_eq!(ran.exit, 0, "{}", ran.said);
}

#[test]
fn a_database_that_changed_for_another_package_is_asked_once_and_nothing_is_done() {
    let host = host("install ok installed 16.2.0\n");
    let ran = host.run();
    assert_eq!(ran.started, ["dpkg-query teleport-ent-fips teleport-ent teleport"]);
    assert_eq!(host.run().started, Vec::<String>::new());
}
