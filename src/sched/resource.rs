//! One resource as the scheduler sees it.

use std::collections::BTreeMap;

use crate::byte_range::ByteRange;
use crate::config::{ReadaheadConfig, Tunables};
use crate::error::Error;
use crate::ids::{HintId, OriginId, ReaderId, ResourceId};
use crate::sched::bound::Bound;
use crate::sched::budget::Bucket;
use crate::sched::cursors::{Cursor, Cursors};
use crate::sched::estimator::Link;
use crate::sched::event::Confined;
use crate::sched::hedge::Late;
use crate::sched::retry::Retries;
use crate::sched::segment_map::SegmentMap;
use crate::time::Micros;

/// A resource that the link brings within so many seconds is small, whatever the configuration says.
const SMALL_SECONDS: f64 = 2.0;

/// How the server hands out the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transfer {
    /// As far as we know, in ranges.
    Ranges,
    /// Only the whole from byte 0 on: one sequential fetch at a time.
    Whole,
}

/// A range that somebody will probably want.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hint {
    /// Which bytes.
    pub(crate) range: ByteRange,
    /// By when.
    pub(crate) deadline: Option<Micros>,
}

/// One open resource.
#[derive(Debug)]
pub(crate) struct Resource {
    /// Its name.
    pub(crate) id: ResourceId,
    /// Where it comes from.
    pub(crate) origin: OriginId,
    /// Whether the network may be used.
    pub(crate) online: bool,
    /// The state of each byte.
    pub(crate) map: SegmentMap,
    /// Its readers.
    pub(crate) cursors: Cursors,
    /// What is hinted at.
    pub(crate) hints: BTreeMap<HintId, Hint>,
    /// What failed.
    pub(crate) retries: Retries,
    /// How it is handed out.
    pub(crate) transfer: Transfer,
    /// Declared consumption, in bytes per second.
    pub(crate) declared: Option<u64>,
    /// Whether the media is playing.
    pub(crate) playing: bool,
    /// Whether the end of this generation was told.
    pub(crate) end_told: bool,
    /// Why it is finished, if it is.
    pub(crate) fatal: Option<Error>,
    /// Bytes fetched that were there already.
    pub(crate) bytes_twice: u64,
    /// Whether a request was ever made for it.
    pub(crate) probed: bool,
    /// What the last plan queued.
    pub(crate) queued: Vec<ByteRange>,
    /// After how many more bytes a new plan may want more.
    pub(crate) watch: Option<u64>,
    /// The requests that were made for it lately.
    pub(crate) bucket: Bucket,
    /// Fetches that another one is to help out.
    pub(crate) late: Vec<Late>,
    /// Second requests that were sent beside late ones, or for their rear.
    pub(crate) hedges: u64,
    /// When one more flow was tried last.
    pub(crate) tried_flows: Option<Micros>,
    /// Whether a cursor left its place so lately that what runs there still has its grace.
    pub(crate) in_grace: bool,
    /// How little can be kept of it, while that is so.
    pub(crate) confined: Option<Confined>,
    /// How much of it is to be kept.
    pub(crate) bound: Bound,
}

impl Resource {
    /// A resource of which `covered` is stored.
    pub(crate) fn new(
        id: ResourceId,
        origin: OriginId,
        len: Option<u64>,
        covered: &[ByteRange],
        online: bool,
    ) -> Self {
        let mut map = SegmentMap::new(len);
        for range in covered {
            map.cover(*range);
        }
        Self {
            id,
            origin,
            online,
            map,
            cursors: Cursors::default(),
            hints: BTreeMap::new(),
            retries: Retries::default(),
            transfer: Transfer::Ranges,
            declared: None,
            playing: true,
            end_told: false,
            fatal: None,
            bytes_twice: 0,
            probed: false,
            queued: Vec::new(),
            watch: None,
            bucket: Bucket::default(),
            late: Vec::new(),
            hedges: 0,
            tried_flows: None,
            in_grace: false,
            confined: None,
            bound: Bound::default(),
        }
    }

