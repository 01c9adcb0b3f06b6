//! What a session tells whoever listens: bounded, lossy but for terminal events, never blocking.
//!
//! Each subscription has a queue of its own. A slow listener loses the oldest events that are not
//! terminal, and is told how many. Terminal events are never dropped, and a listener that comes
//! later is told of the one that has already happened.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use crate::error::Error;
use crate::sync::{Arc, Mutex};

/// Most events that wait for one listener; a listener that looks once a second misses none in
/// ordinary play.
const QUEUE: usize = 256;

/// Something that happened to a session's resource.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SessionEvent {
    /// The length became known, in bytes.
    LengthKnown {
        /// Length of the resource.
        len: u64,
    },
    /// A request is sent, unless another engine has stored its bytes in the last moment.
    FetchStarted {
        /// First byte asked for.
        start: u64,
        /// One past the last byte asked for.
        end: u64,
    },
    /// A request ended, well or not.
    FetchEnded {
        /// First byte asked for.
        start: u64,
        /// One past the last byte asked for.
        end: u64,
        /// Body bytes received.
        bytes: u64,
        /// What went wrong, if anything; the engine may try again.
        error: Option<Error>,
    },
    /// The server does not do ranges: one sequential fetch, a forward seek waits for it.
    RangesUnsupported,
    /// The disk under the store refuses. Reading goes on: what the disk does not take is held in memory, within
    /// [`StoreConfig::memory_window`](crate::StoreConfig::memory_window). Once for each time that storing stops; a
    /// listener that comes while it lasts is told first of all.
    StoreTrouble {
        /// What the disk said.
        error: Error,
    },
    /// The disk no longer refuses: what was held is stored, and what comes is.
    StoringResumed,
    /// The resource changed and the session started again with the new one, as configured.
    Restarted,
    /// The whole resource is stored: the known length is fully covered. At most once per
    /// generation, never dropped. Terminal.
    EndOfStream {
        /// Length of the resource, in bytes.
        len: u64,
    },
    /// The resource is finished; every later read gives this error. Terminal.
    Failed {
        /// Why.
        error: Error,
    },
    /// So many events were dropped here because the listener was slow.
    Missed {
        /// How many.
        count: u64,
    },
}

impl SessionEvent {
    /// Whether this event is never dropped.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::EndOfStream { .. } | Self::Failed { .. } | Self::Restarted)
    }
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<SessionEvent>,
    missed: u64,
    closed: bool,
    waker: Option<Waker>,
}

impl Queue {
    fn push(&mut self, event: SessionEvent) {
        if self.events.len() >= QUEUE {
            match self.events.iter().position(|event| !event.is_terminal()) {
                Some(oldest) => drop(self.events.remove(oldest)),
                None if !event.is_terminal() => {
                    self.missed += 1;
                    return;
                }
                None => {}
            }
            self.missed += 1;
        }
        self.events.push_back(event);
    }

    fn pop(&mut self) -> Option<SessionEvent> {
        if self.missed > 0 {
            let count = std::mem::take(&mut self.missed);
            return Some(SessionEvent::Missed { count });
        }
        self.events.pop_front()
    }
}

#[derive(Debug, Default)]
struct Hub {
    /// Each with the number of the session that it was opened from.
    queues: Vec<(u64, Arc<Mutex<Queue>>)>,
    /// Terminal events of the present generation, for late listeners.
    terminal: Vec<SessionEvent>,
    /// Why nothing is stored for now, for late listeners.
    trouble: Option<SessionEvent>,
}

/// The engine's end: one per resource.
#[derive(Debug, Default)]
pub(crate) struct EventHub(Mutex<Hub>);

