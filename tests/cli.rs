//! The command line, as a user runs it: the built program against the scripted origin.

#![allow(clippy::unwrap_used, missing_docs)]

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use kithara_file::origin::{Content, Gate, Origin, Rule, Step, pattern};
use serde_json::Value;
use tempfile::TempDir;

#[path = "cli/cache.rs"]
mod cache;
#[path = "cli/serve.rs"]
mod serve;

const MIB: u64 = 1 << 20;

/// A user with an empty home, and an origin with `/film.bin`.
struct Desk {
    home: TempDir,
    origin: Origin,
    len: u64,
}

impl Desk {
    fn new(len: u64) -> Self {
        let origin = Origin::start();
        origin.put("/film.bin", Content::pattern(len));
        Self { home: TempDir::new().unwrap(), origin, len }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn url(&self) -> String {
        self.origin.url("/film.bin?token=s3cr3t")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kithara-file"));
        command.args(args).current_dir(&self.home).stdin(Stdio::null());
        command.env("XDG_CACHE_HOME", self.path("cache")).env("TMPDIR", self.home.path());
        for name in ["RUST_LOG", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
            command.env_remove(name);
        }
        command
    }

    fn run(&self, args: &[&str]) -> Ended {
        Ended::of(self.command(args).output().unwrap())
    }

    /// Starts the program with its output in pipes.
    fn start(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    #[track_caller]
    fn check_file(&self, name: &str) {
        let bytes = std::fs::read(self.path(name)).unwrap();
        assert_eq!(bytes.len() as u64, self.len);
        assert_eq!(pattern::first_wrong(&bytes, 0, 0), None);
    }

    /// Names in the home, without the cache.
    fn files(&self) -> Vec<String> {
        let entries = self.home.path().read_dir().unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name != "cache").collect();
        names.sort();
        names
    }

    /// Lets nothing from byte `edge` on pass until `gate` opens, however it is asked for.
    fn hold_back_from(&self, edge: u64, gate: &Gate) {
        let gate = gate.clone();
        let hold = Rule::edit(move |request, answer| {
            let start = request.range().map_or(0, |range| match range {
                kithara_file::origin::Range::From(first, _) => first,
                kithara_file::origin::Range::Suffix(_) => 0,
            });
            match edge.checked_sub(start) {
                Some(before) if before > 0 => {
                    answer.in_body.push((before, Step::Gate(gate.clone())));
                }
                _ => answer.before_head.push(Step::Gate(gate.clone())),
            }
        });
        self.origin.rule("/film.bin", hold);
    }
}

/// How a run ended.
struct Ended {
    code: Option<i32>,
    out: Vec<u8>,
    err: String,
}

impl Ended {
    fn of(output: Output) -> Self {
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(!err.contains("panicked"), "{err}");
        assert!(!err.contains("s3cr3t"), "a secret is shown: {err}");
        Self { code: output.status.code(), out: output.stdout, err }
    }

    #[track_caller]
    fn fine(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self
    }

    /// It failed with `code`, and the last line, the only one that tells of it, has `words`.
    #[track_caller]
    fn failed(self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.err);
        let line = self.err.lines().last().unwrap_or_default();
        assert!(line.starts_with("kithara-file: "), "{}", self.err);
        for word in words {
            assert!(line.contains(word), "no {word:?} in: {line}");
        }
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_slice(&self.out).unwrap()
    }
}

#[test]
fn get_writes_the_resource_under_its_name_and_the_next_time_needs_no_network() {
    let desk = Desk::new(3 * MIB + 17);
    let ended = desk.run(&["get", &desk.url()]).fine();
    assert!(ended.out.is_empty());
    assert!(ended.err.contains("cache/kithara-file"), "where it stores: {}", ended.err);
    assert!(!ended.err.contains("stored before"), "nothing was: {}", ended.err);
    desk.check_file("film.bin");
    assert_eq!(desk.files(), ["film.bin"]);

    let requests = desk.origin.log().len();
    let again = desk.run(&["get", &desk.url(), "-o", "again"]).fine();
    assert!(again.err.contains("3.00 MiB of it were stored before"), "{}", again.err);
    desk.check_file("again");
    let offline = desk.run(&["get", &desk.url(), "--offline", "--quiet", "-o", "-"]).fine();
    assert_eq!(offline.err, "");
    assert_eq!(offline.out.len() as u64, desk.len);
    assert_eq!(pattern::first_wrong(&offline.out, 0, 0), None);
    assert_eq!(desk.origin.log().len(), requests, "all of it was stored");
}

