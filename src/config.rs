//! Every knob of the engine, with unit, default and what turning it costs.
//!
//! The defaults suit one media player on a home link of about 20 Mbit/s and 100 ms round trip.
//! [`Config::validate`] looks at the whole when an engine is built. What is in [`Tunables`] can be
//! changed on a running engine with [`Engine::reconfigure`](crate::Engine::reconfigure).

use std::time::Duration;

use crate::error::Error;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Everything that can be set on an engine.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Config {
    /// What may also be changed while the engine runs.
    pub tunables: Tunables,
    /// How long to wait for the network.
    pub timeouts: TimeoutConfig,
    /// How answers are judged.
    pub net: NetConfig,
    /// What is kept on disk.
    pub store: StoreConfig,
    /// Never send anything; serve what is stored. A read of a missing byte gives
    /// [`Error::OfflineMiss`]. Default false.
    pub offline: bool,
}

/// The part of [`Config`] that a running engine takes over at once.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Tunables {
    /// How far to read ahead.
    pub readahead: ReadaheadConfig,
    /// How many requests, and how large.
    pub fetch: FetchConfig,
    /// How often to try again.
    pub retry: RetryConfig,
    /// When to ask twice for what a read waits for.
    pub hedging: HedgingConfig,
}

/// How far the engine reads ahead of each reader.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReadaheadConfig {
    /// Whether to read ahead at all. Default true. Off, each miss costs a round trip.
    pub enabled: bool,
    /// Window right after open or a far seek while the consumption rate is unknown, in bytes.
    /// Default 256 KiB. Smaller wastes less on each seek; larger rides out a slow start.
    pub initial_window: u64,
    /// Smallest window of a steady reader, in bytes. Default 2 MiB.
    /// Larger wastes more when the user leaves early; smaller runs dry on a slow link.
    pub min_window: u64,
    /// Largest window after steady reading, in bytes, of all readers of a resource together. Default 64 MiB. Also
    /// the most that can be wasted by stopping early. Smaller, several readers have fewer seconds each.
    pub max_window: u64,
    /// Read-ahead right after a far seek, in time of media. Default 10 s.
    pub start: Duration,
    /// Read-ahead after long play, in time of media. Default 60 s. Larger survives longer outages and
    /// wastes more when the user leaves.
    pub max: Duration,
    /// Seconds of read-ahead gained per second played since the last far seek. Default 0.5.
    pub growth: f64,
    /// Resources up to this size are fetched whole, in bytes. Default 8 MiB. Zero turns it off. On a fast link,
    /// so are those that come within 2 s and are not larger than `max_window`.
    pub whole_file: u64,
}

impl Default for ReadaheadConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            initial_window: 256 * KIB,
            min_window: 2 * MIB,
            max_window: 64 * MIB,
            start: Duration::from_secs(10),
            max: Duration::from_secs(60),
            growth: 0.5,
            whole_file: 8 * MIB,
        }
    }
}

/// How many requests run at once, and how large they are.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FetchConfig {
    /// Most requests at once to one origin, 1 to 64. Default 4. One of them is kept for blocked
    /// reads when there are two or more. More rarely helps on one link and slows blocked reads.
    pub max_fetches: u32,
    /// Smallest first request after open or a seek, in bytes. Default 128 KiB. The body is usable
    /// byte by byte, so this decides only how soon a second request is needed.
    pub demand_min: u64,
    /// Largest first request after open or a seek, in bytes. Default 512 KiB. Larger wastes more per seek.
    /// Also the least that one session gets at once where more of them wait than are served at once.
    pub demand_max: u64,
    /// Largest request, in bytes. Default 8 MiB. Requests double up to it while reading goes on; larger
    /// ones save requests, smaller ones leave the link sooner to a blocked read.
    pub segment_max: u64,
    /// A blocked read never waits for a running request that is further away than this, in bytes. Default 4 MiB.
    pub wait_max: u64,
    /// A blocked read always waits for a running request that is nearer than this, in bytes. Default 64 KiB.
    pub wait_min: u64,
    /// Read-ahead bytes that may be in flight at once over all origins, in bytes. Default 32 MiB.
    pub speculation_budget: u64,
    /// How long a seek away leaves the old place's requests alone. Default 20 ms. Longer makes
    /// seeking there and back free, shorter frees the link sooner.
    pub seek_grace: Duration,
    /// Whether one connection more than are busy is kept open for the next blocked read. Default true. Off saves
    /// the origin a connection, and costs the seeks that find all others busy a round trip, with TLS two or three.
    pub preconnect: bool,
    /// Share of the link that may be spent on fetching where a drag of the scrub bar will be, in percent, 0 to
    /// 100. Default 70. Larger makes more seeks of a drag hits, and wastes more when the hand turns; 0 turns it off,
    /// and so does turning read-ahead off.
    pub foresight_percent: u32,
}

