//! Giving stored bytes of an open asset back to the disk: what stays, what is said, and what when the disk does not.

use super::*;
use crate::assets::journal::Punching;
use crate::storage::disk::faulty::{BROKEN, FULL, Faulty, Kind};

const KIB: u64 = 1 << 10;
/// `EOPNOTSUPP`.
const UNSUPPORTED: i32 = 95;

fn at(seconds: u64) -> Micros {
    Micros::from_millis(seconds * 1000)
}

/// An asset of which the first MiB is proven, on a disk that can refuse.
fn scene() -> (Bench, Arc<Faulty>, Writer) {
    let (bench, disk) = (Bench::in_memory(), Faulty::new());
    let store = AssetStore::open_on(disk.clone(), BOOT, bench.path(), &bench.config);
    let mut writer = Writer::new(held(&store, &key("film")));
    writer.write(FLOW, 0, 1024 * KIB, Micros(0));
    writer.barrier(at(5));
    (bench, disk, writer)
}

fn begun(journal: &mut Journal, hole: ByteRange) -> Box<Barrier> {
    match journal.punch(&[hole]) {
        Punching::Begun(barrier) => barrier,
        other => panic!("{other:?}"),
    }
}

/// What is found, which is what was written there.
fn covered(bench: &Bench, boot: log::BootId) -> Vec<ByteRange> {
    let lease = bench.held(boot);
    let data = lease.data().expect("a data file");
    for found in &lease.recovered.covered {
        let mut bytes = vec![0; found.len() as usize];
        platform::read_at(&data, found.start, &mut bytes).expect("read");
        assert_eq!(bytes, content(*found, 0), "{found}");
    }
    lease.recovered.covered.clone()
}

fn allocated(bench: &Bench) -> u64 {
    platform::allocated(&bench.data().metadata().expect("there")).expect("told")
}

#[test]
fn a6_bytes_that_are_given_back_take_no_room_and_are_not_found_again() {
    let (bench, _, mut writer) = scene();
    let before = allocated(&bench);
    let hole = range(256 * KIB, 512 * KIB);
    let barrier = begun(&mut writer.journal, hole);
    assert_eq!(allocated(&bench), before, "not before the log says so for good");
    let outcome = writer.journal.barrier_done(barrier.sync());
    assert!(matches!(outcome, BarrierOutcome::Punched { cut: Ok(()) }), "{outcome:?}");
    assert_eq!(allocated(&bench), before - hole.len());
    assert_eq!(bench.data().metadata().expect("there").len(), 1024 * KIB);
    drop(writer);
    let rest = [range(0, 256 * KIB), range(512 * KIB, 1024 * KIB)];
    assert_eq!(covered(&bench, LATER), rest);
    let found = bench.store(LATER).verify(&key("film")).expect("checked");
    assert_eq!(found[0].verdict, Verdict::Sound);
}

#[test]
fn a6_bytes_that_come_again_are_found_again() {
    let (bench, _, mut writer) = scene();
    let barrier = begun(&mut writer.journal, range(0, 512 * KIB));
    let _ = writer.journal.barrier_done(barrier.sync());
    writer.write(FLOW, 100 * KIB, 200 * KIB, at(6));
    writer.barrier(at(12));
    drop(writer);
    assert_eq!(covered(&bench, LATER), [range(100 * KIB, 200 * KIB), range(512 * KIB, 1024 * KIB)]);
}

#[test]
fn a6_a_pinned_asset_keeps_everything() {
    let (bench, _, mut writer) = scene();
    assert!(bench.store(BOOT).pin(&key("film"), true).expect("pinned"));
    assert!(matches!(writer.journal.punch(&[range(0, KIB)]), Punching::Refused));
    writer.journal.close().expect("closed");
    assert_eq!(covered(&bench, LATER), [range(0, 1024 * KIB)]);
}

#[test]
fn a6_where_the_disk_cannot_do_it_everything_stays() {
    let (bench, disk, mut writer) = scene();
    disk.refuse(Kind::Punch, "data", UNSUPPORTED);
    assert!(matches!(writer.journal.punch(&[range(0, KIB)]), Punching::Refused));
    assert!(writer.journal.take_error().is_none(), "no trouble");
    writer.journal.close().expect("closed");
    assert_eq!(covered(&bench, LATER), [range(0, 1024 * KIB)]);
}

