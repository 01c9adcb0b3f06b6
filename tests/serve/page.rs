//! The page for people, as a browser sees it: what it is made of, what it is told, and what it may ask for.

use serde_json::{Value, json};

use crate::stage::{Answer, Content, MIB, Setup, Stage, eventually};

const LEN: u64 = 4 * MIB;

fn text(answer: &Answer) -> &str {
    std::str::from_utf8(&answer.body).unwrap()
}

/// Sends `body` to `path` as the page does.
fn post(stage: &Stage, path: &str, body: &str) -> Answer {
    let mut client = stage.client();
    let len = format!("Content-Length: {}", body.len());
    let head = format!("POST {path} HTTP/1.1\r\nHost: {}\r\n{len}\r\n\r\n{body}", stage.addr);
    client.send_raw(&head);
    client.answer("POST")
}

/// The next state of which `holds` is true.
fn state(stage: &Stage, holds: impl Fn(&Value) -> bool) -> Value {
    let mut client = stage.client();
    client.send("GET", "/_/state", &[]);
    assert_eq!(client.head().header("content-type"), Some("text/event-stream"));
    let mut told = String::new();
    loop {
        let more = client.take(1);
        assert!(!more.is_empty(), "the stream goes on");
        told.push(char::from(more[0]));
        // Told in chunks, so a line of the chunking may stand before.
        if let Some(event) = told.strip_suffix("\n\n").and_then(|told| told.rsplit_once("data: ")) {
            let state = serde_json::from_str(event.1).unwrap();
            if holds(&state) {
                return state;
            }
            told.clear();
        }
    }
}

#[test]
fn a_browser_gets_the_page_and_everybody_else_a_list() {
    let stage = Stage::new(LEN);
    let page = stage.get("/", &["Accept: text/html,application/xhtml+xml"]);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    let html = text(&page);
    for (path, kind) in
        [("_/page.css", "text/css; charset=utf-8"), ("_/page.js", "text/javascript; charset=utf-8")]
    {
        assert!(html.contains(&format!("\"{path}\"")), "{path}");
        let part = stage.get(&format!("/{path}"), &[]);
        assert_eq!((part.status, part.header("content-type")), (200, Some(kind)));
        assert!(!text(&part).contains("http://"), "nothing comes from elsewhere: {path}");
    }
    assert_eq!(stage.get("/_/map.js", &[]).status, 200);
    assert!(!html.contains("http://") && !html.contains("https://"));
    let list = stage.get("/", &["Accept: */*"]);
    assert_eq!(list.header("content-type"), Some("text/plain; charset=utf-8"));
    assert!(text(&list).starts_with("file http://"), "{}", list.text());
}

#[test]
fn the_page_is_told_what_is_stored_and_how_long_clients_waited() {
    let stage = Stage::new(LEN);
    let closed = state(&stage, |_| true);
    assert_eq!(
        (&closed["media"][0]["name"], &closed["media"][0]["open"]),
        (&json!("file"), &Value::Null)
    );
    assert_eq!(stage.get("/file", &["Range: bytes=100-199"]).body.len(), 100);
    let now = state(&stage, |state| state["media"][0]["open"]["complete"] == json!(true));
    let open = &now["media"][0]["open"];
    assert_eq!(open["covered"], json!([[0, LEN]]));
    assert_eq!((&open["coveredBytes"], &open["len"]), (&json!(LEN), &json!(LEN)));
    assert_eq!((&open["seekCount"], open["seeks"].as_array().unwrap().len()), (&json!(1), 1));
    assert!(open["seeks"][0].as_u64().unwrap() > 0, "{open}");
    assert_eq!(open["read"], json!(100), "a body is read as its client takes it");
}

/// A hint brings bytes that no client has asked for.
#[test]
fn a_hint_is_fetched() {
    let stage = Setup::of(Content::pattern(1 << 40)).start();
    assert_eq!(stage.get("/file", &["Range: bytes=0-99"]).body.len(), 100);
    let id = state(&stage, |_| true)["media"][0]["id"].as_u64().unwrap();
    let at = 1_u64 << 39;
    assert_eq!(post(&stage, "/_/hint", &json!({"id": id, "at": at}).to_string()).status, 204);
    eventually("the place is fetched", || {
        let covered = stage.file.session().unwrap().snapshot().covered;
        covered.iter().any(|range| range.contains(&at))
    });
    assert_eq!(post(&stage, "/_/hint", &json!({"id": 99, "at": 0}).to_string()).status, 404);
    assert_eq!(post(&stage, "/_/hint", "{}").status, 400);
}

#[test]
fn knobs_are_turned_all_or_none() {
    let stage = Stage::new(LEN);
    let knobs = || -> Value { serde_json::from_str(text(&stage.get("/_/knobs", &[]))).unwrap() };
    let before = knobs();
    assert_eq!((&before["enabled"], &before["maxFetches"]), (&json!(true), &json!(4)));
    let turned = post(&stage, "/_/knobs", r#"{"maxFetches": 7, "startSeconds": 2.5}"#);
    let now: Value = serde_json::from_str(text(&turned)).unwrap();
    assert_eq!((&now["maxFetches"], &now["startSeconds"]), (&json!(7), &json!(2.5)));
    assert_eq!(now, knobs());
    for wrong in [
        r#"{"maxFetches": 0}"#,
        r#"{"maxFetches": 3, "startSeconds": -1}"#,
        r#"{"maxFetches": 3, "nonsense": 1}"#,
        "no JSON",
    ] {
        let refused = post(&stage, "/_/knobs", wrong);
        assert_eq!(refused.status, 400, "{wrong}: {}", refused.text());
        assert_eq!(knobs(), now, "{wrong}");
    }
    let long = format!("{{\"maxFetches\": {}1}}", " ".repeat(5000));
    assert_eq!(post(&stage, "/_/knobs", &long).status, 413);
}

/// Another page cannot turn them: its browser says whose it is.
#[test]
fn a_foreign_page_turns_no_knob() {
    let stage = Stage::new(LEN);
    let body = r#"{"enabled": false}"#;
    let mut client = stage.client();
    let head = format!(
        "Host: {}\r\nOrigin: http://evil.example\r\nContent-Length: {}",
        stage.addr,
        body.len()
    );
    client.send_raw(&format!("POST /_/knobs HTTP/1.1\r\n{head}\r\n\r\n{body}"));
    assert_eq!(client.answer("POST").status, 403);
    assert!(stage.get("/_/knobs", &[]).text().contains("\"enabled\":true"));
}
