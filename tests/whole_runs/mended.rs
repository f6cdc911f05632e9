//! Each was a defect once.

use teleport_upgrade::log::Volume;

use super::leftovers::INSTALLING;
use crate::support::host::{HOUR, Host, NOON};

const HELD: &str = "hold ok installed 16.1.7\n";

#[test]
fn h08_a_first_run_that_fails_does_not_turn_the_stock_updaters_hold_into_the_administrators() {
    let host = Host::new();
    host.state("installed", HELD);
    host.configure("pin", "16.2");
    assert_eq!(host.run().exit, 78);
    host.unconfigure("pin");
    let ran = host.run();
    assert_eq!(host.known("installed"), "hold ok installed 16.2.0\n", "{}", ran.said);
}

#[test]
fn a_dry_run_before_the_very_first_run_says_what_that_run_will_do() {
    let host = Host::new();
    host.state("installed", HELD);
    let ran = host.dry_run();
    assert!(!ran.said.contains("the administrator's hold wins"), "{}", ran.said);
}

#[test]
fn h08_with_lock_no_a_failed_upgrade_does_not_leave_our_hold_behind_as_the_administrators() {
    let host = Host::new();
    host.run();
    host.configure("lock", "no");
    host.offers("16.2.1");
    host.trouble("apt-get-install", "echo 'E: Could not resolve repository.test'; exit 100");
    assert_eq!(host.run().exit, 75);
    assert_eq!(host.known("installed"), "install ok installed 16.2.0\n");
    host.no_trouble("apt-get-install");
    let ran = host.run();
    assert_eq!(host.known("installed"), "install ok installed 16.2.1\n", "{}", ran.said);
}

#[test]
fn h18_a_network_that_fails_during_the_installation_needs_no_person_when_the_version_before_is_unknown() {
    let host = Host::new();
    host.trouble("teleport", "[ \"$version\" = 16.2.0 ] || { echo garbage; exit; }");
    host.trouble("apt-get-install", "echo 'E: Could not resolve repository.test'; exit 100");
    let ran = host.run();
    assert_eq!((ran.exit, host.recorded("/pending").as_str()), (75, "null"), "{}", ran.said);
}

#[test]
fn h02_a_failed_installation_that_damaged_the_agent_is_not_called_harmless_because_the_agent_is_silent() {
    let host = Host::new();
    host.trouble("teleport", "[ ! -e \"$host/state/torn\" ] || { echo garbage; exit; }");
    host.trouble("dpkg-verify", "[ ! -e \"$state/torn\" ] || echo '??5??????   /usr/local/bin/teleport'");
    host.trouble("apt-get-install", ": >\"$state/torn\"; echo 'E: Could not resolve repository.test'; exit 100");
    let ran = host.run();
    assert_eq!((ran.exit, host.recorded("/pending/step").as_str()), (11, "\"install\""), "{}", ran.said);
}

#[test]
fn h18_a_version_that_nothing_brings_up_can_be_replaced_by_the_next_one() {
    let host = Host::new();
    let down = "case $(cat \"$root/usr/local/bin/teleport\") in *16.2.0*) echo ActiveState=failed >>\"$state/unit\"; exit 1 ;; esac; echo ActiveState=active >>\"$state/unit\"";
    host.trouble("systemctl-reload", down);
    host.trouble("systemctl-restart", down);
    assert_eq!(host.run().exit, 11);
    host.offers("16.2.1");
    let ran = host.force();
    assert_eq!(host.known("installed"), "hold ok installed 16.2.1\n", "{}", ran.said);
}

