//! Agents that were started before the drop-in was there, and what package scripts do about a host.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::{HOUR, Host, NOON};

const SENTENCE: &str = "agent is not enrolled until it is restarted: systemctl restart teleport (ends open sessions)";
const RELOAD: [&str; 4] = super::UPGRADE;
const RESTART: [&str; 4] =
    ["apt-get update", "apt-get install teleport-ent=16.2.0", "apt-mark hold teleport-ent", "systemctl restart teleport.service"];

/// The drop-in is there; the agent has this environment.
fn host(environment: &str) -> Host {
    let host = Host::new();
    host.write("usr/lib/systemd/system/teleport.service.d/teleport-upgrade.conf", "[Service]\n");
    host.write("proc/100/environ", environment);
    host
}

fn not_enrolled() -> Host {
    host("PATH=/usr/bin\0TELEPORT_EXT_UPGRADER=none\0")
}

#[test]
fn v29_in_an_open_window_an_agent_that_is_not_enrolled_is_restarted_and_it_is_said() {
    let ran = not_enrolled().run();
    assert_eq!(ran.did(), (0, RESTART.to_vec()));
    assert_eq!(ran.own_words()[3..5], [format!("[i] {SENTENCE}"), "[i] this upgrade restarts it.".into()]);
}

#[test]
fn v29_a_person_who_forces_an_upgrade_enrols_the_agent_too() {
    let host = not_enrolled();
    host.no_window();
    assert_eq!(host.force().did(), (0, RESTART.to_vec()));
}

#[test]
fn v29_an_upgrade_for_a_missing_schedule_or_a_critical_version_drops_no_session() {
    let host = not_enrolled();
    host.no_window();
    let first = host.run();
    assert_eq!(first.did(), (0, Vec::new()));
    assert!(first.said.contains(&format!("[!] {SENTENCE}\n")), "the missing schedule is explained: {}", first.said);
    host.at(NOON + HOUR);
    assert_eq!(host.run().did(), (0, RELOAD.to_vec()));
    let host = not_enrolled();
    host.window(NOON + HOUR, NOON + 2 * HOUR);
    host.critical("yes");
    assert_eq!(host.run().did(), (0, RELOAD.to_vec()));
}

/// The schedule is missing because our package came while the agent ran: no reason to end anybody's session.
#[test]
fn v29_an_agent_that_cannot_be_reloaded_is_not_restarted_because_our_package_was_installed() {
    let host = not_enrolled();
    host.state("unit", &host.known("unit").replace("PIDFile=/run/teleport.pid", "PIDFile="));
    host.no_window();
    host.run();
    host.at(NOON + HOUR);
    let ran = host.run();
    assert_eq!(ran.did(), (0, Vec::new()));
    assert!(ran.said.contains("so an upgrade now would end them, too: not attempting."), "{}", ran.said);
    assert_eq!(host.verdicts().last().unwrap(), "blocked 0 x1");
    host.critical("yes");
    assert_eq!(host.run().did(), (0, RESTART.to_vec()));
}

#[test]
fn v29_a_reload_that_does_nothing_is_followed_by_no_restart_where_sessions_must_live_on() {
    let host = not_enrolled();
    host.no_window();
    host.run();
    host.at(NOON + HOUR);
    host.trouble("systemctl-reload", "exit 0");
    let ran = host.run();
    assert_eq!(ran.did(), (0, RELOAD.to_vec()));
    let sentence = "[!] the agent (pid 100) was told to hang up and goes on with the old version.\n    next: systemctl restart teleport, which ends open sessions\n";
    assert!(ran.said.contains(sentence), "{}", ran.said);
}

#[test]
fn a_drop_in_that_an_administrator_masked_arranges_nothing() {
    let host = not_enrolled();
    fs::create_dir_all(host.root("etc/systemd/system/teleport.service.d")).unwrap();
    std::os::unix::fs::symlink("/dev/null", host.root("etc/systemd/system/teleport.service.d/teleport-upgrade.conf")).unwrap();
    assert_eq!(host.run().did(), (0, RELOAD.to_vec()));
}

