//! How fast a sender may send: slow start, leaving it early or by a loss, and cubic growth after that.
//!
//! As Linux does it (`tcp_cubic`, defaults): ten packets at first; doubling per round trip until acks come
//! in a long train, or late, or packets are lost; a loss takes 0.3 of the window, once in a round trip; growth
//! along a cubic after that, 5 % per round trip where nothing was ever lost. A sender that was idle for longer
//! than its timeout halves its window for each timeout gone by, down to ten packets, and doubles again up to
//! where it was.
//!
//! Windows are in packets. Not here: which packets were lost, and what to send.

use crate::time::Micros;

/// First window, and the least after an idle time (RFC 6928).
const INITIAL: f64 = 10.0;
/// What a loss leaves of the window: 717 / 1024.
const BETA: f64 = 717.0 / 1024.0;
/// Curve of the growth, in packets per cubed second.
const CURVE: f64 = 0.4;
/// Without a loss so far the window grows by a packet for so many acks at the latest: 5 % per round trip.
const UNTOUCHED: f64 = 20.0;
/// Windows below that never leave slow start early.
const TRAIN_FROM: f64 = 16.0;
/// Acks closer than that are a train.
const TRAIN_GAP: Micros = Micros(2000);
/// So many round-trip times of each round are looked at.
const SAMPLES: u32 = 8;
/// Least retransmission timeout above the round trip.
const TIMEOUT_LEAST: Micros = Micros::from_millis(200);

/// One side's congestion control.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    window: f64,
    threshold: f64,
    most_out: usize,
    smoothed: Option<Micros>,
    least: Micros,
    last_sent: Micros,
    round: Round,
    /// No second cut for losses among packets sent before that one.
    recovery: Option<u64>,
    growth: Growth,
}

/// One round trip of slow start, by which it is seen that the queue fills.
#[derive(Debug, Clone, Default)]
struct Round {
    /// It ends with the ack of the first packet from that one on.
    end: u64,
    start: Micros,
    last_ack: Micros,
    quickest: Option<Micros>,
    samples: u32,
    left_early: bool,
}

/// The cubic.
#[derive(Debug, Clone, Default)]
struct Growth {
    since: Option<Micros>,
    /// Window before the last loss; 0 before the first.
    before: f64,
    origin: f64,
    /// Seconds from `since` to `origin`.
    flat: f64,
    /// What a sender that adds one per round trip would have.
    friendly: f64,
}

impl Sender {
    /// A new connection's.
    pub(crate) fn new(round_trip: Micros) -> Self {
        Self {
            window: INITIAL,
            threshold: f64::INFINITY,
            most_out: 0,
            smoothed: None,
            least: round_trip,
            last_sent: Micros(0),
            round: Round::default(),
            recovery: None,
            growth: Growth::default(),
        }
    }

    /// The window, in packets.
    pub(crate) fn window(&self) -> usize {
        self.window as usize
    }

    /// The round trip as it was of late.
    pub(crate) fn round_trip(&self) -> Micros {
        self.smoothed.unwrap_or(self.least)
    }

    /// How long without an ack until everything on its way is taken for lost.
    pub(crate) fn timeout(&self) -> Micros {
        self.round_trip() + TIMEOUT_LEAST
    }

    /// A packet goes out while `flying` others are on their way.
    pub(crate) fn sending(&mut self, now: Micros, flying: usize) {
        let idle = now.since(self.last_sent);
        if flying == 0 && idle > self.timeout() && self.last_sent > Micros(0) {
            self.was_idle(idle);
        }
        self.last_sent = now;
        self.most_out = self.most_out.max(flying + 1);
    }

    fn was_idle(&mut self, idle: Micros) {
        self.threshold = self.threshold.max(self.window * 0.75);
        let least = self.window.min(INITIAL);
        let mut left = idle.0;
        while left > self.timeout().0 && self.window > least {
            left -= self.timeout().0;
            self.window /= 2.0;
        }
        self.window = self.window.floor().max(least);
        self.most_out = 0;
        self.growth.since = self.growth.since.map(|since| since + idle);
    }

    /// The packet numbered `order` is acknowledged; `next` is the one to be sent next.
    pub(crate) fn acked(&mut self, now: Micros, took: Micros, order: u64, next: u64) {
        self.least = self.least.min(took);
        let smoothed = |old: Micros| Micros((old.0 * 7 + took.0) / 8);
        self.smoothed = Some(self.smoothed.map_or(took, smoothed));
        if self.recovery.is_some_and(|end| order >= end) {
            self.recovery = None;
        }
        if order >= self.round.end {
            self.next_round(now, next);
        }
        if self.recovery.is_some() {
            return;
        }
        if self.window < self.threshold {
            self.look_for_a_queue(now, took);
            if self.window < 2.0 * self.most_out as f64 {
                self.window += 1.0;
            }
        } else if self.window <= self.most_out as f64 + 1.0 {
            self.grow(now);
        }
    }

    fn next_round(&mut self, now: Micros, next: u64) {
        let left_early = self.round.left_early;
        let (quickest, samples) = (None, 0);
        self.round = Round { end: next, start: now, last_ack: now, quickest, samples, left_early };
        self.most_out = self.most_out.min(self.window as usize);
    }

