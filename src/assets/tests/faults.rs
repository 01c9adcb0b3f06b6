//! A disk that refuses: what of an asset stays, what is told, and that recording goes on once it no longer does.

use super::*;
use crate::storage::disk::faulty::{BROKEN, FULL, Faulty, Kind, QUOTA, READ_ONLY};

const SECONDS: fn(u64) -> Micros = |n| Micros::from_millis(n * 1000);

/// A store on a disk that can refuse, and an asset of which `0..100` is proven.
struct Scene {
    bench: Bench,
    disk: Arc<Faulty>,
    writer: Writer,
}

impl Scene {
    fn new() -> Self {
        let (bench, disk) = (Bench::new(), Faulty::new());
        let store = AssetStore::open_on(disk.clone(), BOOT, bench.path(), &bench.config);
        let mut writer = Writer::new(held(&store, &key("film")));
        writer.write(FLOW, 0, 100, Micros(0));
        writer.barrier(SECONDS(5));
        Self { bench, disk, writer }
    }

    /// Writes to the data file, which does not refuse, and notes it.
    fn write(&mut self, start: u64, end: u64, at: u64) {
        self.writer.write(FLOW, start, end, SECONDS(at));
        self.writer.journal.record_now();
    }

    #[track_caller]
    fn is_told_once(&mut self, errno: i32) {
        let error = self.writer.journal.take_error().expect("told");
        assert_eq!(error.source.raw_os_error(), Some(errno));
        assert!(error.path.is_some(), "{error}");
        assert!(self.writer.journal.take_error().is_none(), "told once");
    }

    fn close(self) -> (Bench, Result<(), StorageError>) {
        (self.bench, self.writer.journal.close())
    }
}

#[test]
fn a3_after_a_full_disk_recording_goes_on_with_what_came_meanwhile() {
    for errno in [FULL, QUOTA, BROKEN, READ_ONLY] {
        let mut scene = Scene::new();
        scene.disk.refuse(Kind::Write, "map", errno);
        scene.disk.refuse(Kind::Create, "", errno);
        scene.write(100, 200, 6);
        scene.is_told_once(errno);
        assert!(!scene.writer.journal.is_recording());
        scene.write(200, 300, 7);
        scene.writer.journal.len_known(1000);
        assert_eq!(scene.writer.journal.next_due(), None, "trying again is for others to order");
        assert!(scene.writer.journal.run_due(SECONDS(60)).is_none());
        let again = scene.writer.journal.resume().expect_err("it still refuses");
        assert_eq!(again.source.raw_os_error(), Some(errno));
        assert!(scene.writer.journal.take_error().is_none(), "told already");

        scene.disk.heal();
        scene.writer.journal.resume().expect("it does not refuse any more");
        assert!(scene.writer.journal.is_recording());
        scene.write(300, 400, 61);
        scene.writer.barrier(SECONDS(70));
        // No close: what a barrier proved is there.
        let Scene { bench, writer, .. } = scene;
        drop(writer);
        let lease = bench.held(LATER);
        assert_eq!(lease.recovered.covered, [range(0, 400)]);
        assert_eq!(lease.recovered.len, Some(1000));
        let (data, mut bytes) = (lease.data().expect("a data file"), vec![0; 400]);
        platform::read_at(&data, 0, &mut bytes).expect("read");
        assert_eq!(bytes, content(range(0, 400), 0));
    }
}

#[test]
fn a3_without_room_what_was_proven_stays_and_a_death_loses_the_rest() {
    let mut scene = Scene::new();
    scene.disk.refuse_writing(FULL);
    // The bytes themselves had room.
    scene.write(100, 200, 6);
    scene.is_told_once(FULL);
    let Scene { bench, disk, writer } = scene;
    drop(writer);
    drop(disk);
    assert_eq!(bench.held(BOOT).recovered.covered, [range(0, 100)]);
    assert_eq!(bench.held(LATER).recovered.covered, [range(0, 100)]);
}

#[test]
fn a3_close_is_the_last_chance_to_record() {
    let mut scene = Scene::new();
    scene.disk.refuse_one(Kind::Write, "map", 0, FULL);
    scene.write(100, 200, 6);
    scene.is_told_once(FULL);
    let (bench, closed) = scene.close();
    closed.expect("there is room again");
    assert_eq!(bench.held(LATER).recovered.covered, [range(0, 200)]);
}

#[test]
fn a3_what_could_not_be_recorded_comes_with_close() {
    let mut scene = Scene::new();
    scene.disk.refuse_writing(FULL);
    scene.write(100, 200, 6);
    let (bench, closed) = scene.close();
    assert_eq!(closed.expect_err("no room").source.raw_os_error(), Some(FULL));
    // The asset is free all the same.
    assert_eq!(bench.held(LATER).recovered.covered, [range(0, 100)]);
}

/// Room in the log is made ahead, and only its own room can stop a record.
#[test]
fn a3_a_record_that_has_its_room_needs_no_more_of_a_full_disk() {
    let mut scene = Scene::new();
    scene.disk.refuse_large(4096, "map", FULL);
    let mut at = 100;
    while scene.writer.journal.take_error().is_none() {
        scene.write(at, at + 1, 6);
        at += 1;
    }
    let Scene { bench, writer, .. } = scene;
    drop(writer);
    let bytes = crate::assets::lease::read_log(&bench.map()).expect("read").expect("there");
    let found = recovery::recover(&bytes, u64::MAX, BOOT).expect("a good log");
    let left = crate::assets::layout::LOG_STEP as usize - found.log_len;
    assert!(left < log::RECORD_LEN, "{left} bytes of room not used");
    assert_eq!(bench.held(BOOT).recovered.covered, [range(0, at - 1)]);
}

