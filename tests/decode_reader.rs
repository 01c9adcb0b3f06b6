//! Media decoded through a [`Reader`] while it downloads: sample by sample what the local file gives.
//!
//! A real demuxer reads as no made-up workload does: it probes, looks at the tail, goes back, bisects.

#![cfg(feature = "origin")]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kithara_file::origin::{Content, Gate, Link, Origin, Rule};
use kithara_file::{Config, Engine, Reader, Session};

#[path = "support/decode.rs"]
mod decode;

use decode::{Block, Decode};

const FILES: [(&str, &str); 6] = [
    ("chirp.wav", "audio/wav"),
    ("chirp.flac", "audio/flac"),
    ("chirp.mp3", "audio/mpeg"),
    ("chirp.ogg", "audio/ogg"),
    ("chirp-tail.m4a", "audio/mp4"),
    ("chirp-front.m4a", "audio/mp4"),
];

/// Seconds to visit: forth, back, twice nearly the same, and last the end.
const PLACES: [f64; 6] = [4.0, 6.5, 1.25, 3.0, 3.001, 7.9];

/// Packets decoded at each place.
const BLOCKS: usize = 8;

fn media(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/media");
    fs::read(folder.join(name)).unwrap()
}

/// What a local decode gives: all samples, and the blocks at each place.
fn local(name: &str) -> (Vec<f32>, Vec<Vec<Block>>) {
    let bytes = media(name);
    let len = bytes.len() as u64;
    let open = || Decode::open(Cursor::new(bytes.clone()), Some(len)).unwrap();
    (open().rest().unwrap(), visit(name, &mut open()))
}

fn visit(name: &str, decode: &mut Decode) -> Vec<Vec<Block>> {
    let mut visits = Vec::new();
    for place in PLACES {
        decode.seek(Duration::from_secs_f64(place)).unwrap_or_else(|e| panic!("{name}: {e}"));
        visits.push(decode.blocks(BLOCKS).unwrap_or_else(|e| panic!("{name}: {e}")));
    }
    visits
}

/// Serves the file `name`, over the link if there is one.
fn serve(link: Option<Link>, name: &str, content_type: &str) -> Origin {
    let origin = match link {
        Some(link) => Origin::builder().link(link).start(),
        None => Origin::start(),
    };
    origin.put("/media", Content::bytes(media(name)).content_type(content_type));
    origin
}

fn open(config: Config, origin: &Origin) -> Session {
    let engine = Engine::builder().config(config).build().unwrap();
    engine.open_blocking(origin.url("/media")).unwrap()
}

/// Small requests and no read-ahead: whatever is fetched, a read of the decoder asked for.
fn by_the_read() -> Config {
    let mut config = Config::default();
    let tunables = &mut config.tunables;
    tunables.readahead.enabled = false;
    tunables.readahead.whole_file = 0;
    (tunables.fetch.demand_min, tunables.fetch.demand_max) = (4096, 4096);
    tunables.fetch.segment_max = 4096;
    config
}

/// A decoder's bytes, read through a reader, with a count of them.
struct Counted {
    reader: Reader,
    read: Arc<AtomicU64>,
}

impl Counted {
    fn new(session: &Session) -> (Self, Arc<AtomicU64>) {
        let read = Arc::new(AtomicU64::new(0));
        (Self { reader: session.reader(), read: read.clone() }, read)
    }
}

impl Read for Counted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(buf)?;
        self.read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

impl Seek for Counted {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.reader.seek(to)
    }
}

fn covered(session: &Session) -> u64 {
    session.coverage().iter().map(|range| range.end - range.start).sum()
}

