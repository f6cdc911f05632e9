//! Orders to end. In the middle of an upgrade they wait: a package step that is cut off leaves the agent worse than it was (V7, H26).
//! Whoever only waits for something in the meantime obeys at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Orders that came since they are held back. Its copies are the same.
#[derive(Clone, Default)]
pub struct Orders {
    came: Arc<AtomicBool>,
    held_back: Arc<OnceLock<()>>,
}

impl Orders {
    /// From now on TERM, INT and HUP no longer end this process; nothing that follows takes longer than the upgrade.
    pub fn hold_back(&self) {
        self.held_back.get_or_init(|| {
            for signal in [SIGTERM, SIGINT, SIGHUP] {
                // Without a handler the order would act at once, as it does before an upgrade: no reason not to upgrade.
                let _ = signal_hook::flag::register(signal, Arc::clone(&self.came));
            }
        });
    }

    /// Notes an order, as the signals do.
    pub fn give(&self) {
        self.came.store(true, Ordering::Relaxed);
    }

    /// Whether one came.
    #[must_use]
    pub fn came(&self) -> bool {
        self.came.load(Ordering::Relaxed)
    }
}
