//! Generated drags of a scrub bar, as times and places of seeks.
//!
//! Seeded: what was tuned was tuned on seeds below [`HELD_OUT`]; tests assert on seeds from there on.

use super::{KIB, MIB};
use crate::sched::retry::Rng;
use crate::time::Micros;

/// Seeds that nothing was tuned on begin here.
pub(crate) const HELD_OUT: u64 = 1000;
/// Seeks of a drag.
const SEEKS: u64 = 60;
/// Length of the resource that is dragged over.
pub(crate) const LEN: u64 = 256 * MIB;

/// How somebody drags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hand {
    /// The same step each time.
    Steady,
    /// The same, each place up to 100 kB off: seconds rounded, key frames.
    Jittery,
    /// The same, in whole pixels of a bar that is 1000 pixels wide.
    Pixels,
    /// Steady, but the seeks come after 30 to 70 ms.
    Uneven,
    /// Steady, with two pauses.
    Pausing,
    /// Faster and faster.
    SpeedingUp,
    /// Slower and slower.
    SlowingDown,
    /// Back and forth, turning sharply.
    Turning,
    /// Back and forth like a pendulum.
    Swinging,
    /// No drag: anywhere.
    Jumping,
}

/// When and where each seek goes; the first at 0. `interval` is the usual time between two.
pub(crate) fn drag(hand: Hand, seed: u64, interval: Micros) -> Vec<(Micros, u64)> {
    let mut rng = Rng::new(seed);
    let room = (LEN - 8 * MIB) as f64;
    let reach = room * (0.45 + 0.5 * rng.unit());
    let start = 4.0 * MIB as f64 + (room - reach) * rng.unit();
    let backward = rng.below(2) == 0;
    let turns = 2.0 + rng.unit() * 2.0;
    let shape = 1.3 + rng.unit();
    let mut now = Micros(0);
    let mut seeks = Vec::new();
    for nth in 0..SEEKS {
        let done = nth as f64 / (SEEKS - 1) as f64;
        let way = match hand {
            Hand::SpeedingUp => done.powf(shape),
            Hand::SlowingDown => 1.0 - (1.0 - done).powf(shape),
            Hand::Turning => 1.0 - ((done * turns) % 2.0 - 1.0).abs(),
            Hand::Swinging => 0.5 - 0.5 * (done * turns * std::f64::consts::PI).cos(),
            Hand::Jumping => rng.unit(),
            _ => done,
        };
        let way = if backward { 1.0 - way } else { way };
        let place = (start + reach * way) as u64;
        let place = match hand {
            Hand::Jittery => place + rng.below(100_000),
            Hand::Pixels => place * 1000 / LEN * LEN / 1000,
            // A hand is never quite exact.
            Hand::Jumping => place,
            _ => place + rng.below(4 * KIB),
        };
        seeks.push((now, place));
        let pause = hand == Hand::Pausing && (nth == 19 || nth == 39);
        now = now
            + match hand {
                Hand::Uneven => Micros(interval.0 * (60 + rng.below(80)) / 100),
                _ if pause => Micros(interval.0 * (6 + rng.below(12))),
                _ => interval,
            };
    }
    seeks
}
