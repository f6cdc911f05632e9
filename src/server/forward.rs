//! Other version servers that channels are forwarded to: asked by one request at a time, a minute after they answered and ten seconds after
//! they did not, however many agents ask here. While one is asked or fails, its last good answer is good for a while; where there is none,
//! only so many requests wait for it that the other channels are answered meanwhile.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::server::answer::Said;

/// For so long an answer is served without asking again (docs/facts.md, T2).
const FRESH: Duration = Duration::from_secs(60);
/// So long after a failure nobody is asked again: agents come by the thousand.
const SORE: Duration = Duration::from_secs(10);

/// All of them, by what they are called.
pub struct Upstreams {
    known: Mutex<HashMap<String, Arc<Upstream>>>,
    places: Places,
}

/// How many requests may wait for other servers, and how many do.
struct Places {
    most: usize,
    taken: AtomicUsize,
}

/// The place of one that waits, until it is dropped.
struct Place<'a>(&'a Places);

/// One of them.
#[derive(Default)]
struct Upstream {
    state: Mutex<State>,
    asked: Condvar,
}

#[derive(Default)]
struct State {
    good: Option<(Said, Instant)>,
    failed: Option<(String, Instant)>,
    asking: Asking,
}

#[derive(Default, PartialEq, Eq)]
enum Asking {
    #[default]
    Nobody,
    Somebody,
}

/// An answer, and what a person should know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is as the other server says.
    Good(Said),
    /// The other server fails or is being asked; this is what it said last, so long ago, and why it fails where that is news.
    Stale(Said, Duration, Option<String>),
    /// It fails or too many wait for it, and nothing that it said is recent enough; why, where that is news.
    Nothing(Option<String>),
}

/// Whoever panicked with it has left it whole: it is replaced in one step.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Places {
    fn take(&self) -> Option<Place<'_>> {
        let taken = self.taken.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |taken| (taken < self.most).then_some(taken + 1));
        taken.ok().map(|_| Place(self))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Upstreams {
    /// None is known yet; so many requests may wait at a time.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { known: Mutex::default(), places: Places { most, taken: AtomicUsize::new(0) } }
    }

    /// What the server of that name says; `ask` asks it, which may take as long as its time-outs.
    pub fn answer(&self, name: &str, stale: Duration, ask: impl FnOnce() -> Result<Said, String>) -> Outcome {
        let upstream = Arc::clone(locked(&self.known).entry(name.to_owned()).or_default());
        upstream.answer(stale, &self.places, ask)
    }
}

impl Upstream {
    fn answer(&self, stale: Duration, places: &Places, ask: impl FnOnce() -> Result<Said, String>) -> Outcome {
        let mut state = locked(&self.state);
        let mut place = None;
        loop {
            if let Some((said, _)) = state.good.as_ref().filter(|(_, at)| at.elapsed() < FRESH) {
                return Outcome::Good(said.clone());
            }
            if state.failed.as_ref().is_some_and(|(_, at)| at.elapsed() < SORE) {
                return state.in_want(stale, None);
            }
            let meanwhile = state.in_want(stale, None);
            if state.asking == Asking::Somebody && matches!(meanwhile, Outcome::Stale(..)) {
                return meanwhile;
            }
            place = place.or_else(|| places.take());
            if place.is_none() {
                return meanwhile;
            }
            if state.asking == Asking::Nobody {
                break;
            }
            state = self.asked.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.asking = Asking::Somebody;
        drop(state);
        let asking = AskingEnds(self);
        let said = ask();
        let mut state = locked(&self.state);
        let outcome = match said {
            Ok(said) => {
                state.good = Some((said.clone(), Instant::now()));
                state.failed = None;
                Outcome::Good(said)
            }
            Err(why) => {
                state.failed = Some((why.clone(), Instant::now()));
                state.in_want(stale, Some(why))
            }
        };
        drop(state);
        drop(asking);
        outcome
    }
}

impl State {
    fn in_want(&self, stale: Duration, news: Option<String>) -> Outcome {
        let recent = self.good.as_ref().map(|(said, at)| (said, at.elapsed())).filter(|(_, age)| *age < stale);
        recent.map_or_else(|| Outcome::Nothing(news.clone()), |(said, age)| Outcome::Stale(said.clone(), age, news.clone()))
    }
}

/// Whatever becomes of the one who asks, the others do not wait for ever.
struct AskingEnds<'a>(&'a Upstream);

