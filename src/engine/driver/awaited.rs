//! Which running request is told that somebody waits for a byte of it.
//!
//! Small chunks wait for others of their kind (`engine::gather`), and a reader that blocks must not wait for those. So a request
//! hears of each blocked read that it can serve, but for one kind: a reader that was given all that came so far, and waits for
//! what comes next, again. It reads at the rate of the line, has been woken a few milliseconds ago, and would else be woken
//! for every packet.

use super::{Driver, Running};
use crate::byte_range::ByteRange;
use crate::ids::{FetchId, ReaderId};

impl Driver {
    /// `reader` has come to wait for the byte at `at`: whichever request brings it hands it over at once.
    pub(super) fn hurry(&mut self, reader: ReaderId, at: u64) {
        let Some(known) = self.readers.get(&reader) else { return };
        let Some(resource) = self.resources.get(&known.resource) else { return };
        // Not under the lock: it wakes.
        let fetches: Vec<FetchId> = resource.fetches.lock().keys().copied().collect();
        for fetch in fetches {
            if let Some(running) = self.fetches.get_mut(&fetch) {
                running.hurry(reader, at);
            }
        }
    }
}

impl Running {
    fn hurry(&mut self, reader: ReaderId, at: u64) {
        let range = if self.whole { ByteRange::new(0, u64::MAX) } else { self.range };
        let follows = at == range.start + self.written;
        let followed = self.follower == Some(reader);
        if follows && followed {
            return;
        }
        if follows {
            self.follower = Some(reader);
        } else if followed {
            self.follower = None;
        }
        if range.contains(at) {
            self.pace.send_modify(|pace| pace.awaited = Some(at));
        }
    }
}
