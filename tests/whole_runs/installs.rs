//! `install`: hosts that have this program and a repository, but no agent; and what it does where there is one.

use std::fs;

use teleport_upgrade::upgrade::install::{Channel, Wanted};

use super::Host;

/// No agent: no package, no binary, no process.
fn host() -> Host {
    let host = Host::new();
    for path in [host.path_of_trouble("x").with_file_name("installed"), host.root("usr/local/bin/teleport")] {
        fs::remove_file(path).unwrap();
    }
    fs::remove_dir_all(host.root("proc/100")).unwrap();
    fs::remove_file(host.root("run/teleport.pid")).unwrap();
    host.state("unit", "LoadState=loaded\nActiveState=inactive\nUnitFileState=disabled\n");
    host
}

fn exactly(version: &str) -> Wanted {
    Wanted::Exactly(version.parse().unwrap())
}

/// A proxy on this very machine, whose answers are those of the host's version server.
fn offered(host: &Host) -> Wanted {
    Wanted::Offered(Channel::new(&format!("127.0.0.1:{}", host.server.port), "default").unwrap())
}

const BROUGHT: [&str; 3] = ["apt-get update", "apt-get install teleport-ent=16.2.0", "apt-mark hold teleport-ent"];

fn without_repeats(ran: &super::super::support::host::Ran) -> Vec<String> {
    let mut changed = ran.changed.clone();
    changed.dedup();
    changed
}

#[test]
fn an_agent_is_brought_at_the_version_that_is_asked_for_and_held_and_not_started() {
    let host = host();
    let ran = host.install(&exactly("16.2.0"));
    assert_eq!((ran.exit, without_repeats(&ran)), (0, BROUGHT.map(str::to_owned).to_vec()), "{}", ran.said);
    assert!(ran.said.contains("[i] teleport.service is not running (inactive, disabled): it is left so.\n"), "{}", ran.said);
    assert!(ran.said.ends_with("[i] upgraded to 16.2.0.\n"), "{}", ran.said);
    assert_eq!(host.known("installed"), "hold ok installed 16.2.0\n");
    assert_eq!(host.verdicts(), ["upgraded 0 x1"]);
    let again = host.install(&exactly("16.2.0"));
    assert_eq!(again.did(), (0, Vec::new()));
    assert!(again.said.ends_with("[i] teleport-ent 16.2.0 is installed already; nothing was changed.\n"), "{}", again.said);
}

#[test]
fn a_pin_says_which_version_is_brought_and_the_server_is_not_asked() {
    let host = host();
    host.configure("pin", "16.2.0");
    host.offers("16.1.7");
    let before = host.server.accepted();
    let ran = host.install(&offered(&host));
    assert_eq!((ran.exit, without_repeats(&ran)), (0, BROUGHT.map(str::to_owned).to_vec()), "{}", ran.said);
    assert_eq!(host.server.accepted(), before);
}

#[test]
fn another_version_than_the_pin_is_not_brought() {
    let host = host();
    host.configure("pin", "16.1.7");
    let ran = host.install(&exactly("16.2.0"));
    assert_eq!(ran.did(), (78, Vec::new()));
    assert!(ran.said.contains("16.2.0 is to be installed, and the file `pin` says 16.1.7\n    next: "), "{}", ran.said);
}

#[test]
fn an_agent_is_brought_at_what_the_cluster_offers_and_the_cluster_is_asked_from_then_on() {
    let host = host();
    let ran = host.install(&offered(&host));
    assert_eq!((ran.exit, without_repeats(&ran)), (0, BROUGHT.map(str::to_owned).to_vec()), "{}", ran.said);
    let written = fs::read_to_string(host.root("etc/teleport-upgrade.d/endpoint")).unwrap();
    assert_eq!(written, format!("127.0.0.1:{}/v1/webapi/automaticupgrades/channel/default\n", host.server.port));
    assert!(ran.said.starts_with("[i] /etc/teleport-upgrade.d/endpoint says 127.0.0.1:PORT/v1/webapi/automaticupgrades/channel/default now; it said \"127.0.0.1:PORT/v1\" before.\n"), "{}", ran.said);
}

#[test]
fn a_cluster_that_wants_no_version_now_says_what_to_do_and_nothing_is_installed() {
    let host = host();
    host.offers("none");
    let ran = host.install(&offered(&host));
    assert_eq!(ran.did(), (69, Vec::new()));
    assert!(ran.said.contains("wants no version now\n    next: ask again later"), "{}", ran.said);
}

#[test]
fn an_agent_that_is_there_is_moved_to_what_is_offered_and_never_to_what_is_only_asked_for() {
    let host = Host::new();
    host.no_window();
    let ran = host.install(&exactly("16.2.0"));
    assert_eq!(ran.did(), (78, Vec::new()));
    assert!(ran.said.contains("[!] teleport-ent 16.1.7 is installed already, and `install` moves no agent\n    next: write 16.2.0 into the file `pin`, then: teleport-upgrade force"), "{}", ran.said);
    let ran = host.install(&offered(&host));
    assert_eq!((ran.exit, host.known("installed").as_str()), (0, "hold ok installed 16.2.0\n"));
}

#[test]
fn an_installation_that_fails_leaves_the_host_without_an_agent_and_without_a_note() {
    let host = host();
    host.trouble("apt-get-install", "echo 'E: Unable to locate package teleport-ent'; exit 100");
    let ran = host.install(&exactly("16.2.0"));
    assert_eq!(ran.exit, 69, "{}", ran.said);
    assert_eq!(host.recorded("/pending"), "null");
    host.no_trouble("apt-get-install");
    assert_eq!(host.install(&exactly("16.2.0")).exit, 0);
}

#[test]
fn a_version_that_no_repository_has_is_named() {
    let host = host();
    let ran = host.install(&exactly("16.9.9"));
    assert_eq!((ran.exit, ran.changed), (69, vec!["apt-get update".to_owned()]));
    assert!(
        ran.said.contains("[!] there is no teleport-ent or teleport 16.9.9 in /etc/apt/sources.list.d/teleport.list\n"),
        "{}",
        ran.said
    );
}

/// Killed in the middle: neither "installed already" nor begun from the start.
#[test]
fn h04_an_installation_that_was_cut_off_is_finished_by_a_run_and_not_called_done() {
    let host = host();
    host.install(&exactly("16.2.0"));
    host.state("installed", "hold ok half-configured 16.2.0\n");
    let ran = host.install(&exactly("16.2.0"));
    assert_eq!(ran.did(), (69, Vec::new()));
    let sentence = "[!] the installation of teleport-ent 16.2.0 was cut off\n    next: finish it: teleport-upgrade run\n";
    assert!(ran.said.ends_with(sentence), "{}", ran.said);
}
