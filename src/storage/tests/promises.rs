//! Each promise by itself, one thread, no chance.

use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use crate::error::Error;
use crate::ids::{DemandId, ReaderId};
use crate::storage::{Backend, Landed, Look, Run, StreamingResource, Waited, Waiter};

use super::content::{bytes_of, check};
use super::{Watcher, range, ready};

fn in_memory() -> Arc<StreamingResource> {
    StreamingResource::new(Backend::memory())
}

fn write(resource: &StreamingResource, start: u64, end: u64) -> u64 {
    resource.write_at(start, &bytes_of(0, range(start, end))).expect("memory takes it").new
}

fn read(resource: &StreamingResource, run: &mut Run, offset: u64, len: usize) -> Option<Vec<u8>> {
    let mut buf = vec![0; len];
    let n = resource.read_run(run, offset, &mut buf).expect("no disk error")?;
    buf.truncate(n);
    Some(buf)
}

fn is_missing(resource: &StreamingResource, offset: u64) -> bool {
    matches!(resource.look(offset), Look::Missing)
}

#[track_caller]
fn assert_failed(waited: Poll<Waited>, text: &str) {
    match waited {
        Poll::Ready(Waited::Failed(error)) => assert_eq!(error.to_string(), text),
        other => panic!("not failed: {other:?}"),
    }
}

/// S2, defect 1: what the writer has passed is not there; only what it wrote is.
#[test]
fn s2_defect_1_a_hole_behind_the_writer_wakes_nobody() {
    let resource = in_memory();
    let mut reader = Watcher::new(&resource, 1);
    assert!(reader.poll(range(5, 6)).is_pending());
    write(&resource, 10, 20);
    write(&resource, 0, 5);
    assert_eq!(reader.wakes(), 0);
    assert!(is_missing(&resource, 5));
    write(&resource, 5, 6);
    assert_eq!(reader.wakes(), 1);
    let mut run = ready(reader.poll(range(5, 6)));
    assert_eq!(run.range(), range(5, 6));
    check(0, 5, &read(&resource, &mut run, 5, 100).expect("a hit"));
}

/// P6: the scheduler knows how far a fetch has come before the reader asks for what follows; otherwise the
/// fetch seems to be behind, and is doubled.
#[test]
fn p6_the_writer_hears_of_the_bytes_before_the_reader_is_woken() {
    let resource = in_memory();
    let mut reader = Watcher::new(&resource, 1);
    assert!(reader.poll(range(5, 6)).is_pending());
    let told = |landed: &Landed| {
        assert_eq!((landed.new, reader.wakes()), (10, 0));
        assert!(!is_missing(&resource, 5), "it is there already");
    };
    resource.write_telling(0, 0, &[bytes_of(0, range(0, 10))], told).expect("memory takes it");
    assert_eq!(reader.wakes(), 1);
}

/// S1: those who wait for a byte now there are woken, once, and nobody else.
#[test]
fn s1_only_who_waits_for_the_byte_is_woken_and_only_once() {
    let resource = in_memory();
    let mut watchers: Vec<_> = (0..3).map(|i| Watcher::new(&resource, i)).collect();
    for (i, watcher) in (0..).zip(&mut watchers) {
        assert!(watcher.poll(range(i * 10, i * 10 + 5)).is_pending());
    }
    write(&resource, 10, 14);
    assert_eq!(watchers.iter().map(Watcher::wakes).collect::<Vec<_>>(), [0, 0, 0]);
    write(&resource, 14, 24);
    assert_eq!(watchers.iter().map(Watcher::wakes).collect::<Vec<_>>(), [0, 1, 0]);
    write(&resource, 14, 15);
    assert_eq!(watchers.iter().map(Watcher::wakes).collect::<Vec<_>>(), [0, 0, 0]);
    assert_eq!(resource.waiting(), 2);
}

/// S1: polling again replaces what is waited for, and the waker.
#[test]
fn s1_a_newer_wait_replaces_the_older() {
    let resource = in_memory();
    let mut reader = Watcher::new(&resource, 1);
    assert!(reader.poll(range(0, 5)).is_pending());
    let old = std::mem::take(&mut reader.flag);
    assert!(reader.poll(range(50, 55)).is_pending());
    write(&resource, 0, 5);
    assert_eq!(reader.wakes(), 0);
    write(&resource, 50, 55);
    assert_eq!(reader.wakes(), 1);
    assert_eq!(Arc::strong_count(&old), 1, "the older waker is kept nowhere");
}

