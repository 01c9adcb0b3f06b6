//! [`Session`]: one use of one resource. Dropping it is the way to stop.

mod opening;
mod version;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::OnceLock;
use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::Span;

use crate::byte_range::ByteRange;
use crate::engine::Alive;
use crate::engine::open::{self, Hold};
use crate::engine::reader_state::{ReaderList, ReaderState};
use crate::engine::resource::Resource;
use crate::engine::shared::Command;
use crate::error::Error;
use crate::events::Events;
use crate::ids::{DemandId, HintId, ReaderId};
use crate::observe::meters;
use crate::reader::{AsyncReader, Cursor, Reader};
use crate::sched::{Event, Urgency};
use crate::snapshot::Snapshot;
use crate::storage::{Look, Waited};
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, block_on};
use crate::time::Micros;
#[cfg(feature = "serve")]
pub(crate) use version::Version;

/// An open resource.
///
/// Hands out readers, and tells what is going on. Dropping the session ends it: blocked reads return
/// [`Error::Cancelled`], requests stop, and what was received is made durable in the background.
#[derive(Debug)]
pub struct Session {
    shared: Arc<SessionShared>,
    /// There once somebody has asked for a cancel token: few do, and a task for each session would be much for an idle one.
    watch: OnceLock<Watch>,
}

/// A cancel token, and the task that waits for it.
#[derive(Debug)]
struct Watch {
    token: CancellationToken,
    /// Ends the task.
    _gone: DropGuard,
}

impl Watch {
    fn begin(session: &Arc<SessionShared>) -> Self {
        let (token, gone) = (CancellationToken::new(), CancellationToken::new());
        let (cancelled, stop) = (token.clone(), gone.clone());
        // Weak: the watch must not keep alive what it watches.
        let watched = Arc::downgrade(session);
        session.engine.shared.own.spawn(async move {
            if stop.run_until_cancelled(cancelled.cancelled()).await.is_some()
                && let Some(session) = watched.upgrade()
            {
                session.end();
            }
        });
        Self { token, _gone: gone.drop_guard() }
    }
}

/// What a session and its readers share.
#[derive(Debug)]
pub(crate) struct SessionShared {
    number: u64,
    /// Parent of the spans of its readers.
    pub(crate) span: Span,
    engine: Arc<Alive>,
    /// The resource; stays readable in memory for readers that outlive the session, which get no byte of it.
    pub(crate) resource: Arc<Resource>,
    hold: Mutex<Option<Hold>>,
    ended: AtomicBool,
    readers: Mutex<Readers>,
    hover: HintId,
    /// The newest ones, the oldest first.
    prefetches: Mutex<VecDeque<HintId>>,
}

/// Most prefetches that one session has outstanding: far more than a player's next few places, and a bound for
/// one that asks for ever.
const PREFETCHES: usize = 256;

#[derive(Debug, Default)]
struct Readers {
    live: ReaderList,
    /// Those that wait for a range and read nothing: no cursors.
    waits: ReaderList,
    /// What readers that are gone have counted.
    gone: Tally,
}

/// Counters of readers.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) hits: u64,
    pub(crate) waits: u64,
    pub(crate) bytes_read: u64,
}

impl Tally {
    fn add(&mut self, reader: &ReaderState) {
        self.hits += reader.hits.load(Ordering::Relaxed);
        self.waits += reader.waits.load(Ordering::Acquire);
        self.bytes_read += reader.bytes_read.load(Ordering::Relaxed);
    }
}

impl SessionShared {
    /// Whether the session was dropped, closed or cancelled. One load, since every read asks.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// The engine, which lives as long as this.
    pub(crate) fn engine(&self) -> &Arc<Alive> {
        &self.engine
    }

    pub(crate) fn add_reader(&self, reader: Arc<ReaderState>) {
        self.resource.add_reader(reader.clone());
        self.readers.lock().live.insert(reader);
    }

    pub(crate) fn remove_reader(&self, reader: &ReaderState) {
        self.resource.remove_reader(reader.id);
        let mut readers = self.readers.lock();
        if readers.live.remove(reader.id) {
            readers.gone.add(reader);
        }
    }

    fn add_wait(&self, reader: Arc<ReaderState>) {
        self.readers.lock().waits.insert(reader);
    }

