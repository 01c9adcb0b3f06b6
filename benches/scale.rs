//! What many sessions of one engine cost: memory, open files and processor time of idle ones, and how a line is shared
//! among active ones. The origin is a process of its own, so that nothing of it is counted.
//!
//! `cargo bench --features origin --bench scale [-- SESSIONS [ACTIVE [SECONDS]]]`; Linux alone, since it reads `/proc`.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kithara_file::origin::{Content, Link, Origin};
use kithara_file::{Engine, Reader, Session};

/// Bytes of what an idle session has open.
const LEN: u64 = 64 << 10;
/// Bytes of what an active one reads.
const LARGE: u64 = 1 << 30;
/// How long idleness is watched.
const IDLE: Duration = Duration::from_secs(10);
/// What barriers, spare connections and open files need to come to rest.
const REST: Duration = Duration::from_secs(15);
/// Bits per second of the line that the active ones share, and its round trip.
const LINE: (u64, Duration) = (200_000_000, Duration::from_millis(20));
/// Sessions opened at once.
const AT_ONCE: usize = 32;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |nth: usize, default: u64| {
        let given = args[1..].iter().filter(|arg| !arg.starts_with("--")).nth(nth);
        given.and_then(|arg| arg.parse().ok()).unwrap_or(default)
    };
    let (sessions, active, seconds) = (number(0, 10_000), number(1, 200), number(2, 30));
    match std::env::var("SCALE_ORIGIN").as_deref() {
        Ok("plain") => serve(&Origin::start(), sessions, LEN),
        Ok(_) => {
            serve(&Origin::builder().link(Link::new(LINE.1, LINE.0)).start(), active, LARGE);
        }
        // `cargo test` runs benches too, with this argument missing.
        Err(_) if args.iter().any(|arg| arg == "--bench") => {
            let engine = Engine::new().expect("an engine");
            let idle = idle(&engine, sessions, &args);
            shared(&engine, active, Duration::from_secs(seconds), &args);
            drop(idle);
        }
        Err(_) => {}
    }
}

