//! Each step fails in turn: what is said, what is recorded, which exit, and what the next run makes of it.

use crate::support::host::{HOUR, Host, NOON};

const OLD: &str = "install ok installed 16.1.7\n";

/// Exit code, the verdict on disk, what failed before, and the last thing that was said.
fn failed(host: &Host) -> (u8, String, String, String) {
    let ran = host.run();
    let verdict = host.verdicts().last().unwrap().clone();
    let error = ran.said.rsplit_once("\n[!] ").unwrap().1.trim_end().to_owned();
    (ran.exit, verdict, host.recorded("/memory/failed"), error)
}

/// Steps before the installation leave the agent and its hold alone and blame nobody.
fn failed_before_the_installation(host: &Host, verdict: &str, error: &str) {
    let (exit, recorded, blamed, said) = failed(host);
    assert_eq!((recorded.as_str(), blamed.as_str(), said.as_str()), (verdict, "null", error));
    assert_eq!(recorded.split(' ').nth(1), Some(exit.to_string().as_str()));
    assert_eq!(host.known("installed"), OLD);
    assert_eq!((host.recorded("/pending").as_str(), host.recorded("/upgrades").as_str()), ("null", "[]"));
}

#[test]
fn a_refresh_that_fails_is_explained_and_blames_nobody() {
    let host = Host::new();
    host.trouble("apt-get-update", "echo 'Err:1 http://repository.test stable InRelease'; echo '  Could not connect to repository.test:80 (127.0.0.1), connection timed out'; echo 'E: Failed to fetch http://repository.test/dists/stable/InRelease'; exit 100");
    failed_before_the_installation(
        &host,
        "network 75 x1",
        "apt-get update failed for /etc/apt/sources.list.d/teleport.list: the repository cannot be reached
    | Err:1 http://repository.test stable InRelease
    |   Could not connect to repository.test:80 (127.0.0.1), connection timed out
    | E: Failed to fetch http://repository.test/dists/stable/InRelease
    next: check the way to the repository and its proxy; the next run tries again",
    );
    host.no_trouble("apt-get-update");
    assert_eq!(host.run().exit, 0, "the next run is not held back");
}

#[test]
fn h11_a_repository_key_that_is_not_trusted_is_called_by_its_name_and_blames_nobody() {
    let host = Host::new();
    host.trouble(
        "apt-get-update",
        "echo 'W: GPG error: http://repository.test stable InRelease: NO_PUBKEY C87ED53A6282C411'; exit 100",
    );
    failed_before_the_installation(
        &host,
        "repository 69 x1",
        "apt-get update failed for /etc/apt/sources.list.d/teleport.list: the repository key is missing, wrong or expired, or the repository is not signed
    | W: GPG error: http://repository.test stable InRelease: NO_PUBKEY C87ED53A6282C411
    next: compare the key with the one that Teleport publishes and install it; this program never imports keys: https://goteleport.com/docs/installation/",
    );
}

/// V13: exit code 0 with an old list kept.
#[test]
fn a_refresh_that_says_it_succeeded_but_fetched_nothing_has_failed() {
    let host = Host::new();
    host.trouble(
        "apt-get-update",
        "echo 'W: Failed to fetch http://repository.test/InRelease  Temporary failure resolving'; exit 0",
    );
    let (exit, verdict, ..) = failed(&host);
    assert_eq!((exit, verdict.as_str()), (75, "network 75 x1"));
}

#[test]
fn h09_a_version_that_the_repository_does_not_have_is_named_with_those_it_has() {
    let host = Host::new();
    host.state("repository", "16.1.8 500\n16.1.7 500\n");
    failed_before_the_installation(
        &host,
        "repository 69 x1",
        "teleport-ent 16.2.0 is not in the repository: /etc/apt/sources.list.d/teleport.list has 16.1.8, 16.1.7
    next: if the version was released just now the next run will find it; else check which channel the repository file names",
    );
    host.state("repository", "");
    let (.., said) = failed(&host);
    assert_eq!(
        said.lines().next(),
        Some("teleport-ent 16.2.0 is not in the repository: /etc/apt/sources.list.d/teleport.list has no version of it")
    );
    host.trouble("apt-cache-policy", "echo 'E: broken' >&2; exit 100");
    assert_eq!(
        failed(&host).3,
        "apt-cache policy failed (exit code 100)\n    | E: broken\n    next: read the lines above and repeat the command by hand"
    );
}

#[test]
fn h20_a_plan_that_moves_other_packages_is_refused_with_the_list() {
    let host = Host::new();
    host.trouble("apt-get-install-simulate", "echo 'Remv libfoo [1.2]'; echo 'Inst bar [1] (2 stable [amd64])'");
    failed_before_the_installation(
        &host,
        "repository 69 x1",
        "installing teleport-ent=16.2.0 would also change packages that are not ours to change: removed: libfoo; bar 1 -> 2
    next: look at it and decide: apt-get install --allow-downgrades teleport-ent=16.2.0",
    );
}

