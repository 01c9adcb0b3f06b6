//! `cache`: looks after the store.

mod export;
mod verify;

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use indicatif::{HumanBytes, HumanDuration};
use kithara_file::{AssetInfo, AssetKey, AssetStore, Removed, StoreConfig};
use serde::Serialize;
use url::Url;

use crate::args::{Cache, CacheCommand};
use crate::failure::Failure;
use crate::table::table;
use crate::{say, source};

/// Digits of an id that a listing shows.
const SHOWN: usize = 12;

/// Fewest digits by which an id is found.
const FEWEST: usize = 6;

/// Runs the command.
pub(crate) fn run(args: Cache) -> Result<(), Failure> {
    let dir = source::store_dir(args.store)?;
    // Looking must not make a store where there is none.
    let none = || Failure::new(format!("there is no store in {}", dir.display()));
    if !dir.is_dir() {
        return Err(none());
    }
    let max_bytes = match args.command {
        CacheCommand::Gc { max_bytes } => max_bytes,
        _ => StoreConfig::default().max_bytes,
    };
    let store = open(dir, max_bytes)?;
    match args.command {
        CacheCommand::Ls => list(&store, args.json),
        CacheCommand::Verify { keys, all: _, repair } => {
            verify::run(&store, &keys, repair, args.json)
        }
        CacheCommand::Export { key, output, force, quiet } => {
            let how = export::How { force, quiet, json: args.json };
            export::run(&store, &key, &output, how)
        }
        CacheCommand::Rm { key } => remove(&store, &key, args.json),
        CacheCommand::Gc { .. } => collect(&store, args.json),
    }
}

fn open(dir: PathBuf, max_bytes: u64) -> Result<AssetStore, Failure> {
    let mut config = StoreConfig::default();
    config.max_bytes = max_bytes;
    Ok(AssetStore::open(&dir, &config)?)
}

/// A stored resource in `ls --json`.
#[derive(Debug, Serialize)]
struct Listed<'a> {
    /// 64 hexadecimal digits.
    id: &'a str,
    /// Explicit key, or null.
    key: Option<&'a str>,
    /// `asset`, or `object` for a small whole one.
    kind: &'static str,
    /// Length of the resource, or null.
    len_bytes: Option<u64>,
    /// How much of it is stored.
    covered_bytes: u64,
    /// What it takes on the disk.
    allocated_bytes: u64,
    /// Whether all of it is stored.
    complete: bool,
    /// Whether it is kept from eviction.
    pinned: bool,
    /// When it was last opened or closed, in Unix seconds.
    last_used_seconds: u64,
}

impl<'a> Listed<'a> {
    fn of(info: &'a AssetInfo) -> Self {
        let last_used = info.last_used.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            id: &info.id,
            key: info.label.as_deref(),
            kind: if info.is_object { "object" } else { "asset" },
            len_bytes: info.len,
            covered_bytes: info.covered,
            allocated_bytes: info.allocated,
            complete: info.complete,
            pinned: info.pinned,
            last_used_seconds: last_used.as_secs(),
        }
    }
}

fn list(store: &AssetStore, as_json: bool) -> Result<(), Failure> {
    let mut infos = store.list()?;
    if as_json {
        let listed: Vec<Listed<'_>> = infos.iter().map(Listed::of).collect();
        return say(&json(&listed)?);
    }
    infos.sort_by_key(|info| std::cmp::Reverse(info.last_used));
    let titles = ["id", "stored", "length", "", "on disk", "last used", "key"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    rows.extend(infos.iter().map(row));
    let allocated: u64 = infos.iter().map(|info| info.allocated).sum();
    let total =
        format!("{} in {}, {}\n", infos.len(), store.root().display(), HumanBytes(allocated));
    say(&format!("{}{total}", if infos.is_empty() { String::new() } else { table(&rows) }))
}

fn row(info: &AssetInfo) -> Vec<String> {
    let state = match (info.is_object, info.complete, info.len) {
        (true, ..) => "object".to_owned(),
        (_, true, _) => "complete".to_owned(),
        (_, _, Some(len)) if len > 0 => format!("{} %", info.covered.saturating_mul(100) / len),
        _ => "partial".to_owned(),
    };
    let pinned = if info.pinned { ", pinned" } else { "" };
    let age = SystemTime::now().duration_since(info.last_used).unwrap_or_default();
    vec![
        info.id.chars().take(SHOWN).collect(),
        HumanBytes(info.covered).to_string(),
        info.len.map_or("?".into(), |len| HumanBytes(len).to_string()),
        format!("{state}{pinned}"),
        HumanBytes(info.allocated).to_string(),
        format!("{} ago", HumanDuration(age)),
        info.label.clone().unwrap_or_default(),
    ]
}

fn remove(store: &AssetStore, named: &str, as_json: bool) -> Result<(), Failure> {
    let key = find(store, &store.list()?, named)?;
    match store.remove(&key)? {
        Removed::Gone if as_json => {
            say(&json(&serde_json::json!({ "id": key.id(), "removed": true }))?)
        }
        Removed::Gone => say(&format!("removed {}\n", key.id())),
        Removed::Busy => Err(Failure::new(format!("{} is open in some program", key.id()))
            .advise("end that program first")),
        _ => Err(unknown(store)),
    }
}

/// The key that somebody means by an id or its beginning, an explicit key, or a URL.
fn find(store: &AssetStore, infos: &[AssetInfo], named: &str) -> Result<AssetKey, Failure> {
    let labelled = infos.iter().find(|info| info.label.as_deref() == Some(named));
    if let Some(key) = labelled.and_then(|info| AssetKey::from_id(&info.id)) {
        return Ok(key);
    }
    if named.contains("://") {
        let url = Url::parse(named).map_err(|why| Failure::usage(format!("invalid url: {why}")))?;
        return Ok(AssetKey::for_url(&url));
    }
    let lower = named.to_ascii_lowercase();
    if let Some(key) = AssetKey::from_id(&lower) {
        return Ok(key);
    }
    let mut ids: Vec<&str> = infos.iter().map(|info| info.id.as_str()).collect();
    ids.retain(|id| lower.len() >= FEWEST && id.starts_with(&lower));
    ids.dedup();
    match ids.as_slice() {
        [id] => AssetKey::from_id(id).ok_or_else(|| unknown(store)),
        [] => Err(unknown(store)),
        _ => Err(Failure::new(format!("{named:?} begins several ids")).advise("give more digits")),
    }
}

fn unknown(store: &AssetStore) -> Failure {
    Failure::new(format!("nothing of that name in {}", store.root().display()))
        .advise("see `kithara-file cache ls`")
}

fn collect(store: &AssetStore, as_json: bool) -> Result<(), Failure> {
    let evicted = store.evict()?;
    let left = store.allocated()?;
    if as_json {
        return say(&json(&serde_json::json!({
            "removed": evicted.assets,
            "removed_bytes": evicted.bytes,
            "left_bytes": left,
            "within_limits": evicted.within_limits,
        }))?);
    }
    let rest =
        if evicted.within_limits { "" } else { "; what is left over the limit is pinned or open" };
    say(&format!(
        "removed {} with {}; {} left{rest}\n",
        evicted.assets,
        HumanBytes(evicted.bytes),
        HumanBytes(left)
    ))
}

fn json(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value);
    text.map(|text| text + "\n").map_err(|error| Failure::new(format!("writing JSON: {error}")))
}
