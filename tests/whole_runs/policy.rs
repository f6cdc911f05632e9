//! What the configuration directory says, in a whole run.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use teleport_upgrade::log::Volume;

use crate::support::host::{HOUR, Host, NOON};

#[test]
fn an_unknown_file_is_warned_about_at_the_first_run_and_not_at_the_second() {
    let host = Host::new();
    host.configure("maintenence", "yes");
    let warning = "[!] the configuration directory has a file \"maintenence\" that this version does not know; it is ignored.";
    assert_eq!(host.run().own_words()[0], warning);
    assert_eq!(host.recorded("/warned"), r#"["\"maintenence\""]"#);
    assert!(!host.run().said.contains("maintenence"));
    host.unconfigure("maintenence");
    host.run();
    host.configure("maintenence", "yes");
    assert_eq!(host.run().own_words()[0], warning, "it is a new one");
}

#[test]
fn quiet_says_nothing_when_nothing_is_due() {
    let mut host = Host::new();
    host.volume = Volume::Quiet;
    host.configure("pin", "16.1.7");
    assert_eq!(host.run().said, "");
    host.configure("pin", "16.2.0");
    host.window(NOON + HOUR, NOON + 2 * HOUR);
    assert_eq!(host.run().said, "", "outside the window");
}

#[test]
fn quiet_speaks_when_something_is_changed_or_wrong() {
    let mut host = Host::new();
    host.volume = Volume::Quiet;
    host.configure("pin", "16.2.0");
    assert_eq!(
        host.run().said,
        "[i] apt-get: Hit:1 http://repository.test stable InRelease
[i] attempting apt install teleport-ent=16.2.0...
[i] apt-get: Setting up teleport-ent (16.2.0) ...
[i] gracefully restarting Teleport (if already running)
[i] the agent runs the new version (pid 101); open sessions go on in the old process.
[i] apt-mark: teleport-ent set on hold.
[i] upgraded from 16.1.7 to 16.2.0.
"
    );
    host.configure("pin", "16.2");
    assert_eq!(
        host.run().said,
        "[!] /etc/teleport-upgrade.d/pin line 1: \"16.2\" does not fit: \"16.2\" is not a version such as 16.2.0; accepted: a version, such as 16.2.0
    next: correct the value or remove /etc/teleport-upgrade.d/pin
"
    );
}

#[test]
fn nop_decides_says_and_changes_nothing() {
    let host = Host::new();
    host.configure("installer", "nop");
    let ran = host.run();
    assert_eq!(ran.own_words()[3], "[i] the file `installer` says `nop`: leaving the upgrade to 16.2.0 to others.");
    assert_eq!((ran.exit, ran.started), (0, vec!["teleport version --raw".to_owned()]));
    assert_eq!(host.verdicts(), ["left-to-others 0 x1"]);
}

#[test]
fn a_pinned_version_is_the_target_in_its_window_and_the_server_is_not_asked() {
    let host = Host::new();
    host.configure("pin", "16.2.1");
    host.window(NOON + HOUR, NOON + 2 * HOUR);
    assert_eq!(host.run().own_words()[0], "[i] an upgrade is available (16.1.7 -> 16.2.1, pinned)");
    assert_eq!(host.known("installed"), "install ok installed 16.1.7\n");
    host.at(NOON + HOUR);
    assert_eq!(host.run().exit, 0);
    assert_eq!(host.known("installed"), "hold ok installed 16.2.1\n");
    assert_eq!(host.server.accepted(), 0);
}

/// One host on 16.1.7, one offer, one value of `allow-downgrade`: exit code, verdict, and the version after.
fn offered(version: &str, downgrade: Option<&str>, force: bool) -> (u8, String, String) {
    let host = Host::new();
    host.state("repository", &format!("{version} 500\n"));
    host.offers(version);
    if let Some(value) = downgrade {
        host.configure("allow-downgrade", value);
    }
    let ran = if force { host.force() } else { host.run() };
    let verdict = host.verdicts().pop().unwrap();
    (ran.exit, verdict, host.known("installed").split_whitespace().last().unwrap().to_owned())
}

#[test]
fn h33_how_far_down_a_target_may_lie_is_the_operators_to_say_and_force_does_not_change_it() {
    let stories = [
        ("16.1.5", None, false, 0, "upgraded 0 x1", "16.1.5"),
        ("16.1.5", Some("no"), false, 78, "lower-version 78 x1", "16.1.7"),
        ("15.4.0", None, false, 78, "lower-major 78 x1", "16.1.7"),
        ("15.4.0", None, true, 78, "lower-major 78 x1", "16.1.7"),
        ("15.4.0", Some("any"), false, 0, "upgraded 0 x1", "15.4.0"),
        ("17.0.0", Some("no"), false, 0, "upgraded 0 x1", "17.0.0"),
    ];
    for (version, downgrade, force, exit, verdict, after) in stories {
        let (e, v, a) = offered(version, downgrade, force);
        assert_eq!((e, v.as_str(), a.as_str()), (exit, verdict, after), "{version} {downgrade:?} {force}");
    }
}

#[test]
fn h30_the_repository_that_is_named_is_the_one_that_is_asked() {
    let host = Host::new();
    host.write("etc/apt/sources.list.d/mirror.sources", "Types: deb\n");
    host.configure("repo", "mirror");
    assert_eq!(host.run().exit, 0);
    assert_eq!(host.transcript().matches("-o Dir::Etc::sourcelist=/etc/apt/sources.list.d/mirror.sources ").count(), 6);
    host.configure("repo", "mirrow");
    host.offers("16.2.1");
    let ran = host.run();
    assert_eq!(
        ran.own_words()[3..],
        [
            "[!] `repo` says mirrow, but there is neither /etc/apt/sources.list.d/mirrow.sources nor /etc/apt/sources.list.d/mirrow.list",
            "    next: name one of the source files there (mirror, teleport) or remove the file `repo`",
        ]
    );
    assert_eq!((ran.exit, ran.started), (78, Vec::new()));
}

#[test]
fn a_host_without_a_package_manager_we_know_is_never_silently_nop() {
    let host = Host::new();
    fs::remove_file(host.program("dpkg-query")).unwrap();
    let ran = host.run();
    assert_eq!(
        ran.own_words()[3..],
        [
            "[!] this host has no package manager that this program can drive (looked for apt-get with dpkg-query, and for dnf, yum or zypper with rpm)",
            "    next: write `nop` into the file `installer` if something else installs the agent here",
        ]
    );
    assert_eq!(ran.exit, 78);
}

#[test]
fn an_agent_that_was_removed_is_not_brought_back() {
    let host = Host::new();
    fs::remove_file(host.root("usr/local/bin/teleport")).unwrap();
    host.state("installed", "deinstall ok config-files 16.1.7\n");
    let ran = host.run();
    assert!(ran.said.ends_with("[!] no agent to upgrade: teleport-ent-fips or teleport-ent or teleport is not installed\n    next: install the agent's package, or name it in the file `package`\n"), "{}", ran.said);
    assert_eq!(ran.did(), (78, Vec::new()));
}

#[test]
fn h35_a_configuration_that_others_can_write_is_refused_before_anything_is_asked() {
    let host = Host::new();
    fs::set_permissions(host.root("etc/teleport-upgrade.d/endpoint"), Permissions::from_mode(0o664)).unwrap();
    let ran = host.run();
    assert_eq!(
        ran.said,
        "[!] /etc/teleport-upgrade.d/endpoint can be written by others than root (mode 0664), and what it says decides what root installs
    next: look at what it says, then: chown root:root /etc/teleport-upgrade.d/endpoint && chmod 0644 /etc/teleport-upgrade.d/endpoint
"
    );
    assert_eq!((ran.exit, ran.started, host.server.accepted()), (78, Vec::new(), 0));
    assert_eq!(host.verdicts(), ["config 78 x1"]);
}
