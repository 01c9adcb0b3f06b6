//! Reading along with a holder: at no moment of what that one does is a wrong byte taken for right.

use std::io;

use super::*;
use crate::assets::journal::Punching;
use crate::byte_range::ByteRange;
use crate::storage::disk::{Depth, Disk, System};
use crate::sync::Mutex;

const KIB: u64 = 1 << 10;

fn at(seconds: u64) -> Micros {
    Micros::from_millis(seconds * 1000)
}

/// The places that are looked at: all, and those of which some go.
const PLACES: [(u64, u64); 4] = [(0, 1024), (100, 150), (300, 500), (700, 800)];

/// What was seen of one place at one moment, before the disk did something.
struct Seen {
    place: usize,
    right: bool,
    still: bool,
}

#[derive(Default)]
struct Looks {
    along: Option<Arc<Along>>,
    seen: Vec<Seen>,
    /// Bytes that were wrong at a moment after one at which the log had nothing against them.
    would_be_wrong: usize,
}

impl Looks {
    /// Whatever was read up to now and is found good now must be right.
    fn look(&mut self) {
        let Some(along) = self.along.clone() else { return };
        for (place, (start, end)) in PLACES.into_iter().enumerate() {
            let bytes = range(start * KIB, end * KIB);
            let mut buf = vec![0; bytes.len() as usize];
            let n = along.peek(bytes.start, &mut buf).expect("read");
            let right = buf[..n] == content(bytes, 0)[..n];
            let before = self.seen.iter().any(|seen| seen.place == place && seen.still);
            self.would_be_wrong += usize::from(before && !right);
            let still = along.still_has(bytes);
            self.seen.push(Seen { place, right, still });
            let wrong = |seen: &&Seen| seen.place == place && !seen.right;
            assert!(!still || !self.seen.iter().any(|seen| wrong(&seen)), "wrong bytes in {bytes}");
        }
    }
}

/// A disk beside which somebody looks before and after each thing that it does.
struct Watched(Mutex<Looks>);

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watched")
    }
}

impl Watched {
    fn around<T>(&self, act: impl FnOnce() -> T) -> T {
        self.0.lock().look();
        let done = act();
        self.0.lock().look();
        done
    }
}

impl Disk for Watched {
    fn write_at(&self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        // A record may be seen in part.
        let half = bytes.len() / 2;
        self.around(|| System.write_at(file, offset, &bytes[..half]))?;
        self.around(|| System.write_at(file, offset, bytes))
    }

    fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        self.around(|| System.set_len(file, len))
    }

    fn punch(&self, file: &File, range: ByteRange) -> io::Result<()> {
        self.around(|| System.punch(file, range))
    }

    fn sync(&self, file: &File, depth: Depth) -> io::Result<()> {
        self.around(|| System.sync(file, depth))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.around(|| System.rename(from, to))
    }
}

/// A holder that has the first MiB proven, and somebody who reads along.
fn scene() -> (Bench, Arc<Watched>, Writer) {
    let (bench, disk) = (Bench::in_memory(), Arc::new(Watched(Mutex::default())));
    let store = AssetStore::open_on(disk.clone(), BOOT, bench.path(), &bench.config);
    let mut writer = Writer::new(held(&store, &key("film")));
    writer.journal.len_known(4096 * KIB);
    writer.write(FLOW, 0, 1024 * KIB, Micros(0));
    writer.barrier(at(5));
    disk.0.lock().along = look(&bench);
    (bench, disk, writer)
}

fn look(bench: &Bench) -> Option<Arc<Along>> {
    bench.store(BOOT).look_along(&key("film")).map(Arc::new)
}

/// Writes through the store's disk.
fn write(disk: &Watched, writer: &mut Writer, bytes: ByteRange, salt: u8, now: Micros) {
    let text = content(bytes, salt);
    crate::storage::disk::write_all_at(disk, &writer.data, bytes.start, &text).expect("written");
    writer.journal.written(FLOW, bytes.start, &text, now);
    writer.journal.record_now();
}

fn punch(writer: &mut Writer, hole: ByteRange) {
    let Punching::Begun(barrier) = writer.journal.punch(&[hole]) else { panic!("not now") };
    let outcome = writer.journal.barrier_done(barrier.sync());
    assert!(matches!(outcome, BarrierOutcome::Punched { cut: Ok(()) }), "{outcome:?}");
}

/// What is still read along.
fn goes_on(disk: &Watched, start: u64, end: u64) -> bool {
    let along = disk.0.lock().along.clone().expect("somebody reads along");
    along.still_has(range(start * KIB, end * KIB))
}

