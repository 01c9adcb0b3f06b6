//! The resource against a deliberately stupid model: one generation number per byte, one record per
//! reader, and after each step everything is compared.

use std::task::Poll;

use crate::byte_range::ByteRange;
use crate::error::Error;
use crate::ids::{DemandId, ReaderId};
use crate::storage::{Backend, Look, Run, StreamingResource, Waited};
use crate::sync::Arc;

use super::content::{Rng, bytes_of, check};
use super::{Watcher, range};

/// Offsets used; the length is never above.
const LEN: u64 = 48;
/// Readers.
const READERS: usize = 3;

/// One step.
#[derive(Debug, Clone)]
enum Op {
    Write(ByteRange),
    WriteOld(ByteRange),
    Hold(ByteRange),
    Settle,
    GiveUp,
    Shrink(ByteRange),
    Discard(ByteRange),
    SetLen(u64),
    Restart(Option<u64>),
    Fail,
    FailWait { reader: usize, demand: u64 },
    Nudge(usize),
    Look(u64),
    LookFrom { reader: usize, offset: u64 },
    Poll { reader: usize, range: ByteRange, is_new: bool },
    Withdraw(usize),
    Reopen(usize),
    Read { reader: usize, offset: u64, len: usize },
    Commit,
}

impl Op {
    fn random(rng: &mut Rng, world: &World) -> Self {
        let reader = rng.below(READERS as u64) as usize;
        let newest = world.model.readers[reader].demand;
        match rng.below(100) {
            0..14 => Self::Write(rng.range(LEN, 12)),
            14..22 => Self::Hold(rng.range(LEN, 12)),
            22 => Self::Settle,
            23 => Self::GiveUp,
            24..26 => Self::WriteOld(rng.range(LEN, 12)),
            26..30 => Self::Shrink(rng.range(LEN, 12)),
            30..33 => Self::Discard(rng.range(LEN, 12)),
            33..36 => Self::SetLen(rng.below(LEN + 1)),
            36..38 => Self::Restart((rng.below(2) == 0).then(|| rng.below(LEN + 1))),
            38 => match rng.below(8) {
                0 => Self::Fail,
                _ => Self::Commit,
            },
            39..46 => Self::FailWait { reader, demand: (newest + rng.below(3)).saturating_sub(1) },
            46..49 => Self::Nudge(reader),
            49..55 => Self::Look(rng.below(LEN)),
            55..60 => Self::LookFrom { reader, offset: rng.below(LEN) },
            60..84 => Self::Poll { reader, range: rng.range(LEN, 8), is_new: rng.below(3) > 0 },
            84..86 => Self::Withdraw(reader),
            86..88 => Self::Reopen(reader),
            88..97 => Self::Read { reader, offset: rng.below(LEN), len: rng.below(16) as usize },
            _ => Self::Commit,
        }
    }
}

/// What the model knows of a reader.
#[derive(Debug, Clone, Default)]
struct Reader {
    demand: u64,
    seen: Option<u64>,
    waits: Option<(ByteRange, u64)>,
    nudged: bool,
    notice: bool,
    failure: Option<u64>,
    /// The bytes that may be read, and the epoch that allows it.
    run: Option<(ByteRange, u64)>,
}

/// The stupid model.
#[derive(Debug)]
struct Model {
    bytes: Vec<Option<u64>>,
    /// Whether a byte is in memory and not on the disk.
    held: Vec<bool>,
    len: Option<u64>,
    end_told: bool,
    complete: bool,
    failed: bool,
    generation: u64,
    epoch: u64,
    readers: Vec<Reader>,
}

/// How a wait or a look ends, without the details.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    Run(ByteRange),
    End,
    Missing,
    Fatal,
    Restarted,
    Failed,
    Nudged,
}

impl Model {
    fn is_there(&self, offset: u64) -> bool {
        self.bytes[offset as usize].is_some()
    }

    fn run_from(&self, offset: u64) -> ByteRange {
        let end = (offset..LEN).find(|at| !self.is_there(*at)).unwrap_or(LEN);
        range(offset, end)
    }

    /// What may be read once the byte at `offset` was looked at: back to where the bytes there begin, too.
    fn run_around(&self, offset: u64) -> ByteRange {
        let back = (0..offset).rev().take_while(|at| self.is_there(*at)).last();
        let start = back.filter(|_| self.is_there(offset)).unwrap_or(offset);
        range(start, self.run_from(offset).end)
    }

