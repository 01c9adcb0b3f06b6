//! The HTTP client's traps: connections, lanes, factories.

use super::*;
use crate::net::lanes::ClientFactory;
use crate::net::test_server::{Then, redirect};

#[tokio::test]
async fn n12_a_used_connection_is_told_from_a_new_one_by_lane() {
    let server = Server::replies(vec![part(0, 9)]).await;
    let (net, target) = (net(), at(&server, "/f"));
    let mut seen = Vec::new();
    for lane in [Lane::Demand, Lane::Demand, Lane::Bulk(0), Lane::Bulk(0), Lane::Demand] {
        let mut answer = net.get_range(lane, target.clone(), ask(0, 9)).await.unwrap();
        seen.push(answer.connection == ConnectionUse::Reused);
        read(&mut answer).await.unwrap();
    }
    assert_eq!(seen, [false, true, false, true, true]);
    let connections: Vec<_> = server.asked().iter().map(|asked| asked.connection).collect();
    assert_eq!(connections, [0, 0, 1, 1, 0]);
}

/// A factory's own ideas about redirects, retries, time limits and `Referer` do not hold.
#[tokio::test]
async fn n11_what_the_engine_relies_on_is_set_over_the_factory() {
    let server = Server::start(|asked| match asked.line() {
        "GET /a" => redirect(302, "/b"),
        "GET /slow" => raw("200 OK", &["Content-Length: 8"], "0123").then(Then::Hang),
        _ => part(0, 9),
    })
    .await;
    let factory: ClientFactory = Arc::new(|_| {
        reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::limited(5))
            .referer(true)
            .timeout(Duration::from_millis(20))
            .read_timeout(Duration::from_millis(20))
            .user_agent("mine")
    });
    let net = HttpNet::new(&Config::default(), Some(&factory)).unwrap();
    let target = at(&server, "/a");
    let answer = net.get_range(Lane::Demand, target.clone(), ask(0, 9)).await.unwrap();
    assert_eq!(answer.final_url, server.url("/b"), "the hop was seen by us");
    assert_eq!(server.asked()[1].header("referer"), None);
    assert_eq!(server.asked()[1].header("user-agent"), Some("mine"));
    let slow = at(&server, "/slow");
    let mut answer = net.get_range(Lane::Demand, slow, ask(0, 9)).await.unwrap();
    assert_eq!(answer.body.chunk().await.unwrap().unwrap(), "0123");
    // From here on the clock jumps to whatever is due next: the factory's limits would come first.
    tokio::time::pause();
    let hour = Duration::from_secs(3600);
    let silent = tokio::time::timeout(hour, answer.body.chunk()).await;
    assert!(silent.is_err(), "{silent:?}");
}

#[tokio::test]
async fn n11_a_factory_can_send_its_own_headers_and_is_asked_for_each_lane() {
    let server = Server::replies(vec![part(0, 9)]).await;
    let factory: ClientFactory = Arc::new(|lane| {
        let value = http::HeaderValue::from_str(&lane.to_string()).unwrap();
        let headers = HeaderMap::from_iter([(http::HeaderName::from_static("x-lane"), value)]);
        reqwest::Client::builder().default_headers(headers)
    });
    let net = HttpNet::new(&Config::default(), Some(&factory)).unwrap();
    let target = at(&server, "/f");
    for lane in [Lane::Demand, Lane::Bulk(0)] {
        net.get_range(lane, target.clone(), ask(0, 9)).await.unwrap();
    }
    let lanes: Vec<_> =
        server.asked().iter().map(|a| a.header("x-lane").unwrap().to_owned()).collect();
    assert_eq!(lanes, ["demand", "bulk0"]);
}

/// D1: a dropped request is over; nothing of it is sent again.
#[tokio::test]
async fn d1_a_dropped_call_ends_the_request() {
    let (came, mut comes) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |asked| {
        came.send(()).unwrap();
        match asked.connection {
            0 => crate::net::test_server::reply("").then(Then::Hang),
            _ => part(0, 9),
        }
    })
    .await;
    let (net, target) = (net(), at(&server, "/f"));
    tokio::select! {
        biased;
        answer = net.get_range(Lane::Demand, target.clone(), ask(0, 9)) => panic!("{answer:?}"),
        _ = comes.recv() => {}
    }
    assert_eq!(fetch(&net, &target, 0, 9).await.1, BodyEnd::Complete);
    let connections: Vec<_> = server.asked().iter().map(|asked| asked.connection).collect();
    assert_eq!(connections, [0, 1]);
}

/// Resolves no name, ever.
struct Deaf;

impl reqwest::dns::Resolve for Deaf {
    fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
        Box::pin(std::future::pending())
    }
}

/// N2: resolving is part of connecting, and has its limit.
#[tokio::test(start_paused = true)]
async fn n2_connecting_has_its_limit_and_its_stage() {
    let factory: ClientFactory =
        Arc::new(|_| reqwest::Client::builder().no_proxy().dns_resolver(Deaf));
    let net = HttpNet::new(&Config::default(), Some(&factory)).unwrap();
    let url = Url::parse("http://h.example/f?key=secret").unwrap();
    let target = Target::new(url, Vec::new(), None).unwrap();
    let began = tokio::time::Instant::now();
    let error = failed(&net, &target, ask(0, 9)).await;
    assert_eq!((error.stage, &error.kind), (Stage::Connect, &NetworkErrorKind::TimedOut));
    assert_eq!(began.elapsed().as_secs(), 10);
    assert!(error.is_retryable());
}

#[tokio::test]
async fn n2_a_head_that_does_not_come_times_out_through_the_whole_stack() {
    let server = Server::replies(vec![crate::net::test_server::reply("").then(Then::Hang)]).await;
    let mut config = Config::default();
    config.timeouts.headers = Duration::from_millis(30);
    let net = crate::net::build(&config, None, 1).unwrap();
    let fault = net.get_range(Lane::Demand, at(&server, "/f"), ask(0, 9)).await.unwrap_err();
    let error = fault.network().unwrap();
    assert_eq!((error.stage, &error.kind), (Stage::Headers, &NetworkErrorKind::TimedOut));
    let config = net_with(|config| config.net.user_agent = "other/1".into());
    assert_eq!(config.config.user_agent, "other/1");
}
