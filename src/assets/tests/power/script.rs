//! What the store is put through, and what must be found of it at each moment.

use std::sync::Arc;

use super::Rng;
use super::recorder::{Plant, Recorder};
use crate::assets::extents::Extents;
use crate::assets::tests::*;
use crate::storage::Backend;
use crate::storage::disk::Depth;

/// Bytes of each resource: small, so that writes collide.
pub(super) const LEN: u64 = 2000;
/// How many resources there are.
pub(super) const ASSETS: usize = 2;

pub(super) fn name(asset: usize) -> AssetKey {
    key(["film", "song"][asset])
}

/// What tells the bytes of a resource and generation from all others.
pub(super) fn salt(asset: usize, generation: u8) -> u8 {
    (asset as u8) << 4 | generation
}

/// What must be found of a resource.
#[derive(Debug, Clone, Default)]
pub(super) struct Expect {
    /// The newest generation that has begun; an older one may be found, whole, if `proven` says nothing.
    pub(super) newest: u8,
    /// What a power cut must leave, and of which generation.
    pub(super) proven: Option<(u8, Extents)>,
    /// What the end of the process must leave as well, of the same generation.
    pub(super) recorded: Extents,
    /// A sync has failed, and the store has not taken note of it yet: what a process leaves that dies in that very
    /// moment is not promised.
    pub(super) failing: bool,
}

struct Fact {
    since: usize,
    asset: usize,
    expect: Expect,
}

struct Open {
    bytes: Backend,
    journal: Journal,
}

#[derive(Default)]
struct Asset {
    generation: u8,
    written: Extents,
    expect: Expect,
    open: Option<Open>,
}

/// Which half of a barrier fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fails {
    Neither,
    Data,
    Log,
}

/// A store in the making.
pub(super) struct World {
    pub(super) disk: Arc<Recorder>,
    pub(super) boot: u8,
    bench: Bench,
    assets: [Asset; ASSETS],
    facts: Vec<Fact>,
    now: Micros,
    /// Whether files are closed whenever they may be, and how often that was so.
    pub(super) resting: Option<u64>,
}

impl World {
    /// In a folder that is there for certain, as everything in it.
    pub(super) fn new(bench: Bench, plant: Option<Plant>, boot: u8) -> Self {
        let disk = Arc::new(Recorder::new(bench.path(), plant));
        let assets = Default::default();
        Self { disk, boot, bench, assets, facts: Vec::new(), now: Micros(0), resting: None }
    }

    /// What must be found of each resource if it all ends after `ops` operations.
    pub(super) fn expects(&self, ops: usize) -> [Expect; ASSETS] {
        std::array::from_fn(|asset| {
            let mut facts = self.facts.iter().rev();
            let fact = facts.find(|fact| fact.asset == asset && fact.since <= ops);
            fact.map(|fact| fact.expect.clone()).unwrap_or_default()
        })
    }

    pub(super) fn store(&self) -> AssetStore {
        let (boot, config) = (Some([self.boot; 16]), &self.bench.config);
        // A folder below one that is to be made, so that both names are to be made proof.
        let folder = self.bench.path().join("cache/store");
        AssetStore::open_on(self.disk.clone(), boot, &folder, config)
    }

    /// From now on this must be found.
    fn fact(&mut self, asset: usize, change: impl FnOnce(&mut Expect)) {
        change(&mut self.assets[asset].expect);
        let expect = self.assets[asset].expect.clone();
        self.facts.push(Fact { since: self.disk.now(), asset, expect });
    }

    /// Goes on with what is found in a folder where everything was certain, and that much of it was expected.
    pub(super) fn inherit(&mut self, expects: [Expect; ASSETS]) {
        for (asset, expect) in expects.into_iter().enumerate() {
            self.assets[asset].generation = expect.newest;
            let recorded = Extents::default();
            self.fact(asset, |now| *now = Expect { recorded, ..expect });
        }
    }

    pub(super) fn open(&mut self, asset: usize) {
        let lease = held(&self.store(), &name(asset));
        let recovered = lease.recovered.clone();
        let bytes = lease.bytes().expect("a data file");
        let journal = lease.into_journal();
        self.assets[asset].written = recovered.covered.into_iter().collect();
        self.assets[asset].open = Some(Open { bytes, journal });
        match recovered.meta.map(|meta| meta.validator.etag.unwrap_or_default()) {
            Some(etag) => {
                let found: u8 = etag.trim_matches('"').parse().expect("a generation");
                if found != self.assets[asset].generation {
                    // An older one than what was begun: the next answer tells so.
                    self.begin(asset);
                }
            }
            None => self.begin(asset),
        }
    }

