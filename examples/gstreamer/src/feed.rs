//! [`Feed`]: an `appsrc` whose bytes come from a [`Reader`].
//!
//! In random-access mode the demuxer pulls: `appsrc` tells where (`seek-data`, when that is not where the last bytes
//! ended) and how much (`need-data`), and wants exactly that much, less only at the end. The reading is done on a
//! thread of its own, so no callback blocks, and a flush, a seek or the end of the pipeline waits for no byte.
//!
//! `appsrc` has no signal for a flush. What is read for a pull that was flushed away must not be pushed any more,
//! since the next pull would take it for its own: a probe on the pad sees the flush come.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSrc, AppSrcCallbacks, AppStreamType};
use kithara_file::{Error, Reader, ReaderHandle};

/// Keeps an `appsrc` fed. Dropping it ends a read that is blocked, and then the thread; the pipeline should be stopped
/// by then.
pub struct Feed {
    orders: Arc<Orders>,
    thread: Option<JoinHandle<()>>,
}

/// What the pipeline wants of the thread that reads.
struct Orders {
    wanted: Mutex<Wanted>,
    changed: Condvar,
    reader: ReaderHandle,
}

#[derive(Default)]
struct Wanted {
    /// The next byte to push, counted from the start of the resource.
    offset: u64,
    /// How many bytes are asked for and not being read yet.
    length: Option<usize>,
    /// Moves with each order: what was read for an older one is dropped.
    round: u64,
    stop: bool,
}

impl Feed {
    /// Feeds `source` from `reader`. To be called before the pipeline leaves `NULL`, as in playbin's `source-setup`.
    pub fn attach(source: &AppSrc, reader: Reader) -> Self {
        let len = reader.len();
        source.set_format(gst::Format::Bytes);
        // Without a length there is nothing to jump to: it is played as it comes.
        source.set_stream_type(match len {
            Some(_) => AppStreamType::RandomAccess,
            None => AppStreamType::Stream,
        });
        source.set_size(len.and_then(|len| i64::try_from(len).ok()).unwrap_or(-1));
        source.set_property("blocksize", 64 * 1024_u32);

        let orders = Arc::new(Orders {
            wanted: Mutex::default(),
            changed: Condvar::new(),
            reader: reader.handle(),
        });
        let (need, seek, flush) = (orders.clone(), orders.clone(), orders.clone());
        source.set_callbacks(
            AppSrcCallbacks::builder()
                .need_data(move |_, length| {
                    need.change(|wanted| wanted.length = Some(length as usize));
                })
                .seek_data(move |_, offset| {
                    seek.change(|wanted| {
                        wanted.offset = offset;
                        wanted.length = None;
                    });
                    true
                })
                .build(),
        );
        let pad = source.static_pad("src").expect("every source has one");
        let queue = source.clone();
        let flushes = gst::PadProbeType::EVENT_UPSTREAM | gst::PadProbeType::EVENT_FLUSH;
        pad.add_probe(flushes, move |_, info| {
            if info.event().is_some_and(|event| event.type_() == gst::EventType::FlushStart) {
                flush.change(|wanted| wanted.length = None);
                // What was pushed just before still goes to who asked for it.
                while queue.current_level_bytes() > 0 {
                    thread::yield_now();
                }
            }
            gst::PadProbeReturn::Ok
        });

        let (own, source) = (orders.clone(), source.downgrade());
        let thread = thread::spawn(move || own.serve(reader, &source));
        Self { orders, thread: Some(thread) }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.orders.change(|wanted| wanted.stop = true);
        if let Some(thread) = self.thread.take() {
            // A panic there was told when it happened.
            let _ = thread.join();
        }
    }
}

impl Orders {
    /// No lock is held while a panic could happen, so a poisoned one is as good.
    fn lock(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new order. It ends the read that is blocked for an older one.
    fn change(&self, change: impl FnOnce(&mut Wanted)) {
        let mut wanted = self.lock();
        change(&mut wanted);
        wanted.round += 1;
        self.changed.notify_one();
        self.reader.interrupt();
    }

    /// The thread: reads what is wanted and pushes it, until it shall stop.
    fn serve(&self, mut reader: Reader, source: &gst::glib::WeakRef<AppSrc>) {
        loop {
            let wanted = self.lock();
            let idle = |wanted: &mut Wanted| wanted.length.is_none() && !wanted.stop;
            let waited = self.changed.wait_while(wanted, idle);
            let mut wanted = waited.unwrap_or_else(PoisonError::into_inner);
            if wanted.stop {
                return;
            }
            let (round, offset) = (wanted.round, wanted.offset);
            let length = wanted.length.take().unwrap_or(0);
            drop(wanted);

            let read = self.read(&mut reader, round, offset, length);
            let Some(source) = source.upgrade() else { return };
            // Under the lock: no newer order comes between the look at the round and the push.
            let mut wanted = self.lock();
            if wanted.round != round {
                continue;
            }
            match read {
                // A read of nothing is the proven end; what breaks off is an error and never ends a stream.
                Ok(bytes) if bytes.is_empty() => {
                    let _ = source.end_of_stream();
                }
                Ok(bytes) => {
                    wanted.offset += bytes.len() as u64;
                    // Refused where the pipeline is being stopped; then nobody waits for it.
                    let _ = source.push_buffer(gst::Buffer::from_mut_slice(bytes));
                }
                Err(error) => gst::element_error!(source, gst::ResourceError::Read, ("{error}")),
            }
        }
    }

    /// The `length` bytes at `offset`; fewer only at the end. What is returned after a newer order is not used.
    fn read(
        &self,
        reader: &mut Reader,
        round: u64,
        offset: u64,
        length: usize,
    ) -> io::Result<Vec<u8>> {
        reader.seek(SeekFrom::Start(offset))?;
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            match reader.read(&mut bytes[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                // An interrupt meant for an older read may hit this one: then it goes on.
                Err(error) if is_interrupt(&error) && self.lock().round == round => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }
}

fn is_interrupt(error: &io::Error) -> bool {
    matches!(Error::from_io(error), Some(Error::Interrupted))
}
