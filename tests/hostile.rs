//! Broken and hostile servers: each ends in right bytes or in a typed error within its budget, and memory stays bounded.
//!
//! Each cell of the matrix runs in a process of its own, so that its memory is its own. The table is in
//! docs/RELIABILITY.md; `WRITE_TABLE=1 cargo test --all-features --test hostile` writes it anew.

#![cfg(feature = "origin")]
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "hostile/behaviours.rs"]
mod behaviours;

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use behaviours::Behaviour;
use kithara_file::origin::{Origin, pattern};
use kithara_file::{Config, Engine, Error, NetworkErrorKind, Reader};

const WORKLOADS: [&str; 4] = ["open", "sequential", "seek", "scrub"];
/// What a cell may take of memory, the program itself included, in KiB.
const MEMORY: u64 = 64 << 10;
/// What a blocked call may take: the budget below, and what a busy machine adds.
const LONGEST: Duration = Duration::from_secs(2 + 4);
/// How many cells run at once.
const TOGETHER: usize = 8;

fn impatient() -> Config {
    let mut config = Config::default();
    config.timeouts.connect = Duration::from_millis(500);
    config.timeouts.headers = Duration::from_millis(500);
    config.timeouts.idle = Duration::from_millis(1500);
    let retry = &mut config.tunables.retry;
    retry.max_attempts = 3;
    retry.backoff = Duration::from_millis(2);
    retry.max_backoff = Duration::from_millis(5);
    retry.budget = Duration::from_secs(2);
    config
}

/// What a cell came to: right bytes, or the error that ended it.
fn outcome(error: &Error) -> String {
    match error {
        Error::Network(error) => match &error.kind {
            NetworkErrorKind::Status(status) => format!("status {status}"),
            NetworkErrorKind::Connection => "connection".into(),
            NetworkErrorKind::TimedOut => "timed out".into(),
            NetworkErrorKind::Protocol(_) => "protocol".into(),
            NetworkErrorKind::Redirect(_) => "redirect".into(),
            NetworkErrorKind::NotMedia(_) => "not media".into(),
            other => format!("{other:?}"),
        },
        Error::Changed => "changed".into(),
        Error::Truncated { .. } => "truncated".into(),
        other => format!("{other:?}"),
    }
}

/// The calls of one cell, each timed.
struct Cell {
    reader: Reader,
    len: u64,
    longest: Duration,
}

impl Cell {
    fn timed<T>(&mut self, call: impl FnOnce(&mut Reader) -> T) -> T {
        let begun = Instant::now();
        let result = call(&mut self.reader);
        self.longest = self.longest.max(begun.elapsed());
        result
    }

    /// Reads up to `most` bytes at `at`, checks each, and says how many came before the end.
    fn read(&mut self, at: u64, most: u64) -> io::Result<u64> {
        self.timed(|reader| reader.seek(SeekFrom::Start(at)))?;
        let mut buf = vec![0; 16 << 10];
        let mut done = 0;
        while done < most {
            let part = buf.len().min((most - done) as usize);
            let n = self.timed(|reader| reader.read(&mut buf[..part]))?;
            if n == 0 {
                break;
            }
            assert_eq!(pattern::first_wrong(&buf[..n], at + done, 0), None, "a wrong byte");
            done += n as u64;
        }
        let end = self.len.saturating_sub(at).min(most);
        assert_eq!(done, end, "a false end at {} of {}", at + done, self.len);
        Ok(done)
    }

    fn run(&mut self, workload: &str) -> io::Result<()> {
        let len = self.len;
        match workload {
            "open" => self.read(0, 4096).map(drop),
            "sequential" => self.read(0, u64::MAX).map(drop),
            "seek" => {
                for at in [0, len / 4 * 3, len / 4, len] {
                    self.read(at, 40_000)?;
                }
                Ok(())
            }
            _ => {
                for step in 0..20 {
                    self.read(step * 7919 % 20 * len / 20, 2000)?;
                }
                Ok(())
            }
        }
    }
}