impl Drop for AskingEnds<'_> {
    fn drop(&mut self) {
        locked(&self.0.state).asking = Asking::Nobody;
        self.0.asked.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offers::reply::Offered;

    const DAY: Duration = Duration::from_secs(86_400);

    static PLACES: Places = Places { most: 100, taken: AtomicUsize::new(0) };

    fn long_ago() -> Instant {
        Instant::now().checked_sub(Duration::from_secs(3600)).unwrap()
    }

    fn said(version: &str) -> Said {
        (Offered::Release(version.parse().unwrap()), false)
    }

    #[test]
    fn however_many_ask_one_asks_the_other_server() {
        let (upstreams, asked) = (Upstreams::new(100), AtomicUsize::new(0));
        let ask = || {
            asked.fetch_add(1, Ordering::SeqCst);
            std::thread::park_timeout(Duration::from_millis(100));
            Ok(said("16.2.0"))
        };
        std::thread::scope(|scope| {
            for _ in 0..50 {
                scope.spawn(|| assert_eq!(upstreams.answer("a", DAY, ask), Outcome::Good(said("16.2.0"))));
            }
        });
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        assert_eq!(upstreams.answer("b", DAY, || Ok(said("16.3.0"))), Outcome::Good(said("16.3.0")));
    }

    #[test]
    fn while_the_other_server_fails_its_last_good_answer_is_served_for_as_long_as_is_wanted() {
        let upstream = Upstream::default();
        assert_eq!(upstream.answer(DAY, &PLACES, || Err("away".into())), Outcome::Nothing(Some("away".into())));
        // Nobody asks again at once, and nobody is told again.
        assert_eq!(upstream.answer(DAY, &PLACES, || panic!("asked")), Outcome::Nothing(None));
        locked(&upstream.state).failed = None;
        assert_eq!(upstream.answer(DAY, &PLACES, || Ok(said("16.2.0"))), Outcome::Good(said("16.2.0")));
        locked(&upstream.state).good = Some((said("16.2.0"), long_ago()));
        let outcome = upstream.answer(DAY, &PLACES, || Err("away".into()));
        assert!(
            matches!(&outcome, Outcome::Stale(said_, age, Some(why)) if *said_ == said("16.2.0") && age.as_secs() == 3600 && why == "away"),
            "{outcome:?}"
        );
        assert!(matches!(upstream.answer(DAY, &PLACES, || panic!("asked")), Outcome::Stale(_, _, None)));
        assert_eq!(upstream.answer(Duration::from_secs(3000), &PLACES, || panic!("asked")), Outcome::Nothing(None));
        locked(&upstream.state).failed = None;
        assert_eq!(upstream.answer(DAY, &PLACES, || Ok(said("16.3.0"))), Outcome::Good(said("16.3.0")));
    }

    #[test]
    fn an_answer_is_good_for_a_minute_and_a_failure_for_ten_seconds() {
        let ago = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
        for (age, is_asked) in [(57, false), (61, true)] {
            let upstream = Upstream::default();
            locked(&upstream.state).good = Some((said("16.2.0"), ago(age)));
            let outcome = upstream.answer(DAY, &PLACES, || Ok(said("16.3.0")));
            assert_eq!(outcome, Outcome::Good(said(if is_asked { "16.3.0" } else { "16.2.0" })), "{age} s");
        }
        for (age, is_asked) in [(7, false), (11, true)] {
            let upstream = Upstream::default();
            locked(&upstream.state).failed = Some(("away".into(), ago(age)));
            let outcome = upstream.answer(DAY, &PLACES, || Ok(said("16.3.0")));
            assert_eq!(outcome == Outcome::Good(said("16.3.0")), is_asked, "{age} s");
        }
    }

    #[test]
    fn whoever_asks_and_dies_keeps_nobody_waiting() {
        let upstream = Upstream::default();
        let died =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| upstream.answer(DAY, &PLACES, || panic!("on purpose"))));
        assert!(died.is_err());
        assert_eq!(upstream.answer(DAY, &PLACES, || Ok(said("16.2.0"))), Outcome::Good(said("16.2.0")));
    }

    #[test]
    fn while_somebody_asks_a_recent_answer_is_served_at_once_and_without_one_only_so_many_wait() {
        let upstream = Upstream::default();
        let places = Places { most: 2, taken: AtomicUsize::new(0) };
        let (hang_up, hanging) = std::sync::mpsc::channel::<()>();
        let began = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                upstream.answer(DAY, &places, move || {
                    hanging.recv_timeout(Duration::from_secs(5)).map(|()| said("16.3.0")).map_err(|_| "gone".into())
                })
            });
            while locked(&upstream.state).asking == Asking::Nobody {
                std::thread::yield_now();
            }
            let waiting = scope.spawn(|| upstream.answer(DAY, &places, || panic!("asked")));
            while places.taken.load(Ordering::SeqCst) < 2 {
                std::thread::yield_now();
            }
            assert_eq!(upstream.answer(DAY, &places, || panic!("asked")), Outcome::Nothing(None));
            locked(&upstream.state).good = Some((said("16.2.0"), long_ago()));
            for _ in 0..100 {
                assert!(
                    matches!(upstream.answer(DAY, &places, || panic!("asked")), Outcome::Stale(found, _, None) if found == said("16.2.0"))
                );
            }
            // Another server finds no place either, and serves what it has.
            let other = Upstream::default();
            assert_eq!(other.answer(DAY, &places, || panic!("asked")), Outcome::Nothing(None));
            locked(&other.state).good = Some((said("16.1.0"), long_ago()));
            assert!(matches!(other.answer(DAY, &places, || panic!("asked")), Outcome::Stale(..)));
            hang_up.send(()).unwrap();
            assert_eq!(waiting.join().unwrap(), Outcome::Good(said("16.3.0")));
        });
        assert!(began.elapsed() < Duration::from_secs(5));
        assert_eq!(places.taken.load(Ordering::SeqCst), 0);
    }
}
