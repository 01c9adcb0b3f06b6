//! The map against a model that keeps one state per byte.

use super::*;
use crate::sched::retry::Rng;

const LEN: u64 = 64;

/// One state per byte; slow and obvious.
#[derive(Debug, Clone)]
struct Bytewise {
    states: Vec<Option<SegmentState>>,
    len: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Cover(ByteRange),
    Uncover(ByteRange),
    Queue(ByteRange),
    Unqueue(ByteRange),
    Take(ByteRange, FetchId),
    Release(ByteRange, FetchId),
    BackOff(ByteRange),
    Resume(ByteRange),
    SetLen(u64),
}

impl Op {
    fn random(rng: &mut Rng) -> Self {
        let start = rng.below(LEN);
        let range = ByteRange::new(start, start + rng.below(LEN - start + 1));
        let fetch = FetchId(rng.below(3));
        match rng.below(33) {
            0..4 => Self::Cover(range),
            4..8 => Self::Uncover(range),
            8..12 => Self::Queue(range),
            12..16 => Self::Unqueue(range),
            16..20 => Self::Take(range, fetch),
            20..24 => Self::Release(range, fetch),
            24..28 => Self::BackOff(range),
            28..32 => Self::Resume(range),
            _ => Self::SetLen(LEN / 2 + rng.below(LEN / 2)),
        }
    }

    fn apply(self, map: &mut SegmentMap, model: &mut Bytewise) {
        use SegmentState::{BackingOff, Covered, InFlight, Queued};
        match self {
            Self::Cover(r) => {
                let fresh = model.set(r, |state| state != Some(Covered), Some(Covered));
                assert_eq!(map.cover(r), fresh);
            }
            Self::Uncover(r) => {
                map.uncover(r);
                model.set(r, |state| state == Some(Covered), None);
            }
            Self::Queue(r) => {
                map.queue(r);
                model.set(r, |state| state.is_none(), Some(Queued));
            }
            Self::Unqueue(r) => {
                map.unqueue(r);
                model.set(r, |state| state == Some(Queued), None);
            }
            Self::Take(r, id) => {
                map.take(r, id);
                model.set(r, |state| state != Some(Covered), Some(InFlight(id)));
            }
            Self::Release(r, id) => {
                map.release(r, id);
                model.set(r, |state| state == Some(InFlight(id)), None);
            }
            Self::BackOff(r) => {
                map.back_off(r);
                model.set(r, |state| matches!(state, None | Some(Queued)), Some(BackingOff));
            }
            Self::Resume(r) => {
                map.resume(r);
                model.set(r, |state| state == Some(BackingOff), None);
            }
            Self::SetLen(len) => {
                map.set_len(len);
                model.len = Some(len);
                for state in &mut model.states[len as usize..] {
                    *state = None;
                }
            }
        }
    }
}

impl Bytewise {
    fn new() -> Self {
        Self { states: vec![None; LEN as usize], len: None }
    }

    fn end(&self) -> u64 {
        self.len.unwrap_or(LEN)
    }

    /// Returns how many bytes changed.
    fn set(
        &mut self,
        range: ByteRange,
        from: impl Fn(Option<SegmentState>) -> bool,
        to: Option<SegmentState>,
    ) -> u64 {
        let mut changed = 0;
        for at in range.start..range.end.min(self.end()) {
            let state = &mut self.states[at as usize];
            if from(*state) {
                *state = to;
                changed += 1;
            }
        }
        changed
    }

    fn first_run(
        &self,
        range: ByteRange,
        wanted: impl Fn(Option<SegmentState>) -> bool,
    ) -> Option<ByteRange> {
        let range = range.until(self.end());
        let start = (range.start..range.end).find(|at| wanted(self.states[*at as usize]))?;
        let end = (start..range.end).find(|at| !wanted(self.states[*at as usize]));
        Some(ByteRange::new(start, end.unwrap_or(range.end)))
    }
}

fn bytes(map: &SegmentMap) -> Vec<Option<SegmentState>> {
    (0..LEN).map(|at| map.state_at(at)).collect()
}

fn compare(map: &SegmentMap, model: &Bytewise, rng: &mut Rng) {
    assert_eq!(bytes(map), model.states);
    let start = rng.below(LEN + 1);
    let range = ByteRange::new(start, start + rng.below(LEN + 1 - start));
    let gap = |state| matches!(state, None | Some(SegmentState::Queued));
    assert_eq!(map.first_gap(range), model.first_run(range, gap));
    assert_eq!(map.first_missing(range), model.first_run(range, |state| state.is_none()));
    let open = |state| state != Some(SegmentState::Covered);
    assert_eq!(map.first_uncovered(range), model.first_run(range, open));
    let covered = model.states.iter().filter(|state| !open(**state)).count() as u64;
    assert_eq!(map.covered_bytes(), covered);
    assert_eq!(map.is_complete(), model.len == Some(covered));
    let mut at = range.start;
    let mut last = None;
    for (run, state) in map.pieces(range) {
        assert!(run.start == at && !run.is_empty() && last != Some(state), "{run} {state:?}");
        assert!((run.start..run.end).all(|at| model.states[at as usize] == state));
        (at, last) = (run.end, Some(state));
    }
    assert_eq!(at, range.end.min(model.end()).max(range.start));
    let id = FetchId(1);
    let own: Vec<u64> = (range.start..range.end.min(model.end()))
        .filter(|at| model.states[*at as usize] == Some(SegmentState::InFlight(id)))
        .collect();
    let hole = map.hole_of(range, id);
    match (own.first(), own.last()) {
        (Some(first), Some(last)) => assert_eq!(hole, ByteRange::new(*first, last + 1)),
        _ => assert!(hole.is_empty()),
    }
}

/// Defect 7 of the peers: gaps are found where they are, each once.
#[test]
fn agrees_with_one_state_per_byte() {
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let (mut map, mut model) = (SegmentMap::new(None), Bytewise::new());
        for step in 0..100 {
            let op = Op::random(&mut rng);
            let same = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                op.apply(&mut map, &mut model);
                compare(&map, &model, &mut rng);
            }));
            assert!(same.is_ok(), "seed {seed}, step {step}: {op:?}");
        }
    }
}

#[test]
fn without_a_length_the_map_has_no_bound() {
    let mut map = SegmentMap::new(None);
    let far = ByteRange::new(u64::MAX - 10, u64::MAX);
    assert_eq!((map.len(), map.end()), (None, u64::MAX));
    assert_eq!(map.first_gap(far), Some(far));
    assert_eq!(map.cover(far), 10);
    map.set_len(5);
    assert_eq!((map.len(), map.end(), map.covered_bytes()), (Some(5), 5, 0));
    assert_eq!(map.all(), ByteRange::new(0, 5));
    assert_eq!(map.cover(ByteRange::new(3, 9)), 2, "what lies past the length does not count");
    assert_eq!(map.runs(), 1);
}

#[test]
fn neighbours_in_flight_for_different_fetches_do_not_merge() {
    let mut map = SegmentMap::new(Some(20));
    map.take(ByteRange::new(0, 10), FetchId(1));
    map.take(ByteRange::new(10, 20), FetchId(2));
    assert_eq!(map.pieces(map.all()).count(), 2);
    assert_eq!(map.runs(), 2);
}
