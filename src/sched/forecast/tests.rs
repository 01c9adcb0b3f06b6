//! The forecaster alone, on generated drags that nothing was tuned on.

use super::fits::{Points, arc, line, parabola, swing};
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

/// Where a drag turns it stays for a while: seeks within what was just read are not told. It goes on as before
/// when it leaves, as many seeks further as fit into the time.
#[test]
fn p5_seeks_that_were_not_told_are_counted() {
    let place = |nth: u64| (100 << 20) - 90_000 * nth.abs_diff(20).pow(2);
    let at = |nth: u64| Micros::from_millis(50 * nth);
    let mut forecaster = Forecaster::default();
    for nth in 0..20 {
        assert_eq!(forecaster.fill(at(nth), place(nth), 384 * KIB), 0);
        forecaster.saw(at(nth), place(nth), 384 * KIB);
    }
    assert_eq!(forecaster.fill(at(24), place(20), 384 * KIB), 0, "it rested");
    assert_eq!(forecaster.fill(at(40), place(40), 384 * KIB), 0, "too long ago");
    assert_eq!(forecaster.fill(at(23), place(23), 384 * KIB), 3);
    forecaster.saw(at(23), place(23), 384 * KIB);
    assert_eq!(forecaster.interval(), at(1));
    let next = forecaster.ahead(1, MOST).map(|next| (next.due, next.position.abs_diff(place(24))));
    assert!(next.is_some_and(|(due, off)| due == at(24) && off <= 1), "{next:?}");
}

/// A steady drag of `seen` seeks, 1 MB and 50 ms apart.
fn steady(seen: u64) -> Forecaster {
    let mut forecaster = Forecaster::default();
    for nth in 0..seen {
        forecaster.saw(Micros::from_millis(50 * nth), 1_000_000 * nth, 384 * KIB);
    }
    forecaster
}

/// How many are counted that late after the newest of so many seeks, at that place from there on, where two
/// places closer than half of `wild` are one.
fn untold(seen: u64, late: u64, place: u64, wild: u64) -> u64 {
    let (last, from) = (50 * (seen - 1), 1_000_000 * (seen - 1));
    steady(seen).fill(Micros::from_millis(last + late), from + place, wild)
}

#[test]
fn untold_seeks_are_counted_by_the_nearest_whole_number_of_intervals() {
    let counted = |late, steps: u64| untold(5, late, 1_000_000 * steps, 0);
    assert_eq!([counted(130, 3), counted(120, 2), counted(70, 1)], [2, 1, 0]);
    assert_eq!([counted(250, 5), counted(300, 6)], [4, 0], "four at most");
    assert_eq!([4, 5].map(|seen| untold(seen, 100, 2_000_000, 0)), [0, 1], "from five seeks on");
}

#[test]
fn untold_seeks_must_explain_the_place_four_times_as_well_as_none_would() {
    let [close, off] = [1_800_000, 1_799_999].map(|place| untold(5, 100, place, 0));
    assert_eq!((close, off), (1, 0));
    let told_apart = [1_999_998, 2_000_000].map(|wild| untold(5, 100, 2_000_000, wild));
    assert_eq!(told_apart, [1, 0], "none explains it well enough");
}

#[test]
fn the_last_untold_seek_was_one_interval_ago() {
    let mut forecaster = steady(6);
    assert_eq!(forecaster.fill(Micros::from_millis(400), 8_000_000, 0), 2);
    assert_eq!(forecaster.last, Some(Micros::from_millis(350)));
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
    let sine = |turn: f64| move |x: f64| 1e6 + 1e5 * (turn * (x - 3.0)).sin();
    let many =
        |value: &dyn Fn(f64) -> f64| (0..30).map(|x| (f64::from(x), value(f64::from(x)))).collect();
    for turn in [0.03, 0.05, 0.08] {
        let told = arc(&many(&sine(turn)), 31.0);
        let off = told.map(|told| (told - sine(turn)(31.0)).abs());
        assert!(off.is_some_and(|off| off < 100.0), "{turn}: {off:?}");
    }
    assert_eq!(arc(&points(pendulum), 2.0), None, "seven points are too few");
    assert_eq!(line(&points(|_| 0.0)[..1].to_vec(), 1.0), None);
    assert_eq!(parabola(&points(|_| 0.0)[..2].to_vec(), 1.0), None);
    assert_eq!(swing(&points(|x| x)[..4].to_vec(), 1), None);
    assert_eq!(swing(&points(|x| x), 1), None, "equal steps are a line's business");
}