/// S2: a second write of the same bytes changes nothing and counts nothing.
#[test]
fn s2_overlapping_writes_count_each_byte_once() {
    let resource = in_memory();
    assert_eq!(write(&resource, 10, 20), 10);
    assert_eq!(write(&resource, 15, 30), 10);
    assert_eq!(write(&resource, 0, 40), 20);
    assert_eq!(write(&resource, 0, 40), 0);
    assert_eq!(resource.covered(), [range(0, 40)]);
    assert_eq!(resource.covered_bytes(), 40);
    assert_eq!(resource.missing_in(range(35, 50)), [range(40, 50)]);
}

/// E4: the part before the end is enough.
#[test]
fn e4_a_wait_across_the_end_is_ready_with_the_part_before_it() {
    let resource = in_memory();
    let mut reader = Watcher::new(&resource, 1);
    assert!(reader.poll(range(8, 100)).is_pending());
    write(&resource, 0, 12);
    assert_eq!(reader.wakes(), 0, "the end is not known");
    resource.set_len(12).expect("no conflict");
    assert_eq!(reader.wakes(), 1);
    assert_eq!(ready(reader.poll(range(8, 100))).range(), range(8, 12));
}

/// E1, E2: the end is told at a known length, not at the end of what is there.
#[test]
fn e2_the_end_is_told_only_at_a_known_length() {
    let resource = in_memory();
    write(&resource, 0, 10);
    let mut reader = Watcher::new(&resource, 1);
    assert!(reader.poll(range(10, 20)).is_pending());
    assert!(is_missing(&resource, 10));
    resource.set_len(10).expect("no conflict");
    assert_eq!(reader.wakes(), 1);
    assert!(matches!(reader.poll(range(10, 20)), Poll::Ready(Waited::End)));
    assert!(matches!(reader.poll(range(u64::MAX - 1, u64::MAX)), Poll::Ready(Waited::End)));
    assert!(matches!(resource.look(10), Look::End));
}

#[test]
fn e2_an_empty_resource_ends_at_zero_and_is_complete() {
    let resource = in_memory();
    resource.set_len(0).expect("no conflict");
    assert!(matches!(resource.look(0), Look::End));
    resource.commit().expect("nothing is missing");
    assert!(resource.is_complete());
}

/// N7, E2: the length moves neither below what is there, nor once an end was told.
#[test]
fn n7_a_length_that_contradicts_what_readers_saw_is_refused() {
    let resource = in_memory();
    write(&resource, 0, 10);
    assert_eq!(resource.set_len(9).expect_err("covered").covered_end, 10);
    assert_eq!(resource.len(), None);
    resource.set_len(50).expect("no conflict");
    resource.set_len(40).expect("nobody was told");
    resource.set_len(60).expect("nobody was told");
    assert!(matches!(resource.look(60), Look::End));
    resource.set_len(60).expect("the same again");
    for asked in [59, 61] {
        let conflict = resource.set_len(asked).expect_err("an end was told");
        assert!(conflict.end_told);
        assert_eq!(conflict.known, Some(60));
    }
    assert_eq!(resource.len(), Some(60));
}

/// S2: bytes past a known length are refused, and nothing of them is kept.
#[test]
fn n6_a_write_past_the_length_is_an_error() {
    let resource = in_memory();
    resource.set_len(10).expect("no conflict");
    let error = resource.write_at(5, &[1; 6]).expect_err("past the end");
    assert_eq!(error.source.kind(), io::ErrorKind::InvalidInput);
    assert_eq!(resource.covered_bytes(), 0);
    assert!(resource.write_at(5, &[1; 5]).is_ok());
}

