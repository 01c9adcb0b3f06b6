//! Stopping: D1, D2 and D4 at the user's door; D3 where a consumer never reads.

use std::io::{Read, Seek, SeekFrom};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use futures::FutureExt;
use kithara_file::AsyncReader;
use tokio::io::AsyncSeekExt;

use crate::stage::*;
use crate::support::*;

/// Ends a session in one of the ways there are.
type Ending = fn(Session);

/// Long beside 10 ms on a loaded machine, short beside every timeout that might end a wait as well.
const AT_ONCE: Duration = Duration::from_secs(5);

const ENDINGS: [(&str, Ending); 4] = [
    ("dropped", drop),
    ("closed", |session| block_on(session.close())),
    ("cancelled and dropped", |session| {
        session.cancel_token().cancel();
        drop(session);
    }),
    ("owned by a reader that is dropped", |session| drop(session.into_reader())),
];

#[test]
fn d1_every_way_to_end_a_session_ends_blocked_reads_and_their_requests() {
    for (how, end) in ENDINGS {
        let (origin, gate) = gated();
        let session = open(&engine(frugal()), &origin);
        let token = session.cancel_token();
        let mut reader = reader_at(&session, HOLE);
        thread::scope(|scope| {
            let read = scope.spawn(|| failed_read(&mut reader));
            gate.wait_arrived(1);
            end(session);
            let error = read.join().unwrap();
            assert!(matches!(error, Error::Cancelled) && error.is_fatal(), "{how}: {error:?}");
        });
        assert!(!token.is_cancelled() || how.starts_with("cancelled"), "{how}");
        let log = origin.wait_until(|log| log.running() == 0);
        assert!(!log.last().unwrap().is_finished(), "{how}: the request was given up");
        assert!(matches!(failed_read(&mut reader), Error::Cancelled), "{how}");
        assert_eq!(
            reader.try_read(&mut [0; 8]).unwrap_err().to_string(),
            Error::Cancelled.to_string()
        );
        assert_eq!(origin.log().len(), log.len(), "{how}: something was sent afterwards");
    }
}

/// D1: every kind of wait ends, not only reads.
#[test]
fn d1_cancelling_ends_async_reads_ready_at_and_fetch_all() {
    let (origin, gate) = gated();
    let session = open(&engine(frugal()), &origin);
    let mut reader = session.async_reader();
    let other = session.reader();
    block_on(async {
        reader.seek(SeekFrom::Start(HOLE)).await.unwrap();
        let mut buf = [0; 100];
        let mut read = Box::pin(reader.read(&mut buf));
        let mut ready = Box::pin(other.ready_at(HOLE + 5));
        let mut all = Box::pin(session.fetch_all());
        assert!((&mut read).now_or_never().is_none());
        assert!((&mut ready).now_or_never().is_none());
        assert!((&mut all).now_or_never().is_none());
        gate.until_arrived(1).await;
        let cancelled = Instant::now();
        session.cancel_token().cancel();
        assert!(matches!(read.await, Err(Error::Cancelled)));
        assert!(matches!(ready.await, Err(Error::Cancelled)));
        assert!(matches!(all.await, Err(Error::Cancelled)));
        assert!(cancelled.elapsed() < AT_ONCE, "something else ended them");
        assert!(matches!(session.fetch_all().await, Err(Error::Cancelled)));
        assert!(matches!(other.ready_at(0).await, Err(Error::Cancelled)), "stored bytes as well");
    });
    origin.wait_until(|log| log.running() == 0);
}

/// D1: a token wakes a task that sleeps, on another thread, and not only one that polls.
#[test]
fn d1_dropping_a_session_wakes_a_pending_async_read() {
    let (origin, gate) = gated();
    let session = open(&engine(frugal()), &origin);
    let mut reader = session.async_reader();
    thread::scope(|scope| {
        let read = scope.spawn(move || {
            block_on(async {
                reader.seek(SeekFrom::Start(HOLE)).await.unwrap();
                reader.read(&mut [0; 10]).await
            })
        });
        gate.wait_arrived(1);
        let dropped = Instant::now();
        drop(session);
        assert!(matches!(read.join().unwrap(), Err(Error::Cancelled)));
        assert!(dropped.elapsed() < AT_ONCE, "something else ended it");
    });
}

