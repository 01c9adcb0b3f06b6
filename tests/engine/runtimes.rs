//! Where an engine may be used from: plain threads, tokio's runtimes, other executors; and where a blocking call
//! would dead-lock and therefore errs.

use std::io::{Read, Seek, SeekFrom};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, Mutex};
use std::thread;

use futures::FutureExt;
use kithara_file::{AsyncReader, ReaderHandle, Snapshot, Source};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::stage::*;
use crate::support::*;

fn multi(workers: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(workers).enable_all().build().unwrap()
}

fn current() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn engine_on(handle: &Handle) -> Engine {
    Engine::builder().config(frugal()).runtime(handle.clone()).build().unwrap()
}

/// Opens and reads in the async way, from both ends, and checks each byte.
async fn play(engine: &Engine, origin: &Origin) {
    let session = engine.open(origin.url("/file")).await.unwrap();
    let mut reader = session.async_reader();
    for at in [2 * MIB - 1000, 0, MIB] {
        reader.seek(SeekFrom::Start(at)).await.unwrap();
        let mut buf = [0; 1000];
        reader.read_exact(&mut buf).await.unwrap();
        assert!(pattern::check(&buf, at, 0));
    }
    session.fetch_all().await.unwrap();
    session.close().await;
}

/// The same in the blocking way.
fn play_blocking(engine: &Engine, origin: &Origin) {
    let mut reader = engine.open_blocking(origin.url("/file")).unwrap().into_reader();
    for at in [2 * MIB - 1000, 0, MIB] {
        check_at(&mut reader, at, 1000);
    }
}

#[test]
fn an_engine_is_used_from_plain_threads() {
    let origin = origin(2 * MIB);
    let engine = engine(frugal());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| play_blocking(&engine, &origin));
        }
    });
}

#[test]
fn an_engine_is_used_from_any_tokio_runtime() {
    let origin = origin(2 * MIB);
    let engine = engine(frugal());
    for runtime in [multi(2), multi(1), current()] {
        runtime.block_on(async {
            play(&engine, &origin).await;
            // Blocking here is rude, but the engine runs on threads of its own and goes on.
            play_blocking(&engine, &origin);
            thread::scope(|scope| {
                scope.spawn(|| play_blocking(&engine, &origin));
            });
        });
        let (engine, url) = (engine.clone(), origin.url("/file"));
        let decoding = async {
            tokio::task::spawn_blocking(move || {
                check_at(&mut engine.open_blocking(url).unwrap().into_reader(), MIB, 1000);
            })
            .await
        };
        runtime.block_on(decoding).unwrap();
    }
}

/// No tokio anywhere: the future is polled by hand, inside another future that is.
#[test]
fn an_engine_is_used_from_other_executors_and_nested_in_them() {
    let origin = origin(2 * MIB);
    let engine = engine(frugal());
    poll_by_hand(async {
        poll_by_hand(play(&engine, &origin));
        play_blocking(&engine, &origin);
        play(&engine, &origin).await;
    });
}

/// An executor as small as can be: parks the thread until woken.
fn poll_by_hand<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut cx = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut cx) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn requests_run_on_the_runtime_that_was_given() {
    let origin = origin(2 * MIB);
    for runtime in [multi(2), multi(1), current()] {
        let engine = engine_on(runtime.handle());
        runtime.block_on(play(&engine, &origin));
        runtime.block_on(async {
            let (engine, url) = (engine.clone(), origin.url("/file"));
            let read = move || {
                let mut reader = engine.open_blocking(url).unwrap().into_reader();
                check_at(&mut reader, MIB, 1000);
            };
            tokio::task::spawn_blocking(read).await.unwrap();
        });
    }
}

