//! Many segments and many resources: a decision looks at what it is about, and at nothing else.

use crate::sched::segment_map::LOOKED;
use crate::sched::sim::decisions::Decisions;

/// Pieces of maps looked at and plans made by each of some steps.
fn cost(segments: u64, resources: u64) -> Vec<(u64, usize)> {
    let mut decisions = Decisions::new(segments, 1, resources);
    let mut step = |_| {
        let before = LOOKED.get();
        decisions.step();
        (LOOKED.get() - before, decisions.planned())
    };
    (0..20).map(&mut step).collect()
}

#[test]
fn p1_a_decision_does_not_look_at_more_pieces_where_there_are_more() {
    // Which steps need a look more or less hangs on the places that they seek to.
    let most = |segments| cost(segments, 1).into_iter().max();
    assert_eq!(most(1_000), most(100_000));
}

#[test]
fn p1_a_decision_does_not_look_at_other_resources() {
    assert_eq!(cost(1_000, 2), cost(1_000, 400));
}

#[test]
fn no_timer_is_armed_where_everybody_rests() {
    assert!(!Decisions::new(1_000, 1, 400).is_timed());
}