#[cfg(unix)]
#[test]
fn a4_after_ctrl_c_a_second_get_asks_for_the_holes_only() {
    let desk = Desk::new(6 * MIB);
    let gate = Gate::new();
    desk.hold_back_from(2 * MIB, &gate);
    let mut child = desk.start(&["get", &desk.url(), "-o", "-"]);
    let mut start = vec![0; 2 * MIB as usize];
    child.stdout.as_mut().unwrap().read_exact(&mut start).unwrap();
    assert_eq!(pattern::first_wrong(&start, 0, 0), None);
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    Ended::of(child.wait_with_output().unwrap()).failed(130, &["the same command goes on"]);

    let before = desk.origin.log().len();
    gate.open();
    desk.run(&["get", &desk.url()]).fine();
    desk.check_file("film.bin");
    let log = desk.origin.log();
    for request in &log[before..] {
        assert!(request.range.unwrap().0 >= 2 * MIB, "{:?}", request.range);
        assert!(request.if_range.is_some());
    }
    assert_eq!(log.sent_twice("/film.bin"), 0);
}

#[test]
fn a3_a_killed_get_leaves_no_file_under_the_name_and_the_next_one_is_right() {
    let desk = Desk::new(6 * MIB);
    let gate = Gate::new();
    desk.hold_back_from(3 * MIB, &gate);
    let mut child = desk.start(&["get", &desk.url(), "-o", "-"]);
    child.stdout.as_mut().unwrap().read_exact(&mut vec![0; 3 * MIB as usize]).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(desk.files().is_empty());
    gate.open();
    desk.run(&["get", &desk.url()]).fine();
    desk.check_file("film.bin");
}

/// The unfinished file of a run that was killed goes when the same file is written the next time.
#[test]
fn a_killed_get_leaves_nothing_behind_for_ever() {
    let desk = Desk::new(4 * MIB);
    let gate = Gate::new();
    desk.hold_back_from(MIB, &gate);
    let mut child = desk.start(&["get", &desk.url()]);
    gate.wait_arrived(1);
    child.kill().unwrap();
    child.wait().unwrap();
    let left = desk.files();
    assert!(left.len() == 1 && left[0].starts_with(".film.bin."), "{left:?}");
    gate.open();
    desk.run(&["get", &desk.url()]).fine();
    desk.check_file("film.bin");
    assert_eq!(desk.files(), ["film.bin"]);
}

/// Another process has the resource: this one says so, stores nothing, and neither spoils the other's file.
#[cfg(unix)]
#[test]
fn a7_get_tells_when_another_process_has_the_resource() {
    let desk = Desk::new(6 * MIB);
    let gate = Gate::new();
    let waits = |request: &kithara_file::origin::Request| request.header("x-run") == Some("waits");
    desk.origin.rule("/film.bin", Rule::gate_head(&gate).covering(5 * MIB).when(waits));
    let waiting = ["get", &desk.url(), "-H", "X-Run: waits"];
    let first = desk.start(&waiting);
    gate.wait_arrived(1);

    let ended = desk.run(&["get", &desk.url()]).fine();
    assert!(ended.err.contains("another process"), "{}", ended.err);
    assert!(!ended.err.contains("storing in"), "{}", ended.err);
    desk.check_file("film.bin");

    let mut third = desk.start(&[&waiting[..], &["-o", "-"]].concat());
    third.stdout.as_mut().unwrap().read_exact(&mut [0; 1000]).unwrap();
    let id = third.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    Ended::of(third.wait_with_output().unwrap()).failed(130, &["nothing was stored"]);

    gate.open();
    Ended::of(first.wait_with_output().unwrap()).fine();
    desk.check_file("film.bin");
    assert_eq!(desk.files(), ["film.bin"]);
}

#[test]
fn a5_offline_with_a_hole_says_so_and_sends_nothing() {
    let desk = Desk::new(MIB);
    let ended = desk.run(&["get", &desk.url(), "--offline"]);
    ended.failed(1, &["not stored", "offline", "--offline"]);
    assert!(desk.origin.log().is_empty());
    assert!(desk.files().is_empty());
}

