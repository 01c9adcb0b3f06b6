//! Plays a resource with rodio while it downloads, into a null output that is as fast as the bytes come.
//!
//! Usage: `cargo run --features rodio --example play_rodio -- URL`

use std::error::Error;
use std::process::ExitCode;

use kithara_file::Engine;
use rodio::{Decoder, Player, Source};

fn main() -> ExitCode {
    let Some(url) = std::env::args().nth(1) else {
        eprintln!("usage: play_rodio URL");
        return ExitCode::from(2);
    };
    match play(&url) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("play_rodio: {error}");
            ExitCode::FAILURE
        }
    }
}

fn play(url: &str) -> Result<(), Box<dyn Error>> {
    let engine = Engine::new()?;
    let session = engine.open_blocking(url)?;

    // A reader becomes a decoder as a file does: it knows its length and whether one may seek.
    let sound = Decoder::try_from(session.reader())?;
    let (channels, rate) = (sound.channels(), sound.sample_rate());
    match sound.total_duration() {
        Some(duration) => println!("{channels} channels at {rate} Hz, {duration:.3?}"),
        None => println!("{channels} channels at {rate} Hz, duration unknown"),
    }

    // To hear it, turn on rodio's feature `playback`, take the player of a sound card, and let it play:
    //     let sink = rodio::DeviceSinkBuilder::open_default_sink()?;
    //     let player = Player::connect_new(sink.mixer());
    //     player.append(sound);
    //     player.sleep_until_end();
    let (player, output) = Player::new();
    player.append(sound);

    // The output's side: it takes samples until the player has no sound left, and drops them. After the last sound
    // a player gives silence for ever.
    let samples = output.take_while(|_| !player.empty()).count();
    let frames = samples / usize::from(channels.get());
    println!("{samples} samples: {:.3} s", frames as f64 / f64::from(rate.get()));

    let snapshot = session.snapshot();
    println!(
        "{} bytes read, {} fetched in {} requests",
        snapshot.bytes_read, snapshot.bytes_fetched, snapshot.requests
    );
    Ok(())
}