    fn remove_wait(&self, reader: ReaderId) {
        self.readers.lock().waits.remove(reader);
    }

    /// Counters of all readers so far.
    pub(crate) fn tally(&self) -> Tally {
        let readers = self.readers.lock();
        let mut tally = readers.gone;
        readers.live.iter().for_each(|reader| tally.add(reader));
        tally
    }

    /// Live readers' names and positions, in the order in which they were made.
    pub(crate) fn cursors(&self) -> Vec<u64> {
        let readers = self.readers.lock();
        readers.live.iter().map(|reader| reader.position.load(Ordering::Relaxed)).collect()
    }

    pub(crate) fn len(&self) -> Option<u64> {
        if self.resource.bytes.len().is_some() {
            self.resource.mark_used();
        }
        // Read after the mark: a restart in between is told to every reader then.
        self.resource.bytes.len()
    }

    /// Whether `error` is a restart of which the application has no need to know: no byte of any
    /// generation was given to it, nor a length.
    pub(crate) fn need_not_tell(&self, error: &Error) -> bool {
        matches!(error, Error::Restarted) && !self.resource.is_used()
    }

    /// Ends every wait and gives the resource back. When it returns, both have happened, whoever did it.
    fn end(&self) {
        if !self.ended.swap(true, Ordering::AcqRel) {
            self.end_waits();
            self.tell_end();
        }
        // Given back under the lock: whoever comes second must not go on before it is done.
        *self.hold.lock() = None;
    }

    fn tell_end(&self) {
        meters::shift(&meters::SESSIONS, &mut 1, 0);
        let Tally { hits, waits, bytes_read } = self.tally();
        let span = &self.span;
        span.record("read_bytes", bytes_read).record("hits", hits).record("waits", waits);
        span.in_scope(|| {
            tracing::debug!(read_bytes = bytes_read, hits, waits, "a session has ended");
        });
    }

    fn end_waits(&self) {
        let readers: Vec<_> = {
            let readers = self.readers.lock();
            readers.live.iter().chain(readers.waits.iter()).cloned().collect()
        };
        for reader in readers {
            reader.nudge();
        }
        let prefetches = std::mem::take(&mut *self.prefetches.lock());
        for hint in prefetches.into_iter().chain([self.hover]) {
            self.engine.shared.sched(Event::HintWithdrawn { hint });
        }
        self.resource.events.close(self.number);
    }

    /// See [`Reader::ready_at`].
    pub(crate) async fn ready_at(
        self: &Arc<Self>,
        offset: u64,
    ) -> Result<Option<Range<u64>>, Error> {
        self.wait_for(ByteRange::at(offset, 1), Urgency::Blocked).await?;
        match self.resource.bytes.look(offset) {
            Look::Covered(run) => Ok(Some(run.range().to_std())),
            Look::End => Ok(None),
            Look::Failed(error) => Err(error),
            // Evicted again between the two; the run is empty then.
            Look::Missing => Ok(Some(offset..offset)),
        }
    }

    /// Waits until all of `range`, as far as the length goes, is there.
    async fn wait_for(self: &Arc<Self>, range: ByteRange, urgency: Urgency) -> Result<(), Error> {
        let mut wait = Wait::new(self.clone(), range.start);
        let demand = DemandId(self.engine.shared.names.demand.next());
        let mut sent = false;
        std::future::poll_fn(move |cx| {
            loop {
                if wait.session.is_ended() {
                    return std::task::Poll::Ready(Err(Error::Cancelled));
                }
                let polled = wait.waiter.poll_ready(range, demand, cx);
                if polled.is_pending() && !sent {
                    sent = true;
                    wait.demand(range, demand, urgency);
                }
                return match polled {
                    std::task::Poll::Pending => std::task::Poll::Pending,
                    // What was demanded may be forgotten: it is demanded anew.
                    std::task::Poll::Ready(Waited::Nudged) => {
                        sent = false;
                        continue;
                    }
                    std::task::Poll::Ready(Waited::Failed(error))
                        if wait.session.need_not_tell(&error) =>
                    {
                        sent = false;
                        continue;
                    }
                    std::task::Poll::Ready(Waited::Failed(error)) => {
                        std::task::Poll::Ready(Err(error))
                    }
                    std::task::Poll::Ready(Waited::Ready(_) | Waited::End) => {
                        std::task::Poll::Ready(Ok(()))
                    }
                };
            }
        })
        .await
    }
}

