//! Whole runs in this process: a scratch host, stand-in programs, a real version server on this host. What was said, what was run in
//! which order and what lies on disk, as literals.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and makes a pipe with mkfifo"
)]

mod agent;
mod dry_runs;
mod enrolment;
mod failing_steps;
mod going_back;
mod half_installed;
mod holds;
mod installs;
mod leftovers;
mod memory;
mod mended;
mod policy;
mod proof;
mod record;
mod rpm_hosts;
mod served;
mod why;

use crate::support::host::{HOUR, Host, NOON};

const UPGRADE: [&str; 4] =
    ["apt-get update", "apt-get install teleport-ent=16.2.0", "apt-mark hold teleport-ent", "systemctl reload teleport.service"];
/// On a host whose agent is not to be touched, or is on the new version already.
const WITHOUT_THE_AGENT: [&str; 3] = ["apt-get update", "apt-get install teleport-ent=16.2.0", "apt-mark hold teleport-ent"];
/// The same where somebody watches the agent, on the first upgrade: the version before is fetched first, to be kept.
fn keeping<'c>(changes: &[&'c str]) -> Vec<&'c str> {
    [&changes[..1], &["apt-get -d install teleport-ent=16.1.7"], &changes[1..]].concat()
}
const INSECURE: &str = "[!] fetching 127.0.0.1:PORT/v1/version in insecure mode (not safe for production use).\n";

