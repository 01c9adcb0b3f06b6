//! What the coverage log costs: a download from loopback, and seeks, each with the log and without it, in turns.
//!
//! `cargo bench --features origin --bench log_cost [-- DIR]`; DIR is on the file system to measure, and should be a tmpfs for
//! the log's own cost. On a disk its syncs come on top, so the rate at which the disk syncs is told beside it.
//!
//! "Without" is what happens when somebody else has the asset open: the bytes go to a file without a name in the folder for
//! temporary files, which has to be on the same file system (`TMPDIR=DIR`), and nothing is recorded.
//!
//! Which threads share a processor makes more difference than the log. Many short pairs even that out; `taskset -c 0` takes it away, and
//! nothing that the log does is then hidden behind something else.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use kithara_file::origin::{Content, Origin};
use kithara_file::{AssetKey, AssetStore, Engine, Reader, Session, StoreConfig};

const MIB: u64 = 1 << 20;
/// Bytes of one download.
const LEN: u64 = 64 * MIB;
/// Pairs of downloads; the first one of all is not counted.
const PAIRS: usize = 401;
/// Pairs of sessions that seek.
const ROUNDS: usize = 1001;
/// Seeks of each of them.
const SEEKS: u64 = 21;

fn main() {
    // `cargo test` runs benches too, with this argument missing.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let dir = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    let dir = dir.unwrap_or_else(|| "/dev/shm".into());
    let place = tempfile::Builder::new().prefix("log-cost-").tempdir_in(dir).expect("a folder");
    assert!(
        device(place.path()) == device(&std::env::temp_dir()),
        "the side without a log would write to another file system: set TMPDIR to the folder that is measured"
    );
    println!("in {}: {:.0} syncs of 4 KiB a second", place.path().display(), sync_rate(&place));
    download(place.path());
    seeks(place.path());
}

/// What tells file systems apart; the same for all where the system has no such number.
fn device(dir: &Path) -> u64 {
    #[cfg(unix)]
    return std::os::unix::fs::MetadataExt::dev(&dir.metadata().expect("a folder"));
    #[cfg(not(unix))]
    return 0;
}

fn sync_rate(place: &tempfile::TempDir) -> f64 {
    const SYNCS: u32 = 100;
    let mut file = tempfile::tempfile_in(place).expect("a file");
    let started = Instant::now();
    for _ in 0..SYNCS {
        file.write_all(&[1; 4096]).and_then(|()| file.sync_data()).expect("synced");
    }
    f64::from(SYNCS) / started.elapsed().as_secs_f64()
}

/// A session of `url`, stored in `store`, or streamed without a log because `held` has the asset.
fn open(store: &Path, url: &str, log: bool) -> (Session, Option<File>) {
    let held = (!log).then(|| hold(store, url));
    let engine = Engine::builder().store_dir(store).build().expect("the defaults are valid");
    let session = engine.open_blocking(url).expect("the origin is there");
    assert_eq!(session.is_stored(), log);
    (session, held)
}

/// Locks the asset of `url` as another process would.
fn hold(store: &Path, url: &str) -> File {
    AssetStore::open(store, &StoreConfig::default()).expect("a store");
    let id = AssetKey::for_url(&url.parse().expect("a URL")).id();
    let shelf = store.join("assets").join(&id[..2]);
    std::fs::create_dir_all(&shelf).expect("a folder");
    let file = File::create(shelf.join(format!("{id}.lock"))).expect("a file");
    file.lock().expect("nobody else has it");
    file
}

/// Without a validator: whoever streams beside a holder of such an asset does not look into its log before each request, which
/// would make the side without a log the slower one.
fn unfollowed(len: u64) -> Content {
    Content::pattern(len).no_validator()
}