impl Default for FetchConfig {
    fn default() -> Self {
        Self {
            max_fetches: 4,
            demand_min: 128 * KIB,
            demand_max: 512 * KIB,
            segment_max: 8 * MIB,
            wait_max: 4 * MIB,
            wait_min: 64 * KIB,
            speculation_budget: 32 * MIB,
            seek_grace: Duration::from_millis(20),
            preconnect: true,
            foresight_percent: 70,
        }
    }
}

/// How the engine tries again after a failed request.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RetryConfig {
    /// Most attempts for one byte without any progress, at least 1. Default 5.
    pub max_attempts: u32,
    /// Pause before the second attempt; doubles from there. Default 250 ms.
    pub backoff: Duration,
    /// Longest pause between two attempts. Default 4 s.
    pub max_backoff: Duration,
    /// Share of each pause that is random, 0 to 1. Default 0.3. Keeps many clients from coming back at once.
    pub jitter: f64,
    /// Longest `Retry-After` that is waited for; a longer one fails the read at once. Default 30 s.
    pub max_retry_after: Duration,
    /// Time after which a blocked read fails whatever attempts are left. Default 30 s.
    pub budget: Duration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            max_attempts: 5,
            backoff: Duration::from_millis(250),
            max_backoff: Duration::from_secs(4),
            jitter: 0.3,
            max_retry_after: Duration::from_secs(30),
            budget: Duration::from_secs(30),
        }
    }
}

/// When a request that a read waits for gets a second one beside it, over another connection.
///
/// The first of the two to bring the byte goes on, the other is stopped. It helps where single
/// connections stall or single answers are slow, and costs what comes twice. While all requests are slow,
/// or the origin has asked for patience, none is sent.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HedgingConfig {
    /// Whether to do so at all. Default true. Off, a stalled connection is waited for until
    /// [`TimeoutConfig::idle`].
    pub enabled: bool,
    /// Second requests per hundred others, 0 to 100, counted for each origin; two may always come at once
    /// if it is above zero. Default 5. More hides more stalls of a bad server and loads it.
    pub budget_percent: u32,
    /// Least silence before a second request. Default 250 ms; it is never less than three round trips, nor than
    /// what 19 of 20 answers take. Shorter hides shorter stalls, and takes a busy machine or a lost packet
    /// for one.
    pub delay: Duration,
}

impl Default for HedgingConfig {
    fn default() -> Self {
        Self { enabled: true, budget_percent: 5, delay: Duration::from_millis(250) }
    }
}

/// How long the engine waits for the network. There is no limit on how long a body takes as long
/// as bytes come.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TimeoutConfig {
    /// Resolve, connect and TLS handshake. Default 10 s.
    pub connect: Duration,
    /// From the start of a request to the answer's head: connecting where needed, redirects and a fresh
    /// URL included. Default 15 s.
    pub headers: Duration,
    /// No byte of a body for that long while we want one. Default 10 s.
    pub idle: Duration,
    /// A whole small object, everything included. Default 60 s.
    pub object: Duration,
}

impl Default for TimeoutConfig {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            headers: Duration::from_secs(15),
            idle: Duration::from_secs(10),
            object: Duration::from_secs(60),
        }
    }
}

/// What the engine does with a resource that turns out to have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnChange {
    /// Every read fails with [`Error::Changed`]; bytes read before stay right. The default.
    #[default]
    Fail,
    /// Forget what is stored and go on with the new resource. Each reader is told once, with
    /// [`Error::Restarted`].
    Restart,
}

