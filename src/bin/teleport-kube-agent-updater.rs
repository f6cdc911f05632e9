//! Keeps the Teleport agents of a Kubernetes cluster on the version that their Teleport cluster wants.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(teleport_upgrade::kube::cli::main())
}
