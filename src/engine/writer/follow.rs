//! What another engine stores of a resource while this one reads it.
//!
//! Looked for on the writer's thread, as all that is covered and taken away: the scheduler hears of both in the order in
//! which they happen, and nothing of one generation lands in the next.

use tokio::sync::oneshot;

use super::Writer;
use crate::engine::resource::Resource;
use crate::sched::Event;

/// What follows once it was looked for.
pub(crate) enum Then {
    /// Whoever asked goes on.
    Tell(oneshot::Sender<()>),
    /// The scheduler is told of this.
    Sched(Event),
}

impl Writer {
    /// Covers what the holder of the asset has proven since the last time.
    pub(super) fn follow(&self, resource: &Resource, then: Then) {
        /// Nothing of a later one is the holder's: it was another one that the log spoke of.
        const FIRST: u64 = 0;
        let id = resource.id;
        if let Some(along) = &resource.along
            && self.kept.contains_key(&id)
            && resource.info().generation == FIRST
        {
            let (ranges, len) = along.follow(|range| resource.bytes.missing_in(range));
            if let Some(len) = len.filter(|_| resource.bytes.len().is_none())
                && resource.learn(FIRST, |_| resource.bytes.set_len(len).is_ok()) == Some(true)
            {
                self.shared.sched(Event::LenKnown { resource: id, len });
            }
            for range in ranges {
                let brought = |_: &_| self.shared.sched(Event::Brought { resource: id, range });
                resource.bytes.bring(FIRST, range, brought);
            }
        }
        match then {
            // Nobody may wait any more.
            Then::Tell(done) => drop(done.send(())),
            Then::Sched(event) => self.shared.sched(event),
        }
    }
}
