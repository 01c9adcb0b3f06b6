//! Plays an object out of an object store, and then again without it.
//!
//! Usage: `cargo run --features object-store --example object_store [-- URL]`. Without an argument the object is one that
//! the example puts into a store in memory, and nothing goes over a network. With one, as `s3://bucket/film.mp4`, the
//! environment says where the store is and who asks (`AWS_ACCESS_KEY_ID` and so on).

use std::io::{self, Read, Seek, SeekFrom};
use std::process::ExitCode;
use std::sync::Arc;

use kithara_file::object_store::memory::InMemory;
use kithara_file::object_store::{ObjectStore, ObjectStoreExt as _};
use kithara_file::{Engine, Source};

fn main() -> ExitCode {
    let played = match std::env::args().nth(1) {
        Some(url) => Source::url(&url).map_err(io::Error::from).and_then(twice),
        None => in_memory().and_then(twice),
    };
    match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("object_store: {error}");
            ExitCode::FAILURE
        }
    }
}

/// An object in a store that this program has built. Its name is what it is stored under.
fn in_memory() -> io::Result<Source> {
    let store = InMemory::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let film: Vec<u8> = (0..4_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    runtime.block_on(store.put(&"film.mp4".into(), film.into())).map_err(io::Error::other)?;
    let store: Arc<dyn ObjectStore> = Arc::new(store);
    Ok(Source::object(store, "memory://films/film.mp4")?)
}

fn twice(source: Source) -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let engine = Engine::builder().store_dir(folder.path()).build()?;
    let session = engine.open_blocking(source.clone())?;
    let mut reader = session.reader();
    let mut start = [0; 4];
    reader.read_exact(&mut start)?;
    reader.seek(SeekFrom::End(-4))?;
    reader.read_exact(&mut [0; 4])?;
    reader.seek(SeekFrom::Start(0))?;
    let online = io::copy(&mut reader, &mut io::sink())?;
    println!("from the store: {online} bytes, {} requests", session.snapshot().requests);
    drop(reader);
    session.close_blocking()?;
    drop(engine);

    let engine = Engine::builder().store_dir(folder.path()).offline(true).build()?;
    let session = engine.open_blocking(source)?;
    let offline = io::copy(&mut session.reader(), &mut io::sink())?;
    println!("offline: {offline} bytes, {} requests", session.snapshot().requests);
    match online == offline {
        true => Ok(()),
        false => Err(io::Error::other("the second pass has other bytes")),
    }
}