#[test]
fn a_simulation_that_fails_stops_before_the_installation() {
    let host = Host::new();
    host.trouble("apt-get-install-simulate", "echo 'E: something new' >&2; exit 100");
    let ran = host.run();
    assert_eq!(ran.did(), (69, vec!["apt-get update"]));
    assert_eq!(
        ran.said.rsplit_once("[!] ").unwrap().1,
        "apt cannot plan to install teleport-ent=16.2.0 (exit code 100)
    | E: something new
    next: read the lines above and repeat the command by hand\n"
    );
}

#[test]
fn a_package_that_fails_while_the_old_version_is_intact_is_remembered_and_the_hold_is_put_back() {
    let host = Host::new();
    host.trouble("apt-get-install", "echo 'dpkg: error processing archive: new teleport-ent package pre-installation script subprocess returned error exit status 1'; exit 100");
    let (exit, verdict, blamed, said) = failed(&host);
    assert_eq!((exit, verdict.as_str()), (69, "package 69 x1"));
    assert_eq!(blamed, r#"{"attempts":1,"last":1795608000,"release":"16.2.0"}"#);
    assert_eq!(
        said,
        "apt-get install teleport-ent=16.2.0 failed: a script of the package failed
    | dpkg: error processing archive: new teleport-ent package pre-installation script subprocess returned error exit status 1
    next: read the lines above; installing the package again repeats the script"
    );
    assert_eq!(host.known("installed"), "hold ok installed 16.1.7\n");
    assert_eq!(host.recorded("/pending"), "null");
    assert_eq!(host.recorded("/upgrades"), r#"[{"at":1795608000,"code":"package","from":"16.1.7","to":"16.2.0"}]"#);
    assert_eq!(host.recorded("/agent/version"), r#""16.1.7""#);
}

#[test]
fn h18_the_network_the_disk_a_lock_and_a_key_are_no_fault_of_the_version() {
    let stories = [
        ("echo 'E: Could not resolve repository.test'; exit 100", "network 75 x1"),
        ("echo 'dpkg: error: No space left on device'; exit 100", "disk 75 x1"),
        ("echo \"E: You don't have enough free space in /var/cache/apt/archives/.\"; exit 100", "disk 75 x1"),
        ("echo 'W: signatures were invalid: EXPKEYSIG'; exit 100", "repository 69 x1"),
        ("echo 'E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 4711 (apt)'; exit 100", "busy 75 x1"),
    ];
    for (trouble, expected) in stories {
        let host = Host::new();
        host.trouble("apt-get-install", trouble);
        let (_, verdict, blamed, _) = failed(&host);
        assert_eq!((verdict.as_str(), blamed.as_str()), (expected, "null"), "{trouble}");
        assert_eq!(host.recorded("/pending"), "null", "{trouble}");
        assert_eq!(host.known("installed"), "hold ok installed 16.1.7\n", "{trouble}");
    }
}

#[test]
fn h07_a_lock_is_waited_for_with_its_holder_named_once() {
    let host = Host::new();
    host.process(4711, "apt-get upgrade");
    host.trouble(
        "apt-get-update",
        "echo 'E: Could not get lock /var/lib/apt/lists/lock. It is held by process 4711 (apt-get)'; exit 100",
    );
    let freed = host.path_of_trouble("apt-get-update");
    host.later(20, move || std::fs::remove_file(freed).unwrap());
    let ran = host.run();
    assert_eq!((ran.exit, ran.pauses), (0, vec![5.0, 5.0, 5.0, 5.0, 0.5]), "the last one is the agent's");
    let named = "[i] pid 4711 (apt-get upgrade) holds a package manager lock; waiting for up to 10 min.";
    assert_eq!(ran.said.lines().filter(|line| *line == named).count(), 1, "{}", ran.said);
}

#[test]
fn h07_a_lock_that_is_never_freed_ends_the_run_after_ten_minutes() {
    let host = Host::new();
    let mut holder = host.lock_in_another_process("var/lib/apt/lists/lock", "apt-get upgrade");
    let pid = holder.id();
    host.trouble(
        "apt-get-update",
        &format!("echo 'E: Could not get lock /var/lib/apt/lists/lock. It is held by process {pid} (apt-get)'; exit 100"),
    );
    failed_before_the_installation(
        &host,
        "busy 75 x1",
        &format!(
            "waited 10 min for a package manager lock that pid {pid} (apt-get upgrade) holds
    next: the next run tries again; if nothing is at work there, look at that process"
        ),
    );
    assert_eq!(host.now(), NOON + 605, "121 tries");
    drop(holder.stdin.take());
    holder.wait().unwrap();
}

/// cron started it, or a person: no unit of ours ends it.
#[test]
fn h32_a_run_that_waits_for_a_lock_ends_when_this_program_is_removed() {
    let host = Host::new();
    let myself = host.program("teleport-upgrade");
    std::fs::write(&myself, "").unwrap();
    host.process(4711, "apt-get remove teleport-ent-updater");
    host.trouble(
        "apt-get-install",
        "echo 'E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 4711 (apt-get)'; exit 100",
    );
    host.later(10, move || std::fs::remove_file(myself).unwrap());
    let ran = host.run();
    assert_eq!((ran.exit, ran.pauses), (75, vec![5.0; 2]));
    assert!(ran.said.contains("[!] this program was removed while pid 4711"), "{}", ran.said);
    assert_eq!(host.known("installed"), "hold ok installed 16.1.7\n");
}

#[test]
fn h26_nothing_is_begun_while_the_host_goes_down() {
    let host = Host::new();
    host.state("system", "stopping\n");
    failed_before_the_installation(
        &host,
        "busy 75 x1",
        "this host is shutting down: nothing is begun now\n    next: the next run tries again",
    );
}

/// Whoever removes our package has dpkg's lock and waits for the unit to stop.
#[test]
fn h26_a_run_that_is_told_to_end_while_it_waits_for_a_lock_ends_with_nothing_changed() {
    let host = Host::new();
    host.process(4711, "apt-get remove teleport-ent-updater");
    host.trouble(
        "apt-get-install",
        "echo 'E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 4711 (apt-get)'; exit 100",
    );
    let orders = host.orders.clone();
    host.later(15, move || orders.give());
    let ran = host.run();
    assert_eq!((ran.exit, ran.pauses), (75, vec![5.0; 3]));
    let words = "[!] this run was told to end while pid 4711 (apt-get remove teleport-ent-updater) holds a package manager lock
    next: the next run tries again
";
    assert!(ran.said.ends_with(words), "{}", ran.said);
    assert_eq!(host.recorded("/pending"), "null");
    assert_eq!(host.known("installed"), "hold ok installed 16.1.7\n");
}

/// V9: exit codes are not verdicts.
#[test]
fn an_installation_that_says_it_succeeded_but_did_nothing_has_failed() {
    let host = Host::new();
    host.trouble("apt-get-install", "exit 0");
    let (exit, verdict, blamed, said) = failed(&host);
    assert_eq!((exit, verdict.as_str()), (69, "package 69 x1"));
    assert_eq!(blamed, r#"{"attempts":1,"last":1795608000,"release":"16.2.0"}"#);
    assert_eq!(
        said.lines().next(),
        Some("apt says that it installed 16.2.0, but the package database says 16.1.7; the agent's binary says 16.1.7")
    );
}

/// V9: apt exits with 100 when a stranger's package fails beside ours.
#[test]
fn an_installation_that_says_it_failed_but_is_in_place_and_complete_goes_on() {
    let host = Host::new();
    host.trouble(
        "apt-get-install",
        "\"$host/programs/unpack\" \"$to\"; echo 'E: Sub-process /usr/bin/dpkg returned an error code (1)'; exit 100",
    );
    let ran = host.run();
    assert_eq!(ran.did(), (0, super::UPGRADE.to_vec()));
    let said = "[!] apt-get install teleport-ent=16.2.0 failed: the package manager refused the package\n    but teleport-ent 16.2.0 is in place and complete; going on.\n";
    assert!(ran.said.contains(said), "{}", ran.said);
    assert_eq!(host.verdicts(), ["upgraded 0 x1"]);
}

#[test]
fn a_package_left_half_configured_needs_a_person_and_the_note_stays() {
    let host = Host::new();
    host.trouble("apt-get-install", "\"$host/programs/unpack\" \"$to\"; package_is install ok half-configured \"$to\"; echo 'installed teleport-ent package post-installation script subprocess returned error exit status 1'; exit 100");
    let (exit, verdict, blamed, said) = failed(&host);
    assert_eq!((exit, verdict.as_str(), blamed.as_str()), (11, "broken 11 x1", "null"));
    let said: Vec<&str> = said.lines().take(2).collect();
    assert_eq!(
        said,
        [
            "teleport-ent is neither on 16.2.0 nor on the version before: the package database says half-configured",
            "    apt-get install teleport-ent=16.2.0 failed: a script of the package failed",
        ]
    );
    assert_eq!(host.recorded("/pending/step"), r#""install""#);
    assert_eq!(host.recorded("/upgrades"), r#"[{"at":1795608000,"code":"broken","from":"16.1.7","to":"16.2.0"}]"#);
}

#[test]
fn h02_a_binary_that_is_not_what_the_database_says_is_not_taken_for_installed() {
    let host = Host::new();
    host.trouble("dpkg-verify", "echo '??5??????   /usr/local/bin/teleport'; echo '??5?????? c /etc/teleport.yaml'");
    let (exit, _, _, said) = failed(&host);
    assert_eq!(exit, 11);
    assert_eq!(
        said.lines().next(),
        Some("teleport-ent is neither on 16.2.0 nor on the version before: /usr/local/bin/teleport is not as installed")
    );
}

#[test]
fn a_hold_that_cannot_be_set_is_said_and_does_not_keep_the_agent_on_the_old_version() {
    let host = Host::new();
    host.trouble("apt-mark-hold", "echo 'E: no'; exit 100");
    let ran = host.run();
    assert_eq!(ran.did(), (0, super::UPGRADE.to_vec()));
    let said = "[!] apt-mark hold teleport-ent failed (exit code 100)\n    | E: no\n    next: read the lines above and repeat the command by hand\n";
    assert!(ran.said.contains(said), "{}", ran.said);
    assert_eq!(host.verdicts(), ["upgraded 0 x1"]);
}

#[test]
fn h23_a_reload_that_brings_nobody_up_is_followed_by_a_restart() {
    let host = Host::new();
    host.trouble("systemctl-reload", "echo 'Job failed.' >&2; echo ActiveState=failed >>\"$state/unit\"; exit 1");
    host.trouble("systemctl-restart", "echo ActiveState=active >>\"$state/unit\"");
    let ran = host.run();
    assert_eq!(
        (ran.exit, &ran.changed[2..]),
        (
            0,
            ["apt-mark hold teleport-ent", "systemctl reload teleport.service", "systemctl restart teleport.service"]
                .map(str::to_owned)
                .as_slice()
        )
    );
    assert_eq!(
        ran.own_words()[5..],
        [
            "[!] `systemctl reload teleport.service` ended with exit code 1: Job failed.",
            "[!] the reload brought no process on the new binary into charge: restarting the agent instead.",
            "[i] the agent runs the new version (pid 101).",
            "[i] apt-mark: teleport-ent set on hold.",
            "[i] upgraded from 16.1.7 to 16.2.0.",
        ]
    );
}

#[test]
fn h23_a_start_limit_that_others_used_up_is_reset_once() {
    let host = Host::new();
    host.state("limit", "");
    host.trouble("systemctl-reload", "exit 1");
    host.trouble(
        "systemctl-show",
        "[ ! -e \"$state/limit\" ] || { cat \"$state/unit\"; echo ActiveState=failed; echo Result=start-limit-hit; exit 0; }",
    );
    host.trouble("systemctl-restart", "[ ! -e \"$state/limit\" ] || exit 1");
    host.trouble("systemctl-reset-failed", "rm \"$state/limit\"");
    let ran = host.run();
    let asked_of_systemd: Vec<&str> = ran.changed.iter().filter_map(|line| line.strip_prefix("systemctl ")).collect();
    assert_eq!(ran.exit, 0, "{}", ran.said);
    assert_eq!(asked_of_systemd, ["restart teleport.service", "reset-failed teleport.service", "restart teleport.service"]);
}

#[test]
fn an_agent_that_nothing_brings_up_needs_a_person_and_is_brought_up_by_the_next_run() {
    let host = Host::new();
    let down = "echo 'Job for teleport.service failed.' >&2; echo ActiveState=failed >>\"$state/unit\"; exit 1";
    host.trouble("systemctl-reload", down);
    host.trouble("systemctl-restart", down);
    let (exit, verdict, blamed, said) = failed(&host);
    assert_eq!((exit, verdict.as_str(), blamed.as_str()), (11, "broken 11 x1", "null"));
    assert_eq!(
        said,
        "no process of teleport.service runs the version that is installed now
    | Job for teleport.service failed.
    | Job for teleport.service failed.
    next: journalctl -u teleport.service -n 50; systemctl restart teleport.service
    to go back: apt-get install --reinstall --allow-downgrades --allow-change-held-packages teleport-ent=16.1.7
    to try again: apt-get install --reinstall --allow-downgrades --allow-change-held-packages teleport-ent=16.2.0"
    );
    assert_eq!(host.recorded("/pending/step"), r#""bring-up""#);
    assert_eq!(host.known("installed"), "hold ok installed 16.2.0\n");

    host.no_trouble("systemctl-reload");
    host.no_trouble("systemctl-restart");
    host.at(NOON + 2 * HOUR);
    let ran = host.run();
    assert_eq!(
        (ran.exit, ran.changed),
        (0, vec!["apt-mark hold teleport-ent".to_owned(), "systemctl restart teleport.service".to_owned()])
    );
    assert_eq!(host.recorded("/pending"), "null");
    assert_eq!(host.verdicts(), ["broken 11 x1", "up-to-date 0 x1"]);
}
