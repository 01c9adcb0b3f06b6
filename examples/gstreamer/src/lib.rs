//! GStreamer plays through a `kithara-file` reader. What there is to copy is `feed.rs`; the rest shows it at work.

mod feed;
mod player;

pub use feed::Feed;
pub use player::{Player, Stopped};
