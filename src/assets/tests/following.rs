//! Following a holder: what it proves later is read along too, and at no moment of what it does a wrong byte.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::crash::Rng;
use super::*;
use crate::assets::extents::Extents;
use crate::assets::journal::Punching;
use crate::byte_range::ByteRange;
use crate::storage::Backend;
use crate::storage::disk::{Depth, Disk, System};
use crate::sync::Mutex;

const KIB: u64 = 1 << 10;
/// Where a random holder writes.
const LEN: u64 = 32 * KIB;

fn at(seconds: u64) -> Micros {
    Micros::from_millis(seconds * 1000)
}

fn look(bench: &Bench) -> Option<Arc<Along>> {
    bench.store(BOOT).look_along(&key("film")).map(Arc::new)
}

/// What is proven since the last time.
fn news(along: &Along) -> Vec<ByteRange> {
    along.follow(|range| vec![range]).0
}

/// A holder that has begun, and somebody who reads along from then on.
fn scene() -> (Bench, Writer, Arc<Along>) {
    let bench = Bench::in_memory();
    let mut writer = Writer::new(bench.held(BOOT));
    writer.journal.len_known(4096 * KIB);
    let along = look(&bench).expect("a log");
    (bench, writer, along)
}

#[test]
fn a7_what_the_holder_proves_later_is_followed_and_what_it_only_records_is_not() {
    let (_bench, mut writer, along) = scene();
    assert_eq!(along.found().covered, []);
    assert_eq!(along.follow(|range| vec![range]), (vec![], Some(4096 * KIB)));
    writer.write(FLOW, 0, 1024 * KIB, at(1));
    writer.journal.record_now();
    assert_eq!(news(&along), [], "recorded, and no barrier yet");
    writer.barrier(at(10));
    assert_eq!(news(&along), [range(0, 1024 * KIB)]);
    assert_eq!(news(&along), [], "told once");
    writer.write(FLOW, 2048 * KIB, 3072 * KIB, at(11));
    writer.barrier(at(20));
    assert_eq!(news(&along), [range(2048 * KIB, 3072 * KIB)]);
    let over = Backend::custom(along.over(None));
    let mut buf = vec![0; 1024 * KIB as usize];
    over.read_exact_at(2048 * KIB, &mut buf).expect("read from the holder");
    assert_eq!(buf, content(range(2048 * KIB, 3072 * KIB), 0));
}

#[test]
fn a7_what_was_recorded_before_it_began_is_followed_once_it_is_proven() {
    let (bench, mut writer, _) = scene();
    writer.write(FLOW, 0, 1024 * KIB, at(1));
    writer.journal.record_now();
    let along = look(&bench).expect("a log");
    assert_eq!(along.found().covered, []);
    writer.barrier(at(10));
    assert_eq!(news(&along), [range(0, 1024 * KIB)]);
}

#[test]
fn a7_only_what_is_missing_is_read_from_the_holder() {
    let (_bench, mut writer, along) = scene();
    let over = Backend::custom(along.over(Some(tempfile::tempfile().expect("a file"))));
    // Another content, to see where it is read from; really it is the same.
    over.write_all_at(0, &content(range(0, 512 * KIB), 9)).expect("written");
    writer.write(FLOW, 0, 1024 * KIB, at(1));
    writer.barrier(at(10));
    let ours = |fresh: ByteRange| vec![ByteRange::new(fresh.start.max(512 * KIB), fresh.end)];
    assert_eq!(along.follow(ours).0, [range(512 * KIB, 1024 * KIB)]);
    let mut buf = vec![0; 1024 * KIB as usize];
    over.read_exact_at(0, &mut buf).expect("read");
    assert_eq!(buf[..512 << 10], content(range(0, 512 * KIB), 9));
    assert_eq!(buf[512 << 10..], content(range(512 * KIB, 1024 * KIB), 0));
}