    fn end(&self) -> u64 {
        self.len.unwrap_or(u64::MAX)
    }

    /// What a wait of `reader` would be told now.
    fn told(&self, reader: &Reader, wanted: ByteRange, demand: u64) -> Told {
        let is_ready = (wanted.start..wanted.end.min(self.end())).all(|at| self.is_there(at));
        match () {
            () if reader.nudged => Told::Nudged,
            () if self.failed => Told::Fatal,
            () if reader.notice => Told::Restarted,
            () if wanted.start >= self.end() => Told::End,
            () if is_ready => Told::Run(self.run_from(wanted.start)),
            () if reader.failure == Some(demand) => Told::Failed,
            () => Told::Missing,
        }
    }

    fn look(&mut self, offset: u64) -> Told {
        if self.failed {
            return Told::Fatal;
        }
        if offset >= self.end() {
            self.end_told = true;
            return Told::End;
        }
        if self.is_there(offset) { Told::Run(self.run_from(offset)) } else { Told::Missing }
    }

    fn poll(&mut self, reader: usize, wanted: ByteRange, demand: u64) -> Told {
        let mut record = self.readers[reader].clone();
        record.seen = Some(demand);
        record.failure = record.failure.filter(|of| *of == demand);
        let told = self.told(&record, wanted, demand);
        match &told {
            Told::Nudged => record.nudged = false,
            Told::Restarted => record.notice = false,
            Told::End => self.end_told = true,
            Told::Run(run) => record.run = Some((self.run_around(run.start), self.epoch)),
            Told::Fatal | Told::Failed | Told::Missing => {}
        }
        if !matches!(told, Told::Nudged | Told::Missing) {
            record.failure = None;
        }
        record.waits = (told == Told::Missing).then_some((wanted, demand));
        self.readers[reader] = record;
        told
    }

    fn set(&mut self, range: ByteRange, to: Option<u64>) -> u64 {
        let mut changed = 0;
        for at in range.to_std() {
            changed += u64::from(self.bytes[at as usize] != to);
            self.bytes[at as usize] = to;
        }
        changed
    }

    fn set_len(&mut self, len: u64) -> bool {
        let is_below = (len..LEN).any(|at| self.is_there(at));
        let is_fine = self.len == Some(len) || !(self.end_told || is_below);
        if is_fine {
            self.len = Some(len);
        }
        is_fine
    }

    fn hold(&mut self, range: ByteRange, held: bool) {
        self.held[range.start as usize..range.end as usize].fill(held);
    }

    fn shrink(&mut self, range: ByteRange) {
        self.hold(range, false);
        self.epoch += 1;
        if self.set(range, None) > 0 {
            self.complete = false;
        }
    }

    fn restart(&mut self, len: Option<u64>) {
        self.set(range(0, LEN), None);
        self.hold(range(0, LEN), false);
        self.len = len;
        self.epoch += 1;
        self.generation += 1;
        (self.end_told, self.complete) = (false, false);
        for reader in &mut self.readers {
            reader.notice = true;
            reader.failure = None;
        }
    }

    fn commit(&mut self) -> bool {
        let whole = self.is_whole();
        if whole {
            (self.complete, self.end_told) = (true, true);
        }
        whole
    }

    fn is_whole(&self) -> bool {
        self.len.is_some_and(|len| (0..len).all(|at| self.is_there(at)))
    }

    fn fail_wait(&mut self, reader: usize, demand: u64) {
        let record = &mut self.readers[reader];
        if record.seen.is_none_or(|seen| seen <= demand) {
            record.failure = Some(demand);
        }
    }

    /// Ends the waits that have ended, and tells whose.
    fn wake(&mut self) -> Vec<bool> {
        let ended = |reader: &Reader| {
            reader.waits.is_some_and(|(wanted, of)| self.told(reader, wanted, of) != Told::Missing)
        };
        let woken: Vec<bool> = self.readers.iter().map(ended).collect();
        for (reader, woken) in self.readers.iter_mut().zip(&woken) {
            reader.waits = reader.waits.filter(|_| !woken);
        }
        woken
    }
}

/// The real thing beside the model.
struct World {
    model: Model,
    resource: Arc<StreamingResource>,
    watchers: Vec<Watcher>,
    runs: Vec<Run>,
}

