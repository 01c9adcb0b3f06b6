//! Each rule fires on a planted breach and is silent on clean code.
//!
//! Planted words that a plain search for leftovers would find here are put together from pieces.

use crate::{Breach, inspect, licences};

/// The lines of `path` that break a rule when the repository holds nothing but this text.
fn lines(path: &str, text: &str) -> Vec<usize> {
    let mut lines: Vec<usize> =
        breaches(&[(path, text)]).iter().map(|breach| breach.line).collect();
    lines.dedup();
    lines
}

fn breaches(files: &[(&str, &str)]) -> Vec<Breach> {
    let files: Vec<_> =
        files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    inspect(&files)
}

#[track_caller]
fn fires(path: &str, text: &str) {
    assert_eq!(lines(path, text), [1], "{path}: {text}");
}

#[track_caller]
fn silent(path: &str, text: &str) {
    assert_eq!(breaches(&[(path, text)]), [], "{path}: {text}");
}

#[test]
fn a_floor_does_not_reach_up() {
    fires("src/storage/streaming.rs", "use crate::engine::Engine;");
    fires("src/storage/streaming.rs", "use crate::{error::Error, assets::{key::Key, Lease}};");
    fires("src/assets/mod.rs", "fn f() { crate::session::open(); }");
    fires("src/config.rs", "fn f(x: crate::net::Target) {}");
    fires("src/engine/driver.rs", "use crate::reader::Reader;");
    silent(
        "src/engine/driver.rs",
        "use crate::{assets::Lease, net::{Net, lanes::Lane}, sched::Scheduler, storage};",
    );
    silent("src/session.rs", "use crate::reader::Reader; use crate::engine::Engine;");
    silent("src/error.rs", "use crate::byte_range::ByteRange;");
}

#[test]
fn neighbours_on_the_first_floor_do_not_know_each_other() {
    for (own, other) in
        [("sched", "net"), ("net", "storage"), ("storage", "sched"), ("net", "sched")]
    {
        fires(&format!("src/{own}/mod.rs"), &format!("use crate::{other}::Thing;"));
        fires(
            &format!("src/{own}/deep/er.rs"),
            &format!("fn f() {{ super::super::super::{other}::thing() }}"),
        );
        silent(&format!("src/{own}/mod.rs"), &format!("use crate::{own}::inner::Thing;"));
    }
}

#[test]
fn nobody_below_goes_through_the_door() {
    fires("src/net/http.rs", "use crate::Error;");
    fires("src/engine/mod.rs", "use crate::*;");
    fires("src/engine/mod.rs", "use super::Error;");
    silent("src/serve/mod.rs", "use crate::Engine;");
    silent("src/bin/kithara-file.rs", "use kithara_file::Engine; use crate::anything::At;");
    silent("src/lib.rs", "pub use crate::session::Session; pub use self::engine::Engine;");
}

#[test]
fn a_new_module_needs_a_floor() {
    fires("src/attic/mod.rs", "fn f() {}");
}

#[test]
fn the_origin_stands_apart() {
    fires("src/net/http.rs", "use crate::origin::Origin;");
    fires("src/origin/script.rs", "use crate::net::Fault;");
    silent("src/origin/script.rs", "use crate::byte_range::ByteRange; use std::sync::Mutex;");
    silent(
        "src/net/http.rs",
        "#[cfg(all(test, feature = \"origin\"))]\nmod tests {\n use crate::origin::Origin;\n}",
    );
    fires("src/net/http.rs", "#[cfg(not(test))] mod real { use crate::origin::Origin; }");
    fires("src/net/http.rs", "#[cfg(test)] mod tests {} use crate::origin::Origin;");
}

#[test]
fn a_test_module_in_a_file_of_its_own_is_known() {
    let test = ("src/net/http/tests.rs", "use crate::origin::Origin;");
    assert_eq!(breaches(&[("src/net/http.rs", "#[cfg(test)]\nmod tests;"), test]), []);
    assert_eq!(breaches(&[("src/net/http.rs", "mod tests;"), test]).len(), 1);
    let test = ("src/net/http_tests.rs", "use crate::origin::Origin;");
    let declared = "#[cfg(test)]\n#[path = \"http_tests.rs\"]\nmod tests;";
    assert_eq!(breaches(&[("src/net/http.rs", declared), test]), []);
    assert_eq!(breaches(&[("src/net/http.rs", "#[cfg(test)] mod tests;"), test]).len(), 1);
}

