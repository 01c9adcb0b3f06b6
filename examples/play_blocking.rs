//! Reads a resource as a decoder would: from the start to the end, and then here and there.
//!
//! Usage: `cargo run --example play_blocking -- URL`

use std::io::{self, Read, Seek, SeekFrom};
use std::process::ExitCode;

use kithara_file::{Engine, Error, Reader};

fn main() -> ExitCode {
    let Some(url) = std::env::args().nth(1) else {
        eprintln!("usage: play_blocking URL");
        return ExitCode::from(2);
    };
    match play(&url) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("play_blocking: {error}");
            // The engine's own error is inside and says whether trying again can help.
            if Error::from_io(&error).is_some_and(|error| !error.is_fatal()) {
                eprintln!("play_blocking: this may pass; try again later");
            }
            ExitCode::FAILURE
        }
    }
}

fn play(url: &str) -> io::Result<()> {
    // These three lines are all that a player needs; the rest looks about.
    let engine = Engine::new()?;
    let session = engine.open_blocking(url)?;
    let mut reader = session.reader();

    let kind = session.content_type();
    match session.len() {
        Some(len) => println!("{len} bytes of {}", kind.as_deref().unwrap_or("unknown type")),
        None => println!("length unknown until the end"),
    }

    // A read returns what is there and blocks only while nothing is; zero means the proven end.
    let mut bytes = 0;
    let mut buf = vec![0; 64 * 1024];
    loop {
        match reader.read(&mut buf)? {
            0 => break,
            n => bytes += n as u64,
        }
    }
    println!("read {bytes} bytes to the end");
    // The length is known now, if only because the end was proven.
    let len = session.len().unwrap_or(bytes);
    if bytes != len {
        return Err(io::Error::other(format!("the end came at byte {bytes} of {len}")));
    }

    look_about(&mut reader, len)?;
    println!("{:#?}", session.snapshot());
    Ok(())
}

/// Seeks to some places, the last one past the end. A seek costs nothing: only a read can.
fn look_about(reader: &mut Reader, len: u64) -> io::Result<()> {
    for percent in [50, 10, 90, 0] {
        let at = len / 100 * percent;
        reader.seek(SeekFrom::Start(at))?;
        let mut piece = Vec::new();
        reader.by_ref().take(16).read_to_end(&mut piece)?;
        println!("at {at}: {piece:02x?}");
    }
    reader.seek(SeekFrom::End(1))?;
    match reader.read(&mut [0; 1])? {
        0 => println!("past the end: nothing, as with a file"),
        n => return Err(io::Error::other(format!("{n} bytes past the end"))),
    }
    Ok(())
}
