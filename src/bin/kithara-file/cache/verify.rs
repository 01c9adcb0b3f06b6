//! `cache verify`: reads what is stored against its checksums.

use indicatif::HumanBytes;
use kithara_file::{AssetKey, AssetStore, Verdict, Verified};
use serde::Serialize;

use super::{SHOWN, find, json, unknown};
use crate::failure::Failure;
use crate::table::table;
use crate::{remark, say};

/// Damaged ranges that a line of text shows.
const RANGES: usize = 3;

/// What was found in one resource, in `verify --json`.
#[derive(Debug, Serialize)]
struct Told<'a> {
    /// 64 hexadecimal digits.
    id: &'a str,
    /// Explicit key, or null.
    key: Option<&'a str>,
    /// `asset`, or `object` for a small whole one.
    kind: &'static str,
    /// `sound`, `damaged`, `lost` (its log cannot be read) or `open` (it was not looked at).
    verdict: &'static str,
    /// Stored bytes that were read against a checksum.
    checked_bytes: u64,
    /// Stored bytes whose checksum nobody knows.
    unchecked_bytes: u64,
    /// Pairs of start and exclusive end.
    damaged: Vec<[u64; 2]>,
    /// Whether the damage was forgotten.
    repaired: bool,
}

/// Checks the resources named, or all if none is; `repair` forgets what is damaged.
pub(super) fn run(
    store: &AssetStore,
    named: &[String],
    repair: bool,
    as_json: bool,
) -> Result<(), Failure> {
    let infos = store.list()?;
    let keys = if named.is_empty() {
        let mut ids: Vec<&str> = infos.iter().map(|info| info.id.as_str()).collect();
        ids.dedup();
        ids.into_iter().filter_map(AssetKey::from_id).collect()
    } else {
        let keys = named.iter().map(|name| find(store, &infos, name));
        keys.collect::<Result<Vec<_>, _>>()?
    };
    let (mut all, mut refused) = (Vec::new(), 0_usize);
    for key in keys {
        match if repair { store.repair(&key) } else { store.verify(&key) } {
            Ok(found) if found.is_empty() && !named.is_empty() => return Err(unknown(store)),
            Ok(found) => all.extend(found),
            // One that cannot be looked at says nothing about the others.
            Err(error) => {
                refused += 1;
                remark(&format!("{}: {}", key.id(), Failure::from(error).text()));
            }
        }
    }
    if as_json {
        say(&json(&all.iter().map(Told::of).collect::<Vec<_>>())?)?;
    } else {
        say(&text(&all))?;
    }
    outcome(&all, refused, repair)
}

impl<'a> Told<'a> {
    fn of(found: &'a Verified) -> Self {
        Self {
            id: &found.id,
            key: found.label.as_deref(),
            kind: if found.is_object { "object" } else { "asset" },
            verdict: word(found.verdict),
            checked_bytes: found.checked,
            unchecked_bytes: found.unchecked,
            damaged: found.damaged.iter().map(|range| [range.start, range.end]).collect(),
            repaired: found.repaired,
        }
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Sound => "sound",
        Verdict::Damaged => "damaged",
        Verdict::Lost => "lost",
        Verdict::Busy => "open",
        _ => "unknown",
    }
}

fn is_damage(found: &Verified) -> bool {
    !matches!(found.verdict, Verdict::Sound | Verdict::Busy)
}

fn text(all: &[Verified]) -> String {
    let titles = ["id", "", "checked", "damaged bytes", "key"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    rows.extend(all.iter().map(|found| {
        vec![
            found.id.chars().take(SHOWN).collect(),
            match (found.verdict, found.repaired) {
                (Verdict::Busy, _) => "open, skipped".to_owned(),
                (verdict, true) => format!("{}, forgotten", word(verdict)),
                (verdict, false) => word(verdict).to_owned(),
            },
            HumanBytes(found.checked).to_string(),
            ranges(found),
            found.label.clone().unwrap_or_default(),
        ]
    }));
    let count = |is: fn(&Verified) -> bool| all.iter().filter(|found| is(found)).count();
    let skipped = count(|found| found.verdict == Verdict::Busy);
    let checked = all.len() - skipped;
    let bytes: u64 = all.iter().map(|found| found.checked).sum();
    let total = format!(
        "{checked} checked with {}, {} damaged, {skipped} skipped\n",
        HumanBytes(bytes),
        count(is_damage)
    );
    format!("{}{total}", if all.is_empty() { String::new() } else { table(&rows) })
}

fn ranges(found: &Verified) -> String {
    let shown = found.damaged.iter().take(RANGES);
    let shown: Vec<String> = shown.map(|range| format!("{}..{}", range.start, range.end)).collect();
    match found.damaged.len().saturating_sub(RANGES) {
        0 => shown.join(" "),
        more => format!("{} and {more} more", shown.join(" ")),
    }
}

/// Damage is a bad end, mended or not.
fn outcome(all: &[Verified], refused: usize, repair: bool) -> Result<(), Failure> {
    let damaged = all.iter().filter(|found| is_damage(found)).count();
    if damaged > 0 && repair {
        let text = format!("{damaged} of {} were damaged", all.len());
        return Err(Failure::new(text)
            .advise("what was wrong is forgotten, and fetched again when it is wanted"));
    }
    if damaged > 0 {
        let text = format!("{damaged} of {} are damaged", all.len());
        return Err(Failure::new(text).advise("--repair forgets the damaged bytes"));
    }
    if refused > 0 {
        return Err(Failure::new(format!("{refused} could not be checked")));
    }
    Ok(())
}
