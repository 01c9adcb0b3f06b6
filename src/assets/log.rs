//! The coverage log, byte by byte: which bytes of the data file beside it are the resource's.
//!
//! A log is one [`Header`] of variable length, then [`Record`]s of 32 bytes, all little-endian.
//! Encoding and decoding are pure; files are the journal's, meaning is `recovery`'s.
//!
//! ```text
//! header   0  magic           8      record   0  kind             1
//!          8  version         2               1  start            6   Covered, Punch
//!         10  zero            2               7  len              5   Covered, Punch
//!         12  length          4               8  value            8   LenKnown, Sealed, Validated
//!         16  epoch           4              12  CRC of the data  4   Covered
//!         20  key hash       32              16  sequence         8   Covered, Punch, Barrier
//!         52  boot id        16              24  flags            1   Covered: 1 = CRC is known
//!         68  created         8              25  zero             3
//!         76  strong date     1              28  CRC of 0..28     4   seeded with the epoch
//!         77  four texts
//!             zeros to a multiple of 32, less 4
//!          -  CRC of all      4
//! ```
//!
//! A text is a length of 16 bits and that many bytes of UTF-8; the length 65,535 stands for none.
//!
//! Invariants:
//! 1. there is one encoding for each value, and everything else is refused: unused bytes are zero;
//! 2. a record decodes under the epoch it was encoded with and under no other. A CRC seeded with
//!    another number differs for every message, so records of an earlier life of the file never
//!    count as long as two lives in a row have different epochs;
//! 3. zeros, as in the preallocated tail, are no record: there is no kind 0.

use crate::byte_range::ByteRange;
use crate::validator::Validator;

/// Bytes of one record.
pub(crate) const RECORD_LEN: usize = 32;
/// First byte past the largest offset that a record can name (48 bits).
pub(crate) const MAX_OFFSET: u64 = 1 << 48;
/// Most bytes one record can name (40 bits).
pub(crate) const MAX_RECORD_BYTES: u64 = (1 << 40) - 1;
/// Most bytes of one text in the header; servers send less than 8 KiB in all headers together.
const MAX_TEXT: usize = 16 * 1024;
/// Most bytes of a header: four texts and the fixed part, rounded up.
pub(crate) const MAX_HEADER: usize = 4 * MAX_TEXT + 256;

const MAGIC: [u8; 8] = *b"KITHMAP\x1a";
const VERSION: u16 = 1;
/// Bytes before the texts.
const FIXED: usize = 77;
const NO_TEXT: u16 = u16::MAX;

/// What tells one run of the operating system from another; `None` where the system does not say,
/// and that equals nothing.
pub(crate) type BootId = Option<[u8; 16]>;

/// The head of a log: whose bytes they are, and of which version of the resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    /// Seed of all record CRCs; another number in each life of the file.
    pub(crate) epoch: u32,
    /// The asset's key, hashed.
    pub(crate) key: [u8; 32],
    /// The run of the system in which every record of this log was written.
    pub(crate) boot: BootId,
    /// When this version of the resource was first stored, in Unix seconds.
    pub(crate) created: u64,
    /// Tells this version of the resource from others.
    pub(crate) validator: Validator,
    /// `Content-Type` as sent.
    pub(crate) content_type: Option<String>,
    /// The key as the user wrote it, if it is an explicit one.
    pub(crate) label: Option<String>,
}

/// One entry of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Record {
    /// The bytes were written to the data file before this was appended; not yet synced.
    Covered {
        /// Which bytes; never empty.
        range: ByteRange,
        /// Their CRC-32, unless a punch took part of the record that had it.
        crc: Option<u32>,
        /// Number of this record; they rise.
        seq: u64,
    },
    /// Every `Covered` up to and with `seq` was synced in the data file before this was appended.
    Barrier {
        /// The last one proven.
        seq: u64,
    },
    /// The bytes are no longer there. Synced before the hole is cut.
    Punch {
        /// Which bytes; never empty.
        range: ByteRange,
        /// Number of this record; they rise.
        seq: u64,
    },
    /// The resource has `len` bytes.
    LenKnown {
        /// Its length.
        len: u64,
    },
    /// All `len` bytes are covered.
    Sealed {
        /// Its length.
        len: u64,
    },
    /// The origin confirmed the validator.
    Validated {
        /// When, in Unix seconds.
        at: u64,
    },
}

