//! What goes, in which order, and what never does.

use std::time::{Duration, SystemTime};

use super::*;

/// Puts an asset of `bytes` bytes into the store, last used `age` seconds ago.
fn put_asset(store: &AssetStore, name: &str, bytes: u64, complete: bool, age: u64) {
    let mut writer = Writer::new(held(store, &key(name)));
    writer.journal.len_known(if complete { bytes } else { bytes * 2 });
    writer.write(FLOW, 0, bytes, Micros(0));
    writer.journal.close().expect("closed");
    let lock = File::options().write(true).open(store.inner.layout.asset(&key(name)).lock);
    let then = SystemTime::now() - Duration::from_secs(age);
    lock.and_then(|lock| lock.set_modified(then)).expect("aged");
}

fn names(store: &AssetStore) -> Vec<String> {
    let infos = store.list().expect("listed");
    let mut names: Vec<_> = infos.into_iter().filter_map(|info| info.label).collect();
    names.sort();
    names
}

fn limited(assets: u64) -> Bench {
    let mut bench = Bench::in_memory();
    bench.config.max_assets = assets;
    bench
}

#[test]
fn a6_the_least_recently_used_goes_first_and_incomplete_before_complete() {
    let bench = limited(u64::MAX);
    let store = bench.store(BOOT);
    put_asset(&store, "whole-old", 10, true, 400);
    put_asset(&store, "whole-new", 10, true, 100);
    put_asset(&store, "part-new", 10, false, 50);
    put_asset(&store, "part-old", 10, false, 300);
    let mut left = vec!["part-new", "part-old", "whole-new", "whole-old"];
    for (assets, goes) in [(3, "part-old"), (2, "part-new"), (1, "whole-old")] {
        let bench = Bench {
            config: StoreConfig { max_assets: assets, ..bench.config.clone() },
            ..limited(1)
        };
        let store = AssetStore::open_after(BOOT, store.root(), &bench.config);
        let done = store.evict().expect("evicted");
        assert_eq!((done.assets, done.within_limits), (1, true));
        left.retain(|name| *name != goes);
        assert_eq!(names(&store), left);
    }
}

#[test]
fn a6_bytes_are_counted_as_the_disk_counts_them() {
    let mut bench = Bench::new();
    let store = bench.store(BOOT);
    // 4 GiB long, of which next to nothing is there.
    let mut sparse = Writer::new(held(&store, &key("sparse")));
    sparse.write(FLOW, 4 << 30, (4 << 30) + 10, Micros(0));
    sparse.journal.close().expect("closed");
    put_asset(&store, "dense", 1 << 20, true, 100);
    let total = store.allocated().expect("summed");
    assert!((1 << 20..2 << 20).contains(&total), "{total}");
    bench.config.max_bytes = 1 << 20;
    let done = bench.store(BOOT).evict().expect("evicted");
    assert!(done.within_limits && done.assets >= 1);
    assert!(bench.store(BOOT).allocated().expect("summed") <= 1 << 20);
}

#[test]
fn a6_open_and_pinned_assets_never_go() {
    let bench = limited(1);
    let store = bench.store(BOOT);
    for name in ["open", "pinned", "free"] {
        put_asset(&store, name, 10, true, 100);
    }
    assert!(store.pin(&key("pinned"), true).expect("pinned"));
    assert!(!store.pin(&key("absent"), true).expect("asked"));
    let open = held(&store, &key("open"));
    let done = store.evict().expect("evicted");
    assert_eq!((done.assets, done.within_limits), (1, false));
    assert_eq!(names(&store), ["open", "pinned"]);
    // Nothing can go: it says so, once, and goes on.
    assert_eq!(store.evict().expect("evicted").assets, 0);
    assert!(matches!(store.acquire(&key("new"), false), Ok(Acquired::Held(_))));
    drop(open);
    store.pin(&key("pinned"), false).expect("unpinned");
    assert!(store.evict().expect("evicted").within_limits);
    assert_eq!(names(&store).len(), 1);
}

