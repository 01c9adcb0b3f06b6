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
