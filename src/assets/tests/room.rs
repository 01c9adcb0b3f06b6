//! What a large store costs: counted in places looked at, not in time.

use super::*;
use crate::assets::layout::LOOKS;

fn put_asset(store: &AssetStore, n: u64, bytes: u64) {
    let mut writer = Writer::new(held(store, &key(&format!("film-{n}"))));
    writer.write(FLOW, 0, bytes, Micros(0));
    writer.journal.close().expect("closed");
}

/// How many places `work` looks at.
fn looks(work: impl FnOnce()) -> u64 {
    let before = LOOKS.get();
    work();
    LOOKS.get() - before
}

/// A8: a store is opened, and an asset of it is opened, written, and closed, with as many looks as if it were alone.
#[test]
fn a8_what_else_is_stored_costs_an_open_nothing() {
    let cost = |assets| {
        let bench = Bench::in_memory();
        let store = bench.store(BOOT);
        (0..assets).for_each(|n| put_asset(&store, n, 10));
        let whole = looks(|| assert!(store.evict().expect("looked").within_limits));
        let open = looks(|| {
            let store = AssetStore::open(bench.path(), &bench.config).expect("opened");
            put_asset(&store, 0, 20);
        });
        let room = looks(|| {
            put_asset(&store, 0, 30);
            assert!(store.evict_if_short().expect("asked").is_none());
        });
        (whole, open, room)
    };
    let (few, many) = (cost(2), cost(60));
    assert!(many.0 > 10 * few.0, "a look through the store sees it all: {few:?}, {many:?}");
    assert_eq!((many.1, many.2), (few.1, few.2));
}

#[test]
fn a8_a_store_is_looked_through_when_the_room_that_was_found_may_be_used_up() {
    let mut bench = Bench::in_memory();
    bench.config.max_assets = 4;
    let store = bench.store(BOOT);
    put_asset(&store, 0, 10);
    assert!(store.evict_if_short().expect("asked").is_some(), "nothing is known yet");
    for n in 1..4 {
        put_asset(&store, n, 10);
        assert!(store.evict_if_short().expect("asked").is_none(), "{n}");
    }
    put_asset(&store, 4, 10);
    assert_eq!(store.evict_if_short().expect("asked").expect("looked").assets, 1);
    store.objects().write(&key("cover"), &generation("\"1\""), b"x").expect("written");
    assert_eq!(store.evict_if_short().expect("asked").expect("looked").assets, 1);

    let mut bench = Bench::in_memory();
    bench.config.max_bytes = 4 << 20;
    let store = bench.store(BOOT);
    for n in 0..12 {
        put_asset(&store, n, 1 << 20);
        store.evict_if_short().expect("asked");
        let allocated = store.allocated().expect("summed");
        assert!(allocated <= bench.config.max_bytes, "{allocated} after {n}");
    }
}

/// A6: while what is there cannot go, each time is a new look.
#[test]
fn a6_over_the_limit_every_time_is_a_look() {
    let mut bench = Bench::in_memory();
    bench.config.max_assets = 1;
    let store = bench.store(BOOT);
    put_asset(&store, 0, 10);
    let lease = held(&store, &key("film-0"));
    put_asset(&store, 1, 10);
    store.pin(&key("film-1"), true).expect("pinned");
    for _ in 0..2 {
        let done = store.evict_if_short().expect("asked").expect("looked");
        assert_eq!((done.assets, done.within_limits), (0, false));
    }
    drop(lease);
    assert_eq!(store.evict_if_short().expect("asked").expect("looked").assets, 1);
}
