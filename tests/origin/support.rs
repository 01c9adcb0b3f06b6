//! The helpers themselves: a check that cannot fail checks nothing.

use std::io::Cursor;
use std::panic::catch_unwind;
use std::task::Poll;

use kithara_file::origin::pattern;

use super::support::store::TempStore;
use super::support::wakes::Wakes;
use super::support::{bounded, checked};

#[test]
fn checked_reads_find_one_wrong_byte() {
    let mut bytes = pattern::bytes(0, 10_000, 7);
    checked::read_at(&mut Cursor::new(&bytes), 9000, 1000, 7);
    assert_eq!(checked::read_to_end(&mut &bytes[40..], 40, 7).expect("memory"), 9960);
    bytes[9500] ^= 1;
    let wrong = bytes.clone();
    catch_unwind(move || checked::read_at(&mut Cursor::new(&wrong), 9000, 1000, 7))
        .expect_err("a wrong byte");
    catch_unwind(move || checked::read_to_end(&mut &bytes[..], 0, 7)).expect_err("a wrong byte");
}

#[tokio::test]
async fn checked_async_reads_find_one_wrong_byte() {
    let mut bytes = pattern::bytes(0, 10_000, 7);
    checked::read_at_async(&mut Cursor::new(&bytes), 9000, 1000, 7).await;
    let end = checked::read_to_end_async(&mut &bytes[40..], 40, 7).await;
    assert_eq!(end.expect("memory"), 9960);
    bytes[9500] ^= 1;
    let read = async move { checked::read_to_end_async(&mut &bytes[..], 0, 7).await };
    assert!(tokio::spawn(read).await.expect_err("a wrong byte").is_panic());
}

#[test]
fn wakes_are_counted() {
    let (wakes, notify) = (Wakes::new(), tokio::sync::Notify::new());
    let mut waiting = std::pin::pin!(notify.notified());
    assert_eq!((wakes.poll(waiting.as_mut()), wakes.count()), (Poll::Pending, 0));
    notify.notify_waiters();
    wakes.wait_for(1);
    assert_eq!((wakes.poll(waiting.as_mut()), wakes.count()), (Poll::Ready(()), 1));
}

#[test]
fn a_bounded_run_hands_over_results_and_panics() {
    assert_eq!(bounded::run(|| 7), 7);
    catch_unwind(|| bounded::run(|| panic!("planted"))).expect_err("the panic of the thread");
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let waiting = bounded::spawn(move || gone.recv());
    assert!(waiting.try_join().is_none());
    drop(go);
    waiting.join().expect_err("nothing was sent");
}

#[test]
fn stores_are_apart_and_go_with_the_test() {
    let (one, other) = (TempStore::new(), TempStore::new());
    assert_ne!(one.path(), other.path());
    std::fs::create_dir(one.path().join("a")).expect("a directory");
    std::fs::write(one.path().join("a/b"), "x").expect("a file");
    assert_eq!((one.files(), other.files()), (vec!["a/b".to_owned()], Vec::new()));
    let path = one.path().to_owned();
    drop(one);
    assert!(!path.exists());
}
