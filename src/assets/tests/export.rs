//! A stored resource as a file: whole and right under its name, or not there.

// Damage is one range often enough.
#![allow(clippy::single_range_in_vec_init)]

use super::*;

/// A store with `film` of 1000 bytes, of which `ranges` are there.
fn stored(bench: &Bench, ranges: &[(u64, u64)]) -> AssetStore {
    let store = bench.store(BOOT);
    let mut writer = Writer::new(held(&store, &key("film")));
    writer.journal.len_known(1000);
    for (flow, &(start, end)) in ranges.iter().enumerate() {
        writer.write(FetchId(flow as u64), start, end, Micros(0));
    }
    writer.journal.close().expect("closed");
    store
}

/// Where to, in a folder of its own.
struct Out(TempDir);

impl Out {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn file(&self) -> std::path::PathBuf {
        self.0.path().join("film.mp4")
    }

    fn names(&self) -> Vec<String> {
        let entries = self.0.path().read_dir().expect("a folder");
        entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    }
}

#[test]
fn a9_a_complete_asset_becomes_a_plain_file() {
    let (bench, out) = (Bench::new(), Out::new());
    let store = stored(&bench, &[(400, 1000), (0, 600)]);
    // What lies behind the resource's end is none of it.
    put(&File::options().write(true).open(bench.data()).expect("opened"), 1000, b"more");
    let done = store.export(&key("film"), &out.file(), IfExists::Refuse).expect("exported");
    assert_eq!((done.len, done.unchecked), (1000, 0));
    assert_eq!(std::fs::read(out.file()).expect("read"), content(range(0, 1000), 0));
    assert_eq!(out.names(), ["film.mp4"]);
    assert!(matches!(store.acquire(&key("film"), false), Ok(Acquired::Held(_))), "free again");
}

#[test]
fn a9_an_export_tells_how_far_it_is() {
    let (bench, out) = (Bench::new(), Out::new());
    let store = stored(&bench, &[(0, 1000)]);
    let mut told = Vec::new();
    let refuse = IfExists::Refuse;
    let done = store.export_with_progress(&key("film"), &out.file(), refuse, |done, of| {
        told.push((done, of));
    });
    assert_eq!((done.expect("exported").len, told), (1000, vec![(1000, 1000)]));
}

#[test]
fn a9_an_incomplete_asset_is_refused_with_what_is_missing() {
    let (bench, out) = (Bench::new(), Out::new());
    let store = stored(&bench, &[(100, 400), (500, 900)]);
    let refused =
        |store: &AssetStore| match store.export(&key("film"), &out.file(), IfExists::Refuse) {
            Err(error @ ExportError::Incomplete { .. }) => error,
            other => panic!("{other:?}"),
        };
    let error = refused(&store);
    assert_eq!(error.to_string(), "it is not complete: bytes 0..100, 400..500, 900..1000");
    assert!(out.names().is_empty());
    // A file that lost its end is as incomplete.
    let mut writer = Writer::new(bench.held(BOOT));
    writer.write(FLOW, 0, 1000, Micros(0));
    writer.journal.close().expect("closed");
    let data = File::options().write(true).open(bench.data()).expect("opened");
    data.set_len(999).expect("cut");
    assert_eq!(refused(&store).to_string(), "it is not complete: bytes 999..1000");

    let bench = Bench::new();
    let store = bench.store(BOOT);
    let mut writer = Writer::new(held(&store, &key("film")));
    writer.write(FLOW, 0, 10, Micros(0));
    writer.journal.close().expect("closed");
    assert_eq!(refused(&store).to_string(), "it is not complete: bytes from 10 on");
}

#[test]
fn a9_damaged_bytes_are_not_exported() {
    let (bench, out) = (Bench::new(), Out::new());
    let store = stored(&bench, &[(0, 600), (600, 1000)]);
    put(&File::options().write(true).open(bench.data()).expect("opened"), 700, b"?");
    std::fs::write(out.file(), "old").expect("written");
    match store.export(&key("film"), &out.file(), IfExists::Replace) {
        Err(ExportError::Damaged { ranges }) => assert_eq!(ranges, [600..1000]),
        other => panic!("{other:?}"),
    }
    assert_eq!(std::fs::read(out.file()).expect("read"), b"old");
    assert_eq!(out.names(), ["film.mp4"]);
    store.repair(&key("film")).expect("repaired");
    let again = store.export(&key("film"), &out.file(), IfExists::Replace);
    assert!(matches!(again, Err(ExportError::Incomplete { .. })), "{again:?}");
}