#[test]
fn a6_eviction_does_not_race_an_open() {
    let bench = limited(1);
    let store = bench.store(BOOT);
    put_asset(&store, "other", 10, true, 10);
    put_asset(&store, "film", 10, true, 1000);
    let paths = store.inner.layout.asset(&key("film"));
    // Another process has it.
    let foreign = File::open(&paths.lock).expect("opened");
    foreign.lock().expect("locked");
    assert_eq!(store.evict().expect("evicted").assets, 1);
    assert_eq!(names(&store), ["film"], "the next one went instead");
    drop(foreign);
    let threads: Vec<_> = (0..4)
        .map(|i| {
            let store = bench.store(BOOT);
            std::thread::spawn(move || {
                for _ in 0..50 {
                    let _ = if i % 2 == 0 {
                        store.evict().map(drop)
                    } else {
                        store.remove(&key("film")).map(drop)
                    };
                    if let Ok(Acquired::Held(lease)) = store.acquire(&key("film"), false) {
                        let mut writer = Writer::new(lease);
                        writer.write(FLOW, 0, 10, Micros(0));
                        writer.journal.close().expect("closed");
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    let lease = held(&store, &key("film"));
    let covered = lease.recovered.covered;
    assert!(covered.is_empty() || covered == [range(0, 10)], "{covered:?}");
}

#[test]
fn a8_without_anything_but_data_and_log_nothing_but_the_order_is_lost() {
    let bench = Bench::new();
    let store = bench.store(BOOT);
    put_asset(&store, "film", 10, true, 100);
    for entry in store.root().read_dir().expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            std::fs::remove_file(path).expect("removed");
        }
    }
    std::fs::remove_file(store.inner.layout.asset(&key("film")).lock).expect("removed");
    let store = AssetStore::open(bench.path(), &bench.config).expect("opened");
    assert_eq!(names(&store), ["film"]);
    assert_eq!(held(&store, &key("film")).recovered.covered, [range(0, 10)]);
}

#[test]
fn the_list_says_what_is_there() {
    let bench = Bench::new();
    let store = bench.store(BOOT);
    put_asset(&store, "whole", 10, true, 100);
    put_asset(&store, "part", 10, false, 50);
    store.pin(&key("part"), true).expect("pinned");
    store.objects().write(&key("cover"), &generation("\"1\""), b"xyz").expect("written");
    let infos = store.list().expect("listed");
    let find = |name| infos.iter().find(|info| info.id == key(name).id()).expect("listed");
    let (whole, part, cover) = (find("whole"), find("part"), find("cover"));
    assert_eq!((whole.len, whole.covered, whole.complete), (Some(10), 10, true));
    assert_eq!((part.len, part.covered, part.complete), (Some(20), 10, false));
    assert!(part.pinned && !whole.pinned && cover.is_object);
    assert!(part.last_used > whole.last_used);
    assert!(whole.allocated > 0);
    for info in &infos {
        let key = AssetKey::from_id(&info.id).expect("an id");
        assert_eq!(store.remove(&key).expect("removed"), Removed::Gone);
        assert_eq!(store.remove(&key).expect("asked"), Removed::Absent);
    }
    assert!(store.list().expect("listed").is_empty());
    assert_eq!(store.allocated().expect("summed"), 0);
}

#[test]
fn a_removal_that_a_crash_cut_short_is_finished_later() {
    let bench = Bench::new();
    let store = bench.store(BOOT);
    put_asset(&store, "film", 10, true, 100);
    let paths = store.inner.layout.asset(&key("film"));
    let trash = store.inner.layout.trash();
    std::fs::create_dir(&trash).expect("made");
    std::fs::rename(&paths.folder, trash.join("x.1.2")).expect("moved");
    assert!(store.list().expect("listed").is_empty());
    store.evict().expect("evicted");
    assert_eq!(trash.read_dir().expect("a folder").count(), 0);
    assert!(!paths.lock.exists());
}
