//! Puts an image on a real file system, lets the shipped code recover it, and looks at what it serves.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use super::Rng;
use super::drive::{Drive, Fate, Image, Op};
use super::script::{ASSETS, Expect, World, name, salt};
use crate::assets::extents::Extents;
use crate::assets::tests::*;
use crate::storage::disk::system;

/// Sums up the changes that are enumerated exhaustively: up to 2^this images.
const EXHAUSTIVE: usize = 5;

/// What became of all images.
#[derive(Default)]
pub(super) struct Proof {
    /// Different ones, by content and by what must be found in them.
    pub(super) images: usize,
    pub(super) failures: Vec<String>,
    seen: HashSet<u64>,
    scratch: Option<Bench>,
    relive: u64,
}

impl Proof {
    /// One that lives on in one of `relive` images; 0 for none.
    pub(super) fn living_on(relive: u64) -> Self {
        Self { relive, ..Self::default() }
    }

    /// Cuts the power after each operation of `world`, in many ways.
    pub(super) fn of(&mut self, world: &World, rng: &mut Rng, torn: u64) {
        let ops = world.disk.ops();
        let mut drive = world.disk.start();
        for cut in 0..=ops.len() {
            if let Some(last) = cut.checked_sub(1) {
                drive.apply(&ops[last]);
            }
            let expects = world.expects(cut);
            self.cut(world, &drive, &expects, rng, torn, cut);
            self.died(world, &drive, &expects, &format!("died after {cut}"));
            if let Some(Op::Write { ino, offset, bytes }) = ops.get(cut) {
                // Killed within the next write: the system has taken a part of it.
                for len in [1, bytes.len() / 2, bytes.len().saturating_sub(1)] {
                    let bytes = bytes[..len].to_vec();
                    let mut part = drive.clone();
                    part.apply(&Op::Write { ino: *ino, offset: *offset, bytes });
                    let what = format!("died {len} bytes into the write after {cut}");
                    self.died(world, &part, &expects, &what);
                }
            }
        }
    }

    /// The process ends, and the next one runs in the same run of the system.
    fn died(&mut self, world: &World, drive: &Drive, expects: &[Expect; ASSETS], what: &str) {
        if expects.iter().all(|expect| !expect.failing) {
            self.one(&drive.image(&mut Fate::Kept), expects, world.boot, world.boot, what);
        }
    }

    fn cut(
        &mut self,
        world: &World,
        drive: &Drive,
        expects: &[Expect; ASSETS],
        rng: &mut Rng,
        torn: u64,
        cut: usize,
    ) {
        let changes = drive.changes();
        let mut fates = vec![Fate::Lost, Fate::NamesAlone, Fate::BytesAlone];
        if changes <= EXHAUSTIVE {
            fates.extend((0..1_u64 << changes).map(Fate::Bits));
        } else {
            fates.extend((0..torn / 2).map(|_| Fate::Bits(rng.below(u64::MAX))));
        }
        fates.extend((0..torn).map(|n| Fate::Torn(Rng(rng.below(u64::MAX)), 2 + n % 5)));
        let here = world.boot;
        for mut fate in fates {
            let image = drive.image(&mut fate);
            self.one(&image, expects, here, here + 1, &format!("cut after {cut}, {fate:?}"));
        }
    }

    fn one(&mut self, image: &Image, expects: &[Expect; ASSETS], was: u8, boot: u8, what: &str) {
        let mut hasher = DefaultHasher::new();
        (image, boot, format!("{expects:?}")).hash(&mut hasher);
        if !self.seen.insert(hasher.finish()) {
            return;
        }
        self.images += 1;
        let bench = self.scratch.take().unwrap_or_else(Bench::in_memory);
        put_image(image, bench.path());
        if let Err(why) = check(&bench, expects, was == boot, boot) {
            self.failures.push(format!("{what}: {why}"));
        }
        let relive = (self.images as u64).is_multiple_of(self.relive);
        if relive {
            self.live_on(bench, expects, boot, what);
        } else {
            self.scratch = Some(bench);
        }
    }

