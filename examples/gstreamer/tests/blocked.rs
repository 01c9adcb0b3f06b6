//! An origin that falls silent holds up neither a seek nor the end. A test that hangs has failed.

use gstreamer::ClockTime;
use gstreamer_player::{Player, Stopped};
use kithara_file::Engine;
use kithara_file::origin::{Content, Gate, Origin, Range, Rule};

/// An hour of music; whoever asks for a tenth of it, three quarters on, waits at the gate. At its middle and its end GStreamer looks for
/// what kind of file it is.
fn music() -> (Origin, Gate) {
    let (origin, gate) = (Origin::start(), Gate::new());
    origin.put("/music.wav", Content::wav(60.0));
    let len = Content::wav(60.0).len();
    let silent = len / 10 * 8..len / 10 * 9;
    let rule = Rule::gate_head(&gate).when(move |request| matches!(request.range(), Some(Range::From(first, _)) if silent.contains(&first)));
    origin.rule("/music.wav", rule);
    (origin, gate)
}

#[test]
fn a_seek_leaves_a_blocked_read_and_what_it_brings_later_is_dropped() {
    let (origin, gate) = music();
    let engine = Engine::new().unwrap();
    let player = Player::new(&engine, &origin.url("/music.wav"), "fakesink", "fakesink").unwrap();
    player.pause().unwrap();
    assert_eq!(player.wait().unwrap(), Stopped::Settled);
    let at_ten = |player: &Player| {
        player.seek(ClockTime::from_seconds(10)).unwrap();
        assert_eq!(player.wait().unwrap(), Stopped::Settled);
        assert_eq!(player.position(), Some(ClockTime::from_seconds(10)));
        player.shown("audio").unwrap()
    };
    let first = at_ten(&player);
    player.seek(ClockTime::from_seconds(3000)).unwrap();
    gate.wait_arrived(1);
    assert_eq!(at_ten(&player), first);
    gate.open();
    assert_eq!(at_ten(&player), first);
}

#[test]
fn the_end_waits_for_no_byte() {
    let (origin, gate) = music();
    let engine = Engine::new().unwrap();
    let player = Player::new(&engine, &origin.url("/music.wav"), "fakesink", "fakesink").unwrap();
    player.pause().unwrap();
    assert_eq!(player.wait().unwrap(), Stopped::Settled);
    player.seek(ClockTime::from_seconds(3000)).unwrap();
    gate.wait_arrived(1);
    drop(player);
}

#[test]
fn a_stream_that_breaks_off_is_an_error_and_no_end() {
    let origin = Origin::start();
    origin.put("/music.wav", Content::wav(0.5));
    origin.rule(
        "/music.wav",
        Rule::status(404, "gone").when(
            |request| matches!(request.range(), Some(Range::From(first, _)) if first > 1_000_000),
        ),
    );
    origin.rule("/music.wav", Rule::close_after(1_000_000));
    let engine = Engine::new().unwrap();
    let quick = "fakesink sync=false";
    let player = Player::new(&engine, &origin.url("/music.wav"), quick, quick).unwrap();
    player.play().unwrap();
    let ended = loop {
        match player.wait() {
            Ok(Stopped::Settled) => {}
            ended => break ended,
        }
    };
    assert!(ended.is_err(), "{ended:?}");
}