#[test]
fn a9_what_is_there_is_replaced_only_if_so_wanted() {
    let (bench, out) = (Bench::new(), Out::new());
    let store = stored(&bench, &[(0, 1000)]);
    std::fs::write(out.file(), "old").expect("written");
    let refused = store.export(&key("film"), &out.file(), IfExists::Refuse);
    assert!(matches!(refused, Err(ExportError::Exists { .. })), "{refused:?}");
    assert_eq!(std::fs::read(out.file()).expect("read"), b"old");
    store.export(&key("film"), &out.file(), IfExists::Replace).expect("exported");
    assert_eq!(std::fs::read(out.file()).expect("read"), content(range(0, 1000), 0));
    // A folder is no file, and neither is one that is not there.
    for bad in [out.0.path().to_owned(), out.file().join("below"), out.0.path().join("no/film")] {
        let refused = store.export(&key("film"), &bad, IfExists::Replace);
        assert!(matches!(refused, Err(ExportError::Output { .. })), "{refused:?}");
    }
    // Somebody else makes the file meanwhile: it stays.
    let late = Out::new();
    let target = crate::assets::export::Target::new(&late.file(), IfExists::Refuse).expect("free");
    let file = target.beside().expect("made");
    std::fs::write(late.file(), "theirs").expect("written");
    assert!(matches!(target.finish(file), Err(ExportError::Exists { .. })));
    assert_eq!(std::fs::read(late.file()).expect("read"), b"theirs");
    assert_eq!(late.names(), ["film.mp4"]);
}

#[cfg(unix)]
#[test]
fn a9_an_export_is_a_file_like_any_other_and_follows_a_link() {
    use std::os::unix::fs::PermissionsExt;
    let (bench, out, other) = (Bench::new(), Out::new(), Out::new());
    let store = stored(&bench, &[(0, 1000)]);
    std::fs::write(other.file(), "old").expect("written");
    std::os::unix::fs::symlink(other.file(), out.file()).expect("linked");
    store.export(&key("film"), &out.file(), IfExists::Replace).expect("exported");
    assert_eq!(std::fs::read(other.file()).expect("read").len(), 1000);
    assert!(out.file().symlink_metadata().expect("there").is_symlink());
    let plain = other.0.path().join("plain");
    std::fs::write(&plain, "").expect("written");
    let mode = |path: &Path| path.metadata().expect("there").permissions().mode();
    assert_eq!(mode(&other.file()), mode(&plain), "the user's mask decides");
}

#[test]
fn a9_what_is_not_there_or_held_is_told_apart_and_an_object_is_a_file_too() {
    let (bench, out) = (Bench::new(), Out::new());
    let store = stored(&bench, &[(0, 1000)]);
    let export = |name: &str| store.export(&key(name), &out.file(), IfExists::Refuse);
    assert!(matches!(export("other"), Err(ExportError::Absent)));
    let lease = bench.held(BOOT);
    assert!(matches!(export("film"), Err(ExportError::Busy)));
    drop(lease);
    store.objects().write(&key("cover"), &generation("\"1\""), b"jpeg").expect("written");
    assert_eq!(export("cover").expect("exported").len, 4);
    assert_eq!(std::fs::read(out.file()).expect("read"), b"jpeg");
    let path = store.inner.layout.object(&key("cover")).1;
    std::fs::write(path, "no object").expect("written");
    std::fs::remove_file(out.file()).expect("removed");
    assert!(matches!(export("cover"), Err(ExportError::Damaged { .. })));
    assert!(out.names().is_empty());
}

#[test]
fn a9_what_a_killed_export_left_is_removed_by_the_next_one_and_nothing_else() {
    let (bench, out) = (Bench::new(), Out::new());
    let store = stored(&bench, &[(0, 1000)]);
    let others = [".film.mp4.abc12.part", ".film.mp4.abc123.bin.part", "film.mp4.abc123.part"];
    for name in others.into_iter().chain([".film.mp4.abc123.part"]) {
        std::fs::write(out.0.path().join(name), "left").expect("written");
    }
    let target = crate::assets::export::Target::new(&out.file(), IfExists::Refuse).expect("free");
    let alive = target.beside().expect("begun");
    store.export(&key("film"), &out.file(), IfExists::Refuse).expect("exported");
    assert!(alive.path().exists(), "somebody is at work on it");
    drop(alive);
    let mut names = out.names();
    names.sort();
    assert_eq!(names, [&others[..2], &["film.mp4"], &others[2..]].concat());
}
