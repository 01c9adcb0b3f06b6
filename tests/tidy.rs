//! The house rules that the compiler does not know.
//!
//! Each rule is a function from a file's path and content to its breaches. `the_tree_is_tidy` runs
//! all of them over the repository; `tidy/planted.rs` shows of each that it fires on a planted breach and
//! is silent on clean code, since a check that cannot fail checks nothing.

#[path = "tidy/code.rs"]
mod code;
#[path = "tidy/floors.rs"]
mod floors;
#[path = "tidy/licences.rs"]
mod licences;
#[path = "tidy/planted.rs"]
mod planted;
#[path = "tidy/rust.rs"]
mod rust;

use std::fmt;
use std::fs;
use std::path::Path;

use rust::{Rust, module_of};

/// One place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Breach {
    path: String,
    line: usize,
    what: String,
}

impl Breach {
    /// A breach of a rule in line `line` of `path`.
    pub(crate) fn new(path: &str, line: usize, what: String) -> Self {
        Self { path: path.to_owned(), line, what }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// A file of the repository: its path from the root, with `/`, and its content.
type File = (String, String);

/// What a breach is found in beside the files at the top: code, its papers and its scripts.
const ROOMS: [&str; 8] =
    ["src", "tests", "benches", "examples", "docs", "scripts", ".ci", ".config"];

#[test]
fn the_tree_is_tidy() {
    let files = tree(Path::new(env!("CARGO_MANIFEST_DIR")));
    assert!(files.iter().any(|(path, _)| path == "src/lib.rs"), "the walk missed the crate");
    let breaches: Vec<String> = inspect(&files).iter().map(Breach::to_string).collect();
    assert!(breaches.is_empty(), "{} breaches:\n{}", breaches.len(), breaches.join("\n"));
}

/// All breaches of all rules in `files`.
fn inspect(files: &[File]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (path, text) in files {
        breaches.extend(code::foreign_places(path, text));
        breaches.extend(code::mapped_by_dependency(path, text));
        breaches.extend(code::ignored_examples(path, text));
    }
    breaches.extend(licences::licences(files));
    for (path, text, rust) in &read_rust(files) {
        breaches.extend(code::too_long(path, text));
        breaches.extend(code::unsafe_or_mapped(path, rust));
        breaches.extend(code::left_for_later(path, text, rust));
        breaches.extend(code::sleeps(path, rust));
        breaches.extend(code::ignored_tests(path, rust));
        if path.starts_with("src/") {
            breaches.extend(floors::broken_floors(path, rust));
            breaches.extend(floors::impure_core(path, rust));
            breaches.extend(floors::stray_locks(path, rust));
        }
    }
    breaches
}

/// The Rust files among `files`; one whose module is declared for tests alone is marked as such.
fn read_rust(files: &[File]) -> Vec<(&str, &str, Rust)> {
    let rust = files.iter().filter(|(path, _)| path.ends_with(".rs"));
    let mut read: Vec<(&str, &str, Rust)> =
        rust.map(|(path, text)| (path.as_str(), text.as_str(), Rust::read(path, text))).collect();
    let for_tests: Vec<_> = read.iter().flat_map(|(.., rust)| rust.test_modules.clone()).collect();
    for (path, _, rust) in &mut read {
        let module = module_of(path);
        if path.starts_with("src/") && for_tests.iter().any(|tests| module.starts_with(tests)) {
            rust.tokens.iter_mut().for_each(|token| token.test = true);
            rust.paths.iter_mut().for_each(|path| path.test = true);
        }
    }
    read
}

/// The text files at the top of `root` and in its rooms, in order.
fn tree(root: &Path) -> Vec<File> {
    let mut files = Vec::new();
    walk(root, "", &mut files);
    files.sort();
    files
}

fn walk(dir: &Path, prefix: &str, files: &mut Vec<File>) {
    for entry in fs::read_dir(dir).expect("a folder of the repository is readable") {
        let entry = entry.expect("a folder of the repository is readable");
        let name = entry.file_name().into_string().expect("file names of the repository are UTF-8");
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().expect("a file of the repository has a kind");
        if kind.is_dir() {
            let wanted =
                if prefix.is_empty() { ROOMS.contains(&name.as_str()) } else { name != "target" };
            if wanted {
                walk(&entry.path(), &format!("{path}/"), files);
            }
        } else if path == ".git" {
            // In a linked work tree that is a file, and tells where the repository lies.
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            // What is not UTF-8 is media, and holds no text.
            files.push((path, text));
        }
    }
}
