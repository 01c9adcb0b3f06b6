use proptest::prelude::*;

use super::*;
use crate::assets::extents::Extents;
use crate::validator::Validator;

/// Bytes in the model's data file: small, so that ranges collide all the time.
const SPACE: u64 = 24;
const BOOT: BootId = Some([1; 16]);
const OTHER_BOOT: BootId = Some([2; 16]);

fn header(epoch: u32) -> Header {
    Header {
        epoch,
        key: [3; 32],
        boot: BOOT,
        created: 7,
        validator: Validator { etag: Some("\"v\"".into()), ..Validator::default() },
        content_type: None,
        label: None,
    }
}

fn encode(epoch: u32, records: &[Record]) -> Vec<u8> {
    let mut log = header(epoch).encode();
    records.iter().for_each(|record| log.extend_from_slice(&record.encode(epoch)));
    log
}

fn covered(start: u64, end: u64, seq: u64) -> Record {
    Record::Covered { range: ByteRange::new(start, end), crc: Some(seq as u32), seq }
}

fn punch(start: u64, end: u64, seq: u64) -> Record {
    Record::Punch { range: ByteRange::new(start, end), seq }
}

fn ranges(pieces: &[Piece]) -> Vec<ByteRange> {
    pieces.iter().map(|piece| piece.range).collect::<Extents>().to_vec()
}

fn range(start: u64, end: u64) -> ByteRange {
    ByteRange::new(start, end)
}

fn recovered(records: &[Record], data_len: u64, boot: BootId) -> Recovery {
    recover(&encode(9, records), data_len, boot).expect("the header is good")
}

#[test]
fn a3_up_to_the_last_barrier_is_trusted_and_after_it_suspect() {
    let log = [covered(0, 4, 1), covered(8, 12, 2), Record::Barrier { seq: 1 }, covered(4, 6, 3)];
    let found = recovered(&log, 100, OTHER_BOOT);
    assert_eq!(ranges(&found.trusted), [range(0, 4)]);
    assert_eq!(ranges(&found.suspect), [range(4, 6), range(8, 12)]);
    assert!(!found.same_boot);
    assert!(recovered(&log, 100, BOOT).same_boot);
    assert!(!recovered(&log, 100, None).same_boot);
}

#[test]
fn a3_a_suspect_record_that_was_partly_overwritten_or_punched_is_dropped_whole() {
    let log = [covered(0, 4, 1), covered(3, 6, 2), covered(10, 14, 3), punch(13, 20, 4)];
    let found = recovered(&log, 100, OTHER_BOOT);
    assert_eq!(ranges(&found.suspect), [range(3, 6)]);
    // If only the process died, the bytes that were not punched are there.
    assert_eq!(ranges(&recovered(&log, 100, BOOT).suspect), [range(0, 6), range(10, 13)]);
}

#[test]
fn a3_nothing_counts_past_the_end_of_the_data_or_of_the_resource() {
    let log = [covered(0, 10, 1), Record::Barrier { seq: 1 }, covered(10, 20, 2)];
    let short = recovered(&log, 15, OTHER_BOOT);
    assert_eq!((ranges(&short.trusted), ranges(&short.suspect)), (vec![range(0, 10)], vec![]));
    let shorter = recovered(&log, 5, OTHER_BOOT);
    assert_eq!(shorter.trusted, [Piece { range: range(0, 5), crc: None }]);
    let told = recovered(&[&log[..], &[Record::LenKnown { len: 7 }]].concat(), 100, OTHER_BOOT);
    assert_eq!((ranges(&told.trusted), told.len), (vec![range(0, 7)], Some(7)));
    // A file that was emptied claims nothing, whatever log lies beside it: `begin` relies on it.
    assert!(recovered(&log, 0, BOOT).trusted.is_empty());
    assert!(recovered(&log, 0, BOOT).suspect.is_empty());
}

#[test]
fn a3_a_log_whose_numbers_do_not_rise_is_cut_there() {
    let good = [covered(0, 4, 5), covered(4, 8, 6)];
    for bad in [covered(8, 9, 6), covered(8, 9, 5), punch(0, 1, 6), Record::Barrier { seq: 7 }] {
        let log = [&good[..], &[bad, covered(9, 10, 20)]].concat();
        let found = recovered(&log, 100, OTHER_BOOT);
        assert_eq!(found.log_len, encode(9, &good).len(), "{bad:?}");
    }
    let back = [covered(0, 4, 5), covered(4, 8, 6), Record::Barrier { seq: 6 }];
    let log = [&back[..], &[Record::Barrier { seq: 5 }]].concat();
    assert_eq!(recovered(&log, 100, OTHER_BOOT).log_len, encode(9, &back).len());
}

