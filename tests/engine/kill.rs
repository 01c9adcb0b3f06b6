//! A process that is killed in the middle of a download: A3, A7. The child is this very test program.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::support::*;

const LEN: u64 = 16 * MIB;
const STORE: &str = "KITHARA_TEST_STORE";
const URL: &str = "KITHARA_TEST_URL";
/// Whether the child proves what it has as soon as it may.
const PROVING: &str = "KITHARA_TEST_PROVING";

/// Runs only as the child of the tests below; by itself it has nothing to do.
#[test]
fn child() {
    let (Ok(dir), Ok(url)) = (std::env::var(STORE), std::env::var(URL)) else { return };
    let mut config = frugal();
    if std::env::var_os(PROVING).is_some() {
        config.store.barrier_bytes = 1;
    }
    let session = engine_in(Path::new(&dir), config).open_blocking(url).unwrap();
    let mut reader = session.into_reader();
    let (mut at, mut buf) = (0, vec![0; 64 << 10]);
    loop {
        let n = reader.read(&mut buf).unwrap();
        assert_eq!(pattern::first_wrong(&buf[..n], at, 0), None, "at {at}");
        at += n as u64;
        writeln!(std::io::stdout(), "\nread {at}").unwrap();
        if n == 0 {
            return;
        }
    }
}

/// A process that reads `/file` into the store in `dir`.
fn spawn(dir: &Path, origin: &Origin) -> Child {
    command(dir, origin).spawn().unwrap()
}

