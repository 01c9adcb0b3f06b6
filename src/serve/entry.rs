//! One medium that is served: where it comes from, its session, and the readers that wait for their player to
//! come back.
//!
//! A player that seeks hangs up and asks anew. To the scheduler that must look like one reader that seeks: only
//! so are drags foreseen, and what was learnt of the player's pace is kept. So the reader of a client that went
//! stays a little (its demand is withdrawn at once), and the next request goes on with it.

use std::sync::Weak;
use std::time::Duration;

use http::HeaderValue;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::held::{Answers, Held};
use super::seeks::Seeks;
use crate::engine::{Engine, Source};
use crate::error::Error;
use crate::reader::AsyncReader;
use crate::session::Session;
use crate::sync::{Arc, AtomicU64, Mutex, Ordering};

/// Most readers of one medium that wait: a player has a cursor or two, and there are few players.
const PARKED: usize = 4;

/// A request that begins so far behind a parked reader still goes on with it rather than with a newer one: what is
/// repeated after a hang-up is what the player had received and not used.
const BEHIND: u64 = 1 << 20;

/// And so far ahead: within what is read ahead, most likely.
const AHEAD: u64 = 4 << 20;

/// One medium.
#[derive(Debug)]
pub(super) struct Entry {
    /// Names it for as long as the catalog lives.
    pub(super) id: u64,
    /// Its path segment, decoded.
    pub(super) name: String,
    /// Where it comes from, fit to be shown.
    pub(super) shown: String,
    source: Source,
    engine: Engine,
    linger: Duration,
    session: Mutex<Option<Arc<Session>>>,
    /// One permit: who opens.
    opening: Semaphore,
    parked: Mutex<Vec<Parked>>,
    /// What its clients are being sent.
    pub(super) answers: Answers,
    tickets: AtomicU64,
    /// How long its clients waited.
    pub(super) seeks: Seeks,
    /// How often it could not be opened.
    failures: AtomicU64,
    /// Why it could not be opened last time.
    trouble: Mutex<Option<Error>>,
}

/// A reader without a client.
#[derive(Debug)]
struct Parked {
    reader: AsyncReader,
    at: u64,
    /// Of the bytes it was reading.
    generation: u64,
    ticket: u64,
    /// Ends the task that throws it out.
    _wait: DropGuard,
}

impl Entry {
    pub(super) fn new(
        id: u64,
        name: String,
        shown: String,
        source: Source,
        engine: Engine,
        linger: Duration,
    ) -> Self {
        Self {
            id,
            name,
            shown,
            source,
            engine,
            linger,
            session: Mutex::default(),
            opening: Semaphore::new(1),
            parked: Mutex::default(),
            answers: Answers::default(),
            tickets: AtomicU64::new(0),
            seeks: Seeks::default(),
            failures: AtomicU64::new(0),
            trouble: Mutex::default(),
        }
    }

    /// The session, if it is open.
    pub(super) fn opened(&self) -> Option<Arc<Session>> {
        self.session.lock().clone()
    }

    /// Why it could not be opened last time, or failed since.
    pub(super) fn trouble(&self) -> Option<Error> {
        self.trouble.lock().clone()
    }

    /// The session, opened if need be. Who waits while another opens shares what comes of it.
    pub(super) async fn open(&self) -> Result<Arc<Session>, Error> {
        let failures = self.failures.load(Ordering::Acquire);
        if let Some(session) = self.opened() {
            return Ok(session);
        }
        // Never closed, so it cannot fail.
        let _turn = self.opening.acquire().await.map_err(|_| Error::Cancelled)?;
        if let Some(session) = self.opened() {
            return Ok(session);
        }
        if self.failures.load(Ordering::Acquire) != failures
            && let Some(error) = self.trouble()
        {
            return Err(error);
        }
        let opened = self.engine.open(self.source.clone()).await;
        *self.trouble.lock() = opened.as_ref().err().cloned();
        if opened.is_err() {
            self.failures.fetch_add(1, Ordering::AcqRel);
        }
        let session = Arc::new(opened?);
        *self.session.lock() = Some(session.clone());
        Ok(session)
    }