    /// A process goes on in the image, and the power fails again.
    fn live_on(&mut self, bench: Bench, expects: &[Expect; ASSETS], boot: u8, what: &str) {
        let mut world = World::new(bench, None, boot);
        world.inherit(expects.clone());
        let mut rng = Rng(self.images as u64);
        super::script::random_story(&mut world, &mut rng, 8);
        let mut again = Self::default();
        again.of(&world, &mut rng, 1);
        self.images += again.images;
        self.failures.extend(again.failures.into_iter().map(|why| format!("{what}; then {why}")));
    }
}

fn put_image(image: &Image, base: &Path) {
    for entry in base.read_dir().expect("a folder") {
        let path = entry.expect("an entry").path();
        std::fs::remove_dir_all(path).expect("removed");
    }
    for (path, content) in image {
        let path = base.join(path);
        match content {
            None => std::fs::create_dir(path).expect("made"),
            Some(content) => {
                let file = File::create(path).expect("made");
                put(&file, 0, &content.head);
                file.set_len(content.len as u64).expect("grown");
            }
        }
    }
}

/// Opens everything as the next process does.
fn check(bench: &Bench, expects: &[Expect; ASSETS], died: bool, boot: u8) -> Result<(), String> {
    let folder = bench.path().join("cache/store");
    let store = AssetStore::open_on(system(), Some([boot; 16]), &folder, &bench.config);
    for (asset, expect) in expects.iter().enumerate() {
        let path = store.inner.layout.asset(&name(asset)).data;
        if let Some(along) = store.look_along(&name(asset)) {
            // Somebody holds it, for all that this one knows.
            let data = std::fs::read(&path).unwrap_or_default();
            served(along.found(), &data, asset, expect, false)
                .map_err(|why| format!("asset {asset}, read along: {why}; {:?}", along.found()))?;
            let (news, _) = along.follow(|range| vec![range]);
            if !news.is_empty() {
                return Err(format!("asset {asset}: {news:?} is news in a log that nobody writes"));
            }
        }
        let lease = match store.acquire(&name(asset), false) {
            Ok(Acquired::Held(lease)) => lease,
            other => return Err(format!("asset {asset}: {other:?}")),
        };
        let data = std::fs::read(path).unwrap_or_default();
        served(&lease.recovered, &data, asset, expect, died)
            .map_err(|why| format!("asset {asset}: {why}; found {:?}", lease.recovered))?;
    }
    Ok(())
}

/// Whether what would be served is right, and all that must be.
fn served(
    found: &Recovered,
    data: &[u8],
    asset: usize,
    expect: &Expect,
    died: bool,
) -> Result<(), String> {
    let etag = found.meta.as_ref().and_then(|meta| meta.validator.etag.as_deref());
    let generation = etag.map_or(0, |etag| etag.trim_matches('"').parse().unwrap_or(u8::MAX));
    if generation > expect.newest {
        return Err(format!("generation {generation} never began"));
    }
    for covered in &found.covered {
        let bytes = data.get(covered.start as usize..covered.end as usize);
        if bytes != Some(&content(*covered, salt(asset, generation))) {
            return Err(format!("wrong bytes in {covered}"));
        }
    }
    let covered: Extents = found.covered.iter().copied().collect();
    let must = |proof: &Extents| proof.to_vec().into_iter().find(|bytes| !covered.covers(*bytes));
    if let Some((of, proven)) = &expect.proven {
        match must(proven) {
            Some(lost) => return Err(format!("{lost} was proven")),
            None if *of != generation && !proven.is_empty() => {
                return Err(format!("generation {of} was proven"));
            }
            None => {}
        }
    }
    match must(&expect.recorded).filter(|_| died) {
        Some(lost) => Err(format!("{lost} was recorded")),
        None => Ok(()),
    }
}
