//! Whether an agent is well: what one look at it shows, and what a row of looks, a second apart, proves. Nobody is blamed here.
//!
//! An older process that drains its sessions is no illness, however long it takes (V1); only the process in charge counts.

use serde::{Deserialize, Serialize};

/// How long, in seconds, the process in charge has to be the same one, if there is so much time at all.
pub const STEADY_FOR: u32 = 10;

/// What one look at a running agent shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Whether its unit is up, as systemd sees it; without systemd, whether it runs at all.
    pub unit: Unit,
    /// The process in charge.
    pub in_charge: Option<InCharge>,
    /// Whether it has written its PID file.
    pub pid_file: PidFile,
    /// How often systemd has restarted it by itself since somebody last started it.
    pub restarts: u32,
    /// What it says of itself on its debug socket.
    pub readiness: Readiness,
}

/// The process in charge, told from a later one with the same id by its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InCharge {
    /// Its id.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub started: u64,
    /// Whether it executes the file that is installed now.
    pub executes: Executes,
}

/// Which file a process executes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Executes {
    /// The installed one.
    Installed,
    /// Another: one that was replaced under it.
    Other,
}

/// What the unit's PID file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PidFile {
    /// It names a process of the unit.
    Written,
    /// It is not there, or names nobody: an agent that hangs in its start has not come to write it.
    Missing,
    /// The unit has none.
    NotKept,
}

/// Whether a unit is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit {
    /// It is.
    Active,
    /// It is on its way up, or between two tries of systemd's.
    Starting,
    /// It is not, and systemd does not try; its word for that.
    Down(String),
}

/// What the agent answers to `GET /readyz` on its debug socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// 200.
    Ready,
    /// A clear "not ready": the status and its first words.
    NotReady(String),
    /// No socket, or nothing that could be understood: most agents have none.
    Silent,
}

/// What a row of looks proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It is well.
    Well,
    /// It can still become well.
    NotYet,
    /// It is ill.
    Ill(Complaint),
}

/// What speaks against an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Complaint {
    /// How ill it is.
    pub illness: Illness,
    /// In words, as the end of "the agent ...".
    pub says: String,
}

/// How ill an agent is, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Illness {
    /// It runs, and says itself that it is not ready.
    NotReady,
    /// It does not run, or not for long.
    Down,
}

impl Complaint {
    /// Of an agent that does not run, or not for long.
    pub fn down(says: impl Into<String>) -> Self {
        Self { illness: Illness::Down, says: says.into() }
    }
}

impl std::fmt::Display for Complaint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the agent {}", self.says)
    }
}

impl Look {
    /// What speaks against an agent that shows this.
    #[must_use]
    pub fn complaint(&self) -> Option<Complaint> {
        match (&self.unit, &self.in_charge, &self.readiness) {
            (Unit::Down(word), ..) => Some(Complaint::down(format!("is down (systemd says {word})"))),
            (_, None, _) => Some(Complaint::down("has no process in charge")),
            (Unit::Starting, ..) => Some(Complaint::down("is still starting")),
            _ if self.pid_file == PidFile::Missing => {
                Some(Complaint { illness: Illness::NotReady, says: "runs, but has not come to write its PID file".into() })
            }
            (_, _, Readiness::NotReady(says)) => {
                Some(Complaint { illness: Illness::NotReady, says: format!("says that it is not ready ({says})") })
            }
            (Unit::Active, Some(_), Readiness::Ready | Readiness::Silent) => None,
        }
    }
}

/// How often, in words.
#[must_use]
pub fn times(count: u32) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

/// What these looks, oldest first and a second apart, prove of an agent that has `patience` seconds to become well. That it is well is
/// said only at the end of them: one that dies after half of them is ill.
#[must_use]
pub fn judge(looks: &[Look], patience: u32) -> Finding {
    let (Some(first), Some(last)) = (looks.first(), looks.last()) else { return Finding::NotYet };
    let restarts = last.restarts.saturating_sub(first.restarts);
    if restarts > 0 {
        return down(format!("ended by itself and was restarted by systemd {}", times(restarts)));
    }
    // Twice in a row: a PID file that is just being written names nobody.
    let being_written = looks.iter().rev().nth(1).is_some_and(|look| look.pid_file != PidFile::Missing);
    let complaint = last.complaint().filter(|_| last.pid_file != PidFile::Missing || !being_written);
    let is_down = |look: &Look| matches!(look.unit, Unit::Down(_));
    if let Some(complaint) = complaint.as_ref().filter(|_| looks.len() > 1 && looks.iter().rev().take(2).all(is_down)) {
        // Twice in a row: somebody else may be restarting it.
        return Finding::Ill(complaint.clone());
    }
    let runs_it = |look: &Look| look.in_charge.is_some_and(|process| process.executes == Executes::Installed);
    let gone = looks.iter().rev().take_while(|look| !runs_it(look)).count();
    if gone > 1 && looks.iter().any(runs_it) {
        return down("ended by itself");
    }
    let seconds = u32::try_from(looks.len().saturating_sub(1)).unwrap_or(u32::MAX);
    if seconds < patience {
        return Finding::NotYet;
    }
    let same = looks.iter().rev().take_while(|look| look.in_charge.is_some() && look.in_charge == last.in_charge).count();
    let steady_for = u32::try_from(same.saturating_sub(1)).unwrap_or(u32::MAX);
    match (last.in_charge, complaint) {
        (Some(InCharge { executes: Executes::Other, .. }), _) => down("goes on with the version before"),
        (_, Some(complaint)) => Finding::Ill(complaint),
        _ if steady_for < STEADY_FOR.min(patience) => down(format!("changed its process {steady_for} s ago")),
        _ => Finding::Well,
    }
}

