//! Tries around a net that fails by script, on a paused clock.

use url::Url;

use super::*;
use crate::error::{NetworkErrorKind, Stage};
use crate::validator::Validator;

/// Fails with these, in order; then succeeds.
struct Failing {
    faults: Mutex<Vec<Fault>>,
    calls: Counter,
}

fn fault(kind: NetworkErrorKind, retry_after: Option<u64>) -> Fault {
    let mut fault = Fault::at("http://h/", Stage::Headers, kind);
    if let Fault::Network(error) = &mut fault {
        error.retry_after = retry_after.map(Duration::from_secs);
    }
    fault
}

impl Net for Failing {
    fn get_range(
        &self,
        _: Lane,
        _: Arc<Target>,
        _: RangeRequest,
    ) -> BoxFuture<'_, Result<Answer, Fault>> {
        self.calls.next();
        Box::pin(async { Err(fault(NetworkErrorKind::Status(503), None)) })
    }

    fn head(&self, _: Lane, target: Arc<Target>) -> BoxFuture<'_, Result<HeadAnswer, Fault>> {
        self.calls.next();
        let next = self.faults.lock().pop();
        Box::pin(async move {
            next.map_or_else(
                || {
                    Ok(HeadAnswer {
                        total: None,
                        accepts_ranges: false,
                        validator: Validator::default(),
                        content_type: None,
                        final_url: target.original().clone(),
                    })
                },
                Err,
            )
        })
    }
}

fn target() -> Arc<Target> {
    Target::new(Url::parse("http://h/f").unwrap(), Vec::new(), None).unwrap()
}

fn config() -> RetryConfig {
    RetryConfig { jitter: 0.0, ..RetryConfig::default() }
}

fn retry(mut faults: Vec<Fault>, config: RetryConfig, seed: u64) -> Retry<Failing> {
    faults.reverse();
    let calls = Counter::default();
    Retry::new(Failing { faults: Mutex::new(faults), calls }, config, seed)
}

/// What a HEAD came to, after how many calls and milliseconds.
async fn run(retry: &Retry<Failing>) -> (Result<(), u32>, u64, u64) {
    let began = Instant::now();
    let outcome = match retry.head(Lane::Demand, target()).await {
        Ok(_) => Ok(()),
        Err(fault) => Err(fault.network().unwrap().attempts),
    };
    (outcome, retry.inner.calls.next() - 1, began.elapsed().as_millis() as u64)
}

fn status(status: u16) -> Fault {
    fault(NetworkErrorKind::Status(status), None)
}

#[tokio::test(start_paused = true)]
async fn n4_what_may_pass_is_tried_again_with_doubling_pauses() {
    let faults = vec![
        status(503),
        status(429),
        fault(NetworkErrorKind::Connection, None),
        fault(NetworkErrorKind::TimedOut, None),
    ];
    assert_eq!(run(&retry(faults, config(), 1)).await, (Ok(()), 5, 250 + 500 + 1000 + 2000));
    let all = vec![status(500); 9];
    assert_eq!(run(&retry(all, config(), 1)).await, (Err(5), 5, 3750));
    let capped = RetryConfig { max_backoff: Duration::from_millis(300), ..config() };
    assert_eq!(run(&retry(vec![status(500); 4], capped, 1)).await, (Ok(()), 5, 250 + 3 * 300));
}

#[tokio::test(start_paused = true)]
async fn n4_what_cannot_pass_is_told_at_once() {
    for status_code in [400, 401, 403, 404, 410] {
        let once = retry(vec![status(status_code)], config(), 1);
        assert_eq!(run(&once).await, (Err(1), 1, 0), "{status_code}");
    }
    let protocol = fault(NetworkErrorKind::Protocol("odd".into()), None);
    assert_eq!(run(&retry(vec![protocol], config(), 1)).await, (Err(1), 1, 0));
}

#[tokio::test(start_paused = true)]
async fn n4_retry_after_is_waited_for_up_to_a_limit() {
    let asked = |seconds| fault(NetworkErrorKind::Status(503), Some(seconds));
    assert_eq!(run(&retry(vec![asked(7)], config(), 1)).await, (Ok(()), 2, 7000));
    assert_eq!(run(&retry(vec![asked(0)], config(), 1)).await, (Ok(()), 2, 250));
    assert_eq!(run(&retry(vec![asked(31)], config(), 1)).await, (Err(1), 1, 0));
}

#[tokio::test(start_paused = true)]
async fn n4_attempts_end_with_the_time_budget() {
    let budget = RetryConfig { budget: Duration::from_millis(800), ..config() };
    assert_eq!(run(&retry(vec![status(500); 9], budget, 1)).await, (Err(3), 3, 750));
}

#[tokio::test(start_paused = true)]
async fn n4_jitter_shortens_pauses_and_is_the_same_for_the_same_seed() {
    let jitter = RetryConfig { jitter: 0.3, ..config() };
    let mut times = Vec::new();
    for seed in [1, 1, 2, 3] {
        let (outcome, calls, ms) = run(&retry(vec![status(500); 4], jitter.clone(), seed)).await;
        assert_eq!((outcome, calls), (Ok(()), 5));
        // Each timer may be up to a millisecond late.
        assert!((2625..=3754).contains(&ms), "{ms}");
        times.push(ms);
    }
    assert_eq!(times[0], times[1]);
    assert!(times[1] != times[2] || times[2] != times[3], "{times:?}");
}

/// N3: a range is tried again by the scheduler, never in here.
#[tokio::test(start_paused = true)]
async fn n3_a_range_is_asked_for_once() {
    let retry = retry(Vec::new(), config(), 1);
    let fault = retry.get_range(Lane::Demand, target(), RangeRequest::default()).await.unwrap_err();
    assert!(fault.is_retryable());
    assert_eq!(retry.inner.calls.next() - 1, 1);
}

#[tokio::test(start_paused = true)]
async fn p8_figures_can_be_changed_on_the_way() {
    let retry = retry(vec![status(500); 9], config(), 1);
    retry.reconfigure(RetryConfig { max_attempts: 2, ..config() });
    assert_eq!(run(&retry).await, (Err(2), 2, 250));
}

#[test]
fn n4_shares_are_spread_between_zero_and_one() {
    let mut random = SplitMix(7);
    let shares: Vec<f64> = (0..1000).map(|_| random.share()).collect();
    assert!(shares.iter().all(|share| (0.0..1.0).contains(share)));
    let mean = shares.iter().sum::<f64>() / 1000.0;
    assert!((0.45..0.55).contains(&mean), "{mean}");
}
