//! What can be said on the command line.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand};

/// Plays, seeks and keeps HTTP resources through a range scheduler and a persistent, sparse store.
#[derive(Debug, Parser)]
#[command(name = "kithara-file", version, max_term_width = 100, after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Log to standard error; twice for more. RUST_LOG, if set, decides instead.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
The store of `get` and `cache` is the folder kithara-file in the user's cache folder
($XDG_CACHE_HOME or ~/.cache), unless --store names another.";

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Download a resource; a second run fetches only what is missing.
    Get(Get),
    /// Seek about in a resource and print how long the first byte took.
    Scrub(Scrub),
    /// Play a resource without sound, and watch what the engine does.
    Watch(Watch),
    /// Serve resources to every player of this machine.
    Serve(Serve),
    /// Look after the store.
    Cache(Cache),
    /// Play and scrub generated music over a simulated link, beside naive range requests.
    Demo(Demo),
}

/// Where the bytes come from and how hard to try.
#[derive(Debug, clap::Args)]
pub(crate) struct From {
    /// http:, https: or file: URL. Without an explicit --key its query does not tell resources apart.
    pub(crate) url: String,
    /// Request header, as 'Name: value'; may be repeated. Sent to the URL's own origin only.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,
    /// Store under this name instead of the URL without its query, e.g. films/42.
    #[arg(long, value_name = "NAME")]
    pub(crate) key: Option<String>,
    /// Attempts for one byte before giving up. Default 5.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) attempts: Option<u32>,
}

/// Download a resource; a second run fetches only what is missing.
///
/// Every byte received is kept in the store, so an interrupted run goes on where it was: the same
/// command again fetches only the holes. The file is written beside its name and renamed when complete.
#[derive(Debug, clap::Args)]
pub(crate) struct Get {
    #[command(flatten)]
    pub(crate) from: From,
    /// File to write; - is standard output. Default: the last part of the URL's path, in this folder.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Folder of the store, made if it is missing.
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// Send nothing; write what is stored, or fail if it is not all there.
    #[arg(long)]
    pub(crate) offline: bool,
    /// No progress and no remarks.
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// Seek about in a resource and print how long the first byte took.
///
/// Seeks go to random places, each as soon as the read before it is done, as when somebody drags a scrub
/// bar. Without --store everything starts cold, from a store that is thrown away.
///
/// Fields of --json, with `_ms` in milliseconds, `_bytes` in bytes and `_round_trips` in times of
/// `round_trip_ms`: `url`, `len_bytes`, `seeks`, `hits` (seeks to stored bytes; all other figures of time are
/// about the rest), `read_bytes` (read after each seek), `seed`, `open_ms` (open to first byte),
/// `round_trip_ms` (first byte on a warm connection as the engine measured it; null if nothing was sent),
/// `first_byte_ms`, `first_byte_round_trips`, `complete_ms` (to `read_bytes`), `hit_ms`: each an object of
/// `p50`, `p90`, `max`, or null; `requests`, `connections`, `fetched_bytes`, `wasted_bytes` (of the seeks, read-ahead
/// included), `requests_per_seek`, `fetched_bytes_per_seek`, `covered_bytes`, `covered` (pairs of start and
/// exclusive end).
#[derive(Debug, clap::Args)]
pub(crate) struct Scrub {
    #[command(flatten)]
    pub(crate) from: From,
    /// How many seeks.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) seeks: u32,
    /// Bytes to read after each seek; suffixes K, M, G count in 1024.
    #[arg(long, value_name = "BYTES", default_value = "64K", value_parser = size)]
    pub(crate) read: u64,
    /// Makes the places: the same seed, the same places.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub(crate) json: bool,
    /// Folder of a store to use and keep.
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
}

/// Play a resource without sound, and watch what the engine does.
///
/// Shows the map of what is stored, on its way (R a read waits for it, H hinted, a ahead, f fill) and queued, how long
/// seeks waited for their first byte, and what it cost. Keys: left and right seek 10 s, up and down 1 min, 0 to 9 to that tenth,
/// Home, End; comma and full stop (or shift and an arrow) move a mark, which is hinted, and Enter seeks there; space pauses;
/// q quits. Without --store everything starts cold, from a store that is thrown away.
#[derive(Debug, clap::Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    pub(crate) from: From,
    /// How fast it plays, in bytes per second; suffixes K, M, G count in 1024.
    #[arg(long, value_name = "BYTES", default_value = "250K", value_parser = rate)]
    pub(crate) rate: u64,
    /// Folder of a store to use and keep.
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
}

