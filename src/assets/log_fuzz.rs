//! Recovery of any log, for the fuzz target. Only there with `--cfg fuzzing`.

use super::log::{Header, Record};
use super::recovery::{Piece, Recovery, recover};
use crate::byte_range::ByteRange;
use crate::validator::Validator;

/// Of a boot, of another, or unknown.
const BOOTS: [Option<[u8; 16]>; 3] = [Some([1; 16]), Some([2; 16]), None];

/// Makes a log and damages it, all as `data` says, and holds against what it gives.
pub(crate) fn recovery(data: &[u8]) {
    let Some((how, data)) = data.split_first_chunk::<4>() else { return };
    let boot = BOOTS[usize::from(how[0] % 3)];
    let data_len = u64::from(u16::from_le_bytes([how[1], how[2]]));
    let _ = recover(data, data_len, boot).map(|found| sound(data, data_len, &found));
    let mut log = head().encode();
    let mut seq = 0;
    for bytes in data.as_chunks::<6>().0 {
        act(bytes, &mut log, &mut seq);
    }
    if how[3] % 2 == 1 {
        log.extend_from_slice(data);
    }
    let Some(found) = recover(&log, data_len, boot) else { return };
    sound(&log, data_len, &found);
    // What follows the valid part only ever takes away.
    let valid = recover(&log[..found.log_len], data_len, boot).expect("the header is valid");
    assert_eq!(valid.log_len, found.log_len);
    assert!(holds(&valid, &found), "{valid:?}\n{found:?}");
}

fn head() -> Header {
    Header {
        epoch: 9,
        key: [7; 32],
        boot: BOOTS[0],
        created: 1,
        validator: Validator::default(),
        content_type: None,
        label: None,
    }
}

/// Appends a record, or damages what is there.
fn act(bytes: &[u8; 6], log: &mut Vec<u8>, seq: &mut u64) {
    let [kind, a, b, c, d, e] = *bytes;
    let start = u64::from(u16::from_le_bytes([a, b]));
    let range = ByteRange::at(start, u64::from(u16::from_le_bytes([c, d])).max(1));
    *seq += 1;
    let record = match kind % 12 {
        0..=3 => Record::Covered { range, crc: (e % 4 != 0).then_some(u32::from(e)), seq: *seq },
        4 => Record::Punch { range, seq: *seq },
        5 | 6 => Record::Barrier { seq: seq.saturating_sub(u64::from(e % 3) + 1) },
        7 => Record::LenKnown { len: start },
        8 => Record::Sealed { len: start },
        9 => Record::Validated { at: start },
        10 => {
            let at = usize::from(u16::from_le_bytes([a, b])).checked_rem(log.len());
            return at.into_iter().for_each(|at| log[at] ^= c);
        }
        _ => return log.truncate(log.len().saturating_sub(usize::from(a))),
    };
    log.extend_from_slice(&record.encode(9));
}

/// All that is found lies within the data and the resource, and the log's valid part within the log.
fn sound(log: &[u8], data_len: u64, found: &Recovery) {
    assert!(found.log_len <= log.len());
    let end = found.len.map_or(data_len, |len| len.min(data_len));
    for piece in found.trusted.iter().chain(&found.suspect) {
        assert!(!piece.range.is_empty() && piece.range.end <= end, "{piece:?} of {end}");
    }
    if !found.same_boot {
        let mut suspect: Vec<ByteRange> = found.suspect.iter().map(|piece| piece.range).collect();
        suspect.sort_unstable_by_key(|range| range.start);
        assert!(suspect.windows(2).all(|pair| pair[0].end <= pair[1].start), "{suspect:?}");
        assert!(found.suspect.iter().all(|piece| piece.crc.is_some()));
    }
}

/// Whether each byte of `less` is one of `more`.
fn holds(more: &Recovery, less: &Recovery) -> bool {
    let within = |pieces: &[Piece], all: &[Piece]| {
        pieces.iter().all(|piece| all.iter().any(|other| other.range.covers(piece.range)))
    };
    within(&less.trusted, &more.trusted) && within(&less.suspect, &more.suspect)
}