/// E3: complete means every byte, and stays so until one goes.
#[test]
fn e3_commit_wants_every_byte() {
    let resource = in_memory();
    write(&resource, 0, 4);
    assert_eq!(resource.commit().expect_err("no length").len, None);
    resource.set_len(10).expect("no conflict");
    assert_eq!(resource.commit().expect_err("a hole").hole, Some(range(4, 10)));
    let landed = resource.write_at(4, &bytes_of(0, range(4, 10))).expect("memory");
    assert!(landed.complete && !resource.is_complete());
    resource.commit().expect("whole");
    assert!(resource.is_complete());
    assert!(resource.set_len(11).is_err(), "an end was told");
    resource.shrink(range(0, 1));
    assert!(!resource.is_complete());
}

/// E7: a fatal failure goes before everything: at covered bytes, at the end, on the next hit.
#[test]
fn e7_a_fatal_failure_is_given_everywhere_and_the_first_one_stays() {
    let resource = in_memory();
    write(&resource, 0, 10);
    resource.set_len(20).expect("no conflict");
    let mut reader = Watcher::new(&resource, 1);
    let mut run = ready(reader.poll(range(0, 1)));
    assert!(reader.poll(range(15, 16)).is_pending());
    resource.fail(Error::Changed);
    resource.fail(Error::Cancelled);
    assert_eq!(reader.wakes(), 1);
    for at in [0, 15, 20] {
        assert_failed(reader.poll(range(at, at + 1)), &Error::Changed.to_string());
        assert!(matches!(resource.look(at), Look::Failed(Error::Changed)));
    }
    assert_eq!(read(&resource, &mut run, 0, 4), None, "hits notice as well");
    assert_eq!(resource.waiting(), 0);
}

/// E7: a recoverable failure ends the wait of its demand, and no other.
#[test]
fn e7_a_failed_demand_ends_its_own_wait_once() {
    let resource = in_memory();
    let mut reader = Watcher::new(&resource, 1);
    let mut other = Watcher::new(&resource, 2);
    reader.demand = 5;
    assert!(reader.poll(range(0, 1)).is_pending());
    assert!(other.poll(range(0, 1)).is_pending());
    resource.fail_wait(ReaderId(1), DemandId(4), Error::UnknownLength);
    assert_eq!((reader.wakes(), other.wakes()), (0, 0), "an older demand");
    resource.fail_wait(ReaderId(1), DemandId(5), Error::UnknownLength);
    assert_eq!((reader.wakes(), other.wakes()), (1, 0));
    assert_failed(reader.poll(range(0, 1)), &Error::UnknownLength.to_string());
    assert!(reader.poll(range(0, 1)).is_pending(), "told once");
}

/// E7: a demand may fail before its reader comes to wait; a newer demand is not concerned.
#[test]
fn e7_a_failure_that_comes_first_is_kept_for_its_demand_only() {
    for (next, is_told) in [(7, true), (8, false)] {
        let resource = in_memory();
        let mut reader = Watcher::new(&resource, 1);
        resource.fail_wait(ReaderId(1), DemandId(7), Error::UnknownLength);
        reader.demand = next;
        assert_eq!(reader.poll(range(0, 1)).is_ready(), is_told);
    }
}

/// E7: bytes that are there are given, although the demand for them failed meanwhile.
#[test]
fn e7_covered_bytes_go_before_a_recoverable_failure() {
    let resource = in_memory();
    let mut reader = Watcher::new(&resource, 1);
    assert!(reader.poll(range(0, 1)).is_pending());
    resource.fail_wait(ReaderId(1), DemandId(1), Error::UnknownLength);
    write(&resource, 0, 1);
    ready(reader.poll(range(0, 1)));
    assert!(reader.poll(range(1, 2)).is_pending(), "the failed wait is over");
}

/// E11: a nudge ends the wait that is on, else the next one, and goes before everything.
#[test]
fn e11_a_nudge_is_kept_until_told_and_told_once() {
    let resource = in_memory();
    let mut reader = Watcher::new(&resource, 1);
    let nudger = reader.waiter.nudger();
    assert!(reader.poll(range(0, 1)).is_pending());
    nudger.clone().nudge();
    assert_eq!(reader.wakes(), 1);
    assert!(matches!(reader.poll(range(0, 1)), Poll::Ready(Waited::Nudged)));
    assert!(reader.poll(range(0, 1)).is_pending());

    write(&resource, 0, 1);
    assert_eq!(reader.wakes(), 1);
    nudger.nudge();
    assert!(matches!(reader.poll(range(0, 1)), Poll::Ready(Waited::Nudged)));
    ready(reader.poll(range(0, 1)));

    drop(reader);
    nudger.nudge();
}

