//! What one decision costs where there is much: many segments, cursors and resources. Without a link: every request is
//! answered at once, so that what is measured is the scheduler.

use crate::byte_range::ByteRange;
use crate::config::Tunables;
use crate::connection::ConnectionUse;
use crate::ids::{DemandId, OriginId, ReaderId, ResourceId};
use crate::sched::{Action, BodyShape, Event, FetchOutcome, Scheduler, Urgency};
use crate::time::Micros;

/// Bytes of each resource: 1 TiB.
const LEN: u64 = 1 << 40;
/// From one stored piece to the next: half of it is a hole. The same for all, so that a window has as many pieces in it
/// whatever the map holds elsewhere.
const STRIDE: u64 = 1 << 20;
/// The one in which everything happens.
const FILM: ResourceId = ResourceId(0);
/// Time between two decisions.
const APART: Micros = Micros::from_millis(20);

/// A scheduler with so much in it, and a reader that seeks on and on.
#[derive(Debug)]
pub struct Decisions {
    scheduler: Scheduler,
    now: Micros,
    segments: u64,
    cursors: u64,
    steps: u64,
    /// What the last step stored.
    brought: Vec<ByteRange>,
    out: Vec<Action>,
    planned: usize,
}

impl Decisions {
    /// `resources` open ones, each with a reader at rest; one of them with `cursors` readers that have read, and with
    /// `segments` stored pieces and as many holes.
    #[must_use]
    pub fn new(segments: u64, cursors: u64, resources: u64) -> Self {
        let mut it = Self {
            scheduler: Scheduler::new(Tunables::default(), 2, 1),
            now: Micros(0),
            segments,
            cursors,
            steps: 0,
            brought: Vec::new(),
            out: Vec::new(),
            planned: 0,
        };
        let stored = |nth| ByteRange::at(nth * STRIDE, STRIDE / 2);
        for resource in (0..resources).map(ResourceId) {
            let covered = match resource {
                FILM => (0..segments).map(stored).collect(),
                _ => vec![ByteRange::new(0, 1 << 16)],
            };
            let (origin, len, online) = (OriginId(1), Some(LEN), true);
            it.tell(Event::ResourceOpened { resource, origin, len, covered, online });
            it.tell(Event::Bounded { resource, to: Some(1 << 50) });
            // Those of the film have the names after these.
            let reader = ReaderId(cursors + resource.0);
            it.tell(Event::ReaderOpened { resource, reader, position: 0 });
        }
        for reader in (0..cursors).map(ReaderId) {
            it.tell(Event::ReaderOpened { resource: FILM, reader, position: 0 });
            let at = stored(reader.0 * (segments / cursors.max(1)));
            it.tell(Event::Moved { reader, position: at.start });
            it.tell(Event::Moved { reader, position: at.start + at.len() / 4 });
        }
        while it.serve() {}
        let _ = it.scheduler.take_changed();
        it
    }

    fn tell(&mut self, event: Event) {
        self.scheduler.handle(self.now, event, &mut self.out);
    }

    /// Answers the requests that were made; whether there were any.
    fn serve(&mut self) -> bool {
        let mut any = false;
        for action in std::mem::take(&mut self.out) {
            if let Action::StartFetch { fetch, resource, range, .. } = action {
                any = true;
                let (shape, connection) = (BodyShape::Part(range), ConnectionUse::Reused);
                self.tell(Event::FetchStarted { fetch, shape, connection, multiplexed: false });
                self.tell(Event::Written { fetch, range });
                self.tell(Event::FetchEnded { fetch, outcome: FetchOutcome::Complete });
                if resource == FILM {
                    self.brought.push(range);
                }
            }
        }
        any
    }

    /// A reader seeks into a hole, gets what it asks for, and what the last one got is gone again. Tells how many events that
    /// were, each with what the driver asks afterwards.
    pub fn step(&mut self) -> u64 {
        let before = self.scheduler.handled;
        self.now = self.now + APART;
        self.steps += 1;
        // Far from the last one, and another one each time.
        let nth = self.steps.wrapping_mul(0x9E37_79B9_7F4A_7C15) % self.segments;
        let at = nth * STRIDE + STRIDE / 2;
        let reader = ReaderId(self.steps % self.cursors.max(1));
        let (demand, range) = (DemandId(self.steps), ByteRange::at(at, 4096));
        self.tell(Event::Demand { reader, demand, range, urgency: Urgency::Blocked });
        // The read itself, and what is read ahead at once.
        for _ in 0..2 {
            self.serve();
        }
        for gone in std::mem::take(&mut self.brought) {
            // What lies between the holes was there before.
            let mut at = gone.start;
            while at < gone.end {
                let next = (at / STRIDE + 1) * STRIDE;
                let from = at.max(next - STRIDE / 2);
                let hole = ByteRange::new(from, gone.end.min(next));
                if !hole.is_empty() {
                    self.tell(Event::Shrunk { resource: FILM, range: hole });
                }
                at = next;
            }
        }
        if self.scheduler.next_timeout().is_some_and(|(at, _)| at <= self.now) {
            self.tell(Event::Tick);
        }
        std::hint::black_box(self.scheduler.view(FILM));
        self.planned = self.scheduler.take_changed().len();
        self.scheduler.handled - before
    }

    /// How many resources the last step made a plan for.
    #[must_use]
    pub fn planned(&self) -> usize {
        self.planned
    }

    /// Whether some timer is armed.
    #[must_use]
    pub fn is_timed(&self) -> bool {
        self.scheduler.next_timeout().is_some()
    }

    /// How many pieces the film is in, to see that it stays so.
    #[must_use]
    pub fn pieces(&self) -> usize {
        self.scheduler.resources.get(&FILM).map_or(0, |film| film.map.runs())
    }
}
