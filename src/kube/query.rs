//! Values of a query, in an address (RFC 3986). Pure.

/// `text` as a value of a query.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_into_a_query_is_escaped() {
        assert_eq!(escaped("repository:a/b-c.d:pull &x=é"), "repository%3Aa%2Fb-c.d%3Apull%20%26x%3D%C3%A9");
    }
}
