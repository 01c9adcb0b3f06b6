//! Worlds in which anything may happen, in any order: what happens is chosen by a generator, or by given bytes.

use super::{Fault, Sim, ms};
use crate::byte_range::ByteRange;
use crate::error::Error;
use crate::ids::{HintId, OriginId, ReaderId, ResourceId};
use crate::sched::Event;
use crate::sched::event::{Confined, Remedy};
use crate::sched::retry::Rng;
use crate::time::Micros;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const LEN: u64 = 24 * MIB;
/// No resource is confined to less.
const LEAST: u64 = 4 * KIB;

/// What chooses.
#[derive(Debug)]
pub(crate) enum Choices {
    /// A generator; it never ends.
    Seeded(Rng),
    /// Bytes, the first at the end; when they are used up, every choice is 0.
    Given(Vec<u8>),
}

impl Choices {
    /// Chooses by `bytes`.
    pub(crate) fn given(bytes: &[u8]) -> Self {
        Self::Given(bytes.iter().rev().copied().collect())
    }

    /// Whether every choice from here on is 0.
    pub(crate) fn are_over(&self) -> bool {
        matches!(self, Self::Given(bytes) if bytes.is_empty())
    }

    fn below(&mut self, end: u64) -> u64 {
        match self {
            Self::Seeded(rng) => rng.next().checked_rem(end).unwrap_or(0),
            Self::Given(bytes) => {
                // One byte where that is enough, so that an input is short and each byte means something.
                let more = if end <= 256 { 1 } else { 4 };
                let number = (0..more).fold(0, |n, _| n << 8 | u64::from(bytes.pop().unwrap_or(0)));
                number.checked_rem(end).unwrap_or(0)
            }
        }
    }
}

fn fault(choices: &mut Choices) -> Fault {
    let bytes = choices.below(300 * KIB);
    match choices.below(7) {
        0 => Fault::Fail(Remedy::Retry { after: None }),
        1 => Fault::Fail(Remedy::Retry { after: Some(ms(choices.below(40_000))) }),
        2 => Fault::Fail(Remedy::GiveUp),
        3 => Fault::Stall(bytes),
        4 | 5 => Fault::Cut(bytes),
        _ => Fault::Short(bytes),
    }
}

fn place(choices: &mut Choices, base: u64) -> u64 {
    match choices.below(6) {
        0 => choices.below(LEN + 4096),
        1 => LEN - 1 - choices.below(128 * KIB),
        2 => choices.below(64 * KIB),
        _ => (base + choices.below(3 * MIB)).saturating_sub(MIB).min(LEN),
    }
}

/// A simulated world with readers, faults, hints and evictions.
pub(crate) struct World {
    pub(crate) sim: Sim,
    pub(crate) choices: Choices,
    readers: Vec<ReaderId>,
    fills: Vec<ReaderId>,
    hints: Vec<HintId>,
    resources: Vec<ResourceId>,
}

impl World {
    pub(crate) fn new(seed: u64, mut choices: Choices) -> Self {
        let whole = choices.below(8) == 0;
        let tells_len = choices.below(6) != 0;
        let rate = 200_000 << choices.below(7);
        let slots = 1 + choices.below(5) as u32;
        let small = choices.below(2) == 0;
        let sim = Sim::new(LEN)
            .latency(ms(1 + choices.below(200)))
            .rate(rate)
            .slots(slots)
            .seed(seed)
            .tuned(|tunables| {
                if !small {
                    tunables.readahead.whole_file = 0;
                }
            })
            .server(|server| {
                server.ranges = !whole;
                server.tells_len = tells_len;
            });
        let (readers, fills, hints) = (Vec::new(), Vec::new(), Vec::new());
        Self { sim, choices, readers, fills, hints, resources: vec![ResourceId(1)] }
    }

    fn reader(&mut self) -> Option<ReaderId> {
        let at = self.choices.below(self.readers.len() as u64) as usize;
        self.readers.get(at).copied()
    }

