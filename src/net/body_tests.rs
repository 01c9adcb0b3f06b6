//! Bodies from scripted sources, on a paused clock.

use futures::StreamExt;
use futures::channel::mpsc;
use futures::{FutureExt, SinkExt, stream};

use super::*;
use crate::error::NetworkError;

const MS: Duration = Duration::from_millis(1);

fn url() -> Arc<str> {
    Arc::from("http://h/f")
}

fn over(pieces: Vec<Result<&'static str, &'static str>>, bounds: Bounds) -> Body {
    let pieces = pieces.into_iter().map(|piece| match piece {
        Ok(text) => Ok(Bytes::from_static(text.as_bytes())),
        Err(text) => Err(BoxError::from(text)),
    });
    Body::new(Source::Stream(stream::iter(pieces).boxed()), bounds, url())
}

fn bounds(start: u64, promised: u64, limit: u64, framing: Framing) -> Bounds {
    Bounds { start, asked: start, promised: Some(promised), limit, framing }
}

fn unbounded(framing: Framing) -> Bounds {
    Bounds { start: 0, asked: 0, promised: None, limit: u64::MAX, framing }
}

/// All chunks, and how it ended.
async fn all(body: &mut Body) -> (String, Result<BodyEnd, NetworkErrorKind>) {
    let mut text = String::new();
    loop {
        match body.chunk().await {
            Ok(Some(chunk)) => text.push_str(std::str::from_utf8(&chunk).unwrap()),
            Ok(None) => return (text, Ok(body.end().unwrap())),
            Err(fault) => {
                assert_eq!(body.end(), None);
                return (text, Err(network(fault).kind));
            }
        }
    }
}

fn network(fault: Fault) -> NetworkError {
    let Fault::Network(error) = fault else { panic!("{fault:?}") };
    assert_eq!(error.stage, Stage::Body);
    *error
}

#[tokio::test(start_paused = true)]
async fn n6_a_body_is_placed_where_its_head_says_and_is_complete_at_its_promised_end() {
    let mut body = over(vec![Ok("ab"), Ok(""), Ok("c")], bounds(10, 13, 13, Framing::Marked));
    assert_eq!(body.position(), 10);
    assert_eq!(body.chunk().await.unwrap().unwrap(), "ab");
    assert_eq!(body.position(), 12);
    assert_eq!(body.chunk().await.unwrap().unwrap(), "c");
    assert_eq!(body.end(), None);
    assert!(body.chunk().await.unwrap().is_none());
    assert!(body.chunk().await.unwrap().is_none());
    assert_eq!(body.end(), Some(BodyEnd::Complete));
}

