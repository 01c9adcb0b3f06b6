//! Damage that is planted is found, told, and forgotten without a wrong byte; what is whole gives no finding.

// Damage is one range often enough.
#![allow(clippy::single_range_in_vec_init)]

use std::ops::Range;

use super::*;
use crate::assets::log::{Header, Record};

/// An asset of 1000 bytes in three pieces, and a hole at 600..700.
fn stored(bench: &Bench) -> AssetStore {
    let store = bench.store(BOOT);
    let mut writer = Writer::new(held(&store, &key("film")));
    writer.journal.len_known(1000);
    for (flow, start, end) in [(1, 0, 300), (2, 300, 600), (3, 700, 1000)] {
        writer.write(FetchId(flow), start, end, Micros(0));
        writer.journal.record_now();
        writer.barrier(Micros(flow * SECOND.0 * 10));
    }
    writer.journal.close().expect("closed");
    store
}

fn open_data(bench: &Bench) -> File {
    File::options().write(true).open(bench.data()).expect("opened")
}

/// Changes one byte of the data file.
fn spoil(bench: &Bench, at: u64) {
    put(&open_data(bench), at, &[content(range(at, at + 1), 0)[0] ^ 0x10]);
}

fn one(mut found: Vec<Verified>) -> Verified {
    assert_eq!(found.len(), 1, "{found:?}");
    found.pop().expect("one")
}

fn covered(store: &AssetStore) -> Vec<ByteRange> {
    held(store, &key("film")).recovered.covered
}

/// Every file of a store with its bytes and its time of change.
fn tree(root: &Path) -> Vec<(std::path::PathBuf, Vec<u8>, std::time::SystemTime)> {
    let (mut folders, mut files) = (vec![root.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().expect("a folder") {
            let path = entry.expect("an entry").path();
            let meta = path.metadata().expect("metadata");
            if meta.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).expect("read");
                files.push((path, bytes, meta.modified().expect("a time")));
            }
        }
    }
    files.sort();
    files
}

#[test]
fn a9_what_is_whole_gives_no_finding_and_nothing_is_changed() {
    let bench = Bench::new();
    let store = stored(&bench);
    store.objects().write(&key("cover"), &generation("\"1\""), b"x").expect("written");
    let before = tree(store.root());
    let found = one(store.verify(&key("film")).expect("checked"));
    assert_eq!((found.verdict, found.checked, found.unchecked), (Verdict::Sound, 900, 0));
    assert_eq!((found.label.as_deref(), found.is_object), (Some("film"), false));
    assert!(found.damaged.is_empty() && !found.repaired);
    let found = one(store.repair(&key("cover")).expect("checked"));
    assert_eq!((found.verdict, found.is_object, found.repaired), (Verdict::Sound, true, false));
    assert!(!one(store.repair(&key("film")).expect("checked")).repaired);
    spoil(&bench, 5);
    let spoilt = tree(store.root());
    one(store.verify(&key("film")).expect("checked"));
    assert_eq!(tree(store.root()), spoilt, "looking changes nothing");
    assert_eq!(before.len(), spoilt.len());
    assert!(store.verify(&key("other")).expect("checked").is_empty());
    assert!(!store.inner.layout.asset(&key("other")).lock.exists());
}

/// A9: wherever a byte is wrong, the piece that it is in is found; after the repair nothing else is missing and every
/// byte that is left is right.
#[test]
fn a9_a_wrong_byte_is_found_wherever_it_is_and_forgotten() {
    for (at, damaged, left) in [
        (0, 0..300, vec![range(300, 600), range(700, 1000)]),
        (299, 0..300, vec![range(300, 600), range(700, 1000)]),
        (300, 300..600, vec![range(0, 300), range(700, 1000)]),
        (999, 700..1000, vec![range(0, 600)]),
    ] {
        let bench = Bench::in_memory();
        let store = stored(&bench);
        spoil(&bench, at);
        let found = one(store.verify(&key("film")).expect("checked"));
        assert_eq!((found.verdict, found.repaired), (Verdict::Damaged, false), "byte {at}");
        assert_eq!(found.damaged, std::slice::from_ref(&damaged), "byte {at}");
        assert_eq!(covered(&store).len(), 2, "still claimed");
        let found = one(store.repair(&key("film")).expect("repaired"));
        assert_eq!((found.damaged, found.repaired), (vec![damaged.clone()], true));
        for boot in [BOOT, LATER] {
            let store = bench.store(boot);
            assert_eq!(covered(&store), left, "byte {at}");
            let found = one(store.verify(&key("film")).expect("checked"));
            assert_eq!(found.verdict, Verdict::Sound);
        }
        let lease = bench.held(BOOT);
        assert_eq!((lease.recovered.len, lease.recovered.sealed), (Some(1000), false));
        assert_eq!(lease.recovered.meta, Some(generation("\"1\"")));
        // Fetched again, it is whole.
        let mut writer = Writer::new(lease);
        writer.write(FLOW, damaged.start, damaged.end, Micros(0));
        writer.journal.close().expect("closed");
        assert_eq!(covered(&store), [range(0, 600), range(700, 1000)]);
        assert_eq!(one(store.verify(&key("film")).expect("checked")).verdict, Verdict::Sound);
    }
}