fn told(waited: Poll<Waited>) -> (Told, Option<Run>) {
    match waited {
        Poll::Pending => (Told::Missing, None),
        Poll::Ready(Waited::Ready(run)) => (Told::Run(run.range()), Some(run)),
        Poll::Ready(Waited::End) => (Told::End, None),
        Poll::Ready(Waited::Nudged) => (Told::Nudged, None),
        Poll::Ready(Waited::Failed(error)) => (told_error(&error), None),
    }
}

fn told_error(error: &Error) -> Told {
    match error {
        Error::Changed => Told::Fatal,
        Error::Restarted => Told::Restarted,
        Error::UnknownLength => Told::Failed,
        other => panic!("nobody gave this error: {other}"),
    }
}

fn looked(look: Look) -> Told {
    match look {
        Look::Covered(run) => Told::Run(run.range()),
        Look::End => Told::End,
        Look::Missing => Told::Missing,
        Look::Failed(error) => told_error(&error),
    }
}

impl World {
    fn new() -> Self {
        let resource = StreamingResource::new(Backend::memory());
        let model = Model {
            bytes: vec![None; LEN as usize],
            held: vec![false; LEN as usize],
            len: None,
            end_told: false,
            complete: false,
            failed: false,
            generation: 0,
            epoch: 0,
            readers: vec![Reader::default(); READERS],
        };
        let watchers = (0..READERS as u64).map(|id| Watcher::new(&resource, id)).collect();
        Self { model, resource, watchers, runs: vec![Run::none(); READERS] }
    }

    /// Does `op` to both and compares what they answer.
    fn apply(&mut self, op: &Op) {
        let (model, resource) = (&mut self.model, &self.resource);
        match *op {
            Op::Write(range) => {
                let generation = model.generation;
                let bytes = bytes_of(generation, range);
                let pieces: Vec<_> = bytes.chunks(3).collect();
                let wrote = resource.write_telling(generation, range.start, &pieces, |_| ());
                if range.end > model.end() {
                    assert!(wrote.is_err(), "past the length");
                } else {
                    let landed = wrote.expect("memory");
                    model.hold(range, false);
                    assert_eq!(landed.new, model.set(range, Some(generation)));
                    assert_eq!(landed.withdrawn, 0);
                    assert_eq!(landed.complete, model.is_whole());
                }
            }
            Op::Hold(range) => {
                let generation = model.generation;
                let bytes = bytes_of(generation, range);
                let held = resource.hold_telling(generation, range.start, &bytes, |_| ());
                match held {
                    Err(_) => assert!(range.end > model.end(), "only past the length"),
                    Ok(landed) => {
                        model.hold(range, true);
                        assert_eq!(landed.new, model.set(range, Some(generation)));
                        assert_eq!(landed.complete, model.is_whole());
                    }
                }
            }
            Op::Settle => {
                let mut moved = 0;
                resource.settle_held(|_, bytes| moved += bytes.len()).expect("memory");
                assert_eq!(moved, model.held.iter().filter(|held| **held).count());
                model.hold(range(0, LEN), false);
                assert_eq!(resource.held(), 0);
            }
            Op::GiveUp => {
                for part in resource.give_up_held(0, &[3]) {
                    assert!(part.to_std().all(|at| model.held[at as usize]), "only what is held");
                    model.shrink(part);
                }
                assert!(!model.held.contains(&true));
            }
            Op::WriteOld(range) => {
                if let Some(old) = model.generation.checked_sub(1) {
                    let wrote = resource.write_of(old, range.start, &bytes_of(old, range));
                    assert_eq!(wrote.expect("thrown away").withdrawn, range.len());
                }
            }
            Op::Shrink(range) => {
                resource.shrink(range);
                model.shrink(range);
            }
            Op::Discard(range) => {
                resource.cut(range).discard().expect("memory");
                model.shrink(range);
            }
            Op::SetLen(len) => assert_eq!(resource.set_len(len).is_ok(), model.set_len(len)),
            Op::Restart(len) => {
                resource.restart(len, Error::Restarted);
                model.restart(len);
            }
            Op::Fail => {
                resource.fail(Error::Changed);
                model.failed = true;
                model.epoch += 1;
            }
            Op::FailWait { reader, demand } => {
                let id = ReaderId(reader as u64);
                resource.fail_wait(id, DemandId(demand), Error::UnknownLength);
                model.fail_wait(reader, demand);
            }
            Op::Commit => assert_eq!(resource.commit().is_ok(), model.commit()),
            Op::Look(offset) => assert_eq!(looked(resource.look(offset)), model.look(offset)),
            _ => self.apply_to_reader(op),
        }
    }