    /// Something happens.
    pub(crate) fn step(&mut self) {
        match self.choices.below(24) {
            0 if self.readers.len() < 5 => self.open(),
            1 if self.readers.len() > 1 => {
                let reader = self.readers.remove(0);
                self.sim.close_reader(reader);
            }
            2 if self.choices.below(4) == 0 => self.odd(),
            3 => {
                let fault = fault(&mut self.choices);
                self.sim.set_server(|server| server.next = Some(fault));
            }
            4..=9 => self.seek(),
            10..=12 => {
                let rate = 50_000 << self.choices.below(8);
                if let Some(reader) = self.reader() {
                    self.sim.play(reader, rate);
                }
            }
            13 => {
                if let Some(reader) = self.reader() {
                    self.sim.stop(reader);
                }
            }
            14 => {
                let start = place(&mut self.choices, 0);
                let deadline = self.sim.now() + ms(self.choices.below(5000));
                let range = ByteRange::at(start, self.choices.below(MIB)).until(LEN);
                self.hints.push(self.sim.hint(range, Some(deadline)));
            }
            _ => {
                let time = Micros(self.choices.below(400_000));
                self.sim.run_for(time);
            }
        }
    }

    /// Somebody opens.
    pub(crate) fn open(&mut self) {
        let at = place(&mut self.choices, 0);
        let which = self.choices.below(self.resources.len() as u64) as usize;
        let reader = self.sim.open_reader_of(self.resources[which], at);
        self.readers.push(reader);
    }

    fn seek(&mut self) {
        if let Some(reader) = self.reader() {
            let to = place(&mut self.choices, self.sim.position(reader));
            self.sim.seek(reader, to);
            if self.choices.below(4) != 0 {
                self.sim.read(reader);
            }
        }
    }

    /// What happens seldom.
    fn odd(&mut self) {
        let resource = ResourceId(1);
        let start = place(&mut self.choices, 0);
        match self.choices.below(10) {
            0 => {
                let playing = self.choices.below(2) == 0;
                self.sim.tell(Event::PlayingChanged { resource, playing });
            }
            1 => {
                let rate = Some(self.choices.below(4_000_000));
                self.sim.tell(Event::RateDeclared { resource, bytes_per_second: rate });
            }
            2 => self.sim.evict(ByteRange::at(start, self.choices.below(4 * MIB)).until(LEN)),
            3 => self.sim.change_generation(LEN),
            4 if self.resources.len() < 3 => {
                let origin = OriginId(1 + self.choices.below(2));
                self.resources.push(self.sim.open_resource(origin, LEN));
            }
            5 => {
                let hint = self.hints.pop();
                self.sim.tell(Event::HintWithdrawn { hint: hint.unwrap_or(HintId(0)) });
            }
            6 | 7 => {
                let (window, error) = (LEAST + self.choices.below(MIB), Error::UnknownLength);
                let to = (self.choices.below(2) == 0).then_some(Confined { window, error });
                self.sim.tell(Event::Confined { resource, to });
            }
            8 => self.sim.bring(ByteRange::at(start, self.choices.below(4 * MIB)).until(LEN)),
            _ if self.fills.len() < 2 => {
                let range = ByteRange::at(start, self.choices.below(8 * MIB)).until(LEN);
                if !range.is_empty() && !self.sim.has(range) {
                    self.fills.push(self.sim.fill(range));
                }
            }
            _ => {}
        }
    }

    /// The world is well again: everybody who waits is answered.
    pub(crate) fn recover(&mut self) {
        self.sim.set_server(|server| server.next = None);
        for reader in self.readers.clone() {
            self.sim.stop(reader);
        }
        for reader in self.readers.iter().chain(&self.fills) {
            // A body without ranges and length may come five times before its end is given up.
            let until = self.sim.now() + ms(3_600_000);
            while self.sim.is_waiting(*reader) {
                assert!(self.sim.step(until), "{reader} waits for ever");
            }
        }
    }
}