#[test]
fn a7_what_went_once_is_followed_no_more() {
    let (_bench, mut writer, along) = scene();
    writer.write(FLOW, 0, 1024 * KIB, at(1));
    writer.barrier(at(10));
    assert_eq!(news(&along), [range(0, 1024 * KIB)]);
    let hole = range(256 * KIB, 512 * KIB);
    let Punching::Begun(barrier) = writer.journal.punch(&[hole]) else { panic!("not now") };
    let _ = writer.journal.barrier_done(barrier.sync());
    // A read that began before the hole was cut could not tell them from what comes again.
    writer.write(FLOW, 0, 1024 * KIB, at(11));
    writer.barrier(at(20));
    assert_eq!(news(&along), [range(0, 256 * KIB), range(512 * KIB, 1024 * KIB)]);
    assert!(!along.still_has(hole));
}

#[test]
fn a7_a_new_generation_is_not_followed() {
    let (_bench, mut writer, along) = scene();
    writer.journal.begin(&generation("\"2\"")).expect("begun");
    writer.write(FLOW, 0, 1024 * KIB, at(1));
    writer.barrier(at(10));
    assert_eq!(along.follow(|range| vec![range]), (vec![], None));
}

#[test]
fn a7_where_only_the_length_tells_versions_apart_nothing_is_begun_with_nothing() {
    let bench = Bench::in_memory();
    let mut writer = Writer::new(bench.held(BOOT));
    let weak = Validator { etag: Some("W/\"1\"".into()), ..Validator::default() };
    let generation = Generation { validator: weak, content_type: None };
    writer.journal.begin(&generation).expect("begun");
    assert!(look(&bench).is_none(), "there is nothing to compare with");
    writer.write(FLOW, 0, 1024 * KIB, at(1));
    writer.barrier(at(10));
    let along = look(&bench).expect("there");
    writer.write(FLOW, 1024 * KIB, 2048 * KIB, at(11));
    writer.barrier(at(20));
    assert_eq!(news(&along), [range(1024 * KIB, 2048 * KIB)]);
}

/// What somebody who reads along has read, and which of it may still be wrong.
#[derive(Default)]
struct Follower {
    along: Option<Arc<Along>>,
    /// Which of the holder's generations it reads.
    salt: u8,
    /// What it was told of.
    told: Vec<ByteRange>,
    /// Of what it was told: read at some moment, and wrong then.
    wrong: Extents,
}

/// A disk beside which somebody follows, before and after each half of each thing that it does.
struct Watched {
    follower: Mutex<Follower>,
    /// Bytes found right that were told of after it began.
    found: AtomicUsize,
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watched")
    }
}

impl Watched {
    fn new() -> Arc<Self> {
        Arc::new(Self { follower: Mutex::default(), found: AtomicUsize::new(0) })
    }

    /// Whatever was read up to now and is found good now must be right.
    fn look(&self) {
        let mut follower = self.follower.lock();
        let Some(along) = follower.along.clone() else { return };
        let salt = follower.salt;
        let told = follower.told.iter().copied().chain(news(&along));
        // What once was found to be gone is so for good.
        let told: Vec<ByteRange> = told.filter(|told| along.still_has(*told)).collect();
        for told in &told {
            let mut buf = vec![0; told.len() as usize];
            let n = along.peek(told.start, &mut buf).expect("read");
            let right = content(*told, salt);
            // What is no longer there at all is not read.
            let mut wrong = (0..n).filter(|at| buf[*at] != right[*at]).peekable();
            if wrong.peek().is_none() {
                self.found.fetch_add(n, Ordering::Relaxed);
            }
            wrong.for_each(|at| follower.wrong.insert(ByteRange::at(told.start + at as u64, 1)));
            let was_wrong = follower.wrong.overlaps(*told);
            assert!(!was_wrong || !along.still_has(*told), "wrong bytes in {told}");
        }
        follower.told = told;
    }

    fn around<T>(&self, act: impl FnOnce() -> T) -> T {
        self.look();
        let done = act();
        self.look();
        done
    }
}

