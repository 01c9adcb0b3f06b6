//! Two readers of one session in two threads: they share what is stored and what is being fetched.
//!
//! Usage: `cargo run --example two_cursors -- URL`

use std::io::{self, Seek, SeekFrom};
use std::process::ExitCode;
use std::thread;

use kithara_file::{Engine, Reader};

fn main() -> ExitCode {
    let Some(url) = std::env::args().nth(1) else {
        eprintln!("usage: two_cursors URL");
        return ExitCode::from(2);
    };
    match read_twice(&url) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("two_cursors: {error}");
            ExitCode::FAILURE
        }
    }
}

fn read_twice(url: &str) -> io::Result<()> {
    let engine = Engine::new()?;
    let session = engine.open_blocking(url)?;
    let Some(len) = session.len() else {
        return Err(io::Error::other("the length is unknown: there is no middle to start from"));
    };

    // One reads all of it, the other only the second half.
    let mut all = session.reader();
    let mut half = session.reader();
    half.seek(SeekFrom::Start(len / 2))?;
    let (all, half) = thread::scope(|scope| {
        let all = scope.spawn(move || drain(&mut all));
        let half = scope.spawn(move || drain(&mut half));
        (join(all), join(half))
    });
    let (all, half) = (all?, half?);
    println!("one cursor read {all} bytes, the other {half}");
    if (all, half) != (len, len - len / 2) {
        return Err(io::Error::other(format!("expected {len} and {}", len - len / 2)));
    }

    let snapshot = session.snapshot();
    println!(
        "{} bytes given to readers, {} fetched in {} requests over {} connections",
        snapshot.bytes_read, snapshot.bytes_fetched, snapshot.requests, snapshot.connections
    );
    Ok(())
}

fn drain(reader: &mut Reader) -> io::Result<u64> {
    io::copy(reader, &mut io::sink())
}

fn join(thread: thread::ScopedJoinHandle<'_, io::Result<u64>>) -> io::Result<u64> {
    thread.join().unwrap_or_else(|_| Err(io::Error::other("a reader's thread panicked")))
}