#[test]
fn a3_a_hole_behind_a_bad_record_is_still_a_hole() {
    let log = [covered(0, 9, 1), Record::Barrier { seq: 1 }, covered(9, 10, 2), punch(2, 4, 3)];
    let mut bytes = encode(9, &log);
    let bad = encode(9, &log[..2]).len() + 5;
    bytes[bad] ^= 1;
    let found = recover(&bytes, 100, OTHER_BOOT).expect("the header is good");
    assert_eq!(ranges(&found.trusted), [range(0, 2), range(4, 9)]);
}

#[test]
fn a3_records_of_an_earlier_life_of_the_file_never_count() {
    let old = encode(8, &[covered(0, 9, 1), Record::Barrier { seq: 1 }, punch(0, 9, 2)]);
    let new = [covered(0, 4, 1), Record::Barrier { seq: 1 }];
    let mut log = encode(9, &new);
    let len = log.len();
    log.extend_from_slice(&old[header(8).encode().len()..]);
    let found = recover(&log, 100, OTHER_BOOT).expect("the header is good");
    assert_eq!((found.log_len, ranges(&found.trusted)), (len, vec![range(0, 4)]));
}

#[test]
fn a3_a_log_cut_anywhere_or_with_any_byte_flipped_loses_its_tail_and_nothing_else() {
    let records = [
        Record::LenKnown { len: 40 },
        covered(0, 10, 1),
        covered(10, 20, 2),
        Record::Barrier { seq: 2 },
        covered(20, 40, 3),
        Record::Barrier { seq: 3 },
        Record::Sealed { len: 40 },
        Record::Validated { at: 5 },
    ];
    let log = encode(9, &records);
    let head = header(9).encode().len();
    let whole = |n: usize| recover(&encode(9, &records[..n]), 100, OTHER_BOOT);
    for len in 0..log.len() {
        let found = recover(&log[..len], 100, OTHER_BOOT);
        let n = len.checked_sub(head).map(|rest| rest / RECORD_LEN);
        assert_eq!(found, n.and_then(whole), "cut at {len}");
    }
    for at in 0..log.len() {
        let mut torn = log.clone();
        torn[at] ^= 0x55;
        let n = at.checked_sub(head).map(|rest| rest / RECORD_LEN);
        assert_eq!(recover(&torn, 100, OTHER_BOOT), n.and_then(whole), "flipped at {at}");
    }
    let mut roomy = log.clone();
    roomy.resize(log.len() + 4096, 0);
    assert_eq!(recover(&roomy, 100, OTHER_BOOT), whole(records.len()));
}

/// A record before it has its number.
#[derive(Debug, Clone, Copy)]
enum Op {
    Covered { range: ByteRange, known: bool },
    Punch { range: ByteRange },
    Barrier { back: u64 },
    Len { len: u64 },
}

fn op() -> impl Strategy<Value = Op> {
    let range = || (0..SPACE, 1..8_u64).prop_map(|(start, len)| ByteRange::at(start, len));
    prop_oneof![
        6 => (range(), prop::bool::weighted(0.9))
            .prop_map(|(range, known)| Op::Covered { range, known }),
        2 => range().prop_map(|range| Op::Punch { range }),
        2 => (0..4_u64).prop_map(|back| Op::Barrier { back }),
        1 => (SPACE / 2..SPACE + 8).prop_map(|len| Op::Len { len }),
    ]
}

fn numbered(ops: &[Op]) -> Vec<Record> {
    let (mut seq, mut proven) = (0, 0);
    let record = |op: &Op| match *op {
        Op::Covered { range, known } => {
            seq += 1;
            Record::Covered { range, crc: known.then_some(seq as u32), seq }
        }
        Op::Punch { range } => {
            seq += 1;
            Record::Punch { range, seq }
        }
        Op::Barrier { back } => {
            proven = seq.saturating_sub(back).max(proven);
            Record::Barrier { seq: proven }
        }
        Op::Len { len } => Record::LenKnown { len },
    };
    ops.iter().map(record).collect()
}

/// What each byte must be, asked one by one and the slow way.
struct Model<'a> {
    records: &'a [Record],
    /// Holes that a bad record does not hide.
    late: Vec<ByteRange>,
    end: u64,
    proven: u64,
}

