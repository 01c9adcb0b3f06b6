//! The model test: several readers do whatever they like, the origin misbehaves, and every byte is compared with a
//! model that is nothing but the pattern and a position per reader. E1, E2, E5, E6, E7, E11, E12, D1, D2, S2, P8.
//!
//! Each case is made from one number. A failure prints it, and `KITHARA_MODEL_CASE=<number>` plays that case alone.
//! What the threads do in between is not replayed, so a race may need several plays. `KITHARA_MODEL_CASES=<count>`
//! plays more or fewer.

mod case;

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use case::{Case, Dice, config};

use crate::support::*;

/// How many cases are played; each makes some dozens of steps.
const CASES: u64 = 2000;
/// Threads that play cases beside each other: most of a case is waiting.
const PLAYERS: usize = 16;
/// A case takes milliseconds. This long without an end means that it hangs.
const WATCHDOG: Duration = Duration::from_secs(60);

/// What the players of one run share.
struct Stage {
    next: AtomicU64,
    end: u64,
    failed: AtomicUsize,
    /// What each player plays at present.
    playing: Mutex<[Option<u64>; PLAYERS]>,
}

/// Plays one case after the other with the same engine and origin, each at a path of its own.
fn player(stage: &Stage, seat: usize) {
    loop {
        let (mut left, mut kept) = (25, None);
        while left > 0 {
            let number = stage.next.fetch_add(1, Ordering::Relaxed);
            if number >= stage.end || stage.failed.load(Ordering::Relaxed) > 0 {
                return;
            }
            stage.playing.lock().unwrap()[seat] = Some(number);
            let (origin, engine) = kept.take().unwrap_or_else(|| {
                let config = config(&mut Dice(number));
                (Origin::start(), engine(config))
            });
            kept = play_one(stage, number, origin, engine);
            stage.playing.lock().unwrap()[seat] = None;
            left -= 1;
        }
    }
}

fn play_one(
    stage: &Stage,
    number: u64,
    origin: Origin,
    engine: Engine,
) -> Option<(Origin, Engine)> {
    let mut dice = Dice(number.wrapping_mul(0x2545_f491_4f6c_dd1d));
    engine.reconfigure(config(&mut dice).tunables).unwrap();
    let len = match dice.below(8) {
        0 => dice.below(3),
        1 => dice.below(5000),
        _ => 20_000 + dice.below(100_000),
    };
    let path = format!("/case-{number}");
    let content = Content::pattern(len);
    origin.put(&path, if dice.one_in(6) { content.no_ranges() } else { content });
    let (gates, trail) = (Vec::new(), Vec::new());
    let mut case = Case { number, dice, origin, engine, len, path, gates, trail };
    let played = std::panic::catch_unwind(AssertUnwindSafe(|| case.play()));
    case.open_gates();
    if played.is_ok() {
        return Some((case.origin, case.engine));
    }
    stage.failed.fetch_add(1, Ordering::Relaxed);
    eprintln!(
        "case {} (length {}) failed after:\n{}",
        case.number,
        case.len,
        case.trail.join("\n")
    );
    eprintln!("replay with KITHARA_MODEL_CASE={number}");
    None
}

fn number_from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// E6, E7: any order of anything by any number of readers gives the bytes of the resource, whatever the origin does.
#[test]
fn e6_readers_agree_with_the_model_whatever_happens() {
    let (first, end) = match number_from_env("KITHARA_MODEL_CASE") {
        Some(case) => (case, case + 1),
        None => (0, number_from_env("KITHARA_MODEL_CASES").unwrap_or(CASES)),
    };
    let stage = Arc::new(Stage {
        next: AtomicU64::new(first),
        end,
        failed: AtomicUsize::new(0),
        playing: Mutex::default(),
    });
    let (tell, told) = mpsc::channel();
    for seat in 0..PLAYERS {
        let (stage, tell) = (stage.clone(), tell.clone());
        thread::spawn(move || {
            player(&stage, seat);
            let _ = tell.send(());
        });
    }
    let mut before = first;
    let mut running = PLAYERS;
    while running > 0 {
        match told.recv_timeout(WATCHDOG) {
            Ok(()) => running -= 1,
            Err(_) => {
                let now = stage.next.load(Ordering::Relaxed);
                let playing = *stage.playing.lock().unwrap();
                assert!(now > before, "hangs in one of the cases {playing:?}");
                before = now;
            }
        }
    }
    assert_eq!(stage.failed.load(Ordering::Relaxed), 0, "a case failed; its number is above");
    println!("{} cases", end - first);
}
