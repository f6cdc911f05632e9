//! From the command line to a loop that runs, or to everything that keeps it from running.

use std::collections::BTreeMap;
use std::io::Write;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::error::{Class, Error, Exit};
use crate::kube::SHORTEST;
use crate::kube::api::Api;
use crate::kube::cluster;
use crate::kube::figures::Figures;
use crate::kube::flags::{SWITCHES, VALUES, parse};
use crate::kube::image::key::Key;
use crate::kube::image::{Trust, Verified};
use crate::kube::outside::{Mounted, Outside, read};
use crate::kube::probes::{Page, answer};
use crate::kube::reconcile::Updater;
use crate::kube::settings::{Settings, TrustIn, settings};
use crate::kube::voice::Voice;

/// Runs the program with the process's own arguments.
#[must_use]
pub fn main() -> u8 {
    let words: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    if words.first().is_some_and(|word| word == "help") {
        return print(&help());
    }
    let given = match parse(words) {
        Ok(given) if given.is_on("help") || given.is_on("h") => return print(&help()),
        Ok(given) if given.is_on("version") => return print(concat!("v", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(given) => given,
        Err(wrong) => return refuse(&wrong),
    };
    let settings = match settings(&given) {
        Ok(settings) => settings,
        Err(wrong) => return refuse(&wrong),
    };
    let voice = Voice::new(settings.volume, &settings.namespace, &settings.name);
    match prepared(settings, voice.clone()) {
        Ok(mut updater) => updater.run(),
        Err(error) => {
            voice.error("It cannot begin", &error);
            error.class.exit() as u8
        }
    }
}

fn prepared(settings: Settings, voice: Voice) -> Result<Updater, Error> {
    end_when_told()?;
    let figures = Figures::default();
    for (address, page) in [(settings.health, Page::Health), (settings.metrics, Page::Metrics)] {
        if let Some(address) = address {
            answer(address, page, &figures)?;
        }
    }
    let cluster = match &settings.kubeconfig {
        Some((file, context)) => cluster::of_file(file, context.as_deref())?,
        None => cluster::own()?,
    };
    let api = Api::new(cluster, &settings.namespace);
    let (trust, mounted) = (trust(&settings.trust)?, Mounted::of(settings.pull));
    // They are read anew for each image; but what is wrong from the beginning is said at the beginning.
    mounted.credentials()?;
    let outside = Outside::real()?;
    let started = [("version", env!("CARGO_PKG_VERSION").to_owned()), ("image", settings.repository.to_string())];
    voice.info("Watching the agent", &started);
    match trust {
        Trust::SignedBy(_) => {}
        Trust::Registry => voice.insecure("Images will NOT be verified: --insecure-no-verify-image is set."),
        Trust::Nobody => voice.insecure("Images will be NEITHER resolved NOR verified: --insecure-no-resolve-image is set."),
    }
    Ok(Updater {
        settings,
        api,
        outside,
        mounted,
        trust,
        voice,
        figures,
        verified: Verified::default(),
        told: None,
        ended: BTreeMap::new(),
        wait: SHORTEST,
        is_well: false,
    })
}

/// It may be the first process of its container, which no signal ends by itself. There is nothing to be finished: each write is whole.
fn end_when_told() -> Result<(), Error> {
    let failed = |error: std::io::Error| {
        Error::new(Class::Internal, format!("signals cannot be waited for: {error}"), "look at the limits of this pod")
    };
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(failed)?;
    let ends = move || {
        if signals.forever().next().is_some() {
            std::process::exit(0);
        }
    };
    std::thread::Builder::new().stack_size(64 * 1024).spawn(ends).map(drop).map_err(failed)
}

fn trust(trust: &TrustIn) -> Result<Trust, Error> {
    let refused = |file: &str, why: String| {
        Error::new(Class::Config, format!("{file} {why}"), "name a public key in PEM with --verification-key")
    };
    match trust {
        TrustIn::Nobody => Ok(Trust::Nobody),
        TrustIn::Registry => Ok(Trust::Registry),
        TrustIn::Teleport => Key::teleports().map(Trust::SignedBy).map_err(|why| refused("Teleport's own key", why)),
        TrustIn::Key(file) => {
            Key::from_pem(&read(file)?).map(Trust::SignedBy).map_err(|why| refused(&file.display().to_string(), why))
        }
    }
}

fn print(text: &str) -> u8 {
    // A reader that has gone away is no reason to fail.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Exit::Done as u8
}

fn refuse(wrong: &[String]) -> u8 {
    let lines: String = wrong.iter().map(|line| format!("teleport-kube-agent-updater: {line}\n")).collect();
    let _ = std::io::stderr().write_all(format!("{lines}\nteleport-kube-agent-updater --help says what there is.\n").as_bytes());
    Exit::Usage as u8
}

fn help() -> String {
    let mut help = String::from(
        "teleport-kube-agent-updater: keeps the agents of a Helm release of teleport-kube-agent on the version that their cluster wants\n\n\
         It watches one StatefulSet or Deployment and sets its image, signed and pinned to a digest, when the version is critical, the agent is\n\
         ill or its maintenance window is open. It needs what the chart's Role allows, and nothing else.\n\nFlags, as Go writes them:\n",
    );
    let row = |left: String, meaning: &str| format!("  {left:<34} {meaning}\n");
    help.extend(VALUES.iter().map(|(flag, value, meaning)| row(format!("--{flag} {value}"), meaning)));
    help.extend(SWITCHES.iter().map(|(flag, meaning)| row(format!("--{flag}"), meaning)));
    help.push_str(
        "\nThe annotation teleport.dev/skipreconcile: \"true\" of the workload suspends everything; any change of it, such as of the annotation\n\
         debug.teleport.dev/trigger-event, makes it look at once. SSL_CERT_FILE adds authorities to the system's;\n\
         HTTPS_PROXY, ALL_PROXY and NO_PROXY are for all but the API server.\n\
         --pull-credentials=docker reads config.json, or else .dockerconfigjson, in DOCKER_CONFIG or ~/.docker anew for each image: mount a\n\
         secret of the type kubernetes.io/dockerconfigjson there, and whatever renews it is followed.\n\
         Exit codes: 0 told to end, 64 wrong command line, 70 internal, 78 configuration.\n",
    );
    help
}
