//! Playable media that is computed, not stored: a WAV of any length in which each sample follows from
//! its offset alone, so that any range can be served at once.
//!
//! The music: four bars in A minor over and over, a plucked melody over held chords and a bass, moved by
//! bar and by verse so that a listener hears where in the file he is.
//!
//! Computed in whole numbers from small tables: a debug build must make several times real time, and the
//! phase must be exact hours into the file.
//!
//! Limits: 16-bit stereo at 44.1 kHz; at most 4 GiB, as the format has it.

use std::f64::consts::TAU;
use std::sync::OnceLock;

use super::content::{Content, Fill};

/// Samples per second and channel.
const RATE: u64 = 44_100;

/// Bytes of one sample of both channels.
const FRAME: u64 = 4;

/// Bytes before the first sample.
const HEADER: u64 = 44;

/// Longest that the 32-bit lengths of the format allow, in whole seconds.
const MAX_SECONDS: u64 = (u32::MAX as u64 - HEADER) / (RATE * FRAME);

/// Length of a note in samples: eighths at 105 beats a minute.
const NOTE: u64 = RATE * 2 / 7;

/// Notes of a bar.
const BAR: u64 = 8;

/// Chords and bass rise and fall in so many samples, so that they change without a click.
const SWELL: u64 = NOTE * BAR / 20;

/// Entries of a sine.
const SINE: usize = 4096;

/// From a phase to an entry of the sine.
const SINE_SHIFT: u32 = 32 - SINE.ilog2();

/// A whole turn as a phase, less one.
const TURN: u64 = u32::MAX as u64;

/// Lowest and highest pitch that is played, in semitones above the A of 220 Hz.
const PITCHES: std::ops::Range<i32> = -36..60;

/// Full level of a table.
const FULL: i64 = 32_767;

/// The chords, as semitones above A: A minor, F, C, G.
const CHORDS: [[i32; 3]; 4] = [[0, 3, 7], [-4, 0, 3], [-9, -5, -2], [-2, 2, 5]];

/// The melody of each bar as steps of its chord (3 is an octave above 0).
const MELODY: [[u8; BAR as usize]; 4] = [
    [0, 2, 3, 4, 5, 4, 3, 2],
    [3, 2, 1, 2, 3, 5, 4, 3],
    [5, 4, 3, 2, 1, 2, 3, 4],
    [2, 3, 4, 3, 2, 1, 2, 1],
];

impl Content {
    /// A WAV of so many minutes of music; random access without holding it.
    #[must_use]
    pub fn wav(minutes: f64) -> Self {
        let seconds = (minutes.max(0.0) * 60.0).min(MAX_SECONDS as f64);
        let frames = (seconds * RATE as f64) as u64;
        Self::computed(Wav { frames }).content_type("audio/wav")
    }
}

/// A WAV.
struct Wav {
    /// Samples of each channel.
    frames: u64,
}

impl Fill for Wav {
    fn len(&self) -> u64 {
        HEADER + self.frames * FRAME
    }

    fn fill(&self, offset: u64, buf: &mut [u8]) {
        let header = &self.header()[offset.min(HEADER) as usize..];
        let (head, mut rest) = buf.split_at_mut(header.len().min(buf.len()));
        head.copy_from_slice(&header[..head.len()]);

        let mut at = (offset + head.len() as u64).saturating_sub(HEADER);
        while !rest.is_empty() {
            let mut frames = [0; 1024];
            // To the end of the buffer or of the note, from the beginning of a frame on.
            let (first, skip) = (at / FRAME, (at % FRAME) as usize);
            let of_note = ((first / NOTE + 1) * NOTE - first) * FRAME;
            let wanted = (skip + rest.len()).next_multiple_of(FRAME as usize);
            let frames = &mut frames[..wanted.min(1024).min(of_note as usize)];
            Note::at(first).render(first, frames);
            let len = (frames.len() - skip).min(rest.len());
            rest[..len].copy_from_slice(&frames[skip..skip + len]);
            rest = &mut rest[len..];
            at += len as u64;
        }
    }
}