    /// `session` is of no more use, because of `error`: the next request opens anew.
    pub(super) fn forget(&self, session: &Arc<Session>, error: &Error) {
        {
            let mut now = self.session.lock();
            if !now.as_ref().is_some_and(|now| Arc::ptr_eq(now, session)) {
                return;
            }
            *now = None;
        }
        *self.trouble.lock() = Some(error.clone());
        self.release_parked();
    }

    /// Ends the session, and gives it back so that its end can be waited for.
    pub(super) fn close(&self) -> Option<Arc<Session>> {
        let session = self.session.lock().take();
        self.release_parked();
        session
    }

    fn release_parked(&self) {
        // Dropped outside of the lock: each tells the engine.
        let parked = std::mem::take(&mut *self.parked.lock());
        drop(parked);
    }

    /// A reader for a request of `client` from `start` on: one that waits near there, the one that this client is about to
    /// leave, the last one that was left, or a new one.
    pub(super) fn reader(
        self: &Arc<Self>,
        session: &Arc<Session>,
        generation: u64,
        start: u64,
        client: Option<&HeaderValue>,
    ) -> Held {
        let reader = self
            .unpark_near(generation, start)
            .or_else(|| self.answers.take_over(client, generation))
            .or_else(|| self.unpark_last(generation))
            .unwrap_or_else(|| session.async_reader());
        Held::new(reader, client, generation, self.clone(), session.clone())
    }

    fn unpark_near(&self, generation: u64, start: u64) -> Option<AsyncReader> {
        let mut parked = self.parked.lock();
        let near =
            |at: u64| (at.saturating_sub(BEHIND)..=at.saturating_add(AHEAD)).contains(&start);
        let nearest = (0..parked.len())
            .filter(|&i| parked[i].generation == generation && near(parked[i].at))
            .min_by_key(|&i| parked[i].at.abs_diff(start))?;
        Some(parked.remove(nearest).reader)
    }

    fn unpark_last(&self, generation: u64) -> Option<AsyncReader> {
        let mut parked = self.parked.lock();
        let last = parked.iter().rposition(|parked| parked.generation == generation)?;
        Some(parked.remove(last).reader)
    }

    /// Keeps `reader` for a while. Without a runtime to count the time it goes at once.
    pub(super) fn park(
        self: &Arc<Self>,
        reader: AsyncReader,
        session: &Arc<Session>,
        generation: u64,
    ) {
        let Ok(runtime) = Handle::try_current() else { return };
        if self.linger.is_zero() {
            return;
        }
        let (stop, ticket) =
            (CancellationToken::new(), self.tickets.fetch_add(1, Ordering::Relaxed));
        let at = reader.position();
        let wait = stop.clone().drop_guard();
        let displaced = {
            let now = self.session.lock();
            if !now.as_ref().is_some_and(|now| Arc::ptr_eq(now, session)) {
                return;
            }
            let mut parked = self.parked.lock();
            parked.push(Parked { reader, at, generation, ticket, _wait: wait });
            (parked.len() > PARKED).then(|| parked.remove(0))
        };
        drop(displaced);
        let (entry, linger) = (Arc::downgrade(self), self.linger);
        runtime.spawn(async move {
            if tokio::time::timeout(linger, stop.cancelled()).await.is_err() {
                throw_out(&entry, ticket);
            }
        });
    }
}

fn throw_out(entry: &Weak<Entry>, ticket: u64) {
    let Some(entry) = entry.upgrade() else { return };
    let gone = {
        let mut parked = entry.parked.lock();
        let found = parked.iter().position(|parked| parked.ticket == ticket);
        found.map(|at| parked.remove(at))
    };
    drop(gone);
}
