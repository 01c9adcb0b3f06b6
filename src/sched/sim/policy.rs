//! Who decides: the shipped scheduler, or a baseline that is coded beside it.
//!
//! The world drives both through the same events and actions, over the same link, with the same readers.

use crate::config::Tunables;
use crate::ids::ResourceId;
use crate::sched::{Action, Event, Scheduler};
use crate::time::Micros;

/// When a blocked read returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// At its first byte.
    FirstByte,
    /// When the whole block of so many bytes is there that it begins in.
    Block(u64),
}

/// What decides which requests are made.
pub(crate) trait Policy {
    /// One that knows nothing yet.
    fn begin(tunables: &Tunables, bulk_lanes: u8, seed: u64) -> Self;

    /// Takes one event and appends what has to be done now, in order.
    fn handle(&mut self, now: Micros, event: Event, out: &mut Vec<Action>);

    /// When it wants to hear a `Tick`.
    fn due(&self) -> Option<Micros>;

    /// How many fetches it ever started from its queue; the world holds that against the requests it saw.
    fn popped(&self) -> Option<u64>;

    /// Whether it promises to ask for no byte that is stored.
    fn asks_once(&self, resource: ResourceId) -> bool;

    /// So many bytes will be read after the next seek. Only one that guesses nothing by itself listens.
    fn plan(&mut self, _bytes: u64) {}

    /// When a blocked read returns.
    fn wake(&self) -> Wake {
        Wake::FirstByte
    }

    /// Whether what was received is kept; if not, a byte is gone once it is read or its request ends.
    fn keeps(&self) -> bool {
        true
    }
}

impl Policy for Scheduler {
    fn begin(tunables: &Tunables, bulk_lanes: u8, seed: u64) -> Self {
        Self::new(tunables.clone(), bulk_lanes, seed)
    }

    fn handle(&mut self, now: Micros, event: Event, out: &mut Vec<Action>) {
        Self::handle(self, now, event, out);
    }

    fn due(&self) -> Option<Micros> {
        self.next_timeout().map(|(at, _)| at)
    }

    fn popped(&self) -> Option<u64> {
        Some(Self::popped(self))
    }

    fn asks_once(&self, resource: ResourceId) -> bool {
        self.view(resource).ranges
    }
}
