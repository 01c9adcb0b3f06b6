//! Time limits around a [`Net`] (N2).
//!
//! Connecting has its own limit inside the HTTP client. Here: the answer's head, redirects and a
//! fresh URL included; a body's silence; a small object as a whole. No body of a range or a stream has a
//! limit on its total time.

use std::time::Duration;

use futures::future::BoxFuture;

use super::fault::Fault;
use super::target::Target;
use super::{Answer, HeadAnswer, Net, Object, RangeRequest, Spare, redact};
use crate::config::TimeoutConfig;
use crate::error::{NetworkErrorKind, Stage};
use crate::ids::Lane;
use crate::sync::Arc;

/// `N` with time limits.
#[derive(Debug)]
pub(crate) struct Timeout<N> {
    inner: N,
    limits: TimeoutConfig,
}

impl<N: Net> Timeout<N> {
    /// Puts `limits` around `inner`.
    pub(crate) fn new(inner: N, limits: TimeoutConfig) -> Self {
        Self { inner, limits }
    }
}

/// Runs `call` for at most `limit`; then it is dropped, and with it the request.
async fn within<T>(
    limit: Duration,
    stage: Stage,
    target: &Target,
    call: BoxFuture<'_, Result<T, Fault>>,
) -> Result<T, Fault> {
    match tokio::time::timeout(limit, call).await {
        Ok(outcome) => outcome,
        Err(_) => {
            Err(Fault::at(&redact::url(target.original()), stage, NetworkErrorKind::TimedOut))
        }
    }
}

impl<N: Net> Net for Timeout<N> {
    fn get_range(
        &self,
        lane: Lane,
        target: Arc<Target>,
        request: RangeRequest,
    ) -> BoxFuture<'_, Result<Answer, Fault>> {
        Box::pin(async move {
            let call = self.inner.get_range(lane, target.clone(), request);
            let answer = within(self.limits.headers, Stage::Headers, &target, call).await?;
            Ok(Answer { body: answer.body.with_idle(self.limits.idle), ..answer })
        })
    }

    fn preconnect(&self, target: Arc<Target>) -> BoxFuture<'_, Option<Spare>> {
        self.inner.preconnect(target)
    }

    fn head(&self, lane: Lane, target: Arc<Target>) -> BoxFuture<'_, Result<HeadAnswer, Fault>> {
        Box::pin(async move {
            let call = self.inner.head(lane, target.clone());
            within(self.limits.headers, Stage::Headers, &target, call).await
        })
    }

    fn get_bytes(
        &self,
        lane: Lane,
        target: Arc<Target>,
        max: u64,
    ) -> BoxFuture<'_, Result<Object, Fault>> {
        Box::pin(async move {
            // By way of our own `get_range`, so that head and silence have their limits too.
            let call = Box::pin(super::collect(self, lane, target.clone(), max));
            within(self.limits.object, Stage::Body, &target, call).await
        })
    }
}

#[cfg(test)]
#[path = "timeout_tests.rs"]
mod tests;
