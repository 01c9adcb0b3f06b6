//! `get`: downloads a resource through the engine and its store.

use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::HumanBytes;
use kithara_file::{CancellationToken, Engine, Events, Reader, Session, SessionEvent, Snapshot};

use crate::args::Get;
use crate::failure::{Failure, chain};
use crate::output::Output;
use crate::progress::Progress;
use crate::{remark, source};

/// Time between two looks at how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long a copy may take to notice that it shall end; only a pipe that nobody empties needs longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Bytes copied at once.
const COPY: usize = 256 << 10;

/// Runs the command.
pub(crate) async fn run(args: Get, stop: CancellationToken) -> Result<(), Failure> {
    let wanted = args.from.source()?;
    let dir = source::store_dir(args.store.clone())?;
    let output = Output::open(args.output.as_deref(), &args.from.url)?;
    let builder = Engine::builder().config(args.from.config());
    let engine = builder.offline(args.offline).store_dir(&dir).build()?;
    let session = match stop.run_until_cancelled(engine.open(wanted)).await {
        Some(opened) => opened?,
        None => {
            return Err(Failure::interrupted("interrupted while opening"));
        }
    };
    let events = session.events();
    let kept = Kept::of(&session, args.from.is_file(), dir);
    if let (false, Some(place)) = (args.quiet, kept.place()) {
        remark(&place);
    }
    let download = Download { kept, quiet: args.quiet, started: Instant::now(), stop };
    let result = download.run(&session, events, output).await;
    // Also after a failure: what was received is to be there the next time.
    session.close().await;
    result
}

/// What becomes of received bytes beside the output, for remarks.
enum Kept {
    /// They are in the store of this folder, and the next run finds them.
    In(PathBuf),
    /// Another process has the resource in the store of this folder; this one has the network alone.
    Not(PathBuf),
    /// The disk under the store of this folder refuses, at least for now.
    Refused(PathBuf),
    /// Nothing is received: the source is a file.
    NoNeed,
}

impl Kept {
    fn of(session: &Session, is_file: bool, dir: PathBuf) -> Self {
        match session.is_stored() {
            true => Self::In(dir),
            false if is_file => Self::NoNeed,
            // A listener is told of a disk that refuses first of all.
            false => match session.events().try_next() {
                Some(SessionEvent::StoreTrouble { .. }) => Self::Refused(dir),
                _ => Self::Not(dir),
            },
        }
    }

    fn place(&self) -> Option<String> {
        match self {
            Self::In(dir) => Some(format!("storing in {}", dir.display())),
            Self::Not(dir) => Some(format!(
                "this run stores nothing in {}: another process has the resource open, or nothing can be written there",
                dir.display()
            )),
            // The event says what and why.
            Self::Refused(_) | Self::NoNeed => None,
        }
    }

    /// What the disk's trouble means for this run, if anything.
    fn word(&self, event: &SessionEvent) -> Option<String> {
        let (Self::In(dir) | Self::Refused(dir) | Self::Not(dir)) = self else { return None };
        match event {
            SessionEvent::StoreTrouble { error } => Some(format!(
                "not storing in {} for now, the download goes on: {}",
                dir.display(),
                chain(error)
            )),
            SessionEvent::StoringResumed => Some(format!("storing in {} again", dir.display())),
            _ => None,
        }
    }

    fn interrupted(&self) -> Failure {
        Failure::interrupted(match self {
            Self::In(dir) => format!(
                "interrupted; what was received is stored in {}: the same command goes on from there",
                dir.display()
            ),
            Self::Not(_) => {
                "interrupted; nothing was stored: another process has the resource open, or nothing can be written there"
                    .to_owned()
            }
            Self::Refused(_) | Self::NoNeed => "interrupted".to_owned(),
        })
    }

    /// What to do after the output refused.
    fn advice(&self) -> &'static str {
        match self {
            Self::In(_) => "what was received is stored; run it again",
            Self::Not(_) | Self::Refused(_) | Self::NoNeed => "run it again",
        }
    }
}

/// One run.
struct Download {
    kept: Kept,
    quiet: bool,
    started: Instant,
    stop: CancellationToken,
}

impl Download {
    async fn run(
        &self,
        session: &Session,
        mut events: Events,
        output: Output,
    ) -> Result<(), Failure> {
        let reader = session.reader();
        let advice = self.kept.advice();
        let mut copy = tokio::task::spawn_blocking(move || copy(reader, output, advice));
        let seen = session.snapshot();
        let at_start = seen.covered_bytes();
        // What the first answer has brought meanwhile was not stored before.
        let before = at_start.saturating_sub(seen.bytes_fetched);
        if before > 0 && !self.quiet && !matches!(self.kept, Kept::NoNeed) {
            remark(&format!("{} of it were stored before", HumanBytes(before)));
        }
        let mut progress = Progress::new(self.quiet, at_start);
        let mut look = tokio::time::interval(LOOK_EVERY);
        let copied = loop {
            tokio::select! {
                copied = &mut copy => break copied,
                _ = look.tick() => {
                    progress.show(&session.snapshot());
                    self.tell(&mut events, &progress);
                }
                () = self.stop.cancelled() => {
                    progress.finish();
                    session.cancel_token().cancel();
                    // Dropping the copy's end takes the unfinished file away.
                    let _ = tokio::time::timeout(PATIENCE, copy).await;
                    return Err(self.kept.interrupted());
                }
            }
        };
        self.tell(&mut events, &progress);
        progress.finish();
        let (output, len) =
            copied.map_err(|_| Failure::new("the copy ended without a result"))??;
        let name = output.name();
        output.finish()?;
        if !self.quiet {
            remark(&summary(&name, len, &session.snapshot(), self.started.elapsed()));
        }
        Ok(())
    }
}

impl Download {
    /// Says what has become of the disk under the store.
    fn tell(&self, events: &mut Events, progress: &Progress) {
        while let Some(event) = events.try_next() {
            if let (false, Some(word)) = (self.quiet, self.kept.word(&event)) {
                progress.aside(|| remark(&word));
            }
        }
    }
}

/// Copies all bytes in order; gives the output back, and how many there were.
fn copy(
    mut reader: Reader,
    mut output: Output,
    advice: &'static str,
) -> Result<(Output, u64), Failure> {
    let mut buf = vec![0; COPY];
    let mut len = 0;
    loop {
        let n = reader.read(&mut buf).map_err(|error| Failure::read(&error))?;
        if n == 0 {
            return Ok((output, len));
        }
        // Flushed each time: standard output keeps back what has no end of line.
        let written = output.write_all(&buf[..n]).and_then(|()| output.flush());
        written.map_err(|error| refused(&output, &error, advice))?;
        len += n as u64;
    }
}

fn refused(output: &Output, error: &io::Error, advice: &'static str) -> Failure {
    Failure::io(&format!("writing {}", output.name()), error).advise(advice)
}

fn summary(name: &str, len: u64, snapshot: &Snapshot, took: Duration) -> String {
    let fetched = snapshot.bytes_fetched;
    let how = match snapshot.requests {
        0 => "all of it was stored".to_owned(),
        1 => format!("{} fetched in 1 request", HumanBytes(fetched)),
        n => format!("{} fetched in {n} requests", HumanBytes(fetched)),
    };
    format!("{name}: {} in {:.1} s; {how}", HumanBytes(len), took.as_secs_f64())
}