#[test]
fn d1_dropping_the_future_of_an_open_ends_its_request_and_frees_the_asset() {
    let origin = origin(MIB);
    let gate = gate_at(&origin, 0);
    let engine = engine(quick());
    block_on(async {
        let mut opening = Box::pin(engine.open(origin.url("/file")));
        assert!((&mut opening).now_or_never().is_none());
        gate.until_arrived(1).await;
        drop(opening);
        origin.until(|log| log.running() == 0).await;
    });
    gate.open();
    let session = open(&engine, &origin);
    assert_eq!(check_to_end(&mut session.reader()), MIB);
}

/// D1: with read-ahead running and the engine still alive, silence is what the origin sees.
#[test]
fn d1_nothing_is_sent_for_a_session_that_is_gone() {
    let origin = origin(64 * MIB);
    let engine = engine(quick());
    let elsewhere = |path: &str| {
        origin.put(path, Content::pattern(3 * MIB));
        let other = engine.open_blocking(origin.url(path)).unwrap();
        assert_eq!(check_to_end(&mut other.reader()), 3 * MIB);
    };
    let ends = [drop::<Session> as Ending, |session| session.cancel_token().cancel()];
    for (round, end) in ends.into_iter().enumerate() {
        let session = open(&engine, &origin);
        let mut reader = session.reader();
        check_at(&mut reader, 20 * MIB, 300_000);
        end(session);
        until("the end", || matches!(reader.try_read(&mut [0; 1]), Err(Error::Cancelled)));
        // By then the engine has heard of the end, and the origin of what was on its way.
        elsewhere(&format!("/fence-{round}"));
        let log = origin.wait_until(|log| log.running() == 0);
        let (requests, bytes) = (log.of("/file").count(), body_of(&log));
        elsewhere(&format!("/other-{round}"));
        let log = origin.log();
        assert_eq!((log.of("/file").count(), body_of(&log)), (requests, bytes));
        drop(reader);
    }
}

fn body_of(log: &kithara_file::origin::Log) -> u64 {
    log.of("/file").map(|request| request.body_bytes).sum()
}

#[test]
fn d1_close_leaves_the_asset_durable_and_its_lock_free() {
    let origin = origin(8 * MIB);
    let dir = tempfile::tempdir().unwrap();
    let stored = || Engine::builder().config(frugal()).store_dir(dir.path()).build().unwrap();
    let first = stored();
    let session = open(&first, &origin);
    check_at(&mut session.reader(), 2 * MIB, 100_000);
    let sent = origin.log().len();
    block_on(session.close());
    // The first engine lives on: only the asset's own lock decides.
    let second = stored();
    let session = open(&second, &origin);
    check_at(&mut session.reader(), 2 * MIB, 100_000);
    assert_eq!(origin.log().len(), sent, "all of it was stored");
    check_at(&mut session.reader(), 6 * MIB, 1000);
    block_on(session.close());
    let session = open(&first, &origin);
    check_at(&mut session.reader(), 6 * MIB, 1000);
    assert_eq!(origin.log().len(), sent + 1, "and the second engine could store as well");
}

#[test]
fn d1_a_dropped_session_frees_the_lock_by_itself() {
    let origin = origin(8 * MIB);
    let dir = tempfile::tempdir().unwrap();
    let stored = || Engine::builder().config(frugal()).store_dir(dir.path()).build().unwrap();
    let first = stored();
    check_at(&mut open(&first, &origin).into_reader(), 2 * MIB, 100_000);
    drop(first);
    let second = stored();
    until("the asset's lock", || {
        let session = open(&second, &origin);
        let held = session.coverage().iter().any(|run| run.contains(&(2 * MIB)));
        block_on(session.close());
        held
    });
}

