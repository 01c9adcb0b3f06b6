//! Pauses that bodies of an origin make by themselves: one that holds its answers down may send a second's worth at once,
//! and then nothing until the next second.
//!
//! Silence no longer than that says nothing, and a request in the place of a silent one would only bring the origin's next
//! second forward at the price of a connection.

use std::collections::VecDeque;

use crate::time::Micros;

/// So many say how long they usually are.
const SEEN: usize = 3;
/// So long ago at most.
const FRESH: Micros = Micros::from_millis(30_000);
/// A longer one is an outage, and no habit.
const LONGEST: Micros = Micros::from_millis(2000);
/// The next one may be longer than the last ones by such a part.
const SLACK: u64 = 4;

/// The last of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pauses(VecDeque<(Micros, Micros)>);

impl Pauses {
    /// A body that had been silent for `length` goes on.
    pub(crate) fn ended(&mut self, now: Micros, length: Micros) {
        if length > LONGEST {
            return;
        }
        if self.0.len() == SEEN {
            self.0.pop_front();
        }
        self.0.push_back((now, length));
    }

    /// Silence that says nothing; none if there were not enough of them lately.
    pub(crate) fn usual(&self, now: Micros) -> Micros {
        let fresh = self.0.iter().filter(|(at, _)| now.since(*at) <= FRESH);
        let lengths: Vec<Micros> = fresh.map(|(_, length)| *length).collect();
        let longest = lengths.iter().max().filter(|_| lengths.len() == SEEN);
        longest.map_or(Micros(0), |length| *length + Micros(length.0 / SLACK))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Micros {
        Micros::from_millis(n)
    }

    #[test]
    fn p7_three_pauses_of_late_are_a_habit() {
        let mut pauses = Pauses::default();
        for (at, length) in [(0, 400), (1000, 800), (2000, 5000)] {
            pauses.ended(ms(at), ms(length));
            assert_eq!(pauses.usual(ms(at)), ms(0));
        }
        pauses.ended(ms(3000), ms(600));
        assert_eq!(pauses.usual(ms(30_000)), ms(1000));
        assert_eq!(pauses.usual(ms(30_001)), ms(0), "the first is too long ago");
        pauses.ended(ms(4000), ms(600));
        pauses.ended(ms(5000), ms(600));
        assert_eq!(pauses.usual(ms(5000)), ms(750), "the last three count");
    }
}
