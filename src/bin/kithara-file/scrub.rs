//! `scrub`: seeks about in a resource and measures what a player would feel.

use std::ops::Range;
use std::time::{Duration, Instant};

use indicatif::HumanBytes;
use kithara_file::{AsyncReader, CancellationToken, Engine, Session, Snapshot};
use serde::Serialize;
use tokio::io::AsyncSeekExt as _;

use crate::args::Scrub;
use crate::coverage;
use crate::failure::Failure;
use crate::figures::{Random, Spread, ms};
use crate::live::Live;
use crate::say;
use crate::table::table;

/// Largest buffer for what is read after a seek, in bytes; more is read in portions.
const BUFFER: u64 = 1 << 20;

/// Runs the command.
pub(crate) async fn run(args: Scrub, stop: CancellationToken) -> Result<(), Failure> {
    let source = args.from.source()?;
    let mut builder = Engine::builder().config(args.from.config());
    if let Some(dir) = &args.store {
        builder = builder.store_dir(dir);
    }
    let engine = builder.build()?;
    let started = Instant::now();
    let work = async {
        let session = engine.open(source).await?;
        let result = measure(&session, &args, started).await;
        session.close().await;
        result
    };
    let Some(result) = stop.run_until_cancelled(work).await else {
        return Err(Failure::interrupted("interrupted"));
    };
    let report = result?;
    say(&if args.json { report.to_json()? } else { report.to_text() })
}

async fn measure(session: &Session, args: &Scrub, started: Instant) -> Result<Report, Failure> {
    let Some(len) = session.len() else {
        return Err(Failure::new("the length is unknown, so there is nowhere to seek to")
            .advise("the server must tell a length"));
    };
    if len == 0 {
        return Err(Failure::new("the resource is empty: there is nowhere to seek to"));
    }
    let mut reader = session.async_reader();
    let mut buf = vec![0; args.read.clamp(1, BUFFER) as usize];
    reader.read(&mut buf[..1]).await?;
    let opened = started.elapsed();
    let before = session.snapshot();
    let mut times = Times::default();
    let mut random = Random::new(args.seed);
    let live = Live::new();
    for seek in 1..=args.seeks {
        let place = random.below(len.saturating_sub(args.read).max(1));
        live.show(&session.snapshot(), &format!("seek {seek} of {}", args.seeks));
        times.seek(session, &mut reader, place, args.read, &mut buf).await?;
    }
    live.finish();
    Ok(Report::new(args, len, opened, times, &before, session.snapshot()))
}

/// What was measured.
#[derive(Debug, Default)]
struct Times {
    /// To the first byte of what was missing.
    first: Vec<Duration>,
    /// To the last byte read, of what was missing.
    complete: Vec<Duration>,
    /// To the first byte of what was stored.
    hit: Vec<Duration>,
}

impl Times {
    async fn seek(
        &mut self,
        session: &Session,
        reader: &mut AsyncReader,
        place: u64,
        len: u64,
        buf: &mut [u8],
    ) -> Result<(), Failure> {
        let is_hit = session.coverage().iter().any(|range| range.contains(&place));
        let started = Instant::now();
        let sought = reader.seek(std::io::SeekFrom::Start(place)).await;
        sought.map_err(|error| Failure::read(&error))?;
        let mut left = len.max(1);
        let mut first = None;
        while left > 0 {
            let portion = left.min(buf.len() as u64) as usize;
            let n = reader.read(&mut buf[..portion]).await?;
            first.get_or_insert_with(|| started.elapsed());
            if n == 0 {
                break;
            }
            left -= n as u64;
        }
        let first = first.unwrap_or_default();
        if is_hit {
            self.hit.push(first);
        } else {
            self.first.push(first);
            self.complete.push(started.elapsed());
        }
        Ok(())
    }
}