    /// How fast that cursor consumes: declared, else observed, else unknown.
    pub(crate) fn rate(&self, cursor: &Cursor) -> Option<f64> {
        match self.declared {
            Some(rate) => Some(rate as f64),
            None => cursor.consumption.rate(),
        }
    }

    /// How far ahead of its cursor a reader may jump without leaving its run, in bytes: its window, and
    /// what is there or on its way without a hole, up to `most` more.
    pub(crate) fn reach(
        &self,
        reader: ReaderId,
        now: Micros,
        config: &ReadaheadConfig,
        most: u64,
    ) -> u64 {
        let Some((cursor, stream)) =
            self.cursors.one(reader).and_then(|cursor| Some((cursor, cursor.stream.as_ref()?)))
        else {
            return 0;
        };
        let at = cursor.position;
        let window = stream.window(now, at, self.rate(cursor), config);
        let search = ByteRange::at(at, window.saturating_add(most)).until(self.map.end());
        let gap = self.map.first_missing(search).map_or(search.end, |gap| gap.start);
        window.max(gap.saturating_sub(at))
    }

    /// Whether it is so small that all of it is fetched once anything of it is read: as configured, or
    /// because it comes soon and the largest window would hold it.
    pub(crate) fn is_small(&self, tunables: &Tunables, link: &Link) -> bool {
        let config = &tunables.readahead;
        let soon = (link.flow * SMALL_SECONDS) as u64;
        let soon = soon.min(config.max_window);
        config.enabled
            && self.confined.is_none()
            && config.whole_file > 0
            && self.map.len().is_some_and(|len| len <= config.whole_file.max(soon))
    }

    /// The fetch that is late with the byte at `offset`, if it is to be helped out from there on.
    pub(crate) fn late_at(&self, offset: u64) -> Option<Late> {
        self.late.iter().find(|late| late.from == offset).copied()
    }

    /// Whether a blocked read waits at `offset`.
    pub(crate) fn is_waited_for(&self, range: ByteRange) -> bool {
        self.cursors.demands().any(|(_, d)| d.is_blocked() && range.contains(d.range.start))
    }

    /// So many bytes came. Whether a new plan may want more now.
    pub(crate) fn count_down(&mut self, bytes: u64) -> bool {
        match self.watch {
            Some(left) if left <= bytes => {
                self.watch = None;
                true
            }
            Some(left) => {
                self.watch = Some(left - bytes);
                false
            }
            None => false,
        }
    }

