//! Request budgets: how often speculation may ask.
//!
//! One bucket for each resource and one for each origin. Speculative requests wait for both; blocked reads and
//! the rest of their first window take from them too, and wait for none; nor does filling up, which somebody
//! has ordered, unless the origin has had enough. An origin that answers 429 or 503 has
//! its rate halved, for all its resources; it comes back by itself.

use crate::time::Micros;

/// Requests per second for one resource: more than any player needs, less than a server minds.
pub(crate) const PER_RESOURCE: f64 = 20.0;
/// Requests per second for one origin.
pub(crate) const PER_ORIGIN: f64 = 100.0;
/// Streams that are reset per second over one shared connection (HTTP/2): servers take more for an attack
/// (CVE-2023-44487) and close it.
pub(crate) const RESETS: f64 = 10.0;
/// What may come at once, in seconds of the rate.
const BURST: f64 = 1.0;
/// How much further blocked reads may overdraw, in seconds of the rate: so long speculation has to wait at most.
const OVERDRAW: f64 = 0.25;
/// How long an origin takes from nothing back to its full rate, in seconds.
const RECOVERY: f64 = 30.0;
/// The least share of its rate that an origin is slowed down to.
const LEAST: f64 = 1.0 / 32.0;

/// Requests that were made lately. Empty is the most that may come at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bucket {
    spent: f64,
    at: Micros,
}

impl Bucket {
    /// A request is sent, allowed or not; `rate` are requests per second.
    pub(crate) fn take(&mut self, now: Micros, rate: f64) {
        self.spent = (self.spent_at(now, rate) + 1.0).min((rate * (BURST + OVERDRAW)).max(1.0));
        self.at = now;
    }

    /// When the next speculative request may go; not after `now` if it may now.
    pub(crate) fn ready(&self, now: Micros, rate: f64) -> Micros {
        let over = self.spent_at(now, rate) + 1.0 - (rate * BURST).max(1.0);
        // Rounded up: a timer set for then finds it ready.
        if over <= 0.0 { now } else { now + Micros((over / rate * 1e6).ceil() as u64 + 1) }
    }

    fn spent_at(&self, now: Micros, rate: f64) -> f64 {
        (self.spent - now.since(self.at).as_secs_f64() * rate).max(0.0)
    }
}

/// How far an origin is slowed down.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slowdown {
    last: Option<(f64, Micros)>,
}

impl Slowdown {
    /// The origin has had enough: from now on half of what it had.
    pub(crate) fn halve(&mut self, now: Micros) {
        self.last = Some(((self.share(now) / 2.0).max(LEAST), now));
    }

    /// The share of the full rate that it has now: above 0, at most 1.
    pub(crate) fn share(&self, now: Micros) -> f64 {
        self.last
            .map_or(1.0, |(share, at)| (share + now.since(at).as_secs_f64() / RECOVERY).min(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Micros {
        Micros::from_millis(n)
    }

    /// How many requests go at once at `now`.
    fn burst(bucket: &mut Bucket, now: Micros, rate: f64) -> u32 {
        (0..)
            .take_while(|_| {
                bucket.ready(now, rate) <= now && {
                    bucket.take(now, rate);
                    true
                }
            })
            .count() as u32
    }

    #[test]
    fn p2_a_second_of_requests_may_come_at_once_and_then_the_rate_holds() {
        let mut bucket = Bucket::default();
        assert_eq!(burst(&mut bucket, ms(0), 20.0), 20);
        let next = bucket.ready(ms(0), 20.0);
        assert!(next > ms(50) && next < ms(51), "{next:?}");
        assert_eq!(burst(&mut bucket, next, 20.0), 1);
        assert_eq!(burst(&mut bucket, next + ms(500), 20.0), 10);
        assert_eq!(burst(&mut bucket, ms(60_000), 20.0), 20);
    }

    #[test]
    fn p2_blocked_reads_overdraw_it_and_hold_speculation_up_for_a_quarter_of_a_second() {
        let mut bucket = Bucket::default();
        for _ in 0..1000 {
            bucket.take(ms(0), 20.0);
        }
        let next = bucket.ready(ms(0), 20.0);
        assert!(next > ms(250) && next < ms(350), "{next:?}");
    }

    #[test]
    fn p2_even_the_slowest_origin_gets_a_request_now_and_then() {
        let bucket = Bucket::default();
        assert_eq!(bucket.ready(ms(0), PER_RESOURCE * LEAST), ms(0));
    }

    #[test]
    fn n4_an_origin_that_has_enough_gets_half_and_recovers() {
        let mut slowdown = Slowdown::default();
        assert_eq!(slowdown.share(ms(0)), 1.0);
        slowdown.halve(ms(0));
        assert_eq!(slowdown.share(ms(0)), 0.5);
        slowdown.halve(ms(0));
        assert_eq!(slowdown.share(ms(0)), 0.25);
        assert_eq!(slowdown.share(ms(15_000)), 0.75);
        assert_eq!(slowdown.share(ms(30_000)), 1.0);
        for _ in 0..100 {
            slowdown.halve(ms(30_000));
        }
        assert_eq!(slowdown.share(ms(30_000)), LEAST);
    }
}