/// What is told; the fields are documented at the command.
#[derive(Debug, Serialize)]
struct Report {
    url: String,
    len_bytes: u64,
    seeks: u32,
    hits: usize,
    read_bytes: u64,
    seed: u64,
    open_ms: f64,
    round_trip_ms: Option<f64>,
    first_byte_ms: Option<Spread>,
    first_byte_round_trips: Option<Spread>,
    complete_ms: Option<Spread>,
    hit_ms: Option<Spread>,
    requests: u64,
    connections: u64,
    fetched_bytes: u64,
    wasted_bytes: u64,
    requests_per_seek: f64,
    fetched_bytes_per_seek: f64,
    covered_bytes: u64,
    covered: Vec<(u64, u64)>,
    #[serde(skip)]
    bar: String,
}

impl Report {
    fn new(
        args: &Scrub,
        len: u64,
        opened: Duration,
        times: Times,
        before: &Snapshot,
        after: Snapshot,
    ) -> Self {
        let round_trip_ms = after.first_byte_micros.map(|micros| micros as f64 / 1e3);
        let first = Spread::of(&times.first);
        let requests = after.requests - before.requests;
        let fetched = after.bytes_fetched - before.bytes_fetched;
        let seeks = f64::from(args.seeks);
        let pair = |range: &Range<u64>| (range.start, range.end);
        Self {
            url: args.from.shown(),
            len_bytes: len,
            seeks: args.seeks,
            hits: times.hit.len(),
            read_bytes: args.read,
            seed: args.seed,
            open_ms: ms(opened),
            round_trip_ms,
            first_byte_ms: first,
            first_byte_round_trips: first.zip(round_trip_ms).and_then(|(s, r)| s.in_units_of(r)),
            complete_ms: Spread::of(&times.complete),
            hit_ms: Spread::of(&times.hit),
            requests,
            connections: after.connections,
            fetched_bytes: fetched,
            wasted_bytes: after.bytes_wasted - before.bytes_wasted,
            requests_per_seek: requests as f64 / seeks,
            fetched_bytes_per_seek: fetched as f64 / seeks,
            covered_bytes: after.covered_bytes(),
            covered: after.covered.iter().map(pair).collect(),
            bar: coverage::bar(&after),
        }
    }

    fn to_json(&self) -> Result<String, Failure> {
        let text = serde_json::to_string_pretty(self);
        text.map(|text| text + "\n").map_err(|error| Failure::new(format!("writing JSON: {error}")))
    }

    fn to_text(&self) -> String {
        let words = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect();
        let rows: Vec<Vec<String>> = vec![
            words(&["", "p50", "p90", "max"]),
            row("seek to first byte, ms", self.first_byte_ms),
            row("  in round trips", self.first_byte_round_trips),
            row(&format!("seek to {}, ms", HumanBytes(self.read_bytes)), self.complete_ms),
            row("seek to stored bytes, ms", self.hit_ms),
        ];
        let trip = self.round_trip_ms.map_or("not measured".into(), |r| format!("{r:.1} ms"));
        let (seeks, hits) = (self.seeks, self.hits);
        format!(
            "{}, {}\nopen to first byte {:.1} ms; round trip {trip}; {seeks} seeks, {hits} of them to stored bytes\n\n\
             {}\nper seek {:.1} requests, {}; in all {} requests, {} connections, {} fetched, {} of it wasted\n\n{}\n{}\n",
            self.url,
            HumanBytes(self.len_bytes),
            self.open_ms,
            table(&rows),
            self.requests_per_seek,
            HumanBytes(self.fetched_bytes_per_seek as u64),
            self.requests,
            self.connections,
            HumanBytes(self.fetched_bytes),
            HumanBytes(self.wasted_bytes),
            self.bar,
            coverage::LEGEND,
        )
    }
}

fn row(title: &str, spread: Option<Spread>) -> Vec<String> {
    let cells = match spread {
        Some(spread) => [spread.p50, spread.p90, spread.max].map(|value| format!("{value:.2}")),
        None => ["-"; 3].map(str::to_owned),
    };
    std::iter::once(title.to_owned()).chain(cells).collect()
}
