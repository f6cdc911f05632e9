//! Whether a pattern of an administrator concerns the agent's package: shell patterns as dnf's excludes and zypper's locks have them. In
//! doubt it does: a hold that is none costs a question, one that is overlooked costs trust.

/// A pattern that is longer is nobody's, and takes time by the square.
const LONGEST: usize = 1024;

/// Whether the pattern matches the text: `*`, `?`, and `[...]` as "any one character".
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    if pattern.len() > LONGEST {
        return true;
    }
    let (pattern, text): (Vec<char>, Vec<char>) = (simple(pattern), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where to go on when what follows the last `*` does not match here.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || text.get(t) == Some(c) => (p, t) = (p + 1, t + 1),
            _ => match retry {
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    (p, t) = (star + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|c| *c == '*'))
}

/// Every set of characters becomes `?`.
fn simple(pattern: &str) -> Vec<char> {
    let mut simple = Vec::new();
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        if c == '[' && rest.as_str().contains(']') {
            rest.by_ref().find(|c| *c == ']');
            simple.push('?');
        } else {
            simple.push(c);
        }
    }
    simple
}

/// Whether the pattern concerns the package: its name, or its name with a version or an architecture behind it.
pub(super) fn concerns(pattern: &str, package: &str) -> bool {
    matches(pattern, package)
        || pattern.match_indices(['-', '.']).any(|(at, _)| {
            let (name, rest) = pattern.split_at(at);
            let version = rest.trim_start_matches(['-', '.']).starts_with(|c: char| c.is_ascii_digit() || "*?[".contains(c));
            let architecture = ["x86_64", "aarch64", "noarch", "i686", "armv7hl"].contains(&rest.trim_start_matches('.'));
            (version || architecture) && !name.is_empty() && matches(name, package)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        let stories = [
            ("teleport", "teleport", true),
            ("teleport", "teleport-ent", false),
            ("teleport*", "teleport-ent", true),
            ("*", "", true),
            ("*port*nt", "teleport-ent", true),
            ("*port*x", "teleport-ent", false),
            ("tele?ort", "teleport", true),
            ("tele[a-z]ort", "teleport", true),
            ("tele[port", "tele[port", true),
            ("", "teleport", false),
            ("**a**", "bab", true),
        ];
        for (pattern, text, expected) in stories {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_pattern_concerns_a_package_by_name_version_or_architecture() {
        for pattern in
            ["teleport-ent", "tele*", "teleport-ent-16.1.7-1", "teleport-ent-16*", "teleport-ent.x86_64", "teleport-ent-*", "*"]
        {
            assert!(concerns(pattern, "teleport-ent"), "{pattern}");
        }
        for pattern in ["teleport", "teleport-ent-fips", "teleport-16*", "bash", "foo-*", "teleport-ent-updater", ""] {
            assert!(!concerns(pattern, "teleport-ent"), "{pattern}");
        }
    }

    #[test]
    fn a_hostile_pattern_ends_in_bounded_time() {
        assert!(!matches(&"*a".repeat(500), &"a".repeat(400)));
        assert!(concerns(&"-1".repeat(32 * 1024), "teleport-ent"), "in doubt it does, at once");
    }
}
