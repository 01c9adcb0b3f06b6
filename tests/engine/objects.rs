//! Small whole objects: `get_object` (A9, S3, N2, E2).

use kithara_file::{NetworkErrorKind, Stage};
use std::io::ErrorKind;
use std::time::Duration;

use kithara_file::origin::Framing;

use crate::support::*;

fn cover(bytes: &[u8]) -> Origin {
    let origin = Origin::start();
    origin.put("/cover", Content::bytes(bytes));
    origin
}

fn offline(dir: &std::path::Path) -> Engine {
    Engine::builder().store_dir(dir).offline(true).build().unwrap()
}

#[test]
fn a9_an_object_is_fetched_whole_kept_and_served_offline() {
    let (mut origin, dir) = (cover(b"first"), tempfile::tempdir().unwrap());
    let url = origin.url("/cover");
    let engine = engine_in(dir.path(), quick());
    assert_eq!(engine.get_object_blocking(&url, 100).unwrap(), b"first".as_slice());
    assert_eq!(block_on(engine.get_object(&url, 100)).unwrap(), b"first".as_slice());
    let sent = origin.log().len();
    assert_eq!(offline(dir.path()).get_object_blocking(&url, 100).unwrap(), b"first".as_slice());
    assert_eq!(origin.log().len(), sent);
    // What is newer takes its place.
    origin.replace("/cover", Content::bytes(b"second, and longer".as_slice()));
    assert_eq!(engine.get_object_blocking(&url, 100).unwrap(), b"second, and longer".as_slice());
    // An origin that cannot be reached says nothing about the object.
    origin.stop();
    assert_eq!(engine.get_object_blocking(&url, 100).unwrap(), b"second, and longer".as_slice());
}

#[test]
fn a9_an_object_that_is_not_stored_is_a_miss_offline() {
    let (origin, dir) = (cover(b"x"), tempfile::tempdir().unwrap());
    let error = offline(dir.path()).get_object_blocking(origin.url("/cover"), 100).unwrap_err();
    assert!(matches!(error, Error::OfflineMiss { .. }) && error.is_fatal(), "{error:?}");
    assert!(origin.log().connections.is_empty());
}

#[test]
fn a9_an_object_above_the_limit_is_refused_wherever_it_shows() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine_in(dir.path(), quick());
    let origin = cover(&[7; 1000]);
    let url = origin.url("/cover");
    for framing in [Framing::Length, Framing::Chunked, Framing::Close] {
        origin.clear_rules("/cover");
        origin.rule("/cover", Rule::framing(framing));
        let error = engine.get_object_blocking(&url, 999).unwrap_err();
        assert_eq!(network(&error).kind, NetworkErrorKind::TooLarge(999), "{framing:?}");
        assert!(error.is_fatal());
        assert_eq!(engine.get_object_blocking(&url, 1000).unwrap().len(), 1000, "{framing:?}");
    }
    // A stored one that is too large is none either.
    let error = offline(dir.path()).get_object_blocking(&url, 999).unwrap_err();
    assert!(matches!(error, Error::OfflineMiss { .. }), "{error:?}");
}

/// What the origin says about the object counts, and is not taken for being offline.
#[test]
fn a9_a_404_is_told_although_an_old_object_is_stored() {
    let (origin, dir) = (cover(b"old"), tempfile::tempdir().unwrap());
    let url = origin.url("/cover");
    let engine = engine_in(dir.path(), quick());
    engine.get_object_blocking(&url, 100).unwrap();
    origin.remove("/cover");
    let error = engine.get_object_blocking(&url, 100).unwrap_err();
    assert_eq!(network(&error).status(), Some(404));
    assert_eq!(error.io_kind(), ErrorKind::NotFound);
    // Defect 16: nor is it thrown away for that.
    assert_eq!(offline(dir.path()).get_object_blocking(&url, 100).unwrap(), b"old".as_slice());
}

