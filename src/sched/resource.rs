//! One resource as the scheduler sees it.

use std::collections::BTreeMap;

use crate::byte_range::ByteRange;
use crate::config::{ReadaheadConfig, Tunables};
use crate::error::Error;
use crate::ids::{HintId, OriginId, ReaderId, ResourceId};
use crate::sched::cursors::{Cursor, Cursors, share};
use crate::sched::estimator::Link;
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

/// The window of a cursor that has read something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// Whose.
    pub(crate) reader: ReaderId,
    /// Whether it is the most recently used one.
    pub(crate) primary: bool,
    /// From the cursor on, clipped to the length.
    pub(crate) range: ByteRange,
    /// Its size before clipping, in bytes.
    pub(crate) size: u64,
    /// Whether its reader went on from where it began.
    pub(crate) settled: bool,
    /// Where its run began, if it grows with what is read since then.
    pub(crate) grows_from: Option<u64>,
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
    /// Whether a cursor left its place so lately that what runs there still has its grace.
    pub(crate) in_grace: bool,
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
            in_grace: false,
        }
    }

    /// How fast that cursor consumes: declared, else observed, else unknown.
    pub(crate) fn rate(&self, cursor: &Cursor) -> Option<f64> {
        match self.declared {
            Some(rate) => Some(rate as f64),
            None => cursor.consumption.rate(),
        }
    }

    /// The windows of all cursors that have read something, the most recently used first.
    pub(crate) fn windows(&self, now: Micros, config: &ReadaheadConfig) -> Vec<Window> {
        let active = self.cursors.active();
        let count = active.len();
        let window = |(rank, reader): (usize, &ReaderId)| {
            let cursor = self.cursors.one(*reader)?;
            let stream = cursor.stream.as_ref()?;
            let rate = self.rate(cursor);
            let whole = stream.window(now, cursor.position, rate, config);
            let size = share(whole, rank, count, config.initial_window);
            let range = ByteRange::at(cursor.position, size).until(self.map.end());
            let grows_from = (stream.confirmed && rate.is_none()).then_some(stream.start);
            let (primary, settled) = (rank == 0, stream.confirmed);
            Some(Window { reader: *reader, primary, range, size, settled, grows_from })
        };
        active.iter().enumerate().filter_map(window).collect()
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

    /// Whether it is so small that all of it is fetched once anything of it is read.
    pub(crate) fn is_small(&self, tunables: &Tunables, link: &Link) -> bool {
        let config = &tunables.readahead;
        let soon = (link.flow * SMALL_SECONDS) as u64;
        config.enabled
            && config.whole_file > 0
            && self.map.len().is_some_and(|len| len <= config.whole_file.max(soon))
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
