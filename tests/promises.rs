//! Each promise of `docs/SEMANTICS.md` has its tests, and the table there tells the truth about them.
//!
//! A test belongs to a tag if its name begins with it (`e2_...`) or the comment above it names it. The table
//! lists some tests of each; those must exist and belong. To fill up and mend the table:
//! `UPDATE_PROMISES=1 cargo test --test promises`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const PAPER: &str = "docs/SEMANTICS.md";
const BEGIN: &str = "<!-- tests: begin -->\n";
const END: &str = "<!-- tests: end -->";

/// How many tests of a tag the table lists, if there are so many.
const LISTED: usize = 4;

/// A test: its name and the file that it is in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Test {
    name: String,
    file: String,
}

impl Test {
    /// Whether its name begins with the tag.
    fn is_named_for(&self, tag: &str) -> bool {
        self.name.split('_').next().is_some_and(|first| first.eq_ignore_ascii_case(tag))
    }

    fn cell(&self) -> String {
        let Self { name, file } = self;
        format!("`{name}` ({file})")
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The tags that the paper promises, as `**E1**` at the start of an item.
fn promised(paper: &str) -> BTreeSet<String> {
    let item =
        |line: &str| line.strip_prefix("- **")?.split_once("**").map(|(tag, _)| tag.to_owned());
    paper.lines().filter_map(item).filter(|tag| is_tag(tag)).collect()
}

/// A letter of the contract and a number.
fn is_tag(word: &str) -> bool {
    let mut chars = word.chars();
    matches!(chars.next(), Some('E' | 'D' | 'N' | 'S' | 'A' | 'P'))
        && chars.clone().next().is_some()
        && chars.all(|c| c.is_ascii_digit())
}

/// The tags in a line of prose.
fn tags_in(line: &str) -> impl Iterator<Item = String> + '_ {
    line.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| is_tag(word)).map(str::to_owned)
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a readable entry").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every test of the repository, with the tags it belongs to.
fn tests() -> BTreeMap<Test, BTreeSet<String>> {
    let mut files = Vec::new();
    for folder in ["src", "tests"] {
        rust_files(&root().join(folder), &mut files);
    }
    let mut tests = BTreeMap::new();
    // This file's tests are about the paper; the planted ones are none.
    for path in files.into_iter().filter(|path| *path != root().join(file!())) {
        let text = fs::read_to_string(&path).expect("a source file is text");
        let file = path.strip_prefix(root()).expect("it is below the root");
        let file = file.to_string_lossy().replace('\\', "/");
        for (name, tags) in tests_in(&text) {
            tests.insert(Test { name, file: file.clone() }, tags);
        }
    }
    tests
}

/// The tests of one file. What is above a `fn` counts for it: attributes and comments, back to the last line
/// that is neither.
fn tests_in(text: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut found = Vec::new();
    let (mut tags, mut is_test) = (BTreeSet::new(), false);
    for line in text.lines().map(str::trim_start) {
        if line.starts_with("//") {
            tags.extend(tags_in(line));
        } else if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        } else {
            if let Some(name) = function(line)
                && is_test
            {
                let first = name.split('_').next().unwrap_or_default().to_ascii_uppercase();
                tags.extend(Some(first).filter(|tag| is_tag(tag)));
                found.push((name.to_owned(), std::mem::take(&mut tags)));
            }
            tags.clear();
            is_test = false;
        }
    }
    found
}

/// The name of the function that a line begins.
fn function(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?;
    rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()
}

/// The rows of the table: tag, and the tests listed, as `(name, file)`.
fn table(paper: &str) -> BTreeMap<String, Vec<Test>> {
    let row = |line: &str| {
        let (tag, tests) = line.strip_prefix("| ")?.split_once(" | ")?;
        let test = |cell: &str| {
            let (name, file) = cell.trim().strip_prefix('`')?.split_once("` (")?;
            Some(Test { name: name.to_owned(), file: file.strip_suffix(')')?.to_owned() })
        };
        let tests = tests.trim_end_matches(" |").split("<br>").filter_map(test).collect();
        is_tag(tag).then(|| (tag.to_owned(), tests))
    };
    part(paper).1.lines().filter_map(row).collect()
}

