//! Histories of a host, a hundred thousand of them, on a clock and with a package manager that are simulated; what decides, plans, applies and
//! records is the real code. Each event may come at any time, each run may die at any step. What must hold in each is in `rules`.
//!
//!   SIMULATIONS=100000 cargo test simulat      so many histories instead of a few hundred
//!   SIMULATION=4711 cargo test simulat         that one, telling what happens

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test fails by panicking, and tells its story"
)]

mod history;
mod lessons;
mod programs;
mod rules;
mod world;

use std::fs;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use teleport_upgrade::error::Error;
use teleport_upgrade::host::machine::{Attendance, Machine};
use teleport_upgrade::host::signals::Orders;
use teleport_upgrade::host::world::World;
use teleport_upgrade::log::{Log, Priorities, Volume};
use teleport_upgrade::rules::facts::Mandate;
use teleport_upgrade::rules::moment::Moment;
use teleport_upgrade::rules::pause::LetsThrough;
use teleport_upgrade::upgrade::pause::{End, Wish, pause, resume};
use teleport_upgrade::upgrade::{Outcome, rollback, run};

use self::history::{Asked, Death, Event, Flaw, VERSIONS, shortest};
use self::lessons::Ended;
use self::rules::{People, Rule, Wrong, allowed, wrong_in_the_end};
use self::world::{BEFORE, Died, NOON, Simulated};

/// Runs of the timer are so many seconds apart.
const CADENCE: i64 = 28 * 60;
/// So many of them are enough for everything: a back-off lasts a day.
const ENOUGH: usize = 70;
/// And so many, where the version that is wanted is no good.
const ENOUGH_OF_IT: usize = 6;

/// Nobody gives any; one for all, because what has been registered for a signal stays.
static ORDERS: LazyLock<Orders> = LazyLock::new(Orders::default);

/// A history at work.
struct Story {
    world: Rc<Simulated>,
    people: People,
    /// What the last run left on disk.
    record: serde_json::Value,
    programs: PathBuf,
    user: u32,
    runs: u64,
    deaths: u64,
}

