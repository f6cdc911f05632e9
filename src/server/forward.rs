//! Other version servers that channels are forwarded to: asked at most once a minute and by one request at a time, however many agents ask
//! here; while one fails, its last good answer is good for a while.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::server::answer::Said;

/// For so long an answer is served without asking again (reference, section 2).
const FRESH: Duration = Duration::from_secs(60);
/// So long after a failure nobody is asked again: agents come by the thousand.
const SORE: Duration = Duration::from_secs(10);

/// All of them, by what they are called.
#[derive(Default)]
pub struct Upstreams {
    known: Mutex<HashMap<String, Arc<Upstream>>>,
}

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
    /// The other server fails; this is what it said last, so long ago, and why it fails where that is news.
    Stale(Said, Duration, Option<String>),
    /// It fails, and nothing that it said is recent enough; why, where that is news.
    Nothing(Option<String>),
}

/// Whoever panicked with it has left it whole: it is replaced in one step.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Upstreams {
    /// What the server of that name says; `ask` asks it, which may take as long as its time-outs.
    pub fn answer(&self, name: &str, stale: Duration, ask: impl FnOnce() -> Result<Said, String>) -> Outcome {
        let upstream = Arc::clone(locked(&self.known).entry(name.to_owned()).or_default());
        upstream.answer(stale, ask)
    }
}

impl Upstream {
    fn answer(&self, stale: Duration, ask: impl FnOnce() -> Result<Said, String>) -> Outcome {
        let mut state = locked(&self.state);
        loop {
            if let Some((said, _)) = state.good.as_ref().filter(|(_, at)| at.elapsed() < FRESH) {
                return Outcome::Good(said.clone());
            }
            if state.failed.as_ref().is_some_and(|(_, at)| at.elapsed() < SORE) {
                return state.in_want(stale, None);
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
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::offers::reply::Offered;

    const DAY: Duration = Duration::from_secs(86_400);

    fn said(version: &str) -> Said {
        (Offered::Release(version.parse().unwrap()), false)
    }

    #[test]
    fn however_many_ask_one_asks_the_other_server() {
        let (upstreams, asked) = (Upstreams::default(), AtomicUsize::new(0));
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
        assert_eq!(upstream.answer(DAY, || Err("away".into())), Outcome::Nothing(Some("away".into())));
        // Nobody asks again at once, and nobody is told again.
        assert_eq!(upstream.answer(DAY, || panic!("asked")), Outcome::Nothing(None));
        locked(&upstream.state).failed = None;
        assert_eq!(upstream.answer(DAY, || Ok(said("16.2.0"))), Outcome::Good(said("16.2.0")));
        let long_ago = Instant::now().checked_sub(Duration::from_secs(3600)).unwrap();
        locked(&upstream.state).good = Some((said("16.2.0"), long_ago));
        let outcome = upstream.answer(DAY, || Err("away".into()));
        assert!(
            matches!(&outcome, Outcome::Stale(said_, age, Some(why)) if *said_ == said("16.2.0") && age.as_secs() == 3600 && why == "away"),
            "{outcome:?}"
        );
        assert!(matches!(upstream.answer(DAY, || panic!("asked")), Outcome::Stale(_, _, None)));
        assert_eq!(upstream.answer(Duration::from_secs(3000), || panic!("asked")), Outcome::Nothing(None));
        locked(&upstream.state).failed = None;
        assert_eq!(upstream.answer(DAY, || Ok(said("16.3.0"))), Outcome::Good(said("16.3.0")));
    }

    #[test]
    fn whoever_asks_and_dies_keeps_nobody_waiting() {
        let upstream = Upstream::default();
        let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| upstream.answer(DAY, || panic!("on purpose"))));
        assert!(died.is_err());
        assert_eq!(upstream.answer(DAY, || Ok(said("16.2.0"))), Outcome::Good(said("16.2.0")));
    }
}
