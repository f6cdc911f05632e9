//! Where a redirect leads: to the same server, or nowhere. A portal's login page must not be able to stand in for the version server.

use ureq::http::Uri;

use crate::error::quoted;

/// The address that `location` means when `from` answered with it.
///
/// # Errors
/// Why it is not followed, safe to print, fit to follow "redirects".
pub(super) fn within_the_server(from: &str, location: &[u8]) -> Result<String, String> {
    let nonsense = || format!("to {}, which is no address", quoted(location));
    let text = std::str::from_utf8(location).ok().and_then(|text| text.split('#').next()).filter(|text| !text.is_empty());
    // Whatever else stands in an address is escaped (RFC 3986).
    let text = text.filter(|text| text.bytes().all(|b| b.is_ascii_graphic())).ok_or_else(nonsense)?;
    let here: Uri = from.parse().map_err(|_| nonsense())?;
    let (scheme, server) = (here.scheme_str().unwrap_or_default(), here.authority().map(ToString::to_string).unwrap_or_default());
    let full = if text.starts_with("//") {
        format!("{scheme}:{text}")
    } else if text.starts_with('/') {
        format!("{scheme}://{server}{text}")
    } else if text.contains(':') {
        text.to_owned()
    } else {
        let (directory, _) = here.path().rsplit_once('/').unwrap_or_default();
        format!("{scheme}://{server}{directory}/{text}")
    };
    let there: Uri = full.parse().map_err(|_| nonsense())?;
    if same_server(&here, &there) { Ok(full) } else { Err(format!("to another server, {}", quoted(location))) }
}

fn same_server(one: &Uri, other: &Uri) -> bool {
    let port = |uri: &Uri| uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    // Nothing but a name and a number: a port that is none would count as the usual one.
    let bare = |uri: &Uri| {
        let rest = uri.authority().zip(uri.host()).and_then(|(authority, host)| authority.as_str().strip_prefix(host));
        let port = |rest: &str| rest.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()));
        rest.is_some_and(|rest| rest.is_empty() || uri.port_u16().is_some() && port(rest))
    };
    let same_name = matches!((one.host(), other.host()), (Some(a), Some(b)) if a.eq_ignore_ascii_case(b));
    one.scheme() == other.scheme() && same_name && port(one) == port(other) && bare(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_within_the_server_is_followed_in_every_form_it_is_written() {
        let stories: [(&[u8], &str); 6] = [
            (b"https://a.test/x/version", "https://a.test/x/version"),
            (b"https://A.TEST:443/x", "https://A.TEST:443/x"),
            (b"//a.test/x", "https://a.test/x"),
            (b"/x?y=1#z", "https://a.test/x?y=1"),
            (b"other", "https://a.test/v1/other"),
            (b"../version", "https://a.test/v1/../version"),
        ];
        for (location, meant) in stories {
            assert_eq!(within_the_server("https://a.test/v1/version", location), Ok(meant.to_owned()));
        }
    }

    #[test]
    fn h36_a_redirect_to_anywhere_else_is_refused_and_named() {
        let stories: [(&[u8], &str); 16] = [
            ("/x\u{a0}y".as_bytes(), r#"to "/x\xc2\xa0y", which is no address"#),
            (b"https://a.test:x", r#"to another server, "https://a.test:x""#),
            (b"https://a.test:65979/", r#"to another server, "https://a.test:65979/""#),
            (b"https://a.test:+443/", r#"to another server, "https://a.test:+443/""#),
            (b"https://b.test/version", r#"to another server, "https://b.test/version""#),
            (b"https://a.test.b.test/", r#"to another server, "https://a.test.b.test/""#),
            (b"https://a.test:8443/version", r#"to another server, "https://a.test:8443/version""#),
            (b"http://a.test/version", r#"to another server, "http://a.test/version""#),
            (b"http://a.test:443/version", r#"to another server, "http://a.test:443/version""#),
            (b"//b.test/version", r#"to another server, "//b.test/version""#),
            (b"https://a.test@b.test/", r#"to another server, "https://a.test@b.test/""#),
            (b"https://u:p@a.test/", r#"to another server, "https://u:p@a.test/""#),
            (b"file:///etc/passwd", r#"to "file:///etc/passwd", which is no address"#),
            (b"javascript:alert(1)", r#"to another server, "javascript:alert(1)""#),
            (b"https://b.test\\@a.test/", r#"to "https://b.test\\@a.test/", which is no address"#),
            (b"\xff\x1b[2J", r#"to "\xff\x1b[2J", which is no address"#),
        ];
        for (location, meant) in stories {
            assert_eq!(within_the_server("https://a.test/v1/version", location), Err(meant.to_owned()));
        }
    }
}
