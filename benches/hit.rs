//! What a hit costs beside the bare `pread` of the same bytes from the same kind of file, in turns: a seek to a random place and 4 KiB
//! there, and the next 4 KiB.
//!
//! `cargo bench --features origin --bench hit [-- DIR]`; DIR is on the file system to measure.

use std::fs::File;
use std::hint::black_box;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Instant;

use kithara_file::origin::{Content, Origin};
use kithara_file::{Engine, Reader};

const LEN: u64 = 64 << 20;
const PIECE: usize = 4096;
/// Turns, and reads of each kind in one.
const TURNS: usize = 200;
const READS: u64 = 500;
/// Far enough apart, and over all of it.
const STRIDE: u64 = 12_345_678;

fn main() {
    // `cargo test` runs benches too, with this argument missing.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let dir = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    let place = match dir {
        Some(dir) => tempfile::tempdir_in(dir),
        None => tempfile::tempdir(),
    };
    let place = place.expect("a folder");
    let mut stage = Stage::new(place.path());
    let mut times: [Vec<f64>; 4] = Default::default();
    for turn in 0..TURNS as u64 {
        for (kind, times) in times.iter_mut().enumerate() {
            for nth in 0..READS {
                let at = ((turn * READS + nth) * STRIDE) % (LEN - PIECE as u64);
                // In order, from a place of this turn.
                let next = (turn * STRIDE) % (LEN / 2) + nth * PIECE as u64;
                let began = Instant::now();
                match kind {
                    0 => stage.bare(at),
                    1 => stage.jump(at),
                    2 => stage.bare(next),
                    _ if nth == 0 => stage.jump(next),
                    _ => stage.read(),
                }
                times.push(began.elapsed().as_secs_f64() * 1e6);
            }
        }
    }
    let [bare, jump, bare_next, next] = times.map(|times| (at(&times, 0.5), at(&times, 0.99)));
    for (what, bare, hit) in [("seek and 4 KiB", bare, jump), ("the next 4 KiB", bare_next, next)] {
        println!(
            "{what}: median {:.3} us, {:.2} times a bare pread ({:.3} us); p99 {:.2} us ({:.2} us)",
            hit.0,
            hit.0 / bare.0,
            bare.0,
            hit.1,
            bare.1
        );
    }
}

struct Stage {
    file: File,
    reader: Reader,
    _origin: Origin,
    buf: Vec<u8>,
}

impl Stage {
    fn new(place: &Path) -> Self {
        let origin = Origin::builder().write_size(256 << 10).start();
        origin.put("/file", Content::pattern(LEN));
        let engine = Engine::builder()
            .store_dir(place.join("store"))
            .build()
            .expect("the defaults are valid");
        let session = engine.open_blocking(origin.url("/file")).expect("the origin is there");
        let mut reader = session.into_reader();
        let mut file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(place.join("bare"))
            .expect("a file");
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).expect("the origin is honest");
        file.write_all(&bytes).expect("written");
        Self { file, reader, _origin: origin, buf: vec![0; PIECE] }
    }

    fn bare(&mut self, at: u64) {
        let n = pread(&self.file, black_box(&mut self.buf), at).expect("written before");
        assert_eq!(n, PIECE);
    }

    fn jump(&mut self, at: u64) {
        self.reader.seek(SeekFrom::Start(at)).expect("a seek does no I/O");
        self.read();
    }

    fn read(&mut self) {
        self.reader.read_exact(black_box(&mut self.buf)).expect("the bytes are there");
    }
}

#[cfg(unix)]
fn pread(file: &File, buf: &mut [u8], at: u64) -> std::io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, at)
}

#[cfg(windows)]
fn pread(file: &File, buf: &mut [u8], at: u64) -> std::io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buf, at)
}

/// The value that such a part of `times` is below.
fn at(times: &[f64], part: f64) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times[((times.len() - 1) as f64 * part).round() as usize]
}
