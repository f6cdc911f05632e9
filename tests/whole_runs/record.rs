//! The state directory and what lies in it: damaged, foreign, locked, not ours.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use teleport_upgrade::host::lock::Lock;

use crate::support::host::Host;

const STATE: &str = "var/lib/teleport-upgrade";

/// The host's run says so, keeps what was there as it was, and upgrades as if nothing had been remembered.
fn kept_aside(host: &Host, why: &str) {
    let ran = host.run();
    assert_eq!(
        ran.said.lines().next().unwrap(),
        format!(
            "[!] the record of earlier runs cannot be read ({why}); kept as /var/lib/teleport-upgrade/record.json.unreadable-1795608000-0. Beginning a new one."
        )
    );
    assert_eq!(ran.exit, 0);
    assert_eq!(host.verdicts(), ["upgraded 0 x1"]);
}

fn with_record(text: &str) -> Host {
    let host = Host::new();
    host.record("");
    host.write(&format!("{STATE}/record.json"), text);
    host
}

fn aside(host: &Host) -> String {
    fs::read_to_string(host.root(STATE).join("record.json.unreadable-1795608000-0")).unwrap()
}

#[test]
fn a_corrupt_record_is_kept_aside_and_said() {
    let host = with_record("{\"schema\":1,\"pend");
    kept_aside(&host, "EOF while parsing a string at line 1 column 17");
    assert_eq!(aside(&host), "{\"schema\":1,\"pend");
    assert!(!host.run().said.contains("cannot be read"), "said once");
    let host = with_record("");
    kept_aside(&host, "EOF while parsing a value at line 1 column 0");
}

#[test]
fn a_record_of_a_later_version_is_kept_aside_and_said() {
    let host = with_record("{\"schema\":2,\"memory\":{}}");
    kept_aside(&host, "its format is 2, this version knows 1");
    assert_eq!(aside(&host), "{\"schema\":2,\"memory\":{}}");
}

#[test]
fn a_directory_in_the_records_place_is_kept_aside_with_what_is_in_it() {
    let host = Host::new();
    host.record("");
    fs::remove_file(host.root(STATE).join("record.json")).unwrap();
    host.write(&format!("{STATE}/record.json/precious"), "x");
    kept_aside(&host, "Is a directory (os error 21)");
    assert!(host.root(STATE).join("record.json.unreadable-1795608000-0/precious").exists());
}

#[test]
fn a_record_that_cannot_be_opened_is_kept_aside() {
    let host = Host::new();
    host.record("");
    fs::remove_file(host.root(STATE).join("record.json")).unwrap();
    symlink("record.json", host.root(STATE).join("record.json")).unwrap();
    kept_aside(&host, "Too many levels of symbolic links (os error 40)");
}

