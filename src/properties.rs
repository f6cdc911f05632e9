//! What must hold of every parser, whatever it is given. Each room has its own in a file `properties.rs`, where it can reach what it keeps
//! to itself; here is what they share. Not in what is shipped: the fuzzer (`tests/fuzz`) tries them on what it makes up, and `cargo test`
//! on the corpus.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A parser, or a few that read the same thing, and what must hold of them.
pub struct Target {
    /// Its name, and that of its directory in `tests/fuzz/corpus`.
    pub name: &'static str,
    /// Panics where something does not hold.
    pub holds: fn(&[u8]),
}

/// How long an input may be that is grown from a small one.
const GROWN: usize = 64 * 1024;
/// How long a parser may take for that many bytes: linear ones take a few milliseconds. Tests are built without optimisation.
const LIMIT: Duration = Duration::from_millis(if cfg!(fuzzing) { 100 } else { 1000 });
/// The processor itself may have been slow: only a parser that is slow every time is slow.
const TRIES: usize = 3;

impl Target {
    /// Tries one input, within the limit of time.
    ///
    /// # Panics
    /// When something does not hold.
    pub fn check(&self, input: &[u8]) {
        let mut took = Duration::MAX;
        for _ in 0..TRIES {
            let begun = busy();
            (self.holds)(input);
            took = took.min(busy().saturating_sub(begun));
            if took <= LIMIT {
                return;
            }
        }
        assert!(input.len() > GROWN, "{}: {} bytes took {took:?}, {:?}...", self.name, input.len(), input.get(..60));
    }

    /// Tries an input, and what it grows to when it is repeated: what takes time by the square shows there.
    ///
    /// # Panics
    /// When something does not hold.
    pub fn check_grown(&self, seed: &[u8]) {
        self.check(seed);
        if !seed.is_empty() && seed.len() < GROWN {
            self.check(&seed.repeat(GROWN / seed.len()));
        }
    }
}

/// For how long this thread has had a processor.
fn busy() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// Whether a tool can take the text for nothing but one word that is no option.
#[must_use]
pub fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('-') && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether the text is safe anywhere: printable ASCII.
#[must_use]
pub fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

/// What was made of an input is not much longer than it.
///
/// # Panics
/// When it is.
pub fn assert_bounded<'t>(input: &[u8], made: impl IntoIterator<Item = &'t String>) {
    let length: usize = made.into_iter().map(String::len).sum();
    assert!(length <= 1000 + 16 * input.len(), "{length} bytes were made of {}", input.len());
}

/// Tries each input of the corpus, and those recorded of real tools where the target reads such.
///
/// # Panics
/// When something does not hold, or there is no corpus.
#[cfg(test)]
pub(crate) fn replay(targets: &[Target]) {
    for target in targets {
        let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target.name);
        let inputs: Vec<_> = std::fs::read_dir(&corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!inputs.is_empty(), "{} is empty", corpus.display());
        for path in inputs {
            target.check_grown(&std::fs::read(path).unwrap());
        }
    }
}
