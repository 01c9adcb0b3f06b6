//! Time as a plain number, so that the scheduler runs as well on a simulated clock.

use std::ops::{Add, Sub};
use std::time::{Duration, Instant};

/// Microseconds since the engine started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Micros(pub(crate) u64);

impl Micros {
    /// `ms` milliseconds.
    pub(crate) const fn from_millis(ms: u64) -> Self {
        Self(ms * 1000)
    }

    /// `self - earlier`, or zero if `earlier` is later.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }

    /// As seconds.
    pub(crate) fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// As the standard library has it.
    pub(crate) fn to_duration(self) -> Duration {
        Duration::from_micros(self.0)
    }
}

impl From<Duration> for Micros {
    fn from(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
    }
}

impl Add for Micros {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Micros {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.since(other)
    }
}

/// The engine's clock: the one place that turns real time into [`Micros`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that shows zero now.
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Time since the start.
    pub(crate) fn now(self) -> Micros {
        self.start.elapsed().into()
    }

    /// The instant at which this clock shows `at`.
    pub(crate) fn instant(self, at: Micros) -> Instant {
        self.start
            .checked_add(at.to_duration())
            .unwrap_or_else(|| self.start + Duration::from_secs(1 << 30))
    }
}