#[test]
fn an_enrolled_agent_is_reloaded_and_nothing_is_said_of_it() {
    let ran = host("A=b\0TELEPORT_EXT_UPGRADER=unit\0").run();
    assert_eq!(ran.did(), (0, RELOAD.to_vec()));
    assert!(!ran.said.contains("enrolled"), "{}", ran.said);
}

#[test]
fn without_the_drop_in_no_restart_is_promised_to_help() {
    let host = Host::new();
    host.write("proc/100/environ", "A=b\0");
    host.no_window();
    let ran = host.run();
    assert!(!ran.said.contains(SENTENCE), "{}", ran.said);
    assert!(ran.said.contains("[!] agent is not enrolled: nothing sets TELEPORT_EXT_UPGRADER=unit for it"), "{}", ran.said);
}

#[test]
fn a_dry_run_says_it_too_and_names_the_restart() {
    let ran = not_enrolled().dry_run();
    assert!(ran.said.contains(&format!("[i] {SENTENCE}\n")), "{}", ran.said);
    assert!(ran.said.contains("[i]   4. systemctl restart teleport.service\n"), "{}", ran.said);
}

/// What it says of an upgrade that has to wait is what the upgrade will do.
#[test]
fn v29_a_dry_run_before_the_window_names_the_restart_in_it() {
    let host = not_enrolled();
    host.window(NOON + HOUR, NOON + 2 * HOUR);
    let ran = host.dry_run();
    assert!(ran.said.contains("[i]   4. systemctl restart teleport.service\n"), "{}", ran.said);
}

#[test]
fn v29_a_dry_run_for_a_missing_schedule_says_that_an_agent_that_cannot_be_reloaded_stops_it() {
    let host = not_enrolled();
    host.no_window();
    assert!(host.dry_run().said.contains("[i]   4. systemctl reload teleport.service\n"), "{}", host.dry_run().said);
    host.state("unit", &host.known("unit").replace("PIDFile=/run/teleport.pid", "PIDFile="));
    let ran = host.dry_run();
    assert!(ran.said.contains("so an upgrade now would end them, too: not attempting."), "{}", ran.said);
    assert!(!ran.said.contains("systemctl restart teleport.service\n"), "{}", ran.said);
}

#[test]
fn the_agent_is_found_by_its_unit_where_there_is_no_pid_file_and_its_sessions_are_not_taken_for_it() {
    let host = host("");
    fs::remove_file(host.root("run/teleport.pid")).unwrap();
    host.write("sys/fs/cgroup/system.slice/teleport.service/cgroup.procs", "90\n100\n");
    // A session of the agent, which has another environment and a lower number.
    host.write("proc/90/stat", "90 (teleport) S 100 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 0\n");
    host.write("proc/90/environ", "TELEPORT_EXT_UPGRADER=unit\0");
    std::os::unix::fs::symlink("/usr/local/bin/teleport", host.root("proc/90/exe")).unwrap();
    host.offers("16.1.7");
    assert!(host.run().said.contains(SENTENCE));
}

#[test]
fn quiet_says_nothing_of_enrolment_while_there_is_nothing_to_do() {
    let mut host = not_enrolled();
    host.offers("16.1.7");
    host.no_window();
    host.unconfigure("insecure");
    host.configure("installer", "apt");
    host.configure("pin", "16.1.7");
    host.volume = teleport_upgrade::log::Volume::Quiet;
    assert_eq!(host.run().said, "");
}

// --- setup and release ------------------------------------------------------------------------------

fn mode(host: &Host, path: &str) -> u32 {
    fs::metadata(host.root(path)).unwrap().mode() & 0o7777
}

