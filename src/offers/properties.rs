//! What must hold of what is read here, which comes from a network: see [`crate::properties::Target`].

#![allow(clippy::indexing_slicing, reason = "a property that does not hold panics")]

use crate::offers::proxy::Proxies;
use crate::offers::redirect::within_the_server;
use crate::offers::reply::{self, Offered};
use crate::properties::{Target, is_printable, is_word};

/// Every parser of this room.
pub const TARGETS: [Target; 3] = [
    Target { name: "reply", holds: reply },
    Target { name: "redirect", holds: redirect },
    Target { name: "proxy", holds: proxy },
];

fn reply(input: &[u8]) {
    // Nothing is mended: what is accepted is what was sent, but for a `v` in front and one line end.
    let sent =
        |word: &str| ["", "v"].iter().any(|v| ["", "\n", "\r\n"].iter().any(|end| input == format!("{v}{word}{end}").as_bytes()));
    match reply::version(input) {
        Ok(Offered::Release(release)) => assert!(sent(&release.to_string()), "{release}"),
        Ok(Offered::NoTarget) => assert!(sent("none") && input.first() != Some(&b'v')),
        Err(instead) => assert!(is_printable(&instead) && instead.len() < 400, "{instead}"),
    }
    assert!(!reply::critical(input) || sent("yes") && input.first() != Some(&b'v'));
    let header = String::from_utf8_lossy(input);
    if let Some(moment) = reply::date(&header) {
        // `1994-11-06T08:49:37Z` is `..., 06 Nov 1994 08:49:37 GMT`.
        let said = moment.rfc3339();
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let (date, clock) = said.trim_end_matches('Z').split_once('T').unwrap_or_default();
        let numbers: Vec<usize> = date.split('-').filter_map(|part| part.parse().ok()).collect();
        let words: Vec<&str> = header.split(' ').skip(1).collect();
        assert_eq!(words.iter().take(3).filter_map(|word| word.parse().ok()).collect::<Vec<usize>>(), [numbers[2], numbers[0]]);
        assert_eq!(words[1..].iter().step_by(2).copied().collect::<Vec<_>>(), [months[numbers[1] - 1], clock]);
    }
}

/// By hand: what stands between `https://` and the path is the server's name, and nothing else.
fn redirect(input: &[u8]) {
    match within_the_server("https://a.test/v1/version", input) {
        Ok(address) => {
            let server = address.get(8..).and_then(|rest| rest.split(['/', '?', '#', '\\']).next()).unwrap_or_default();
            let server = server.to_ascii_lowercase();
            assert!(address.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://")), "{address}");
            let port = server.strip_prefix("a.test").map(|port| port.strip_prefix(":").unwrap_or(port).trim_start_matches('0'));
            assert!(matches!(port, Some("" | "443")), "{address}");
            assert!(is_word(&address) && address.len() < input.len() + 40, "{address}");
        }
        Err(instead) => assert!(is_printable(&instead) && instead.len() < 400, "{instead}"),
    }
}

fn proxy(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (address, exempt) = text.split_once('\n').unwrap_or((&text, ""));
    // Whatever comes behind it, a password is not repeated.
    for address in [address.to_owned(), format!("http://user:hunter2@{address}"), format!("user:hunter2@{address}")] {
        let proxies = Proxies { https: Some(address.clone()), all: None, none: Some(exempt.to_owned()) };
        let said = match proxies.towards("a.test", 443) {
            Ok(Some(chosen)) => chosen.called,
            Ok(None) => String::new(),
            Err(error) => error.to_string(),
        };
        assert!(!said.contains("hunter2") || text.contains("hunter2"), "{said}");
        assert!(!said.contains(|c: char| c.is_control() && c != '\n') && said.len() < 400 + address.len(), "{said}");
    }
    // Who is exempt by its name is exempt in a longer list, too.
    let direct = |host: &str, list: &str| {
        let proxies = Proxies { https: Some("http://p.test:3128".into()), all: None, none: Some(list.to_owned()) };
        proxies.towards(host, 443).is_ok_and(|chosen| chosen.is_none())
    };
    for host in ["a.test", "10.1.2.3", "fd12::1"] {
        assert!(!direct(host, exempt) || direct(host, &format!("{exempt},b.test")), "{exempt:?}");
        assert!(direct(host, &format!("{exempt},{host}")) && direct("127.0.0.1", exempt), "{exempt:?}");
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_offers_hold_for_the_corpus() {
        crate::properties::replay(&super::TARGETS);
    }
}
