//! All targets in one program: `FUZZ_TARGET` names the one to try, and without it they are listed. See `tests/fuzz/run`.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use teleport_upgrade::properties::Target;
use teleport_upgrade::{config, host, kube, offers, rules, server};

const ROOMS: [&[Target]; 7] = [
    &rules::properties::TARGETS,
    &config::properties::TARGETS,
    &offers::properties::TARGETS,
    &host::properties::TARGETS,
    &host::packages::properties::TARGETS,
    &server::properties::TARGETS,
    &kube::properties::TARGETS,
];

static TARGET: OnceLock<&Target> = OnceLock::new();

/// The target that is named; without a name, those that there are.
fn choose() -> &'static Target {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let mut targets = ROOMS.iter().flat_map(|room| room.iter());
    targets.clone().find(|target| target.name == name).unwrap_or_else(|| {
        targets.by_ref().for_each(|target| println!("{}", target.name));
        std::process::exit(if name.is_empty() { 0 } else { 64 })
    })
}

/// What the corpus grows to is tried once, before the fuzzer begins.
fn grow(target: &Target) {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
    for entry in std::fs::read_dir(corpus).into_iter().flatten().flatten() {
        eprintln!("growing {}", entry.path().display());
        target.check_grown(&std::fs::read(entry.path()).unwrap_or_default());
    }
}

fuzz_target!(
    init: grow(TARGET.get_or_init(choose)),
    |input: &[u8]| TARGET.get_or_init(choose).check(input)
);
