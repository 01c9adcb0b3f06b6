//! `docs/OBSERVE.md` names every span, field, event and metric, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use metrics::Unit;

use super::{MIB, Stage, check_at, engine, origin, until};

const PAPER: &str = include_str!("../../docs/OBSERVE.md");

/// The rows below the heading that is `title`, without the head of their table, cell by cell.
fn rows(title: &str) -> Vec<Vec<String>> {
    let section = PAPER.split("\n## ").flat_map(|part| part.split("\n### "));
    let section = section.into_iter().find(|part| part.lines().next() == Some(title));
    let section = section.unwrap_or_else(|| panic!("docs/OBSERVE.md has no {title:?}"));
    let lines = section.lines().filter(|line| line.starts_with('|')).skip(2);
    let cells = |line: &str| {
        let line = line.trim_matches('|');
        line.split(" | ").map(|cell| cell.trim().replace('`', "")).collect()
    };
    lines.map(cells).collect()
}

#[test]
fn every_span_is_in_the_paper_with_its_fields() {
    let stage = Stage::enter();
    let origin = origin();
    let engine = engine();
    let session = engine.open_blocking(origin.url("/file")).unwrap();
    let mut reader = session.reader();
    for (at, len) in [(0, 10), (16 * MIB, 3 << 20)] {
        check_at(&mut reader, at, len);
    }
    drop((reader, session, engine));
    until("the session to end", || stage.spans.named("session").iter().all(|span| span.closed));
    for name in ["session", "fetch", "seek", "stall"] {
        let span = stage.spans.named(name).pop().unwrap_or_else(|| panic!("no span {name}"));
        assert_eq!(span.level, tracing::Level::DEBUG);
        let told: Vec<String> =
            rows(&format!("Span `{name}`")).into_iter().map(|row| row[0].clone()).collect();
        assert_eq!(told, span.names, "docs/OBSERVE.md on the fields of {name}");
    }
}

#[test]
fn every_metric_is_in_the_paper_with_its_kind_unit_and_meaning() {
    let stage = Stage::enter();
    drop(engine());
    let unit = |unit| match unit {
        Some(Unit::Count) => "count",
        Some(Unit::Bytes) => "bytes",
        Some(Unit::Seconds) => "seconds",
        other => panic!("{other:?} is not in the paper"),
    };
    let code: BTreeMap<String, Vec<String>> = stage
        .recorder
        .described()
        .into_iter()
        .map(|(name, it)| {
            let what = it.what.replace('`', "");
            (name, vec![it.kind.to_owned(), unit(it.unit).to_owned(), what])
        })
        .collect();
    let paper: BTreeMap<String, Vec<String>> =
        rows("Metrics").into_iter().map(|row| (row[0].clone(), row[1..].to_vec())).collect();
    assert!(code.len() > 15);
    assert_eq!(paper, code);
}

/// Level, message and fields of each event in `source`.
fn events(source: &str) -> BTreeSet<(String, String, String)> {
    let mut found = BTreeSet::new();
    for level in ["trace", "debug", "info", "warn", "error"] {
        for (at, start) in source.match_indices(&format!("tracing::{level}!(")) {
            let body = until_closed(&source[at + start.len()..]);
            let quote = body.find('"').expect("an event without a message");
            let message = body[quote + 1..].split('"').next().unwrap();
            let fields: Vec<&str> = body[..quote].split(',').map(name_of).collect();
            let fields: Vec<&str> = fields.into_iter().filter(|field| !field.is_empty()).collect();
            found.insert((level.to_owned(), message.to_owned(), fields.join(", ")));
        }
    }
    found
}

/// `name = value`, `%name` or `?name`.
fn name_of(field: &str) -> &str {
    field.split('=').next().unwrap_or_default().trim().trim_start_matches(['%', '?'])
}

fn until_closed(text: &str) -> &str {
    let mut depth = 1;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[..at];
        }
    }
    panic!("an event without an end")
}

fn sources(folder: &Path, into: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_event_is_in_the_paper_with_its_level_and_fields() {
    let mut all = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    let code: BTreeSet<_> = all.iter().flat_map(|source| events(source)).collect();
    assert!(code.len() > 25, "only {} events found", code.len());
    let row = |row: Vec<String>| (row[0].clone(), row[1].clone(), row[2].clone());
    let paper: BTreeSet<_> = rows("Events").into_iter().map(row).collect();
    assert_eq!(paper, code);
    for source in all {
        assert!(!source.contains(".entered()"), "a span that may be held across an await");
    }
}

/// The check must be able to fail.
#[test]
fn events_are_read_as_written() {
    let source = "tracing::warn!(path = %a.b(), %error, \"oh (no)\");";
    let event = ("warn".to_owned(), "oh (no)".to_owned(), "path, error".to_owned());
    assert_eq!(events(source), BTreeSet::from([event]));
}
