//! Known mistakes put back, which loom must find: a model that cannot fail proves nothing.

use super::*;

/// "Check, then register": the mistake of defect 3. Looks under the lock, lets it go, takes it
/// again to register.
fn poll_in_two_steps(gate: &Gate, key: PlaceKey, waker: &Waker) -> Poll<Waited> {
    let seen = gate.state.lock().settle(key, range(0, 1), DEMAND, gate.epoch());
    if let Some(waited) = seen {
        return Poll::Ready(waited);
    }
    if let Some(place) = gate.state.lock().places.at(key) {
        place.register(range(0, 1), DEMAND, waker.clone());
    }
    Poll::Pending
}

/// Waits as `Waiter::wait_ready` does, over either way to poll.
fn wait_over(poll: impl Fn(&Gate, PlaceKey, &Waker) -> Poll<Waited>) {
    let gate = empty_gate();
    let key = gate.enter(READER);
    let writer = thread::spawn({
        let gate = gate.clone();
        move || write(&gate, range(0, 1))
    });
    let (parker, waker) = Parker::new();
    while poll(&gate, key, &waker).is_pending() {
        parker.park();
    }
    writer.join().expect("the writer ends");
}

/// S1, defect 3: the models above can fail. With the look and the registration under two locks
/// loom finds the lost wake-up; with the same harness and one lock it finds nothing.
#[test]
fn s1_defect_3_check_then_register_is_found_by_the_model() {
    let flaw = flaw_of(|| wait_over(poll_in_two_steps)).expect("loom finds it");
    assert!(flaw.contains("deadlock"), "{flaw}");
    let flaw = flaw_of(|| {
        wait_over(|gate, key, waker| gate.poll(key, range(0, 1), DEMAND, waker));
    });
    assert_eq!(flaw, None);
}

/// S2, defect 17: the model of hits can fail. A hit that trusts its look, and a cut that lets the
/// byte go before the epoch moves, are both found.
#[test]
fn s2_defect_17_a_late_epoch_is_found_by_the_model() {
    let race = |cut: fn(&Gate, &AtomicU64), hit: fn(&Gate, &AtomicU64) -> Option<u64>| {
        move || {
            let gate = Arc::new(Gate::new(None, [range(0, 1)]));
            let cell = Arc::new(AtomicU64::new(7));
            let cutter = thread::spawn({
                let (gate, cell) = (gate.clone(), cell.clone());
                move || cut(&gate, &cell)
            });
            let byte = hit(&gate, &cell);
            assert!(matches!(byte, None | Some(7)), "a hole was served");
            cutter.join().expect("the cut ends");
        }
    };
    fn right_cut(gate: &Gate, cell: &AtomicU64) {
        let cut = gate.begin_cut(range(0, 1));
        cell.store(0, Ordering::Relaxed);
        gate.end_cut(cut);
    }
    fn late_cut(gate: &Gate, cell: &AtomicU64) {
        cell.store(0, Ordering::Relaxed);
        let cut = gate.begin_cut(range(0, 1));
        gate.end_cut(cut);
    }
    fn trusting_hit(gate: &Gate, cell: &AtomicU64) -> Option<u64> {
        let Look::Covered(_) = gate.look(None, 0) else { return None };
        Some(cell.load(Ordering::Relaxed))
    }
    let served = Some("a hole was served".to_owned());
    assert_eq!(flaw_of(race(late_cut, hit)), served);
    assert_eq!(flaw_of(race(right_cut, trusting_hit)), served);
    assert_eq!(flaw_of(race(right_cut, hit)), None);
}
