//! The reader behind an answer, and how the next request of the same player takes it over.
//!
//! Many players (all that use FFmpeg's HTTP) seek by asking anew *before* they hang up: the old answer goes once the head of the
//! new one is there. Meanwhile two readers would share the link, one of them for nobody, and to the scheduler no one
//! would have sought. So the request takes the reader of the only other answer that the same client has. Should that one
//! be read on after all, it gets another.

use std::future::{Future, Pending, pending};
use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use http::HeaderValue;
use tokio::runtime::Handle;
use tokio::time::{Timeout, timeout};

use super::entry::Entry;
use crate::error::Error;
use crate::reader::AsyncReader;
use crate::session::Session;
use crate::sync::{Arc, Mutex};

/// How long an answer without a reader waits for its client to hang up: until the first bytes of the new answer have come
/// from an origin that is far. Whoever does not hang up waits that long once.
const PATIENCE: Duration = Duration::from_millis(500);

/// Where a reader is while nobody polls it, so that it can be taken.
#[derive(Debug)]
struct Slot {
    /// What the client calls itself.
    client: HeaderValue,
    generation: u64,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    /// None while it is polled, or once it was taken or failed.
    reader: Option<AsyncReader>,
    /// Of the answer, if it waits for bytes.
    waker: Option<Waker>,
    taken: bool,
    /// It was read on after that: not one that was left behind.
    read_on: bool,
}

impl Slot {
    fn take(&self) -> Option<AsyncReader> {
        let (mut reader, waker) = {
            let mut inside = self.inside.lock();
            if inside.read_on {
                return None;
            }
            let reader = inside.reader.take()?;
            inside.taken = true;
            (reader, inside.waker.take())
        };
        reader.withdraw();
        // It waits for its client now, no more for bytes.
        if let Some(waker) = waker {
            waker.wake();
        }
        Some(reader)
    }
}

/// The answers under way of one medium.
#[derive(Debug, Default)]
pub(super) struct Answers(Mutex<Vec<Weak<Slot>>>);

impl Answers {
    /// The reader of the one answer that `client` has, if there is one and no other.
    pub(super) fn take_over(
        &self,
        client: Option<&HeaderValue>,
        generation: u64,
    ) -> Option<AsyncReader> {
        // Who loses its reader waits by the runtime's clock.
        let (client, _) = (client?, Handle::try_current().ok()?);
        let mine: Vec<_> = {
            let answers = self.0.lock();
            answers.iter().filter_map(Weak::upgrade).filter(|slot| slot.client == client).collect()
        };
        match &mine[..] {
            [only] if only.generation == generation => only.take(),
            _ => None,
        }
    }

    fn add(&self, slot: &Arc<Slot>) {
        let mut answers = self.0.lock();
        answers.retain(|slot| slot.strong_count() > 0);
        answers.push(Arc::downgrade(slot));
    }
}

/// A reader that serves a client; parked when the client has enough.
#[derive(Debug)]
pub(super) struct Held {
    slot: Arc<Slot>,
    /// Runs while the client is expected to hang up.
    pause: Option<Pin<Box<Timeout<Pending<()>>>>>,
    entry: Arc<Entry>,
    session: Arc<Session>,
}

impl Held {
    /// `reader` for an answer to `client`.
    pub(super) fn new(
        reader: AsyncReader,
        client: Option<&HeaderValue>,
        generation: u64,
        entry: Arc<Entry>,
        session: Arc<Session>,
    ) -> Self {
        let inside = Mutex::new(Inside { reader: Some(reader), ..Inside::default() });
        let known = client.is_some();
        let client = client.cloned().unwrap_or_else(|| HeaderValue::from_static(""));
        let slot = Arc::new(Slot { client, generation, inside });
        if known {
            entry.answers.add(&slot);
        }
        Self { slot, pause: None, entry, session }
    }

    /// Reads at `at`; see [`AsyncReader::poll_read_at`].
    pub(super) fn poll_read_at(
        &mut self,
        cx: &mut Context<'_>,
        at: u64,
        buf: &mut [u8],
    ) -> Poll<Result<usize, Error>> {
        let mut reader = ready!(self.poll_reader(cx));
        // Outside of the lock: it reads a file.
        let read = reader.poll_read_at(cx, at, buf);
        let mut inside = self.slot.inside.lock();
        inside.reader = Some(reader);
        inside.waker = read.is_pending().then(|| cx.waker().clone());
        read
    }

    fn poll_reader(&mut self, cx: &mut Context<'_>) -> Poll<AsyncReader> {
        let mut inside = self.slot.inside.lock();
        if let Some(reader) = inside.reader.take() {
            return Poll::Ready(reader);
        }
        if inside.taken {
            drop(inside);
            // A hang-up drops this answer, and the wait with it.
            let pause = self.pause.get_or_insert_with(|| Box::pin(timeout(PATIENCE, pending())));
            let _elapsed = ready!(pause.as_mut().poll(cx));
            self.pause = None;
            inside = self.slot.inside.lock();
            (inside.taken, inside.read_on) = (false, true);
        }
        drop(inside);
        Poll::Ready(self.session.async_reader())
    }

    /// It failed: it is not kept, and where that is for good, neither is the session.
    pub(super) fn failed(&mut self, error: &Error) {
        let failed = self.slot.inside.lock().reader.take();
        drop(failed);
        if error.is_fatal() {
            self.entry.forget(&self.session, error);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let reader = self.slot.inside.lock().reader.take();
        let Some(mut reader) = reader else { return };
        reader.withdraw();
        self.entry.park(reader, &self.session, self.slot.generation);
    }
}
