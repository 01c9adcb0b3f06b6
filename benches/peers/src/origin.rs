//! The scripted origin as a process of its own, so that its costs are not counted as a peer's.
//!
//! Steered by lines on a Unix socket, one line and one answer a connection: `put PATH LEN`, `script FAULT`, `mark`,
//! `counts`. Network namespaces do not divide such sockets, so the two ends of an emulated link share it. The
//! process ends when its standard input does, with whoever started it, unless told to stay.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kithara_file::origin::{Content, Log, Origin, Rule};

use crate::args;
use crate::profile::Profile;
use crate::wire::Wire;

/// What is served from the start.
const PATHS: [&str; 2] = ["/big.bin", "/other.bin"];

/// How long requests are turned away, and what the answer says.
const LIMITED: Duration = Duration::from_secs(1);

/// Bytes of the body before it stalls or its connection is reset: in the midst of it, not at an edge.
const BROKEN_AFTER: u64 = 40_000;

/// A reset befalls each tenth request.
const EACH: u64 = 10;

/// Serves until the standard input ends.
pub(crate) fn serve(args: &args::Origin) -> Result<()> {
    let mut builder = Origin::builder();
    if let Some(name) = &args.link {
        builder = builder.link(Profile::named(name)?.shaped());
    }
    if let Some(addr) = args.bind {
        builder = builder.bind(addr);
    }
    let origin = builder.start();
    for path in PATHS {
        origin.put(path, Content::pattern(args.len));
    }
    // Left over from an earlier life.
    let _ = fs::remove_file(&args.control);
    let listener = UnixListener::bind(&args.control)
        .with_context(|| format!("binding {}", args.control.display()))?;
    println!("{}", origin.url(""));
    std::io::stdout().flush()?;
    if !args.stay {
        std::thread::spawn(|| {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            std::process::exit(0);
        });
    }
    let mut desk = Desk { origin, paths: PATHS.map(Into::into).to_vec(), mark: 0 };
    for stream in listener.incoming() {
        // A client that went away in the midst of a line is no reason to end.
        let _ = desk.answer(stream?);
    }
    Ok(())
}

/// Where the lines arrive.
struct Desk {
    origin: Origin,
    /// What is served.
    paths: Vec<String>,
    /// Requests before the mark.
    mark: usize,
}

impl Desk {
    fn answer(&mut self, stream: UnixStream) -> Result<()> {
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line)?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = self.obey(&words).unwrap_or_else(|error| format!("error {error:#}"));
        Ok(writeln!(&stream, "{answer}")?)
    }

    fn obey(&mut self, words: &[&str]) -> Result<String> {
        match words {
            ["put", path, len] => {
                self.origin.put(path, Content::pattern(len.parse()?));
                self.paths.push((*path).into());
            }
            ["script", fault] => self.script(fault)?,
            ["mark"] => self.mark = self.origin.log().requests.len(),
            ["counts"] => return Ok(serde_json::to_string(&self.counts())?),
            _ => bail!("no such line"),
        }
        Ok("ok".into())
    }

    fn script(&self, fault: &str) -> Result<()> {
        for path in &self.paths {
            self.origin.clear_rules(path);
            match fault {
                "none" => {}
                "429" => self.origin.rule(path, limited()),
                "stall" => self.origin.rule(path, Rule::stall_after(BROKEN_AFTER).once()),
                "reset" => self.origin.rule(path, reset()),
                _ => bail!("no fault {fault}"),
            }
        }
        Ok(())
    }

    fn counts(&self) -> Wire {
        let log = self.origin.log();
        let (down, up) = self.origin.link_bytes();
        let new = Log {
            requests: log.requests[self.mark.min(log.len())..].to_vec(),
            connections: vec![],
        };
        let mut connections: Vec<u64> = new.iter().map(|request| request.connection).collect();
        connections.sort_unstable();
        connections.dedup();
        // Behind no shaped link the bodies are all that is known here.
        let down = if down > 0 { down } else { log.body_bytes() };
        Wire {
            down,
            up,
            requests: new.len() as u64,
            connections: connections.len() as u64,
            twice: self.paths.iter().map(|path| new.sent_twice(path)).sum(),
        }
    }
}

/// 429 with `Retry-After` for every request within a second of the first one.
fn limited() -> Rule {
    let first = OnceLock::new();
    let rule = Rule::retry_after(429, &LIMITED.as_secs().to_string());
    rule.when(move |_| first.get_or_init(Instant::now).elapsed() < LIMITED)
}

/// A reset in the body of each tenth request.
fn reset() -> Rule {
    let seen = Arc::new(AtomicU64::new(0));
    let rule = Rule::reset_after(BROKEN_AFTER);
    rule.when(move |_| seen.fetch_add(1, Ordering::Relaxed) % EACH == EACH - 1)
}

/// An origin of our own, in a process that ends with this value.
#[derive(Debug)]
pub(crate) struct Spawned {
    child: Child,
    /// Its base URL.
    pub(crate) url: String,
    /// Its socket.
    pub(crate) control: PathBuf,
}

impl Spawned {
    /// Starts one behind the link `profile`, with its socket in `dir`.
    pub(crate) fn start(profile: &str, len: u64, dir: &Path) -> Result<Self> {
        let control = dir.join("origin.sock");
        let mut child = Command::new(std::env::current_exe()?)
            .args(["origin", "--link", profile, "--len", &len.to_string(), "--control"])
            .arg(&control)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the scripted origin")?;
        let mut url = String::new();
        let out = child.stdout.take().context("the scripted origin has an output")?;
        BufReader::new(out).read_line(&mut url)?;
        let url = url.trim_end().to_owned();
        if url.is_empty() {
            bail!("the scripted origin does not start");
        }
        Ok(Self { child, url, control })
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        // Its end is its input's; waiting for it leaves nothing behind.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