impl Wav {
    /// RIFF, fmt and the head of data.
    fn header(&self) -> [u8; HEADER as usize] {
        let data = u32::try_from(self.frames * FRAME).expect("wav() keeps below 4 GiB");
        let mut header = [0; HEADER as usize];
        let fields: [&[u8]; 13] = [
            b"RIFF",
            &(data + HEADER as u32 - 8).to_le_bytes(),
            b"WAVE",
            b"fmt ",
            &16_u32.to_le_bytes(),
            &1_u16.to_le_bytes(),
            &2_u16.to_le_bytes(),
            &(RATE as u32).to_le_bytes(),
            &((RATE * FRAME) as u32).to_le_bytes(),
            &(FRAME as u16).to_le_bytes(),
            &16_u16.to_le_bytes(),
            b"data",
            &data.to_le_bytes(),
        ];
        let mut at = 0;
        for field in fields {
            header[at..at + field.len()].copy_from_slice(field);
            at += field.len();
        }
        header
    }
}

/// What samples are put together from; levels up to `FULL`.
struct Tables {
    /// One turn of a sine.
    sine: Vec<i64>,
    /// A struck note over two notes' time.
    pluck: Vec<i64>,
    /// The same for its octave, which fades sooner.
    bright: Vec<i64>,
    /// Turns per sample in 2^-32, by pitch.
    steps: Vec<u64>,
}

impl Tables {
    /// The tables, made at first use.
    fn get() -> &'static Self {
        static TABLES: OnceLock<Tables> = OnceLock::new();
        TABLES.get_or_init(|| {
            let level = |level: f64| (level * FULL as f64) as i64;
            let fading = |rate: f64| {
                let at = |frame: u64| {
                    let age = frame as f64 / RATE as f64;
                    level((age * 200.0).min(1.0) * (-age * rate).exp())
                };
                (0..2 * NOTE).map(at).collect::<Vec<_>>()
            };
            let hertz = |pitch: i32| 220.0 * (f64::from(pitch) / 12.0).exp2();
            Self {
                sine: (0..SINE).map(|i| level((i as f64 / SINE as f64 * TAU).sin())).collect(),
                pluck: fading(5.0),
                bright: fading(14.0).into_iter().map(|level: i64| level * 2 / 5).collect(),
                steps: PITCHES
                    .map(|pitch| (hertz(pitch) / RATE as f64 * TURN as f64) as u64)
                    .collect(),
            }
        })
    }

    /// Turns per sample of that pitch.
    fn step(&self, pitch: i32) -> u64 {
        self.steps[(pitch - PITCHES.start) as usize]
    }
}

/// What sounds during one note.
struct Note {
    /// The tables.
    tables: &'static Tables,
    /// Turns per sample of the voices: three of the chord, the bass, the note and its octave, the note
    /// before and its octave.
    steps: [u64; 8],
    /// Number of the note in the file.
    number: u64,
}

impl Note {
    /// The note that sounds at sample `index`.
    fn at(index: u64) -> Self {
        let tables = Tables::get();
        let number = index / NOTE;
        let bar = number / BAR;
        let chord = CHORDS[(bar % 4) as usize];
        // Each verse of four bars is moved, and comes back after four verses.
        let verse = [0, 2, -3, 5][(bar / 4 % 4) as usize];
        let pitch = |note: u64| {
            let bar = (note / BAR % 4) as usize;
            let step = MELODY[bar][(note % BAR) as usize];
            CHORDS[bar][usize::from(step % 3)] + 12 * i32::from(step / 3) + 12 + verse
        };
        let (now, before) = (pitch(number), pitch(number.saturating_sub(1)));
        let held = [chord[0] + 12, chord[1] + 12, chord[2] + 12, chord[0] - 12];
        let [c0, c1, c2, bass] = held.map(|pitch| tables.step(pitch + verse));
        let [n0, n1, b0, b1] = [now, now + 12, before, before + 12].map(|pitch| tables.step(pitch));
        Self { tables, steps: [c0, c1, c2, bass, n0, n1, b0, b1], number }
    }