    pub(super) fn begin(&mut self, asset: usize) {
        let generation = self.assets[asset].generation + 1;
        self.fact(asset, |expect| {
            *expect = Expect { newest: generation, ..Expect::default() };
        });
        self.assets[asset].generation = generation;
        self.assets[asset].written = Extents::default();
        let journal = self.journal(asset);
        journal
            .begin(&crate::assets::tests::generation(&format!("\"{generation}\"")))
            .expect("begun");
    }

    pub(super) fn journal(&mut self, asset: usize) -> &mut Journal {
        &mut self.assets[asset].open.as_mut().expect("open").journal
    }

    pub(super) fn is_open(&self, asset: usize) -> bool {
        self.assets[asset].open.is_some()
    }

    pub(super) fn write(&mut self, asset: usize, flow: u64, start: u64, end: u64) {
        let Asset { generation, written, open, .. } = &mut self.assets[asset];
        let open = open.as_mut().expect("open");
        let text = content(range(start, end), salt(asset, *generation));
        open.bytes.write_all_at(start, &text).expect("written");
        open.journal.written(FetchId(flow), start, &text, self.now);
        written.insert(range(start, end));
        self.note(asset);
    }

    /// Closes the files, if they may rest: not even the writes before count as use.
    fn rest(&mut self, asset: usize) {
        if self.resting.is_some() && self.is_open(asset) {
            let journal = self.journal(asset);
            let rests = journal.rest() || journal.rest();
            self.resting = self.resting.map(|times| times + u64::from(rests));
        }
    }

    pub(super) fn record_now(&mut self, asset: usize) {
        self.journal(asset).record_now();
        self.note(asset);
    }

    /// What the log says by now survives the process.
    pub(super) fn note(&mut self, asset: usize) {
        let recorded = self.journal(asset).recorded().into_iter().collect();
        self.fact(asset, |expect| expect.recorded = recorded);
    }

    /// Time goes on; runs that are old enough are recorded.
    pub(super) fn wait(&mut self, asset: usize, millis: u64) {
        self.now = self.now + Micros::from_millis(millis);
        let now = self.now;
        if let Some(barrier) = self.journal(asset).run_due(now) {
            self.run(asset, barrier, Fails::Neither, &mut |_| ());
        }
        self.note(asset);
    }

    /// A barrier, if there is something to prove; `between` comes while its syncs run.
    pub(super) fn barrier(
        &mut self,
        asset: usize,
        fails: Fails,
        between: &mut dyn FnMut(&mut Self),
    ) {
        self.now = self.now + Micros::from_millis(6000);
        let now = self.now;
        if let Some(barrier) = self.journal(asset).run_due(now) {
            self.run(asset, barrier, fails, between);
        }
    }

    /// The log is replaced by a shorter one, if there is one; `between` comes before and after that is written aside.
    pub(super) fn shorten(&mut self, asset: usize, between: &mut dyn FnMut(&mut Self)) {
        let now = self.now;
        if !self.journal(asset).force_shorter() {
            return;
        }
        let shorter = self.journal(asset).run_due(now).expect("any log is too long now");
        between(self);
        let written = shorter.sync();
        between(self);
        assert!(matches!(self.journal(asset).barrier_done(written), BarrierOutcome::Done));
        self.note(asset);
    }

    /// Bytes are given back to the disk, if it is time for that; `between` comes before and after the hole is cut. Meanwhile
    /// somebody still writes there, and that does not count.
    pub(super) fn punch(
        &mut self,
        asset: usize,
        hole: ByteRange,
        fails: Fails,
        between: &mut dyn FnMut(&mut Self),
    ) {
        let Asset { expect, written, .. } = &self.assets[asset];
        let before = (expect.clone(), written.clone());
        self.assets[asset].written.remove(hole);
        // From now on it may be found or not.
        self.fact(asset, |expect| {
            expect.recorded.remove(hole);
            if let Some((_, proven)) = &mut expect.proven {
                proven.remove(hole);
            }
        });
        let Punching::Begun(barrier) = self.journal(asset).punch(&[hole]) else {
            // Another barrier is on its way, or the log refuses.
            self.assets[asset].written = before.1;
            return self.fact(asset, |expect| *expect = before.0);
        };
        self.note(asset);
        between(self);
        self.write_in_vain(asset, hole);
        if fails == Fails::Log {
            self.disk.fail_sync(Depth::All);
            self.fact(asset, |expect| expect.failing = true);
        }
        let synced = barrier.sync();
        self.write_in_vain(asset, hole);
        between(self);
        match self.journal(asset).barrier_done(synced) {
            BarrierOutcome::Punched { cut } => cut.expect("a hole"),
            BarrierOutcome::Lost { .. } => {
                let proven = self.assets[asset].expect.proven.clone();
                self.assets[asset].written = proven.map(|(_, bytes)| bytes).unwrap_or_default();
                self.note(asset);
                self.fact(asset, |expect| expect.failing = false);
            }
            other => panic!("{other:?}"),
        }
    }

