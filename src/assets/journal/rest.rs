//! Closing the files of an asset that nobody reads or writes for now. Its lock stays, so nobody else changes them.
//!
//! The system tells of a write that it failed to make only to who has the file open, or opens it soon enough. So nothing is
//! closed of which a barrier has still to tell.

use super::Journal;
use crate::time::Micros;

impl Journal {
    /// Closes the files if they may rest; they are opened again by whoever needs them. False if that must be asked once more:
    /// bytes were read or written since the last time, or something has to become proof first.
    pub(crate) fn rest(&mut self) -> bool {
        if self.in_flight.is_some() || self.stalled || self.runs.due().is_some() {
            return false;
        }
        if self.is_durable() && !self.is_proven() {
            // What is dirty has its barrier to come; single records have none of their own.
            self.dirty.get_or_insert((Micros(0), 0));
            return false;
        }
        if !self.place.rest() {
            return false;
        }
        if let Some(log) = &mut self.log {
            log.rest();
        }
        self.proven.shrink_to_fit();
        self.unproven.shrink_to_fit();
        true
    }

    /// Whether stable storage has all that was written and recorded.
    fn is_proven(&self) -> bool {
        let unwritten = self.dirty.is_some() || !self.unproven.is_empty();
        !unwritten && self.log.as_ref().is_none_or(|log| log.is_proven())
    }
}