/// Somebody who waits for a range without reading it; withdrawn when dropped.
struct Wait {
    session: Arc<SessionShared>,
    waiter: crate::storage::Waiter,
    reader: Arc<ReaderState>,
}

impl Wait {
    fn new(session: Arc<SessionShared>, position: u64) -> Self {
        let id = session.engine.shared.names.reader();
        let waiter = session.resource.bytes.waiter(id);
        let reader = Arc::new(ReaderState::new(id, waiter.nudger()));
        session.add_wait(reader.clone());
        let (resource, opened) = (session.resource.clone(), reader.clone());
        let opened = Command::ReaderOpened { resource, reader: opened, position };
        // After the end of the engine nobody hears it, and the wait has ended already.
        let _ = session.engine.shared.command(opened);
        Self { session, waiter, reader }
    }

    fn demand(&self, range: ByteRange, demand: DemandId, urgency: Urgency) {
        let reader = self.reader.id;
        self.session.engine.shared.sched(Event::Demand { reader, demand, range, urgency });
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.session.remove_wait(self.reader.id);
        self.session.engine.shared.sched(Event::ReaderClosed { reader: self.reader.id });
    }
}

impl Session {
    fn new(engine: Arc<Alive>, hold: Hold, number: u64, span: Span) -> Self {
        meters::shift(&meters::SESSIONS, &mut 0, 1);
        let hover = HintId(engine.shared.names.hint.next());
        let shared = Arc::new(SessionShared {
            number,
            span,
            resource: hold.resource.clone(),
            hold: Mutex::new(Some(hold)),
            ended: AtomicBool::new(false),
            readers: Mutex::default(),
            hover,
            prefetches: Mutex::default(),
            engine,
        });
        Self { shared, watch: OnceLock::new() }
    }

    /// A blocking reader at the start. Any number may be made; the session must outlive their use.
    pub fn reader(&self) -> Reader {
        Reader::new(Cursor::new(self.shared.clone()), None)
    }

    /// An asynchronous reader at the start. Any number may be made; the session must outlive their use.
    pub fn async_reader(&self) -> AsyncReader {
        AsyncReader::new(Cursor::new(self.shared.clone()), None)
    }

    /// A blocking reader that owns the session: dropping it ends both.
    pub fn into_reader(self) -> Reader {
        Reader::new(Cursor::new(self.shared.clone()), Some(self))
    }

    /// An asynchronous reader that owns the session: dropping it ends both.
    pub fn into_async_reader(self) -> AsyncReader {
        AsyncReader::new(Cursor::new(self.shared.clone()), Some(self))
    }

    /// Length of the resource in bytes, if it is known yet.
    pub fn len(&self) -> Option<u64> {
        self.shared.len()
    }

    /// Whether the resource is known to have no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// The media type that the server named, or that was stored with the resource.
    pub fn content_type(&self) -> Option<String> {
        self.shared.resource.info().content_type
    }

    /// Where the redirects ended, without userinfo and query values; `None` before the first answer.
    pub fn final_url(&self) -> Option<String> {
        self.shared.resource.info().final_url
    }

    /// The stored bytes as half-open ranges: sorted, apart from each other, none empty.
    pub fn coverage(&self) -> Vec<Range<u64>> {
        self.shared.resource.bytes.covered().into_iter().map(ByteRange::to_std).collect()
    }

    /// Whether what is received is kept in the store. Not while another process, or another engine, holds the
    /// resource there: then the session reads what that one has proven, and keeps nothing itself. Nor while the disk refuses, nor for a local file.
    pub fn is_stored(&self) -> bool {
        self.shared.resource.is_storing()
    }