impl Disk for Watched {
    fn write_at(&self, file: &File, offset: u64, bytes: &[u8]) -> std::io::Result<usize> {
        // A record may be seen in part.
        let half = bytes.len() / 2;
        self.around(|| System.write_at(file, offset, &bytes[..half]))?;
        self.around(|| System.write_at(file, offset, bytes))
    }

    fn set_len(&self, file: &File, len: u64) -> std::io::Result<()> {
        self.around(|| System.set_len(file, len))
    }

    fn punch(&self, file: &File, range: ByteRange) -> std::io::Result<()> {
        self.around(|| System.punch(file, range))
    }

    fn sync(&self, file: &File, depth: Depth) -> std::io::Result<()> {
        self.around(|| System.sync(file, depth))
    }

    fn rename(&self, from: &Path, to: &Path) -> std::io::Result<()> {
        self.around(|| System.rename(from, to))
    }
}

/// A holder that does anything, in any order.
struct Story {
    bench: Bench,
    disk: Arc<Watched>,
    writer: Option<Writer>,
    rng: Rng,
    salt: u8,
    now: u64,
}

impl Story {
    fn new(seed: u64) -> Self {
        let (bench, disk) = (Bench::in_memory(), Watched::new());
        let mut story = Self { bench, disk, writer: None, rng: Rng(seed), salt: 0, now: 0 };
        story.open();
        story
    }

    fn open(&mut self) {
        let (disk, config) = (self.disk.clone(), &self.bench.config);
        let store = AssetStore::open_on(disk, BOOT, self.bench.path(), config);
        let mut writer = Writer::new(held(&store, &key("film")));
        writer.journal.len_known(LEN);
        self.writer = Some(writer);
    }

    fn below(&mut self, end: u64) -> u64 {
        self.rng.below(end)
    }

    fn range(&mut self) -> ByteRange {
        let start = self.below(LEN);
        ByteRange::at(start, 1 + self.below(8 * KIB)).until(LEN)
    }

    fn step(&mut self) {
        self.now += 2;
        let (range, now, dice) = (self.range(), at(self.now), self.below(16));
        let writer = self.writer.as_mut().expect("open");
        match dice {
            0..=5 => {
                let text = content(range, self.salt);
                crate::storage::disk::write_all_at(&*self.disk, &writer.data, range.start, &text)
                    .expect("written");
                writer.journal.written(FLOW, range.start, &text, now);
                writer.journal.record_now();
            }
            6..=9 => {
                let barrier = writer.journal.run_due(now + at(100));
                self.now += 100;
                let Some(barrier) = barrier else { return };
                let failing = dice == 9;
                let synced = if failing { barrier.fail() } else { barrier.sync() };
                if let BarrierOutcome::Next(log) = writer.journal.barrier_done(synced) {
                    let _ = writer.journal.barrier_done(log.sync());
                }
            }
            10 | 11 => {
                if let Punching::Begun(barrier) = writer.journal.punch(&[range]) {
                    let _ = writer.journal.barrier_done(barrier.sync());
                }
            }
            12 => drop(writer.journal.force_shorter()),
            13 => {
                self.salt += 1;
                let tag = format!("\"g{}\"", self.salt);
                writer.journal.begin(&generation(&tag)).expect("begun");
                writer.journal.len_known(LEN);
            }
            14 => {
                let Some(writer) = self.writer.take() else { return };
                writer.journal.close().expect("closed");
                self.open();
            }
            _ => {
                let along = self.bench.store(BOOT).look_along(&key("film")).map(Arc::new);
                let told = along.iter().flat_map(|along| along.found().covered.clone()).collect();
                let (salt, wrong) = (self.salt, Extents::default());
                *self.disk.follower.lock() = Follower { along, salt, told, wrong };
            }
        }
    }
}

#[test]
fn a7_whatever_the_holder_does_who_follows_takes_no_wrong_byte_for_right() {
    let mut found = 0;
    for seed in 0..30 {
        let mut story = Story::new(seed);
        for _ in 0..50 {
            story.step();
        }
        found += story.disk.found.load(Ordering::Relaxed);
    }
    assert!(found > 1 << 20, "{found} bytes were read along");
}
