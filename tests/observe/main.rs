//! Spans, events and metrics: what `docs/OBSERVE.md` tells, against the code and against a scripted origin.

#![allow(clippy::unwrap_used, missing_docs)]

mod paper;
#[path = "../../examples/observe/recorder.rs"]
#[allow(dead_code, reason = "shared with the example, which prints it")]
mod recorder;
mod spans;

use std::io::{Read, Seek, SeekFrom};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use kithara_file::origin::{Content, Origin, Rule, pattern};
use kithara_file::{Config, Engine, Reader};

use recorder::Recorder;
use spans::Spans;

const MIB: u64 = 1 << 20;

/// Stands in URLs where it must not be shown: userinfo, query, fragment.
const SECRET: &str = "hunter2";

/// The process has one subscriber and one recorder, so its tests take turns.
struct Stage {
    spans: Spans,
    recorder: Recorder,
    _turn: MutexGuard<'static, ()>,
}

impl Stage {
    fn enter() -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        static SEEN: OnceLock<(Spans, Recorder)> = OnceLock::new();
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let (spans, recorder) = SEEN.get_or_init(|| {
            let recorder = Recorder::default();
            metrics::set_global_recorder(recorder.clone()).expect("the only one");
            (Spans::install(), recorder)
        });
        spans.forget();
        Self { spans: spans.clone(), recorder: recorder.clone(), _turn: turn }
    }

    fn sum(&self, name: &str) -> u64 {
        self.recorder.value(&format!("kithara_file_{name}")).0 as u64
    }

    fn count(&self, name: &str) -> u64 {
        self.recorder.value(&format!("kithara_file_{name}")).1
    }
}

fn until(what: &str, mut seen: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !seen() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::yield_now();
    }
}

/// Without read-ahead: each request is one that a read asked for.
fn engine() -> Engine {
    let mut config = Config::default();
    config.tunables.readahead.enabled = false;
    config.tunables.readahead.whole_file = 0;
    config.tunables.hedging.enabled = false;
    config.tunables.retry.max_attempts = 1;
    Engine::builder().config(config).build().unwrap()
}

fn origin() -> Origin {
    let origin = Origin::start();
    origin.put("/file", Content::pattern(32 * MIB));
    origin
}

/// The URL of `path` with a secret wherever one may be.
fn with_secrets(origin: &Origin, path: &str) -> String {
    let url = origin.url(path).replace("http://", &format!("http://me:{SECRET}@"));
    format!("{url}?sig={SECRET}#{SECRET}")
}

#[track_caller]
fn check_at(reader: &mut Reader, at: u64, len: usize) {
    reader.seek(SeekFrom::Start(at)).unwrap();
    let mut buf = vec![0; len];
    reader.read_exact(&mut buf).unwrap();
    assert_eq!(pattern::first_wrong(&buf, at, 0), None, "at {at}");
}

#[test]
fn a_seek_has_its_span_and_its_fetch_and_shows_no_secret() {
    let stage = Stage::enter();
    let origin = origin();
    let engine = engine();
    let session = engine.open_blocking(with_secrets(&origin, "/file")).unwrap();
    let mut reader = session.reader();
    check_at(&mut reader, 0, 1000);
    check_at(&mut reader, 16 * MIB, 1000);
    // A hit has no span.
    check_at(&mut reader, 16 * MIB, 500);
    // Nothing is read ahead, so whoever reads on has to wait.
    check_at(&mut reader, 16 * MIB, 4 << 20);
    drop(reader);
    session.close_blocking().unwrap();
    drop(engine);
    until("the session's span to close", || {
        stage.spans.named("session").iter().any(|span| span.closed)
            && stage.spans.named("fetch").iter().all(|span| span.closed)
    });

    let [session] = &stage.spans.named("session")[..] else { panic!("one session") };
    let host = origin.addr();
    assert_eq!(session.text("source"), format!("http://{host}/file?sig=…"));
    assert_eq!(session.number("len_bytes"), 32 * MIB);
    assert!(session.text("open_ms").parse::<f64>().unwrap() > 0.0);
    assert_eq!(session.number("read_bytes"), 1500 + 1000 + (4 << 20) - 1000 + 1000);
    let resource = session.text("resource_id");

    let seeks = stage.spans.named("seek");
    let seek = seeks.iter().find(|seek| seek.text("to_byte") == (16 * MIB).to_string()).unwrap();
    assert_eq!(seek.parent, Some(session.id), "a seek belongs to its session");
    assert_eq!((seek.number("from_byte"), seek.text("outcome")), (1000, "arrived"));
    assert_eq!(seek.text("resource_id"), resource);
    assert!(seek.text("first_byte_ms").parse::<f64>().unwrap() > 0.0);
    assert!(seeks.len() <= 2, "a hit has no span: {seeks:?}");
    let stalls = stage.spans.named("stall");
    assert!(stalls.iter().any(|stall| stall.text("outcome") == "arrived"), "{stalls:?}");

    let fetches = stage.spans.named("fetch");
    let fetch = fetches.iter().find(|it| it.number("start_byte") == 16 * MIB).unwrap();
    assert_eq!(fetch.parent, None, "sessions share it");
    assert_eq!((fetch.text("class"), fetch.text("lane")), ("blocked", "demand"));
    assert_eq!((fetch.text("attempt"), fetch.text("resource_id")), ("1", resource));
    assert_eq!(fetch.text("outcome"), "complete");
    assert_eq!(fetch.number("received_bytes"), fetch.number("end_byte") - 16 * MIB);
    assert!(["new", "spare", "reused"].contains(&fetch.text("connection")));
    assert!(stage.spans.events().iter().all(|event| event.level >= tracing::Level::DEBUG));
    let all = stage.spans.everything();
    assert!(!all.contains(SECRET), "{all}");
}

