//! What the driver tells the scheduler, and what the scheduler asks of the driver.
//!
//! Plain values: no payload bytes, no handles. Ranges are in bytes and half-open.

use crate::byte_range::ByteRange;
use crate::config::Tunables;
use crate::connection::ConnectionUse;
use crate::error::Error;
use crate::ids::{DemandId, FetchId, HintId, Lane, OriginId, ReaderId, ResourceId, SpareId};
use crate::time::Micros;

/// What happened.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A resource is open from now on.
    ResourceOpened {
        resource: ResourceId,
        origin: OriginId,
        /// Known from the store, if at all.
        len: Option<u64>,
        /// What the store already has: sorted, apart from each other, none empty.
        covered: Vec<ByteRange>,
        /// False while the engine is offline: then nothing is ever fetched, and a demand for a
        /// missing byte fails at once with `OfflineMiss`.
        online: bool,
    },
    /// The resource is closed: its fetches are cancelled and everything about it is forgotten.
    ResourceClosed { resource: ResourceId },
    /// The length became known, or turned out to be something else. Never below covered bytes.
    LenKnown { resource: ResourceId, len: u64 },
    /// Everything stored of the resource is void and a new generation begins; demands stay.
    GenerationChanged { resource: ResourceId, len: Option<u64> },
    /// Stored bytes are gone.
    Shrunk { resource: ResourceId, range: ByteRange },
    /// Bytes are stored that no fetch has brought: another engine did. Readers of them are awake only afterwards.
    Brought { resource: ResourceId, range: ByteRange },
    /// Only so much of the resource can be kept from now on; `None`: as much as there is room for, again.
    Confined { resource: ResourceId, to: Option<Confined> },
    /// Of this resource, and of all others of which that was said, no more than so many bytes are to be kept; `None`: as
    /// many as come. Comes after it was opened.
    Bounded { resource: ResourceId, to: Option<u64> },
    /// What `Shed` asked for is done, as far as it could be; `Shrunk` came before for what went.
    Shed { resource: ResourceId },

    /// A reader exists from now on; its cursor is at `position`.
    ReaderOpened { resource: ResourceId, reader: ReaderId, position: u64 },
    /// The reader is gone, and its demand with it.
    ReaderClosed { reader: ReaderId },
    /// The reader waits for the first byte of `range`, and its buffer ends at `range.end`. Replaces an
    /// earlier demand of the same reader. For `Urgency::Fill` it waits for all of `range`.
    Demand { reader: ReaderId, demand: DemandId, range: ByteRange, urgency: Urgency },
    /// Nobody waits for that demand any more (ignored if it is not the reader's newest).
    DemandWithdrawn { reader: ReaderId, demand: DemandId },
    /// The reader read covered bytes: its cursor is now at `position`. Sent when it passes its
    /// refill mark, and when it goes on at another place than where it stopped.
    Moved { reader: ReaderId, position: u64 },

    /// Somebody will probably want `range` by `deadline`. Replaces an earlier hint of the same id.
    Hinted { resource: ResourceId, hint: HintId, range: ByteRange, deadline: Option<Micros> },
    /// The hint holds no longer.
    HintWithdrawn { hint: HintId },
    /// The application declared how fast it consumes, in bytes per second; `None` takes it back.
    RateDeclared { resource: ResourceId, bytes_per_second: Option<u64> },
    /// Whether the media is playing: a paused one fills its window and then rests.
    PlayingChanged { resource: ResourceId, playing: bool },

    /// The answer's head was accepted and its body begins.
    FetchStarted {
        fetch: FetchId,
        shape: BodyShape,
        connection: ConnectionUse,
        /// Whether the connection carries further requests beside this one (HTTP/2).
        multiplexed: bool,
    },
    /// Bytes of the fetch are stored (and readers of them already awake). Always sent in the
    /// order in which the bytes came, and before the fetch's end.
    Written { fetch: FetchId, range: ByteRange },
    /// The fetch is over, for whatever reason. Nothing more comes from it.
    FetchEnded { fetch: FetchId, outcome: FetchOutcome },

    /// The connection that `Preconnect` asked for is open, and waits for a request.
    SpareReady { spare: SpareId },
    /// It is closed, or never came about. Comes once for each `Preconnect`, also if a request has taken it.
    SpareGone { spare: SpareId },

    /// The knobs were turned.
    Tuned { tunables: Box<Tunables> },
    /// A timer that `next_timeout` announced may be due.
    Tick,
}

/// The bounds of a resource whose disk refuses, so that what comes is held in memory for a while.
#[derive(Debug, Clone)]
pub(crate) struct Confined {
    /// Most that is read ahead, over all its cursors, and most that one request asks for, in bytes.
    pub(crate) window: u64,
    /// Why; for whoever wants all of it to be there.
    pub(crate) error: Error,
}

/// Why a reader waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// A read is blocked.
    Blocked,
    /// Somebody waits for the whole range to be there, in no hurry.
    Fill,
}

