//! What is bounded: connections, their idleness, heads.

use std::collections::VecDeque;
use std::time::Duration;

use crate::stage::{Content, Setup, eventually};

/// Ten thousand that say nothing: there are never more than allowed, and whoever has something to say is served.
#[test]
fn ten_thousand_idle_connections_keep_nobody_out() {
    const MOST: usize = 64;
    let mut setup = Setup::of(Content::pattern(1000));
    setup.serve.max_connections = MOST;
    // None goes because of the time.
    setup.serve.head_timeout = Duration::from_secs(3600);
    let stage = setup.start();
    let mut busy = stage.client();
    assert_eq!(busy.ask("GET", "/file", &[]).status, 200);
    // As many are held as the client's own system allows easily; the server has closed those long since.
    let mut held = VecDeque::new();
    for number in 0..10_000 {
        let mut idle = stage.client();
        if number % 3 == 0 {
            idle.send_raw("GET /file HTTP/1.1\r\nHost:");
        }
        held.push_back(idle);
        if held.len() > 4 * MOST {
            let mut gone = held.pop_front().unwrap();
            assert!(gone.try_head().is_none(), "it was closed");
        }
        if number % 1000 == 0 {
            assert_eq!(stage.get("/file", &["Range: bytes=0-4"]).status, 206);
        }
    }
    assert_eq!(stage.get("/file", &["Range: bytes=0-4"]).status, 206);
}

/// One that is being served never makes room.
#[test]
fn a_connection_in_use_is_not_closed_for_another() {
    let mut setup = Setup::of(Content::pattern(1 << 40));
    setup.serve.max_connections = 2;
    let stage = setup.start();
    let mut players: Vec<_> = (0..2).map(|_| stage.client()).collect();
    for player in &mut players {
        player.send("GET", "/file", &[]);
        assert_eq!(player.head().status, 200);
    }
    let mut third = stage.client();
    third.send("GET", "/file", &[]);
    assert!(third.try_head().is_none(), "there is no room");
    for player in &mut players {
        assert_eq!(player.take(4 << 20).len(), 4 << 20);
    }
    drop(players);
    eventually("there is room again", || {
        let mut next = stage.client();
        next.send("GET", "/file", &["Range: bytes=0-4"]);
        next.try_head().is_some_and(|answer| answer.status == 206)
    });
}

#[test]
fn a_head_that_does_not_end_is_not_waited_for() {
    let mut setup = Setup::of(Content::pattern(1000));
    setup.serve.head_timeout = Duration::from_millis(20);
    let stage = setup.start();
    let mut silent = stage.client();
    assert!(silent.try_head().is_none(), "closed");
    let mut slow = stage.client();
    slow.send_raw("GET /file HTTP/1.1\r\nHo");
    assert!(slow.try_head().is_none_or(|answer| answer.status == 408), "closed");
    // On a slow machine the time is over before anything was said.
    eventually("a request is quick enough", || {
        let mut kept = stage.client();
        kept.send("HEAD", "/file", &[]);
        let answered = kept.try_head().is_some_and(|answer| answer.status == 200);
        assert!(kept.try_head().is_none(), "closed when idle");
        answered
    });
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let stage = Setup::of(Content::pattern(1000)).start();
    let large = format!("X-Large: {}", "x".repeat(100 << 10));
    let mut client = stage.client();
    client.send("GET", "/file", &[&large]);
    assert!(client.try_head().is_none_or(|answer| answer.status == 431));
    let many: Vec<String> = (0..200).map(|number| format!("X-{number}: x")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let answer = stage.get("/file", &many);
    assert_eq!(answer.status, 431);
    let long = format!("/{}", "x".repeat(60 << 10));
    let mut client = stage.client();
    client.send("GET", &long, &[]);
    assert!(client.try_head().is_none_or(|answer| matches!(answer.status, 414 | 431)));
    assert_eq!(stage.get("/file", &[]).status, 200);
}