/// A drag of 100 bytes a seek whose first extrapolation was so far off lately; the others are not asked.
fn judged(errors: &[f64]) -> Forecaster {
    let mut forecaster =
        Forecaster { seen: [0.0, 100.0].into(), last: Some(Micros(0)), ..Forecaster::default() };
    forecaster.errors[0] = errors.iter().copied().collect();
    forecaster
}

#[test]
fn what_is_usually_or_was_just_too_far_off_is_not_followed() {
    let tells = |errors: &[f64], most| judged(errors).ahead(1, most).is_some();
    assert!(tells(&[100.0; 3], 100) && !tells(&[100.0; 3], 99));
    assert!(tells(&[0.0, 0.0, 300.0], 100) && !tells(&[0.0, 0.0, 301.0], 100));
}

/// 1.1 times what four of five stayed within and a fifth more, since there are only five; and more further ahead.
#[test]
fn slack_grows_with_the_distance_ahead() {
    let forecaster = judged(&[50.0, 10.0, 40.0, 20.0, 30.0]);
    let slack = |ahead| forecaster.ahead(ahead, 1000).map(|next| (next.position, next.slack));
    let told = [1, 2, 3, 4].map(slack);
    assert_eq!(told, [Some((200, 52)), Some((300, 52)), Some((400, 79)), Some((500, 105))]);
    let forecaster = judged(&[40.0, 40.0]);
    assert_eq!(forecaster.ahead(1, 1000).map(|next| next.slack), Some(66));
}

#[test]
fn an_extrapolation_is_judged_by_the_worse_of_what_it_said_one_and_two_seeks_before() {
    let mut forecaster = Forecaster::default();
    for place in [0, 100, 300, 500] {
        forecaster.saw(Micros(0), place, 1 << 30);
    }
    assert_eq!(forecaster.errors[0], [100.0, 200.0]);
}

#[test]
fn a_jump_is_further_off_than_told_and_than_two_fifths_of_a_step() {
    let kept = |places: &[u64], wild| {
        let mut forecaster = Forecaster::default();
        places.iter().for_each(|place| forecaster.saw(Micros(0), *place, wild));
        forecaster.seen.len()
    };
    assert_eq!((kept(&[100, 200, 1300], 1000), kept(&[100, 200, 1301], 1000)), (3, 2));
    assert_eq!((kept(&[0, 1000, 2600], 1), kept(&[0, 1000, 3700], 1)), (3, 2));
}

#[test]
fn the_median_of_five_intervals_is_the_third() {
    let mut forecaster = Forecaster::default();
    for at in [0, 10, 30, 60, 100, 150] {
        forecaster.saw(Micros(at), 0, 1);
    }
    assert_eq!(forecaster.interval(), Micros(30));
}

#[test]
fn as_many_are_kept_as_told_and_the_newest() {
    let mut kept = VecDeque::new();
    (0..5).for_each(|value| push(&mut kept, value, 3));
    assert_eq!(kept, [2, 3, 4]);
}

#[test]
fn a_share_of_the_judgements_is_rounded_up_to_one_of_them() {
    let values = VecDeque::from([4.0, 2.0, 5.0, 3.0]);
    let shares = [0.0, 0.25, 0.26, 0.5, 0.8, 1.0].map(|share| quantile(&values, share));
    assert_eq!(shares, [2.0, 2.0, 3.0, 3.0, 5.0, 5.0].map(Some));
    assert_eq!(quantile(&VecDeque::new(), 0.5), None);
}

#[test]
fn a_parabola_needs_three_points_and_a_swing_five_that_do_not_lie_on_a_line() {
    let bent = points(|x| x * x);
    assert!(parabola(&bent[..3].to_vec(), 3.0).is_some_and(|at| (at - 9.0).abs() < 1e-9));
    let swings = points(|x| 1e6 * (x / 5.0).cos());
    assert!(swing(&swings[..5].to_vec(), 1).is_some() && swing(&swings[..4].to_vec(), 1).is_none());
    let eight: Points = (0..8).map(|x| (f64::from(x), (0.3 * f64::from(x)).sin())).collect();
    assert!(arc(&eight, 8.0).is_some(), "eight make an arc");
    assert_eq!(
        swing(&points(|x| 1e6 * x + x % 2.0), 1),
        None,
        "what a hand's jitter makes of a line"
    );
}