#[test]
fn v24_setup_makes_the_configuration_roots_alone_says_so_and_leaves_the_schedule_to_the_agent() {
    let host = not_enrolled();
    host.configure("pin", "16.1.7\n");
    for (path, mode) in [("", 0o777), ("/endpoint", 0o666), ("/schedule", 0o664), ("/pin", 0o600)] {
        let path = host.root(&format!("etc/teleport-upgrade.d{path}"));
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    host.configure("mark-unhealthy", "1");
    let ran = host.setup();
    assert_eq!(
        ran.said.lines().collect::<Vec<_>>(),
        [
            "[!] /etc/teleport-upgrade.d could be written by others than root (mode 0777): it is 0755 now.",
            "[!] /etc/teleport-upgrade.d/endpoint could be written by others than root (mode 0666): it is 0644 now; look at what it says.",
            &format!("[i] {SENTENCE}"),
        ]
    );
    assert_eq!(ran.did(), (0, Vec::new()));
    let modes = ["", "/endpoint", "/schedule", "/pin"].map(|path| mode(&host, &format!("etc/teleport-upgrade.d{path}")));
    assert_eq!(modes, [0o755, 0o644, 0o664, 0o600]);
    assert!(!host.root("etc/teleport-upgrade.d/mark-unhealthy").exists());
    assert_eq!(host.setup().said, format!("[i] {SENTENCE}\n"), "the second time there is nothing to mend");
}

#[test]
fn setup_makes_the_directory_where_there_is_none_and_needs_no_agent() {
    let host = Host::new();
    fs::remove_dir_all(host.root("etc/teleport-upgrade.d")).unwrap();
    fs::remove_file(host.root("run/teleport.pid")).unwrap();
    fs::remove_file(host.root("usr/local/bin/teleport")).unwrap();
    fs::remove_file(host.program("../state/installed")).unwrap();
    let ran = host.setup();
    assert_eq!((ran.said.as_str(), ran.exit), ("", 0));
    assert_eq!(mode(&host, "etc/teleport-upgrade.d"), 0o755);
}

#[test]
fn h35_setup_follows_no_link_and_reports_what_it_leaves() {
    let host = Host::new();
    host.write("etc/shadow", "secret\n");
    fs::set_permissions(host.root("etc/shadow"), Permissions::from_mode(0o666)).unwrap();
    std::os::unix::fs::symlink(host.root("etc/shadow"), host.root("etc/teleport-upgrade.d/pin")).unwrap();
    let ran = host.setup();
    assert!(ran.said.starts_with("[!] /etc/teleport-upgrade.d/pin is not a regular file: left alone.\n"), "{}", ran.said);
    assert_eq!(ran.exit, 78, "a run would refuse it, too");
    assert_eq!(mode(&host, "etc/shadow"), 0o666);
}

#[test]
fn h35_setup_copies_no_secret_that_somebody_gave_a_second_name_in_a_directory_of_theirs() {
    let host = Host::new();
    let directory = host.root("etc/teleport-upgrade.d");
    fs::set_permissions(&directory, Permissions::from_mode(0o777)).unwrap();
    host.write("etc/shadow", "secret\n");
    fs::set_permissions(host.root("etc/shadow"), Permissions::from_mode(0o620)).unwrap();
    fs::hard_link(host.root("etc/shadow"), directory.join("pin")).unwrap();
    let ran = host.setup();
    assert!(ran.said.contains("this name was removed."), "{}", ran.said);
    assert!(!ran.said.contains("secret") && !directory.join("pin").exists(), "{}", ran.said);
    assert_eq!((ran.exit, fs::read_to_string(host.root("etc/shadow")).unwrap().as_str()), (0, "secret\n"));
}

#[test]
fn v14_a_hold_at_the_first_setup_is_adopted_and_one_that_comes_after_it_is_the_administrators() {
    let host = Host::new();
    host.state("installed", "hold ok installed 16.1.7\n");
    let ran = host.setup();
    assert_eq!(ran.said, "[i] teleport-ent is held already: taking the hold over as this program's own.\n");
    assert_eq!(host.run().did(), (0, super::UPGRADE.to_vec()));

    let host = Host::new();
    assert_eq!(host.setup().said, "");
    host.state("installed", "hold ok installed 16.1.7\n");
    let ran = host.run();
    assert!(ran.said.contains("the administrator's hold wins"), "{}", ran.said);
    assert_eq!(ran.did(), (0, Vec::new()));
}

#[test]
fn h32_release_ends_our_hold_and_no_other() {
    let host = Host::new();
    host.run();
    let ran = host.release(None);
    assert_eq!(
        (ran.said.as_str(), ran.did()),
        ("[i] teleport-ent is no longer held.\n", (0, vec!["apt-mark unhold teleport-ent"]))
    );
    assert_eq!(host.known("installed"), "install ok installed 16.2.0\n");
    host.state("installed", "hold ok installed 16.2.0\n");
    assert_eq!(host.release(None).did(), (0, Vec::new()), "that one is the administrator's");
}

#[test]
fn h32_inside_a_package_manager_the_release_goes_on_elsewhere_and_waits_for_its_lock() {
    let host = Host::new();
    host.run();
    let holder = host.lock_in_another_process("var/lib/dpkg/lock-frontend", "apt-get remove teleport-ent-updater");
    let ran = host.release(None);
    let pid = std::process::id();
    let now = host.now();
    assert_eq!(
        ran.changed,
        [format!(
            "systemd-run --quiet --collect --unit=teleport-upgrade-release-{pid}-{now} --property=Type=exec --property=KillMode=process {} release teleport-ent",
            host.program("teleport-upgrade").display()
        )]
    );
    assert_eq!(host.known("installed"), "hold ok installed 16.2.0\n");
    drop(holder);
    // In that unit: our state may be purged by then.
    fs::remove_dir_all(host.root("var/lib/teleport-upgrade")).unwrap();
    host.trouble("apt-mark-unhold", "if [ ! -e \"$state/freed\" ]; then : >\"$state/freed\"; echo 'E: Could not get lock /var/lib/dpkg/lock-frontend' >&2; exit 100; fi");
    let ran = host.release(Some("teleport-ent"));
    assert_eq!(ran.did(), (0, vec!["apt-mark unhold teleport-ent", "apt-mark unhold teleport-ent"]));
    assert_eq!(ran.pauses, [5.0]);
    assert_eq!(host.known("installed"), "install ok installed 16.2.0\n");
    assert!(!host.root("var/lib/teleport-upgrade").exists());
}

#[test]
fn setup_and_release_need_root() {
    let mut host = Host::new();
    host.superuser += 1;
    assert_eq!((host.setup().exit, host.release(None).exit), (77, 77));
}

/// An image gets our package first, then an agent, and then somebody's hold.
#[test]
fn v24_a_hold_on_an_agent_that_came_after_our_package_is_the_administrators() {
    let host = not_enrolled();
    let installed = host.known("installed");
    fs::remove_file(host.path_of_trouble("x").with_file_name("installed")).unwrap();
    assert_eq!(host.setup().exit, 0);
    host.state("installed", &installed.replace("install", "hold").replace("holded", "installed"));
    let ran = host.run();
    assert!(ran.said.contains("the administrator's hold wins"), "{}", ran.said);
}

/// What an intruder could write after the first installation is refused by each run, not blessed by the next upgrade of our package.
#[test]
fn h35_only_the_first_setup_mends_the_configuration() {
    let host = not_enrolled();
    assert_eq!(host.setup().exit, 0);
    fs::set_permissions(host.root("etc/teleport-upgrade.d/endpoint"), Permissions::from_mode(0o666)).unwrap();
    host.setup();
    assert_eq!(mode(&host, "etc/teleport-upgrade.d/endpoint"), 0o666);
    assert_eq!(host.run().exit, 78);
}

/// Whoever has it open for writing goes on writing into a file that nobody reads.
#[test]
fn h35_a_file_that_others_could_write_is_replaced_not_only_closed_to_them() {
    use std::io::Write;
    let host = not_enrolled();
    let path = host.root("etc/teleport-upgrade.d/endpoint");
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    let before = fs::read_to_string(&path).unwrap();
    let mut intruder = fs::OpenOptions::new().append(true).open(&path).unwrap();
    host.setup();
    intruder.write_all(b"intruder.example/v1\n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
}

/// It need not export windows that the version server names, and reloading it ends no session.
#[test]
fn v29_an_agent_that_need_not_be_enrolled_is_not_restarted_for_it_and_nobody_is_told_to() {
    let host = not_enrolled();
    host.configure("schedule-source", "server");
    host.serves_window(NOON - HOUR, NOON + HOUR);
    let ran = host.run();
    assert_eq!(ran.did(), (0, RELOAD.to_vec()));
    assert!(!ran.said.contains("enrolled"), "{}", ran.said);
}
