//! The origin as real clients see it: reqwest over HTTP/1.1, HTTP/2, TLS and the shaped link.

use std::time::Duration;

use kithara_file::origin::{Content, End, Gate, Link, Origin, Rule, Step, pattern};

use super::LEN;
use super::support::tls::tls;

/// A client over plain connections; `http2` without asking.
fn client(http2: bool) -> reqwest::Client {
    let tls = tls(&[]).client;
    let builder = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy();
    let builder = if http2 { builder.http2_prior_knowledge() } else { builder };
    builder.build().expect("a client")
}

/// The bytes `range` of `/big.bin`, and the version of HTTP they came by.
async fn fetch(client: &reqwest::Client, origin: &Origin, range: &str) -> (Vec<u8>, String) {
    let request = client.get(origin.url("/big.bin")).header("Range", format!("bytes={range}"));
    let response = request.send().await.expect("an answer");
    assert_eq!(response.status(), 206);
    let version = format!("{:?}", response.version());
    (response.bytes().await.expect("a body").to_vec(), version)
}

#[tokio::test]
async fn reqwest_gets_the_bytes_by_either_version_and_through_the_link() {
    let link = Link::new(Duration::from_millis(2), 400_000_000);
    for builder in [Origin::builder(), Origin::builder().link(link)] {
        let origin = builder.start();
        origin.put("/big.bin", Content::pattern(LEN).seed(7));
        for (http2, expected) in [(false, "HTTP/1.1"), (true, "HTTP/2.0")] {
            let client = client(http2);
            let (body, version) = fetch(&client, &origin, "1001-500000").await;
            assert_eq!((body.len(), &version[..]), (499_000, expected));
            assert!(pattern::check(&body, 1001, 7));
            fetch(&client, &origin, "0-9").await;
        }
        let log = origin.until(|log| log.running() == 0).await;
        assert_eq!(log.connections.len(), 2);
        assert!(log.connections[1].http2 && !log.connections[0].http2);
        assert!(log.iter().all(|one| one.is_finished()));
        assert_eq!(log[2].range, Some((1001, Some(500_000))));
        assert_eq!((log[2].body_bytes, log[3].on_connection), (499_000, 1));
    }
}

#[tokio::test]
async fn reqwest_speaks_tls_and_agrees_on_http2() {
    let tls = tls(&["h2", "http/1.1"]);
    let origin = Origin::builder().tls(tls.acceptor).start();
    origin.put("/big.bin", Content::pattern(LEN).seed(7));
    assert!(origin.url("/").starts_with("https://"));
    for (protocols, expected) in [(vec!["h2"], "HTTP/2.0"), (vec!["http/1.1"], "HTTP/1.1")] {
        let mut config = tls.client.clone();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let builder = reqwest::Client::builder().tls_backend_preconfigured(config).no_proxy();
        let client = builder.build().expect("a client");
        let (body, version) = fetch(&client, &origin, "5-200004").await;
        assert!(body.len() == 200_000 && pattern::check(&body, 5, 7));
        assert_eq!(version, expected);
    }
}

#[tokio::test]
async fn scripts_work_over_http2_too() {
    let origin = Origin::start();
    origin.put("/big.bin", Content::pattern(LEN).seed(7));
    let (head, body) = (Gate::new(), Gate::new());
    let gates = Rule::gate_head(&head).and(Rule::gate_body(100, &body));
    origin.rule("/big.bin", gates.once());
    origin.rule("/big.bin", Rule::reset_after(1000).once());
    origin.rule("/big.bin", Rule::stall_after(10).once());
    let client = client(true);

    let request = client.get(origin.url("/big.bin")).send();
    let (response, ()) = tokio::join!(request, async {
        head.until_arrived(1).await;
        head.open();
    });
    let mut response = response.expect("an answer");
    body.until_arrived(1).await;
    assert_eq!(origin.log()[0].body_bytes, 100);
    assert_eq!(response.chunk().await.expect("a chunk").expect("bytes").len(), 100);
    body.open();
    assert_eq!(response.bytes().await.expect("the rest").len() as u64, LEN - 100);

    let cut = client.get(origin.url("/big.bin")).send().await.expect("an answer");
    cut.bytes().await.expect_err("a reset stream");

    let mut stalled = client.get(origin.url("/big.bin")).send().await.expect("an answer");
    assert_eq!(stalled.chunk().await.expect("a chunk").expect("bytes").len(), 10);
    drop(stalled);
    let log = origin.until(|log| log.len() == 3 && log.running() == 0).await;
    let ends: Vec<_> = log.iter().map(|one| one.end).collect();
    assert_eq!(ends, [Some(End::Finished), Some(End::Cut), Some(End::Aborted)]);
    assert_eq!(log.connections.len(), 1);
}

#[tokio::test]
async fn a_drip_lets_so_many_bytes_through_as_the_test_admits() {
    let origin = Origin::start();
    origin.put("/big.bin", Content::pattern(LEN).seed(7));
    let gate = Gate::new();
    origin.rule("/big.bin", Rule::drip(7, Step::Gate(gate.clone())));
    let mut response = client(false).get(origin.url("/big.bin")).send().await.expect("an answer");
    for round in 0..5 {
        gate.until_arrived(round + 1).await;
        assert_eq!(origin.log()[0].body_bytes, 7 * round);
        gate.admit(1);
        assert_eq!(response.chunk().await.expect("a chunk").expect("bytes").len(), 7);
    }
}

#[tokio::test]
async fn a_stopped_origin_ends_http2_too() {
    let mut origin = Origin::start();
    origin.put("/big.bin", Content::pattern(LEN).seed(7));
    let gate = Gate::new();
    origin.rule("/big.bin", Rule::gate_head(&gate).skip(1));
    origin.rule("/big.bin", Rule::stall_after(10));
    let client = client(true);
    let stalled = client.get(origin.url("/big.bin")).send().await.expect("an answer");
    let waiting = tokio::spawn(client.get(origin.url("/big.bin")).send());
    gate.until_arrived(1).await;
    origin.stop();
    let ends: Vec<_> = origin.log().iter().map(|one| one.end).collect();
    assert_eq!(ends, [Some(End::Stopped), Some(End::Stopped)]);
    stalled.bytes().await.expect_err("a lost connection");
    waiting.await.expect("no panic").expect_err("a lost connection");
}