#[test]
fn a7_at_no_moment_of_a_punch_is_a_hole_taken_for_bytes() {
    let (_bench, disk, mut writer) = scene();
    write(&disk, &mut writer, range(1024 * KIB, 1100 * KIB), 0, at(6));
    punch(&mut writer, range(100 * KIB, 400 * KIB));
    assert!(!goes_on(&disk, 0, 1024) && !goes_on(&disk, 100, 101) && !goes_on(&disk, 399, 500));
    assert!(goes_on(&disk, 0, 100) && goes_on(&disk, 400, 1024), "the rest goes on");
    // Bytes that come again are not looked for.
    write(&disk, &mut writer, range(100 * KIB, 200 * KIB), 0, at(7));
    writer.barrier(at(20));
    assert!(!goes_on(&disk, 100, 200));
    let gone = disk.0.lock().along.as_ref().expect("there").gone();
    assert_eq!(gone, [range(100 * KIB, 400 * KIB)]);
    assert!(disk.0.lock().would_be_wrong > 0, "to look at the log first would not do");
}

#[test]
fn a7_at_no_moment_of_a_new_generation_are_its_bytes_taken_for_the_old_ones() {
    let (_bench, disk, mut writer) = scene();
    writer.journal.begin(&generation("\"2\"")).expect("begun");
    assert!(!goes_on(&disk, 0, 1));
    write(&disk, &mut writer, range(0, 1024 * KIB), 9, at(6));
    writer.barrier(at(20));
    writer.journal.close().expect("closed");
    assert!(!goes_on(&disk, 0, 1024));
    assert!(disk.0.lock().would_be_wrong > 0);
}

#[test]
fn a7_a_log_in_place_of_the_other_ends_it_and_one_that_grows_does_not() {
    let (bench, disk, mut writer) = scene();
    for start in 0..100 {
        write(
            &disk,
            &mut writer,
            range((1100 + 2 * start) * KIB, (1101 + 2 * start) * KIB),
            0,
            at(6),
        );
    }
    writer.barrier(at(20));
    assert!(goes_on(&disk, 0, 1024));
    assert!(writer.journal.force_shorter());
    let shorter = writer.journal.run_due(at(20)).expect("due");
    let written = shorter.sync();
    assert!(matches!(writer.journal.barrier_done(written), BarrierOutcome::Done));
    assert!(!goes_on(&disk, 0, 1));
    // Whoever looks again has all of it.
    let again = look(&bench).expect("there");
    assert_eq!(again.found().covered.len(), 101);
    punch(&mut writer, range(0, 512 * KIB));
    assert!(!again.still_has(range(0, KIB)) && again.still_has(range(512 * KIB, 1024 * KIB)));
}

#[test]
fn a7_what_is_thrown_away_is_not_read_along() {
    let (bench, disk, writer) = scene();
    writer.journal.discard().expect("discarded");
    assert!(!goes_on(&disk, 0, 1) && look(&bench).is_none());
}

#[test]
fn a7_only_what_is_proven_is_read_along() {
    let (bench, disk, mut writer) = scene();
    write(&disk, &mut writer, range(2048 * KIB, 3072 * KIB), 0, at(6));
    let found = look(&bench).expect("there").found().clone();
    assert_eq!((found.covered, found.len), (vec![range(0, 1024 * KIB)], Some(4096 * KIB)));
    assert!(bench.store(BOOT).look_along(&key("other")).is_none());
}

#[test]
fn a7_own_bytes_lie_over_those_of_the_holder() {
    use crate::storage::Backend;
    let (_bench, disk, mut writer) = scene();
    let along = disk.0.lock().along.clone().expect("there");
    let over = Backend::custom(along.over(Some(tempfile::tempfile().expect("a file"))));
    let read = |from: u64, to: u64| {
        let mut buf = vec![0; ((to - from) * KIB) as usize];
        over.read_exact_at(from * KIB, &mut buf).map(|()| buf)
    };
    assert_eq!(read(0, 1024).expect("theirs"), content(range(0, 1024 * KIB), 0));
    over.write_all_at(1024 * KIB, &content(range(1024 * KIB, 1200 * KIB), 0)).expect("written");
    assert_eq!(read(900, 1200).expect("both"), content(range(900 * KIB, 1200 * KIB), 0));
    punch(&mut writer, range(512 * KIB, 768 * KIB));
    let error = read(500, 520).expect_err("it is gone");
    assert_eq!(error.source.kind(), io::ErrorKind::NotFound);
    assert_eq!(read(768, 1100).expect("the rest"), content(range(768 * KIB, 1100 * KIB), 0));
    over.write_all_at(512 * KIB, &content(range(512 * KIB, 768 * KIB), 0)).expect("written");
    assert_eq!(read(0, 1200).expect("all"), content(range(0, 1200 * KIB), 0));
    assert_eq!(along.gone(), []);
}
