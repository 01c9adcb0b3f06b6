//! The same in async code: reads to the end, shows progress, and gives up a read that takes too long.
//!
//! Usage: `cargo run --example play_async -- URL`

use std::io::SeekFrom;
use std::process::ExitCode;
use std::time::Duration;

use kithara_file::{Engine, SessionEvent};
use tokio::io::AsyncSeekExt;

/// How long a single read may take before this example gives up on it.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(url) = std::env::args().nth(1) else {
        eprintln!("usage: play_async URL");
        return ExitCode::from(2);
    };
    match play(&url).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("play_async: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn play(url: &str) -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::new()?;
    let session = engine.open(url).await?;
    let mut events = session.events();
    let mut reader = session.async_reader();

    let mut bytes = 0;
    let mut buf = vec![0; 64 * 1024];
    loop {
        // Dropping the future withdraws the demand, so a timeout around a read is safe.
        match tokio::time::timeout(PATIENCE, reader.read(&mut buf)).await?? {
            0 => break,
            n => bytes += n as u64,
        }
    }
    println!("read {bytes} bytes to the end");

    // `AsyncSeek` is there too; the trait's futures do no I/O.
    let middle = reader.seek(SeekFrom::Start(bytes / 2)).await?;
    let n = reader.read(&mut buf[..16]).await?;
    println!("at {middle}: {:02x?}", &buf[..n]);

    // Nothing here waits: what has happened so far is in the queue.
    while let Some(event) = events.try_next() {
        match event {
            SessionEvent::FetchStarted { start, end } => println!("asked for {start}..{end}"),
            SessionEvent::EndOfStream { len } => println!("all {len} bytes are stored"),
            _ => {}
        }
    }
    // Closing waits until what was received is on disk; dropping the session does not.
    drop(reader);
    session.close().await;
    Ok(())
}
