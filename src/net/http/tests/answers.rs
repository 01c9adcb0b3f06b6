//! Answers: where bytes go, and what ends a body on a real connection.

use super::*;
use crate::net::test_server::Then;

#[tokio::test]
async fn n5_a_range_goes_out_inclusive_without_encodings_or_referer() {
    let server = Server::replies(vec![part(3, 6)]).await;
    let (net, target) = (net(), at(&server, "/f?x=1"));
    assert_eq!(fetch(&net, &target, 3, 6).await, ("345".into(), BodyEnd::Complete));
    let asked = &server.asked()[0];
    assert_eq!(asked.line(), "GET /f?x=1");
    assert_eq!(asked.header("range"), Some("bytes=3-5"));
    assert_eq!(asked.header("accept-encoding"), Some("identity"));
    assert_eq!(asked.header("if-range"), None);
    assert_eq!(asked.header("cache-control"), None);
    assert!(asked.header("user-agent").unwrap().starts_with("kithara-file/"));
}

/// N5, defects 21 and 25: such a request never goes out.
#[tokio::test]
async fn n5_an_empty_range_is_a_typed_error_and_nothing_is_sent() {
    let server = Server::replies(vec![part(0, 9)]).await;
    let error = failed(&net(), &at(&server, "/f"), ask(5, 5)).await;
    assert_eq!(error.stage, Stage::Prepare);
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn n8_validators_go_out_and_caches_are_gone_round() {
    let server = Server::replies(vec![part(0, 9)]).await;
    let request = RangeRequest {
        if_range: Some("\"a\"".into()),
        bypass_caches: true,
        urgency: Some(1),
        ..ask(0, 9)
    };
    net().get_range(Lane::Demand, at(&server, "/f"), request).await.unwrap();
    let asked = &server.asked()[0];
    assert_eq!(asked.header("if-range"), Some("\"a\""));
    assert_eq!(asked.header("cache-control"), Some("no-cache"));
    assert_eq!(asked.header("pragma"), Some("no-cache"));
    assert_eq!(asked.header("priority"), Some("u=1"));
}

#[tokio::test]
async fn e9_a_stream_asks_for_all_from_its_start_on() {
    let server = Server::replies(vec![part(4, 10)]).await;
    let mut answer = net().stream(Lane::Bulk(0), at(&server, "/f"), ask(4, 5)).await.unwrap();
    assert_eq!(answer.body.position(), 4);
    assert_eq!(read(&mut answer).await.unwrap(), ("456789".into(), BodyEnd::Complete));
    assert_eq!(server.asked()[0].header("range"), Some("bytes=4-"));
    let server = Server::replies(vec![full("200 OK", &[], "abc")]).await;
    let whole = RangeRequest::default();
    let mut answer = net().stream(Lane::Bulk(0), at(&server, "/f"), whole).await.unwrap();
    assert_eq!(read(&mut answer).await.unwrap(), ("abc".into(), BodyEnd::Complete));
    assert_eq!(server.asked()[0].header("range"), None);
}

#[tokio::test]
async fn n6_an_earlier_start_and_a_later_end_are_placed_and_cut() {
    let server = Server::replies(vec![part(2, 9)]).await;
    let target = at(&server, "/f");
    let mut answer = net().get_range(Lane::Demand, target, ask(4, 7)).await.unwrap();
    let range = ByteRange::new(2, 7);
    assert_eq!(answer.shape, AnswerShape::Part { range, total: Some(10) });
    assert_eq!(answer.body.position(), 2);
    assert_eq!(read(&mut answer).await.unwrap(), ("23456".into(), BodyEnd::Cut));
}

#[tokio::test]
async fn n6_a_chunked_part_with_an_unknown_total_is_fine() {
    let headers = ["Content-Range: bytes 0-4/*", "Transfer-Encoding: chunked"];
    let server = Server::replies(vec![
        raw("206 Partial Content", &headers, "2\r\n01\r\n3\r\n234\r\n0\r\n\r\n"),
        raw("206 Partial Content", &headers, "2\r\n01\r\n0\r\n\r\n"),
        raw("206 Partial Content", &headers, "7\r\n0123456\r\n0\r\n\r\n"),
    ])
    .await;
    let (net, target) = (net(), at(&server, "/f"));
    assert_eq!(fetch(&net, &target, 0, 5).await, ("01234".into(), BodyEnd::Complete));
    assert_eq!(fetch(&net, &target, 0, 5).await, ("01".into(), BodyEnd::Short));
    let mut answer = net.get_range(Lane::Demand, target, ask(0, 5)).await.unwrap();
    let fault = read(&mut answer).await.unwrap_err();
    let kind = &fault.network().unwrap().kind;
    assert!(matches!(kind, NetworkErrorKind::Protocol(_)), "{kind:?}");
    let connections: Vec<_> = server.asked().iter().map(|asked| asked.connection).collect();
    assert_eq!(connections, [0, 0, 0], "bodies read to their end keep the connection");
}

#[tokio::test]
async fn n6_a_proper_end_before_the_range_is_over_leaves_the_rest_missing() {
    let short = full("206 Partial Content", &["Content-Range: bytes 0-8/10"], "0123");
    let server = Server::replies(vec![short]).await;
    let target = at(&server, "/f");
    assert_eq!(fetch(&net(), &target, 0, 9).await, ("0123".into(), BodyEnd::Short));
}

/// E2, defect 2: by length, by chunks, by closing: a connection cut early is a retryable fault.
#[tokio::test]
async fn e2_a_connection_cut_early_is_never_an_end() {
    let range = "Content-Range: bytes 0-8/10";
    let status = "206 Partial Content";
    let server = Server::replies(vec![
        raw(status, &[range, "Content-Length: 9"], "0123").then(Then::Close),
        raw(status, &[range, "Transfer-Encoding: chunked"], "4\r\n0123\r\n").then(Then::Close),
        raw(status, &[range, "Connection: close"], "0123").then(Then::Close),
        raw("200 OK", &["Content-Length: 9"], "0123").then(Then::Close),
        raw("200 OK", &["Transfer-Encoding: chunked"], "4\r\n0123\r\n").then(Then::Close),
    ])
    .await;
    let (net, target) = (net(), at(&server, "/f"));
    for case in 0..5 {
        let mut answer = net.get_range(Lane::Demand, target.clone(), ask(0, 9)).await.unwrap();
        let mut got = Vec::new();
        let fault = loop {
            match answer.body.chunk().await {
                Ok(Some(chunk)) => got.extend_from_slice(&chunk),
                Ok(None) => panic!("case {case} ended"),
                Err(fault) => break fault,
            }
        };
        assert_eq!(got, b"0123", "case {case}: what came is kept");
        assert_eq!(answer.body.position(), 4);
        let error = fault.network().unwrap();
        assert_eq!((error.stage, &error.kind), (Stage::Body, &NetworkErrorKind::Connection));
        assert!(fault.is_retryable());
    }
}

#[tokio::test]
async fn e2_a_body_that_ends_by_closing_is_told_as_unproven() {
    let close = raw("200 OK", &["Connection: close"], "0123").then(Then::Close);
    let server = Server::replies(vec![close]).await;
    let mut answer = net().get_range(Lane::Demand, at(&server, "/f"), ask(0, 9)).await.unwrap();
    assert_eq!(answer.shape, AnswerShape::Whole { len: None });
    assert!(!answer.body.proves_end());
    assert_eq!(read(&mut answer).await.unwrap(), ("0123".into(), BodyEnd::Unproven));
}

/// E10, defect 5.
#[tokio::test]
async fn e10_a_whole_answer_to_a_range_is_told_as_such() {
    let server = Server::replies(vec![full("200 OK", &["Content-Type: audio/wav"], "0123")]).await;
    let mut answer = net().get_range(Lane::Demand, at(&server, "/f"), ask(2, 4)).await.unwrap();
    assert_eq!(answer.shape, AnswerShape::Whole { len: Some(4) });
    assert_eq!(answer.content_type.as_deref(), Some("audio/wav"));
    assert_eq!(answer.body.position(), 0);
    assert_eq!(read(&mut answer).await.unwrap(), ("0123".into(), BodyEnd::Complete));
}

#[tokio::test]
async fn n7_an_empty_resource_and_its_416_tell_the_length() {
    let unsatisfied = full("416 Range Not Satisfiable", &["Content-Range: bytes */0"], "no");
    let empty = full("200 OK", &[], "");
    let server = Server::replies(vec![unsatisfied, empty]).await;
    let (net, target) = (net(), at(&server, "/f"));
    match net.get_range(Lane::Demand, target.clone(), ask(0, 9)).await {
        Err(Fault::NotSatisfiable { total, .. }) => assert_eq!(total, Some(0)),
        other => panic!("{other:?}"),
    }
    assert_eq!(fetch(&net, &target, 0, 9).await, (String::new(), BodyEnd::Complete));
}

#[tokio::test]
async fn n8_a_change_is_told_with_what_was_seen() {
    let changed = full("200 OK", &["ETag: \"b\"", "Content-Type: video/mp4"], "new");
    let server = Server::replies(vec![changed]).await;
    let expect = crate::net::Expectation {
        total: Some(10),
        validator: Some(crate::validator::Validator {
            etag: Some("\"a\"".into()),
            ..Default::default()
        }),
        content_type: None,
    };
    let request = RangeRequest { if_range: Some("\"a\"".into()), expect, ..ask(0, 9) };
    match net().get_range(Lane::Demand, at(&server, "/f"), request).await {
        Err(Fault::Changed(seen)) => {
            assert_eq!(seen.total, Some(3));
            assert_eq!(seen.validator.etag.as_deref(), Some("\"b\""));
            assert_eq!(seen.content_type.as_deref(), Some("video/mp4"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn n10_a_login_page_is_refused_and_not_remembered_as_the_place() {
    let server = Server::start(|asked| match asked.line() {
        "GET /film.mp4" => crate::net::test_server::redirect(302, "/login"),
        _ => full("200 OK", &["Content-Type: text/html"], "<html>"),
    })
    .await;
    let (net, target) = (net(), at(&server, "/film.mp4"));
    for _ in 0..2 {
        let error = failed(&net, &target, ask(0, 9)).await;
        assert!(matches!(error.kind, NetworkErrorKind::NotMedia(_)), "{error}");
    }
    let expected = ["GET /film.mp4", "GET /login", "GET /film.mp4", "GET /login"];
    assert_eq!(server.lines(), expected);
}

#[tokio::test]
async fn n6_an_encoded_answer_is_refused_even_where_the_client_could_decode() {
    let headers = ["Content-Range: bytes 0-3/10", "Content-Encoding: gzip"];
    let server = Server::replies(vec![full("206 Partial Content", &headers, "0123")]).await;
    let error = failed(&net(), &at(&server, "/f"), ask(0, 4)).await;
    assert!(matches!(error.kind, NetworkErrorKind::Protocol(_)), "{error}");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn n3_head_and_whole_objects_are_had_and_bounded() {
    let server = Server::start(|asked| match asked.line() {
        "HEAD /f" => raw("200 OK", &["Content-Length: 10", "Accept-Ranges: bytes"], ""),
        "GET /chunked" => raw("200 OK", &["Transfer-Encoding: chunked"], "3\r\nabc\r\n0\r\n\r\n"),
        "GET /close" => raw("200 OK", &["Connection: close"], "abc").then(Then::Close),
        _ => full("200 OK", &["ETag: \"a\""], "0123456789"),
    })
    .await;
    let net = net();
    let head = net.head(Lane::Demand, at(&server, "/f")).await.unwrap();
    assert_eq!((head.total, head.accepts_ranges), (Some(10), true));
    let get = |path: &str, max| net.get_bytes(Lane::Demand, at(&server, path), max);
    let object = get("/f", 10).await.unwrap();
    assert_eq!((&object.bytes[..], object.end_proven), (&b"0123456789"[..], true));
    assert_eq!(object.validator.etag.as_deref(), Some("\"a\""));
    assert!(!get("/close", 10).await.unwrap().end_proven);
    assert_eq!(get("/chunked", 3).await.unwrap().bytes, "abc");
    for (path, max) in [("/f", 9), ("/chunked", 2), ("/close", 2)] {
        let fault = get(path, max).await.unwrap_err();
        assert_eq!(fault.network().unwrap().kind, NetworkErrorKind::TooLarge(max), "{path}");
    }
}