impl<'a> Model<'a> {
    fn new(all: &'a [Record], good: usize, bad: bool, data_len: u64) -> Self {
        let (records, rest) = all.split_at(good);
        let late = rest.iter().skip(1).filter(|_| bad).filter_map(|record| match record {
            Record::Punch { range, .. } => Some(*range),
            _ => None,
        });
        let len = records.iter().rev().find_map(|record| match record {
            Record::LenKnown { len } => Some(*len),
            _ => None,
        });
        let proven = records.iter().rev().find_map(|record| match record {
            Record::Barrier { seq } => Some(*seq),
            _ => None,
        });
        let end = data_len.min(len.unwrap_or(u64::MAX));
        Self { records, late: late.collect(), end, proven: proven.unwrap_or(0) }
    }

    fn punched_after(&self, index: usize, bytes: ByteRange) -> bool {
        let later = self.records[index + 1..].iter().filter_map(|record| match record {
            Record::Punch { range, .. } => Some(range),
            _ => None,
        });
        later.chain(&self.late).any(|range| range.overlaps(bytes))
    }

    fn covered(&self) -> impl Iterator<Item = (usize, ByteRange, Option<u32>, bool)> {
        self.records.iter().enumerate().filter_map(|(i, record)| match *record {
            Record::Covered { range, crc, seq } => Some((i, range, crc, seq <= self.proven)),
            _ => None,
        })
    }

    /// Whether a record that is proven, or is not, still says that the byte at `at` is there.
    fn has(&self, at: u64, proven: bool) -> bool {
        let byte = ByteRange::at(at, 1);
        at < self.end
            && self.covered().any(|(i, range, _, is_proven)| {
                is_proven == proven && range.contains(at) && !self.punched_after(i, byte)
            })
    }

    fn checkable(&self) -> Vec<Piece> {
        let untouched = self.covered().filter(|(i, range, crc, proven)| {
            let overwritten = self.covered().any(|(j, other, ..)| j > *i && other.overlaps(*range));
            !proven
                && crc.is_some()
                && !overwritten
                && !self.punched_after(*i, *range)
                && range.end <= self.end
        });
        untouched.map(|(_, range, crc, _)| Piece { range, crc }).collect()
    }
}

fn bytes_of(pieces: &[Piece]) -> Vec<bool> {
    let has = |at| pieces.iter().any(|piece| piece.range.contains(at));
    (0..SPACE + 16).map(has).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a3_recovery_agrees_with_a_model_that_asks_byte_by_byte(
        ops in prop::collection::vec(op(), 0..24),
        bad in prop::option::of(any::<prop::sample::Index>()),
        data_len in 0..SPACE + 12,
        boot in prop::sample::select(vec![BOOT, OTHER_BOOT, None]),
    ) {
        let records = numbered(&ops);
        let mut log = encode(9, &records);
        let head = header(9).encode().len();
        let bad = bad.filter(|_| !records.is_empty()).map(|at| at.index(records.len()));
        if let Some(bad) = bad {
            log[head + bad * RECORD_LEN + 17] ^= 0x10;
        }
        let good = bad.unwrap_or(records.len());
        let model = Model::new(&records, good, bad.is_some(), data_len);

        let found = recover(&log, data_len, boot).expect("the header is good");

        prop_assert_eq!(found.log_len, head + good * RECORD_LEN);
        let all = 0..SPACE + 16;
        let trusted: Vec<bool> = all.clone().map(|at| model.has(at, true)).collect();
        prop_assert_eq!(bytes_of(&found.trusted), trusted);
        if boot == BOOT {
            let there: Vec<bool> = all.map(|at| model.has(at, false)).collect();
            prop_assert_eq!(bytes_of(&found.suspect), there);
        } else {
            prop_assert_eq!(&found.suspect, &model.checkable());
        }
        // A CRC is never said of other bytes than it was made of.
        for piece in found.trusted.iter().chain(&found.suspect).filter(|p| p.crc.is_some()) {
            let made = model.covered().any(|(_, range, crc, _)| Piece { range, crc } == *piece);
            prop_assert!(made, "{:?}", piece);
        }
    }

    #[test]
    fn a3_any_bytes_at_all_are_read_without_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        keep in 0..160_usize,
        data_len in any::<u64>(),
    ) {
        let _ = recover(&bytes, data_len, BOOT);
        let mut log = encode(9, &[covered(0, 4, 1), Record::Barrier { seq: 1 }]);
        log.truncate(keep);
        log.extend_from_slice(&bytes);
        let _ = recover(&log, data_len, BOOT);
    }
}
