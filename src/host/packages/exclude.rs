//! A yum repository file's `exclude` line as text: reading whom it concerns, adding one word to it and taking that word away again, and
//! nothing else (V21: a second `exclude=` line would replace the administrator's). Format: yum.conf(5), dnf.conf(5).

/// One `exclude` or `excludepkgs` option: the lines that it takes and its words.
struct Excludes<'t> {
    /// Indices of its lines; there may be comments in between.
    lines: Vec<usize>,
    words: Vec<&'t str>,
}

/// Two names of one option.
const EXCLUDES: [&str; 2] = ["exclude", "excludepkgs"];

/// Whether the text has that section.
pub(super) fn has_section(text: &str, section: &str) -> bool {
    text.lines().any(|line| heading(line) == Some(section))
}

/// Every word of the section's excludes.
pub(super) fn words<'t>(text: &'t str, section: &str) -> Vec<&'t str> {
    words_of(text, section, &EXCLUDES)
}

/// Every word of these options in the section.
pub(super) fn words_of<'t>(text: &'t str, section: &str, keys: &[&str]) -> Vec<&'t str> {
    options(text, section, keys).into_iter().flat_map(|option| option.words).collect()
}

/// Whether the section is switched off.
pub(super) fn is_disabled(text: &str, section: &str) -> bool {
    is_off(text, section, "enabled")
}

/// Whether the section says no to this option; one that says nothing does not.
pub(super) fn is_off(text: &str, section: &str, option: &str) -> bool {
    let last = words_of(text, section, &[option]).pop().unwrap_or("1");
    ["0", "no", "false", "off"].contains(&last.to_lowercase().as_str())
}

/// The text with one word more in the section's excludes; `None` if there is no such section.
pub(super) fn with(text: &str, section: &str, word: &str) -> Option<String> {
    if !has_section(text, section) || words(text, section).contains(&word) {
        return has_section(text, section).then(|| text.to_owned());
    }
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    // The last one counts where there are several.
    match options(text, section, &EXCLUDES).last().and_then(|option| option.lines.first().copied()) {
        Some(at) => {
            let line = lines.get_mut(at)?;
            let end = line.trim_end_matches([' ', '\t']);
            let has_value = end.split_once('=').is_some_and(|(_, value)| !value.is_empty());
            *line = if has_value { format!("{end} {word}") } else { format!("{end}{word}") };
        }
        None => {
            let (from, to) = extent(text, section)?;
            let blank = lines.get(from..to)?.iter().rev().take_while(|line| line.trim().is_empty()).count();
            lines.insert(to - blank, format!("exclude={word}"));
        }
    }
    Some(lines.join("\n") + "\n")
}

/// The text without that word in the section's excludes; a line that held nothing else goes.
pub(super) fn without(text: &str, section: &str, word: &str) -> String {
    let mut lines: Vec<Option<String>> = text.lines().map(|line| Some(line.to_owned())).collect();
    for option in options(text, section, &EXCLUDES) {
        let alone = option.words.iter().all(|w| *w == word) && !option.words.is_empty();
        for at in option.lines {
            let Some(slot) = lines.get_mut(at) else { continue };
            *slot = if alone { None } else { slot.as_deref().map(|line| line_without(line, word)) };
        }
    }
    let kept: Vec<String> = lines.into_iter().flatten().collect();
    kept.join("\n") + "\n"
}

/// Only that word, as often as it is there, and the blank before it, or after it where it is the first.
fn line_without(line: &str, word: &str) -> String {
    let boundary = |c: Option<char>| c.is_none_or(|c| matches!(c, ' ' | '\t' | ','));
    let key = if line.starts_with([' ', '\t']) { 0 } else { line.find('=').map_or(0, |equals| equals + 1) };
    let (key, mut rest) = line.split_at(key);
    let mut kept = String::with_capacity(line.len());
    let found = |kept: &str, rest: &str| {
        rest.match_indices(word).map(|(at, _)| (at, at + word.len())).find(|(at, end)| {
            let before = rest.get(..*at).and_then(|before| before.chars().last()).or_else(|| kept.chars().last());
            boundary(before) && boundary(rest.get(*end..).and_then(|after| after.chars().next()))
        })
    };
    while let Some((at, end)) = found(&kept, rest) {
        kept.push_str(rest.get(..at).unwrap_or_default());
        rest = rest.get(end..).unwrap_or_default();
        let bare = kept.trim_end_matches([' ', '\t']).len();
        // The blanks at the beginning of a line make it go on with the one before.
        if 0 < bare && bare < kept.len() {
            kept.truncate(bare);
        } else {
            rest = rest.trim_start_matches([' ', '\t', ',']);
        }
    }
    let value = kept + rest;
    format!("{key}{}", if value.trim_matches([' ', '\t']).is_empty() { "" } else { &value })
}

fn heading(line: &str) -> Option<&str> {
    line.trim_end().strip_prefix('[')?.split(']').next().map(str::trim)
}

/// The lines of the section, without its heading.
fn extent(text: &str, section: &str) -> Option<(usize, usize)> {
    let start = text.lines().position(|line| heading(line) == Some(section))? + 1;
    let length = text.lines().skip(start).take_while(|line| heading(line).is_none()).count();
    Some((start, start + length))
}

