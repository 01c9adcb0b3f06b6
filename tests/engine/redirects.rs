//! Where requests go, and what goes with them: N9, N10, defect 23.

use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kithara_file::{NetworkErrorKind, Source, UrlProvider};

use crate::support::*;

const LEN: u64 = 16 * MIB;
const AT: u64 = 8 * MIB;

/// The same version, wherever it is served.
fn film() -> Content {
    Content::pattern(LEN).etag("\"film\"").no_last_modified()
}

#[test]
fn n9_redirects_are_followed_once_and_the_place_remembered() {
    let origin = Origin::start();
    origin.put("/film", film());
    origin.rule("/start", Rule::redirect(302, "/middle"));
    origin.rule("/middle", Rule::redirect(307, "/film?sig=SECRET"));
    let session = engine(frugal()).open_blocking(origin.url("/start")).unwrap();
    let mut reader = session.reader();
    for at in [AT, 2 * MIB, LEN - 10] {
        check_at(&mut reader, at, 10);
    }
    let log = origin.log();
    assert_eq!(log.of("/start").count(), 1);
    assert_eq!(log.of("/middle").count(), 1);
    assert_eq!(log.of("/film").count(), 4);
    assert_eq!(session.final_url().unwrap(), origin.url("/film?sig=…"));
}

/// When the remembered place refuses, the way back is tried once.
#[test]
fn n9_a_place_that_refuses_leads_back_to_the_original_once() {
    for status in [401, 403, 404, 410] {
        let origin = Origin::start();
        origin.put("/one", film());
        origin.put("/two", film());
        origin.rule("/start", Rule::redirect(302, "/one").once());
        origin.rule("/start", Rule::redirect(302, "/two"));
        let session = engine(frugal()).open_blocking(origin.url("/start")).unwrap();
        let mut reader = session.reader();
        check_at(&mut reader, 0, 10);
        origin.rule("/one", Rule::status(status, "expired"));
        check_at(&mut reader, AT, 10);
        check_at(&mut reader, 2 * MIB, 10);
        let log = origin.log();
        assert_eq!(log.of("/start").count(), 2, "{status}");
        assert_eq!(log.of("/two").count(), 2);

        origin.rule("/two", Rule::status(status, "expired"));
        reader.seek(SeekFrom::Start(4 * MIB)).unwrap();
        let error = failed_read(&mut reader);
        assert_eq!(network(&error).status(), Some(status));
        assert_eq!(origin.log().of("/start").count(), 3, "once, and no more");
    }
}

#[test]
fn n9_circles_endless_and_forbidden_redirects_are_told() {
    let origin = Origin::start();
    origin.rule("/self", Rule::redirect(302, "/self"));
    origin.rule("/a", Rule::redirect(302, "/b"));
    origin.rule("/b", Rule::redirect(302, "/a"));
    for n in 0..20 {
        origin.rule(&format!("/hop{n}"), Rule::redirect(302, &format!("/hop{}", n + 1)));
    }
    origin.rule("/ftp", Rule::redirect(302, "ftp://host/x"));
    origin.rule("/nowhere", Rule::status(302, ""));
    for path in ["/self", "/a", "/hop0", "/ftp", "/nowhere"] {
        let error = engine(frugal()).open_blocking(origin.url(path)).unwrap_err();
        assert!(matches!(network(&error).kind, NetworkErrorKind::Redirect(_)), "{path}: {error}");
        assert!(error.is_fatal(), "{path}");
        assert_eq!(error.io_kind(), ErrorKind::PermissionDenied);
    }
}

/// What the user sends, and what stands in the URL, stays with the origin it was meant for.
#[test]
fn n9_headers_do_not_cross_origins_unless_marked() {
    let (home, other) = (Origin::start(), Origin::start());
    other.put("/film", film());
    home.rule("/start", Rule::redirect(302, &other.url("/film")).and(cookie()));
    let url = home.url("/start").replace("http://", "http://me:PASSWORD@");
    let source = Source::url(&url)
        .unwrap()
        .header("x-secret", "TOP")
        .unwrap()
        .header("cookie", "a=SECRET")
        .unwrap()
        .header_anywhere("x-any", "fine")
        .unwrap();
    let session = engine(frugal()).open_blocking(source).unwrap();
    check_at(&mut session.reader(), AT, 10);
    let first = &home.log()[0];
    assert!(first.header("authorization").is_some_and(|value| value.starts_with("Basic ")));
    assert_eq!(first.header("x-secret"), Some("TOP"));
    assert_eq!(first.header("x-any"), Some("fine"));
    let log = other.log();
    assert_eq!(log.len(), 2);
    for request in log.iter() {
        for name in ["authorization", "x-secret", "cookie", "referer"] {
            assert_eq!(request.header(name), None, "{name}");
        }
        assert_eq!(request.header("x-any"), Some("fine"));
    }
}