/// The paper before the table, the table, and the rest.
fn part(paper: &str) -> (&str, &str, &str) {
    let (before, rest) = paper.split_once(BEGIN).expect("the table has a beginning");
    let (table, after) = rest.split_once(END).expect("the table has an end");
    (before, table, after)
}

/// In the order of the topics, then by number.
fn order(tag: &str) -> (usize, u32) {
    let letter = "EDNSAP".find(&tag[..1]).unwrap_or(usize::MAX);
    (letter, tag[1..].parse().unwrap_or(u32::MAX))
}

/// The table as it should be: what it has and is right, filled up with others, different files first.
fn mended(
    promised: &BTreeSet<String>,
    old: &BTreeMap<String, Vec<Test>>,
    tests: &BTreeMap<Test, BTreeSet<String>>,
) -> String {
    let mut tags: Vec<&String> = promised.iter().collect();
    tags.sort_by_key(|tag| order(tag));
    let mut out = String::from("| promise | tests |\n|---|---|\n");
    for tag in tags {
        let belongs = |test: &&Test| tests.get(test).is_some_and(|tags| tags.contains(tag));
        let mut listed: Vec<&Test> = old.get(tag).into_iter().flatten().filter(belongs).collect();
        let mut all: Vec<&Test> = tests.keys().filter(belongs).collect();
        // Those first that go the user's way, and those that are about this tag alone.
        all.sort_by_key(|test| (!test.file.starts_with("tests/"), !test.is_named_for(tag)));
        for fresh_file in [true, false] {
            for test in &all {
                let new = listed.iter().all(|other| other.name != test.name)
                    && (!fresh_file || listed.iter().all(|other| other.file != test.file));
                if new && listed.len() < LISTED {
                    listed.push(test);
                }
            }
        }
        let cells: Vec<String> = listed.into_iter().map(Test::cell).collect();
        out += &format!("| {tag} | {} |\n", cells.join("<br>"));
    }
    out
}

#[test]
fn every_promise_has_its_tests_and_the_table_is_true() {
    let path = root().join(PAPER);
    let paper = fs::read_to_string(&path).expect("the paper is part of the repository");
    let (promised, tests) = (promised(&paper), tests());
    assert!(promised.len() > 40, "only {} promises found", promised.len());
    assert!(tests.len() > 100, "only {} tests found", tests.len());
    let listed = table(&paper);
    if std::env::var_os("UPDATE_PROMISES").is_some() {
        let (before, _, after) = part(&paper);
        let table = mended(&promised, &listed, &tests);
        fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}"))
            .expect("the paper is writable");
        return;
    }
    let mut wrong = Vec::new();
    for tag in &promised {
        if !tests.values().any(|tags| tags.contains(tag)) {
            wrong.push(format!("{tag}: no test names it"));
        }
        if listed.get(tag).is_none_or(Vec::is_empty) {
            wrong.push(format!("{tag}: not in the table"));
        }
    }
    for (tag, row) in &listed {
        if !promised.contains(tag) {
            wrong.push(format!("{tag}: in the table, and promised nowhere"));
        }
        for test in row {
            match tests.get(test) {
                None => wrong.push(format!("{tag}: there is no {}", test.cell())),
                Some(tags) if !tags.contains(tag) => {
                    wrong.push(format!("{tag}: {} does not name it", test.cell()));
                }
                Some(_) => {}
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\nto mend the table: UPDATE_PROMISES=1 cargo test --test promises",
        wrong.join("\n")
    );
}

/// The check must be able to fail: what it reads from a planted file is what is there.
#[test]
fn tags_are_found_in_names_and_comments_of_tests_alone() {
    let text = "\
/// E1: of a helper, not of a test.
fn helper() {}

/// E2, defect 3: by its comment.
#[test]
fn something() {}

    // P6
    #[tokio::test(start_paused = true)]
    async fn n4_by_name_and_comment() {}
    // S1 of nobody
    let x = 1;
    #[test]
    fn u32_is_no_tag() {}
";
    let set = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<BTreeSet<_>>();
    let expected = [
        ("something".to_owned(), set(&["E2"])),
        ("n4_by_name_and_comment".to_owned(), set(&["N4", "P6"])),
        ("u32_is_no_tag".to_owned(), set(&[])),
    ];
    assert_eq!(tests_in(text), expected);
    assert_eq!(promised("- **E1** yes\n**E2** no\n- **Ex** no\n"), set(&["E1"]));
}