struct Page(Rc<Simulated>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.tell(|| String::from_utf8_lossy(bytes).trim_end().to_owned());
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Story {
    fn begin(root: &Path, tells: bool) -> Self {
        use std::os::unix::fs::MetadataExt;
        let programs = root.join("programs");
        if !programs.exists() {
            fs::create_dir_all(&programs).unwrap();
            for name in ["apt-get", "apt-cache", "apt-mark", "dpkg", "dpkg-query", "systemctl"] {
                fs::write(programs.join(name), "").unwrap();
            }
        }
        let world = Rc::new(Simulated::new(&root.join("root")));
        world.tells.set(tells);
        world.configure("endpoint", "updates.example.test/v1/stable/cloud");
        world.configure("verify-seconds", "3");
        let user = fs::metadata(root).unwrap().uid();
        let mut story =
            Self { world, people: People::default(), record: serde_json::Value::Null, programs, user, runs: 0, deaths: 0 };
        story.window(-600, 3600);
        // A hold that the very first run finds was left by the stock updater: what comes later is the administrator's.
        assert_eq!(story.run(Asked::ByTimer, None), None);
        story
    }

    fn machine(&self) -> Machine {
        let (clock, waiting, uptime) = (Rc::clone(&self.world), Rc::clone(&self.world), Rc::clone(&self.world));
        let outside: Rc<dyn World> = Rc::<Simulated>::clone(&self.world);
        Machine {
            root: self.world.root.clone(),
            programs: vec![self.programs.clone()],
            myself: self.programs.join("teleport-upgrade"),
            superuser: self.user,
            user: self.user,
            environment: Vec::new(),
            clock: Box::new(move || Moment::from_unix(clock.now().div_euclid(1000))),
            wait: Box::new(move |time| {
                waiting.step("a wait");
                waiting.pass(i64::try_from(time.as_millis()).unwrap().max(1));
            }),
            hang_up: Box::new(|_| {}),
            orders: ORDERS.clone(),
            zone: Box::new(|_| None),
            uptime: Box::new(move || Duration::from_millis((uptime.now() - uptime.host.borrow().up_since).unsigned_abs())),
            attendance: Attendance::Timer,
            log: Log::new(Box::new(Page(Rc::clone(&self.world))), Volume::Normal, Priorities::Plain),
            world: Some(outside),
        }
    }

    fn config(&self) -> PathBuf {
        self.world.path("etc/teleport-upgrade.d")
    }

    fn window(&mut self, from: i64, length: i64) {
        let start = self.world.now() / 1000 + from;
        self.people.windows = vec![(start, start + length)];
        self.world.configure("schedule", &format!("{start} {}\n", start + length));
    }

    /// One run, which may die; what it did wrong.
    fn run(&mut self, asked: Asked, death: Option<(u16, Death)>) -> Option<Wrong> {
        self.runs += 1;
        let now = self.world.now() / 1000;
        let sees = self.people.see(now);
        let before = self.world.host.borrow().version.clone();
        let was_down = self.world.host.borrow().agent.is_none();
        self.people.look(now);
        let begun = self.people.lessons.begin(&self.world, asked, &self.record);
        let allowed = allowed(&self.world, &self.record, &self.people, asked);
        {
            let mut host = self.world.host.borrow_mut();
            host.allowed = allowed;
            host.step = 0;
            host.death = death.map(|(at, how)| (u32::from(at), how));
        }
        let (machine, config) = (self.machine(), self.config());
        let act = || -> Result<Outcome, Error> {
            match asked {
                Asked::ByTimer => run(&machine, &config, Mandate::Policy),
                Asked::Force => run(&machine, &config, Mandate::Force),
                Asked::Rollback => rollback(&machine, &config),
            }
        };
        let ended = catch_unwind(AssertUnwindSafe(act));
        let came_to_its_end = ended.is_ok();
        self.world.forget_death();
        match ended {
            Ok(Ok(outcome)) => self.world.tell(|| format!("-> {}", outcome.reason().code())),
            Ok(Err(error)) => self.world.tell(|| format!("-> {error}")),
            Err(payload) if payload.is::<Died>() => self.deaths += 1,
            Err(_) => return Some(Wrong::new(Rule::NothingPanics, "a run panicked")),
        }
        let (version, enabled) = (self.world.host.borrow().version.clone(), self.world.host.borrow().enabled);
        // What is no worse than a version that never ran is kept (H16).
        let nobody_could_tell = !enabled || was_down && self.people.unproven.contains(&before);
        if nobody_could_tell && version != before {
            self.people.unproven.push(version);
        }
        match self.world.record() {
            Err(error) => return Some(Wrong::new(Rule::TheRecordIsRead, error)),
            Ok(record) => self.record = record,
        }
        // What a run that came to its end has seen.
        let last = &self.record["last"];
        let is_of_this_run = came_to_its_end && last["at"].as_i64().is_some_and(|at| at >= now);
        if is_of_this_run && sees && last["inputs"]["schedule"]["state"] == "read" {
            self.people.blind_since = None;
        }
        let ended = Ended { killed: !came_to_its_end, record: &self.record };
        let wrong = self.people.lessons.end(&self.world, &begun, &ended);
        self.world.host.borrow_mut().violations.pop().or(wrong)
    }

    fn happen(&mut self, event: Event) -> Option<Wrong> {
        self.world.tell(|| format!("{event:?}"));
        let world = Rc::clone(&self.world);
        match event {
            Event::Run(asked, death) => {
                world.pass(CADENCE * 1000);
                return self.run(asked, death);
            }
            Event::Sleep(seconds) => world.pass(i64::from(seconds) * 1000),
            Event::Clock(seconds) => {
                let by = i64::from(seconds) * 1000;
                let mut host = world.host.borrow_mut();
                (host.clock, host.up_since, host.locked_until) = (host.clock + by, host.up_since + by, host.locked_until + by);
                drop(host);
                world.clock_was_set(by);
            }
            Event::Offers(version) => world.host.borrow_mut().server = Some(VERSIONS[version].into()),
            Event::OffersNothing => world.host.borrow_mut().server = Some("none".into()),
            Event::ServerAway => world.host.borrow_mut().server = None,
            Event::Critical(critical) => world.host.borrow_mut().critical = critical,
            Event::Window(from, length) => self.window(i64::from(from), i64::from(length)),
            Event::NoSchedule => {
                self.people.windows.clear();
                let _ = fs::remove_file(self.config().join("schedule"));
            }
            // A version is what it is: not one thing today and another tomorrow.
            Event::Flawed(version, flaw) if world.flaw_is_open(VERSIONS[version]) => {
                world.host.borrow_mut().flaws.push((VERSIONS[version], flaw));
            }
            Event::Flawed(..) => {}
            Event::Absent(version) => world.host.borrow_mut().absent.push(VERSIONS[version]),
            Event::Present(version) => world.host.borrow_mut().absent.retain(|absent| *absent != VERSIONS[version]),
            Event::RepositoryAway(away) => world.host.borrow_mut().repository_down = away,
            Event::Locked(seconds) => {
                let until = world.now() + i64::from(seconds) * 1000;
                world.host.borrow_mut().locked_until = until;
            }
            // dpkg knows one hold: over ours nobody can set another, and nobody can while a package manager is at work.
            Event::Hold if world.host.borrow().held || world.is_locked() => {}
            Event::Unhold if world.is_locked() => {}
            Event::Hold | Event::Unhold => {
                let is = event == Event::Hold;
                // One that somebody sets while a claim of ours is there, without the hold, looks like ours.
                self.people.hold = is && !world.path("var/lib/teleport-upgrade/hold").exists();
                world.host.borrow_mut().held = is;
                world.database();
            }
            Event::Pause(seconds, critical_comes) => {
                let lets_through = if critical_comes { LetsThrough::Critical } else { LetsThrough::Nothing };
                let wish = Wish { end: End::After(seconds.into()), reason: None, lets_through };
                self.people.pause = Some((world.now() / 1000 + i64::from(seconds), critical_comes));
                return disobeyed(pause(&self.machine(), &wish));
            }
            Event::Resume => {
                self.people.pause = None;
                return disobeyed(resume(&self.machine()));
            }
            Event::AgentStopped => {
                world.host.borrow_mut().enabled = false;
                self.people.lessons.nothing_owed();
                world.stop_agent();
            }
            Event::AgentStarted => {
                world.host.borrow_mut().enabled = true;
                if world.host.borrow().agent.is_none() {
                    world.start_agent();
                }
            }
            Event::Rebooted => world.power_cut(),
        }
        None
    }

    /// The world calms down, and the timer goes on; what is wrong in the end.
    fn calm_down(&mut self, wanted: usize) -> Option<Wrong> {
        self.world.tell(|| format!("calm: {} is offered", VERSIONS[wanted]));
        let world = Rc::clone(&self.world);
        let is_good = world.flaw(VERSIONS[wanted]) == Flaw::None;
        {
            let mut host = world.host.borrow_mut();
            host.absent.clear();
            (host.server, host.critical, host.repository_down, host.locked_until) =
                (Some(VERSIONS[wanted].into()), false, false, 0);
        }
        // Somebody sets its clock, and starts the agent who wants it to run.
        if world.now() < NOON * 1000 {
            let _ = self.happen(Event::Clock(i32::try_from(NOON - world.now() / 1000).unwrap()));
        }
        world.pass(100_000);
        for event in [Event::Resume, Event::Unhold, Event::AgentStarted] {
            if let Some(wrong) = self.happen(event) {
                return Some(wrong);
            }
        }
        let mut wrong = None;
        for _ in 0..if is_good { ENOUGH } else { ENOUGH_OF_IT } {
            world.pass(CADENCE * 1000);
            self.window(-600, 3600);
            // People do as they are told: whoever went back from what is wanted says that it may come; a hold that is nobody's any more ends.
            let asked = match self.record["last"]["code"].as_str().unwrap_or_default() {
                "held-back" => Asked::Force,
                "blocked" => {
                    let _ = self.happen(Event::Unhold);
                    Asked::ByTimer
                }
                _ => Asked::ByTimer,
            };
            if let Some(wrong) = self.run(asked, None) {
                return Some(wrong);
            }
            wrong = wrong_in_the_end(&world, &self.record, &self.people, VERSIONS[wanted], is_good);
            if wrong.is_none() {
                break;
            }
        }
        wrong
    }
}

fn disobeyed(ended: Result<(), Error>) -> Option<Wrong> {
    ended.err().map(|error| Wrong::new(Rule::APersonIsObeyed, error.to_string()))
}

/// What is wrong with a history, how many runs it took, and how many of them died.
fn live(root: &Path, events: &[Event], wanted: usize, tells: bool) -> (Option<Wrong>, u64, u64) {
    let mut story = Story::begin(root, tells);
    // A panic outside of a run would end the test without a seed.
    let ended = catch_unwind(AssertUnwindSafe(|| {
        events.iter().find_map(|event| story.happen(*event)).or_else(|| story.calm_down(wanted))
    }));
    let wrong = ended.unwrap_or_else(|_| Some(Wrong::new(Rule::NothingPanics, "something beside the runs panicked")));
    (wrong, story.runs, story.deaths)
}

fn scratch(name: &str) -> PathBuf {
    // In memory: nobody waits for a disk.
    let base = if Path::new("/dev/shm").is_dir() { Path::new("/dev/shm") } else { Path::new(env!("CARGO_TARGET_TMPDIR")) };
    let root = base.join(format!("teleport-upgrade-simulator-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(&root).unwrap();
    root
}

#[test]
fn in_every_history_the_agent_is_upgraded_only_as_allowed_and_never_left_down() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("SIMULATION") {
        let (events, wanted) = history::of(seed);
        let (wrong, ..) = live(&scratch("one"), &events, wanted, true);
        assert_eq!(wrong, None);
        return;
    }
    let count = number("SIMULATIONS").unwrap_or(300);
    let first = number("SIMULATIONS_FROM").unwrap_or(0);
    let next = AtomicU64::new(first);
    let totals: Vec<(u64, u64)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
            .map(|thread| {
                let next = &next;
                scope.spawn(move || {
                    let root = scratch(&thread.to_string());
                    let (mut runs, mut deaths) = (0, 0);
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= first + count {
                            break;
                        }
                        let (events, wanted) = history::of(seed);
                        let (wrong, ran, died) = live(&root, &events, wanted, false);
                        (runs, deaths) = (runs + ran, deaths + died);
                        if let Some(wrong) = wrong {
                            // Another rule that a shorter one breaks is another failure.
                            let fails = |events: &[Event]| live(&root, events, wanted, false).0.is_some_and(|w| w.rule == wrong.rule);
                            let short = shortest(events, fails);
                            eprintln!("history {seed} at its shortest:");
                            let why = live(&root, &short, wanted, true).0;
                            panic!("history {seed}: {wrong:?}\n  SIMULATION={seed} cargo test simulat\n  at its shortest ({why:?}), from {BEFORE}, {} in the end:\n{short:#?}", VERSIONS[wanted]);
                        }
                    }
                    let _ = fs::remove_dir_all(&root);
                    (runs, deaths)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|payload| std::panic::resume_unwind(payload))).collect()
    });
    let (runs, deaths) = totals.into_iter().fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    assert!(runs > count && deaths > count / 4, "nothing happened: {runs} runs, {deaths} deaths");
    eprintln!("simulator: {count} histories from {first} on, {runs} runs, {deaths} of them killed");
}
