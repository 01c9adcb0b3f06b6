//! What a log proves record by record.

use super::crash::Rng;
use super::*;
use crate::assets::extents::Extents;
use crate::assets::log::{Header, RECORD_LEN, Record};
use crate::assets::proofs::Proofs;
use crate::assets::recovery::recover;

fn header() -> Header {
    let (boot, content_type, label) = (None, None, None);
    let validator = Validator::default();
    Header { epoch: 7, key: [1; 32], boot, created: 0, validator, content_type, label }
}

/// Some record that may come next, or may not.
fn record(rng: &mut Rng, seq: &mut u64) -> Record {
    let start = rng.below(100);
    let range = ByteRange::at(start, 1 + rng.below(40));
    *seq += u64::from(rng.below(20) != 0);
    match rng.below(8) {
        0..=3 => Record::Covered { range, crc: None, seq: *seq },
        4 => Record::Punch { range, seq: *seq },
        5 => Record::Barrier { seq: seq.saturating_sub(rng.below(3)) },
        6 => Record::Barrier { seq: *seq + u64::from(rng.below(20) == 0) },
        _ => Record::LenKnown { len: 200 },
    }
}

#[test]
fn a7_record_by_record_the_same_is_proven_as_by_the_whole_log() {
    for seed in 0..2000 {
        let (mut rng, mut seq) = (Rng(seed), 0);
        let mut log = header().encode();
        let (mut proofs, mut proven, mut gone) = Default::default();
        let mut take = |proofs: &mut Proofs, proven: &mut Extents, record| {
            let good = proofs.take(record);
            proofs.take_fresh().into_iter().for_each(|range| proven.insert(range));
            if let (true, Record::Punch { range, .. }) = (good, record) {
                proven.remove(range);
                Extents::insert(&mut gone, range);
            }
            good
        };
        for _ in 0..rng.below(40) {
            let record = record(&mut rng, &mut seq);
            log.extend_from_slice(&record.encode(7));
            let good = take(&mut proofs, &mut proven, record);
            let found = recover(&log, 1000, None).expect("a header");
            assert_eq!(good, found.log_len == log.len(), "seed {seed}: {record:?}");
            if !good {
                break;
            }
            let trusted: Extents = found.trusted.iter().map(|piece| piece.range).collect();
            assert_eq!(proven.to_vec(), trusted.to_vec(), "seed {seed}");
            assert_eq!(proofs.len, found.len);
            assert_eq!(log.len() % RECORD_LEN, 0);
        }
        assert_eq!(proofs.gone.to_vec(), gone.to_vec());
    }
}

#[test]
fn a7_what_was_taken_away_before_its_barrier_is_not_proven_by_it() {
    let mut proofs = Proofs::default();
    let range = ByteRange::new(0, 100);
    assert!(proofs.take(Record::Covered { range, crc: None, seq: 1 }));
    assert!(proofs.take(Record::Punch { range: ByteRange::new(20, 30), seq: 2 }));
    assert!(proofs.take(Record::Barrier { seq: 2 }));
    assert_eq!(proofs.take_fresh(), [ByteRange::new(0, 20), ByteRange::new(30, 100)]);
    assert_eq!(proofs.take_fresh(), []);
    assert!(proofs.take(Record::Covered { range, crc: None, seq: 3 }));
    assert!(proofs.take(Record::Barrier { seq: 2 }), "says nothing of the last one");
    assert_eq!(proofs.take_fresh(), []);
}
