//! `serve`: as a user starts it, and as a player uses it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command};

use kithara_file::origin::pattern;

use super::{Desk, Ended, MIB};

/// The addresses that the program prints.
fn addresses(child: &mut Child, count: usize) -> Vec<String> {
    let out = BufReader::new(child.stdout.take().unwrap());
    let lines: Vec<String> = out.lines().take(count).map(|line| line.unwrap()).collect();
    assert_eq!(lines.len(), count, "{lines:?}");
    lines
}

/// One request; the head and the body.
fn get(address: &str, headers: &str) -> (String, Vec<u8>) {
    let rest = address.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n")
        .unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    let end = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    (String::from_utf8(all[..end].to_vec()).unwrap(), all[end + 4..].to_vec())
}

fn interrupt(child: &Child) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
}

#[cfg(unix)]
#[test]
fn serve_gives_each_url_an_address_and_ends_on_ctrl_c() {
    let desk = Desk::new(3 * MIB + 17);
    let mut child = desk.start(&["serve", &desk.url(), &desk.url()]);
    let addresses = addresses(&mut child, 2);
    assert!(addresses[0].starts_with("http://127.0.0.1:"), "{addresses:?}");
    assert!(addresses[0].ends_with("/film.bin") && addresses[1].ends_with("/film-2.bin"));
    for address in &addresses {
        let (head, body) = get(address, "Range: bytes=1000-\r\n");
        assert!(head.starts_with("HTTP/1.1 206 "), "{head}");
        assert_eq!(body.len() as u64, desk.len - 1000);
        assert_eq!(pattern::first_wrong(&body, 1000, 0), None);
    }
    interrupt(&child);
    let ended = Ended::of(child.wait_with_output().unwrap()).fine();
    assert!(ended.err.contains("Ctrl-C"), "{}", ended.err);

    // What was received once needs no network.
    let requests = desk.origin.log().len();
    let mut child = desk.start(&["serve", "--offline", "--token", &desk.url()]);
    let address = self::addresses(&mut child, 1).remove(0);
    assert!(address.len() > "http://127.0.0.1:1/film.bin".len() + 32, "a token: {address}");
    let (_, body) = get(&address, "Range: bytes=2000-\r\n");
    assert_eq!(body.len() as u64, desk.len - 2000);
    interrupt(&child);
    child.wait().unwrap();
    assert_eq!(desk.origin.log().len(), requests);
}

#[test]
fn serve_says_what_it_cannot_do() {
    let desk = Desk::new(1000);
    assert_eq!(desk.run(&["serve"]).code, Some(2));
    desk.run(&["serve", "not a url"]).failed(2, &["url"]);
    desk.run(&["serve", "--allow", "file:///etc", &desk.url()]).failed(2, &["allow"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    desk.run(&["serve", &desk.url(), "--port", &port]).failed(1, &["--port"]);
}

#[cfg(unix)]
#[test]
fn serve_gives_each_media_file_of_a_folder_an_address() {
    let desk = Desk::new(1000);
    std::fs::create_dir_all(desk.path("films/old")).unwrap();
    for name in ["films/new.mp4", "films/old/one.mkv", "films/.hidden.mp4", "films/notes.txt"] {
        std::fs::write(desk.path(name), name).unwrap();
    }
    let mut child = desk.start(&["serve", "films"]);
    let addresses = addresses(&mut child, 2);
    assert!(addresses[0].ends_with("/new.mp4") && addresses[1].ends_with("/one.mkv"));
    assert_eq!(get(&addresses[1], "").1, b"films/old/one.mkv");
    interrupt(&child);
    Ended::of(child.wait_with_output().unwrap()).fine();
}
