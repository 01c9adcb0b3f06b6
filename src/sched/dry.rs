//! Who has run dry over a long way: a player whose read-ahead was too slow, a download, a copy.
//!
//! Far away a connection needs a second to open its window, loses it where a packet is lost, and opens it again for
//! seconds; a request may be over before. So a reader there that was blocked for three quarters of its first moments has all
//! requests at once from then on, none of them small, over the connections that were busy last. While it was blocked
//! lately, what it consumes is what it gets: its window is half of the largest one then, and all of it while it takes all that comes.

use crate::config::{ReadaheadConfig, Tunables};
use crate::ids::{ReaderId, ResourceId};
use crate::sched::Scheduler;
use crate::sched::estimator::Estimator;
use crate::sched::resource::Resource;
use crate::sched::window::Consumption;
use crate::time::Micros;

/// Longer round trips are those of a long way: the seven that a connection needs to open its window are a second.
const FAR: Micros = Micros::from_millis(150);
/// And longer first answers over new connections.
const FAR_COLD: Micros = Micros::from_millis(380);
/// So long a reader that no seek led here is looked at first.
const OPENED: Micros = Micros::from_millis(1500);
/// The same after a seek: most who seek do so again.
pub(super) const SOUGHT: Micros = Micros::from_millis(5000);
/// And how often afterwards.
const AGAIN: Micros = Micros::from_millis(1000);
/// It has run dry if its reads are blocked for so many eighths of that,
const DRY: u64 = 6;
/// and takes all that comes if they are for so many.
const GREEDY: u64 = 7;
/// Its requests are no smaller, in bytes: a new connection brings 1.8 MB in the seven round trips after which it is open.
const LEAST: u64 = 2 << 20;
/// Once no read of it was blocked for so long, what it consumes is not only what it gets.
const TRUSTED: Micros = Micros::from_millis(5000);

/// Whether a reader has run dry.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Dry {
    /// Since when it is looked at, and how long its reads had been blocked then.
    looked: Option<(Micros, Micros)>,
    /// Once it has run dry: when its reads were blocked last, and for how long in all until then.
    blocked: Option<(Micros, Micros)>,
    /// Whether it takes all that comes.
    greedy: bool,
}

impl Dry {
    /// Whether it has, once, as far as is known.
    pub(crate) fn is_dry(&self) -> bool {
        self.blocked.is_some()
    }

    /// Whether it was blocked so lately that what it consumes is what it gets.
    pub(crate) fn is_starved(&self, now: Micros) -> bool {
        self.blocked.is_some_and(|(at, _)| now.since(at) < TRUSTED)
    }

    /// Whether it takes all that comes: it was blocked nearly all the time.
    pub(crate) fn is_greedy(&self) -> bool {
        self.greedy
    }

    /// What its requests ask for at least, in bytes.
    pub(crate) fn least_request(&self, tunables: &Tunables) -> u64 {
        if self.is_dry() { LEAST.min(tunables.fetch.segment_max) } else { 0 }
    }

    /// What its window is at least, in bytes.
    pub(crate) fn least_window(&self, now: Micros, config: &ReadaheadConfig) -> u64 {
        match self.greedy {
            true => config.max_window,
            false if self.is_starved(now) => config.max_window / 2,
            false => 0,
        }
    }

    /// Its reads have been blocked for `waited` so far; the first looks take `first`. Whether it was starved until now.
    fn look(&mut self, now: Micros, waited: Micros, first: Micros) -> bool {
        let (since, before) = *self.looked.get_or_insert((now, waited));
        let time = now.since(since);
        if time >= if self.is_dry() { AGAIN } else { first } {
            let eighths = waited.since(before).0.saturating_mul(8) / time.0.max(1);
            self.greedy = eighths >= GREEDY;
            if eighths >= DRY {
                self.blocked.get_or_insert((now, before));
            }
            self.looked = Some((now, waited));
        }
        let starved = self.blocked.is_some_and(|(_, until)| waited > until);
        if starved {
            self.blocked = Some((now, waited));
        }
        starved
    }
}

/// Whether the round trip is that of a long way. Before an answer came over a connection used before, the first one tells
/// that was made: it took two round trips at least.
fn is_far(estimator: &Estimator) -> bool {
    let link = estimator.link();
    match estimator.estimate().first_byte {
        Some(_) => link.round_trip > FAR,
        None => link.cold > FAR_COLD,
    }
}

impl Scheduler {
    /// Looks which readers of `id` have run dry. Where its origin has other resources the link is not its own.
    pub(super) fn notice_dry(&mut self, id: ResourceId) {
        let Some(resource) = self.resources.get_mut(&id) else {
            return;
        };
        let Some(origin) = self.origins.get(&resource.origin) else {
            return;
        };
        let looked_for = origin.resources <= 1 && is_far(&origin.estimator);
        resource.notice_dry(self.now, looked_for);
    }
}

impl Resource {
    /// Whether `reader` has run dry over a long way.
    pub(super) fn is_dry(&self, reader: Option<ReaderId>) -> bool {
        let cursor = reader.and_then(|reader| self.cursors.one(reader));
        cursor.and_then(|cursor| cursor.stream.as_ref()).is_some_and(|s| s.dry.is_dry())
    }

