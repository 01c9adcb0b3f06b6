//! `kill -9` at any moment, again and again on one store: A3, A6, A7. Every byte that a killed process left is checked
//! by the process after it, which takes over the lock, sometimes while the other still runs.
//!
//! A few kills by default; as many as `KILLS` says otherwise, and `--nocapture` shows what they met:
//! `KILLS=500 cargo test --all-features --test engine kills:: -- --nocapture`.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use kithara_file::origin::Link;
use kithara_file::{AssetKey, AssetStore, Removed};

use crate::support::*;

const LEN: u64 = 48 * MIB;
const STORE: &str = "KITHARA_KILLS_STORE";
const URL: &str = "KITHARA_KILLS_URL";
const SEED: &str = "KITHARA_KILLS_SEED";
const ROOM: &str = "KITHARA_KILLS_ROOM";
/// How often a child is looked at for a system call: for some 2 s.
const LOOKS: usize = 50_000;
/// What A3 lets a killed process lose.
const LOSS: Duration = Duration::from_secs(1);

fn next(x: &mut u64) -> u64 {
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    *x
}

fn say(what: &str, value: u64) {
    println!("\n{what} {value}");
}

fn stored(session: &Session) -> u64 {
    session.coverage().iter().map(|run| run.end - run.start).sum()
}

/// Runs only as the child of the test below: checks all that is stored, then fetches more from random places on.
#[test]
fn child() {
    let var = |name| std::env::var(name).ok();
    let (Some(dir), Some(url), Some(seed)) = (var(STORE), var(URL), var(SEED)) else { return };
    let mut config = quick();
    config.store.barrier_interval = Duration::from_secs(1);
    config.store.barrier_bytes = 1;
    config.store.max_bytes = var(ROOM).unwrap().parse().unwrap();
    let engine = engine_in(Path::new(&dir), config);
    let mut session = engine.open_blocking(&url).unwrap();
    if !session.is_stored() {
        say("busy", 0);
        std::io::stdin().read_line(&mut String::new()).unwrap();
        block_on(session.close());
        session = engine.open_blocking(&url).unwrap();
        assert!(session.is_stored(), "the lock went with the process that held it");
    }
    let mut reader = session.reader();
    for run in session.coverage() {
        check_at(&mut reader, run.start, (run.end - run.start) as usize);
    }
    say("found", stored(&session));
    let mut x: u64 = seed.parse().unwrap();
    while stored(&session) < LEN {
        reader.seek(SeekFrom::Start(next(&mut x) % LEN)).unwrap();
        let mut buf = vec![0; 128 << 10];
        for _ in 0..1 + next(&mut x) % 16 {
            let at = reader.stream_position().unwrap();
            let n = reader.read(&mut buf).unwrap();
            assert_eq!(pattern::first_wrong(&buf[..n], at, 0), None, "at {at}");
            say("stored", stored(&session));
        }
        say("evicted", session.snapshot().bytes_evicted);
    }
    block_on(session.close());
}

/// A word with a number, and when it was heard.
type Said = (Instant, String, u64);

/// A running child and what it says.
struct Victim {
    child: Child,
    hears: mpsc::Receiver<Said>,
    said: Vec<Said>,
}

impl Victim {
    /// One whose store has so much room.
    fn spawn(dir: &Path, url: &str, room: u64, seed: u64) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["kills::child", "--exact", "--nocapture", "--test-threads", "1"])
            .env(STORE, dir)
            .env(URL, url)
            .env(SEED, seed.to_string())
            .env(ROOM, room.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (tells, hears) = mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let words = line.split_once(' ');
                if let Some((what, Ok(value))) = words.map(|(what, value)| (what, value.parse())) {
                    let _ = tells.send((Instant::now(), what.to_owned(), value));
                }
            }
        });
        Self { child, hears, said: Vec::new() }
    }

    fn heard<'a>(&'a self, what: &'a str) -> impl Iterator<Item = u64> + 'a {
        self.said.iter().filter(move |(_, said, _)| said == what).map(|(_, _, value)| *value)
    }

    /// Waits until it has said `what` so many times; false if it ended before.
    fn until(&mut self, what: &str, times: usize) -> bool {
        while self.heard(what).count() < times {
            let Ok(said) = self.hears.recv() else { return false };
            self.said.push(said);
        }
        true
    }

    /// Looks until one of its threads waits for the disk to sync. False if it ended before, was looked at often
    /// enough, or if the system does not show that.
    fn until_in_sync(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let calls = threads.into_iter().flatten().flatten().map(|it| it.path().join("syscall"));
        let calls: Vec<_> = calls.collect();
        for _ in 0..LOOKS {
            for call in &calls {
                let Ok(call) = std::fs::read_to_string(call) else { return false };
                if syncs().iter().any(|number| call.split(' ').next() == Some(number)) {
                    return true;
                }
            }
        }
        false
    }

    /// Kills it without a chance to clean up (SIGKILL on Unix), and gives the time and what it had said.
    fn kill(mut self) -> (Instant, Vec<Said>) {
        let at = Instant::now();
        // It may have come to its end a moment ago.
        let _ = self.child.kill();
        let status = self.child.wait().unwrap();
        assert!(status.code().is_none_or(|code| code == 0), "it failed by itself: {status}");
        self.said.extend(self.hears);
        (at, self.said)
    }
}

