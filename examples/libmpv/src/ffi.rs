//! libmpv's C: what of `mpv/client.h` and `mpv/stream_cb.h` (client API 1.106 and later) is used here, behind safe functions.
//!
//! With a crate of bindings of your own choice, [`open`] to [`cancel`] are what to copy.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kithara_file::Engine;

use crate::stream::{Cancel, Stream};

/// The prefix under which mpv asks us.
const SCHEME: &CStr = c"kithara";
const LOADING_FAILED: c_int = -13;
const UNSUPPORTED: i64 = -18;
const FORMAT_DOUBLE: c_int = 5;
const END_FILE: c_int = 7;
const PLAYBACK_RESTART: c_int = 21;
const REASON_ERROR: c_int = 4;

/// `mpv_event`.
#[repr(C)]
struct RawEvent {
    id: c_int,
    error: c_int,
    reply: u64,
    data: *const c_void,
}

/// The beginning of `mpv_event_end_file`.
#[repr(C)]
struct RawEnd {
    reason: c_int,
    error: c_int,
}

/// `mpv_stream_cb_info`.
#[repr(C)]
struct StreamInfo {
    cookie: *mut c_void,
    read: unsafe extern "C" fn(*mut c_void, *mut c_char, u64) -> i64,
    seek: unsafe extern "C" fn(*mut c_void, i64) -> i64,
    size: unsafe extern "C" fn(*mut c_void) -> i64,
    close: unsafe extern "C" fn(*mut c_void),
    cancel: unsafe extern "C" fn(*mut c_void),
}

type OpenFn = unsafe extern "C" fn(*mut c_void, *mut c_char, *mut StreamInfo) -> c_int;

#[link(name = "mpv")]
unsafe extern "C" {
    fn mpv_create() -> *mut c_void;
    fn mpv_initialize(mpv: *mut c_void) -> c_int;
    fn mpv_terminate_destroy(mpv: *mut c_void);
    fn mpv_set_option_string(mpv: *mut c_void, name: *const c_char, value: *const c_char) -> c_int;
    fn mpv_command(mpv: *mut c_void, words: *mut *const c_char) -> c_int;
    fn mpv_get_property(
        mpv: *mut c_void,
        name: *const c_char,
        format: c_int,
        to: *mut c_void,
    ) -> c_int;
    fn mpv_wait_event(mpv: *mut c_void, seconds: f64) -> *const RawEvent;
    fn mpv_error_string(error: c_int) -> *const c_char;
    fn mpv_stream_cb_add_ro(
        mpv: *mut c_void,
        scheme: *const c_char,
        user: *mut c_void,
        open: OpenFn,
    ) -> c_int;
}

// ---- the stream's callbacks ------------------------------------------------------------------------------------------

/// What mpv hands back with `open`.
struct User {
    engine: Engine,
    /// Of all streams that were ever open. mpv 0.35 may call `cancel` from its core while another thread calls `close`, and after
    /// it; so what is closed is emptied, and all of it goes when the core is gone.
    cookies: Mutex<Vec<Arc<Cookie>>>,
}

/// What mpv hands back with each callback of a stream. Only ever shared: `cancel` comes while `read` runs. Empty once closed.
struct Cookie {
    stream: Mutex<Option<Stream>>,
    cancel: Mutex<Option<Cancel>>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

unsafe extern "C" fn open(user: *mut c_void, uri: *mut c_char, info: *mut StreamInfo) -> c_int {
    // SAFETY: `user` is that of an `Mpv`, which outlives its core; `uri` is a string, and `info` is ours to fill.
    let (user, uri, info) = unsafe { (&*user.cast::<User>(), CStr::from_ptr(uri), &mut *info) };
    let Some((_, url)) = uri.to_str().ok().and_then(|uri| uri.split_once("://")) else {
        return LOADING_FAILED;
    };
    match Stream::open(&user.engine, url) {
        Ok(stream) => {
            let cancel = Mutex::new(Some(stream.cancel()));
            let cookie = Arc::new(Cookie { stream: Mutex::new(Some(stream)), cancel });
            let at = Arc::as_ptr(&cookie);
            lock(&user.cookies).push(cookie);
            *info = StreamInfo {
                cookie: at.cast_mut().cast(),
                read,
                seek,
                size,
                close,
                cancel: self::cancel,
            };
            0
        }
        Err(error) => {
            eprintln!("{error}");
            LOADING_FAILED
        }
    }
}

/// The cookie of a callback.
///
/// # Safety
///
/// `cookie` comes from `open`, and its core is not gone.
unsafe fn cookie<'a>(cookie: *mut c_void) -> &'a Cookie {
    // SAFETY: as the caller promises.
    unsafe { &*cookie.cast::<Cookie>() }
}

unsafe extern "C" fn read(at: *mut c_void, buf: *mut c_char, len: u64) -> i64 {
    let len = usize::try_from(len).unwrap_or(usize::MAX).min(isize::MAX as usize);
    // SAFETY: mpv calls with an open stream's cookie and `len` bytes of its own. They are written first, since they may be
    // uninitialized.
    let (cookie, buf) = unsafe {
        buf.write_bytes(0, len);
        (cookie(at), std::slice::from_raw_parts_mut(buf.cast::<u8>(), len))
    };
    let read = lock(&cookie.stream).as_mut().and_then(|stream| stream.read(buf));
    read.map_or(-1, |n| n as i64)
}

unsafe extern "C" fn seek(at: *mut c_void, offset: i64) -> i64 {
    // SAFETY: mpv calls with an open stream's cookie.
    let cookie = unsafe { cookie(at) };
    let Ok(offset) = u64::try_from(offset) else { return UNSUPPORTED };
    let now = lock(&cookie.stream).as_mut().and_then(|stream| stream.seek(offset));
    now.and_then(|now| i64::try_from(now).ok()).unwrap_or(UNSUPPORTED)
}

unsafe extern "C" fn size(at: *mut c_void) -> i64 {
    // SAFETY: mpv calls with an open stream's cookie.
    let cookie = unsafe { cookie(at) };
    let size = lock(&cookie.stream).as_ref().and_then(Stream::size);
    size.and_then(|size| i64::try_from(size).ok()).unwrap_or(UNSUPPORTED)
}

unsafe extern "C" fn close(at: *mut c_void) {
    // SAFETY: mpv calls with a stream's cookie.
    let cookie = unsafe { cookie(at) };
    lock(&cookie.cancel).take();
    lock(&cookie.stream).take();
}

unsafe extern "C" fn cancel(at: *mut c_void) {
    // SAFETY: mpv calls with a stream's cookie, be it closed. The stream itself is not touched: a read may hold it.
    let cookie = unsafe { cookie(at) };
    if let Some(cancel) = &*lock(&cookie.cancel) {
        cancel.now();
    }
}

// ---- a player --------------------------------------------------------------------------------------------------------

/// What happened, of what is of interest here.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// It plays: for the first time, or on after a seek.
    Playing,
    /// The medium ended, or was stopped.
    Ended,
}

