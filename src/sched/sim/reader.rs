//! Readers: they read where they are, wait where nothing is, and play at a rate.

use crate::byte_range::ByteRange;
use crate::error::Error;
use crate::ids::{DemandId, HintId, ReaderId, ResourceId};
use crate::sched::sim::policy::Policy;
use crate::sched::sim::{Happening, Sim};
use crate::sched::{Event, Urgency};
use crate::time::Micros;

/// Most bytes per read.
const READ: u64 = 32 << 10;
/// Longest simulated wait before a test has failed.
const PATIENCE: Micros = Micros::from_millis(3_600_000);

/// What a reader waits for, and since when.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    demand: DemandId,
    range: ByteRange,
    since: Micros,
    urgency: Urgency,
}

/// One reader.
#[derive(Debug, Clone)]
pub(crate) struct SimReader {
    resource: ResourceId,
    position: u64,
    /// Where it stopped reading: going on elsewhere is told.
    told: u64,
    refill: u64,
    rate: Option<u64>,
    waiting: Option<Waiting>,
    stepping: bool,
    read: u64,
    /// When each wait began, and how long it took.
    waits: Vec<(Micros, Micros)>,
    errors: Vec<Error>,
}

impl<P: Policy> Sim<P> {
    /// A reader of the first resource at `position`. It reads nothing by itself.
    pub(crate) fn open_reader(&mut self, position: u64) -> ReaderId {
        self.open_reader_of(ResourceId(1), position)
    }

    /// A reader of `resource` at `position`.
    pub(crate) fn open_reader_of(&mut self, resource: ResourceId, position: u64) -> ReaderId {
        let reader = ReaderId(self.name());
        let new = SimReader {
            resource,
            position,
            told: position,
            refill: u64::MAX,
            rate: None,
            waiting: None,
            stepping: false,
            read: 0,
            waits: Vec::new(),
            errors: Vec::new(),
        };
        self.readers.insert(reader, new);
        self.tell(Event::ReaderOpened { resource, reader, position });
        reader
    }

    /// The reader is gone.
    pub(crate) fn close_reader(&mut self, reader: ReaderId) {
        self.readers.remove(&reader);
        self.tell(Event::ReaderClosed { reader });
    }

    /// From now on the reader reads on by itself, at `rate` bytes per second.
    pub(crate) fn play(&mut self, reader: ReaderId, rate: u64) {
        self.the(reader).rate = Some(rate);
        self.schedule(reader, self.now());
    }

    /// It reads no more by itself.
    pub(crate) fn stop(&mut self, reader: ReaderId) {
        self.the(reader).rate = None;
    }

    /// Moves the reader and nothing else; a blocked read of it ends.
    pub(crate) fn seek(&mut self, reader: ReaderId, position: u64) {
        let resource = self.the(reader).resource;
        self.the(reader).position = position;
        if !self.scheduler.keeps()
            && let Some(store) = self.stores.get_mut(&resource)
        {
            store.lose(ByteRange::new(0, store.len));
        }
        if let Some(Waiting { demand, .. }) = self.the(reader).waiting.take() {
            self.tell(Event::DemandWithdrawn { reader, demand });
        }
        let now = self.now();
        if self.the(reader).rate.is_some() {
            self.schedule(reader, now);
        }
    }

    /// One read where the reader is; it may have to wait.
    pub(crate) fn read(&mut self, reader: ReaderId) {
        if self.the(reader).waiting.is_none() {
            self.read_once(reader, READ);
        }
    }

    /// Lets time pass until the read where the reader is has its first byte, or an error. Returns how
    /// long that took from now on.
    pub(crate) fn run_until_ready(&mut self, reader: ReaderId) -> Micros {
        let start = self.now();
        self.read(reader);
        while self.the(reader).waiting.is_some() {
            assert!(self.step(start + PATIENCE), "nobody ever answers {reader}");
        }
        self.now().since(start)
    }

    /// One read into a buffer of `size` bytes, as a program makes it: time passes until something can be read.
    /// Returns how much it was; 0 at the end, or if the read failed.
    pub(crate) fn take(&mut self, reader: ReaderId, size: u64) -> u64 {
        let before = self.position(reader);
        let start = self.now();
        self.read_once(reader, size);
        while self.the(reader).waiting.is_some() {
            assert!(self.step(start + PATIENCE), "nobody ever answers {reader}");
        }
        self.position(reader) - before
    }

    /// Goes to `range` and reads all of it; how long its first byte took.
    pub(crate) fn read_all(&mut self, reader: ReaderId, range: ByteRange) -> Micros {
        let start = self.now();
        let mut first = None;
        self.seek(reader, range.start);
        while self.position(reader) < range.end {
            let got = self.take(reader, range.end - self.position(reader));
            assert!(got > 0, "no byte at {}", self.position(reader));
            first.get_or_insert(self.now().since(start));
        }
        first.unwrap_or_default()
    }

    /// Waits for all of `range` to be stored, in no hurry, with a reader of its own.
    pub(crate) fn fill(&mut self, range: ByteRange) -> ReaderId {
        let reader = self.open_reader(0);
        let demand = DemandId(self.name());
        let urgency = Urgency::Fill;
        self.the(reader).waiting = Some(Waiting { demand, range, since: self.now, urgency });
        self.tell(Event::Demand { reader, demand, range, urgency });
        reader
    }

    /// Whether the reader waits.
    pub(crate) fn is_waiting(&self, reader: ReaderId) -> bool {
        self.readers[&reader].waiting.is_some()
    }

    /// Where the reader is.
    pub(crate) fn position(&self, reader: ReaderId) -> u64 {
        self.readers[&reader].position
    }

