//! Opening, reading, seeking, scrubbing, and playing again without the store.

use crate::watched::{Asked, Watched};
use crate::*;

/// No byte is asked for twice, and each request after the first stands under `If-Match`.
#[track_caller]
fn each_once(store: &Watched) {
    let ranges = store.ranges();
    for pair in ranges.windows(2) {
        assert!(pair[0].end <= pair[1].start, "asked for twice: {pair:?}");
    }
    let log = store.log();
    assert!(log.iter().skip(1).all(|asked| asked.if_match.is_some()), "{log:?}");
    assert!(log.iter().all(|asked| !asked.head && asked.range.is_some()), "{log:?}");
}

#[test]
fn e1_an_object_in_memory_is_read_through_and_asked_for_once() {
    let store = Watched::new(memory(LEN));
    let session = open(&engine(quick()), store.clone());
    assert_eq!((session.len(), session.content_type().as_deref()), (Some(LEN), Some("video/mp4")));
    assert_eq!(check_to_end(&mut session.reader(), 0), LEN);
    each_once(&store);
    let before = store.log().len();
    assert_eq!(check_to_end(&mut session.reader(), 0), LEN);
    assert_eq!(store.log().len(), before, "the second reader finds all of it");
}

#[test]
fn e1_an_object_in_a_folder_is_read_through_and_asked_for_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = Watched::new(local(folder.path(), LEN));
    let session = open(&engine(quick()), store.clone());
    assert_eq!(check_to_end(&mut session.reader(), 0), LEN);
    each_once(&store);
    assert!(store.log().len() > 1);
}

/// E6, P6: each jump asks for what it reads, where it reads.
#[test]
fn e6_jumps_ask_where_they_read() {
    let store = Watched::new(memory(LEN));
    let session = open(&engine(frugal()), store.clone());
    let mut reader = session.reader();
    for at in [2 * MIB, MIB, LEN - 10] {
        let before = store.log().len();
        check_at(&mut reader, at, 10);
        let log = store.log();
        assert_eq!(log.len(), before + 1);
        assert!(log[before].range.clone().is_some_and(|range| range.start == at), "{log:?}");
        check_at(&mut reader, at, 10);
        assert_eq!(store.log().len(), before + 1, "a hit asks for nothing");
    }
    each_once(&store);
}

#[test]
fn e6_a_scrub_reads_right_bytes_everywhere() {
    let store = Watched::new(memory(LEN));
    let session = open(&engine(quick()), store.clone());
    let mut reader = session.reader();
    let mut at = 7;
    for _ in 0..60 {
        at = (at * 1_103_515_245 + 12_345) % (LEN - 100);
        check_at(&mut reader, at, 100);
    }
    assert!(store.log().iter().skip(1).all(|asked| asked.if_match.is_some()));
}

#[test]
fn e5_past_the_end_is_the_end_and_asks_for_nothing() {
    let store = Watched::new(memory(LEN));
    let session = open(&engine(frugal()), store.clone());
    let mut reader = session.reader();
    let before = store.log();
    for at in [LEN, LEN + 1, u64::MAX / 2] {
        reader.seek(SeekFrom::Start(at)).unwrap();
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
    }
    assert_eq!(store.log(), before);
}

#[test]
fn e2_an_empty_object_has_an_end() {
    let folder = tempfile::tempdir().unwrap();
    for inner in [memory(0), local(folder.path(), 0)] {
        let store = Watched::new(inner);
        let session = open(&engine(quick()), store.clone());
        assert_eq!(session.len(), Some(0));
        assert_eq!(session.reader().read(&mut [0; 8]).unwrap(), 0);
        let asked: Vec<bool> = store.log().iter().map(|asked| asked.head).collect();
        assert_eq!(asked, [false, true], "what lies past the end cannot be told from their errors");
    }
}

/// A4: named as the URL would name it, and played from the store on disk without any of its own.
#[test]
fn a4_the_second_play_offline_asks_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let played = Engine::builder().config(quick()).store_dir(folder.path()).build().unwrap();
    let session = open(&played, Watched::new(memory(LEN)));
    assert_eq!(check_to_end(&mut session.reader(), 0), LEN);
    block_on(session.close());
    drop(played);

    let offline = Engine::builder().store_dir(folder.path()).offline(true).build().unwrap();
    let store = Watched::new(memory(LEN));
    for source in [source(store.clone()), Source::url(URL).unwrap()] {
        let session = offline.open_blocking(source).unwrap();
        assert_eq!(check_to_end(&mut session.reader(), 0), LEN);
    }
    assert_eq!(store.log(), []);
    let other = offline.open_blocking("s3://other/a/one.mp4").map(drop);
    assert!(matches!(other, Err(Error::OfflineMiss { .. })), "{other:?}");
}

/// What is stored stays of use after a restart, under the tag that it came with.
#[test]
fn n8_a_later_play_goes_on_under_the_stored_tag() {
    let (folder, objects) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let inner = local(objects.path(), LEN);
    let store = Watched::new(inner);
    for at in [0, 2 * MIB] {
        let mut builder = Engine::builder().config(frugal());
        builder = builder.store_dir(folder.path());
        let engine = builder.build().unwrap();
        let session = open(&engine, store.clone());
        check_at(&mut session.reader(), at, 1000);
        block_on(session.close());
    }
    each_once(&store);
}

#[test]
fn a_small_object_is_fetched_whole() {
    let store = Watched::new(memory(1000));
    let engine = engine(quick());
    let bytes = engine.get_object_blocking(source(store.clone()), 5000).unwrap();
    assert_eq!(bytes, pattern::bytes(0, 1000, 0));
    assert_eq!(store.log(), [Asked { range: None, if_match: None, head: false }]);
    assert!(engine.get_object_blocking(source(store), 999).is_err());
}

#[test]
fn what_an_object_has_no_use_for_is_refused() {
    let source = Source::url("gs://films/one.mp4").unwrap();
    assert!(matches!(source.header("x", "y"), Err(Error::InvalidInput { .. })));
    assert!(Source::url("s3://KEY:SECRET@films/one.mp4").is_err());
    assert!(Source::url("s3://films").is_err());
}
