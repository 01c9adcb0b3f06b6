//! Decodes media to samples, from any source of bytes: what a player does, for tests that compare.
//!
//! Deterministic: the same bytes and the same calls give the same samples, bit for bit, so a decode of
//! a local file says what a decode through a reader must give. An I/O error is never swallowed; a
//! packet that does not decode (after a seek an MP3 frame may lack its past) is counted and skipped.

#![allow(dead_code, reason = "each test that includes this file uses its own part of it")]

use std::io::{self, Read, Seek, SeekFrom};
use std::time::Duration;

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::{Error, Result};
use symphonia::core::formats::{FormatOptions, FormatReader, SeekMode, SeekTo, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::units::Time;

/// Any `Read + Seek` as the demuxer wants it.
struct Source<R> {
    bytes: R,
    len: Option<u64>,
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(buf)
    }
}

impl<R: Seek> Seek for Source<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

impl<R: Read + Seek + Send + Sync> MediaSource for Source<R> {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        self.len
    }
}

/// What one packet decodes to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Block {
    /// When it is to be heard, in ticks of the track: frames, for every file in `tests/media`.
    pub(crate) start: i64,
    /// Interleaved, in -1..=1.
    pub(crate) samples: Vec<f32>,
}

/// The first audio track of one source, being decoded.
pub(crate) struct Decode {
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    rate: u32,
    channels: usize,
    skipped: usize,
}

impl Decode {
    /// Finds out the format of `bytes`, by content alone, and stands at the start.
    ///
    /// `len` in bytes is what the demuxer is told; without it no demuxer looks at the tail.
    pub(crate) fn open<R>(bytes: R, len: Option<u64>) -> Result<Self>
    where
        R: Read + Seek + Send + Sync + 'static,
    {
        Self::over(Source { bytes, len })
    }

    /// The same over what tells its length itself.
    pub(crate) fn over(source: impl MediaSource + 'static) -> Result<Self> {
        let stream = MediaSourceStream::new(Box::new(source), Default::default());
        let options = FormatOptions::default();
        let format = symphonia::default::get_probe().probe(
            &Default::default(),
            stream,
            options,
            Default::default(),
        )?;
        let track =
            format.default_track(TrackType::Audio).ok_or(Error::Unsupported("no audio track"))?;
        let params = track.codec_params.as_ref().and_then(|params| params.audio());
        let params = params.ok_or(Error::Unsupported("no known codec"))?;
        let options = AudioDecoderOptions::default();
        let decoder = symphonia::default::get_codecs().make_audio_decoder(params, &options)?;
        let rate = params.sample_rate.ok_or(Error::Unsupported("no sample rate"))?;
        let channels = params.channels.as_ref().map_or(0, |channels| channels.count());
        let track = track.id;
        Ok(Self { format, decoder, track, rate, channels, skipped: 0 })
    }

    /// Frames per second.
    pub(crate) fn rate(&self) -> u32 {
        self.rate
    }

    /// Samples per frame; 0 where the container does not tell and the codec finds out later.
    pub(crate) fn channels(&self) -> usize {
        self.channels
    }

    /// Packets that did not decode.
    pub(crate) fn skipped(&self) -> usize {
        self.skipped
    }

    /// Decodes the next packet; `None` at the end of the media.
    pub(crate) fn next_block(&mut self) -> Result<Option<Block>> {
        while let Some(packet) = self.format.next_packet()? {
            if packet.track_id != self.track {
                continue;
            }
            match self.decoder.decode(&packet) {
                Ok(audio) => {
                    self.channels = audio.spec().channels().count();
                    let mut samples = Vec::new();
                    audio.copy_to_vec_interleaved(&mut samples);
                    return Ok(Some(Block { start: packet.pts.get(), samples }));
                }
                Err(Error::DecodeError(_)) => self.skipped += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Decodes from here to the end.
    pub(crate) fn rest(&mut self) -> Result<Vec<f32>> {
        self.blocks(usize::MAX).map(|blocks| blocks.into_iter().flat_map(|b| b.samples).collect())
    }

    /// Decodes up to `most` packets from here; fewer at the end.
    pub(crate) fn blocks(&mut self, most: usize) -> Result<Vec<Block>> {
        let mut blocks = Vec::new();
        while blocks.len() < most
            && let Some(block) = self.next_block()?
        {
            blocks.push(block);
        }
        Ok(blocks)
    }

    /// Moves to the packet that holds `time`, or one shortly before it; decoding goes on from there.
    ///
    /// Not in an MP4 that was decoded to its end: symphonia 0.6.1 then fails to read the next packet,
    /// whatever the source. Open it anew instead.
    pub(crate) fn seek(&mut self, time: Duration) -> Result<()> {
        let nanos = u64::try_from(time.as_nanos()).map_err(|_| Error::Unsupported("far future"))?;
        let to = SeekTo::Time { time: Time::from_nanos_u64(nanos), track_id: Some(self.track) };
        self.format.seek(SeekMode::Accurate, to)?;
        self.decoder.reset();
        Ok(())
    }
}
