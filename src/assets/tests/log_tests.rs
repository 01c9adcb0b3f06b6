use super::*;

fn header() -> Header {
    Header {
        epoch: 0xdead_beef,
        key: [7; 32],
        boot: Some([9; 16]),
        created: 1_700_000_000,
        validator: Validator {
            etag: Some("\"v1\"".into()),
            last_modified: Some("Tue, 15 Nov 1994 12:45:26 GMT".into()),
            strong_date: true,
        },
        content_type: Some("video/mp4".into()),
        label: None,
    }
}

fn records() -> Vec<Record> {
    let range = ByteRange::new(5, 1 << 20);
    vec![
        Record::Covered { range, crc: Some(0x1234_5678), seq: 1 },
        Record::Covered { range, crc: Some(0), seq: 2 },
        Record::Covered { range, crc: None, seq: 3 },
        Record::Covered {
            range: ByteRange::new(MAX_OFFSET - MAX_RECORD_BYTES, MAX_OFFSET),
            crc: Some(u32::MAX),
            seq: u64::MAX,
        },
        Record::Punch { range, seq: 4 },
        Record::Barrier { seq: 4 },
        Record::LenKnown { len: 0 },
        Record::LenKnown { len: u64::MAX },
        Record::Sealed { len: 1 << 40 },
        Record::Validated { at: 1_700_000_001 },
    ]
}

#[test]
fn a3_every_record_survives_the_round_trip_under_its_own_epoch_only() {
    for record in records() {
        for epoch in [0, 1, 0xdead_beef, u32::MAX] {
            let bytes = record.encode(epoch);
            assert_eq!(Record::decode(&bytes, epoch), Some(record));
            for other in [epoch ^ 1, epoch.wrapping_add(1), !epoch, epoch ^ 0x8000_0000] {
                assert_eq!(Record::decode(&bytes, other), None, "{record:?}");
            }
        }
    }
}

#[test]
fn a3_a_record_with_any_bit_flipped_is_refused() {
    for record in records() {
        let bytes = record.encode(77);
        for bit in 0..RECORD_LEN * 8 {
            let mut torn = bytes;
            torn[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Record::decode(&torn, 77), None, "{record:?}, bit {bit}");
        }
    }
}

#[test]
fn a3_zeros_are_no_record_under_any_epoch() {
    // The CRC of zeros is zero for exactly one seed; there the kind must refuse.
    let zeros = [0; RECORD_LEN];
    for epoch in (0..=u32::MAX).step_by(65_537).chain([0, u32::MAX]) {
        assert_eq!(Record::decode(&zeros, epoch), None);
    }
    for kind in [0_u8, 7, 255] {
        let mut bytes = [0; RECORD_LEN];
        bytes[0] = kind;
        let crc = seeded_crc(3, &bytes[..28]);
        bytes[28..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(Record::decode(&bytes, 3), None, "kind {kind}");
    }
}

#[test]
fn a3_a_record_with_a_good_crc_but_bytes_it_would_never_write_is_refused() {
    let good = Record::Covered { range: ByteRange::new(0, 8), crc: Some(1), seq: 1 }.encode(3);
    let reseal = |change: &dyn Fn(&mut [u8; RECORD_LEN])| {
        let mut bytes = good;
        change(&mut bytes);
        let crc = seeded_crc(3, &bytes[..28]);
        bytes[28..].copy_from_slice(&crc.to_le_bytes());
        Record::decode(&bytes, 3)
    };
    assert!(reseal(&|_| ()).is_some());
    assert_eq!(reseal(&|b| b[25] = 1), None, "reserved byte");
    assert_eq!(reseal(&|b| b[24] = 2), None, "unknown flag");
    assert_eq!(reseal(&|b| b[24] = 0), None, "CRC given but flagged unknown");
    assert_eq!(reseal(&|b| b[7] = 0), None, "empty range");
    assert_eq!(reseal(&|b| b[1..7].fill(0xff)), None, "range past the largest offset");
    assert_eq!(reseal(&|b| b[0] = kind::BARRIER), None, "barrier with a range");
}

#[test]
fn a3_the_header_survives_the_round_trip() {
    let long = "x".repeat(MAX_TEXT);
    let plain = Header {
        boot: None,
        validator: Validator::default(),
        content_type: None,
        label: Some("films/é".into()),
        ..header()
    };
    let largest = Header {
        validator: Validator {
            etag: Some(long.clone()),
            last_modified: Some(long.clone()),
            strong_date: false,
        },
        content_type: Some(long.clone()),
        label: Some(long.clone()),
        ..header()
    };
    let empty = Header { content_type: Some(String::new()), ..header() };
    for header in [header(), plain, largest, empty] {
        let bytes = header.encode();
        assert!(bytes.len() % RECORD_LEN == 0 && bytes.len() <= MAX_HEADER);
        assert_eq!(Header::decode(&bytes), Some((header.clone(), bytes.len())));
        let mut followed = bytes.clone();
        followed.extend_from_slice(&[0xaa; 100]);
        assert_eq!(Header::decode(&followed), Some((header, bytes.len())));
    }
}

#[test]
fn a3_a_text_too_long_to_keep_is_left_out_and_never_cut() {
    let mut header = header();
    header.validator.etag = Some("x".repeat(MAX_TEXT + 1));
    let (decoded, _) = Header::decode(&header.encode()).expect("decodes");
    assert_eq!(decoded.validator.etag, None);
    assert_eq!(decoded.content_type, header.content_type);
}

#[test]
fn a3_a_header_with_any_bit_flipped_or_any_byte_missing_is_refused() {
    let bytes = header().encode();
    for bit in 0..bytes.len() * 8 {
        let mut torn = bytes.clone();
        torn[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Header::decode(&torn), None, "bit {bit}");
    }
    for len in 0..bytes.len() {
        assert_eq!(Header::decode(&bytes[..len]), None, "{len} bytes");
    }
}

/// A header may be cut and have a good checksum all the same; it is refused, and nothing panics.
#[test]
fn a3_a_header_too_short_for_its_fields_is_refused_even_with_a_good_crc() {
    for len in 20..FIXED + 8 {
        let mut log = header().encode();
        log.truncate(len - 4);
        log[12..16].copy_from_slice(&(len as u32).to_le_bytes());
        let crc = crc32fast::hash(&log);
        log.extend_from_slice(&crc.to_le_bytes());
        assert_eq!(Header::decode(&log), None, "{len}");
    }
}

#[test]
fn a3_texts_up_to_16_kib_are_kept_whole_and_fit_the_stated_size() {
    let long = |letter: &str| Some(letter.repeat(16 * 1024));
    let mut header = header();
    header.validator.etag = long("e");
    header.validator.last_modified = long("m");
    (header.content_type, header.label) = (long("c"), long("l"));
    let log = header.encode();
    assert!((log.len()..log.len() + 256).contains(&MAX_HEADER), "{}", log.len());
    assert_eq!(Header::decode(&log), Some((header, log.len())));
}

#[test]
fn a3_another_magic_or_version_is_refused() {
    for at in [0, 7, 8, 9] {
        let mut log = header().encode();
        log[at] ^= 1;
        let end = log.len() - 4;
        let crc = crc32fast::hash(&log[..end]);
        log[end..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(Header::decode(&log), None, "byte {at}");
    }
}
