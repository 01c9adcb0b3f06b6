//! Whatever the process, the power and the disk do: no wrong byte, and nothing lost that was proven.
//!
//! The model keeps beside the real files what a disk would have kept of them: the data as of its last sync, the
//! log up to its last synced barrier. When the power goes, each sector that was not synced is the old one or the new
//! one, as it comes. When a sync fails, the system forgets what it could not write, at once.

use super::*;
use crate::assets::extents::Extents;
use crate::assets::log::{Header, RECORD_LEN, Record};

/// Bytes that the disk writes at once, in this model.
const SECTOR: usize = 64;
const SPACE: u64 = 8192;

/// Numbers that follow from a seed alone (splitmix64).
#[derive(Debug)]
pub(super) struct Rng(pub(super) u64);

impl Rng {
    /// Any number before `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    /// True once in `n` times.
    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

struct World {
    rng: Rng,
    bench: Bench,
    boot: u8,
    /// Which generation is stored; also the salt of its bytes.
    generation: u8,
    now: Micros,
    /// The data file as it is on the disk for certain.
    disk: Vec<u8>,
    /// Epoch and length of the log that is on the disk for certain.
    log: (u32, usize),
    /// What must be found again.
    proven: Extents,
    /// What was written since the barrier in flight began, and before.
    written: Extents,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            rng: Rng(seed),
            bench: Bench::in_memory(),
            boot: 1,
            generation: 0,
            now: Micros(0),
            disk: Vec::new(),
            log: (0, 0),
            proven: Extents::default(),
            written: Extents::default(),
        }
    }

    /// One life of the process: opens, checks, writes, and ends somehow.
    fn live(&mut self) {
        let lease = self.bench.held(Some([self.boot; 16]));
        self.check(&lease.recovered);
        let begin = lease.recovered.meta.is_none() || self.rng.one_in(12);
        // What was found is there, and stays if the next barrier succeeds.
        self.written = lease.recovered.covered.iter().copied().collect();
        let data = lease.data().expect("a data file");
        let mut writer = Writer { data, journal: lease.into_journal() };
        if begin {
            self.begin(&mut writer);
        }
        for _ in 0..self.rng.below(40) {
            self.step(&mut writer);
        }
        self.end(writer);
    }

    fn check(&self, recovered: &Recovered) {
        let data = std::fs::read(self.bench.data()).unwrap_or_default();
        let covered: Extents = recovered.covered.iter().copied().collect();
        for range in &recovered.covered {
            let found = &data[range.start as usize..range.end as usize];
            assert_eq!(found, content(*range, self.generation), "wrong bytes in {range}");
        }
        for range in self.proven.to_vec() {
            assert!(covered.covers(range), "{range} was proven; found {:?}", recovered.covered);
        }
        if let Some(meta) = &recovered.meta {
            assert_eq!(*meta, generation(&format!("\"{}\"", self.generation)));
        }
    }

    fn begin(&mut self, writer: &mut Writer) {
        self.generation += 1;
        let tag = format!("\"{}\"", self.generation);
        writer.journal.begin(&generation(&tag)).expect("begun");
        (self.proven, self.written) = Default::default();
    }

    fn step(&mut self, writer: &mut Writer) {
        match self.rng.below(16) {
            0..=9 => self.write(writer),
            10 => writer.journal.record_now(),
            11 | 12 => self.now = self.now + Micros::from_millis(self.rng.below(400)),
            13 if self.rng.one_in(6) => self.begin(writer),
            _ => {
                self.now = self.now + Micros::from_millis(self.rng.below(8000));
                if let Some(barrier) = writer.journal.run_due(self.now) {
                    self.barrier(writer, barrier);
                }
            }
        }
        self.note_log();
    }

    fn write(&mut self, writer: &mut Writer) {
        let start = self.rng.below(SPACE);
        let bytes = range(start, start + 1 + self.rng.below(300));
        // Most flows go on where they were, some meet others.
        let flow = FetchId(self.rng.below(3));
        let text = content(bytes, self.generation);
        put(&writer.data, bytes.start, &text);
        writer.journal.written(flow, bytes.start, &text, self.now);
        if self.rng.one_in(3) {
            writer.journal.record_now();
        }
        self.written.insert(bytes);
    }

    fn barrier(&mut self, writer: &mut Writer, data: Barrier) {
        let claimed = self.written.clone();
        self.write(writer);
        if self.rng.one_in(6) {
            let outcome = writer.journal.barrier_done(data.fail());
            return self.lost(outcome);
        }
        self.disk = std::fs::read(self.bench.data()).expect("read");
        let data = data.sync();
        self.write(writer);
        let BarrierOutcome::Next(log) = writer.journal.barrier_done(data) else {
            panic!("the log is to be synced")
        };
        self.write(writer);
        if self.rng.one_in(6) {
            let outcome = writer.journal.barrier_done(log.fail());
            return self.lost(outcome);
        }
        assert!(matches!(writer.journal.barrier_done(log.sync()), BarrierOutcome::Done));
        self.log = last_barrier(&self.bench);
        self.proven = claimed;
    }

    /// A sync failed: the system forgets what it could not write, and the engine what was lost.
    fn lost(&mut self, outcome: BarrierOutcome) {
        let BarrierOutcome::Lost { ranges, .. } = outcome else { panic!("{outcome:?}") };
        let mut expected = self.written.clone();
        self.proven.to_vec().into_iter().for_each(|range| expected.remove(range));
        assert_eq!(ranges, expected.to_vec());
        self.written = self.proven.clone();
        let image = self.image(2);
        std::fs::write(self.bench.data(), image).expect("written");
    }

    /// A new log is on the disk as soon as it is in its place.
    fn note_log(&mut self) {
        let found = last_barrier(&self.bench);
        if found.0 != self.log.0 {
            self.log = found;
        }
    }

    fn end(&mut self, writer: Writer) {
        let way = self.rng.below(4);
        if way == 0 {
            writer.journal.close().expect("closed");
            self.proven = self.written.clone();
            self.disk = std::fs::read(self.bench.data()).expect("read");
            self.log = last_barrier(&self.bench);
            return;
        }
        drop(writer);
        self.note_log();
        if way == 1 {
            return; // only the process died
        }
        self.boot += 1;
        let image = self.image(3);
        std::fs::write(self.bench.data(), image).expect("written");
        let mut log = std::fs::read(self.bench.map()).expect("read");
        for at in (self.log.1..log.len()).step_by(SECTOR / 2) {
            if self.rng.one_in(3) {
                let end = log.len().min(at + SECTOR / 2);
                log[at..end].fill(self.rng.below(2) as u8);
            }
        }
        log.truncate(self.log.1 + self.rng.below((log.len() - self.log.1) as u64 + 1) as usize);
        std::fs::write(self.bench.map(), log).expect("written");
    }

    /// The data file, one in `n` of its sectors that were not synced as they were before.
    fn image(&mut self, n: u64) -> Vec<u8> {
        let mut image = std::fs::read(self.bench.data()).expect("read");
        for (at, sector) in image.chunks_mut(SECTOR).enumerate() {
            if self.rng.one_in(n) {
                let old = self.disk.get(at * SECTOR..).unwrap_or_default();
                let len = old.len().min(sector.len());
                sector[..len].copy_from_slice(&old[..len]);
                sector[len..].fill(0);
            }
        }
        image
    }
}

/// Epoch of the log, and where its last barrier ends.
fn last_barrier(bench: &Bench) -> (u32, usize) {
    let log = std::fs::read(bench.map()).unwrap_or_default();
    let Some((header, head)) = Header::decode(&log) else { return (0, 0) };
    let mut end = head;
    for (n, bytes) in log[head..].as_chunks::<RECORD_LEN>().0.iter().enumerate() {
        match Record::decode(bytes, header.epoch) {
            Some(Record::Barrier { .. }) => end = head + (n + 1) * RECORD_LEN,
            Some(_) => {}
            None => break,
        }
    }
    (header.epoch, end)
}

#[test]
fn a3_no_crash_gives_a_wrong_byte_or_loses_a_proven_one() {
    for seed in 0..80 {
        let mut world = World::new(seed);
        for life in 0..8 {
            let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.live()));
            assert!(lived.is_ok(), "seed {seed}, life {life}");
        }
    }
}
