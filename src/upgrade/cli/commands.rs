//! Every command, its options and its help, as one table: what is understood and what is explained cannot differ. A test compares man page
//! and completions with it.

/// One command.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) name: &'static str,
    /// In one line.
    pub(super) does: &'static str,
    /// What follows its name.
    pub(super) usage: &'static str,
    /// What else a person should know.
    pub(super) more: &'static str,
    pub(super) options: &'static [Opt],
}

/// One option.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opt {
    pub(super) long: &'static str,
    pub(super) short: Option<char>,
    /// What its value is called, if it has one.
    pub(super) value: Option<&'static str>,
    pub(super) does: &'static str,
}

const fn flag(long: &'static str, does: &'static str) -> Opt {
    Opt { long, short: None, value: None, does }
}

const fn option(long: &'static str, value: &'static str, does: &'static str) -> Opt {
    Opt { long, short: None, value: Some(value), does }
}

/// What every command understands.
pub(super) const COMMON: [Opt; 4] = [
    option("config", "DIR", "configuration directory (default: /etc/teleport-upgrade.d, or $TELEPORT_UPGRADE_CONFIG)"),
    Opt { short: Some('q'), ..flag("quiet", "say nothing unless something is wrong or is changed") },
    Opt { short: Some('v'), ..flag("verbose", "say what is read and run, too") },
    Opt { short: Some('h'), ..flag("help", "print this") },
];

const fn simple(name: &'static str, does: &'static str, more: &'static str) -> Command {
    Command { name, does, usage: "", more, options: &[] }
}

/// All of them, those of people first.
pub(super) const COMMANDS: [Command; 12] = [
    simple(
        "run",
        "check, and upgrade if it is due and a window is open",
        "Run by teleport-upgrade.timer, by cron, or by a person, who does not wait for
the turn of this host in its fleet (the file `spread`).",
    ),
    simple(
        "dry-run",
        "say what `run` would do now and why; change nothing",
        "Works as any user, and says what only root could have read.",
    ),
    Command {
        name: "status",
        does: "say how this host stands: version, health, what it waits for",
        usage: "[--json] [--offline]",
        more: "Works as any user. Ends in 0 when the agent is on the wanted version or waits
as planned, 1 when somebody has to do something, 2 when it cannot tell.",
        options: &[
            flag("json", "for machines: see status.schema.json"),
            flag("offline", "do not ask the version server; what the last run heard counts"),
        ],
    },
    simple(
        "force",
        "upgrade now if a version is due: no window, no wait",
        "Past windows, back-off, a pause and the administrator's hold, which stays.
Never past the guard against other major versions, or a signature.",
    ),
    Command {
        name: "pause",
        does: "no upgrades for a while; critical ones come all the same",
        usage: "[--until TIME | --for LENGTH] [OPTIONS]",
        more: "Without an end it lasts until `resume`. `force` upgrades all the same.",
        options: &[
            option("until", "TIME", "2026-12-24, \"2026-12-24 18:00\" (this host's clock), or with UTC behind"),
            option("for", "LENGTH", "90m, 12h, 14d or 2w"),
            option("reason", "TEXT", "why, for whoever reads `status`"),
            flag("even-critical", "not even what the server calls critical"),
        ],
    },
    simple("resume", "end a pause", ""),
    simple(
        "rollback",
        "go back to the version before, until another one is wanted",
        "From the package that was kept of it, without network; else from the repository.",
    ),
    Command {
        name: "install",
        does: "bring the agent to a host that has none",
        usage: "--proxy HOST[:PORT] [--channel NAME]\n       teleport-upgrade install --version X",
        more: "The package is held, and not configured or started.",
        options: &[
            option("proxy", "HOST[:PORT]", "a proxy of the cluster: what it offers, now and from now on"),
            option("channel", "NAME", "the channel to follow (default: default)"),
            option("version", "X", "exactly this version"),
        ],
    },
    Command {
        name: "version",
        does: "print the version of this program",
        usage: "[--raw]",
        more: "",
        options: &[flag("raw", "without the v")],
    },
    Command { name: "help", does: "print help, on one command if it is named", usage: "[COMMAND]", more: "", options: &[] },
    simple(
        "setup",
        "make this host ready (for package scripts)",
        "Owner and modes of the configuration, the timer of an old systemd, the stock
updater's hold. Says when the agent has to be restarted to be enrolled.",
    ),
    Command {
        name: "release",
        does: "end the hold on the agent (for package scripts)",
        usage: "[PACKAGE]",
        more: "While a package manager is at work, in a unit of its own.",
        options: &[],
    },
];

/// The command of that name.
pub(super) fn command(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

/// The help of all.
pub(super) fn help() -> String {
    let mut text = String::from(
        "Keeps the Teleport agent of this host on the version that its cluster wants.\n\nUsage: teleport-upgrade [options] COMMAND\n\nCommands (`help COMMAND` says more):\n",
    );
    for Command { name, does, .. } in &COMMANDS {
        text.push_str(&format!("  {name:<10} {does}\n"));
    }
    text.push_str("\nOptions:\n");
    text.push_str(&explained(&COMMON));
    text.push_str(
        "
Exit codes (of `status`: see there):
   0 done, nothing to do, or not now     70 internal error
  10 failed; the version before is back  75 try again later (lock, network)
  11 a person is needed                  77 needs root
  64 wrong command line                  78 configuration must be changed
  69 server or repository cannot serve

Configuration, one value a file: endpoint, package, installer, repo, pin,
allow-downgrade, lock, verify-seconds, prefetch, schedule-source, spread,
metrics, insecure, debug. The agent writes `schedule`. See teleport-upgrade(8).
",
    );
    text
}

/// The help of one.
pub(super) fn help_on(command: &Command) -> String {
    let Command { name, does, usage, more, options } = command;
    let usage = if usage.is_empty() { String::new() } else { format!(" {usage}") };
    let more = if more.is_empty() { String::new() } else { format!("\n{more}\n") };
    let own = explained(options);
    let common = explained(&COMMON);
    format!("Usage: teleport-upgrade {name}{usage}\n\n{}.\n{more}\nOptions:\n{own}{common}", capital(does))
}

fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The options, wrapped for a screen of eighty columns.
fn explained(options: &[Opt]) -> String {
    const COLUMN: usize = 24;
    const WIDTH: usize = 80;
    let mut text = String::new();
    for Opt { long, short, value, does } in options {
        let short = short.map_or_else(String::new, |short| format!("-{short}, "));
        let value = value.map_or_else(String::new, |value| format!(" {value}"));
        let mut line = format!("  {:<width$}", format!("{short}--{long}{value}"), width = COLUMN - 2);
        for word in does.split(' ') {
            if line.chars().count() + 1 + word.chars().count() > WIDTH {
                text.push_str(line.trim_end());
                text.push('\n');
                line = " ".repeat(COLUMN);
            }
            line.push(' ');
            line.push_str(word);
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_help_fits_a_screen_of_eighty_by_forty() {
        for help in COMMANDS.iter().map(help_on).chain([help()]) {
            let wide = help.lines().find(|line| line.chars().count() > 80);
            assert!(help.lines().count() <= 40 && wide.is_none(), "{wide:?}\n{help}");
        }
    }

    #[test]
    fn no_option_means_two_things() {
        for command in &COMMANDS {
            for option in command.options {
                assert!(COMMON.iter().all(|common| common.long != option.long), "--{}", option.long);
                let others = COMMANDS.iter().filter(|other| other.name != command.name).flat_map(|other| other.options);
                assert!(others.into_iter().all(|other| other.long != option.long), "--{} of two commands", option.long);
            }
        }
    }
}
