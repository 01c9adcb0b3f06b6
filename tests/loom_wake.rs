//! The wake core under loom: every interleaving of small programs over the real gate.
//!
//! The files of `src/storage` that look, register, wake and move the epoch are compiled here a
//! second time, against loom's locks and atomics, and loom runs each model through all its
//! interleavings and all values that its loads may see. A wake-up that is lost shows as a
//! deadlock. `loom_wake/planted.rs` puts known mistakes back and expects loom to find them.
#![allow(dead_code, unreachable_pub)]

#[path = "../src/byte_range.rs"]
mod byte_range;
#[path = "../src/storage/coverage.rs"]
mod coverage;
#[path = "../src/error.rs"]
mod error;
#[path = "../src/storage/gate.rs"]
mod gate;
#[path = "../src/ids.rs"]
mod ids;
#[path = "../src/storage/park.rs"]
mod park;
#[path = "../src/storage/places.rs"]
mod places;
#[path = "loom_wake/planted.rs"]
mod planted;
#[path = "../src/storage/run.rs"]
mod run;
#[path = "../src/storage/state.rs"]
mod state;
#[path = "../src/storage/waiter.rs"]
mod waiter;
#[path = "../src/storage/writes.rs"]
mod writes;

/// `src/sync.rs` on loom's types.
mod sync {
    // No model is about reference counts; std's can be the `self` of methods.
    pub(crate) use loom::sync::MutexGuard;
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};
    pub(crate) use std::sync::Arc;

    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("loom's locks are not poisoned")
        }
    }

    #[derive(Debug)]
    pub(crate) struct Condvar(loom::sync::Condvar);

    impl Condvar {
        pub(crate) fn new() -> Self {
            Self(loom::sync::Condvar::new())
        }

        pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
            self.0.wait(guard).expect("loom's locks are not poisoned")
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Poll, Waker};

use byte_range::ByteRange;
use error::Error;
use gate::Gate;
use ids::{DemandId, ReaderId};
use loom::thread;
use park::Parker;
use places::PlaceKey;
use state::{Look, Waited};
use sync::{Arc, AtomicU64, Ordering};
use waiter::Waiter;

const READER: ReaderId = ReaderId(1);
const DEMAND: DemandId = DemandId(1);

fn range(start: u64, end: u64) -> ByteRange {
    ByteRange::new(start, end)
}

fn empty_gate() -> Arc<Gate> {
    Arc::new(Gate::new(None, []))
}

/// Runs `model` through its interleavings. Three preemptions find every bug of this kind that is
/// known; without the bound the larger models would take minutes.
fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// What loom has to say against `model`: the panic of the first interleaving that goes wrong.
fn flaw_of(model: impl Fn() + Sync + Send + 'static) -> Option<String> {
    let payload = catch_unwind(AssertUnwindSafe(|| explore(model))).err()?;
    let text = payload.downcast_ref::<String>().cloned();
    Some(text.or_else(|| payload.downcast_ref::<&str>().map(|s| s.to_string())).unwrap_or_default())
}

/// A write as `StreamingResource` does it, of one byte that is a cell.
fn write_cell(gate: &Gate, generation: u64, cell: &AtomicU64, value: u64) {
    if let Ok(begun) = gate.begin_write(range(0, 1), generation) {
        cell.store(value, Ordering::Relaxed);
        gate.end_write(begun, true, |_| ());
    }
}

/// A write of bytes nobody looks at.
fn write(gate: &Gate, bytes: ByteRange) {
    let begun = gate.begin_write(bytes, 0).expect("the generation stands and no length is known");
    gate.end_write(begun, true, |_| ());
}

/// S1, defects 1 and 3: a reader that waits while the byte comes is woken, whatever the order.
#[test]
fn s1_a_write_and_a_wait_never_miss_each_other() {
    explore(|| {
        let gate = empty_gate();
        let writer = thread::spawn({
            let gate = gate.clone();
            move || write(&gate, range(0, 4))
        });
        let mut waiter = Waiter::new(&gate, READER);
        match waiter.wait_ready(range(1, 2), DEMAND) {
            Waited::Ready(run) => assert_eq!(run.range(), range(1, 4)),
            other => panic!("{other:?}"),
        }
        writer.join().expect("the writer ends");
    });
}

