//! When the journal says what, and what is left of it whatever happens to the process or the disk.

use super::*;
use crate::assets::barrier::Half;
use crate::assets::layout::LOG_STEP;
use crate::assets::lease::read_log;
use crate::assets::log::RECORD_LEN;
use crate::assets::recovery::{Recovery, recover};

/// What the log on disk says, to a system that trusts only what is proven.
fn on_disk(bench: &Bench) -> Recovery {
    let log = read_log(&bench.map()).expect("read").expect("there");
    recover(&log, u64::MAX, LATER).expect("a good log")
}

fn proven(bench: &Bench) -> Vec<ByteRange> {
    on_disk(bench).trusted.iter().map(|piece| piece.range).collect()
}

/// Overwrites stored bytes behind the journal's back, as a disk does that lost them.
fn spoil(bench: &Bench, bytes: ByteRange) {
    let data = File::options().write(true).open(bench.data()).expect("opened");
    put(&data, bytes.start, &vec![0xee; bytes.len() as usize]);
}

#[test]
fn a3_a_process_that_dies_loses_at_most_the_last_quarter_second() {
    let bench = Bench::new();
    let mut writer = Writer::new(bench.held(BOOT));
    writer.write(FLOW, 0, 100, Micros(0));
    assert_eq!(writer.journal.next_due(), Some(Micros::from_millis(250)));
    assert!(writer.journal.run_due(Micros::from_millis(250)).is_none());
    writer.write(FLOW, 100, 150, Micros::from_millis(300));
    drop(writer);
    assert_eq!(bench.held(BOOT).recovered.covered, [range(0, 100)]);
    // After a power loss the same record is believed only because the data is right.
    assert_eq!(bench.held(LATER).recovered.covered, [range(0, 100)]);
    spoil(&bench, range(99, 100));
    assert!(bench.held(LATER).recovered.covered.is_empty());
    assert!(bench.held(None).recovered.covered.is_empty());
}

#[test]
fn a3_a_mebibyte_is_recorded_at_once_and_lesser_runs_together() {
    let bench = Bench::new();
    let mut writer = Writer::new(bench.held(BOOT));
    let gib = 1 << 30;
    writer.write(FLOW, 0, 1 << 20, Micros(0));
    writer.write(FetchId(2), gib, gib + 5, Micros(0));
    writer.write(FetchId(3), 2 * gib, 2 * gib + 5, Micros::from_millis(249));
    assert!(writer.journal.run_due(Micros::from_millis(249)).is_none());
    assert_eq!(writer.journal.recorded(), [range(0, 1 << 20)]);
    assert!(writer.journal.run_due(Micros::from_millis(250)).is_none());
    writer.write(FetchId(4), 5 << 20, (5 << 20) + 5, Micros::from_millis(251));
    drop(writer);
    let covered = bench.held(BOOT).recovered.covered;
    let lesser = [gib, 2 * gib].map(|at| range(at, at + 5));
    assert_eq!(covered, [range(0, 1 << 20), lesser[0], lesser[1]]);
}

#[test]
fn a3_the_log_claims_bytes_only_after_the_data_was_synced() {
    let bench = Bench::new();
    let mut writer = Writer::new(bench.held(BOOT));
    writer.write(FLOW, 0, 100, Micros(0));
    let five = Micros::from_millis(5000);
    let data = writer.journal.run_due(five).expect("a barrier is due");
    assert_eq!(data.ticket.half, Half::Data);
    writer.write(FLOW, 100, 200, five);
    writer.journal.record_now();
    assert!(proven(&bench).is_empty());
    let BarrierOutcome::Next(log) = writer.journal.barrier_done(data.sync()) else {
        panic!("the log is to be synced")
    };
    assert!(matches!(log.ticket.half, Half::Log { .. }));
    assert!(matches!(writer.journal.barrier_done(log.sync()), BarrierOutcome::Done));
    // What came in while the data was synced is not part of the claim.
    assert_eq!(proven(&bench), [range(0, 100)]);
    assert_eq!(on_disk(&bench).suspect.len(), 1);
    drop(writer);
    spoil(&bench, range(100, 101));
    assert_eq!(bench.held(LATER).recovered.covered, [range(0, 100)]);
}

