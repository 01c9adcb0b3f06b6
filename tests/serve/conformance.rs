//! RFC 9110, case by case: our answers, the table in `docs/SERVE.md`, and nginx beside it.
//!
//! `UPDATE_SERVE=1 cargo test --all-features --test serve conformance` writes the table anew. With `NGINX_ADDR` (its address) and
//! `NGINX_ROOT` (a folder that it serves) nginx is asked too; `scripts/e2e.sh` does that.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use kithara_file::serve::Catalog;

use crate::cases::{Body, CASES, CHANGED, Case, DATE, EMPTY_ETAG, ETAG, LEN, Nginx};
use crate::stage::{Answer, Client, Content, Setup, Stage, pattern};

const PAPER: &str = "docs/SERVE.md";
const BEGIN: &str = "<!-- cases: begin -->\n";
const END: &str = "<!-- cases: end -->";

fn stage() -> Stage {
    let stage = Setup::of(Content::pattern(1)).start();
    let of = |len: u64, etag: &str| Content::pattern(len).etag(etag).last_modified(CHANGED);
    stage.origin.put("/film.bin", of(LEN as u64, ETAG));
    stage.origin.put("/empty.bin", of(0, EMPTY_ETAG));
    add(&stage.catalog, &stage, "/film.bin");
    add(&stage.catalog, &stage, "/empty.bin");
    stage
}

fn add(catalog: &Catalog, stage: &Stage, path: &str) {
    let media = catalog.add(stage.origin.url(path)).unwrap();
    assert_eq!(media.path(), path);
}

fn ask(addr: SocketAddr, case: &Case) -> Answer {
    Client::connect(addr).ask(case.method, case.path, case.headers)
}

/// What is wrong with the body, if anything.
fn wrong_body(answer: &Answer, body: Body) -> Option<String> {
    if !answer.whole {
        return Some("it breaks off".into());
    }
    let is = &answer.body;
    match body {
        Body::None => (!is.is_empty()).then(|| format!("{} bytes too many", is.len())),
        Body::Text => is.is_empty().then(|| "no word about it".into()),
        Body::Bytes(first, last) => {
            let right = is.len() == last + 1 - first && pattern::check(is, first as u64, 0);
            (!right).then(|| format!("{} bytes, or wrong ones", is.len()))
        }
        Body::Parts(parts) => {
            let found = split(answer);
            let expected: Vec<_> = parts.iter().map(|&(first, last)| part(first, last)).collect();
            (found != Some(expected)).then(|| format!("other parts: {}", answer.text()))
        }
    }
}

fn part(first: usize, last: usize) -> (String, Vec<u8>) {
    let bytes = pattern::bytes(first as u64, last + 1 - first, 0);
    (format!("bytes {first}-{last}/{LEN}"), bytes)
}

/// `Content-Range` and bytes of each part of a multipart answer.
fn split(answer: &Answer) -> Option<Vec<(String, Vec<u8>)>> {
    let boundary =
        answer.header("content-type")?.strip_prefix("multipart/byteranges; boundary=")?;
    let mut rest = &answer.body[..];
    let delimiter = format!("--{boundary}");
    // The first one may have a line's end before it.
    rest = rest.strip_prefix(b"\r\n").unwrap_or(rest).strip_prefix(delimiter.as_bytes())?;
    let mut found = Vec::new();
    loop {
        if rest == b"--\r\n" {
            return Some(found);
        }
        let end = rest.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&rest[..end]).ok()?;
        let range = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-range").then(|| value.to_owned())
        })?;
        rest = &rest[end + 4..];
        let next = format!("\r\n{delimiter}");
        let len = rest.windows(next.len()).position(|window| window == next.as_bytes())?;
        found.push((range, rest[..len].to_vec()));
        rest = &rest[len + next.len()..];
    }
}

/// What is wrong with an answer that should be as the case says.
fn complaint(answer: &Answer, case: &Case) -> Option<String> {
    if answer.status != case.status {
        return Some(format!("status {}, not {}", answer.status, case.status));
    }
    let range = answer.header("content-range");
    if range != case.content_range {
        return Some(format!("Content-Range {range:?}, not {:?}", case.content_range));
    }
    wrong_body(answer, case.body).map(|why| format!("body: {why}"))
}