/// Kinds on disk; 0 is none.
mod kind {
    pub(super) const COVERED: u8 = 1;
    pub(super) const BARRIER: u8 = 2;
    pub(super) const PUNCH: u8 = 3;
    pub(super) const LEN_KNOWN: u8 = 4;
    pub(super) const SEALED: u8 = 5;
    pub(super) const VALIDATED: u8 = 6;
}

impl Record {
    /// The 32 bytes of this record in a log with this epoch.
    ///
    /// Ranges must be non-empty and within [`MAX_OFFSET`] and [`MAX_RECORD_BYTES`].
    pub(crate) fn encode(&self, epoch: u32) -> [u8; RECORD_LEN] {
        let mut out = [0; RECORD_LEN];
        match *self {
            Self::Covered { range, crc, seq } => {
                out[0] = kind::COVERED;
                put_range(&mut out, range);
                out[12..16].copy_from_slice(&crc.unwrap_or(0).to_le_bytes());
                out[16..24].copy_from_slice(&seq.to_le_bytes());
                out[24] = u8::from(crc.is_some());
            }
            Self::Barrier { seq } => {
                out[0] = kind::BARRIER;
                out[16..24].copy_from_slice(&seq.to_le_bytes());
            }
            Self::Punch { range, seq } => {
                out[0] = kind::PUNCH;
                put_range(&mut out, range);
                out[16..24].copy_from_slice(&seq.to_le_bytes());
            }
            Self::LenKnown { len } => put_value(&mut out, kind::LEN_KNOWN, len),
            Self::Sealed { len } => put_value(&mut out, kind::SEALED, len),
            Self::Validated { at } => put_value(&mut out, kind::VALIDATED, at),
        }
        let crc = seeded_crc(epoch, &out[..28]);
        out[28..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// The record in `bytes`, or `None` if they are no record of a log with this epoch.
    pub(crate) fn decode(bytes: &[u8; RECORD_LEN], epoch: u32) -> Option<Self> {
        // First: two thousand times in a row there is only room.
        if bytes[0] == 0 {
            return None;
        }
        let seq = u64_at(bytes, 16);
        let value = u64_at(bytes, 8);
        let record = match bytes[0] {
            kind::COVERED => {
                let crc = (bytes[24] == 1).then(|| u32_at(bytes, 12));
                Self::Covered { range: range_of(bytes)?, crc, seq }
            }
            kind::BARRIER => Self::Barrier { seq },
            kind::PUNCH => Self::Punch { range: range_of(bytes)?, seq },
            kind::LEN_KNOWN => Self::LenKnown { len: value },
            kind::SEALED => Self::Sealed { len: value },
            kind::VALIDATED => Self::Validated { at: value },
            _ => return None,
        };
        // One encoding for each record, and the CRC is part of it: what this version would not write, it does not read.
        (record.encode(epoch) == *bytes).then_some(record)
    }
}

impl Header {
    /// The bytes of this header; a multiple of [`RECORD_LEN`].
    ///
    /// A text that is too long to keep is left out: for a validator that means asking the origin
    /// with less proof, never with a wrong one.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 6]); // zeros, and room for the length
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&self.key);
        out.extend_from_slice(&self.boot.unwrap_or_default());
        out.extend_from_slice(&self.created.to_le_bytes());
        out.push(u8::from(self.validator.strong_date));
        let Validator { etag, last_modified, strong_date: _ } = &self.validator;
        for text in [etag, last_modified, &self.content_type, &self.label] {
            put_text(&mut out, text.as_deref());
        }
        let len = (out.len() + 4).next_multiple_of(RECORD_LEN);
        out.resize(len - 4, 0);
        let len = u32::try_from(len).expect("four texts of 16 KiB fit in 32 bits");
        out[12..16].copy_from_slice(&len.to_le_bytes());
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// The header at the start of `log` and its length, or `None` if there is no whole one.
    pub(crate) fn decode(log: &[u8]) -> Option<(Self, usize)> {
        let len = u32::from_le_bytes(log.get(12..16)?.try_into().ok()?) as usize;
        let (body, crc) = log.get(..len)?.split_last_chunk::<4>()?;
        if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
            return None;
        }
        let mut texts = body.get(FIXED..)?;
        let boot: [u8; 16] = body[52..68].try_into().ok()?;
        let header = Self {
            epoch: u32_at(body, 16),
            key: body[20..52].try_into().ok()?,
            boot: (boot != [0; 16]).then_some(boot),
            created: u64_at(body, 68),
            validator: Validator {
                strong_date: body[76] == 1,
                etag: take_text(&mut texts)?,
                last_modified: take_text(&mut texts)?,
            },
            content_type: take_text(&mut texts)?,
            label: take_text(&mut texts)?,
        };
        // Another magic, another version, a needless byte: whatever we would not write so is refused.
        (header.encode() == log[..len]).then_some((header, len))
    }
}

