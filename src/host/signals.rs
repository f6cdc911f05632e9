//! Orders to end. In the middle of an upgrade they wait: a package step that is cut off leaves the agent worse than it was (V7, H26).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Orders that came since they are held back.
pub struct Orders(Arc<AtomicBool>);

/// From now on TERM, INT and HUP no longer end this process; nothing that follows takes longer than the upgrade.
#[must_use]
pub fn hold_back() -> Orders {
    let came = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        // Without a handler the order would act at once, as it does before an upgrade: no reason not to upgrade.
        let _ = signal_hook::flag::register(signal, Arc::clone(&came));
    }
    Orders(came)
}

impl Orders {
    /// Whether one came.
    #[must_use]
    pub fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