/// S1, defect 1: a wait for bytes of two writers ends when both are there, and not before.
#[test]
fn s1_a_wait_across_two_writes_ends_with_the_later() {
    explore(|| {
        let gate = empty_gate();
        let writers = [range(0, 2), range(2, 4)].map(|bytes| {
            let gate = gate.clone();
            thread::spawn(move || write(&gate, bytes))
        });
        let mut waiter = Waiter::new(&gate, READER);
        match waiter.wait_ready(range(1, 3), DEMAND) {
            Waited::Ready(run) => assert!(run.range().covers(range(1, 3))),
            other => panic!("{other:?}"),
        }
        for writer in writers {
            writer.join().expect("the writer ends");
        }
    });
}

/// E2: a length that becomes known ends the wait at it.
#[test]
fn e2_a_length_and_a_wait_at_it_never_miss_each_other() {
    explore(|| {
        let gate = empty_gate();
        let teller = thread::spawn({
            let gate = gate.clone();
            move || gate.set_len(0).expect("nothing contradicts")
        });
        let waited = Waiter::new(&gate, READER).wait_ready(range(0, 1), DEMAND);
        assert!(matches!(waited, Waited::End), "{waited:?}");
        teller.join().expect("the teller ends");
    });
}

/// E11: a nudge ends the wait that is on, or the next one.
#[test]
fn e11_a_nudge_and_a_wait_never_miss_each_other() {
    explore(|| {
        let gate = empty_gate();
        let mut waiter = Waiter::new(&gate, READER);
        let nudger = waiter.nudger();
        let other = thread::spawn(move || nudger.nudge());
        let waited = waiter.wait_ready(range(0, 1), DEMAND);
        assert!(matches!(waited, Waited::Nudged), "{waited:?}");
        other.join().expect("the nudge ends");
    });
}

/// D1: a failure of the resource ends the wait.
#[test]
fn d1_a_fatal_failure_and_a_wait_never_miss_each_other() {
    explore(|| {
        let gate = empty_gate();
        let other = thread::spawn({
            let gate = gate.clone();
            move || gate.fail(Error::Cancelled)
        });
        let waited = Waiter::new(&gate, READER).wait_ready(range(0, 1), DEMAND);
        assert!(matches!(waited, Waited::Failed(Error::Cancelled)), "{waited:?}");
        other.join().expect("the failure ends");
    });
}

/// E7: the failure of a demand ends its wait, also if it comes before the wait.
#[test]
fn e7_a_failed_demand_and_its_wait_never_miss_each_other() {
    explore(|| {
        let gate = empty_gate();
        let mut waiter = Waiter::new(&gate, READER);
        let other = thread::spawn({
            let gate = gate.clone();
            move || gate.fail_wait(READER, DEMAND, &Error::UnknownLength)
        });
        let waited = waiter.wait_ready(range(0, 1), DEMAND);
        assert!(matches!(waited, Waited::Failed(Error::UnknownLength)), "{waited:?}");
        other.join().expect("the failure ends");
    });
}

/// N8: a restart ends the wait with its notice.
#[test]
fn n8_a_restart_and_a_wait_never_miss_each_other() {
    explore(|| {
        let gate = empty_gate();
        let mut waiter = Waiter::new(&gate, READER);
        let other = thread::spawn({
            let gate = gate.clone();
            move || gate.restart(Some(9), &Error::Restarted)
        });
        let waited = waiter.wait_ready(range(0, 1), DEMAND);
        assert!(matches!(waited, Waited::Failed(Error::Restarted)), "{waited:?}");
        other.join().expect("the restart ends");
    });
}

