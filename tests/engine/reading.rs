//! Reading and seeking: E1, E4, E5, E6, E11, N5.

use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::thread;

use crate::support::*;

#[test]
fn e6_a_whole_resource_reads_bit_exact() {
    let origin = origin(3 * MIB + 17);
    let session = open(&engine(quick()), &origin);
    assert_eq!(session.len(), Some(3 * MIB + 17));
    assert_eq!(check_to_end(&mut session.reader()), 3 * MIB + 17);
}

#[test]
fn e6_seeks_and_reads_in_any_order_give_the_bytes_of_the_resource() {
    let origin = origin(9 * MIB);
    let session = open(&engine(quick()), &origin);
    let mut reader = session.reader();
    for at in [8 * MIB, 0, 5 * MIB + 3, 5 * MIB + 2, 9 * MIB - 1000, 1, 4 * MIB, 2 * MIB, 7 * MIB] {
        check_at(&mut reader, at, 1000);
    }
    check_at(&mut reader, 9 * MIB - 1, 1);
    assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn n5_no_head_and_only_bounded_ranges_go_out() {
    let origin = origin(20 * MIB);
    let session = open(&engine(quick()), &origin);
    let mut reader = session.reader();
    for at in [0, 10 * MIB, 19 * MIB] {
        check_at(&mut reader, at, 5000);
    }
    let log = origin.log();
    assert!(log.len() >= 3);
    for request in log.iter() {
        assert_eq!(request.method, "GET");
        let (first, last) = request.range.unwrap();
        assert!(last.is_some_and(|last| first <= last && last < 20 * MIB), "{:?}", request.range);
    }
}

/// E1, E4, defect 10: the first byte is enough for a read to return, however large its buffer is.
#[test]
fn e4_a_large_buffer_does_not_delay_the_first_byte() {
    let origin = origin(MIB);
    let gate = Gate::new();
    origin.rule("/file", Rule::gate_body(5, &gate));
    let session = open(&engine(quick()), &origin);
    let mut reader = session.reader();
    let mut buf = vec![0; 256 << 10];
    let n = reader.read(&mut buf).unwrap();
    assert!((1..=5).contains(&n), "{n}");
    assert!(pattern::check(&buf[..n], 0, 0));
    gate.open();
    assert_eq!(check_to_end(&mut reader), MIB - n as u64);
}

#[test]
fn e5_a_seek_does_no_io_and_follows_the_rules_of_files() {
    let origin = origin(4 * MIB);
    let session = open(&engine(frugal()), &origin);
    let mut reader = session.reader();
    assert_eq!(reader.seek(SeekFrom::End(-10)).unwrap(), 4 * MIB - 10);
    assert_eq!(reader.seek(SeekFrom::Current(-10)).unwrap(), 4 * MIB - 20);
    assert_eq!(reader.seek(SeekFrom::Start(3)).unwrap(), 3);
    let negative = reader.seek(SeekFrom::Current(-4)).unwrap_err();
    assert_eq!(negative.kind(), ErrorKind::InvalidInput);
    assert_eq!(reader.stream_position().unwrap(), 3, "a refused seek moves nothing");
    assert!(reader.seek(SeekFrom::End(i64::MIN)).is_err());
    assert_eq!(reader.seek(SeekFrom::Start(u64::MAX)).unwrap(), u64::MAX);
    assert!(reader.seek(SeekFrom::Current(1)).is_err());
    assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0, "past the end reads as the end");
    assert_eq!(origin.log().len(), 1, "only the request that opened");
}

#[test]
fn e6_two_readers_on_one_hole_make_one_request() {
    let origin = origin(16 * MIB);
    let session = open(&engine(frugal()), &origin);
    let gate = Gate::new();
    origin.rule("/file", Rule::gate_head(&gate).starting_at(8 * MIB));
    thread::scope(|scope| {
        for _ in 0..2 {
            let mut reader = session.reader();
            scope.spawn(move || check_at(&mut reader, 8 * MIB, 100));
        }
        gate.wait_arrived(1);
        while session.snapshot().waits < 2 {
            thread::yield_now();
        }
        gate.open();
    });
    let there = origin.log().iter().filter(|r| r.range.unwrap().0 >= 8 * MIB).count();
    assert_eq!(there, 1);
}

#[test]
fn e6_many_readers_at_once_get_right_bytes() {
    let origin = origin(6 * MIB);
    // No read is so far ahead of a running request that a new one overtakes it (P3): then P6 is strict.
    let mut config = quick();
    config.tunables.fetch.wait_min = 6 * MIB;
    config.tunables.fetch.wait_max = 6 * MIB;
    let session = open(&engine(config), &origin);
    thread::scope(|scope| {
        for n in 0..8_u64 {
            let mut reader = session.reader();
            scope.spawn(move || {
                for step in 0..40 {
                    let at = (n * 977 + step * 3571) * 1009 % (6 * MIB - 5000);
                    check_at(&mut reader, at, 5000);
                }
            });
        }
    });
    assert_eq!(session.snapshot().bytes_wasted, 0);
}

