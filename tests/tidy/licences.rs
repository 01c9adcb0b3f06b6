//! Rules about what is inside: each crate of the lock file was looked at for its licence.

use crate::{Breach, File};

/// Whoever looks at a crate writes its name here, and its licence after a tab.
pub(crate) const TABLE: &str = "docs/licences.tsv";

/// Tells what the licences ask for.
const PAPER: &str = "docs/LICENSES.md";

/// The lock file and the table have the same crates; one that offers neither MIT nor Apache-2.0 alone is told of in the paper.
pub(crate) fn licences(files: &[File]) -> Vec<Breach> {
    let text = |wanted: &str| files.iter().find(|(path, _)| path == wanted).map(|(_, text)| text);
    let (Some(lock), Some(table)) = (text("Cargo.lock"), text(TABLE)) else { return Vec::new() };
    let paper = text(PAPER).map_or("", String::as_str);
    let mut locked: Vec<&str> = lock
        .lines()
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .filter(|name| *name != "kithara-file")
        .collect();
    locked.sort_unstable();
    locked.dedup();
    let rows = table.lines().enumerate().map(|(i, line)| (i + 1, line.split_once('\t')));

    let mut breaches = Vec::new();
    let mut known = Vec::new();
    for (line, row) in rows {
        let breach = |what: String| Breach::new(TABLE, line, what);
        let Some((name, licence)) = row else {
            breaches.push(breach("no name, tab and licence".to_owned()));
            continue;
        };
        if known.last().is_some_and(|last| *last >= name) {
            breaches.push(breach(format!("`{name}` is out of order")));
        }
        if locked.binary_search(&name).is_err() {
            breaches.push(breach(format!("`{name}` is not in Cargo.lock")));
        }
        if !is_plain(licence) && !is_told(paper, name) {
            breaches.push(breach(format!("`{name}`, {licence}, is not told of in {PAPER}")));
        }
        known.push(name);
    }
    let unknown = locked.iter().filter(|name| !known.contains(name));
    breaches.extend(unknown.map(|name| {
        Breach::new(
            "Cargo.lock",
            0,
            format!("`{name}`: look at its licence, write it into {TABLE}"),
        )
    }));
    breaches
}

/// Whether it may be taken under MIT or Apache-2.0 with nothing besides.
fn is_plain(licence: &str) -> bool {
    !licence.contains(" AND ")
        && licence.split(" OR ").any(|one| matches!(one, "MIT" | "Apache-2.0"))
}

/// Whether the paper names it, or a family with a star that it belongs to.
fn is_told(paper: &str, name: &str) -> bool {
    let mut names = paper.split('`').skip(1).step_by(2);
    names.any(|told| {
        told == name || told.strip_suffix('*').is_some_and(|root| name.starts_with(root))
    })
}