/// Numbers of `fdatasync` and `fsync`, where they are known.
const fn syncs() -> &'static [&'static str] {
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        &["75", "74"]
    } else if cfg!(all(target_os = "linux", target_arch = "aarch64")) {
        &["83", "82"]
    } else {
        &[]
    }
}

/// What the kills met.
#[derive(Debug, Default)]
struct Tally {
    kills: u32,
    in_sync: u32,
    taken_over_while_running: u32,
    lives_over_a_second: u32,
    finished: u32,
    longest_loss: Duration,
    most_bytes_lost: u64,
}

impl Tally {
    /// What was said to be stored more than a second before the kill must have been `found` after it.
    fn judge(&mut self, at: Instant, said: &[Said], found: u64) {
        let told = said.iter().filter(|(_, what, _)| what == "stored" || what == "found");
        if let Some((first, _, value)) = told.clone().find(|(_, _, value)| *value > found) {
            let age = at.saturating_duration_since(*first);
            assert!(age <= LOSS, "{value} bytes stored {age:?} before the kill, {found} found");
            self.longest_loss = self.longest_loss.max(age);
            let most = told.map(|(_, _, value)| *value).max().unwrap_or(0);
            self.most_bytes_lost = self.most_bytes_lost.max(most - found);
        }
        let life = said.first().map_or(Duration::ZERO, |(first, ..)| at.duration_since(*first));
        self.lives_over_a_second += u32::from(life > LOSS);
    }
}

#[test]
fn a3_a7_killed_at_any_moment_it_leaves_no_wrong_byte_and_loses_at_most_a_second() {
    let kills: u32 = std::env::var("KILLS").map_or(6, |kills| kills.parse().unwrap());
    let link = Link { slow_start: false, ..Link::new(Duration::from_millis(1), 160_000_000) };
    let origin = Origin::builder().link(link).start();
    origin.put("/file", Content::pattern(LEN));
    let (dir, url) = (tempfile::tempdir().unwrap(), origin.url("/file"));
    let (mut tally, mut x) = (Tally::default(), 0x9e37_79b9_7f4a_7c15);
    let mut spawn = || Victim::spawn(dir.path(), &url, 2 * LEN, next(&mut x));
    let mut moment = 0x2545_f491_4f6c_dd1d;
    let mut victim = spawn();
    while tally.kills < kills {
        // Long lives only where there are many: the bound of a second needs some of more than that.
        let lines = 1 + next(&mut moment) % if kills > 50 { 160 } else { 16 };
        let mut ran = victim.until("found", 1) && victim.until("stored", lines as usize);
        let early = ran && tally.kills % 4 == 3;
        let mut successor = early.then(&mut spawn);
        if let Some(successor) = &mut successor {
            successor.until("busy", 1);
        }
        if ran && tally.kills % 3 == 2 {
            tally.in_sync += u32::from(victim.until_in_sync());
        }
        ran &= victim.child.try_wait().unwrap().is_none();
        let (at, said) = victim.kill();
        let mut after = successor.unwrap_or_else(&mut spawn);
        // Says to one that waits that it may take over; to any other nothing.
        let _ = after.child.stdin.as_mut().unwrap().write_all(b"\n");
        assert!(after.until("found", 1), "the next process opens the store");
        tally.taken_over_while_running += u32::from(after.heard("busy").count() > 0);
        let found = after.heard("found").last().unwrap();
        tally.judge(at, &said, found);
        tally.kills += u32::from(ran);
        if found == LEN {
            after.kill();
            tally.finished += 1;
            let store = AssetStore::open(dir.path(), &Config::default().store).unwrap();
            let key = AssetKey::from_id(&store.list().unwrap()[0].id).unwrap();
            assert_eq!(store.remove(&key).unwrap(), Removed::Gone);
            after = spawn();
        }
        victim = after;
    }
    victim.kill();
    println!("{tally:#?}");
    assert!(tally.taken_over_while_running > 0);
}

/// The same where parts go all the time: each process finds only what is right. How much it is hangs on the disk: blocked reads go on
/// while that takes bytes back.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn a3_a6_killed_while_parts_go_it_leaves_no_wrong_byte() {
    let kills: u32 = std::env::var("KILLS").map_or(6, |kills| kills.parse().unwrap());
    let (origin, room) = (origin(LEN), 8 * MIB);
    let (dir, url) = (tempfile::tempdir().unwrap(), origin.url("/file"));
    let (mut x, mut moment) = (0x9e37_79b9_7f4a_7c15, 0x2545_f491_4f6c_dd1d);
    let (mut found, mut evicted) = (0, 0);
    for nth in 0..kills {
        let mut victim = Victim::spawn(dir.path(), &url, room, next(&mut x));
        let lines = 20 + next(&mut moment) % 100;
        assert!(victim.until("stored", lines as usize), "it goes on for ever");
        if nth % 3 == 2 {
            victim.until_in_sync();
        }
        let (_, said) = victim.kill();
        let last = |what: &str| {
            let told = said.iter().rev().find(|(_, said, _)| said == what);
            told.map_or(0, |(_, _, value)| *value)
        };
        found += last("found");
        evicted += last("evicted");
    }
    println!("{kills} kills, {found} bytes found in all, {evicted} given back before them");
    assert!(found > 0 && evicted > 0);
}
