//! Reads that prove each byte: whatever comes must be the pattern of its seed at its offset.

use std::io::{self, Read, Seek, SeekFrom};

use kithara_file::origin::pattern;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeek, AsyncSeekExt};

/// Panics at the first byte of `bytes` that is not the pattern of `seed` at its offset.
#[track_caller]
pub(crate) fn assert_pattern(bytes: &[u8], offset: u64, seed: u64) {
    if let Some(wrong) = pattern::first_wrong(bytes, offset, seed) {
        let got = bytes[(wrong - offset) as usize];
        let right = pattern::byte(wrong, seed);
        panic!("byte {wrong} is {got:#04x}, not {right:#04x} (read from {offset}, seed {seed})");
    }
}

/// One read at the cursor `at`, which moves on; the bytes are checked.
#[track_caller]
pub(crate) fn read_some(
    reader: &mut impl Read,
    at: &mut u64,
    buf: &mut [u8],
    seed: u64,
) -> io::Result<usize> {
    let len = reader.read(buf)?;
    assert_pattern(&buf[..len], *at, seed);
    *at += len as u64;
    Ok(len)
}

/// Seeks to `offset`, reads exactly `len` bytes and checks them.
#[track_caller]
pub(crate) fn read_at(reader: &mut (impl Read + Seek), offset: u64, len: usize, seed: u64) {
    let mut buf = vec![0; len];
    assert_eq!(reader.seek(SeekFrom::Start(offset)).expect("a seek"), offset);
    reader.read_exact(&mut buf).expect("so many bytes");
    assert_pattern(&buf, offset, seed);
}

/// Reads from the cursor `at` to the end and checks all of it; how many bytes came.
#[track_caller]
pub(crate) fn read_to_end(reader: &mut impl Read, at: u64, seed: u64) -> io::Result<u64> {
    let (mut now, mut buf) = (at, vec![0; 64 * 1024]);
    while read_some(reader, &mut now, &mut buf, seed)? > 0 {}
    Ok(now - at)
}

/// `read_at` for async readers.
pub(crate) async fn read_at_async(
    reader: &mut (impl AsyncRead + AsyncSeek + Unpin),
    offset: u64,
    len: usize,
    seed: u64,
) {
    let mut buf = vec![0; len];
    assert_eq!(reader.seek(SeekFrom::Start(offset)).await.expect("a seek"), offset);
    reader.read_exact(&mut buf).await.expect("so many bytes");
    assert_pattern(&buf, offset, seed);
}

/// `read_to_end` for async readers.
pub(crate) async fn read_to_end_async(
    reader: &mut (impl AsyncRead + Unpin),
    at: u64,
    seed: u64,
) -> io::Result<u64> {
    let (mut now, mut buf) = (at, vec![0; 64 * 1024]);
    loop {
        let len = reader.read(&mut buf).await?;
        if len == 0 {
            return Ok(now - at);
        }
        assert_pattern(&buf[..len], now, seed);
        now += len as u64;
    }
}
