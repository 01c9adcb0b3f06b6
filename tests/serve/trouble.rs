//! When the origin or the disk fails: before the head that is a status, after it the answer breaks off.

use kithara_file::origin::Framing;
use kithara_file::{Config, OnChange};

use crate::stage::{Content, Gate, MIB, Rule, Setup, Stage, eventually, pattern};

fn frugal(len: u64) -> Setup {
    let mut setup = Setup::of(Content::pattern(len));
    setup.engine.tunables.readahead.enabled = false;
    setup.engine.tunables.readahead.whole_file = 0;
    setup
}

#[test]
fn what_fails_before_the_head_has_a_status_and_a_word() {
    for (rule, status) in [
        (Rule::status(404, "no such film"), 404),
        (Rule::status(410, "gone"), 410),
        (Rule::status(403, "no"), 403),
        (Rule::status(401, "who?"), 502),
        (Rule::status(500, "oh"), 502),
        (Rule::retry_after(503, "3600"), 503),
        (Rule::login_page(), 502),
    ] {
        let stage = frugal(MIB).start();
        stage.origin.put("/film.mp4", Content::pattern(MIB));
        stage.origin.rule("/film.mp4", rule);
        stage.catalog.add(stage.origin.url("/film.mp4")).unwrap();
        for method in ["GET", "HEAD"] {
            let answer = stage.ask(method, "/film.mp4", &[]);
            assert_eq!(answer.status, status, "{}", answer.text());
            assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
            assert!(method == "HEAD" || !answer.body.is_empty());
        }
        if status == 503 {
            let answer = stage.get("/film.mp4", &[]);
            assert_eq!(answer.header("retry-after"), Some("3600"));
        }
        // When the origin is well again, so is the server.
        stage.origin.clear_rules("/film.mp4");
        assert_eq!(stage.get("/film.mp4", &["Range: bytes=0-9"]).status, 206);
    }
}

#[test]
fn an_origin_that_is_away_is_a_bad_gateway() {
    let mut stage = frugal(MIB).start();
    assert_eq!(stage.get("/file", &["Range: bytes=0-9"]).status, 206);
    stage.origin.stop();
    assert_eq!(stage.get("/file", &["Range: bytes=0-9"]).status, 206, "what is stored is there");
    let answer = stage.get("/file", &["Range: bytes=900000-"]);
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert_eq!(stage.ask("HEAD", "/file", &[]).status, 200);
    stage.origin.restart();
    assert_eq!(stage.get("/file", &["Range: bytes=900000-"]).status, 206);
}

/// Never a clean short end.
#[test]
fn what_fails_after_the_head_breaks_the_answer_off() {
    let stage = frugal(4 * MIB).start();
    // From 2 MiB on there is nothing to be had.
    stage.origin.rule(
        "/file",
        Rule::edit(|request, answer| {
            let first = match request.range() {
                Some(kithara_file::origin::Range::From(first, _)) => first,
                _ => 0,
            };
            match (2 * MIB).checked_sub(first) {
                Some(0) | None => answer.replace_by(kithara_file::origin::Answer::text(500, "oh")),
                Some(before) => answer.in_body.push((before, kithara_file::origin::Step::Reset)),
            }
        }),
    );
    let answer = stage.get("/file", &[]);
    assert_eq!(answer.status, 200);
    assert!(!answer.whole, "{} bytes", answer.body.len());
    assert_eq!(answer.body.len() as u64, 2 * MIB, "all that there was");
    assert_eq!(pattern::first_wrong(&answer.body, 0, 0), None);
    let answer = stage.get("/file", &["Range: bytes=0-9,3000000-3000009"]);
    assert_eq!((answer.status, answer.whole), (206, false));
    stage.origin.clear_rules("/file");
    assert!(stage.get("/file", &[]).whole, "the next request goes on");
}

