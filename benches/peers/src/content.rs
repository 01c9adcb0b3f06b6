//! Self-checking content: each byte proves its own offset, so that any range is checked without the file at hand.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use kithara_file::origin::pattern;

/// The one generation that the benches serve.
const SEED: u64 = 0;

/// Fails unless `buf` holds the bytes from `at` on.
pub(crate) fn check(buf: &[u8], at: u64) -> Result<()> {
    match pattern::first_wrong(buf, at, SEED) {
        None => Ok(()),
        Some(offset) => bail!("wrong byte at {offset}, in {} bytes read at {at}", buf.len()),
    }
}

/// Writes `len` bytes to `file`.
pub(crate) fn write(file: &Path, len: u64) -> Result<()> {
    const STEP: usize = 1 << 20;
    let out = File::create(file).with_context(|| format!("making {}", file.display()))?;
    let mut out = BufWriter::with_capacity(STEP, out);
    let mut buf = vec![0; STEP];
    let mut at = 0;
    while at < len {
        let n = usize::try_from(len - at).map_or(STEP, |left| left.min(STEP));
        pattern::fill(&mut buf[..n], at, SEED);
        out.write_all(&buf[..n])?;
        at += n as u64;
    }
    Ok(out.flush()?)
}
