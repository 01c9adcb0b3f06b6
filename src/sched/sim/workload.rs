//! What players and listeners do, as the harness on the real link does it (`benches/peers/src/workload`): the same places,
//! reads and rests.

use std::f64::consts::FRAC_PI_2;

#[cfg(test)]
use crate::config::Tunables;
use crate::ids::{OriginId, ReaderId};
use crate::sched::sim::player::{NOTICED, Seek, Stalled};
use crate::sched::sim::policy::Policy;
use crate::sched::sim::{LinkProfile, Player, Sim, ms};
use crate::time::Micros;

/// Length of the resource.
const LEN: u64 = 256 << 20;
/// The harness's seed.
const SEED: u64 = 0x1234_5678_9abc_def1;
/// What is read at the start and after most seeks.
const READ: u64 = 64 << 10;
/// Never sought to: room for what is played from the last place on.
const MARGIN: u64 = 20_000_000;
/// What is read at each place of a drag, and by a demuxer that sniffs.
const LOOK: u64 = 4096;
/// Seeks of a drag.
const SEEKS: u64 = 60;
/// What a demuxer wants of the tail.
const TAIL: u64 = 200_000;
/// What a player that plays by itself reads at once.
const PIECE: u64 = 32 << 10;

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workload {
    /// Opening, and nothing else.
    Open,
    /// A listener who jumps about: plays a while, jumps far, plays 64 KiB, thinks half a second.
    Far,
    /// A player at 60 % of the link for 1.5 s at a time, then a far jump.
    Busy,
    /// The same with a player that reads as fast as it can.
    BusyFull,
    /// A player at 30 % of the link for 1.5 s at a time, then a far jump; another one plays something else of the same
    /// origin at 30 %, and its stalls are the ones that count.
    Two,
    /// The seeking one of these two by itself.
    Alone,
    /// A drag of the scrub bar: 60 seeks in 3 s, 4 KiB read at each.
    Drag,
    /// The same, slowly at first.
    DragFaster,
    /// There and half the way back, slowing down for the turn.
    DragBack,
    /// 60 jumps to anywhere in 3 s.
    DragRandom,
    /// 20 s of play at 60 % of what four plain downloads get together; stalls after 5 s count.
    Play,
    /// Skips of 160 KB onwards, then back over played ground.
    Skip,
    /// Head, tail, head again, as demuxers open.
    Tail,
    /// One look-up after the other, as databases do: 16 KiB anywhere.
    Pages,
    /// One record after the other, as archive readers and thumbnailers do: 100 to 300 KB anywhere, and 30 ms of work.
    Records,
}

impl Workload {
    /// All of them.
    pub(crate) const ALL: [Self; 15] = [
        Self::Open,
        Self::Far,
        Self::Busy,
        Self::BusyFull,
        Self::Two,
        Self::Alone,
        Self::Drag,
        Self::DragFaster,
        Self::DragBack,
        Self::DragRandom,
        Self::Play,
        Self::Skip,
        Self::Tail,
        Self::Pages,
        Self::Records,
    ];

    /// What it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Far => "far",
            Self::Busy => "busy",
            Self::BusyFull => "busy-full",
            Self::Two => "two",
            Self::Alone => "alone",
            Self::Drag => "drag",
            Self::DragFaster => "drag-faster",
            Self::DragBack => "drag-back",
            Self::DragRandom => "drag-random",
            Self::Play => "play",
            Self::Skip => "skip",
            Self::Tail => "tail",
            Self::Pages => "pages",
            Self::Records => "records",
        }
    }

    /// How often a run of the harness does it, each time as if for the first time.
    pub(crate) fn times(self) -> u64 {
        match self {
            Self::Open => 8,
            Self::Tail => 3,
            _ => 1,
        }
    }

    /// Whether it needs one that serves several resources at once.
    pub(crate) fn is_of_two(self) -> bool {
        self == Self::Two
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Opening, to the first byte.
    pub(crate) open: Micros,
    /// Opening, to everything that was read there.
    pub(crate) opened: Micros,
    /// Every seek.
    pub(crate) seeks: Vec<Seek>,
    /// When each stall of the playing player began, and how long it was.
    pub(crate) stalls: Vec<(Micros, Micros)>,
    /// Bytes over the link, headers included.
    pub(crate) bytes: u64,
    /// Requests made.
    pub(crate) requests: usize,
    /// Connections made.
    pub(crate) connections: u64,
    /// Bytes that came and were stored already.
    pub(crate) twice: u64,
}

impl Outcome {
    /// The `share`-quantile of the first-byte times.
    pub(crate) fn first(&self, share: f64) -> Micros {
        quantile(self.seeks.iter().map(|seek| seek.first).collect(), share)
    }

    /// The same of the times to everything that was read.
    pub(crate) fn all(&self, share: f64) -> Micros {
        quantile(self.seeks.iter().map(|seek| seek.all).collect(), share)
    }
}

