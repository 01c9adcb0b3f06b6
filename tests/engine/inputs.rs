//! Bad input: each has a typed outcome that a person can read.

use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::time::Duration;

use kithara_file::origin::Framing;
use kithara_file::{NetworkErrorKind, Source, Stage};

use crate::support::*;

#[test]
fn a_malformed_url_or_another_scheme_is_refused_with_the_reason() {
    let engine = engine(quick());
    for (url, says) in [
        ("", "relative URL without a base"),
        ("not a url", "expected http(s)://host/path"),
        ("//host/x", "expected http(s)://host/path"),
        ("http://", "empty host"),
        ("http://[::1/x", "IPv6"),
        ("http://host:99999/", "port"),
        ("ftp://host/x", "\"ftp\" is not supported"),
        ("data:text/plain,x", "\"data\" is not supported"),
        ("C:/film.mp4", "\"c\" is not supported"),
    ] {
        let error = engine.open_blocking(url).unwrap_err();
        assert!(matches!(error, Error::InvalidInput { what: "url", .. }), "{url:?}: {error:?}");
        assert!(error.to_string().contains(says), "{url:?}: {error}");
        assert_eq!(error.io_kind(), ErrorKind::InvalidInput);
        assert!(error.is_fatal());
        assert!(engine.get_object_blocking(url, 10).is_err());
    }
    let header = Source::url("http://host/").unwrap().header("x", "a\r\nb: c");
    assert!(matches!(header, Err(Error::InvalidInput { .. })));
}

#[test]
fn p8_a_config_that_contradicts_itself_is_refused_when_the_engine_is_built() {
    let refused = |change: fn(&mut Config), field: &str| {
        let mut config = Config::default();
        change(&mut config);
        let error = Engine::builder().config(config).build().unwrap_err();
        assert!(matches!(error, Error::InvalidConfig { .. }), "{error:?}");
        assert!(error.to_string().contains(field), "{error}");
    };
    refused(|c| c.tunables.fetch.max_fetches = 0, "fetch.max_fetches");
    refused(|c| c.tunables.readahead.min_window = 1 << 50, "readahead.min_window");
    refused(|c| c.tunables.fetch.demand_min = 1 << 40, "fetch.demand_min");
    refused(|c| c.timeouts.idle = Duration::ZERO, "timeouts.idle");
    refused(|c| c.store.max_bytes = 0, "store.max_bytes");
    // A running engine refuses them too, and goes on as before.
    let origin = origin(MIB);
    let engine = engine(quick());
    let mut tunables = quick().tunables;
    tunables.fetch.max_fetches = 0;
    assert!(matches!(engine.reconfigure(tunables), Err(Error::InvalidConfig { .. })));
    assert_eq!(check_to_end(&mut open(&engine, &origin).reader()), MIB);
}

#[test]
fn a_store_that_cannot_be_used_is_told_with_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a-file");
    std::fs::write(&file, b"precious").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = Engine::builder().store_dir(&path).build().unwrap_err();
        assert!(matches!(error, Error::Storage(_)), "{error:?}");
        assert!(error.to_string().contains("a-file"), "{error}");
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
    let builder = Engine::builder().store_dir("/proc/nothing/here");
    let error = builder.offline(true).build().unwrap_err();
    assert!(matches!(error, Error::Storage(_)), "{error:?}");
}