/// CRC-32 of `bytes`, going on from `seed`.
fn seeded_crc(seed: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(bytes);
    hasher.finalize()
}

fn put_range(out: &mut [u8; RECORD_LEN], range: ByteRange) {
    debug_assert!(!range.is_empty() && range.end <= MAX_OFFSET, "{range} cannot be recorded");
    debug_assert!(range.len() <= MAX_RECORD_BYTES, "{range} cannot be recorded");
    out[1..7].copy_from_slice(&range.start.to_le_bytes()[..6]);
    out[7..12].copy_from_slice(&range.len().to_le_bytes()[..5]);
}

fn put_value(out: &mut [u8; RECORD_LEN], kind: u8, value: u64) {
    out[0] = kind;
    out[8..16].copy_from_slice(&value.to_le_bytes());
}

/// The range in a record; `None` if it is empty or runs past the largest offset.
fn range_of(bytes: &[u8; RECORD_LEN]) -> Option<ByteRange> {
    let mut start = [0; 8];
    start[..6].copy_from_slice(&bytes[1..7]);
    let mut len = [0; 8];
    len[..5].copy_from_slice(&bytes[7..12]);
    let range = ByteRange::at(u64::from_le_bytes(start), u64::from_le_bytes(len));
    (!range.is_empty() && range.end <= MAX_OFFSET).then_some(range)
}

fn put_text(out: &mut Vec<u8>, text: Option<&str>) {
    match text.filter(|text| text.len() <= MAX_TEXT) {
        None => out.extend_from_slice(&NO_TEXT.to_le_bytes()),
        Some(text) => {
            let len = u16::try_from(text.len()).expect("at most 16 KiB");
            out.extend_from_slice(&len.to_le_bytes());
            out.extend_from_slice(text.as_bytes());
        }
    }
}

/// Takes one text from the front: `Some(None)` if none is there, `None` if it is broken.
fn take_text(from: &mut &[u8]) -> Option<Option<String>> {
    let (len, rest) = from.split_first_chunk::<2>()?;
    let len = u16::from_le_bytes(*len);
    *from = rest;
    if len == NO_TEXT {
        return Some(None);
    }
    let (text, rest) = from.split_at_checked(usize::from(len))?;
    *from = rest;
    Some(Some(String::from_utf8(text.to_vec()).ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
#[path = "tests/log_tests.rs"]
mod tests;
