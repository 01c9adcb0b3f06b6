//! Links and other things that lie where the store's own belong.

use super::*;

/// A store with one asset, and a way to put something else in place of one of its parts.
fn stored() -> Bench {
    let bench = Bench::new();
    let mut writer = Writer::new(bench.held(BOOT));
    writer.write(FLOW, 0, 10, Micros(0));
    writer.journal.close().expect("closed");
    bench
}

fn acquire_error(bench: &Bench) -> StorageError {
    match bench.store(BOOT).acquire(&key("film"), false) {
        Err(Error::Storage(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[cfg(unix)]
#[test]
fn a1_links_in_place_of_our_files_and_folders_are_refused() {
    use std::os::unix::fs::symlink;
    type Part = fn(&Bench) -> std::path::PathBuf;
    let parts: [Part; 6] = [
        |b| b.data(),
        |b| b.map(),
        |b| b.store(BOOT).inner.layout.asset(&key("film")).lock,
        |b| b.store(BOOT).inner.layout.asset(&key("film")).folder,
        |b| b.store(BOOT).inner.layout.asset(&key("film")).shelf,
        |b| b.path().join("assets"),
    ];
    for part in parts {
        let bench = stored();
        let part = part(&bench);
        let outside = bench.path().join("outside");
        std::fs::rename(&part, &outside).expect("moved");
        symlink(&outside, &part).expect("linked");
        let error = acquire_error(&bench);
        assert!(error.path.expect("told").starts_with(&part), "{part:?}");
        assert!(part.is_symlink() && outside.exists(), "nothing is removed for that");
    }
}

#[cfg(unix)]
#[test]
fn a1_a_link_that_leads_nowhere_is_refused_too() {
    let bench = Bench::new();
    std::os::unix::fs::symlink("/nowhere/at/all", bench.path().join("assets")).expect("linked");
    acquire_error(&bench);
    let bench = stored();
    std::fs::remove_file(bench.map()).expect("removed");
    std::os::unix::fs::symlink("/nowhere/at/all", bench.map()).expect("linked");
    acquire_error(&bench);
}

#[test]
fn a1_a_folder_in_place_of_a_file_and_a_file_in_place_of_a_folder_are_refused() {
    let bench = stored();
    std::fs::remove_file(bench.map()).expect("removed");
    std::fs::create_dir(bench.map()).expect("made");
    assert_eq!(acquire_error(&bench).path, Some(bench.map()));
    let bench = Bench::new();
    let store = bench.store(BOOT);
    std::fs::write(store.root().join("assets"), "x").expect("written");
    acquire_error(&bench);
}

#[test]
fn the_roots_own_path_may_be_a_link() {
    let bench = stored();
    let link = bench.path().join("link");
    #[cfg(unix)]
    std::os::unix::fs::symlink(bench.path(), &link).expect("linked");
    #[cfg(not(unix))]
    let link = bench.path().to_owned();
    let store = AssetStore::open(&link, &bench.config).expect("opened");
    let lease = held(&store, &key("film"));
    assert_eq!(lease.recovered.covered, [range(0, 10)]);
    // One asset, whichever way one comes to it.
    let other = AssetStore::open(bench.path(), &bench.config).expect("opened");
    assert!(matches!(other.acquire(&key("film"), false), Ok(Acquired::Elsewhere)));
}
