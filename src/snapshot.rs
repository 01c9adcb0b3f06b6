//! [`Snapshot`]: a session at one moment, for displays and measurements.

use std::ops::Range;

use crate::byte_range::ByteRange;
use crate::sched::Class;
use crate::session::SessionShared;
use crate::sync::{AtomicU64, Ordering};

/// A session at one moment. All ranges are in bytes, half-open and sorted.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Snapshot {
    /// Length of the resource, if known.
    pub len: Option<u64>,
    /// Whether every byte is stored and the end of the stream was told.
    pub complete: bool,
    /// Whether the server does ranges, as far as is known.
    pub ranges_supported: bool,
    /// Stored bytes, merged.
    pub covered: Vec<Range<u64>>,
    /// Bytes being fetched, and what for.
    pub in_flight: Vec<InFlight>,
    /// Bytes queued, merged.
    pub wanted: Vec<Range<u64>>,
    /// Positions of the session's readers.
    pub cursors: Vec<u64>,
    /// How far is read ahead at present, in bytes.
    pub window: u64,
    /// Round trip plus server time on a warm connection, in microseconds; `None` before the first measurement.
    pub first_byte_micros: Option<u64>,
    /// Bytes per second of one request; `None` before the first measurement.
    pub rate: Option<u64>,
    /// Requests sent for the resource.
    pub requests: u64,
    /// Those of them that were sent beside late ones, over another connection, or took over their rear.
    pub hedges: u64,
    /// Connections made for them.
    pub connections: u64,
    /// Body bytes received.
    pub bytes_fetched: u64,
    /// Body bytes received for nothing: there already, or thrown away.
    pub bytes_wasted: u64,
    /// Stored bytes given back to the disk, as the resource is larger than
    /// [`StoreConfig::max_bytes`](crate::StoreConfig::max_bytes) leaves room for.
    pub bytes_evicted: u64,
    /// Bytes given to this session's readers.
    pub bytes_read: u64,
    /// Reads served without waiting.
    pub hits: u64,
    /// Reads that had to wait.
    pub waits: u64,
}

/// Bytes being fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InFlight {
    /// What was asked for, as far as the resource is known to go.
    pub range: Range<u64>,
    /// What for.
    pub purpose: Purpose,
}

impl InFlight {
    fn end_at(&mut self, len: Option<u64>) {
        self.range.end = self.range.end.min(len.unwrap_or(u64::MAX));
    }
}

/// What bytes are fetched for, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// A read waits for them, or for those just before.
    Read,
    /// A hint said that they will be wanted.
    Hint,
    /// Reading ahead of a cursor.
    Readahead,
    /// Completing the resource.
    Fill,
}

impl Purpose {
    /// In one word of lower case, as the page of the local server has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Hint => "hint",
            Self::Readahead => "readahead",
            Self::Fill => "fill",
        }
    }
}

impl From<Class> for Purpose {
    fn from(class: Class) -> Self {
        match class {
            Class::Blocked | Class::FirstWindow => Self::Read,
            Class::Hint => Self::Hint,
            Class::Secondary | Class::Near | Class::Far => Self::Readahead,
            Class::Fill => Self::Fill,
        }
    }
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Snapshot {
    /// How many bytes are stored.
    #[must_use]
    pub fn covered_bytes(&self) -> u64 {
        self.covered.iter().map(|range| range.end - range.start).sum()
    }

    /// The session now.
    pub(crate) fn of(session: &SessionShared) -> Self {
        let resource = &session.resource;
        // Before the view, which is refreshed before an ended fetch is taken out.
        let mut in_flight: Vec<InFlight> = resource
            .fetches
            .lock()
            .values()
            .map(|(range, class)| InFlight { range: range.to_std(), purpose: (*class).into() })
            .collect();
        // After the fetches: one that began before the length was learnt may reach past it.
        let len = session.len();
        in_flight.iter_mut().for_each(|span| span.end_at(len));
        in_flight.retain(|span| !span.range.is_empty());
        in_flight.sort_by_key(|span| (span.range.start, span.range.end));
        let view = resource.view.lock().clone();
        let estimate = *resource.estimate.lock();
        let tally = session.tally();
        let counters = &resource.counters;
        Self {
            len,
            complete: resource.bytes.is_complete(),
            ranges_supported: view.ranges,
            covered: resource.bytes.covered().into_iter().map(ByteRange::to_std).collect(),
            in_flight,
            wanted: view.wanted.into_iter().map(ByteRange::to_std).collect(),
            cursors: session.cursors(),
            window: view.window,
            first_byte_micros: estimate.first_byte.map(|micros| micros.0),
            rate: estimate.rate,
            requests: load(&counters.requests),
            hedges: view.hedges,
            connections: load(&counters.connections),
            bytes_fetched: load(&counters.bytes_fetched),
            bytes_wasted: load(&counters.bytes_wasted),
            bytes_evicted: load(&counters.bytes_evicted),
            bytes_read: tally.bytes_read,
            hits: tally.hits,
            waits: tally.waits,
        }
    }
}
