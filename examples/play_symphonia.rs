//! Decodes a resource with symphonia while it downloads, into a null output, and says what came.
//!
//! Usage: `cargo run --features symphonia --example play_symphonia -- URL`

use std::error::Error;
use std::process::ExitCode;

use kithara_file::Engine;
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error as DecodeError;
use symphonia::core::formats::TrackType;
use symphonia::core::formats::probe::Hint;
use symphonia::core::io::MediaSourceStream;

fn main() -> ExitCode {
    let Some(url) = std::env::args().nth(1) else {
        eprintln!("usage: play_symphonia URL");
        return ExitCode::from(2);
    };
    match play(&url) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("play_symphonia: {error}");
            ExitCode::FAILURE
        }
    }
}

fn play(url: &str) -> Result<(), Box<dyn Error>> {
    let engine = Engine::new()?;
    let session = engine.open_blocking(url)?;

    // A reader is a media source as it is: it knows its length and whether one may seek.
    let stream = MediaSourceStream::new(Box::new(session.reader()), Default::default());
    let mut hint = Hint::new();
    if let Some(kind) = session.content_type() {
        hint.mime_type(&kind);
    }
    let probe = symphonia::default::get_probe();
    let mut format = probe.probe(&hint, stream, Default::default(), Default::default())?;
    println!("{}: {}", format.format_info().short_name, format.format_info().long_name);

    let track = format.default_track(TrackType::Audio).ok_or("no audio track")?;
    let track_id = track.id;
    let params = track.codec_params.as_ref().and_then(|params| params.audio());
    let params = params.ok_or("an unknown codec")?;
    let options = AudioDecoderOptions::default();
    let mut decoder = symphonia::default::get_codecs().make_audio_decoder(params, &options)?;

    let (mut packets, mut frames, mut rate) = (0_u64, 0_u64, 0_u32);
    while let Some(packet) = format.next_packet()? {
        if packet.track_id != track_id {
            continue;
        }
        match decoder.decode(&packet) {
            // A player would hand these samples to its output.
            Ok(audio) => {
                packets += 1;
                frames += audio.frames() as u64;
                rate = audio.spec().rate();
            }
            Err(DecodeError::DecodeError(what)) => eprintln!("skipped a packet: {what}"),
            Err(error) => return Err(error.into()),
        }
    }
    let seconds = frames as f64 / f64::from(rate.max(1));
    println!("{packets} packets, {frames} frames at {rate} Hz: {seconds:.3} s");

    let snapshot = session.snapshot();
    println!(
        "{} bytes read, {} fetched in {} requests",
        snapshot.bytes_read, snapshot.bytes_fetched, snapshot.requests
    );
    Ok(())
}