#[test]
fn an_upgrade_goes_through_its_steps_in_this_order() {
    let host = Host::new();
    let mut ran = host.run();
    // What the repository has and what apt would do are asked at once; so are the three that look at what came of it.
    ran.started[7..10].sort();
    // The hold is set again meanwhile.
    ran.started[11..16].sort();
    assert_eq!(
        ran.said,
        "[!] fetching 127.0.0.1:PORT/v1/version in insecure mode (not safe for production use).
[i] an upgrade is available (16.1.7 -> 16.2.0)
[i] within maintenance window, upgrade will be attempted.
[i] the window closes at Wed 2026-11-25 13:00 UTC, in 1 h.
[i] apt-get: Hit:1 http://repository.test stable InRelease
[i] attempting apt install teleport-ent=16.2.0...
[i] apt-get: Setting up teleport-ent (16.2.0) ...
[i] gracefully restarting Teleport (if already running)
[i] the agent runs the new version (pid 101); open sessions go on in the old process.
[i] apt-mark: teleport-ent set on hold.
[i] upgraded from 16.1.7 to 16.2.0.
"
    );
    assert_eq!(
        ran.started,
        [
            "dpkg-query teleport-ent-fips teleport-ent teleport",
            "teleport version --raw",
            "systemctl is-system-running",
            "dpkg-query teleport-ent-fips teleport-ent teleport",
            "dpkg-query -L teleport-ent",
            "systemctl show",
            "apt-get update",
            "apt-cache policy teleport-ent",
            "apt-cache show teleport-ent=16.2.0",
            "apt-get -s install teleport-ent=16.2.0",
            "apt-get install teleport-ent=16.2.0",
            "apt-mark hold teleport-ent",
            "dpkg -V teleport-ent",
            "dpkg-query --control-show teleport-ent",
            "dpkg-query teleport-ent",
            "teleport version --raw",
            "systemctl show",
            "systemctl show",
            "systemctl reload teleport.service",
            "systemctl show",
            // For how long there was no agent.
            "systemctl show",
        ]
    );
    assert_eq!(ran.exit, 0);
    assert_eq!(host.known("installed"), "hold ok installed 16.2.0\n");
    assert_eq!(host.recorded("/upgrades"), r#"[{"at":1795608000,"code":"upgraded","from":"16.1.7","to":"16.2.0"}]"#);
    assert_eq!(
        host.recorded("/verdicts"),
        r#"[{"code":"upgraded","count":1,"exit":0,"first":1795608000,"last":1795608000,"text":"on 16.2.0"}]"#
    );
    assert_eq!(
        host.recorded("/memory"),
        r#"{"failed":null,"held_back":null,"hindered":null,"left":{"at":1795608000,"release":"16.1.7"},"returning":null,"target":"16.2.0","unhealthy_since":null}"#
    );
    assert_eq!(host.recorded("/agent/version"), r#""16.2.0""#);
    assert_eq!(host.recorded("/pending"), "null");
    assert_eq!(host.server.asked(), ["GET /v1/version HTTP/1.1"]);
}

#[test]
fn h04_what_is_about_to_happen_is_on_disk_before_the_package_manager_is_called() {
    let host = Host::new();
    host.run();
    assert_eq!(
        host.recorded_at_install("/pending"),
        r#"{"agent":"running","back":null,"boot":"boot-1","by":null,"database":"16.1.7","from":"16.1.7","hold":"ours","ill_before":null,"package":"teleport-ent","purpose":"upgrade","since":1795608000,"step":"install","to":"16.2.0","tried":1795608000,"tries":0}"#
    );
    assert_eq!(host.recorded_at_install("/upgrades"), "[]");
}

#[test]
fn h04_the_note_says_that_only_the_agent_is_left_to_bring_up_once_the_package_is_in_place() {
    let host = Host::new();
    host.trouble("systemctl-reload", "cp \"$root/var/lib/teleport-upgrade/record.json\" \"$state/record-at-install\"");
    host.run();
    assert_eq!(host.recorded_at_install("/pending/step"), r#""bring-up""#);
}

/// Words in their full length: that they mean to apt what they should is for the rings with a real apt.
#[test]
fn apt_is_restricted_to_the_agents_repository_and_leaves_the_hosts_cache_alone() {
    let host = Host::new();
    host.run();
    let transcript = host.transcript();
    let calls: Vec<&str> = transcript.lines().filter(|line| line.starts_with("apt-")).collect();
    let always = "-o Dir::Cache::srcpkgcache= -o Dir::Etc::sourcelist=/etc/apt/sources.list.d/teleport.list -o Dir::Etc::sourceparts=/dev/null -o APT::Get::List-Cleanup=0";
    assert_eq!(calls.len(), 6);
    for call in &calls {
        // A cache of this run's own, and none once the package is in place.
        let cache = if call.starts_with("apt-mark") { "" } else { "/var/lib/teleport-upgrade/private/pkgcache.bin" };
        let expected = format!(" -o Dir::Cache::pkgcache={cache} {always} ");
        assert_eq!(call.find(&expected), call.find(' '), "{call}");
    }
    // Noninteractive, exact version, held or not, up or down, nothing removed, signatures checked, conffiles kept, no waiting of its own.
    let meant = "-y --reinstall --allow-downgrades --allow-change-held-packages --no-install-recommends --no-remove DPkg::Lock::Timeout=0 Dpkg::Use-Pty=0 APT::Get::AllowUnauthenticated=false APT::Get::AutomaticRemove=false Dpkg::Options::=--force-confdef Dpkg::Options::=--force-confold install teleport-ent=16.2.0";
    let words: Vec<&str> = calls[4].split(' ').collect();
    for word in meant.split(' ') {
        assert!(words.contains(&word), "{word} is missing in {}", calls[4]);
    }
    assert!(calls[0].contains("APT::Update::Error-Mode=any"), "{}", calls[0]);
}

/// V17: what a child finds in its environment is what we put there.
#[test]
fn h19_a_child_has_a_cleared_environment_nothing_on_stdin_and_no_pipe_of_ours() {
    let host = Host::new();
    host.trouble(
        "apt-get-install",
        "env | grep -v '^\\(PWD\\|OLDPWD\\|SHLVL\\|_\\)=' | sort >\"$state/environment\"; readlink /proc/self/fd/0 >\"$state/stdin\"; out=$(readlink \"/proc/$$/fd/1\"); echo \"$out\" >\"$state/stdout\"",
    );
    host.run();
    assert_eq!(
        host.known("environment"),
        "APT_LISTCHANGES_FRONTEND=none\nDEBIAN_FRONTEND=noninteractive\nHOME=/root\nLC_ALL=C.UTF-8\nNEEDRESTART_SUSPEND=1\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\n"
    );
    assert_eq!(host.known("stdin"), "/dev/null\n");
    let log = host.root("var/lib/teleport-upgrade/private/packages.log");
    assert_eq!(host.known("stdout").trim_end(), log.display().to_string());
}

#[test]
fn nothing_to_do_starts_no_process_while_the_agents_binary_is_the_same_and_one_when_it_is_another() {
    let host = Host::new();
    host.offers("16.1.7");
    assert_eq!(host.run().exit, 0);
    let ran = host.run();
    assert_eq!(ran.said, format!("{INSECURE}[i] no upgrades available (16.1.7 == 16.1.7)\n"));
    assert_eq!(ran.started, [""; 0]);
    assert_eq!(host.verdicts(), ["up-to-date 0 x2"]);
    host.unpack("16.2.0");
    host.offers("16.2.0");
    assert_eq!(host.run().started, ["teleport version --raw"]);
    assert_eq!(host.run().started, [""; 0]);
    assert_eq!(host.recorded("/agent/version"), r#""16.2.0""#);
}

#[test]
fn a_server_that_wants_no_version_is_obeyed() {
    let host = Host::new();
    host.offers("none\n");
    let ran = host.run();
    assert_eq!(ran.said, format!("{INSECURE}[i] no upgrades available (the version server wants no version now).\n"));
    assert_eq!(host.verdicts(), ["no-target 0 x1"]);
}

#[test]
fn outside_the_window_nothing_but_the_record_is_changed() {
    let host = Host::new();
    host.run();
    host.offers("16.2.1");
    host.window(NOON + 2 * HOUR, NOON + 3 * HOUR);
    host.at(NOON + HOUR);
    let without_record =
        |host: &Host| host.listing().into_iter().filter(|l| !l.contains("/var/lib/teleport-upgrade")).collect::<Vec<_>>();
    let before = without_record(&host);
    let ran = host.run();
    assert_eq!(
        ran.own_words(),
        [
            "[i] an upgrade is available (16.2.0 -> 16.2.1)",
            "[i] upgrade is non-critical and we are outside of maintenance window, not attempting.",
            "[i] the next window is Wed 2026-11-25 14:00 UTC to Wed 2026-11-25 15:00 UTC, in 1 h.",
        ]
    );
    assert_eq!((ran.exit, ran.changed), (0, Vec::new()));
    assert_eq!(host.run().started, Vec::<String>::new(), "who holds the package was asked once since the upgrade");
    assert_eq!(without_record(&host), before);
    assert_eq!(host.verdicts(), ["upgraded 0 x1", "outside-window 0 x2"]);
    host.at(NOON + 2 * HOUR);
    assert_eq!(host.run().exit, 0);
    assert_eq!(host.known("installed"), "hold ok installed 16.2.1\n");
}

#[test]
fn critical_is_asked_over_the_same_connection_and_only_when_it_could_change_the_decision() {
    let host = Host::new();
    host.run();
    assert_eq!(host.server.asked(), ["GET /v1/version HTTP/1.1"], "a window is open");
    host.run();
    assert_eq!(host.server.asked().len(), 2, "nothing to do");
    host.offers("15.0.0");
    host.run();
    assert_eq!(host.server.asked().len(), 3, "a lower major is refused anyway");
    host.offers("16.2.1");
    host.at(NOON + HOUR);
    host.run();
    assert_eq!(host.server.asked()[3..], ["GET /v1/version HTTP/1.1", "GET /v1/critical HTTP/1.1"]);
    assert_eq!(host.server.accepted(), 4, "a connection for each run");
    host.critical("yes");
    let ran = host.run();
    assert_eq!(
        ran.own_words()[..2],
        [
            "[i] an upgrade is available (16.2.0 -> 16.2.1)",
            "[i] upgrade is marked as critical, will be attempted without checking maintenance window."
        ]
    );
    assert_eq!(host.known("installed"), "hold ok installed 16.2.1\n");
}
