//! What is handed to the writer, and when: on a clock that stands still while anything is left to do.

use futures::StreamExt as _;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use tokio::sync::watch;
use tokio::time::{Duration, advance};

use super::*;
use crate::byte_range::ByteRange;
use crate::engine::fetch::tests::fetch;
use crate::engine::stop::Pace;
use crate::engine::testing::Bench;
use crate::net::body::{Bounds, Framing, Source};

const PACKET: usize = 1448;
const LEN: u64 = 1 << 20;
/// After so many, packets may go together; a test begins with as many.
const STEADY: usize = 363;
/// The first packet of a test.
const FIRST: u64 = STEADY as u64 + 2;

/// A body that a test gives piece by piece, and what the writer gets of it.
struct Scene {
    bench: Bench,
    packets: UnboundedSender<Bytes>,
    pace: watch::Sender<Pace>,
}

impl Scene {
    /// Sends `count` packets.
    async fn send(&self, count: usize) {
        for _ in 0..count {
            self.packets.unbounded_send(Bytes::from(vec![1; PACKET])).unwrap();
        }
        settle().await;
    }

    /// What the writer got since the last call, in the test's packets: where each write begins, and how many.
    fn written(&self) -> Vec<(u64, usize)> {
        let jobs = self.bench.jobs.try_iter();
        jobs.map(|job| match job {
            Job::Write(write) => {
                let len: usize = write.pieces.iter().map(Bytes::len).sum();
                (write.offset / PACKET as u64 - FIRST, len / PACKET)
            }
            _ => panic!("bytes alone"),
        })
        .collect()
    }

    /// Somebody comes to wait for the byte in the midst of that packet of the test's.
    async fn wait_for(&self, packet: u64) {
        let at = (FIRST + packet) * PACKET as u64 + 100;
        self.pace.send_modify(|pace| pace.awaited = Some(at));
        settle().await;
    }
}

/// Lets everything run that can, while no time passes.
async fn settle() {
    for _ in 0..50 {
        yield_now().await;
    }
}

/// Runs `test` on a request that has brought so much that it is read through.
fn on_a_standing_clock(test: impl AsyncFnOnce(&Scene)) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    let (bench, mut fetch) = fetch();
    let (pace, told) = watch::channel(Pace::default());
    fetch.pace = told;
    let (packets, pieces) = unbounded();
    let bounds = Bounds::exact(ByteRange::new(0, LEN), Framing::Marked);
    let source = Source::Stream(pieces.map(Ok).boxed());
    let mut body = Body::new(source, bounds, Arc::from("http://origin/file"));
    let scene = Scene { bench, packets, pace };
    runtime.block_on(async {
        tokio::spawn(async move { fetch.take_in(&mut body, 0, LEN).await.map(drop) });
        for _ in 0..3 {
            // Timers end at full milliseconds.
            advance(Duration::from_micros(300)).await;
            scene.send(1).await;
            assert_eq!(scene.bench.jobs.try_iter().count(), 1, "the first bytes go at once");
        }
        scene.packets.unbounded_send(Bytes::from(vec![1; (STEADY - 2) * PACKET])).unwrap();
        settle().await;
        assert_eq!(scene.bench.jobs.try_iter().count(), 1);
        advance(Duration::from_millis(5)).await;
        scene.send(1).await;
        assert_eq!(scene.bench.jobs.try_iter().count(), 1, "after a pause");
        test(&scene).await;
    });
}

#[test]
fn e4_packets_that_nobody_waits_for_go_together() {
    on_a_standing_clock(async |scene| {
        scene.send(3).await;
        assert_eq!(scene.written(), []);
        advance(Duration::from_millis(6)).await;
        settle().await;
        assert_eq!(scene.written(), [(0, 3)]);
    });
}

#[test]
fn e4_a_byte_that_is_here_goes_when_somebody_comes_to_wait_for_it() {
    on_a_standing_clock(async |scene| {
        // Much at once: what follows is looked for as it comes.
        scene.send(40).await;
        assert_eq!(scene.written(), []);
        advance(Duration::from_millis(6)).await;
        settle().await;
        assert_eq!(scene.written(), [(0, 40)]);
        scene.send(3).await;
        assert_eq!(scene.written(), []);
        scene.wait_for(41).await;
        assert_eq!(scene.written(), [(40, 3)]);
    });
}

#[test]
fn e4_much_waits_a_millisecond_and_goes_up_to_a_round_offset() {
    on_a_standing_clock(async |scene| {
        scene.send(40).await;
        advance(Duration::from_millis(6)).await;
        settle().await;
        assert_eq!(scene.written(), [(0, 40)]);
        scene.send(100).await;
        assert_eq!(scene.written(), [], "more may come");
        advance(Duration::from_millis(2)).await;
        settle().await;
        let end = (FIRST + 140) * PACKET as u64;
        let Ok(Job::Write(write)) = scene.bench.jobs.try_recv() else { panic!("much is here") };
        let round = write.offset + write.pieces.concat().len() as u64;
        assert_eq!((write.offset, round), ((FIRST + 40) * PACKET as u64, end - end % (64 << 10)));
        // With its share of the budget.
        drop(write);
        assert!(scene.bench.jobs.try_recv().is_err(), "the rest waits as if it had just come");
        advance(Duration::from_millis(6)).await;
        settle().await;
        let Ok(Job::Write(write)) = scene.bench.jobs.try_recv() else { panic!("it was due") };
        assert_eq!((write.offset, round + write.pieces.concat().len() as u64), (round, end));
    });
}

#[test]
fn e4_a_byte_goes_as_it_comes_where_somebody_waits_for_it() {
    on_a_standing_clock(async |scene| {
        scene.wait_for(2).await;
        scene.send(2).await;
        assert_eq!(scene.written(), [], "not yet that one");
        scene.send(1).await;
        assert_eq!(scene.written(), [(0, 3)], "with those that wait before it");
        scene.send(1).await;
        assert_eq!(scene.written(), [], "nobody has come to wait for more");
    });
}

#[test]
fn e4_a_byte_in_the_socket_goes_when_somebody_comes_to_wait_for_it() {
    on_a_standing_clock(async |scene| {
        // One is here, and the others are where nobody looks for 5 ms.
        scene.send(1).await;
        scene.send(2).await;
        assert_eq!(scene.written(), []);
        scene.wait_for(2).await;
        assert_eq!(scene.written(), [(0, 3)]);
    });
}