#[test]
fn the_core_is_pure() {
    for impure in [
        "use tokio::time;",
        "use reqwest::Client;",
        "use std::fs::File;",
        "use std::{cmp::Ordering, thread};",
        "use std::sync::Arc;",
        "use crate::sync::Mutex;",
        "fn f() { let x = std::time::Instant::now(); }",
        "fn f(x: SystemTime) {}",
        "use std::collections::{BTreeMap, HashMap};",
        "struct S { seen: HashSet<u64> }",
    ] {
        fires("src/sched/plan.rs", impure);
    }
    silent(
        "src/sched/plan.rs",
        "// Instant, HashMap, tokio\nuse std::collections::BTreeMap; use crate::time::Micros;",
    );
    silent("src/engine/driver.rs", "use std::time::Instant; use tokio::time;");
}

#[test]
fn locks_come_through_one_door() {
    fires("src/storage/coverage.rs", "use std::sync::{Arc, Mutex};");
    fires("src/storage/coverage.rs", "use std::sync;");
    fires("src/storage/coverage.rs", "use std::sync::*;");
    fires("src/storage/coverage.rs", "use std::{io, sync::{self, Arc}};");
    fires("src/engine/mod.rs", "static S: std::sync::RwLock<u8> = std::sync::RwLock::new(0);");
    fires("src/net/lanes.rs", "use tokio::sync::Mutex;");
    silent("src/sync.rs", "pub struct Mutex<T>(std::sync::Mutex<T>);");
    silent("src/storage/coverage.rs", "use crate::sync::Mutex; use std::sync::{Arc, OnceLock};");
    silent("src/storage/coverage.rs", "#[cfg(test)]\nmod tests {\n use std::sync::Mutex;\n}");
    silent("tests/session.rs", "use std::sync::Mutex;");
}

#[test]
fn a_file_keeps_to_five_hundred_lines() {
    let long = "//\n".repeat(501);
    for room in ["src/net/mod.rs", "tests/a.rs", "benches/b.rs", "examples/c.rs"] {
        assert_eq!(lines(room, &long), [501], "{room}");
        silent(room, &long[3..]);
    }
    silent("docs/long.md", &long);
}

#[test]
fn defect_18_nothing_is_mapped_and_nothing_is_unsafe() {
    fires("src/storage/file.rs", "use memmap2::MmapOptions;");
    fires("benches/hit.rs", "fn f() { libc::mmap() }");
    fires("Cargo.toml", "memmap2 = \"1\"");
    fires("src/storage/file.rs", "fn f() { unsafe { g() } }");
    fires("tests/file.rs", "unsafe fn f() {}");
    fires("examples/libmpv/src/stream.rs", "unsafe fn f() {}");
    fires("examples/libmpv/src/ffi.rs", "fn f() { unsafe { mmap() } }");
    silent("examples/libmpv/src/ffi.rs", "unsafe fn f() {}");
    silent(
        "src/lib.rs",
        "#![forbid(unsafe_code)] // never mmap, \"unsafe\" { }\nconst S: &str = \"unsafe { mmap }\";",
    );
}

#[test]
fn nothing_is_left_for_later() {
    for stub in ["todo", "unimplemented", "dbg"] {
        fires("src/net/mod.rs", &format!("fn f() {{ {stub}!() }}"));
    }
    for note in [["TO", "DO"], ["FIX", "ME"], ["XX", "X"]] {
        fires("tests/net.rs", &format!("// {}: later", note.concat()));
        silent("src/net/mod.rs", &format!("// mktemp {}XX", note.concat()));
    }
    silent("src/net/mod.rs", "fn todo() {} // see the list");
}

#[test]
fn nothing_sleeps() {
    let sleep = ["std::", "thread::", "sleep"].concat();
    let async_sleep = ["tokio::", "time::", "sleep"].concat();
    for path in ["src/net/http.rs", "tests/session.rs", "benches/seek.rs", "src/sched/plan.rs"] {
        fires(path, &format!("fn f() {{ {sleep}(D); }}"));
        fires(path, "fn f() { sleep(D).await; }");
    }
    fires("src/net/http.rs", &format!("use {async_sleep} as wait;"));
    fires("src/net/http.rs", &format!("fn f() {{ {async_sleep}_until(t) }}"));
    silent("src/net/retry.rs", &format!("fn f() {{ {async_sleep}(pause); }}"));
    silent("src/origin/link.rs", &format!("fn f() {{ {async_sleep}(D); }}"));
    silent("src/net/http.rs", "fn f() { let sleeper = asleep(); } // sleep(1)");
}

