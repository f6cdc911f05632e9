//! Times as the API server and agents write them (RFC 3339). Pure.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::rules::moment::Moment;

/// `2026-11-26T12:00:00Z`, also with parts of a second or another offset.
pub(super) fn moment(text: &str) -> Option<Moment> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(|time| Moment::from_unix(time.unix_timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_go_writes_them() {
        for noon in ["2026-11-26T12:00:00Z", "2026-11-26T12:00:00.999999999Z", "2026-11-26T21:00:00+09:00"] {
            assert_eq!(moment(noon).map(Moment::unix), Some(1_795_694_400), "{noon}");
        }
        for nothing in ["", "2026-11-26", "2026-11-26T12:00:00", "2026-11-26 12:00", "2026-13-26T12:00:00Z", "now"] {
            assert_eq!(moment(nothing), None, "{nothing}");
        }
    }
}