/// A3: such a folder may be writable another day, and stops no reader meanwhile.
#[cfg(target_os = "linux")]
#[test]
fn a3_a_store_that_cannot_be_made_is_streamed_past_and_told_with_its_path() {
    let origin = origin(MIB);
    let engine = Engine::builder().store_dir("/proc/nothing/here").config(quick()).build().unwrap();
    let session = open(&engine, &origin);
    assert_eq!(check_to_end(&mut session.reader()), MIB);
    assert!(!session.is_stored());
    match session.events().try_next() {
        Some(SessionEvent::StoreTrouble { error }) => {
            assert!(error.to_string().contains("/proc/nothing"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[cfg(unix)]
#[test]
fn a_store_that_is_not_writable_is_told_with_its_path() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let closed = dir.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o500)).unwrap();
    if std::fs::write(closed.join("probe"), b"").is_ok() {
        // Nothing is closed to the superuser.
        return;
    }
    let builder = Engine::builder().store_dir(closed.join("store"));
    let error = builder.offline(true).build().unwrap_err();
    assert_eq!(error.io_kind(), ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("closed"), "{error}");
}

#[test]
fn n1_a_404_and_a_403_on_open_are_told_as_such() {
    let origin = origin(MIB);
    let dir = tempfile::tempdir().unwrap();
    let engine = engine_in(dir.path(), quick());
    let error = engine.open_blocking(origin.url("/missing")).unwrap_err();
    assert_eq!(network(&error).status(), Some(404));
    assert_eq!((error.io_kind(), error.is_fatal()), (ErrorKind::NotFound, true));
    assert_eq!(network(&error).excerpt.as_deref(), Some("no such path"));
    assert!(error.to_string().contains("404") && error.to_string().contains("/missing"));
    origin.rule("/file", Rule::status(403, "no").once());
    let error = open_error(&engine, &origin);
    assert_eq!((error.io_kind(), error.is_fatal()), (ErrorKind::PermissionDenied, false));
    assert_eq!(check_to_end(&mut open(&engine, &origin).reader()), MIB);
    // Where it was missing it may be there later; a failed open leaves nothing in the way.
    origin.put("/missing", Content::pattern(10));
    let session = engine.open_blocking(origin.url("/missing")).unwrap();
    assert_eq!(check_to_end(&mut session.reader()), 10);
}

#[track_caller]
fn open_error(engine: &Engine, origin: &Origin) -> Error {
    engine.open_blocking(origin.url("/file")).unwrap_err()
}

#[test]
fn n1_a_refused_connection_on_open_is_told_and_a_later_open_works() {
    let mut origin = origin(MIB);
    let engine = engine(quick());
    origin.stop();
    let error = open_error(&engine, &origin);
    assert_eq!(network(&error).kind, NetworkErrorKind::Connection);
    assert_eq!((network(&error).stage, network(&error).attempts), (Stage::Connect, 3));
    assert_eq!((error.io_kind(), error.is_fatal()), (ErrorKind::ConnectionRefused, false));
    origin.restart();
    assert_eq!(check_to_end(&mut open(&engine, &origin).reader()), MIB);
}

#[test]
fn a_server_that_speaks_no_http_is_told() {
    let origin = origin(MIB);
    let engine = engine(quick());
    for head in ["HELLO\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "\0\0\0\0\r\n\r\n"] {
        origin.clear_rules("/file");
        origin.rule("/file", Rule::raw_head(head));
        let error = open_error(&engine, &origin);
        assert!(matches!(error, Error::Network(_)) && !error.is_fatal(), "{error:?}");
        assert!(error.to_string().contains("/file"), "{error}");
    }
}

/// Servers whose first answer lies: an error or the right bytes, never a wrong one, never a false end.
#[test]
fn a_server_that_lies_on_the_first_answer_gives_no_wrong_byte() {
    let lies: Vec<(&str, Rule)> = vec![
        ("shifted", Rule::shifted(10)),
        ("total below the range", Rule::total("3")),
        ("total of nothing", Rule::total("0")),
        ("total overflows", Rule::total("99999999999999999999")),
        ("total at 2^64", Rule::total(&u64::MAX.to_string())),
        ("negative total", Rule::total("-1")),
        ("longer", Rule::longer(10, false)),
        ("longer than its length", Rule::longer(10, true)),
        ("a length too long", Rule::framing(Framing::Lying(MIB + 1))),
        ("a length near 2^64", Rule::framing(Framing::Lying(u64::MAX))),
        ("two lengths", Rule::add_header("Content-Length", "5")),
        ("multipart", Rule::multipart()),
        ("gzip", Rule::gzip()),
        ("206 without a range", Rule::without_header("Content-Range")),
        ("200 and a range", Rule::edit(|_, answer| answer.status = 200)),
        ("416", Rule::not_satisfiable(Some(0))),
        ("416 and more", Rule::not_satisfiable(Some(5))),
        ("many headers", Rule::header_bomb(500, 500)),
        ("interim answers", Rule::interim(103, 20)),
    ];
    for (name, lie) in lies {
        let origin = origin(MIB);
        origin.rule("/file", lie);
        let session = match engine(quick()).open_blocking(origin.url("/file")) {
            Ok(session) => session,
            Err(error) => {
                assert!(matches!(error, Error::Network(_) | Error::Changed), "{name}: {error:?}");
                continue;
            }
        };
        let mut reader = session.reader();
        let (mut at, mut buf) = (0, vec![0; 64 << 10]);
        let end = loop {
            match reader.read(&mut buf) {
                Ok(0) => break Ok(at),
                Ok(n) => assert_eq!(pattern::first_wrong(&buf[..n], at, 0), None, "{name} at {at}"),
                Err(error) => break Err(error),
            }
            at = reader.stream_position().unwrap();
        };
        if let Ok(end) = end {
            let empty = name == "416";
            assert_eq!(end, if empty { 0 } else { MIB }, "{name}");
        }
    }
}

/// A length beyond 4 GiB, and one near the largest there is; nothing is fetched whole.
#[test]
fn lengths_near_2_to_the_64_work() {
    for len in [(1 << 32) + 1, 1 << 48, (1 << 48) + 5, i64::MAX as u64, u64::MAX - 1] {
        let origin = origin(len);
        let opened = engine(frugal()).open_blocking(origin.url("/file"));
        let session = match opened {
            Ok(session) => session,
            Err(error) => panic!("{len}: {error:?}"),
        };
        assert_eq!(session.len(), Some(len));
        let mut reader = session.reader();
        let far = [len / 2, (1 << 32) - 60, len - 100];
        for at in far {
            reader.seek(SeekFrom::Start(at)).unwrap();
            let mut buf = [0; 50];
            match reader.read_exact(&mut buf) {
                Ok(()) => assert_eq!(pattern::first_wrong(&buf, at, 0), None, "{len} at {at}"),
                // No file system has files that long.
                Err(io) => {
                    let error =
                        Error::from_io(&io).unwrap_or_else(|| panic!("{len} at {at}: {io}"));
                    assert!(matches!(error, Error::Storage(_)), "{len} at {at}: {error:?}");
                    assert!(at > 1 << 40, "{len} at {at}: {error:?}");
                }
            }
        }
        assert_eq!(reader.seek(SeekFrom::Start(len)).unwrap(), len);
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
        assert!(origin.log().body_bytes() < 8 * MIB);
        check_at(&mut reader, 0, 100);
    }
}
