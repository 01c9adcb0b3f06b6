//! [`ReaderHandle`]: reaching a reader that another thread is blocked in.

use crate::engine::reader_state::ReaderState;
use crate::sync::{Arc, Ordering};

/// Moves or interrupts a reader from elsewhere. Cheap to clone; outlives the reader harmlessly.
#[derive(Debug, Clone)]
pub struct ReaderHandle {
    reader: Arc<ReaderState>,
}

impl ReaderHandle {
    pub(crate) fn new(reader: Arc<ReaderState>) -> Self {
        Self { reader }
    }

    /// Moves the reader to `position`, in bytes from the start. A read that is blocked goes on there;
    /// otherwise the next read or seek begins there. The newest call wins. Never blocks.
    pub fn seek_to(&self, position: u64) {
        self.reader.order(|orders| orders.seek = Some(position));
    }

    /// Ends the read that is blocked, or the next one, with [`Error::Interrupted`](crate::Error::Interrupted). The
    /// reader may read on afterwards. Never blocks.
    pub fn interrupt(&self) {
        self.reader.order(|orders| orders.interrupt = true);
    }

    /// Where the reader's cursor is, in bytes from the start.
    pub fn position(&self) -> u64 {
        self.reader.position.load(Ordering::Relaxed)
    }
}
