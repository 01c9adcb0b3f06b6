//! Whole engines on a disk that refuses: every reader gets right bytes, listeners are told once that storing stopped and
//! once that it goes on, and what is stored afterwards is found again.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use crate::config::Config;
use crate::engine::Engine;
use crate::error::Error;
use crate::events::{Events, SessionEvent};
use crate::origin::{Content, Framing, Gate, Origin, Rule, pattern};
use crate::reader::Reader;
use crate::session::Session;
use crate::storage::disk::faulty::{BROKEN, FULL, Faulty, Kind, QUOTA, READ_ONLY};
use crate::sync::Arc;

const MIB: u64 = 1 << 20;
const LEN: u64 = 12 * MIB;
/// The least there is: far less than the resource.
const WINDOW: u64 = MIB;

/// An origin, a store, and a disk under it.
struct Scene {
    origin: Origin,
    dir: tempfile::TempDir,
    disk: Arc<Faulty>,
}

fn config() -> Config {
    let mut config = Config::default();
    config.tunables.hedging.enabled = false;
    config.tunables.readahead.whole_file = 0;
    config.store.memory_window = WINDOW;
    config.store.retry_interval = Duration::from_millis(10);
    // A barrier whenever the spacing allows.
    config.store.barrier_bytes = 1;
    config
}

impl Scene {
    fn new() -> Self {
        Self::of(Content::pattern(LEN))
    }

    fn of(content: Content) -> Self {
        let origin = Origin::start();
        origin.put("/file", content);
        Self { origin, dir: tempfile::tempdir().unwrap(), disk: Faulty::new() }
    }

    fn engine(&self) -> Engine {
        let builder = Engine::builder().store_dir(self.dir.path()).config(config());
        builder.disk(self.disk.clone()).build().unwrap()
    }

    fn open(&self) -> Session {
        self.engine().open_blocking(self.origin.url("/file")).unwrap()
    }

    /// What another engine finds without a network, each byte checked: how many bytes, and whether the first are there.
    #[track_caller]
    fn stored(&self) -> (u64, bool) {
        stored_in(self.dir.path(), &self.origin)
    }

    /// All of the resource is stored by an engine whose disk does as it is asked.
    fn fill(&self) {
        let session = self.open();
        read_all(&mut session.reader());
        close(session);
        assert_eq!(self.stored().0, LEN);
    }
}

#[track_caller]
fn stored_in(dir: &Path, origin: &Origin) -> (u64, bool) {
    let engine = Engine::builder().store_dir(dir).offline(true).build().unwrap();
    let session = match engine.open_blocking(origin.url("/file")) {
        Ok(session) => session,
        Err(Error::OfflineMiss { .. }) => return (0, false),
        Err(error) => panic!("{error:?}"),
    };
    let coverage = session.coverage();
    let mut reader = session.reader();
    for run in &coverage {
        check(&mut reader, run.start, run.end - run.start);
    }
    close(session);
    let first = coverage.first().is_some_and(|run| run.start == 0 && run.end >= WINDOW.min(LEN));
    (coverage.iter().map(|run| run.end - run.start).sum(), first)
}

fn close(session: Session) {
    session.close_blocking().unwrap();
}

/// Reads `len` bytes at `at` and checks each.
#[track_caller]
fn check(reader: &mut Reader, at: u64, len: u64) {
    reader.seek(SeekFrom::Start(at)).unwrap();
    let mut buf = vec![0; len as usize];
    reader.read_exact(&mut buf).unwrap();
    assert_eq!(pattern::first_wrong(&buf, at, 0), None, "at {at}");
}

/// The whole resource, in order.
#[track_caller]
fn read_all(reader: &mut Reader) {
    check(reader, 0, LEN);
    assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
}

/// What was told of the disk so far.
fn told(events: &mut Events) -> Vec<SessionEvent> {
    std::iter::from_fn(|| events.try_next()).filter(is_about_disk).collect()
}

