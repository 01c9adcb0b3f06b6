//! A link between two network namespaces, with real TCP at both ends.
//!
//! A TUN device in each namespace; every packet that one kernel sends is taken up here, waits in front of a bottleneck
//! of a given rate with a bounded queue (what does not fit is dropped), travels half the round trip, and is given to the other
//! kernel. So windows, acknowledgements, congestion control and socket buffers are those of the machine,
//! and a few figures are those of the link.
//!
//! usage: link NS_A ADDR_A NS_B ADDR_B RTT_MS DOWN_MBIT UP_MBIT QUEUE_KIB LOSS_PPM STATS
//!
//! A is the player, B the origin, "down" is from B to A. The file STATS is replaced twenty times a second. The devices
//! go with the process. Needs root and Linux; `up.sh` and `down.sh` do the rest.
//!
//! Limits: one packet, one wake-up; good for some hundred Mbit/s. Losses are independent and seeded, so that equal traffic
//! meets equal losses.

mod pipe;

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tun_rs::{DeviceBuilder, SyncDevice};

use pipe::{Pipe, Shape};

/// Name of the device in both namespaces.
const DEVICE: &str = "lnk0";

/// An Ethernet's.
const MTU: u16 = 1500;

/// Packets that a kernel may have ready for us: the queue that counts is ours.
const KERNEL_QUEUE: u32 = 10_000;

/// How often the counters are written.
const EACH: Duration = Duration::from_millis(50);

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [ns_a, addr_a, ns_b, addr_b, rtt, down, up, queue, loss, stats] = args.as_slice() else {
        bail!(
            "usage: link NS_A ADDR_A NS_B ADDR_B RTT_MS DOWN_MBIT UP_MBIT QUEUE_KIB LOSS_PPM STATS"
        );
    };
    let (rtt_ms, down_mbit, up_mbit) = (number(rtt)?, number(down)?, number(up)?);
    let (queue_kib, loss_ppm) = (number(queue)?, loss.parse::<u64>().context("LOSS_PPM")?);
    ensure!(down_mbit > 0.0 && up_mbit > 0.0, "a rate is more than nothing");

    let a = Arc::new(device(ns_a, addr_a, addr_b)?);
    let b = Arc::new(device(ns_b, addr_b, addr_a)?);
    let shape = |mbit: f64| Shape {
        delay: Duration::from_secs_f64(rtt_ms / 2000.0),
        bits_per_second: mbit * 1e6,
        queue_bytes: queue_kib * 1024.0,
        loss_ppm,
    };
    let towards_a = carry(&b, &a, shape(down_mbit));
    let towards_b = carry(&a, &b, shape(up_mbit));
    println!(
        "link up: {rtt_ms} ms, {down_mbit} Mbit/s down, {up_mbit} up, {queue_kib} KiB of queue, {loss_ppm} ppm lost"
    );
    loop {
        let (down, down_drops) = towards_a.counts();
        let (up, up_drops) = towards_b.counts();
        let line = format!(
            "down_bytes {down} up_bytes {up} down_drops {down_drops} up_drops {up_drops}\n"
        );
        replace(Path::new(stats), &line)?;
        thread::sleep(EACH);
    }
}

fn number(text: &str) -> Result<f64> {
    let number: f64 = text.parse().with_context(|| format!("not a number: {text}"))?;
    ensure!(number.is_finite() && number >= 0.0, "not a number of anything: {text}");
    Ok(number)
}

/// The device in namespace `ns`, up, with its address and the other end's.
fn device(ns: &str, own: &str, other: &str) -> Result<SyncDevice> {
    let path = format!("/run/netns/{ns}");
    let file = fs::File::open(&path).with_context(|| format!("no namespace {ns}"))?;
    // This thread makes no other sockets or devices; what it starts later inherits what it was left in, and needs none.
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
        .with_context(|| format!("entering {ns}"))?;
    let device = DeviceBuilder::new().name(DEVICE).enable(false).build_sync();
    let device = device.with_context(|| format!("a TUN device in {ns}"))?;
    let length = KERNEL_QUEUE.to_string();
    ip(&["addr", "add", own, "peer", other, "dev", DEVICE])?;
    ip(&["link", "set", DEVICE, "mtu", &MTU.to_string(), "txqueuelen", &length, "up"])?;
    Ok(device)
}

/// `ip`, in the namespace that this thread is in.
fn ip(args: &[&str]) -> Result<()> {
    let status = Command::new("ip").args(args).status().context("no `ip` here: iproute2")?;
    ensure!(status.success(), "ip {}: {status}", args.join(" "));
    Ok(())
}

/// Carries packets from one end to the other, for ever.
fn carry(from: &Arc<SyncDevice>, to: &Arc<SyncDevice>, shape: Shape) -> Arc<Pipe> {
    let pipe = Arc::new(Pipe::new(shape));
    let (entry, source) = (pipe.clone(), from.clone());
    thread::spawn(move || {
        let mut buf = [0; 1 << 16];
        loop {
            // A device that is not up yet has nothing to tell.
            match source.recv(&mut buf) {
                Ok(n) => entry.enter(&buf[..n]),
                Err(_) => thread::sleep(EACH),
            }
        }
    });
    let (exit, sink) = (pipe.clone(), to.clone());
    thread::spawn(move || {
        loop {
            // What a kernel does not take is lost, as on any link.
            let _ = sink.send(&exit.leave());
        }
    });
    pipe
}

/// Puts another file in the place of `path`, so that nobody reads half of one.
fn replace(path: &Path, text: &str) -> Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, text).with_context(|| format!("writing {}", new.display()))?;
    fs::rename(&new, path).with_context(|| format!("replacing {}", path.display()))
}
