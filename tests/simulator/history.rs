//! What befalls one host, as a list that a number makes: the same number, the same history. A history that breaks a rule is made shorter
//! until nothing can be left out.

/// Everything that a repository may have. The first is what the host begins with; the last is of a lower major version.
pub(super) const VERSIONS: [&str; 5] = ["16.1.7", "16.2.0", "16.2.1", "16.3.0", "15.5.0"];

/// What is wrong with a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    /// Its agent ends by itself after so many seconds.
    Crashes(u8),
    /// The script that its installation ends with fails.
    ScriptFails,
    /// The script that its installation begins with stops the agent, and fails.
    StopsAgent,
}

/// How a run ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Death {
    /// It alone; a package manager that it has started goes on.
    Alone,
    /// With the package manager.
    WithPackageManager,
    /// With everything else.
    PowerCut,
}

/// Who wants a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    ByTimer,
    Force,
    Rollback,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// A run, which may die at one of its steps.
    Run(Asked, Option<(u16, Death)>),
    Sleep(i32),
    /// The clock is set, by so many seconds.
    Clock(i32),
    Offers(usize),
    OffersNothing,
    ServerAway,
    Critical(bool),
    /// One window, from so many seconds on, so long.
    Window(i32, i32),
    NoSchedule,
    Flawed(usize, Flaw),
    Absent(usize),
    Present(usize),
    RepositoryAway(bool),
    /// Somebody has apt's lock for so many seconds.
    Locked(i32),
    Hold,
    Unhold,
    /// For so many seconds; whether critical versions come all the same.
    Pause(i32, bool),
    Resume,
    AgentStopped,
    AgentStarted,
    Rebooted,
}

/// A row of numbers from one (splitmix64, public domain).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `below` - 1.
    fn below(&mut self, below: u32) -> u32 {
        u32::try_from(self.next() % u64::from(below)).unwrap()
    }

    fn seconds(&mut self, from: i32, to: i32) -> i32 {
        from + i32::try_from(self.below(u32::try_from(to - from).unwrap())).unwrap()
    }

    fn version(&mut self) -> usize {
        // A lower major version is offered now and then.
        if self.below(12) == 0 { 4 } else { self.below(4) as usize }
    }

    /// A version other than the first, which is good and there.
    fn newer(&mut self) -> usize {
        1 + self.below(3) as usize
    }

    fn death(&mut self) -> Option<(u16, Death)> {
        let how = [Death::Alone, Death::WithPackageManager, Death::PowerCut][self.below(3) as usize];
        // A check that finds nothing to do has two steps, an upgrade forty.
        let steps = if self.below(3) == 0 { 3 } else { 45 };
        (self.below(2) == 0).then(|| (1 + u16::try_from(self.below(steps)).unwrap(), how))
    }

    fn flaw(&mut self) -> Flaw {
        match self.below(5) {
            0 => Flaw::ScriptFails,
            1 => Flaw::StopsAgent,
            2 => Flaw::None,
            _ => Flaw::Crashes(u8::try_from(self.below(3)).unwrap()),
        }
    }

    fn event(&mut self) -> Event {
        match self.below(44) {
            0..=14 => Event::Run(Asked::ByTimer, self.death()),
            15 => Event::Run(Asked::Force, self.death()),
            16 => Event::Run(Asked::Rollback, self.death()),
            17..=18 => Event::Sleep(self.seconds(1, 90_000)),
            // Now and then to before this program was built.
            19 => Event::Clock(self.seconds(-180_000, 90_000)),
            20..=23 => Event::Offers(self.version()),
            24 => Event::OffersNothing,
            25 => Event::ServerAway,
            26 => Event::Critical(true),
            27 => Event::Critical(false),
            28..=31 => Event::Window(self.seconds(-3600, 7200), self.seconds(60, 7200)),
            32 => Event::NoSchedule,
            33..=34 => Event::Flawed(self.newer(), self.flaw()),
            35 => Event::Absent(self.newer()),
            36 => Event::Present(self.newer()),
            37 => Event::RepositoryAway(self.below(2) == 0),
            38 => Event::Locked(self.seconds(1, 1500)),
            39 => {
                if self.below(2) == 0 {
                    Event::Hold
                } else {
                    Event::Unhold
                }
            }
            40 => Event::Pause(self.seconds(60, 200_000), self.below(2) == 0),
            41 => Event::Resume,
            42 => {
                if self.below(2) == 0 {
                    Event::AgentStopped
                } else {
                    Event::AgentStarted
                }
            }
            _ => Event::Rebooted,
        }
    }
}

/// The history of that number, and the version that is offered when the world has calmed down.
pub(super) fn of(seed: u64) -> (Vec<Event>, usize) {
    let mut dice = Dice::new(seed);
    // Newer versions are offered in a window, more often than not: that is what the program is for.
    let mut events = vec![Event::Offers(dice.newer()), Event::Window(-600, 3600)];
    let length = 4 + dice.below(14);
    events.extend((0..length).map(|_| dice.event()));
    (events, dice.below(4) as usize)
}

/// The shortest part of a history that `fails` still fails on.
pub(super) fn shortest(mut events: Vec<Event>, fails: impl Fn(&[Event]) -> bool) -> Vec<Event> {
    let mut at = 0;
    while at < events.len() {
        let mut without = events.clone();
        without.remove(at);
        if fails(&without) {
            events = without;
            at = 0;
        } else {
            at += 1;
        }
    }
    events
}
