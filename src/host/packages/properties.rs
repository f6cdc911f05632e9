//! What must hold of what package managers and administrators have written: see [`crate::properties::Target`].

use crate::host::packages::apt_reply::{self, Planned};
use crate::host::packages::choice::family;
use crate::host::packages::{
    Candidate, Completeness, Holds, Moved, State, dnf_reply, exclude, glob, rpm_reply, zypper_locks, zypper_reply,
};
use crate::properties::{Target, assert_bounded, is_word};
use crate::rules::release::Release;

/// Every parser of this room.
pub const TARGETS: [Target; 8] = [
    Target { name: "apt", holds: apt },
    Target { name: "rpm", holds: rpm },
    Target { name: "dnf", holds: dnf },
    Target { name: "zypper", holds: zypper },
    Target { name: "zypper-locks", holds: locks },
    Target { name: "excludes", holds: excludes },
    Target { name: "glob", holds: globs },
    Target { name: "os-release", holds: os_release },
];

const PACKAGE: &str = "teleport-ent";

fn text(input: &[u8]) -> String {
    String::from_utf8_lossy(input).into_owned()
}

/// A version becomes a word on a command line, often behind a package's name.
fn assert_state(input: &[u8], state: State) {
    if let Some(version) = &state.version {
        assert!(is_word(version), "{version:?}");
    }
    assert_bounded(input, state.version.iter());
    if let Completeness::Stopped(at) = state.completeness {
        assert!(state.version.is_some());
        assert_bounded(input, [&at]);
    }
}

fn assert_candidates(input: &[u8], candidates: &[Candidate]) {
    for Candidate { version, .. } in candidates {
        assert!(is_word(version), "{version:?}");
    }
    assert_bounded(input, candidates.iter().map(|candidate| &candidate.version));
}

fn assert_newest_first(input: &[u8], candidates: &[Candidate]) {
    assert_candidates(input, candidates);
    let releases: Vec<Option<Release>> = candidates.iter().map(|candidate| rpm_reply::release_of(&candidate.version)).collect();
    assert!(releases.iter().all(Option::is_some) && releases.is_sorted_by(|one, other| one >= other), "{candidates:?}");
}

fn assert_moved(input: &[u8], version: Option<String>, moved: &Moved) {
    assert!(version.as_deref().is_none_or(|version| is_word(version) && moved.ours > 0), "{version:?}");
    assert_bounded(input, version.iter().chain(&moved.along).chain(&moved.foreign));
}

fn apt(input: &[u8]) {
    let text = text(input);
    assert_state(input, apt_reply::state(&text, PACKAGE));
    assert_candidates(input, &apt_reply::candidates(&text));
    let sums = apt_reply::program_sums(&text);
    assert!(sums.iter().all(|(sum, path)| sum.len() == 32 && is_word(sum) && path.starts_with('/')));
    assert_bounded(input, sums.iter().map(|(_, path)| path));
    assert_bounded(input, &apt_reply::damage(&text));
    let _ = apt_reply::needs(&text);
    let planned = apt_reply::plan(&text);
    assert!(planned.len() <= text.lines().count());
    assert_bounded(input, &planned.iter().map(Planned::to_string).collect::<Vec<String>>());
    assert!(apt_reply::dependencies(&text).iter().all(|name| text.contains(name)));
    assert!(apt_reply::kept_conffiles(&text).iter().all(|file| text.contains(file)));
    let _ = (apt_reply::trouble(&text), apt_reply::is_strangers_trouble(&text, PACKAGE));
    assert!(apt_reply::holder(&text).is_none_or(|pid| text.contains(&pid.to_string())));
    if let Some(release) = apt_reply::release_in(&text, PACKAGE) {
        assert!(text.starts_with(&format!("{PACKAGE}_")) && text.contains(&format!("_{release}_")) || text.contains("_v"));
    }
}

fn rpm(input: &[u8]) {
    let text = text(input);
    let entries = rpm_reply::entries(&text, PACKAGE);
    assert!(entries.iter().all(|entry| is_word(entry) && entry.contains('-')), "{entries:?}");
    assert_state(input, rpm_reply::state(&text, PACKAGE, Holds::default()));
    assert_bounded(input, &rpm_reply::damage(&text));
    assert!(rpm_reply::changed(&text).iter().all(|path| path.starts_with('/') && text.contains(path)));
    assert!(rpm_reply::kept_conffiles(&text).iter().all(|file| text.contains(file)));
    let _ = rpm_reply::trouble(&text);
    assert!(rpm_reply::holder(&text).is_none_or(|pid| text.contains(&pid.to_string())));
    for line in text.lines().take(8) {
        assert!(rpm_reply::is_installed(line, Some(line)) && !rpm_reply::is_installed(line, None));
        let _ = rpm_reply::release_in(line, PACKAGE);
        // What is asked for is found again in what rpm makes of it.
        if let Ok(release) = line.parse::<Release>() {
            let spelled = rpm_reply::spelling(&release);
            assert!(is_word(&spelled));
            assert_eq!(rpm_reply::release_of(&format!("0:{spelled}-1")).as_ref(), Some(&release));
            assert_eq!(rpm_reply::release_in(&format!("{PACKAGE}-{spelled}-1.x86_64.rpm"), PACKAGE), Some(release));
        }
    }
}

fn dnf(input: &[u8]) {
    let text = text(input);
    assert_newest_first(input, &dnf_reply::candidates(&text, PACKAGE));
    for repository in [None, Some("teleport")] {
        let (version, moved) = dnf_reply::plan(&text, PACKAGE, repository);
        assert_moved(input, version, &moved);
    }
    let _ = dnf_reply::download(&text);
}

