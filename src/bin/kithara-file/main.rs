//! The command line of kithara-file: `get`, `scrub`, `watch`, `serve`, `cache` and `demo`.
//!
//! It uses the crate as any application does, through its public door; only the demo knows the
//! scripted origin besides. Results go to standard output, everything else to standard error.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
#![warn(clippy::unwrap_used)]

mod args;
mod cache;
mod coverage;
mod demo;
mod failure;
mod figures;
mod get;
mod live;
mod naive;
mod output;
mod progress;
mod scrub;
mod serve;
mod source;
mod table;
mod watch;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use kithara_file::CancellationToken;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use args::{Args, Command};
use failure::Failure;

fn main() -> ExitCode {
    let args = Args::parse();
    match start(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn start(args: Args) -> Result<(), Failure> {
    log(args.verbose)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(format!("starting: {error}")))?;
    let result = runtime.block_on(async {
        let stop = CancellationToken::new();
        tokio::spawn(watch_signals(stop.clone()));
        run(args.command, stop).await
    });
    // A copy to a pipe that nobody empties must not hold the program.
    runtime.shutdown_background();
    result
}

async fn run(command: Command, stop: CancellationToken) -> Result<(), Failure> {
    match command {
        Command::Get(get) => get::run(get, stop).await,
        Command::Scrub(scrub) => scrub::run(scrub, stop).await,
        Command::Watch(watch) => watch::run(watch, stop).await,
        Command::Serve(serve) => serve::run(serve, stop).await,
        Command::Cache(cache) => cache::run(cache),
        Command::Demo(demo) => demo::run(demo, stop).await,
    }
}

/// Logs to standard error: what `RUST_LOG` says, else the crate's own messages from `-v` on.
fn log(verbose: u8) -> Result<(), Failure> {
    let filter = match (std::env::var(EnvFilter::DEFAULT_ENV), verbose) {
        (Ok(text), _) if !text.is_empty() => text,
        (_, 0) => return Ok(()),
        (_, 1) => "kithara_file=debug".into(),
        (_, _) => "kithara_file=trace".into(),
    };
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| Failure::usage(format!("RUST_LOG cannot be used: {error}")))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(std::io::stderr)
        .init();
    Ok(())
}

/// The first signal asks for a clean end, the second one ends at once.
async fn watch_signals(stop: CancellationToken) {
    if signal().await.is_ok() {
        stop.cancel();
        if signal().await.is_ok() {
            std::process::exit(i32::from(failure::INTERRUPTED));
        }
    }
}

/// Waits for Ctrl-C, or on Unix for a polite kill.
async fn signal() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            result = tokio::signal::ctrl_c() => result,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

/// Writes a result to standard output. A reader that has seen enough (`| head`) is no failure.
fn say(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("writing to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes a remark to standard error, which nobody may be reading.
fn remark(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
