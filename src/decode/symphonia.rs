//! Symphonia 0.6: a reader is a `MediaSource`.

use symphonia_core::io::MediaSource;

use crate::Reader;

/// What symphonia asks a source of bytes; see [`decode`](crate::decode) for what it makes of the answers.
///
/// Symphonia asks again whenever it matters, so a length that becomes known in the middle of play counts from then on.
/// To be told the length is to use the resource: a change on the server is an error from then on, as after a read.
///
/// ```no_run
/// use symphonia::core::formats::TrackType;
/// use symphonia::core::formats::probe::Hint;
/// use symphonia::core::io::MediaSourceStream;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = kithara_file::Engine::new()?;
/// let reader = engine.open_blocking("https://media.example/song.flac")?.into_reader();
///
/// let stream = MediaSourceStream::new(Box::new(reader), Default::default());
/// let probe = symphonia::default::get_probe();
/// let mut format = probe.probe(&Hint::new(), stream, Default::default(), Default::default())?;
/// println!("{:?}", format.default_track(TrackType::Audio));
/// while let Some(packet) = format.next_packet()? {
///     println!("{} bytes of track {}", packet.data.len(), packet.track_id);
/// }
/// # Ok(()) }
/// ```
impl MediaSource for Reader {
    /// Whether the length is known. Without one a seek from the end errs, and with that symphonia begins.
    fn is_seekable(&self) -> bool {
        self.len().is_some()
    }

    /// Length of the resource in bytes, if it is known yet.
    fn byte_len(&self) -> Option<u64> {
        self.len()
    }
}