/// E6: sound is heard long before everything is there, and it is the right sound to the last sample. Each
/// miss is one small request, so the download cannot run away from the decoder.
#[test]
fn e6_decoding_begins_on_the_first_bytes_and_ends_sample_exact() {
    for (name, content_type) in FILES {
        let (samples, _) = local(name);
        let origin = serve(None, name, content_type);
        let session = open(by_the_read(), &origin);
        let len = session.len().unwrap();
        assert_eq!(session.content_type().as_deref(), Some(content_type), "{name}");

        let (bytes, read) = Counted::new(&session);
        let mut decode = Decode::open(bytes, Some(len)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let first = decode.next_block().unwrap().unwrap().samples;
        let there = covered(&session);
        // These two have what the demuxer must know at the tail, and looking there takes all of so small a file.
        let early = there < len || matches!(name, "chirp.ogg" | "chirp-tail.m4a");
        assert!(early, "{name}: {there} of {len} bytes before the first sound");

        let rest = decode.rest().unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!([first, rest].concat() == samples, "{name}: other samples than the local file");
        assert!(read.load(Ordering::Relaxed) > 0, "{name}");
        assert_eq!(origin.log().sent_twice("/media"), 0, "{name}");
    }
}

/// E6: the same after seeks into holes, forth and back; then to the end over a mended map.
#[test]
fn e6_after_seeks_into_holes_every_sample_is_that_of_the_local_file() {
    for (name, content_type) in FILES {
        let (samples, visits) = local(name);
        let origin = serve(None, name, content_type);
        let session = open(by_the_read(), &origin);
        let len = session.len();

        let mut decode = Decode::open(session.reader(), len).unwrap();
        assert!(visit(name, &mut decode) == visits, "{name}: other samples after a seek");
        // Opened anew: symphonia cannot go back in an MP4 that it has read to the end.
        let mut decode = Decode::open(session.reader(), len).unwrap();
        assert!(decode.rest().unwrap() == samples, "{name}: other samples than the local file");
        assert_eq!(origin.log().sent_twice("/media"), 0, "{name}");
    }
}

/// E6, P4: with the defaults, over a link that brings each file slower than it is decoded.
#[test]
fn e6_over_a_slow_link_with_read_ahead_every_sample_is_that_of_the_local_file() {
    /// Bits per second; the files are some 20 to 130 KB.
    const SLOW: u64 = 4_000_000;
    for (name, content_type) in FILES {
        let (samples, visits) = local(name);
        let link = Link::new(Duration::from_millis(5), SLOW);
        let origin = serve(Some(link), name, content_type);
        let session = open(Config::default(), &origin);
        let len = session.len();

        let mut decode = Decode::open(session.reader(), len).unwrap();
        assert!(visit(name, &mut decode) == visits, "{name}: other samples after a seek");
        let mut decode = Decode::open(session.reader(), len).unwrap();
        assert!(decode.rest().unwrap() == samples, "{name}: other samples than the local file");
    }
}

/// E1: a body that stops in the middle makes the decoder wait; it takes the silence neither for the end of the
/// media nor for an error.
#[test]
fn e1_a_decoder_waits_out_a_body_that_halts() {
    let (name, content_type) = ("chirp.wav", "audio/wav");
    let (samples, _) = local(name);
    let origin = serve(None, name, content_type);
    let gate = Gate::new();
    let half = media(name).len() as u64 / 2;
    origin.rule("/media", Rule::gate_body(half, &gate));
    let session = open(Config::default(), &origin);
    let len = session.len();
    let reader = session.reader();

    let decoding = std::thread::spawn(move || Decode::open(reader, len).unwrap().rest().unwrap());
    gate.wait_arrived(1);
    // The decoder can come to the halt and not past it.
    assert!(covered(&session) <= half);
    assert!(!session.snapshot().complete);
    gate.open();
    assert!(decoding.join().unwrap() == samples, "other samples than the local file");
}

/// E8: the same through a session over the local file, without network and without copy.
#[test]
fn e8_a_local_file_decodes_through_a_session_as_by_itself() {
    for (name, _) in FILES {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/media").join(name);
        let session = Engine::new().unwrap().open_blocking(path).unwrap();
        let len = session.len();
        let mut decode = Decode::open(session.reader(), len).unwrap();
        assert!(visit(name, &mut decode) == local(name).1, "{name}");
        assert_eq!(session.snapshot().requests, 0, "{name}");
    }
}
