//! Redirects, what goes along with them, and the ways back after a refusal.

use futures::FutureExt;
use http::{HeaderName, HeaderValue};

use super::*;
use crate::net::UrlProvider;
use crate::net::test_server::redirect;

#[tokio::test]
async fn n9_redirects_are_followed_and_the_place_is_remembered() {
    for status in [301, 302, 303, 307, 308] {
        let server = Server::start(move |asked| match asked.line() {
            "GET /a" => redirect(status, "b?k=1"),
            "GET /b?k=1" => redirect(status, "/c/d"),
            _ => part(0, 9),
        })
        .await;
        let (net, target) = (net(), at(&server, "/a"));
        let answer = net.get_range(Lane::Demand, target.clone(), ask(0, 9)).await.unwrap();
        assert_eq!(answer.final_url, server.url("/c/d"));
        fetch(&net, &target, 0, 9).await;
        assert_eq!(server.lines(), ["GET /a", "GET /b?k=1", "GET /c/d", "GET /c/d"]);
        for asked in server.asked() {
            assert_eq!(asked.header("range"), Some("bytes=0-8"));
            assert_eq!(asked.header("referer"), None, "it would leak signed URLs");
        }
    }
}

#[tokio::test]
async fn n9_circles_too_many_hops_and_odd_places_are_refused() {
    let server = Server::start(|asked| match asked.line() {
        "GET /circle" => redirect(302, "/round"),
        "GET /round" => redirect(302, "/circle"),
        "GET /file" => redirect(302, "file:///etc/passwd"),
        "GET /nowhere" => full("302 Found", &[], ""),
        line => redirect(302, &format!("{}x", line.strip_prefix("GET ").unwrap())),
    })
    .await;
    let net = net();
    for path in ["/circle", "/file", "/nowhere", "/long"] {
        let error = failed(&net, &at(&server, path), ask(0, 9)).await;
        assert!(matches!(error.kind, NetworkErrorKind::Redirect(_)), "{path}: {error}");
        assert!(error.is_fatal() && !error.is_retryable());
    }
    let long = server.lines().iter().filter(|line| line.starts_with("GET /long")).count();
    assert_eq!(long, 11, "ten redirects are followed");
}

/// N9: what is meant for one origin does not reach another one, unless marked.
#[tokio::test]
async fn n9_secrets_stay_with_their_origin() {
    let cdn = Server::replies(vec![redirect(302, "/moved"), part(0, 9)]).await;
    let elsewhere = cdn.url("/x").to_string();
    let home = Server::replies(vec![redirect(302, "/b"), redirect(307, &elsewhere)]).await;
    let header = |name: &'static str| {
        BoundHeader::new(HeaderName::from_static(name), HeaderValue::from_static("v"))
    };
    let headers = vec![
        header("authorization"),
        header("cookie"),
        header("x-mine"),
        header("x-all").anywhere(),
    ];
    let target = Target::new(home.url("/a"), headers, None).unwrap();
    fetch(&net(), &target, 0, 9).await;
    assert_eq!((home.asked().len(), cdn.asked().len()), (2, 2));
    for name in ["authorization", "cookie", "x-mine", "x-all"] {
        assert!(home.asked().iter().all(|asked| asked.header(name) == Some("v")), "{name}");
    }
    for asked in cdn.asked() {
        for name in ["authorization", "cookie", "x-mine", "referer"] {
            assert_eq!(asked.header(name), None, "{name}");
        }
        assert_eq!(asked.header("x-all"), Some("v"));
    }
}

#[tokio::test]
async fn n9_name_and_password_of_the_url_stay_with_their_origin() {
    let cdn = Server::replies(vec![part(0, 9)]).await;
    let home = Server::replies(vec![redirect(302, cdn.url("/x").as_str())]).await;
    let mut url = home.url("/a");
    url.set_username("me").unwrap();
    url.set_password(Some("pw")).unwrap();
    fetch(&net(), &Target::new(url, Vec::new(), None).unwrap(), 0, 9).await;
    assert_eq!(home.asked()[0].header("authorization"), Some("Basic bWU6cHc="));
    assert_eq!(cdn.asked()[0].header("authorization"), None);
}

