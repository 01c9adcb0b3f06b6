//! What went over the wire: counted by the link emulator and by the server's own log, never by a peer.
//!
//! Behind the link emulator: its counters have every byte of every packet, headers included, and nginx's access
//! log has the requests and connections. At the scripted origin: its log, and the counters of its shaped
//! link, which knows no headers. Connections that carried no request are not seen.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// Counts over some time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Wire {
    /// Bytes towards the player.
    pub(crate) down: u64,
    /// Bytes towards the origin.
    pub(crate) up: u64,
    /// Requests answered or broken off.
    pub(crate) requests: u64,
    /// Connections that carried them.
    pub(crate) connections: u64,
    /// Bytes of the resource that were sent more than once.
    pub(crate) twice: u64,
}

/// The scripted origin, as its client steers it.
#[derive(Debug, Clone)]
pub(crate) struct Control(PathBuf);

impl Control {
    /// By its socket.
    pub(crate) fn at(socket: &Path) -> Self {
        Self(socket.into())
    }

    /// Sends one line and returns the answer.
    fn ask(&self, line: &str) -> Result<String> {
        let asking = || format!("asking the scripted origin at {} to {line}", self.0.display());
        let mut stream = UnixStream::connect(&self.0).with_context(asking)?;
        writeln!(stream, "{line}")?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer)?;
        match answer.trim_end().strip_prefix("error ") {
            Some(why) => bail!("the scripted origin: {why}"),
            None => Ok(answer),
        }
    }

    /// Serves a self-checking file of `len` bytes at `path`.
    pub(crate) fn put(&self, path: &str, len: u64) -> Result<()> {
        self.ask(&format!("put {path} {len}")).map(drop)
    }

    /// Begins a fault, or ends all with `none`.
    pub(crate) fn script(&self, fault: &str) -> Result<()> {
        self.ask(&format!("script {fault}")).map(drop)
    }

    /// Counts since the origin was started: those of the log from the mark on, those of the link in all.
    fn counts(&self) -> Result<Wire> {
        Ok(serde_json::from_str(&self.ask("counts")?)?)
    }

    /// Counts requests from here on.
    fn mark(&self) -> Result<()> {
        self.ask("mark").map(drop)
    }
}

/// Where counts are to be had.
#[derive(Debug)]
pub(crate) enum Source {
    /// The link emulator's folder.
    Link(PathBuf),
    /// The scripted origin's log and link.
    Origin(Control),
    /// The scripted origin behind the emulated link: its log, the emulator's counters.
    Both(PathBuf, Control),
    /// Nobody counts.
    None,
}

/// Counts from a moment on.
#[derive(Debug)]
pub(crate) struct Meter {
    source: Source,
    /// The link's counters then.
    carried: (u64, u64),
    /// Length of nginx's log then.
    logged: u64,
}

impl Meter {
    /// Begins to count.
    pub(crate) fn start(source: Source) -> Result<Self> {
        let mut meter = Self { source, carried: (0, 0), logged: 0 };
        meter.carried = meter.settled()?;
        match &meter.source {
            Source::Link(dir) => {
                meter.logged = fs::metadata(log_of(dir)).map_or(0, |log| log.len())
            }
            Source::Origin(control) | Source::Both(_, control) => control.mark()?,
            Source::None => {}
        }
        Ok(meter)
    }

    /// What was counted, once the wire is silent.
    pub(crate) fn stop(self) -> Result<Wire> {
        let (down, up) = self.settled()?;
        let mut wire = match &self.source {
            Source::Link(dir) => {
                let log = fs::read(log_of(dir)).context("nginx's access log")?;
                let new = log.get(self.logged as usize..).unwrap_or_default();
                of_log(&String::from_utf8_lossy(new))
            }
            Source::Origin(control) | Source::Both(_, control) => control.counts()?,
            Source::None => Wire::default(),
        };
        wire.down = down - self.carried.0;
        wire.up = up - self.carried.1;
        Ok(wire)
    }

    /// The link's counters once they stand still, or after some seconds if they do not.
    fn settled(&self) -> Result<(u64, u64)> {
        const STILL: Duration = Duration::from_millis(300);
        const PATIENCE: Duration = Duration::from_secs(5);
        let (begun, mut since) = (Instant::now(), Instant::now());
        let mut last = self.carried_now()?;
        while since.elapsed() < STILL && begun.elapsed() < PATIENCE {
            sleep(Duration::from_millis(50));
            let now = self.carried_now()?;
            // Asking over a shaped origin's socket costs nothing on its link; a packet of goodbye is no news.
            if now.0 > last.0 + 200 {
                since = Instant::now();
            }
            last = now;
        }
        Ok(last)
    }

    /// The link's counters: down, up.
    fn carried_now(&self) -> Result<(u64, u64)> {
        match &self.source {
            Source::Link(dir) | Source::Both(dir, _) => {
                let stats =
                    fs::read_to_string(dir.join("link.stats")).context("the link's counters")?;
                let mut words = stats.split_whitespace();
                let mut named = |name: &str| {
                    words.by_ref().find(|word| *word == name);
                    words.next().and_then(|count| count.parse().ok()).unwrap_or_default()
                };
                Ok((named("down_bytes"), named("up_bytes")))
            }
            Source::Origin(control) => control.counts().map(|wire| (wire.down, wire.up)),
            Source::None => Ok((0, 0)),
        }
    }
}

fn log_of(dir: &Path) -> PathBuf {
    dir.join("access.log")
}

/// Counts the lines of nginx's log: `time duration status bytes "range" connection path`.
fn of_log(log: &str) -> Wire {
    let mut wire = Wire::default();
    let mut connections = Vec::new();
    let mut sent = Vec::new();
    for line in log.lines() {
        let mut fields = line.split_whitespace();
        let bytes = fields.nth(3).and_then(|bytes| bytes.parse::<u64>().ok()).unwrap_or_default();
        let range = fields.next().unwrap_or_default();
        let connection = fields.next().and_then(|number| number.parse::<u64>().ok());
        let path = fields.next().unwrap_or_default();
        wire.requests += 1;
        connections.extend(connection);
        let first = range.trim_matches('"').strip_prefix("bytes=").unwrap_or("0-");
        if let Some(start) = first.split('-').next().and_then(|start| start.parse::<u64>().ok()) {
            sent.push((path.to_owned(), start, start + bytes));
        }
    }
    connections.sort_unstable();
    connections.dedup();
    wire.connections = connections.len() as u64;
    wire.twice = twice(sent);
    wire
}

/// Bytes that lie in more than one of `sent`, each repetition counted.
fn twice(mut sent: Vec<(String, u64, u64)>) -> u64 {
    sent.sort();
    let (mut path, mut covered, mut twice) = (String::new(), 0, 0);
    for (of, start, end) in sent {
        if of != path {
            (path, covered) = (of, 0);
        }
        twice += end.min(covered).saturating_sub(start);
        covered = covered.max(end);
    }
    twice
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_of_nginx_is_counted() {
        let log = "1.000 0.1 206 100 \"bytes=0-99\" 7 /big.bin\n\
                   1.100 0.1 206 100 \"bytes=50-149\" 7 /big.bin\n\
                   1.200 0.1 206 100 \"bytes=50-149\" 8 /other.bin\n\
                   1.300 0.1 200 30 \"-\" 9 /big.bin\n";
        let wire = of_log(log);
        assert_eq!((wire.requests, wire.connections), (4, 3));
        assert_eq!(wire.twice, 50 + 30);
    }
}