fn command(dir: &Path, origin: &Origin) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["kill::child", "--exact", "--nocapture", "--test-threads", "1"])
        .env(STORE, dir)
        .env(URL, origin.url("/file"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

/// Kills without a chance to clean up (SIGKILL on Unix).
fn kill(mut child: Child) {
    assert!(child.try_wait().unwrap().is_none(), "it still ran");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Every stored byte, checked; how many there are from the start without a hole.
#[track_caller]
fn check_stored(dir: &Path, origin: &Origin) -> u64 {
    let engine = Engine::builder().store_dir(dir).offline(true).build().unwrap();
    let Ok(session) = engine.open_blocking(origin.url("/file")) else { return 0 };
    let mut reader = session.reader();
    let coverage = session.coverage();
    for run in &coverage {
        check_at(&mut reader, run.start, (run.end - run.start) as usize);
    }
    block_on(session.close());
    coverage.first().filter(|run| run.start == 0).map_or(0, |run| run.end)
}

/// Waits until the child has read `bytes`. What it says later fits into the pipe, which stays open.
fn until_read(child: &mut Child, bytes: u64) {
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let read = lines
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix("read ").and_then(|at| at.parse::<u64>().ok()));
    assert!(read.into_iter().any(|at| at >= bytes), "the child ended too soon");
}

/// A3: what was received more than a second before is there after `kill -9`.
#[test]
fn a3_a_killed_process_loses_at_most_a_second_of_records() {
    let (origin, dir) = (origin(LEN), tempfile::tempdir().unwrap());
    let gate = Gate::new();
    origin.rule("/file", Rule::gate_head(&gate).covering(6 * MIB));
    let mut child = spawn(dir.path(), &origin);
    until_read(&mut child, 5 * MIB);
    // The promise speaks of a second, so a second has to pass; nothing is sent meanwhile.
    let (_keep, never) = mpsc::channel::<()>();
    assert!(never.recv_timeout(Duration::from_secs(1)).is_err());
    kill(child);
    let stored = check_stored(dir.path(), &origin);
    assert!(stored >= 5 * MIB, "{stored}");

    // The asset's lock went with the process, and only the holes are asked for.
    gate.open();
    let before = origin.log().len();
    let session = open(&engine_in(dir.path(), quick()), &origin);
    assert_eq!(check_to_end(&mut session.reader()), LEN);
    let log = origin.log();
    assert!(log[before..].iter().all(|request| request.range.unwrap().0 >= stored));
}

/// A3: killed at any moment, again and again on the same store, it never keeps a wrong byte.
#[test]
fn a3_killed_again_and_again_there_is_never_a_wrong_byte() {
    let (origin, dir) = (origin(LEN), tempfile::tempdir().unwrap());
    for round in 1..=5_u64 {
        let seen = origin.log().body_bytes();
        let child = spawn(dir.path(), &origin);
        origin.wait_until(|log| log.body_bytes() >= seen + round * 300_000);
        kill(child);
        check_stored(dir.path(), &origin);
    }
    let session = open(&engine_in(dir.path(), quick()), &origin);
    assert_eq!(check_to_end(&mut session.reader()), LEN);
}

/// A7: while another process holds the asset, this one streams for itself; both get right bytes.
#[test]
fn a7_another_process_holds_the_asset_and_this_one_streams() {
    let (origin, dir) = (origin(LEN), tempfile::tempdir().unwrap());
    let gate = Gate::new();
    // Holds the child where it is, and nobody after it.
    origin.rule("/file", Rule::gate_head(&gate).covering(6 * MIB).once());
    let mut child = spawn(dir.path(), &origin);
    until_read(&mut child, MIB);
    gate.wait_arrived(1);
    let before = files(dir.path());
    let engine = engine_in(dir.path(), quick());
    let session = open(&engine, &origin);
    assert_eq!(check_to_end(&mut session.reader()), LEN);
    block_on(session.close());
    assert_eq!(files(dir.path()), before, "no second copy in the store");
    kill(child);
    assert!(check_stored(dir.path(), &origin) < LEN, "the stream was not stored");
}

/// A7: what another process holds and has proven is read from the store, and the origin is not asked for it; nor is
/// it lost when that process is killed.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn a7_what_another_process_has_proven_costs_no_request() {
    let (origin, dir) = (origin(LEN), tempfile::tempdir().unwrap());
    let gate = Gate::new();
    origin.rule("/file", Rule::gate_head(&gate).covering(6 * MIB).once());
    let mut child = command(dir.path(), &origin).env(PROVING, "1").spawn().unwrap();
    until_read(&mut child, 5 * MIB);
    gate.wait_arrived(1);
    let engine = engine_in(dir.path(), frugal());
    let session = crate::along::beside(&engine, &origin, 5 * MIB);
    assert!(!session.is_stored());
    let requests = origin.log().len();
    let mut reader = session.reader();
    check_at(&mut reader, 0, 5 * MIB as usize);
    kill(child);
    check_at(&mut reader, MIB, 4 * MIB as usize);
    assert_eq!(origin.log().len(), requests);
    gate.open();
    check_at(&mut reader, 5 * MIB, MIB as usize);
    assert_eq!(check_to_end(&mut reader), LEN - 6 * MIB);
}

/// A7: what another process receives and proves later is read from the store as well.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn a7_what_another_process_receives_later_costs_no_request() {
    let (origin, dir) = (origin(LEN), tempfile::tempdir().unwrap());
    let (gate, later) = (Gate::new(), Gate::new());
    origin.rule("/file", Rule::gate_head(&gate).covering(6 * MIB).once());
    origin.rule("/file", Rule::gate_head(&later).covering(14 * MIB).once());
    let mut child = command(dir.path(), &origin).env(PROVING, "1").spawn().unwrap();
    until_read(&mut child, 5 * MIB);
    gate.wait_arrived(1);
    let engine = engine_in(dir.path(), frugal());
    let session = crate::along::beside(&engine, &origin, 5 * MIB);
    gate.open();
    later.wait_arrived(1);
    crate::along::until_proven(dir.path(), &origin, 10 * MIB);
    let requests = origin.log().len();
    let mut reader = session.reader();
    check_at(&mut reader, 0, 10 * MIB as usize);
    assert_eq!((origin.log().len(), session.snapshot().requests), (requests, 0));
    kill(child);
    check_at(&mut reader, 5 * MIB, 5 * MIB as usize);
    assert_eq!(origin.log().len(), requests);
}