    /// What a fetch brings of bytes that are being given back: it is written, and never told.
    fn write_in_vain(&mut self, asset: usize, hole: ByteRange) {
        let Asset { generation, open, .. } = &self.assets[asset];
        let open = open.as_ref().expect("open");
        let part = range(hole.start, hole.start + hole.len().div_ceil(3));
        let text = content(part, salt(asset, *generation));
        open.bytes.write_all_at(part.start, &text).expect("written");
    }

    fn run(
        &mut self,
        asset: usize,
        mut barrier: Barrier,
        fails: Fails,
        between: &mut dyn FnMut(&mut Self),
    ) {
        self.note(asset);
        let claimed = self.assets[asset].written.clone();
        let generation = self.assets[asset].generation;
        for half in [Fails::Data, Fails::Log, Fails::Neither] {
            between(self);
            if half == fails {
                self.disk.fail_sync(if half == Fails::Data { Depth::Data } else { Depth::All });
                // What was recorded may be forgotten as soon as it fails, and what was proven stays.
                self.fact(asset, |expect| expect.failing = true);
            }
            let synced = barrier.sync();
            between(self);
            match self.journal(asset).barrier_done(synced) {
                BarrierOutcome::Punched { .. } => panic!("nothing is given back here"),
                BarrierOutcome::Next(next) => barrier = next,
                BarrierOutcome::Done => {
                    self.fact(asset, |expect| expect.proven = Some((generation, claimed)));
                    return;
                }
                BarrierOutcome::Lost { .. } => {
                    let proven = self.assets[asset].expect.proven.clone();
                    self.assets[asset].written = proven.map(|(_, bytes)| bytes).unwrap_or_default();
                    self.note(asset);
                    return self.fact(asset, |expect| expect.failing = false);
                }
            }
        }
        panic!("a barrier has no more parts");
    }

    pub(super) fn close(&mut self, asset: usize) {
        let open = self.assets[asset].open.take().expect("open");
        open.journal.close().expect("closed");
        let Asset { generation, written, .. } = &self.assets[asset];
        let proven = Some((*generation, written.clone()));
        self.fact(asset, |expect| expect.proven = proven);
    }

    /// The process dies, and another goes on in the same run of the system.
    pub(super) fn die(&mut self) {
        self.assets.iter_mut().for_each(|asset| asset.open = None);
    }

    /// The bytes turned out to be those of a version that is gone.
    pub(super) fn discard(&mut self, asset: usize) {
        let newest = self.assets[asset].generation;
        self.fact(asset, |expect| *expect = Expect { newest, ..Expect::default() });
        let open = self.assets[asset].open.take().expect("open");
        open.journal.discard().expect("discarded");
    }

    pub(super) fn remove(&mut self, asset: usize) {
        let newest = self.assets[asset].generation;
        self.fact(asset, |expect| *expect = Expect { newest, ..Expect::default() });
        let removed = self.store().remove(&name(asset)).expect("removed");
        assert_eq!(removed, Removed::Gone);
    }
}

