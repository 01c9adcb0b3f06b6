//! One fetch by itself: the write budget, and the end that always comes.

use super::*;
use crate::config::Config;
use crate::engine::testing::Bench;
use crate::sync::block_on;

const KIB: usize = 1 << 10;

fn order(range: ByteRange) -> Order {
    Order { fetch: FetchId(1), range, lane: Lane::Demand, class: Class::Blocked, attempt: 1 }
}

/// D3: received bytes that the disk has not taken are bounded, and wait without a place to grow in.
#[test]
fn d3_a_slow_disk_makes_the_network_wait_at_the_budget() {
    let mut config = Config::default();
    config.net.write_budget = 64 * KIB as u64;
    let bench = Bench::new(config);
    let (resource, _) = bench.resource();
    let (_pause, paused) = watch::channel(false);
    let range = ByteRange::new(0, 1 << 20);
    let shared = bench.shared.clone();
    let fetch = Fetch { shared, resource, order: order(range), generation: 0, paused };
    let chunk = || Bytes::from(vec![0; 16 * KIB]);
    let waits = |offset| {
        let mut write = Box::pin(fetch.write(offset, chunk()));
        futures::FutureExt::now_or_never(&mut write).is_none()
    };
    for n in 0..4_u64 {
        block_on(fetch.write(n * 16 * KIB as u64, chunk())).unwrap_or_else(|_| panic!("fits"));
    }
    assert!(waits(1 << 18), "the budget is used up");
    let first = bench.jobs.try_recv().unwrap();
    assert!(waits(1 << 18), "taken by the writer, and not yet written");
    drop(first);
    assert!(!waits(1 << 18), "written: there is room again");
    assert!(waits(1 << 19));
}

/// D3: a chunk above the whole budget passes alone instead of waiting for ever.
#[test]
fn d3_a_chunk_larger_than_the_budget_passes_when_nothing_else_waits() {
    let mut config = Config::default();
    config.net.write_budget = 64 * KIB as u64;
    let bench = Bench::new(config);
    let (resource, _) = bench.resource();
    let (_pause, paused) = watch::channel(false);
    let range = ByteRange::new(0, 1 << 20);
    let shared = bench.shared.clone();
    let fetch = Fetch { shared, resource, order: order(range), generation: 0, paused };
    let large = Bytes::from(vec![0; 100 * KIB]);
    block_on(fetch.write(0, large)).unwrap_or_else(|_| panic!("passes"));
}

/// Whoever drops the task (a panic, the end of the application's runtime): the scheduler hears of its end.
#[test]
fn d1_a_fetch_that_never_ran_still_ends() {
    let bench = Bench::new(Config::default());
    let (resource, _) = bench.resource();
    let (_pause, paused) = watch::channel(false);
    let cancel = CancellationToken::new();
    let order = order(ByteRange::new(0, 1));
    drop(run(bench.shared.clone(), resource, order, cancel, paused));
    let ended: Vec<bool> = bench
        .jobs
        .try_iter()
        .map(|job| match job {
            Job::Ended { fetch: FetchId(1), outcome: FetchOutcome::Failed(failure) } => {
                failure.remedy == Remedy::Fatal
            }
            _ => false,
        })
        .collect();
    assert_eq!(ended, [true]);
}
