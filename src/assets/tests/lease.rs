//! Who may have an asset, and what it gives.

use super::*;
use crate::assets::lock::{Hold, StoreLock};
use crate::assets::marks::{Marking, Marks};

#[test]
fn a4_a_reopened_asset_gives_what_is_covered_at_once() {
    let bench = Bench::new();
    let mut writer = Writer::new(bench.held(BOOT));
    writer.journal.len_known(1000);
    writer.write(FLOW, 0, 100, Micros(0));
    writer.write(FetchId(2), 600, 1000, Micros(0));
    writer.journal.close().expect("closed");
    for boot in [BOOT, LATER, None] {
        let lease = bench.held(boot);
        let expected = Recovered {
            meta: Some(generation("\"1\"")),
            len: Some(1000),
            covered: vec![range(0, 100), range(600, 1000)],
            sealed: false,
            validated: None,
        };
        assert_eq!(lease.recovered, expected);
        let mut bytes = vec![0; 400];
        let data = lease.data().expect("a file");
        assert_eq!(platform::read_at(&data, 600, &mut bytes).expect("read"), 400);
        assert_eq!(bytes, content(range(600, 1000), 0));
    }
}

#[test]
fn a4_a_resumed_asset_is_filled_up_and_sealed() {
    let bench = Bench::new();
    let mut writer = Writer::new(bench.held(BOOT));
    writer.write(FLOW, 0, 100, Micros(0));
    writer.journal.close().expect("closed");
    let mut writer = Writer::new(bench.held(LATER));
    writer.write(FLOW, 100, 150, Micros(0));
    writer.journal.sealed(150);
    writer.journal.validated(77);
    writer.journal.close().expect("closed");
    let recovered = bench.held(BOOT).recovered;
    assert!(recovered.sealed);
    assert_eq!((recovered.len, recovered.validated), (Some(150), Some(77)));
    assert_eq!(recovered.covered, [range(0, 150)]);
}

#[test]
fn a3_a_seal_counts_only_if_every_byte_is_there() {
    let bench = Bench::new();
    let mut writer = Writer::new(bench.held(BOOT));
    writer.write(FLOW, 0, 100, Micros(0));
    writer.journal.sealed(100);
    writer.journal.close().expect("closed");
    let data = File::options().write(true).open(bench.data()).expect("opened");
    data.set_len(99).expect("cut");
    let recovered = bench.held(BOOT).recovered;
    assert!(!recovered.sealed);
    assert_eq!(recovered.covered, [range(0, 99)]);
}

#[test]
fn a7_an_asset_has_one_holder_over_all_stores_of_a_process() {
    let bench = Bench::new();
    let lease = bench.held(BOOT);
    let elsewhere = || {
        let store = AssetStore::open(bench.path(), &bench.config).expect("opened");
        matches!(store.acquire(&key("film"), false).expect("asked"), Acquired::Elsewhere)
    };
    assert!(elsewhere());
    // Another asset of the same store is free.
    drop(held(&bench.store(BOOT), &key("other")));
    let writer = Writer::new(lease);
    assert!(elsewhere(), "the journal keeps it");
    writer.journal.close().expect("closed");
    let writer = Writer::new(bench.held(BOOT));
    drop(writer);
    drop(bench.held(BOOT));
}

