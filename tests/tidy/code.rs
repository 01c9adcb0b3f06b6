//! Rules about single lines of code: what must not stand anywhere.

use crate::Breach;
use crate::rust::{Rust, Token};

/// A file longer than this has more than one job.
const MOST_LINES: usize = 500;

/// No Rust file passes 500 lines.
pub(crate) fn too_long(path: &str, text: &str) -> Vec<Breach> {
    let lines = text.lines().count();
    let complaint = || Breach::new(path, lines, format!("{lines} lines, {MOST_LINES} at most"));
    (lines > MOST_LINES).then(complaint).into_iter().collect()
}

/// The one place with `unsafe`: libmpv's C, in a recipe that is a package of its own.
const FOREIGN: &str = "examples/libmpv/src/ffi.rs";

/// No `unsafe`, and (defect 18) no mapped files: truncating one under a reader kills the process.
pub(crate) fn unsafe_or_mapped(path: &str, rust: &Rust) -> Vec<Breach> {
    let mapped = |word: &str| !path.starts_with("tests/") && word.to_lowercase().contains("mmap");
    let hit = |word: &str| (word == "unsafe" && path != FOREIGN) || mapped(word);
    let hits = rust.tokens.iter().filter(|token| hit(&token.text));
    hits.map(|token| Breach::new(path, token.line, format!("`{}`", token.text))).collect()
}

/// A dependency that maps files would do it behind the code's back.
pub(crate) fn mapped_by_dependency(path: &str, text: &str) -> Vec<Breach> {
    if !path.ends_with("Cargo.toml") {
        return Vec::new();
    }
    let hits = numbered(text).filter(|(_, line)| line.to_lowercase().contains("mmap"));
    hits.map(|(line, _)| Breach::new(path, line, "a dependency that maps files".to_owned()))
        .collect()
}

/// Nothing is left for later: no stub macros, no notes to oneself.
pub(crate) fn left_for_later(path: &str, text: &str, rust: &Rust) -> Vec<Breach> {
    let stubs = ["todo", "unimplemented", "dbg"];
    let stub = |pair: &&[Token]| stubs.contains(&pair[0].text.as_str()) && pair[1].text == "!";
    let macros = rust.tokens.windows(2).filter(stub);
    let macros = macros.map(|pair| Breach::new(path, pair[0].line, format!("`{}!`", pair[0].text)));
    let notes = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"]].map(|parts| parts.concat());
    let noted = numbered(text).flat_map(|(line, text)| {
        let mut words = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        words.find(|word| notes.iter().any(|note| note == word)).map(|word| (line, word))
    });
    macros.chain(noted.map(|(line, word)| Breach::new(path, line, format!("`{word}`")))).collect()
}

/// Where a timer is the job, and why; a path ending in `/` stands for all below it.
const SLEEPERS: [(&str, &str); 7] = [
    ("benches/link/", "a link that delays packets has nothing to wait for but the time"),
    ("benches/scale.rs", "what rest costs is measured over time"),
    ("benches/peers/", "a user's pauses and a player's pace are part of what is measured"),
    (
        "src/net/retry.rs",
        "the pause between two attempts is its job; nothing happens that could end it sooner",
    ),
    (
        "src/engine/fetch/body.rs",
        "packets are left in the socket for some milliseconds; a read that comes to wait for one ends that sooner",
    ),
    ("src/origin/", "the scripted origin's delays and its shaped link are time itself"),
    ("src/sched/sim", "the simulated clock: sleeping there costs no time"),
];

/// Nothing waits by sleeping: a test that does is slow on a fast machine and false on a slow one,
/// and library code has an event or the driver's timer to wait for.
pub(crate) fn sleeps(path: &str, rust: &Rust) -> Vec<Breach> {
    if SLEEPERS.iter().any(|(allowed, _)| path.starts_with(allowed)) {
        return Vec::new();
    }
    let calls = rust.tokens.windows(2).filter(|pair| pair[1].text == "(").map(|pair| &pair[0]);
    let calls = calls.filter(|token| is_sleep(&token.text)).map(|token| token.line);
    let named =
        rust.paths.iter().filter(|path| path.segments.last().is_some_and(|last| is_sleep(last)));
    let mut lines: Vec<usize> = calls.chain(named.map(|path| path.line)).collect();
    lines.sort_unstable();
    lines.dedup();
    lines.into_iter().map(|line| Breach::new(path, line, "sleeps".to_owned())).collect()
}

fn is_sleep(word: &str) -> bool {
    matches!(word, "sleep" | "sleep_until" | "sleep_ms" | "park_timeout")
}

/// No test is switched off; examples are looked at by [`ignored_examples`].
pub(crate) fn ignored_tests(path: &str, rust: &Rust) -> Vec<Breach> {
    let mut lines = Vec::new();
    for (i, pair) in rust.tokens.windows(2).enumerate() {
        if pair[0].text == "#" && matches!(pair[1].text.as_str(), "[" | "!") {
            let inside = rust.tokens[i..].iter().take_while(|token| token.text != "]");
            let mut words = inside
                .map(|token| token.text.as_str())
                .filter(|word| !matches!(*word, "#" | "!" | "["));
            let name = words.next();
            if name == Some("ignore")
                || (name == Some("cfg_attr") && words.any(|word| word == "ignore"))
            {
                lines.push(pair[0].line);
            }
        }
    }
    lines
        .into_iter()
        .map(|line| Breach::new(path, line, "a test that never runs".to_owned()))
        .collect()
}

/// No example is switched off, neither in the documentation of the code nor in a paper.
pub(crate) fn ignored_examples(path: &str, text: &str) -> Vec<Breach> {
    let is_ignored = |line: &str| {
        line.split_once("```")
            .is_some_and(|(_, info)| info.split(',').any(|word| word.trim() == "ignore"))
    };
    let found = numbered(text).filter(|(_, line)| is_ignored(line));
    found
        .map(|(line, _)| Breach::new(path, line, "an example that never runs".to_owned()))
        .collect()
}

/// Hosts of package registries, in pieces so that this file names none.
const REGISTRIES: [[&str; 2]; 8] = [
    ["crates", ".io"],
    ["pypi", ".org"],
    ["pythonhosted", ".org"],
    ["npmjs", ".com"],
    ["npmjs", ".org"],
    ["yarnpkg", ".com"],
    ["rubygems", ".org"],
    ["proxy.golang", ".org"],
];

/// Beginnings of paths that exist on one machine only, in pieces likewise.
const WORKPLACES: [[&str; 2]; 4] =
    [["/wo", "rk/"], ["/ro", "ot/"], ["/ho", "me/"], ["/Us", "ers/"]];

/// No text names a package registry's host or a place on the machine where it was written.
pub(crate) fn foreign_places(path: &str, text: &str) -> Vec<Breach> {
    // Written by cargo, which names the registry in it.
    if path.ends_with("Cargo.lock") {
        return Vec::new();
    }
    let mut breaches = Vec::new();
    for (line, text) in numbered(text) {
        let hosts =
            REGISTRIES.iter().map(|host| host.concat()).filter(|host| text.contains(host.as_str()));
        let places =
            WORKPLACES.iter().map(|place| place.concat()).filter(|place| stands_alone(text, place));
        breaches.extend(
            hosts.chain(places).map(|what| Breach::new(path, line, format!("names {what}"))),
        );
    }
    breaches
}

/// Whether `place` begins a path somewhere in `text`, rather than going on with one.
fn stands_alone(text: &str, place: &str) -> bool {
    text.match_indices(place).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        !before
            .is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}' | '*' | '$'))
    })
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}
