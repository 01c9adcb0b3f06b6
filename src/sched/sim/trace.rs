//! What a decoder read, recorded, and the same reads on link A.
//!
//! A read *depends* on the ones before if it does not go on where the last one ended and asks for bytes that
//! none brought: its place could not be known earlier, and a client that does not guess needs a round trip for
//! it. Counted beside that is how many round trips the first byte of each run takes. `benches/peers` counts the
//! same over sockets; `benches/traces/README.md` tells the form of a trace.

use rangemap::RangeSet;

use crate::byte_range::ByteRange;
use crate::ids::ReaderId;
use crate::sched::Scheduler;
use crate::sched::sim::{LinkProfile, Sim, ms};
use crate::time::Micros;

/// A user thinks that long between two seeks.
const PAUSE: Micros = ms(1000);

/// Reads that follow from one thing the user did, and what they cost.
#[derive(Debug, Default)]
pub struct Phase {
    /// `open`, or `seek` and the second.
    pub name: String,
    /// Runs of reads that bring something whose place nobody could know before.
    pub dependent: u64,
    /// Round trips that the first bytes of all runs took.
    pub trips: u64,
    /// How many of them the first connection of all took, whoever makes it.
    pub connecting: u64,
    /// Each goes on without a jump.
    runs: Vec<Vec<ByteRange>>,
}

/// Replays a trace. Panics if it is none.
pub(crate) fn replay(text: &str) -> Vec<Phase> {
    let (len, mut phases) = parse(text);
    let mut sim = Sim::<Scheduler>::driven(len).profile(LinkProfile::A).bulk_lanes(2);
    let reader = sim.open_reader(0);
    for phase in &mut phases {
        if sim.requests.is_empty() {
            phase.connecting = u64::from(LinkProfile::A.handshake);
        }
        phase.trips = phase.runs.iter().map(|run| trips(&mut sim, reader, run)).sum();
        sim.run_for(PAUSE);
    }
    phases
}

/// Reads a run; how many round trips its first byte took. Later ones wait for the bandwidth at most.
fn trips(sim: &mut Sim, reader: ReaderId, run: &[ByteRange]) -> u64 {
    let round_trip = LinkProfile::A.round_trip.0;
    let waits = run.iter().map(|range| sim.read_all(reader, *range)).collect::<Vec<_>>();
    waits.first().map_or(0, |first| (first.0 + round_trip / 2) / round_trip)
}

fn number(word: &str) -> u64 {
    word.parse().unwrap_or_else(|_| panic!("{word} is no number"))
}

/// The length, and the phases with what depends.
fn parse(text: &str) -> (u64, Vec<Phase>) {
    let (mut len, mut phases, mut end) = (0, Vec::<Phase>::new(), None);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["len", all] => len = number(all),
            ["open"] | ["seek", _] => {
                phases.push(Phase { name: line.into(), ..Phase::default() });
                end = None;
            }
            ["r", start, bytes] => {
                let read = ByteRange::at(number(start), number(bytes));
                let phase = phases.last_mut().expect("a phase comes before its reads");
                if end != Some(read.start) {
                    phase.runs.push(Vec::new());
                }
                phase.runs.last_mut().expect("the first read begins a run").push(read);
                end = Some(read.end);
            }
            _ => panic!("{line} is no line of a trace"),
        }
    }
    let mut known = RangeSet::new();
    for phase in &mut phases {
        for run in &phase.runs {
            let new = |read: &ByteRange| known.gaps(&read.to_std()).next().is_some();
            phase.dependent += u64::from(run.iter().any(new));
            run.iter().for_each(|read| known.insert(read.to_std()));
        }
    }
    (len, phases)
}
