//! What must hold of what is read here, from a network or a file: see [`crate::properties::Target`].

use crate::document::Mistake;
use crate::http::wire::{Parsed, head};
use crate::properties::Target;
use crate::rules::moment::Moment;
use crate::server::configuration::{parse, parse_maintenance};
use crate::server::route::{Question, Route, route};

/// Every parser of this room.
pub const TARGETS: [Target; 2] = [Target { name: "request", holds: request }, Target { name: "channels", holds: channels }];

/// A request is no longer than what came, and what is left of that is another one; a channel's name leads to itself.
fn request(input: &[u8]) {
    if let Parsed::Whole(head, length) = head(input) {
        assert!(length <= input.len() && input.get(..length).is_some_and(|sent| sent.ends_with(b"\n")));
        assert!(head.method.len() + head.target.len() < length);
        let _ = route(&head.method, &head.target);
    }
    let target = String::from_utf8_lossy(input);
    if let Ok(Route::Channel(name, question)) = route("GET", &target) {
        assert!(!name.is_empty() && name.len() < target.len() && !name.starts_with('/') && !name.contains("//"));
        let word = Question::ALL.into_iter().find(|(_, known)| *known == question).map_or("", |(word, _)| word);
        let encoded: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let again = route("GET", &format!("/v1/webapi/automaticupgrades/channel/{encoded}/{word}"));
        assert_eq!(again, Ok(Route::Channel(name, question)));
    }
}

/// What is wrong is said for a person, each mistake in a line; what is right names windows that end later.
fn channels(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let said = |mistakes: &[Mistake]| {
        assert!(!mistakes.is_empty());
        assert!(mistakes.iter().all(|mistake| !mistake.to_string().contains(char::is_control)), "{mistakes:?}");
    };
    match parse(&text) {
        Ok(configuration) => {
            let sound = |name: &str| !name.is_empty() && !name.contains("//") && !name.contains("..");
            assert!(configuration.channels.names().all(sound));
        }
        Err(mistakes) => said(&mistakes),
    }
    match parse_maintenance(&text) {
        Ok(maintenance) => {
            let now = Moment::from_unix(1_795_685_400);
            let windows = maintenance.windows(now, 3);
            assert!(windows.len() == 3 && windows.iter().all(|window| now < window.stop()), "{windows:?}");
        }
        Err(mistakes) => said(&mistakes),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_server_holds_for_the_corpus() {
        crate::properties::replay(&super::TARGETS);
    }
}
