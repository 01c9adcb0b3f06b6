//! Many runs, each in a process of its own.
//!
//! Peers take turns within a workload, so that whatever befalls the machine befalls all of them. A run that
//! does not end in time is ended and reported as failed.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::args::{Matrix, Place};
use crate::origin::Spawned;
use crate::peer;
use crate::profile::Profile;
use crate::run::Sheet;
use crate::trace;
use crate::workload::{self, LINE, Needs, STEADY, TRACE};

/// A run that takes longer hangs, or might as well.
const PATIENCE: Duration = Duration::from_secs(180);

/// The same after a fault, from which a player that lives through it is back in seconds.
const AFTER_FAULT: Duration = Duration::from_secs(60);

/// Set by a user's environment, they would lead around the link.
const PROXIES: [&str; 6] =
    ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

/// Runs all that was asked for.
pub(crate) fn run(args: &Matrix) -> Result<()> {
    let scratch = Scratch::new()?;
    let mut place = args.place.clone();
    // Without any server there is one of our own, behind a shaped link.
    let own = match (&place.url, &place.origin_url) {
        (None, None) => Some(Spawned::start(&place.profile, place.len, &scratch.0)?),
        _ => None,
    };
    if let Some(own) = &own {
        place.origin_url = Some(own.url.clone());
        place.origin_control = Some(own.control.clone());
    }
    let workloads = workloads(args)?;
    let mut out = match &args.out {
        Some(path) => Some(appending(path)?),
        None => None,
    };
    for run in 1..=args.runs {
        for workload in &workloads {
            for peer in peers(args, workload) {
                let sheet = one(&place, peer, workload, run, &scratch)?;
                let line = serde_json::to_string(&sheet)?;
                match args.json {
                    true => println!("{line}"),
                    false => print!("{}", sheet.text(Profile::named(&place.profile)?.rtt_ms)),
                }
                if let Some(out) = &mut out {
                    writeln!(out, "{line}")?;
                }
            }
        }
    }
    Ok(())
}

/// `path`, to be added to.
pub(crate) fn appending(path: &Path) -> Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.with_context(|| format!("opening {}", path.display()))
}

/// The peers asked for, or all that have something to do in `workload`.
fn peers<'a>(args: &'a Matrix, workload: &str) -> Vec<&'a str> {
    if !args.peers.is_empty() {
        return args.peers.iter().map(String::as_str).collect();
    }
    let steady = STEADY.iter().find(|steady| steady.name == workload);
    match steady.map(|steady| steady.needs) {
        Some(Needs::Tls { .. }) => vec!["curl", "ours"],
        // One plain request stands for one connection.
        Some(_) => vec!["naive", "ours"],
        // `naive` asks for what it is told that will be read, so here for each piece.
        None if workload == LINE.name => {
            let players = peer::NAMES.iter().copied().filter(|name| *name != "naive");
            peer::PLAIN.into_iter().chain(players).collect()
        }
        None => peer::NAMES.to_vec(),
    }
}

/// The workloads asked for, by name, traces one by one.
fn workloads(args: &Matrix) -> Result<Vec<String>> {
    let mut names = vec![];
    for name in &args.workloads {
        match name.as_str() {
            "all" => names.extend(workload::ALL.map(|workload| workload.name.to_owned())),
            name => names.push(workload::named(name).map(|_| name.to_owned())?),
        }
    }
    let mut all = vec![];
    for name in names {
        match name.as_str() {
            "trace" => all.extend(
                trace::names(&args.place.traces)?.into_iter().map(|name| format!("{TRACE}{name}")),
            ),
            _ => all.push(name),
        }
    }
    Ok(all)
}

/// One run in a process of its own, with nothing left over from the one before.
fn one(place: &Place, peer: &str, workload: &str, run: u64, scratch: &Scratch) -> Result<Sheet> {
    let stores = scratch.0.join("stores");
    fs::create_dir_all(&stores)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["one", peer, workload, "--json", "--run", &run.to_string()]);
    pass_on(&mut command, place);
    command.env("TMPDIR", &stores).stdin(Stdio::null()).stdout(Stdio::piped());
    for name in PROXIES {
        command.env_remove(name);
    }
    let patience = if workload.starts_with("recover") { AFTER_FAULT } else { PATIENCE };
    let sheet = ended(&mut command, patience);
    // Not every peer takes its files along.
    fs::remove_dir_all(&stores)?;
    sheet.or_else(|error| {
        let failed = Some(format!("{error:#}"));
        let (profile, cc) = (place.profile.clone(), place.cc.clone());
        let cc = if place.link_dir.is_some() { cc } else { "shaped".into() };
        let (peer, workload) = (peer.to_owned(), workload.to_owned());
        Ok(Sheet {
            peer,
            workload,
            profile,
            cc,
            run,
            quick: place.quick,
            failed,
            ..Sheet::default()
        })
    })
}

/// Tells the process where to go.
fn pass_on(command: &mut Command, place: &Place) {
    let Place { url, throttled_url, tls_url, origin_url, link_dir, ca, origin_control, .. } = place;
    let Place { profile, cc, len, quick, rate, traces, .. } = place;
    command.args(["--profile", profile, "--cc", cc, "--len", &len.to_string()]);
    command.arg("--traces").arg(traces);
    let urls = [("--url", url), ("--throttled-url", throttled_url), ("--tls-url", tls_url)];
    for (name, value) in urls.into_iter().chain([("--origin-url", origin_url)]) {
        command.args(value.iter().flat_map(|value| [name, value]));
    }
    let paths = [("--link-dir", link_dir), ("--ca", ca), ("--origin-control", origin_control)];
    for (name, value) in paths {
        command.args(value.iter().flat_map(|value| [name.as_ref(), value.as_os_str()]));
    }
    command.args(rate.iter().flat_map(|rate| ["--rate".to_owned(), rate.to_string()]));
    if *quick {
        command.arg("--quick");
    }
}

/// What the process printed, or why there is nothing.
fn ended(command: &mut Command, patience: Duration) -> Result<Sheet> {
    let mut child = command.spawn().context("starting a run")?;
    let begun = Instant::now();
    while child.try_wait()?.is_none() {
        if begun.elapsed() > patience {
            child.kill()?;
            child.wait()?;
            bail!("did not end within {} s", patience.as_secs());
        }
        sleep(Duration::from_millis(20));
    }
    // A sheet is smaller than a pipe's buffer, so that nobody waited for us to read.
    let mut text = String::new();
    child.stdout.take().context("an output was asked for")?.read_to_string(&mut text)?;
    let sheet = text.lines().find(|line| line.starts_with('{'));
    let status = child.wait()?;
    let sheet = sheet.with_context(|| format!("ended without a word: {status}"))?;
    serde_json::from_str(sheet).context("a sheet that cannot be read")
}

/// A folder that goes with this value.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let dir = std::env::temp_dir().join(format!("peers-{}", std::process::id()));
        fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
        Ok(Self(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nobody to tell; the system clears its temporary folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}
