//! The stories that `decide` is held to. Every expectation is a literal; none is computed by the code under test.

use crate::log::Level;
use crate::rules::decide::{Decision, Wait, remember};
use crate::rules::pause::LetsThrough;
use crate::rules::policy::Downgrade;
use crate::rules::story::{Story, at, clock, verdict};
use crate::rules::trigger::Trigger;
use crate::rules::window::Schedule;
use crate::rules::wording;

/// `sha256("HOST 16.2.0")` begins with 8733847d: 0.528 of the 25 minutes that an hour's window can be spread over.
const HOST: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn every_story_ends_as_told() {
    let stories: Vec<(&str, Story, &str)> = vec![
        // The maintainers' acceptance list (teleport#24750).
        ("equal", at("16.2.0"), "stay: on 16.2.0"),
        ("outside the window", at("16.1.7"), "wait until 02:00: outside the window"),
        ("outside the window, critical", at("16.1.7").critical(), "upgrade to 16.2.0: critical"),
        ("inside the window", at("16.1.7").now("2:30"), "upgrade to 16.2.0: window until 03:00"),
        ("schedule missing, first run", at("16.1.7").missing_schedule().now("1:00"), "wait: maybe unhealthy since 01:00"),
        (
            "schedule missing, second run",
            at("16.1.7").missing_schedule().unhealthy_since("1:00").now("1:28"),
            "upgrade to 16.2.0: unhealthy since 01:00",
        ),
        ("schedule outdated, first run", at("16.1.7").now("5:00"), "wait: maybe unhealthy since 05:00"),
        (
            "schedule outdated, second run",
            at("16.1.7").unhealthy_since("5:00").now("5:28"),
            "upgrade to 16.2.0: unhealthy since 05:00",
        ),
        // The edges of a window.
        ("a second-exact start is inside", at("16.1.7").now("2:00"), "upgrade to 16.2.0: window until 03:00"),
        ("the stop is outside", at("16.1.7").now("3:00"), "wait: maybe unhealthy since 03:00"),
        ("the minute before is outside", at("16.1.7").now("1:59"), "wait until 02:00: outside the window"),
        (
            "two windows that touch are one",
            at("16.1.7").schedule("1795572000 1795575600\n1795575600 1795579200").now("2:30"),
            "upgrade to 16.2.0: window until 04:00",
        ),
        (
            "h25: a reversed window is no window",
            at("16.1.7").window("3:00", "2:00").now("2:30"),
            "wait: maybe unhealthy since 02:30",
        ),
        // Whoever is served its windows is not ill without one.
        ("no window is served", at("16.1.7").no_served_window().now("1:00"), "wait: none is served"),
        (
            "no window is served for long",
            at("16.1.7").no_served_window().unhealthy_since("0:10").now("1:00"),
            "wait: none is served",
        ),
        ("no window is served, critical", at("16.1.7").no_served_window().critical(), "upgrade to 16.2.0: critical"),
        ("no window is served, forced", at("16.1.7").no_served_window().forced(), "upgrade to 16.2.0: forced"),
        ("h25: a window of years is a window", at("16.1.7").schedule("0 4102444800"), "upgrade to 16.2.0: window until 00:00"),
        // Nothing to do.
        ("the server wants nothing", at("16.1.7").no_target().now("2:30"), "stay: no target"),
        ("equal beats a back-off", at("16.2.0").failed("16.2.0", 3, "-13:00"), "stay: on 16.2.0"),
        ("equal beats force", at("16.2.0").forced(), "stay: on 16.2.0"),
        ("equal beats a bad clock", at("16.2.0").now("-900:00"), "stay: on 16.2.0"),
        // Unknown installed version: the target is taken to be valid, the triggers still count.
        ("undetected, outside", at("16.1.7").undetected(), "wait until 02:00: outside the window"),
        ("undetected, inside", at("16.1.7").undetected().now("2:30"), "upgrade to 16.2.0: window until 03:00"),
        (
            "undetected cannot be guarded",
            at("16.1.7").undetected().offered("15.0.0").now("2:30"),
            "upgrade to 15.0.0: window until 03:00",
        ),
        // Unhealthy takes ten minutes, and a valid schedule ends it.
        (
            "nine minutes are not enough",
            at("16.1.7").missing_schedule().unhealthy_since("1:00").now("1:09"),
            "wait: maybe unhealthy since 01:00",
        ),
        (
            "ten minutes are",
            at("16.1.7").missing_schedule().unhealthy_since("1:00").now("1:10"),
            "upgrade to 16.2.0: unhealthy since 01:00",
        ),
        (
            "a mark of the future does not count",
            at("16.1.7").missing_schedule().unhealthy_since("9:00").now("1:00"),
            "wait: maybe unhealthy since 01:00",
        ),
        (
            "a mark does not open a window that is ahead",
            at("16.1.7").unhealthy_since("-20:00"),
            "wait until 02:00: outside the window",
        ),
        (
            "a blank schedule is not a closed window for ever",
            at("16.1.7").schedule("# blanked\n").unhealthy_since("1:00").now("2:30"),
            "upgrade to 16.2.0: unhealthy since 01:00",
        ),
        (
            "critical does not wait for the second look at the agent",
            at("16.1.7").missing_schedule().critical().now("1:00"),
            "upgrade to 16.2.0: critical",
        ),
        // Back-off.
        ("failed before", at("16.1.7").failed("16.2.0", 1, "2:10").now("2:30"), "wait until 03:10: 16.2.0 failed before"),
        (
            "failed before beats critical",
            at("16.1.7").failed("16.2.0", 1, "2:10").critical().now("2:30"),
            "wait until 03:10: 16.2.0 failed before",
        ),
        ("force beats failed before", at("16.1.7").failed("16.2.0", 9, "2:10").forced().now("2:30"), "upgrade to 16.2.0: forced"),
        ("back-off passes", at("16.1.7").failed("16.2.0", 1, "1:10").now("2:10"), "upgrade to 16.2.0: window until 03:00"),
        (
            "third failure waits four hours",
            at("16.1.7").failed("16.2.0", 3, "2:10").now("2:30"),
            "wait until 06:10: 16.2.0 failed before",
        ),
        ("another version failed", at("16.1.7").failed("16.1.9", 1, "2:10").now("2:30"), "upgrade to 16.2.0: window until 03:00"),
        ("hindered", at("16.1.7").hindered("16.2.0", 1, "2:10").now("2:30"), "wait until 03:10: 16.2.0 was hindered"),
        ("force beats hindered", at("16.1.7").hindered("16.2.0", 1, "2:10").forced().now("2:30"), "upgrade to 16.2.0: forced"),
        (
            "hindered before passes",
            at("16.1.7").hindered("16.2.0", 1, "1:10").now("2:10"),
            "upgrade to 16.2.0: window until 03:00",
        ),
        // A person paused.
        ("paused", at("16.1.7").paused("4:00", LetsThrough::Critical).now("2:30"), "wait until 04:00: 16.2.0 is paused"),
        ("a pause ends", at("16.1.7").paused("2:30", LetsThrough::Nothing).now("2:30"), "upgrade to 16.2.0: window until 03:00"),
        (
            "critical comes through a pause",
            at("16.1.7").paused("4:00", LetsThrough::Critical).critical(),
            "upgrade to 16.2.0: critical",
        ),
        (
            "not through one against critical ones",
            at("16.1.7").paused("4:00", LetsThrough::Nothing).critical(),
            "wait until 04:00: 16.2.0 is paused",
        ),
        ("force beats a pause", at("16.1.7").paused("4:00", LetsThrough::Nothing).forced(), "upgrade to 16.2.0: forced"),
        (
            "a pause holds an unhealthy agent",
            at("16.1.7").paused("4:00", LetsThrough::Critical).missing_schedule().unhealthy_since("1:00").now("1:28"),
            "wait until 04:00: 16.2.0 is paused",
        ),
        ("a pause of an agent that is up to date is none", at("16.2.0").paused("4:00", LetsThrough::Nothing), "stay: on 16.2.0"),
        (
            "a refusal is said through a pause",
            at("16.1.7").offered("15.5.0").paused("4:00", LetsThrough::Nothing),
            "refuse: 16.1.7 -> 15.5.0 is a lower major",
        ),
        // A fleet is spread over a window; this host's turn comes 13 minutes into it.
        ("before its turn", at("16.1.7").spread(HOST).now("2:13"), "wait until 02:13: before its turn"),
        ("its turn", at("16.1.7").spread(HOST).now("2:14"), "upgrade to 16.2.0: window until 03:00"),
        ("critical waits for no turn", at("16.1.7").spread(HOST).critical().now("2:01"), "upgrade to 16.2.0: critical"),
        ("force waits for no turn", at("16.1.7").spread(HOST).forced().now("2:01"), "upgrade to 16.2.0: forced"),
        (
            "an unhealthy agent waits for no turn",
            at("16.1.7").spread(HOST).missing_schedule().unhealthy_since("1:00").now("1:28"),
            "upgrade to 16.2.0: unhealthy since 01:00",
        ),
        // A person went back.
        ("held back", at("16.1.7").held_back("16.2.0").now("2:30"), "wait: a person went back from 16.2.0"),
        ("held back beats critical", at("16.1.7").held_back("16.2.0").critical(), "wait: a person went back from 16.2.0"),
        (
            "held back beats an unhealthy agent",
            at("16.1.7").held_back("16.2.0").missing_schedule().unhealthy_since("1:00").now("1:28"),
            "wait: a person went back from 16.2.0",
        ),
        ("force beats held back", at("16.1.7").held_back("16.2.0").forced(), "upgrade to 16.2.0: forced"),
        ("another version was held back", at("16.1.7").held_back("16.1.9").now("2:30"), "upgrade to 16.2.0: window until 03:00"),
        // Up, down and across majors.
        ("a higher major is followed", at("16.1.7").offered("17.0.0").now("2:30"), "upgrade to 17.0.0: window until 03:00"),
        ("two majors up are followed", at("16.1.7").offered("18.0.1").now("2:30"), "upgrade to 18.0.1: window until 03:00"),
        ("h33: a lower version of the same major is followed", at("16.2.1").now("2:30"), "upgrade to 16.2.0: window until 03:00"),
        ("h33: a lower major is refused", at("17.0.0").now("2:30"), "refuse: 17.0.0 -> 16.2.0 is a lower major"),
        ("a lower major is refused when critical", at("17.0.0").critical(), "refuse: 17.0.0 -> 16.2.0 is a lower major"),
        ("a lower major is refused when forced", at("17.0.0").forced(), "refuse: 17.0.0 -> 16.2.0 is a lower major"),
        (
            "a lower major is refused when pinned",
            at("17.0.0").pinned("16.2.0").forced(),
            "refuse: 17.0.0 -> 16.2.0 is a lower major",
        ),
        (
            "a lower major is allowed by `any`",
            at("17.0.0").downgrade(Downgrade::Any).now("2:30"),
            "upgrade to 16.2.0: window until 03:00",
        ),
        ("`no` refuses a lower version", at("16.2.1").downgrade(Downgrade::No).now("2:30"), "refuse: 16.2.1 -> 16.2.0 goes down"),
        (
            "`no` lets higher ones pass",
            at("16.1.7").downgrade(Downgrade::No).now("2:30"),
            "upgrade to 16.2.0: window until 03:00",
        ),
        (
            "a pre-release is lower than its release",
            at("16.2.0").offered("16.2.0-rc.1").downgrade(Downgrade::No).now("2:30"),
            "refuse: 16.2.0 -> 16.2.0-rc.1 goes down",
        ),
        (
            "a release follows its pre-release",
            at("16.2.0-rc.1").downgrade(Downgrade::No).now("2:30"),
            "upgrade to 16.2.0: window until 03:00",
        ),
        ("outside the window a bad major is refused at once", at("17.0.0"), "refuse: 17.0.0 -> 16.2.0 is a lower major"),
        // No endpoint configured.
        (
            "the built-in channel moves within a major",
            at("16.1.7").built_in_endpoint().now("2:30"),
            "upgrade to 16.2.0: window until 03:00",
        ),
        (
            "the built-in channel may not cross majors",
            at("16.1.7").built_in_endpoint().offered("17.0.0").now("2:30"),
            "refuse: 16.1.7 -> 17.0.0 without endpoint",
        ),
        (
            "nor when forced",
            at("16.1.7").built_in_endpoint().offered("17.0.0").forced(),
            "refuse: 16.1.7 -> 17.0.0 without endpoint",
        ),
        (
            "nor downwards",
            at("17.0.0").built_in_endpoint().downgrade(Downgrade::Any).now("2:30"),
            "refuse: 17.0.0 -> 16.2.0 without endpoint",
        ),
        (
            "a pin is the operator's word",
            at("16.1.7").built_in_endpoint().pinned("17.0.0").now("2:30"),
            "upgrade to 17.0.0: window until 03:00",
        ),
        // A pin replaces the target, nothing else.
        ("pinned, outside the window", at("16.1.7").pinned("16.1.9"), "wait until 02:00: outside the window"),
        ("pinned to what is installed", at("16.1.7").pinned("16.1.7"), "stay: on 16.1.7"),
        // Proxies that disagree.
        (
            "a version left lately is looked at twice",
            at("16.1.7").left("16.2.0", "0:00").now("2:10"),
            "wait until 02:20: 16.2.0 returns",
        ),
        (
            "the second look within ten minutes does not count",
            at("16.1.7").left("16.2.0", "0:00").returning("16.2.0", "2:10").now("2:19"),
            "wait until 02:20: 16.2.0 returns",
        ),
        (
            "the second look after ten minutes does",
            at("16.1.7").left("16.2.0", "0:00").returning("16.2.0", "2:10").now("2:20"),
            "upgrade to 16.2.0: window until 03:00",
        ),
        (
            "critical needs no second look",
            at("16.1.7").left("16.2.0", "0:00").critical().now("2:10"),
            "upgrade to 16.2.0: critical",
        ),
        ("force needs no second look", at("16.1.7").left("16.2.0", "0:00").forced().now("2:10"), "upgrade to 16.2.0: forced"),
        (
            "a pin needs no second look",
            at("16.1.7").left("16.2.0", "0:00").pinned("16.2.0").now("2:10"),
            "upgrade to 16.2.0: window until 03:00",
        ),
        (
            "a day later it is a version like any other",
            at("16.1.7").left("16.2.0", "-22:00").now("2:10"),
            "upgrade to 16.2.0: window until 03:00",
        ),
        // The clock.
        ("h12: a clock before the build opens no window", at("16.1.7").schedule("0 4102444800").now("-49:00"), "refuse: clock"),
        ("h12: nor does critical", at("16.1.7").critical().now("-49:00"), "refuse: clock"),
        ("h12: force acts on any clock", at("16.1.7").forced().now("-49:00"), "upgrade to 16.2.0: forced"),
        ("the build date itself is sound", at("16.1.7").critical().now("-48:00"), "upgrade to 16.2.0: critical"),
        // Force.
        ("force skips the window", at("16.1.7").forced(), "upgrade to 16.2.0: forced"),
        ("force skips the wait for an ill agent", at("16.1.7").missing_schedule().forced(), "upgrade to 16.2.0: forced"),
    ];
    let wrong: Vec<String> = stories
        .iter()
        .filter(|(_, story, expected)| verdict(&story.decision()) != *expected)
        .map(|(name, story, expected)| format!("{name}: expected \"{expected}\", decided \"{}\"", verdict(&story.decision())))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn critical_is_asked_only_when_it_could_change_the_decision() {
    let stories: Vec<(&str, Story, bool)> = vec![
        ("up to date", at("16.2.0"), false),
        ("no target", at("16.1.7").no_target(), false),
        ("window open", at("16.1.7").now("2:30"), false),
        ("forced", at("16.1.7").forced(), false),
        ("lower major", at("17.0.0"), false),
        ("failed before", at("16.1.7").failed("16.2.0", 1, "2:10").now("2:30"), false),
        ("bad clock", at("16.1.7").now("-49:00"), false),
        ("outside the window", at("16.1.7"), true),
        ("maybe unhealthy", at("16.1.7").missing_schedule(), true),
        ("returning", at("16.1.7").left("16.2.0", "0:00").now("2:10"), true),
    ];
    for (name, story, asked) in stories {
        let story = story.not_asked();
        assert_eq!(story.decision().yields_to_critical(&story.facts), asked, "{name}");
    }
}

#[test]
fn a_run_remembers_what_the_next_one_needs() {
    let remembered = |story: Story| remember(&story.facts, &story.decision(), story.now);
    let marked = remembered(at("16.1.7").missing_schedule().now("1:00"));
    assert_eq!(marked.unhealthy_since, Some(clock("1:00")), "the first run without a schedule marks the agent");
    let still = remembered(at("16.1.7").missing_schedule().unhealthy_since("1:00").now("1:05"));
    assert_eq!(still.unhealthy_since, Some(clock("1:00")), "the mark keeps its age");
    let inside = remembered(at("16.1.7").unhealthy_since("1:00").now("2:30"));
    assert_eq!(inside.unhealthy_since, None, "a live window clears the mark");
    let up_to_date = remembered(at("16.2.0").unhealthy_since("1:00").now("2:30"));
    assert_eq!(up_to_date.unhealthy_since, None, "also when there is nothing to do");
    let idle = remembered(at("16.2.0").missing_schedule().now("2:30"));
    assert_eq!(idle.unhealthy_since, None, "an agent is not marked while it is up to date");
    let seen = remembered(at("16.1.7").left("16.2.0", "0:00").now("2:10"));
    assert_eq!(seen.returning.map(|r| r.since), Some(clock("2:10")));
    let seen_twice = remembered(at("16.1.7").left("16.2.0", "0:00").returning("16.2.0", "2:10").now("2:15"));
    assert_eq!(seen_twice.returning.map(|r| r.since), Some(clock("2:10")), "the first look counts");
    let another = remembered(at("16.1.7").failed("16.1.9", 2, "2:10").now("2:30"));
    assert_eq!(another.failed, None, "a new target clears a failure");
    let forced = remembered(at("16.1.7").failed("16.2.0", 2, "2:10").forced().now("2:30"));
    assert_eq!(forced.failed, None, "force clears a failure");
}

#[test]
fn the_sentences_that_operators_search_for_are_said() {
    let said = |story: &Story| -> Vec<String> {
        wording::of(&story.policy, &story.facts, &story.decision(), story.now)
            .into_iter()
            .map(|(level, text)| format!("{} {text}", if level == Level::Warning { "[!]" } else { "[i]" }))
            .collect()
    };
    assert_eq!(said(&at("16.2.0")), ["[i] no upgrades available (16.2.0 == 16.2.0)"]);
    assert_eq!(
        said(&at("16.1.7")),
        [
            "[i] an upgrade is available (16.1.7 -> 16.2.0)",
            "[i] upgrade is non-critical and we are outside of maintenance window, not attempting.",
            "[i] the next window is Wed 2026-11-25 02:00 UTC to Wed 2026-11-25 03:00 UTC, in 15 h.",
        ]
    );
    assert_eq!(
        said(&at("16.1.7").now("2:30")),
        [
            "[i] an upgrade is available (16.1.7 -> 16.2.0)",
            "[i] within maintenance window, upgrade will be attempted.",
            "[i] the window closes at Wed 2026-11-25 03:00 UTC, in 30 min.",
        ]
    );
    assert_eq!(
        said(&at("16.1.7").undetected().critical()),
        [
            "[i] failed to detect current version, assuming 16.2.0 to be valid target.",
            "[i] upgrade is marked as critical, will be attempted without checking maintenance window.",
        ]
    );
    assert_eq!(
        said(&at("16.1.7").missing_schedule().now("1:00")),
        [
            "[i] an upgrade is available (16.1.7 -> 16.2.0)",
            "[!] agent does not appear to have exported a valid upgrade schedule.",
            "[!] agent is new, or newly unhealthy. marking for potential future upgrade.",
            "[!] there is no schedule file; a run at least 10 minutes after Wed 2026-11-25 01:00 UTC will act if that is still so.",
        ]
    );
    assert_eq!(
        said(&at("16.1.7").missing_schedule().unhealthy_since("1:00").now("1:28")),
        [
            "[i] an upgrade is available (16.1.7 -> 16.2.0)",
            "[!] agent does not appear to have exported a valid upgrade schedule.",
            "[!] agent was previously marked unhealthy and does not appear recovered, upgrade will be attempted.",
            "[!] there is no schedule file; first seen so at Wed 2026-11-25 01:00 UTC, 28 min ago.",
        ]
    );
    let refused = said(&at("16.1.7").built_in_endpoint().offered("17.0.0"));
    assert!(refused[1].contains("into the file `endpoint`"), "{refused:?}");
    let refused = said(&at("17.0.0"));
    assert!(refused[1].contains("write `any` into allow-downgrade"), "{refused:?}");
}

/// Properties over some 20,000 made-up hosts: what holds for every story, told or not.
#[test]
fn no_story_goes_down_a_major_unasked_or_waits_inside_a_window() {
    let mut seed = 42_u64;
    let mut pick = |n: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % n
    };
    let versions = ["15.9.9", "16.1.7", "16.2.0", "16.2.0-rc.1", "17.0.0"];
    let times = ["-49:00", "1:00", "2:00", "2:30", "3:00", "9:00"];
    for _ in 0..20_000 {
        let mut story = at(versions[pick(5)]).offered(versions[pick(5)]).now(times[pick(6)]);
        for change in 0..7 {
            story = match (change, pick(2)) {
                (0, 1) => story.critical(),
                (1, 1) => story.forced(),
                (2, 1) => story.missing_schedule(),
                (3, 1) => story.unhealthy_since("0:30"),
                (4, 1) => story.failed("16.2.0", 2, "1:30"),
                (5, 1) => story.built_in_endpoint(),
                (6, 1) => story.left("16.2.0", "0:00"),
                _ => story,
            };
        }
        let decision = story.decision();
        assert_eq!(decision, story.decision(), "the same facts decide the same");
        let from = story.facts.installed.clone().unwrap();
        if let Decision::Upgrade { to, .. } = &decision {
            assert!(to.major() >= from.major(), "{from} -> {to}");
            assert_ne!(*to, from);
        }
        let inside =
            matches!(&story.facts.schedule, Schedule::Read { .. }) && story.now >= clock("2:00") && story.now < clock("3:00");
        if let Decision::Wait(Wait::Trigger { .. }) = &decision {
            assert!(!inside, "{}", verdict(&decision));
        }
        if !inside && let Decision::Upgrade { why, .. } = &decision {
            assert!(!matches!(why, Trigger::Window(_)), "{}", verdict(&decision));
        }
    }
}