    /// The same for what a reader does.
    fn apply_to_reader(&mut self, op: &Op) {
        let (model, resource) = (&mut self.model, &self.resource);
        match *op {
            Op::Nudge(reader) => {
                self.watchers[reader].waiter.nudger().nudge();
                model.readers[reader].nudged = true;
            }
            Op::LookFrom { reader, offset } => {
                let is_notice = !model.failed && model.readers[reader].notice;
                let expected = if is_notice {
                    model.readers[reader].notice = false;
                    Told::Restarted
                } else {
                    model.look(offset)
                };
                assert_eq!(looked(self.watchers[reader].waiter.look(offset)), expected);
            }
            Op::Poll { reader, range, is_new } => {
                model.readers[reader].demand += u64::from(is_new);
                let demand = model.readers[reader].demand;
                self.watchers[reader].demand = demand;
                let (told, run) = told(self.watchers[reader].poll(range));
                assert_eq!(told, model.poll(reader, range, demand));
                if let Some(run) = run {
                    self.runs[reader] = run;
                }
            }
            Op::Withdraw(reader) => {
                self.watchers[reader].waiter.withdraw();
                model.readers[reader].waits = None;
            }
            Op::Reopen(reader) => {
                self.watchers[reader] = Watcher::new(resource, reader as u64);
                let demand = model.readers[reader].demand;
                model.readers[reader] = Reader { demand, ..Reader::default() };
                self.runs[reader] = Run::none();
            }
            Op::Read { reader, offset, len } => {
                let mut buf = vec![0; len];
                let read = resource.read_run(&mut self.runs[reader], offset, &mut buf);
                let allowed = model.readers[reader]
                    .run
                    .filter(|(run, epoch)| *epoch == model.epoch && run.contains(offset));
                let expected = allowed.map(|(run, _)| len.min((run.end - offset) as usize));
                assert_eq!(read.expect("memory"), expected);
                check(model.generation, offset, &buf[..expected.unwrap_or(0)]);
            }
            _ => unreachable!("not a reader's step"),
        }
    }

    /// Compares everything that can be seen.
    fn compare(&mut self) {
        let woken = self.model.wake();
        let wakes: Vec<bool> = self
            .watchers
            .iter()
            .map(|watcher| match watcher.wakes() {
                0 => false,
                1 => true,
                more => panic!("woken {more} times"),
            })
            .collect();
        assert_eq!(wakes, woken, "who was woken");
        let (model, resource) = (&self.model, &self.resource);
        let waiting = model.readers.iter().filter(|reader| reader.waits.is_some()).count();
        assert_eq!(resource.waiting(), waiting);
        assert_eq!((resource.len(), resource.is_complete()), (model.len, model.complete));
        assert_eq!(resource.generation(), model.generation);
        assert_eq!(resource.failure().is_some(), model.failed);

        let mut there = vec![false; LEN as usize];
        for range in resource.covered() {
            assert!(!range.is_empty());
            range.to_std().for_each(|at| there[at as usize] = true);
        }
        let expected: Vec<bool> = (0..LEN).map(|at| model.is_there(at)).collect();
        assert_eq!(there, expected);
        assert_eq!(resource.covered_bytes(), expected.iter().filter(|is| **is).count() as u64);
        let missing: u64 = resource.missing_in(range(0, LEN)).into_iter().map(ByteRange::len).sum();
        assert_eq!(missing + resource.covered_bytes(), model.end().min(LEN));
    }
}

/// S1, S2, E2, E4, E7, N8: every step in every state does what one thought per byte says.
#[test]
fn s1_s2_agrees_with_one_state_per_byte() {
    for seed in 0..400 {
        let mut rng = Rng(seed);
        let mut world = World::new();
        for step in 0..250 {
            let op = Op::random(&mut rng, &world);
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                world.apply(&op);
                world.compare();
            }));
            assert!(outcome.is_ok(), "seed {seed}, step {step}: {op:?}\n{:#?}", world.model);
        }
    }
}
