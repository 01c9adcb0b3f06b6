//! With a decoder: [`Reader`](crate::Reader) as what a decoder's library wants to read from.
//!
//! A reader is `Read + Seek + Send + Sync`, which is all that most decoders ask for. What is here fills the gap
//! for those that ask for more: how long the resource is, and whether one may seek in it.
//!
//! | length | demuxers are told | so |
//! |---|---|---|
//! | known | seekable, of this length | they look at the tail where they like, and seek in both directions |
//! | unknown | not seekable, no length | they play from here on; a seek goes forward or errs |
//!
//! The second row holds until the end is proven, since demuxers that may seek begin with the end. A known length with a
//! server that does no ranges is seekable too: a jump forward waits for all bytes before it. Where the first sound should not
//! wait for a demuxer's look at the tail, hand the reader over as one that cannot seek (with symphonia:
//! `ReadOnlySource::new(reader)`); [`Snapshot::ranges_supported`](crate::Snapshot::ranges_supported) tells.
//!
//! Decoders look here and there before they play. For the engine such a look is a read as any other: it costs a
//! round trip where the bytes are missing, and is kept.

#[cfg(feature = "rodio")]
mod rodio;
#[cfg(feature = "symphonia")]
mod symphonia;
