//! Records what symphonia reads: opening a file, decoding the first packets, and seeking about in it.
//!
//! Recorded is what the decoder asks its source for, so lengths are those of its own buffer's blocks.
//! Seeks are coarse, as over a network they must be: an accurate one reads an MP3 from where it is.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, anyhow};
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader, SeekMode, SeekTo, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::units::Time;

use crate::args;

/// Packets after open and after each seek: what a player needs to have sound.
const PACKETS: usize = 12;

/// Steps of a trace, as lines.
type Lines = Arc<Mutex<Vec<String>>>;

/// A file whose reads are written down.
struct Watched {
    file: File,
    len: u64,
    position: u64,
    lines: Lines,
}

impl Read for Watched {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buf)?;
        if n > 0 {
            let line = format!("r {} {n}", self.position);
            self.lines.lock().map_err(|_| io::ErrorKind::Other)?.push(line);
        }
        self.position += n as u64;
        Ok(n)
    }
}

impl Seek for Watched {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = self.file.seek(to)?;
        Ok(self.position)
    }
}

impl MediaSource for Watched {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.len)
    }
}

/// Records and prints a trace.
pub(crate) fn run(args: &args::Record) -> Result<()> {
    let file =
        File::open(&args.file).with_context(|| format!("opening {}", args.file.display()))?;
    let len = file.metadata()?.len();
    let lines = Lines::default();
    let note = |line: String| -> Result<()> {
        lines.lock().map_err(|_| anyhow!("a lock that nobody broke"))?.push(line);
        Ok(())
    };
    note(format!(
        "# symphonia 0.6, {PACKETS} packets after the open and after each seek (coarse: an accurate one reads all before)"
    ))?;
    note(format!("# {}", args.about))?;
    note(format!("len {len}"))?;
    note("open".into())?;
    let source = Watched { file, len, position: 0, lines: lines.clone() };
    let stream = MediaSourceStream::new(Box::new(source), Default::default());
    let probe = symphonia::default::get_probe();
    let mut format =
        probe.probe(&Default::default(), stream, FormatOptions::default(), Default::default())?;
    packets(&mut *format)?;
    for seconds in &args.seeks {
        note(format!("seek {seconds}"))?;
        let time = Time::try_from_secs_f64(*seconds).context("a place in time")?;
        let track_id = format.default_track(TrackType::Audio).map(|track| track.id);
        format.seek(SeekMode::Coarse, SeekTo::Time { time, track_id })?;
        packets(&mut *format)?;
    }
    for line in lines.lock().map_err(|_| anyhow!("a lock that nobody broke"))?.iter() {
        println!("{line}");
    }
    Ok(())
}

/// Takes some packets; an end is no fault.
fn packets(format: &mut dyn FormatReader) -> Result<()> {
    for _ in 0..PACKETS {
        match format.next_packet() {
            Ok(_) => {}
            Err(Error::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
