//! Reads a resource into a store, and then again without the network.
//!
//! Usage: `cargo run --example offline -- URL [FOLDER]`; without a folder the store is a temporary one.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use kithara_file::{Engine, Error, Session};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let Some(url) = args.next() else {
        eprintln!("usage: offline URL [FOLDER]");
        return ExitCode::from(2);
    };
    match twice(&url, args.next().as_deref().map(Path::new)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("offline: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn twice(url: &str, folder: Option<&Path>) -> io::Result<()> {
    // The guard removes the temporary folder at the end.
    let temporary = tempfile::tempdir()?;
    let store = folder.unwrap_or(temporary.path());

    let engine = Engine::builder().store_dir(store).build()?;
    let session = engine.open(url).await?;
    let (online, requests) = drain(&session).await?;
    println!("online: {online} bytes, {requests} requests");
    // Dropping the session would do, but then nobody would know when the asset is free for the next engine.
    session.close().await;
    drop(engine);

    let engine = Engine::builder().store_dir(store).offline(true).build()?;
    let session = engine.open(url).await?;
    let (offline, requests) = drain(&session).await?;
    println!("offline: {offline} bytes, {requests} requests");
    match (online == offline, requests) {
        (true, 0) => Ok(()),
        _ => Err(io::Error::other("the second pass was not served from the store alone")),
    }
}

/// Reads to the end; gives the bytes read and the requests that were sent for them.
async fn drain(session: &Session) -> Result<(u64, u64), Error> {
    let mut reader = session.async_reader();
    let mut buf = vec![0; 64 * 1024];
    let mut bytes = 0;
    loop {
        match reader.read(&mut buf).await? {
            0 => return Ok((bytes, session.snapshot().requests)),
            n => bytes += n as u64,
        }
    }
}