#[test]
fn a9_a_data_file_that_is_cut_or_gone_is_damage() {
    let bench = Bench::new();
    let store = stored(&bench);
    open_data(&bench).set_len(750).expect("cut");
    let found = one(store.verify(&key("film")).expect("checked"));
    assert_eq!(found.damaged, [700..1000]);
    std::fs::remove_file(bench.data()).expect("removed");
    let found = one(store.repair(&key("film")).expect("checked"));
    assert_eq!(found.damaged, [0..600, 700..1000]);
    assert_eq!(one(store.verify(&key("film")).expect("checked")).verdict, Verdict::Sound);
    assert!(covered(&store).is_empty());
}

/// A log and the data beside it, as they lie in a store.
fn written(bench: &Bench, records: &[Record], data: &[u8]) -> AssetStore {
    let store = stored(bench);
    let header = Header {
        epoch: 7,
        key: key("film").hash(),
        boot: BOOT,
        created: 0,
        validator: Validator::default(),
        content_type: None,
        label: Some("film".into()),
    };
    let mut log = header.encode();
    records.iter().for_each(|record| log.extend_from_slice(&record.encode(7)));
    std::fs::write(bench.map(), log).expect("written");
    std::fs::write(bench.data(), data).expect("written");
    store
}

fn piece(start: u64, end: u64, seq: u64) -> Record {
    let crc = Some(crc32fast::hash(&content(range(start, end), 0)));
    Record::Covered { range: range(start, end), crc, seq }
}

/// A9: what one of two pieces that overlap proves is right, whichever was recorded last; the rest of the other one
/// cannot be shown to be.
#[test]
fn a9_where_pieces_overlap_only_what_no_piece_proves_is_damaged() {
    for (first, last) in [((0, 100), (60, 200)), ((60, 200), (0, 100))] {
        for (at, damaged) in [(10, 0..60), (150, 100..200), (80, 0..200)] {
            let bench = Bench::in_memory();
            let records = [
                piece(first.0, first.1, 1),
                piece(last.0, last.1, 2),
                Record::Barrier { seq: 2 },
                Record::Sealed { len: 200 },
            ];
            let mut data = content(range(0, 200), 0);
            let store = written(&bench, &records, &data);
            assert_eq!(one(store.verify(&key("film")).expect("checked")).checked, 200);
            data[at] ^= 1;
            std::fs::write(bench.data(), &data).expect("written");
            let damaged: Vec<Range<u64>> = vec![damaged];
            let found = one(store.repair(&key("film")).expect("repaired"));
            assert_eq!(found.damaged, damaged, "byte {at}");
            let lease = bench.held(BOOT);
            assert!(!lease.recovered.sealed);
            let claimed = lease.recovered.covered;
            assert!(claimed.iter().all(|range| !range.contains(at as u64)), "{claimed:?}");
            let bytes: u64 = claimed.iter().map(|range| range.len()).sum();
            assert_eq!(bytes, 200 - (damaged[0].end - damaged[0].start));
        }
    }
}

#[test]
fn a9_bytes_without_a_checksum_are_counted_and_kept_unless_they_are_gone() {
    let bench = Bench::new();
    let unknown = |start, end, seq| Record::Covered { range: range(start, end), crc: None, seq };
    let records =
        [unknown(0, 50, 1), piece(40, 100, 2), unknown(150, 200, 3), Record::Barrier { seq: 3 }];
    let mut data = content(range(0, 180), 0);
    data[45] ^= 1;
    let store = written(&bench, &records, &data);
    let found = one(store.verify(&key("film")).expect("checked"));
    assert_eq!((found.damaged, found.unchecked), (vec![40..100, 180..200], 70));
    store.repair(&key("film")).expect("repaired");
    assert_eq!(covered(&store), [range(0, 40), range(150, 180)]);
    let found = one(store.verify(&key("film")).expect("checked"));
    assert_eq!((found.verdict, found.checked, found.unchecked), (Verdict::Sound, 0, 70));
}

