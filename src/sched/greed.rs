//! Who takes all that comes over a long way: a download, a copy, a film that is opened.
//!
//! Far away a request may be over before its connection has opened its window, and then it says nothing of what the path
//! can do. So a reader there whose reads are blocked nearly all the time has all requests for read-ahead at once, none of
//! them small, over the connections that were busy last, and no window but the largest. When it is served, it keeps
//! as many flows until it is known what each of them brings.

use crate::config::Tunables;
use crate::ids::{ReaderId, ResourceId};
use crate::sched::Scheduler;
use crate::sched::admit;
use crate::sched::estimator::Estimator;
use crate::sched::resource::Resource;
use crate::sched::window::Consumption;
use crate::time::Micros;

/// Longer round trips are those of a long way: the seven that a connection needs to open its window are a second.
const FAR: Micros = Micros::from_millis(150);
/// And longer first answers over new connections.
const FAR_COLD: Micros = Micros::from_millis(380);
/// So long a reader that no seek led here is looked at first: its first request was small, and its path is not known.
const OPENED: Micros = Micros::from_millis(1500);
/// The same after a seek: most who seek do so again.
const SOUGHT: Micros = Micros::from_millis(5000);
/// And how often afterwards.
const AGAIN: Micros = Micros::from_millis(1000);
/// It takes all that comes if its reads are blocked for so many eighths of that.
const EIGHTHS: u64 = 7;
/// Its requests are no smaller, in bytes: a new connection brings 1.8 MB in the seven round trips after which it is open.
const LEAST: u64 = 2 << 20;

/// Whether a reader takes all that comes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Greed {
    /// Since when it is looked at, and how long its reads had been blocked then.
    looked: Option<(Micros, Micros)>,
    greedy: bool,
}

impl Greed {
    /// Whether it does, as far as is known.
    pub(crate) fn is_greedy(&self) -> bool {
        self.greedy
    }

    /// What its requests ask for at least, in bytes.
    pub(crate) fn least(&self, tunables: &Tunables) -> u64 {
        if self.greedy { LEAST.min(tunables.fetch.segment_max) } else { 0 }
    }

    /// Its reads have been blocked for `waited` so far; the first look takes `first`.
    fn look(&mut self, now: Micros, waited: Micros, first: Micros) {
        let (since, before) = *self.looked.get_or_insert((now, waited));
        let time = now.since(since);
        if time >= if self.greedy { AGAIN } else { first } {
            self.greedy = waited.since(before).0.saturating_mul(8) >= time.0 * EIGHTHS;
            self.looked = Some((now, waited));
        }
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
    /// Looks which readers of `id` take all that comes. Where its origin has other resources the link is not its own.
    pub(super) fn notice_greed(&mut self, id: ResourceId) {
        let Some(resource) = self.resources.get_mut(&id) else {
            return;
        };
        let Some(origin) = self.origins.get(&resource.origin) else {
            return;
        };
        let looked_for = origin.resources <= 1 && is_far(&origin.estimator);
        let slots = admit::slots_ahead(&self.tunables.fetch) as usize;
        resource.notice_greed(self.now, looked_for, slots);
    }
}

impl Resource {
    /// Whether `reader` takes all that comes.
    pub(super) fn is_read_greedily(&self, reader: Option<ReaderId>) -> bool {
        let cursor = reader.and_then(|reader| self.cursors.one(reader));
        cursor.and_then(|cursor| cursor.stream.as_ref()).is_some_and(|s| s.greed.is_greedy())
    }

    fn notice_greed(&mut self, now: Micros, looked_for: bool, slots: usize) {
        let mut served = false;
        for (_, cursor) in self.cursors.all_mut() {
            let waited = cursor.waited(now);
            let Some(stream) = &mut cursor.stream else { continue };
            let was = stream.greed.is_greedy();
            if looked_for && stream.confirmed {
                let first = if stream.far { SOUGHT } else { OPENED };
                stream.greed.look(now, waited, first);
            } else {
                stream.greed.greedy = false;
            }
            if looked_for && was && !stream.greed.is_greedy() {
                stream.flows = slots;
                // What it consumed was what it got, and says nothing of how much it is to have in hand now.
                cursor.consumption = Consumption::default();
                served = true;
            }
        }
        if served {
            self.tried_flows = Some(now);
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
    fn looked(first: Micros, blocked: u64, of: u64) -> Greed {
        let mut greed = Greed::default();
        greed.look(ms(0), ms(0), first);
        greed.look(ms(of), ms(blocked), first);
        greed
    }

    #[test]
    fn p4_who_waits_for_seven_eighths_of_the_time_takes_all_that_comes() {
        let greedy = |blocked, of| looked(OPENED, blocked, of).is_greedy();
        assert_eq!([greedy(1400, 1600), greedy(1399, 1600)], [true, false]);
        assert!(!greedy(1499, 1499), "it is not looked at for long enough");
        let mut greed = looked(OPENED, 1600, 1600);
        greed.look(ms(2599), ms(1600), OPENED);
        assert!(greed.is_greedy());
        greed.look(ms(2600), ms(1600), OPENED);
        assert!(!greed.is_greedy(), "it was served for a second");
    }

    #[test]
    fn p4_its_requests_are_no_small_ones_and_no_larger_than_the_largest() {
        let mut tunables = Tunables::default();
        assert_eq!(Greed::default().least(&tunables), 0);
        assert_eq!(looked(OPENED, 1600, 1600).least(&tunables), LEAST);
        tunables.fetch.segment_max = 512 << 10;
        assert_eq!(looked(OPENED, 1600, 1600).least(&tunables), 512 << 10);
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
            resource.notice_greed(ms(*at), *looked_for, 3);
        }
        resource
    }

    #[test]
    fn p4_after_a_seek_it_takes_longer_to_be_sure() {
        let is = |resource: Resource| resource.is_read_greedily(Some(READER));
        assert!(is(waiting(false, &[(0, true), (1500, true)])));
        assert!(!is(waiting(true, &[(0, true), (4999, true)])));
        assert!(is(waiting(true, &[(0, true), (5000, true)])));
        assert!(!is(waiting(false, &[(0, false), (9000, false)])), "near, or not alone");
        assert!(!is(waiting(false, &[(0, true), (1500, true), (1501, false)])));
    }

    #[test]
    fn p4_when_it_is_served_its_flows_go_on() {
        let mut resource = waiting(false, &[(0, true), (1500, true)]);
        resource.cursors.one_mut(READER).expect("it was opened").met(ms(1500));
        resource.notice_greed(ms(2500), true, 3);
        assert!(!resource.is_read_greedily(Some(READER)));
        let cursor = resource.cursors.one(READER).expect("it was opened");
        assert_eq!(cursor.stream.as_ref().map(|stream| stream.flows), Some(3));
        assert_eq!(resource.tried_flows, Some(ms(2500)));
    }
}