#[test]
fn what_fails_shows_no_secret_either() {
    let stage = Stage::enter();
    let origin = origin();
    origin.rule("/gone", Rule::status(404, &format!("nothing at ?sig={SECRET}")));
    let target = format!("{}?sig={SECRET}", origin.url("/refused"));
    origin.rule("/moved", Rule::redirect(302, &target));
    origin.rule("/refused", Rule::status(403, SECRET));
    let engine = engine();
    for path in ["/gone", "/moved"] {
        engine.open_blocking(with_secrets(&origin, path)).unwrap_err();
    }
    drop(engine);
    until("the spans to close", || {
        stage.spans.named("fetch").iter().filter(|fetch| fetch.closed).count() == 2
            && stage.spans.named("session").iter().all(|session| session.closed)
    });
    let sessions = stage.spans.named("session");
    assert_eq!(sessions.len(), 2);
    assert!(sessions.iter().all(|session| session.text("error").contains("40")), "{sessions:?}");
    let fetches = stage.spans.named("fetch");
    assert!(fetches.iter().all(|fetch| fetch.text("outcome") == "failed"), "{fetches:?}");
    let told = stage.spans.events();
    assert!(told.iter().any(|event| event.message == "a session could not be opened"));
    assert!(told.iter().any(|event| event.message == "a fetch has failed"));
    let all = stage.spans.everything();
    assert!(!all.contains(SECRET), "{all}");
}

#[test]
fn metrics_agree_with_the_snapshot() {
    let stage = Stage::enter();
    let names = ["requests_total", "connections_total", "fetched_bytes_total", "hits_total"];
    let names = [&names[..], &["waits_total", "read_bytes_total", "wasted_bytes_total"]].concat();
    let before: Vec<u64> = names.iter().map(|name| stage.sum(name)).collect();
    let ended = || -> u64 {
        let outcomes = ["complete", "cancelled", "failed"];
        outcomes.iter().map(|how| stage.sum(&format!("fetches_total{{outcome=\"{how}\"}}"))).sum()
    };
    let ended_before = ended();
    let seeks = stage.count("seek_first_byte_seconds");
    let origin = origin();
    let engine = engine();
    let session = engine.open_blocking(origin.url("/file")).unwrap();
    assert_eq!(stage.sum("open_sessions"), 1);
    let mut reader = session.reader();
    for at in [0, 20 * MIB, 10 * MIB, 20 * MIB + 5] {
        check_at(&mut reader, at, 1000);
    }
    until("the engine to rest", || session.snapshot().in_flight.is_empty() && origin.quiet());
    until("the gauges", || {
        let stored: u64 = session.snapshot().covered.iter().map(|run| run.end - run.start).sum();
        stage.sum("stored_bytes") == stored
    });
    assert_eq!(stage.sum("open_resources"), 1);
    drop(reader);
    let now = session.snapshot();
    session.close_blocking().unwrap();
    drop(engine);
    until("the engine's end", || {
        ["open_sessions", "open_resources", "stored_bytes", "in_flight_fetches"]
            .iter()
            .all(|gauge| stage.sum(gauge) == 0)
    });
    let told: Vec<u64> =
        names.iter().zip(before).map(|(name, was)| stage.sum(name) - was).collect();
    let shown = [now.requests, now.connections, now.bytes_fetched, now.hits];
    let shown = [&shown[..], &[now.waits, now.bytes_read, now.bytes_wasted]].concat();
    assert_eq!(told, shown, "{names:?}");
    assert_eq!(ended() - ended_before, now.requests);
    assert!(stage.count("seek_first_byte_seconds") >= seeks + 2);
}