/// Runs only as the child of the test below.
#[test]
fn child() {
    let var = |name| std::env::var(name).ok();
    let (Some(url), Some(workload), Some(len)) =
        (var("HOSTILE_URL"), var("HOSTILE_WORKLOAD"), var("HOSTILE_LEN"))
    else {
        return;
    };
    let engine = Engine::builder().config(impatient()).build().unwrap();
    let begun = Instant::now();
    let opened = engine.open_blocking(&url);
    let mut longest = begun.elapsed();
    let told = match opened {
        Err(error) => outcome(&error),
        Ok(session) => {
            let (reader, len) = (session.into_reader(), len.parse().unwrap());
            let mut cell = Cell { reader, len, longest };
            let result = cell.run(&workload);
            longest = cell.longest;
            match result {
                Ok(()) => "right".into(),
                Err(error) => {
                    let error = Error::from_io(&error);
                    outcome(error.unwrap_or_else(|| panic!("an error without a type")))
                }
            }
        }
    };
    println!("\ntold {told}\nlongest {}\npeak {}", longest.as_micros(), peak());
}

/// The most memory that this process had, in KiB; 0 where the system does not tell.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// What a child said.
struct Report {
    told: String,
    longest: Duration,
    peak: u64,
}

fn cell(behaviour: &Behaviour, workload: &str) -> Report {
    let origin = Origin::start();
    origin.put(behaviour.path, behaviour.content.clone());
    for rule in &behaviour.rules {
        origin.rule(behaviour.path, rule.clone());
    }
    if let Some(act) = behaviour.origin {
        act(&origin);
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture", "--test-threads", "1"])
        .env("HOSTILE_URL", origin.url(behaviour.path))
        .env("HOSTILE_WORKLOAD", workload)
        .env("HOSTILE_LEN", behaviour.content.len().to_string())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let says = |what: &str| text.lines().find_map(|line| line.strip_prefix(what));
    let where_ = format!("{}, {workload}", behaviour.name);
    let Some(told) = says("told ") else {
        panic!("{where_}: {text}\n{}", String::from_utf8_lossy(&output.stderr));
    };
    let longest = Duration::from_micros(says("longest ").unwrap().parse().unwrap());
    Report { told: told.into(), longest, peak: says("peak ").unwrap().parse().unwrap() }
}

/// Every cell, a few at once.
fn run_all(rows: usize) -> BTreeMap<(usize, usize), Report> {
    let next = AtomicUsize::new(0);
    let reports = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..TOGETHER {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let (row, column) = (number / WORKLOADS.len(), number % WORKLOADS.len());
                    if row >= rows {
                        return;
                    }
                    // Rules count what they take, so each cell has a set of its own.
                    let behaviour = behaviours::all().swap_remove(row);
                    let report = cell(&behaviour, WORKLOADS[column]);
                    reports.lock().unwrap().insert((row, column), report);
                }
            });
        }
    });
    reports.into_inner().unwrap()
}

fn table(all: &[Behaviour], reports: &BTreeMap<(usize, usize), Report>) -> String {
    let mut table = format!("| the server | {} |\n|---|", WORKLOADS.join(" | "));
    table += &"---|".repeat(WORKLOADS.len());
    for (row, behaviour) in all.iter().enumerate() {
        table += &format!("\n| {} |", behaviour.name);
        for column in 0..WORKLOADS.len() {
            table += &format!(" {} |", reports[&(row, column)].told);
        }
    }
    table
}

const BEGIN: &str = "<!-- matrix: written by tests/hostile.rs -->\n";
const END: &str = "\n<!-- end of the matrix -->";

#[test]
fn n_every_hostile_server_ends_in_right_bytes_or_a_typed_error_within_its_budget() {
    let all = behaviours::all();
    assert!(all.len() >= 40, "{}", all.len());
    let reports = run_all(all.len());
    let longest = reports.values().map(|report| report.longest).max().unwrap();
    let peak = reports.values().map(|report| report.peak).max().unwrap();
    println!("{} cells, longest call {longest:?}, most memory {peak} KiB", reports.len());
    assert!(longest <= LONGEST, "{longest:?}");
    assert!(peak <= MEMORY, "{peak} KiB");

    let table = table(&all, &reports);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/RELIABILITY.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the page has a place for the table");
    let (written, after) = rest.split_once(END).expect("and says where it ends");
    if std::env::var_os("WRITE_TABLE").is_some() {
        std::fs::write(path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        for (now, then) in table.lines().zip(written.lines()) {
            assert_eq!(
                now, then,
                "docs/RELIABILITY.md says otherwise; WRITE_TABLE=1 writes it anew"
            );
        }
        assert_eq!(table.lines().count(), written.lines().count());
    }
}