    fn notice_dry(&mut self, now: Micros, looked_for: bool) {
        for (_, cursor) in self.cursors.all_mut() {
            let waited = cursor.waited(now);
            let Some(stream) = &mut cursor.stream else { continue };
            if !looked_for || !stream.confirmed {
                stream.dry = Dry::default();
                continue;
            }
            let first = if stream.far { SOUGHT } else { OPENED };
            if stream.dry.look(now, waited, first) {
                // What it consumed was what it got, and says nothing of how much it is to have in hand.
                cursor.consumption = Consumption::default();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::byte_range::ByteRange;
    use crate::config::ReadaheadConfig;
    use crate::ids::{DemandId, OriginId};
    use crate::sched::cursors::Demand;
    use crate::sched::event::Urgency;
    use crate::sched::window::Stream;

    const READER: ReaderId = ReaderId(1);

    const fn ms(n: u64) -> Micros {
        Micros::from_millis(n)
    }

    /// A look at 0, and another one once its reads were blocked for so long of so long.
    fn looked(first: Micros, blocked: u64, of: u64) -> Dry {
        let mut dry = Dry::default();
        dry.look(ms(0), ms(0), first);
        dry.look(ms(of), ms(blocked), first);
        dry
    }

    #[test]
    fn p4_who_waits_for_three_quarters_of_the_first_moments_has_run_dry() {
        let dry = |blocked, of| looked(OPENED, blocked, of).is_dry();
        assert_eq!([dry(1125, 1500), dry(1124, 1500)], [true, false]);
        assert!(!dry(1499, 1499), "it is not looked at for long enough");
        let mut dry = looked(OPENED, 100, 1500);
        assert!(!dry.look(ms(2999), ms(1299), OPENED));
        assert!(dry.look(ms(3000), ms(1300), OPENED), "each time is looked at by itself");
    }

    #[test]
    fn p4_what_it_consumes_counts_again_five_seconds_after_it_was_blocked() {
        let config = ReadaheadConfig::default();
        let mut dry = looked(OPENED, 1500, 1500);
        assert!(dry.look(ms(3000), ms(1501), OPENED));
        assert!(!dry.look(ms(7999), ms(1501), OPENED));
        assert_eq!([7999, 8000].map(|at| dry.is_starved(ms(at))), [true, false]);
        assert_eq!([7999, 8000].map(|at| dry.least_window(ms(at), &config)), [32 << 20, 0]);
        assert!(dry.is_dry(), "its flows go on");
        assert!(!looked(OPENED, 100, 1500).is_starved(ms(1500)));
    }

    #[test]
    fn p4_its_requests_are_no_small_ones_and_no_larger_than_the_largest() {
        let mut tunables = Tunables::default();
        assert_eq!(Dry::default().least_request(&tunables), 0);
        assert_eq!(looked(OPENED, 1500, 1500).least_request(&tunables), LEAST);
        tunables.fetch.segment_max = 512 << 10;
        assert_eq!(looked(OPENED, 1500, 1500).least_request(&tunables), 512 << 10);
    }

    #[test]
    fn p4_a_first_answer_tells_a_long_way_until_a_connection_was_used_again() {
        let mut estimator = Estimator::default();
        assert!(!is_far(&estimator));
        estimator.answered(ms(400), false, false);
        assert!(is_far(&estimator));
        estimator.answered(ms(120), true, true);
        assert!(!is_far(&estimator), "a slow server, or many handshakes");
        let mut estimator = Estimator::default();
        estimator.answered(ms(200), true, false);
        assert!(is_far(&estimator));
        let mut estimator = Estimator::default();
        estimator.began_cold(ms(400));
        assert!(is_far(&estimator), "no new connection would have been sooner");
    }

    /// A reader that goes on from the start, or from where a seek led it, and has waited since 0; at so many ms.
    fn waiting(sought: bool, looks: &[(u64, bool)]) -> Resource {
        let config = ReadaheadConfig::default();
        let mut resource = Resource::new(ResourceId(1), OriginId(1), Some(1 << 30), &[], true);
        resource.cursors.open(READER, 0);
        let cursor = resource.cursors.one_mut(READER).expect("it was opened");
        let (id, range, since) = (DemandId(1), ByteRange::new(9, 10), ms(0));
        let urgency = Urgency::Blocked;
        cursor.demand = Some(Demand { id, range, urgency, since, budget_from: since });
        let far = sought.then(|| Stream::begin(0, ms(0), &config));
        let mut stream = Stream::begin(7, ms(0), &config).after(far.as_ref());
        stream.confirmed = true;
        cursor.stream = Some(stream);
        for (at, looked_for) in looks {
            resource.notice_dry(ms(*at), *looked_for);
        }
        resource
    }

    #[test]
    fn p4_after_a_seek_it_takes_longer_to_be_sure() {
        let is = |resource: Resource| resource.is_dry(Some(READER));
        assert!(is(waiting(false, &[(0, true), (1500, true)])));
        assert!(!is(waiting(true, &[(0, true), (4999, true)])));
        assert!(is(waiting(true, &[(0, true), (5000, true)])));
        assert!(!is(waiting(false, &[(0, false), (9000, false)])), "near, or not alone");
        assert!(!is(waiting(false, &[(0, true), (1500, true), (1501, false)])));
    }

    #[test]
    fn p4_what_it_consumed_while_it_was_starved_is_forgotten() {
        let consumed = |looks: &[(u64, bool)]| {
            let mut resource = waiting(false, &looks[..1]);
            let cursor = resource.cursors.one_mut(READER).expect("it was opened");
            cursor.consumption.advance(ms(0), 0);
            cursor.consumption.advance(ms(1000), 1_000_000);
            for (at, looked_for) in &looks[1..] {
                resource.notice_dry(ms(*at), *looked_for);
            }
            resource.cursors.one(READER).and_then(|cursor| cursor.consumption.rate())
        };
        assert_eq!(consumed(&[(0, true), (1499, true)]), Some(1e6));
        assert_eq!(consumed(&[(0, true), (1500, true)]), None);
        assert_eq!(consumed(&[(0, true), (1500, false)]), Some(1e6));
    }
}