fn cookie() -> Rule {
    Rule::header("Set-Cookie", "session=SECRET; Path=/")
}

/// A signed URL expires; the provider hands out another, and the reader notices nothing.
#[test]
fn n9_a_url_provider_hands_out_a_fresh_url() {
    let origin = Origin::start();
    for n in 0..3 {
        origin.put(&format!("/film?sig={n}"), film());
    }
    let asked = Arc::new(AtomicU64::new(0));
    let provider: UrlProvider = {
        let (asked, base) = (asked.clone(), origin.url("/film"));
        Arc::new(move || {
            let n = asked.fetch_add(1, Ordering::SeqCst) + 1;
            let url = format!("{base}?sig={n}").parse();
            Box::pin(async move { url.map_err(Into::into) })
        })
    };
    let source = Source::url(&origin.url("/film?sig=0")).unwrap().provider(provider);
    let session = engine(frugal()).open_blocking(source).unwrap();
    let mut reader = session.reader();
    check_at(&mut reader, AT, 10);
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    origin.rule("/film?sig=0", Rule::status(403, "expired"));
    check_at(&mut reader, 2 * MIB, 10);
    origin.rule("/film?sig=1", Rule::status(401, "expired"));
    check_at(&mut reader, 4 * MIB, 10);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    assert!(origin.log().last().is_some_and(|request| request.path == "/film?sig=2"));
}

#[test]
fn n9_a_provider_without_a_url_is_told_and_may_do_better_later() {
    let origin = Origin::start();
    origin.put("/film", film());
    let provider: UrlProvider = Arc::new(|| Box::pin(async { Err("not logged in".into()) }));
    let source = Source::url(&origin.url("/film")).unwrap().provider(provider);
    let session = engine(frugal()).open_blocking(source).unwrap();
    origin.rule("/film", Rule::status(403, "expired"));
    let mut reader = session.reader();
    reader.seek(SeekFrom::Start(AT)).unwrap();
    let error = failed_read(&mut reader);
    assert_eq!(network(&error).kind, NetworkErrorKind::NoUrl);
    assert!(!error.is_fatal());
    origin.clear_rules("/film");
    check_at(&mut reader, AT, 10);
}

/// N10, defect 23: a login page in place of the media is told and not stored, and what is stored stays.
#[test]
fn n10_a_login_page_in_the_middle_is_not_stored() {
    let origin = origin(LEN);
    let dir = tempfile::tempdir().unwrap();
    let session = open(&engine_in(dir.path(), frugal()), &origin);
    let mut reader = session.reader();
    check_at(&mut reader, 0, 1000);
    origin.rule("/file", Rule::login_page());
    reader.seek(SeekFrom::Start(AT)).unwrap();
    let error = failed_read(&mut reader);
    assert!(matches!(network(&error).kind, NetworkErrorKind::NotMedia(_)), "{error}");
    assert!(!error.is_fatal());
    check_at(&mut reader, 0, 1000);
    assert_eq!(session.len(), Some(LEN));
    origin.clear_rules("/file");
    check_at(&mut reader, AT, 1000);
    let mut buf = [0; 100];
    reader.seek(SeekFrom::Start(0)).unwrap();
    reader.read_exact(&mut buf).unwrap();
    assert_eq!(pattern::first_wrong(&buf, 0, 0), None);
}

/// The same on the very first request; the portal does not become the place where the media is looked for.
#[test]
fn n10_a_login_page_on_the_first_open_stores_nothing() {
    let (origin, portal) = (Origin::start(), Origin::start());
    origin.put("/film.mp4", film());
    portal.rule("/login", Rule::login_page());
    origin.rule("/film.mp4", Rule::redirect(302, &portal.url("/login")).once());
    let dir = tempfile::tempdir().unwrap();
    let engine = engine_in(dir.path(), frugal());
    let error = engine.open_blocking(origin.url("/film.mp4")).unwrap_err();
    assert!(matches!(network(&error).kind, NetworkErrorKind::NotMedia(_)), "{error}");
    let session = engine.open_blocking(origin.url("/film.mp4")).unwrap();
    check_at(&mut session.reader(), 0, 1000);
    assert_eq!(portal.log().len(), 1);
}