/// Everything a store goes through, in a fixed order.
pub(super) fn whole_story(world: &mut World) {
    // A first life, in a folder that is not there yet, with three flows and a barrier while they write.
    world.open(0);
    world.journal(0).len_known(LEN);
    for (flow, start) in [(1, 0), (2, 700), (3, 1500), (1, 150), (2, 850), (1, 300)] {
        world.write(0, flow, start, start + 150);
    }
    world.record_now(0);
    world.barrier(0, Fails::Neither, &mut |world| {
        world.write(0, 1, 450, 470);
        world.record_now(0);
    });
    world.write(0, 4, 1650, 1700);
    world.shorten(0, &mut |world| {
        world.write(0, 4, 1700, 1720);
        world.record_now(0);
    });
    world.write(0, 1, 480, 500);
    world.record_now(0);
    world.barrier(0, Fails::Neither, &mut |world| world.write(0, 4, 1800, 1830));
    world.shorten(0, &mut |_| ());
    // A hole right after the log was replaced, whose name is not certain yet; and the bytes come again.
    world.punch(0, range(100, 330), Fails::Neither, &mut |world| {
        world.write(0, 1, 500, 520);
        world.record_now(0);
    });
    world.write(0, 4, 150, 250);
    world.record_now(0);
    world.punch(0, range(860, 900), Fails::Neither, &mut |_| ());
    world.wait(0, 300);
    world.die();
    // The next one goes on, beside another resource, and its syncs fail.
    world.open(0);
    world.open(1);
    world.write(0, 1, 470, 600);
    world.write(1, 5, 100, 400);
    world.journal(0).validated(77);
    world.barrier(0, Fails::Data, &mut |world| world.write(1, 5, 400, 410));
    world.record_now(1);
    world.write(0, 1, 440, 600);
    world.record_now(0);
    world.barrier(0, Fails::Neither, &mut |_| ());
    world.write(0, 2, 1000, 1100);
    world.record_now(0);
    world.barrier(0, Fails::Log, &mut |world| {
        world.write(0, 2, 1100, 1150);
        world.record_now(0);
    });
    world.write(0, 2, 1000, 1200);
    world.record_now(0);
    // Proven, given back, come again and proven again; then a hole whose record the disk refuses to sync.
    world.barrier(0, Fails::Neither, &mut |_| ());
    world.punch(0, range(700, 1100), Fails::Neither, &mut |world| world.write(0, 3, 1900, 1950));
    world.write(0, 2, 800, 900);
    world.barrier(0, Fails::Neither, &mut |_| ());
    world.punch(0, range(850, 1150), Fails::Log, &mut |world| world.write(0, 3, 1950, 1960));
    world.write(0, 2, 900, 1000);
    world.close(0);
    world.barrier(1, Fails::Neither, &mut |_| ());
    world.die();
    rest_of_the_story(world);
}

/// What becomes of assets that are there: the resource changes, assets are removed and come again.
fn rest_of_the_story(world: &mut World) {
    world.open(0);
    world.write(0, 6, 600, 700);
    world.begin(0);
    world.write(0, 6, 200, 500);
    world.record_now(0);
    world.write(0, 7, 400, 450);
    world.barrier(0, Fails::Neither, &mut |world| world.write(0, 7, 450, 460));
    world.close(0);
    world.remove(0);
    world.open(0);
    world.write(0, 1, 0, 300);
    world.barrier(0, Fails::Neither, &mut |_| ());
    world.open(1);
    world.write(1, 1, 0, 130);
    world.record_now(1);
    world.discard(1);
    world.open(1);
    world.write(1, 2, 50, 350);
    world.record_now(1);
    world.barrier(1, Fails::Neither, &mut |world| world.write(0, 2, 300, 350));
    world.close(1);
    world.close(0);
}

/// Any story.
pub(super) fn random_story(world: &mut World, rng: &mut Rng, steps: usize) {
    for _ in 0..steps {
        let asset = rng.below(ASSETS as u64) as usize;
        world.rest(asset);
        if !world.is_open(asset) {
            world.open(asset);
        }
        match rng.below(30) {
            0..=12 => random_write(world, rng, asset),
            13 | 14 => world.record_now(asset),
            15 => world.wait(asset, rng.below(400)),
            16..=19 => {
                let fails = [Fails::Neither, Fails::Neither, Fails::Data, Fails::Log];
                let fails = fails[rng.below(4) as usize];
                world.barrier(asset, fails, &mut |world| random_write(world, rng, asset));
            }
            24 | 25 => world.shorten(asset, &mut |world| random_write(world, rng, asset)),
            26..=29 => {
                let start = rng.below(LEN - 300);
                let hole = range(start, start + 1 + rng.below(300));
                let fails = if rng.one_in(4) { Fails::Log } else { Fails::Neither };
                world.punch(asset, hole, fails, &mut |world| {
                    random_write_outside(world, rng, asset, hole);
                });
            }
            20 => world.close(asset),
            21 => world.die(),
            22 if world.generation(asset) < 14 => world.begin(asset),
            _ if world.generation(asset) < 14 => {
                world.close(asset);
                world.remove(asset);
            }
            _ => {}
        }
    }
}

impl World {
    fn generation(&self, asset: usize) -> u8 {
        self.assets[asset].generation
    }
}

/// As a random write, but not where bytes are being given back: that would not count.
fn random_write_outside(world: &mut World, rng: &mut Rng, asset: usize, hole: ByteRange) {
    let start = rng.below(LEN - 200);
    let bytes = range(start, start + 1 + rng.below(200));
    if !bytes.overlaps(hole) {
        world.write(asset, rng.below(3), bytes.start, bytes.end);
    }
}

fn random_write(world: &mut World, rng: &mut Rng, asset: usize) {
    let start = rng.below(LEN - 200);
    world.write(asset, rng.below(3), start, start + 1 + rng.below(200));
    if rng.one_in(3) {
        world.record_now(asset);
    }
}
