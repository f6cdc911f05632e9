//! The proof of a new version: the agent is watched for as long as the operator wants, and only then the upgrade is done.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;

use crate::support::host::{Host, NOON};

const DIRECTORY: &str = "var/lib/teleport";
const NOT_READY: &str = "503 Service Unavailable";

/// A host whose operator wants a proof.
pub(super) fn host() -> Host {
    let host = Host::new();
    host.configure("verify-seconds", "60");
    host
}

/// The same, without a way back: the repository has dropped the version in use.
fn without_a_way_back() -> Host {
    let host = host();
    host.trouble("apt-get-install-download", "echo \"E: Version '16.1.7' for 'teleport-ent' was not found\"; exit 100");
    host
}

/// From the N-th question on, systemd says this as well. The first questions of a run come before the agent is restarted.
pub(super) fn from_question(host: &Host, number: u32, property: &str) {
    let count = "n=$(($(cat \"$state/questions\" 2>/dev/null || echo 0) + 1)); echo $n >\"$state/questions\"";
    host.trouble("systemctl-show", &format!("{count}; [ $n -lt {number} ] || {{ cat \"$state/unit\"; echo {property}; exit; }}"));
}

/// An agent that answers every question on its debug socket so; the socket has this name in its directory.
fn answers(host: &Host, name: &str, status: &'static str) {
    std::fs::create_dir_all(host.root(DIRECTORY)).unwrap();
    let listener = UnixListener::bind(host.root(DIRECTORY).join(name)).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 200]);
            let _ = stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes());
        }
    });
}

#[test]
fn an_agent_that_stays_well_for_all_of_its_time_makes_the_upgrade() {
    let host = host();
    let ran = host.run();
    assert_eq!(ran.did(), (0, super::keeping(&super::UPGRADE)));
    let words = ran.own_words();
    assert_eq!(words[words.len() - 2..], ["[i] watching the agent for 60 s.", "[i] upgraded from 16.1.7 to 16.2.0."]);
    assert_eq!(ran.pauses.iter().filter(|pause| **pause == 1.0).count(), 60);
    assert_eq!(host.recorded("/upgrades/0/at"), (NOON + 60).to_string());
}

#[test]
fn with_zero_seconds_nothing_is_watched() {
    let host = Host::new();
    let ran = host.run();
    assert_eq!(ran.exit, 0);
    assert!(!ran.said.contains("watching"), "{}", ran.said);
}

