//! What a log proves while somebody else writes it: record by record, as they come.
//!
//! The same as `recovery` says of the whole log, but for what no barrier proves, which nobody who reads along takes. Pure.
//!
//! Invariant: [`Proofs::fresh`] has only what a Barrier proves and no later Punch took away.

use super::extents::Extents;
use super::log::{RECORD_LEN, Record};
use crate::byte_range::ByteRange;

/// What the records up to some place say.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    /// Recorded since the last barrier, with sequence numbers.
    pending: Vec<(u64, ByteRange)>,
    /// Proven since this was last taken.
    fresh: Extents,
    /// Taken away.
    pub(super) gone: Extents,
    /// Length of the resource, if it is known.
    pub(super) len: Option<u64>,
    last_seq: u64,
    last_barrier: u64,
}

impl Proofs {
    /// Goes on after `records`, whose proofs are known.
    pub(super) fn after(records: &[u8], epoch: u32) -> Self {
        let mut proofs = Self::default();
        for bytes in records.as_chunks::<RECORD_LEN>().0 {
            if !Record::decode(bytes, epoch).is_some_and(|record| proofs.take(record)) {
                break;
            }
        }
        (proofs.fresh, proofs.gone) = Default::default();
        proofs
    }

    /// Takes one record. False if it cannot follow those before it: then nothing counts from there on.
    #[must_use]
    pub(super) fn take(&mut self, record: Record) -> bool {
        match record {
            Record::Covered { seq, .. } | Record::Punch { seq, .. } if seq <= self.last_seq => {
                return false;
            }
            Record::Covered { range, seq, .. } => {
                self.last_seq = seq;
                self.pending.push((seq, range));
            }
            Record::Punch { range, seq } => {
                self.last_seq = seq;
                self.fresh.remove(range);
                self.gone.insert(range);
                let pending = std::mem::take(&mut self.pending).into_iter();
                self.pending = pending.flat_map(|piece| without(piece, range)).collect();
            }
            Record::Barrier { seq } => {
                if seq > self.last_seq || seq < self.last_barrier {
                    return false;
                }
                self.last_barrier = seq;
                let fresh = &mut self.fresh;
                self.pending.retain(|(of, range)| {
                    let proven = *of <= seq;
                    if proven {
                        fresh.insert(*range);
                    }
                    !proven
                });
            }
            Record::LenKnown { len } | Record::Sealed { len } => self.len = Some(len),
            Record::Validated { .. } => {}
        }
        true
    }

    /// What was proven since this was last asked: sorted, apart from each other.
    pub(super) fn take_fresh(&mut self) -> Vec<ByteRange> {
        std::mem::take(&mut self.fresh).to_vec()
    }
}

/// What a punch of `hole` leaves of bytes that were recorded before it.
fn without(
    (seq, range): (u64, ByteRange),
    hole: ByteRange,
) -> impl Iterator<Item = (u64, ByteRange)> {
    let parts = match range.overlaps(hole) {
        true => [
            range.until(hole.start),
            ByteRange::new(range.start.max(hole.end), range.end.max(hole.end)),
        ],
        false => [range, ByteRange::new(range.end, range.end)],
    };
    parts.into_iter().filter(|part| !part.is_empty()).map(move |part| (seq, part))
}
