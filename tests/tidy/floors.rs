//! The floors of the house: which module may know which.

use crate::Breach;
use crate::rust::{Rust, module_of};

/// Where `lib.rs` stands: it re-exports what lies below, and nobody below goes through it.
const DOOR: u8 = 5;

/// Every module at the top of `src`, with its floor. A new module chooses its floor here.
const FLOORS: [(&str, u8); 23] = [
    ("byte_range", 0),
    ("connection", 0),
    ("config", 0),
    ("error", 0),
    ("ids", 0),
    ("observe", 0),
    ("sync", 0),
    ("time", 0),
    ("validator", 0),
    ("net", 1),
    ("sched", 1),
    ("storage", 1),
    ("assets", 2),
    ("engine", 3),
    ("events", 3),
    ("reader", 4),
    ("fuzz", 4),
    ("session", 4),
    ("snapshot", 4),
    ("cli", 6),
    ("decode", 6),
    ("demo", 6),
    ("serve", 6),
];

/// The scripted origin: stands apart on the ground floor; only floor 6 and tests may know it.
const APART: &str = "origin";

/// The neighbours of floor 1 do not know each other; modules of one other floor may.
const STRANGERS: u8 = 1;

fn floor_of(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

/// A module uses the floors below it, never one above, and never the door.
pub(crate) fn broken_floors(path: &str, rust: &Rust) -> Vec<Breach> {
    let module = module_of(path);
    // lib.rs and the programs in `src/bin`, which only see the public door.
    let Some(own) = module.get(1) else { return Vec::new() };
    if own != APART && floor_of(own).is_none() {
        return vec![Breach::new(
            path,
            1,
            format!("module `{own}` has no floor yet: tests/tidy/floors.rs"),
        )];
    }
    let paths = rust.paths.iter().filter(|used| used.segments[0] == "crate");
    paths
        .filter_map(|used| {
            let complaint = complaint(own, &used.segments[1], used.test)?;
            Some(Breach::new(
                path,
                used.line,
                format!("{complaint} (`{}`)", used.segments.join("::")),
            ))
        })
        .collect()
}

/// What is wrong with `own` using `other`, if anything is.
fn complaint(own: &str, other: &str, in_test: bool) -> Option<String> {
    if own == other {
        return None;
    }
    if other == APART {
        let floor = floor_of(own).unwrap_or(0);
        let allowed = in_test || floor > DOOR;
        return (!allowed).then(|| format!("`{own}` knows the scripted origin outside its tests"));
    }
    if own == APART {
        return (floor_of(other) != Some(0)).then(|| format!("`{APART}` leaves the ground floor"));
    }
    let floor = floor_of(own)?;
    let used = floor_of(other).unwrap_or(DOOR);
    if used > floor {
        return Some(format!("`{own}` on floor {floor} reaches up to floor {used}"));
    }
    (used == floor && floor == STRANGERS)
        .then(|| format!("`{own}` and `{other}` do not know each other"))
}

/// What the pure core must not even mention: words, then paths with why.
const IMPURE_WORDS: [&str; 6] = ["tokio", "reqwest", "Instant", "SystemTime", "HashMap", "HashSet"];
const IMPURE_PATHS: [(&[&str], &str); 5] = [
    (&["std", "fs"], "no files"),
    (&["std", "net"], "no sockets"),
    (&["std", "thread"], "no threads"),
    (&["std", "sync"], "no locks"),
    (&["crate", "sync"], "no locks"),
];

/// `sched` has no clock, no threads, no locks, no I/O and no order that depends on a hash.
pub(crate) fn impure_core(path: &str, rust: &Rust) -> Vec<Breach> {
    if !path.starts_with("src/sched/") && path != "src/sched.rs" {
        return Vec::new();
    }
    let words = rust.tokens.iter().filter(|token| IMPURE_WORDS.contains(&token.text.as_str()));
    let words = words
        .map(|token| Breach::new(path, token.line, format!("`{}` in the pure core", token.text)));
    let paths = IMPURE_PATHS.iter().flat_map(|(parts, why)| {
        leading_to(rust, parts)
            .map(move |line| Breach::new(path, line, format!("{why} in the pure core")))
    });
    words.chain(paths).collect()
}

/// Locks that are not `crate::sync::Mutex`: unseen by the model checker, or held across `.await`.
const LOCKS: [&[&str]; 6] = [
    &["std", "sync", "Mutex"],
    &["std", "sync", "RwLock"],
    &["std", "sync", "Condvar"],
    &["tokio", "sync", "Mutex"],
    &["tokio", "sync", "RwLock"],
    &["parking_lot"],
];

/// Every lock of the library comes from `crate::sync`, the one door. The origin is no part of it,
/// and a test may lock as it likes.
pub(crate) fn stray_locks(path: &str, rust: &Rust) -> Vec<Breach> {
    let exempt =
        !path.starts_with("src/") || path == "src/sync.rs" || path.starts_with("src/origin/");
    if exempt || path.starts_with("src/bin/") {
        return Vec::new();
    }
    let lines = LOCKS
        .iter()
        .flat_map(|lock| leading_to(rust, lock).map(move |line| (line, lock.join("::"))));
    lines
        .filter(|(line, _)| !rust.tokens.iter().any(|token| token.line == *line && token.test))
        .map(|(line, lock)| Breach::new(path, line, format!("`{lock}` outside src/sync.rs")))
        .collect()
}

/// The lines of paths that name `target` or something in it, or import a whole parent of it.
fn leading_to<'a>(rust: &'a Rust, target: &'a [&str]) -> impl Iterator<Item = usize> + 'a {
    let leads = move |segments: &[String]| {
        let glob = segments.last().is_some_and(|last| last == "*");
        let named = &segments[..segments.len() - usize::from(glob)];
        let common = named.iter().zip(target).take_while(|(a, b)| a == *b).count();
        common == target.len()
            || (common == named.len() && common > 1)
            || (glob && common == named.len())
    };
    rust.paths.iter().filter(move |path| leads(&path.segments)).map(|path| path.line)
}
