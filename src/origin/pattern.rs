//! Self-checking content: each byte proves its own offset and the generation it belongs to.
//!
//! The stream of a seed is one of little-endian 8-byte words, each the splitmix64 of its own index
//! (moved by the seed); any range can be made or checked without the rest. Seed 0 is what
//! other tools write for the same job.
//!
//! Limits: two seeds agree in a byte by chance (one in 256), so tell generations apart by runs.

/// Step of splitmix64, the golden ratio in 64 bits.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The word at `index` of the stream of `seed`.
#[must_use]
fn word(index: u64, seed: u64) -> u64 {
    // A second, odd constant moves the seeds far apart; seed 0 leaves the index as it is.
    let moved = index.wrapping_add(seed.wrapping_mul(0xD134_2543_DE82_EF95));
    let mut x = moved.wrapping_mul(GOLDEN);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// The byte at `offset` of the stream of `seed`.
#[must_use]
pub fn byte(offset: u64, seed: u64) -> u8 {
    word(offset / 8, seed).to_le_bytes()[(offset % 8) as usize]
}

/// Writes the bytes of `seed` from `offset` on into `buf`. Bytes past the largest offset wrap.
pub fn fill(buf: &mut [u8], offset: u64, seed: u64) {
    let mut index = offset / 8;
    let lead = ((8 - offset % 8) % 8).min(buf.len() as u64) as usize;
    let (head, rest) = buf.split_at_mut(lead);
    if lead > 0 {
        let from = (offset % 8) as usize;
        head.copy_from_slice(&word(index, seed).to_le_bytes()[from..from + lead]);
        index = index.wrapping_add(1);
    }
    for chunk in rest.chunks_mut(8) {
        chunk.copy_from_slice(&word(index, seed).to_le_bytes()[..chunk.len()]);
        index = index.wrapping_add(1);
    }
}

/// The bytes `offset..offset + len` of `seed`.
#[must_use]
pub fn bytes(offset: u64, len: usize, seed: u64) -> Vec<u8> {
    let mut out = vec![0; len];
    fill(&mut out, offset, seed);
    out
}

/// Where the first byte of `buf` lies that is not the one of `seed` at its offset, counted from the
/// start of the content; `None` if all are right.
#[must_use]
pub fn first_wrong(buf: &[u8], offset: u64, seed: u64) -> Option<u64> {
    const STEP: usize = 4096;
    let mut expected = [0; STEP];
    let mut at = offset;
    for chunk in buf.chunks(STEP) {
        let expected = &mut expected[..chunk.len()];
        fill(expected, at, seed);
        if chunk != expected {
            let skip = chunk.iter().zip(expected.iter()).take_while(|(a, b)| a == b).count();
            return Some(at + skip as u64);
        }
        at = at.wrapping_add(chunk.len() as u64);
    }
    None
}

/// Whether `buf` holds the bytes of `seed` from `offset` on.
#[must_use]
pub fn check(buf: &[u8], offset: u64, seed: u64) -> bool {
    first_wrong(buf, offset, seed).is_none()
}

#[cfg(test)]
mod tests {
    use super::{byte, bytes, check, first_wrong};

    #[test]
    fn the_first_words_of_seed_zero_are_splitmix_of_their_index() {
        // The published first output of splitmix64 seeded with 0 is the word at index 1.
        assert_eq!(bytes(0, 8, 0), [0; 8]);
        assert_eq!(bytes(8, 8, 0), 0xE220_A839_7B1D_CDAF_u64.to_le_bytes());
        assert_eq!(bytes(16, 8, 0), 0x6E78_9E6A_A1B9_65F4_u64.to_le_bytes());
    }

    #[test]
    fn any_cut_gives_the_same_bytes() {
        let whole = bytes(0, 100, 3);
        for start in 0..40 {
            for end in start..100 {
                assert_eq!(whole[start..end], bytes(start as u64, end - start, 3)[..]);
            }
        }
        assert!((0..100).all(|i| byte(i, 3) == whole[i as usize]));
    }

    #[test]
    fn a_moved_or_foreign_run_is_found_at_its_first_wrong_byte() {
        let mut run = bytes(9000, 10_000, 1);
        assert!(check(&run, 9000, 1));
        assert!(!check(&run, 9008, 1));
        assert!(!check(&run, 9000, 2));
        run[7777] ^= 1;
        assert_eq!(first_wrong(&run, 9000, 1), Some(9000 + 7777));
    }

    #[test]
    fn offsets_near_the_largest_are_made_too() {
        let start = u64::MAX - 20;
        assert!(check(&bytes(start, 20, 5), start, 5));
    }
}
