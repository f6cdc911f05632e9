//! What must hold of what is read here: see [`crate::properties::Target`].

use std::path::Path;

use crate::config::directory::only_value;
use crate::error::Class;
use crate::properties::Target;

/// Every parser of this room; values are read by `rules`, and the schedule too.
pub const TARGETS: [Target; 1] = [Target { name: "value", holds: value }];

fn value(input: &[u8]) {
    let line = |number: usize| input.split(|byte| *byte == b'\n').nth(number.wrapping_sub(1));
    let counts = |line: &&[u8]| !matches!(std::str::from_utf8(line).unwrap_or("x").trim().bytes().next(), None | Some(b'#'));
    let written = input.split(|byte| *byte == b'\n').filter(counts).count();
    match only_value(input, Path::new("/etc/f")) {
        Ok(Some((number, value))) => {
            assert!(!value.is_empty() && value.trim() == value && !value.contains('\n'), "{value:?}");
            assert!(!value.contains(" #") && !value.starts_with('#'), "{value:?}");
            assert!(
                line(number).is_some_and(|line| String::from_utf8_lossy(line).trim().starts_with(value)),
                "{number} {value:?}"
            );
            assert_eq!(written, 1);
        }
        Ok(None) => assert_eq!(written, 0),
        Err(error) => {
            assert_eq!(error.class, Class::Config);
            assert!(
                !error.to_string().contains(|c: char| c.is_control() && c != '\n') && error.to_string().len() < 600,
                "{error}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_configuration_holds_for_the_corpus() {
        crate::properties::replay(&super::TARGETS);
    }
}