fn download(place: &Path) {
    let origin = Origin::builder().write_size(256 << 10).start();
    origin.put("/file", unfollowed(LEN));
    let url = origin.url("/file");
    let run = |log: bool| {
        let store = tempfile::tempdir_in(place).expect("a folder");
        let (session, _held) = open(store.path(), &url, log);
        let mut reader = session.reader();
        let (started, cpu) = (Instant::now(), cpu_ticks());
        let len = std::io::copy(&mut reader, &mut std::io::sink()).expect("the origin is honest");
        let read = started.elapsed();
        assert_eq!(len, LEN);
        session.close_blocking().expect("closed");
        (read, started.elapsed(), cpu_ticks() - cpu)
    };
    run(true);
    let mut pairs = Vec::new();
    for n in 0..PAIRS {
        // The order changes: whatever drifts meets both.
        let first = run(n % 2 == 0);
        let second = run(n % 2 != 0);
        pairs.push(if n % 2 == 0 { (first, second) } else { (second, first) });
    }
    // Of the whole process, the origin too; says more than times do where others use the processors as well.
    let with: u64 = pairs.iter().map(|pair| pair.0.2).sum();
    let without: u64 = pairs.iter().map(|pair| pair.1.2).sum();
    if without > 0 {
        let cost = (with as f64 / without as f64 - 1.0) * 100.0;
        println!("processor time of all: {cost:+.1} %");
    }
    let rate = |time: f64| LEN as f64 / MIB as f64 / time;
    for (what, pick) in [("read", 0), ("read and closed", 1)] {
        let time = |(read, closed, _): (Duration, Duration, u64)| {
            if pick == 0 { read.as_secs_f64() } else { closed.as_secs_f64() }
        };
        let with = median(pairs.iter().map(|pair| time(pair.0)).collect());
        let without = median(pairs.iter().map(|pair| time(pair.1)).collect());
        let costs: Vec<f64> =
            pairs.iter().map(|pair| (time(pair.0) / time(pair.1) - 1.0) * 100.0).collect();
        println!(
            "{what}: {:.0} MiB/s with the log, {:.0} without; of {PAIRS} pairs the median costs {:+.1} % (quartiles {:+.1} to {:+.1})",
            rate(with),
            rate(without),
            quantile(costs.clone(), 0.5),
            quantile(costs.clone(), 0.25),
            quantile(costs, 0.75),
        );
    }
}

/// Seek to first byte in holes, in two sessions in turns, and again in two others: sessions differ by more than the log costs.
fn seeks(place: &Path) {
    const HUGE: u64 = 1 << 40;
    let origin = Origin::start();
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let store = tempfile::tempdir_in(place).expect("a folder");
        let session = |log: bool| {
            let name = format!("/{round}-{log}");
            origin.put(&name, unfollowed(HUGE));
            open(store.path(), &origin.url(&name), log)
        };
        let first = session(round % 2 == 0);
        let second = session(round % 2 != 0);
        let (with, without) = if round % 2 == 0 { (first, second) } else { (second, first) };
        let mut readers = [with.0.reader(), without.0.reader()];
        let mut times = [Vec::new(), Vec::new()];
        for n in 1..=SEEKS {
            for side in [n as usize % 2, 1 - n as usize % 2] {
                times[side].push(seek(&mut readers[side], place_of(n)));
            }
        }
        rounds.push(times.map(median));
    }
    let costs: Vec<f64> =
        rounds.iter().map(|[with, without]| (with / without - 1.0) * 100.0).collect();
    let [with, without] =
        [0, 1].map(|side| median(rounds.iter().map(|round| round[side]).collect()));
    println!(
        "seek to first byte: {:.0} us with the log, {:.0} without; of {ROUNDS} pairs of sessions the median costs {:+.1} % (quartiles {:+.1} to {:+.1})",
        with * 1e6,
        without * 1e6,
        median(costs.clone()),
        quantile(costs.clone(), 0.25),
        quantile(costs, 0.75),
    );
}

/// Processor time that this process has used, in the system's ticks; 0 where that is not told.
fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program, in brackets, may hold anything.
    let after = stat.rsplit(')').next().unwrap_or_default();
    after.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

fn seek(reader: &mut Reader, to: u64) -> f64 {
    let mut byte = [0];
    let started = Instant::now();
    reader.seek(SeekFrom::Start(to)).expect("a seek does no I/O");
    reader.read_exact(&mut byte).expect("the origin is honest");
    started.elapsed().as_secs_f64()
}

/// Places that no forecast finds: a splitmix64 of `n`, within 2^39 bytes.
fn place_of(n: u64) -> u64 {
    let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) >> 25
}

fn median(values: Vec<f64>) -> f64 {
    quantile(values, 0.5)
}

fn quantile(mut values: Vec<f64>, part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * part).round() as usize]
}