impl EventHub {
    /// Tells every listener. Never blocks.
    pub(crate) fn emit(&self, event: SessionEvent) {
        let mut hub = self.0.lock();
        match event {
            SessionEvent::Restarted => hub.terminal.clear(),
            SessionEvent::StoreTrouble { .. } => hub.trouble = Some(event.clone()),
            SessionEvent::StoringResumed => hub.trouble = None,
            SessionEvent::EndOfStream { .. } | SessionEvent::Failed { .. } => {
                // One, mostly: a list that grows has room for four.
                hub.terminal.reserve_exact(1);
                hub.terminal.push(event.clone());
            }
            _ => {}
        }
        hub.queues.retain(|(_, queue)| Arc::strong_count(queue) > 1);
        let wakers: Vec<Waker> = hub
            .queues
            .iter()
            .filter_map(|(_, queue)| {
                let mut queue = queue.lock();
                queue.push(event.clone());
                queue.waker.take()
            })
            .collect();
        drop(hub);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// A new listener of session `owner`; it hears of terminal events that have already happened, and of a
    /// disk that refuses.
    pub(crate) fn subscribe(&self, owner: u64) -> Events {
        let mut hub = self.0.lock();
        let events = hub.trouble.iter().chain(&hub.terminal).cloned().collect();
        let queue = Queue { events, ..Queue::default() };
        let queue = Arc::new(Mutex::new(queue));
        hub.queues.push((owner, queue.clone()));
        Events { queue }
    }

    /// Ends the subscriptions of session `owner` once their queues are empty.
    pub(crate) fn close(&self, owner: u64) {
        let mut hub = self.0.lock();
        let (mine, others) = hub.queues.drain(..).partition(|(of, _)| *of == owner);
        hub.queues = others;
        drop(hub);
        let mine: Vec<(u64, Arc<Mutex<Queue>>)> = mine;
        for (_, queue) in mine {
            let waker = {
                let mut queue = queue.lock();
                queue.closed = true;
                queue.waker.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

/// A listener's end, from [`Session::events`](crate::Session::events).
///
/// Also a [`futures::Stream`]. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Events {
    queue: Arc<Mutex<Queue>>,
}

impl Events {
    /// The next event, or `None` once the session is over and everything was told.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: an event is taken only when it is returned.
    pub async fn next(&mut self) -> Option<SessionEvent> {
        std::future::poll_fn(|cx| self.poll_event(cx)).await
    }

    /// The next event if there is one already. Never waits.
    pub fn try_next(&mut self) -> Option<SessionEvent> {
        self.queue.lock().pop()
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<SessionEvent>> {
        let mut queue = self.queue.lock();
        if let Some(event) = queue.pop() {
            return Poll::Ready(Some(event));
        }
        if queue.closed {
            return Poll::Ready(None);
        }
        queue.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl futures::Stream for Events {
    type Item = SessionEvent;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<SessionEvent>> {
        self.get_mut().poll_event(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e3_a_slow_listener_never_loses_the_end_of_stream() {
        let hub = EventHub::default();
        let mut events = hub.subscribe(1);
        hub.emit(SessionEvent::EndOfStream { len: 7 });
        for start in 0..10 * QUEUE as u64 {
            hub.emit(SessionEvent::FetchStarted { start, end: start + 1 });
        }
        assert!(matches!(events.try_next(), Some(SessionEvent::Missed { count }) if count > 0));
        assert!(matches!(events.try_next(), Some(SessionEvent::EndOfStream { len: 7 })));
    }

    #[test]
    fn p9_the_queue_of_a_listener_that_never_looks_stays_bounded() {
        let hub = EventHub::default();
        let events = hub.subscribe(1);
        for start in 0..100_000 {
            hub.emit(SessionEvent::FetchStarted { start, end: start + 1 });
        }
        assert!(events.queue.lock().events.len() <= QUEUE);
    }

    #[test]
    fn e3_a_late_listener_hears_of_the_end_once() {
        let hub = EventHub::default();
        hub.emit(SessionEvent::EndOfStream { len: 7 });
        let mut events = hub.subscribe(1);
        assert!(matches!(events.try_next(), Some(SessionEvent::EndOfStream { len: 7 })));
        assert!(events.try_next().is_none());
    }

    #[test]
    fn a3_a_late_listener_hears_of_a_disk_that_still_refuses() {
        let hub = EventHub::default();
        hub.emit(SessionEvent::StoreTrouble { error: Error::Cancelled });
        let mut events = hub.subscribe(1);
        assert!(matches!(events.try_next(), Some(SessionEvent::StoreTrouble { .. })));
        assert!(events.try_next().is_none());
        hub.emit(SessionEvent::StoringResumed);
        assert!(matches!(events.try_next(), Some(SessionEvent::StoringResumed)));
        assert!(hub.subscribe(1).try_next().is_none());
    }

    #[test]
    fn a_closed_hub_ends_its_subscriptions_after_what_was_told() {
        let hub = EventHub::default();
        let mut events = hub.subscribe(1);
        hub.emit(SessionEvent::LengthKnown { len: 1 });
        hub.close(2);
        hub.close(1);
        crate::sync::block_on(async {
            assert!(matches!(events.next().await, Some(SessionEvent::LengthKnown { len: 1 })));
            assert!(events.next().await.is_none());
        });
    }
}