fn is_about_disk(event: &SessionEvent) -> bool {
    matches!(event, SessionEvent::StoreTrouble { .. } | SessionEvent::StoringResumed)
}

#[track_caller]
fn only_trouble(told: &[SessionEvent], errno: i32) {
    match told {
        [SessionEvent::StoreTrouble { error: Error::Storage(error) }] => {
            assert_eq!(error.source.raw_os_error(), Some(errno), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

/// Waits until the disk is the subject of an event, and gives it.
#[track_caller]
fn until_told(events: &mut Events) -> SessionEvent {
    let next = async {
        loop {
            let event = events.next().await.expect("the session goes on");
            if is_about_disk(&event) {
                return event;
            }
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let limit = Duration::from_secs(30);
    runtime.block_on(async { tokio::time::timeout(limit, next).await.expect("told in time") })
}

/// After healing: storing goes on, what is read then is stored, and found again.
#[track_caller]
fn goes_on(scene: &Scene, session: Session, mut events: Events) {
    scene.disk.heal();
    let event = until_told(&mut events);
    assert!(matches!(event, SessionEvent::StoringResumed), "{event:?}");
    assert!(session.is_stored());
    read_all(&mut session.reader());
    assert!(told(&mut events).is_empty());
    close(session);
    assert_eq!(scene.stored(), (LEN, true));
}

#[test]
fn a3_a_disk_that_takes_no_bytes_stops_no_reader_and_storing_goes_on() {
    for errno in [FULL, QUOTA, BROKEN, READ_ONLY] {
        let (scene, gate) = (Scene::new(), Gate::new());
        // Else read-ahead may have stored everything before the disk refuses.
        scene.origin.rule("/file", Rule::gate_at(2 * MIB, &gate));
        let session = scene.open();
        let mut events = session.events();
        let mut reader = session.reader();
        check(&mut reader, 0, 2 * MIB);
        assert!(session.is_stored() && told(&mut events).is_empty());
        scene.disk.refuse_writing(errno);
        gate.open();
        (0..2).for_each(|_| read_all(&mut reader));
        only_trouble(&told(&mut events), errno);
        assert!(!session.is_stored());
        assert!(session.events().try_next().is_some_and(|event| is_about_disk(&event)));
        drop(reader);
        goes_on(&scene, session, events);
    }
}

#[test]
fn a3_what_is_held_in_memory_stays_in_its_window() {
    let scene = Scene::new();
    scene.disk.refuse(Kind::Write, "data", FULL);
    let session = scene.open();
    let mut reader = session.reader();
    for at in (0..24).rev().map(|nth| nth * MIB / 2) {
        check(&mut reader, at, 1000);
        let held = session.snapshot().covered.iter().map(|run| run.end - run.start).sum::<u64>();
        assert!(held <= WINDOW + MIB / 8, "{held}");
    }
    read_all(&mut reader);
}

#[test]
fn e9_an_endless_stream_that_no_disk_takes_is_read_within_the_memory_window() {
    let scene = Scene::of(Content::pattern(1 << 40).no_ranges());
    scene.origin.rule("/file", Rule::framing(Framing::Chunked));
    scene.disk.refuse(Kind::Write, "data", FULL);
    let session = scene.open();
    let mut reader = session.reader();
    for at in (0..32).map(|nth| nth * MIB) {
        check(&mut reader, at, MIB);
        let held = session.snapshot().covered.iter().map(|run| run.end - run.start).sum::<u64>();
        assert!(held <= WINDOW + MIB / 8, "{held}");
    }
}

#[test]
fn a3_a_log_that_refuses_stops_no_reader_and_loses_nothing() {
    let scene = Scene::new();
    let session = scene.open();
    let mut events = session.events();
    // What is read was written, so the log has begun.
    check(&mut session.reader(), 0, 1000);
    scene.disk.refuse(Kind::Write, "map", FULL);
    scene.disk.refuse(Kind::Create, "", FULL);
    read_all(&mut session.reader());
    only_trouble(std::slice::from_ref(&until_told(&mut events)), FULL);
    // The bytes had room; nothing is asked for again.
    let asked = scene.origin.log().len();
    goes_on(&scene, session, events);
    assert_eq!(scene.origin.log().len(), asked);
}

#[test]
fn a3_a_generation_that_is_refused_is_read_from_memory_and_begun_later() {
    for (kind, file) in
        [(Kind::MakeFolder, ""), (Kind::Create, ""), (Kind::Rename, "map"), (Kind::SetLen, "data")]
    {
        let scene = Scene::new();
        // The folders of the store itself, and the lock, are there; not those of the asset.
        let session = scene.engine();
        scene.disk.refuse(kind, file, FULL);
        let session = session.open_blocking(scene.origin.url("/file")).unwrap();
        let mut events = session.events();
        read_all(&mut session.reader());
        only_trouble(&told(&mut events), FULL);
        if session.is_stored() || kind != Kind::MakeFolder {
            goes_on(&scene, session, events);
        }
    }
}

#[test]
fn a3_syncs_that_fail_stop_no_reader_and_are_believed() {
    for (kind, file) in [(Kind::SyncData, "data"), (Kind::SyncAll, "map")] {
        let scene = Scene::new();
        let session = scene.open();
        let mut events = session.events();
        let mut reader = session.reader();
        check(&mut reader, 0, MIB);
        scene.disk.refuse(kind, file, BROKEN);
        check(&mut reader, MIB, 2 * MIB);
        only_trouble(std::slice::from_ref(&until_told(&mut events)), BROKEN);
        read_all(&mut reader);
        assert!(told(&mut events).is_empty(), "told once, however often it fails");
        scene.disk.heal();
        // Only a barrier proves that it does.
        read_all(&mut reader);
        drop(reader);
        goes_on(&scene, session, events);
    }
}

#[test]
fn a3_stored_bytes_that_cannot_be_read_are_fetched_again() {
    let scene = Scene::new();
    scene.fill();
    let session = scene.open();
    let mut events = session.events();
    let asked = scene.origin.log().len();
    scene.disk.refuse(Kind::Read, "data", BROKEN);
    read_all(&mut session.reader());
    only_trouble(&told(&mut events), BROKEN);
    assert!(scene.origin.log().len() > asked);
    goes_on(&scene, session, events);
}

#[test]
fn a3_one_bad_spot_costs_its_bytes_and_no_more() {
    let scene = Scene::new();
    scene.fill();
    let session = scene.open();
    let mut events = session.events();
    let before = scene.origin.log().body_bytes();
    scene.disk.refuse_one(Kind::Read, "data", 3, BROKEN);
    let mut reader = session.reader();
    let mut buf = vec![0; 64 << 10];
    for at in (0..LEN).step_by(64 << 10) {
        reader.read_exact(&mut buf).unwrap();
        assert_eq!(pattern::first_wrong(&buf, at, 0), None, "at {at}");
    }
    let again = scene.origin.log().body_bytes() - before;
    assert!((1..=MIB).contains(&again), "{again} bytes fetched again");
    only_trouble(std::slice::from_ref(&until_told(&mut events)), BROKEN);
    drop(reader);
    goes_on(&scene, session, events);
}

/// Without a network there is nobody to ask.
#[test]
fn a3_offline_a_bad_spot_is_a_typed_error_that_may_pass() {
    let scene = Scene::new();
    scene.fill();
    let builder = Engine::builder().store_dir(scene.dir.path()).offline(true);
    let engine = builder.disk(scene.disk.clone()).build().unwrap();
    let session = engine.open_blocking(scene.origin.url("/file")).unwrap();
    let mut reader = session.reader();
    scene.disk.refuse(Kind::Read, "data", BROKEN);
    let error = reader.read(&mut [0; 8]).unwrap_err();
    assert!(matches!(Error::from_io(&error), Some(Error::Storage(_))), "{error:?}");
    scene.disk.heal();
    read_all(&mut reader);
}

#[test]
fn a3_a_store_that_cannot_be_opened_is_streamed_past_and_the_next_open_stores() {
    for (kind, file) in [(Kind::Open, "lock"), (Kind::MakeFolder, "store"), (Kind::Create, "")] {
        for errno in [READ_ONLY, 13] {
            let scene = Scene::new();
            scene.disk.refuse(kind, file, errno);
            let builder = Engine::builder().store_dir(scene.dir.path().join("store"));
            let engine = builder.config(config()).disk(scene.disk.clone()).build().unwrap();
            let url = scene.origin.url("/file");
            let session = engine.open_blocking(url.clone()).unwrap();
            assert!(!session.is_stored());
            read_all(&mut session.reader());
            only_trouble(&told(&mut session.events()), errno);
            close(session);

            scene.disk.heal();
            let session = engine.open_blocking(url).unwrap();
            assert!(session.is_stored() && told(&mut session.events()).is_empty());
            read_all(&mut session.reader());
            close(session);
            let stored = stored_in(&scene.dir.path().join("store"), &scene.origin);
            assert_eq!(stored, (LEN, true), "{kind:?}");
        }
    }
}

/// A4, A5: whatever lets nothing be written may be read, with a network and without.
#[test]
fn a4_what_a_read_only_store_has_is_served() {
    for kinds in [&[Kind::Open][..], &[Kind::Open, Kind::Create, Kind::MakeFolder, Kind::Write]] {
        let scene = Scene::new();
        let session = scene.open();
        check(&mut session.reader(), 0, 4 * MIB);
        close(session);
        let before = scene.stored();
        kinds.iter().for_each(|kind| scene.disk.refuse(*kind, "", READ_ONLY));
        let requests = scene.origin.log().len();

        let builder = Engine::builder().store_dir(scene.dir.path()).offline(true);
        let offline = builder.disk(scene.disk.clone()).build().unwrap();
        let session = offline.open_blocking(scene.origin.url("/file")).unwrap();
        check(&mut session.reader(), 0, 4 * MIB);
        assert!(told(&mut session.events()).is_empty(), "there was nothing to store");
        close(session);
        let unknown = offline.open_blocking(scene.origin.url("/other"));
        assert!(matches!(unknown, Err(Error::OfflineMiss { .. })), "{unknown:?}");
        assert_eq!(scene.origin.log().len(), requests);

        let session = scene.open();
        assert_eq!(session.len(), Some(LEN), "known without an answer");
        let had = session.coverage();
        assert_eq!(had.iter().map(|run| run.end - run.start).sum::<u64>(), before.0);
        let mut reader = session.reader();
        check(&mut reader, 0, 1000);
        assert!(!session.is_stored());
        read_all(&mut reader);
        only_trouble(&told(&mut session.events()), READ_ONLY);
        let log = scene.origin.log();
        let asked: Vec<_> = log.iter().skip(requests).map(|seen| seen.range.unwrap()).collect();
        let stored = |(first, last): &(u64, Option<u64>)| {
            had.iter().any(|run| run.start <= last.unwrap_or(u64::MAX) && *first < run.end)
        };
        assert!(before.1 && !asked.is_empty(), "{before:?}");
        assert!(!asked.iter().any(stored), "the holes only: {asked:?} beside {had:?}");
        close(session);
        scene.disk.heal();
        assert_eq!(scene.stored(), before);
    }
}

#[test]
fn a3_a_store_removed_under_a_reader_stops_none_and_the_next_open_stores() {
    let scene = Scene::new();
    let engine = scene.engine();
    let session = engine.open_blocking(scene.origin.url("/file")).unwrap();
    let mut events = session.events();
    let mut reader = session.reader();
    check(&mut reader, 0, 2 * MIB);
    for entry in scene.dir.path().read_dir().unwrap() {
        let path = entry.unwrap().path();
        let _ = std::fs::remove_dir_all(&path).or_else(|_| std::fs::remove_file(&path));
    }
    read_all(&mut reader);
    let event = until_told(&mut events);
    assert!(matches!(event, SessionEvent::StoreTrouble { .. }), "{event:?}");
    assert!(!session.is_stored());
    read_all(&mut reader);
    drop(reader);
    close(session);
    assert_eq!(scene.stored(), (0, false));

    let session = engine.open_blocking(scene.origin.url("/file")).unwrap();
    assert!(session.is_stored());
    read_all(&mut session.reader());
    close(session);
    assert_eq!(scene.stored(), (LEN, true));
}

#[test]
fn a3_a_server_without_ranges_is_read_while_the_disk_is_full() {
    let scene = Scene::of(Content::pattern(LEN).no_ranges());
    scene.disk.refuse(Kind::Write, "data", FULL);
    let session = scene.open();
    let mut events = session.events();
    read_all(&mut session.reader());
    only_trouble(&told(&mut events), FULL);
}

#[test]
fn a3_whoever_waits_for_all_of_it_is_told_why_it_does_not_come() {
    let scene = Scene::new();
    scene.disk.refuse(Kind::Write, "data", FULL);
    let session = scene.open();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let fetched = runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(30), session.fetch_all()).await.expect("in time")
    });
    assert!(matches!(fetched, Err(Error::Storage(_))), "{fetched:?}");
    // A later one is told at once, and a read is served all the same.
    assert!(matches!(runtime.block_on(session.fetch_all()), Err(Error::Storage(_))));
    check(&mut session.reader(), 5 * MIB, MIB);
    scene.disk.heal();
    let mut events = session.events();
    while told(&mut events).is_empty() || !session.is_stored() {
        std::thread::yield_now();
    }
    runtime.block_on(session.fetch_all()).unwrap();
    close(session);
    assert_eq!(scene.stored(), (LEN, true));
}

/// Whatever is refused, in whatever order, and however often it heals in between.
#[test]
fn a3_whatever_the_disk_refuses_every_read_is_right_and_the_store_too() {
    const FAULTS: [(Kind, &str); 9] = [
        (Kind::Write, "data"),
        (Kind::Write, "map"),
        (Kind::Write, ""),
        (Kind::Create, ""),
        (Kind::Rename, "map"),
        (Kind::SyncData, "data"),
        (Kind::SyncAll, ""),
        (Kind::SyncFolder, ""),
        (Kind::Read, "data"),
    ];
    for seed in 0..6 {
        let mut state = seed * 77 + 5;
        let mut below = |n: u64| {
            // Numbers of Knuth's MMIX generator; its high bits are the good ones.
            state = u64::wrapping_add(
                u64::wrapping_mul(state, 6_364_136_223_846_793_005),
                1_442_695_040_888_963_407,
            );
            (state >> 33) % n
        };
        let scene = Scene::new();
        for _ in 0..3 {
            let session = scene.open();
            let mut readers = [session.reader(), session.reader()];
            for _ in 0..30 {
                match below(5) {
                    0 => {
                        let (kind, file) = FAULTS[below(9) as usize];
                        scene.disk.refuse(kind, file, [FULL, BROKEN][below(2) as usize]);
                    }
                    1 => scene.disk.heal(),
                    _ => {
                        let (at, len) = (below(LEN), 1 + below(MIB));
                        let reader = &mut readers[below(2) as usize];
                        check(reader, at, len.min(LEN - at));
                    }
                }
            }
            drop(readers);
            close(session);
            scene.disk.heal();
            scene.stored();
        }
        scene.fill();
    }
}
