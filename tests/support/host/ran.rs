//! What is left of a run to be compared: words, and the programs that were started.

/// What one run said and did.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Its exit code.
    pub exit: u8,
    /// Everything that a person would have seen; the scratch directory and the server's port are left out.
    pub said: String,
    /// Every process that was started, in the words that matter.
    pub started: Vec<String>,
    /// Those of them that change something.
    pub changed: Vec<String>,
    /// The pauses that were asked for and are not waits for a child process, in seconds.
    pub pauses: Vec<f64>,
}

impl Ran {
    /// The exit code, and what was changed.
    pub(crate) fn did(&self) -> (u8, Vec<&str>) {
        (self.exit, self.changed.iter().map(String::as_str).collect())
    }

    /// The lines of the log that do not come from a package manager, without the one about the server's plain http.
    pub(crate) fn own_words(&self) -> Vec<&str> {
        let foreign = |line: &&str| line.starts_with("[i] apt-get: ") || line.contains("in insecure mode (not safe");
        self.said.lines().filter(|line| !foreign(line)).collect()
    }
}

/// An argument vector without the options whose meaning is tested by real tools.
pub(super) fn words_that_matter(line: &str) -> String {
    let mut words = line.split(' ');
    let program = words.next().unwrap_or_default();
    let mut kept = vec![program];
    match program {
        "apt-get" | "apt-cache" | "apt-mark" => {
            while let Some(word) = words.next() {
                match word {
                    "-o" => drop(words.next()),
                    "-s" | "-d" => kept.push(word),
                    _ if word.starts_with('-') => {}
                    _ => kept.push(word),
                }
            }
        }
        "dpkg-query" => kept.extend(words.filter(|word| ["-L", "--control-show"].contains(word) || word.starts_with("teleport"))),
        "md5sum" => {}
        "systemctl" if line.starts_with("systemctl show") => kept.push("show"),
        _ => kept.extend(words),
    }
    kept.join(" ")
}

pub(super) fn changes(line: &str) -> bool {
    let asks = [
        "apt-cache",
        "dpkg-query",
        "dpkg -V",
        "md5sum",
        "systemctl show",
        "systemctl is-",
        "systemctl --version",
        "teleport ",
        "apt-get -s",
    ];
    !asks.iter().any(|question| line.starts_with(question))
}
