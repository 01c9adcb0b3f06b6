//! Reading what is stored against its checksums, and forgetting what is wrong.
//!
//! The log has the CRC-32 of each piece as it was received. A piece whose bytes have another one is wrong, and
//! nobody knows where: all of it counts as damaged, but for what another piece proves.
//!
//! Pieces overlap where two requests brought the same bytes. One log is of one version of the resource, so all
//! of them match, whichever was written last. If one does not while its neighbour does, the bytes of both are what
//! the neighbour received; the rest of it may be right and cannot be shown to be.
//!
//! Not here: what the log itself says and whether it may be believed (`recovery`).
//!
//! Invariants:
//! 1. looking changes nothing, not even the time of last use;
//! 2. a repair only takes away: the new log claims what the old one did, less the damaged bytes, and takes its
//!    place at once. Until then the old one is there.

use std::fs::File;
use std::ops::Range;

use super::AssetStore;
use super::evict::Removed;
use super::extents::Extents;
use super::journal::Journal;
use super::key::AssetKey;
use super::layout::{Kind, is_there};
use super::lease::{Place, coverage, crc_of, read_log};
use super::lock::Hold;
use super::objects::PIECE;
use super::recovery::{Piece, Recovery, recover, without};
use crate::byte_range::ByteRange;
use crate::error::{Error, StorageError};
use crate::storage::disk::Disk;

/// What [`AssetStore::verify`] found in one asset or small object.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// 64 hexadecimal digits, as in a listing.
    pub id: String,
    /// The explicit key, if it has one.
    pub label: Option<String>,
    /// Whether it is a small object and no asset.
    pub is_object: bool,
    /// What it all means.
    pub verdict: Verdict,
    /// Stored bytes that were read against a checksum.
    pub checked: u64,
    /// Stored bytes whose checksum nobody knows. They were not read.
    pub unchecked: u64,
    /// The bytes that are not what was received, cannot be read, or are gone: sorted, apart from each other, in
    /// offsets of the resource. Of a small object its whole file.
    pub damaged: Vec<Range<u64>>,
    /// Whether the damage was forgotten: the next reader asks the network.
    pub repaired: bool,
}

/// The outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Nothing is wrong with it.
    Sound,
    /// Bytes are wrong, and a reader would get them.
    Damaged,
    /// Its log cannot be read: no byte of it is served, and the next use begins afresh.
    Lost,
    /// Somebody has it open, so it was not looked at.
    Busy,
}

/// What becomes of damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Tell,
    Forget,
}

impl AssetStore {
    /// Reads what is stored under `key` against the checksums of what was received: the asset, the small object, or
    /// both. Empty if nothing is stored. Changes nothing.
    ///
    /// Reads every byte, so it takes as long as the disk does. Meanwhile the asset counts as open: whoever opens it
    /// streams it without storing. What the system has in memory is checked as it is there.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`]: the disk refused. Bytes that cannot be read are no error, but damage.
    pub fn verify(&self, key: &AssetKey) -> Result<Vec<Verified>, Error> {
        self.check(key, Then::Tell)
    }

    /// As [`verify`](Self::verify), and forgets the damaged bytes, durably: whoever reads them next asks the network.
    /// A damaged small object is removed.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`]: the disk refused; the damage may still be there.
    pub fn repair(&self, key: &AssetKey) -> Result<Vec<Verified>, Error> {
        self.check(key, Then::Forget)
    }

    fn check(&self, key: &AssetKey, then: Then) -> Result<Vec<Verified>, Error> {
        let asset = self.check_asset(key, then)?;
        let object = self.check_object(key, then)?;
        Ok(asset.into_iter().chain(object).collect())
    }

    fn check_asset(&self, key: &AssetKey, then: Then) -> Result<Option<Verified>, StorageError> {
        let layout = &self.inner.layout;
        let paths = layout.asset(key);
        if is_there(&paths.folder, Kind::Folder)?.is_none() {
            return Ok(None);
        }
        let mut found = Verified::of(key);
        let Some(hold) = Hold::take(layout, &paths)? else {
            found.verdict = Verdict::Busy;
            return Ok(Some(found));
        };
        let place = Place::new(&self.inner, key, hold);
        let log = read_log(&place.paths().map)?.unwrap_or_default();
        // An empty log is how a version that is gone is told.
        if log.is_empty() {
            return Ok(Some(found));
        }
        // As if the data had no end: what is missing there is damage too.
        let recovery = recover(&log, u64::MAX, self.inner.boot);
        let Some(recovery) = recovery.filter(|found| found.header.key == key.hash()) else {
            found.verdict = Verdict::Lost;
            if then == Then::Forget {
                Journal::new(place, None).discard()?;
                found.repaired = true;
            }
            return Ok(Some(found));
        };
        let scrub = Scrub::new(place.disk(), place.existing_data()?.as_deref(), recovery)?;
        scrub.tell(&mut found);
        if then == Then::Forget && !scrub.damaged.is_empty() {
            Journal::new(place, Some(scrub.rest)).rewrite()?;
            found.repaired = true;
        }
        Ok(Some(found))
    }

