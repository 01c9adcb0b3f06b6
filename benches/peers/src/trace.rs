//! What a decoder read, and the same reads through a peer.
//!
//! A trace is text, one step a line: `len N`, then `open`, then `r OFFSET LENGTH` for each read; `seek SECONDS`
//! begins the reads of a user's seek. Lines with `#` tell where it comes from. `../traces/README.md` has more.
//!
//! A read *depends* on the one before if the decoder could not know its place earlier: where it does not go on
//! from there, and asks for bytes that no earlier read brought. Each such read needs a round trip of its own from a client that
//! does not guess.

use std::io::SeekFrom;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::peer::Player;
use crate::stage::{self, Stage, ms};
use crate::workload::TRACE;

/// A user thinks that long between two seeks.
const PAUSE: Duration = Duration::from_millis(1000);

/// How the names of trace files end.
const ENDING: &str = "trace";

/// Reads that follow from one thing the user did.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Phase {
    /// `open` or the place in seconds.
    pub(crate) name: String,
    /// Offset and length.
    pub(crate) reads: Vec<(u64, usize)>,
    /// Reads whose place the decoder could not know before, and which bring new bytes.
    pub(crate) dependent: u64,
}

/// A recorded decoder.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Trace {
    /// Length of the file, in bytes.
    pub(crate) len: u64,
    pub(crate) phases: Vec<Phase>,
}

impl Trace {
    /// Reads a trace.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut trace = Self { len: 0, phases: vec![] };
        for (number, line) in text.lines().enumerate() {
            let wrong = || format!("line {}: {line}", number + 1);
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                [] => {}
                [word, ..] if word.starts_with('#') => {}
                ["len", len] => trace.len = len.parse().with_context(wrong)?,
                ["open"] | ["seek", _] => {
                    let name = words.get(1).copied().unwrap_or("open").into();
                    trace.phases.push(Phase { name, reads: vec![], dependent: 0 });
                }
                ["r", offset, len] => {
                    let read =
                        (offset.parse().with_context(wrong)?, len.parse().with_context(wrong)?);
                    trace.phases.last_mut().with_context(wrong)?.reads.push(read);
                }
                _ => bail!(wrong()),
            }
        }
        trace.depend();
        Ok(trace)
    }

    /// From a file.
    pub(crate) fn load(dir: &Path, name: &str) -> Result<Self> {
        let path = dir.join(name).with_extension(ENDING);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("reading {}", path.display()))?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    /// Counts the dependent reads of each phase.
    fn depend(&mut self) {
        let mut known: Vec<(u64, u64)> = vec![];
        for phase in &mut self.phases {
            let mut end = None;
            // A run counts once, however many of its reads bring something.
            let mut counted = false;
            for (offset, len) in &phase.reads {
                let read = (*offset, offset + *len as u64);
                if end != Some(read.0) {
                    counted = false;
                }
                end = Some(read.1);
                if !counted && !holds(&known, read) {
                    counted = true;
                    phase.dependent += 1;
                }
                add(&mut known, read);
            }
        }
    }
}

/// Whether `known`, sorted and apart, holds all of `range`.
fn holds(known: &[(u64, u64)], range: (u64, u64)) -> bool {
    range.0 >= range.1 || known.iter().any(|(start, end)| *start <= range.0 && range.1 <= *end)
}

/// Adds `range` to `known`, which stays sorted and apart.
fn add(known: &mut Vec<(u64, u64)>, mut range: (u64, u64)) {
    known.retain(|(start, end)| {
        let apart = *end < range.0 || range.1 < *start;
        if !apart {
            range = (range.0.min(*start), range.1.max(*end));
        }
        apart
    });
    known.push(range);
    known.sort_unstable();
}

