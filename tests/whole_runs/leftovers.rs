//! A run was killed: its note lies on disk. What the next run finds, and what it makes of it.

use crate::support::host::{HOUR, Host, NOON};

pub(super) const INSTALLING: &str = r#""pending":{"package":"teleport-ent","from":"16.1.7","to":"16.2.0","step":"install","hold":"ours","since":1795607700,"boot":"boot-1"}"#;
const CUT_OFF: &str =
    "[!] the upgrade to teleport-ent 16.2.0 that began 5 min ago did not end as it should: looking at what is there.";

/// A host outside its window whose last run began five minutes ago and was killed.
fn killed() -> Host {
    let host = Host::new();
    host.window(NOON + HOUR, NOON + 2 * HOUR);
    host.record(INSTALLING);
    host
}

#[test]
fn h04_a_new_version_that_is_in_place_is_held_brought_up_and_recorded_outside_the_window_too() {
    let host = killed();
    host.unpack("16.2.0");
    let ran = host.run();
    assert_eq!(
        ran.own_words(),
        [
            CUT_OFF,
            "[i] teleport-ent 16.2.0 is in place and complete; finishing what was left.",
            "[i] gracefully restarting Teleport (if already running)",
            "[i] the agent runs the new version (pid 101); open sessions go on in the old process.",
            "[i] apt-mark: teleport-ent set on hold.",
            "[i] no upgrades available (16.2.0 == 16.2.0)",
        ]
    );
    assert_eq!(ran.did(), (0, vec!["apt-mark hold teleport-ent", "systemctl reload teleport.service"]));
    assert_eq!(host.recorded("/upgrades"), r#"[{"at":1795608000,"code":"upgraded","from":"16.1.7","to":"16.2.0"}]"#);
    assert_eq!(host.recorded("/memory/left"), r#"{"at":1795608000,"release":"16.1.7"}"#);
    assert_eq!(host.recorded("/pending"), "null");
    assert_eq!(host.known("installed"), "hold ok installed 16.2.0\n");
}

#[test]
fn h21_an_agent_that_somebody_restarted_in_between_is_not_restarted_again() {
    let host = killed();
    host.unpack("16.2.0");
    let exe = host.root("proc/100/exe");
    std::fs::remove_file(&exe).unwrap();
    std::os::unix::fs::symlink(host.root("usr/local/bin/teleport"), exe).unwrap();
    let ran = host.run();
    assert_eq!(ran.changed, ["apt-mark hold teleport-ent"]);
    assert_eq!(ran.own_words()[3], "[i] the agent runs the new version already (pid 100).");
}

#[test]
fn h04_an_old_version_that_is_still_in_place_is_unharmed_and_its_hold_is_put_back() {
    let host = killed();
    let ran = host.run();
    assert_eq!(
        ran.own_words()[..3],
        [CUT_OFF, "[i] teleport-ent is as it was before; nothing was changed.", "[i] apt-mark: teleport-ent set on hold.",]
    );
    assert_eq!(ran.did(), (0, vec!["apt-mark hold teleport-ent"]));
    assert_eq!(host.known("installed"), "hold ok installed 16.1.7\n");
    assert_eq!(host.recorded("/upgrades"), r#"[{"at":1795608000,"code":"interrupted","from":"16.1.7","to":"16.2.0"}]"#);
    assert_eq!(host.recorded("/pending"), "null");
    assert_eq!(host.recorded("/memory/failed"), "null");
    assert_eq!(host.verdicts(), ["outside-window 0 x1"]);
}

#[test]
fn h04_what_apt_has_read_and_fetched_for_a_run_that_died_is_removed_once_that_is_settled() {
    let host = killed();
    let left =
        ["private/pkgcache.bin", "fetched/teleport-ent_16.2.0_amd64.deb"].map(|file| format!("var/lib/teleport-upgrade/{file}"));
    for file in &left {
        host.write(file, "left by the one before");
    }
    assert_eq!(host.run().exit, 0);
    let still: Vec<_> = left.iter().filter(|file| host.root(file).exists()).collect();
    assert!(still.is_empty(), "{still:?}");
}

#[test]
fn h01_a_half_configured_package_is_finished_and_no_other() {
    let host = killed();
    host.unpack("16.2.0");
    host.state("installed", "install ok half-configured 16.2.0\n");
    let ran = host.run();
    assert_eq!(
        ran.changed,
        [
            "dpkg --force-confdef --force-confold --configure teleport-ent",
            "apt-mark hold teleport-ent",
            "systemctl reload teleport.service",
        ]
    );
    assert_eq!((ran.exit, host.recorded("/pending").as_str()), (0, "null"));
    assert_eq!(host.known("installed"), "hold ok installed 16.2.0\n");
}

#[test]
fn h04_a_package_that_is_on_neither_version_whole_is_installed_again() {
    let host = killed();
    host.unpack("16.2.0");
    host.trouble("dpkg-verify", "[ -e \"$state/again\" ] || echo '??5??????   /usr/local/bin/teleport'");
    host.trouble("apt-get-install", ": >\"$state/again\"");
    let ran = host.run();
    assert_eq!(ran.own_words()[..2], [CUT_OFF, "[!] teleport-ent is on neither version whole; installing 16.2.0 again."]);
    assert_eq!(
        ran.changed,
        [
            "apt-get update",
            "apt-get install teleport-ent=16.2.0",
            "apt-mark hold teleport-ent",
            "systemctl reload teleport.service",
        ]
    );
    assert_eq!((ran.exit, host.recorded("/pending").as_str()), (0, "null"));
}

#[test]
fn h04_what_cannot_be_settled_keeps_its_note_and_needs_a_person() {
    let host = killed();
    host.unpack("16.2.0");
    host.state("installed", "install ok half-configured 16.2.0\n");
    host.trouble("dpkg-configure", "echo 'post-installation script subprocess returned error exit status 1'; exit 1");
    host.trouble("apt-get-install", "exit 100");
    let ran = host.run();
    assert_eq!(ran.exit, 11);
    assert_eq!(host.verdicts(), ["broken 11 x1"]);
    assert_eq!(host.recorded("/pending/since"), "1795607700");
    // Whatever else is wrong is said, and is less.
    host.configure("endpoint", "127.0.0.1:1/v1\n");
    let ran = host.run();
    assert!(ran.said.contains("[!] cannot fetch http://127.0.0.1:1/v1/version: "), "{}", ran.said);
    assert_eq!(host.verdicts(), ["broken 11 x1", "broken 11 x1"]);
    host.configure("pin", "16.x\n");
    assert_eq!(host.run().exit, 11);
    host.unconfigure("pin");
    host.configure("endpoint", &format!("127.0.0.1:{}/v1\n", host.server.port));
    host.no_trouble("dpkg-configure");
    host.at(NOON + HOUR);
    assert_eq!(host.run().exit, 0);
    assert_eq!(host.recorded("/pending"), "null");
}

/// V8: our lock is free, but the package manager that the dead run started goes on. There is no note of it that the run, killed the moment
/// that it had started it, could have failed to write.
#[test]
fn h04_a_package_manager_that_was_left_running_is_waited_for_before_anything_is_judged() {
    let host = killed();
    host.writes_into_the_log(4711, "/usr/bin/apt-get install teleport-ent=16.2.0");
    let (unpack, gone) = (host.program("unpack"), host.root("proc/4711"));
    host.later(4, move || {
        assert!(std::process::Command::new(unpack).arg("16.2.0").status().unwrap().success());
        std::fs::remove_dir_all(gone).unwrap();
    });
    let ran = host.run();
    assert_eq!(
        ran.own_words()[1..3],
        [
            "[i] waiting for pid 4711 (/usr/bin/apt-get install teleport-ent=16.2.0), which is still at work.",
            "[i] teleport-ent 16.2.0 is in place and complete; finishing what was left.",
        ]
    );
    assert_eq!((ran.exit, ran.pauses), (0, vec![1.0, 1.0, 1.0, 1.0, 0.5]));
}

#[test]
fn h04_a_dnf_that_was_left_running_is_known_behind_its_interpreter() {
    let host = killed();
    host.writes_into_the_log(4711, "/usr/libexec/platform-python -s /usr/bin/dnf install teleport-ent-16.2.0");
    assert_eq!(host.run().exit, 75);
}

/// Without systemd even the agent may have its streams from the package script that started it.
#[test]
fn h04_a_daemon_that_a_package_script_has_started_is_not_waited_for() {
    let host = killed();
    host.writes_into_the_log(4711, "/usr/local/bin/teleport start");
    host.process(4712, "apt-get install by-somebody-else");
    let ran = host.run();
    assert_eq!((ran.exit, ran.pauses), (0, Vec::new()));
}

#[test]
fn h07_somebody_elses_package_manager_is_waited_for_too_but_not_for_ever() {
    let host = killed();
    let mut holder = host.lock_in_another_process("var/lib/dpkg/lock-frontend", "apt-get upgrade");
    let pid = holder.id();
    let ran = host.run();
    assert_eq!(
        ran.own_words()[1..],
        [
            &format!("[i] waiting for pid {pid} (apt-get upgrade), which is still at work."),
            "[!] the package manager of an earlier run is still at work after 10 min",
            "    next: the next run looks again; if it hangs, look at it with ps and pstree",
        ]
    );
    assert_eq!((ran.exit, ran.pauses.len(), ran.started), (75, 600, vec!["systemctl is-system-running".to_owned()]));
    assert_eq!(host.recorded("/pending/since"), "1795607700");
    drop(holder.stdin.take());
    holder.wait().unwrap();
    assert_eq!(host.run().exit, 0);
    assert_eq!(host.recorded("/pending"), "null");
}

/// What the next run knows it by, should this one be killed.
#[test]
fn h04_the_output_of_a_package_manager_is_the_log_itself() {
    let host = Host::new();
    host.real_processes();
    host.trouble("apt-get-install", "output=$(readlink /proc/$$/fd/1); echo \"$output\" >\"$state/output\"");
    assert_eq!(host.run().exit, 0);
    let log = host.root("var/lib/teleport-upgrade/private/packages.log");
    assert_eq!(host.known("output").trim_end(), log.canonicalize().unwrap().to_string_lossy());
}

#[test]
fn h01_a_package_found_half_configured_before_an_upgrade_is_finished_first() {
    let host = Host::new();
    host.state("installed", "install ok half-configured 16.1.7\n");
    let ran = host.run();
    assert_eq!(ran.own_words()[3], "[!] teleport-ent is half-configured: finishing that first.");
    assert_eq!(ran.changed[0], "dpkg --force-confdef --force-confold --configure teleport-ent");
    assert_eq!(ran.changed[1..], super::UPGRADE);
}

#[test]
fn h04_another_version_that_is_complete_was_settled_by_somebody_else_and_is_left_alone() {
    let host = killed();
    host.unpack("16.1.9");
    let ran = host.run();
    assert_eq!(ran.own_words()[..2], [CUT_OFF, "[!] teleport-ent is on 16.1.9 by now: somebody else settled it."]);
    assert_eq!(ran.did(), (0, Vec::new()));
    assert_eq!(host.known("installed"), "install ok installed 16.1.9\n");
    assert_eq!((host.recorded("/pending").as_str(), host.recorded("/upgrades").as_str()), ("null", "[]"));
    assert_eq!(host.verdicts(), ["outside-window 0 x1"]);
}

#[test]
fn h04_a_refresh_that_fails_does_not_keep_a_damaged_leftover_from_being_installed_again() {
    let host = killed();
    host.unpack("16.2.0");
    host.trouble("dpkg-verify", "[ -e \"$state/again\" ] || echo '??5??????   /usr/local/bin/teleport'");
    host.trouble("apt-get-install", ": >\"$state/again\"");
    host.trouble("apt-get-update", "echo 'E: Could not resolve repository.test'; exit 100");
    let ran = host.run();
    assert_eq!(ran.did(), (0, super::UPGRADE.to_vec()));
    assert_eq!(
        ran.own_words()[1..5],
        [
            "[!] teleport-ent is on neither version whole; installing 16.2.0 again.",
            "[!] apt-get update failed for /etc/apt/sources.list.d/teleport.list: the repository cannot be reached",
            "    | E: Could not resolve repository.test",
            "    next: check the way to the repository and its proxy; the next run tries again",
        ]
    );
    assert_eq!(host.recorded("/pending"), "null");
}

/// A killed run's note with what it knew of the agent, and an agent that is down now.
fn down_after(before: &str, active: &str) -> Host {
    let host = killed();
    host.record(&INSTALLING.replace(r#""step""#, &format!(r#""agent":"{before}","step""#)));
    host.unpack("16.2.0");
    host.state("unit", &(host.known("unit") + active));
    host
}

#[test]
fn h04_an_agent_that_ran_before_and_is_down_now_is_started_with_the_leftover() {
    for active in ["ActiveState=inactive\n", "ActiveState=failed\n", "ActiveState=failed\nUnitFileState=disabled\n"] {
        let host = down_after("running", active);
        host.trouble("systemctl-restart", "echo ActiveState=active >>\"$state/unit\"");
        let ran = host.run();
        assert_eq!(ran.did(), (0, vec!["apt-mark hold teleport-ent", "systemctl restart teleport.service"]), "{active}");
        assert_eq!(ran.own_words()[3], "[i] the agent runs the new version (pid 101).", "{active}");
        assert_eq!(host.recorded("/pending"), "null", "{active}");
    }
}

#[test]
fn h22_an_agent_that_was_stopped_before_stays_so_when_the_leftover_is_completed() {
    let host = down_after("stopped", "ActiveState=inactive\n");
    let ran = host.run();
    assert_eq!(ran.did(), (0, vec!["apt-mark hold teleport-ent"]));
    assert_eq!(ran.own_words()[2], "[i] teleport.service is not running (inactive, enabled): it is left so.");
}

#[test]
fn h04_an_agent_that_its_package_left_stopped_is_started_in_the_same_run() {
    let host = Host::new();
    host.trouble("apt-get-install", "echo ActiveState=inactive >>\"$state/unit\"");
    host.trouble("systemctl-restart", "echo ActiveState=active >>\"$state/unit\"");
    let ran = host.run();
    assert_eq!((ran.exit, ran.changed[3].as_str()), (0, "systemctl restart teleport.service"));
}

#[test]
fn h22_the_note_says_whether_the_agent_was_running_before() {
    let host = Host::new();
    host.state("unit", &(host.known("unit") + "ActiveState=inactive\n"));
    host.run();
    assert_eq!(host.recorded_at_install("/pending/agent"), r#""stopped""#);
}

/// Found by the simulator (history 1957).
#[test]
fn h08_a_hold_that_somebody_set_after_a_run_died_is_not_made_ours() {
    let host = killed();
    host.record(&format!(r#"{INSTALLING},"first_hold":"settled""#));
    host.state("installed", "hold ok installed 16.1.7\n");
    host.run();
    assert!(!host.root("var/lib/teleport-upgrade/hold").exists(), "it is not claimed");
    assert_eq!(host.known("installed"), "hold ok installed 16.1.7\n");
    host.at(NOON + HOUR);
    let ran = host.run();
    assert_eq!((ran.exit, ran.changed), (0, Vec::new()));
    assert!(ran.said.contains("[!] teleport-ent is held, and not by this program"), "{}", ran.said);
}