/// The log cannot be replaced at its name: the old one stays as it was.
#[test]
fn a3_a_log_that_cannot_take_its_place_leaves_the_old_one() {
    for kind in [Kind::Create, Kind::SyncAll, Kind::Rename, Kind::SyncFolder] {
        let mut scene = Scene::new();
        scene.disk.refuse_one(Kind::Write, "map", 0, FULL);
        scene.write(100, 200, 6);
        scene.is_told_once(FULL);
        scene.disk.refuse(kind, "", BROKEN);
        scene.writer.journal.resume().expect_err("refused");
        scene.finds_beside(&[range(0, 100)], kind);
        scene.disk.heal();
        scene.writer.journal.resume().expect("resumed");
        let (bench, closed) = scene.close();
        closed.expect("closed");
        assert_eq!(bench.held(LATER).recovered.covered, [range(0, 200)], "{kind:?}");
    }
}

impl Scene {
    /// What the log on disk says while the asset is open; after the folder's sync was refused the new one may be there.
    #[track_caller]
    fn finds_beside(&self, covered: &[ByteRange], kind: Kind) {
        let log = crate::assets::lease::read_log(&self.bench.map()).expect("read").expect("there");
        let found = recovery::recover(&log, u64::MAX, LATER).expect("a good log");
        let proven: Vec<_> = found.trusted.iter().map(|piece| piece.range).collect();
        assert_eq!(proven, covered, "{kind:?}");
    }
}

#[test]
fn a3_a_failed_sync_forgets_and_the_next_barrier_is_a_good_one() {
    for (kind, file) in [(Kind::SyncData, "data"), (Kind::SyncAll, "map")] {
        let mut scene = Scene::new();
        scene.write(100, 200, 6);
        scene.disk.refuse_one(kind, file, 0, BROKEN);
        let mut barrier = scene.writer.journal.run_due(SECONDS(20)).expect("due");
        let lost = loop {
            match scene.writer.journal.barrier_done(barrier.sync()) {
                BarrierOutcome::Next(next) => barrier = next,
                BarrierOutcome::Lost { ranges, error } => {
                    assert_eq!(error.source.raw_os_error(), Some(BROKEN));
                    break ranges;
                }
                BarrierOutcome::Done | BarrierOutcome::Punched { .. } => {
                    panic!("{kind:?} was refused")
                }
            }
        };
        assert_eq!(lost, [range(100, 200)]);
        scene.finds_beside(&[range(0, 100)], kind);
        scene.write(150, 250, 21);
        scene.writer.barrier(SECONDS(30));
        let (bench, closed) = scene.close();
        closed.expect("closed");
        assert_eq!(bench.held(LATER).recovered.covered, [range(0, 100), range(150, 250)]);
    }
}

/// All that can be refused at the end of a life.
#[test]
fn a3_a_close_that_is_refused_leaves_what_was_proven() {
    for (kind, file) in [(Kind::SyncData, "data"), (Kind::SyncAll, "map"), (Kind::SetLen, "map")] {
        let mut scene = Scene::new();
        scene.write(100, 200, 6);
        scene.disk.refuse(kind, file, BROKEN);
        let (bench, closed) = scene.close();
        assert_eq!(closed.expect_err("refused").source.raw_os_error(), Some(BROKEN));
        let covered = bench.held(LATER).recovered.covered;
        // Where only the room could not be cut off, the rest was proven before.
        assert!(covered == [range(0, 100)] || covered == [range(0, 200)], "{kind:?}: {covered:?}");
    }
}

/// Whatever refuses while a generation begins: it can be begun again, and nothing claims bytes until it was.
#[test]
fn a3_a_generation_that_was_refused_can_begin_later() {
    for (kind, file) in [
        (Kind::MakeFolder, ""),
        (Kind::Open, "data"),
        (Kind::SetLen, "data"),
        (Kind::Create, ""),
        (Kind::Write, ""),
        (Kind::Rename, "map"),
    ] {
        let (bench, disk) = (Bench::new(), Faulty::new());
        let store = AssetStore::open_on(disk.clone(), BOOT, bench.path(), &bench.config);
        let mut journal = held(&store, &key("film")).into_journal();
        disk.refuse(kind, file, FULL);
        let error = journal.begin(&generation("\"1\"")).expect_err("refused");
        assert_eq!(error.source.raw_os_error(), Some(FULL), "{kind:?}");
        journal.written(FLOW, 0, b"kept elsewhere", Micros(0));
        assert!(!journal.is_recording() && journal.next_due().is_none());
        disk.heal();
        journal.begin(&generation("\"1\"")).expect("begun");
        let data = File::options().write(true).open(bench.data()).expect("opened");
        put(&data, 0, &content(range(0, 10), 0));
        journal.written(FLOW, 0, &content(range(0, 10), 0), Micros(0));
        journal.close().expect("closed");
        assert_eq!(bench.held(LATER).recovered.covered, [range(0, 10)], "{kind:?}");
    }
}

/// Pieces that wait for a log are merged, so that waiting for hours costs little memory.
#[test]
fn a3_what_waits_for_a_log_is_merged() {
    let mut scene = Scene::new();
    scene.disk.refuse_writing(FULL);
    for n in 0..5000 {
        scene.write(100 + n, 101 + n, 6);
    }
    assert!(scene.writer.journal.recorded().len() < 2000);
    scene.disk.heal();
    scene.writer.journal.resume().expect("resumed");
    let (bench, closed) = scene.close();
    closed.expect("closed");
    assert_eq!(bench.held(LATER).recovered.covered, [range(0, 5100)]);
}
