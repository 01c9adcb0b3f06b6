//! What a log and the data beside it still prove, after whatever happened.
//!
//! A pure function of the log's bytes, the length of the data file and the running boot id. It
//! opens nothing and checks no data: records that need that come back as suspect.
//!
//! - The log counts up to its first bad record; the rest is a torn tail.
//! - `Covered` up to the last barrier is trusted: the data was synced before the barrier was written.
//! - `Covered` after it is suspect: the data may or may not have reached the disk. If the log was written
//!   by this very run of the system, only the process can have died, and the system's page cache has
//!   what it wrote: trusted. Else the data decides, by its CRC; so a suspect record whose bytes were
//!   partly overwritten or punched later is dropped whole, for its CRC says nothing any more.
//! - `Punch` always counts, even one past a bad record: it is synced before the hole is cut, and to believe one
//!   too many only costs bytes, while to miss one would serve the zeros of the hole.
//! - Nothing counts past the end of the data file, nor past the length of the resource.

use super::log::{BootId, Header, RECORD_LEN, Record};
use crate::byte_range::ByteRange;

/// Bytes of the data file that belong together, and their CRC where it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Which bytes; never empty.
    pub(crate) range: ByteRange,
    /// CRC-32 of exactly these bytes.
    pub(crate) crc: Option<u32>,
}

/// What is left of an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recovery {
    /// Whose bytes they are.
    pub(crate) header: Header,
    /// Length of the resource, if it was known.
    pub(crate) len: Option<u64>,
    /// Whether it was once complete.
    pub(crate) sealed: bool,
    /// When the origin last confirmed the validator, in Unix seconds.
    pub(crate) validated: Option<u64>,
    /// Bytes that were synced; in the order of the log, may overlap.
    pub(crate) trusted: Vec<Piece>,
    /// Bytes that were recorded after the last barrier; in the order of the log. Disjoint and with their
    /// CRC, unless `same_boot`.
    pub(crate) suspect: Vec<Piece>,
    /// Whether the log was written by this very run of the system, so that the suspect bytes are
    /// there without a check.
    pub(crate) same_boot: bool,
    /// Bytes of the log that count; what follows is a torn tail or preallocated room.
    pub(crate) log_len: usize,
}

/// Reads a log; `None` if it has no valid header.
pub(crate) fn recover(log: &[u8], data_len: u64, boot: BootId) -> Option<Recovery> {
    let (header, header_len) = Header::decode(log)?;
    let (records, log_len) = valid_records(log, header_len, header.epoch);
    let proven = records.iter().rev().find_map(|record| match record {
        Record::Barrier { seq } => Some(*seq),
        _ => None,
    });
    let same_boot = boot.is_some() && boot == header.boot;
    let mut replay = Replay { proven: proven.unwrap_or(0), same_boot, ..Replay::default() };
    records.iter().for_each(|record| replay.take(*record));
    for bytes in log[log_len..].as_chunks::<RECORD_LEN>().0 {
        if let Some(punch @ Record::Punch { .. }) = Record::decode(bytes, header.epoch) {
            replay.take(punch);
        }
    }
    let end = replay.len.map_or(data_len, |len| len.min(data_len));
    let trusted = replay.trusted.into_iter().filter_map(|piece| clip(piece, end)).collect();
    let suspect = replay.suspect.into_iter().filter_map(|piece| clip(piece, end));
    Some(Recovery {
        header,
        len: replay.len,
        sealed: replay.sealed,
        validated: replay.validated,
        trusted,
        suspect: suspect.filter(|piece| same_boot || piece.crc.is_some()).collect(),
        same_boot,
        log_len,
    })
}

/// The records up to the first bad one, and where they end in the log.
///
/// Sequence numbers must rise and a barrier can only speak of what was already recorded: a record
/// that breaks this is as bad as one with a wrong CRC.
fn valid_records(log: &[u8], header_len: usize, epoch: u32) -> (Vec<Record>, usize) {
    let mut records = Vec::new();
    let mut end = header_len;
    let (mut last_seq, mut last_barrier) = (0, 0);
    for bytes in log[header_len..].as_chunks::<RECORD_LEN>().0 {
        let Some(record) = Record::decode(bytes, epoch) else { break };
        match record {
            Record::Covered { seq, .. } | Record::Punch { seq, .. } => {
                if seq <= last_seq {
                    break;
                }
                last_seq = seq;
            }
            Record::Barrier { seq } => {
                if seq > last_seq || seq < last_barrier {
                    break;
                }
                last_barrier = seq;
            }
            Record::LenKnown { .. } | Record::Sealed { .. } | Record::Validated { .. } => {}
        }
        records.push(record);
        end += RECORD_LEN;
    }
    (records, end)
}

/// The state while a log is read from its start.
#[derive(Debug, Default)]
struct Replay {
    /// Sequence number of the last record that a barrier proves.
    proven: u64,
    same_boot: bool,
    len: Option<u64>,
    sealed: bool,
    validated: Option<u64>,
    trusted: Vec<Piece>,
    suspect: Vec<Piece>,
}

impl Replay {
    fn take(&mut self, record: Record) {
        match record {
            Record::Covered { range, crc, seq } if seq <= self.proven => {
                self.trusted.push(Piece { range, crc });
            }
            Record::Covered { range, crc, .. } => {
                self.overwritten(range);
                self.suspect.push(Piece { range, crc });
            }
            Record::Punch { range, .. } => {
                self.overwritten(range);
                cut(&mut self.trusted, range);
                self.sealed = false;
            }
            Record::LenKnown { len } => self.len = Some(len),
            Record::Sealed { len } => (self.len, self.sealed) = (Some(len), true),
            Record::Validated { at } => self.validated = Some(at),
            Record::Barrier { .. } => {}
        }
    }

    /// The bytes of `range` are others than before: no suspect CRC that includes them proves
    /// anything. If nothing needs proof, only those bytes themselves go.
    fn overwritten(&mut self, range: ByteRange) {
        if self.same_boot {
            cut(&mut self.suspect, range);
        } else {
            self.suspect.retain(|piece| !piece.range.overlaps(range));
        }
    }
}

/// Takes the bytes of `hole` out of all pieces.
fn cut(pieces: &mut Vec<Piece>, hole: ByteRange) {
    if pieces.iter().any(|piece| piece.range.overlaps(hole)) {
        let old = std::mem::take(pieces);
        *pieces = old.into_iter().flat_map(|piece| without(piece, hole)).collect();
    }
}

/// What is left of `piece` without `hole`: itself, or up to two parts whose CRC nobody knows.
pub(super) fn without(piece: Piece, hole: ByteRange) -> impl Iterator<Item = Piece> {
    let range = piece.range;
    let parts = if range.overlaps(hole) {
        [
            Piece { range: range.until(hole.start), crc: None },
            Piece { range: ByteRange::new(range.start.max(hole.end), range.end), crc: None },
        ]
    } else {
        [piece, Piece { range: ByteRange::new(range.end, range.end), crc: None }]
    };
    parts.into_iter().filter(|part| !part.range.is_empty())
}

/// What of `piece` lies before `end`.
fn clip(piece: Piece, end: u64) -> Option<Piece> {
    without(piece, ByteRange::new(end, u64::MAX)).next()
}

#[cfg(test)]
#[path = "tests/recovery_tests.rs"]
mod tests;