fn options<'t>(text: &'t str, section: &str, keys: &[&str]) -> Vec<Excludes<'t>> {
    let Some((from, to)) = extent(text, section) else { return Vec::new() };
    let mut options: Vec<Excludes<'t>> = Vec::new();
    let mut inside = false;
    for (index, line) in text.lines().enumerate().skip(from).take(to - from) {
        if line.starts_with(['#', ';']) || line.trim().is_empty() {
            continue;
        }
        let value = if line.starts_with([' ', '\t']) {
            Some(line).filter(|_| inside)
        } else {
            let option = line.split_once('=').filter(|(key, _)| keys.contains(&key.trim()));
            inside = option.is_some();
            if inside {
                options.push(Excludes { lines: Vec::new(), words: Vec::new() });
            }
            option.map(|(_, value)| value)
        };
        if let (Some(value), Some(option)) = (value, options.last_mut()) {
            option.lines.push(index);
            option.words.extend(value.split([' ', '\t', ',']).filter(|word| !word.is_empty()));
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "[other]\nexclude=x\n\n[teleport]\nname=Teleport\nenabled=1\n\n[last]\nname=Last\n";

    #[test]
    fn a_word_comes_as_a_line_of_its_own_where_there_is_none_and_goes_with_it() {
        let held = with(PLAIN, "teleport", "teleport-ent").unwrap();
        assert_eq!(
            held,
            "[other]\nexclude=x\n\n[teleport]\nname=Teleport\nenabled=1\nexclude=teleport-ent\n\n[last]\nname=Last\n"
        );
        assert_eq!(words(&held, "teleport"), ["teleport-ent"]);
        assert_eq!(with(&held, "teleport", "teleport-ent").unwrap(), held, "once is enough");
        assert_eq!(without(&held, "teleport", "teleport-ent"), PLAIN);
        assert_eq!(with(PLAIN, "nowhere", "x"), None);
    }

    #[test]
    fn v21_a_word_joins_the_administrators_line_and_leaves_it_as_it_was() {
        for line in [
            "exclude=foo bar*",
            "exclude = foo, bar",
            "excludepkgs=foo",
            "exclude=foo,\n  bar\n\tbaz",
            "exclude=foo\nexcludepkgs=bar",
        ] {
            let text = format!("[teleport]\nname=x\n{line}\nenabled=1\n");
            let held = with(&text, "teleport", "teleport-ent").unwrap();
            assert!(words(&held, "teleport").contains(&"teleport-ent"), "{held}");
            assert_eq!(held.matches("exclude").count(), text.matches("exclude").count(), "{held}");
            assert_eq!(without(&held, "teleport", "teleport-ent"), text, "{held}");
        }
    }

    #[test]
    fn only_the_whole_word_in_that_section_counts() {
        let text = "[teleport]\nexclude=teleport-ent-fips teleport-ent xteleport-ent\n[other]\nexclude=teleport-ent\n";
        assert_eq!(
            without(text, "teleport", "teleport-ent"),
            "[teleport]\nexclude=teleport-ent-fips xteleport-ent\n[other]\nexclude=teleport-ent\n"
        );
        assert_eq!(without("[t]\nexclude=a, b\n", "t", "a"), "[t]\nexclude=b\n");
        assert_eq!(words("[t]\n# exclude=a\n;exclude=b\nEXCLUDE=c\nincludepkgs=d\n", "t"), [""; 0]);
    }

    #[test]
    fn a_word_goes_from_wherever_it_is_and_as_often_as_it_is_there() {
        for (text, rest) in [
            ("[t]\nexclude=a b a,c a\n", "[t]\nexclude=b,c\n"),
            ("[t]\nexclude=a a\n", "[t]\n"),
            ("[t]\nexclude=b\n a, c\n", "[t]\nexclude=b\n c\n"),
            ("[t]\nexclude=b\n# of old\n a\n\n\tc\n", "[t]\nexclude=b\n# of old\n\n\n\tc\n"),
        ] {
            assert_eq!(without(text, "t", "a"), rest, "{text:?}");
        }
        // An `=` in a value is no `=` behind a key.
        assert_eq!(with("[t]\nexclude=b c=\n", "t", "a").unwrap(), "[t]\nexclude=b c= a\n");
        assert_eq!(without("[t]\nexclude=c=a a\n", "t", "a"), "[t]\nexclude=c=a\n");
        // What has no `=` is no option, and a word behind it would be in none.
        assert_eq!(with("[t]\nexclude\n", "t", "a").unwrap(), "[t]\nexclude\nexclude=a\n");
    }

    #[test]
    fn a_section_is_on_unless_it_says_otherwise() {
        for (text, off) in
            [("[t]\n", false), ("[t]\nenabled=1\n", false), ("[t]\nenabled = 0\n", true), ("[t]\nenabled=False\n", true)]
        {
            assert_eq!(is_disabled(text, "t"), off, "{text}");
        }
    }

    #[test]
    fn an_empty_line_takes_the_word() {
        assert_eq!(with("[t]\nexclude=\n", "t", "a").unwrap(), "[t]\nexclude=a\n");
    }
}