/// `status` works as any user; lock, logs and packages are root's alone (V25).
#[test]
fn h31_state_is_readable_for_everyone_and_the_private_part_for_root_alone() {
    let host = Host::new();
    host.run();
    let mode = |path: &str| fs::metadata(host.root(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(STATE), 0o755);
    assert_eq!(mode("var/lib/teleport-upgrade/record.json"), 0o644);
    assert_eq!(mode("var/lib/teleport-upgrade/hold"), 0o644);
    assert_eq!(mode("var/lib/teleport-upgrade/private"), 0o700);
    assert_eq!(mode("var/lib/teleport-upgrade/private/lock"), 0o600);
    assert_eq!(mode("var/lib/teleport-upgrade/private/packages.log"), 0o600);
}

fn refused(host: &Host, path: &str, mode: &str) {
    let ran = host.run();
    assert_eq!(
        ran.said,
        format!(
            "[!] {path} is not a directory of root's alone\n    next: look at what is there, then: chown root:root {path} && chmod {mode} {path}\n"
        )
    );
    assert_eq!((ran.exit, ran.started, host.server.accepted()), (78, Vec::new(), 0));
}

#[test]
fn h35_a_state_directory_that_others_could_have_made_or_write_is_refused() {
    let linked = Host::new();
    fs::create_dir_all(linked.root("home/mallory")).unwrap();
    fs::create_dir_all(linked.root("var/lib")).unwrap();
    symlink(linked.root("home/mallory"), linked.root(STATE)).unwrap();
    refused(&linked, "/var/lib/teleport-upgrade", "755");
    assert_eq!(fs::read_dir(linked.root("home/mallory")).unwrap().count(), 0);

    let writable = Host::new();
    writable.run();
    fs::set_permissions(writable.root(STATE), Permissions::from_mode(0o775)).unwrap();
    let host = &writable;
    let before = host.server.accepted();
    let ran = host.run();
    assert_eq!((ran.exit, host.server.accepted()), (78, before));

    let private = Host::new();
    private.record("");
    symlink("/tmp", private.root(STATE).join("private")).unwrap();
    refused(&private, "/var/lib/teleport-upgrade/private", "700");
}

#[test]
fn h35_a_state_directory_of_another_user_is_refused() {
    let mut host = Host::new();
    host.record("");
    // Everything here belongs to whoever runs the tests; now that is not root.
    host.superuser += 1;
    host.user = host.superuser;
    refused(&host, "/var/lib/teleport-upgrade", "755");
}

#[test]
fn h06_a_second_run_names_the_first_and_ends_with_try_later() {
    let host = Host::new();
    let pid = std::process::id();
    host.process(pid, "teleport-upgrade run");
    let machine = host.machine(&std::rc::Rc::default(), &std::rc::Rc::default());
    let lock = Lock::take(&machine).unwrap();
    host.at(host.now() + 240);
    let before = host.listing();
    let ran = host.run();
    assert_eq!(
        ran.said,
        format!(
            "[!] another run of this program is at work: pid {pid} (teleport-upgrade run), since Wed 2026-11-25 12:00 UTC, 4 min\n    next: wait for it to end, or look at it with ps\n"
        )
    );
    assert_eq!((ran.exit, ran.started, host.server.accepted()), (75, Vec::new(), 0));
    assert_eq!(host.listing(), before);
    drop(lock);
    host.wait_for_the_lock();
    assert_eq!(host.run().exit, 0);
}

#[test]
fn who_is_not_root_is_told_so_and_nothing_is_written() {
    let mut host = Host::new();
    host.user += 1;
    let before = host.listing();
    for (command, ran) in [("run", host.run()), ("force", host.force())] {
        let next = "next: type it again with sudo in front; or, to look only: teleport-upgrade status";
        assert_eq!(ran.said, format!("[!] `{command}` needs root\n    {next}\n"));
        assert_eq!((ran.exit, ran.started, host.server.accepted()), (77, Vec::new(), 0));
    }
    assert_eq!(host.listing(), before);
}

#[test]
fn equal_verdicts_in_a_row_are_one_entry_that_counts() {
    let host = Host::new();
    host.offers("16.1.7");
    for minutes in [0, 28, 56] {
        host.at(crate::support::host::NOON + minutes * 60);
        host.run();
    }
    assert_eq!(
        host.recorded("/verdicts"),
        r#"[{"code":"up-to-date","count":3,"exit":0,"first":1795608000,"last":1795611360,"text":"on 16.1.7, as wanted"}]"#
    );
}

#[test]
fn the_log_of_the_package_manager_is_kept_for_two_upgrades() {
    let host = Host::new();
    host.run();
    host.offers("16.2.1");
    host.run();
    let log = |name: &str| fs::read_to_string(host.root("var/lib/teleport-upgrade/private").join(name)).unwrap();
    assert!(log("packages.log").contains("\nSetting up teleport-ent (16.2.1) ...\n"), "{}", log("packages.log"));
    assert!(log("packages.log.1").contains("\nSetting up teleport-ent (16.2.0) ...\n"), "{}", log("packages.log.1"));
}

/// What cannot be noted is not begun; and what went wrong is said although it cannot be recorded.
#[test]
fn h18_a_record_that_cannot_be_written_stops_the_run_before_the_installation() {
    let host = Host::new();
    host.trouble("apt-cache-policy", "mkdir \"$root/var/lib/teleport-upgrade/record.json.new\"");
    let ran = host.run();
    assert_eq!(ran.did(), (75, vec!["apt-get update"]));
    assert!(
        ran.said.ends_with("[!] /var/lib/teleport-upgrade/record.json cannot be written: Is a directory (os error 21)\n    next: df -h /var; df -i /var; the next run tries again\n"),
        "{}",
        ran.said
    );
    host.offers("16.1.7");
    assert_eq!(host.run().exit, 75, "a check that cannot be recorded has not succeeded");
}