/// D2: a waiter that is dropped while it is being woken takes nobody else's wake-up along.
#[test]
fn d2_dropping_a_waiter_races_harmlessly_with_its_wake() {
    explore(|| {
        let gate = empty_gate();
        let mut stays = Waiter::new(&gate, ReaderId(2));
        let leaves = Waiter::new(&gate, READER);
        let (_parker, waker) = Parker::new();
        let mut cx = std::task::Context::from_waker(&waker);
        let mut leaves = leaves;
        assert!(leaves.poll_ready(range(0, 1), DEMAND, &mut cx).is_pending());
        let dropper = thread::spawn(move || drop(leaves));
        let writer = thread::spawn({
            let gate = gate.clone();
            move || write(&gate, range(0, 1))
        });
        let waited = stays.wait_ready(range(0, 1), DemandId(2));
        assert!(matches!(waited, Waited::Ready(_)), "{waited:?}");
        dropper.join().expect("the drop ends");
        writer.join().expect("the writer ends");
        assert_eq!(gate.ask(|state| state.places.len()), 1);
    });
}

/// D2: a wait that is dropped while it is being woken (a future that lost a race, say) leaves nothing behind, and the
/// same reader's next wait is woken as any other.
#[test]
fn d2_a_dropped_wait_leaves_nothing_and_takes_no_wake_up_along() {
    explore(|| {
        let gate = empty_gate();
        let mut waiter = Waiter::new(&gate, READER);
        let (parker, waker) = Parker::new();
        let mut cx = std::task::Context::from_waker(&waker);
        assert!(waiter.poll_ready(range(0, 1), DEMAND, &mut cx).is_pending());
        let writer = thread::spawn({
            let gate = gate.clone();
            move || write(&gate, range(0, 1))
        });
        waiter.withdraw();
        let waited = waiter.wait_ready(range(0, 1), DemandId(2));
        assert!(matches!(waited, Waited::Ready(_)), "{waited:?}");
        writer.join().expect("the writer ends");
        assert_eq!(gate.ask(|state| state.places.waiting()), 0);
        drop(waker);
        assert_eq!(
            std::sync::Arc::strong_count(&parker),
            1,
            "nobody keeps the dropped wait's waker"
        );
    });
}

/// D1: cancelled while its bytes are being written, a wait ends, in bytes or in the cancellation; what is looked up
/// afterwards is the cancellation alone, and no run from before holds.
#[test]
fn d1_a_cancellation_during_a_write_ends_the_wait_and_nothing_is_covered_after_it() {
    explore(|| {
        let gate = empty_gate();
        let writer = thread::spawn({
            let gate = gate.clone();
            move || write(&gate, range(0, 1))
        });
        let canceller = thread::spawn({
            let gate = gate.clone();
            move || gate.fail(Error::Cancelled)
        });
        let mut waiter = Waiter::new(&gate, READER);
        let waited = waiter.wait_ready(range(0, 1), DEMAND);
        canceller.join().expect("the cancellation ends");
        match waited {
            Waited::Ready(run) => assert!(!gate.is_still(&run), "it is void by now"),
            Waited::Failed(Error::Cancelled) => {}
            other => panic!("{other:?}"),
        }
        assert!(matches!(waiter.look(0), Look::Failed(Error::Cancelled)));
        writer.join().expect("the writer ends");
        assert!(
            matches!(waiter.look(0), Look::Failed(Error::Cancelled)),
            "after the write as well"
        );
        let waited = waiter.wait_ready(range(0, 1), DemandId(2));
        assert!(matches!(waited, Waited::Failed(Error::Cancelled)), "{waited:?}");
    });
}

/// S2: a reader whose byte is given back under it, and fetched again, gets the byte: never the hole, and it never
/// waits for ever.
#[test]
fn s2_a_byte_that_goes_and_comes_under_a_reader_is_read_right() {
    explore(|| {
        let gate = Arc::new(Gate::new(None, [range(0, 1)]));
        let cell = Arc::new(AtomicU64::new(7));
        let writer = thread::spawn({
            let (gate, cell) = (gate.clone(), cell.clone());
            move || {
                let cut = gate.begin_cut(range(0, 1));
                cell.store(0, Ordering::Relaxed);
                gate.end_cut(cut);
                write_cell(&gate, 0, &cell, 7);
            }
        });
        let mut waiter = Waiter::new(&gate, READER);
        let byte = loop {
            if let Look::Covered(run) = waiter.look(0) {
                let byte = cell.load(Ordering::Relaxed);
                if gate.is_still(&run) {
                    break byte;
                }
            } else {
                let waited = waiter.wait_ready(range(0, 1), DEMAND);
                assert!(matches!(waited, Waited::Ready(_)), "{waited:?}");
            }
        };
        assert_eq!(byte, 7);
        writer.join().expect("the writer ends");
        assert_eq!(hit(&gate, &cell), Some(7));
    });
}