#[test]
fn e11_a_handle_moves_a_read_that_is_blocked_in_another_thread() {
    let origin = origin(16 * MIB);
    let session = open(&engine(frugal()), &origin);
    let gate = Gate::new();
    origin.rule("/file", Rule::gate_head(&gate).starting_at(8 * MIB));
    let mut reader = session.reader();
    reader.seek(SeekFrom::Start(8 * MIB)).unwrap();
    let handle = reader.handle();
    thread::scope(|scope| {
        let read = scope.spawn(|| {
            let mut buf = [0; 100];
            let n = reader.read(&mut buf).unwrap();
            (buf[..n].to_vec(), reader.stream_position().unwrap())
        });
        gate.wait_arrived(1);
        handle.seek_to(4 * MIB);
        let (bytes, position) = read.join().unwrap();
        assert!(pattern::check(&bytes, 4 * MIB, 0));
        assert_eq!(position, 4 * MIB + bytes.len() as u64);
        assert_eq!(handle.position(), position);
    });
    gate.open();
}

#[test]
fn e11_a_handle_interrupts_a_blocked_read_and_the_reader_goes_on() {
    let origin = origin(16 * MIB);
    let session = open(&engine(frugal()), &origin);
    let gate = Gate::new();
    origin.rule("/file", Rule::gate_head(&gate).starting_at(8 * MIB));
    let mut reader = session.reader();
    reader.seek(SeekFrom::Start(8 * MIB)).unwrap();
    let handle = reader.handle();
    thread::scope(|scope| {
        let read = scope.spawn(|| failed_read(&mut reader));
        gate.wait_arrived(1);
        handle.interrupt();
        let error = read.join().unwrap();
        assert!(matches!(error, Error::Interrupted) && !error.is_fatal(), "{error:?}");
    });
    gate.open();
    check_at(&mut reader, 8 * MIB, 100);
}

#[test]
fn e11_try_read_never_waits_and_gets_the_bytes_later() {
    let origin = origin(16 * MIB);
    let session = open(&engine(frugal()), &origin);
    let gate = Gate::new();
    origin.rule("/file", Rule::gate_head(&gate).starting_at(8 * MIB));
    let mut reader = session.reader();
    reader.seek(SeekFrom::Start(8 * MIB)).unwrap();
    let mut buf = [0; 100];
    for _ in 0..1000 {
        assert_eq!(reader.try_read(&mut buf).unwrap(), None);
    }
    gate.wait_arrived(1);
    gate.open();
    let run = block_on(reader.ready_at(8 * MIB)).unwrap().unwrap();
    assert_eq!(run.start, 8 * MIB);
    let n = reader.try_read(&mut buf).unwrap().unwrap();
    assert!(n > 0 && pattern::check(&buf[..n], 8 * MIB, 0));
    reader.seek(SeekFrom::End(0)).unwrap();
    assert_eq!(reader.try_read(&mut buf).unwrap(), Some(0));
    let asked = origin.log().iter().filter(|r| r.range.unwrap().0 >= 8 * MIB).count();
    assert_eq!(asked, 1, "a thousand looks are one demand");
}

#[test]
fn a_read_into_an_empty_buffer_is_nothing() {
    let origin = origin(16 * MIB);
    let session = open(&engine(frugal()), &origin);
    let mut reader = session.reader();
    reader.seek(SeekFrom::Start(9 * MIB)).unwrap();
    assert_eq!(reader.read(&mut []).unwrap(), 0);
    assert_eq!(origin.log().len(), 1);
}

/// P6: what a request brought is never asked for again, and what came twice is counted.
#[test]
fn p6_reading_twice_fetches_once() {
    let origin = origin(3 * MIB);
    let session = open(&engine(quick()), &origin);
    let mut reader = session.reader();
    let mut events = session.events();
    check_to_end(&mut reader);
    until_end_of_stream(&mut events);
    let requests = origin.log().len();
    reader.seek(SeekFrom::Start(0)).unwrap();
    check_to_end(&mut reader);
    assert_eq!(origin.log().len(), requests);
    let snapshot = session.snapshot();
    assert_eq!((snapshot.bytes_fetched, snapshot.bytes_wasted), (3 * MIB, 0));
    assert_eq!(origin.log().body_bytes(), 3 * MIB);
    assert_eq!(snapshot.bytes_read, 6 * MIB);
}

/// A resource above 4 GiB is opened and read at both ends without being fetched whole.
#[test]
fn offsets_above_4_gib_work_and_nothing_is_fetched_whole() {
    let len = (5 << 30) + 11;
    let origin = origin(len);
    let session = open(&engine(frugal()), &origin);
    let mut reader = session.reader();
    check_at(&mut reader, len - 4000, 4000);
    assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
    check_at(&mut reader, 1 << 32, 4000);
    check_at(&mut reader, 0, 4000);
    assert!(origin.log().body_bytes() < 16 * MIB);
}
