//! Spare connections over real sockets: opened beside the first request, used by the next place, closed with the
//! session.

use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::support::*;

/// Length of what the listener serves.
const LEN: u64 = 64 * MIB;

/// The next connection, its reads bounded so that silence fails the test.
fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// Reads a request's head and returns the first byte that it asks for.
fn asked(stream: &mut TcpStream) -> u64 {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let range = head.lines().find_map(|line| line.strip_prefix("range: bytes=")).unwrap();
    range.split('-').next().unwrap().parse().unwrap()
}

/// Answers with the bytes from `start` on, all but the last of them: the body stays open.
fn answer_most(stream: &mut TcpStream, start: u64) {
    let body = [0; 4096];
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {start}-{}/{LEN}\r\nContent-Length: {}\r\n\r\n",
        start + body.len() as u64,
        body.len() + 1
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body).unwrap();
}

#[test]
fn p3_the_second_place_is_asked_for_over_a_connection_that_is_open_already() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/file", listener.local_addr().unwrap());
    let engine = engine(frugal());
    let opening = std::thread::spawn(move || engine.open_blocking(url).unwrap());
    let mut first = accept(&listener);
    assert_eq!(asked(&mut first), 0);
    // Beside it, before anything was answered, and nothing is asked for over it.
    let mut spare = accept(&listener);
    answer_most(&mut first, 0);
    let session = opening.join().unwrap();
    let mut reader = session.reader();
    reader.read_exact(&mut [0; 16]).unwrap();
    reader.seek(SeekFrom::Start(LEN - 5000)).unwrap();
    let reading = std::thread::spawn(move || reader.read(&mut [0; 16]).unwrap());
    assert_eq!(asked(&mut spare), LEN - 5000);
    answer_most(&mut spare, LEN - 5000);
    assert_eq!(reading.join().unwrap(), 16);
}

/// A4, A5: what is stored whole is served without the network, and nobody knocks at the origin's door.
#[test]
fn a4_a_resource_that_is_stored_is_opened_and_read_without_a_connection() {
    let folder = tempfile::tempdir().unwrap();
    let origin = origin(100_000);
    let play = || {
        let engine = Engine::builder().store_dir(folder.path()).config(quick()).build().unwrap();
        let session = open(&engine, &origin);
        check_at(&mut session.reader(), 0, 100_000);
        block_on(session.close());
        origin.log().connections.len()
    };
    let first = play();
    assert!(first >= 1);
    assert_eq!([play(), play()], [first, first]);
}

#[test]
fn d1_a_spare_connection_goes_with_its_session() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/file", listener.local_addr().unwrap());
    let engine = engine(frugal());
    let opening = std::thread::spawn(move || (engine.open_blocking(url).unwrap(), engine));
    let mut first = accept(&listener);
    assert_eq!(asked(&mut first), 0);
    let mut spare = accept(&listener);
    answer_most(&mut first, 0);
    let (session, _engine) = opening.join().unwrap();
    drop(session);
    assert_eq!(spare.read(&mut [0; 16]).unwrap(), 0, "closed, and not a byte was sent");
}

#[test]
fn p8_without_preconnecting_only_requests_make_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/file", listener.local_addr().unwrap());
    let mut config = frugal();
    config.tunables.fetch.preconnect = false;
    let engine = engine(config);
    let opening = std::thread::spawn(move || engine.open_blocking(url).unwrap());
    let mut first = accept(&listener);
    assert_eq!(asked(&mut first), 0);
    answer_most(&mut first, 0);
    let session = opening.join().unwrap();
    let mut reader = session.reader();
    reader.seek(SeekFrom::Start(LEN - 5000)).unwrap();
    let reading = std::thread::spawn(move || reader.read(&mut [0; 16]).unwrap());
    let mut second = accept(&listener);
    assert_eq!(asked(&mut second), LEN - 5000, "it has a request for us at once");
    answer_most(&mut second, LEN - 5000);
    assert_eq!(reading.join().unwrap(), 16);
}
