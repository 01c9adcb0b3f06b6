//! Random worlds: whatever happens, in whatever order, the promises hold.
//!
//! `check` runs inside the scheduler after each event; the simulator checks each request. Here: every
//! wait is answered, and equal seeds give equal schedules.

use super::{KIB, MIB};
use crate::byte_range::ByteRange;
use crate::ids::{OriginId, ReaderId, ResourceId};
use crate::sched::Event;
use crate::sched::event::Remedy;
use crate::sched::retry::Rng;
use crate::sched::sim::{Fault, Sim, ms};
use crate::time::Micros;

const LEN: u64 = 24 * MIB;

fn fault(rng: &mut Rng) -> Fault {
    let bytes = rng.below(300 * KIB);
    match rng.below(7) {
        0 => Fault::Fail(Remedy::Retry { after: None }),
        1 => Fault::Fail(Remedy::Retry { after: Some(ms(rng.below(40_000))) }),
        2 => Fault::Fail(Remedy::GiveUp),
        3 => Fault::Stall(bytes),
        4 | 5 => Fault::Cut(bytes),
        _ => Fault::Short(bytes),
    }
}

fn place(rng: &mut Rng, base: u64) -> u64 {
    match rng.below(6) {
        0 => rng.below(LEN + 4096),
        1 => LEN - 1 - rng.below(128 * KIB),
        2 => rng.below(64 * KIB),
        _ => (base + rng.below(3 * MIB)).saturating_sub(MIB).min(LEN),
    }
}

struct Run {
    sim: Sim,
    rng: Rng,
    readers: Vec<ReaderId>,
    fills: Vec<ReaderId>,
    hints: Vec<crate::ids::HintId>,
    resources: Vec<ResourceId>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let whole = rng.below(8) == 0;
        let tells_len = rng.below(6) != 0;
        let rate = 200_000 << rng.below(7);
        let slots = 1 + rng.below(5) as u32;
        let small = rng.below(2) == 0;
        let sim = Sim::new(LEN)
            .latency(ms(1 + rng.below(200)))
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
        Self { sim, rng, readers, fills, hints, resources: vec![ResourceId(1)] }
    }

    fn reader(&mut self) -> Option<ReaderId> {
        let at = self.rng.below(self.readers.len() as u64) as usize;
        self.readers.get(at).copied()
    }

    fn step(&mut self) {
        match self.rng.below(24) {
            0 if self.readers.len() < 5 => self.open(),
            1 if self.readers.len() > 1 => {
                let reader = self.readers.remove(0);
                self.sim.close_reader(reader);
            }
            2 if self.rng.below(4) == 0 => self.odd(),
            3 => {
                let fault = fault(&mut self.rng);
                self.sim.set_server(|server| server.next = Some(fault));
            }
            4..=9 => self.seek(),
            10..=12 => {
                let rate = 50_000 << self.rng.below(8);
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
                let start = place(&mut self.rng, 0);
                let deadline = self.sim.now() + ms(self.rng.below(5000));
                let range = ByteRange::at(start, self.rng.below(MIB)).until(LEN);
                self.hints.push(self.sim.hint(range, Some(deadline)));
            }
            _ => {
                let time = Micros(self.rng.below(400_000));
                self.sim.run_for(time);
            }
        }
    }

    fn open(&mut self) {
        let at = place(&mut self.rng, 0);
        let which = self.rng.below(self.resources.len() as u64) as usize;
        let reader = self.sim.open_reader_of(self.resources[which], at);
        self.readers.push(reader);
    }

    fn seek(&mut self) {
        if let Some(reader) = self.reader() {
            let to = place(&mut self.rng, self.sim.position(reader));
            self.sim.seek(reader, to);
            if self.rng.below(4) != 0 {
                self.sim.read(reader);
            }
        }
    }

    /// What happens seldom.
    fn odd(&mut self) {
        let resource = ResourceId(1);
        let start = place(&mut self.rng, 0);
        match self.rng.below(8) {
            0 => {
                let playing = self.rng.below(2) == 0;
                self.sim.tell(Event::PlayingChanged { resource, playing });
            }
            1 => {
                let rate = Some(self.rng.below(4_000_000));
                self.sim.tell(Event::RateDeclared { resource, bytes_per_second: rate });
            }
            2 => self.sim.evict(ByteRange::at(start, self.rng.below(4 * MIB)).until(LEN)),
            3 => self.sim.change_generation(LEN),
            4 if self.resources.len() < 3 => {
                let origin = OriginId(1 + self.rng.below(2));
                self.resources.push(self.sim.open_resource(origin, LEN));
            }
            5 => {
                let hint = self.hints.pop();
                self.sim.tell(Event::HintWithdrawn { hint: hint.unwrap_or(crate::ids::HintId(0)) });
            }
            _ if self.fills.len() < 2 => {
                let range = ByteRange::at(start, self.rng.below(8 * MIB)).until(LEN);
                if !range.is_empty() && !self.sim.has(range) {
                    self.fills.push(self.sim.fill(range));
                }
            }
            _ => {}
        }
    }

    /// The world is well again: everybody who waits is answered.
    fn recover(&mut self) {
        self.sim.set_server(|server| server.next = None);
        for reader in self.readers.clone() {
            self.sim.stop(reader);
        }
        for reader in self.readers.iter().chain(&self.fills) {
            let until = self.sim.now() + ms(600_000);
            while self.sim.is_waiting(*reader) {
                assert!(self.sim.step(until), "{reader} waits for ever");
            }
        }
    }
}

fn run(seed: u64, steps: u32) -> Sim {
    let mut run = Run::new(seed);
    run.open();
    for _ in 0..steps {
        run.step();
    }
    run.recover();
    run.sim
}

/// E6, P2, P6, N5; defects 7, 14, 21, 25 of the peers. The seed is in the panic's message.
#[test]
fn e6_whatever_happens_every_wait_is_answered_and_every_request_is_sound() {
    let seeds = std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(100);
    for seed in 0..seeds {
        let ran = std::panic::catch_unwind(|| run(seed, 120));
        assert!(ran.is_ok(), "seed {seed}");
    }
}

#[test]
fn p1_equal_inputs_give_equal_schedules() {
    for seed in 0..20 {
        let (one, other) = (run(seed, 120), run(seed, 120));
        assert_eq!(one.requests, other.requests, "seed {seed}");
        assert_eq!(format!("{:?}", one.actions), format!("{:?}", other.actions), "seed {seed}");
    }
}
