//! Tries whole-object calls again (N4).
//!
//! Only calls that hand out nothing before they are done: `head` and `get_bytes`. A range is never
//! repeated in here: its body may have been used in part, and the scheduler asks for the rest, at its
//! own time and without holding a slot meanwhile.

use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::Instant;

use super::fault::Fault;
use super::target::Target;
use super::{Answer, HeadAnswer, Net, Object, RangeRequest, Spare};
use crate::config::RetryConfig;
use crate::ids::{Counter, Lane};
use crate::sync::{Arc, Mutex};

/// `N` with further tries.
#[derive(Debug)]
pub(crate) struct Retry<N> {
    inner: N,
    config: Mutex<RetryConfig>,
    seed: u64,
    calls: Counter,
}

impl<N: Net> Retry<N> {
    /// Puts tries around `inner`. The same `seed` gives the same pauses.
    pub(crate) fn new(inner: N, config: RetryConfig, seed: u64) -> Self {
        Self { inner, config: Mutex::new(config), seed, calls: Counter::default() }
    }

    /// Takes over other figures, for calls that begin from now on.
    pub(crate) fn reconfigure(&self, config: RetryConfig) {
        *self.config.lock() = config;
    }

    /// Repeats `call` while its fault may pass and attempts and time are left.
    async fn repeat<'a, T>(
        &self,
        call: impl Fn() -> BoxFuture<'a, Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let config = self.config.lock().clone();
        let mut random = SplitMix(self.seed ^ self.calls.next().wrapping_mul(GOLDEN));
        let began = Instant::now();
        let mut attempt = 1;
        loop {
            let fault = match call().await {
                Ok(done) => return Ok(done),
                Err(fault) => fault,
            };
            let pause = next_pause(&config, attempt, &fault, random.share());
            match pause.filter(|pause| began.elapsed().saturating_add(*pause) <= config.budget) {
                None => return Err(fault.after(attempt)),
                Some(pause) => tokio::time::sleep(pause).await,
            }
            attempt += 1;
        }
    }
}

/// How long to pause after `attempt` failed with `fault`; `None` if it is not to be tried again.
/// `random` is between 0 and 1.
fn next_pause(config: &RetryConfig, attempt: u32, fault: &Fault, random: f64) -> Option<Duration> {
    if attempt >= config.max_attempts || !fault.is_retryable() {
        return None;
    }
    let asked = fault.retry_after().unwrap_or(Duration::ZERO);
    if asked > config.max_retry_after {
        return None;
    }
    let doublings = 1_u32.checked_shl(attempt - 1).unwrap_or(u32::MAX);
    let full = config.backoff.saturating_mul(doublings).min(config.max_backoff);
    Some(full.mul_f64(1.0 - config.jitter * random).max(asked))
}

impl<N: Net> Net for Retry<N> {
    fn get_range(
        &self,
        lane: Lane,
        target: Arc<Target>,
        request: RangeRequest,
    ) -> BoxFuture<'_, Result<Answer, Fault>> {
        self.inner.get_range(lane, target, request)
    }

    fn preconnect(&self, target: Arc<Target>) -> BoxFuture<'_, Option<Spare>> {
        self.inner.preconnect(target)
    }

    fn head(&self, lane: Lane, target: Arc<Target>) -> BoxFuture<'_, Result<HeadAnswer, Fault>> {
        Box::pin(async move { self.repeat(|| self.inner.head(lane, target.clone())).await })
    }

    fn get_bytes(
        &self,
        lane: Lane,
        target: Arc<Target>,
        max: u64,
    ) -> BoxFuture<'_, Result<Object, Fault>> {
        Box::pin(
            async move { self.repeat(|| self.inner.get_bytes(lane, target.clone(), max)).await },
        )
    }
}

/// The odd number nearest to 2^64 divided by the golden ratio: spreads consecutive numbers.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A small generator of numbers that look random, the same ones for the same seed (SplitMix64).
#[derive(Debug)]
struct SplitMix(u64);

impl SplitMix {
    /// The next number, from 0 up to but without 1.
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // 53 bits are what an `f64` holds exactly.
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
#[path = "retry_tests.rs"]
mod tests;