/// Serve resources to every player of this machine.
///
/// Each URL gets an address http://127.0.0.1:PORT/NAME, with NAME the last part of its path. The addresses go to standard
/// output, one a line. A player opens, seeks and plays them as it would the URL; what was received once comes from the
/// store. Ctrl-C ends it.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// http:, https: or file: URLs, files, or folders: of those each media file below.
    #[arg(value_name = "URL|DIR", required_unless_present = "allow")]
    pub(crate) urls: Vec<String>,
    /// Port to listen at; 0 takes any that is free.
    #[arg(short, long, value_name = "N", default_value_t = 0)]
    pub(crate) port: u16,
    /// Address to listen at. Any but a loopback one lets other machines in, with a token in the path.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) host: IpAddr,
    /// Folder of the store, made if it is missing.
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// Request header for the URLs given, as 'Name: value'; may be repeated. Sent to each URL's own origin only.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,
    /// Serve at /open?url= whatever lies below this URL as well; may be repeated.
    #[arg(long, value_name = "URL")]
    pub(crate) allow: Vec<String>,
    /// Let pages of this origin, such as https://app.example, read what is served; may be repeated.
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) cors: Vec<String>,
    /// A further name that players may use for this machine; may be repeated.
    #[arg(long = "name", value_name = "HOST")]
    pub(crate) names: Vec<String>,
    /// Put a secret into the path, for a machine with other users.
    #[arg(long)]
    pub(crate) token: bool,
    /// Send nothing; serve what is stored.
    #[arg(long)]
    pub(crate) offline: bool,
}

/// Look after the store.
#[derive(Debug, clap::Args)]
pub(crate) struct Cache {
    #[command(subcommand)]
    pub(crate) command: CacheCommand,
    /// Folder of the store.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What to do with the store.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// List what is stored.
    Ls,
    /// Read what is stored against the checksums of what was received.
    ///
    /// Without --repair nothing is changed. What some program has open is skipped, and said so. The exit code is 1 if
    /// damage was found, mended or not. A stored byte without a checksum is counted and not looked at: fields of --json
    /// are `id`, `key`, `kind`, `verdict` (sound, damaged, lost: its log cannot be read, open: skipped),
    /// `checked_bytes`, `unchecked_bytes`, `damaged` (pairs of start and exclusive end) and `repaired`.
    Verify {
        /// Ids or their beginnings (at least 6 digits), explicit keys, or URLs.
        #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
        keys: Vec<String>,
        /// Everything that is stored.
        #[arg(long)]
        all: bool,
        /// Forget what is damaged: it is fetched again when it is wanted.
        #[arg(long)]
        repair: bool,
    },
    /// Write one complete resource to a plain file.
    ///
    /// The bytes are checked, written beside the name and renamed: under that name is the whole resource, or what was
    /// there before. Of what is not complete nothing is written; `get` fetches the rest.
    Export {
        /// Its id or the beginning of it (at least 6 digits), its explicit key, or its URL.
        key: String,
        /// File to write.
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// Replace the file if it is there.
        #[arg(long)]
        force: bool,
        /// No progress and no remarks.
        #[arg(short, long)]
        quiet: bool,
    },
    /// Remove one resource, pinned or not.
    Rm {
        /// Its id or the beginning of it (at least 6 digits), its explicit key, or its URL.
        key: String,
    },
    /// Remove the least recently used, incomplete before complete, until the store is within its limit.
    Gc {
        /// Most bytes on disk; suffixes K, M, G count in 1024. 0 removes all that is neither pinned nor open.
        #[arg(long, value_name = "BYTES", default_value = "4G", value_parser = size)]
        max_bytes: u64,
    },
}

/// Play and scrub generated music over a simulated link, beside naive range requests.
///
/// Needs no network and leaves nothing behind. Each byte is checked; the exit code is 0 only if all
/// were right.
#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// Round trip of the link, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 40, value_parser = clap::value_parser!(u64).range(0..=2_000))]
    pub(crate) rtt: u64,
    /// Rate of the link, in megabits per second.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) mbit: u64,
    /// How many far seeks.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(crate) seeks: u32,
    /// How long to play before, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=60))]
    pub(crate) play: u32,
    /// Show no page, and end when the scrub is done.
    #[arg(long)]
    pub(crate) once: bool,
    /// Port of the page; 0 takes any that is free.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) port: u16,
}

/// A number of bytes per second above zero, and below a terabyte, which nothing plays.
fn rate(text: &str) -> Result<u64, String> {
    match size(text)? {
        rate @ 1..=0xff_ffff_ffff => Ok(rate),
        _ => Err("expected more than 0 and less than 1T".into()),
    }
}

/// A number of bytes, as `65536`, `64K` or `1.5GiB`.
fn size(text: &str) -> Result<u64, String> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text[number.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1_u64,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        other => return Err(format!("unknown unit {other:?}; use K, M, G or T")),
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor).ok_or_else(|| "too large".into());
    }
    match number.parse::<f64>() {
        Ok(part) if part.is_finite() && (0.0..1e6).contains(&part) => {
            Ok((part * factor as f64) as u64)
        }
        _ => Err("expected a number of bytes, such as 65536 or 64K".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn sizes_are_read_with_and_without_a_unit() {
        assert_eq!(size("0"), Ok(0));
        assert_eq!(size("65536"), Ok(65536));
        assert_eq!(size("64K"), Ok(65536));
        assert_eq!(size("1.5MiB"), Ok(3 << 19));
        assert_eq!(size("18446744073709551615"), Ok(u64::MAX));
        for bad in ["", "K", "-1", "64Q", "18446744073709551615K", "nan", "inf", "1e400", "ä"] {
            assert!(size(bad).is_err(), "{bad:?}");
        }
    }
}