/// What kind of body answers a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyShape {
    /// The bytes of this range, as the answer's Content-Range says: it covers the first byte asked
    /// for, and is cut off at the end asked for.
    Part(ByteRange),
    /// The whole resource from byte 0 on: the server does not do ranges. From now on the resource
    /// has one sequential fetch at a time.
    Whole,
}

/// How a fetch ended.
#[derive(Debug, Clone)]
pub(crate) enum FetchOutcome {
    /// The body came to its announced end.
    Complete,
    /// It failed; what was written before stays.
    Failed(Failure),
    /// It ended because `CancelFetch` asked for it.
    Cancelled,
}

/// Why a fetch failed, and what may be done about it.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// What the reader will be told if nothing helps.
    pub(crate) error: Error,
    /// What may be done.
    pub(crate) remedy: Remedy,
}

/// What may be done about a failed fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Try again, not before `after` from now if the origin said so.
    Retry { after: Option<Micros> },
    /// Tell those who wait; a later demand may try again.
    GiveUp,
    /// The resource is finished: tell everybody, now and later.
    Fatal,
}

/// What the driver must do, in the order given.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// Request `range` (bounded, never empty) over `lane`. The only way a request comes about.
    StartFetch {
        fetch: FetchId,
        resource: ResourceId,
        range: ByteRange,
        lane: Lane,
        class: Class,
        /// 1 for the first try of these bytes.
        attempt: u32,
    },
    /// Make a connection in the demand lane to where `resource` is, for a later request. Nothing is asked for.
    Preconnect { resource: ResourceId, spare: SpareId },
    /// Stop the fetch; its `FetchEnded` follows.
    CancelFetch { fetch: FetchId },
    /// Stop or go on polling the body. Only for a body without a bound (`BodyShape::Whole`).
    PauseFetch { fetch: FetchId, paused: bool },
    /// The demand cannot be met now. The reader may ask again.
    FailDemand { reader: ReaderId, demand: DemandId, error: Error },
    /// The resource is finished; every waiting and later read gets `error`.
    FailResource { resource: ResourceId, error: Error },
    /// Send `Moved` once the reader's cursor is at or past `at`.
    SetRefill { reader: ReaderId, at: u64 },
    /// Give these stored bytes back to the disk: sorted, apart from each other. `Shrunk` follows for each, then `Shed`; or
    /// `Bounded` says that it cannot be done.
    Shed { resource: ResourceId, ranges: Vec<ByteRange> },
    /// The known length is fully covered. At most once per generation.
    EndOfStream { resource: ResourceId },
}

/// What a byte is wanted for; the smallest is the most urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Class {
    /// A read is blocked on it.
    Blocked,
    /// The rest of the first window of a blocked read.
    FirstWindow,
    /// Hints, and probes of head and tail.
    Hint,
    /// Cursors other than the most recently used one, and previews.
    Secondary,
    /// Read-ahead up to half of the window.
    Near,
    /// Read-ahead beyond that.
    Far,
    /// Filling the rest of the resource.
    Fill,
}

/// Which timer `next_timeout` speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TimeoutReason {
    /// A segment's pause after a failure is over.
    Backoff,
    /// Speculation has used up its requests for a moment.
    Requests,
    /// A demand's time budget is used up.
    DemandBudget,
    /// The grace after a seek is over: the old place's fetches are looked at again.
    SeekGrace,
    /// A reader has waited for a running fetch: look again whether a new one would be sooner.
    WaitReview,
    /// What a reader waits for may be late: a second request may be worth it.
    Hedge,
    /// A reader was not moved for so long that the user has stopped scrubbing.
    ScrubEnd,
    /// A paused body has been left unread long enough.
    PausedBody,
    /// A hint has expired.
    HintExpiry,
}

/// What the scheduler shows of one resource.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ResourceView {
    /// Bytes being fetched, with their class: sorted by start.
    pub(crate) in_flight: Vec<(ByteRange, Class)>,
    /// Bytes in the queue, backing off included: sorted, merged.
    pub(crate) wanted: Vec<ByteRange>,
    /// Where each reader's cursor is, as far as the scheduler was told.
    pub(crate) cursors: Vec<(ReaderId, u64)>,
    /// Current read-ahead window, in bytes.
    pub(crate) window: u64,
    /// False once the server was seen not to do ranges.
    pub(crate) ranges: bool,
    /// Bytes fetched that were covered already.
    pub(crate) bytes_twice: u64,
    /// Second requests sent beside late ones, or for their rear.
    pub(crate) hedges: u64,
}

/// What the scheduler believes about one origin.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Estimate {
    /// Round trip plus server time on a warm connection; `None` before the first measurement.
    pub(crate) first_byte: Option<Micros>,
    /// Bytes per second of one flow; `None` before the first measurement.
    pub(crate) rate: Option<u64>,
}
