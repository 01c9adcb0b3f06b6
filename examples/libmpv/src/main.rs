//! Plays a medium without a window: to its end, or from one moment to the next and says where it is.
//!
//! usage: libmpv-player [--OPTION=VALUE...] PLACE [SECONDS...]
//!
//! The options are mpv's. A URL goes through us; anything else mpv opens by itself.

use std::process::ExitCode;

use kithara_file::Engine;
use libmpv_player::{Event, Mpv};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (options, rest): (Vec<_>, Vec<_>) = words.iter().partition(|word| word.starts_with("--"));
    let Some((place, moments)) = rest.split_first() else {
        eprintln!("usage: libmpv-player [--OPTION=VALUE...] PLACE [SECONDS...]");
        return ExitCode::from(2);
    };
    match run(&options, place, moments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("libmpv-player: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(
    options: &[&String],
    place: &str,
    moments: &[&String],
) -> Result<(), Box<dyn std::error::Error>> {
    // Without these two it is seen and heard.
    let mut all = vec![("vo", "null"), ("ao", "null"), ("hr-seek", "yes"), ("terminal", "no")];
    all.extend(options.iter().filter_map(|option| option[2..].split_once('=')));
    if !moments.is_empty() {
        all.push(("pause", "yes"));
    }
    let mpv = Mpv::new(Engine::new()?, &all)?;
    let ours = format!("kithara://{place}");
    mpv.command(&["loadfile", if place.starts_with("http") { &ours } else { place }])?;
    mpv.wait()?;
    if moments.is_empty() {
        while mpv.wait()? != Event::Ended {}
        return Ok(());
    }
    println!("{:.3} s long", mpv.number("duration")?);
    for moment in moments {
        mpv.command(&["seek", moment, "absolute+exact"])?;
        if mpv.wait()? != Event::Playing {
            return Err("it ended".into());
        }
        println!("at {:.3}", mpv.number("time-pos")?);
    }
    Ok(())
}