    /// Writes the samples from `first` on, all of this note. Plain loops and native operations: this is
    /// what a debug build spends its time on.
    fn render(&self, first: u64, out: &mut [u8]) {
        let (sine, pluck, bright) = (&self.tables.sine, &self.tables.pluck, &self.tables.bright);
        let mut phases =
            self.steps.map(|step| (u128::from(step) * u128::from(first)) as u64 & TURN);
        let mut age = (first - self.number * NOTE) as usize;
        let mut into_bar = first % (NOTE * BAR);
        let mut at = 0;
        while at < out.len() {
            let mut tones = [0; 8];
            let mut voice = 0;
            while voice < 8 {
                tones[voice] = sine[(phases[voice] >> SINE_SHIFT) as usize];
                phases[voice] = (phases[voice] + self.steps[voice]) & TURN;
                voice += 1;
            }
            let left_of_bar = NOTE * BAR - into_bar;
            let nearer = if into_bar < left_of_bar { into_bar } else { left_of_bar };
            let swell = if nearer < SWELL { nearer as i64 } else { SWELL as i64 };
            let chord = tones[0] + tones[1] + tones[2];
            let held = (chord * 6 + tones[3] * 22) * swell / SWELL as i64;
            let old = age + NOTE as usize;
            let now = (tones[4] * pluck[age] + tones[5] * bright[age]) / FULL;
            let before = (tones[6] * pluck[old] + tones[7] * bright[old]) / FULL;

            // The note that sounds and the end of the one before, one a little left, one a little right.
            let (one, other) = if self.number & 1 == 0 { (now, before) } else { (before, now) };
            let left = sample(held + 30 * one + 18 * other);
            let right = sample(held + 18 * one + 30 * other);
            (out[at], out[at + 1]) = (left as u8, (left >> 8) as u8);
            (out[at + 2], out[at + 3]) = (right as u8, (right >> 8) as u8);
            at += FRAME as usize;
            age += 1;
            into_bar += 1;
        }
    }
}

/// Hundredths of `FULL` within sixteen bits.
fn sample(level: i64) -> i64 {
    (level / 100).clamp(-FULL, FULL)
}

#[cfg(test)]
mod tests {
    use super::{Content, FRAME, HEADER, RATE};

    /// `len` bytes of `content` from `offset` on.
    fn cut(content: &Content, offset: u64, len: usize) -> Vec<u8> {
        let mut buf = vec![0; len];
        content.fill().fill(offset, &mut buf);
        buf
    }

    #[test]
    fn any_range_is_that_of_the_whole() {
        let content = Content::wav(0.05);
        let len = usize::try_from(content.len()).expect("three seconds");
        let whole = cut(&content, 0, len);
        assert_eq!(len as u64, HEADER + 3 * RATE * FRAME);
        for start in (0..len - 100).step_by(9973).chain(0..60) {
            let run = (start * 7) % 100;
            assert_eq!(cut(&content, start as u64, run), whole[start..start + run]);
        }
    }

    #[test]
    fn it_sounds_does_not_clip_and_does_not_repeat_soon() {
        let content = Content::wav(1.0);
        let level = |second: u64| {
            let bytes = cut(&content, HEADER + second * RATE * FRAME, 40_000);
            let samples = bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
            samples.map(|sample| i32::from(sample).abs()).max().unwrap_or(0)
        };
        for second in 0..60 {
            let peak = level(second);
            assert!(peak > 6_000 && peak < 32_000, "second {second}: {peak}");
        }
        assert_ne!(cut(&content, 44 + RATE * FRAME, 4000), cut(&content, 44, 4000));
    }

    #[test]
    fn an_over_long_one_stays_within_the_format() {
        assert!(Content::wav(1e9).len() <= u64::from(u32::MAX));
        assert_eq!(Content::wav(-1.0).len(), HEADER);
    }
}