#[test]
fn a6_a_hole_that_is_refused_costs_its_bytes_and_no_more() {
    let (bench, disk, mut writer) = scene();
    // The question whether it can passes.
    disk.refuse_one(Kind::Punch, "data", 1, BROKEN);
    let barrier = begun(&mut writer.journal, range(0, 512 * KIB));
    let outcome = writer.journal.barrier_done(barrier.sync());
    assert!(matches!(outcome, BarrierOutcome::Punched { cut: Err(_) }), "{outcome:?}");
    writer.journal.close().expect("closed");
    assert_eq!(covered(&bench, LATER), [range(512 * KIB, 1024 * KIB)]);
}

#[test]
fn a6_a_hole_waits_for_its_turn() {
    let (bench, _, mut writer) = scene();
    writer.write(FLOW, 1024 * KIB, 1100 * KIB, at(6));
    let barrier = writer.journal.run_due(at(12)).expect("due");
    assert!(!writer.journal.may_punch());
    assert!(matches!(writer.journal.punch(&[range(0, KIB)]), Punching::Later));
    let BarrierOutcome::Next(barrier) = writer.journal.barrier_done(barrier.sync()) else {
        panic!("the log is to be synced")
    };
    assert!(matches!(writer.journal.barrier_done(barrier.sync()), BarrierOutcome::Done));
    let barrier = begun(&mut writer.journal, range(0, KIB));
    writer.write(FLOW, 1100 * KIB, 1200 * KIB, at(20));
    assert!(writer.journal.run_due(at(30)).is_none(), "and others wait for it");
    // Whoever closes meanwhile waits until it is cut, or never will be.
    drop(barrier);
    writer.journal.close().expect("closed");
    assert_eq!(covered(&bench, LATER), [range(KIB, 1200 * KIB)]);
}

#[test]
fn a6_no_hole_is_cut_if_the_log_cannot_be_synced() {
    let (bench, disk, mut writer) = scene();
    let before = allocated(&bench);
    let barrier = begun(&mut writer.journal, range(0, 512 * KIB));
    disk.refuse_one(Kind::SyncAll, "map", 0, BROKEN);
    let outcome = writer.journal.barrier_done(barrier.sync());
    assert!(matches!(outcome, BarrierOutcome::Lost { .. }), "{outcome:?}");
    assert_eq!(allocated(&bench), before);
    writer.journal.close().expect("closed");
    assert_eq!(covered(&bench, LATER), [range(512 * KIB, 1024 * KIB)]);
}

/// The log is cut back to its last barrier where no new one can be written, but never so far that a hole is forgotten.
#[test]
fn a6_a_log_that_is_cut_back_still_knows_of_its_holes() {
    let (bench, disk, mut writer) = scene();
    writer.write(FLOW, 1024 * KIB, 1100 * KIB, at(6));
    writer.journal.record_now();
    let barrier = begun(&mut writer.journal, range(0, 512 * KIB));
    let _ = writer.journal.barrier_done(barrier.sync());
    writer.write(FLOW, 1100 * KIB, 1200 * KIB, at(7));
    let barrier = writer.journal.run_due(at(20)).expect("due");
    disk.refuse_one(Kind::SyncData, "data", 0, BROKEN);
    disk.refuse(Kind::Create, "", FULL);
    let outcome = writer.journal.barrier_done(barrier.sync());
    assert!(matches!(outcome, BarrierOutcome::Lost { .. }), "{outcome:?}");
    drop(writer);
    for boot in [BOOT, LATER] {
        assert_eq!(covered(&bench, boot), [range(512 * KIB, 1024 * KIB)]);
    }
}

#[test]
fn a6_a_temporary_store_gives_bytes_back_too() {
    let store = AssetStore::temporary(&StoreConfig::default()).expect("a store");
    let mut writer = Writer::new(held(&store, &key("film")));
    writer.write(FLOW, 0, 1024 * KIB, Micros(0));
    let barrier = begun(&mut writer.journal, range(0, 512 * KIB));
    let outcome = writer.journal.barrier_done(barrier.sync());
    assert!(matches!(outcome, BarrierOutcome::Punched { cut: Ok(()) }), "{outcome:?}");
    let left = platform::allocated(&writer.data.metadata().expect("open")).expect("told");
    assert_eq!(left, 512 * KIB);
}
