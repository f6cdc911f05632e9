//! When, within an open window, it is this host's turn (`spread`): a fleet whose windows open all at once goes host after host, in another
//! order for each version, and nobody has to keep a list.

use ring::digest::{SHA256, digest};

use crate::rules::moment::Moment;
use crate::rules::policy::Spread;
use crate::rules::release::Release;
use crate::rules::window::Window;

/// What a turn leaves of a window, in seconds: the timer fires every 28 to 32 minutes, so that each host has a run after its turn begins
/// and before the window closes (V31).
const LEFT_FOR_THE_TIMER: i64 = 35 * 60;
/// No turn lies further into a window than this, in seconds: an agent that exports one window without end moves its beginning on each day.
const LONGEST: i64 = 86_400;

/// A host's place in the order in which its fleet goes to one version: the same at each run, and another one for each version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(u32);

impl Place {
    /// Nobody goes before: also for a person who types `run`.
    pub const FIRST: Self = Self(0);

    /// The place of the host with this identity (machine-id(5)) on the way to `target`.
    #[must_use]
    pub fn of(host: &str, target: &Release) -> Self {
        let hash = digest(&SHA256, format!("{host} {target}").as_bytes());
        let first = hash.as_ref().first_chunk::<4>().copied().unwrap_or_default();
        Self(u32::from_be_bytes(first))
    }

    /// When this host's turn in the window begins: within the first `spread` percent of it, less what the timer needs.
    #[must_use]
    pub fn turn(self, window: Window, spread: Spread) -> Moment {
        let shared = (window.stop().since(window.start()).min(LONGEST) - LEFT_FOR_THE_TIMER).max(0);
        let spread_over = i128::from(shared) * i128::from(spread.percent()) / 100;
        let offset = (spread_over * i128::from(self.0)) >> u32::BITS;
        window.start().plus(i64::try_from(offset).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;
    /// As in `teleport-upgrade.timer`: 28 minutes after the last run, and up to 4 more, the same every time.
    const AGAIN: i64 = 28 * 60;
    const DELAY: u64 = 4 * 60;

    fn window(start: i64, length: i64) -> Window {
        Window::new(Moment::from_unix(start), Moment::from_unix(start + length)).unwrap()
    }

    fn spread(text: &str) -> Spread {
        text.parse().unwrap()
    }

    fn release(text: &str) -> Release {
        text.parse().unwrap()
    }

    /// Minutes into the window, in whole minutes.
    fn minutes(place: Place, length: i64, percent: &str) -> i64 {
        place.turn(window(0, length), spread(percent)).unix() / 60
    }

    #[test]
    fn turns_lie_in_the_first_percent_of_the_window_less_what_the_timer_needs() {
        let (first, middle, last) = (Place::FIRST, Place(1 << 31), Place(u32::MAX));
        assert_eq!([first, middle, last].map(|place| minutes(place, HOUR, "0")), [0, 0, 0], "nobody waits");
        assert_eq!([first, middle, last].map(|place| minutes(place, HOUR, "100")), [0, 12, 24], "25 minutes");
        assert_eq!([first, middle, last].map(|place| minutes(place, 4 * HOUR, "50")), [0, 51, 102], "half of 205 minutes");
        assert_eq!([first, middle, last].map(|place| minutes(place, 30 * 60, "100")), [0, 0, 0], "too short to be shared");
        assert_eq!(
            [first, middle, last].map(|place| minutes(place, 3650 * 24 * HOUR, "100")),
            [0, 702, 1404],
            "never later than a day"
        );
    }

    #[test]
    fn a_hosts_place_is_that_of_the_published_sha256_of_its_identity_and_the_version() {
        // printf '0123456789abcdef0123456789abcdef 16.2.0' | sha256sum
        assert_eq!(Place::of("0123456789abcdef0123456789abcdef", &release("16.2.0")), Place(0x8733_847d));
    }

    /// A fleet of 100,000 hosts over 20 releases.
    #[test]
    fn a_fleet_goes_evenly_stably_in_another_order_each_time_and_every_host_gets_its_turn_in_an_hour() {
        const HOSTS: u32 = 100_000;
        let releases: Vec<Release> = (0..20).map(|patch| release(&format!("16.2.{patch}"))).collect();
        let window = window(1_795_572_000, HOUR);
        let all = spread("100");
        let mut tenths = vec![[0_u32; 10]; releases.len()];
        let mut late_twice_running = 0_u32;
        for host in 0..HOSTS {
            let id = format!("{:032x}", u128::from(host) * 0x9e37_79b9_7f4a_7c15);
            // When its runs come, whatever the window: every 28 minutes and its own delay, from a phase of its own.
            let cadence = AGAIN + i64::try_from(u64::from(host) % DELAY).unwrap();
            let phase = i64::from(host) * 7 % cadence;
            let mut before = None;
            for (release, tenths) in releases.iter().zip(&mut tenths) {
                let place = Place::of(&id, release);
                let turn = place.turn(window, all);
                let into = turn.since(window.start());
                assert!((0..25 * 60).contains(&into), "{into} s into the window");
                let tenth = usize::try_from(into * 10 / (25 * 60)).unwrap();
                tenths[tenth] += 1;
                let run = window.start().unix() + phase;
                let first_run_after = (0..4).map(|n| run + n * cadence).find(|at| *at >= turn.unix()).unwrap();
                assert!(first_run_after < window.stop().unix(), "{id} does not get its turn for {release}");
                late_twice_running += u32::from(before == Some(9) && tenth == 9);
                before = Some(tenth);
            }
        }
        for tenths in &tenths {
            assert!(tenths.iter().all(|hosts| (9_500..10_500).contains(hosts)), "uneven: {tenths:?}");
        }
        // By chance alone a hundredth of the hosts are among the last tenth twice in a row: 19,000 of 1,900,000.
        assert!((18_000..20_000).contains(&late_twice_running), "{late_twice_running}");
    }
}
