//! The forecaster alone, on generated drags that nothing was tuned on.

use super::*;
use crate::sched::tests::drags::{HELD_OUT, Hand, drag};

const KIB: u64 = 1 << 10;
/// What a span of 192 KiB holds to either side of its middle, with 32 KiB to read after that.
const MOST: u64 = 80 * KIB;

/// What became of the seeks of one drag.
#[derive(Debug, Default)]
struct Score {
    seeks: u64,
    told: u64,
    hit: u64,
    bytes: u64,
}

/// Each seek is foretold at the one two before it.
fn score(hand: Hand, seeds: std::ops::Range<u64>) -> Score {
    let mut score = Score::default();
    for seed in seeds {
        let mut forecaster = Forecaster::default();
        let mut told = [None, None];
        for (now, place) in drag(hand, seed, Micros::from_millis(50)) {
            score.seeks += 1;
            if let Some((from, to)) = told[0] {
                score.told += 1;
                score.bytes += to - from;
                score.hit += u64::from((from..to).contains(&place));
            }
            forecaster.saw(now, place, 384 * KIB);
            let span = forecaster.ahead(2, MOST).map(|forecast| {
                let slack = forecast.slack.clamp(16 * KIB, MOST);
                (forecast.position.saturating_sub(slack), forecast.position + slack + 32 * KIB)
            });
            told = [told[1], span];
        }
    }
    score
}

impl Score {
    fn hits(&self) -> f64 {
        self.hit as f64 / self.seeks as f64
    }

    fn misses(&self) -> f64 {
        (self.told - self.hit) as f64 / self.seeks as f64
    }
}

/// Shares of all seeks, the first ones included, of which nothing can be known: so many are foretold at
/// least, and so many places fetched in vain at most.
#[test]
fn p5_drags_are_foretold_and_little_is_foretold_wrongly() {
    let expected = [
        (Hand::Steady, 0.92, 0.01),
        (Hand::Jittery, 0.72, 0.18),
        (Hand::Uneven, 0.92, 0.01),
        (Hand::Pausing, 0.92, 0.01),
        (Hand::SpeedingUp, 0.8, 0.1),
        (Hand::SlowingDown, 0.8, 0.1),
        (Hand::Turning, 0.7, 0.12),
        (Hand::Swinging, 0.7, 0.16),
        (Hand::Pixels, 0.3, 0.25),
    ];
    for (hand, hits, misses) in expected {
        let score = score(hand, HELD_OUT..HELD_OUT + 100);
        assert!(score.hits() >= hits, "{hand:?}: {}", score.hits());
        assert!(score.misses() <= misses, "{hand:?}: {}", score.misses());
        let average = score.bytes / score.told;
        assert!(average <= 170 * KIB, "{hand:?}: {average}");
    }
}

#[test]
fn p5_a_steady_hand_needs_small_spans() {
    let score = score(Hand::Steady, HELD_OUT..HELD_OUT + 100);
    assert!(score.bytes / score.told <= 66 * KIB);
}

#[test]
fn p5_jumps_are_not_foretold() {
    let score = score(Hand::Jumping, HELD_OUT..HELD_OUT + 100);
    assert!(score.told as f64 / score.seeks as f64 <= 0.005, "{score:?}");
}

#[test]
fn p5_it_stands_down_at_the_first_jump_and_is_back_with_the_third_seek_of_a_drag() {
    let mut forecaster = Forecaster::default();
    let mut told = |place: u64| {
        forecaster.saw(Micros(0), place << 20, 384 * KIB);
        forecaster.ahead(1, MOST).map(|forecast| forecast.position >> 20)
    };
    assert_eq!([10, 14, 18, 22].map(&mut told), [None, None, Some(22), Some(26)]);
    assert_eq!([90, 31, 160, 75].map(&mut told), [None; 4]);
    assert_eq!([72, 69, 66].map(&mut told), [None, Some(66), Some(63)]);
}

/// A sharp turn costs the two seeks that nobody can know of.
#[test]
fn p5_a_turn_is_followed_within_two_seeks() {
    let mut forecaster = Forecaster::default();
    let mut next = |place: u64| {
        forecaster.saw(Micros(0), place << 20, 384 * KIB);
        forecaster.ahead(1, MOST).map(|forecast| forecast.position >> 20)
    };
    assert_eq!([40, 43, 46, 49].map(&mut next)[3], Some(52));
    assert_eq!([46, 43, 40].map(&mut next), [None, Some(40), Some(37)]);
}

#[test]
fn the_time_between_seeks_is_their_median_so_that_a_pause_changes_nothing() {
    let mut forecaster = Forecaster::default();
    for (nth, at) in [0, 50, 100, 900, 950].into_iter().enumerate() {
        forecaster.saw(Micros::from_millis(at), nth as u64 * (4 << 20), 384 * KIB);
    }
    assert_eq!(forecaster.interval(), Micros::from_millis(50));
    let next = forecaster.ahead(2, MOST).expect("a steady drag");
    assert_eq!((next.due, next.position), (Micros::from_millis(1050), 24 << 20));
}

#[test]
fn nothing_is_foretold_before_the_start() {
    let mut forecaster = Forecaster::default();
    for place in [12, 8, 4] {
        forecaster.saw(Micros(0), place << 20, 384 * KIB);
    }
    assert_eq!(forecaster.ahead(1, MOST).map(|next| next.position), Some(0));
    assert_eq!(forecaster.ahead(2, MOST), None);
}

fn points(value: impl Fn(f64) -> f64) -> Points {
    (0..7).map(|x| (f64::from(x), value(f64::from(x)))).collect()
}

#[test]
fn each_extrapolation_is_exact_for_what_it_is_made_for() {
    let near = |value: Option<f64>, goal: f64| {
        assert!(value.is_some_and(|value| (value - goal).abs() < 1e-3), "{value:?}, not {goal}");
    };
    near(line(&points(|x| 5.0 + 3.0 * x), 9.0), 32.0);
    near(parabola(&points(|x| 5.0 + 3.0 * x * x), 9.0), 248.0);
    let pendulum = |x: f64| 1e6 * (x / 5.0).cos();
    near(swing(&points(pendulum), 2), pendulum(8.0));
    assert_eq!(line(&points(|_| 0.0)[..1].to_vec(), 1.0), None);
    assert_eq!(parabola(&points(|_| 0.0)[..2].to_vec(), 1.0), None);
    assert_eq!(swing(&points(|x| x)[..4].to_vec(), 1), None);
    assert_eq!(swing(&points(|x| x), 1), None, "equal steps are a line's business");
}