/// A given runtime of several threads: one of them may block.
#[test]
fn a_blocking_call_on_one_of_several_threads_works() {
    let origin = origin(2 * MIB);
    let runtime = multi(2);
    let engine = engine_on(runtime.handle());
    let url = origin.url("/file");
    let task = runtime.spawn(async move {
        check_at(&mut engine.open_blocking(url).unwrap().into_reader(), MIB, 1000);
    });
    runtime.block_on(task).unwrap();
}

#[test]
fn a_blocking_call_on_the_only_thread_of_the_given_runtime_errs() {
    let origin = origin(16 * MIB);
    let runtime = current();
    let engine = engine_on(runtime.handle());
    runtime.block_on(async {
        let refused = engine.open_blocking(origin.url("/file")).err();
        assert!(matches!(refused, Some(Error::WouldDeadlock)), "before anything ran there");
        assert_eq!(origin.log().len(), 0);
        let session = engine.open(origin.url("/file")).await.unwrap();
        let refused = engine.open_blocking(origin.url("/file")).err();
        assert!(matches!(refused, Some(Error::WouldDeadlock)));
        let refused = engine.get_object_blocking(origin.url("/file"), 1 << 30).err();
        assert!(matches!(refused, Some(Error::WouldDeadlock)));

        let mut reader = session.reader();
        reader.ready_at(0).await.unwrap();
        let mut buf = [0; 10];
        assert_eq!(reader.read(&mut buf).unwrap(), 10, "what is there needs nobody");
        reader.seek(SeekFrom::Start(HOLE)).unwrap();
        let error = failed_read(&mut reader);
        assert!(matches!(error, Error::WouldDeadlock) && !error.is_fatal(), "{error:?}");

        // The same reader, where decoders live.
        let read = move || check_at(&mut reader, HOLE, 1000);
        tokio::task::spawn_blocking(read).await.unwrap();
    });
}

/// Closing needs no request: it may block where those would run, but not where the engine works itself.
#[test]
fn a_blocking_close_waits_wherever_the_engine_can_go_on() {
    let (origin, dir) = (origin(2 * MIB), tempfile::tempdir().unwrap());
    let runtime = current();
    let stash: Arc<Mutex<Option<Session>>> = Arc::default();
    let (kept, told) = (stash.clone(), std::sync::mpsc::channel());
    let engine = Engine::builder().config(frugal()).runtime(runtime.handle().clone());
    let engine = engine.store_dir(dir.path()).key_of(move |_| {
        if let Some(session) = kept.lock().unwrap().take() {
            told.0.send(session.close_blocking()).unwrap();
        }
        None
    });
    let engine = engine.build().unwrap();
    runtime.block_on(async {
        let session = engine.open(origin.url("/file")).await.unwrap();
        session.fetch_all().await.unwrap();
        assert!(session.is_stored());
        session.close_blocking().unwrap();

        // Its lock is free, and everything there.
        let stored = Engine::builder().store_dir(dir.path()).offline(true).build().unwrap();
        let session = stored.open(origin.url("/file")).await.unwrap();
        assert_eq!(session.coverage(), std::slice::from_ref(&(0..2 * MIB)));
        session.close_blocking().unwrap();

        let session = engine.open(origin.url("/file")).await.unwrap();
        let mut reader = session.reader();
        *stash.lock().unwrap() = Some(session);
        drop(engine.open(origin.url("/file")).await.unwrap());
        let refused = told.1.try_recv().unwrap();
        assert!(matches!(refused, Err(Error::WouldDeadlock)), "{refused:?}");
        assert!(matches!(failed_read(&mut reader), Error::Cancelled), "closed all the same");
    });
}

/// With one worker: `block_on`'s own thread may block, a task may not.
#[test]
fn a_blocking_call_on_the_only_worker_of_the_given_runtime_errs() {
    let origin = origin(16 * MIB);
    let runtime = multi(1);
    let engine = engine_on(runtime.handle());
    let url = origin.url("/file");
    runtime.block_on(async { drop(engine.open_blocking(url.clone()).unwrap()) });
    let task = runtime.spawn({
        let engine = engine.clone();
        async move { engine.open_blocking(url).err() }
    });
    let refused = runtime.block_on(task).unwrap();
    assert!(matches!(refused, Some(Error::WouldDeadlock)), "{refused:?}");
}