#[test]
fn n4_an_object_is_tried_again_and_a_cut_one_never_given() {
    let origin = cover(&[7; 1000]);
    let engine = engine(quick());
    origin.rule("/cover", Rule::status(503, "busy").once());
    origin.rule("/cover", Rule::close_after(500).once());
    assert_eq!(engine.get_object_blocking(origin.url("/cover"), 1000).unwrap().len(), 1000);
    assert_eq!(origin.log().len(), 3);
}

/// E2: the end of a body that ends with its connection is believed only if a second one ends there too.
#[test]
fn e2_a_close_delimited_object_is_checked_once() {
    let origin = cover(&[7; 1000]);
    let engine = engine(quick());
    let url = origin.url("/cover");
    origin.rule("/cover", Rule::framing(Framing::Close).times(2));
    assert_eq!(engine.get_object_blocking(&url, 1000).unwrap().len(), 1000);
    assert_eq!(origin.log().len(), 2);
    origin.rule("/cover", Rule::framing(Framing::Close).and(Rule::close_after(400)).once());
    origin.rule("/cover", Rule::framing(Framing::Close));
    let error = engine.get_object_blocking(&url, 1000).unwrap_err();
    assert!(matches!(error, Error::Truncated { at: 400 }), "{error:?}");
    assert_eq!(engine.get_object_blocking(&url, 1000).unwrap().len(), 1000);
}

/// N2: a whole object is bounded in all.
#[test]
fn n2_an_object_that_takes_too_long_is_given_up() {
    let origin = cover(&[7; 1000]);
    let mut config = quick();
    config.timeouts.object = Duration::from_millis(100);
    let gate = Gate::new();
    origin.rule("/cover", Rule::gate_body(500, &gate));
    let error = engine(config).get_object_blocking(origin.url("/cover"), 1000).unwrap_err();
    assert_eq!(network(&error).kind, NetworkErrorKind::TimedOut);
    assert_eq!((network(&error).stage, network(&error).attempts), (Stage::Body, 3));
}

/// N10: a login page in place of an object with another kind of name is not kept.
#[test]
fn n10_a_login_page_is_no_object() {
    let origin = Origin::start();
    origin.put("/cover.jpg", Content::bytes(b"image".as_slice()));
    origin.rule("/cover.jpg", Rule::login_page().once());
    let dir = tempfile::tempdir().unwrap();
    let engine = engine_in(dir.path(), quick());
    let url = origin.url("/cover.jpg");
    let error = engine.get_object_blocking(&url, 1000).unwrap_err();
    assert!(matches!(network(&error).kind, NetworkErrorKind::NotMedia(_)), "{error}");
    assert!(offline(dir.path()).get_object_blocking(&url, 1000).is_err());
    assert_eq!(engine.get_object_blocking(&url, 1000).unwrap(), b"image".as_slice());
}

/// S3: an object that was damaged on the disk is none.
#[test]
fn s3_a_damaged_object_is_never_given() {
    let (origin, dir) = (cover(&[7; 1000]), tempfile::tempdir().unwrap());
    let url = origin.url("/cover");
    engine_in(dir.path(), quick()).get_object_blocking(&url, 1000).unwrap();
    let stored: Vec<_> = files(dir.path())
        .into_iter()
        .filter(|path| path.metadata().unwrap().len() >= 1000)
        .collect();
    assert_eq!(stored.len(), 1, "{stored:?}");
    let good = std::fs::read(&stored[0]).unwrap();
    for at in (0..good.len()).step_by(97) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&stored[0], bad).unwrap();
        let error = offline(dir.path()).get_object_blocking(&url, 1000).unwrap_err();
        assert!(matches!(error, Error::OfflineMiss { .. }), "{at}: {error:?}");
    }
    std::fs::write(&stored[0], &good[..good.len() - 1]).unwrap();
    assert!(offline(dir.path()).get_object_blocking(&url, 1000).is_err());
}