/// N6: of a body that turns out too long, what was handed out before stays; the piece that goes too far
/// is not handed out at all.
#[tokio::test(start_paused = true)]
async fn n6_a_body_longer_than_its_own_range_is_a_protocol_fault() {
    let mut body = over(vec![Ok("ab"), Ok("cd")], bounds(0, 3, 3, Framing::Marked));
    let (text, end) = all(&mut body).await;
    assert_eq!(text, "ab");
    assert!(matches!(end, Err(NetworkErrorKind::Protocol(_))), "{end:?}");
    let mut body = over(vec![Ok("abc"), Ok(""), Ok("d")], bounds(0, 3, 3, Framing::Marked));
    let (text, end) = all(&mut body).await;
    assert_eq!(text, "abc");
    assert!(matches!(end, Err(NetworkErrorKind::Protocol(_))), "{end:?}");
    // The fault stays.
    assert!(body.chunk().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn n6_a_body_near_the_largest_offset_does_not_wrap() {
    let start = u64::MAX - 2;
    let open = Bounds { start, asked: start, ..unbounded(Framing::Close) };
    let (text, end) = all(&mut over(vec![Ok("ab"), Ok("c")], open)).await;
    assert_eq!(text, "ab");
    assert_eq!(end, Ok(BodyEnd::Cut));
    let (text, end) = all(&mut over(vec![Ok("abc")], open)).await;
    assert_eq!(text, "");
    assert!(matches!(end, Err(NetworkErrorKind::Protocol(_))), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn n6_what_runs_past_the_asked_end_is_cut_off() {
    let mut body = over(vec![Ok("abcdef")], bounds(0, 6, 4, Framing::Marked));
    assert_eq!(all(&mut body).await, ("abcd".into(), Ok(BodyEnd::Cut)));
    assert_eq!(body.position(), 4);
    let mut body = over(vec![Ok("abcd"), Ok("ef")], bounds(0, 6, 4, Framing::Marked));
    assert_eq!(all(&mut body).await, ("abcd".into(), Ok(BodyEnd::Cut)));
}

#[tokio::test(start_paused = true)]
async fn n6_a_proper_end_before_the_promised_one_leaves_the_rest_missing() {
    let mut body = over(vec![Ok("ab")], bounds(0, 6, 6, Framing::Marked));
    assert_eq!(all(&mut body).await, ("ab".into(), Ok(BodyEnd::Short)));
    let mut body = over(vec![Ok("ab")], bounds(0, 6, 4, Framing::Marked));
    assert_eq!(all(&mut body).await, ("ab".into(), Ok(BodyEnd::Short)));
}

/// N6: else the same request would be sent again for ever.
#[tokio::test(start_paused = true)]
async fn n6_a_body_that_ends_before_the_first_byte_asked_for_is_a_protocol_fault() {
    let asked = |asked| Bounds { asked, ..bounds(0, 9, 9, Framing::Marked) };
    let (_, end) = all(&mut over(vec![Ok("abcd")], asked(4))).await;
    assert!(matches!(end, Err(NetworkErrorKind::Protocol(_))), "{end:?}");
    let (_, end) = all(&mut over(vec![Ok("abcd")], asked(3))).await;
    assert_eq!(end, Ok(BodyEnd::Short));
    let (_, end) = all(&mut over(vec![], asked(0))).await;
    assert!(matches!(end, Err(NetworkErrorKind::Protocol(_))), "{end:?}");
}

/// E2, defect 2: a lost connection is a retry, never an end.
#[tokio::test(start_paused = true)]
async fn e2_a_connection_that_closes_early_is_a_retryable_fault() {
    let mut body = over(vec![Ok("ab")], bounds(0, 6, 6, Framing::Close));
    assert_eq!(all(&mut body).await, ("ab".into(), Err(NetworkErrorKind::Connection)));
    for framing in [Framing::Close, Framing::Marked] {
        let mut body = over(vec![Ok("ab"), Err("reset"), Ok("c")], bounds(0, 6, 6, framing));
        assert_eq!(body.chunk().await.unwrap().unwrap(), "ab");
        let error = network(body.chunk().await.unwrap_err());
        assert!(error.is_retryable());
        assert_eq!(error.source.unwrap().to_string(), "reset");
        assert!(body.chunk().await.is_err(), "nothing comes after a fault");
    }
}

#[tokio::test(start_paused = true)]
async fn e2_only_a_marked_end_is_a_proof_where_no_length_is_known() {
    let mut body = over(vec![Ok("ab")], unbounded(Framing::Marked));
    assert!(body.proves_end());
    assert_eq!(all(&mut body).await, ("ab".into(), Ok(BodyEnd::Complete)));
    let mut body = over(vec![Ok("ab")], unbounded(Framing::Close));
    assert!(!body.proves_end());
    assert_eq!(all(&mut body).await, ("ab".into(), Ok(BodyEnd::Unproven)));
    let (_, end) = all(&mut over(vec![Ok("ab"), Err("reset")], unbounded(Framing::Marked))).await;
    assert_eq!(end, Err(NetworkErrorKind::Connection));
}

#[tokio::test(start_paused = true)]
async fn e2_an_empty_resource_is_complete_at_once() {
    let empty = Bounds::exact(ByteRange::new(0, 0), Framing::Marked);
    assert_eq!(all(&mut over(vec![], empty)).await, (String::new(), Ok(BodyEnd::Complete)));
}

/// When all promised bytes are here, a break or a formal end that never comes changes nothing.
#[tokio::test(start_paused = true)]
async fn n6_all_promised_bytes_are_enough_whatever_follows_them() {
    let exact = Bounds::exact(ByteRange::new(0, 2), Framing::Marked);
    let mut body = over(vec![Ok("ab"), Err("reset")], exact);
    assert_eq!(all(&mut body).await, ("ab".into(), Ok(BodyEnd::Complete)));
    let endless = stream::iter([Ok(Bytes::from_static(b"ab"))]).chain(stream::pending());
    let mut body = Body::new(Source::Stream(endless.boxed()), exact, url());
    let began = Instant::now();
    assert_eq!(all(&mut body).await, ("ab".into(), Ok(BodyEnd::Complete)));
    assert!(began.elapsed() <= END_GRACE + MS, "{:?}", began.elapsed());
}

fn live() -> (mpsc::Sender<Result<Bytes, BoxError>>, Body) {
    let (sender, receiver) = mpsc::channel(8);
    let body = Body::new(Source::Stream(receiver.boxed()), unbounded(Framing::Marked), url());
    (sender, body.with_idle(100 * MS))
}

#[tokio::test(start_paused = true)]
async fn n2_a_silent_body_times_out_while_it_is_waited_for() {
    let (_sender, mut body) = live();
    let began = Instant::now();
    let error = network(body.chunk().await.unwrap_err());
    assert_eq!(error.kind, NetworkErrorKind::TimedOut);
    assert_eq!(began.elapsed().as_millis(), 100);
    assert!(error.is_retryable());
}

/// N2: the timer does not run while nobody reads, and each byte winds it up again.
#[tokio::test(start_paused = true)]
async fn n2_a_body_does_not_time_out_while_we_do_not_read() {
    let (mut sender, mut body) = live();
    for _ in 0..3 {
        tokio::time::advance(3600 * 1000 * MS).await;
        assert!(body.chunk().now_or_never().is_none());
        tokio::time::advance(3600 * 1000 * MS).await;
        sender.send(Ok(Bytes::from_static(b"x"))).await.unwrap();
        assert_eq!(body.chunk().await.unwrap().unwrap(), "x");
    }
    let slow = async {
        let mut beat = tokio::time::interval(90 * MS);
        for _ in 0..5 {
            beat.tick().await;
            sender.send(Ok(Bytes::from_static(b"y"))).await.unwrap();
        }
    };
    let read = async {
        for _ in 0..5 {
            assert_eq!(body.chunk().await.unwrap().unwrap(), "y");
        }
    };
    futures::join!(slow, read);
}

/// N2: a byte that came while our task was held up is taken, though the time is over.
#[tokio::test(start_paused = true)]
async fn n2_a_byte_that_is_there_wins_over_a_timer_that_is_due() {
    let (mut sender, mut body) = live();
    {
        let mut wait = Box::pin(body.chunk());
        assert!(wait.as_mut().now_or_never().is_none());
        tokio::time::advance(500 * MS).await;
        sender.send(Ok(Bytes::from_static(b"x"))).await.unwrap();
        assert_eq!(wait.await.unwrap().unwrap(), "x");
    }
}

/// N2: waits that are dropped and begun again (a `select!` loop) add up.
#[tokio::test(start_paused = true)]
async fn n2_silence_counts_over_waits_that_were_dropped() {
    let (mut sender, mut body) = live();
    let began = Instant::now();
    for _ in 0..4 {
        assert!(tokio::time::timeout(20 * MS, body.chunk()).await.is_err());
    }
    let error = network(body.chunk().await.unwrap_err());
    assert_eq!(error.kind, NetworkErrorKind::TimedOut);
    assert!(began.elapsed() < 110 * MS, "{:?}", began.elapsed());
    // Letting go of the transport ends the request.
    assert!(sender.send(Ok(Bytes::new())).await.is_err());
}
