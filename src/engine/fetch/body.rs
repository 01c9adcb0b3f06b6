//! The body of an answer, from the socket to the writer.
//!
//! Who waits for a byte that this request brings is not made to wait for others: see [`Pace::awaited`](crate::engine::stop::Pace::awaited).

use std::pin::pin;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::{Either, select};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Fetch, failure_of, fatal};
use crate::engine::end_check;
use crate::engine::gather::Go;
use crate::engine::stop::Stop;
use crate::engine::writer::{Job, Write};
use crate::error::Error;
use crate::net::{Answer, AnswerShape, Body, Fault, Net, Target};
use crate::sched::{Failure, Remedy};
use crate::sync::Arc;

impl Fetch {
    /// Receives all of the body, and hands it over.
    pub(super) async fn stream(
        &mut self,
        net: &dyn Net,
        target: &Arc<Target>,
        mut answer: Answer,
    ) -> Result<(), Failure> {
        let (at, end) = match answer.shape {
            AnswerShape::Part { range, .. } => (range.start, range.end),
            AnswerShape::Whole { len } => (0, len.unwrap_or(u64::MAX)),
        };
        let at = self.take_in(&mut answer.body, at, end).await?;
        if matches!(answer.shape, AnswerShape::Whole { len: None }) {
            let proven = answer.body.proves_end();
            drop(answer);
            if !proven {
                self.count_request();
                end_check::prove(net, target, self.order.lane, at).await.map_err(|error| {
                    match error {
                        Ok(fault) => failure_of(fault),
                        Err(error) => Failure { error, remedy: Remedy::GiveUp },
                    }
                })?;
            }
            self.learn_len(at)?;
        }
        Ok(())
    }

    /// Receives the bytes from `at` on, `end` being where the answer ends, and tells where they ended.
    async fn take_in(&mut self, body: &mut Body, mut at: u64, end: u64) -> Result<u64, Failure> {
        while let Some(bytes) = self.receive(body).await? {
            let len = bytes.len() as u64;
            self.received_bytes += len;
            let go = self.received.push(Instant::now(), at, bytes);
            at += len;
            self.hand_over(if at >= end { Go::All } else { go }).await?;
        }
        Ok(at)
    }

    /// The next chunk of the body; `None` at its end. What was gathered is handed over when it is due, when somebody waits for
    /// a byte of it, and before the end of whatever kind.
    async fn receive(&mut self, body: &mut Body) -> Result<Option<Bytes>, Failure> {
        loop {
            let pace = *self.pace.borrow_and_update();
            if pace.paused || self.received.has(pace.awaited) {
                self.hand_over(Go::All).await?;
            }
            if self.pace.wait_for(|pace| !pace.paused).await.is_err() {
                // The driver is gone, and with it everybody who could want the bytes.
                return Err(fatal(Error::Cancelled));
            }
            let chunk = match self.received.due() {
                None => Some(body.chunk().await),
                // What is here already. A timer would have it wait for a millisecond.
                Some(due) if due <= Instant::now() => body.chunk().now_or_never(),
                Some(due) => {
                    let asleep = self.received.is_slow() && !self.received.is_before(pace.awaited);
                    let chunk = pin!(next(body, due, asleep));
                    match select(pin!(self.pace.changed()), chunk).await {
                        Either::Left(_) => continue,
                        Either::Right((chunk, _)) => chunk,
                    }
                }
            };
            let Some(chunk) = chunk else {
                self.hand_over(self.received.go_when_due()).await?;
                continue;
            };
            if !matches!(chunk, Ok(Some(_))) {
                self.hand_over(Go::All).await?;
            }
            return chunk.map_err(|fault| failure_of(fault.after(self.order.attempt)));
        }
    }

    /// Hands what is to go of what was received to the writer, once the budget has room for it. Cancel safe.
    pub(super) async fn hand_over(&mut self, go: Go) -> Result<(), Failure> {
        let len = self.received.part(go) as u64;
        if len == 0 {
            return Ok(());
        }
        let budget = self.shared.config.net.write_budget;
        let cost = u32::try_from(len.min(budget)).unwrap_or(u32::MAX);
        let permit = self.shared.write_budget.clone().acquire_many_owned(cost).await;
        let permit = permit.map_err(|_| fatal(Error::Cancelled))?;
        let Some((offset, pieces)) = self.received.take(Instant::now(), go) else { return Ok(()) };
        let resource = self.resource.clone();
        let (fetch, generation) = (self.order.fetch, self.generation);
        self.queue(Job::Write(Write { fetch, resource, generation, offset, pieces, permit }))
    }

    /// After a stop: waits for room for what was received, if it is still of use. The body went with the
    /// transfer, so nothing more arrives meanwhile; the fetch keeps its slot, which bounds how many wait here.
    pub(super) async fn keep(&mut self, stop: &Stop) {
        // A failure means that the writer is gone.
        let _ = stop.all.run_until_cancelled(self.hand_over(Go::All)).await;
    }
}

/// The next chunk, if it comes before `due`; what comes meanwhile stays in the socket if nobody looks there, `asleep`.
/// Cancel safe.
async fn next(body: &mut Body, due: Instant, asleep: bool) -> Option<Result<Option<Bytes>, Fault>> {
    if !asleep {
        return timeout_at(due, body.chunk()).await.ok();
    }
    sleep_until(due).await;
    // The connection's own task brings what has come meanwhile.
    yield_now().await;
    body.chunk().now_or_never()
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
