//! Plays a medium without a window: to its end, or from one moment to the next and says what is there.
//!
//! usage: gstreamer-player [--audio SINK] [--video SINK] URI [SECONDS...]

use std::hash::{DefaultHasher, Hash, Hasher};
use std::process::ExitCode;

use gstreamer::ClockTime;
use gstreamer_player::{Player, Stopped};
use kithara_file::Engine;

fn main() -> ExitCode {
    let (mut audio, mut video, mut rest) =
        ("fakesink".to_owned(), "fakesink".to_owned(), Vec::new());
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--audio" => audio = words.next().unwrap_or(audio),
            "--video" => video = words.next().unwrap_or(video),
            _ => rest.push(word),
        }
    }
    let Some((uri, moments)) = rest.split_first() else {
        eprintln!("usage: gstreamer-player [--audio SINK] [--video SINK] URI [SECONDS...]");
        return ExitCode::from(2);
    };
    match run(&audio, &video, uri, moments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gstreamer-player: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(
    audio: &str,
    video: &str,
    uri: &str,
    moments: &[String],
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let engine = Engine::new()?;
    let player = Player::new(&engine, uri, audio, video)?;
    if moments.is_empty() {
        player.play()?;
        while player.wait()? != Stopped::End {}
        return Ok(());
    }
    player.pause()?;
    player.wait()?;
    println!("{} long", player.duration().ok_or("it has no length")?);
    for moment in moments {
        player.seek(ClockTime::from_seconds_f64(moment.parse()?))?;
        player.wait()?;
        println!("at {}", player.position().ok_or("it is nowhere")?);
        for name in ["audio", "video"] {
            if let Some((time, bytes)) = player.shown(name) {
                let mut hasher = DefaultHasher::new();
                bytes.hash(&mut hasher);
                println!("  {name} of {time}: {} bytes, {:016x}", bytes.len(), hasher.finish());
            }
        }
    }
    Ok(())
}
