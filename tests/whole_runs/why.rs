//! What a run leaves behind for those who ask why: its account in the record, `status`, a pause, metrics.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use teleport_upgrade::host::machine::Attendance;
use teleport_upgrade::rules::pause::LetsThrough;
use teleport_upgrade::upgrade::pause::End;
use teleport_upgrade::upgrade::status::Ask;

use crate::support::host::{HOUR, Host, NOON};

const PAUSE: &str = "var/lib/teleport-upgrade/pause.json";
const METRICS: &str = "var/lib/metrics/teleport_upgrade.prom";

fn outside_the_window() -> Host {
    let host = Host::new();
    host.window(NOON + 4 * HOUR, NOON + 5 * HOUR);
    host
}

fn with_metrics(host: Host) -> Host {
    host.write("var/lib/metrics/other.prom", "");
    host.configure("metrics", "/var/lib/metrics");
    host
}

#[test]
fn a_run_leaves_an_account_of_what_it_knew_what_it_came_to_and_what_will_change_that() {
    let host = outside_the_window();
    host.run();
    assert_eq!(
        host.recorded("/last/inputs/schedule"),
        r#"{"ahead":[{"start":1795622400,"stop":1795626000}],"state":"read","why":null,"written":1795604400}"#
    );
    assert_eq!(host.recorded("/last/inputs/installed"), r#""16.1.7""#);
    assert_eq!(host.recorded("/last/inputs/wanted"), r#""16.2.0""#);
    assert_eq!(host.recorded("/last/inputs/critical"), r#""no""#);
    assert_eq!(host.recorded("/last/inputs/hold"), r#"{"by":"nobody"}"#);
    assert_eq!(host.recorded("/last/inputs/agent"), r#"{"complaint":null,"pid":100}"#);
    assert_eq!(host.recorded("/last/code"), r#""outside-window""#);
    assert_eq!(host.recorded("/last/change"), r#"{"at":1795622400,"what":"the window opens"}"#);
    assert_eq!((host.recorded("/last/at"), host.recorded("/last/exit")), (NOON.to_string(), "0".into()));
}

#[test]
fn a_run_that_reaches_no_server_accounts_for_what_it_knew_all_the_same() {
    let host = outside_the_window();
    host.configure("endpoint", "127.0.0.1:1/v1");
    assert_eq!(host.run().exit, 75);
    assert_eq!(host.recorded("/last/inputs/installed"), r#""16.1.7""#);
    assert_eq!(host.recorded("/last/inputs/wanted"), "null");
    assert_eq!(host.recorded("/last/inputs/asked"), r#"{"server":"127.0.0.1:1/v1"}"#);
    assert_eq!(host.recorded("/last/code"), r#""network""#);
    assert_eq!(host.recorded("/succeeded"), "null");
}

#[test]
fn who_holds_the_package_is_asked_once_until_something_changes() {
    let host = outside_the_window();
    assert!(host.run().started.iter().any(|line| line.starts_with("dpkg-query")));
    assert_eq!(host.run().started, Vec::<String>::new());
    host.state("installed", "hold ok installed 16.1.7\n");
    host.write("var/lib/dpkg/status", "a hold was set");
    host.run();
    assert_eq!(host.recorded("/last/inputs/hold"), r#"{"by":"administrator","how":"held"}"#);
    assert_eq!(host.run().started, Vec::<String>::new());
}

#[test]
fn a_pause_is_obeyed_by_runs_passed_by_critical_ones_and_by_force_and_ended_by_resume() {
    let host = Host::new();
    let ran = host.pause(End::After(14 * 24 * HOUR), Some("change freeze"), LetsThrough::Critical);
    assert_eq!(
        ran.said,
        "[i] paused until Wed 2026-12-09 12:00 UTC = 21:00 KST by root at Wed 2026-11-25 12:00 UTC (change freeze).
[i] upgrades go on in 14 d, or with `teleport-upgrade resume`.
[i] a critical upgrade comes all the same; `--even-critical` would stop that, too.
"
        .replace("root", &host.name_of_the_user())
    );
    let ran = host.run();
    assert_eq!((ran.exit, ran.changed), (0, Vec::new()));
    assert_eq!(host.verdicts(), ["paused 0 x1"]);
    assert_eq!(host.recorded("/last/change"), r#"{"at":1796817600,"what":"the pause ends, or `teleport-upgrade resume`"}"#);
    host.critical("yes");
    assert!(host.run().said.contains("[i] upgraded from 16.1.7 to 16.2.0.\n"));

    let host = Host::new();
    host.pause(End::Open, Some("freeze by Kim"), LetsThrough::Nothing);
    // Somebody else's freeze does not go unseen.
    let said = host.pause(End::Open, None, LetsThrough::Nothing).said;
    assert!(said.contains("\n[!] before, they were paused until somebody resumes by "), "{said}");
    assert!(said.contains(" (freeze by Kim)") && said.contains(": that is over now.\n"), "{said}");
    host.critical("yes");
    assert_eq!(host.run().changed, Vec::<String>::new());
    assert_eq!(host.recorded("/last/change/what"), r#""somebody resumes: teleport-upgrade resume""#);
    assert!(host.resume().said.starts_with("[i] upgrades go on: they were paused until somebody resumes by "));
    assert!(!host.root(PAUSE).exists());
    assert_eq!(host.resume().said, "[i] upgrades were not paused; nothing was changed.\n");
    host.pause(End::Open, None, LetsThrough::Nothing);
    assert!(host.force().said.contains("[i] upgraded from 16.1.7 to 16.2.0.\n"));
}

#[test]
fn a_pause_ends_by_itself() {
    let host = Host::new();
    // 21:30 on this host's clock.
    host.pause(End::Until("2026-11-25 21:30".into()), None, LetsThrough::Critical);
    assert_eq!(host.run().changed, Vec::<String>::new());
    host.at(NOON + HOUR / 2);
    assert!(host.run().said.contains("[i] upgraded from 16.1.7 to 16.2.0.\n"));
}

#[test]
fn a_pause_that_makes_no_sense_is_none_and_one_that_cannot_be_read_is_said() {
    let host = Host::new();
    let ran = host.pause(End::Until("2026-11-25 11:00".into()), None, LetsThrough::Critical);
    assert_eq!(ran.exit, 64);
    assert!(ran.said.starts_with("[!] --until Wed 2026-11-25 02:00 UTC lies in the past\n"), "{}", ran.said);
    assert!(!host.root(PAUSE).exists());
    host.pause(End::Open, None, LetsThrough::Critical);
    host.write(PAUSE, "{\"by\":");
    let ran = host.run();
    assert_eq!((ran.exit, ran.changed), (0, Vec::new()), "nobody knows until when, but somebody wants none");
    assert!(ran.said.contains("says that upgrades are paused, but cannot be read: "), "{}", ran.said);
    assert_eq!(host.verdicts(), ["paused 0 x1"]);
    let (code, screen) = host.status(Ask::Server);
    assert!(code == 1 && screen.contains("cannot be read: EOF while parsing"), "{screen}");
    host.write(PAUSE, r#"{"by":"x\u001b[2J","since":1,"until":null,"reason":null,"lets_through":"nothing"}"#);
    assert!(host.run().said.contains("it has control characters in it"));
    assert_eq!(host.resume().said, "[i] upgrades go on; what the pause said could not be read.\n");
    assert!(host.run().said.contains("[i] upgraded from 16.1.7 to 16.2.0.\n"));
}

#[test]
fn a_host_waits_for_its_turn_in_an_open_window_and_a_person_does_not() {
    let mut host = Host::new();
    host.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    host.configure("spread", "100");
    // 13 min 12 s into it: see rules/turn.rs.
    assert!(host.run().said.contains(
        "[i] the window is open until Wed 2026-11-25 13:00 UTC, but `spread` lets other hosts go first: this one's turn is at Wed 2026-11-25 12:13 UTC, in 13 min.\n"
    ));
    assert_eq!(host.verdicts(), ["before-turn 0 x1"]);
    assert_eq!(host.recorded("/last/change"), r#"{"at":1795608792,"what":"this host's turn in the window comes"}"#);
    host.at(NOON + 791);
    assert_eq!(host.run().changed, Vec::<String>::new());
    host.attendance = Attendance::Person;
    assert!(host.run().said.contains("[i] upgraded from 16.1.7 to 16.2.0.\n"));
    host.attendance = Attendance::Timer;
    host.offers("16.2.1");
    assert_eq!(host.run().exit, 0);
    assert_eq!(host.recorded("/last/code"), r#""before-turn""#, "another version, another turn");
}

#[test]
fn a_run_leaves_its_account_as_metrics_for_the_collector_to_read() {
    let host = with_metrics(outside_the_window());
    host.run();
    let text = fs::read_to_string(host.root(METRICS)).unwrap();
    let samples: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(
        samples,
        [
            concat!(
                "teleport_upgrade_info{updater=\"",
                env!("CARGO_PKG_VERSION"),
                "\",installed=\"16.1.7\",target=\"16.2.0\"} 1"
            ),
            "teleport_upgrade_converged 0",
            "teleport_upgrade_last_check_timestamp_seconds 1795608000",
            "teleport_upgrade_last_success_timestamp_seconds 1795608000",
            "teleport_upgrade_next_window_start_timestamp_seconds 1795622400",
            "teleport_upgrade_next_window_end_timestamp_seconds 1795626000",
            "teleport_upgrade_changes_total{result=\"upgraded\"} 0",
            "teleport_upgrade_changes_total{result=\"failed\"} 0",
            "teleport_upgrade_changes_total{result=\"went-back\"} 0",
            "teleport_upgrade_changes_total{result=\"rolled-back\"} 0",
            "teleport_upgrade_last_run_duration_seconds 0.000",
            "teleport_upgrade_last_run_exit_code 0",
            "teleport_upgrade_agent_down_seconds 0.000",
            "teleport_upgrade_blocked{reason=\"outside-window\"} 1",
        ]
    );
    assert_eq!(fs::metadata(host.root(METRICS)).unwrap().permissions().mode() & 0o7777, 0o644);
    host.at(NOON + 4 * HOUR);
    host.run();
    let text = fs::read_to_string(host.root(METRICS)).unwrap();
    for sample in ["converged 1", "changes_total{result=\"upgraded\"} 1", "last_convergence_timestamp_seconds 1795622400"] {
        assert!(text.contains(&format!("\nteleport_upgrade_{sample}\n")), "{text}");
    }
    assert!(!text.contains("blocked") && text.contains("installed=\"16.2.0\",target=\"16.2.0\""), "{text}");
}

#[test]
fn monitors_hear_of_a_broken_configuration_and_nothing_stays_when_metrics_are_not_wanted_any_more() {
    let host = with_metrics(outside_the_window());
    host.run();
    host.configure("pin", "16.2");
    assert_eq!(host.run().exit, 78);
    let text = fs::read_to_string(host.root(METRICS)).unwrap();
    assert!(
        text.contains("\nteleport_upgrade_last_run_exit_code 78\n") && text.contains("blocked{reason=\"config\"} 1"),
        "{text}"
    );
    host.unconfigure("pin");
    host.unconfigure("metrics");
    host.run();
    assert!(!host.root(METRICS).exists());
    host.configure("metrics", "/var/lib/metrics");
    host.run();
    assert!(host.root(METRICS).exists());
    host.release(None);
    assert!(!host.root(METRICS).exists(), "the package is being removed");
}

#[test]
fn h35_metrics_go_into_no_directory_that_somebody_else_can_write_or_put_in_its_place() {
    let host = with_metrics(outside_the_window());
    let directory = host.root("var/lib/metrics");
    let refused = |why: &str| {
        let ran = host.run();
        assert_eq!(ran.exit, 0);
        assert!(ran.said.contains(&format!("[!] the file `metrics` names /var/lib/metrics: {why}\n    next: ")), "{}", ran.said);
    };
    fs::set_permissions(&directory, Permissions::from_mode(0o777)).unwrap();
    refused("it is not root's alone, so root writes nothing there");
    fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
    fs::rename(&directory, host.root("var/lib/elsewhere")).unwrap();
    refused("there is no such directory");
    symlink("elsewhere", &directory).unwrap();
    refused("metrics in it is no directory, or a link");
    assert!(!host.root("var/lib/elsewhere/teleport_upgrade.prom").exists());
    fs::remove_file(&directory).unwrap();
    fs::rename(host.root("var/lib/elsewhere"), &directory).unwrap();
    // What lies there already under the name of the file that is being written is no way out, either.
    symlink(host.root("etc/shadow"), directory.join("teleport_upgrade.prom.new")).unwrap();
    host.run();
    assert!(host.root(METRICS).exists() && !host.root("etc/shadow").exists());
}

#[test]
fn status_says_on_one_screen_how_a_host_stands_and_changes_nothing() {
    let host = outside_the_window();
    host.write("proc/sys/kernel/hostname", "web-1\n");
    host.write("proc/uptime", "360000.00 1.00\n");
    host.run();
    host.at(NOON + 600);
    let before = host.listing();
    let (code, screen) = host.status(Ask::Server);
    assert_eq!(
        screen,
        concat!(
            "teleport-upgrade ",
            env!("CARGO_PKG_VERSION"),
            " on web-1, Wed 2026-11-25 12:10 UTC = 21:10 KST

agent      teleport-ent 16.1.7, well (pid 100, for 4 d 3 h)
wanted     16.2.0, by 127.0.0.1:PORT/v1
verdict    16.2.0 waits for the window Wed 2026-11-25 16:00-17:00 UTC = Thu 2026-11-26 01:00-02:00 KST, in 3 h 50 min (outside-window)
next       the window opens
windows    next: Wed 2026-11-25 16:00-17:00 UTC = Thu 2026-11-26 01:00-02:00 KST, in 3 h 50 min; schedule written 1 h 10 min ago
hold       none
timer      there is none
last run   Wed 2026-11-25 12:00 UTC = 21:00 KST, 10 min ago, took 0 ms: outside-window (exit 0)

Last outcomes
  Wed 2026-11-25 12:00 UTC  outside-window  16.2.0 waits for its moment
"
        )
    );
    assert_eq!(code, 0);
    assert_eq!(host.listing(), before);
}

#[test]
fn status_names_the_timers_next_run_and_what_stands_in_for_this_program() {
    let host = outside_the_window();
    host.state("timer", "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nNextElapseUSecMonotonic=3d 20min\n");
    host.state("updater", "ActiveState=inactive\nExecStart={ path=/bin/true ; argv[]=/bin/true ; }\nDropInPaths=/etc/systemd/system/teleport-upgrade.service.d/off.conf\n");
    host.run();
    let (code, screen) = host.status(Ask::Server);
    assert!(screen.contains("\ntimer      next run Wed 2026-11-25 12:20 UTC = 21:20 KST, in 20 min\n"), "{screen}");
    assert!(screen.contains("  ! teleport-upgrade.service starts something else, or nothing: look at /etc/systemd/system/teleport-upgrade.service.d/off.conf\n"), "{screen}");
    assert_eq!(code, 1);
    host.state(
        "updater",
        "ActiveState=activating\nExecStart={ path=/usr/sbin/teleport-upgrade ; argv[]=/usr/sbin/teleport-upgrade run ; }\n",
    );
    host.state("timer", "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nNextElapseUSecMonotonic=infinity\n");
    let (code, screen) = host.status(Ask::Server);
    assert!(code == 0 && screen.contains("\ntimer      a run is at work now\n"), "{screen}");
}

#[test]
fn without_the_server_status_says_what_the_last_run_heard_and_that_it_cannot_tell() {
    let host = outside_the_window();
    host.run();
    host.at(NOON + 600);
    let (code, screen) = host.status(Ask::Nobody);
    assert_eq!(code, 0, "{screen}");
    assert!(
        screen.contains("\nwanted     16.2.0, by 127.0.0.1:PORT/v1, as of Wed 2026-11-25 12:00 UTC = 21:00 KST, 10 min ago\n"),
        "{screen}"
    );
    host.configure("endpoint", "127.0.0.1:1/v1");
    let (code, screen) = host.status(Ask::Server);
    assert_eq!(code, 0, "the last run could: {screen}");
    assert!(screen.contains("(outside-window)\n") && screen.contains("  - the version server cannot be asked now: "), "{screen}");
    host.run();
    let (code, screen) = host.status(Ask::Server);
    assert_eq!(code, 2, "{screen}");
    assert!(
        screen.contains("  ? the version server cannot be asked now: ") && screen.contains("; it was last heard 10 min ago\n"),
        "{screen}"
    );
    assert!(screen.contains("as of Wed 2026-11-25 12:00 UTC = 21:00 KST, 10 min ago\n"), "{screen}");
    // A day without a good run is too long.
    host.at(NOON + 25 * HOUR);
    host.run();
    assert_eq!(host.status(Ask::Server).0, 1);
    let host = Host::new();
    let (code, screen) = host.status(Ask::Nobody);
    assert_eq!(code, 1, "no run has ended in three days\n{screen}");
    assert!(screen.contains("\nverdict    no run has heard yet which version is wanted"), "{screen}");
}

#[test]
fn an_attempt_that_came_to_nothing_is_not_forgotten_while_the_next_window_is_waited_for() {
    let host = Host::new();
    host.state("repository", "16.1.7 500\n");
    assert_eq!(host.run().exit, 69);
    let (code, screen) = host.status(Ask::Server);
    assert!(
        code == 1
            && screen.contains("verdict    teleport-ent 16.2.0 is not in the repository: ")
            && screen.contains(" (repository)\n"),
        "{screen}"
    );
    host.at(NOON + 2 * HOUR);
    host.window(NOON + 24 * HOUR, NOON + 25 * HOUR);
    host.run();
    let (code, screen) = host.status(Ask::Server);
    assert_eq!(code, 1);
    assert!(screen.contains("(outside-window)\n"), "{screen}");
    assert!(screen.contains("  ! the last attempt at 16.2.0, at Wed 2026-11-25 12:00 UTC, came to nothing: teleport-ent 16.2.0 is not in the repository: "), "{screen}");
    host.offers("16.2.1");
    assert_eq!(host.status(Ask::Server).0, 0, "of another version nothing is known");
    host.offers("16.2.0");
    host.state("repository", "16.2.0 500\n16.1.7 500\n");
    host.force();
    assert_eq!(host.recorded("/attempt"), "null");
}

#[test]
fn what_stops_every_run_is_the_verdict_and_not_that_the_next_one_upgrades() {
    let due = |host: &Host| host.status(Ask::Server);
    let host = Host::new();
    host.configure("installer", "nop");
    host.run();
    let (code, screen) = due(&host);
    assert!(code == 0 && screen.contains("(left-to-others)\n"), "{screen}");
    let host = Host::new();
    host.state("repository", "16.2.0 -1\n16.1.7 500\n");
    host.run();
    let (code, screen) = due(&host);
    assert!(code == 1 && screen.contains("pinned away with Pin-Priority -1") && screen.contains("(blocked)\n"), "{screen}");
    let host = Host::new();
    host.configure("repo", "nowhere");
    let (code, screen) = due(&host);
    assert!(code == 1 && screen.contains("(config)\n"), "{screen}");
    let host = Host::new();
    host.state("package", "nothing\n");
    fs::remove_file(host.root("usr/local/bin/teleport")).unwrap();
    let (code, screen) = due(&host);
    assert!(code == 1 && screen.contains("\nagent      there is none\n") && !screen.contains("is due"), "{screen}");
}

#[test]
fn while_a_run_is_at_work_nothing_is_called_broken_and_nothing_that_was_known_is_forgotten() {
    let host = Host::new();
    host.window(NOON + 4 * HOUR, NOON + 5 * HOUR);
    host.run();
    host.critical("yes");
    host.trouble("apt-get-install", "cp \"$root/var/lib/teleport-upgrade/record.json\" \"$state/record-in-between\"");
    host.run();
    let between: serde_json::Value = serde_json::from_str(&host.known("record-in-between")).unwrap();
    assert_eq!(between["last"]["code"], "outside-window", "the account of the run before");
    assert_eq!(between["pending"]["step"], "install");
    // What it died in is broken, and the same with its process alive is at work.
    host.write("var/lib/teleport-upgrade/record.json", &host.known("record-in-between"));
    let (code, screen) = host.status(Ask::Server);
    assert!(code == 1 && screen.contains(" is not finished\n"), "{screen}");
    let started = format!("{} (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 777 0\n", std::process::id());
    host.write(&format!("proc/{}/stat", std::process::id()), &started);
    host.write(
        "var/lib/teleport-upgrade/record.json",
        &host
            .known("record-in-between")
            .replace("\"by\":null", &format!("\"by\":{{\"pid\":{},\"started\":777}}", std::process::id())),
    );
    let (_, screen) = host.status(Ask::Server);
    assert!(!screen.contains("not finished"), "{screen}");
}

#[test]
fn what_a_person_did_is_no_convergence() {
    let host = Host::new();
    host.run();
    assert_eq!(host.recorded("/converged"), NOON.to_string());
    host.at(NOON + HOUR);
    host.rollback();
    host.rollback();
    assert_eq!(host.recorded("/converged"), NOON.to_string(), "twice is as good as once");
    assert_eq!(host.verdicts(), ["upgraded 0 x1", "rolled-back 0 x1", "held-back 0 x1"]);
    assert_eq!(host.recorded("/last/inputs/installed"), r#""16.1.7""#);
}

#[test]
fn orders_to_the_terminal_that_were_written_into_the_record_are_not_given() {
    let host = outside_the_window();
    host.run();
    let text = fs::read_to_string(host.root("var/lib/teleport-upgrade/record.json")).unwrap();
    host.write("var/lib/teleport-upgrade/record.json", &text.replace("waits for its moment", r"\u001b[2J\u0007 x"));
    let (_, screen) = host.status(Ask::Server);
    assert!(!screen.contains('\x1b') && screen.contains("?[2J? x"), "{screen}");
}

#[test]
fn status_says_what_the_verdict_alone_would_hide() {
    let host = outside_the_window();
    host.run();
    host.state("installed", "hold ok installed 16.1.7\n");
    let (code, screen) = host.status(Ask::Server);
    assert!(
        code == 1 && screen.contains("(blocked)\nnext       the hold ends, or `teleport-upgrade force`, which keeps it\n"),
        "{screen}"
    );
    host.state("installed", "install ok installed 16.1.7\n");
    host.state("unit", "LoadState=loaded\nActiveState=inactive\nUnitFileState=enabled\n");
    let (code, screen) = host.status(Ask::Server);
    assert!(code == 1 && screen.contains("  ! the agent does not run: systemd says: inactive, enabled\n"), "{screen}");
}