#[test]
fn n1_what_the_server_refuses_is_told_with_its_status_and_what_to_do() {
    let desk = Desk::new(MIB);
    let none = desk.origin.url("/none?token=s3cr3t");
    desk.run(&["get", &none]).failed(1, &["404", "check the address", "/none?token=…"]);
    desk.origin.rule("/film.bin", Rule::status(403, "no entry\n"));
    let ended = desk.run(&["get", &desk.url()]);
    ended.failed(1, &["403", "no entry", "--header"]);
    assert!(desk.files().is_empty(), "a failed download leaves no file");
}

#[test]
fn n1_a_refused_connection_is_told_with_its_cause() {
    let mut desk = Desk::new(MIB);
    desk.origin.stop();
    let ended = desk.run(&["get", &desk.url(), "--attempts", "1"]);
    ended.failed(1, &["connecting", "refused", "127.0.0.1", "check the address"]);
}

#[test]
fn wrong_usage_is_told_before_anything_is_sent() {
    let desk = Desk::new(MIB);
    std::fs::create_dir(desk.path("folder")).unwrap();
    desk.run(&["get", "no url"]).failed(2, &["invalid url"]);
    desk.run(&["get", "ftp://host/x"]).failed(2, &["ftp", "http"]);
    desk.run(&["get", &desk.url(), "-H", "no colon"]).failed(2, &["colon"]);
    desk.run(&["get", &desk.url(), "--key", "../x"]).failed(2, &["asset key"]);
    desk.run(&["get", &desk.url(), "-o", "folder"]).failed(1, &["folder", "-o"]);
    desk.run(&["get", &desk.url(), "-o", "none/film"]).failed(1, &["none/film"]);
    std::fs::write(desk.path("file"), "x").unwrap();
    desk.run(&["get", &desk.url(), "--store", "file"]).failed(1, &["file", "--store"]);
    assert_eq!(desk.run(&["get"]).code, Some(2));
    assert_eq!(desk.run(&["scrub", &desk.url(), "--read", "1Q"]).code, Some(2));
    assert!(desk.origin.log().is_empty());
}

#[test]
fn headers_reach_the_server() {
    let desk = Desk::new(1000);
    desk.run(&["get", &desk.url(), "-H", "Authorization: Bearer x", "-q"]).fine();
    assert_eq!(desk.origin.log()[0].header("authorization"), Some("Bearer x"));
}

#[test]
fn an_empty_resource_and_one_without_length_or_ranges_are_files_too() {
    let mut desk = Desk::new(0);
    desk.run(&["get", &desk.url()]).fine();
    desk.check_file("film.bin");

    desk.len = MIB + 3;
    desk.origin.put("/live.bin", Content::pattern(desk.len).no_ranges());
    desk.run(&["get", &desk.origin.url("/live.bin")]).fine();
    desk.check_file("live.bin");
}

#[test]
fn scrub_tells_what_it_measured_as_json() {
    let desk = Desk::new(64 * MIB);
    let args = ["scrub", &desk.url(), "--seeks", "7", "--read", "16K", "--json"];
    let ended = desk.run(&args).fine();
    let report = ended.json();
    assert_eq!(report["seeks"], 7);
    assert_eq!(report["read_bytes"], 16384);
    assert_eq!(report["len_bytes"], 64 * MIB);
    assert!(!report["url"].as_str().unwrap().contains("token"));
    let first = &report["first_byte_ms"];
    let [p50, p90, max] = ["p50", "p90", "max"].map(|name| first[name].as_f64().unwrap());
    assert!(0.0 < p50 && p50 <= p90 && p90 <= max);
    assert!(report["requests"].as_u64().unwrap() >= 1);
    assert!(report["connections"].as_u64().unwrap() >= 1);
    assert!(report["covered_bytes"].as_u64().unwrap() >= 7 * 16384);
    assert!(desk.files().is_empty(), "the temporary store is gone: {:?}", desk.files());

    let text = desk.run(&["scrub", &desk.url(), "--seeks", "3"]).fine();
    let text = String::from_utf8(text.out).unwrap();
    assert!(text.contains("seek to first byte") && text.contains("p90"), "{text}");
}

#[test]
fn scrub_of_what_has_no_place_to_seek_to_says_so() {
    let desk = Desk::new(0);
    desk.run(&["scrub", &desk.url()]).failed(1, &["empty"]);
}

/// The listing, in JSON.
fn listed(desk: &Desk, store: &Path) -> Vec<Value> {
    let ended = desk.run(&["cache", "ls", "--json", "--store", store.to_str().unwrap()]).fine();
    ended.json().as_array().unwrap().clone()
}

