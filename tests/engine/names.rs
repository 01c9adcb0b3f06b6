//! What a store is called, who may look into it, and what never gets there: A1, A2, defects 22 and 24.

use std::fs;
use std::path::Path;

use kithara_file::Source;

use crate::support::*;

const LEN: u64 = MIB;

fn read_all(engine: &Engine, source: Source, seed: u64) {
    let session = engine.open_blocking(source).unwrap();
    let mut reader = session.reader();
    check_seed_at(&mut reader, 0, LEN as usize, seed);
    until_end_of_stream(&mut session.events());
    block_on(session.close());
}

/// The bytes of every file but those of the media, and the name of every file and folder.
fn traces(dir: &Path) -> Vec<u8> {
    let mut traces = Vec::new();
    for path in files(dir) {
        let name = path.strip_prefix(dir).unwrap();
        traces.extend_from_slice(name.as_os_str().as_encoded_bytes());
        if !path.ends_with("data") {
            traces.extend(fs::read(&path).unwrap());
        }
    }
    traces
}

fn holds(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

/// A1, defect 22: neither the URL, nor its query, nor a header, nor a password reaches the disk.
#[test]
fn a1_no_url_text_and_no_secret_reaches_the_disk() {
    let origin = Origin::start();
    let path = format!("/{}/UNUSUAL-NAME.mp4", "long-folder-name-".repeat(40));
    origin.put(&path, Content::pattern(LEN));
    origin.put("/cover", Content::bytes(b"small".as_slice()));
    let dir = tempfile::tempdir().unwrap();
    let engine = engine_in(dir.path(), quick());
    let url = origin.url(&format!("{path}?sig=QUERYSECRET#FRAGMENT"));
    let url = url.replace("http://", "http://USERNAME:PASSWORD@");
    let source = Source::url(&url).unwrap().header("authorization", "Bearer HEADERSECRET").unwrap();
    read_all(&engine, source, 0);
    let cover = origin.url("/cover?sig=QUERYSECRET");
    engine.get_object_blocking(cover, 100).unwrap();
    let traces = traces(dir.path());
    assert!(!traces.is_empty());
    for secret in [
        "QUERYSECRET",
        "HEADERSECRET",
        "PASSWORD",
        "USERNAME",
        "FRAGMENT",
        "UNUSUAL",
        "long-folder",
        "cover",
        "127.0.0.1",
        "http",
    ] {
        assert!(!holds(&traces, secret), "{secret}");
    }
}

#[cfg(unix)]
#[test]
fn a1_only_the_owner_may_look_into_a_store() {
    use std::os::unix::fs::PermissionsExt as _;
    let origin = origin(LEN);
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("a").join("store");
    let engine = engine_in(&dir, quick());
    read_all(&engine, Source::url(&origin.url("/file")).unwrap(), 0);
    engine.get_object_blocking(origin.url("/file"), LEN).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let all = files(&dir);
    assert!(all.len() >= 5, "{all:?}");
    for path in all {
        assert_eq!(mode(&path), 0o600, "{path:?}");
        for folder in path.ancestors().skip(1).take_while(|folder| *folder != parent.path()) {
            assert_eq!(mode(folder), 0o700, "{folder:?}");
        }
    }
}

/// A2: a signed URL that was signed anew is still the same asset.
#[test]
fn a2_urls_that_differ_in_their_query_share_an_asset() {
    let origin = origin(LEN);
    let dir = tempfile::tempdir().unwrap();
    let engine = engine_in(dir.path(), quick());
    read_all(&engine, Source::url(&origin.url("/file?token=1")).unwrap(), 0);
    let sent = origin.log().len();
    read_all(&engine, Source::url(&origin.url("/file?token=2#t=5")).unwrap(), 0);
    assert_eq!(origin.log().len(), sent);
}

fn two_films() -> Origin {
    let origin = Origin::start();
    origin.put("/watch?id=1", Content::pattern(LEN).seed(1));
    origin.put("/watch?id=2", Content::pattern(LEN).seed(2));
    origin
}

/// A2, defect 24: where the query tells resources apart, an explicit key does too.
#[test]
fn a2_an_explicit_key_tells_urls_apart() {
    let (origin, dir) = (two_films(), tempfile::tempdir().unwrap());
    let engine = engine_in(dir.path(), quick());
    let read_both = || {
        for id in [1, 2] {
            let source = Source::url(&origin.url(&format!("/watch?id={id}"))).unwrap();
            read_all(&engine, source.key(&format!("watch/{id}")).unwrap(), id);
        }
        origin.log().len()
    };
    let sent = read_both();
    assert_eq!(read_both(), sent, "each was fetched once");
    // The same key under another URL is the same asset.
    origin.put("/elsewhere", Content::pattern(LEN).seed(1));
    let source = Source::url(&origin.url("/elsewhere")).unwrap().key("watch/1").unwrap();
    read_all(&engine, source, 1);
    assert_eq!(origin.log().of("/elsewhere").count(), 0);
}

/// A2, defect 24: a function of the application decides; where it does not, the URL does.
#[test]
fn a2_a_key_function_tells_urls_apart() {
    let (origin, dir) = (two_films(), tempfile::tempdir().unwrap());
    let key_of = |url: &url::Url| {
        let id = url.query_pairs().find(|(name, _)| name == "id")?.1.into_owned();
        Some(format!("watch/{id}"))
    };
    let engine =
        Engine::builder().store_dir(dir.path()).config(quick()).key_of(key_of).build().unwrap();
    for id in [1, 2, 1, 2] {
        read_all(&engine, Source::url(&origin.url(&format!("/watch?id={id}"))).unwrap(), id);
    }
    assert_eq!(files(dir.path()).iter().filter(|path| path.ends_with("data")).count(), 2);
    origin.put("/plain", Content::pattern(LEN));
    read_all(&engine, Source::url(&origin.url("/plain?token=1")).unwrap(), 0);
    let sent = origin.log().len();
    read_all(&engine, Source::url(&origin.url("/plain?token=2")).unwrap(), 0);
    assert_eq!(origin.log().len(), sent);
}

#[test]
fn a2_a_key_that_is_no_safe_path_is_refused() {
    let origin = origin(LEN);
    for bad in ["", "/etc/passwd", "../up", "a/../b", "C:\\x", "nul", "a\0b"] {
        let source = Source::url(&origin.url("/file")).unwrap().key(bad);
        assert!(matches!(source, Err(Error::InvalidInput { .. })), "{bad:?}");
        let bad = bad.to_owned();
        let engine = Engine::builder().key_of(move |_| Some(bad.clone())).build().unwrap();
        let opened = engine.open_blocking(origin.url("/file"));
        assert!(matches!(opened, Err(Error::InvalidInput { .. })));
    }
    assert!(origin.log().is_empty());
}