/// Whoever looks whether an asset may go has it for a moment; the next one waits that long instead of hearing
/// that somebody has it open.
#[test]
fn a7_who_clears_up_is_waited_for() {
    let bench = Bench::new();
    Writer::new(bench.held(BOOT)).journal.close().expect("closed");
    let store = bench.store(BOOT);
    let meanwhile = |ask: &(dyn Fn() -> bool + Sync)| {
        let layout = &store.inner.layout;
        let alone = StoreLock::alone(layout).expect("locked");
        let hold = Hold::take_under(layout, &alone, &layout.asset(&key("film"))).expect("asked");
        assert!(hold.is_some());
        std::thread::scope(|scope| {
            let asked = scope.spawn(ask);
            // Long enough for an answer that does not wait.
            for _ in 0..2000 {
                if asked.is_finished() {
                    break;
                }
                std::thread::yield_now();
            }
            drop(hold);
            drop(alone);
            asked.join().expect("asked")
        })
    };
    let acquire = || matches!(store.acquire(&key("film"), false), Ok(Acquired::Held(_)));
    assert!(meanwhile(&acquire));
    assert!(meanwhile(&|| matches!(store.remove(&key("film")), Ok(Removed::Gone))));
}

/// A process that is started somewhere else in the program has a copy of every open file for a moment.
#[cfg(unix)]
#[test]
fn a7_a_copy_of_the_lock_file_keeps_nobody_out() {
    use std::os::fd::AsFd;
    let bench = Bench::new();
    Writer::new(bench.held(BOOT)).journal.close().expect("closed");
    let store = bench.store(BOOT);
    let paths = store.inner.layout.asset(&key("film"));
    let copies: Vec<_> = {
        let alone = StoreLock::alone(&store.inner.layout).expect("locked");
        let hold =
            Hold::take_under(&store.inner.layout, &alone, &paths).expect("asked").expect("free");
        [alone.file(), hold.file()].map(|file| file.as_fd().try_clone_to_owned()).into()
    };
    assert!(copies.iter().all(|copy| copy.is_ok()));
    drop(bench.held(BOOT));
    assert_eq!(store.remove(&key("film")).expect("asked"), Removed::Gone);
    drop(copies);
}

/// The same as from another process: a lock of the file that is not in this process's register.
#[test]
fn a7_an_asset_that_another_process_holds_is_elsewhere_and_stays() {
    let bench = Bench::new();
    Writer::new(bench.held(BOOT)).journal.close().expect("closed");
    let store = bench.store(BOOT);
    let paths = store.inner.layout.asset(&key("film"));
    let foreign = File::open(&paths.lock).expect("opened");
    foreign.lock().expect("locked");
    assert!(matches!(store.acquire(&key("film"), false), Ok(Acquired::Elsewhere)));
    assert_eq!(store.remove(&key("film")).expect("asked"), Removed::Busy);
    assert!(paths.data.exists());
    drop(foreign);
    assert_eq!(store.remove(&key("film")).expect("asked"), Removed::Gone);
    assert!(!paths.folder.exists() && !paths.lock.exists());
}

/// As another process, which has its own file open.
#[test]
fn a7_a_mark_keeps_out_who_has_another_file_open_and_goes_with_its_holder() {
    let bench = Bench::new();
    let store = bench.store(BOOT);
    let layout = &store.inner.layout;
    let at = layout.asset(&key("film")).mark;
    let foreign = Marks::default();
    let ask = || foreign.take(layout, at).expect("asked");
    if matches!(ask(), Marking::Unsupported) {
        return;
    }
    let lease = Writer::new(held(&store, &key("film")));
    assert!(matches!(ask(), Marking::Busy));
    assert!(matches!(foreign.take(layout, at + 1).expect("asked"), Marking::Taken(_)));
    lease.journal.close().expect("closed");
    let Marking::Taken(mark) = ask() else { panic!("it was not given back") };
    assert_eq!(store.remove(&key("film")).expect("asked"), Removed::Busy);
    assert!(matches!(store.acquire(&key("film"), false), Ok(Acquired::Elsewhere)));
    assert_eq!(held(&store, &key("other")).recovered, Recovered::default());
    drop(mark);
    drop(held(&store, &key("film")));
}