fn down(says: impl Into<String>) -> Finding {
    Finding::Ill(Complaint::down(says))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Look = Look {
        unit: Unit::Active,
        in_charge: Some(InCharge { pid: 101, started: 4242, executes: Executes::Installed }),
        pid_file: PidFile::Written,
        restarts: 3,
        readiness: Readiness::Silent,
    };

    fn with(change: impl FnOnce(&mut Look)) -> Look {
        let mut look = WELL.clone();
        change(&mut look);
        look
    }
    fn other_process(look: &mut Look) {
        look.in_charge = Some(InCharge { pid: 102, started: 5000, executes: Executes::Installed });
    }
    fn row(parts: &[(usize, Look)]) -> Vec<Look> {
        parts.iter().flat_map(|(seconds, look)| std::iter::repeat_n(look.clone(), *seconds)).collect()
    }
    fn ill(why: &str) -> Finding {
        Finding::Ill(Complaint { illness: Illness::Down, says: why.into() })
    }
    fn unready(why: &str) -> Finding {
        Finding::Ill(Complaint { illness: Illness::NotReady, says: why.into() })
    }

    #[test]
    fn an_agent_is_well_only_when_all_of_its_time_has_passed_without_a_complaint() {
        let restarted = with(|look| {
            look.restarts = 4;
            other_process(look);
        });
        let starting = with(|look| (look.unit, look.in_charge) = (Unit::Starting, None));
        let not_ready = with(|look| look.readiness = Readiness::NotReady("503 not ready".into()));
        let ready = with(|look| look.readiness = Readiness::Ready);
        let old = with(|look| look.in_charge = Some(InCharge { pid: 99, started: 1, executes: Executes::Other }));
        let stories = [
            ("nothing was seen", vec![], Finding::NotYet),
            ("well so far", row(&[(60, WELL)]), Finding::NotYet),
            ("well to the end", row(&[(61, WELL)]), Finding::Well),
            (
                "crashes at once",
                row(&[(1, WELL), (1, restarted.clone())]),
                ill("ended by itself and was restarted by systemd once"),
            ),
            ("crashes after 40 s", row(&[(40, WELL), (1, restarted)]), ill("ended by itself and was restarted by systemd once")),
            (
                "is down for good",
                row(&[(5, WELL), (2, with(|l| l.unit = Unit::Down("failed".into())))]),
                ill("is down (systemd says failed)"),
            ),
            ("takes its time to start", row(&[(30, starting.clone()), (31, WELL)]), Finding::Well),
            ("never starts", row(&[(61, starting)]), ill("has no process in charge")),
            ("gets ready in time", row(&[(50, not_ready.clone()), (11, ready)]), Finding::Well),
            ("never gets ready", row(&[(61, not_ready)]), unready("says that it is not ready (503 not ready)")),
            ("its successor dies and the old process drains on", row(&[(5, WELL), (2, old.clone())]), ill("ended by itself")),
            ("writes its PID file anew", row(&[(5, WELL), (1, old.clone()), (55, WELL)]), Finding::Well),
            (
                "hangs in its start",
                row(&[(61, with(|look| look.pid_file = PidFile::Missing))]),
                unready("runs, but has not come to write its PID file"),
            ),
            (
                "writes its PID file at the end",
                row(&[(60, WELL), (1, with(|look| look.pid_file = PidFile::Missing))]),
                Finding::Well,
            ),
            ("keeps the old process", row(&[(61, old)]), ill("goes on with the version before")),
            ("hands over early", row(&[(20, WELL), (41, with(other_process))]), Finding::Well),
            ("hands over just now", row(&[(55, WELL), (6, with(other_process))]), ill("changed its process 5 s ago")),
        ];
        for (story, looks, finding) in stories {
            assert_eq!(judge(&looks, 60), finding, "{story}");
        }
    }

    #[test]
    fn with_little_time_it_has_to_be_steady_for_no_longer_than_that() {
        assert_eq!(judge(&row(&[(3, WELL)]), 2), Finding::Well);
        assert_eq!(judge(&row(&[(1, WELL), (2, with(other_process))]), 2), ill("changed its process 1 s ago"));
    }

    #[test]
    fn one_look_says_what_is_wrong() {
        assert_eq!(WELL.complaint(), None);
        let complaint = |change: fn(&mut Look)| with(change).complaint().unwrap().says;
        assert_eq!(complaint(|look| look.unit = Unit::Down("failed".into())), "is down (systemd says failed)");
        assert_eq!(complaint(|look| look.in_charge = None), "has no process in charge");
        assert_eq!(complaint(|look| look.unit = Unit::Starting), "is still starting");
        assert_eq!(
            complaint(|look| look.readiness = Readiness::NotReady("400 starting".into())),
            "says that it is not ready (400 starting)"
        );
    }
}
