//! Feature `symphonia`: a [`Reader`] given to symphonia as it is, without a wrapper.

#![cfg(all(feature = "origin", feature = "symphonia"))]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use kithara_file::origin::{Content, Framing, Gate, Origin, Rule};
use kithara_file::{Engine, Reader};
use symphonia::core::errors::{Error, SeekErrorKind};
use symphonia::core::io::{MediaSource, ReadOnlySource};

#[path = "support/decode.rs"]
mod decode;

use decode::Decode;

const FILES: [&str; 6] =
    ["chirp.wav", "chirp.flac", "chirp.mp3", "chirp.ogg", "chirp-tail.m4a", "chirp-front.m4a"];

/// Those that can be played by whoever cannot go to the tail and back.
const STREAMS: [&str; 5] = ["chirp.wav", "chirp.flac", "chirp.mp3", "chirp.ogg", "chirp-front.m4a"];

/// Packets decoded after each seek.
const BLOCKS: usize = 8;

fn media(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/media");
    fs::read(folder.join(name)).unwrap()
}

fn local(name: &str) -> Decode {
    Decode::over(Cursor::new(media(name))).unwrap()
}

fn open(origin: &Origin) -> Reader {
    Engine::new().unwrap().open_blocking(origin.url("/media")).unwrap().into_reader()
}

/// An origin that tells no length, does no ranges, and keeps the last byte back until the gate opens.
fn endless(name: &str) -> (Origin, Gate) {
    let (origin, gate) = (Origin::start(), Gate::new());
    origin.put("/media", Content::bytes(media(name)).no_ranges());
    let last = media(name).len() as u64 - 1;
    origin.rule("/media", Rule::framing(Framing::Chunked).and(Rule::gate_body(last, &gate)));
    (origin, gate)
}

#[test]
fn a_reader_decodes_to_the_samples_of_the_local_file() {
    for name in FILES {
        let origin = Origin::start();
        origin.put("/media", Content::bytes(media(name)));
        let reader = open(&origin);
        assert!(reader.is_seekable(), "{name}");
        assert_eq!(reader.byte_len(), Some(media(name).len() as u64), "{name}");

        let samples = Decode::over(reader).unwrap().rest().unwrap();
        assert!(!samples.is_empty(), "{name}");
        assert!(samples == local(name).rest().unwrap(), "{name}: other samples");
    }
}

#[test]
fn after_seeks_forth_and_back_too() {
    for name in FILES {
        let origin = Origin::start();
        origin.put("/media", Content::bytes(media(name)));
        let (mut there, mut here) = (Decode::over(open(&origin)).unwrap(), local(name));
        for place in [5.0, 1.25, 7.5] {
            let place = Duration::from_secs_f64(place);
            there.seek(place).unwrap();
            here.seek(place).unwrap();
            let (there, here) = (there.blocks(BLOCKS).unwrap(), here.blocks(BLOCKS).unwrap());
            assert!(there == here, "{name}: other samples at {place:?}");
        }
    }
}

/// Demuxers that may seek begin with the end, which nobody knows: so they are told that they may not.
#[test]
fn an_unknown_length_plays_as_a_stream_until_its_end_is_proven() {
    for name in STREAMS {
        let (origin, gate) = endless(name);
        let session = Engine::new().unwrap().open_blocking(origin.url("/media")).unwrap();
        let reader = session.reader();
        assert_eq!((reader.is_seekable(), reader.byte_len()), (false, None), "{name}");

        let mut decode = Decode::over(reader).unwrap_or_else(|e| panic!("{name}: {e}"));
        gate.open();
        let samples = decode.rest().unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(samples == local(name).rest().unwrap(), "{name}: other samples");

        let mut reader = session.reader();
        std::io::copy(&mut reader, &mut std::io::sink()).unwrap();
        let len = Some(media(name).len() as u64);
        assert_eq!((reader.is_seekable(), reader.byte_len()), (true, len), "{name}");
    }
}

#[test]
fn in_an_unknown_length_a_seek_goes_forward_and_not_back() {
    let name = "chirp.mp3";
    let (origin, gate) = endless(name);
    let (mut there, mut here) = (Decode::over(open(&origin)).unwrap(), local(name));
    for decode in [&mut there, &mut here] {
        decode.seek(Duration::from_secs(3)).unwrap();
    }
    assert!(there.blocks(BLOCKS).unwrap() == here.blocks(BLOCKS).unwrap(), "other samples");
    let back = there.seek(Duration::from_secs(1));
    assert!(matches!(back, Err(Error::SeekError(SeekErrorKind::ForwardOnly))), "{back:?}");
    gate.open();
}

/// A known length is enough, also where a jump forward must wait for all before it.
#[test]
fn without_ranges_a_known_length_is_seekable() {
    for name in FILES {
        let origin = Origin::start();
        origin.put("/media", Content::bytes(media(name)).no_ranges());
        let mut reader = open(&origin);
        assert!(reader.is_seekable(), "{name}");
        let len = reader.byte_len();
        assert_eq!(len, Some(media(name).len() as u64), "{name}");
        assert_eq!(reader.seek(SeekFrom::End(0)).ok(), len);
        reader.rewind().unwrap();

        let (mut there, mut here) = (Decode::over(reader).unwrap(), local(name));
        for place in [5, 1] {
            there.seek(Duration::from_secs(place)).unwrap();
            here.seek(Duration::from_secs(place)).unwrap();
            let (there, here) = (there.blocks(BLOCKS).unwrap(), here.blocks(BLOCKS).unwrap());
            assert!(there == here, "{name}: other samples at {place} s");
        }
    }
}

/// What the module's page recommends where sound should not wait for a look at the tail.
#[test]
fn without_ranges_a_read_only_source_is_heard_before_the_tail_is_there() {
    for name in STREAMS {
        let origin = Origin::start();
        origin.put("/media", Content::bytes(media(name)).no_ranges());
        let gate = Gate::new();
        origin.rule("/media", Rule::gate_body(media(name).len() as u64 - 1, &gate));
        let mut decode = Decode::over(ReadOnlySource::new(open(&origin))).unwrap();
        let first = decode.next_block().unwrap().unwrap().samples;
        gate.open();
        let rest = decode.rest().unwrap();
        assert!([first, rest].concat() == local(name).rest().unwrap(), "{name}: other samples");
    }
}

#[test]
fn a_session_that_ends_is_an_error_and_no_end_of_the_media() {
    let (origin, gate) = (Origin::start(), Gate::new());
    let media = media("chirp.wav");
    let last = media.len() as u64 - 1;
    origin.put("/media", Content::bytes(media));
    origin.rule("/media", Rule::gate_body(last, &gate));
    let session = Engine::new().unwrap().open_blocking(origin.url("/media")).unwrap();
    let token = session.cancel_token();
    let mut decode = Decode::over(session.into_reader()).unwrap();
    token.cancel();
    // What is there may be read until the session has heard of it. The last byte never comes.
    let ended = decode.rest();
    assert!(matches!(ended, Err(Error::IoError(_))), "{:?}", ended.map(|samples| samples.len()));
}

#[test]
fn a_boxed_reader_is_read_and_sought_by_the_trait() {
    let origin = Origin::start();
    origin.put("/media", Content::bytes(*b"0123456789"));
    let mut source: Box<dyn MediaSource> = Box::new(open(&origin));
    let mut two = [0; 2];
    source.seek(SeekFrom::End(-2)).unwrap();
    source.read_exact(&mut two).unwrap();
    assert_eq!(&two, b"89");
}
