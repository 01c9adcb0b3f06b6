//! A real S3 server, where one is told: `scripts/e2e/s3.sh` starts it and sets what the environment needs.
//!
//! `S3_BUCKET` is a bucket there into which objects may be put without a signature; endpoint and credentials are in the
//! variables that the engine reads by itself (`AWS_ENDPOINT` and so on).

use std::io::Write as _;
use std::net::TcpStream;

use crate::*;

/// The bucket; `None` where there is no server.
fn bucket() -> Option<String> {
    std::env::var("S3_BUCKET").ok()
}

/// Puts an object of the pattern and waits for the answer.
fn upload(bucket: &str, key: &str, len: u64, seed: u64) {
    let endpoint = std::env::var("AWS_ENDPOINT").unwrap();
    let addr = endpoint.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(addr).unwrap();
    let head = format!(
        "PUT /{bucket}/{key} HTTP/1.1\r\nHost: {addr}\r\nContent-Type: video/mp4\r\nx-amz-acl: public-read-write\r\n\
         Content-Length: {len}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&pattern::bytes(0, usize::try_from(len).unwrap(), seed)).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

fn opened(engine: &Engine, bucket: &str, key: &str) -> Result<Session, Error> {
    engine.open_blocking(format!("s3://{bucket}/{key}"))
}

#[test]
fn an_object_of_a_server_is_read_through_and_stored() {
    let Some(bucket) = bucket() else { return };
    upload(&bucket, "dir/through.mp4", LEN, 0);
    let folder = tempfile::tempdir().unwrap();
    let played = Engine::builder().config(quick()).store_dir(folder.path()).build().unwrap();
    let session = opened(&played, &bucket, "dir/through.mp4").unwrap();
    assert_eq!((session.len(), session.content_type().as_deref()), (Some(LEN), Some("video/mp4")));
    assert_eq!(check_to_end(&mut session.reader(), 0), LEN);
    let snapshot = session.snapshot();
    assert_eq!((snapshot.bytes_fetched, snapshot.bytes_wasted), (LEN, 0));
    block_on(session.close());
    drop(played);
    let offline = Engine::builder().store_dir(folder.path()).offline(true).build().unwrap();
    let session = opened(&offline, &bucket, "dir/through.mp4").unwrap();
    assert_eq!(check_to_end(&mut session.reader(), 0), LEN);
    assert_eq!(session.snapshot().requests, 0);
}

#[test]
fn jumps_in_an_object_of_a_server_ask_for_what_they_read() {
    let Some(bucket) = bucket() else { return };
    upload(&bucket, "jumps.mp4", LEN, 0);
    let session = opened(&engine(frugal()), &bucket, "jumps.mp4").unwrap();
    let mut reader = session.reader();
    for at in [3 * MIB, MIB, LEN - 10, 0] {
        check_at(&mut reader, at, 10);
    }
    assert!(session.snapshot().requests <= 4, "{:?}", session.snapshot());
}

#[test]
fn an_object_of_a_server_that_is_replaced_between_two_requests_is_a_change() {
    let Some(bucket) = bucket() else { return };
    upload(&bucket, "replaced.mp4", LEN, 0);
    let session = opened(&engine(frugal()), &bucket, "replaced.mp4").unwrap();
    let mut reader = session.reader();
    check_at(&mut reader, 0, 1000);
    upload(&bucket, "replaced.mp4", LEN, 1);
    reader.seek(SeekFrom::Start(2 * MIB)).unwrap();
    assert!(matches!(failed_read(&mut reader), Error::Changed));
}

#[test]
fn a_server_is_asked_for_what_is_empty_missing_or_away() {
    let Some(bucket) = bucket() else { return };
    upload(&bucket, "empty.mp4", 0, 0);
    let engine = engine(quick());
    let session = opened(&engine, &bucket, "empty.mp4").unwrap();
    assert_eq!(session.len(), Some(0));
    assert_eq!(session.reader().read(&mut [0; 8]).unwrap(), 0);
    let missing = opened(&engine, &bucket, "none.mp4").map(drop).unwrap_err();
    assert_eq!(status(&missing), Some(404));
    let no_bucket = opened(&engine, "nobody-has-this", "none.mp4").map(drop).unwrap_err();
    assert_eq!(status(&no_bucket), Some(404));
}