/// libmpv with an engine behind `kithara://`.
pub struct Mpv {
    core: NonNull<c_void>,
    /// A `Box`'s, freed once the core is gone.
    user: *mut User,
}

impl Mpv {
    /// A player with these options, each as on mpv's command line without the dashes.
    pub fn new(engine: Engine, options: &[(&str, &str)]) -> Result<Self, String> {
        // SAFETY: no arguments.
        let core = NonNull::new(unsafe { mpv_create() }).ok_or("libmpv cannot start")?;
        let user = Box::new(User { engine, cookies: Mutex::default() });
        let mpv = Self { core, user: Box::into_raw(user) };
        for (name, value) in options {
            let (c_name, value) = (c_string(name)?, c_string(value)?);
            // SAFETY: a live core and two strings.
            let error = unsafe {
                mpv_set_option_string(mpv.core.as_ptr(), c_name.as_ptr(), value.as_ptr())
            };
            told(error).map_err(|error| format!("{name}: {error}"))?;
        }
        // SAFETY: a live core; what it is given lives until the core is gone.
        unsafe {
            told(mpv_initialize(mpv.core.as_ptr()))?;
            told(mpv_stream_cb_add_ro(mpv.core.as_ptr(), SCHEME.as_ptr(), mpv.user.cast(), open))?;
        }
        Ok(mpv)
    }

    /// A command of mpv's, as in its `input.conf`, word by word.
    pub fn command(&self, words: &[&str]) -> Result<(), String> {
        let words = words.iter().map(|word| c_string(word)).collect::<Result<Vec<_>, _>>()?;
        let mut pointers: Vec<_> = words.iter().map(|word| word.as_ptr()).collect();
        pointers.push(std::ptr::null());
        // SAFETY: a live core; strings that outlive the call, and a null after them.
        told(unsafe { mpv_command(self.core.as_ptr(), pointers.as_mut_ptr()) })
    }

    /// A property that is a number, such as `time-pos`.
    pub fn number(&self, name: &str) -> Result<f64, String> {
        let (name, mut value) = (c_string(name)?, 0.0_f64);
        let to = std::ptr::from_mut(&mut value).cast();
        // SAFETY: a live core, a string, and room for what the format says.
        told(unsafe { mpv_get_property(self.core.as_ptr(), name.as_ptr(), FORMAT_DOUBLE, to) })?;
        Ok(value)
    }

    /// Waits until something happens; an error that ends the medium is one here.
    pub fn wait(&self) -> Result<Event, String> {
        loop {
            // SAFETY: a live core, called from one thread alone since `Mpv` is not `Sync`; the event lives until the next call.
            let event = unsafe { &*mpv_wait_event(self.core.as_ptr(), -1.0) };
            match event.id {
                PLAYBACK_RESTART => return Ok(Event::Playing),
                END_FILE => {
                    // SAFETY: this event has such data.
                    let end = unsafe { &*event.data.cast::<RawEnd>() };
                    return if end.reason == REASON_ERROR {
                        Err(text(end.error))
                    } else {
                        Ok(Event::Ended)
                    };
                }
                _ => {}
            }
        }
    }
}

impl Drop for Mpv {
    fn drop(&mut self) {
        // SAFETY: a live core, and then what only it has used. It cancels what is blocked, and closes all streams.
        unsafe {
            mpv_terminate_destroy(self.core.as_ptr());
            drop(Box::from_raw(self.user));
        }
    }
}

fn c_string(text: &str) -> Result<CString, String> {
    CString::new(text).map_err(|_| format!("{text:?} has a null in it"))
}

fn told(error: c_int) -> Result<(), String> {
    if error < 0 { Err(text(error)) } else { Ok(()) }
}

fn text(error: c_int) -> String {
    // SAFETY: a string for any number, never freed.
    unsafe { CStr::from_ptr(mpv_error_string(error)) }.to_string_lossy().into_owned()
}
