//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Runs the same reads and seeks through several libraries, every byte checked.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run one workload through one peer and print what was measured.
    One(One),
    /// Run workloads through peers, each in a process of its own, several times.
    Matrix(Matrix),
    /// Serve self-checking files, with scripted faults and, if asked, behind a shaped link.
    Origin(Origin),
    /// Write a self-checking file.
    Data {
        /// Where to.
        file: PathBuf,
        /// Length in bytes.
        len: u64,
    },
    /// Print a link's figures for a script: round trip in ms, Mbit/s down, Mbit/s up, queue in KiB, losses per million.
    Profile {
        /// A, B, C, D or F.
        name: String,
    },
    /// Run the same workloads through the simulator.
    Simulate(Simulate),
    /// Make the document and its plots from measured runs.
    Document(Document),
    /// Record what symphonia reads of a media file.
    #[cfg(feature = "record")]
    Record(Record),
}

/// Where the files are, and what is known of the way there.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Place {
    /// Base URL of a server with `big.bin` and `other.bin`. Default: the scripted origin.
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// Folder of the link emulator, whose counters and access log are read.
    #[arg(long)]
    pub(crate) link_dir: Option<PathBuf>,
    /// Base URL of the scripted origin.
    #[arg(long)]
    pub(crate) origin_url: Option<String>,
    /// Socket that the scripted origin is steered by.
    #[arg(long)]
    pub(crate) origin_control: Option<PathBuf>,
    /// Base URL of a server that holds each answer down to 625,000 bytes per second.
    #[arg(long)]
    pub(crate) throttled_url: Option<String>,
    /// Base URL of a server that speaks HTTP/1.1 and HTTP/2 over TLS.
    #[arg(long)]
    pub(crate) tls_url: Option<String>,
    /// Its certificate, in PEM.
    #[arg(long)]
    pub(crate) ca: Option<PathBuf>,
    /// The link: A, B, C, D, F or `loopback`.
    #[arg(long, default_value = "A")]
    pub(crate) profile: String,
    /// Congestion control of the link, as it is to be reported.
    #[arg(long, default_value = "cubic")]
    pub(crate) cc: String,
    /// Length of the files, in bytes.
    #[arg(long, default_value_t = 256 << 20)]
    pub(crate) len: u64,
    /// Fewer seeks and shorter plays: to see that it works, not for figures.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Rate of the workload `play`, in bytes per second. Default: 60 % of the link.
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Folder with the decoder traces.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../traces"))]
    pub(crate) traces: PathBuf,
}

/// One run.
#[derive(Debug, clap::Args)]
pub(crate) struct One {
    /// `naive`, `ours`, `stream-download` or `kithara`; for `line` also `curl` and `bare`, over TLS also `curl`.
    pub(crate) peer: String,
    /// One of the workloads, or `trace:NAME`.
    pub(crate) workload: String,
    #[command(flatten)]
    pub(crate) place: Place,
    /// Number of the run; seeds the random positions.
    #[arg(long, default_value_t = 1)]
    pub(crate) run: u64,
    /// Print one line of JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Many runs.
#[derive(Debug, clap::Args)]
pub(crate) struct Matrix {
    /// Peers, by comma. Default: all that were built in.
    #[arg(long, value_delimiter = ',')]
    pub(crate) peers: Vec<String>,
    /// Workloads, by comma; `trace` stands for all traces, `all` for everything.
    #[arg(long, value_delimiter = ',', default_value = "all")]
    pub(crate) workloads: Vec<String>,
    #[command(flatten)]
    pub(crate) place: Place,
    /// How often.
    #[arg(long, default_value_t = 5)]
    pub(crate) runs: u64,
    /// File to append to, one line of JSON for each run.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// Print lines of JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The scripted origin.
#[derive(Debug, clap::Args)]
pub(crate) struct Origin {
    /// Where to listen. Default: a free port of loopback.
    #[arg(long)]
    pub(crate) bind: Option<SocketAddr>,
    /// Put this link, A to D, between the origin and its clients.
    #[arg(long)]
    pub(crate) link: Option<String>,
    /// Socket to be steered by. It is made anew.
    #[arg(long)]
    pub(crate) control: PathBuf,
    /// Do not end with the standard input.
    #[arg(long)]
    pub(crate) stay: bool,
    /// Length of `big.bin` and `other.bin`, in bytes.
    #[arg(long, default_value_t = 256 << 20)]
    pub(crate) len: u64,
}

/// Simulated runs.
#[derive(Debug, clap::Args)]
pub(crate) struct Simulate {
    /// Links, by comma. Default: all.
    #[arg(long, value_delimiter = ',')]
    pub(crate) links: Vec<String>,
    /// Workloads, by comma. Default: all that the simulator has.
    #[arg(long, value_delimiter = ',')]
    pub(crate) workloads: Vec<String>,
    /// `ours`, `naive`, or a player's policy that only the simulator has, by comma. Default: all.
    #[arg(long, value_delimiter = ',')]
    pub(crate) peers: Vec<String>,
    /// How often, with the places of the measured runs of these numbers.
    #[arg(long, default_value_t = 5)]
    pub(crate) runs: u64,
    /// File to append to, one line of JSON for each run. Default: the standard output.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
}

/// The document.
#[derive(Debug, clap::Args)]
pub(crate) struct Document {
    /// Measured runs, as `matrix --out` wrote them.
    #[arg(long)]
    pub(crate) from: PathBuf,
    /// Simulated runs, as `simulate --out` wrote them. Default: simulated now, for each measured run.
    #[arg(long)]
    pub(crate) simulated: Option<PathBuf>,
    /// The document whose generated sections are replaced.
    #[arg(long)]
    pub(crate) into: PathBuf,
    /// Folder for the plots, beside the document.
    #[arg(long)]
    pub(crate) plots: PathBuf,
    /// Only these sections, by comma. Default: all.
    #[arg(long, value_delimiter = ',')]
    pub(crate) sections: Vec<String>,
    /// What to say of machine and versions: `name=value`, several times.
    #[arg(long = "about")]
    pub(crate) about: Vec<String>,
}

/// A recording.
#[cfg(feature = "record")]
#[derive(Debug, clap::Args)]
pub(crate) struct Record {
    /// The media file.
    pub(crate) file: PathBuf,
    /// What to say of the file.
    #[arg(long)]
    pub(crate) about: String,
    /// Places to seek to, in seconds.
    #[arg(long, value_delimiter = ',', required = true)]
    pub(crate) seeks: Vec<f64>,
}
