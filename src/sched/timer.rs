//! Timers with reasons: one per thing that may have to be looked at again later.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{FetchId, HintId, OriginId, ReaderId, ResourceId};
use crate::sched::event::TimeoutReason;
use crate::time::Micros;

/// What a timer is for. There is at most one of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The earliest pause of a segment of that resource is over.
    Backoff(ResourceId),
    /// The origin asked us to wait, and the wait is over.
    OriginPause(OriginId),
    /// The origin, or one of its resources, may be asked again.
    Requests(OriginId),
    /// That reader has waited long enough.
    DemandBudget(ReaderId),
    /// Look at the fetches which nobody may want any more.
    SeekGrace(ResourceId),
    /// Look again whether that reader should go on waiting.
    WaitReview(ReaderId),
    /// Look whether what that reader waits for is late.
    Hedge(ReaderId),
    /// That reader is not dragged about any more.
    ScrubEnd(ReaderId),
    /// That body has been paused long enough.
    PausedBody(FetchId),
    /// That hint has expired.
    HintExpiry(HintId),
}

impl Timer {
    fn reason(self) -> TimeoutReason {
        match self {
            Self::Backoff(_) | Self::OriginPause(_) => TimeoutReason::Backoff,
            Self::Requests(_) => TimeoutReason::Requests,
            Self::DemandBudget(_) => TimeoutReason::DemandBudget,
            Self::SeekGrace(_) => TimeoutReason::SeekGrace,
            Self::WaitReview(_) => TimeoutReason::WaitReview,
            Self::Hedge(_) => TimeoutReason::Hedge,
            Self::ScrubEnd(_) => TimeoutReason::ScrubEnd,
            Self::PausedBody(_) => TimeoutReason::PausedBody,
            Self::HintExpiry(_) => TimeoutReason::HintExpiry,
        }
    }
}

/// All timers, the earliest first.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    due: BTreeSet<(Micros, Timer)>,
    at: BTreeMap<Timer, Micros>,
}

impl Timers {
    /// Sets `timer` to `at`, whatever it was before.
    pub(crate) fn set(&mut self, timer: Timer, at: Micros) {
        self.clear(timer);
        self.due.insert((at, timer));
        self.at.insert(timer, at);
    }

    /// Takes `timer` back.
    pub(crate) fn clear(&mut self, timer: Timer) {
        if let Some(at) = self.at.remove(&timer) {
            self.due.remove(&(at, timer));
        }
    }

    /// Sets or takes back.
    pub(crate) fn put(&mut self, timer: Timer, at: Option<Micros>) {
        match at {
            Some(at) => self.set(timer, at),
            None => self.clear(timer),
        }
    }

    /// When `timer` is due.
    pub(crate) fn at(&self, timer: Timer) -> Option<Micros> {
        self.at.get(&timer).copied()
    }

    /// The earliest, and why.
    pub(crate) fn next(&self) -> Option<(Micros, TimeoutReason)> {
        self.due.first().map(|(at, timer)| (*at, timer.reason()))
    }

    /// Takes out one timer that is due at `now`.
    pub(crate) fn pop_due(&mut self, now: Micros) -> Option<Timer> {
        let (at, timer) = *self.due.first()?;
        if at > now {
            return None;
        }
        self.clear(timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_only_when_due() {
        let mut timers = Timers::default();
        timers.set(Timer::DemandBudget(ReaderId(1)), Micros(20));
        timers.set(Timer::HintExpiry(HintId(1)), Micros(10));
        assert_eq!(timers.next(), Some((Micros(10), TimeoutReason::HintExpiry)));
        assert_eq!(timers.pop_due(Micros(9)), None);
        assert_eq!(timers.pop_due(Micros(10)), Some(Timer::HintExpiry(HintId(1))));
        assert_eq!(timers.pop_due(Micros(10)), None);
        assert_eq!(timers.next(), Some((Micros(20), TimeoutReason::DemandBudget)));
    }

    #[test]
    fn setting_again_replaces_and_clearing_forgets() {
        let mut timers = Timers::default();
        let timer = Timer::SeekGrace(ResourceId(1));
        timers.set(timer, Micros(5));
        timers.set(timer, Micros(9));
        assert_eq!(timers.pop_due(Micros(5)), None);
        assert_eq!(timers.at(timer), Some(Micros(9)));
        timers.put(timer, None);
        assert_eq!(timers.next(), None);
        assert_eq!(timers.at(timer), None);
    }
}
