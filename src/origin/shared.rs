//! What the tests' side and the connections' side of an origin share: contents, rules, log.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use crate::sync::{AtomicBool, Mutex, Ordering};

use super::answer::{Answer, Step};
use super::content::Content;
use super::log::{Connection, End, Log, Logged};
use super::request::{Range, Request};
use super::rule::Rule;
use super::watched::Watched;

/// The state of an origin.
#[derive(Debug)]
pub(super) struct Shared {
    /// What was seen.
    pub(super) log: Watched<Log>,
    /// Contents and rules.
    paths: Mutex<Paths>,
    /// Largest single write of a body.
    write_size: usize,
    /// Connections end because the origin does.
    stopping: AtomicBool,
}

/// Contents and rules of an origin.
#[derive(Debug, Default)]
struct Paths {
    /// By path, or by path with query.
    by_path: BTreeMap<String, Served>,
    /// Versions put so far.
    versions: u64,
    /// For the next connections, one each.
    next_connections: VecDeque<Step>,
    /// For every connection after those.
    every_connection: Option<Step>,
}

/// One path.
#[derive(Debug, Default)]
struct Served {
    /// Its content and the number of that version.
    content: Option<(Content, u64)>,
    /// Its rules in order.
    rules: Vec<Rule>,
}

impl Shared {
    /// An origin that serves nothing yet.
    pub(super) fn new(write_size: usize) -> Self {
        Self {
            log: Watched::new(Log::default()),
            paths: Mutex::default(),
            write_size,
            stopping: AtomicBool::new(false),
        }
    }

    /// Largest single write of a body.
    pub(super) fn write_size(&self) -> usize {
        self.write_size
    }

    /// Serves `content` at `path` from the next request on.
    pub(super) fn put(&self, path: &str, content: Option<Content>) {
        let mut paths = self.paths.lock();
        paths.versions += 1;
        let version = paths.versions;
        let served = paths.by_path.entry(path.to_owned()).or_default();
        served.content = content.map(|content| (content, version));
    }

    /// Adds a rule behind those of `path`.
    pub(super) fn rule(&self, path: &str, rule: Rule) {
        let mut paths = self.paths.lock();
        paths.by_path.entry(path.to_owned()).or_default().rules.push(rule);
    }

    /// Takes all rules of `path` away.
    pub(super) fn clear_rules(&self, path: &str) {
        if let Some(served) = self.paths.lock().by_path.get_mut(path) {
            served.rules.clear();
        }
    }

    /// What the next connection meets.
    pub(super) fn next_connection(&self, step: Step) {
        self.paths.lock().next_connections.push_back(step);
    }

    /// What every connection meets.
    pub(super) fn every_connection(&self, step: Option<Step>) {
        self.paths.lock().every_connection = step;
    }

    /// Logs a new connection: its number and what it meets.
    pub(super) fn connected(&self, peer: SocketAddr) -> (u64, Option<Step>) {
        let step = {
            let mut paths = self.paths.lock();
            paths.next_connections.pop_front().or_else(|| paths.every_connection.clone())
        };
        let id = self.log.update(|log| {
            let id = log.connections.len() as u64;
            log.connections.push(Connection {
                id,
                peer,
                accepted: Instant::now(),
                closed: None,
                requests: 0,
                http2: false,
            });
            id
        });
        (id, step)
    }

    /// Logs that a connection speaks HTTP/2.
    pub(super) fn is_http2(&self, id: u64) {
        self.log.update(|log| log.connections[id as usize].http2 = true);
    }

    /// Logs the end of a connection and of what was still running on it.
    pub(super) fn disconnected(&self, id: u64) {
        let stopping = self.stopping.load(Ordering::SeqCst);
        let end = if stopping { End::Stopped } else { End::Aborted };
        self.log.update(|log| {
            let now = Instant::now();
            log.connections[id as usize].closed.get_or_insert(now);
            let running =
                log.requests.iter_mut().filter(|one| one.connection == id && one.end.is_none());
            for request in running {
                request.end = Some(end);
                request.ended = Some(now);
            }
        });
    }

    /// Logs a request and makes its answer from what is served at this moment.
    pub(super) fn begin(&self, connection: u64, request: &Request) -> (u64, Answer) {
        let answer = self.paths.lock().answer(request);
        let number = self.log.update(|log| {
            let of = &mut log.connections[connection as usize];
            let on_connection = of.requests;
            of.requests += 1;
            let number = log.requests.len() as u64;
            log.requests.push(logged(number, connection, on_connection, request, answer.status));
            number
        });
        (number, answer)
    }

    /// Logs that the head went out.
    pub(super) fn head_sent(&self, number: u64) {
        self.log.update(|log| {
            log.requests[number as usize].head_sent = Some(Instant::now());
        });
    }

    /// Logs bytes of the body that went out.
    pub(super) fn body_sent(&self, number: u64, bytes: u64) {
        self.log.update(|log| log.requests[number as usize].body_bytes += bytes);
    }

    /// What ends from now on ends because the origin does, or no longer.
    pub(super) fn stopping(&self, stopping: bool) {
        self.stopping.store(stopping, Ordering::SeqCst);
    }

    /// Logs the end of an answer.
    pub(super) fn ended(&self, number: u64, end: End) {
        let stopped = end == End::Aborted && self.stopping.load(Ordering::SeqCst);
        let end = if stopped { End::Stopped } else { end };
        self.log.update(|log| {
            let request = &mut log.requests[number as usize];
            request.end = Some(end);
            request.ended = Some(Instant::now());
        });
    }
}

impl Paths {
    /// The answer to `request`, bent by the first rule that takes it.
    fn answer(&mut self, request: &Request) -> Answer {
        let known = [request.target.as_str(), request.path()];
        let Some(path) = known.into_iter().find(|path| self.by_path.contains_key(*path)) else {
            return Answer::to(request, None);
        };
        let served = self.by_path.get_mut(path).expect("just looked up");
        let content = served.content.as_ref().map(|(content, version)| (content, *version));
        let mut answer = Answer::to(request, content);
        if let Some(rule) = served.rules.iter_mut().find_map(|rule| {
            let takes = rule.takes(request);
            takes.then_some(rule)
        }) {
            rule.apply(request, &mut answer);
        }
        answer
    }
}

/// The first entry of a request.
fn logged(
    number: u64,
    connection: u64,
    on_connection: u64,
    request: &Request,
    status: u16,
) -> Logged {
    Logged {
        number,
        connection,
        on_connection,
        method: request.method.clone(),
        path: request.target.clone(),
        range: match request.range() {
            Some(Range::From(first, last)) => Some((first, last)),
            Some(Range::Suffix(_)) | None => None,
        },
        range_header: request.header("range").map(str::to_owned),
        if_range: request.header("if-range").map(str::to_owned),
        headers: request.headers.clone(),
        status,
        body_bytes: 0,
        arrived: Instant::now(),
        head_sent: None,
        ended: None,
        end: None,
    }
}
