//! Shared by the engine's tests: engines that fail fast, and reads that check every byte.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use kithara_file::origin::{Content, Gate, Logged, Origin, Rule, pattern};
pub(crate) use kithara_file::{
    Config, Engine, Error, Events, NetworkError, Reader, Session, SessionEvent,
};

pub(crate) const MIB: u64 = 1 << 20;

/// Retries without noticeable pauses, so that tests of failures are quick.
pub(crate) fn quick() -> Config {
    let mut config = Config::default();
    let retry = &mut config.tunables.retry;
    retry.max_attempts = 3;
    retry.backoff = Duration::from_millis(1);
    retry.max_backoff = Duration::from_millis(2);
    // Gates and stalls hold answers up for as long as they like, and requests are counted.
    config.tunables.hedging.enabled = false;
    config
}

/// As [`quick`], without read-ahead: each request is one that a read asked for.
pub(crate) fn frugal() -> Config {
    let mut config = quick();
    config.tunables.readahead.enabled = false;
    config.tunables.readahead.whole_file = 0;
    config
}

pub(crate) fn engine(config: Config) -> Engine {
    Engine::builder().config(config).build().unwrap()
}

/// An origin with `/file` of self-checking content.
pub(crate) fn origin(len: u64) -> Origin {
    let origin = Origin::start();
    origin.put("/file", Content::pattern(len));
    origin
}

pub(crate) fn open(engine: &Engine, origin: &Origin) -> Session {
    engine.open_blocking(origin.url("/file")).unwrap()
}

/// Reads `len` bytes at `at` and checks each.
#[track_caller]
pub(crate) fn check_at(reader: &mut Reader, at: u64, len: usize) {
    reader.seek(SeekFrom::Start(at)).unwrap();
    let mut buf = vec![0; len];
    reader.read_exact(&mut buf).unwrap();
    assert_eq!(pattern::first_wrong(&buf, at, 0), None, "at {at}");
}

/// Reads from the cursor to the end, checks each byte, and returns how many there were.
#[track_caller]
pub(crate) fn check_to_end(reader: &mut Reader) -> u64 {
    let mut at = reader.stream_position().unwrap();
    let start = at;
    let mut buf = vec![0; 64 << 10];
    loop {
        let n = reader.read(&mut buf).unwrap();
        if n == 0 {
            return at - start;
        }
        assert_eq!(pattern::first_wrong(&buf[..n], at, 0), None, "at {at}");
        at += n as u64;
    }
}

/// The engine's error of a read that must fail.
#[track_caller]
pub(crate) fn failed_read(reader: &mut Reader) -> Error {
    let error = reader.read(&mut [0; 16]).unwrap_err();
    Error::from_io(&error).unwrap_or_else(|| panic!("not the engine's error: {error:?}")).clone()
}

/// Runs `future` on a runtime of its own, with a bound that only a hang reaches.
#[track_caller]
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(30), future).await.expect("it hangs")
    })
}

/// Waits for the end of the stream to be told, and gives the length that was told.
#[track_caller]
pub(crate) fn until_end_of_stream(events: &mut Events) -> u64 {
    block_on(async {
        loop {
            let event = events.next().await.expect("the session goes on");
            if let SessionEvent::EndOfStream { len } = event {
                return len;
            }
        }
    })
}

/// The network's part of an error.
#[track_caller]
pub(crate) fn network(error: &Error) -> &NetworkError {
    match error {
        Error::Network(error) => error,
        other => panic!("not a network error: {other:?}"),
    }
}

/// Whether the request's range begins at `offset`.
pub(crate) fn starts_at(request: &Logged, offset: u64) -> bool {
    request.range.is_some_and(|(first, _)| first == offset)
}

/// How many requests asked for a range that begins at `offset`.
pub(crate) fn requests_at(origin: &Origin, offset: u64) -> usize {
    origin.log().iter().filter(|request| starts_at(request, offset)).count()
}

/// An engine on the store in `dir`.
pub(crate) fn engine_in(dir: &Path, config: Config) -> Engine {
    Engine::builder().store_dir(dir).config(config).build().unwrap()
}

/// As [`check_at`], for bytes of the generation `seed`.
#[track_caller]
pub(crate) fn check_seed_at(reader: &mut Reader, at: u64, len: usize, seed: u64) {
    reader.seek(SeekFrom::Start(at)).unwrap();
    let mut buf = vec![0; len];
    reader.read_exact(&mut buf).unwrap();
    assert_eq!(pattern::first_wrong(&buf, at, seed), None, "at {at}");
}

/// All files below `dir`, sorted.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        // A folder may go while the store makes room.
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                _ => found.push(entry.path()),
            }
        }
    }
    found.sort();
    found
}
