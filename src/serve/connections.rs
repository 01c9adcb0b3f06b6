//! How many connections there may be, and which one goes when there are too many.
//!
//! An idle one costs its owner a reconnect on loopback; a busy one costs a player its picture. So idle ones go
//! first, the longest idle of them, and a new one is refused only where all are busy.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio_util::sync::CancellationToken;

use crate::sync::{Arc, Mutex};

/// All connections of a server.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    shared: Arc<Mutex<List>>,
    most: usize,
}

#[derive(Debug, Default)]
struct List {
    moments: u64,
    open: Vec<Open>,
}

#[derive(Debug)]
struct Open {
    id: u64,
    /// Since when it is idle; `None` while a request is served.
    idle_since: Option<u64>,
    leave: CancellationToken,
}

impl List {
    fn moment(&mut self) -> u64 {
        self.moments += 1;
        self.moments
    }
}

impl Connections {
    /// At most `most` at once.
    pub(super) fn new(most: usize) -> Self {
        Self { shared: Arc::default(), most }
    }

    /// A place for a new connection, for which an idle one may have to leave.
    pub(super) fn enter(&self) -> Option<Slot> {
        let mut list = self.shared.lock();
        if list.open.len() >= self.most {
            let idle = |&at: &usize| list.open[at].idle_since.is_some();
            let oldest =
                (0..list.open.len()).filter(idle).min_by_key(|&at| list.open[at].idle_since);
            list.open.remove(oldest?).leave.cancel();
        }
        let id = list.moment();
        let leave = CancellationToken::new();
        list.open.push(Open { id, idle_since: Some(id), leave: leave.clone() });
        Some(Slot { connections: self.clone(), id, leave })
    }

    fn set_busy(&self, id: u64, busy: bool) {
        let mut list = self.shared.lock();
        let now = list.moment();
        if let Some(open) = list.open.iter_mut().find(|open| open.id == id) {
            open.idle_since = (!busy).then_some(now);
        }
    }
}

/// A connection's place; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    connections: Connections,
    id: u64,
    leave: CancellationToken,
}

impl Slot {
    /// Cancelled when the connection is to go.
    pub(super) fn leave(&self) -> CancellationToken {
        self.leave.clone()
    }

    /// A request has begun.
    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        self.connections.set_busy(self.id, true);
        Busy { slot: self.clone() }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connections.shared.lock().open.retain(|open| open.id != self.id);
    }
}

/// A request is being served, until this is dropped.
#[derive(Debug)]
pub(super) struct Busy {
    slot: Arc<Slot>,
}

impl Busy {
    /// The same for as long as `body` is under way.
    pub(super) fn until_end(self, body: Body) -> BusyBody {
        BusyBody { body, _busy: self }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.slot.connections.set_busy(self.slot.id, false);
    }
}

/// A body whose connection is busy.
#[derive(Debug)]
pub(super) struct BusyBody {
    body: Body,
    _busy: Busy,
}

impl hyper::body::Body for BusyBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_idle_one_leaves_and_a_busy_one_never() {
        let all = Connections::new(2);
        let first = Arc::new(all.enter().unwrap());
        let second = Arc::new(all.enter().unwrap());
        let busy = first.busy();
        let third = all.enter().unwrap();
        assert!(second.leave().is_cancelled() && !first.leave().is_cancelled());
        let third = Arc::new(third);
        let also = third.busy();
        assert!(all.enter().is_none(), "all are busy");
        drop(also);
        drop(busy);
        drop(all.enter().unwrap());
        assert!(third.leave().is_cancelled(), "idle since before the other");
        drop((first, second, third));
        assert!(all.shared.lock().open.is_empty());
    }
}