/// The value at `share` of the sorted times; zero of none.
fn quantile(mut times: Vec<Micros>, share: f64) -> Micros {
    times.sort_unstable();
    let at = (times.len().saturating_sub(1) as f64 * share).round() as usize;
    times.get(at).copied().unwrap_or_default()
}

/// The harness's generator.
struct Places(u64);

impl Places {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// Does `workload` over `profile`, with a player that catches up after a stall.
#[cfg(test)]
pub(crate) fn run<P: Policy>(workload: Workload, profile: LinkProfile, seed: u64) -> Outcome {
    done::<P>(workload, profile, seed, Stalled::CatchesUp)
}

/// Does `workload` over `profile` as the harness on the real link does it. Its run of that number seeks to the same places.
pub(crate) fn run_as_measured<P: Policy>(
    workload: Workload,
    profile: LinkProfile,
    run: u64,
) -> Outcome {
    done::<P>(workload, profile, run, Stalled::GoesOn)
}

fn done<P: Policy>(
    workload: Workload,
    profile: LinkProfile,
    seed: u64,
    stalled: Stalled,
) -> Outcome {
    // As many as an engine has by default; the other cells were measured over two.
    let lanes = if matches!(workload, Workload::Two | Workload::Alone) { 1 } else { 2 };
    let mut sim = Sim::<P>::driven(LEN).profile(profile).bulk_lanes(lanes).seed(seed);
    let share = |percent| profile.bytes_per_second() * percent / 100;
    let other = workload.is_of_two().then(|| Other::begin(&mut sim, share(30)));
    if other.is_some() {
        // With each seed they meet at other moments.
        sim.run_for(ms(seed % 10 * 37));
    }
    let mut player = Player::open(&mut sim);
    let open = player.seek(&mut sim, 0, if workload == Workload::Tail { LOOK } else { READ });
    let mut places = Places(SEED ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    match workload {
        Workload::Open => {}
        Workload::Far => far(&mut sim, &mut player, &mut places),
        Workload::Busy => busy(&mut sim, &mut player, &mut places, (share(60), stalled)),
        Workload::BusyFull => busy(&mut sim, &mut player, &mut places, (0, stalled)),
        Workload::Two | Workload::Alone => {
            busy(&mut sim, &mut player, &mut places, (share(30), stalled))
        }
        Workload::Drag => drag(&mut sim, &mut player, &mut places, |x| 0.04 + 0.88 * x),
        Workload::DragFaster => {
            drag(&mut sim, &mut player, &mut places, |x| 0.04 + 0.88 * x * x);
        }
        Workload::DragBack => {
            let way = |x: f64| 0.04 + 0.8 * (x * 1.5 * FRAC_PI_2).sin();
            drag(&mut sim, &mut player, &mut places, way);
        }
        Workload::DragRandom => {
            let places: Vec<u64> = (0..SEEKS).map(|_| places.below(LEN - 2_000_000)).collect();
            follow_hand(&mut sim, &mut player, &places);
        }
        Workload::Play => play(&mut sim, &mut player, profile.four_downloads() * 60 / 100),
        Workload::Skip => skip(&mut sim, &mut player),
        Workload::Tail => {
            player.seek(&mut sim, LEN - TAIL, TAIL);
            player.seek(&mut sim, LOOK, READ);
        }
        Workload::Pages => jumps(&mut sim, &mut player, &mut places, ms(0), |_| 16 << 10),
        Workload::Records => {
            jumps(&mut sim, &mut player, &mut places, ms(30), |random| 100_000 + random % 200_000);
        }
    }
    if let Some(other) = other {
        player.stalls = other.stalls(&sim);
    }
    outcome(sim, player, open)
}

/// A player of a resource of its own at the same origin, that plays by itself.
struct Other {
    reader: ReaderId,
    begun: Micros,
    /// What is in hand lasts for so long: like any player that decodes, it has one piece there when it asks for the next.
    piece: Micros,
}

impl Other {
    /// It has read its first bytes and begins to play at `rate` bytes per second.
    fn begin<P: Policy>(sim: &mut Sim<P>, rate: u64) -> Self {
        let resource = sim.open_resource(OriginId(1), LEN);
        let reader = sim.open_reader_of(resource, 0);
        while sim.position(reader) < READ {
            let got = sim.take(reader, READ - sim.position(reader));
            assert!(got > 0, "no byte at {}", sim.position(reader));
        }
        sim.play(reader, rate);
        Self { reader, begun: sim.now(), piece: Micros(PIECE * 1_000_000 / rate) }
    }

    /// When each of its stalls began, and how long it was: waits that follow upon each other are one.
    fn stalls<P: Policy>(&self, sim: &Sim<P>) -> Vec<(Micros, Micros)> {
        let mut stalls: Vec<(Micros, Micros)> = Vec::new();
        let mut end = self.begun;
        for (since, time) in sim.waits_of(self.reader) {
            match stalls.last_mut() {
                Some((_, all)) if since.since(end) <= self.piece => *all = *all + time,
                _ if since >= self.begun => stalls.push((since, time)),
                _ => {}
            }
            end = since + time;
        }
        let late = |(at, time): (Micros, Micros)| (at + self.piece, time.since(self.piece));
        stalls.into_iter().map(late).filter(|(_, time)| *time > NOTICED).collect()
    }
}

/// Drags through `places`, each at its time from the start or once the one before is served, over `profile`,
/// with so many percent of the link for foresight.
#[cfg(test)]
pub(crate) fn follow<P: Policy>(
    places: &[(Micros, u64)],
    profile: LinkProfile,
    seed: u64,
    foresight: u32,
) -> Outcome {
    let tune = |tunables: &mut Tunables| tunables.fetch.foresight_percent = foresight;
    let mut sim = Sim::<P>::driven(LEN).profile(profile).bulk_lanes(2).seed(seed).tuned(tune);
    let mut player = Player::open(&mut sim);
    let open = player.seek(&mut sim, 0, READ);
    let start = sim.now();
    for (at, place) in places {
        sim.run_for((start + *at).since(sim.now()));
        player.seek(&mut sim, *place, LOOK);
    }
    outcome(sim, player, open)
}

/// What came of it, once all has ended: of the opening, and of the seeks after it.
fn outcome<P: Policy>(mut sim: Sim<P>, mut player: Player, open: Seek) -> Outcome {
    sim.run_for(ms(1100));
    Outcome {
        open: open.first,
        opened: open.all,
        seeks: player.seeks.split_off(1),
        stalls: player.stalls,
        bytes: sim.carried(),
        requests: sim.requests.len(),
        connections: sim.counts.connections,
        twice: sim.counts.twice,
    }
}

fn far<P: Policy>(sim: &mut Sim<P>, player: &mut Player, places: &mut Places) {
    sim.run_for(ms(500));
    for _ in 0..20 {
        player.seek(sim, places.below(LEN - MARGIN), READ);
        sim.run_for(ms(500));
    }
}

fn busy<P: Policy>(
    sim: &mut Sim<P>,
    player: &mut Player,
    places: &mut Places,
    (rate, stalled): (u64, Stalled),
) {
    for _ in 0..12 {
        player.play(sim, ms(1500), rate, stalled);
        player.seek(sim, places.below(LEN - MARGIN), READ);
    }
}

fn play<P: Policy>(sim: &mut Sim<P>, player: &mut Player, rate: u64) {
    let start = sim.now();
    player.play(sim, ms(20_000), rate, Stalled::GoesOn);
    player.stalls.retain(|(at, _)| at.since(start) >= ms(5000));
}

/// A drag along `way`, which tells the share of the bar for the share of the time.
fn drag<P: Policy>(
    sim: &mut Sim<P>,
    player: &mut Player,
    places: &mut Places,
    way: fn(f64) -> f64,
) {
    let place = |i| (way(i as f64 / SEEKS as f64) * LEN as f64) as u64;
    let places: Vec<u64> = (0..SEEKS).map(|i| place(i) + places.below(100_000)).collect();
    follow_hand(sim, player, &places);
}

/// A look at each place, 50 ms after each other or once the one before is there, and play at the last one.
fn follow_hand<P: Policy>(sim: &mut Sim<P>, player: &mut Player, places: &[u64]) {
    sim.run_for(ms(500));
    let start = sim.now();
    for (at, i) in places.iter().zip(0..) {
        sim.run_for((start + ms(50 * i)).since(sim.now()));
        player.seek(sim, *at, if i + 1 == SEEKS { READ } else { LOOK });
    }
}

/// Sixty reads anywhere, each of what `size` makes of a random number, and so much work after it.
fn jumps<P: Policy>(
    sim: &mut Sim<P>,
    player: &mut Player,
    places: &mut Places,
    work: Micros,
    size: fn(u64) -> u64,
) {
    for _ in 0..60 {
        let bytes = size(places.next());
        player.seek(sim, places.next() % (LEN - 2_000_000), bytes);
        sim.run_for(work);
    }
}

fn skip<P: Policy>(sim: &mut Sim<P>, player: &mut Player) {
    let mut at = LEN / 5;
    player.seek(sim, at, READ);
    sim.run_for(ms(1000));
    player.seeks.pop();
    for _ in 0..10 {
        at += 160_000;
        player.seek(sim, at, 16 << 10);
        sim.run_for(ms(300));
    }
    for _ in 0..10 {
        at -= 150_000;
        player.seek(sim, at, 16 << 10);
        sim.run_for(ms(100));
    }
}
