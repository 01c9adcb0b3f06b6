//! Races replayed in a fixed order: a scripted blob holds a write where the danger is.

use std::io;
use std::sync::mpsc;
use std::thread;

use crate::error::Error;
use crate::ids::{DemandId, ReaderId};
use crate::storage::{Backend, Look, StreamingResource, Waited};
use crate::sync::{Arc, Mutex};

use super::content::{bytes_of, check};
use super::{Scripted, Watcher, range, ready};

/// A resource whose write at offset `held` tells the receiver that it has begun, and goes on when
/// the sender allows it.
fn with_held_write(held: u64) -> (Arc<StreamingResource>, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (begun, is_begun) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let mut used = false;
    let blob = Scripted::new(move |offset, _| {
        if offset == held && !used {
            used = true;
            begun.send(()).expect("the test listens");
            may_go_on.recv().expect("the test lets it go on");
        }
        Ok(())
    });
    (StreamingResource::new(Backend::custom(blob)), is_begun, go_on)
}

/// S2, defect 4: of two writes at the same time each publishes its own bytes, when they are there.
#[test]
fn s2_defect_4_concurrent_writes_publish_their_own_bytes() {
    let (resource, is_begun, go_on) = with_held_write(0);
    let mut reader = Watcher::new(&resource, 1);
    assert!(reader.poll(range(0, 20)).is_pending());
    let slow = thread::spawn({
        let resource = resource.clone();
        move || resource.write_at(0, &bytes_of(0, range(0, 10)))
    });
    is_begun.recv().expect("the slow write begins");
    resource.write_at(10, &bytes_of(0, range(10, 20))).expect("memory");
    assert_eq!(resource.covered(), [range(10, 20)]);
    assert_eq!(reader.wakes(), 0);
    go_on.send(()).expect("the slow write waits");
    slow.join().expect("no panic").expect("memory");
    assert_eq!(resource.covered(), [range(0, 20)]);
    assert_eq!(reader.wakes(), 1);
}

/// S2, defect 6: a byte is covered after its write has returned, not before.
#[test]
fn s2_defect_6_nothing_is_covered_before_it_is_written() {
    let (resource, is_begun, go_on) = with_held_write(0);
    let writer = thread::spawn({
        let resource = resource.clone();
        move || resource.write_at(0, &bytes_of(0, range(0, 10)))
    });
    is_begun.recv().expect("the write begins");
    assert!(matches!(resource.look(0), Look::Missing));
    assert_eq!(resource.covered_bytes(), 0);
    go_on.send(()).expect("the write waits");
    assert_eq!(writer.join().expect("no panic").expect("memory").new, 10);
    assert!(matches!(resource.look(0), Look::Covered(_)));
}

/// S2, defect 6: a write that failed covers nothing, not even the part before the failure; nobody
/// is woken, and the same bytes can be written again.
#[test]
fn s2_defect_6_a_failed_write_covers_nothing() {
    let mut writes = 0;
    let blob = Scripted::new(move |_, _| {
        writes += 1;
        if writes == 2 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    });
    let resource = StreamingResource::new(Backend::custom(blob));
    let mut reader = Watcher::new(&resource, 1);
    assert!(reader.poll(range(0, 1)).is_pending());
    // Two pages of the blob, so two writes: the second fails.
    let bytes = bytes_of(0, range(0, 100_000));
    let error = resource.write_at(0, &bytes).expect_err("the disk is full");
    assert_eq!(error.source.kind(), io::ErrorKind::StorageFull);
    assert_eq!(resource.covered_bytes(), 0);
    assert_eq!(reader.wakes(), 0);
    assert_eq!(resource.write_at(0, &bytes).expect("room again").new, 100_000);
    assert_eq!(reader.wakes(), 1);
    let mut run = ready(reader.poll(range(0, 1)));
    let mut buf = vec![0; 100_000];
    assert_eq!(resource.read_run(&mut run, 0, &mut buf).expect("read"), Some(100_000));
    check(0, 0, &buf);
}

/// S2: what is withdrawn while it is being written does not count, and the writer is told.
#[test]
fn s2_a_range_withdrawn_during_its_write_stays_missing() {
    let (resource, is_begun, go_on) = with_held_write(0);
    let writer = thread::spawn({
        let resource = resource.clone();
        move || resource.write_at(0, &bytes_of(0, range(0, 10)))
    });
    is_begun.recv().expect("the write begins");
    resource.shrink(range(3, 5));
    go_on.send(()).expect("the write waits");
    let landed = writer.join().expect("no panic").expect("memory");
    assert_eq!((landed.new, landed.withdrawn), (8, 2));
    assert_eq!(resource.missing_in(range(0, 10)), [range(3, 5)]);
}

/// N8: a write of the old generation that is still on its way does not count, and the new
/// generation's bytes come after it, not under it.
#[test]
fn n8_a_late_write_cannot_land_over_the_new_generation() {
    let (resource, is_begun, go_on) = with_held_write(0);
    let late = thread::spawn({
        let resource = resource.clone();
        move || resource.write_at(0, &bytes_of(0, range(0, 10)))
    });
    is_begun.recv().expect("the old write begins");
    resource.restart(Some(10), Error::Restarted);
    let fresh = thread::spawn({
        let resource = resource.clone();
        move || resource.write_at(0, &bytes_of(1, range(0, 10)))
    });
    go_on.send(()).expect("the old write waits");
    let landed = late.join().expect("no panic").expect("memory");
    assert_eq!((landed.new, landed.withdrawn), (0, 10));
    assert_eq!(fresh.join().expect("no panic").expect("memory").new, 10);
    let Look::Covered(mut run) = resource.look(0) else { panic!("covered") };
    let mut buf = [0; 10];
    assert_eq!(resource.read_run(&mut run, 0, &mut buf).expect("read"), Some(10));
    check(1, 0, &buf);
}

