//! One fetch by itself: the write budget, and the end that always comes.

use bytes::Bytes;
use futures::FutureExt as _;
use tokio::time::Instant;

use super::*;
use crate::config::Config;
use crate::engine::gather::Go;
use crate::engine::testing::Bench;

const KIB: usize = 1 << 10;

fn order(range: ByteRange) -> Order {
    Order { fetch: FetchId(1), range, lane: Lane::Demand, class: Class::Blocked, attempt: 1 }
}

/// A fetch of the first mebibyte on an engine whose write budget is 64 KiB.
pub(super) fn fetch() -> (Bench, Fetch) {
    let mut config = Config::default();
    config.net.write_budget = 64 * KIB as u64;
    let bench = Bench::new(config);
    let (resource, _) = bench.resource();
    let (_pacing, pace) = watch::channel(Pace::default());
    let (shared, order) = (bench.shared.clone(), order(ByteRange::new(0, 1 << 20)));
    (
        bench,
        Fetch {
            shared,
            resource,
            order,
            generation: 0,
            pace,
            received: Gathered::default(),
            began: Micros(0),
            received_bytes: 0,
        },
    )
}

/// Whether a chunk of `len` bytes is handed over at once.
fn passes(fetch: &mut Fetch, offset: u64, len: usize) -> bool {
    fetch.received = Gathered::default();
    fetch.received.push(Instant::now(), offset, Bytes::from(vec![0; len]));
    matches!(fetch.hand_over(Go::All).now_or_never(), Some(Ok(())))
}

/// D3: received bytes that the disk has not taken are bounded, and wait without a place to grow in.
#[test]
fn d3_a_slow_disk_makes_the_network_wait_at_the_budget() {
    let (bench, mut fetch) = fetch();
    for n in 0..4_u64 {
        assert!(passes(&mut fetch, n * 16 * KIB as u64, 16 * KIB));
    }
    assert!(!passes(&mut fetch, 1 << 18, 16 * KIB), "the budget is used up");
    let first = bench.jobs.try_recv().unwrap();
    assert!(!passes(&mut fetch, 1 << 18, 16 * KIB), "taken by the writer, and not yet written");
    drop(first);
    assert!(passes(&mut fetch, 1 << 18, 16 * KIB), "written: there is room again");
    assert!(!passes(&mut fetch, 1 << 19, 16 * KIB));
}

/// D3: a chunk above the whole budget passes alone instead of waiting for ever.
#[test]
fn d3_a_chunk_larger_than_the_budget_passes_when_nothing_else_waits() {
    let (_bench, mut fetch) = fetch();
    assert!(passes(&mut fetch, 0, 100 * KIB));
}

/// P6: what waits for room when its fetch is stopped is handed over once there is some.
#[test]
fn p6_a_chunk_that_waits_for_the_disk_outlives_its_fetch() {
    let (bench, mut fetch) = fetch();
    assert!(passes(&mut fetch, 0, 64 * KIB));
    assert!(!passes(&mut fetch, 1 << 18, 16 * KIB), "the wait has ended with the transfer");
    let stop = Stop::new();
    stop.receiving();
    let mut kept = Box::pin(fetch.keep(&stop));
    assert!((&mut kept).now_or_never().is_none(), "no room yet");
    drop(bench.jobs.try_recv());
    assert!((&mut kept).now_or_never().is_some());
    let Ok(Job::Write(write)) = bench.jobs.try_recv() else { panic!("the chunk is lost") };
    assert_eq!((write.offset, write.pieces.concat().len()), (1 << 18, 16 * KIB));
    assert!(bench.jobs.try_recv().is_err(), "once");
}

/// D1: nobody wants the bytes any more, and the fetch ends whatever the disk does.
#[test]
fn d1_a_chunk_that_waits_for_the_disk_holds_up_no_end() {
    let (_bench, mut fetch) = fetch();
    assert!(passes(&mut fetch, 0, 64 * KIB));
    assert!(!passes(&mut fetch, 1 << 18, 16 * KIB));
    let stop = Stop::new();
    stop.all();
    assert!(stop.receiving.is_cancelled());
    assert!(fetch.keep(&stop).now_or_never().is_some());
}

/// Whoever drops the task (a panic, the end of the application's runtime): the scheduler hears of its end.
#[test]
fn d1_a_fetch_that_never_ran_still_ends() {
    let bench = Bench::new(Config::default());
    let (resource, _) = bench.resource();
    let (_pacing, pace) = watch::channel(Pace::default());
    let order = order(ByteRange::new(0, 1));
    drop(run(bench.shared.clone(), resource, order, Stop::new(), pace));
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