/// D1: runs itself in a process of its own, since threads are counted.
#[cfg(target_os = "linux")]
#[test]
fn d1_no_thread_is_left() {
    const ALONE: &str = "KITHARA_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return no_thread_is_left_in_this_process();
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let args = ["--exact", "stopping::d1_no_thread_is_left"];
    let output = command.args(args).env(ALONE, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[cfg(target_os = "linux")]
fn no_thread_is_left_in_this_process() {
    let (origin, gate) = gated();
    for round in 1..=5 {
        let engine = engine(frugal());
        let session = open(&engine, &origin);
        let reader = reader_at(&session, HOLE);
        assert!(threads().len() >= 2, "{:?}", threads());
        thread::scope(|scope| {
            let read = fails_in_thread(scope, reader);
            gate.wait_arrived(round);
            drop(session);
            drop(engine);
            assert!(matches!(read.join().unwrap(), Error::Cancelled));
        });
        until("the engine's threads to end", || threads().is_empty());
    }
    origin.wait_closed();
}

/// Names of this process's threads that are an engine's.
#[cfg(target_os = "linux")]
fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|name| name.starts_with("kithara-"))
        .collect()
}

/// D1: the figure is printed (`--nocapture`); the promise is 10 ms, and this bound only catches a wait for something
/// else.
#[test]
fn d1_a_hundred_drops_during_a_blocked_read() {
    let (origin, gate) = gated();
    let engine = engine(frugal());
    let mut latencies: Vec<Duration> = Vec::new();
    for round in 1..=100 {
        let session = open(&engine, &origin);
        let mut reader = reader_at(&session, HOLE);
        thread::scope(|scope| {
            let read = scope.spawn(move || {
                let error = failed_read(&mut reader);
                (Instant::now(), error)
            });
            gate.wait_arrived(round);
            let dropped = Instant::now();
            drop(session);
            let (ended, error) = read.join().unwrap();
            assert!(matches!(error, Error::Cancelled), "{error:?}");
            latencies.push(ended.saturating_duration_since(dropped));
        });
    }
    latencies.sort();
    let (median, largest) = (latencies[50], latencies[99]);
    println!("100 drops during a blocked read: median {median:?}, largest {largest:?}");
    assert!(largest < Duration::from_secs(1), "{largest:?}");
}

#[test]
fn d1_an_engine_may_be_dropped_inside_async_code() {
    let (origin, gate) = gated();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let engine = engine(frugal());
        let session = engine.open(origin.url("/file")).await.unwrap();
        let mut reader = reader_at(&session, HOLE);
        let read = tokio::task::spawn_blocking(move || failed_read(&mut reader));
        gate.until_arrived(1).await;
        drop(engine);
        drop(session);
        assert!(matches!(read.await.unwrap(), Error::Cancelled));
        // The last handles go here, in an async task, with a private store behind them.
        let engine = self::engine(frugal());
        drop(engine.open(origin.url("/file")).await.unwrap());
        drop(engine);
    });
    origin.wait_until(|log| log.running() == 0);
}

/// D1: whatever the engine's own thread does, dropping waits for nothing.
#[test]
fn d1_dropping_a_session_does_not_wait_for_the_engine() {
    let origin = origin(MIB);
    let (hold, held) = mpsc::channel::<()>();
    let (enter, entered) = mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let engine = Engine::builder()
        .config(quick())
        .key_of(move |url| {
            if url.path() == "/stuck" {
                let _ = enter.send(());
                let _ = held.lock().unwrap().recv();
            }
            None
        })
        .build()
        .unwrap();
    let session = open(&engine, &origin);
    let reader = session.async_reader();
    block_on(async {
        let mut stuck = Box::pin(engine.open(origin.url("/stuck")));
        assert!((&mut stuck).now_or_never().is_none());
        // Now the thread that decides everything sits in the application's own function.
        entered.recv().unwrap();
        drop(reader);
        drop(session);
        hold.send(()).unwrap();
        assert!(stuck.await.is_err(), "there is no such file");
    });
}

