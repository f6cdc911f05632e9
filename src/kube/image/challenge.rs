//! What a registry answers to whom it does not know: `WWW-Authenticate: Bearer realm="…",service="…",scope="…"` (RFC 9110, section 11;
//! Docker's token protocol). Pure.

/// What a registry wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kube) enum Challenge {
    /// Name and password with each request.
    Basic,
    /// A token, which is given out there.
    Bearer {
        /// The address that gives out tokens.
        realm: String,
        /// What the token is for, as the registry names itself.
        service: Option<String>,
    },
}

/// Reads one header; a scheme that is not known is passed over.
pub(in crate::kube) fn challenge(header: &str) -> Option<Challenge> {
    let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let (mut realm, mut service) = (None, None);
    for (name, value) in parameters(rest)? {
        match name.to_ascii_lowercase().as_str() {
            "realm" => realm = Some(value),
            "service" => service = Some(value),
            // The scope is ours to know: one repository, to pull.
            _ => {}
        }
    }
    Some(Challenge::Bearer { realm: realm?, service })
}

/// `name="value"` or `name=value`, joined by commas.
fn parameters(text: &str) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, behind) = rest.split_once('=')?;
        let (value, behind) = match behind.strip_prefix('"') {
            Some(quoted) => until_quote(quoted)?,
            None => {
                behind.split_once(',').map_or((behind.trim().to_owned(), ""), |(value, rest)| (value.trim().to_owned(), rest))
            }
        };
        found.push((name.trim().to_owned(), value));
        rest = behind.trim_start().trim_start_matches(',').trim_start();
    }
    Some(found)
}

/// The text before the closing quote, and what follows it.
fn until_quote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer { realm: realm.into(), service: service.map(str::to_owned) })
    }

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let ecr = r#"Bearer realm="https://public.ecr.aws/token/",service="public.ecr.aws",scope="aws""#;
        assert_eq!(challenge(ecr), bearer("https://public.ecr.aws/token/", Some("public.ecr.aws")));
        assert_eq!(challenge(r#"bearer  realm="https://a/b?c=d,e" , error="x" "#), bearer("https://a/b?c=d,e", None));
        assert_eq!(challenge(r#"Bearer service=x,realm=https://a"#), bearer("https://a", Some("x")));
        assert_eq!(challenge(r#"Bearer realm="a\"b""#), bearer("a\"b", None));
        assert_eq!(challenge(r#"Basic realm="Registry""#), Some(Challenge::Basic));
        assert_eq!(challenge("BASIC"), Some(Challenge::Basic));
        for nothing in
            ["", "Negotiate", "Bearer", "Bearer service=\"x\"", "Bearer realm=\"x", "Bearer realm", "Digest realm=\"x\""]
        {
            assert_eq!(challenge(nothing), None, "{nothing}");
        }
    }
}
