//! What errors say, and what they keep to themselves.

use super::*;
use crate::net::test_server::Then;

/// Everything that an error shows to anybody: its text, its parts, all it came from.
fn shown(error: &NetworkError) -> String {
    let mut text = format!("{error} {error:?}");
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        text.push_str(&format!(" {source} {source:?}"));
        next = source.source();
    }
    text
}

#[tokio::test]
async fn n1_an_error_status_comes_with_url_stage_and_excerpt() {
    let body = format!("no\tsuch\r\n file with key=secret-sig {}", "x".repeat(2000));
    let server = Server::replies(vec![full("404 Not Found", &[], &body)]).await;
    let error = failed(&net(), &at(&server, "/f?key=secret-sig"), ask(0, 9)).await;
    assert_eq!(error.kind, NetworkErrorKind::Status(404));
    assert_eq!(error.stage, Stage::Headers);
    assert_eq!(error.url, format!("{}?key=…", server.url("/f")));
    let excerpt = error.excerpt.as_deref().unwrap();
    assert!(excerpt.starts_with("no such file with key=… xxx"), "{excerpt}");
    assert!(excerpt.len() <= EXCERPT, "{}", excerpt.len());
    assert!(!shown(&error).contains("secret"), "{}", shown(&error));
    assert!(error.is_fatal());
}

#[tokio::test]
async fn n4_retry_after_is_told_in_seconds_or_by_date() {
    let date =
        ["Date: Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After: Sun, 06 Nov 1994 08:49:57 GMT"];
    let server = Server::replies(vec![
        full("429 Too Many Requests", &["Retry-After: 7"], ""),
        full("503 Service Unavailable", &date, ""),
        full("503 Service Unavailable", &[], ""),
    ])
    .await;
    let (net, target) = (net(), at(&server, "/f"));
    for seconds in [Some(7), Some(20), None] {
        let error = failed(&net, &target, ask(0, 9)).await;
        assert!(error.is_retryable());
        assert_eq!(error.retry_after, seconds.map(Duration::from_secs));
        assert_eq!(error.excerpt, None);
    }
}

/// N1: an error page that never ends must not hold up the error.
#[tokio::test]
async fn n1_an_excerpt_does_not_wait_for_a_body_that_does_not_come() {
    let stuck = raw("500 Oops", &["Content-Length: 99"], "it broke").then(Then::Hang);
    let server = Server::replies(vec![stuck]).await;
    let error = failed(&net(), &at(&server, "/f"), ask(0, 9)).await;
    assert_eq!(error.kind, NetworkErrorKind::Status(500));
    assert_eq!(error.excerpt.as_deref(), Some("it broke"));
}

#[test]
fn n1_excerpts_are_text_or_nothing() {
    assert_eq!(readable(b""), None);
    assert_eq!(readable(b" \r\n "), None);
    assert_eq!(readable(b"\x1b[31mred"), None);
    assert_eq!(readable(b"\xff\xfe"), None);
    assert_eq!(readable("caf\u{e9}".as_bytes()).as_deref(), Some("caf\u{e9}"));
    assert_eq!(readable(&"caf\u{e9}".as_bytes()[..4]).as_deref(), Some("caf"));
}

#[tokio::test]
async fn n1_a_refused_connection_is_told_at_its_stage() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = Url::parse(&format!("http://me:pw-hidden@{gone}/f?key=secret")).unwrap();
    let target = Target::new(url, Vec::new(), None).unwrap();
    let error = failed(&net(), &target, ask(0, 9)).await;
    assert_eq!((error.stage, &error.kind), (Stage::Connect, &NetworkErrorKind::Connection));
    assert!(error.is_retryable() && !error.is_fatal());
    let shown = shown(&error);
    assert!(!shown.contains("secret") && !shown.contains("pw-hidden"), "{shown}");
}

#[tokio::test]
async fn n1_a_connection_that_closes_instead_of_answering_is_a_fault_of_the_head() {
    let nothing = crate::net::test_server::reply("").then(Then::Close);
    let server = Server::replies(vec![nothing]).await;
    let error = failed(&net(), &at(&server, "/f?key=secret"), ask(0, 9)).await;
    assert_eq!((error.stage, &error.kind), (Stage::Headers, &NetworkErrorKind::Connection));
    assert!(error.is_retryable());
    assert!(!shown(&error).contains("secret"), "{}", shown(&error));
    assert_eq!(server.asked().len(), 1, "the client does not repeat by itself");
}

#[tokio::test]
async fn n1_a_body_that_breaks_does_not_show_the_url() {
    let cut = raw("200 OK", &["Content-Length: 9"], "0123").then(Then::Close);
    let server = Server::replies(vec![cut]).await;
    let target = at(&server, "/f?key=secret");
    let mut answer = net().get_range(Lane::Demand, target, ask(0, 9)).await.unwrap();
    let fault = read(&mut answer).await.unwrap_err();
    let Fault::Network(error) = fault else { panic!("{fault:?}") };
    assert!(error.source.is_some());
    assert!(!shown(&error).contains("secret"), "{}", shown(&error));
}

#[tokio::test]
async fn n9_a_provider_that_fails_is_a_typed_error() {
    use futures::FutureExt;
    let server = Server::replies(vec![full("401 Unauthorized", &[], "")]).await;
    let provider: crate::net::UrlProvider =
        Arc::new(|| async { Err(crate::net::ProviderError::from("no key")) }.boxed());
    let target = Target::new(server.url("/f"), Vec::new(), Some(provider)).unwrap();
    let error = failed(&net(), &target, ask(0, 9)).await;
    assert_eq!((error.stage, &error.kind), (Stage::Prepare, &NetworkErrorKind::NoUrl));
    assert!(error.is_retryable() && !error.is_fatal(), "a later try may find one");
    assert_eq!(error.source.unwrap().to_string(), "no key");
}
