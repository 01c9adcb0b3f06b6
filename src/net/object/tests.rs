//! S3 on the wire: what goes out, and what its answers mean.

use std::time::Duration;

use url::Url;

use super::*;
use crate::byte_range::ByteRange;
use crate::config::Config;
use crate::net::test_server::{Server, full};
use crate::net::{AnswerShape, Expectation};

const PART: [&str; 3] = ["Content-Range: bytes 5-8/20", "ETag: \"a\"", "Content-Type: video/mp4"];
const DATE: &str = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT";

/// Asks the S3 at `server` for four bytes of `films/a/one.mp4`.
async fn ask(server: &Server, request: RangeRequest, plain: bool) -> Result<Answer, Fault> {
    let http = HttpNet::new(&Config::default(), None).unwrap();
    let client = http.lanes().lane(Lane::Demand).client().clone();
    let endpoint = server.url("");
    let store = stores::s3_at(endpoint.as_str().trim_end_matches('/'), client, plain).unwrap();
    let url = Url::parse("s3://films/a/one.mp4").unwrap();
    let place = ObjectPlace::new(&url, Some(store)).unwrap();
    let objects = Objects::new(http);
    objects.get_range(Lane::Demand, Target::of_object(url, place), request).await
}

fn four() -> RangeRequest {
    RangeRequest {
        range: Some(ByteRange::new(5, 9)),
        if_range: Some("\"a\"".into()),
        expect: Expectation { total: Some(20), ..Expectation::default() },
        ..RangeRequest::default()
    }
}

#[tokio::test]
async fn n5_one_ranged_get_goes_out_under_if_match() {
    let headers = [PART[0], PART[1], PART[2], DATE];
    let server = Server::replies(vec![full("206 Partial Content", &headers, "abcd")]).await;
    let mut answer = ask(&server, four(), true).await.unwrap();
    let range = ByteRange::new(5, 9);
    assert_eq!(answer.shape, AnswerShape::Part { range, total: Some(20) });
    assert_eq!(answer.validator.strong_etag(), Some("\"a\""));
    assert_eq!(answer.content_type.as_deref(), Some("video/mp4"));
    assert_eq!(answer.body.chunk().await.unwrap().as_deref(), Some(&b"abcd"[..]));
    assert_eq!(answer.body.chunk().await.unwrap(), None);
    let asked = server.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].line(), "GET /films/a/one.mp4");
    assert_eq!(asked[0].header("range"), Some("bytes=5-8"));
    assert_eq!(asked[0].header("if-match"), Some("\"a\""));
}

/// N4: the scheduler tries again, when the store asks it to; nobody below does.
#[tokio::test]
async fn n4_a_busy_store_is_asked_once_and_its_pause_is_told() {
    let body = "<Error><Code>SlowDown</Code><Message>Less.</Message></Error>";
    let server = Server::replies(vec![full("503 Slow Down", &["Retry-After: 7"], body)]).await;
    let fault = ask(&server, four(), true).await.unwrap_err();
    assert!(fault.is_retryable());
    assert_eq!(fault.retry_after(), Some(Duration::from_secs(7)));
    let error = fault.network().unwrap();
    assert_eq!(error.kind, NetworkErrorKind::Status(503));
    assert_eq!(error.excerpt.as_deref(), Some("SlowDown: Less."));
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn n1_statuses_of_s3_are_typed_and_name_no_endpoint() {
    for (status, told) in [("404 Not Found", 404), ("403 Forbidden", 403), ("400 Bad", 400)] {
        let server = Server::replies(vec![full(status, &[], "")]).await;
        let fault = ask(&server, four(), true).await.unwrap_err();
        let error = fault.network().unwrap();
        assert_eq!(error.kind, NetworkErrorKind::Status(told));
        assert_eq!(error.url, "s3://films/a/one.mp4");
        assert_eq!(server.asked().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn n8_a_failed_precondition_is_a_change() {
    let server = Server::replies(vec![full("412 Precondition Failed", &[], "")]).await;
    assert!(matches!(ask(&server, four(), true).await, Err(Fault::Changed(_))));
    assert_eq!(server.asked().len(), 1);
}

/// N7: the length is asked for, as the crate does not pass on what the answer says of it.
#[tokio::test]
async fn n7_a_range_past_the_end_tells_the_length() {
    let headers = [PART[1], DATE];
    let replies = vec![
        full("416 Range Not Satisfiable", &[], ""),
        full("200 OK", &headers, "xxx").then(crate::net::test_server::Then::Close),
    ];
    let server = Server::replies(replies).await;
    let request = RangeRequest { range: Some(ByteRange::new(5, 9)), ..RangeRequest::default() };
    let fault = ask(&server, request, true).await.unwrap_err();
    assert!(matches!(fault, Fault::NotSatisfiable { total: Some(3), .. }), "{fault:?}");
}

#[tokio::test]
async fn n6_a_store_that_answers_a_range_with_all_is_refused() {
    let headers = [PART[1], DATE];
    let server = Server::replies(vec![full("200 OK", &headers, "abcd")]).await;
    let fault = ask(&server, four(), true).await.unwrap_err();
    assert!(matches!(fault.network().unwrap().kind, NetworkErrorKind::Protocol(_)), "{fault:?}");
    assert!(!fault.is_retryable());
}

/// A request with a token in it does not go out in the clear unless that is allowed.
#[tokio::test]
async fn nothing_goes_out_in_the_clear_unless_that_is_allowed() {
    let server = Server::replies(vec![full("403 Forbidden", &[], "")]).await;
    let fault = ask(&server, four(), false).await.unwrap_err();
    assert!(matches!(fault.network().unwrap().kind, NetworkErrorKind::Client(_)), "{fault:?}");
    assert!(server.asked().is_empty());
}
