//! What players and listeners do, as the probe on the real link does it: the same places, reads and rests.

use std::f64::consts::FRAC_PI_2;

#[cfg(test)]
use crate::config::Tunables;
use crate::ids::{OriginId, ReaderId};
use crate::sched::sim::player::{NOTICED, Seek};
use crate::sched::sim::policy::Policy;
use crate::sched::sim::{LinkProfile, Player, Sim, ms};
use crate::time::Micros;

/// Length of the resource.
const LEN: u64 = 256 << 20;
/// The probe's seed.
const SEED: u64 = 0x1234_5678_9abc_def1;
/// What is read at the start and after most seeks.
const READ: u64 = 64 << 10;
/// What is read at each place of a drag.
const LOOK: u64 = 4096;
/// What a player that plays by itself reads at once.
const PIECE: u64 = 32 << 10;

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workload {
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
    /// Skips of 160 KB onwards, then back over played ground.
    Skip,
    /// Head, tail, head again, as demuxers open.
    Tail,
}

impl Workload {
    /// All of them.
    pub(crate) const ALL: [Self; 10] = [
        Self::Far,
        Self::Busy,
        Self::BusyFull,
        Self::Two,
        Self::Alone,
        Self::Drag,
        Self::DragFaster,
        Self::DragBack,
        Self::Skip,
        Self::Tail,
    ];

    /// What it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Far => "far",
            Self::Busy => "busy",
            Self::BusyFull => "busy-full",
            Self::Two => "two",
            Self::Alone => "alone",
            Self::Drag => "drag",
            Self::DragFaster => "drag-faster",
            Self::DragBack => "drag-back",
            Self::Skip => "skip",
            Self::Tail => "tail",
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

/// The probe's generator.
struct Places(u64);

impl Places {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Does `workload` over `profile`. Seed 0 seeks to the very places of the probe.
pub(crate) fn run<P: Policy>(workload: Workload, profile: LinkProfile, seed: u64) -> Outcome {
    let mut sim = Sim::<P>::driven(LEN).profile(profile).bulk_lanes(2).seed(seed);
    let share = |percent| profile.bytes_per_second() * percent / 100;
    let other = workload.is_of_two().then(|| Other::begin(&mut sim, share(30)));
    if other.is_some() {
        // With each seed they meet at other moments.
        sim.run_for(ms(seed % 10 * 37));
    }
    let mut player = Player::open(&mut sim);
    let open = player.seek(&mut sim, 0, READ).first;
    let before = player.seeks.len();
    let mut places = Places(SEED ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    match workload {
        Workload::Far => far(&mut sim, &mut player, &mut places),
        Workload::Busy => busy(&mut sim, &mut player, &mut places, share(60)),
        Workload::BusyFull => busy(&mut sim, &mut player, &mut places, 0),
        Workload::Two | Workload::Alone => busy(&mut sim, &mut player, &mut places, share(30)),
        Workload::Drag => drag(&mut sim, &mut player, &mut places),
        Workload::DragFaster => {
            bent(&mut sim, &mut player, &mut places, |x| 0.04 + 0.88 * x * x);
        }
        Workload::DragBack => {
            let way = |x: f64| 0.04 + 0.8 * (x * 1.5 * FRAC_PI_2).sin();
            bent(&mut sim, &mut player, &mut places, way);
        }
        Workload::Skip => skip(&mut sim, &mut player),
        Workload::Tail => {
            player.seek(&mut sim, LEN - 200_000, 200_000);
            player.seek(&mut sim, READ, READ);
        }
    }
    if let Some(other) = other {
        player.stalls = other.stalls(&sim);
    }
    outcome(sim, player, open, before)
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
    let open = player.seek(&mut sim, 0, READ).first;
    let (before, start) = (player.seeks.len(), sim.now());
    for (at, place) in places {
        sim.run_for((start + *at).since(sim.now()));
        player.seek(&mut sim, *place, LOOK);
    }
    outcome(sim, player, open, before)
}

/// What came of it, once all has ended: of the opening, and of the seeks after the first `before`.
fn outcome<P: Policy>(mut sim: Sim<P>, mut player: Player, open: Micros, before: usize) -> Outcome {
    sim.run_for(ms(1100));
    Outcome {
        open,
        seeks: player.seeks.split_off(before),
        stalls: player.stalls,
        bytes: sim.carried(),
        requests: sim.requests.len(),
        connections: sim.counts.connections,
    }
}

fn far<P: Policy>(sim: &mut Sim<P>, player: &mut Player, places: &mut Places) {
    sim.run_for(ms(500));
    for _ in 0..20 {
        player.seek(sim, places.next() % (LEN - 2_000_000), READ);
        sim.run_for(ms(500));
    }
}

fn busy<P: Policy>(sim: &mut Sim<P>, player: &mut Player, places: &mut Places, rate: u64) {
    for _ in 0..12 {
        player.play(sim, ms(1500), rate);
        player.seek(sim, places.next() % (LEN - 20_000_000), READ);
    }
}

fn drag<P: Policy>(sim: &mut Sim<P>, player: &mut Player, places: &mut Places) {
    let start = sim.now();
    for i in 0..60 {
        sim.run_for((start + ms(50 * i)).since(sim.now()));
        player.seek(sim, 10_000_000 + i * 4_000_000 + places.next() % 100_000, LOOK);
    }
}

/// A drag along `way`, which tells the share of the bar for the share of the time.
fn bent<P: Policy>(
    sim: &mut Sim<P>,
    player: &mut Player,
    places: &mut Places,
    way: fn(f64) -> f64,
) {
    sim.run_for(ms(500));
    let start = sim.now();
    for i in 0..60 {
        sim.run_for((start + ms(50 * i)).since(sim.now()));
        let place = (way(i as f64 / 60.0) * LEN as f64) as u64;
        player.seek(sim, place + places.next() % 100_000, LOOK);
    }
}

fn skip<P: Policy>(sim: &mut Sim<P>, player: &mut Player) {
    let mut at = 50_000_000;
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