    fn check_object(&self, key: &AssetKey, then: Then) -> Result<Option<Verified>, Error> {
        let Some(mut reading) = self.objects().open(key)? else { return Ok(None) };
        let fail = |error| StorageError::new("reading a stored object", error);
        let (len, mut buf) = (reading.file_len, vec![0; PIECE]);
        while !reading.next(&mut buf).map_err(fail)?.is_empty() {}
        let is_whole = reading.finish().map_err(fail)?;
        let mut found = Verified { is_object: true, checked: len, ..Verified::of(key) };
        if !is_whole {
            found.verdict = Verdict::Damaged;
            found.damaged = std::iter::once(0..len).collect();
            found.repaired = then == Then::Forget && self.remove_object(key)? == Removed::Gone;
        }
        Ok(Some(found))
    }
}

impl Verified {
    /// Nothing found yet.
    fn of(key: &AssetKey) -> Self {
        Self {
            id: key.id(),
            label: key.label().map(str::to_owned),
            is_object: false,
            verdict: Verdict::Sound,
            checked: 0,
            unchecked: 0,
            damaged: Vec::new(),
            repaired: false,
        }
    }
}

/// What the bytes beside a log say to it.
#[derive(Debug)]
pub(super) struct Scrub {
    /// What the log claims and is not there.
    pub(super) damaged: Extents,
    /// What a checksum shows to be there.
    right: Extents,
    /// What is left of the log's claims without the damage.
    rest: Recovery,
}

impl Scrub {
    /// Reads `data` against the pieces of `found`.
    pub(super) fn new(
        disk: &dyn Disk,
        data: Option<&File>,
        mut found: Recovery,
    ) -> Result<Self, StorageError> {
        let failed = |error| StorageError::new("reading stored bytes", error);
        let end =
            data.map_or(Ok(0), |data| data.metadata().map(|meta| meta.len())).map_err(failed)?;
        let (mut damaged, mut right) = (Extents::default(), Extents::default());
        // After another boot nothing is claimed of a suspect piece but by its checksum.
        let claims = found.same_boot;
        let parts = [(&mut found.trusted, true), (&mut found.suspect, claims)];
        for (pieces, is_claimed) in parts {
            pieces.retain(|piece| {
                let wrong = match (piece.crc, data) {
                    (Some(crc), Some(data)) if crc_of(disk, data, piece.range) == Some(crc) => {
                        right.insert(piece.range);
                        return true;
                    }
                    (Some(_), _) => piece.range,
                    (None, _) => ByteRange::new(piece.range.start.max(end), piece.range.end),
                };
                if is_claimed {
                    damaged.insert(wrong);
                }
                piece.crc.is_none()
            });
        }
        right.to_vec().into_iter().for_each(|range| damaged.remove(range));
        for hole in damaged.to_vec() {
            cut_unchecked(&mut found.trusted, hole);
            cut_unchecked(&mut found.suspect, hole);
        }
        found.sealed = found.sealed && damaged.is_empty();
        Ok(Self { damaged, right, rest: found })
    }

    /// What is claimed without a checksum, and not damaged.
    pub(super) fn unchecked(&self) -> Extents {
        let mut unchecked = coverage(&self.rest);
        self.right.to_vec().into_iter().for_each(|range| unchecked.remove(range));
        unchecked
    }

    fn tell(&self, found: &mut Verified) {
        found.checked = self.right.bytes() + self.damaged.bytes();
        found.unchecked = self.unchecked().bytes();
        found.damaged = self.damaged.to_vec().into_iter().map(ByteRange::to_std).collect();
        found.label = self.rest.header.label.clone();
        if !self.damaged.is_empty() {
            found.verdict = Verdict::Damaged;
        }
    }
}

/// Takes `hole` out of the pieces that have no checksum; those that have one are right where they are.
fn cut_unchecked(pieces: &mut Vec<Piece>, hole: ByteRange) {
    let old = std::mem::take(pieces);
    for piece in old {
        match piece.crc {
            Some(_) => pieces.push(piece),
            None => pieces.extend(without(piece, hole)),
        }
    }
}