#[test]
fn every_case_is_answered_as_the_rfc_says() {
    let stage = stage();
    assert!(CASES.len() >= 30);
    let mut wrong = Vec::new();
    for case in CASES {
        let answer = ask(stage.addr, case);
        if let Some(complaint) = complaint(&answer, case).or_else(|| wrong_head(&answer, case)) {
            wrong.push(format!("{}: {complaint}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

/// What every answer of ours has, whatever the case.
fn wrong_head(answer: &Answer, case: &Case) -> Option<String> {
    let has = |name: &str, value: &str| match answer.header(name) {
        Some(is) if is == value => None,
        is => Some(format!("{name} is {is:?}, not {value}")),
    };
    if case.path == "/empty.bin" {
        // The engine asks for a range and is refused: that answer's tag is not of the resource.
        return (case.status == 200).then(|| has("content-length", "0")).flatten();
    }
    let (etag, len) = (ETAG, LEN.to_string());
    match case.status {
        304 => has("etag", etag).or_else(|| has("last-modified", DATE)),
        200 => has("etag", etag)
            .or_else(|| has("last-modified", DATE))
            .or_else(|| has("accept-ranges", "bytes"))
            .or_else(|| has("content-type", "application/octet-stream"))
            .or_else(|| has("content-length", &len)),
        206 => has("etag", etag).or_else(|| has("accept-ranges", "bytes")),
        405 => has("allow", "GET, HEAD"),
        _ => None,
    }
}

/// HTTP/1.0 knows no `Host`; a later version must name one.
#[test]
fn without_a_host_only_http_1_0_is_answered() {
    let stage = stage();
    let mut client = stage.client();
    client.send_raw("GET /film.bin HTTP/1.0\r\nRange: bytes=5-9\r\n\r\n");
    let answer = client.answer("GET");
    assert_eq!((answer.status, answer.body.len()), (206, 5), "{}", answer.text());
    let mut client = stage.client();
    client.send_raw("GET /film.bin HTTP/1.1\r\n\r\n");
    assert_eq!(client.answer("GET").status, 400);
}

#[test]
fn nginx_answers_the_same_or_it_is_documented() {
    let (Ok(addr), Ok(root)) = (std::env::var("NGINX_ADDR"), std::env::var("NGINX_ROOT")) else {
        return;
    };
    let addr = addr.parse().unwrap();
    for (name, len) in [("film.bin", LEN), ("empty.bin", 0)] {
        let path = Path::new(&root).join(name);
        std::fs::write(&path, pattern::bytes(0, len, 0)).unwrap();
        let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(CHANGED);
        std::fs::File::options().append(true).open(&path).unwrap().set_modified(changed).unwrap();
    }
    let mut wrong = Vec::new();
    for case in CASES {
        let answer = ask(addr, case);
        let same = complaint(&answer, case);
        let wrong_here = match case.nginx {
            Nginx::Same => same,
            Nginx::Status(status, _) if answer.status == status => None,
            Nginx::Status(status, _) => Some(format!("status {}, not {status}", answer.status)),
        };
        println!("{:<45} ours {} nginx {}", case.name, case.status, answer.status);
        wrong.extend(wrong_here.map(|why| format!("{}: {why}", case.name)));
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

fn table() -> String {
    let mut table = String::from("| case | request | answer | nginx 1.22 |\n|---|---|---|---|\n");
    for case in CASES {
        let method = (case.method != "GET").then(|| format!("{} ", case.method));
        let path = (case.path != "/film.bin").then(|| format!("`{}` ", case.path));
        let headers: Vec<String> =
            case.headers.iter().map(|header| format!("`{header}`")).collect();
        let request = format!(
            "{}{}{}",
            method.unwrap_or_default(),
            path.unwrap_or_default(),
            headers.join("<br>")
        );
        let mut answer = case.status.to_string();
        if let Some(range) = case.content_range {
            answer.push_str(&format!(", `{range}`"));
        }
        if let Body::Parts(parts) = case.body {
            answer.push_str(&format!(", {} parts", parts.len()));
        }
        let nginx = match case.nginx {
            Nginx::Same => "same".to_owned(),
            Nginx::Status(status, why) => format!("{status}: {why}"),
        };
        table.push_str(&format!("| {} | {} | {answer} | {nginx} |\n", case.name, request.trim()));
    }
    table
}

#[test]
fn the_paper_tells_every_case() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAPER);
    let paper = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = paper.split_once(BEGIN).expect("where the cases begin");
    let (told, after) = rest.split_once(END).expect("where they end");
    if std::env::var_os("UPDATE_SERVE").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{}{END}{after}", table())).unwrap();
    } else {
        assert_eq!(told, table(), "UPDATE_SERVE=1 writes it anew");
    }
}