/// The thread that drove the runtime before is not the one that does now.
#[test]
fn a_dead_lock_is_seen_after_block_on_has_moved_to_another_thread() {
    let origin = origin(16 * MIB);
    let runtime = current();
    let engine = engine_on(runtime.handle());
    thread::scope(|scope| {
        scope.spawn(|| runtime.block_on(play_all(&engine, &origin)));
    });
    runtime.block_on(async {
        let refused = engine.open_blocking(origin.url("/other")).err();
        assert!(matches!(refused, Some(Error::WouldDeadlock)), "{refused:?}");
    });
}

async fn play_all(engine: &Engine, origin: &Origin) {
    let session = engine.open(origin.url("/file")).await.unwrap();
    session.async_reader().read(&mut [0; 10]).await.unwrap();
}

/// The given runtime "must outlive the engine"; if it does not, reads fail and hang not.
#[test]
fn reads_fail_when_the_given_runtime_goes() {
    let (origin, gate) = gated();
    let runtime = multi(1);
    let engine = engine_on(runtime.handle());
    let session = engine.open_blocking(origin.url("/file")).unwrap();
    let mut reader = reader_at(&session, HOLE);
    thread::scope(|scope| {
        let read = scope.spawn(|| failed_read(&mut reader));
        gate.wait_arrived(1);
        runtime.shutdown_background();
        assert!(matches!(read.join().unwrap(), Error::Cancelled));
    });
    let opened = engine.open_blocking(Source::url(&origin.url("/file")).unwrap().key("b").unwrap());
    assert!(matches!(opened.err(), Some(Error::Cancelled)), "nothing can be sent any more");
}

#[test]
fn many_engines_live_beside_each_other() {
    let origin = origin(2 * MIB);
    let engines: Vec<Engine> = (0..8).map(|_| engine(frugal())).collect();
    thread::scope(|scope| {
        for engine in &engines {
            scope.spawn(|| play_blocking(engine, &origin));
        }
    });
    block_on(async {
        let all = engines.iter().map(|engine| play(engine, &origin));
        for playing in all.collect::<Vec<_>>() {
            playing.await;
        }
    });
}

/// What may go where; a change that takes one of these away does not compile.
#[test]
fn handles_cross_threads_and_unwinding() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    fn unpin<T: Unpin>() {}
    fn is_static<T: 'static>() {}
    fn future_is_send<T>(_: &(impl Future<Output = T> + Send)) {}
    fn unwinds<T: UnwindSafe + RefUnwindSafe>() {}
    send::<Reader>();
    sync::<Reader>();
    send::<AsyncReader>();
    unpin::<AsyncReader>();
    is_static::<Reader>();
    send::<Session>();
    sync::<Session>();
    send::<Engine>();
    sync::<Engine>();
    send::<Events>();
    send::<ReaderHandle>();
    sync::<ReaderHandle>();
    send::<Source>();
    send::<Error>();
    sync::<Error>();
    unwinds::<Snapshot>();

    let origin = origin(MIB);
    let engine = engine(quick());
    let opening = engine.open(origin.url("/file"));
    future_is_send(&opening);
    let session = block_on(opening).unwrap();
    let mut reader = session.async_reader();
    let mut events = session.events();
    let mut buf = [0; 10];
    future_is_send(&reader.ready_at(0));
    future_is_send(&reader.read(&mut buf));
    future_is_send(&session.fetch_all());
    future_is_send(&events.next());
    future_is_send(&engine.get_object(origin.url("/file"), MIB));
    drop(reader);
    future_is_send(&session.close());
    assert!(futures::future::ready(()).now_or_never().is_some());
}
