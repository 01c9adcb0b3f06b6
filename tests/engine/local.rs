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
