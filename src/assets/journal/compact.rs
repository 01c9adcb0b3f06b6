//! A log that has grown long in one life is replaced by a shorter one, without keeping anybody from writing.
//!
//! The shorter one is written aside and synced on another thread, while the old one goes on. Then what came meanwhile is
//! appended to it, and it takes the old one's place; the next barrier makes its name proof. Until that barrier is complete a
//! power loss may bring back either: both say what the last barrier proved. For that no barrier may complete between the
//! writing aside and the taking of the place, so it has a barrier's place in the queue.

use super::Journal;
use super::record::covered;
use crate::assets::barrier::{Barrier, Half, Ticket, Written};
use crate::assets::layout::Durable;
use crate::assets::log::Record;
use crate::assets::logfile::new_epoch;
use crate::error::StorageError;
use crate::time::Micros;

/// A log of so many bytes is worth a look: 32,768 records, which take some milliseconds to read.
pub(super) const SHORTEN_AT: u64 = 1 << 20;
/// A shorter log is written if the present one is so many times longer.
const WORTH: u64 = 4;

impl Journal {
    /// Whether the log may be longer than it needs to be.
    pub(super) fn is_long(&self) -> bool {
        self.is_recording()
            && self.in_flight.is_none()
            && self.place.sync() == Durable::Yes
            && self.log.as_ref().is_some_and(|log| log.is_beyond(self.shorten_at))
    }

    /// The writing of a shorter log, if that is worth it: to be run as a barrier is.
    pub(super) fn shorten(&mut self) -> Option<Barrier> {
        if !self.is_long() {
            return None;
        }
        let epoch = new_epoch(self.header.as_ref().map(|header| header.epoch));
        let draft = self.draft(Some(epoch))?;
        // The next look comes when the log has grown by a quarter, whatever comes of this one.
        let log = self.log.as_mut()?;
        let (now, then) = (log.end(), draft.len());
        let forced = std::mem::replace(&mut self.shorten_at, now + now / 4) == 0;
        if then.saturating_mul(WORTH) > now && !forced {
            return None;
        }
        let file = log.handle().ok()?;
        let seq = draft.first - 1 + self.unproven.len() as u64;
        let ticket = Ticket { life: self.life, seq, half: Half::Draft };
        let path = self.place.paths().map.clone();
        let (barrier, in_flight) = Barrier::new(self.disk(), file, path, ticket);
        self.in_flight = Some(in_flight);
        Some(barrier.drafting(draft))
    }

    /// Puts the shorter log in place, with what came since it was written; if it cannot be, the old one stays.
    pub(super) fn adopt(&mut self, ticket: Ticket, written: Option<Box<Written>>) {
        let Some(written) = written else { return };
        if ticket.life != self.life || self.stalled {
            return;
        }
        if let Err(error) = self.try_adopt(ticket, *written) {
            tracing::debug!(%error, "a shorter coverage log could not take its place");
        }
    }

    fn try_adopt(&mut self, ticket: Ticket, mut written: Written) -> Result<(), StorageError> {
        let Some(aside) = &written.aside else { return Ok(()) };
        self.place.check()?;
        let path = self.place.paths().map.clone();
        let failed = |error| StorageError::new("replacing a coverage log", error).at(&path);
        let file = aside.file.try_clone().map_err(failed)?;
        let mut log = written.draft.log(self.disk(), file, &path);
        // In the draft, what is not proven ends with `ticket.seq`.
        let first = written.draft.first;
        let old = (ticket.seq + 1 - first) as usize;
        let since = self.unproven.iter().skip(old).zip(ticket.seq + 1..);
        let since = since.map(|((piece, _), seq)| covered(*piece, seq));
        let since: Vec<Record> = since.chain(self.facts()).collect();
        log.append(&since)?;
        if let Some(aside) = written.aside.take() {
            aside.take_place(self.place.disk(), &path).map_err(failed)?;
        }
        if let Some(header) = &mut self.header {
            header.epoch = written.draft.header.epoch;
        }
        self.renumber(first);
        (self.log, self.unnamed) = (Some(log), true);
        // What is not named for good is worth a barrier of its own.
        self.dirty.get_or_insert((Micros(0), 0));
        self.shorten_at = SHORTEN_AT.max(WORTH * written.draft.len());
        Ok(())
    }

    /// The log is too long now, if there is one.
    #[cfg(test)]
    pub(in crate::assets) fn force_shorter(&mut self) -> bool {
        let before = std::mem::take(&mut self.shorten_at);
        let is_long = self.is_long();
        if !is_long {
            self.shorten_at = before;
        }
        is_long
    }
}
