//! Origins in object stores: each byte checked, each request counted. No network.

#![allow(clippy::unwrap_used, missing_docs)]
#![cfg(all(feature = "object-store", feature = "origin"))]

mod changes;
mod faults;
mod reading;
mod server;
mod watched;

use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;
use std::time::Duration;

use kithara_file::object_store::local::LocalFileSystem;
use kithara_file::object_store::memory::InMemory;
use kithara_file::object_store::path::Path;
use kithara_file::object_store::{
    Attribute, Attributes, ObjectStore, ObjectStoreExt as _, PutOptions,
};
use kithara_file::origin::pattern;
use kithara_file::{Config, Engine, Error, Reader, Session, Source};

const MIB: u64 = 1 << 20;
const LEN: u64 = 4 * MIB + 17;
/// What the tests' object is called.
const URL: &str = "s3://films/a/one.mp4";

/// Retries without noticeable pauses, and no read-ahead: each request is one that a read asked for.
fn frugal() -> Config {
    let mut config = quick();
    config.tunables.readahead.enabled = false;
    config.tunables.readahead.whole_file = 0;
    config
}

/// Retries without noticeable pauses.
fn quick() -> Config {
    let mut config = Config::default();
    let retry = &mut config.tunables.retry;
    retry.max_attempts = 3;
    retry.backoff = Duration::from_millis(1);
    retry.max_backoff = Duration::from_millis(2);
    config.tunables.hedging.enabled = false;
    config
}

fn engine(config: Config) -> Engine {
    Engine::builder().config(config).build().unwrap()
}

/// A store in memory with the tests' object.
fn memory(len: u64) -> Arc<dyn ObjectStore> {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    put(&store, len, 0);
    store
}

/// The same in `folder`.
fn local(folder: &std::path::Path, len: u64) -> Arc<dyn ObjectStore> {
    let store: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new_with_prefix(folder).unwrap());
    let bytes = pattern::bytes(0, usize::try_from(len).unwrap(), 0);
    block_on(store.put(&path(), bytes.into())).unwrap();
    store
}

/// Puts another version of the tests' object.
fn put(store: &Arc<dyn ObjectStore>, len: u64, seed: u64) {
    let bytes = pattern::bytes(0, usize::try_from(len).unwrap(), seed);
    let mut attributes = Attributes::new();
    attributes.insert(Attribute::ContentType, "video/mp4".into());
    let options = PutOptions { attributes, ..PutOptions::default() };
    block_on(store.put_opts(&path(), bytes.into(), options)).unwrap();
}

fn path() -> Path {
    Path::from("a/one.mp4")
}

fn source(store: Arc<dyn ObjectStore>) -> Source {
    Source::object(store, URL).unwrap()
}

fn open(engine: &Engine, store: Arc<dyn ObjectStore>) -> Session {
    engine.open_blocking(source(store)).unwrap()
}

#[track_caller]
fn check_at(reader: &mut Reader, at: u64, len: usize) {
    reader.seek(SeekFrom::Start(at)).unwrap();
    let mut buf = vec![0; len];
    reader.read_exact(&mut buf).unwrap();
    assert_eq!(pattern::first_wrong(&buf, at, 0), None, "at {at}");
}

#[track_caller]
fn check_to_end(reader: &mut Reader, seed: u64) -> u64 {
    let start = reader.stream_position().unwrap();
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    assert_eq!(pattern::first_wrong(&bytes, start, seed), None);
    bytes.len() as u64
}

#[track_caller]
fn failed_read(reader: &mut Reader) -> Error {
    let error = reader.read(&mut [0; 16]).unwrap_err();
    Error::from_io(&error).unwrap_or_else(|| panic!("not the engine's error: {error:?}")).clone()
}

#[track_caller]
fn status(error: &Error) -> Option<u16> {
    match error {
        Error::Network(error) => error.status(),
        other => panic!("not a network error: {other:?}"),
    }
}

/// Runs `future` on a runtime of its own, with a bound that only a hang reaches.
#[track_caller]
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(30), future).await.expect("it hangs")
    })
}
