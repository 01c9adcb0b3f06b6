//! What the tests of the room share, and the tests of the store as a whole.

#[cfg(any(target_os = "linux", target_os = "android"))]
mod along;
mod crash;
mod damage;
mod evict;
mod export;
#[cfg(unix)]
mod faults;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod following;
mod journal;
mod layout;
mod lease;
mod objects;
#[cfg(unix)]
mod power;
mod proofs;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod punch;
mod room;
mod verify;

use std::fs::File;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::byte_range::ByteRange;
use crate::ids::FetchId;
use crate::storage::platform;
use crate::time::Micros;
use crate::validator::Validator;

/// Two runs of the system.
const BOOT: log::BootId = Some([1; 16]);
const LATER: log::BootId = Some([2; 16]);
const FLOW: FetchId = FetchId(1);
const SECOND: Micros = Micros::from_millis(1000);

/// A folder with a store in it.
struct Bench {
    dir: TempDir,
    config: StoreConfig,
}

impl Bench {
    fn new() -> Self {
        Self::at(tempfile::tempdir())
    }

    /// One whose syncs cost nothing, where there is such a place: for tests that make thousands.
    fn in_memory() -> Self {
        Self::at(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()))
    }

    fn at(dir: std::io::Result<TempDir>) -> Self {
        Self { dir: dir.expect("a temporary folder"), config: StoreConfig::default() }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn store(&self, boot: log::BootId) -> AssetStore {
        AssetStore::open_after(boot, self.path(), &self.config)
    }

    fn held(&self, boot: log::BootId) -> Lease {
        held(&self.store(boot), &key("film"))
    }

    fn map(&self) -> std::path::PathBuf {
        self.store(BOOT).inner.layout.asset(&key("film")).map
    }

    fn data(&self) -> std::path::PathBuf {
        self.store(BOOT).inner.layout.asset(&key("film")).data
    }
}

fn key(name: &str) -> AssetKey {
    AssetKey::explicit(name).expect("a good key")
}

fn held(store: &AssetStore, key: &AssetKey) -> Lease {
    match store.acquire(key, false).expect("acquired") {
        Acquired::Held(lease) => lease,
        other => panic!("{other:?}"),
    }
}

fn generation(tag: &str) -> Generation {
    Generation {
        validator: Validator { etag: Some(tag.into()), ..Validator::default() },
        content_type: Some("video/mp4".into()),
    }
}

/// Content that proves its own offset, and its generation.
fn content(range: ByteRange, salt: u8) -> Vec<u8> {
    (range.start..range.end).map(|at| (at ^ (at >> 8)) as u8 ^ salt).collect()
}

/// An asset that is being written, as the engine does it: the bytes first, then the journal.
struct Writer {
    data: File,
    journal: Journal,
}

impl Writer {
    /// Goes on with what is stored, or begins.
    fn new(lease: Lease) -> Self {
        let begin = lease.recovered.meta.is_none();
        let data = lease.data().expect("a data file");
        let mut journal = lease.into_journal();
        if begin {
            journal.begin(&generation("\"1\"")).expect("begun");
        }
        Self { data, journal }
    }

    fn write(&mut self, flow: FetchId, start: u64, end: u64, now: Micros) {
        let bytes = content(range(start, end), 0);
        put(&self.data, start, &bytes);
        self.journal.written(flow, start, &bytes, now);
    }

    /// Runs a whole barrier that is due.
    fn barrier(&mut self, now: Micros) {
        let data = self.journal.run_due(now).expect("a barrier is due");
        let BarrierOutcome::Next(log) = self.journal.barrier_done(data.sync()) else {
            panic!("the log is to be synced")
        };
        assert!(matches!(self.journal.barrier_done(log.sync()), BarrierOutcome::Done));
    }
}

fn put(file: &File, offset: u64, bytes: &[u8]) {
    let mut done = 0;
    while done < bytes.len() {
        done += platform::write_at(file, offset + done as u64, &bytes[done..]).expect("written");
    }
}

fn range(start: u64, end: u64) -> ByteRange {
    ByteRange::new(start, end)
}

