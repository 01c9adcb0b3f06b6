//! The shaped link: one bottleneck in each direction for all connections of an origin.
//!
//! `pipe` is the model, without clock or socket; here it is driven: a thread of its own sleeps to the
//! next due event (tokio's timers are too coarse for round trips) and wakes the connections whose
//! bytes arrived; `stream` is a connection's two ends.
//!
//! A client's bytes go: its socket, `up`, the server's code; an answer's: the server's code, its send
//! buffer in `down`, the queue, the client's socket. Behind the last comes the kernel's receive
//! buffer of the client, as in life.

mod pipe;
mod stream;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::sync::Mutex;

use pipe::{FlowId, Item, Pipe};
pub(super) use stream::connect;

/// What a connection may have in its send buffer, in bytes, before writes have to wait.
const SEND_BUFFER: u64 = 64 * 1024;

/// The pacer sleeps at least that long, so that a fast link doesn't cost a wake per segment.
const BATCH: Duration = Duration::from_micros(250);

/// A link between the origin and all its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Round trip without queues.
    pub rtt: Duration,
    /// Bits per second towards the client, headers of lower layers not counted; `u64::MAX`: no limit.
    pub down_bps: u64,
    /// Bits per second towards the origin; `u64::MAX`: no limit.
    pub up_bps: u64,
    /// What the queue in front of the bottleneck holds, in bytes, in each direction.
    pub queue_bytes: u64,
    /// Whether a connection begins with ten segments and doubles each round trip, and begins
    /// anew when it was idle. Otherwise only the queue holds it back.
    pub slow_start: bool,
}

impl Default for Link {
    /// 40 ms, 50 Mbit/s each way, 256 KiB of queue, slow start.
    fn default() -> Self {
        Self::new(Duration::from_millis(40), 50_000_000)
    }
}

impl Link {
    /// A link with that rate both ways, 256 KiB of queue and slow start.
    #[must_use]
    pub fn new(rtt: Duration, bps: u64) -> Self {
        Self { rtt, down_bps: bps, up_bps: bps, queue_bytes: 256 * 1024, slow_start: true }
    }
}

/// A direction of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// Towards the client.
    Down,
    /// Towards the origin.
    Up,
}

/// The link at work. Connections hold it; the owner holds the `Pacer` too.
#[derive(Debug)]
pub(super) struct Network {
    /// Both directions.
    state: Mutex<State>,
    /// Where the pacer sleeps.
    changed: Condvar,
    /// The link's time 0.
    epoch: Instant,
}

/// Both directions and who waits for them.
#[derive(Debug)]
struct State {
    /// Towards the clients.
    down: Pipe,
    /// Towards the origin.
    up: Pipe,
    /// Round trip.
    rtt: Duration,
    /// Who waits to send more.
    senders: BTreeMap<(Way, FlowId), Waker>,
    /// Who waits for what arrives.
    takers: BTreeMap<(Way, FlowId), Waker>,
    /// When the pacer looks next; `None`: when it is called.
    planned: Option<Duration>,
    /// The pacer shall end.
    stopped: bool,
}

impl State {
    /// One direction.
    fn pipe(&mut self, way: Way) -> &mut Pipe {
        match way {
            Way::Down => &mut self.down,
            Way::Up => &mut self.up,
        }
    }

    /// Lets everything happen until `now`; who is to be woken.
    fn advance(&mut self, now: Duration) -> Vec<Waker> {
        let mut wakers = Vec::new();
        for way in [Way::Down, Way::Up] {
            self.pipe(way).advance(now);
            for flow in self.pipe(way).take_news() {
                wakers.extend(self.senders.remove(&(way, flow)));
                wakers.extend(self.takers.remove(&(way, flow)));
            }
        }
        wakers
    }

    /// When something happens next by itself.
    fn next_due(&self) -> Option<Duration> {
        [self.down.next_due(), self.up.next_due()].into_iter().flatten().min()
    }
}

impl Network {
    /// The time of the link.
    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// Bytes that crossed the bottleneck so far: towards the clients, towards the origin.
    pub(super) fn carried(&self) -> (u64, u64) {
        let mut state = self.state.lock();
        let wakers = state.advance(self.now());
        let carried = (state.down.carried(), state.up.carried());
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        carried
    }

