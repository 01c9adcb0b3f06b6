//! The links that figures are stated for.

use std::time::Duration;

use anyhow::{Result, bail};
use kithara_file::origin::Link;

/// No link at all: a server on the same machine. Its figures are round.
pub(crate) const LOOPBACK: &str = "loopback";

/// A link: what lies between a player and its origin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Profile {
    /// Round trip without queues, in milliseconds.
    pub(crate) rtt_ms: f64,
    /// Megabits per second towards the player.
    pub(crate) down_mbit: f64,
    /// Megabits per second towards the origin.
    pub(crate) up_mbit: f64,
    /// What the queue in front of the bottleneck holds, in KiB.
    pub(crate) queue_kib: u64,
    /// Packets lost, of a million.
    pub(crate) loss_ppm: u64,
}

impl Profile {
    /// By its letter.
    pub(crate) fn named(name: &str) -> Result<Self> {
        let (rtt_ms, down_mbit, up_mbit, queue_kib, loss_ppm) = match name {
            "A" => (40.0, 50.0, 20.0, 256, 0),
            "B" => (10.0, 200.0, 50.0, 256, 0),
            "C" => (120.0, 20.0, 5.0, 256, 0),
            "D" => (200.0, 100.0, 20.0, 1024, 1000),
            "F" => (200.0, 200.0, 50.0, 1024, 0),
            LOOPBACK => (0.1, 20_000.0, 20_000.0, 4096, 0),
            _ => bail!("no link {name}: there are A, B, C, D, F and {LOOPBACK}"),
        };
        Ok(Self { rtt_ms, down_mbit, up_mbit, queue_kib, loss_ppm })
    }

    /// Bytes per second towards the player.
    pub(crate) fn bytes_per_second(&self) -> f64 {
        self.down_mbit * 1e6 / 8.0
    }

    /// The arguments of the link emulator's script.
    pub(crate) fn for_shell(&self) -> String {
        let Self { rtt_ms, down_mbit, up_mbit, queue_kib, loss_ppm } = self;
        format!("{rtt_ms} {down_mbit} {up_mbit} {queue_kib} {loss_ppm}")
    }

    /// In words.
    pub(crate) fn in_words(&self) -> String {
        let Self { rtt_ms, down_mbit, up_mbit, queue_kib, loss_ppm } = self;
        let loss = match loss_ppm {
            0 => String::new(),
            ppm => format!(", {} % loss", *ppm as f64 / 1e4),
        };
        format!(
            "{rtt_ms} ms, {down_mbit} Mbit/s down, {up_mbit} up, {queue_kib} KiB of queue{loss}"
        )
    }

    /// The same for the in-process origin, whose link loses nothing.
    pub(crate) fn shaped(&self) -> Link {
        Link {
            rtt: Duration::from_secs_f64(self.rtt_ms / 1e3),
            down_bps: (self.down_mbit * 1e6) as u64,
            up_bps: (self.up_mbit * 1e6) as u64,
            queue_bytes: self.queue_kib * 1024,
            slow_start: true,
        }
    }
}