/// How requests are sent and answers are judged.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NetConfig {
    /// Bulk lanes, 1 to 8: HTTP clients for read-ahead beside the one for blocked reads. Default 1.
    /// More help only where an origin limits each HTTP/2 connection.
    pub bulk_lanes: u8,
    /// Most redirects followed for one request. Default 10.
    pub max_redirects: u32,
    /// Whether a redirect may go from `https` to `http`. Default false.
    pub allow_downgrade: bool,
    /// Whether a redirect from a public host may lead to a private or loopback address. Default false.
    /// Hosts are judged by their literal address or well-known name, not by what a name resolves to.
    pub allow_private_redirects: bool,
    /// Whether a page in place of the media is refused as a login or error page. Default true. Refused
    /// is HTML where another type is known, or on the first open where the URL's path ends in an extension
    /// that is not one of a page; and JSON, XML or plain text in place of known audio or video.
    pub refuse_html: bool,
    /// What to do when the resource has changed on the server. Default [`OnChange::Fail`].
    pub on_change: OnChange,
    /// Received bytes that wait to be written, or were and the scheduler has not heard of it, over the whole engine, in bytes. Default 8 MiB.
    /// So much may come of an endless stream, beyond its room in the store, before it is paused.
    /// Beyond it the HTTP library holds at most about 400 KiB per connection with HTTP/1.1, and up to
    /// 16 MiB (8 MiB for each body) with HTTP/2, which is what its windows allow.
    pub write_budget: u64,
    /// The `User-Agent` sent. Default `kithara-file/` and the version.
    pub user_agent: String,
}

impl Default for NetConfig {
    fn default() -> Self {
        Self {
            bulk_lanes: 1,
            max_redirects: 10,
            allow_downgrade: false,
            allow_private_redirects: false,
            refuse_html: true,
            on_change: OnChange::Fail,
            write_budget: 8 * MIB,
            user_agent: concat!("kithara-file/", env!("CARGO_PKG_VERSION")).into(),
        }
    }
}

/// What is kept on disk.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StoreConfig {
    /// Most allocated bytes of all assets together; least recently used ones go first. Default 4 GiB. An open
    /// asset never goes; of one that is larger than that, or than what other open ones leave of it, parts go, those first
    /// that will probably be read last. It has 4 MiB in any case, and a pinned one is kept whole.
    pub max_bytes: u64,
    /// Most assets. Default 10,000.
    pub max_assets: u64,
    /// How often what was received becomes proof against power loss, at the least. Default 5 s.
    /// Shorter loses less and syncs more.
    pub barrier_interval: Duration,
    /// After how many received bytes that happens in any case, in bytes. Default 32 MiB.
    pub barrier_bytes: u64,
    /// Most received bytes of one resource that are held in memory while the disk refuses them, in bytes. Default
    /// 16 MiB, at least 1 MiB. A quarter of it is read ahead; less means more requests while that lasts.
    pub memory_window: u64,
    /// How long after the disk refused it is tried again. Default 1 s. The pause doubles up to 32 times that.
    pub retry_interval: Duration,
    /// How long the files of an open resource stay open, at the least, after a byte of it was read or written. Default 5 s.
    /// They are closed once all of it is proof against power loss, and opened again when they are needed.
    pub rest_after: Duration,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            max_bytes: 4 << 30,
            max_assets: 10_000,
            barrier_interval: Duration::from_secs(5),
            barrier_bytes: 32 * MIB,
            memory_window: 16 * MIB,
            retry_interval: Duration::from_secs(1),
            rest_after: Duration::from_secs(5),
        }
    }
}

fn ensure(holds: bool, field: &'static str, why: &str) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(Error::InvalidConfig { field, why: why.into() }) }
}

impl Config {
    /// Checks that the values fit each other.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`] names the first field that does not fit, and says what would.
    pub fn validate(&self) -> Result<(), Error> {
        self.tunables.validate()?;
        self.timeouts.validate()?;
        let net = &self.net;
        ensure((1..=8).contains(&net.bulk_lanes), "net.bulk_lanes", "must be 1 to 8")?;
        ensure(net.write_budget >= 64 * KIB, "net.write_budget", "must be at least 64 KiB")?;
        ensure(
            http::HeaderValue::from_str(&net.user_agent).is_ok(),
            "net.user_agent",
            "must be a valid header value",
        )?;
        let store = &self.store;
        ensure(store.max_bytes > 0, "store.max_bytes", "must be above zero")?;
        ensure(store.max_assets > 0, "store.max_assets", "must be above zero")?;
        ensure(store.barrier_bytes > 0, "store.barrier_bytes", "must be above zero")?;
        ensure(store.memory_window >= MIB, "store.memory_window", "must be at least 1 MiB")?;
        ensure(
            store.rest_after >= Duration::from_millis(100),
            "store.rest_after",
            "must be at least 100 ms",
        )?;
        ensure(
            store.retry_interval > Duration::ZERO,
            "store.retry_interval",
            "must be above zero",
        )?;
        ensure(
            store.barrier_interval >= Duration::from_secs(1),
            "store.barrier_interval",
            "must be at least 1 s",
        )
    }
}

