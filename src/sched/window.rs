//! How far to read ahead of one cursor, and how fast it consumes.
//!
//! Known rate: so many seconds of media, more the longer it plays. Unknown rate: a small window that
//! doubles whenever a sequential read runs dry, and is never less than twice what was read in one go. A
//! far seek lets it collapse.

use crate::config::ReadaheadConfig;
use crate::ids::FetchId;
use crate::sched::dry::Dry;
use crate::sched::size::PROBE;
use crate::time::Micros;

/// Shortest time over which consumption is measured: a decoder that probes reads in bursts.
const SAMPLE: Micros = Micros::from_millis(1000);
/// A far seek within that time after another one is scrubbing.
pub(crate) const HURRY: Micros = Micros::from_millis(300);
/// How fast old samples fade, in seconds.
const FADE: f64 = 5.0;

/// How fast a cursor consumes, in bytes per second, observed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Consumption {
    mark: Option<Micros>,
    bytes: u64,
    rate: Option<f64>,
}

impl Consumption {
    /// `bytes` more were consumed since the last look.
    pub(crate) fn advance(&mut self, now: Micros, bytes: u64) {
        let Some(mark) = self.mark else {
            return self.rest(now);
        };
        self.bytes += bytes;
        let time = now.since(mark);
        if time >= SAMPLE {
            let seconds = time.as_secs_f64();
            let sample = self.bytes as f64 / seconds;
            let weight = seconds / (seconds + FADE);
            self.rate = Some(self.rate.map_or(sample, |rate| rate + (sample - rate) * weight));
            self.rest(now);
        }
    }

    /// What was between then and now was no consumption: a seek, a pause.
    pub(crate) fn rest(&mut self, now: Micros) {
        self.mark = Some(now);
        self.bytes = 0;
    }

    /// The rate, once it was observed for a second.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.rate
    }
}

/// One sequential run of a reader, from a far seek on.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    /// Where it began.
    pub(crate) start: u64,
    /// When it began.
    pub(crate) since: Micros,
    /// Whether the reader went on from `start`: until then nothing beyond the first window is fetched.
    pub(crate) confirmed: bool,
    /// Size of its last request; zero before the first.
    pub(crate) last_size: u64,
    /// Whether it began so soon after the one before that the user is probably scrubbing.
    pub(crate) hurried: bool,
    /// How many requests run at once for it.
    pub(crate) flows: usize,
    /// Since when it is watched whether they are enough, and how long its reads had been blocked then.
    pub(crate) watched: Option<(Micros, Micros)>,
    /// Whether its reader has run dry over a long way.
    pub(crate) dry: Dry,
    /// A request that seems to be slow: its name, and where it was when.
    pub(crate) straggler: Option<(FetchId, u64, Micros)>,
    /// Whether the window is being filled; false while it rests between full and half.
    pub(crate) filling: bool,
    /// How often the reader came back to it.
    pub(crate) returns: u32,
    /// When a read of it was answered last.
    pub(crate) answered: Micros,
    /// What is asked for at once because its reader will probably read little here: nothing beyond that until it goes on.
    pub(crate) short: Option<u64>,
    /// Whether a far seek has led here.
    pub(crate) far: bool,
    grown: u64,
    grown_at: u64,
}

impl Stream {
    /// A run that begins at `start`.
    pub(crate) fn begin(start: u64, now: Micros, config: &ReadaheadConfig) -> Self {
        Self {
            start,
            since: now,
            confirmed: false,
            hurried: false,
            last_size: 0,
            flows: 1,
            watched: None,
            dry: Dry::default(),
            straggler: None,
            filling: true,
            returns: 0,
            answered: now,
            short: None,
            far: false,
            grown: config.initial_window,
            grown_at: start,
        }
    }

    /// The same, while the user scrubs.
    pub(crate) fn begin_hurried(start: u64, now: Micros, config: &ReadaheadConfig) -> Self {
        Self { hurried: true, far: true, ..Self::begin(start, now, config) }
    }

