//! How much a store may still take before it must be looked through for what may go.
//!
//! A look goes over every file of the store, so one after each closing would cost the more the larger the store is. What
//! the last look left free is kept here, and what was recorded since is taken off it, rather too much than too little.
//! Other processes, and other stores on the same folder, take room that is not seen here: so a look counts for a
//! while only.
//!
//! Nothing of this is on disk, and nothing but the time of the next look hangs on it.

use std::time::{Duration, Instant};

use super::layout::LOG_STEP;
use crate::sync::{AtomicU64, Mutex, Ordering};

/// How long what a look found counts, at most.
const COUNTS_FOR: Duration = Duration::from_secs(60);
/// Bytes that a run may take beyond its own: the disk's blocks at both ends.
const BLOCKS: u64 = 2 * 4096;
/// Bytes that a log takes while it is open, at most, as long as it is short.
const LOG: u64 = 2 * LOG_STEP;

/// What was taken, and where it must be looked again.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// Bytes and assets that were ever taken; only differences count.
    bytes: AtomicU64,
    assets: AtomicU64,
    /// `None` if the last look found no room.
    until: Mutex<Option<Until>>,
}

/// The counts at which the limits may be reached.
#[derive(Debug, Clone, Copy)]
struct Until {
    looked: Instant,
    bytes: u64,
    assets: u64,
}

/// The counts when a look began: what comes meanwhile it may or may not have seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    bytes: u64,
    assets: u64,
}

impl Room {
    /// A run of so many bytes was recorded.
    pub(super) fn run(&self, bytes: u64) {
        self.bytes.fetch_add(bytes.saturating_add(BLOCKS), Ordering::Relaxed);
    }

    /// A log was put in place.
    pub(super) fn log(&self) {
        self.bytes.fetch_add(LOG, Ordering::Relaxed);
    }

    /// There may be an asset or object more.
    pub(super) fn asset(&self) {
        self.assets.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the limits hold without a look.
    pub(super) fn is_enough(&self) -> bool {
        let until = *self.until.lock();
        until.is_some_and(|until| {
            until.looked.elapsed() < COUNTS_FOR
                && self.bytes.load(Ordering::Relaxed) <= until.bytes
                && self.assets.load(Ordering::Relaxed) <= until.assets
        })
    }

    /// A look begins.
    pub(super) fn look(&self) -> Look {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Look { bytes: load(&self.bytes), assets: load(&self.assets) }
    }

    /// It found so many bytes and assets free; `None` if the store is over its limits.
    pub(super) fn found(&self, look: Look, free: Option<(u64, u64)>) {
        *self.until.lock() = free.map(|(bytes, assets)| Until {
            looked: Instant::now(),
            bytes: look.bytes.saturating_add(bytes),
            assets: look.assets.saturating_add(assets),
        });
    }
}