#[test]
fn one_failed_upgrade_is_one_entry_however_many_runs_look_at_it() {
    let host = Host::new();
    let down = "echo ActiveState=failed >>\"$state/unit\"; exit 1";
    host.trouble("systemctl-reload", down);
    host.trouble("systemctl-restart", down);
    for _ in 0..3 {
        assert_eq!(host.run().exit, 11);
    }
    assert_eq!(host.verdicts(), ["broken 11 x3"]);
    assert_eq!(host.recorded("/upgrades"), r#"[{"at":1795608000,"code":"broken","from":"16.1.7","to":"16.2.0"}]"#);
}

#[test]
fn a_dry_run_without_root_names_only_what_it_could_not_see() {
    let mut host = Host::new();
    host.user += 1;
    host.offers("none");
    let ran = host.dry_run();
    assert!(!ran.said.contains("could not read: ."), "{}", ran.said);
}

#[test]
fn h30_a_leftover_is_installed_again_from_the_repository_that_is_named() {
    let host = Host::new();
    host.write("etc/apt/sources.list.d/mirror.sources", "Types: deb\n");
    host.configure("repo", "mirror");
    host.record(INSTALLING);
    host.unpack("16.2.0");
    host.trouble("dpkg-verify", "echo '??5??????   /usr/local/bin/teleport'");
    host.run();
    let (transcript, source) = (host.transcript(), "-o Dir::Etc::sourcelist=/etc/apt/sources.list.d/");
    assert!(transcript.contains(" install teleport-ent=16.2.0\n"), "{transcript}");
    assert_eq!(transcript.matches(&format!("{source}teleport.list ")).count(), 0, "{transcript}");
    assert_ne!(transcript.matches(&format!("{source}mirror.sources ")).count(), 0, "{transcript}");
}

#[test]
fn quiet_says_nothing_when_nop_changes_nothing() {
    let mut host = Host::new();
    host.volume = Volume::Quiet;
    host.configure("installer", "nop");
    host.configure("pin", "16.2.0");
    assert_eq!(host.run().said, "");
}

#[test]
fn a_program_that_leaves_a_child_with_its_stdout_is_not_waited_for() {
    let host = Host::new();
    host.offers("16.1.7");
    host.trouble("teleport", "sleep 3 &");
    let begun = std::time::Instant::now();
    host.run();
    assert!(begun.elapsed().as_secs() < 2, "{:?}", begun.elapsed());
}

#[test]
fn h18_a_package_that_dpkg_refuses_is_blamed() {
    let host = Host::new();
    host.trouble("apt-get-install", "echo \" trying to overwrite '/usr/bin/tctl', which is also in package teleport 16.1.7\"; echo 'Errors were encountered while processing:'; echo ' /var/cache/apt/archives/teleport-ent_16.2.0_amd64.deb'; echo 'E: Sub-process /usr/bin/dpkg returned an error code (1)'; exit 100");
    let ran = host.run();
    assert_ne!(host.recorded("/memory/failed"), "null", "{}", ran.said);
}

#[test]
fn h04_waiting_for_an_orphan_is_no_failed_upgrade() {
    let host = Host::new();
    host.record(INSTALLING);
    host.writes_into_the_log(4711, "apt-get install");
    assert_eq!(host.run().exit, 75);
    assert_eq!(host.recorded("/upgrades"), "[]");
}

#[test]
fn every_run_inside_a_live_window_clears_the_suspicion() {
    let host = Host::new();
    host.no_window();
    host.run();
    host.window(NOON, NOON + HOUR);
    host.at(NOON + 300);
    host.offers("nonsense");
    host.run();
    assert_eq!(host.recorded("/memory/unhealthy_since"), "null");
}

#[test]
fn h04_an_agent_that_was_removed_after_a_killed_run_is_not_brought_back() {
    let host = Host::new();
    host.record(INSTALLING);
    host.state("installed", "deinstall ok config-files 16.1.7\n");
    std::fs::remove_file(host.root("usr/local/bin/teleport")).unwrap();
    let ran = host.run();
    assert!(!ran.changed.iter().any(|c| c.starts_with("apt-get install")), "{}", ran.said);
}

#[test]
fn h08_with_lock_no_the_stock_updaters_hold_does_not_stop_the_agent_for_ever() {
    let host = Host::new();
    host.state("installed", HELD);
    host.configure("lock", "no");
    let ran = host.run();
    assert_eq!(host.known("installed"), "install ok installed 16.2.0\n", "{}", ran.said);
}

#[test]
fn h04_an_agent_given_up_by_its_pending_note_survives_nop() {
    let host = Host::new();
    host.record(INSTALLING);
    host.configure("installer", "nop");
    host.unpack("16.2.0");
    host.trouble("dpkg-verify", "echo '??5??????   /usr/local/bin/teleport'");
    let ran = host.run();
    assert_eq!(ran.changed, [""; 0], "{}", ran.said);
}

#[test]
fn h04_a_note_that_could_not_be_written_in_time_is_not_written_later() {
    let host = Host::new();
    host.offers("16.1.7");
    host.run();
    host.offers("16.2.0");
    host.trouble("apt-cache-policy", "mkdir \"$root/var/lib/teleport-upgrade/record.json.new\"");
    host.run();
    assert_eq!(host.recorded("/pending"), "null");
}

#[test]
fn h18_an_upgrade_whose_note_cannot_be_renewed_is_still_held_and_brought_up() {
    let host = Host::new();
    host.trouble(
        "apt-get-install",
        "\"$host/programs/unpack\" \"$to\"; mkdir \"$root/var/lib/teleport-upgrade/record.json.new\"; exit 0",
    );
    let ran = host.run();
    assert_eq!(ran.did(), (0, super::UPGRADE.to_vec()), "{}", ran.said);
}

#[test]
fn h07_a_package_script_that_speaks_of_a_lock_is_run_once() {
    let host = Host::new();
    host.trouble("apt-get-install", "echo 'Could not get lock /var/lib/foo'; echo 'new teleport-ent package pre-installation script subprocess returned error exit status 1'; exit 100");
    let ran = host.run();
    assert_eq!(ran.changed.iter().filter(|c| c.starts_with("apt-get install")).count(), 1, "{}", ran.said);
}

#[test]
fn h04_a_settled_leftover_whose_package_fails_again_waits_before_the_next_try() {
    let host = Host::new();
    host.record(INSTALLING);
    host.window(NOON + HOUR, NOON + 2 * HOUR);
    host.unpack("16.2.0");
    host.state("installed", "install ok half-configured 16.2.0\n");
    host.trouble("dpkg-configure", "exit 1");
    host.trouble("apt-get-install", "exit 100");
    host.run();
    host.at(NOON + 60);
    let ran = host.run();
    assert_eq!(ran.changed, [""; 0], "{}", ran.said);
}
