//! What is outside of this program, as one thing that can be another one: the programs that it starts and the version server that it asks.
//! A real machine has none of these; the simulator in `tests/simulator` runs the same code in a world of its own, a hundred thousand times.

use std::io::Write;

use crate::host::command::{Answer, Argv};

/// A world in which no process is started and nothing is sent.
pub trait World {
    /// A program is asked.
    fn ask(&self, argv: &Argv) -> Answer;

    /// A program changes something, and writes into `log` what it says.
    fn change(&self, argv: &Argv, log: &mut dyn Write) -> Answer;

    /// The version server is asked for `version` or `critical`: the body of its answer, or why there is none.
    ///
    /// # Errors
    /// In words, as a client would say it.
    fn serve(&self, question: &str) -> Result<Vec<u8>, String>;
}