#[test]
fn a6_the_cache_is_listed_removed_from_and_collected() {
    let desk = Desk::new(MIB);
    desk.origin.put("/other.bin", Content::pattern(2 * MIB));
    let store = desk.path("store");
    let name = store.to_str().unwrap();
    desk.run(&["cache", "ls", "--store", name]).failed(1, &["no store"]);
    assert!(!store.exists(), "looking makes no store");

    desk.run(&["get", &desk.url(), "--store", name, "--key", "films/one"]).fine();
    desk.run(&["get", &desk.origin.url("/other.bin"), "--store", name]).fine();
    let all = listed(&desk, &store);
    assert_eq!(all.len(), 2);
    let film = all.iter().find(|one| one["key"] == "films/one").unwrap();
    assert_eq!(film["len_bytes"], MIB);
    assert_eq!(film["covered_bytes"], MIB);
    assert_eq!(film["complete"], true);
    let text = desk.run(&["cache", "ls", "--store", name]).fine();
    assert!(String::from_utf8(text.out).unwrap().contains("films/one"));

    desk.run(&["cache", "rm", "nothing", "--store", name]).failed(1, &["cache ls"]);
    desk.run(&["cache", "rm", "films/one", "--store", name]).fine();
    let left = listed(&desk, &store);
    assert_eq!(left.len(), 1);
    let id = left[0]["id"].as_str().unwrap();
    desk.run(&["cache", "rm", &id[..8], "--store", name]).fine();
    assert!(listed(&desk, &store).is_empty());

    desk.run(&["get", &desk.url(), "--store", name]).fine();
    let args = ["cache", "gc", "--store", name, "--json", "--max-bytes"];
    let kept = desk.run(&[&args[..], &["1G"]].concat()).fine().json();
    assert_eq!((&kept["removed"], &kept["within_limits"]), (&0.into(), &true.into()));
    let gone = desk.run(&[&args[..], &["0"]].concat()).fine().json();
    assert_eq!((&gone["removed"], &gone["left_bytes"]), (&1.into(), &0.into()));
    desk.run(&["get", &desk.url(), "--store", name]).fine();
    desk.run(&["cache", "rm", &desk.url(), "--store", name]).fine();
    assert!(listed(&desk, &store).is_empty());
}

#[test]
fn a6_what_is_open_is_not_removed() {
    let desk = Desk::new(4 * MIB);
    let gate = Gate::new();
    desk.hold_back_from(MIB, &gate);
    let name = desk.path("store").to_str().unwrap().to_owned();
    let child = desk.start(&["get", &desk.url(), "--store", &name]);
    gate.wait_arrived(1);
    desk.run(&["cache", "rm", &desk.url(), "--store", &name]).failed(1, &["open"]);
    let gone = desk.run(&["cache", "gc", "--max-bytes", "0", "--json", "--store", &name]).fine();
    assert_eq!(gone.json()["removed"], 0);
    gate.open();
    Ended::of(child.wait_with_output().unwrap()).fine();
    desk.check_file("film.bin");
}

#[test]
fn the_demo_checks_every_byte_and_leaves_nothing_behind() {
    let desk = Desk::new(0);
    let args = ["demo", "--once", "--rtt", "2", "--mbit", "500", "--seeks", "4", "--play", "1"];
    let ended = desk.run(&args).fine();
    let text = String::from_utf8(ended.out).unwrap();
    assert!(text.contains("4 far seeks"), "{text}");
    // Before the report is out.
    for told in [
        "played 1 s in real time: first byte after ",
        "far seek 2 of 4; to the first byte up to now ",
    ] {
        assert!(ended.err.contains(told), "{}", ended.err);
    }
    let wrong = text.lines().find(|line| line.starts_with("wrong bytes")).unwrap();
    assert_eq!(wrong.split_whitespace().collect::<Vec<_>>(), ["wrong", "bytes", "0", "0"]);
    assert!(desk.files().is_empty(), "{:?}", desk.files());
}

#[test]
fn watch_needs_a_terminal_and_says_so_before_it_asks_anything() {
    let desk = Desk::new(MIB);
    desk.run(&["watch", &desk.url()]).failed(2, &["terminal", "serve"]);
    assert_eq!(desk.run(&["watch", &desk.url(), "--rate", "0"]).code, Some(2));
    assert_eq!(desk.origin.log().len(), 0);
}