#[test]
fn no_test_is_switched_off() {
    let attribute = ["#[", "ignore"].concat();
    fires("tests/a.rs", &format!("{attribute}] #[test] fn f() {{}}"));
    fires("tests/a.rs", &format!("{attribute} = \"slow\"] #[test] fn f() {{}}"));
    fires("src/net/mod.rs", "#[cfg_attr(windows, ignore)] fn f() {}");
    fires("src/net/mod.rs", &["/// ```", "ignore"].concat());
    fires("README.md", &["```rust,", "ignore"].concat());
    silent(
        "src/net/mod.rs",
        "#[derive(Debug)] struct S { ignore: bool } // #[ignored]\n/// ```no_run\nfn f() {}",
    );
}

#[test]
fn no_text_names_a_registry_or_a_workplace() {
    for (head, tail) in [("crates", ".io"), ("pypi", ".org"), ("npmjs", ".com")] {
        fires("docs/A.md", &format!("see https://{head}{tail}/x"));
        silent("Cargo.lock", &format!("source = \"{head}{tail}\""));
    }
    for (head, tail) in [("/wo", "rk/x"), ("/ro", "ot/x"), ("/ho", "me/x"), ("/Us", "ers/x")] {
        fires("scripts/a.sh", &format!("cd {head}{tail}"));
        fires("src/net/mod.rs", &format!("const P: &str = \"{head}{tail}\";"));
        silent("scripts/a.sh", &format!("cd \"$dir\"/a{head}{tail}"));
    }
}

#[test]
fn literals_and_comments_hide_nothing_behind_them() {
    fires(
        "tests/a.rs",
        "fn f<'a>(x: &'a str, q: char) { let _ = ('\"', b'\\'', '\\u{22}'); unsafe {} }",
    );
    fires("tests/a.rs", "const S: &str = r#\"\"quoted\" unsafe\"#; unsafe fn f() {}");
    fires("tests/a.rs", "/* a /* b */ unsafe */ unsafe fn f() {}");
    silent(
        "tests/a.rs",
        "const S: &[u8] = br\"unsafe\"; const T: &str = \"\\\"unsafe\"; // unsafe",
    );
}

#[test]
fn each_crate_was_looked_at_for_its_licence() {
    let lock = "[[package]]\nname = \"a-b\"\n[[package]]\nname = \"ring\"\n";
    let paper = "`ring` asks for something, and the `icu_*` too";
    let found = |lock: &str, table: &str| {
        let breaches = breaches(&[
            ("Cargo.lock", lock),
            (licences::TABLE, table),
            ("docs/LICENSES.md", paper),
        ]);
        breaches.iter().map(|breach| breach.line).collect::<Vec<_>>()
    };
    let nothing: [usize; 0] = [];
    let table = "a-b\tMIT OR Apache-2.0\nring\tApache-2.0 AND ISC\n";
    assert_eq!(found(lock, table), nothing);
    let more = |name: &str| format!("{lock}[[package]]\nname = \"{name}\"\n");
    assert_eq!(found(&more("new"), table), [0], "nobody looked at it");
    assert_eq!(found(lock, &format!("{table}zz\tMIT\n")), [3], "it is gone");
    assert_eq!(found(&more("zz"), &format!("{table}zz\tGPL-3.0\n")), [3], "not told of");
    assert_eq!(found(&more("zz"), &format!("{table}zz\tMIT AND GPL-3.0\n")), [3], "not told of");
    assert_eq!(found(&more("icu_x"), "a-b\tMIT\nicu_x\tUnicode-3.0\nring\tMIT\n"), nothing);
    assert_eq!(found(lock, "ring\tMIT\na-b\tMIT\n"), [2], "out of order");
    assert_eq!(found(lock, "a-b MIT\nring\tMIT\n"), [1, 0], "not a row");
}
