//! The files in `tests/media` are what the decoding tests take them for: eight seconds of sound each,
//! whole, seekable, and the same on every decode.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

#[path = "support/decode.rs"]
mod decode;

use decode::{Block, Decode};

/// File, frames per second, channels, frames: eight seconds, and for AAC (whose padding symphonia does not
/// cut off) 174 packets of 1024.
const FILES: [(&str, u32, usize, usize); 6] = [
    ("chirp.wav", 8_000, 1, 64_000),
    ("chirp.flac", 11_025, 1, 88_200),
    ("chirp.mp3", 22_050, 2, 176_400),
    ("chirp.ogg", 22_050, 2, 176_400),
    ("chirp-tail.m4a", 22_050, 2, 178_176),
    ("chirp-front.m4a", 22_050, 2, 178_176),
];

fn open(name: &str) -> Decode {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/media").join(name);
    let file = File::open(path).expect("the media file is part of the repository");
    let len = file.metadata().expect("an open file has metadata").len();
    Decode::open(file, Some(len)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_file_decodes_to_eight_seconds_of_sound() {
    for (name, rate, channels, frames) in FILES {
        let mut decode = open(name);
        let samples = decode.rest().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((decode.rate(), decode.channels()), (rate, channels), "{name}");
        assert_eq!(decode.skipped(), 0, "{name}");
        assert_eq!(samples.len(), frames * channels, "{name}");
        assert_sounds(name, &samples);
    }
}

/// In each second it is neither silent nor beyond full scale.
fn assert_sounds(name: &str, samples: &[f32]) {
    for (second, part) in samples.chunks_exact(samples.len() / 8).enumerate() {
        let power = part.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>();
        let loudness = (power / part.len() as f64).sqrt();
        assert!((0.05..0.7).contains(&loudness), "{name}, second {second}: {loudness}");
    }
}

#[test]
fn the_place_of_the_index_does_not_change_the_sound() {
    let [tail, front] = ["chirp-tail.m4a", "chirp-front.m4a"].map(|name| open(name).rest());
    assert_eq!(tail.expect("decodes"), front.expect("decodes"));
}

/// Seconds to visit: forth, back, twice nearly the same, and last the end.
const PLACES: [f64; 6] = [0.0, 6.5, 1.25, 3.0, 3.001, 7.9];

/// Seeks to the places and decodes a little after each.
fn scrub(name: &str) -> Vec<Vec<Block>> {
    let mut decode = open(name);
    let places = PLACES.map(Duration::from_secs_f64);
    let visit = |place| {
        decode.seek(place)?;
        decode.blocks(8)
    };
    let visits = places.into_iter().map(visit);
    visits.collect::<Result<_, _>>().unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn seeks_land_where_they_should_and_repeat() {
    for (name, rate, channels, ..) in FILES {
        let visits = scrub(name);
        assert_eq!(visits, scrub(name), "{name}");
        for (visit, asked) in visits.iter().zip(PLACES) {
            let first = visit.first().unwrap_or_else(|| panic!("{name}: nothing at {asked} s"));
            let begins = first.start as f64 / f64::from(rate);
            assert!(begins <= asked && begins > asked - 1.0, "{name}: {begins} s for {asked} s");
            assert!(visit.iter().all(|block| block.samples.len() % channels == 0), "{name}");
        }
    }
}

#[test]
fn after_a_seek_lossless_sound_is_the_same_as_in_one_go() {
    for name in ["chirp.wav", "chirp.flac"] {
        let whole = open(name).rest().expect("decodes");
        for block in scrub(name).into_iter().flatten() {
            let start = usize::try_from(block.start).expect("no sound before the start");
            assert_eq!(
                block.samples,
                whole[start..start + block.samples.len()],
                "{name} at {start}"
            );
        }
    }
}