fn zypper(input: &[u8]) {
    let text = text(input);
    assert_newest_first(input, &zypper_reply::candidates(&text, PACKAGE));
    let (version, moved) = zypper_reply::plan(&text, PACKAGE);
    assert_moved(input, version, &moved);
    for installed in [0, u64::MAX] {
        let _ = zypper_reply::needs(&text, installed);
    }
    let complaints = zypper_reply::complaints(&text);
    assert!(complaints.len() <= 10 && complaints.iter().all(|line| line.chars().count() <= 300), "{complaints:?}");
    assert_bounded(input, &complaints);
}

/// The oracle is how libzypp reads the file (`PoolQuery::recover`): a line without a colon ends a lock, one that begins with `#` is none.
fn locks(input: &[u8]) {
    let text = text(input);
    let mut locks: Vec<Vec<&str>> = vec![Vec::new()];
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        match (line.contains(':'), locks.last_mut()) {
            (true, Some(lock)) => lock.push(line),
            _ => locks.push(Vec::new()),
        }
    }
    let pairs = |lock: &Vec<&'_ str>| -> Vec<(String, String)> {
        let pairs = lock.iter().filter_map(|line| line.split_once(':'));
        pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect()
    };
    let is_locked = zypper_locks::has_plain(&text, PACKAGE) || zypper_locks::other(&text, PACKAGE).is_some();
    for lock in locks.iter().map(pairs) {
        let by_name = lock.iter().all(|(key, _)| key == "solvable_name") && lock.iter().any(|(_, name)| name == PACKAGE);
        assert!(is_locked || !by_name, "{text:?} overlooked {lock:?}");
    }

    let rest = zypper_locks::without(&text, PACKAGE);
    assert!(!zypper_locks::has_plain(&rest, PACKAGE) && zypper_locks::other(&rest, PACKAGE).is_none(), "{text:?} {rest:?}");
    assert_eq!(zypper_locks::without(&rest, PACKAGE).replace('\r', ""), rest.replace('\r', ""));
    // Where nothing concerns the package, nothing goes but what is no lock.
    let values = |text: &str| text.lines().filter(|line| line.contains(':') && !line.starts_with('#')).count();
    assert!(is_locked || values(&text) == values(&rest), "{text:?} {rest:?}");
    assert_bounded(input, [&rest]);
    assert!(zypper_locks::file(&text).is_none_or(|file| file.starts_with('/') && text.contains(file)));
}

fn excludes(input: &[u8]) {
    const SECTION: &str = "teleport";
    // A carriage return at the end of a line goes with the first edit, and of several one goes each time.
    let text = text(input).replace('\r', "");
    let before = exclude::words(&text, SECTION);
    let _ = (exclude::is_disabled(&text, SECTION), exclude::words_of(&text, "main", &["includepkgs"]));
    let held = exclude::with(&text, SECTION, PACKAGE);
    assert_eq!(held.is_some(), exclude::has_section(&text, SECTION));
    let Some(held) = held else { return };
    let mut after = exclude::words(&held, SECTION);
    assert!(after.contains(&PACKAGE), "{text:?} {held:?}");
    after.retain(|word| before.contains(&PACKAGE) || *word != PACKAGE);
    after.sort_unstable();
    let mut sorted = before.clone();
    sorted.sort_unstable();
    assert_eq!(after, sorted, "{text:?} {held:?}");

    let freed = exclude::without(&held, SECTION, PACKAGE);
    let mut rest = exclude::words(&freed, SECTION);
    assert!(!rest.contains(&PACKAGE), "{held:?} {freed:?}");
    rest.sort_unstable();
    sorted.retain(|word| *word != PACKAGE);
    assert_eq!(rest, sorted, "{held:?} {freed:?}");
    // An administrator's file is as it was before, but for blanks and options without a word.
    let says_something =
        |line: &&str| line.split_once('=').is_none_or(|(_, value)| value.contains(|c| !matches!(c, ' ' | '\t' | ',')));
    let bare = |text: &str| {
        let words = text.lines().filter(says_something).flat_map(str::split_ascii_whitespace);
        words.filter(|word| !word.trim_matches(',').is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(before.contains(&PACKAGE) || bare(&freed) == bare(&text), "{text:?} {freed:?}");
    assert_bounded(input, [&held, &freed]);
}

/// The oracle is the definition, tried from both ends.
fn globs(input: &[u8]) {
    fn slow(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            (['*', rest @ ..], _) => slow(rest, text) || matches!(text, [_, less @ ..] if slow(pattern, less)),
            (['?', rest @ ..], [_, less @ ..]) => slow(rest, less),
            ([c, rest @ ..], [d, less @ ..]) if c == d => slow(rest, less),
            _ => false,
        }
    }
    let text = text(input);
    let (pattern, word) = text.split_once('\n').unwrap_or((&text, PACKAGE));
    assert!(glob::matches("*", word) && (word.contains('[') || glob::matches(word, word)));
    if pattern.len() <= 12 && word.len() <= 12 && !pattern.contains('[') {
        let [p, w] = [pattern, word].map(|text| text.chars().collect::<Vec<char>>());
        assert_eq!(glob::matches(pattern, word), slow(&p, &w), "{pattern:?} {word:?}");
    }
    assert!(glob::concerns(pattern, PACKAGE) || !glob::matches(pattern, PACKAGE));
}

fn os_release(input: &[u8]) {
    let text = text(input);
    assert!(family(&text).is_none() || text.contains("ID"));
    assert_eq!(family(&format!("# a comment\nNAME=x\n{text}")), family(&text));
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_package_managers_hold_for_the_corpus() {
        crate::properties::replay(&super::TARGETS);
    }
}
