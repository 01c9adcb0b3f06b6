//! Reads here and there in a resource, and prints what an operator would see of it: spans on standard error, and then
//! the metrics as Prometheus has them.
//!
//! Usage: `cargo run --features metrics --example observe -- URL`

mod recorder;

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::process::ExitCode;

use kithara_file::Engine;
use tracing_subscriber::fmt::format::FmtSpan;

use recorder::Recorder;

fn main() -> ExitCode {
    let Some(url) = std::env::args().nth(1) else {
        eprintln!("usage: observe URL");
        return ExitCode::from(2);
    };
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(io::stderr)
        .init();
    // Before the engine, which then tells what each metric is.
    let recorder = Recorder::default();
    if metrics::set_global_recorder(recorder.clone()).is_err() {
        eprintln!("observe: there is a recorder already");
    }
    match seek_about(&url) {
        Ok(()) => {
            print!("{}", recorder.text());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("observe: {error}");
            ExitCode::FAILURE
        }
    }
}

fn seek_about(url: &str) -> io::Result<()> {
    let engine = Engine::new()?;
    let session = engine.open_blocking(url)?;
    let len = session.len().unwrap_or(0);
    let mut reader = session.reader();
    let mut buf = vec![0; 64 << 10];
    for part in [0, 7, 3, 9, 3] {
        reader.seek(SeekFrom::Start(len / 10 * part))?;
        let n = reader.read(&mut buf)?;
        eprintln!("{n} bytes at {}", len / 10 * part);
    }
    drop(reader);
    session.close_blocking()?;
    Ok(())
}