#[test]
fn a3_barriers_come_by_time_or_bytes_one_at_a_time_and_a_second_apart() {
    let mut bench = Bench::new();
    bench.config.barrier_bytes = 1000;
    let mut writer = Writer::new(bench.held(BOOT));
    let ms = Micros::from_millis;
    assert_eq!(writer.journal.next_due(), None);
    writer.write(FLOW, 0, 999, ms(100));
    writer.journal.record_now();
    assert_eq!(writer.journal.next_due(), Some(ms(5100)));
    writer.write(FLOW, 999, 1000, ms(200));
    writer.journal.record_now();
    assert_eq!(writer.journal.next_due(), Some(ms(100)), "enough bytes are due at once");
    let first = writer.journal.run_due(ms(200)).expect("due");
    writer.write(FLOW, 1000, 3000, ms(210));
    writer.journal.record_now();
    assert_eq!(writer.journal.next_due(), None, "one is in flight");
    assert!(writer.journal.run_due(ms(9000)).is_none());
    let BarrierOutcome::Next(log) = writer.journal.barrier_done(first.sync()) else { panic!() };
    assert!(writer.journal.run_due(ms(9000)).is_none(), "its second half counts too");
    assert!(matches!(writer.journal.barrier_done(log.sync()), BarrierOutcome::Done));
    assert_eq!(writer.journal.next_due(), Some(ms(1200)));
    assert!(writer.journal.run_due(ms(1199)).is_none());
    writer.barrier(ms(1200));
    assert_eq!(writer.journal.next_due(), None, "nothing new, nothing due");
    assert_eq!(proven(&bench), [range(0, 999), range(999, 1000), range(1000, 3000)]);
}