/// Names of the traces in `dir`.
pub(crate) fn names(dir: &Path) -> Result<Vec<String>> {
    let mut names = vec![];
    for entry in std::fs::read_dir(dir).with_context(|| format!("traces in {}", dir.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == ENDING) {
            names.extend(path.file_stem().and_then(|stem| stem.to_str()).map(Into::into));
        }
    }
    names.sort();
    Ok(names)
}

/// Replays the trace that the workload's name tells.
pub(crate) fn every(stage: &mut Stage) -> Result<()> {
    let name = stage.sheet.workload.strip_prefix(TRACE).context("which trace?")?.to_owned();
    let trace = Trace::load(&stage.traces, &name)?;
    let control = stage
        .control
        .clone()
        .context("traces need the scripted origin: their lengths are their own")?;
    let path = format!("/trace/{name}");
    control.put(&path, trace.len)?;
    let base = stage.url.trim_end_matches("/big.bin").to_owned();
    let url = format!("{base}{path}");
    stage.sheet.seeks = trace.phases.len() as u64;

    let rtt_ms = stage.profile.rtt_ms;
    let begun = Instant::now();
    let mut player = stage.peer.open(&url).context("open")?;
    let opened = ms(begun.elapsed());
    let mut opening = Some((begun, (opened / rtt_ms).round()));
    for phase in &trace.phases {
        let (begun, trips) = opening.take().unwrap_or_else(|| (Instant::now(), 0.0));
        let trips = trips + replay(&mut *player, &phase.reads, rtt_ms)?;
        let took = ms(begun.elapsed());
        let kind = if phase.name == "open" { "open" } else { "seek" };
        let bytes: usize = phase.reads.iter().map(|(_, len)| len).sum();
        stage.sheet.push(kind, took);
        stage.sheet.push_fact(&format!("{kind}, dependent reads"), phase.dependent as f64);
        stage.sheet.push_fact(&format!("{kind}, bytes read"), bytes as f64);
        stage.sheet.push_fact(&format!("{kind}, round trips for places"), trips);
        sleep(PAUSE);
    }
    Ok(())
}

/// The reads of one phase; returns how many round trips the first bytes of its runs took. A client that has nothing else
/// to go by is told how long each run is.
fn replay(player: &mut dyn Player, reads: &[(u64, usize)], rtt_ms: f64) -> Result<f64> {
    let (mut rest, mut trips) = (reads, 0.0);
    while let Some((start, _)) = rest.first() {
        let mut end = *start;
        let goes_on = |(offset, len): &&(u64, usize)| {
            let follows = *offset == end;
            end = offset + *len as u64;
            follows
        };
        let run = rest.iter().take_while(goes_on).count();
        let (run, after) = rest.split_at(run);
        player.plan(run.iter().map(|(_, len)| len).sum());
        player.seek(SeekFrom::Start(*start))?;
        for (i, (offset, len)) in run.iter().enumerate() {
            let took = stage::fill(player, *offset, *len)?;
            // Later ones wait for the bandwidth at most.
            if i == 0 {
                trips += (ms(took.first) / rtt_ms).round();
            }
        }
        rest = after;
    }
    Ok(trips)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_that_go_on_or_ask_again_depend_on_nothing() {
        let text = "# made up\nlen 1000\nopen\nr 0 10\nr 10 10\nr 900 100\nr 20 10\nseek 3.5\nr 950 50\nr 0 20\nr 20 20\nr 500 1\n";
        let trace = Trace::parse(text).expect("well formed");
        assert_eq!(trace.len, 1000);
        let dependent: Vec<u64> = trace.phases.iter().map(|phase| phase.dependent).collect();
        // 0, 900, 20; then 30..40 of the run at 0, and 500.
        assert_eq!(dependent, [3, 2]);
        assert_eq!(trace.phases[1].name, "3.5");
    }

    #[test]
    fn what_is_no_trace_is_refused() {
        assert!(Trace::parse("r 0 10\n").is_err());
        assert!(Trace::parse("open\nr 0\n").is_err());
    }
}
