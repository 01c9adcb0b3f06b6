//! One run of one workload through one peer, and the sheet of what was measured.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::args::{One, Place};
use crate::measure::{cpu_seconds, peak_kib};
use crate::peer::{self, Tls};
use crate::profile::Profile;
use crate::stage::{Rng, Stage};
use crate::stats::{quantile, sorted};
use crate::wire::{Control, Meter, Source, Wire};
use crate::workload::{self, Needs};

/// Some figures of one kind: times in milliseconds, or the counts that belong to them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) ms: Vec<f64>,
}

/// What was measured in one run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Sheet {
    pub(crate) peer: String,
    pub(crate) workload: String,
    pub(crate) profile: String,
    /// Congestion control; `shaped` for the in-process link, which has none.
    pub(crate) cc: String,
    pub(crate) run: u64,
    pub(crate) quick: bool,
    /// The peer's version and settings.
    pub(crate) settings: String,
    /// Why it failed; nothing else counts then.
    pub(crate) failed: Option<String>,
    /// Seeks, by which bytes and requests are divided; opens where there is no seek.
    pub(crate) seeks: u64,
    /// Each open was another peer's, so that bytes sent again tell nothing.
    pub(crate) anew: bool,
    pub(crate) series: Vec<Series>,
    /// Counts that belong to the times of a series, one for each.
    pub(crate) facts: Vec<Series>,
    /// Single figures, with their unit in the name.
    pub(crate) values: BTreeMap<String, f64>,
    pub(crate) wire: Wire,
    /// Bytes that the player read.
    pub(crate) read: u64,
    pub(crate) cpu_s: f64,
    pub(crate) peak_kib: u64,
}

/// Adds a figure to those of that name.
fn add(all: &mut Vec<Series>, name: &str, figure: f64) {
    match all.iter_mut().find(|series| series.name == name) {
        Some(series) => series.ms.push(figure),
        None => all.push(Series { name: name.into(), ms: vec![figure] }),
    }
}

impl Sheet {
    /// Adds a time to the series `name`.
    pub(crate) fn push(&mut self, name: &str, ms: f64) {
        add(&mut self.series, name, ms);
    }

    /// How many times the series `name` has.
    pub(crate) fn count(&self, name: &str) -> u64 {
        let series = self.series.iter().find(|series| series.name == name);
        series.map_or(0, |series| series.ms.len() as u64)
    }

    /// Adds a count to the facts `name`.
    pub(crate) fn push_fact(&mut self, name: &str, count: f64) {
        add(&mut self.facts, name, count);
    }

    /// Notes a single figure.
    pub(crate) fn note(&mut self, name: &str, value: f64) {
        // The sum of nothing is -0.
        self.values.insert(name.into(), value + 0.0);
    }

    /// Notes stalls: how many, the longest, and all together.
    pub(crate) fn note_stalls(&mut self, stalls: &[f64]) {
        self.note("stalls", stalls.len() as f64);
        self.note("longest stall, ms", stalls.iter().copied().fold(0.0, f64::max));
        self.note("stalled in all, ms", stalls.iter().sum());
    }

    /// In words, one line for each series.
    pub(crate) fn text(&self, rtt_ms: f64) -> String {
        let who = format!(
            "{} {} on {} ({}), run {}",
            self.peer, self.workload, self.profile, self.cc, self.run
        );
        if let Some(why) = &self.failed {
            return format!("{who}: FAILED: {why}\n");
        }
        let mut text = format!("{who}\n  {}\n", self.settings);
        for Series { name, ms } in &self.series {
            let v = sorted(ms);
            let [p50, p90, max] = [0.5, 0.9, 1.0].map(|q| quantile(&v, q));
            let trips = [p50, p90, max].map(|ms| ms / rtt_ms);
            text += &format!(
                "  {name}: n {} p50 {p50:.1} p90 {p90:.1} max {max:.1} ms = {:.2} {:.2} {:.2} round trips\n",
                v.len(),
                trips[0],
                trips[1],
                trips[2]
            );
        }
        for Series { name, ms } in &self.facts {
            text += &format!("  {name}: {ms:.0?}\n");
        }
        for (name, value) in &self.values {
            text += &format!("  {name}: {value:.3}\n");
        }
        let per = self.seeks.max(1) as f64;
        let Wire { down, up, requests, connections, twice } = self.wire;
        text + &format!(
            "  over the wire: {:.2} MB down, {up} bytes up, {requests} requests, {connections} connections, \
             {twice} bytes twice\n  for each of {} seeks: {:.0} kB, {:.2} requests\n  cpu {:.2} s, peak {} KiB\n",
            down as f64 / 1e6,
            self.seeks,
            down as f64 / 1e3 / per,
            requests as f64 / per,
            self.cpu_s,
            self.peak_kib
        )
    }
}

