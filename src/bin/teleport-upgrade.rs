//! Keeps the Teleport agent of this host on the version that its cluster wants.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(teleport_upgrade::upgrade::cli::main())
}
