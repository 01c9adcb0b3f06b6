//! Time limits around scripted nets, on a paused clock.

use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream};
use tokio::time::Instant;
use url::Url;

use super::*;
use crate::error::NetworkError;
use crate::net::body::{Body, Bounds, Framing, Source};
use crate::net::{AnswerShape, redact};
use crate::validator::Validator;

/// How a scripted net behaves.
#[derive(Clone, Copy)]
enum Script {
    /// The head never comes.
    NoHead,
    /// The head comes, then nothing.
    NoBody,
    /// One byte each nine seconds, for ever.
    Drip,
}

struct Scripted(Script);

fn answer(script: Script) -> Answer {
    let beat = tokio::time::interval(Duration::from_secs(9));
    let drip = stream::unfold(beat, |mut beat| async {
        beat.tick().await;
        Some((Ok(Bytes::from_static(b"x")), beat))
    });
    let source = match script {
        Script::Drip => Source::Stream(drip.boxed()),
        Script::NoHead | Script::NoBody => Source::Stream(stream::pending().boxed()),
    };
    let bounds =
        Bounds { start: 0, asked: 0, promised: None, limit: u64::MAX, framing: Framing::Marked };
    let url = Url::parse("http://h/f").unwrap();
    Answer {
        shape: AnswerShape::Whole { len: None },
        validator: Validator::default(),
        content_type: None,
        connection: crate::connection::ConnectionUse::New,
        multiplexed: false,
        body: Body::new(source, bounds, Arc::from(redact::url(&url))),
        final_url: url,
    }
}

impl Net for Scripted {
    fn get_range(
        &self,
        _: Lane,
        _: Arc<Target>,
        _: RangeRequest,
    ) -> BoxFuture<'_, Result<Answer, Fault>> {
        match self.0 {
            Script::NoHead => futures::future::pending().boxed(),
            script => async move { Ok(answer(script)) }.boxed(),
        }
    }

    fn head(&self, _: Lane, _: Arc<Target>) -> BoxFuture<'_, Result<HeadAnswer, Fault>> {
        futures::future::pending().boxed()
    }
}

fn net(script: Script) -> Timeout<Scripted> {
    Timeout::new(Scripted(script), TimeoutConfig::default())
}

fn target() -> Arc<Target> {
    let url = Url::parse("http://h/f?key=secret").unwrap();
    Target::new(url, Vec::new(), None).unwrap()
}

/// Seconds until `call` timed out, and at which stage.
async fn timed_out<T>(call: impl Future<Output = Result<T, Fault>>) -> (u64, Stage) {
    let began = Instant::now();
    let Err(Fault::Network(error)) = call.await else { panic!("no network fault") };
    let NetworkError { kind, stage, url, .. } = *error;
    assert_eq!(kind, NetworkErrorKind::TimedOut);
    assert!(!url.contains("secret"), "{url}");
    (began.elapsed().as_secs(), stage)
}

#[tokio::test(start_paused = true)]
async fn n2_the_head_has_its_limit() {
    let net = net(Script::NoHead);
    let get = net.get_range(Lane::Demand, target(), RangeRequest::default());
    assert_eq!(timed_out(get).await, (15, Stage::Headers));
    let stream = net.stream(Lane::Demand, target(), RangeRequest::default());
    assert_eq!(timed_out(stream).await, (15, Stage::Headers));
    assert_eq!(timed_out(net.head(Lane::Demand, target())).await, (15, Stage::Headers));
    assert_eq!(timed_out(net.get_bytes(Lane::Demand, target(), 9)).await, (15, Stage::Headers));
}

#[tokio::test(start_paused = true)]
async fn n2_a_silent_body_has_its_limit() {
    let net = net(Script::NoBody);
    let mut answer = net.get_range(Lane::Demand, target(), RangeRequest::default()).await.unwrap();
    assert_eq!(timed_out(answer.body.chunk()).await, (10, Stage::Body));
    assert_eq!(timed_out(net.get_bytes(Lane::Demand, target(), 9)).await, (10, Stage::Body));
}

/// N2, defect 12: a body may take for ever as long as bytes come; a small object may not.
#[tokio::test(start_paused = true)]
async fn n2_only_whole_objects_are_bounded_in_all() {
    let net = net(Script::Drip);
    let mut answer = net.get_range(Lane::Demand, target(), RangeRequest::default()).await.unwrap();
    let began = Instant::now();
    for _ in 0..500 {
        assert_eq!(answer.body.chunk().await.unwrap().unwrap(), "x");
    }
    assert!(began.elapsed() > Duration::from_secs(4000));
    let bytes = net.get_bytes(Lane::Demand, target(), 1 << 20);
    assert_eq!(timed_out(bytes).await, (60, Stage::Body));
}