/// After a power loss a piece behind the last barrier whose bytes never came is no promise, and no damage; in the
/// same run of the system it would be served, and is.
#[test]
fn a9_a_suspect_piece_is_damage_only_if_an_open_would_believe_it() {
    let bench = Bench::new();
    let records = [piece(0, 100, 1), Record::Barrier { seq: 1 }, piece(100, 200, 2)];
    let mut data = content(range(0, 200), 0);
    data[150] ^= 1;
    let store = written(&bench, &records, &data);
    assert_eq!(one(store.verify(&key("film")).expect("checked")).damaged, [100..200]);
    let later = bench.store(LATER);
    let found = one(later.verify(&key("film")).expect("checked"));
    assert_eq!((found.verdict, found.checked), (Verdict::Sound, 100));
    store.repair(&key("film")).expect("repaired");
    assert_eq!(covered(&store), [range(0, 100)]);
}

#[test]
fn a9_a_held_asset_is_skipped_and_said_so() {
    let bench = Bench::new();
    let store = stored(&bench);
    spoil(&bench, 5);
    let lease = bench.held(BOOT);
    for found in [store.verify(&key("film")), store.repair(&key("film"))] {
        let found = one(found.expect("asked"));
        assert_eq!((found.verdict, found.checked, found.repaired), (Verdict::Busy, 0, false));
    }
    drop(lease);
    assert_eq!(one(store.verify(&key("film")).expect("checked")).verdict, Verdict::Damaged);
}

#[test]
fn a9_a_log_that_cannot_be_read_is_told_and_emptied_by_a_repair() {
    let bench = Bench::new();
    let store = stored(&bench);
    let mut log = std::fs::read(bench.map()).expect("read");
    log[20] ^= 1;
    std::fs::write(bench.map(), log).expect("written");
    store.pin(&key("film"), true).expect("pinned");
    let found = one(store.verify(&key("film")).expect("checked"));
    assert_eq!((found.verdict, found.repaired), (Verdict::Lost, false));
    assert!(one(store.repair(&key("film")).expect("repaired")).repaired);
    assert_eq!(bench.data().metadata().expect("there").len(), 0, "its room is given back");
    assert_eq!(one(store.verify(&key("film")).expect("checked")).verdict, Verdict::Sound);
    assert!(store.list().expect("listed")[0].pinned);
}

#[test]
fn a9_a_damaged_object_is_told_and_removed_by_a_repair() {
    let bench = Bench::new();
    let store = bench.store(BOOT);
    store.objects().write(&key("cover"), &generation("\"1\""), b"content").expect("written");
    let path = store.inner.layout.object(&key("cover")).1;
    let mut bytes = std::fs::read(&path).expect("read");
    let at = bytes.len() - 40;
    bytes[at] ^= 1;
    std::fs::write(&path, &bytes).expect("written");
    let found = one(store.verify(&key("cover")).expect("checked"));
    assert_eq!((found.verdict, found.damaged), (Verdict::Damaged, vec![0..bytes.len() as u64]));
    assert!(path.exists());
    assert!(one(store.repair(&key("cover")).expect("repaired")).repaired);
    assert!(store.verify(&key("cover")).expect("checked").is_empty());
}

/// A9, A3: a repair that the disk refuses leaves the old log, whole; one whose bytes cannot be read is damage.
#[cfg(unix)]
#[test]
fn a9_a_repair_that_is_refused_leaves_what_was_there() {
    use crate::storage::disk::faulty::{BROKEN, FULL, Faulty, Kind as Op};
    for (op, file) in [(Op::Create, ""), (Op::Write, ""), (Op::Rename, ""), (Op::SyncAll, "")] {
        let bench = Bench::in_memory();
        stored(&bench);
        spoil(&bench, 5);
        let log = std::fs::read(bench.map()).expect("read");
        let disk = Faulty::new();
        let store = AssetStore::open_on(disk.clone(), BOOT, bench.path(), &bench.config);
        disk.refuse(op, file, FULL);
        assert!(matches!(store.repair(&key("film")), Err(Error::Storage(_))), "{op:?}");
        assert_eq!(std::fs::read(bench.map()).expect("read"), log, "{op:?}");
        disk.heal();
        assert!(one(store.repair(&key("film")).expect("repaired")).repaired);
    }
    let bench = Bench::in_memory();
    stored(&bench);
    let disk = Faulty::new();
    let store = AssetStore::open_on(disk.clone(), BOOT, bench.path(), &bench.config);
    disk.refuse_one(Op::Read, "data", 1, BROKEN);
    assert_eq!(one(store.verify(&key("film")).expect("checked")).damaged, [300..600]);
}
