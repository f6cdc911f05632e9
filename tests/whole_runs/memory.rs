//! Several runs under one moving clock: back-off, suspicion of an ill agent, versions that flicker.

use crate::support::host::{HOUR, Host, NOON};

const MINUTE: i64 = 60;
const FAILING: &str = "echo 'pre-installation script subprocess returned error exit status 1'; exit 100";

#[test]
fn a_version_that_failed_waits_longer_each_time_and_force_overrides() {
    let host = Host::new();
    host.window(NOON, NOON + 9 * HOUR);
    host.trouble("apt-get-install", FAILING);
    assert_eq!(host.run().exit, 69);
    host.at(NOON + HOUR - 1);
    let ran = host.run();
    assert_eq!(
        ran.own_words(),
        [
            "[i] an upgrade is available (16.1.7 -> 16.2.0)",
            "[!] 16.2.0 failed on this host before, not attempting again until Wed 2026-11-25 13:00 UTC, in 1 s; a new target or `teleport-upgrade force` ends the wait.",
        ]
    );
    assert_eq!((ran.exit, ran.changed), (0, Vec::new()));
    host.at(NOON + HOUR);
    assert_eq!(host.run().exit, 69);
    host.at(NOON + 3 * HOUR - 1);
    assert_eq!(host.run().exit, 0, "two hours after the second failure");
    host.no_trouble("apt-get-install");
    let ran = host.force();
    assert_eq!(ran.own_words()[1], "[i] forced: upgrade will be attempted without checking maintenance window.");
    assert_eq!(ran.exit, 0);
    assert_eq!(host.recorded("/memory/failed"), "null");
    assert_eq!(host.verdicts(), ["package 69 x1", "failed-before 0 x1", "package 69 x1", "failed-before 0 x1", "upgraded 0 x1"]);
}

#[test]
fn another_target_ends_the_wait_after_a_failure() {
    let host = Host::new();
    host.trouble("apt-get-install", FAILING);
    host.run();
    host.no_trouble("apt-get-install");
    host.offers("16.2.1");
    assert_eq!(host.run().exit, 0);
    assert_eq!(host.known("installed"), "hold ok installed 16.2.1\n");
    assert_eq!(host.recorded("/memory/failed"), "null");
}

#[test]
fn h24_an_agent_without_a_schedule_is_marked_first_and_upgraded_by_a_run_ten_minutes_after() {
    let host = Host::new();
    host.no_window();
    let ran = host.run();
    assert_eq!(
        ran.own_words(),
        [
            "[i] an upgrade is available (16.1.7 -> 16.2.0)",
            "[!] agent does not appear to have exported a valid upgrade schedule.",
            "[!] agent is new, or newly unhealthy. marking for potential future upgrade.",
            "[!] there is no schedule file; a run at least 10 minutes after Wed 2026-11-25 12:00 UTC will act if that is still so.",
        ]
    );
    assert_eq!((ran.exit, host.recorded("/memory/unhealthy_since").as_str()), (0, "1795608000"));
    host.at(NOON + 10 * MINUTE - 1);
    host.run();
    assert_eq!(host.recorded("/memory/unhealthy_since"), "1795608000");
    assert_eq!(host.verdicts(), ["maybe-unhealthy 0 x2"]);
    host.at(NOON + 10 * MINUTE);
    let ran = host.run();
    assert_eq!(
        ran.own_words()[1..4],
        [
            "[!] agent does not appear to have exported a valid upgrade schedule.",
            "[!] agent was previously marked unhealthy and does not appear recovered, upgrade will be attempted.",
            "[!] there is no schedule file; first seen so at Wed 2026-11-25 12:00 UTC, 10 min ago.",
        ]
    );
    assert_eq!(host.known("installed"), "hold ok installed 16.2.0\n");
    assert_eq!(host.recorded("/memory/unhealthy_since"), "null");
}

/// The acceptance list of the stock updater's maintainers has this beside the missing schedule.
#[test]
fn h24_a_schedule_that_is_all_past_is_treated_like_none_and_its_age_is_said() {
    let host = Host::new();
    host.window(NOON - 3 * HOUR, NOON - 2 * HOUR);
    let ran = host.run();
    assert_eq!(
        ran.own_words()[3],
        "[!] the last window in the schedule file ended 2 h ago, written 1 h ago; a run at least 10 minutes after Wed 2026-11-25 12:00 UTC will act if that is still so."
    );
    host.at(NOON + 28 * MINUTE);
    assert_eq!(host.run().changed, super::UPGRADE);
}

#[test]
fn h24_an_agent_that_exports_a_schedule_again_is_not_ill_any_more() {
    let host = Host::new();
    host.no_window();
    host.run();
    host.window(NOON + HOUR, NOON + 2 * HOUR);
    host.at(NOON + 5 * MINUTE);
    host.run();
    assert_eq!(host.recorded("/memory/unhealthy_since"), "null");
    host.no_window();
    host.at(NOON + 20 * MINUTE);
    host.run();
    assert_eq!(host.recorded("/memory/unhealthy_since"), "1795609200", "the suspicion begins anew");
    assert_eq!(host.known("installed"), "install ok installed 16.1.7\n");
}