    /// Whether a reader that has come to `position` goes on from here. While the user scrubs, looking at
    /// what is there proves nothing; nor does a read that is not much longer than usual of who reads here and there.
    pub(crate) fn goes_on_at(&self, position: u64) -> bool {
        let looked_at = match self.short {
            Some(size) => (size / 4 * 3).max(PROBE),
            None if self.hurried => PROBE,
            None => 1,
        };
        position >= self.start.saturating_add(looked_at)
    }

    /// Whether a far seek has led here within `time`.
    pub(crate) fn is_after_seek(&self, now: Micros, time: Micros) -> bool {
        self.far && now.since(self.since) <= time
    }

    /// The reader went to `at`, past bytes that it cannot have read.
    pub(crate) fn jumped(&mut self, at: u64) {
        if !self.confirmed {
            self.start = at;
        }
    }

    /// A sequential read ran dry at `at`: the window doubles, once per half window read.
    pub(crate) fn ran_dry(&mut self, at: u64, config: &ReadaheadConfig) {
        if at.saturating_sub(self.grown_at) >= self.grown / 2 {
            self.grown = self.grown.saturating_mul(2).min(config.max_window);
            self.grown_at = at;
        }
    }

    /// The window at `at`, in bytes, for a consumption of `rate` bytes per second.
    pub(crate) fn window(
        &self,
        now: Micros,
        at: u64,
        rate: Option<f64>,
        config: &ReadaheadConfig,
    ) -> u64 {
        if !config.enabled {
            return 0;
        }
        if !self.confirmed {
            return self.first_window(rate, config);
        }
        let least = self.dry.least_window(now, config);
        let Some(rate) = rate else {
            let read = at.saturating_sub(self.start);
            return self.grown.max(read.saturating_mul(2)).max(least).min(config.max_window);
        };
        let played = now.since(self.since).as_secs_f64();
        let ahead = config.start.as_secs_f64() + config.growth * played;
        let ahead = ahead.min(config.max.as_secs_f64());
        ((rate * ahead) as u64).max(least).clamp(config.min_window, config.max_window)
    }

    /// A far seek has led here from the run `before`. Two within a short time are scrubbing, or a search; on a
    /// slow link one that goes on as soon as it has seen what it waited for.
    pub(crate) fn after(mut self, before: Option<&Self>) -> Self {
        let now = self.since;
        let soon = |before: &Self| {
            let looked = !before.confirmed && now.since(before.answered) <= HURRY;
            before.far && (looked || now.since(before.since) <= HURRY)
        };
        self.hurried = before.is_some_and(soon);
        self.far = before.is_some();
        self
    }

