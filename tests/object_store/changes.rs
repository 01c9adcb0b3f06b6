//! An object that becomes another one: never a mixture.

use kithara_file::OnChange;

use crate::watched::Watched;
use crate::*;

/// The first version, then at `2 MiB` the store has another of the same length.
fn changed(
    store: &Arc<Watched>,
    inner: &Arc<dyn ObjectStore>,
    config: Config,
) -> (Session, Reader) {
    let session = open(&engine(config), store.clone());
    let mut reader = session.reader();
    check_at(&mut reader, 0, 1000);
    put(inner, LEN, 1);
    reader.seek(SeekFrom::Start(2 * MIB)).unwrap();
    (session, reader)
}

/// N8: refused by the store, asked about once more, and then told.
#[test]
fn n8_a_changed_object_is_told_and_no_byte_of_it_given() {
    let inner = memory(LEN);
    let store = Watched::new(inner.clone());
    let (_session, mut reader) = changed(&store, &inner, frugal());
    assert!(matches!(failed_read(&mut reader), Error::Changed));
    assert_eq!(store.log().len(), 3);
}

/// N8: a store that does not heed `If-Match` serves the new bytes, and they are refused here.
#[test]
fn n8_a_store_that_ignores_if_match_changes_nothing() {
    let inner = memory(LEN);
    let store = Watched::careless(inner.clone());
    let (_session, mut reader) = changed(&store, &inner, frugal());
    assert!(matches!(failed_read(&mut reader), Error::Changed));
}

#[test]
fn n8_a_changed_object_begins_anew_where_that_is_wanted() {
    for careless in [false, true] {
        let inner = memory(LEN);
        let store = match careless {
            true => Watched::careless(inner.clone()),
            false => Watched::new(inner.clone()),
        };
        let mut config = frugal();
        config.net.on_change = OnChange::Restart;
        let (_session, mut reader) = changed(&store, &inner, config);
        assert!(matches!(failed_read(&mut reader), Error::Restarted));
        reader.seek(SeekFrom::Start(0)).unwrap();
        assert_eq!(check_to_end(&mut reader, 1), LEN, "all of the new version");
    }
}

/// N7, N8: an object that became shorter is another one.
#[test]
fn n8_a_shorter_object_is_a_change() {
    let inner = memory(LEN);
    let store = Watched::careless(inner.clone());
    let session = open(&engine(frugal()), store.clone());
    let mut reader = session.reader();
    check_at(&mut reader, 0, 1000);
    put(&inner, MIB, 1);
    reader.seek(SeekFrom::Start(2 * MIB)).unwrap();
    assert!(matches!(failed_read(&mut reader), Error::Changed));
}

/// The tags of files have no quotes.
#[test]
fn n8_a_changed_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let inner = local(folder.path(), LEN);
    let store = Watched::new(inner);
    let session = open(&engine(frugal()), store.clone());
    let mut reader = session.reader();
    check_at(&mut reader, 0, 1000);
    std::fs::write(folder.path().join("a/one.mp4"), pattern::bytes(0, LEN as usize - 1, 1))
        .unwrap();
    reader.seek(SeekFrom::Start(2 * MIB)).unwrap();
    assert!(matches!(failed_read(&mut reader), Error::Changed));
}