/// Somebody has removed the store and begun anew: what is locked here is not what others look at.
#[test]
fn a7_a_store_that_was_made_anew_is_locked_anew() {
    let bench = Bench::new();
    let store = bench.store(BOOT);
    let old = Writer::new(held(&store, &key("film")));
    std::fs::remove_dir_all(bench.path()).expect("removed");
    let other = AssetStore::open(bench.path(), &bench.config).expect("made anew");
    drop(held(&other, &key("other")));
    let layout = &store.inner.layout;
    let taken = held(&store, &key("other"));
    let marking = Marks::default().take(layout, layout.asset(&key("other")).mark);
    assert!(!matches!(marking.expect("asked"), Marking::Taken(_)));
    drop(taken);
    assert!(old.journal.close().is_err(), "its names lead elsewhere");
}

#[test]
fn a5_offline_nothing_is_made_and_what_is_there_is_served() {
    let bench = Bench::new();
    let store = bench.store(BOOT);
    assert!(matches!(store.acquire(&key("film"), true), Ok(Acquired::Absent)));
    assert!(!bench.path().join("assets").exists());
    let mut writer = Writer::new(bench.held(BOOT));
    writer.write(FLOW, 5, 10, Micros(0));
    writer.journal.close().expect("closed");
    match store.acquire(&key("film"), true).expect("asked") {
        Acquired::Held(lease) => assert_eq!(lease.recovered.covered, [range(5, 10)]),
        other => panic!("{other:?}"),
    };
}

/// Defect 16: neither a lookup that fails nor an open that comes to nothing throws anything away.
#[test]
fn a5_a_lookup_is_never_a_deletion() {
    let bench = Bench::new();
    let mut writer = Writer::new(bench.held(BOOT));
    writer.write(FLOW, 0, 10, Micros(0));
    writer.journal.close().expect("closed");
    for offline in [true, false] {
        let lease = bench.store(BOOT).acquire(&key("film"), offline).expect("asked");
        let Acquired::Held(lease) = lease else { panic!("{lease:?}") };
        drop(lease.into_journal());
        let _ = bench.store(LATER).acquire(&key("other"), offline).expect("asked");
    }
    assert_eq!(bench.held(LATER).recovered.covered, [range(0, 10)]);
}

#[test]
fn an_open_that_stores_nothing_leaves_no_files() {
    let bench = Bench::new();
    drop(bench.held(BOOT));
    bench.held(BOOT).into_journal().close().expect("closed");
    assert!(!bench.data().exists() && !bench.map().exists());
    assert!(bench.store(BOOT).list().expect("listed").is_empty());
    bench.store(BOOT).evict().expect("swept");
    let shelf = bench.data().parent().and_then(Path::parent).expect("a shelf").to_owned();
    assert_eq!(shelf.read_dir().expect("a shelf").count(), 0, "the lock is swept");
}

#[test]
fn a3_a_damaged_log_is_an_empty_asset_and_no_error() {
    let bench = Bench::new();
    let mut writer = Writer::new(bench.held(BOOT));
    writer.write(FLOW, 0, 10, Micros(0));
    writer.journal.close().expect("closed");
    for damage in [&b""[..], b"garbage", &[0; 4096]] {
        std::fs::write(bench.map(), damage).expect("written");
        assert_eq!(bench.held(BOOT).recovered, Recovered::default());
    }
    std::fs::remove_file(bench.map()).expect("removed");
    assert_eq!(bench.held(BOOT).recovered, Recovered::default());
}

#[test]
fn a2_a_log_of_another_asset_proves_nothing() {
    let bench = Bench::new();
    let mut writer = Writer::new(bench.held(BOOT));
    writer.write(FLOW, 0, 10, Micros(0));
    writer.journal.close().expect("closed");
    let store = bench.store(BOOT);
    let other = store.inner.layout.asset(&key("other"));
    drop(held(&store, &key("other")).data().expect("a file"));
    std::fs::copy(bench.map(), &other.map).expect("copied");
    std::fs::copy(bench.data(), &other.data).expect("copied");
    assert_eq!(held(&store, &key("other")).recovered, Recovered::default());
}
