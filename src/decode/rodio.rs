//! Rodio 0.23: a decoder that knows how long the reader's resource is.

use ::rodio::Decoder;
use ::rodio::decoder::{DecoderBuilder, DecoderError};

use crate::Reader;

/// A builder with length and seekability set, for whoever sets more: a hint, coarse seeks, no trimming.
///
/// Both are what is known now: over a length that is unknown the decoder plays and cannot seek back, also later.
impl From<Reader> for DecoderBuilder<Reader> {
    fn from(reader: Reader) -> Self {
        let len = reader.len();
        let builder = Self::new().with_data(reader);
        // Sets that it may seek, too.
        len.into_iter().fold(builder, Self::with_byte_len)
    }
}

/// A decoder over a reader, as rodio makes one of a file: with length and seekability set.
///
/// Blocks until the first packet is decoded. Which formats it knows is decided by the features of `rodio` that the
/// player turns on.
///
/// Rodio decodes where it is played, which is the thread of the sound card: a byte that is missing there is heard as a
/// pause. And it takes an error of a read for the end of the media; the session's [events](crate::Session::events)
/// tell which it was.
///
/// # Errors
///
/// Rodio's, where it does not know the format or the first bytes cannot be read.
///
/// ```no_run
/// use std::time::Duration;
///
/// use rodio::{Decoder, Source};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = kithara_file::Engine::new()?;
/// let reader = engine.open_blocking("https://media.example/song.flac")?.into_reader();
///
/// let mut sound = Decoder::try_from(reader)?;
/// println!("{:?} at {} Hz", sound.total_duration(), sound.sample_rate());
/// sound.try_seek(Duration::from_secs(60))?;
/// // With rodio's feature `playback`:
/// // let sink = rodio::DeviceSinkBuilder::open_default_sink()?;
/// // let player = rodio::Player::connect_new(sink.mixer());
/// // player.append(sound);
/// // player.sleep_until_end();
/// # Ok(()) }
/// ```
impl TryFrom<Reader> for Decoder<Reader> {
    type Error = DecoderError;

    fn try_from(reader: Reader) -> Result<Self, DecoderError> {
        DecoderBuilder::from(reader).build()
    }
}
