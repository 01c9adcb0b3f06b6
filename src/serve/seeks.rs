//! How long clients waited for the first byte of what they asked for.

use std::collections::VecDeque;
use std::time::Duration;

use crate::sync::Mutex;

/// So many are remembered: a minute or two of a restless user.
const REMEMBERED: usize = 256;

/// The latest waits for a first byte, of all clients of one medium.
#[derive(Debug, Default)]
pub(super) struct Seeks(Mutex<Recent>);

#[derive(Debug, Default)]
struct Recent {
    waits: VecDeque<Duration>,
    count: u64,
}

impl Seeks {
    /// A client waited that long.
    pub(super) fn note(&self, wait: Duration) {
        let mut recent = self.0.lock();
        if recent.waits.len() == REMEMBERED {
            recent.waits.pop_front();
        }
        recent.waits.push_back(wait);
        recent.count += 1;
    }

    /// The latest, in microseconds, the oldest first; and how many there were in all.
    pub(super) fn latest(&self) -> (Vec<u64>, u64) {
        let recent = self.0.lock();
        let micros = |wait: &Duration| u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        (recent.waits.iter().map(micros).collect(), recent.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_waits_are_forgotten_and_all_are_counted() {
        let seeks = Seeks::default();
        (0..300).for_each(|n| seeks.note(Duration::from_micros(n)));
        let (latest, count) = seeks.latest();
        assert_eq!((latest.len(), latest[0], latest[255], count), (256, 44, 299, 300));
    }
}
