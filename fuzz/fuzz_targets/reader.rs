//! A reader over loopback, against what the resource is known to hold (E1-E3, S1, S2): whatever is read, sought and skipped,
//! and however the origin answers, bytes are right, the end is where it is, and an error has a type.

#![no_main]

use std::cell::RefCell;
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use kithara_file::origin::{Content, Framing, Origin, Rule, pattern};
use kithara_file::{Config, Engine, Error};

/// An origin keeps a log of all requests, so it is given up after so many inputs.
const INPUTS: u32 = 500;

struct World {
    engine: Engine,
    origin: Origin,
    inputs: u32,
}

impl World {
    fn new() -> Self {
        let mut config = Config::default();
        config.tunables.retry.max_attempts = 2;
        config.tunables.retry.backoff = Duration::from_millis(1);
        config.tunables.retry.max_backoff = Duration::from_millis(1);
        config.tunables.fetch.demand_min = 4 << 10;
        config.tunables.fetch.demand_max = 16 << 10;
        config.tunables.readahead.initial_window = 8 << 10;
        config.tunables.readahead.whole_file = 0;
        let engine = Engine::builder().config(config).build().expect("an engine");
        Self { engine, origin: Origin::start(), inputs: 0 }
    }
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn below(&mut self, end: u64) -> u64 {
        let number = u32::from_le_bytes([self.byte(), self.byte(), self.byte(), 0]);
        u64::from(number) % end.max(1)
    }
}

fn rule(choices: &mut Choices<'_>) -> Option<Rule> {
    let bytes = choices.below(20_000);
    let times = u64::from(choices.byte() % 4);
    let rule = match choices.byte() % 12 {
        0 => Rule::reset_after(bytes),
        1 => Rule::close_after(bytes),
        2 => Rule::status(503, "busy"),
        3 => Rule::shifted(-(bytes as i64 % 100)),
        4 => Rule::shorter(bytes),
        5 => Rule::framing(Framing::Chunked),
        6 => Rule::total_unknown(),
        7 => Rule::ignore_range(),
        8 => Rule::longer(bytes, bytes % 2 == 0),
        9 => Rule::framing(Framing::Close),
        _ => return None,
    };
    Some(rule.skip(u64::from(choices.byte() % 4)).times(times))
}

fn run(world: &mut World, choices: &mut Choices<'_>) {
    let len = choices.below(100_000);
    let path = format!("/{}", world.inputs);
    world.origin.put(&path, Content::pattern(len));
    for rule in (0..3).map_while(|_| rule(choices)) {
        world.origin.rule(&path, rule);
    }
    let Ok(session) = world.engine.open_blocking(world.origin.url(&path)) else { return };
    let mut reader = session.reader();
    let mut at = 0;
    while !choices.0.is_empty() {
        match choices.byte() % 8 {
            0..=3 => {
                let mut buf = vec![0; 1 + choices.below(9000) as usize];
                match reader.read(&mut buf) {
                    Ok(0) => assert!(at >= len, "a false end at {at} of {len}"),
                    Ok(n) => {
                        assert_eq!(pattern::first_wrong(&buf[..n], at, 0), None);
                        at += n as u64;
                        assert!(at <= len, "bytes beyond the end");
                    }
                    Err(error) => assert!(Error::from_io(&error).is_some(), "{error:?}"),
                }
            }
            4 => {
                at = choices.below(len + 10);
                assert_eq!(reader.seek(SeekFrom::Start(at)).expect("free"), at);
            }
            5 => {
                let back = choices.below(at + 1);
                at -= back;
                assert_eq!(reader.seek(SeekFrom::Current(-(back as i64))).expect("free"), at);
            }
            6 => session.hint_seek(choices.below(len + 10)),
            _ => {
                let mut buf = vec![0; 1 + choices.below(2000) as usize];
                match reader.try_read(&mut buf) {
                    Ok(Some(0)) => assert!(at >= len, "a false end at {at} of {len}"),
                    Ok(Some(n)) => {
                        assert_eq!(pattern::first_wrong(&buf[..n], at, 0), None);
                        at += n as u64;
                    }
                    Ok(None) | Err(_) => {}
                }
            }
        }
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    WORLD.with_borrow_mut(|world| {
        if world.inputs == INPUTS {
            *world = World::new();
        }
        world.inputs += 1;
        run(world, &mut Choices(data));
    });
});
