//! The grammar of the answers, as Teleport proxies and the public server give them: one word, at most one line end, nothing else.

use time::{Date, Month};

use crate::error::quoted;
use crate::rules::moment::Moment;
use crate::rules::release::Release;

/// No real answer is longer; whatever is longer is not read.
pub const LONGEST: usize = 256;

/// What `version` answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offered {
    /// `none`: the cluster names no target now.
    NoTarget,
    /// The release that agents should run.
    Release(Release),
}

/// Reads the body of `version`: `v16.2.0`, `16.2.0` or `none`, with at most one line end.
///
/// # Errors
/// What was answered instead, safe to print, fit to follow "the server answered".
pub fn version(body: &[u8]) -> Result<Offered, String> {
    if body.len() > LONGEST {
        return Err(format!("more than {LONGEST} bytes, beginning with {}", quoted(body)));
    }
    if body.is_empty() {
        return Err("with nothing where a version should be".to_owned());
    }
    let word = without_line_end(body);
    if word == b"none" {
        return Ok(Offered::NoTarget);
    }
    let release = std::str::from_utf8(word).ok().and_then(|text| text.parse().ok());
    release.map(Offered::Release).ok_or_else(|| format!("{}, which is not a version such as 16.2.0", quoted(body)))
}

/// Reads the body of `critical`: exactly `yes` means critical, everything else does not.
#[must_use]
pub fn critical(body: &[u8]) -> bool {
    without_line_end(body) == b"yes"
}

/// Reads a `Date` header: `Sun, 06 Nov 1994 08:49:37 GMT`. The two older forms of RFC 9110 are not sent by anything of today.
#[must_use]
pub fn date(header: &str) -> Option<Moment> {
    let mut words = header.split(' ');
    let [_weekday, day, month, year, clock, "GMT"] = std::array::from_fn(|_| words.next().unwrap_or_default()) else {
        return None;
    };
    let mut parts = clock.split(':');
    let [hour, minute, second] = std::array::from_fn(|_| parts.next().unwrap_or_default());
    if words.next().is_some() || parts.next().is_some() {
        return None;
    }
    let two = |text: &str| if text.len() == 2 { digits(text)?.try_into().ok() } else { None };
    let date = Date::from_calendar_date(digits(year)?.into(), month_named(month)?, two(day)?).ok()?;
    let time = date.with_hms(two(hour)?, two(minute)?, two(second)?).ok()?;
    Some(Moment::from_unix(time.assume_utc().unix_timestamp()))
}

/// One to four ASCII digits as a number; `parse` alone would take a sign.
fn digits(text: &str) -> Option<u16> {
    let sound = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if sound { text.parse().ok() } else { None }
}

fn month_named(name: &str) -> Option<Month> {
    let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let number = (1_u8..).zip(names).find(|(_, known)| *known == name)?.0;
    Month::try_from(number).ok()
}

fn without_line_end(body: &[u8]) -> &[u8] {
    body.strip_suffix(b"\r\n").or_else(|| body.strip_suffix(b"\n")).unwrap_or(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(body: &[u8]) -> String {
        match version(body) {
            Ok(Offered::NoTarget) => "no target".to_owned(),
            Ok(Offered::Release(release)) => release.to_string(),
            Err(instead) => format!("refused: {instead}"),
        }
    }

    #[test]
    fn a_version_is_read_as_every_known_server_sends_it() {
        let stories: [(&[u8], &str); 7] = [
            (b"v16.2.0", "16.2.0"),
            (b"16.2.0", "16.2.0"),
            (b"16.2.0\n", "16.2.0"),
            (b"v16.2.0\r\n", "16.2.0"),
            (b"17.0.0-rc.1\n", "17.0.0-rc.1"),
            (b"none", "no target"),
            (b"none\n", "no target"),
        ];
        for (body, meant) in stories {
            assert_eq!(said(body), meant);
        }
    }

    #[test]
    fn h36_what_is_not_exactly_one_version_is_refused_and_quoted_safely() {
        let stories: [(&[u8], &str); 16] = [
            (b"", "refused: with nothing where a version should be"),
            (b"\n", r#"refused: "\n", which is not a version such as 16.2.0"#),
            (b"16.2.0\n\n", r#"refused: "16.2.0\n\n", which is not a version such as 16.2.0"#),
            (b"16.2.0\r", r#"refused: "16.2.0\r", which is not a version such as 16.2.0"#),
            (b" 16.2.0", r#"refused: " 16.2.0", which is not a version such as 16.2.0"#),
            (b"16.2.0 ", r#"refused: "16.2.0 ", which is not a version such as 16.2.0"#),
            (b"16.2.0 -o X=y", r#"refused: "16.2.0 -o X=y", which is not a version such as 16.2.0"#),
            (b"16.2.0\n16.2.1\n", r#"refused: "16.2.0\n16.2.1\n", which is not a version such as 16.2.0"#),
            (b"../16.2.0", r#"refused: "../16.2.0", which is not a version such as 16.2.0"#),
            (b"16.2.0\0", r#"refused: "16.2.0\x00", which is not a version such as 16.2.0"#),
            ("\u{661}6.2.0".as_bytes(), r#"refused: "\xd9\xa16.2.0", which is not a version such as 16.2.0"#),
            (b"\xef\xbb\xbf16.2.0", r#"refused: "\xef\xbb\xbf16.2.0", which is not a version such as 16.2.0"#),
            (b"\xff\xfe", r#"refused: "\xff\xfe", which is not a version such as 16.2.0"#),
            (b"16.2.0-", r#"refused: "16.2.0-", which is not a version such as 16.2.0"#),
            (b"vnone", r#"refused: "vnone", which is not a version such as 16.2.0"#),
            (b"<html>\x1b[2J", r#"refused: "<html>\x1b[2J", which is not a version such as 16.2.0"#),
        ];
        for (body, meant) in stories {
            assert_eq!(said(body), meant);
        }
    }

    #[test]
    fn h36_one_byte_more_than_any_answer_may_have_is_refused_for_its_length() {
        let sixty = "x".repeat(60);
        assert_eq!(said(&[b'x'; 256]), format!("refused: \"{sixty}\"..., which is not a version such as 16.2.0"));
        assert_eq!(said(&[b'x'; 257]), format!("refused: more than 256 bytes, beginning with \"{sixty}\"..."));
    }

    #[test]
    fn only_an_exact_yes_is_critical() {
        for body in [b"yes".as_slice(), b"yes\n", b"yes\r\n"] {
            assert!(critical(body), "{body:?}");
        }
        for body in
            [b"".as_slice(), b"no", b"YES", b"Yes", b"yes ", b" yes", b"yes\n\n", b"yes!", b"yes\0", b"true", b"<html>yes</html>"]
        {
            assert!(!critical(body), "{body:?}");
        }
    }

    #[test]
    fn the_date_of_a_server_is_read_strictly_or_not_at_all() {
        assert_eq!(date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Moment::from_unix(784_111_777)));
        assert_eq!(date("Thu, 29 Feb 2024 00:00:00 GMT"), Some(Moment::from_unix(1_709_164_800)));
        let nonsense = [
            "",
            "GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 GMT ",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT",
            "Sun, 31 Feb 2024 00:00:00 GMT",
            "Sun, 06 Nov 99999 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:49:37:00 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
        ];
        for header in nonsense {
            assert_eq!(date(header), None, "{header:?}");
        }
    }
}