/// Opens a file of 1 GiB, and from there on lets each request be so long that none is worth finishing once nobody
/// wants it, however fast the link has been found to be.
fn open_for_long_requests(origin: &Origin) -> Session {
    let engine = engine(frugal());
    let session = open(&engine, origin);
    let mut tunables = frugal().tunables;
    tunables.fetch.demand_min = 128 * MIB;
    tunables.fetch.demand_max = 128 * MIB;
    tunables.fetch.segment_max = 128 * MIB;
    tunables.fetch.speculation_budget = 128 * MIB;
    engine.reconfigure(tunables).unwrap();
    session
}

#[test]
fn d2_dropping_a_reader_withdraws_its_demand_and_no_other() {
    let origin = origin(1 << 30);
    let (here, there) = (gate_at(&origin, 300 * MIB), gate_at(&origin, 600 * MIB));
    let session = open_for_long_requests(&origin);
    let mut gone = session.async_reader();
    let mut stays = reader_at(&session, 600 * MIB);
    thread::scope(|scope| {
        let read = scope.spawn(move || check_at(&mut stays, 600 * MIB, 100_000));
        there.wait_arrived(1);
        block_on(pend_at(&mut gone, 300 * MIB));
        here.wait_arrived(1);
        drop(gone);
        let log = origin.wait_until(|log| log.running() == 1);
        let running: Vec<_> = log.iter().filter(|request| request.end.is_none()).collect();
        assert_eq!(running[0].range.unwrap().0, 600 * MIB, "the other's request goes on");
        there.open();
        read.join().unwrap();
    });
}

/// A demand that nobody has is not tried again. The request that runs is another matter: it stays while the cursor
/// stands there. (The origin refuses each request for [`HOLE`] once the gate is open.)
fn assert_not_tried_again(origin: &Origin, session: &Session, gate: &Gate) {
    origin.clear_rules("/file");
    origin.rule("/file", Rule::status(503, "busy").starting_at(HOLE));
    gate.open();
    until("the request to fail", || {
        let snapshot = session.snapshot();
        snapshot.in_flight.is_empty() && snapshot.wanted.is_empty() && origin.quiet()
    });
    let tries = origin.log().iter().filter(|request| request.range.unwrap().0 == HOLE).count();
    assert_eq!(tries, 1);
    origin.clear_rules("/file");
}

fn busy_behind_a_gate(origin: &Origin) -> Gate {
    let gate = Gate::new();
    let refusal = Rule::status(503, "busy").and(Rule::gate_head(&gate));
    origin.rule("/file", refusal.starting_at(HOLE));
    gate
}

/// D2, cancel safety of `AsyncReader::read`: the demand goes with the future, and the reader is as before.
#[test]
fn d2_dropping_a_read_future_withdraws_its_demand() {
    let origin = origin(16 * MIB);
    let gate = busy_behind_a_gate(&origin);
    let session = open(&engine(frugal()), &origin);
    let mut reader = session.async_reader();
    let mut buf = [0; 1000];
    block_on(async {
        reader.seek(SeekFrom::Start(HOLE)).await.unwrap();
        let mut read = Box::pin(reader.read(&mut buf));
        assert!((&mut read).now_or_never().is_none());
        gate.until_arrived(1).await;
    });
    assert_not_tried_again(&origin, &session, &gate);
    block_on(async {
        assert_eq!(reader.stream_position().await.unwrap(), HOLE, "the cursor has not moved");
        let n = reader.read(&mut buf).await.unwrap();
        assert!(n > 0 && pattern::check(&buf[..n], HOLE, 0));
    });
}

