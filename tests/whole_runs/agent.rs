//! The agent itself: binaries that cannot be asked, and services in every state.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use crate::support::host::Host;

#[test]
fn h02_a_binary_that_prints_garbage_counts_as_unknown_and_is_replaced() {
    let host = Host::new();
    host.trouble("teleport", "[ \"$version\" = 16.2.0 ] || { echo \"16.1\"; exit; }");
    let ran = host.run();
    assert_eq!(
        ran.own_words()[..4],
        [
            "[!] `/usr/local/bin/teleport version --raw`: \"16.1\" is not a version such as 16.2.0.",
            "[i] the package database says teleport-ent 16.1.7.",
            "[i] an upgrade is available (16.1.7 -> 16.2.0)",
            "[i] within maintenance window, upgrade will be attempted.",
        ]
    );
    assert_eq!(ran.did(), (0, super::UPGRADE.to_vec()));
    assert_eq!(host.recorded("/upgrades"), r#"[{"at":1795608000,"code":"upgraded","from":"16.1.7","to":"16.2.0"}]"#);
}

#[test]
fn h02_a_binary_that_fails_counts_as_unknown() {
    let host = Host::new();
    host.trouble("teleport", "[ \"$version\" = 16.2.0 ] || { echo 16.1.7; exit 3; }");
    let ran = host.run();
    assert_eq!(ran.own_words()[0], "[!] `/usr/local/bin/teleport version --raw` ended with exit code 3.");
    assert_eq!(ran.exit, 0);
}

#[test]
fn h35_a_binary_that_others_can_write_is_not_run_by_root() {
    let host = Host::new();
    std::fs::set_permissions(host.root("usr/local/bin/teleport"), Permissions::from_mode(0o775)).unwrap();
    host.offers("none");
    let ran = host.run();
    assert!(
        ran.own_words()[0].starts_with("[!] /usr/local/bin/teleport may be written by others than root and is not run (owner "),
        "{}",
        ran.said
    );
    assert!(!ran.started.contains(&"teleport version --raw".to_owned()), "{:?}", ran.started);
}

#[test]
fn a_version_that_the_database_does_not_agree_with_is_said_before_anything_is_changed() {
    let host = Host::new();
    host.state("installed", "install ok installed 16.1.6\n");
    let ran = host.run();
    assert_eq!(ran.own_words()[3], "[!] the agent's binary says 16.1.7, the package database says teleport-ent 16.1.6.");
    assert_eq!(ran.exit, 0);
}

#[test]
fn a_binary_that_came_with_no_package_belongs_to_another_updater() {
    let host = Host::new();
    host.trouble("dpkg-query-list", "echo /usr/bin/teleport; exit");
    let ran = host.run();
    assert!(
        ran.said.contains("\n[!] the agent's binary /usr/local/bin/teleport belongs to no package: this host is managed by teleport-update or by hand\n    next: "),
        "{}",
        ran.said
    );
    assert_eq!(ran.did(), (78, Vec::new()));
}

#[test]
fn h23_a_unit_without_a_pid_file_is_restarted_and_never_reloaded() {
    let host = Host::new();
    host.state("unit", &host.known("unit").replace("PIDFile=/run/teleport.pid", "PIDFile="));
    let ran = host.run();
    assert_eq!((ran.exit, ran.changed[3].as_str()), (0, "systemctl restart teleport.service"));
    assert_eq!(ran.own_words().iter().rev().nth(2), Some(&"[i] the agent runs the new version (pid 101)."));
}

#[test]
fn h21_an_agent_that_its_package_restarted_is_not_restarted_again() {
    let host = Host::new();
    host.trouble(
        "apt-get-install",
        "\"$host/programs/unpack\" \"$to\"; ln -sfn \"$root/usr/local/bin/teleport\" \"$root/proc/100/exe\"; exit 0",
    );
    let ran = host.run();
    assert_eq!(ran.did(), (0, super::WITHOUT_THE_AGENT.to_vec()));
    assert_eq!(ran.own_words().iter().rev().nth(2), Some(&"[i] the agent runs the new version already (pid 100)."));
}

#[test]
fn h22_an_agent_that_was_stopped_or_masked_is_upgraded_and_not_started() {
    let stories = [
        (
            "ActiveState=inactive\nUnitFileState=disabled\n",
            "[i] teleport.service is not running (inactive, disabled): it is left so.",
        ),
        ("LoadState=masked\nActiveState=inactive\n", "[i] teleport.service is not running (masked): it is left so."),
        (
            "LoadState=not-found\nActiveState=inactive\n",
            "[!] there is no teleport.service: an agent that runs some other way must be restarted by hand.",
        ),
    ];
    for (unit, said) in stories {
        let host = Host::new();
        host.state("unit", &(host.known("unit") + unit));
        let ran = host.run();
        assert_eq!(ran.did(), (0, super::WITHOUT_THE_AGENT.to_vec()), "{unit}");
        assert!(ran.said.contains(&format!("{said}\n")), "{}", ran.said);
    }
}

#[test]
fn an_agent_in_a_crash_loop_is_restarted_on_the_version_that_may_cure_it() {
    let host = Host::new();
    host.state("unit", &(host.known("unit") + "ActiveState=failed\n"));
    let ran = host.run();
    assert_eq!((ran.exit, ran.changed[3].as_str()), (0, "systemctl restart teleport.service"));
}

#[test]
fn h34_without_systemd_the_upgrade_is_made_and_the_rest_is_said() {
    let host = Host::new();
    std::fs::remove_dir(host.root("run/systemd/system")).unwrap();
    std::fs::remove_file(host.root("run/teleport.pid")).unwrap();
    let ran = host.run();
    assert_eq!(ran.did(), (0, super::WITHOUT_THE_AGENT.to_vec()));
    let said: Vec<&str> = ran.own_words().into_iter().rev().take(4).collect();
    assert_eq!(
        said,
        [
            "[i] upgraded from 16.1.7 to 16.2.0.",
            "[i] apt-mark: teleport-ent set on hold.",
            "    next: restart it the way it was started; or, to keep open sessions: kill -HUP $(cat /run/teleport.pid)",
            "[!] this host was not booted with systemd: a running agent goes on with the old version until it is restarted.",
        ]
    );
}

/// An agent whose binary says nothing as long as it is the one that came first.
fn silent() -> Host {
    let host = Host::new();
    host.trouble("teleport", "[ -e \"$host/state/again\" ] || { echo garbage; exit; }");
    host.trouble("apt-get-install", ": >\"$state/again\"");
    host
}

#[test]
fn h33_an_agent_that_cannot_say_its_version_is_guarded_against_other_majors_too() {
    let host = silent();
    host.offers("15.4.0");
    host.state("repository", "15.4.0 500\n");
    let ran = host.run();
    assert!(ran.said.contains("\n[i] the package database says teleport-ent 16.1.7.\n"), "{}", ran.said);
    assert_eq!(ran.did(), (78, Vec::new()));
    assert_eq!(host.verdicts(), ["lower-major 78 x1"]);
}

#[test]
fn h02_an_agent_that_cannot_say_its_version_and_is_up_to_date_and_whole_is_left_alone() {
    let host = silent();
    host.offers("16.1.7");
    let ran = host.run();
    assert_eq!(
        ran.own_words()[1..],
        ["[i] the package database says teleport-ent 16.1.7.", "[i] no upgrades available (16.1.7 == 16.1.7)"]
    );
    assert_eq!(ran.did(), (0, Vec::new()));
    assert_eq!(host.verdicts(), ["up-to-date 0 x1"]);
}

#[test]
fn h02_an_agent_that_is_damaged_is_installed_again_at_its_version() {
    let host = silent();
    host.trouble("dpkg-verify", "[ -e \"$state/again\" ] || echo '??5??????   /usr/local/bin/teleport'");
    host.offers("16.1.7");
    let ran = host.run();
    assert_eq!(ran.own_words()[1], "[!] teleport-ent 16.1.7 is damaged: it is installed again.");
    assert_eq!(
        ran.did(),
        (
            0,
            vec![
                "apt-get update",
                "apt-get install teleport-ent=16.1.7",
                "apt-mark hold teleport-ent",
                "systemctl reload teleport.service"
            ]
        )
    );
}

#[test]
fn h02_files_that_are_no_programs_and_were_changed_are_no_damage() {
    let host = Host::new();
    host.trouble(
        "dpkg-verify",
        "echo 'missing     /lib/systemd/system/teleport.service'; echo 'missing     /usr/share/doc/teleport-ent/README'",
    );
    assert_eq!(host.run().did(), (0, super::UPGRADE.to_vec()));
}

#[test]
fn programs_that_are_as_they_were_packed_are_known_by_their_sums_and_dpkg_is_not_asked() {
    let host = Host::new();
    host.trouble("dpkg-query-sums", "cd \"$root\" && md5sum usr/local/bin/teleport; echo 'junk'; echo '../../etc  shadow'");
    host.trouble("dpkg-verify", "echo 'missing     /usr/local/bin/teleport'");
    let ran = host.run();
    assert_eq!(ran.did(), (0, super::UPGRADE.to_vec()));
    assert_eq!(ran.started.iter().filter(|line| *line == "md5sum").count(), 1);
}

#[test]
fn h02_of_a_program_whose_sum_is_another_or_that_is_missing_dpkg_has_the_last_word() {
    let wrong = "echo 'd41d8cd98f00b204e9800998ecf8427e  usr/local/bin/teleport'";
    let missing = "cd \"$root\" && md5sum usr/local/bin/teleport; echo 'd41d8cd98f00b204e9800998ecf8427e  usr/local/bin/tctl'";
    for sums in [wrong, missing] {
        let host = Host::new();
        host.trouble("dpkg-query-sums", sums);
        assert_eq!(host.run().did(), (0, super::UPGRADE.to_vec()), "a diverted program is none that is damaged");
        let host = Host::new();
        host.trouble("dpkg-query-sums", sums);
        host.trouble("dpkg-verify", "echo '??5??????   /usr/local/bin/teleport'");
        assert_eq!(host.run().exit, 11);
    }
}

/// Without systemd, with an agent that the PID file names.
fn without_systemd() -> Host {
    let host = Host::new();
    std::fs::remove_dir(host.root("run/systemd/system")).unwrap();
    host
}

#[test]
fn h34_without_systemd_the_agent_of_the_pid_file_is_told_to_hang_up_and_its_successor_is_looked_for() {
    let host = without_systemd();
    let ran = host.run();
    assert_eq!(
        ran.did(),
        (0, vec!["apt-get update", "apt-get install teleport-ent=16.2.0", "apt-mark hold teleport-ent", "hang-up 100"])
    );
    assert!(
        ran.said.contains("[i] the agent runs the new version (pid 101); open sessions go on in the old process (pid 100).\n"),
        "{}",
        ran.said
    );
}

#[test]
fn h34_an_agent_that_does_not_hang_up_goes_on_and_a_person_is_told() {
    let host = without_systemd();
    host.trouble("hang-up", "exit");
    let ran = host.run();
    assert_eq!((ran.exit, ran.pauses.iter().sum::<f64>().round()), (0, 60.0));
    let sentence = "[!] the agent (pid 100) was told to hang up and goes on with the old version.\n    next: restart it the way it was started; that ends open sessions\n";
    assert!(ran.said.contains(sentence), "{}", ran.said);
}

#[test]
fn h34_an_agent_that_ends_when_told_to_hang_up_is_no_success() {
    let host = without_systemd();
    host.trouble("hang-up", "rm -r \"$root/proc/100\"; exit");
    assert_eq!(host.run().exit, 11);
    assert_eq!(host.verdicts(), ["broken 11 x1"]);
}

#[test]
fn h34_a_pid_file_that_names_a_stranger_hangs_nobody_up() {
    let host = without_systemd();
    std::fs::remove_file(host.root("proc/100/exe")).unwrap();
    std::os::unix::fs::symlink("/bin/sh", host.root("proc/100/exe")).unwrap();
    assert_eq!(host.run().did(), (0, super::WITHOUT_THE_AGENT.to_vec()));
}

#[test]
fn v4_an_agent_that_runs_from_elsewhere_is_left_to_its_own_updater_by_force_too() {
    let host = Host::new();
    host.write("opt/teleport/default/versions/17.0.0/bin/teleport", "");
    std::fs::remove_file(host.root("proc/100/exe")).unwrap();
    std::os::unix::fs::symlink("/opt/teleport/default/versions/17.0.0/bin/teleport", host.root("proc/100/exe")).unwrap();
    let said = "[!] the running agent's binary /opt/teleport/default/versions/17.0.0/bin/teleport belongs to no package: this host is managed by teleport-update or by hand\n";
    for ran in [host.run(), host.force()] {
        assert!(ran.said.contains(said), "{}", ran.said);
        assert_eq!(ran.did(), (78, Vec::new()));
    }
}

/// As `teleport-update` does where the package is still installed.
#[test]
fn v4_a_link_in_the_place_of_the_packages_binary_leads_to_another_updater() {
    let host = Host::new();
    let (place, elsewhere) = (host.root("usr/local/bin/teleport"), host.root("opt/teleport/default/bin/teleport"));
    std::fs::create_dir_all(elsewhere.parent().unwrap()).unwrap();
    std::fs::rename(&place, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &place).unwrap();
    let ran = host.run();
    let said = "[!] the agent's binary /opt/teleport/default/bin/teleport belongs to no package: this host is managed by teleport-update or by hand\n";
    assert!(ran.said.contains(said), "{}", ran.said);
    assert_eq!(ran.did(), (78, Vec::new()));
}