    /// HyStart: a train of acks that lasts half a round trip, or a round of which even the quickest ack is late,
    /// ends slow start before it overruns the queue.
    fn look_for_a_queue(&mut self, now: Micros, took: Micros) {
        if self.round.left_early || self.window < TRAIN_FROM {
            return;
        }
        let round = &mut self.round;
        if now.since(round.last_ack) <= TRAIN_GAP {
            round.last_ack = now;
            round.left_early = now.since(round.start).0 > self.least.0 / 2;
        }
        let late = self.least.0 + (self.least.0 / 8).clamp(4000, 16_000);
        round.quickest = Some(round.quickest.map_or(took, |quickest| quickest.min(took)));
        round.samples += 1;
        let delayed = round.quickest.is_some_and(|quickest| quickest.0 > late);
        round.left_early |= round.samples >= SAMPLES && delayed;
        if round.left_early {
            self.threshold = self.window;
        }
    }

    fn grow(&mut self, now: Micros) {
        let (window, growth) = (self.window, &mut self.growth);
        let since = *growth.since.get_or_insert_with(|| {
            growth.origin = growth.before.max(window);
            growth.flat = ((growth.origin - window) / CURVE).cbrt();
            growth.friendly = window;
            now
        });
        let time = (now.since(since) + self.least).as_secs_f64() - growth.flat;
        let target = growth.origin + CURVE * time * time * time;
        let mut acks = if target > window { window / (target - window) } else { 100.0 * window };
        if growth.before == 0.0 {
            acks = acks.min(UNTOUCHED);
        }
        // One packet per round trip times 3 (1 - beta) / (1 + beta), as a fair share needs.
        growth.friendly += 3.0 * (1.0 - BETA) / (1.0 + BETA) / window;
        if growth.friendly > window {
            acks = acks.min(window / (growth.friendly - window));
        }
        self.window += 1.0 / acks.max(2.0);
    }

    /// A packet was lost; `next` is the one to be sent next.
    pub(crate) fn lost(&mut self, next: u64) {
        if self.recovery.is_some() {
            return;
        }
        self.recovery = Some(next);
        self.cut();
        self.window = self.threshold;
    }

    /// Nothing was heard for a timeout: from one packet on again.
    pub(crate) fn timed_out(&mut self) {
        self.cut();
        self.window = 1.0;
        self.recovery = None;
        self.round.left_early = false;
    }

    fn cut(&mut self) {
        let growth = &mut self.growth;
        growth.since = None;
        // A second loss below the first one's window makes room for others.
        let lower = self.window < growth.before;
        growth.before = if lower { self.window * (1.0 + BETA) / 2.0 } else { self.window };
        self.threshold = (self.window * BETA).max(2.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Micros {
        Micros::from_millis(n)
    }

    /// Sends a full window at `now`, and has every packet of it acknowledged `took` later at once.
    fn round(sender: &mut Sender, now: Micros, took: Micros, order: &mut u64) -> usize {
        let window = sender.window();
        for flying in 0..window {
            sender.sending(now, flying);
        }
        let next = *order + window as u64;
        for _ in 0..window {
            sender.acked(now + took, took, *order, next);
            *order += 1;
        }
        window
    }

    #[test]
    fn a_window_doubles_per_round_trip() {
        let (mut sender, mut order) = (Sender::new(ms(40)), 0);
        let windows: Vec<usize> =
            (1..6).map(|n| round(&mut sender, ms(40 * n), ms(40), &mut order)).collect();
        assert_eq!(windows, [10, 20, 40, 80, 160]);
    }

    #[test]
    fn a_late_round_ends_slow_start_without_a_loss() {
        let (mut sender, mut order) = (Sender::new(ms(40)), 0);
        round(&mut sender, ms(40), ms(40), &mut order);
        round(&mut sender, ms(80), ms(40), &mut order);
        let before = round(&mut sender, ms(120), ms(46), &mut order);
        let after = round(&mut sender, ms(166), ms(46), &mut order);
        assert!((before, after) == (40, 47 + 1) || after < 52, "{before}, then {after}");
    }

    #[test]
    fn a_loss_takes_three_tenths_once_in_a_round_trip() {
        let (mut sender, mut order) = (Sender::new(ms(40)), 0);
        for n in 1..5 {
            round(&mut sender, ms(40 * n), ms(40), &mut order);
        }
        assert_eq!(sender.window(), 160);
        sender.lost(order + 160);
        sender.lost(order + 160);
        assert_eq!(sender.window(), 112);
    }

    #[test]
    fn an_idle_time_halves_the_window_per_timeout_down_to_ten() {
        let (mut sender, mut order) = (Sender::new(ms(40)), 0);
        for n in 1..4 {
            round(&mut sender, ms(40 * n), ms(40), &mut order);
        }
        let mut longer = sender.clone();
        sender.sending(ms(120 + 230), 0);
        assert_eq!(sender.window(), 80, "not yet");
        sender.sending(ms(350 + 500), 0);
        assert_eq!(sender.window(), 20);
        longer.sending(ms(120_000), 0);
        assert_eq!(longer.window(), 10);
    }
}