#[test]
fn a1_the_tree_is_private_and_its_names_are_hashes() {
    let bench = Bench::new();
    let store = AssetStore::open(&bench.path().join("a/b"), &bench.config).expect("opened");
    let url = url::Url::parse("https://u:pw@host/secret-path/film.mp4?sig=secret").expect("a URL");
    let mut writer = Writer::new(held(&store, &AssetKey::for_url(&url)));
    writer.write(FLOW, 0, 10, Micros(0));
    writer.journal.close().expect("closed");
    store.objects().write(&key("cover"), &generation("\"1\""), b"x").expect("written");
    let mut folders = vec![store.root().to_owned()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().expect("a folder") {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("plain");
            assert!(!name.contains("secret") && name.len() <= 69, "{name}");
            #[cfg(unix)]
            {
                use std::os::unix::fs::MetadataExt;
                let meta = entry.metadata().expect("metadata");
                let wanted = if meta.is_dir() { 0o700 } else { 0o600 };
                assert_eq!(meta.mode() & 0o777, wanted, "{name}");
            }
            if entry.file_type().expect("a kind").is_dir() {
                folders.push(entry.path());
            } else {
                files += 1;
            }
        }
    }
    // Where marks can be set.
    let marks = usize::from(store.root().join("held").exists());
    // marker, store lock, asset lock, data, map, object
    assert_eq!(files, 6 + marks);
}

#[test]
fn a1_a_store_in_the_wrong_place_is_a_typed_error_with_its_path() {
    let bench = Bench::new();
    let refused = |path: &Path| match AssetStore::open(path, &bench.config) {
        Err(Error::Storage(error)) => error.path.expect("the path is told"),
        other => panic!("{other:?}"),
    };
    let file = bench.path().join("file");
    std::fs::write(&file, "x").expect("written");
    assert_eq!(refused(&file), file);
    assert_eq!(refused(&file.join("below")), file.join("below"));
    let foreign = bench.path().join("foreign");
    std::fs::create_dir(&foreign).expect("made");
    std::fs::write(foreign.join("kithara-store"), "kithara-file store 99\n").expect("written");
    assert!(refused(&foreign).ends_with("kithara-store"));
    // A marker that a power loss emptied is written again.
    std::fs::write(foreign.join("kithara-store"), "").expect("written");
    AssetStore::open(&foreign, &bench.config).expect("opened");
    let blocked = bench.path().join("blocked");
    std::fs::create_dir_all(blocked.join("lock")).expect("made");
    assert!(refused(&blocked).ends_with("lock"));
}

#[cfg(unix)]
#[test]
fn a1_a_store_that_cannot_be_written_is_a_typed_error_with_its_path() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    let sealed = bench.path().join("sealed");
    std::fs::create_dir(&sealed).expect("made");
    std::fs::set_permissions(&sealed, std::fs::Permissions::from_mode(0o500)).expect("set");
    // Root may write anywhere; then only a file system that is read-only refuses.
    let place = if std::fs::write(sealed.join("probe"), "").is_ok() {
        Path::new("/proc/self").join("store")
    } else {
        sealed
    };
    if !cfg!(target_os = "linux") && place.starts_with("/proc") {
        return;
    }
    match AssetStore::open(&place, &bench.config) {
        Err(Error::Storage(error)) => assert!(error.path.expect("told").starts_with(&place)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a1_opening_a_store_makes_no_asset_and_is_repeatable() {
    let bench = Bench::new();
    for _ in 0..3 {
        let store = AssetStore::open(bench.path(), &bench.config).expect("opened");
        assert!(store.list().expect("listed").is_empty());
        assert_eq!(store.allocated().expect("summed"), 0);
    }
    assert!(!bench.path().join("assets").exists());
}

#[test]
fn a_temporary_store_goes_with_its_last_user() {
    let store = AssetStore::temporary(&StoreConfig::default()).expect("made");
    let root = store.root().to_owned();
    let mut writer = Writer::new(held(&store, &key("film")));
    writer.write(FLOW, 0, 100, Micros(0));
    // It has nothing to survive, so it never syncs; and still it knows its bytes again.
    assert!(writer.journal.run_due(SECOND + SECOND).is_none());
    writer.journal.close().expect("closed");
    let lease = held(&store, &key("film"));
    assert_eq!(lease.recovered.covered, [range(0, 100)]);
    drop(store);
    assert!(root.exists());
    drop(lease);
    assert!(!root.exists());
}

/// The engine opens on one thread and writes on another.
#[test]
fn what_is_open_can_go_to_another_thread() {
    fn sendable<T: Send>() {}
    fn shareable<T: Send + Sync>() {}
    sendable::<Journal>();
    sendable::<Barrier>();
    sendable::<SyncedBarrier>();
    shareable::<Lease>();
    shareable::<AssetStore>();
    shareable::<Objects>();
}