/// N9: when the remembered place refuses, the original is asked once more.
#[tokio::test]
async fn n9_a_refusal_from_the_remembered_place_leads_back_once() {
    for status in ["401 Unauthorized", "403 Forbidden", "404 Not Found", "410 Gone"] {
        let tokens = crate::sync::Mutex::new(0);
        let server = Server::start(move |asked| match asked.line() {
            "GET /a" => {
                let mut tokens = tokens.lock();
                *tokens += 1;
                redirect(302, &format!("/b?token={tokens}"))
            }
            "GET /b?token=1" if asked.header("range") != Some("bytes=0-4") => {
                full(status, &[], "expired")
            }
            _ => part(0, 5),
        })
        .await;
        let (net, target) = (net(), at(&server, "/a"));
        fetch(&net, &target, 0, 5).await;
        fetch(&net, &target, 0, 4).await;
        let ways = ["GET /a", "GET /b?token=1", "GET /b?token=1", "GET /a", "GET /b?token=2"];
        assert_eq!(server.lines(), ways);
    }
}

#[tokio::test]
async fn n9_a_refusal_without_another_way_is_told() {
    let server = Server::replies(vec![full("403 Forbidden", &[], "no")]).await;
    let error = failed(&net(), &at(&server, "/a"), ask(0, 9)).await;
    assert_eq!(error.kind, NetworkErrorKind::Status(403));
    assert_eq!(server.lines(), ["GET /a"]);
}

#[tokio::test]
async fn n9_a_refused_url_is_replaced_by_a_fresh_one_from_the_provider() {
    let server = Server::start(|asked| match asked.line() {
        "GET /f?sig=2" => part(0, 9),
        _ => full("403 Forbidden", &[], "expired"),
    })
    .await;
    let number = Arc::new(crate::ids::Counter::default());
    let base = server.url("/f");
    let provider: UrlProvider = Arc::new(move || {
        let mut url = base.clone();
        url.set_query(Some(&format!("sig={}", number.next())));
        async { Ok(url) }.boxed()
    });
    let target = Target::new(server.url("/f?sig=0"), Vec::new(), Some(provider)).unwrap();
    let net = net();
    let error = failed(&net, &target, ask(0, 9)).await;
    assert_eq!(error.kind, NetworkErrorKind::Status(403), "asked once for each request");
    fetch(&net, &target, 0, 9).await;
    fetch(&net, &target, 0, 9).await;
    let sent: Vec<_> = server.lines().iter().map(|line| line[11..].to_owned()).collect();
    assert_eq!(sent, ["0", "1", "1", "2", "2"]);
}

#[tokio::test]
async fn n9_a_remembered_place_where_nobody_is_leads_back() {
    // A port that was just free: nobody listens there.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Server::replies(vec![part(0, 9)]).await;
    let target = at(&server, "/a");
    let url = Url::parse(&format!("http://{gone}/x")).unwrap();
    target.found(&target.start(), &url);
    assert_eq!(fetch(&net(), &target, 0, 9).await.0, "012345678");
}

/// N9: a provider is for refusals; a server that is down is a matter for the next try.
#[tokio::test]
async fn n9_a_lost_connection_does_not_ask_the_provider() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let provider: UrlProvider = Arc::new(|| async { Err("asked".into()) }.boxed());
    let url = Url::parse(&format!("http://{gone}/x")).unwrap();
    let target = Target::new(url, Vec::new(), Some(provider)).unwrap();
    let error = failed(&net(), &target, ask(0, 9)).await;
    assert_eq!(error.kind, NetworkErrorKind::Connection);
}
