//! Targets without a network: headers, what is remembered, the ways back.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;

use super::*;

fn parse(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn target(url: &str, provider: Option<UrlProvider>) -> Arc<Target> {
    Target::new(parse(url), Vec::new(), provider).unwrap()
}

/// A provider of `http://h.example/1`, `/2` and so on, and how often it was asked.
fn counting() -> (UrlProvider, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let provider: UrlProvider = Arc::new(move || {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        async move {
            // Lets others come to the same point.
            tokio::task::yield_now().await;
            Ok(parse(&format!("http://h.example/{number}")))
        }
        .boxed()
    });
    (provider, asked)
}

#[test]
fn n9_what_is_no_http_url_is_refused() {
    for odd in ["ftp://h/", "file:///x", "data:,x", "mailto:a@b"] {
        let error = Target::new(parse(odd), Vec::new(), None).unwrap_err();
        assert!(matches!(error, Error::InvalidInput { what: "url", .. }), "{odd}: {error}");
    }
}

#[test]
fn n5_a_user_cannot_set_the_headers_that_ranges_rely_on() {
    for name in RESERVED {
        let header = BoundHeader::new(name.clone(), HeaderValue::from_static("x"));
        let error = Target::new(parse("http://h/"), vec![header.anywhere()], None).unwrap_err();
        assert!(error.to_string().contains(name.as_str()), "{error}");
    }
}

#[test]
fn n9_headers_are_sent_to_their_origin_unless_marked() {
    let named = |name: &'static str| {
        BoundHeader::new(HeaderName::from_static(name), HeaderValue::from_static("v"))
    };
    let headers = vec![named("authorization"), named("cookie"), named("x-all").anywhere()];
    let target = Target::new(parse("https://h.example/a"), headers, None).unwrap();
    let names = |url: &str| {
        let mut names: Vec<_> = target.headers_for(&parse(url)).keys().cloned().collect();
        names.sort_by_key(|name| name.to_string());
        names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("https://h.example/b?c"), "authorization cookie x-all");
    assert_eq!(names("https://h.example:443/"), "authorization cookie x-all");
    for other in ["http://h.example/", "https://h.example:444/", "https://x.h.example/"] {
        assert_eq!(names(other), "x-all", "{other}");
    }
}

#[test]
fn n9_name_and_password_of_the_url_are_bound_to_its_origin_and_not_shown() {
    let target = target("http://me%40x:p+w%25@h.example/a?key=secret", None);
    assert_eq!(target.original().as_str(), "http://h.example/a?key=secret");
    let given = target.userinfo_for(&parse("http://h.example/b")).unwrap();
    assert_eq!(*given, ("me@x".to_owned(), Some("p+w%".to_owned())));
    assert!(target.userinfo_for(&parse("http://other.example/")).is_none());
    let shown = format!("{target:?}");
    assert!(!shown.contains("secret") && !shown.contains("p+w"), "{shown}");
    let header = BoundHeader::new(header::AUTHORIZATION, HeaderValue::from_static("mine-alone"));
    assert!(!format!("{header:?}").contains("mine-alone"));
    let explicit = Target::new(parse("http://a:b@h.example/"), vec![header], None).unwrap();
    assert!(explicit.userinfo_for(&parse("http://h.example/")).is_none());
}

#[tokio::test]
async fn n9_a_refusal_at_a_remembered_url_leads_back_to_the_original_once() {
    let target = target("http://h.example/a", None);
    let first = target.start();
    target.found(&first, &parse("http://cdn.example/x"));
    let start = target.start();
    assert_eq!(start.url.as_str(), "http://cdn.example/x");
    let mut ways = WaysBack::default();
    let back = target.after_refusal(&start, &mut ways).await.unwrap().unwrap();
    assert_eq!(back.url.as_str(), "http://h.example/a");
    assert!(target.after_refusal(&back, &mut ways).await.unwrap().is_none());
    assert_eq!(target.start().url.as_str(), "http://h.example/a", "forgotten");
    assert!(target.after_refusal(&first, &mut WaysBack::default()).await.unwrap().is_none());
}

/// N9: what another request has found meanwhile is not forgotten.
#[tokio::test]
async fn n9_going_back_forgets_only_the_url_that_refused() {
    let target = target("http://h.example/a", None);
    target.found(&target.start(), &parse("http://cdn.example/old"));
    let old = target.start();
    target.after_refusal(&old, &mut WaysBack::default()).await.unwrap().unwrap();
    target.found(&target.start(), &parse("http://cdn.example/new"));
    target.after_refusal(&old, &mut WaysBack::default()).await.unwrap().unwrap();
    assert_eq!(target.start().url.as_str(), "http://cdn.example/new");
}

#[tokio::test]
async fn n9_requests_refused_together_ask_the_provider_once() {
    let (provider, asked) = counting();
    let target = target("http://h.example/0", Some(provider));
    let refused = || async {
        let start = target.start();
        let mut ways = WaysBack::default();
        let next = target.after_refusal(&start, &mut ways).await.unwrap().unwrap();
        // A second refusal of the same request does not ask again.
        assert!(target.after_refusal(&next, &mut ways).await.unwrap().is_none());
        next.url.to_string()
    };
    let urls = futures::join!(refused(), refused(), refused());
    let one = "http://h.example/1".to_owned();
    assert_eq!(urls, (one.clone(), one.clone(), one));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_eq!(refused().await, "http://h.example/2");
    assert_eq!(target.original().as_str(), "http://h.example/0");
}

#[tokio::test]
async fn n9_where_redirects_of_an_older_url_led_is_not_remembered() {
    let (provider, _) = counting();
    let target = target("http://h.example/0", Some(provider));
    let before = target.start();
    target.after_refusal(&before, &mut WaysBack::default()).await.unwrap().unwrap();
    target.found(&before, &parse("http://cdn.example/stale"));
    assert_eq!(target.start().url.as_str(), "http://h.example/1");
}

#[tokio::test]
async fn n9_a_provider_that_fails_or_gives_another_scheme_is_an_error() {
    let failing: UrlProvider = Arc::new(|| async { Err(ProviderError::from("no key")) }.boxed());
    let odd: UrlProvider = Arc::new(|| async { Ok(parse("ftp://h/")) }.boxed());
    for (provider, says) in [(failing, "no key"), (odd, "ftp")] {
        let target = target("http://h.example/0", Some(provider));
        let start = target.start();
        let error = target.after_refusal(&start, &mut WaysBack::default()).await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}
