//! Small whole objects.

use super::*;

#[test]
fn a9_an_object_is_kept_whole_with_its_validator() {
    let bench = Bench::new();
    let objects = bench.store(BOOT).objects();
    assert_eq!(objects.read(&key("cover"), 100).expect("read"), None);
    for (tag, bytes) in [("\"1\"", &b"first"[..]), ("\"2\"", b"the second"), ("\"3\"", b"")] {
        objects.write(&key("cover"), &generation(tag), bytes).expect("written");
        let object = objects.read(&key("cover"), 100).expect("read").expect("there");
        assert_eq!((object.bytes.as_slice(), object.meta), (bytes, generation(tag)));
    }
    assert_eq!(objects.read(&key("other"), 100).expect("read"), None);
}

#[test]
fn a9_an_object_that_does_not_match_its_checksum_is_none() {
    let bench = Bench::new();
    let store = bench.store(BOOT);
    let objects = store.objects();
    objects.write(&key("cover"), &generation("\"1\""), b"content").expect("written");
    let path = store.inner.layout.object(&key("cover")).1;
    let good = std::fs::read(&path).expect("read");
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&path, bad).expect("written");
        assert_eq!(objects.read(&key("cover"), 100).expect("read"), None, "byte {at}");
        std::fs::write(&path, &good[..at]).expect("written");
        assert_eq!(objects.read(&key("cover"), 100).expect("read"), None, "{at} bytes");
    }
    // Another object's file in its place is as wrong.
    objects.write(&key("other"), &generation("\"1\""), b"other").expect("written");
    std::fs::copy(store.inner.layout.object(&key("other")).1, &path).expect("copied");
    assert_eq!(objects.read(&key("cover"), 100).expect("read"), None);
}

#[test]
fn a9_an_object_longer_than_asked_for_is_none() {
    let bench = Bench::new();
    let objects = bench.store(BOOT).objects();
    let bytes = vec![7; 200_000];
    objects.write(&key("cover"), &generation("\"1\""), &bytes).expect("written");
    assert!(objects.read(&key("cover"), 200_000).expect("read").is_some());
    for max in [199_999, 100, 0] {
        assert_eq!(objects.read(&key("cover"), max).expect("read"), None);
    }
}

/// A check and an export take an object in pieces, so that its size is no matter: this file is larger than any memory.
#[test]
fn a9_what_is_no_object_is_told_whatever_its_size() {
    let bench = Bench::new();
    let store = bench.store(BOOT);
    store.objects().write(&key("cover"), &generation("\"1\""), b"content").expect("written");
    let path = store.inner.layout.object(&key("cover")).1;
    let huge = 1 << 42;
    let file = std::fs::File::create(&path).expect("made");
    if file.set_len(huge).is_err() {
        return; // No file system for that.
    }
    let found = store.verify(&key("cover")).expect("checked").remove(0);
    assert_eq!((found.verdict, found.checked), (Verdict::Damaged, huge));
    let out = tempfile::tempdir().expect("a folder");
    let target = out.path().join("out");
    let refused = store.export(&key("cover"), &target, IfExists::Refuse);
    assert!(matches!(refused, Err(ExportError::Damaged { .. })), "{refused:?}");
}

#[test]
fn a9_an_object_of_many_pieces_is_checked_and_exported_whole() {
    let bench = Bench::new();
    let store = bench.store(BOOT);
    let bytes: Vec<u8> = (0..1_000_003_u32).map(|n| (n % 251) as u8).collect();
    store.objects().write(&key("cover"), &generation("\"1\""), &bytes).expect("written");
    let verdict = || store.verify(&key("cover")).expect("checked").remove(0).verdict;
    assert_eq!(verdict(), Verdict::Sound);
    let out = tempfile::tempdir().expect("a folder");
    let target = out.path().join("out");
    let exported = store.export(&key("cover"), &target, IfExists::Refuse).expect("exported");
    assert_eq!(exported.len, bytes.len() as u64);
    assert_eq!(std::fs::read(&target).expect("read"), bytes);
    let path = store.inner.layout.object(&key("cover")).1;
    let good = std::fs::read(&path).expect("read");
    for at in [0, 20, 100, 70_000, 500_000, good.len() - 40, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        for bad in [&bad[..], &good[..at]] {
            std::fs::write(&path, bad).expect("written");
            assert_eq!(verdict(), Verdict::Damaged, "{} bytes, at {at}", bad.len());
            let refused = store.export(&key("cover"), &target, IfExists::Replace);
            assert!(matches!(refused, Err(ExportError::Damaged { .. })), "{refused:?}");
        }
    }
    assert_eq!(std::fs::read(&target).expect("read"), bytes, "what was there stays");
}

#[test]
fn a6_objects_are_evicted_like_assets() {
    let mut bench = Bench::new();
    bench.config.max_assets = 1;
    let store = bench.store(BOOT);
    let objects = store.objects();
    for name in ["a", "b", "c"] {
        objects.write(&key(name), &generation("\"1\""), b"x").expect("written");
    }
    let done = store.evict().expect("evicted");
    assert_eq!((done.assets, done.within_limits), (2, true));
    assert_eq!(store.list().expect("listed").len(), 1);
}
