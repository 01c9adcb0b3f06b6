//! What a hit takes: no lock of ours, no message to another thread. (That it allocates nothing: `tests/engine/hits.rs`.)

use std::io::{Read, Seek, SeekFrom};

use crate::engine::Engine;
use crate::origin::{Content, Origin, pattern};
use crate::reader::Reader;
use crate::sync::counted;

const LEN: u64 = 4 << 20;
const PIECE: usize = 4096;

fn read_at(reader: &mut Reader, at: u64) {
    let mut buf = [0; PIECE];
    reader.seek(SeekFrom::Start(at)).unwrap();
    reader.read_exact(&mut buf).unwrap();
    assert_eq!(pattern::first_wrong(&buf, at, 0), None);
}

#[test]
fn s1_a_hit_takes_no_lock_and_sends_no_message() {
    let origin = Origin::start();
    origin.put("/file", Content::pattern(LEN));
    let session = Engine::new().unwrap().open_blocking(origin.url("/file")).unwrap();
    let mut reader = session.reader();
    std::io::copy(&mut reader, &mut std::io::sink()).unwrap();
    // A first look: what the reader knew before everything was there is less.
    read_at(&mut reader, 0);
    let before = counted();
    for nth in 0..500 {
        read_at(&mut reader, nth * 1_234_567 % (LEN - PIECE as u64));
    }
    reader.seek(SeekFrom::Start(0)).unwrap();
    assert_eq!(
        std::io::copy(&mut reader.by_ref().take(LEN - 1), &mut std::io::sink()).unwrap(),
        LEN - 1
    );
    assert_eq!(counted(), before);
}