    /// `range` was stored, and `ahead` is what it was a step towards. Whether a demand may be met now.
    pub(crate) fn progressed(&mut self, now: Micros, range: ByteRange, ahead: ByteRange) -> bool {
        let mut met = false;
        for (_, cursor) in self.cursors.all_mut() {
            let Some(demand) = &mut cursor.demand else {
                continue;
            };
            if demand.is_blocked() {
                met |= range.contains(demand.range.start);
            } else {
                met |= range.overlaps(demand.range);
            }
            if ahead.contains(demand.range.start) {
                demand.budget_from = now;
            }
        }
        met
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::DemandId;
    use crate::sched::cursors::Demand;
    use crate::sched::event::Urgency;

    const MIB: u64 = 1 << 20;
    const READER: ReaderId = ReaderId(1);

    fn resource(len: Option<u64>) -> Resource {
        let covered = [ByteRange::new(0, 5 * MIB)];
        let mut resource = Resource::new(ResourceId(1), OriginId(1), len, &covered, true);
        resource.cursors.open(READER, 0);
        resource
    }

    /// The same with a reader that waits.
    fn waiting(range: ByteRange, urgency: Urgency) -> Resource {
        let mut resource = resource(Some(100 * MIB));
        let (id, since, budget_from) = (DemandId(1), Micros(0), Micros(0));
        let cursor = resource.cursors.one_mut(READER).expect("it was opened");
        cursor.demand = Some(Demand { id, range, urgency, since, budget_from });
        resource
    }

    fn is_small(len: Option<u64>, flow: f64, tune: impl FnOnce(&mut Tunables)) -> bool {
        let mut tunables = Tunables::default();
        tune(&mut tunables);
        let (round_trip, first_byte, cold) = (Micros(0), Micros(0), Micros(0));
        resource(len).is_small(
            &tunables,
            &Link { late: Micros(0), round_trip, first_byte, cold, flow, path: flow },
        )
    }

    #[test]
    fn p4_small_is_what_the_configuration_says_or_what_comes_within_two_seconds() {
        assert!(is_small(Some(8 * MIB), 1e6, |_| {}));
        assert!(!is_small(Some(8 * MIB + 1), 1e6, |_| {}));
        assert!(is_small(Some(20_000_000), 1e7, |_| {}));
        assert!(!is_small(Some(20_000_001), 1e7, |_| {}));
        assert!(!is_small(None, 1e6, |_| {}));
    }

    #[test]
    fn p4_what_comes_within_two_seconds_is_small_only_up_to_the_largest_window() {
        assert!(is_small(Some(64 * MIB), 1e9, |_| {}));
        assert!(!is_small(Some(64 * MIB + 1), 1e9, |_| {}));
        assert!(is_small(Some(8 * MIB), 1e9, |tunables| tunables.readahead.max_window = 4 * MIB));
    }

    #[test]
    fn p8_nothing_is_small_where_that_is_turned_off() {
        assert!(!is_small(Some(5), 1e6, |tunables| tunables.readahead.whole_file = 0));
        assert!(!is_small(Some(5), 1e6, |tunables| tunables.readahead.enabled = false));
    }

    #[test]
    fn a_new_plan_is_due_when_the_watched_bytes_have_come_and_only_once() {
        let mut resource = resource(None);
        assert!(!resource.count_down(1));
        resource.watch = Some(100);
        let due = [40, 59, 1, 1000].map(|bytes| resource.count_down(bytes));
        assert_eq!(due, [false, false, true, false]);
    }

    #[test]
    fn only_a_blocked_read_within_the_range_is_waited_for() {
        let (here, elsewhere) = (ByteRange::new(10, 20), ByteRange::new(11, 20));
        assert!(waiting(here, Urgency::Blocked).is_waited_for(ByteRange::new(5, 11)));
        assert!(!waiting(elsewhere, Urgency::Blocked).is_waited_for(ByteRange::new(5, 11)));
        assert!(!waiting(here, Urgency::Fill).is_waited_for(ByteRange::new(5, 11)));
    }

    #[test]
    fn e1_a_read_is_met_by_its_first_byte_and_a_fill_by_any() {
        let range = ByteRange::new(10, 20);
        let met = |urgency, start, end| {
            let range_of = |start, end| ByteRange::new(start, end);
            let mut resource = waiting(range, urgency);
            resource.progressed(Micros(7), range_of(start, end), range_of(start, end))
        };
        assert!(met(Urgency::Blocked, 5, 11));
        assert!(!met(Urgency::Blocked, 11, 30));
        assert!(met(Urgency::Fill, 11, 12));
        assert!(!met(Urgency::Fill, 20, 30));
    }

    #[test]
    fn n4_what_comes_on_the_way_to_a_wait_renews_its_budget() {
        let renewed = |ahead_end| {
            let mut resource = waiting(ByteRange::new(10, 20), Urgency::Blocked);
            resource.progressed(Micros(7), ByteRange::new(0, 5), ByteRange::new(0, ahead_end));
            resource.cursors.demands().any(|(_, demand)| demand.budget_from == Micros(7))
        };
        assert!(renewed(11));
        assert!(!renewed(10));
    }

    #[test]
    fn p3_what_is_stored_in_front_of_a_reader_is_within_its_reach() {
        let config = ReadaheadConfig::default();
        let mut resource = resource(Some(100 * MIB));
        let reach = |resource: &Resource, most| resource.reach(READER, Micros(0), &config, most);
        assert_eq!(reach(&resource, 0), 0, "it has read nothing");
        resource.cursors.moved(READER, MIB, 0, true, Micros(0), &config);
        assert_eq!(reach(&resource, 50 * MIB), 4 * MIB);
        assert_eq!(reach(&resource, MIB), config.initial_window + MIB);
        resource.cursors.moved(READER, 50 * MIB, 0, true, Micros(0), &config);
        assert_eq!(reach(&resource, 50 * MIB), config.initial_window, "nothing is there");
    }
}