    /// The first window after `start`: a second of media, and never less than the initial window; not
    /// much more either, because its requests hold the connections of blocked reads. None while the
    /// user scrubs: the next seek would leave it behind. What is read of who reads a little here and there.
    pub(crate) fn first_window(&self, rate: Option<f64>, config: &ReadaheadConfig) -> u64 {
        if !config.enabled {
            return 0;
        }
        if !self.confirmed {
            match self.short {
                _ if self.hurried => return 0,
                Some(size) => return size.min(config.max_window),
                None => {}
            }
        }
        let most = config.initial_window.saturating_mul(2).min(config.max_window);
        (rate.unwrap_or(0.0) as u64).clamp(config.initial_window, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;

    const fn s(n: u64) -> Micros {
        Micros::from_millis(n * 1000)
    }

    fn playing(config: &ReadaheadConfig) -> Stream {
        let mut stream = Stream::begin(0, s(0), config);
        stream.confirmed = true;
        stream
    }

    #[test]
    fn p4_the_window_is_seconds_of_media_that_grow_while_playing() {
        let config = ReadaheadConfig::default();
        let stream = playing(&config);
        let rate = Some(500_000.0);
        assert_eq!(stream.window(s(0), 0, rate, &config), 5_000_000);
        assert_eq!(stream.window(s(20), 0, rate, &config), 10_000_000);
        assert_eq!(stream.window(s(100), 0, rate, &config), 30_000_000);
        assert_eq!(stream.window(s(1000), 0, rate, &config), 30_000_000);
    }

    #[test]
    fn p4_the_window_stays_between_its_limits() {
        let config = ReadaheadConfig::default();
        let stream = playing(&config);
        assert_eq!(stream.window(s(0), 0, Some(1000.0), &config), 2 * MIB);
        assert_eq!(stream.window(s(0), 0, Some(1e9), &config), 64 * MIB);
    }

    #[test]
    fn p4_without_a_rate_the_window_doubles_when_a_read_runs_dry() {
        let config = ReadaheadConfig::default();
        let mut stream = playing(&config);
        assert_eq!(stream.window(s(0), 0, None, &config), 256 * KIB);
        stream.ran_dry(128 * KIB - 1, &config);
        assert_eq!(stream.window(s(0), 0, None, &config), 256 * KIB);
        stream.ran_dry(128 * KIB, &config);
        assert_eq!(stream.window(s(0), 0, None, &config), 512 * KIB);
        stream.ran_dry(128 * KIB + 256 * KIB - 1, &config);
        assert_eq!(stream.window(s(0), 0, None, &config), 512 * KIB);
        for at in 1..40 {
            stream.ran_dry(at * 64 * MIB, &config);
        }
        assert_eq!(stream.window(s(0), 0, None, &config), 64 * MIB);
    }

    #[test]
    fn p4_without_a_rate_the_window_is_twice_what_was_read_in_one_go() {
        let config = ReadaheadConfig::default();
        let mut stream = Stream::begin(MIB, s(0), &config);
        stream.confirmed = true;
        assert_eq!(stream.window(s(0), MIB + 128 * KIB, None, &config), 256 * KIB);
        assert_eq!(stream.window(s(0), 2 * MIB, None, &config), 2 * MIB);
        assert_eq!(stream.window(s(0), 90 * MIB, None, &config), 64 * MIB);
    }

    #[test]
    fn p4_until_a_reader_goes_on_only_its_first_window_is_fetched() {
        let config = ReadaheadConfig::default();
        let stream = Stream::begin(7, s(0), &config);
        assert_eq!(stream.window(s(0), 0, Some(5e5), &config), 500_000);
        assert_eq!(stream.window(s(0), 0, Some(5e6), &config), 512 * KIB);
        assert_eq!(stream.window(s(0), 0, Some(5e4), &config), 256 * KIB);
        assert_eq!(stream.window(s(0), 0, None, &config), 256 * KIB);
    }

    #[test]
    fn p5_a_run_that_begins_soon_after_another_one_has_no_first_window() {
        let config = ReadaheadConfig::default();
        let opened = Stream::begin(0, Micros(0), &config);
        let tail = Stream::begin(MIB, Micros(1), &config).after(Some(&opened));
        assert!(!tail.hurried, "the first seek after opening is none");
        let before = Stream::begin(0, Micros(0), &config).after(Some(&opened));
        let begin = |us| Stream::begin(MIB, Micros(us), &config).after(Some(&before));
        assert_eq!(begin(300_000).window(s(1), 0, None, &config), 0);
        assert_eq!(begin(300_001).window(s(1), 0, None, &config), 256 * KIB);
        let reading_on = Stream { confirmed: true, ..begin(300_000) };
        assert_eq!(reading_on.window(s(1), MIB, None, &config), 256 * KIB);
        assert!(!Stream::begin(0, Micros(0), &config).after(None).hurried);
    }

    #[test]
    fn p5_while_the_user_scrubs_a_reader_goes_on_once_it_has_read_more_than_a_look_takes() {
        let config = ReadaheadConfig::default();
        let stream = Stream::begin(MIB, s(0), &config);
        assert_eq!([MIB, MIB + 1].map(|at| stream.goes_on_at(at)), [false, true]);
        let hurried = Stream { hurried: true, ..stream };
        let at = [MIB + 1, MIB + 48 * KIB - 1, MIB + 48 * KIB];
        assert_eq!(at.map(|at| hurried.goes_on_at(at)), [false, false, true]);
    }

    #[test]
    fn p5_who_searches_on_a_slow_link_is_in_a_hurry_too() {
        let config = ReadaheadConfig::default();
        let opened = Stream::begin(0, Micros(0), &config);
        let before = Stream::begin(0, s(1), &config).after(Some(&opened));
        let seen = Stream { answered: s(3), ..before };
        let next =
            |before: &Stream, us| Stream::begin(MIB, Micros(us), &config).after(Some(before));
        assert!(next(&seen, 3_300_000).hurried);
        assert!(!next(&seen, 3_300_001).hurried);
        assert!(!next(&Stream { confirmed: true, ..seen }, 3_000_000).hurried, "it has played");
    }

    #[test]
    fn p4_a_jump_past_what_is_not_there_is_no_reading_on() {
        let config = ReadaheadConfig::default();
        let mut stream = Stream::begin(0, s(0), &config);
        stream.jumped(MIB);
        assert!(!stream.confirmed);
        assert!(!stream.goes_on_at(MIB) && stream.goes_on_at(MIB + 1));
        stream.confirmed = true;
        stream.jumped(5 * MIB);
        assert!(stream.start == MIB, "who plays goes on after a skip");
    }

    #[test]
    fn p4_who_reads_a_little_here_and_there_goes_on_where_he_reads_much_more() {
        let config = ReadaheadConfig::default();
        let stream = Stream { short: Some(400 * KIB), ..Stream::begin(MIB, s(0), &config) };
        assert_eq!(stream.window(s(0), MIB, Some(5e6), &config), 400 * KIB);
        let at = [MIB + 1, MIB + 300 * KIB - 1, MIB + 300 * KIB];
        assert_eq!(at.map(|at| stream.goes_on_at(at)), [false, false, true]);
        let small = ReadaheadConfig { max_window: 300 * KIB, ..config.clone() };
        assert_eq!(stream.window(s(0), MIB, None, &small), 300 * KIB);
        let hurried = Stream { hurried: true, ..stream.clone() };
        assert_eq!(hurried.window(s(0), MIB, None, &config), 0);
        let reading_on = Stream { confirmed: true, ..stream };
        assert_eq!(reading_on.first_window(Some(5e6), &config), 512 * KIB);
        let least = Stream { short: Some(64 * KIB), ..Stream::begin(0, s(0), &config) };
        assert_eq!([48 * KIB - 1, 48 * KIB].map(|at| least.goes_on_at(at)), [false, true]);
    }

    #[test]
    fn p8_readahead_can_be_turned_off() {
        let config = ReadaheadConfig { enabled: false, ..Default::default() };
        let stream = playing(&config);
        assert_eq!(stream.window(s(9), 0, Some(5e6), &config), 0);
        assert_eq!(stream.first_window(Some(5e6), &config), 0);
    }

    #[test]
    fn p4_consumption_is_known_after_a_second_and_sane_under_bursts() {
        let mut consumption = Consumption::default();
        consumption.advance(s(0), 9 * MIB);
        consumption.advance(Micros(999_999), 500_000);
        assert_eq!(consumption.rate(), None);
        consumption.advance(s(1), 500_000);
        assert_eq!(consumption.rate(), Some(1e6));
        consumption.advance(s(2), 0);
        assert_eq!(consumption.rate().map(|rate| rate as u64), Some(833_333));
    }

    #[test]
    fn p4_a_pause_does_not_slow_the_observed_rate() {
        let mut consumption = Consumption::default();
        consumption.rest(s(0));
        consumption.advance(s(1), 1_000_000);
        consumption.rest(s(100));
        consumption.advance(s(101), 1_000_000);
        assert_eq!(consumption.rate(), Some(1e6));
    }
}
