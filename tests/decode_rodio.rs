//! Feature `rodio`: a [`Reader`] made a decoder of rodio gives what rodio makes of the file.

#![cfg(all(feature = "origin", feature = "rodio"))]
#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::PathBuf;
use std::time::Duration;

use kithara_file::origin::{Content, Framing, Gate, Origin, Rule};
use kithara_file::{Engine, Reader};
use rodio::decoder::{DecoderBuilder, DecoderError};
use rodio::{Decoder, Player, Source};

const FILES: [&str; 6] =
    ["chirp.wav", "chirp.flac", "chirp.mp3", "chirp.ogg", "chirp-tail.m4a", "chirp-front.m4a"];

/// Samples compared after each seek.
const SAMPLES: usize = 10_000;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/media").join(name)
}

fn local(name: &str) -> impl Source + use<> {
    Decoder::try_from(File::open(path(name)).unwrap()).unwrap()
}

fn content(name: &str) -> Content {
    Content::bytes(fs::read(path(name)).unwrap())
}

fn open(origin: &Origin) -> Reader {
    Engine::new().unwrap().open_blocking(origin.url("/media")).unwrap().into_reader()
}

fn first(source: &mut impl Source) -> Vec<f32> {
    source.by_ref().take(SAMPLES).collect()
}

fn same_form(name: &str, there: &impl Source, here: &impl Source) {
    assert_eq!(there.channels(), here.channels(), "{name}");
    assert_eq!(there.sample_rate(), here.sample_rate(), "{name}");
    assert_eq!(there.total_duration(), here.total_duration(), "{name}");
}

#[test]
fn a_reader_decodes_to_the_samples_of_the_local_file() {
    for name in FILES {
        let origin = Origin::start();
        origin.put("/media", content(name));
        let there = Decoder::try_from(open(&origin)).unwrap();
        let here = local(name);
        same_form(name, &there, &here);
        let (there, here): (Vec<f32>, Vec<f32>) = (there.collect(), here.collect());
        assert!(!there.is_empty() && there == here, "{name}: other samples");
    }
}

#[test]
fn after_seeks_forth_and_back_too() {
    for name in FILES {
        let origin = Origin::start();
        origin.put("/media", content(name));
        let (mut there, mut here) = (Decoder::try_from(open(&origin)).unwrap(), local(name));
        for place in [5.0, 1.25, 7.0] {
            let place = Duration::from_secs_f64(place);
            there.try_seek(place).unwrap_or_else(|e| panic!("{name}: {e}"));
            here.try_seek(place).unwrap();
            assert!(first(&mut there) == first(&mut here), "{name}: other samples at {place:?}");
        }
    }
}

#[test]
fn without_ranges_a_known_length_is_seekable() {
    let name = "chirp.mp3";
    let origin = Origin::start();
    origin.put("/media", content(name).no_ranges());
    let (mut there, mut here) = (Decoder::try_from(open(&origin)).unwrap(), local(name));
    same_form(name, &there, &here);
    for place in [5, 1] {
        there.try_seek(Duration::from_secs(place)).unwrap();
        here.try_seek(Duration::from_secs(place)).unwrap();
        assert!(first(&mut there) == first(&mut here), "other samples at {place} s");
    }
}

/// Nobody knows the end before it is proven: the decoder must not begin with a look at it.
#[test]
fn an_unknown_length_plays_to_its_end_and_does_not_seek_back() {
    for name in ["chirp.wav", "chirp.flac", "chirp.mp3", "chirp.ogg", "chirp-front.m4a"] {
        let (origin, gate) = (Origin::start(), Gate::new());
        let content = content(name).no_ranges();
        let last = content.len() - 1;
        origin.put("/media", content);
        origin.rule("/media", Rule::framing(Framing::Chunked).and(Rule::gate_body(last, &gate)));
        let reader = open(&origin);
        assert_eq!(reader.len(), None, "{name}");

        let mut there = Decoder::try_from(reader).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut here = local(name);
        assert!(first(&mut there) == first(&mut here), "{name}: other samples");
        gate.open();
        let (there, here): (Vec<f32>, Vec<f32>) = (there.collect(), here.collect());
        // How many samples of the last packet count, an Ogg tells at its tail alone.
        let more = if name == "chirp.ogg" { there.len() - here.len() } else { 0 };
        assert!(
            more < 2048 && there[..there.len() - more] == here,
            "{name}: other samples, {more} more"
        );
    }

    let origin = Origin::start();
    origin.put("/media", content("chirp.mp3").no_ranges());
    let (last, gate) = (content("chirp.mp3").len() - 1, Gate::new());
    origin.rule("/media", Rule::framing(Framing::Chunked).and(Rule::gate_body(last, &gate)));
    let mut there = Decoder::try_from(open(&origin)).unwrap();
    first(&mut there);
    assert!(there.try_seek(Duration::ZERO).is_err());
    gate.open();
}

/// The builder keeps what was set and takes more settings.
#[test]
fn a_builder_takes_more_settings() {
    let name = "chirp.mp3";
    let origin = Origin::start();
    origin.put("/media", content(name));
    let builder = DecoderBuilder::from(open(&origin)).with_hint("mp3").with_coarse_seek(true);
    let mut there = builder.build().unwrap();
    same_form(name, &there, &local(name));
    there.try_seek(Duration::from_secs(4)).unwrap();
    there.try_seek(Duration::from_secs(1)).unwrap();
    assert_eq!(first(&mut there).len(), SAMPLES);
}

#[test]
fn what_is_no_media_is_an_unknown_format() {
    let origin = Origin::start();
    origin.put("/media", Content::bytes(vec![0; 10_000]));
    let error = Decoder::try_from(open(&origin)).err();
    assert!(matches!(error, Some(DecoderError::UnrecognizedFormat)), "{error:?}");
}

/// Through a player, as an application has it: the same samples, and a reader that goes on beside it.
#[test]
fn a_player_plays_it() {
    let name = "chirp.flac";
    let origin = Origin::start();
    origin.put("/media", content(name));
    let session = Engine::new().unwrap().open_blocking(origin.url("/media")).unwrap();
    let (player, output) = Player::new();
    player.append(Decoder::try_from(session.reader()).unwrap());
    let heard: Vec<f32> = output.take(SAMPLES).collect();
    assert!(heard == first(&mut local(name)), "other samples");

    let mut reader = session.reader();
    reader.rewind().unwrap();
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    assert!(bytes == fs::read(path(name)).unwrap());
}
