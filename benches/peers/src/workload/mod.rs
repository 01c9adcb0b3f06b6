//! The workloads: one file for each kind.

mod faults;
mod ground;
mod jumps;
mod playing;
mod scrub;
mod steady;
mod straight;

use anyhow::{Result, bail};

use crate::stage::Stage;
use crate::trace;

/// What a workload needs of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Any server with the files.
    Server,
    /// One that holds each answer down.
    Throttled,
    /// One that speaks TLS, and both versions of HTTP over it.
    Tls { http1: bool },
    /// The scripted origin: its faults, or a file of any length.
    Script,
}

/// A workload.
#[derive(Clone, Copy)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    /// In one sentence, for the document.
    pub(crate) about: &'static str,
    pub(crate) needs: Needs,
    pub(crate) run: fn(&mut Stage) -> Result<()>,
}

/// How the name of a replayed trace begins.
pub(crate) const TRACE: &str = "trace:";

/// Beside a plain download: not among the others, as there is nothing of a player in it.
pub(crate) const LINE: Workload = server(
    "line",
    "A whole file as fast as it comes, beside plain downloads of it; checked in a second pass that is not timed.",
    straight::line,
);

/// At full speed where single connections cannot have it, or over TLS: not among the others either.
pub(crate) const STEADY: [Workload; 4] = [
    Workload {
        name: "tls-http1",
        about: "`line` over TLS, with HTTP/1.1.",
        needs: Needs::Tls { http1: true },
        run: straight::line,
    },
    Workload {
        name: "tls-http2",
        about: "`line` over TLS, with HTTP/2.",
        needs: Needs::Tls { http1: false },
        run: straight::line,
    },
    server(
        "fat",
        "10 s of reading in order as fast as it comes; from 5 s on it counts.",
        steady::fat,
    ),
    Workload {
        name: "throttled",
        about: "30 s of reading in order as fast as it comes from an origin that gives 625,000 bytes per second to each \
                request; from 15 s on it counts.",
        needs: Needs::Throttled,
        run: steady::throttled,
    },
];

/// All others, in the order in which they are reported; traces are one kind.
pub(crate) const ALL: [Workload; 21] = [
    server(
        "open",
        "Open to first byte and to 64 KiB, everything set up before, nothing connected.",
        straight::open,
    ),
    server(
        "far",
        "20 far seeks 0.5 s apart, after 64 KiB were played; 64 KiB are read at each.",
        jumps::far,
    ),
    server(
        "hint",
        "The same, each seek announced 150 ms before where the peer has a way to.",
        jumps::hint,
    ),
    server(
        "moved",
        "20 far seeks by another thread, each into a read that waits elsewhere for 5 ms already.",
        jumps::moved,
    ),
    server(
        "busy",
        "12 seeks out of play at 60 % of the link, 1.5 s after each other.",
        jumps::busy,
    ),
    server("busy-full", "The same with a player that reads as fast as it can.", jumps::busy_full),
    server(
        "drag",
        "A drag of the scrub bar at an even pace: 60 seeks in 3 s, 4 KiB read at each.",
        scrub::even,
    ),
    server("drag-faster", "The same, speeding up.", scrub::faster),
    server("drag-back", "The same, turning back halfway.", scrub::back),
    server("drag-random", "60 random jumps in 3 s.", scrub::random),
    server(
        "skip",
        "10 skips of +10 s (160 kB) and 10 of about -10 s, in played or read-ahead ground.",
        ground::skip,
    ),
    server(
        "tail",
        "Open, read the last 200 kB as a demuxer does, go back to the head.",
        ground::tail,
    ),
    server(
        "hit",
        "20,000 seeks (at most 8 s) over ground that was read before, 4 KiB read at each; in microseconds.",
        ground::hit,
    ),
    server("whole", "A whole file in order, each byte checked.", straight::whole),
    server("play", "20 s of play at 60 % of what the link gives.", playing::play),
    server(
        "two",
        "Two players at 30 % of the link each on one engine or client; one of them seeks.",
        playing::two,
    ),
    server("alone", "The seeking one of these two by itself.", playing::alone),
    script(
        "recover-429",
        "Play at 60 %; after 5 s every request within a second is answered 429, Retry-After 1.",
        faults::limited,
    ),
    script("recover-stall", "The same, but the next answer stalls for ever.", faults::stalled),
    script(
        "recover-reset",
        "The same, but each tenth answer is broken off by a reset.",
        faults::reset,
    ),
    script("trace", "A decoder's recorded reads and seeks, replayed.", trace::every),
];

const fn server(
    name: &'static str,
    about: &'static str,
    run: fn(&mut Stage) -> Result<()>,
) -> Workload {
    Workload { name, about, needs: Needs::Server, run }
}

const fn script(
    name: &'static str,
    about: &'static str,
    run: fn(&mut Stage) -> Result<()>,
) -> Workload {
    Workload { name, about, needs: Needs::Script, run }
}

/// By its name; `trace:NAME` is one of the traces.
pub(crate) fn named(name: &str) -> Result<Workload> {
    let kind = if name.starts_with(TRACE) { "trace" } else { name };
    match ALL.iter().chain([&LINE]).chain(&STEADY).find(|workload| workload.name == kind) {
        Some(workload) => Ok(*workload),
        None => {
            bail!("no workload {name}: there are {}", ALL.map(|workload| workload.name).join(", "))
        }
    }
}