#[test]
fn of_unknown_length_a_break_has_no_last_chunk() {
    let stage = frugal(0).start();
    stage.origin.put("/file", Content::pattern(MIB).no_ranges());
    let gate = Gate::new();
    let broken = Rule::gate_body(400_000, &gate).and(Rule::reset_after(500_000));
    stage.origin.rule("/file", Rule::framing(Framing::Chunked).and(broken));
    let mut client = stage.client();
    client.send("GET", "/file", &[]);
    let head = client.head();
    gate.open();
    let answer = client.body("GET", head);
    assert_eq!((answer.status, answer.whole), (200, false), "{}", answer.body.len());
    // And HTTP/1.0 could not even say so.
    let mut client = stage.client();
    client.send_raw("GET /file HTTP/1.0\r\n\r\n");
    assert_eq!(client.answer("GET").status, 505);
}

/// E9: a stream without an end is kept as far as there is room. Whoever comes later is told that its start went.
#[test]
fn e9_a_stream_whose_start_went_is_gone_for_who_asks_now_and_goes_on_for_who_listens() {
    let mut setup = Setup::of(Content::pattern(1 << 40).no_ranges());
    setup.engine.store.max_bytes = 4 * MIB;
    let stage = setup.start();
    stage.origin.rule("/file", Rule::framing(Framing::Chunked));
    let mut listener = stage.client();
    listener.send("GET", "/file", &[]);
    assert_eq!(listener.head().status, 200);
    let status = || {
        let mut client = stage.client();
        client.send("GET", "/file", &[]);
        client.head().status
    };
    let mut seen = 200;
    eventually("the start goes", || {
        assert!(!listener.take(64 << 10).is_empty(), "it goes on");
        seen = status();
        seen != 200
    });
    assert_eq!(seen, 410);
    assert_eq!(stage.ask("GET", "/file", &["Range: bytes=0-9"]).status, 410);
    for _ in 0..64 {
        assert_eq!(listener.take(64 << 10).len(), 64 << 10, "it goes on");
    }
}

fn changing(on_change: OnChange) -> Stage {
    let mut setup = frugal(4 * MIB);
    let mut engine = Config::default();
    std::mem::swap(&mut engine, &mut setup.engine);
    engine.net.on_change = on_change;
    setup.engine = engine;
    setup.content = Content::pattern(4 * MIB).etag("\"old\"");
    setup.start()
}

/// Each answer is of one version, and says of which.
#[test]
fn a_resource_that_changes_is_served_anew_and_never_mixed() {
    for on_change in [OnChange::Fail, OnChange::Restart] {
        let stage = changing(on_change);
        let answer = stage.get("/file", &["Range: bytes=0-9"]);
        assert_eq!((answer.status, answer.header("etag")), (206, Some("\"old\"")));
        stage.origin.replace("/file", Content::pattern(3 * MIB).seed(1).etag("\"new\""));
        // What is stored is of the old version, and what is missing of the new one.
        let answer = stage.get("/file", &[]);
        let (seed, len) = match answer.header("etag") {
            Some("\"old\"") => (0, 4 * MIB),
            Some("\"new\"") => (1, 3 * MIB),
            other => panic!("{other:?}"),
        };
        assert_eq!(answer.header("content-length"), Some(len.to_string().as_str()));
        assert_eq!(pattern::first_wrong(&answer.body, 0, seed), None);
        assert!(answer.whole == (seed == 1), "an old one breaks off");
        let answer = stage.get("/file", &["Range: bytes=1000000-1000009"]);
        assert_eq!(answer.status, 206, "{on_change:?}: {}", answer.text());
        assert_eq!(answer.header("etag"), Some("\"new\""), "{on_change:?}");
        assert_eq!(pattern::first_wrong(&answer.body, 1_000_000, 1), None);
        let answer = stage.get("/file", &["Range: bytes=0-9", "If-Range: \"old\""]);
        assert_eq!((answer.status, answer.body.len() as u64), (200, 3 * MIB));
        assert_eq!(pattern::first_wrong(&answer.body, 0, 1), None);
    }
}
