//! Stored bytes that no strong validator vouches for are compared with the origin's before any are added (N8).

use std::io::{Seek, SeekFrom};
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use kithara_file::OnChange;

use crate::support::*;

const LEN: u64 = 16 * MIB;
const AT: u64 = 8 * MIB;
/// A place in a hole that no stored byte touches.
const FAR: u64 = 12 * MIB;

/// Contents whose versions no strong validator tells apart, all of this moment: a date is weak while it is young.
fn weak(seed: u64) -> [Content; 3] {
    static NOW: LazyLock<u64> =
        LazyLock::new(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs());
    let content = || Content::pattern(LEN).seed(seed);
    [
        content().no_validator(),
        content().no_last_modified().etag("W/\"same\""),
        content().no_etag().last_modified(*NOW),
    ]
}

fn origin_of(content: Content) -> Origin {
    let origin = Origin::start();
    origin.put("/file", content);
    origin
}

/// The first half of `/file` is stored, and where that ends.
fn half_stored(origin: &Origin) -> (tempfile::TempDir, u64) {
    let dir = tempfile::tempdir().unwrap();
    let session = open(&engine_in(dir.path(), frugal()), origin);
    check_at(&mut session.reader(), 0, AT as usize);
    origin.wait_until(|log| log.running() == 0);
    let end = origin.log().ranges().iter().map(|(_, last)| last.unwrap() + 1).max().unwrap();
    check_at(&mut session.reader(), end - 1, 1);
    block_on(session.close());
    (dir, end)
}

/// Another version of the same length, and nothing in a head tells: found by the bytes, next to the stored ones and far
/// from them. What was stored goes.
#[test]
fn n8_resuming_finds_a_change_that_no_validator_tells() {
    for (old, new) in weak(0).into_iter().zip(weak(1)) {
        for at in [None, Some(FAR)] {
            let origin = origin_of(old.clone());
            let (dir, end) = half_stored(&origin);
            origin.replace("/file", new.clone());
            {
                let session = open(&engine_in(dir.path(), frugal()), &origin);
                let mut reader = session.reader();
                check_at(&mut reader, 0, 1000);
                reader.seek(SeekFrom::Start(at.unwrap_or(end))).unwrap();
                assert!(matches!(failed_read(&mut reader), Error::Changed), "{new:?} at {at:?}");
                block_on(session.close());
            }
            let session = open(&engine_in(dir.path(), frugal()), &origin);
            for at in [0, end - 10, FAR] {
                check_seed_at(&mut session.reader(), at, 1000, 1);
            }
        }
    }
}

/// Nobody was given a byte of the old version: the new one is begun with, and no reader is told.
#[test]
fn n8_resuming_before_anything_was_read_starts_over_by_itself() {
    let [old, ..] = weak(0);
    let origin = origin_of(old);
    let (dir, end) = half_stored(&origin);
    let [new, ..] = weak(1);
    origin.replace("/file", new);
    let session = open(&engine_in(dir.path(), frugal()), &origin);
    let mut reader = session.reader();
    for at in [FAR, 0, end - 10] {
        check_seed_at(&mut reader, at, 1000, 1);
    }
}

#[test]
fn n8_resuming_with_restart_tells_each_reader_once() {
    let [old, ..] = weak(0);
    let origin = origin_of(old);
    let (dir, end) = half_stored(&origin);
    let [new, ..] = weak(1);
    origin.replace("/file", new);
    let mut config = frugal();
    config.net.on_change = OnChange::Restart;
    let session = open(&engine_in(dir.path(), config), &origin);
    let mut reader = session.reader();
    check_at(&mut reader, 0, 1000);
    reader.seek(SeekFrom::Start(end)).unwrap();
    assert!(matches!(failed_read(&mut reader), Error::Restarted));
    for at in [end, 0, FAR] {
        check_seed_at(&mut reader, at, 1000, 1);
    }
}

/// The same version: stored bytes are served before any answer, the holes are filled, and of what is stored
/// only a few bytes are asked for, once, and counted as wasted (P6).
#[test]
fn n8_resuming_compares_a_few_stored_bytes_once() {
    for content in weak(0) {
        let origin = origin_of(content);
        let (dir, end) = half_stored(&origin);
        let before = origin.log().len();
        let gate = Gate::new();
        origin.rule("/file", Rule::gate_head(&gate));
        let session = open(&engine_in(dir.path(), frugal()), &origin);
        let mut reader = session.reader();
        check_at(&mut reader, 0, AT as usize);
        gate.open();
        check_at(&mut reader, FAR, 1000);
        check_at(&mut reader, end, 1000);
        reader.seek(SeekFrom::Start(0)).unwrap();
        assert_eq!(check_to_end(&mut reader), LEN);
        let log = origin.log();
        let stored = |first: u64, last: u64| end.min(last + 1).saturating_sub(first);
        let again: Vec<u64> = log[before..]
            .iter()
            .map(|request| request.range.unwrap())
            .map(|(first, last)| stored(first, last.unwrap()))
            .filter(|stored| *stored > 0)
            .collect();
        assert_eq!(again, [4096]);
        let snapshot = session.snapshot();
        assert_eq!(snapshot.bytes_wasted, 4096);
        assert_eq!(snapshot.bytes_fetched, LEN - end + 4096);
    }
}

/// A node that lags behind is no change: a difference is believed once it shows around caches.
#[test]
fn n8_resuming_asks_around_caches_before_a_difference_counts() {
    let [content, ..] = weak(0);
    let origin = origin_of(content);
    let (dir, end) = half_stored(&origin);
    let before = origin.log().len();
    let stale = Rule::body(vec![0xEE; 4096]).starting_at(end - 4096).once();
    origin.rule("/file", stale);
    let session = open(&engine_in(dir.path(), frugal()), &origin);
    let mut reader = session.reader();
    check_at(&mut reader, 0, 1000);
    check_at(&mut reader, FAR, 1000);
    let compared: Vec<bool> = origin.log()[before..]
        .iter()
        .filter(|request| request.range.unwrap().0 < end)
        .map(|request| request.header("cache-control").is_some_and(|v| v.contains("no-cache")))
        .collect();
    assert_eq!(compared, [false, true]);
}

/// A server that does no ranges sends everything again, and that is compared from its first byte on.
#[test]
fn n8_resuming_without_ranges_compares_the_whole_answer() {
    for seed in [0, 1] {
        let content = |seed| Content::pattern(LEN).seed(seed).no_validator().no_ranges();
        let origin = origin_of(content(0));
        let gate = Gate::new();
        origin.rule("/file", Rule::gate_body(AT, &gate).once());
        let dir = tempfile::tempdir().unwrap();
        {
            let session = open(&engine_in(dir.path(), frugal()), &origin);
            check_at(&mut session.reader(), 0, MIB as usize);
            block_on(session.close());
        }
        gate.open();
        origin.replace("/file", content(seed));
        let session = open(&engine_in(dir.path(), frugal()), &origin);
        let mut reader = session.reader();
        check_at(&mut reader, 0, 1000);
        reader.seek(SeekFrom::Start(FAR)).unwrap();
        match seed {
            0 => check_at(&mut reader, FAR, 1000),
            _ => assert!(matches!(failed_read(&mut reader), Error::Changed)),
        }
    }
}
