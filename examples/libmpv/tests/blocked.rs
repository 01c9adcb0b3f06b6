//! An origin that falls silent does not hold up the end. A test that hangs has failed.

use kithara_file::Engine;
use kithara_file::origin::{Content, Gate, Origin, Range, Rule};
use libmpv_player::{Event, Mpv};

/// An hour of music, paused in a player, that has been sent where the origin is silent.
fn blocked() -> (Mpv, Origin, Gate) {
    let (origin, gate) = (Origin::start(), Gate::new());
    origin.put("/music.wav", Content::wav(60.0));
    let half = Content::wav(60.0).len() / 2;
    let silent = Rule::gate_head(&gate).when(
        move |request| matches!(request.range(), Some(Range::From(first, _)) if first > half),
    );
    origin.rule("/music.wav", silent);
    let options = [("vo", "null"), ("ao", "null"), ("pause", "yes"), ("idle", "yes")];
    let mpv = Mpv::new(Engine::new().unwrap(), &options).unwrap();
    mpv.command(&["loadfile", &format!("kithara://{}", origin.url("/music.wav"))]).unwrap();
    assert_eq!(mpv.wait(), Ok(Event::Playing));
    assert_eq!(mpv.number("duration").map(f64::round), Ok(3600.0));
    mpv.command(&["seek", "3000", "absolute"]).unwrap();
    gate.wait_arrived(1);
    (mpv, origin, gate)
}

#[test]
fn stop_cancels_a_blocked_read_and_the_next_medium_plays() {
    let (mpv, origin, _gate) = blocked();
    mpv.command(&["stop"]).unwrap();
    assert_eq!(mpv.wait(), Ok(Event::Ended));
    mpv.command(&["loadfile", &format!("kithara://{}", origin.url("/music.wav"))]).unwrap();
    assert_eq!(mpv.wait(), Ok(Event::Playing));
}

#[test]
fn the_end_of_the_player_waits_for_no_byte() {
    let (mpv, _origin, _gate) = blocked();
    drop(mpv);
}

#[test]
fn what_cannot_be_opened_is_an_error() {
    let origin = Origin::start();
    let mpv = Mpv::new(Engine::new().unwrap(), &[("idle", "yes")]).unwrap();
    mpv.command(&["loadfile", &format!("kithara://{}", origin.url("/none.wav"))]).unwrap();
    assert_eq!(mpv.wait(), Err("loading failed".to_owned()));
}