    /// How long the waits of the reader took that began at `from` or later.
    pub(crate) fn waits_from(&self, reader: ReaderId, from: Micros) -> Vec<Micros> {
        let waits = self.waits_of(reader);
        waits.filter(|(since, _)| *since >= from).map(|(_, wait)| wait).collect()
    }

    /// When each wait of the reader began, and how long it took.
    pub(crate) fn waits_of(&self, reader: ReaderId) -> impl Iterator<Item = (Micros, Micros)> + '_ {
        self.readers[&reader].waits.iter().copied()
    }

    /// What the reader was told went wrong.
    pub(crate) fn errors(&self, reader: ReaderId) -> &[Error] {
        &self.readers[&reader].errors
    }

    /// A hint at `range` of the first resource.
    pub(crate) fn hint(&mut self, range: ByteRange, deadline: Option<Micros>) -> HintId {
        let hint = HintId(self.name());
        self.tell(Event::Hinted { resource: ResourceId(1), hint, range, deadline });
        hint
    }

    fn the(&mut self, reader: ReaderId) -> &mut SimReader {
        self.readers.get_mut(&reader).expect("the test opened it and has not closed it")
    }

    fn schedule(&mut self, reader: ReaderId, at: Micros) {
        if !std::mem::replace(&mut self.the(reader).stepping, true) {
            self.later(at, Happening::Step(reader));
        }
    }

    pub(super) fn step_reader(&mut self, reader: ReaderId) {
        let Some(it) = self.readers.get_mut(&reader) else {
            return;
        };
        it.stepping = false;
        if it.rate.is_some() && it.waiting.is_none() {
            self.read_once(reader, READ);
        }
    }

    /// A read into a buffer of `size` bytes.
    fn read_once(&mut self, reader: ReaderId, size: u64) {
        let it = &self.readers[&reader];
        let (resource, at) = (it.resource, it.position);
        let store = &self.stores[&resource];
        if store.known_len.is_some_and(|len| at >= len) {
            return;
        }
        let bytes = store.readable(ByteRange::at(at, size), self.scheduler.wake());
        if bytes > 0 {
            return self.consume(reader, bytes);
        }
        let demand = DemandId(self.name());
        let range = ByteRange::at(at, size);
        let (since, urgency) = (self.now, Urgency::Blocked);
        let it = self.the(reader);
        (it.waiting, it.told) = (Some(Waiting { demand, range, since, urgency }), at);
        self.counts.waits += 1;
        self.tell(Event::Demand { reader, demand, range, urgency });
    }

    /// The next `bytes` are stored: it reads on.
    fn consume(&mut self, reader: ReaderId, bytes: u64) {
        let it = self.readers[&reader].clone();
        let position = it.position + bytes;
        let now = self.now;
        let this = self.the(reader);
        (this.position, this.told) = (position, position);
        this.read += bytes;
        if it.told != it.position {
            self.tell(Event::Moved { reader, position: it.position });
        }
        if position >= self.the(reader).refill {
            self.the(reader).refill = u64::MAX;
            self.tell(Event::Moved { reader, position });
        }
        if !self.scheduler.keeps()
            && let Some(store) = self.stores.get_mut(&it.resource)
        {
            store.lose(ByteRange::new(it.position, position));
        }
        if let Some(rate) = self.the(reader).rate {
            self.schedule(reader, now + Micros((bytes * 1_000_000 / rate.max(1)).max(1)));
        }
    }

    /// Readers whose bytes are there go on.
    pub(super) fn wake(&mut self, resource: ResourceId) {
        let store = &self.stores[&resource];
        let end = store.known_len.unwrap_or(u64::MAX);
        let wake = self.scheduler.wake();
        let ready = |it: &SimReader| match it.waiting {
            Some(Waiting { range, urgency: Urgency::Blocked, .. }) => match range.start < end {
                true => Some(store.readable(range, wake)).filter(|bytes| *bytes > 0),
                false => Some(0),
            },
            Some(Waiting { range, .. }) => store.has_all(range).then_some(0),
            None => None,
        };
        let here = self.readers.iter().filter(|(_, it)| it.resource == resource);
        let woken: Vec<(ReaderId, u64)> =
            here.filter_map(|(id, it)| Some((*id, ready(it)?))).collect();
        let now = self.now;
        for (reader, bytes) in woken {
            let it = self.the(reader);
            let Some(Waiting { since, .. }) = it.waiting.take() else {
                continue;
            };
            it.waits.push((since, now.since(since)));
            if bytes > 0 {
                self.consume(reader, bytes);
            }
        }
    }

    pub(super) fn set_refill(&mut self, reader: ReaderId, at: u64) {
        let Some(it) = self.readers.get_mut(&reader) else {
            return;
        };
        it.refill = at;
        if it.waiting.is_none() && it.position >= at && it.told == it.position {
            it.refill = u64::MAX;
            let position = it.position;
            self.late_moves.push((reader, position));
        }
    }

    pub(super) fn fail_demand(&mut self, reader: ReaderId, demand: DemandId, error: Error) {
        if let Some(it) = self.readers.get_mut(&reader)
            && it.waiting.as_ref().is_some_and(|waiting| waiting.demand == demand)
        {
            it.waiting = None;
            it.errors.push(error);
        }
    }

    pub(super) fn fail_resource(&mut self, resource: ResourceId, error: Error) {
        for it in self.readers.values_mut().filter(|it| it.resource == resource) {
            if it.waiting.take().is_some() {
                it.errors.push(error.clone());
            }
        }
        self.fatal.push((resource, error));
    }
}