#[test]
fn h17_without_a_way_back_an_agent_that_dies_after_forty_seconds_is_a_persons_and_the_commands_are_named() {
    let host = without_a_way_back();
    from_question(&host, 40, "NRestarts=1");
    let ran = host.run();
    assert_eq!(ran.exit, 11, "{}", ran.said);
    let warning = "[!] no way back to 16.1.7, going on without: apt-get cannot download teleport-ent=16.1.7: the repository does not have that version\n";
    assert!(ran.said.contains(warning), "{}", ran.said);
    let end = "[!] no way back: the package of the version before was not kept.\n[!] teleport-ent 16.2.0 is installed, but the agent ended by itself and was restarted by systemd once\n    next: to go back: apt-get install --reinstall --allow-downgrades --allow-change-held-packages teleport-ent=16.1.7\n    to try again: apt-get install --reinstall --allow-downgrades --allow-change-held-packages teleport-ent=16.2.0\n";
    assert!(ran.said.ends_with(end), "{}", ran.said);
    assert_eq!(host.recorded("/pending/step"), r#""prove""#);
    assert_eq!(host.recorded("/upgrades/0/code"), r#""broken""#);
}

#[test]
fn an_agent_that_recovered_by_the_next_run_is_upgraded_without_another_installation() {
    let host = without_a_way_back();
    from_question(&host, 40, "NRestarts=1");
    assert_eq!(host.run().exit, 11);
    host.no_trouble("systemctl-show");
    let ran = host.run();
    assert_eq!((ran.exit, ran.changed.iter().any(|line| line.starts_with("apt-get install"))), (0, false), "{}", ran.said);
    assert!(
        ran.said.contains("brought the agent onto it, but did not see it through: looking at what is there."),
        "{}",
        ran.said
    );
    assert_eq!((host.recorded("/pending"), host.recorded("/upgrades/1/code")), ("null".into(), r#""upgraded""#.into()));
}

#[test]
fn an_agent_that_says_it_is_not_ready_at_the_end_is_no_success() {
    let host = without_a_way_back();
    // It was well before: the socket comes while the agent is watched.
    answers(&host, "later.sock", NOT_READY);
    let (socket, later) = (host.root("var/lib/teleport/debug.sock"), host.root("var/lib/teleport/later.sock"));
    host.later(1, move || std::fs::rename(later, socket).unwrap());
    let ran = host.run();
    assert_eq!(ran.exit, 11, "{}", ran.said);
    assert!(ran.said.contains("but the agent says that it is not ready (503 Service Unavailable)\n"), "{}", ran.said);
}

#[test]
fn an_agent_that_says_it_is_ready_is_well() {
    let host = host();
    answers(&host, "debug.sock", "200 OK");
    assert_eq!(host.run().exit, 0);
}

#[test]
fn h16_an_agent_that_was_ill_before_keeps_the_new_version() {
    let host = host();
    answers(&host, "debug.sock", NOT_READY);
    let ran = host.run();
    assert_eq!(ran.exit, 0, "{}", ran.said);
    let sentence = "[!] the agent says that it is not ready (503 Service Unavailable), but before the upgrade it was no better: the agent says that it is not ready (503 Service Unavailable). Keeping the version.\n";
    assert!(ran.said.contains(sentence), "{}", ran.said);
    assert_eq!(host.recorded("/memory/failed"), "null");
}

/// Nobody accepts: the connection itself must not hang, let alone the answer.
#[test]
fn h35_a_socket_on_which_nobody_answers_is_silence() {
    let host = host();
    host.configure("verify-seconds", "1");
    std::fs::create_dir_all(host.root("var/lib/teleport")).unwrap();
    let socket = host.root("var/lib/teleport/debug.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    // More than wait in its queue.
    let at_once = rustix::net::SocketFlags::NONBLOCK;
    let waiting: Vec<_> = std::iter::repeat_with(|| {
        let waits =
            rustix::net::socket_with(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM, at_once, None).unwrap();
        rustix::net::connect(&waits, &rustix::net::SocketAddrUnix::new(&socket).unwrap()).map(|()| waits)
    })
    .map_while(Result::ok)
    .collect();
    assert!(waiting.len() > 10);
    assert_eq!(host.run().exit, 0);
}

#[test]
fn h26_told_to_end_while_it_watches_it_leaves_the_watch_to_the_next_run() {
    let host = host();
    let orders = host.orders.clone();
    host.later(20, move || orders.give());
    let ran = host.run();
    assert_eq!(ran.exit, 0, "{}", ran.said);
    assert!(
        ran.said.contains("[!] this run was told to end before the agent has proven itself: the next run watches it.\n"),
        "{}",
        ran.said
    );
    assert_eq!(host.recorded("/pending/step"), r#""prove""#);
}

#[test]
fn h22_a_stopped_agent_is_proven_by_its_binary_alone() {
    let host = host();
    host.state("unit", "LoadState=loaded\nActiveState=inactive\nUnitFileState=enabled\nResult=success\n");
    let ran = host.run();
    assert_eq!(ran.did(), (0, super::keeping(&super::WITHOUT_THE_AGENT)));
    assert!(!ran.said.contains("watching"), "{}", ran.said);
}

#[test]
fn a_time_that_makes_no_sense_is_named() {
    for value in ["3601", "-1", "+5", "1m", "forever", "60 s"] {
        let host = Host::new();
        host.configure("verify-seconds", value);
        let ran = host.run();
        let sentence = format!(
            "[!] /etc/teleport-upgrade.d/verify-seconds line 1: \"{value}\" does not fit: \"{value}\" is no number of seconds up to 3600; accepted: a number of seconds up to 3600, such as 60; 0 for no proof\n"
        );
        assert!(ran.exit == 78 && ran.said.starts_with(&sentence), "{}", ran.said);
    }
}
