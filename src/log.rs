//! What a run says while it works: one line at a time to stderr, `[i]`, `[!]` or `[d]` in front, and the journal's priority before
//! that when stderr is the journal. A log that cannot be written never fails a run (V6).

use std::cell::{Cell, RefCell};
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// What happens and why.
    Info,
    /// What a person should know about.
    Warning,
    /// What was read and run.
    Debug,
}

/// How much is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Volume {
    /// Warnings, and everything once something is changed: for cron, which mails what it reads.
    Quiet,
    /// Information and warnings.
    Normal,
    /// Everything.
    Debug,
}

/// Whether lines carry the priority prefix of sd-daemon(3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priorities {
    /// `<6>` and so on in front: stderr is the journal.
    Journal,
    /// Plain lines.
    Plain,
}

impl Priorities {
    /// With them if stderr is the stream that the journal reads, which `$JOURNAL_STREAM` says (`DEVICE:INODE`, systemd.exec(5)).
    #[must_use]
    pub fn of_stderr(journal_stream: Option<&str>) -> Self {
        let stderr = std::io::stderr();
        let named = || {
            let (device, inode) = journal_stream?.split_once(':')?;
            let stat = rustix::fs::fstat(stderr.as_fd()).ok()?;
            Some(device.parse() == Ok(stat.st_dev) && inode.parse() == Ok(stat.st_ino))
        };
        if !stderr.is_terminal() && named() == Some(true) { Self::Journal } else { Self::Plain }
    }
}

/// Where lines go. One thread uses it.
pub struct Log {
    sinks: RefCell<Vec<(Box<dyn Write>, Priorities)>>,
    volume: Cell<Volume>,
}

impl Log {
    /// A log that writes to `sink`.
    #[must_use]
    pub fn new(sink: Box<dyn Write>, volume: Volume, priorities: Priorities) -> Self {
        Self { sinks: RefCell::new(vec![(sink, priorities)]), volume: Cell::new(volume) }
    }

    /// From here on lines go to the journal, too.
    pub fn keep_in(&self, journal: Box<dyn Write>) {
        if let Ok(mut sinks) = self.sinks.try_borrow_mut() {
            sinks.push((journal, Priorities::Journal));
        }
    }

    /// From here on nothing is said: what is to be said is on a page of its own.
    pub fn hush(&self) {
        if self.volume.get() != Volume::Debug
            && let Ok(mut sinks) = self.sinks.try_borrow_mut()
        {
            sinks.clear();
        }
    }

    /// From here on nothing is quiet any more: something is being changed.
    pub fn speak_up(&self) {
        if self.volume.get() == Volume::Quiet {
            self.volume.set(Volume::Normal);
        }
    }

    /// From here on everything is written, if `--quiet` does not forbid it.
    pub fn say_everything(&self) {
        if self.volume.get() == Volume::Normal {
            self.volume.set(Volume::Debug);
        }
    }

    /// Writes a line of information.
    pub fn info(&self, text: impl AsRef<str>) {
        self.say(Level::Info, text.as_ref());
    }

    /// Writes a warning.
    pub fn warning(&self, text: impl AsRef<str>) {
        self.say(Level::Warning, text.as_ref());
    }

    /// Writes what only a reader of `--verbose` wants to know.
    pub fn debug(&self, text: impl AsRef<str>) {
        self.say(Level::Debug, text.as_ref());
    }

    /// Writes `text` at `level`; further lines of the same text go out under the same priority without a mark of their own.
    pub fn say(&self, level: Level, text: &str) {
        let wanted = match (self.volume.get(), level) {
            (_, Level::Warning) | (Volume::Debug, _) => true,
            (Volume::Quiet, _) | (Volume::Normal, Level::Debug) => false,
            (Volume::Normal, Level::Info) => true,
        };
        if !wanted {
            return;
        }
        let (priority, mark) = match level {
            Level::Info => ("<6>", "[i] "),
            Level::Warning => ("<4>", "[!] "),
            Level::Debug => ("<7>", "[d] "),
        };
        let Ok(mut sinks) = self.sinks.try_borrow_mut() else { return };
        for (sink, priorities) in sinks.iter_mut() {
            let prefix = if *priorities == Priorities::Journal { priority } else { "" };
            let _ = sink.write_all(written(text, prefix, mark).as_bytes());
        }
    }
}

fn written(text: &str, prefix: &str, mut mark: &str) -> String {
    let mut lines = String::with_capacity(text.len() + 8);
    for line in text.lines() {
        lines.push_str(prefix);
        lines.push_str(mark);
        lines.extend(line.chars().map(|c| if c.is_control() && c != '\t' { '?' } else { c }));
        lines.push('\n');
        mark = "";
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[derive(Clone, Default)]
    struct Page(Rc<RefCell<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn heard(volume: Volume, priorities: Priorities, talk: impl Fn(&Log)) -> String {
        let page = Page::default();
        talk(&Log::new(Box::new(page.clone()), volume, priorities));
        let bytes = page.0.borrow().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn one_of_each(log: &Log) {
        log.info("one");
        log.warning("two\n    next: three");
        log.debug("four");
    }

    #[test]
    fn lines_carry_their_mark_and_in_the_journal_their_priority() {
        assert_eq!(heard(Volume::Debug, Priorities::Plain, one_of_each), "[i] one\n[!] two\n    next: three\n[d] four\n");
        assert_eq!(
            heard(Volume::Debug, Priorities::Journal, one_of_each),
            "<6>[i] one\n<4>[!] two\n<4>    next: three\n<7>[d] four\n"
        );
    }

    #[test]
    fn quiet_says_only_warnings_until_something_is_changed() {
        assert_eq!(heard(Volume::Quiet, Priorities::Plain, one_of_each), "[!] two\n    next: three\n");
        let changed = |log: &Log| {
            log.speak_up();
            log.info("upgrading");
        };
        assert_eq!(heard(Volume::Quiet, Priorities::Plain, changed), "[i] upgrading\n");
    }

    #[test]
    fn control_characters_of_other_programs_do_not_reach_the_terminal() {
        assert_eq!(heard(Volume::Normal, Priorities::Plain, |log| log.info("a\x1b[2Jb\rc\td")), "[i] a?[2Jb?c\td\n");
    }

    #[test]
    fn a_sink_that_fails_is_no_reason_to_fail() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
        }
        one_of_each(&Log::new(Box::new(Closed), Volume::Debug, Priorities::Plain));
    }
}