#[test]
fn a3_after_a_failed_sync_nothing_since_the_last_barrier_is_believed_again() {
    for fail_log in [false, true] {
        let bench = Bench::new();
        let mut writer = Writer::new(bench.held(BOOT));
        writer.write(FLOW, 0, 100, Micros(0));
        writer.barrier(Micros::from_millis(5000));
        writer.write(FLOW, 50, 200, Micros::from_millis(6000));
        writer.journal.sealed(200);
        let barrier = writer.journal.run_due(Micros::from_millis(20_000)).expect("due");
        writer.write(FetchId(2), 300, 310, Micros::from_millis(20_000));
        let outcome = if fail_log {
            match writer.journal.barrier_done(barrier.sync()) {
                BarrierOutcome::Next(log) => writer.journal.barrier_done(log.fail()),
                other => panic!("{other:?}"),
            }
        } else {
            writer.journal.barrier_done(barrier.fail())
        };
        let BarrierOutcome::Lost { ranges, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(ranges, [range(100, 200), range(300, 310)]);
        // Not even by this very system, for it may drop what it could not write.
        assert_eq!(proven(&bench), [range(0, 100)]);
        assert!(on_disk(&bench).suspect.is_empty() && !on_disk(&bench).sealed);
        // It goes on; what is fetched again counts.
        writer.write(FLOW, 100, 150, Micros::from_millis(21_000));
        writer.journal.close().expect("closed");
        assert_eq!(bench.held(BOOT).recovered.covered, [range(0, 150)]);
    }
}

#[test]
fn a3_if_no_new_log_can_be_written_after_a_failed_sync_the_old_one_is_cut_back() {
    let bench = Bench::new();
    let mut writer = Writer::new(bench.held(BOOT));
    writer.write(FLOW, 0, 100, Micros(0));
    writer.barrier(Micros::from_millis(5000));
    writer.write(FLOW, 100, 200, Micros::from_millis(6000));
    let barrier = writer.journal.run_due(Micros::from_millis(20_000)).expect("due");
    assert_eq!(on_disk(&bench).suspect.len(), 1);
    // Without its folder no file can be made; the open ones stay open.
    let folder = bench.map().parent().expect("a folder").to_owned();
    let aside = bench.path().join("aside");
    std::fs::rename(&folder, &aside).expect("moved");
    let outcome = writer.journal.barrier_done(barrier.fail());
    assert!(matches!(outcome, BarrierOutcome::Lost { .. }), "{outcome:?}");
    std::fs::rename(&aside, &folder).expect("moved");
    assert!(!writer.journal.is_recording());
    assert!(writer.journal.take_error().is_some());
    drop(writer);
    assert_eq!(bench.held(BOOT).recovered.covered, [range(0, 100)]);
}

/// The system tells a failed sync once: if the barrier's thread has heard it, `close` must not take
/// its own success for proof.
#[test]
fn a3_close_believes_a_failed_barrier_that_nobody_reported() {
    let bench = Bench::new();
    let mut writer = Writer::new(bench.held(BOOT));
    writer.write(FLOW, 0, 100, Micros(0));
    writer.barrier(Micros::from_millis(5000));
    writer.write(FLOW, 100, 200, Micros::from_millis(6000));
    let barrier = writer.journal.run_due(Micros::from_millis(20_000)).expect("due");
    drop(barrier.fail());
    assert!(writer.journal.close().is_err());
    assert_eq!(bench.held(BOOT).recovered.covered, [range(0, 100)]);
}

#[test]
fn a3_close_waits_for_no_barrier_that_will_not_run() {
    let bench = Bench::new();
    let mut writer = Writer::new(bench.held(BOOT));
    writer.write(FLOW, 0, 100, Micros(0));
    drop(writer.journal.run_due(Micros::from_millis(5000)).expect("due"));
    writer.journal.close().expect("closed");
    assert_eq!(proven(&bench), [range(0, 100)]);
}

/// One record for each few bytes: the log grows without end, and what it says does not.
#[test]
fn a3_a_long_log_is_replaced_by_a_short_one_while_bytes_come() {
    let bench = Bench::new();
    let mut writer = Writer::new(bench.held(BOOT));
    let mut at = 0;
    let mut step = |writer: &mut Writer, n: u64| {
        for _ in 0..n {
            writer.write(FLOW, at, at + 3, Micros(0));
            writer.journal.record_now();
            at += 3;
        }
        at
    };
    step(&mut writer, 34_000);
    writer.journal.validated(7);
    assert!(bench.map().metadata().expect("there").len() > 1 << 20);
    // What is not proven takes a record each, so a shorter log is not worth it yet.
    assert!(writer.journal.run_due(Micros(0)).is_none());
    writer.barrier(Micros::from_millis(5000));
    step(&mut writer, 9000);
    let shorter = writer.journal.run_due(Micros::from_millis(5001)).expect("worth it now");
    assert_eq!(shorter.ticket.half, Half::Draft);
    step(&mut writer, 10);
    assert_eq!(writer.journal.next_due(), None, "no barrier meanwhile");
    let end = step(&mut writer, 10);
    assert!(matches!(writer.journal.barrier_done(shorter.sync()), BarrierOutcome::Done));
    assert!(writer.journal.take_error().is_none());
    let found = on_disk(&bench);
    assert_eq!(found.trusted.iter().map(|piece| piece.range.len()).sum::<u64>(), 102_000);
    assert_eq!((found.suspect.len(), found.validated), (9020, Some(7)));
    writer.barrier(Micros::from_millis(9000));
    step(&mut writer, 1);
    writer.barrier(Micros::from_millis(15_000));
    writer.journal.close().expect("closed");
    assert_eq!(bench.held(LATER).recovered.covered, [range(0, end + 3)]);
}

/// A shorter log that cannot be had is no trouble, whatever refuses, and leaves nothing behind.
#[cfg(unix)]
#[test]
fn a3_a_shorter_log_that_is_refused_costs_nothing() {
    use crate::storage::disk::faulty::{FULL, Faulty, Kind};
    for kind in [Kind::Create, Kind::Write, Kind::SyncAll, Kind::Rename] {
        let (bench, disk) = (Bench::new(), Faulty::new());
        let store = AssetStore::open_on(disk.clone(), BOOT, bench.path(), &bench.config);
        let mut writer = Writer::new(held(&store, &key("film")));
        writer.write(FLOW, 0, 100, Micros(0));
        writer.barrier(Micros::from_millis(5000));
        assert!(writer.journal.force_shorter());
        let shorter = writer.journal.run_due(Micros::from_millis(5001)).expect("due");
        disk.refuse(kind, "", FULL);
        let written = shorter.sync();
        assert!(matches!(writer.journal.barrier_done(written), BarrierOutcome::Done));
        disk.heal();
        assert!(writer.journal.is_recording() && writer.journal.take_error().is_none());
        writer.write(FLOW, 100, 200, Micros::from_millis(6000));
        writer.barrier(Micros::from_millis(20_000));
        let names = bench.map().parent().expect("a folder").read_dir().expect("a folder").count();
        assert_eq!(names, 2, "{kind:?}: data and log, and nothing beside them");
        writer.journal.close().expect("closed");
        assert_eq!(bench.held(LATER).recovered.covered, [range(0, 200)], "{kind:?}");
    }
}

/// The asset was closed, or began anew, before the shorter log came.
#[test]
fn a3_a_shorter_log_that_comes_late_is_taken_away() {
    for begins in [false, true] {
        let bench = Bench::new();
        let mut writer = Writer::new(bench.held(BOOT));
        writer.write(FLOW, 0, 100, Micros(0));
        writer.barrier(Micros::from_millis(5000));
        assert!(writer.journal.force_shorter());
        let shorter = writer.journal.run_due(Micros::from_millis(5001)).expect("due");
        let written = shorter.sync();
        if begins {
            writer.journal.begin(&generation("\"2\"")).expect("begun");
            assert!(matches!(writer.journal.barrier_done(written), BarrierOutcome::Done));
            writer.journal.close().expect("closed");
            assert!(bench.held(LATER).recovered.covered.is_empty());
        } else {
            writer.journal.close().expect("closed");
            drop(written);
            assert_eq!(bench.held(LATER).recovered.covered, [range(0, 100)]);
        }
        let names = bench.map().parent().expect("a folder").read_dir().expect("a folder").count();
        assert_eq!(names, 2);
    }
}

#[test]
fn a3_close_proves_everything_and_trims_the_log() {
    let bench = Bench::new();
    let mut writer = Writer::new(bench.held(BOOT));
    let size = || bench.map().metadata().expect("there").len();
    assert_eq!(size(), LOG_STEP);
    for i in 0..3000 {
        writer.write(FLOW, i * 10, i * 10 + 5, Micros(0));
    }
    assert_eq!(size(), 2 * LOG_STEP, "room is made in steps");
    writer.journal.close().expect("closed");
    let found = on_disk(&bench);
    assert_eq!((found.trusted.len(), found.suspect.len()), (3000, 0));
    assert_eq!(found.log_len as u64, size());
    let lease = bench.held(LATER);
    assert_eq!(lease.recovered.covered.len(), 3000);
    drop(lease);
    // A life that writes begins a log of its own, with what the last one proved.
    let mut writer = Writer::new(bench.held(LATER));
    let before = on_disk(&bench).header;
    writer.write(FLOW, 5, 10, Micros(0));
    writer.journal.close().expect("closed");
    let after = on_disk(&bench).header;
    assert_eq!((before.boot, after.boot), (BOOT, LATER));
    assert_ne!(before.epoch, after.epoch);
    assert_eq!((before.created, &before.validator), (after.created, &after.validator));
    assert_eq!(bench.held(BOOT).recovered.covered.first(), Some(&range(0, 15)));
}

#[test]
fn a3_a_new_generation_voids_the_old_one_before_a_byte_of_it_comes() {
    let bench = Bench::new();
    let mut writer = Writer::new(bench.held(BOOT));
    writer.journal.len_known(500);
    writer.write(FLOW, 0, 500, Micros(0));
    writer.journal.sealed(500);
    let stale = writer.journal.run_due(Micros::from_millis(5000)).expect("due");
    let old_log = std::fs::read(bench.map()).expect("read");
    writer.journal.begin(&generation("\"2\"")).expect("begun");
    // A power loss may bring back the old log's name: beside it the data is empty.
    let length = bench.data().metadata().expect("there").len();
    assert_eq!(length, 0);
    let found = recover(&old_log, length, BOOT).expect("a good log");
    assert!(found.trusted.is_empty() && found.suspect.is_empty());
    // The old barrier proves nothing of the new bytes.
    writer.write(FLOW, 100, 110, Micros::from_millis(5100));
    writer.journal.record_now();
    assert!(matches!(writer.journal.barrier_done(stale.sync()), BarrierOutcome::Done));
    assert!(proven(&bench).is_empty());
    writer.journal.close().expect("closed");
    let recovered = bench.held(LATER).recovered;
    assert_eq!(recovered.meta, Some(generation("\"2\"")));
    assert_eq!((recovered.len, recovered.covered), (None, vec![range(100, 110)]));
}

#[test]
fn a3_a_generation_that_cannot_begin_leaves_nothing_that_claims_bytes() {
    let bench = Bench::new();
    let mut writer = Writer::new(bench.held(BOOT));
    writer.write(FLOW, 0, 100, Micros(0));
    writer.journal.close().expect("closed");
    let lease = bench.held(BOOT);
    let mut journal = lease.into_journal();
    // The log's place is taken by something that cannot be replaced.
    std::fs::remove_file(bench.map()).expect("removed");
    std::fs::create_dir(bench.map()).expect("made");
    let error = journal.begin(&generation("\"2\"")).expect_err("refused");
    assert_eq!(error.path, Some(bench.map()));
    assert!(!journal.is_recording());
    journal.written(FLOW, 0, b"scratch", Micros(0));
    assert_eq!(journal.next_due(), None);
    journal.close().expect("nothing to do");
    std::fs::remove_dir(bench.map()).expect("removed");
    assert_eq!(bench.held(BOOT).recovered, Recovered::default());
}

#[test]
fn a3_bytes_beyond_what_a_record_can_name_are_not_recorded() {
    let bench = Bench::new();
    let mut writer = Writer::new(bench.held(BOOT));
    for offset in [u64::MAX, u64::MAX - 2, (1 << 48) - 2, 1 << 48] {
        writer.journal.written(FLOW, offset, b"abc", Micros(0));
    }
    writer.journal.written(FLOW, 7, b"", Micros(0));
    writer.journal.close().expect("closed");
    assert!(on_disk(&bench).trusted.is_empty());
}

#[test]
fn a9_a_resource_above_4_gib_keeps_its_offsets_and_checksums() {
    let bench = Bench::new();
    let mut writer = Writer::new(bench.held(BOOT));
    let far = (6 << 30) + 3;
    writer.write(FLOW, far, far + 100, Micros(0));
    writer.journal.close().expect("closed");
    let found = on_disk(&bench);
    assert_eq!(found.trusted.len(), 1);
    assert_eq!(found.trusted[0].range, range(far, far + 100));
    let crc = crc32fast::hash(&content(range(far, far + 100), 0));
    assert_eq!(found.trusted[0].crc, Some(crc));
}

#[test]
fn a3_a_torn_tail_is_never_appended_to() {
    let bench = Bench::new();
    let mut writer = Writer::new(bench.held(BOOT));
    writer.write(FLOW, 0, 10, Micros(0));
    writer.journal.record_now();
    writer.write(FLOW, 10, 20, Micros(0));
    writer.journal.record_now();
    drop(writer);
    // The first of the two records is torn; the second is still good behind it.
    let mut log = std::fs::read(bench.map()).expect("read");
    let first = on_disk(&bench).log_len - 2 * RECORD_LEN;
    log[first + 3] ^= 0xff;
    std::fs::write(bench.map(), log).expect("written");
    let mut writer = Writer::new(bench.held(BOOT));
    writer.write(FLOW, 30, 40, Micros(0));
    writer.journal.close().expect("closed");
    assert_eq!(bench.held(BOOT).recovered.covered, [range(30, 40)]);
}
