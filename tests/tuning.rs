//! `docs/TUNING.md` names every field of the configuration with its default, and nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use kithara_file::Config;

const PAPER: &str = include_str!("../docs/TUNING.md");

/// Field path to default, as `Debug` shows it.
type Fields = BTreeMap<String, String>;

/// The fields of a value from its pretty `Debug` form: nested structs become paths.
fn fields(debug: &str) -> Fields {
    let mut fields = Fields::new();
    let mut path: Vec<&str> = Vec::new();
    for line in debug.lines().skip(1).map(str::trim) {
        if line.starts_with('}') {
            path.pop();
        } else if let Some((name, value)) = line.split_once(": ") {
            if value.ends_with('{') {
                path.push(name);
            } else {
                let name = [&path[..], &[name]].concat().join(".");
                fields.insert(name, value.trim_end_matches(',').to_owned());
            }
        }
    }
    fields
}

/// The rows of the paper whose first cell is a path in code marks, with their second cell.
fn rows(paper: &str) -> Fields {
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let name = cells.next()?.strip_suffix('`')?;
        Some((name.to_owned(), as_debug(cells.next()?)))
    };
    paper.lines().filter_map(row).collect()
}

/// What `Debug` shows for a default as the paper writes it.
fn as_debug(cell: &str) -> String {
    let Some((number, unit)) = cell.split_once(' ') else {
        return match cell.strip_suffix("VERSION") {
            Some(name) => format!("{:?}", format!("{name}{}", env!("CARGO_PKG_VERSION"))),
            None => cell.to_owned(),
        };
    };
    let number: u64 = number.parse().unwrap_or_else(|_| panic!("{cell:?} is no number"));
    match unit {
        "KiB" => (number << 10).to_string(),
        "MiB" => (number << 20).to_string(),
        "GiB" => (number << 30).to_string(),
        "ms" => format!("{:?}", Duration::from_millis(number)),
        "s" => format!("{:?}", Duration::from_secs(number)),
        _ => panic!("{cell:?} has an unknown unit"),
    }
}

#[test]
fn p8_every_field_is_in_the_paper_with_its_default() {
    let code = fields(&format!("{:#?}", Config::default()));
    let paper = rows(PAPER);
    assert!(code.len() > 30, "only {} fields found", code.len());
    for (name, value) in &code {
        match paper.get(name) {
            None => panic!("docs/TUNING.md does not name {name}"),
            Some(told) => assert_eq!(told, value, "docs/TUNING.md on {name}"),
        }
    }
    for name in paper.keys() {
        assert!(code.contains_key(name), "docs/TUNING.md names {name}, which is no field");
    }
}

/// The check must be able to fail.
#[test]
fn fields_and_rows_are_read_as_written() {
    #[derive(Debug)]
    #[expect(dead_code, reason = "read by way of Debug")]
    struct Outer {
        inner: Inner,
        on: bool,
    }
    #[derive(Debug)]
    #[expect(dead_code, reason = "read by way of Debug")]
    struct Inner {
        size: u64,
        time: Duration,
    }
    let outer = Outer { inner: Inner { size: 2048, time: Duration::from_millis(1500) }, on: true };
    let paper = "| field | default |\n| `inner.size` | 2 KiB | x |\n| `inner.time` | 1500 ms | y |\n| `on` | true | z |\n";
    assert_eq!(fields(&format!("{outer:#?}")), rows(paper));
    assert_ne!(fields(&format!("{outer:#?}")), rows(&paper.replace("2 KiB", "3 KiB")));
}