/// D2: an interrupted read waits for nothing any more, and neither does the scheduler for it.
#[test]
fn d2_an_interrupted_read_withdraws_its_demand() {
    let origin = origin(16 * MIB);
    let gate = busy_behind_a_gate(&origin);
    let session = open(&engine(frugal()), &origin);
    let mut reader = reader_at(&session, HOLE);
    let handle = reader.handle();
    thread::scope(|scope| {
        let read = scope.spawn(|| failed_read(&mut reader));
        gate.wait_arrived(1);
        handle.interrupt();
        assert!(matches!(read.join().unwrap(), Error::Interrupted));
    });
    assert_not_tried_again(&origin, &session, &gate);
    check_at(&mut reader, HOLE, 1000);
}

/// D2: the same for `ready_at` and `fetch_all`.
#[test]
fn d2_dropping_other_waits_withdraws_them_too() {
    let origin = origin(1 << 30);
    let gate = gate_at(&origin, 300 * MIB);
    let session = open_for_long_requests(&origin);
    let reader = session.reader();
    {
        let mut ready = Box::pin(reader.ready_at(300 * MIB));
        assert!(poll_once(&mut ready).is_pending());
        gate.wait_arrived(1);
    }
    origin.wait_until(|log| log.running() == 0);
    let sent = origin.log().len();
    check_at(&mut session.reader(), 0, 1000);
    assert!(origin.log()[sent..].iter().all(|r| r.range.unwrap().0 < 300 * MIB));
    {
        let mut all = Box::pin(session.fetch_all());
        assert!(poll_once(&mut all).is_pending());
        origin.wait_until(|log| log.len() > sent);
    }
    until("everything to be withdrawn", || {
        let snapshot = session.snapshot();
        snapshot.wanted.is_empty() && snapshot.in_flight.is_empty() && origin.quiet()
    });
    assert!(
        session.snapshot().covered.iter().map(|run| run.end - run.start).sum::<u64>() < 1 << 30
    );
}

async fn pend_at(reader: &mut AsyncReader, at: u64) {
    // The extension trait's future leaves its demand: that is what the reader's own drop must withdraw.
    reader.seek(SeekFrom::Start(at)).await.unwrap();
    let mut buf = [0; 100];
    let mut read = Box::pin(tokio::io::AsyncReadExt::read(reader, &mut buf));
    assert!((&mut read).now_or_never().is_none());
}

/// D3, D4: a consumer that reads once and never again holds no connection and is read ahead of only so far.
#[test]
fn d4_a_paused_consumer_leaves_no_body_unfinished_and_no_request_running() {
    let origin = origin(1 << 30);
    let mut config = quick();
    config.tunables.readahead.max_window = 4 * MIB;
    let session = open(&engine(config), &origin);
    let mut reader = session.reader();
    check_at(&mut reader, 100 * MIB, 200_000);
    session.set_playing(false);
    // What ended before may have been cut for a blocked read; from here on nobody is.
    let paused = origin.log();
    let goes_on = |number: usize| paused.get(number).is_none_or(|request| request.end.is_none());
    until("the read-ahead to rest", || {
        let snapshot = session.snapshot();
        snapshot.in_flight.is_empty() && snapshot.wanted.is_empty() && origin.quiet()
    });
    let log = origin.log();
    assert_eq!(log.running(), 0);
    for (_, request) in log.iter().enumerate().filter(|(number, _)| goes_on(*number)) {
        let (first, last) = request.range.unwrap();
        assert!(request.is_finished(), "{request:?}");
        assert_eq!(request.body_bytes, last.unwrap() + 1 - first, "ended at its bound");
    }
    assert!(log.body_bytes() <= 16 * MIB, "{}", log.body_bytes());
    assert_eq!(log.body_bytes(), session.snapshot().bytes_fetched, "all of it was written");
    // And it goes on where it stopped.
    let mut buf = vec![0; 64 << 10];
    let at = reader.stream_position().unwrap();
    let n = reader.read(&mut buf).unwrap();
    assert!(pattern::check(&buf[..n], at, 0));
}