impl Tunables {
    /// Checks that the values fit each other.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`] names the first field that does not fit, and says what would.
    pub fn validate(&self) -> Result<(), Error> {
        let r = &self.readahead;
        ensure(r.initial_window >= 4 * KIB, "readahead.initial_window", "must be at least 4 KiB")?;
        ensure(
            r.min_window <= r.max_window,
            "readahead.min_window",
            "must not be above max_window",
        )?;
        ensure(
            r.initial_window <= r.max_window,
            "readahead.initial_window",
            "must not be above max_window",
        )?;
        ensure(r.start <= r.max, "readahead.start", "must not be above max")?;
        ensure(
            r.growth.is_finite() && (0.0..=10.0).contains(&r.growth),
            "readahead.growth",
            "must be 0 to 10",
        )?;
        let f = &self.fetch;
        ensure((1..=64).contains(&f.max_fetches), "fetch.max_fetches", "must be 1 to 64")?;
        ensure(f.demand_min >= 4 * KIB, "fetch.demand_min", "must be at least 4 KiB")?;
        ensure(f.demand_min <= f.demand_max, "fetch.demand_min", "must not be above demand_max")?;
        ensure(f.demand_max <= f.segment_max, "fetch.demand_max", "must not be above segment_max")?;
        ensure(f.wait_min <= f.wait_max, "fetch.wait_min", "must not be above wait_max")?;
        ensure(
            f.speculation_budget >= f.demand_min,
            "fetch.speculation_budget",
            "must be at least demand_min",
        )?;
        ensure(f.foresight_percent <= 100, "fetch.foresight_percent", "must be 0 to 100")?;
        let t = &self.retry;
        ensure(t.max_attempts >= 1, "retry.max_attempts", "must be at least 1")?;
        ensure(t.backoff <= t.max_backoff, "retry.backoff", "must not be above max_backoff")?;
        ensure(
            t.jitter.is_finite() && (0.0..=1.0).contains(&t.jitter),
            "retry.jitter",
            "must be 0 to 1",
        )?;
        ensure(t.budget > Duration::ZERO, "retry.budget", "must be above zero")?;
        let h = &self.hedging;
        ensure(h.budget_percent <= 100, "hedging.budget_percent", "must be 0 to 100")?;
        ensure(h.delay > Duration::ZERO, "hedging.delay", "must be above zero")
    }
}

impl TimeoutConfig {
    fn validate(&self) -> Result<(), Error> {
        let why = "must be above zero";
        ensure(self.connect > Duration::ZERO, "timeouts.connect", why)?;
        ensure(self.headers > Duration::ZERO, "timeouts.headers", why)?;
        ensure(self.idle > Duration::ZERO, "timeouts.idle", why)?;
        ensure(self.object > Duration::ZERO, "timeouts.object", why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Config)) -> &'static str {
        let mut config = Config::default();
        change(&mut config);
        match config.validate() {
            Err(Error::InvalidConfig { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn p8_the_defaults_are_valid() {
        assert!(Config::default().validate().is_ok());
    }

    #[test]
    fn p8_a_config_that_contradicts_itself_is_refused_with_the_field() {
        assert_eq!(refused(|c| c.tunables.fetch.max_fetches = 0), "fetch.max_fetches");
        assert_eq!(refused(|c| c.tunables.readahead.min_window = u64::MAX), "readahead.min_window");
        assert_eq!(refused(|c| c.tunables.fetch.demand_min = 1 << 40), "fetch.demand_min");
        assert_eq!(
            refused(|c| c.tunables.fetch.foresight_percent = 101),
            "fetch.foresight_percent"
        );
        assert_eq!(refused(|c| c.tunables.retry.max_attempts = 0), "retry.max_attempts");
        assert_eq!(refused(|c| c.tunables.retry.jitter = f64::NAN), "retry.jitter");
        assert_eq!(refused(|c| c.tunables.hedging.budget_percent = 101), "hedging.budget_percent");
        assert_eq!(refused(|c| c.tunables.hedging.delay = Duration::ZERO), "hedging.delay");
        assert_eq!(refused(|c| c.net.bulk_lanes = 0), "net.bulk_lanes");
        assert_eq!(refused(|c| c.store.max_bytes = 0), "store.max_bytes");
        assert_eq!(refused(|c| c.store.memory_window = MIB - 1), "store.memory_window");
        assert_eq!(refused(|c| c.store.retry_interval = Duration::ZERO), "store.retry_interval");
        assert_eq!(refused(|c| c.timeouts.idle = Duration::ZERO), "timeouts.idle");
        assert_eq!(refused(|c| c.net.user_agent = "a\nb".into()), "net.user_agent");
    }
}
