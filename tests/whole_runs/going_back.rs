//! A new version is bad: the way back, in the same run or in the one after, and who is blamed.

use teleport_upgrade::host::signals::Orders;

use super::proof::{from_question, host};
use crate::support::host::{HOUR, Host, NOON};

/// From the question on that comes after the restart the agent is ill, until the version before is installed again.
fn ill_on_the_new_version(host: &Host) {
    from_question(host, 8, "$(grep -q 16.1.7 \"$state/installed\" || echo NRestarts=$((n / 8)))");
}

const BACK: [&str; 8] = [
    "apt-get update",
    "apt-get -d install teleport-ent=16.1.7",
    "apt-get install teleport-ent=16.2.0",
    "apt-mark hold teleport-ent",
    "systemctl reload teleport.service",
    "apt-get install /var/lib/teleport-upgrade/private/packages/teleport-ent_16.1.7_amd64.deb",
    "apt-mark hold teleport-ent",
    "systemctl reload teleport.service",
];
const BLAMED: &str = r#"{"attempts":1,"last":1795608063,"release":"16.2.0"}"#;
const OLD_AND_HELD: &str = "hold ok installed 16.1.7\n";

#[test]
fn h15_a_version_on_which_the_agent_dies_is_gone_back_from_and_blamed_once_the_old_one_is_well() {
    let host = host();
    ill_on_the_new_version(&host);
    let ran = host.run();
    assert_eq!(ran.did(), (10, BACK.to_vec()), "{}", ran.said);
    let words = ran.own_words();
    let account = words.iter().position(|line| line.starts_with("[!] teleport-ent 16.2.0 is installed, but")).unwrap();
    assert_eq!(
        words[account..],
        [
            "[!] teleport-ent 16.2.0 is installed, but the agent ended by itself and was restarted by systemd once",
            "    next: to go back: dpkg --force-hold -i /var/lib/teleport-upgrade/private/packages/teleport-ent_16.1.7_amd64.deb",
            "    to try again: apt-get install --reinstall --allow-downgrades --allow-change-held-packages teleport-ent=16.2.0",
            "[!] going back to teleport-ent 16.1.7.",
            "[i] gracefully restarting Teleport (if already running)",
            "[i] the agent runs the version before (pid 102); open sessions go on in the old process.",
            "[i] apt-mark: teleport-ent set on hold.",
            "[i] watching the agent for 60 s.",
            "[!] 16.2.0 failed on this host: back on 16.1.7.",
            "    next: nothing has to be done now; look at why: journalctl -u teleport -n 100",
        ]
    );
    assert_eq!(host.recorded("/pending"), "null");
    assert_eq!(host.recorded("/memory/failed"), BLAMED);
    assert_eq!(host.recorded("/upgrades/0/code"), r#""went-back""#);
    assert_eq!(host.verdicts(), ["went-back 10 x1"]);
    assert_eq!(
        host.recorded("/verdicts/0/text"),
        r#""16.2.0 failed: back on 16.1.7 (teleport-ent 16.2.0 is installed, but the agent ended by itself and was restarted by systemd once)""#
    );
    assert_eq!(host.known("installed"), OLD_AND_HELD);
    // For an hour nothing is attempted; then it is, and the wait doubles.
    let ran = host.run();
    assert_eq!(ran.did(), (0, Vec::new()));
    assert_eq!(host.verdicts()[1], "failed-before 0 x1");
    host.at(NOON + HOUR + 120);
    host.window(NOON, NOON + 3 * HOUR);
    assert_eq!(host.run().exit, 10);
    assert_eq!(host.recorded("/memory/failed/attempts"), "2");
}

#[test]
fn h15_a_package_that_is_on_neither_version_whole_is_gone_back_from_at_once() {
    let host = host();
    // As `truncated` does: the database is content, the program does not run.
    host.trouble(
        "apt-get-install",
        "\"$host/programs/unpack\" \"$to\"; printf '#!/bin/sh\\nexit 1\\n' >\"$root/usr/local/bin/teleport\"; exit",
    );
    let ran = host.run();
    assert_eq!(ran.exit, 10, "{}", ran.said);
    assert!(ran.said.contains("[!] teleport-ent is neither on 16.2.0 nor on the version before: "), "{}", ran.said);
    assert_eq!(host.recorded("/memory/failed/release"), r#""16.2.0""#);
    assert_eq!((host.known("installed").as_str(), host.recorded("/pending").as_str()), (OLD_AND_HELD, "null"));
}

#[test]
fn h18_a_disk_that_gets_full_in_the_middle_is_gone_back_from_and_blames_nobody() {
    let host = host();
    host.trouble("apt-get-install", "\"$host/programs/unpack\" \"$to\"; package_is install ok half-installed \"$to\"; echo 'dpkg: error: No space left on device'; exit 100");
    let ran = host.run();
    assert_eq!(ran.exit, 10, "{}", ran.said);
    assert_eq!((host.known("installed").as_str(), host.recorded("/memory/failed").as_str()), (OLD_AND_HELD, "null"));
}

#[test]
fn an_agent_that_is_ill_on_the_old_version_too_is_a_persons_and_nobody_is_blamed() {
    let host = host();
    from_question(&host, 8, "NRestarts=$n");
    let ran = host.run();
    assert_eq!(ran.exit, 11, "{}", ran.said);
    let sentence = "    and going back to 16.1.7 failed: the agent ended by itself and was restarted by systemd";
    assert!(ran.said.contains(sentence), "{}", ran.said);
    assert_eq!(host.recorded("/memory/failed"), "null");
    assert_eq!(host.recorded("/pending/step"), r#""bring-back""#);
    // Installing it once more is no cure: the next run only looks after the old one.
    let ran = host.run();
    assert_eq!(ran.exit, 11, "{}", ran.said);
    assert!(!ran.changed.iter().any(|line| line.starts_with("apt-get")), "{:?}", ran.changed);
    // It recovers: that it was ill on both speaks for something else than the version.
    host.no_trouble("systemctl-show");
    let ran = host.run();
    assert_eq!((ran.exit, ran.changed), (10, vec!["apt-mark hold teleport-ent".to_owned()]), "{}", ran.said);
    assert!(
        ran.said.contains("failed, and went back, but did not see the agent through: looking at what is there."),
        "{}",
        ran.said
    );
    assert!(
        ran.said.contains("[!] 16.2.0 could not be brought onto this host, which is not that version's fault: back on 16.1.7.\n"),
        "{}",
        ran.said
    );
    assert_eq!((host.recorded("/pending").as_str(), host.recorded("/memory/failed").as_str()), ("null", "null"));
    assert_eq!(host.recorded("/memory/hindered/attempts"), "1");
    assert_eq!(host.run().did(), (0, Vec::new()), "not at every run");
    assert_eq!(host.verdicts().last().unwrap(), "hindered 0 x1");
}

/// What a version did that is not settled yet is no excuse for the next one, nor is that version the way back.
#[test]
fn h05_a_newer_target_that_fails_too_is_gone_back_from_to_the_last_version_that_ran_well() {
    let host = host();
    // Ill on 16.2.0, and the way back is barred for now.
    from_question(&host, 8, "$(grep -q 16.1.7 \"$state/installed\" || echo NRestarts=$n)");
    host.trouble("apt-get-install-file", "exit 100");
    host.trouble("dpkg-install", "exit 1");
    assert_eq!(host.run().exit, 11);
    host.no_trouble("apt-get-install-file");
    host.no_trouble("dpkg-install");
    // The next attempt at the way back is due in an hour; a newer version may be the cure, and is none.
    host.trouble("apt-get-install-file", "[ -e \"$state/again\" ] || { : >\"$state/again\"; exit 100; }");
    host.trouble("dpkg-install", "exit 1");
    host.offers("16.2.1");
    let ran = host.run();
    assert_eq!(ran.exit, 10, "{}", ran.said);
    assert!(ran.changed.contains(&"apt-get install teleport-ent=16.2.1".to_owned()), "{:?}", ran.changed);
    assert_eq!(host.known("installed"), OLD_AND_HELD);
    assert_eq!(host.recorded("/memory/failed/release"), r#""16.2.1""#);
}

#[test]
fn h26_an_agent_that_ends_with_its_host_has_not_failed() {
    let host = host();
    let (unit, system) = (host.root("../state/unit"), host.root("../state/system"));
    host.later(20, move || {
        std::fs::write(unit, "LoadState=loaded\nActiveState=inactive\nUnitFileState=enabled\nResult=success\n").unwrap();
        std::fs::write(system, "stopping\n").unwrap();
    });
    let ran = host.run();
    assert!(!ran.said.contains("going back"), "{}", ran.said);
    assert_eq!(host.recorded("/pending/step"), r#""prove""#);
    assert_eq!(host.known("installed"), "hold ok installed 16.2.0\n");
}

#[test]
fn h16_an_agent_in_a_crash_loop_before_is_no_better_than_one_after() {
    let host = host();
    // 42 s after boot it was started (its start time is 4242); now it is 20 s later.
    host.write("proc/uptime", "62.17 100.00\n");
    from_question(&host, 1, "NRestarts=$n");
    let ran = host.run();
    assert_eq!(ran.exit, 0, "{}", ran.said);
    assert!(ran.said.contains("but before the upgrade it was no better: the agent was restarted by systemd 2 times, last 20 s ago. Keeping the version.\n"), "{}", ran.said);
}

#[test]
fn h34_an_agent_without_systemd_that_died_is_a_persons_and_never_called_saved() {
    let host = host();
    std::fs::remove_dir(host.root("run/systemd/system")).unwrap();
    host.trouble("apt-get-install", "rm -r \"$root/proc/100\" \"$root/run/teleport.pid\"");
    let ran = host.run();
    assert_eq!(ran.exit, 11, "{}", ran.said);
    assert!(ran.said.contains("the agent ran before and does so no more; there is no systemd here to start it"), "{}", ran.said);
    assert_eq!(host.recorded("/memory/failed"), "null");
}

#[test]
fn v19_a_kept_package_that_is_another_by_now_is_never_installed() {
    let host = host();
    ill_on_the_new_version(&host);
    host.trouble(
        "systemctl-reload",
        "echo 'the package of 16.1.7' >>\"$root/var/lib/teleport-upgrade/private/packages/teleport-ent_16.1.7_amd64.deb\"",
    );
    let ran = host.run();
    assert_eq!(ran.exit, 11, "{}", ran.said);
    assert!(ran.said.contains("and going back to 16.1.7 failed: /var/lib/teleport-upgrade/private/packages/teleport-ent_16.1.7_amd64.deb cannot be used: it is not the file that was kept (its SHA-256 differs)\n"), "{}", ran.said);
    assert!(!ran.changed.iter().any(|line| line.contains(".deb")), "{:?}", ran.changed);
    assert_eq!(host.recorded("/pending/step"), r#""go-back""#);
}

#[test]
fn where_apt_will_not_dpkg_has_to() {
    let host = host();
    ill_on_the_new_version(&host);
    host.trouble("apt-get-install-file", "echo 'E: Unmet dependencies. Try apt --fix-broken install'; exit 100");
    let ran = host.run();
    assert_eq!(ran.exit, 10, "{}", ran.said);
    let file = "/var/lib/teleport-upgrade/private/packages/teleport-ent_16.1.7_amd64.deb";
    assert!(ran.changed.contains(&format!("dpkg --force-confdef --force-confold --force-hold -i {file}")), "{:?}", ran.changed);
}

/// What lies on disk when a run is killed on its way back, and what the next one makes of it.
#[test]
fn h04_a_run_that_was_killed_on_its_way_back_is_followed_by_one_that_goes_on_back() {
    for step in ["go-back", "bring-back"] {
        let host = host();
        // An upgrade that went well, for what is kept.
        assert_eq!(host.run().exit, 0);
        let kept = host.recorded("/kept");
        let back = r#""back":{"why":"teleport-ent 16.2.0 is installed, but the agent says no","fault":"version"}"#;
        let pending = format!(
            r#""pending":{{"package":"teleport-ent","from":"16.1.7","to":"16.2.0","database":"16.1.7","step":"{step}","hold":"ours","since":1795608000,"boot":"boot-0",{back}}}"#
        );
        host.record(&format!("{pending},\"kept\":{kept}"));
        if step == "bring-back" {
            host.unpack("16.1.7");
        }
        let ran = host.run();
        assert_eq!(ran.exit, 10, "{step}: {}", ran.said);
        assert_eq!((host.known("installed").as_str(), host.recorded("/pending").as_str()), (OLD_AND_HELD, "null"), "{step}");
        assert_eq!(host.recorded("/memory/failed/release"), r#""16.2.0""#, "{step}");
    }
}

#[test]
fn v20_two_packages_are_kept_at_most_and_from_the_second_upgrade_on_nothing_is_fetched_for_it() {
    let host = host();
    assert_eq!(host.run().exit, 0);
    assert_eq!(host.kept(), ["teleport-ent_16.1.7_amd64.deb", "teleport-ent_16.2.0_amd64.deb"]);
    host.offers("16.2.1");
    let ran = host.run();
    assert_eq!(ran.exit, 0, "{}", ran.said);
    assert!(!ran.changed.iter().any(|line| line.starts_with("apt-get -d")), "{:?}", ran.changed);
    assert_eq!(host.kept(), ["teleport-ent_16.2.0_amd64.deb", "teleport-ent_16.2.1_amd64.deb"]);
    assert_eq!(host.recorded("/kept/0/sha256"), host.recorded_at_install("/kept/0/sha256"));
}

#[test]
fn a_person_goes_back_without_network_and_what_was_wanted_is_not_followed_until_something_else_is() {
    let host = host();
    assert_eq!(host.run().exit, 0);
    host.trouble("apt-get-update", "exit 100");
    let ran = host.rollback();
    assert_eq!(ran.exit, 0, "{}", ran.said);
    assert_eq!(
        ran.changed,
        [
            "apt-get install /var/lib/teleport-upgrade/private/packages/teleport-ent_16.1.7_amd64.deb",
            "apt-mark hold teleport-ent",
            "systemctl reload teleport.service",
        ]
    );
    assert!(
        ran.said
            .ends_with("[i] went back to 16.1.7; it stays so until another version is wanted, or `teleport-upgrade force`.\n"),
        "{}",
        ran.said
    );
    assert_eq!(host.recorded("/upgrades/1/code"), r#""rolled-back""#);
    host.no_trouble("apt-get-update");
    host.critical("yes");
    let ran = host.run();
    assert_eq!(ran.did(), (0, Vec::new()));
    assert!(ran.said.contains("[i] a person went back with `teleport-upgrade rollback`: 16.2.0 is not attempted; another target or `teleport-upgrade force` ends that.\n"), "{}", ran.said);
    host.offers("16.2.1");
    assert_eq!(host.run().exit, 0);
    assert_eq!(host.known("installed"), "hold ok installed 16.2.1\n");
}

#[test]
fn asked_for_twice_going_back_is_one_step() {
    let host = host();
    assert_eq!(host.run().exit, 0);
    assert_eq!(host.rollback().exit, 0);
    let ran = host.rollback();
    assert_eq!(ran.did(), (0, Vec::new()));
    assert_eq!(ran.said, "[i] the agent is back on 16.1.7 already; nothing was changed.\n");
}

#[test]
fn a_version_that_is_not_settled_yet_is_gone_back_from_at_once_and_held() {
    let mut host = host();
    let orders = host.orders.clone();
    host.later(20, move || orders.give());
    assert_eq!(host.run().exit, 0);
    assert_eq!(host.recorded("/pending/step"), r#""prove""#);
    host.orders = Orders::default();
    let ran = host.rollback();
    assert_eq!(ran.exit, 0, "{}", ran.said);
    assert_eq!((host.known("installed").as_str(), host.recorded("/pending").as_str()), (OLD_AND_HELD, "null"));
    assert_eq!((host.recorded("/memory/held_back").as_str(), host.recorded("/memory/failed").as_str()), (r#""16.2.0""#, "null"));
}

#[test]
fn a_rollback_on_which_the_agent_dies_returns_to_the_version_that_ran() {
    let host = host();
    assert_eq!(host.run().exit, 0);
    from_question(&host, 7, "$(grep -q 16.2.0 \"$state/installed\" || echo NRestarts=1)");
    let ran = host.rollback();
    assert_eq!(ran.exit, 10, "{}", ran.said);
    assert_eq!(host.known("installed"), "hold ok installed 16.2.0\n");
    assert_eq!(host.recorded("/memory/held_back"), "null");
}

#[test]
fn what_was_not_kept_is_rolled_back_to_from_the_repository() {
    let host = Host::new();
    assert_eq!(host.run().exit, 0);
    let ran = host.rollback();
    assert_eq!(ran.exit, 0, "{}", ran.said);
    assert_eq!(ran.changed[..2], ["apt-get update", "apt-get install teleport-ent=16.1.7"]);
}

#[test]
fn there_is_nothing_to_roll_back_to_before_the_first_upgrade() {
    let ran = Host::new().rollback();
    assert_eq!(ran.did(), (78, Vec::new()));
    assert!(
        ran.said.starts_with("[!] no version before this one is known: this program has made no upgrade here"),
        "{}",
        ran.said
    );
}

#[test]
fn a_unit_that_the_new_package_has_lost_is_gone_back_for() {
    let host = host();
    host.trouble("apt-get-install", "\"$host/programs/unpack\" \"$to\"; cp \"$state/unit\" \"$state/unit-before\"; echo LoadState=not-found >\"$state/unit\"; exit");
    host.trouble("apt-get-install-file", "cp \"$state/unit-before\" \"$state/unit\"");
    let ran = host.run();
    assert_eq!(ran.exit, 10, "{}", ran.said);
    assert!(
        ran.said.contains(
            "[!] teleport.service is gone: the agent ran as that unit before, and would not come back after a reboot\n"
        ),
        "{}",
        ran.said
    );
}

#[test]
fn a_script_that_stopped_the_agent_before_it_failed_is_made_good() {
    let host = host();
    host.trouble("apt-get-install", "cp \"$state/unit\" \"$state/unit-before\"; printf 'ActiveState=inactive\\nMainPID=0\\n' >>\"$state/unit\"; rm \"$root/run/teleport.pid\"; echo 'subprocess error: script subprocess returned error exit status 3'; exit 100");
    host.trouble("systemctl-restart", "cp \"$state/unit-before\" \"$state/unit\"; echo 100 >\"$root/run/teleport.pid\"; ln -sfn \"$root/usr/local/bin/teleport\" \"$root/proc/100/exe\"; exit");
    let ran = host.run();
    assert_eq!(
        (ran.exit, ran.changed.last().map(String::as_str)),
        (69, Some("systemctl restart teleport.service")),
        "{}",
        ran.said
    );
    assert_eq!(host.recorded("/memory/failed/release"), r#""16.2.0""#);
}

#[test]
fn a_version_that_waits_for_its_window_is_fetched_once_and_taken_from_there() {
    let host = host();
    host.configure("prefetch", "yes");
    host.window(NOON + HOUR, NOON + 2 * HOUR);
    // apt writes there under the file's own name.
    host.write("var/lib/teleport-upgrade/fetched/partial/teleport-ent_16.2.0_amd64.deb", "half of it");
    let ran = host.run();
    assert_eq!(
        ran.did(),
        (0, vec!["apt-get update", "apt-get -d install teleport-ent=16.1.7", "apt-get -d install teleport-ent=16.2.0"]),
        "{}",
        ran.said
    );
    assert!(ran.said.ends_with("[i] teleport-ent 16.2.0 is fetched for its window.\n"), "{}", ran.said);
    assert_eq!(host.run().did(), (0, Vec::new()));
    host.at(NOON + HOUR);
    assert_eq!(host.run().did(), (0, super::UPGRADE.to_vec()));
    assert_eq!(host.kept(), ["teleport-ent_16.1.7_amd64.deb", "teleport-ent_16.2.0_amd64.deb"]);
}

#[test]
fn what_would_stop_the_upgrade_in_its_window_is_said_before_it_opens() {
    let host = host();
    host.configure("prefetch", "yes");
    host.window(NOON + HOUR, NOON + 2 * HOUR);
    host.state("repository", "16.1.7 500\n");
    let ran = host.run();
    assert_eq!(ran.exit, 69, "{}", ran.said);
    assert!(ran.said.contains("teleport-ent 16.2.0 is not in the repository"), "{}", ran.said);
    host.configure("prefetch", "no");
    assert_eq!(host.run().exit, 0);
}
