//! The total order of what is wanted.

use std::cmp::Reverse;

use crate::sched::event::Class;
use crate::time::Micros;

/// Which queued segment is fetched next; the greatest goes first. No two are equal, so equal
/// inputs give equal schedules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Priority {
    class: Reverse<Class>,
    deadline: Reverse<Micros>,
    offset: Reverse<u64>,
    arrival: Reverse<u64>,
}

impl Priority {
    /// The place of a segment: the most urgent `class` first; then the earliest `deadline`, the
    /// lowest `offset`, and the earliest `arrival`, which is unique and settles every tie.
    pub(crate) fn new(class: Class, deadline: Micros, offset: u64, arrival: u64) -> Self {
        Self {
            class: Reverse(class),
            deadline: Reverse(deadline),
            offset: Reverse(offset),
            arrival: Reverse(arrival),
        }
    }

    /// When it came.
    pub(crate) fn arrival(self) -> u64 {
        self.arrival.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: [Class; 7] = [
        Class::Blocked,
        Class::FirstWindow,
        Class::Hint,
        Class::Secondary,
        Class::Near,
        Class::Far,
        Class::Fill,
    ];

    #[test]
    fn p1_a_more_urgent_class_goes_first_whatever_else() {
        for (urgent, other) in CLASSES.iter().zip(&CLASSES[1..]) {
            let late = Priority::new(*urgent, Micros(9), 9, 9);
            let early = Priority::new(*other, Micros(1), 1, 1);
            assert!(late > early, "{urgent:?} before {other:?}");
        }
    }

    #[test]
    fn p1_then_the_earliest_deadline_then_the_lowest_offset_then_the_first_to_come() {
        let of = |deadline, offset, arrival| {
            Priority::new(Class::Near, Micros(deadline), offset, arrival)
        };
        assert!(of(1, 9, 9) > of(2, 1, 1));
        assert!(of(1, 1, 9) > of(1, 2, 1));
        assert!(of(1, 1, 1) > of(1, 1, 2));
    }

    #[test]
    fn p1_a_place_remembers_when_it_came() {
        assert_eq!(Priority::new(Class::Near, Micros(1), 2, 7).arrival(), 7);
    }
}
