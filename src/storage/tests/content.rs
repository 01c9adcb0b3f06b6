//! Content that proves itself: each byte tells its generation and offset, and none is zero.

use crate::byte_range::ByteRange;

/// The byte of `generation` at `offset`; never zero.
pub(super) fn byte_at(generation: u64, offset: u64) -> u8 {
    let mut mixed = offset ^ generation.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    // 255 values from 1 on.
    1 + ((mixed >> 33) % 255) as u8
}

/// The bytes of `generation` in `range`.
pub(super) fn bytes_of(generation: u64, range: ByteRange) -> Vec<u8> {
    range.to_std().map(|offset| byte_at(generation, offset)).collect()
}

/// Fails unless `bytes` are those of `generation` at `offset`.
#[track_caller]
pub(super) fn check(generation: u64, offset: u64, bytes: &[u8]) {
    let range = ByteRange::at(offset, bytes.len() as u64);
    for (at, byte) in range.to_std().zip(bytes) {
        assert_eq!(*byte, byte_at(generation, at), "wrong byte at {at} (from {offset})");
    }
}

/// Random numbers of a seed (SplitMix64), for tests only.
#[derive(Debug, Clone)]
pub(super) struct Rng(pub(super) u64);

impl Rng {
    /// The next number.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not zero.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A range within `0..end`, at most `longest` long, seldom empty.
    pub(super) fn range(&mut self, end: u64, longest: u64) -> ByteRange {
        let start = self.below(end);
        ByteRange::at(start, self.below(longest + 1)).until(end)
    }
}