/// A hit: look for the run, read the cell, ask whether the run still holds.
fn hit(gate: &Gate, cell: &AtomicU64) -> Option<u64> {
    let Look::Covered(run) = gate.look(None, 0) else { return None };
    let value = cell.load(Ordering::Relaxed);
    gate.is_still(&run).then_some(value)
}

/// S2, defect 17: a hit that races with a cut gives the byte or nothing, never the hole.
#[test]
fn s2_a_hit_never_gives_what_a_cut_left() {
    explore(|| {
        let gate = Arc::new(Gate::new(None, [range(0, 1)]));
        let cell = Arc::new(AtomicU64::new(7));
        let cutter = thread::spawn({
            let (gate, cell) = (gate.clone(), cell.clone());
            move || {
                let cut = gate.begin_cut(range(0, 1));
                cell.store(0, Ordering::Relaxed);
                gate.end_cut(cut);
            }
        });
        assert!(matches!(hit(&gate, &cell), None | Some(7)));
        cutter.join().expect("the cut ends");
        assert_eq!(hit(&gate, &cell), None);
    });
}

/// N8: a hit that races with a restart gives a byte of the generation it looked at.
#[test]
fn n8_a_hit_never_mixes_generations() {
    explore(|| {
        let gate = Arc::new(Gate::new(None, [range(0, 1)]));
        let cell = Arc::new(AtomicU64::new(7));
        let Look::Covered(old) = gate.look(None, 0) else { panic!("covered from the start") };
        let writer = thread::spawn({
            let (gate, cell) = (gate.clone(), cell.clone());
            move || {
                gate.restart(None, &Error::Restarted);
                write_cell(&gate, 1, &cell, 8);
            }
        });
        let value = cell.load(Ordering::Relaxed);
        if gate.is_still(&old) {
            assert_eq!(value, 7);
        }
        writer.join().expect("the writer ends");
        assert_eq!(hit(&gate, &cell), Some(8));
    });
}

/// S2, defects 4 and 6: of a write and a cut at the same time, what is covered afterwards is there.
#[test]
fn s2_a_write_that_races_with_a_cut_never_covers_the_hole() {
    explore(|| {
        let gate = Arc::new(Gate::new(None, [range(0, 1)]));
        let cell = Arc::new(AtomicU64::new(7));
        let writer = thread::spawn({
            let (gate, cell) = (gate.clone(), cell.clone());
            move || write_cell(&gate, 0, &cell, 7)
        });
        let cut = gate.begin_cut(range(0, 1));
        cell.store(0, Ordering::Relaxed);
        gate.end_cut(cut);
        assert!(matches!(hit(&gate, &cell), None | Some(7)));
        writer.join().expect("the writer ends");
        assert!(matches!(hit(&gate, &cell), None | Some(7)));
    });
}

/// N8: a late write of the old generation neither counts nor lands over the new one.
#[test]
fn n8_a_late_write_of_the_old_generation_is_never_served() {
    explore(|| {
        let gate = empty_gate();
        let cell = Arc::new(AtomicU64::new(0));
        let late = thread::spawn({
            let (gate, cell) = (gate.clone(), cell.clone());
            move || write_cell(&gate, 0, &cell, 7)
        });
        gate.restart(None, &Error::Restarted);
        write_cell(&gate, 1, &cell, 8);
        late.join().expect("the late writer ends");
        assert_eq!(hit(&gate, &cell), Some(8));
    });
}
