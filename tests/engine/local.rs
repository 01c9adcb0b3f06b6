//! Local files: E8. The same session, without network and without a copy.

use std::io::{ErrorKind, Read, Seek, SeekFrom};

use kithara_file::Source;

use crate::support::*;

const LEN: u64 = MIB + 3;

fn film() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a film.wav");
    std::fs::write(&path, pattern::bytes(0, LEN as usize, 0)).unwrap();
    (dir, path)
}

#[test]
fn e8_a_path_and_a_file_url_give_the_same_session_without_a_copy() {
    let (_dir, path) = film();
    let store = tempfile::tempdir().unwrap();
    let engine = engine_in(store.path(), quick());
    let before = files(store.path());
    let url = url::Url::from_file_path(&path).unwrap();
    for source in [Source::path(&path), Source::from_url(url).unwrap()] {
        let session = engine.open_blocking(source).unwrap();
        assert_eq!(session.len(), Some(LEN));
        assert!(session.coverage().iter().eq([&(0..LEN)]));
        let mut reader = session.reader();
        assert_eq!(check_to_end(&mut reader), LEN);
        for at in [LEN - 1, 0, 500_000] {
            check_at(&mut reader, at, 1);
        }
        assert_eq!(reader.seek(SeekFrom::End(-3)).unwrap(), LEN - 3);
        assert_eq!(check_to_end(&mut reader), 3);
        assert_eq!(reader.seek(SeekFrom::Start(u64::MAX)).unwrap(), u64::MAX);
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
        assert!(reader.seek(SeekFrom::Current(1)).is_err());
        assert_eq!(until_end_of_stream(&mut session.events()), LEN);
        let snapshot = session.snapshot();
        assert!(snapshot.complete);
        assert_eq!((snapshot.requests, snapshot.bytes_fetched), (0, 0));
        block_on(session.fetch_all()).unwrap();
        block_on(session.close());
    }
    assert_eq!(files(store.path()), before);
}

#[test]
fn e8_a_local_file_is_read_offline_too() {
    let (_dir, path) = film();
    let engine = Engine::builder().offline(true).build().unwrap();
    let mut reader = engine.open_blocking(path.as_path()).unwrap().into_reader();
    assert_eq!(check_to_end(&mut reader), LEN);
    assert_eq!(engine.get_object_blocking(path.as_path(), LEN).unwrap().len() as u64, LEN);
}

#[test]
fn e8_an_empty_file_ends_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("empty");
    std::fs::write(&path, []).unwrap();
    let session = engine(quick()).open_blocking(path).unwrap();
    assert_eq!((session.len(), session.is_empty()), (Some(0), true));
    assert_eq!(session.reader().read(&mut [0; 8]).unwrap(), 0);
    assert_eq!(until_end_of_stream(&mut session.events()), 0);
}

#[test]
fn e8_what_is_missing_or_no_file_is_told_with_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(quick());
    let missing = engine.open_blocking(dir.path().join("missing")).unwrap_err();
    assert_eq!(missing.io_kind(), ErrorKind::NotFound);
    assert!(matches!(missing, Error::Storage(_)) && missing.to_string().contains("missing"));
    let folder = engine.open_blocking(dir.path()).unwrap_err();
    assert!(matches!(folder, Error::InvalidInput { .. }), "{folder:?}");
    assert!(folder.to_string().contains("is not a file"), "{folder}");
    let object = engine.get_object_blocking(dir.path().join("missing"), 10).unwrap_err();
    assert_eq!(object.io_kind(), ErrorKind::NotFound);
}

/// A file that is cut while it is open gives an error, not zeros and not an end.
#[test]
fn e8_a_file_that_shrinks_gives_an_error_and_never_zeros() {
    let (_dir, path) = film();
    let session = engine(quick()).open_blocking(path.as_path()).unwrap();
    let mut reader = session.reader();
    check_at(&mut reader, 0, 1000);
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(2000).unwrap();
    reader.seek(SeekFrom::Start(500_000)).unwrap();
    let error = failed_read(&mut reader);
    assert!(matches!(error, Error::Storage(_)), "{error:?}");
    check_at(&mut reader, 0, 1000);
}

/// As a web server has it: another length or another time of change is another version.
#[test]
fn e8_a_file_has_a_tag_and_a_date() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sound.raw");
    std::fs::write(&path, b"0123456789").unwrap();
    let changed = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_600_000_000);
    let touch =
        |time| std::fs::File::options().append(true).open(&path).unwrap().set_modified(time);
    touch(changed).unwrap();
    let engine = engine(quick());
    let told = || {
        let session = engine.open_blocking(path.as_path()).unwrap();
        (session.etag().unwrap(), session.last_modified().unwrap())
    };
    let (tag, date) = told();
    assert_eq!(date, "Sun, 13 Sep 2020 12:26:40 GMT");
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    assert_eq!(told().0, tag);
    touch(changed + std::time::Duration::from_millis(1)).unwrap();
    assert_ne!(told().0, tag);
}

/// The server's own, before and after a restart.
#[test]
fn n8_a_session_tells_tag_and_date_of_what_it_reads() {
    let dir = tempfile::tempdir().unwrap();
    let origin = Origin::start();
    origin.put("/file", Content::pattern(1000).etag("\"a\"").last_modified(1_600_000_000));
    for _ in 0..2 {
        let engine = engine_in(dir.path(), quick());
        let session = open(&engine, &origin);
        assert_eq!(session.etag().as_deref(), Some("\"a\""));
        assert_eq!(session.last_modified().as_deref(), Some("Sun, 13 Sep 2020 12:26:40 GMT"));
        session.close_blocking().unwrap();
    }
    let none = Origin::start();
    none.put("/file", Content::pattern(1000).no_validator());
    let engine = engine(quick());
    assert_eq!(open(&engine, &none).etag(), None);
}
