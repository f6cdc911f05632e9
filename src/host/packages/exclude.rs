//! A yum repository file's `exclude` line as text: reading whom it concerns, adding one word to it and taking that word away again, and
//! nothing else (V21: a second `exclude=` line would replace the administrator's). Format: yum.conf(5), dnf.conf(5).

/// One `exclude` or `excludepkgs` option: the lines that it takes and its words.
struct Excludes<'t> {
    /// Index of its first line; the others follow.
    line: usize,
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
    match options(text, section, &EXCLUDES).last().map(|option| option.line) {
        Some(at) => {
            let line = lines.get_mut(at)?;
            let end = line.trim_end();
            *line = if end.ends_with('=') { format!("{end}{word}") } else { format!("{end} {word}") };
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
        let continued = (option.line + 1..lines.len()).take_while(|at| continues(lines.get(*at))).last().unwrap_or(option.line);
        let alone = option.words == [word];
        for at in option.line..=continued {
            let Some(slot) = lines.get_mut(at) else { continue };
            *slot = if alone { None } else { slot.as_deref().map(|line| line_without(line, word)) };
        }
    }
    let kept: Vec<String> = lines.into_iter().flatten().collect();
    kept.join("\n") + "\n"
}

fn continues(line: Option<&Option<String>>) -> bool {
    line.and_then(Option::as_deref).is_some_and(|line| line.starts_with([' ', '\t']) && !line.trim().is_empty())
}

/// Only that word and the blank before it, or after it where it is the first.
fn line_without(line: &str, word: &str) -> String {
    let boundary = |c: Option<char>| c.is_none_or(|c| c.is_whitespace() || c == ',' || c == '=');
    for (at, _) in line.match_indices(word) {
        let (before, rest) = line.split_at(at);
        let after = rest.get(word.len()..).unwrap_or_default();
        if boundary(before.chars().last()) && boundary(after.chars().next()) {
            let rest = before.trim_end_matches([' ', '\t']);
            return if before.len() > rest.len() {
                format!("{rest}{after}")
            } else {
                format!("{before}{}", after.trim_start_matches([' ', '\t', ',']))
            };
        }
    }
    line.to_owned()
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
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            inside = keys.contains(&key.trim());
            if inside {
                options.push(Excludes { line: index, words: Vec::new() });
            }
            Some(value).filter(|_| inside)
        };
        if let (Some(value), Some(option)) = (value, options.last_mut()) {
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
