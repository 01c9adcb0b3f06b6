//! What opening costs: in a store of 10,000 assets, and where much is to be checked after a crash.
//!
//! `cargo bench --features origin --bench store [-- DIR [cold]]`; DIR is on the file system to measure, by default the
//! system's place for temporary files. With `cold` the system's caches are dropped before each opening (Linux, as root).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kithara_file::origin::{Content, Origin};
use kithara_file::{AssetKey, AssetStore, Config, Engine, Session, StoreConfig};

const MIB: u64 = 1 << 20;
/// Assets in the large store, and bytes of each.
const ASSETS: usize = 10_000;
const LEN: u64 = 64 << 10;
/// How often each thing is measured.
const TIMES: usize = 11;

fn main() {
    // `cargo test` runs benches too, with this argument missing.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let dir = args.first().map_or_else(std::env::temp_dir, PathBuf::from);
    let cold = args.get(1).is_some_and(|arg| arg == "cold");
    let place = tempfile::Builder::new().prefix("store-").tempdir_in(dir).expect("a folder");
    println!("in {}, {}", place.path().display(), if cold { "cold" } else { "warm" });
    many(place.path(), cold);
    suspects(place.path(), cold);
}

/// Opens the store, and one asset after another, each time in a new engine.
fn many(place: &Path, cold: bool) {
    let store = place.join("many");
    let origin = Origin::start();
    origin.put("/one", Content::pattern(LEN));
    let session = open(&store, Config::default(), &origin.url("/one"), false);
    read(&session);
    session.close_blocking().expect("closed");
    let one = files(&store, &origin.url("/one"));
    let (data, map) = (one.0, fs::read(one.1).expect("a log"));
    for n in 1..ASSETS {
        let (copy, log) = files(&store, &origin.url(&format!("/{n}")));
        fs::create_dir_all(copy.parent().expect("a folder")).expect("made");
        fs::copy(&data, &copy).expect("copied");
        fs::write(log, renamed(&map, &origin.url(&format!("/{n}")))).expect("written");
    }
    let (mut times, mut handles, before) = (Vec::new(), 0, open_files());
    for n in 0..TIMES {
        forget(cold);
        let started = Instant::now();
        let url = origin.url(&format!("/{}", 1 + n * ASSETS / TIMES));
        let session = open(&store, Config::default(), &url, true);
        read(&session);
        times.push(started.elapsed());
        handles = handles.max(open_files().saturating_sub(before));
        session.close_blocking().expect("closed");
    }
    let all = Instant::now();
    let listed = AssetStore::open(&store, &StoreConfig::default()).expect("a store").list();
    assert_eq!(listed.expect("listed").len(), ASSETS);
    println!(
        "{ASSETS} assets: store and asset opened and {} KiB read in {}; {handles} files open more than before; all listed in {:.0?}",
        LEN >> 10,
        told(&times),
        all.elapsed()
    );
}

/// Opens what a power loss left behind: so many bytes that were recorded and not proven.
fn suspects(place: &Path, cold: bool) {
    for mib in [32, 64, 256, 384] {
        let store = place.join(mib.to_string());
        let origin = Origin::builder().write_size(256 << 10).start();
        origin.put("/file", Content::pattern(mib * MIB));
        let url = origin.url("/file");
        let mut config = Config::default();
        // No barrier proves anything.
        config.store.barrier_bytes = u64::MAX;
        config.store.barrier_interval = Duration::from_secs(3600);
        let session = open(&place.join("before"), config, &url, false);
        read(&session);
        let (data, map) = files(&store, &url);
        fs::create_dir_all(data.parent().expect("a folder")).expect("made");
        let held = files(&place.join("before"), &url);
        fs::copy(held.0, &data).expect("copied");
        fs::copy(place.join("before/kithara-store"), store.join("kithara-store")).expect("copied");
        let log = of_another_run(fs::read(held.1).expect("a log"));
        drop(session);
        let (mut times, mut found) = (Vec::new(), 0);
        for _ in 0..TIMES {
            fs::write(&map, &log).expect("written");
            forget(cold);
            let started = Instant::now();
            let session = open(&store, Config::default(), &url, true);
            times.push(started.elapsed());
            found = session.coverage().iter().map(|range| range.end - range.start).sum();
            session.close_blocking().expect("closed");
        }
        println!(
            "{mib} MiB suspect: opened in {}; {} MiB found to be there",
            told(&times),
            found / MIB
        );
        fs::remove_dir_all(&store).expect("removed");
    }
}

fn open(store: &Path, config: Config, url: &str, offline: bool) -> Session {
    let engine = Engine::builder().store_dir(store).config(config).offline(offline).build();
    engine.expect("a good configuration").open_blocking(url).expect("it is there")
}

fn read(session: &Session) {
    let len = std::io::copy(&mut session.reader(), &mut std::io::sink()).expect("read");
    assert_eq!(Some(len), session.len());
}

/// The data and the log of the asset of `url`.
fn files(store: &Path, url: &str) -> (PathBuf, PathBuf) {
    let id = id(url);
    let folder = store.join("assets").join(&id[..2]).join(&id);
    (folder.join("data"), folder.join("map"))
}

fn id(url: &str) -> String {
    AssetKey::for_url(&url.parse().expect("a URL")).id()
}

/// The log as that of the asset of `url`; see `docs/STORE-FORMAT.md`.
fn renamed(log: &[u8], url: &str) -> Vec<u8> {
    let (mut log, id) = (log.to_vec(), id(url));
    for (n, byte) in log[20..52].iter_mut().enumerate() {
        *byte = u8::from_str_radix(&id[2 * n..2 * n + 2], 16).expect("hexadecimal");
    }
    sealed(log)
}

/// The log as if the system had been started anew since.
fn of_another_run(mut log: Vec<u8>) -> Vec<u8> {
    log[52..68].fill(0);
    sealed(log)
}

/// The log with a header whose checksum is right.
fn sealed(mut log: Vec<u8>) -> Vec<u8> {
    let len = u32::from_le_bytes(log[12..16].try_into().expect("four bytes")) as usize;
    let crc = crc32fast::hash(&log[..len - 4]);
    log[len - 4..len].copy_from_slice(&crc.to_le_bytes());
    log
}

/// Has the system forget what it read, if that is asked for.
fn forget(cold: bool) {
    if cold {
        fs::write("/proc/sys/vm/drop_caches", "1").expect("only root may drop caches");
    }
}

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

fn told(times: &[Duration]) -> String {
    let mut times = times.to_vec();
    times.sort();
    let at =
        |part: f64| times[((times.len() - 1) as f64 * part).round() as usize].as_secs_f64() * 1e3;
    format!("{:.1} ms (median of {TIMES}; {:.1} to {:.1})", at(0.5), at(0.0), at(1.0))
}