/// D2: a dropped waiter, or one whose wait is withdrawn, leaves nothing behind.
#[test]
fn d2_dropping_or_withdrawing_takes_the_wait_out() {
    let resource = in_memory();
    let mut reader = Watcher::new(&resource, 1);
    assert!(reader.poll(range(0, 1)).is_pending());
    reader.waiter.withdraw();
    assert_eq!(resource.waiting(), 0);
    assert!(reader.poll(range(0, 1)).is_pending());
    assert_eq!(resource.waiting(), 1);
    let flag = reader.flag.clone();
    drop(reader);
    assert_eq!(resource.waiting(), 0);
    assert_eq!(Arc::strong_count(&flag), 1);
}

/// D2: a waker may own another place of the same resource; dropping or replacing it under the lock
/// would never return.
#[test]
fn d2_a_waker_that_owns_a_waiter_is_dropped_outside_the_lock() {
    struct Owner(#[allow(dead_code)] Mutex<Waiter>);
    impl Wake for Owner {
        fn wake(self: Arc<Self>) {}
    }
    let resource = in_memory();
    let owner = |id| {
        let waiter = resource.waiter(ReaderId(id));
        Waker::from(Arc::new(Owner(Mutex::new(waiter))))
    };
    let mut reader = resource.waiter(ReaderId(1));
    let mut poll = |waker: Waker| {
        let polled = reader.poll_ready(range(0, 1), DemandId(1), &mut Context::from_waker(&waker));
        assert!(polled.is_pending());
    };
    poll(owner(2));
    poll(owner(3));
    reader.withdraw();
    let waker = owner(4);
    assert!(
        reader.poll_ready(range(0, 1), DemandId(1), &mut Context::from_waker(&waker)).is_pending()
    );
    drop(waker);
    drop(reader);
    assert_eq!(resource.waiting(), 0);
}

/// S2, defect 17: bytes that went between the wait and the read are not read.
#[test]
fn s2_defect_17_bytes_evicted_between_wait_and_read_are_not_served() {
    let resource = in_memory();
    let page = 64 * 1024;
    write(&resource, 0, 2 * page);
    let mut reader = Watcher::new(&resource, 1);
    let mut run = ready(reader.poll(range(0, 1)));
    resource.cut(range(page, 2 * page)).discard().expect("memory");
    assert_eq!(read(&resource, &mut run, page, 4), None);
    assert_eq!(read(&resource, &mut run, 0, 4), None, "the whole run is void");
    let mut run = ready(reader.poll(range(0, 1)));
    assert_eq!(run.range(), range(0, page));
    check(0, 0, &read(&resource, &mut run, 0, 100).expect("a hit"));
    assert!(reader.poll(range(page, page + 1)).is_pending());
    assert_eq!(resource.allocated().expect("memory"), page);
}

/// S2: a write into a range that is being cut does not count until the cut is over.
#[test]
fn s2_a_write_during_a_cut_does_not_count() {
    let resource = in_memory();
    write(&resource, 0, 10);
    let cut = resource.cut(range(4, 6));
    let landed = resource.write_at(0, &bytes_of(0, range(0, 10))).expect("memory");
    assert_eq!((landed.new, landed.withdrawn), (0, 2));
    assert_eq!(resource.missing_in(range(0, 10)), [range(4, 6)]);
    drop(cut);
    assert_eq!(write(&resource, 0, 10), 2);
}

/// N8: after a restart nothing of the old generation is served, and each reader is told once.
#[test]
fn n8_a_restart_voids_everything_and_is_told_once_to_each_reader() {
    let resource = in_memory();
    write(&resource, 0, 10);
    resource.set_len(10).expect("no conflict");
    resource.commit().expect("whole");
    let mut waiting = Watcher::new(&resource, 1);
    let mut idle = Watcher::new(&resource, 2);
    let mut run = ready(idle.poll(range(0, 1)));
    assert!(matches!(waiting.poll(range(10, 11)), Poll::Ready(Waited::End)));

    resource.restart(Some(30), Error::Restarted);

    assert_eq!(resource.len(), Some(30));
    assert!(!resource.is_complete() && resource.covered().is_empty());
    assert_eq!(read(&resource, &mut run, 0, 4), None);
    assert_failed(waiting.poll(range(10, 11)), &Error::Restarted.to_string());
    assert!(waiting.poll(range(10, 11)).is_pending());
    resource.write_at(0, &bytes_of(1, range(0, 4))).expect("memory");
    assert!(matches!(idle.waiter.look(0), Look::Failed(Error::Restarted)));
    let Look::Covered(mut run) = idle.waiter.look(0) else { panic!("told twice") };
    check(1, 0, &read(&resource, &mut run, 0, 4).expect("a hit"));
    let mut late = Watcher::new(&resource, 3);
    ready(late.poll(range(0, 1)));
}

/// N8: bytes of a generation that is over are thrown away.
#[test]
fn n8_a_write_of_an_older_generation_does_not_count() {
    let resource = in_memory();
    let old = resource.generation();
    resource.restart(None, Error::Restarted);
    let landed = resource.write_of(old, 0, &bytes_of(0, range(0, 10))).expect("no error");
    assert_eq!((landed.new, landed.withdrawn), (0, 10));
    assert!(is_missing(&resource, 0));
}

/// A4: what a store recovered is served at once, as far as the length goes.
#[test]
fn a4_recovered_ranges_are_there_from_the_start() {
    let file = tempfile::tempfile().expect("a temporary file");
    let keep = file.try_clone().expect("a second handle");
    write(&StreamingResource::new(Backend::file(file)), 0, 20);
    let covered = vec![range(5, 10), range(3, 3), range(8, 30)];
    let resource = StreamingResource::restored(Backend::file(keep), Some(20), covered);
    assert_eq!(resource.covered(), [range(5, 20)]);
    let Look::Covered(mut run) = resource.look(5) else { panic!("covered") };
    check(0, 5, &read(&resource, &mut run, 5, 100).expect("a hit"));
}

/// S2: a file cut short under us is an error, neither an end nor zeros.
#[test]
fn s2_a_file_that_ends_before_its_stored_bytes_is_an_error() {
    let file = tempfile::tempfile().expect("a temporary file");
    let other = file.try_clone().expect("a second handle");
    let resource = StreamingResource::new(Backend::file(file));
    write(&resource, 0, 100);
    other.set_len(50).expect("cut");
    let Look::Covered(mut run) = resource.look(0) else { panic!("covered") };
    let error = resource.read_run(&mut run, 0, &mut [0; 100]).expect_err("cut short");
    assert_eq!(Error::from(error).io_kind(), io::ErrorKind::Other);
    check(0, 0, &read(&resource, &mut run, 0, 50).expect("a hit"));
    // Once the loss is known, the same read is a miss.
    resource.shrink(range(50, 100));
    assert_eq!(read(&resource, &mut run, 0, 100), None);
}

/// Above 4 GiB, and in memory up to the largest offset: ordinary bytes at little cost.
#[test]
fn s2_far_offsets_are_sparse() {
    let file = tempfile::tempfile().expect("a temporary file");
    for (backend, far) in [(Backend::file(file), 5 << 30), (Backend::memory(), u64::MAX - 10)] {
        let resource = StreamingResource::new(backend);
        assert_eq!(write(&resource, 0, 10) + write(&resource, far, far + 10), 20);
        let Look::Covered(mut run) = resource.look(far) else { panic!("covered") };
        check(0, far, &read(&resource, &mut run, far, 100).expect("a hit"));
        assert!(resource.allocated().expect("allocated") < 1 << 20);
    }
}

/// Offsets that cannot be are typed errors, and nothing is covered by them.
#[test]
fn e12_offsets_out_of_reach_are_errors() {
    let file = tempfile::tempfile().expect("a temporary file");
    let resource = StreamingResource::new(Backend::file(file));
    let error = resource.write_at(u64::MAX - 3, &[1; 4]).map(|_| ());
    assert!(error.is_err(), "no file is that long");
    let error = in_memory().write_at(u64::MAX - 3, &[1; 5]).expect_err("past the largest offset");
    assert_eq!(error.source.kind(), io::ErrorKind::FileTooLarge);
    assert_eq!(resource.covered_bytes(), 0);
}
