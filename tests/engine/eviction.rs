//! Eviction by a running engine: A6.

use std::path::Path;

use kithara_file::{AssetKey, AssetStore, StoreConfig};

use crate::stage::until;
use crate::support::*;

const LEN: u64 = 100_000;

/// An engine whose store has room for `assets` assets.
fn small(dir: &Path, assets: u64) -> Engine {
    let mut config = quick();
    config.store.max_assets = assets;
    Engine::builder().store_dir(dir).config(config).build().unwrap()
}

/// An origin with these paths.
fn origin_of(paths: &[&str]) -> Origin {
    let origin = Origin::start();
    for path in paths {
        origin.put(path, Content::pattern(LEN));
    }
    origin
}

/// Opens `path` and reads it to its end.
fn play(engine: &Engine, origin: &Origin, path: &str) -> Session {
    let session = engine.open_blocking(origin.url(path)).unwrap();
    assert_eq!(check_to_end(&mut session.reader()), LEN);
    session
}

/// What is stored, by the ids of keys.
fn stored(dir: &Path) -> Vec<String> {
    let store = AssetStore::open(dir, &StoreConfig::default()).unwrap();
    store.list().unwrap().into_iter().map(|asset| asset.id).collect()
}

fn id(origin: &Origin, path: &str) -> String {
    AssetKey::for_url(&origin.url(path).parse().unwrap()).id()
}

#[test]
fn a6_when_room_is_short_the_least_recently_used_asset_goes() {
    let dir = tempfile::tempdir().unwrap();
    let paths = ["/a", "/b", "/c"];
    let origin = origin_of(&paths);
    let engine = small(dir.path(), 2);
    for path in paths {
        block_on(play(&engine, &origin, path).close());
    }
    until("the first asset to go", || stored(dir.path()).len() == 2);
    assert!(!stored(dir.path()).contains(&id(&origin, "/a")));
}

#[test]
fn a6_an_open_asset_stays_whatever_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let origin = origin_of(&["/a", "/b"]);
    let engine = small(dir.path(), 1);
    let open = play(&engine, &origin, "/a");
    block_on(play(&engine, &origin, "/b").close());
    until("the asset that nobody has open to go", || stored(dir.path()) == [id(&origin, "/a")]);
    assert_eq!(check_to_end(&mut open.reader()), LEN);
}

#[test]
fn a6_offline_nothing_goes_since_nothing_could_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let origin = origin_of(&["/a", "/b"]);
    let engine = small(dir.path(), 2);
    for path in ["/a", "/b"] {
        block_on(play(&engine, &origin, path).close());
    }
    drop(engine);
    let mut config = quick();
    config.store.max_assets = 1;
    let builder = Engine::builder().store_dir(dir.path()).config(config).offline(true);
    let engine = builder.build().unwrap();
    for path in ["/a", "/b", "/a", "/b"] {
        block_on(play(&engine, &origin, path).close());
    }
    assert_eq!(stored(dir.path()).len(), 2);
}
