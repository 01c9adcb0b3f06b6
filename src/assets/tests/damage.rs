//! A log of 200 records, as a life writes them, with every byte of it damaged in turn and cut at every length.

use super::*;
use crate::assets::extents::Extents;
use crate::assets::log::{Header, RECORD_LEN, Record};
use crate::assets::recovery::{Piece, Recovery, recover};

const RECORDS: usize = 200;
const EPOCH: u32 = 0x5eed_1e55;
/// Bytes of the resource.
const LEN: u64 = 8192;

/// A log, and the data file beside it as a power cut left both.
struct Stored {
    header: usize,
    log: Vec<u8>,
    data: Vec<u8>,
}

impl Stored {
    /// Two flows that overlap now and then, a barrier after each 24 records; what came after the last one is lost in
    /// part, as the data says.
    fn new() -> Self {
        let mut data = content(range(0, LEN), 0);
        let (mut records, mut seq) = (vec![Record::LenKnown { len: LEN }], 0);
        while records.len() < RECORDS - 2 {
            let n = records.len() as u64;
            if n.is_multiple_of(24) {
                records.push(Record::Barrier { seq });
                continue;
            }
            seq += 1;
            let start = n % 2 * (LEN / 2) + n * 20;
            let range = range(start, start + 20 + n % 5);
            let crc = crc32fast::hash(&data[range.start as usize..range.end as usize]);
            // A piece of an older log may have lost its checksum to a hole.
            let crc = (n % 17 != 3 || n > 150).then_some(crc);
            records.push(Record::Covered { range, crc, seq });
            if n > 192 && n.is_multiple_of(2) {
                data[range.start as usize..range.end as usize].fill(0);
            }
        }
        records.extend([Record::Validated { at: 1_700_000_000 }, Record::Sealed { len: LEN }]);
        let mut log = header().encode();
        let header = log.len();
        records.iter().for_each(|record| log.extend_from_slice(&record.encode(EPOCH)));
        assert_eq!(log.len(), header + RECORDS * RECORD_LEN);
        Self { header, log, data }
    }

    /// What is left of `log`, after checking that every byte it claims is right.
    #[track_caller]
    fn recover(&self, log: &[u8], what: &dyn std::fmt::Debug) -> Option<Recovery> {
        let found = recover(log, LEN, LATER)?;
        assert_eq!(found.header, header(), "{what:?}");
        // As the lease does it before anything is served.
        let is_right = |piece: &&Piece| {
            let bytes = &self.data[piece.range.start as usize..piece.range.end as usize];
            piece.crc == Some(crc32fast::hash(bytes))
        };
        let suspect = found.suspect.iter().filter(is_right);
        let claimed: Extents = found.trusted.iter().chain(suspect).map(|p| p.range).collect();
        for range in claimed.to_vec() {
            let bytes = &self.data[range.start as usize..range.end as usize];
            assert_eq!(bytes, content(range, 0), "{what:?}: wrong bytes in {range}");
        }
        Some(found)
    }

    /// How many whole records lie before `at`; `None` within the header.
    fn before(&self, at: usize) -> Option<usize> {
        at.checked_sub(self.header).map(|rest| rest / RECORD_LEN)
    }

    /// What each number of whole records gives.
    fn prefixes(&self) -> Vec<Option<Recovery>> {
        let end = |n: usize| self.header + n * RECORD_LEN;
        (0..=RECORDS).map(|n| self.recover(&self.log[..end(n)], &n)).collect()
    }
}

fn header() -> Header {
    Header {
        epoch: EPOCH,
        key: [3; 32],
        boot: BOOT,
        created: 7,
        validator: generation("\"1\"").validator,
        content_type: Some("video/mp4".into()),
        label: None,
    }
}

/// The tail is lost from the damage on, and nothing else; without a header nothing is there.
#[test]
fn a3_a_log_of_200_records_with_any_byte_damaged_claims_no_wrong_byte() {
    let stored = Stored::new();
    let prefixes = stored.prefixes();
    assert!(prefixes.iter().all(Option::is_some));
    let mut log = stored.log.clone();
    for at in 0..log.len() {
        let wanted = stored.before(at).and_then(|n| prefixes[n].as_ref());
        for pattern in [0x01, 0x08, 0x80, 0xff] {
            log[at] ^= pattern;
            // Equal to what was checked byte by byte for this many records.
            let found = recover(&log, LEN, LATER);
            assert_eq!(found.as_ref(), wanted, "byte {at} with {pattern:#x}");
            log[at] ^= pattern;
        }
    }
}

#[test]
fn a3_a_log_of_200_records_cut_at_any_length_claims_no_wrong_byte() {
    let stored = Stored::new();
    let prefixes = stored.prefixes();
    for len in 0..=stored.log.len() {
        let wanted = stored.before(len).and_then(|n| prefixes[n].as_ref());
        let found = recover(&stored.log[..len], LEN, LATER);
        assert_eq!(found.as_ref(), wanted, "cut at {len}");
        // The same with room behind, as an append that was torn leaves it.
        let mut roomy = stored.log[..len].to_vec();
        roomy.resize(stored.log.len(), 0);
        let found = recover(&roomy, LEN, LATER);
        // Zeros in place of zeros change nothing.
        if found.as_ref() != wanted {
            let same = stored.log[len..].iter().take(RECORD_LEN).take_while(|b| **b == 0).count();
            assert_eq!(
                found.as_ref(),
                stored.before(len + same).and_then(|n| prefixes[n].as_ref())
            );
        }
    }
}

/// Whatever the data lost, what is not proven is believed only if it is right.
#[test]
fn a3_any_record_of_a_log_without_its_bytes_is_not_believed() {
    let stored = Stored::new();
    let all = stored.prefixes().pop().flatten().expect("a good log");
    let lost: Vec<_> = all
        .suspect
        .iter()
        .filter(|p| stored.data[p.range.start as usize..][..4] == [0; 4])
        .collect();
    assert!(!lost.is_empty() && lost.len() < all.suspect.len(), "the log has both kinds");
}