impl Sheet {
    /// What went over the wire towards the player, for each seek, in bytes.
    pub(crate) fn down_per_seek(&self) -> f64 {
        self.wire.down as f64 / self.seeks.max(1) as f64
    }

    /// The part of it that nobody read; packets' headers count.
    pub(crate) fn wasted_per_seek(&self) -> f64 {
        self.wire.down.saturating_sub(self.read) as f64 / self.seeks.max(1) as f64
    }
}

/// Runs it and prints the sheet.
pub(crate) fn one(args: &One) -> Result<ExitCode> {
    let workload = workload::named(&args.workload)?;
    let profile = Profile::named(&args.place.profile)?;
    let tls = match workload.needs {
        Needs::Tls { http1 } => {
            Some(Tls { ca: args.place.ca.clone().context("this workload needs --ca")?, http1 })
        }
        _ => None,
    };
    let peer = peer::build(&args.peer, tls.as_ref())?;
    let shaped = args.place.link_dir.is_none() && args.place.url.is_none();
    let sheet = Sheet {
        peer: args.peer.clone(),
        workload: args.workload.clone(),
        profile: args.place.profile.clone(),
        cc: if shaped { "shaped".into() } else { args.place.cc.clone() },
        run: args.run,
        quick: args.place.quick,
        settings: peer.settings(),
        ..Sheet::default()
    };
    let (base, source, control) = place(&args.place, workload.needs)?;
    let mut stage = Stage {
        peer,
        name: args.peer.clone(),
        tls,
        url: format!("{base}/big.bin"),
        other: format!("{base}/other.bin"),
        len: args.place.len,
        profile,
        rng: Rng::of_run(args.run),
        quick: args.place.quick,
        rate: args.place.rate.unwrap_or(0.6 * profile.bytes_per_second()),
        control,
        source: Some(source),
        traces: args.place.traces.clone(),
        sheet,
    };
    if let Err(error) = measured(&mut stage, &workload) {
        stage.sheet.failed = Some(format!("{error:#}"));
    }
    match args.json {
        true => println!("{}", serde_json::to_string(&stage.sheet)?),
        false => print!("{}", stage.sheet.text(profile.rtt_ms)),
    }
    Ok(if stage.sheet.failed.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the workload between two looks at the meters.
fn measured(stage: &mut Stage, workload: &workload::Workload) -> Result<()> {
    let meter = Meter::start(stage.source.take().context("a run has one source of counts")?)?;
    let cpu = cpu_seconds();
    let done = (workload.run)(stage);
    stage.sheet.cpu_s = cpu_seconds() - cpu;
    stage.sheet.peak_kib = peak_kib();
    stage.sheet.read = peer::bytes_read();
    if let Some(control) = &stage.control {
        control.script("none")?;
    }
    stage.sheet.wire = meter.stop()?;
    if stage.sheet.anew {
        stage.sheet.wire.twice = 0;
    }
    done
}

/// Where a workload with such needs runs: base URL, counts, and the scripted origin if it is there.
fn place(place: &Place, needs: Needs) -> Result<(String, Source, Option<Control>)> {
    let scripted = || {
        let url = place
            .origin_url
            .clone()
            .context("this workload needs the scripted origin: --origin-url")?;
        let control =
            place.origin_control.as_deref().context("--origin-control goes with --origin-url")?;
        Ok::<_, anyhow::Error>((url, Control::at(control)))
    };
    let server = match needs {
        Needs::Server => place.url.clone(),
        Needs::Throttled => {
            Some(place.throttled_url.clone().context("this workload needs --throttled-url")?)
        }
        Needs::Tls { .. } => Some(place.tls_url.clone().context("this workload needs --tls-url")?),
        Needs::Script => None,
    };
    if let Some(url) = server {
        let source = place.link_dir.clone().map_or(Source::None, Source::Link);
        return Ok((url, source, None));
    }
    if place.origin_url.is_none() && place.url.is_none() {
        bail!("no server: --url or --origin-url");
    }
    let (url, control) = scripted()?;
    let source = match &place.link_dir {
        Some(dir) => Source::Both(dir.clone(), control.clone()),
        None => Source::Origin(control.clone()),
    };
    Ok((url, source, Some(control)))
}