/// S2, N8, defect 17: what goes while a hit is already reading is thrown away, whether the read gives
/// the hole, bytes of a new generation, or an error because nothing is left.
#[test]
fn s2_defect_17_what_goes_in_the_middle_of_a_hit_is_thrown_away() {
    type Meanwhile = fn(&Arc<StreamingResource>);
    let disturbances: [Meanwhile; 4] = [
        |resource| resource.cut(range(0, 1 << 20)).discard().expect("memory"),
        |resource| resource.shrink(range(9, 10)),
        |resource| {
            resource.restart(None, Error::Restarted);
            resource.write_at(0, &bytes_of(1, range(0, 10))).expect("memory");
        },
        |resource| resource.fail(Error::Changed),
    ];
    for meanwhile in disturbances {
        let slot = Arc::new(Mutex::new(None::<Arc<StreamingResource>>));
        let in_blob = slot.clone();
        let blob = Scripted::new(|_, _| Ok(())).during_read(move || {
            let resource = in_blob.lock().take();
            if let Some(resource) = resource {
                meanwhile(&resource);
            }
        });
        let resource = StreamingResource::new(Backend::custom(blob));
        resource.write_at(0, &bytes_of(0, range(0, 10))).expect("memory");
        let Look::Covered(mut run) = resource.look(0) else { panic!("covered") };
        let mut buf = [0; 10];
        assert_eq!(resource.read_run(&mut run, 0, &mut buf).expect("no error"), Some(10));
        *slot.lock() = Some(resource.clone());
        assert_eq!(resource.read_run(&mut run, 0, &mut buf).expect("no error"), None);
        assert!(run.range().is_empty(), "the run is void");
    }
}

/// A length learnt while bytes past it are being written: these do not count.
#[test]
fn n6_bytes_past_a_length_learnt_meanwhile_do_not_count() {
    let (resource, is_begun, go_on) = with_held_write(0);
    let writer = thread::spawn({
        let resource = resource.clone();
        move || resource.write_at(0, &bytes_of(0, range(0, 10)))
    });
    is_begun.recv().expect("the write begins");
    resource.set_len(6).expect("nothing is covered yet");
    go_on.send(()).expect("the write waits");
    let landed = writer.join().expect("no panic").expect("memory");
    assert_eq!((landed.new, landed.withdrawn, landed.complete), (6, 4, true));
    resource.commit().expect("whole");
}

/// S1, D1, defect 3: a thread that sleeps in a wait is woken by whatever ends it.
#[test]
fn s1_defect_3_a_blocked_thread_is_woken_by_write_end_failure_and_nudge() {
    type Ender = fn(&StreamingResource, &crate::storage::Nudger);
    type Expected = fn(&Waited) -> bool;
    let enders: [(Ender, Expected); 5] = [
        (
            |r, _| {
                r.write_at(3, &[1]).expect("memory");
            },
            |waited| matches!(waited, Waited::Ready(_)),
        ),
        (|r, _| r.set_len(3).expect("no conflict"), |waited| matches!(waited, Waited::End)),
        (
            |r, _| r.fail(Error::Cancelled),
            |waited| matches!(waited, Waited::Failed(Error::Cancelled)),
        ),
        (
            |r, _| r.fail_wait(ReaderId(1), DemandId(1), Error::UnknownLength),
            |waited| matches!(waited, Waited::Failed(Error::UnknownLength)),
        ),
        (|_, nudger| nudger.nudge(), |waited| matches!(waited, Waited::Nudged)),
    ];
    for (end, is_expected) in enders {
        let resource = StreamingResource::new(Backend::memory());
        let mut waiter = resource.waiter(ReaderId(1));
        let nudger = waiter.nudger();
        let reader = thread::spawn(move || waiter.wait_ready(range(3, 4), DemandId(1)));
        // The wait is on, so the thread sleeps or is about to.
        while resource.waiting() == 0 {
            thread::yield_now();
        }
        end(&resource, &nudger);
        let waited = reader.join().expect("no panic");
        assert!(is_expected(&waited), "{waited:?}");
    }
}

/// No lock is held around the backend: a write that hangs keeps nobody from looking, waiting,
/// nudging or reading.
#[test]
fn s1_a_hanging_disk_blocks_no_look() {
    let (resource, is_begun, go_on) = with_held_write(0);
    resource.write_at(50, &bytes_of(0, range(50, 60))).expect("memory");
    let outcome = Arc::new(Mutex::new(None));
    let writer = thread::spawn({
        let (resource, outcome) = (resource.clone(), outcome.clone());
        move || *outcome.lock() = Some(resource.write_at(0, &[1]))
    });
    is_begun.recv().expect("the write begins");
    let mut reader = Watcher::new(&resource, 1);
    assert!(reader.poll(range(0, 1)).is_pending());
    let mut run = ready(reader.poll(range(50, 51)));
    let mut buf = [0; 10];
    assert_eq!(resource.read_run(&mut run, 50, &mut buf).expect("read"), Some(10));
    check(0, 50, &buf);
    assert!(outcome.lock().is_none(), "the write still hangs");
    go_on.send(()).expect("the write waits");
    writer.join().expect("no panic");
}