    /// What is going on: spans, cursors, estimates, counters. Cheap enough for each frame of a display.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(&self.shared)
    }

    /// A new subscription to what happens; bounded, lossy but for terminal events.
    ///
    /// After the session was cancelled it tells what is terminal, and ends.
    pub fn events(&self) -> Events {
        let hub = &self.shared.resource.events;
        let events = hub.subscribe(self.shared.number);
        // Looked at afterwards: an end that comes in between has closed it, or is seen here.
        if self.shared.is_ended() {
            hub.close(self.shared.number);
        }
        events
    }

    /// Declares how fast the application consumes, in bytes per second of play; zero takes it back. Read-ahead
    /// then knows how many bytes a second of media is, and need not guess.
    pub fn set_rate_hint(&self, bytes_per_second: u64) {
        let bytes_per_second = (bytes_per_second > 0).then_some(bytes_per_second);
        let resource = self.shared.resource.id;
        self.sched(Event::RateDeclared { resource, bytes_per_second });
    }

    /// Says whether the media is playing. A paused one fills its window and then rests. Default: playing.
    pub fn set_playing(&self, playing: bool) {
        self.sched(Event::PlayingChanged { resource: self.shared.resource.id, playing });
    }

    /// Fetches `range`, in bytes, at low urgency unless a read wants it sooner; worthless after `deadline` from
    /// now, if one is given. Returns at once. The newest 256 hold; an older one is taken back.
    pub fn prefetch(&self, range: Range<u64>, deadline: Option<Duration>) {
        if range.is_empty() {
            return;
        }
        let hint = HintId(self.shared.engine.shared.names.hint.next());
        let oldest = {
            let mut prefetches = self.shared.prefetches.lock();
            prefetches.push_back(hint);
            (prefetches.len() > PREFETCHES).then(|| prefetches.pop_front()).flatten()
        };
        if let Some(hint) = oldest {
            self.sched(Event::HintWithdrawn { hint });
        }
        self.hint(hint, range.into(), deadline);
    }

    /// Says that the user may seek to `position` soon, as when hovering over a scrub bar. A newer hint
    /// replaces it. Returns at once.
    pub fn hint_seek(&self, position: u64) {
        /// A hover that led to no click within this time will not.
        const PATIENCE: Duration = Duration::from_secs(10);
        let len = self.shared.engine.shared.hint_len();
        self.hint(self.shared.hover, ByteRange::at(position, len), Some(PATIENCE));
    }

    fn hint(&self, hint: HintId, range: ByteRange, deadline: Option<Duration>) {
        if range.is_empty() {
            return;
        }
        let now = self.shared.engine.shared.clock.now();
        let deadline = deadline.map(|deadline| now + Micros::from(deadline));
        self.sched(Event::Hinted { resource: self.shared.resource.id, hint, range, deadline });
    }

    fn sched(&self, event: Event) {
        self.shared.engine.shared.sched(event);
    }

    /// Waits until every byte is stored, fetching what is missing behind everything more urgent.
    ///
    /// # Errors
    ///
    /// As a read; what was fetched stays stored.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future withdraws the demand.
    pub async fn fetch_all(&self) -> Result<(), Error> {
        self.shared.wait_for(ByteRange::new(0, u64::MAX), Urgency::Fill).await
    }

    /// A token that ends the session when it is cancelled, from any thread.
    pub fn cancel_token(&self) -> CancellationToken {
        self.watch.get_or_init(|| Watch::begin(&self.shared)).token.clone()
    }

    /// Ends the session, and waits until everything it received is durable and, if this was the last session
    /// of the resource, its lock in the store is free.
    ///
    /// # Cancel safety
    ///
    /// The session ends in any case; dropping the future only stops the waiting.
    pub async fn close(self) {
        let (shared, key) = (self.shared.clone(), self.shared.resource.key.clone());
        drop(self);
        if let Some(key) = key {
            open::closed(&shared.engine.shared, &key).await;
        }
    }

    /// The same, blocking this thread. It needs no request, so it may be called wherever a thread may block; also
    /// on the only thread of the runtime that was given to [`EngineBuilder::runtime`](crate::EngineBuilder::runtime).
    ///
    /// # Errors
    ///
    /// [`Error::WouldDeadlock`] inside a callback on the engine's own thread, such as
    /// [`EngineBuilder::key_of`](crate::EngineBuilder::key_of): the session has ended, and only the waiting is left out.
    pub fn close_blocking(self) -> Result<(), Error> {
        self.shared.engine.shared.guard_driver()?;
        block_on(self.close());
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.end();
    }
}
