//! The same reads and seeks through kithara-file and through what users would pick instead.
//!
//! `peers one` runs one workload through one peer and prints what it measured; `peers matrix` runs many, each
//! in a process of its own so that processor time and memory are that peer's alone, and appends them to a file;
//! `peers simulate` runs them through the simulator instead.
//! `peers document` makes `docs/BENCHMARKS.md` and its plots from such a file. `peers origin` is the scripted
//! origin that some workloads need.
//!
//! Every byte that a peer gives is checked. A peer that fails a workload is reported as failed, with the reason.

mod args;
mod content;
mod document;
mod matrix;
mod measure;
mod origin;
mod peer;
mod play;
mod profile;
#[cfg(feature = "record")]
mod record;
mod run;
mod simulate;
mod stage;
mod stats;
mod trace;
mod wire;
mod workload;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use args::{Args, Command};

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("peers: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<ExitCode> {
    match args.command {
        Command::One(one) => run::one(&one),
        Command::Matrix(matrix) => matrix::run(&matrix).map(|()| ExitCode::SUCCESS),
        Command::Origin(origin) => origin::serve(&origin).map(|()| ExitCode::SUCCESS),
        Command::Data { file, len } => content::write(&file, len).map(|()| ExitCode::SUCCESS),
        Command::Profile { name } => {
            println!("{}", profile::Profile::named(&name)?.for_shell());
            Ok(ExitCode::SUCCESS)
        }
        Command::Simulate(simulate) => simulate::run(&simulate).map(|()| ExitCode::SUCCESS),
        Command::Document(document) => document::write(&document).map(|()| ExitCode::SUCCESS),
        #[cfg(feature = "record")]
        Command::Record(record) => record::run(&record).map(|()| ExitCode::SUCCESS),
    }
}
