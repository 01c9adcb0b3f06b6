//! Readers: cursors over a session's bytes, blocking and asynchronous.
//!
//! Both are skins over [`Cursor`], which decides what a read does; there is one way to wait, and
//! it is in `storage`. A read of bytes that are there takes no lock and tells nobody, but for its
//! own counters; passing the refill mark sends the scheduler one message.

mod aio;
mod blocking;
mod cursor;
#[cfg(all(test, unix, feature = "origin"))]
mod disk_tests;
mod handle;
#[cfg(all(test, feature = "origin"))]
mod hit_tests;

pub use aio::AsyncReader;
pub use blocking::Reader;
pub(crate) use cursor::Cursor;
pub use handle::ReaderHandle;
