//! libmpv plays through a `kithara-file` reader: `stream.rs` says what mpv's questions mean to a reader, `ffi.rs` puts that
//! behind its C.

mod ffi;
mod stream;

pub use ffi::{Event, Mpv};
pub use stream::{Cancel, Stream};
