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

/// Runs only as the child of the tests below; by itself it has nothing to do.
#[test]
fn child() {
    let (Ok(dir), Ok(url)) = (std::env::var(STORE), std::env::var(URL)) else { return };
    let session = engine_in(Path::new(&dir), frugal()).open_blocking(url).unwrap();
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
    Command::new(std::env::current_exe().unwrap())
        .args(["kill::child", "--exact", "--nocapture", "--test-threads", "1"])
        .env(STORE, dir)
        .env(URL, origin.url("/file"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
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
