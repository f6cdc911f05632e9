//! Says which version agents should run, and when: channels and maintenance windows for any cluster.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(teleport_upgrade::kube::cli::main())
}