    /// Becomes another link from now on.
    pub(super) fn reshape(&self, link: &Link) {
        self.with(|state, _| {
            state.rtt = link.rtt;
            state.down.reshape(link, link.down_bps);
            state.up.reshape(link, link.up_bps);
        });
    }

    /// Does something with the state at this moment, wakes who may go on, and calls the pacer if it
    /// sleeps too long.
    fn with<R>(&self, act: impl FnOnce(&mut State, Duration) -> R) -> R {
        let now = self.now();
        let mut state = self.state.lock();
        let mut wakers = state.advance(now);
        let result = act(&mut state, now);
        wakers.extend(state.advance(now));
        let due = state.next_due();
        let call = due.is_some_and(|due| state.planned.is_none_or(|planned| planned > due));
        drop(state);
        if call {
            self.changed.notify_one();
        }
        wakers.into_iter().for_each(Waker::wake);
        result
    }

    /// A new connection: its handshake takes one round trip.
    fn open(&self, flow: FlowId) {
        self.with(|state, now| {
            let opens = now + state.rtt;
            state.up.open(flow, opens);
            state.down.open(flow, opens);
        });
    }

    /// A connection is gone at both ends.
    fn close(&self, flow: FlowId) {
        self.with(|state, _| {
            state.up.close(flow);
            state.down.close(flow);
        });
    }

    /// Puts bytes into the send buffer; how many went in.
    fn poll_send(
        &self,
        way: Way,
        flow: FlowId,
        bytes: &[u8],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.with(|state, now| {
            let Some(unsent) = state.pipe(way).unsent(flow) else {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            };
            let room = SEND_BUFFER.saturating_sub(unsent);
            if room == 0 {
                state.senders.insert((way, flow), cx.waker().clone());
                return Poll::Pending;
            }
            let len = bytes.len().min(room as usize);
            let item = Item::Data(Bytes::copy_from_slice(&bytes[..len]));
            state.pipe(way).send(now, flow, item);
            Poll::Ready(Ok(len))
        })
    }

    /// Puts an end behind everything that was sent.
    fn finish(&self, way: Way, flow: FlowId, end: Item) {
        self.with(|state, now| state.pipe(way).send(now, flow, end));
    }

    /// What arrived next; `None` if the connection is gone.
    fn poll_take(&self, way: Way, flow: FlowId, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        self.with(|state, _| match state.pipe(way).take(flow) {
            None => Poll::Ready(None),
            Some(Some(item)) => Poll::Ready(Some(item)),
            Some(None) => {
                state.takers.insert((way, flow), cx.waker().clone());
                Poll::Pending
            }
        })
    }
}

/// The thread that lets time pass on a link. Dropping it stops the link.
#[derive(Debug)]
pub(super) struct Pacer {
    /// The link.
    pub(super) network: Arc<Network>,
    /// The thread.
    thread: Option<JoinHandle<()>>,
}

impl Pacer {
    /// A link at work.
    pub(super) fn start(link: &Link) -> Self {
        let network = Arc::new(Network {
            state: Mutex::new(State {
                down: Pipe::new(link, link.down_bps),
                up: Pipe::new(link, link.up_bps),
                rtt: link.rtt,
                senders: BTreeMap::new(),
                takers: BTreeMap::new(),
                planned: None,
                stopped: false,
            }),
            changed: Condvar::new(),
            epoch: Instant::now(),
        });
        let paced = Arc::clone(&network);
        let thread =
            std::thread::Builder::new().name("link".to_owned()).spawn(move || pace(&paced));
        Self { network, thread: Some(thread.expect("a thread for the link")) }
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.network.state.lock().stopped = true;
        self.network.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic there was printed there.
            let _ = thread.join();
        }
    }
}

/// Sleeps from event to event and wakes who may go on.
fn pace(network: &Network) {
    let mut state = network.state.lock();
    while !state.stopped {
        let now = network.now();
        let wakers = state.advance(now);
        if !wakers.is_empty() {
            drop(state);
            wakers.into_iter().for_each(Waker::wake);
            state = network.state.lock();
            continue;
        }
        state.planned = state.next_due();
        state = match state.planned {
            None => network.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(due) => {
                let sleep = due.saturating_sub(now).max(BATCH);
                let woken = network.changed.wait_timeout(state, sleep);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
        };
    }
}