/// The process of the origin: until its standard input ends.
fn serve(origin: &Origin, files: u64, len: u64) {
    for n in 0..files {
        origin.put(&format!("/{n}"), Content::pattern(len));
    }
    println!("{}", origin.url("/"));
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

struct Served {
    process: Child,
    url: String,
}

impl Served {
    fn start(kind: &str, args: &[String]) -> Self {
        let mut command = Command::new(&args[0]);
        command.args(&args[1..]).env("SCALE_ORIGIN", kind);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("this program starts");
        let mut url = String::new();
        let told = process.stdout.take().expect("it is piped");
        BufReader::new(told).read_line(&mut url).expect("the origin tells its URL");
        Self { process, url: url.trim().to_owned() }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Opens so many sessions, and tells what they cost while nothing is read.
fn idle(engine: &Engine, sessions: u64, args: &[String]) -> Vec<Session> {
    let origin = Served::start("plain", args);
    // What an engine allocates once is there before.
    let first = engine.open_blocking(format!("{}0", origin.url)).expect("it is served");
    let (memory, files) = (resident(), open_files());
    let (started, cpu) = (Instant::now(), Cpu::now());
    let next = AtomicU64::new(1);
    let mut opened: Vec<Session> = thread::scope(|scope| {
        let one = || {
            let mut mine = Vec::new();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= sessions {
                    return mine;
                }
                let session = engine.open_blocking(format!("{}{n}", origin.url));
                mine.push(session.expect("it is served"));
            }
        };
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(one)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no panic")).collect()
    });
    opened.push(first);
    let took = started.elapsed();
    let spent = Cpu::now().since(&cpu);
    println!(
        "{sessions} sessions opened in {took:.1?}: {:.0} us of processor time each",
        spent.seconds * 1e6 / sessions as f64
    );
    let rest = |what: &str| {
        thread::sleep(REST);
        let grown = resident().saturating_sub(memory);
        println!(
            "{what}: {:.1} KiB of resident memory each, {} files open more than with one session",
            grown as f64 / 1024.0 / sessions as f64,
            open_files().saturating_sub(files)
        );
        let cpu = Cpu::now();
        thread::sleep(IDLE);
        let spent = Cpu::now().since(&cpu);
        println!(
            "{what} for {IDLE:?}: {:.2} % of a processor, {} wake-ups of all threads",
            spent.seconds / IDLE.as_secs_f64() * 100.0,
            // Of this thread, which slept.
            spent.switches.saturating_sub(1)
        );
    };
    rest("idle");
    let paused = |session: &Session| {
        let mut reader = session.reader();
        reader.read_exact(&mut [0; 1024]).expect("it is there");
        reader
    };
    let readers: Vec<Reader> = opened.iter().map(paused).collect();
    rest("with a reader each that has read and pauses");
    drop(readers);
    opened
}

/// So many sessions read as fast as the line lets them.
fn shared(engine: &Engine, active: u64, time: Duration, args: &[String]) {
    let origin = Served::start("shaped", args);
    let sessions: Vec<Session> = (0..active)
        .map(|n| engine.open_blocking(format!("{}{n}", origin.url)).expect("it is served"))
        .collect();
    let (stop, cpu) = (Arc::new(AtomicBool::new(false)), Cpu::now());
    let got: Vec<Arc<AtomicU64>> = (0..active).map(|_| Arc::default()).collect();
    for (session, got) in sessions.iter().zip(&got) {
        let (mut reader, stop, got) = (session.reader(), stop.clone(), got.clone());
        thread::spawn(move || {
            let mut buf = vec![0; 64 << 10];
            while !stop.load(Ordering::Relaxed) {
                match reader.read(&mut buf) {
                    Ok(0) | Err(_) => return,
                    Ok(n) => got.fetch_add(n as u64, Ordering::Relaxed),
                };
            }
        });
    }
    let bytes = || -> Vec<u64> { got.iter().map(|got| got.load(Ordering::Relaxed)).collect() };
    // Who began first has an advantage that is no matter of fairness.
    thread::sleep(time / 3);
    let before = bytes();
    thread::sleep(time);
    let mut got: Vec<u64> = bytes().iter().zip(&before).map(|(now, was)| now - was).collect();
    stop.store(true, Ordering::Relaxed);
    let spent = Cpu::now().since(&cpu);
    got.sort_unstable();
    let all: u64 = got.iter().sum();
    let fair = all as f64 / active as f64;
    let of_fair = |bytes: u64| bytes as f64 / fair * 100.0;
    let at = |part: f64| got[((got.len() - 1) as f64 * part).round() as usize];
    println!(
        "{active} sessions read for {time:?}: {:.0} % of the line; each got {:.0} % (least), {:.0} % (10th of 100), {:.0} % (90th), {:.0} % (most) of a fair share of {:.0} KiB",
        all as f64 * 8.0 / time.as_secs_f64() / LINE.0 as f64 * 100.0,
        of_fair(at(0.0)),
        of_fair(at(0.1)),
        of_fair(at(0.9)),
        of_fair(at(1.0)),
        fair / 1024.0
    );
    println!(
        "meanwhile {:.0} % of a processor, {:.0} wake-ups of all threads a second",
        spent.seconds / (time * 4 / 3).as_secs_f64() * 100.0,
        spent.switches as f64 / (time * 4 / 3).as_secs_f64()
    );
    drop(sessions);
}

fn status(path: &str, field: &str) -> u64 {
    let status = fs::read_to_string(path).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|rest| rest.split_whitespace().find_map(|word| word.parse().ok()));
    number.unwrap_or(0)
}

/// Bytes of memory that this process has.
fn resident() -> u64 {
    status("/proc/self/status", "RssAnon:") * 1024
}

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// What all threads of this process have used.
struct Cpu {
    seconds: f64,
    switches: u64,
}

impl Cpu {
    fn now() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // The name of the program, in brackets, may hold anything.
        let after = stat.rsplit(')').next().unwrap_or_default();
        let ticks = after.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let of = |task: fs::DirEntry| {
            status(&task.path().join("status").to_string_lossy(), "voluntary_ctxt_switches:")
        };
        Self { seconds: ticks as f64 / 100.0, switches: tasks.map(of).sum() }
    }

    fn since(&self, before: &Self) -> Self {
        let switches = self.switches.saturating_sub(before.switches);
        Self { seconds: self.seconds - before.seconds, switches }
    }
}