#[test]
fn h24_a_schedule_that_cannot_be_trusted_never_hangs_the_run_and_has_a_sentence_of_its_own() {
    let host = Host::new();
    let schedule = host.root("etc/teleport-upgrade.d/schedule");
    let said = || host.run().own_words()[3].to_owned();
    let so = |what: &str| {
        format!(
            "[!] the schedule file {what}; a run at least 10 minutes after Wed 2026-11-25 12:00 UTC will act if that is still so."
        )
    };
    host.no_window();
    std::os::unix::fs::symlink("/dev/zero", &schedule).unwrap();
    assert_eq!(said(), so("is a symbolic link"));
    host.no_window();
    assert!(std::process::Command::new("mkfifo").arg(&schedule).status().unwrap().success());
    assert_eq!(said(), so("is not a regular file"));
    host.no_window();
    host.configure("schedule", &"1 2\n".repeat(20_000));
    assert_eq!(said(), so("is larger than 64 KiB"));
}

/// V30: proxies that disagree make agents flicker.
#[test]
fn a_version_that_was_left_lately_is_followed_only_after_a_second_look() {
    let host = Host::new();
    host.window(NOON, NOON + 5 * HOUR);
    host.run();
    host.offers("16.1.7");
    host.at(NOON + 28 * MINUTE);
    let ran = host.run();
    assert_eq!(
        ran.own_words(),
        [
            "[i] an upgrade is available (16.2.0 -> 16.1.7)",
            "[i] 16.1.7 was left less than a day ago and is offered again: waiting for a second look after Wed 2026-11-25 12:38 UTC, in case version servers disagree.",
        ]
    );
    assert_eq!((ran.exit, host.recorded("/memory/returning").as_str()), (0, r#"{"release":"16.1.7","since":1795609680}"#));
    host.offers("16.2.0");
    host.at(NOON + 56 * MINUTE);
    host.run();
    assert_eq!(host.recorded("/memory/returning"), "null", "the other proxy's word was the last");
    host.offers("16.1.7");
    host.at(NOON + 84 * MINUTE);
    host.run();
    host.at(NOON + 94 * MINUTE - 1);
    host.run();
    assert_eq!(host.known("installed"), "hold ok installed 16.2.0\n");
    host.at(NOON + 94 * MINUTE);
    assert_eq!(host.run().exit, 0);
    assert_eq!(host.known("installed"), "hold ok installed 16.1.7\n");
    assert_eq!(host.verdicts(), ["upgraded 0 x1", "returning 0 x1", "up-to-date 0 x1", "returning 0 x2", "upgraded 0 x1"]);
}

#[test]
fn a_version_that_was_left_lately_is_followed_at_once_when_it_is_critical() {
    let host = Host::new();
    host.run();
    host.offers("16.1.7");
    host.critical("yes");
    assert_eq!(host.run().exit, 0);
    assert_eq!(host.known("installed"), "hold ok installed 16.1.7\n");
    assert_eq!(host.server.asked()[1..], ["GET /v1/version HTTP/1.1", "GET /v1/critical HTTP/1.1"]);
}

#[test]
fn h12_on_a_clock_before_the_build_date_only_force_acts() {
    let host = Host::new();
    host.at(1_795_478_399);
    host.window(1_795_477_000, NOON);
    let ran = host.run();
    assert_eq!(
        ran.own_words(),
        [
            "[i] an upgrade is available (16.1.7 -> 16.2.0)",
            "[!] this host's clock says Mon 2026-11-23 23:59 UTC, before this program was built (Tue 2026-11-24 00:00 UTC): no window and no schedule can be trusted.",
            "    next: set the clock (`timedatectl set-ntp true`), or run `teleport-upgrade force`",
        ]
    );
    assert_eq!((ran.exit, ran.changed, host.verdicts()), (75, Vec::new(), vec!["clock 75 x1".to_owned()]));
    assert_eq!(host.force().exit, 0);
    assert_eq!(host.known("installed"), "hold ok installed 16.2.0\n");
}

#[test]
fn h13_a_server_that_is_down_is_tried_three_times_and_then_later() {
    let host = Host::new();
    host.configure("endpoint", "127.0.0.1:1/v1");
    let ran = host.run();
    assert_eq!(
        ran.said,
        "[!] fetching 127.0.0.1:1/v1/version in insecure mode (not safe for production use).
[!] failed to get target version, cannot proceed with update check.
[!] cannot fetch http://127.0.0.1:1/v1/version: Connection refused (os error 111)
    next: try it by hand: curl -v http://127.0.0.1:1/v1/version
"
    );
    assert_eq!((ran.exit, ran.pauses, ran.changed), (75, vec![1.0, 3.0], Vec::new()));
    assert_eq!(host.verdicts(), ["network 75 x1"]);
}

#[test]
fn h36_a_server_that_answers_nonsense_is_quoted_and_changes_nothing() {
    let host = Host::new();
    host.offers("16.2.0 -o APT::Get::AllowUnauthenticated=true");
    let ran = host.run();
    assert_eq!(
        ran.own_words()[..2],
        [
            "[!] failed to get target version, cannot proceed with update check.",
            "[!] http://127.0.0.1:PORT/v1/version answered \"16.2.0 -o APT::Get::AllowUnauthenticated=true\", which is not a version such as 16.2.0",
        ]
    );
    assert_eq!((ran.exit, ran.changed, host.verdicts()), (69, Vec::new(), vec!["server 69 x1".to_owned()]));
}
